//! JSON stays JSON, whatever is cleaned out of it.

use proptest::prelude::*;
use serde_json::Value;

use super::properties::mixed_text;
use super::{clean, clean_of};
use crate::config::Kind;

#[test]
fn what_is_replaced_in_json_leaves_json() {
    let cases = [
        (r#"{"email": "ada\u0040example.com", "n": 1.50}"#, r#"{"email": "[email]", "n": 1.50}"#),
        (r#"{"password": 1234, "n": 1}"#, r#"{"password": null, "n": 1}"#),
        (
            r#"{"password":true,"secret":null,"passwd":""}"#,
            r#"{"password":true,"secret":null,"passwd":""}"#,
        ),
        (r#"{"password":"a\"b","n":1}"#, r#"{"password":"[token]","n":1}"#),
        (
            r#"{"passwords":["a"],"password":["a",{"b":"c","d":[7]}]}"#,
            r#"{"passwords":["[token]"],"password":["[token]",{"b":"[token]","d":[null]}]}"#,
        ),
        (r#"{"phone":49301234567}"#, r#"{"phone":null}"#),
        (
            r#"{"phones":["01711234567"],"tokens":["9f8a7b6c5d4e3f2a"],"phone_home":"01711234567"}"#,
            r#"{"phones":["[phone]"],"tokens":["[token]"],"phone_home":"[phone]"}"#,
        ),
        (
            r#"{"authorization":"Basic dXNlcjpwYXNz","headers":{"Authorization":["Basic Og=="]}}"#,
            r#"{"authorization":"[token]","headers":{"Authorization":["[token]"]}}"#,
        ),
        (
            r#"{"phones":{"mobile":["030123456",1.5e3]}}"#,
            r#"{"phones":{"mobile":["[phone]",1.5e3]}}"#,
        ),
        (r#"["+49\u002030\u002f123456", "a\/b"]"#, r#"["[phone]", "a\/b"]"#),
        (
            r#"{"token":"0123456789abcdef0","otp":"482913","code":482913}"#,
            r#"{"token":"[token]","otp":"[token]","code":482913}"#,
        ),
        (
            r#"{"a":"{\"phone\":49301234567,\"b\":\"[\\\"ada@example.com\\\"]\"}"}"#,
            r#"{"a":"{\"phone\":null,\"b\":\"[\\\"[email]\\\"]\"}"}"#,
        ),
        (r#"{"p\u0061ssword":"x"}"#, r#"{"p\u0061ssword":"[token]"}"#),
        (
            r#"{"ada@example.com":1,"ada@example.com":2}"#,
            r#"{"ada@example.com":1,"ada@example.com":2}"#,
        ),
        (
            r#"{"a":123456789012345678901234567890.10,"b":"\ud800 ada@example.com"}"#,
            r#"{"a":123456789012345678901234567890.10,"b":"\ud800 [email]"}"#,
        ),
        (" [ ] ", " [ ] "),
        // Not JSON: cut off, or within a text.
        (
            r#"{"password": "a\"b", "email": "ada\u0040example.com", "x": "\/"#,
            r#"{"password": "[token]", "email": "[email]", "x": "\/"#,
        ),
        (
            r#"failed: {"password": 1234, "tel": "030123456", "n": 1}"#,
            r#"failed: {"password": null, "tel": "[phone]", "n": 1}"#,
        ),
        (
            r#"failed: {\"password\": \"a b\", \"secret\": null}"#,
            r#"failed: {\"password\": \"[token]\", \"secret\": null}"#,
        ),
        (r#"failed: {"password" : ["a b"]}"#, r#"failed: {"password" : ["[token]"]}"#),
        (
            "/a?d=%7B%22password%22%3A%22a%20b%22%2C%22phone%22%3A49301234567%7D&n=1",
            "/a?d=%7B%22password%22%3A%22[token]%22%2C%22phone%22%3Anull%7D&n=1",
        ),
        ("%7B%22phone%22%3A49301234567%7D", "%7B%22phone%22%3Anull%7D"),
    ];
    for (text, expected) in cases {
        assert_eq!(clean(text), expected, "{text}");
    }
    let card = r#"{"n": [4111111111111111, "4111 1111 1111 1111", 4111111111111112]}"#;
    let expected = r#"{"n": [null, "[card]", 4111111111111112]}"#;
    assert_eq!(clean_of(&[Kind::Card], card), expected);
    let version = r#"{"version": "1.2.3.4", "client": ["1.2.3.4"]}"#;
    let expected = r#"{"version": "1.2.3.4", "client": ["[ip]"]}"#;
    assert_eq!(clean_of(&[Kind::Ip], version), expected);
}

/// JSON of what the finders look at.
fn json() -> impl Strategy<Value = Value> {
    let number = prop_oneof![
        any::<i64>().prop_map(Value::from),
        (100_000_000u64..10_000_000_000_000_000).prop_map(Value::from),
        (-1e9..1e9).prop_map(|number: f64| Value::from(number)),
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        number,
        mixed_text().prop_map(Value::from),
        ".{0,9}".prop_map(Value::from),
    ];
    let key = prop_oneof!["password|phone|token|otp|code|version|tel|key|[a-z]{1,5}", mixed_text()];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(key.clone(), inner.clone(), 0..5)
                .prop_map(|object| object.into_iter().collect::<serde_json::Map<_, _>>().into()),
            inner.prop_map(|inner| Value::from(inner.to_string())),
        ]
    })
}

/// Whether one is the other with parts of texts replaced, and numbers by null.
fn is_cleaned(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            a.keys().eq(b.keys()) && a.values().zip(b.values()).all(|(a, b)| is_cleaned(a, b))
        }
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_cleaned(a, b))
        }
        (Value::Number(_), Value::Null) => true,
        (Value::String(a), Value::String(b)) => a == b || b.contains('[') || b.contains("null"),
        _ => before == after,
    }
}

/// The text with every character that is not of ASCII, and some that are, escaped.
fn escaped(json: &str, escape: bool) -> String {
    let mut text = String::new();
    for char in json.chars() {
        if escape && (!char.is_ascii() || matches!(char, '@' | '+' | '&' | '=' | '%')) {
            char.encode_utf16(&mut [0; 2])
                .iter()
                .for_each(|unit| text += &format!("\\u{unit:04X}"));
        } else {
            text.push(char);
        }
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn json_stays_json_with_its_keys_and_all_else_that_is_not_cleaned(
        before in json(), pretty in any::<bool>(), escape in any::<bool>(),
    ) {
        let text = if pretty { format!("{before:#}") } else { before.to_string() };
        let text = escaped(&text, escape);
        let before: Value = serde_json::from_str(&text).expect("it is JSON");
        for kinds in [&Kind::usual()[..], super::EVERY_KIND] {
            let cleaned = clean_of(kinds, &text);
            if before.is_object() || before.is_array() {
                let after: Value = serde_json::from_str(&cleaned).expect("JSON stays JSON");
                prop_assert!(is_cleaned(&before, &after), "{} -> {}", text, cleaned);
            }
            prop_assert_eq!(clean_of(kinds, &cleaned), cleaned);
        }
    }
}
