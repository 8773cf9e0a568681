//! Records as trees of values, whose numbers keep their spelling.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How deep JSON is looked into, which is how deep `parse` reads it. What is deeper stays text.
pub(crate) const MAX_DEPTH: usize = 64;

/// A value of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing, or an empty text.
    Null,
    /// `true` or `false` of JSON.
    Boolean,
    /// A number of JSON, as it is spelled.
    Number(String),
    /// A text of JSON.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object, its keys in their order; one that is there twice is so here.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// A JSON text as a value; `None` where it is none.
    pub fn parse(text: &str) -> Option<Self> {
        Self::within(text, MAX_DEPTH)
    }

    fn within(text: &str, depth: usize) -> Option<Self> {
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        Some(match text.as_bytes().first()? {
            b'{' | b'[' if depth == 0 => Self::Text(text.to_owned()),
            b'{' => {
                let Members(members) = serde_json::from_str(text).ok()?;
                let member = |(key, raw): (String, &RawValue)| {
                    Some((key, Self::within(raw.get(), depth - 1)?))
                };
                Self::Object(members.into_iter().map(member).collect::<Option<_>>()?)
            }
            b'[' => {
                let elements: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                let each = |raw: &&RawValue| Self::within(raw.get(), depth - 1);
                Self::List(elements.iter().map(each).collect::<Option<_>>()?)
            }
            b'"' => match serde_json::from_str::<String>(text).ok()? {
                text if text.is_empty() => Self::Null,
                text => Self::Text(text),
            },
            b'n' => serde_json::from_str::<()>(text).ok().map(|()| Self::Null)?,
            b't' | b'f' => serde_json::from_str::<bool>(text).ok().map(|_| Self::Boolean)?,
            _ => {
                let raw: &RawValue = serde_json::from_str(text).ok()?;
                Self::Number(raw.get().to_owned())
            }
        })
    }

    /// The member of an object by its key; of several, the last.
    pub(crate) fn member(&self, key: &str) -> Option<&Value> {
        let Self::Object(members) = self else { return None };
        members.iter().rev().find(|(own, _)| own == key).map(|(_, value)| value)
    }

    /// Whether an object in it has a key twice.
    pub(crate) fn repeats_a_key(&self) -> bool {
        match self {
            Self::Object(members) => {
                let mut keys = HashSet::new();
                members.iter().any(|(key, value)| value.repeats_a_key() || !keys.insert(key))
            }
            Self::List(elements) => elements.iter().any(Self::repeats_a_key),
            _ => false,
        }
    }

    /// Its own text, where it has one.
    pub(crate) fn text(&self) -> Option<&str> {
        match self {
            Self::Number(text) | Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// All texts in it, keys aside.
    pub(crate) fn texts<'a>(&'a self, to: &mut Vec<&'a str>) {
        match self {
            Self::List(elements) => elements.iter().for_each(|value| value.texts(to)),
            Self::Object(members) => members.iter().for_each(|(_, value)| value.texts(to)),
            other => to.extend(other.text()),
        }
    }
}

/// Whether a JSON text is nested deeper than `parse` reads it.
pub(crate) fn is_too_deep(text: &str) -> bool {
    let (mut depth, mut is_text, mut is_escaped) = (0_usize, false, false);
    text.bytes().any(|byte| {
        match byte {
            b'{' | b'[' if !is_text => depth += 1,
            b'}' | b']' if !is_text => depth = depth.saturating_sub(1),
            _ => {}
        }
        is_text ^= byte == b'"' && !is_escaped;
        is_escaped = is_text && byte == b'\\' && !is_escaped;
        depth > MAX_DEPTH
    })
}

/// The members of an object, in their order.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}
