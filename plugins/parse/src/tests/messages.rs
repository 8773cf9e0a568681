//! Random messages.

use proptest::prelude::*;
use serde_json::{Map, Value};

fn keys() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prop::sample::select(vec!["a", "key", "event_timestamp", "é\"\\", "geo", "country"])
            .prop_map(str::to_owned),
        1 => any::<String>(),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        "[ -~\\n]{0,40}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 20, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            objects(inner).prop_map(Value::from),
        ]
    })
}

fn objects(values: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    prop::collection::vec((keys(), values), 0..7).prop_map(|fields| fields.into_iter().collect())
}

/// Spells a value in one of many ways: `choices` are used up in a circle.
fn spell(value: &Value, choices: &mut impl Iterator<Item = u8>, out: &mut String) {
    let space = |choices: &mut dyn Iterator<Item = u8>, out: &mut String| match choices.next() {
        Some(0..=9) => out.push(' '),
        Some(10..=14) => out.push_str("\r\n\t"),
        _ => {}
    };
    let string = |text: &str, choices: &mut dyn Iterator<Item = u8>, out: &mut String| {
        out.push('"');
        for character in text.chars() {
            if choices.next() < Some(20) {
                for unit in character.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            } else {
                let quoted = Value::from(character.to_string()).to_string();
                out.push_str(&quoted[1..quoted.len() - 1]);
            }
        }
        out.push('"');
    };
    space(choices, out);
    match value {
        Value::String(text) => string(text, choices, out),
        Value::Array(values) => {
            out.push('[');
            for (at, value) in values.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                spell(value, choices, out);
            }
            space(choices, out);
            out.push(']');
        }
        Value::Object(fields) => {
            out.push('{');
            for (at, (key, value)) in fields.iter().enumerate() {
                out.push_str(if at == 0 { "" } else { "," });
                space(choices, out);
                string(key, choices, out);
                space(choices, out);
                out.push(':');
                spell(value, choices, out);
            }
            space(choices, out);
            out.push('}');
        }
        other => out.push_str(&other.to_string()),
    }
    space(choices, out);
}

/// Messages that are JSON objects, in random spelling.
pub(super) fn messages() -> impl Strategy<Value = String> {
    (objects(values()), prop::collection::vec(any::<u8>(), 1..50)).prop_map(|(object, choices)| {
        let mut out = String::new();
        spell(&Value::from(object), &mut choices.into_iter().cycle(), &mut out);
        out
    })
}
