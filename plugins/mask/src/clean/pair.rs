//! Names and values that are written apart: `{"name": "password", "value": "secret"}`, in either order, and
//! `<input name="password" value="secret">`.
//!
//! In JSON they are of the same object. In a text they lie near each other, with no bracket between them.

use std::ops::Range;

use super::assigned;
use super::names::{self, Holds, MAX_NAME};
use super::view::View;

/// How far from the sign of a value its name is looked for, and behind it. It bounds the time.
const NEAR: usize = 128;

/// The keys of names. By the second half, what checks the fields of a form tells which one is bad: express-validator
/// and class-validator, pydantic, FluentValidation and Symfony.
const NAMES: &[&[u8]] = &[
    b"name",
    b"key",
    b"field",
    b"id",
    b"path",
    b"param",
    b"property",
    b"loc",
    b"propertyName",
    b"propertyPath",
];

/// The keys of values. By the second half, the same tell what was bad: pydantic, Spring, Hibernate and FluentValidation.
const VALUES: &[&[u8]] =
    &[b"value", b"val", b"input", b"rejectedValue", b"invalidValue", b"attemptedValue"];

/// The key of types. A field's may be `password`; others are of devices, say: `{"type":"mobile","value":48213}`.
const TYPE: &[u8] = b"type";

/// What a key says of its value: that it is a name, that it is a type, or that it has one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Part {
    Name,
    Type,
    Value,
}

impl Part {
    pub(super) fn of(key: &[u8]) -> Option<Self> {
        // Most keys are another's.
        if !matches!(key.last()? | 0x20, b'c' | b'd' | b'e' | b'h' | b'l' | b'm' | b't' | b'y') {
            return None;
        }
        let key = key.trim_ascii_start();
        // The first key of an element of a list, as YAML writes it.
        let key = key.strip_prefix(b"- ").unwrap_or(key);
        let is_one_of = |names: &[&[u8]]| names.iter().any(|name| key.eq_ignore_ascii_case(name));
        if is_one_of(NAMES) {
            Some(Self::Name)
        } else if is_one_of(&[TYPE]) {
            Some(Self::Type)
        } else {
            is_one_of(VALUES).then_some(Self::Value)
        }
    }
}

/// What a value has that goes by this name, or is of this type. One of several words is a title: `Ski pass`,
/// `Forgot password`.
pub(super) fn holds(name: &[u8], part: Part) -> Option<Holds> {
    let is_word = !name.iter().any(u8::is_ascii_whitespace) && names::may_tell(name);
    let holds = if is_word { names::holds(name) } else { None };
    holds.filter(|holds| match part {
        Part::Type => *holds == Holds::Secret,
        Part::Name | Part::Value => holds.tells_of_another(),
    })
}

/// What the names in a text say, by the signs before them, as far as they were looked for. Each sign is looked at
/// once, however many values are near.
#[derive(Default)]
pub(super) struct Names {
    given: Vec<(usize, Holds)>,
    looked_to: usize,
}

impl Names {
    fn look(&mut self, text: View<'_>, end: usize) {
        let start = self.looked_to;
        if start < end {
            let signs = memchr::memchr2_iter(b'=', b':', &text.bytes()[start..end]);
            let given = signs.filter_map(|at| Some((start + at, named(text, start + at)?)));
            self.given.extend(given);
            self.looked_to = end;
        }
    }

    fn within(&self, part: Range<usize>) -> &[(usize, Holds)] {
        let [start, end] = [part.start, part.end]
            .map(|place| self.given.partition_point(|(sign, _)| *sign < place));
        &self.given[start..end]
    }
}

/// What the value has behind the sign at this place, if its key, `key`, leaves that to another. The names are of
/// this text.
pub(super) fn find(text: View<'_>, key: &[u8], sign: usize, names: &mut Names) -> Option<Holds> {
    if Part::of(key) != Some(Part::Value) {
        return None;
    }
    let bytes = text.bytes();
    let value_end = assigned::value_end(text, sign);
    let end = bytes.len().min(value_end + NEAR);
    names.look(text, end);
    let before = names.within(sign.saturating_sub(NEAR)..sign).iter();
    let before = before.filter(|(at, _)| !has_bracket(&bytes[*at..sign]));
    let after = names.within(value_end..end).iter();
    let after = after.filter(|(at, _)| !has_bracket(&bytes[value_end..*at]));
    // Of several names that of a password counts.
    let all = before.chain(after).map(|(_, holds)| *holds);
    all.reduce(|one, other| if one.is_password() { one } else { other })
}

