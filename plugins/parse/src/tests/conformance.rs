//! RFC 8259, with `serde_json` as the judge: the same messages are accepted, with the same values.
//!
//! Known differences, all wanted: duplicate keys can be refused (here the last counts, as with
//! `serde_json`), the depth limit is ours, and a number too large for `f64` is only refused by a column
//! that wants a number.

use clickmill_plugin::{Column, Output};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::messages::messages;
use super::{run, value};

/// Columns of every type, a nested one, and the rest kept.
fn parse(messages: &[&str]) -> Output {
    let config = json!({
        "format": "json", "duplicates": "last", "unknown": "keep", "max_depth": 1000, "empty_is_null": false,
        "columns": [
            {"name": "a", "type": "text"},
            {"name": "key", "type": "text"},
            {"name": "event_timestamp", "type": "text"},
            {"name": "é\"\\", "type": "text", "from": r#"é"\\"#},
            {"name": "country", "type": "text", "from": "geo.country"},
        ],
    });
    run(&config, vec![Column::texts("payload", messages.iter().map(Some))])
}

const TEXTS: [&str; 4] = ["a", "key", "event_timestamp", "é\"\\"];

/// Asserts that both accept the message, with the same values, or both refuse it.
fn check(message: &str) {
    // RFC 8259 lets a parser pass over the mark.
    let plain = message.strip_prefix('\u{feff}').unwrap_or(message);
    let judged = serde_json::from_str::<Map<String, Value>>(plain);
    if judged.as_ref().is_err_and(|error| error.to_string().contains("number out of range")) {
        return;
    }
    // Neighbours show that nothing spills over.
    let neighbour = r#"{"a":"before","geo":{"country":"XX"}}"#;
    let output = parse(&[neighbour, message, neighbour]);
    for row in [0, 2] {
        assert_eq!(value(&output, "a", row), json!("before"));
        assert_eq!(value(&output, "country", row), json!("XX"));
        assert_eq!(value(&output, "key", row), Value::Null);
    }
    let refused = output.rejections.first();
    let mut object = match (judged, refused) {
        (Err(_), Some(_)) => return,
        (Err(error), None) => panic!("{message:?} is accepted, but: {error}"),
        (Ok(object), Some(refused)) => {
            // `geo` leads to a column and must be an object.
            let geo = &object["geo"];
            assert!(
                refused.code == "wrong_type" && !geo.is_null() && !geo.is_object(),
                "{message:?} is refused: {}",
                refused.message
            );
            return;
        }
        (Ok(object), None) => object,
    };
    for name in TEXTS {
        same(&value(&output, name, 1), object.remove(name), message);
    }
    let country =
        object.get_mut("geo").and_then(Value::as_object_mut).and_then(|g| g.remove("country"));
    same(&value(&output, "country", 1), country, message);
    if object.get("geo").is_some_and(|geo| geo.is_null() || *geo == json!({})) {
        object.remove("geo");
    }
    let kept = match value(&output, "unknown_fields", 1) {
        Value::String(kept) => serde_json::from_str(&kept).expect("what is kept is JSON"),
        _ => Map::new(),
    };
    assert_eq!(kept, object, "{message:?}");
}

/// Whether a text column holds that value.
fn same(column: &Value, judged: Option<Value>, message: &str) {
    match judged.unwrap_or(Value::Null) {
        Value::Null => assert_eq!(*column, Value::Null, "{message:?}"),
        Value::String(text) => assert_eq!(*column, json!(text), "{message:?}"),
        other => {
            let spelled = column.as_str().expect("a text");
            let spelled: Value = serde_json::from_str(spelled).expect("a spelling is JSON");
            assert_eq!(spelled, other, "{message:?}");
        }
    }
}

#[test]
fn edge_cases_of_the_standard_are_judged_like_serde_json() {
    let values = [
        "0",
        "-0",
        "-",
        "+1",
        "01",
        "-01",
        "1.",
        ".5",
        "1.5",
        "1.5.5",
        "1e5",
        "1E+5",
        "1e-5",
        "1e",
        "1e+",
        "1e5.5",
        "0e0",
        "0.0e-0",
        "0x1",
        "1_000",
        "123456789012345678901234567890",
        "NaN",
        "Infinity",
        "-Infinity",
        "true",
        "false",
        "null",
        "True",
        "tru",
        "truex",
        "nul",
        "nulll",
        "TRUE",
        "undefined",
        "''",
        "'a'",
        "\"\"",
        "\"a\"",
        "\"",
        "\"\\\"",
        "\"\\\\\"",
        "\"\\/\"",
        "\"\\b\\f\\n\\r\\t\"",
        "\"\\a\"",
        "\"\\'\"",
        "\"\\0\"",
        "\"\\x41\"",
        "\"\\u0041\"",
        "\"\\U0041\"",
        "\"\\u004\"",
        "\"\\u00e9\\u00E9\"",
        "\"\\u0000\"",
        "\"\\ud83d\\ude00\"",
        "\"\\uD83D\\uDE00\"",
        "\"\\ud83d\"",
        "\"\\ude00\"",
        "\"\\ud83dx\"",
        "\"\\ud83d\\n\"",
        "\"\\ud83d\\u0041\"",
        "\"\\ud83d\\ud83d\"",
        "\"\\ude00\\ud83d\"",
        "\"\\u+041\"",
        "\"\\u 041\"",
        "\"a\nb\"",
        "\"a\tb\"",
        "\"a\rb\"",
        "\"a\u{0}b\"",
        "\"a\u{1f}b\"",
        "\"a\u{7f}b\"",
        "\"\u{80}\u{2028}\u{feff}\u{ffff}😀\"",
        "\"1234567\\u0041\"",
        "\"12345678\"",
        "\"1234567\"",
        "\"123456789\n\"",
        "\"1234567\n\"",
        "[]",
        "[ ]",
        "[1]",
        "[1,2]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "[1,,2]",
        "[",
        "[1",
        "]",
        "[}",
        "[[]]",
        "[[],[]]",
        "[{}]",
        "[\"a\",1,null,true,{\"k\":[]}]",
        "[1}",
        "{}",
        "{ }",
        "{\"k\":1}",
        "{\"k\"}",
        "{\"k\":}",
        "{\"k\":1,}",
        "{,}",
        "{k:1}",
        "{1:1}",
        "{null:1}",
        "{\"k\":1 \"l\":2}",
        "{\"k\":1]",
        "{\"k\":1;\"l\":2}",
        "{\"k\" : 1 , \"l\"\n:\t2\r}",
        "{\"\":1}",
        "{\"k\\\"\":1}",
        "{\"\\ud800\":1}",
        "{\"country\":1}",
        "{\"country\":\"DE\",\"x\":1}",
        "{\"x\":1,\"country\":null,\"x\":2}",
        "/**/1",
        "1//",
        "\u{feff}1",
        "\u{a0}1",
        "\u{b}1",
        "\u{c}1",
        "\u{2028}1",
        "",
        " ",
        ",",
        ":",
        "\u{0}",
    ];
    for value in values {
        for key in ["a", "geo", "other"] {
            check(&format!(r#"{{"{key}":{value}}}"#));
            check(&format!(r#" {{ "{key}" : {value} , "key":1 }} "#));
            check(&format!(r#"{{"{key}":{value}"#));
            check(&format!(r#"{{"key":[{value}],"{key}":{value}}}"#));
            check(&format!(r#"{{"{key}":1,"{key}":{value}}}"#));
        }
        check(value);
        check(&format!("[{value}]"));
        check(&format!("{{}}{value}"));
        check(&format!("{value}{{}}"));
    }
    for message in [
        "",
        " ",
        "{",
        "}",
        "{}",
        " {} ",
        "\t\n\r {}\t\n\r ",
        "{}{}",
        "{} {}",
        "{},",
        "{}\u{0}",
        "\u{feff}{}",
        "{\"a\":1}x",
        "{\"a\":1,\"a\":2}",
        "{\"\\u0061\":1,\"a\":2}",
        "{\"a\":1}}",
        "{\"a\"",
        "{\"a\":",
        "{\"é\\\"\\\\\":1}",
        "{\"\\u00e9\\u0022\\u005c\":1}",
        "{\"é\\\":1}",
        "{\"é\"\":1}",
        "{\"a\\\":1}",
        "{\"ab\":1,\"\":2,\"ke\":3,\"keys\":4,\"event_timestamp_\":5,\"event_timestam\":6}",
    ] {
        check(message);
    }
}

#[test]
fn every_beginning_of_a_message_is_judged_like_serde_json() {
    let message = r#"{"a":"x\ud83d\ude00\n","key":[1,-2.5e+3,{"k":null}],"geo":{"country":"DE","n":true},"o":0.5}"#;
    for end in 0..=message.len() {
        check(&message[..end]);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn random_objects_have_the_values_that_serde_json_reads(message in messages()) {
        prop_assert!(serde_json::from_str::<Value>(&message).is_ok());
        check(&message);
    }

    #[test]
    fn damaged_messages_are_judged_like_serde_json(
        message in messages(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0..4), 1..4),
    ) {
        let mut bytes = message.into_bytes();
        for (at, byte, what) in damage {
            const TOKENS: &[u8] = b"{}[]:,\"\\0-.eEtfnu \n\0";
            let at = at.index(bytes.len() + 1);
            match what {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, TOKENS[usize::from(byte) % TOKENS.len()]),
                2 if at < bytes.len() => { bytes.remove(at); }
                _ if at < bytes.len() => bytes[at] ^= 1 << (byte % 8),
                _ => {}
            }
        }
        check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_text_is_judged_like_serde_json(text: String) {
        check(&text);
        check(&format!("{{\"a\":{text}}}"));
        check(&format!("{{\"a\":\"{text}\"}}"));
    }

    #[test]
    fn soups_of_tokens_are_judged_like_serde_json(
        soup in "([{}:,\"\\\\\\[\\]]|\"a\"|\"geo\"|\"key\":|:1|,|\\\\u00|\\\\ud8|[0-9a-fEn.+ -]){0,30}"
    ) {
        check(&soup);
        check(&format!("{{\"a\":1,{soup}"));
        check(&format!("{{\"a\":1,\"geo\":{{{soup}}}}}"));
    }

    #[test]
    fn no_text_panics_and_every_row_has_a_value_in_every_column(
        texts in prop::collection::vec(prop_oneof![any::<String>(), messages(), "[0-9:TZ.eE+ -]{0,30}"], 1..10),
        json: bool,
        unknown in prop::sample::select(vec!["ignore", "keep", "refuse"]),
        duplicates in prop::sample::select(vec!["refuse", "last", "first"]),
        empty_is_null: bool,
        required: bool,
    ) {
        // The SDK's test host checks the columns' lengths and that no row is refused twice.
        let types = ["boolean", "int64", "float64", "date", "timestamp", "text"];
        let from = |at: usize| if json { TEXTS[at % 4] } else { "payload" };
        let columns: Vec<Value> = types.iter().enumerate().map(|(at, column_type)| {
            json!({"name": format!("c{at}"), "type": column_type, "from": from(at), "required": required})
        }).collect();
        let config = json!({
            "format": if json { "json" } else { "csv" }, "columns": columns,
            "unknown": unknown,
            "duplicates": duplicates,
            "empty_is_null": empty_is_null, "max_depth": 3,
        });
        run(&config, vec![Column::texts("payload", texts.iter().map(Some))]);
    }
}
