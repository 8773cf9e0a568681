//! Where in a message something stands: a message that is refused is read once more for it, up to there.

use std::ops::Range;

use super::cursor::Cursor;
use super::value::unescape;
use crate::rejection::shown;

/// How many steps of a way people are told: what is nested too deep has more.
const STEPS: usize = 8;

/// A step from a value into it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    /// To a member of an object, by its key, unescaped.
    Key(Vec<u8>),
    /// To an element of an array, by its number.
    Element(u32),
}

/// The way to byte `at` of a text, from the message that it is in. Up to there the message is JSON.
pub(super) fn way_to(text: &[u8], message: &Range<usize>, at: usize) -> Vec<Step> {
    let mut way = Vec::new();
    // Whether the next string is a key: a value is not to be told, whatever comes behind it.
    let mut is_key = false;
    let mut cursor = Cursor::new(text, message.clone());
    while cursor.at < at {
        let byte = cursor.peek();
        cursor.at += 1;
        match byte {
            b'{' => {
                way.push(Step::Key(Vec::new()));
                is_key = true;
            }
            b'[' => way.push(Step::Element(0)),
            b'}' | b']' => drop(way.pop()),
            b',' => match way.last_mut() {
                Some(Step::Element(number)) => *number += 1,
                Some(Step::Key(key)) => {
                    key.clear();
                    is_key = true;
                }
                None => {}
            },
            b'"' => {
                let start = cursor.at;
                if cursor.string().is_none() {
                    break;
                }
                if std::mem::take(&mut is_key)
                    && let Some(Step::Key(key)) = way.last_mut()
                {
                    unescape(&text[start..cursor.at - 1], key);
                }
            }
            _ => {}
        }
    }
    // An object whose next key is yet to come.
    if matches!(way.last(), Some(Step::Key(key)) if key.is_empty()) {
        way.pop();
    }
    way
}

/// A way as people are told it: `events[0].items[3].price`.
pub(super) fn told(way: &[Step]) -> String {
    let mut told = String::new();
    for step in way.iter().take(STEPS) {
        match step {
            Step::Key(key) if told.is_empty() => told.push_str(&shown(key)),
            Step::Key(key) => {
                told.push('.');
                told.push_str(&shown(key));
            }
            Step::Element(number) => told.push_str(&format!("[{number}]")),
        }
    }
    if way.len() > STEPS {
        told.push('…');
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_leads_to_what_is_read() {
        let told_at = |text: &str, what: &str| {
            told(&way_to(text.as_bytes(), &(0..text.len()), text.find(what).unwrap()))
        };
        let text = r#" {"a": "]}{[,\"", "it\u0065ms" : [{"b": 1}, {"c": [[], [2, !]]}]}"#;
        assert_eq!(told_at(text, "!"), "items[1].c[1][1]");
        assert_eq!(told_at(text, "1}"), "items[0].b");
        assert_eq!(told_at(text, "\"]}"), "a");
        assert_eq!(told_at(r#"{"a":{"b":1,!"#, "!"), "a");
        assert_eq!(told_at(r#"{"a":{"b":1},"c":"x!"#, "!"), "c");
        assert_eq!(told_at("{} !", "!"), "");
        // What stands in the place of a key is none: it may be what a person has written.
        assert_eq!(told_at(r#"{"a":{"b":"ada" :1}}"#, ":1"), "a.b");
        assert_eq!(told_at(r#"{"a":[{},"ada":1]}"#, ":1"), "a[1]");
        assert_eq!(told_at(r#"{"a":{"":"ada":1}}"#, ":1"), "a");
        let deep = format!("{}!", r#"{"a":["#.repeat(50));
        assert_eq!(told_at(&deep, "!"), "a[0].a[0].a[0].a[0]…");
    }
}
