//! What is said of messages that cannot be read.

use std::ops::Range;

use super::cursor::Stop;
use super::paths::Paths;
use super::place::{self, Step, way_to};
use crate::rejection::{Code, shown};

/// A message that cannot be read.
pub(super) struct Unread<'a> {
    pub(super) paths: &'a Paths,
    pub(super) text: &'a [u8],
    pub(super) message: Range<usize>,
    pub(super) max_depth: u32,
    /// What it is called, for people.
    pub(super) name: &'a str,
}

/// What is told of it.
pub(super) struct Told {
    pub(super) code: Code,
    pub(super) message: String,
    /// Where in the message it was met.
    pub(super) way: Vec<Step>,
}

impl Told {
    /// Of the message as a whole.
    pub(super) fn of_all(code: Code, message: String) -> Self {
        Self { code, message, way: Vec::new() }
    }
}

impl Unread<'_> {
    /// What is told of it. `at` is where it was met.
    pub(super) fn told(&self, stop: &Stop, at: usize) -> Told {
        let way = match stop {
            Stop::Syntax(_) | Stop::TooDeep => way_to(self.text, &self.message, at),
            // Beyond the key's closing quote.
            Stop::Duplicate(_, key) | Stop::Unknown(_, key) => {
                way_to(self.text, &self.message, key.end + 1)
            }
            Stop::Null | Stop::NotAnObject => Vec::new(),
        };
        let (code, mut message) = self.code(stop, at);
        if matches!(stop, Stop::Syntax(_) | Stop::TooDeep) && way.len() > 1 {
            message.push_str(&format!(", in `{}`", place::told(&way)));
        }
        Told { code, message, way }
    }

    fn code(&self, stop: &Stop, at: usize) -> (Code, String) {
        let text = &self.text[..self.message.end];
        let offset = at - self.message.start;
        let name = self.name;
        match stop {
            Stop::Syntax(wanted) => {
                let got = match text.get(at..).unwrap_or_default().utf8_chunks().next() {
                    None => "the end".to_owned(),
                    Some(chunk) => {
                        let length = chunk.valid().chars().next().map_or(1, char::len_utf8);
                        format!("`{}`", shown(&text[at..at + length]))
                    }
                };
                (Code::NotJson, format!("not JSON: byte {offset} is {got}, wanted {wanted}"))
            }
            Stop::Null => (Code::NotJson, format!("{name} is null, wanted a JSON object")),
            Stop::NotAnObject => {
                let got = text[self.message.start..].trim_ascii_start();
                let told = match got.first() {
                    Some(b'[') => format!(
                        "{name} is an array, wanted a JSON object: `explode = \".\"` makes a row of each element"
                    ),
                    _ => format!("{name} is `{}`, wanted a JSON object", shown(got)),
                };
                (Code::NotAnObject, told)
            }
            Stop::TooDeep => {
                let limit = self.max_depth;
                (Code::TooDeep, format!("nested too deep at byte {offset}: limit {limit}"))
            }
            Stop::Duplicate(parent, key) => {
                let path = self.path(*parent, &text[key.clone()]);
                (Code::DuplicateField, format!("key `{path}` is there twice"))
            }
            Stop::Unknown(parent, key) => {
                let path = self.path(*parent, &text[key.clone()]);
                (Code::UnknownField, format!("key `{path}` is unknown"))
            }
        }
    }

    fn path(&self, parent: u16, key: &[u8]) -> String {
        let way = self.paths.way_to(parent);
        let keys = way.iter().map(|node| &*self.paths.nodes[usize::from(*node)].key);
        keys.chain([key]).map(shown).collect::<Vec<_>>().join(".")
    }
}
