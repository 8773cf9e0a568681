//! Values of JSON by a path, as `JSON_VALUE` has them.

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt;

use serde::de::{
    Deserialize, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::cells::{Json, Text};
use super::kind::Kind;
use super::scalar::{Cell, Form, Named, Wrong, map1, map2};

/// All of them.
pub(super) static ALL: &[Named] = &[Named(
    "json_value",
    &[
        Form::new(&[Kind::Json, Kind::Text], Kind::Text, |a, safe| {
            let paths = Paths::default();
            map2::<Json, Text, String>(a, safe, |json, path| paths.scalar(json, path, stored))
        }),
        Form::new(&[Kind::Text, Kind::Text], Kind::Text, |a, safe| {
            let paths = Paths::default();
            map2::<Text, Text, String>(a, safe, |json, path| {
                paths.scalar(json.as_bytes(), path, written)
            })
        }),
        Form::new(&[Kind::Json], Kind::Text, |a, safe| {
            map1::<Json, String>(a, safe, |json| scalar(json, &[], stored))
        }),
        Form::new(&[Kind::Text], Kind::Text, |a, safe| {
            map1::<Text, String>(a, safe, |json| scalar(json.as_bytes(), &[], written))
        }),
    ],
)];

/// A step of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Key(String),
    Element(usize),
}

/// The last path: nearly always all rows have the same.
#[derive(Default)]
struct Paths(RefCell<Option<(String, Vec<Step>)>>);

impl Paths {
    fn scalar(&self, json: &[u8], path: &str, number: fn(&str) -> Cell<String>) -> Cell<String> {
        let mut last = self.0.borrow_mut();
        let steps = match &mut *last {
            Some((known, steps)) if known == path => steps,
            last => &mut last.insert((path.to_owned(), steps(path)?)).1,
        };
        scalar(json, steps, number)
    }
}

/// `$`, then any number of `.key`, `."key"` and `[element]`.
fn steps(path: &str) -> Result<Vec<Step>, Wrong> {
    let wrong = || {
        Wrong::Value(format!(
            "`{path}` is no path as `$.key[0].\"another key\"`, of letters, digits and `_` where it is not quoted"
        ))
    };
    let mut rest = path.strip_prefix('$').ok_or_else(wrong)?;
    let mut steps = Vec::new();
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(".\"") {
            let (key, behind) = behind.split_once('"').ok_or_else(wrong)?;
            if key.contains('\\') {
                return Err(wrong());
            }
            steps.push(Step::Key(key.to_owned()));
            rest = behind;
        } else if let Some(behind) = rest.strip_prefix('.') {
            let end = behind.find(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let (key, behind) = behind.split_at(end.unwrap_or(behind.len()));
            if key.is_empty() {
                return Err(wrong());
            }
            steps.push(Step::Key(key.to_owned()));
            rest = behind;
        } else {
            let (number, behind) =
                rest.strip_prefix('[').and_then(|rest| rest.split_once(']')).ok_or_else(wrong)?;
            let digits = number.bytes().all(|byte| byte.is_ascii_digit());
            let number = number.parse().ok().filter(|_| digits).ok_or_else(wrong)?;
            steps.push(Step::Element(number));
            rest = behind;
        }
    }
    Ok(steps)
}

/// The text, number or truth at a path; null where there is none, or something else.
fn scalar(json: &[u8], steps: &[Step], number: fn(&str) -> Cell<String>) -> Cell<String> {
    let no_json = |error: serde_json::Error| Wrong::Value(format!("the text is no JSON: {error}"));
    let mut reader = serde_json::Deserializer::from_slice(json);
    let found = Find(steps).deserialize(&mut reader).map_err(no_json)?;
    reader.end().map_err(no_json)?;
    let Some(raw) = found.map(RawValue::get) else { return Ok(None) };
    match raw.as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw).map(Some).map_err(no_json),
        Some(b't' | b'f') => Ok(Some(raw.to_owned())),
        Some(b'-' | b'0'..=b'9') => number(raw),
        _ => Ok(None),
    }
}

/// A number of a text, as it is written.
fn written(number: &str) -> Cell<String> {
    Ok(Some(number.to_owned()))
}

/// A number of a value of type JSON: it is an INT64, or else a FLOAT64, of which not all digits are documented.
fn stored(number: &str) -> Cell<String> {
    if let Ok(whole) = number.parse::<i64>()
        && whole.to_string() == number
    {
        return Ok(Some(number.to_owned()));
    }
    let float = number.parse::<f64>().ok();
    let plain = |float: &f64| float.fract() != 0.0 && (1e-4..1e15).contains(&float.abs());
    match float.filter(plain) {
        Some(float) => Ok(Some(float.to_string())),
        None => {
            Err(Wrong::Value(format!("which digits JSON_VALUE has of {number} is not documented")))
        }
    }
}

/// Finds what is at a path. Of several values of one key the first counts.
struct Find<'a>(&'a [Step]);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        if self.0.is_empty() {
            <&RawValue>::deserialize(reader).map(Some)
        } else {
            reader.deserialize_any(self)
        }
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match self.0.split_first() {
                Some((Step::Key(wanted), rest)) if found.is_none() && *wanted == key => {
                    found = Some(map.next_value_seed(Find(rest))?);
                }
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(found.flatten())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        for at in 0.. {
            match self.0.split_first() {
                Some((Step::Element(wanted), rest)) if *wanted == at => {
                    let Some(element) = list.next_element_seed(Find(rest))? else { break };
                    found = element;
                }
                _ if list.next_element::<IgnoredAny>()?.is_none() => break,
                _ => {}
            }
        }
        Ok(found)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_type_json_are_those_that_are_documented() {
        for (number, wanted) in [
            ("6", Some("6")),
            ("-9223372036854775808", Some("-9223372036854775808")),
            ("19.90", Some("19.9")),
            ("-0.5", Some("-0.5")),
            ("20.00", None),
            ("-0", None),
            ("1e3", None),
            ("9223372036854775808", None),
            ("1e-9", None),
        ] {
            assert_eq!(stored(number).ok().flatten().as_deref(), wanted, "{number}");
            assert_eq!(written(number).ok().flatten().as_deref(), Some(number));
        }
    }

    #[test]
    fn paths_are_read_whole_or_refused() {
        let key = |key: &str| Step::Key(key.to_owned());
        assert_eq!(steps("$").ok(), Some(vec![]));
        let wanted = vec![key("a"), Step::Element(0), Step::Element(12), key("b.c")];
        assert_eq!(steps("$.a[0][12].\"b.c\"").ok(), Some(wanted));
        for path in
            ["", "a", "$a", "$.", "$..a", "$.a-b", "$[a]", "$[+1]", "$[", "$[]", "$.\"a", "$['a']"]
        {
            assert!(steps(path).is_err(), "{path}");
        }
    }
}