fn has_bracket(text: &[u8]) -> bool {
    memchr::memchr3(b'{', b'}', b'<', text).is_some() || memchr::memchr(b'>', text).is_some()
}

/// What the name says that is given behind this sign, if one is.
fn named(text: View<'_>, sign: usize) -> Option<Holds> {
    let part = name_before(&text.bytes()[..assigned::without_spaces(text, sign)])?;
    let (quote, rest) = match &text.bytes()[assigned::value_start_of(text, sign)..] {
        [quote @ (b'"' | b'\''), rest @ ..] => (Some(*quote), rest),
        rest => (None, rest),
    };
    let is_of_it = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']')
            || !byte.is_ascii()
    };
    let length = rest.iter().take(2 * MAX_NAME).take_while(|byte| is_of_it(byte)).count();
    let next = rest.get(length).copied();
    let is_whole = match quote {
        Some(_) => next == quote,
        // `name: secret garden`
        None => text.bytes()[sign] == b'=' || !matches!(next, Some(b' ' | b'\t')),
    };
    if is_whole { holds(&rest[..length], part) } else { None }
}

/// What the key is, in quotes or not, that a text ends with: one of names or of types.
fn name_before(text: &[u8]) -> Option<Part> {
    let text = text.strip_suffix(b"\"").or_else(|| text.strip_suffix(b"'")).unwrap_or(text);
    let is_of_key = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let ends_with = |name: &&[u8]| {
        let key = text.split_at_checked(text.len().wrapping_sub(name.len()));
        key.is_some_and(|(before, key)| {
            key.eq_ignore_ascii_case(name) && !before.last().is_some_and(is_of_key)
        })
    };
    if NAMES.iter().any(ends_with) {
        Some(Part::Name)
    } else {
        ends_with(&TYPE).then_some(Part::Type)
    }
}

#[cfg(test)]
mod tests {
    use crate::tests::check_clean;

    #[test]
    fn values_that_are_named_apart_become_a_mark() {
        check_clean(&[
            (
                r#"{"name":"password","value":"hunter2"}"#,
                r#"{"name":"password","value":"[token]"}"#,
            ),
            (
                r#"[{"value": "a \" b", "Key": "user_password"}, {"value": "x", "key": "n"}]"#,
                r#"[{"value": "[token]", "Key": "user_password"}, {"value": "x", "key": "n"}]"#,
            ),
            (
                r#"{"field":"passwd","a":{"value":"x"},"b":["y"],"val":["a",7]}"#,
                r#"{"field":"passwd","a":{"value":"x"},"b":["y"],"val":["[token]",null]}"#,
            ),
            (r#"{"value":12345678,"id":"password"}"#, r#"{"value":null,"id":"password"}"#),
            (
                r#"{"a":"{\"name\":\"password\",\"value\":\"a b\"}"}"#,
                r#"{"a":"{\"name\":\"password\",\"value\":\"[token]\"}"}"#,
            ),
            (
                r#"failed: {\"value\" : \"a}b\", \"name\" : \"password\"}, {\"value\":\"x\"}"#,
                r#"failed: {\"value\" : \"[token]\", \"name\" : \"password\"}, {\"value\":\"x\"}"#,
            ),
            (
                r#"[{"name":"n","value":"x"},{"name":"pw","type":"text","value":"a b"},{"n"#,
                r#"[{"name":"n","value":"x"},{"name":"pw","type":"text","value":"[token]"},{"n"#,
            ),
            (
                r#"<input name="password" class="a b" value="a>b"><input name="n" value="x">"#,
                r#"<input name="password" class="a b" value="[token]"><input name="n" value="x">"#,
            ),
            (
                "<input type=password value='hunter2' id='user[password]'/>",
                "<input type=password value='[token]' id='user[password]'/>",
            ),
            (
                "<add key=\"apiKey\" value=\"0123456789abcdef\"/>",
                "<add key=\"apiKey\" value=\"[token]\"/>",
            ),
            (
                r#"{"value":"x","id":"session","name":"password","key":"n"}"#,
                r#"{"value":"[token]","id":"session","name":"password","key":"n"}"#,
            ),
            (
                r#"{"name":"password","id":"n","value":{"a":"x","b":true}}"#,
                r#"{"name":"password","id":"n","value":{"a":"[token]","b":true}}"#,
            ),
            (
                r#"<input id="session" value="x" name="password" key="n">"#,
                r#"<input id="session" value="[token]" name="password" key="n">"#,
            ),
            ("?name=password&value=hunter2&a=1", "?name=password&value=[token]&a=1"),
            (
                r#"<input value="hunter2" class="a" type="password">"#,
                r#"<input value="[token]" class="a" type="password">"#,
            ),
            (
                r#"{"type":"password","value":"a b","temporary":false}"#,
                r#"{"type":"password","value":"[token]","temporary":false}"#,
            ),
            (
                r#"{"type":"field","value":"hunter2","msg":"too short","path":"user.password"}"#,
                r#"{"type":"field","value":"[token]","msg":"too short","path":"user.password"}"#,
            ),
            (
                r#"422: [{"value":"x","msg":"bad","param":"password","location":"body"}"#,
                r#"422: [{"value":"[token]","msg":"bad","param":"password","location":"body"}"#,
            ),
            (
                r#"{"detail":[{"loc":["body",0,"password"],"msg":"too short","input":"hunter2"}]}"#,
                r#"{"detail":[{"loc":["body",0,"password"],"msg":"too short","input":"[token]"}]}"#,
            ),
            (
                r#"{"input":"hunter2","loc":["body","password"],"ctx":{"input":"x"}}"#,
                r#"{"input":"[token]","loc":["body","password"],"ctx":{"input":"x"}}"#,
            ),
            (
                r#"{"field":"password","rejectedValue":"hunter2"}"#,
                r#"{"field":"password","rejectedValue":"[token]"}"#,
            ),
            (
                r#"{"PropertyName":"Password","AttemptedValue":"a b"}"#,
                r#"{"PropertyName":"Password","AttemptedValue":"[token]"}"#,
            ),
            (
                r#"400 {"propertyPath":"user.password","invalidValue":"a b"},"#,
                r#"400 {"propertyPath":"user.password","invalidValue":"[token]"},"#,
            ),
            ("- name: DB_PASSWORD\n  value: hunter2\n", "- name: DB_PASSWORD\n  value: [token]\n"),
            (
                "/a?d=%7B%22name%22%3A%22password%22%2C%22value%22%3A%22a%20b%22%7D&n=1",
                "/a?d=%7B%22name%22%3A%22password%22%2C%22value%22%3A%22[token]%22%7D&n=1",
            ),
        ]);
    }

    #[test]
    fn values_of_others_stay() {
        for text in [
            r#"{"name":"user","value":"ada"}"#,
            r#"{"name":"password","value":true,"label":"x"}"#,
            r#"{"name":"Ski pass","value":"120.00"}, {"name":"code","value":"482913"}"#,
            r#"{"name":"Ski pass","value":"120.00"}"#,
            r#"{"name":"code","value":"482913"}"#,
            r#"{"name":"pass","value":3}"#,
            r#"{"a":{"name":"password"},"value":"x"}"#,
            r#"x {"a":{"name":"password"},"value":"x"}"#,
            r#"[{"name":"password"},{"value":"x"},"y"]"#,
            r#"{"name":"password","label":"Password"}"#,
            r#"<input name="type" value="password"><input value="x">"#,
            r#"<input name="password"><input value="x">"#,
            "name: secret garden, value: 12",
            "?key=price&value=12.50&id=4711",
            r#"{"name":"password","default_value":"x"}"#,
            r#"{"type":"mobile","value":48213}"#,
            r#"{"type":"pass","value":"12.50"}"#,
            r#"<input type="text" value="password">"#,
            r#"{"path":"/reset","value":"x"}"#,
            r#"{"loc":["body","email"],"input":"x"}"#,
            r#"{"loc":[["password"]],"input":"x"}"#,
            r#"{"a":["password"],"input":"x"}"#,
            r#"{"loc":[{"name":"password"}],"input":"x"}"#,
        ] {
            check_clean(&[(text, text)]);
        }
    }
}
