//! One message, many rows: the elements of an array in it, with what is around the array.

use std::ops::Range;

use clickmill_plugin::{Column, Problems, Text};

use super::containers::Containers;
use super::cursor::{Cursor, Stop};
use super::extras::Kept;
use super::paths::Paths;
use super::place::Step;
use super::scan::{Options, Scanner};
use super::told::{Told, Unread};
use super::value::{Kind, Span};
use super::walk::Walk;
use crate::rejection::{Code, shown};

/// How messages are taken apart, configured.
pub(super) struct Explode {
    /// Keys of the message: those of the array, and of what is taken from around it.
    paths: Paths,
    /// The array. None: it is the message itself.
    array: Option<u16>,
    /// The array as the configuration names it.
    name: String,
    /// For each column that is taken from around the array: its node among those of the elements, and here.
    envelope: Vec<(u16, u16)>,
    options: Options,
}

/// A column that is taken from around the array.
pub(super) struct Around {
    /// The column's node among those of the elements.
    pub(super) node: u16,
    pub(super) column: String,
    /// Its key in the message.
    pub(super) key: String,
}

/// What rows are made of, a message each.
#[derive(Default)]
pub(super) struct Elements {
    pub(super) rows: Vec<Element>,
    /// What is around the arrays: as many spans per message as columns are taken from there.
    spans: Vec<Span>,
    /// Rows of which no element is there, and why.
    pub(super) refused: Vec<(usize, Told)>,
    /// Rows of messages that have no element.
    pub(super) dropped: Vec<u32>,
    /// Keys around the arrays that nobody takes.
    pub(super) kept: Vec<Kept>,
    /// Where arrays and objects of the messages end.
    pub(super) containers: Containers,
}

/// An element of an array.
pub(super) struct Element {
    /// The row of the batch that it is of.
    pub(super) from: u32,
    /// Where it stands in the text. None: there is none, and what becomes of the row is settled.
    pub(super) range: Option<Range<usize>>,
    /// Its number in the array.
    pub(super) number: u32,
    /// Where what is around it is among `spans`.
    around: usize,
}

impl Explode {
    pub(super) fn new(
        name: String,
        around: Vec<Around>,
        options: Options,
        problems: &mut Problems,
    ) -> Self {
        let mut paths = Paths::new();
        let array = (name != ".").then(|| paths.add(&name, "explode", problems));
        if array.is_none() && !around.is_empty() {
            problems.push("`envelope` is for an array in a message, `explode` is `.`".to_owned());
        }
        let envelope = around
            .into_iter()
            .map(|Around { node, column, key }| {
                (node, paths.add(&key, format_args!("envelope.{column}"), problems))
            })
            .collect();
        Self { paths, array, name, envelope, options }
    }

    /// What an element is called, for people.
    pub(super) fn shown(&self, number: u32) -> String {
        match self.array {
            Some(_) => format!("`{}[{number}]`", self.name),
            None => format!("`[{number}]`"),
        }
    }

    /// The elements of all messages. `nested`: they have lists or records, so it pays to know where these end.
    pub(super) fn elements(&self, payload: &Column, text: &Text, nested: bool) -> Elements {
        let mut all = Elements::default();
        let mut scanner = Scanner::new(&self.paths, self.options);
        scanner.containers.record(text.bytes.len());
        for row in 0..text.offsets.len() - 1 {
            let message = text.offsets[row] as usize..text.offsets[row + 1] as usize;
            let (first, around) = (all.rows.len(), all.spans.len());
            let mut add = |range: Option<Range<usize>>, number: u32| {
                all.rows.push(Element { from: row as u32, range, number, around });
            };
            let found = match self.array {
                _ if !payload.is_valid(row) => {
                    Err(self.unread(&text.bytes, &message).told(&Stop::Null, message.start))
                }
                Some(array) => self.array(array, &mut scanner, &text.bytes, &message),
                None => self.whole(&text.bytes, &message, nested, &mut scanner.containers),
            };
            match found {
                Ok(array) if array.kind == Kind::Array => {
                    let mut walk = Walk::into(&text.bytes, array, &mut scanner.containers);
                    let mut number = 0;
                    while let Some(element) = walk.element(&mut scanner.containers) {
                        add(Some(element.start as usize..element.end as usize), number);
                        number += 1;
                    }
                    if number == 0 {
                        add(None, 0);
                        all.dropped.push(first as u32);
                    }
                }
                Ok(_) => add(Some(message.clone()), 0),
                Err(told) => {
                    add(None, 0);
                    all.refused.push((first, told));
                }
            }
            if self.array.is_some() {
                all.spans.extend(self.envelope.iter().map(|(_, node)| scanner.value_of(*node, 0)));
                let mut kept = Vec::new();
                if scanner.write_extras(&text.bytes[..message.end], &mut kept) {
                    let rows = first..all.rows.len();
                    all.kept.extend(rows.map(|row| Kept::new(row, "envelope", kept.clone())));
                }
                scanner.forget(0);
            }
        }
        scanner.containers.stop();
        all.containers = scanner.containers;
        all
    }

    /// Gives an element what it does not have, or has as null or as an empty text that is null, and is around it.
    #[inline]
    pub(super) fn fill(
        &self,
        scanner: &mut Scanner<'_>,
        slot: usize,
        all: &Elements,
        row: usize,
        is_empty: impl Fn(Span) -> bool,
    ) {
        let around = &all.spans[all.rows[row].around.min(all.spans.len())..];
        for ((node, _), span) in self.envelope.iter().zip(around) {
            scanner.fill(*node, slot, *span, |own| own.kind == Kind::Null || is_empty(own));
        }
    }

    /// What is left of a way into a message once it has led to an element. None: it leads elsewhere.
    pub(super) fn within_element<'w>(&self, mut way: &'w [Step]) -> Option<&'w [Step]> {
        let Some(array) = self.array else {
            return Some(match way {
                [Step::Element(_), rest @ ..] => rest,
                _ => way,
            });
        };
        for node in self.paths.way_to(array) {
            match way {
                [Step::Key(key), rest @ ..]
                    if **key == *self.paths.nodes[usize::from(node)].key =>
                {
                    way = rest;
                }
                _ => return None,
            }
        }
        way.split_first().map(|(_, rest)| rest)
    }

    /// The node of the column that is taken from around the array where a way leads, and what is left of it.
    pub(super) fn taken_around<'w>(&self, way: &'w [Step]) -> Option<(u16, &'w [Step])> {
        let mut here = 0;
        for (at, step) in way.iter().enumerate() {
            let Step::Key(key) = step else { return None };
            here = self.paths.find(here, key);
            if here == 0 {
                return None;
            }
            if let Some((node, _)) = self.envelope.iter().find(|(_, around)| *around == here) {
                return Some((*node, &way[at + 1..]));
            }
        }
        None
    }

    /// The array of a message.
    fn array(
        &self,
        array: u16,
        scanner: &mut Scanner<'_>,
        text: &[u8],
        message: &Range<usize>,
    ) -> Result<Span, Told> {
        if let Err((stop, at)) = scanner.scan(0, text, message.clone()) {
            scanner.forget(0);
            return Err(self.unread(text, message).told(&stop, at));
        }
        let span = scanner.values(array)[0];
        let name = &self.name;
        match span.kind {
            Kind::Array => Ok(span),
            Kind::Absent | Kind::Null => {
                let told = format!("`{name}` is missing, wanted a JSON array");
                Err(Told::of_all(Code::Required, told))
            }
            _ => {
                let got = shown(span.spelled(text));
                let told = format!("`{name}` is `{got}`, wanted a JSON array");
                Err(Told::of_all(Code::WrongType, told))
            }
        }
    }

    /// A message that is an array itself; or another, which is for whoever reads elements to judge.
    fn whole(
        &self,
        text: &[u8],
        message: &Range<usize>,
        nested: bool,
        containers: &mut Containers,
    ) -> Result<Span, Told> {
        let mark = if text[message.clone()].starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut cursor = Cursor::new(text, message.start + mark..message.end);
        cursor.white_space();
        let start = cursor.at as u32;
        let (is_array, before) = (cursor.peek() == b'[', containers.len());
        let read = (is_array || nested)
            .then(|| cursor.value(0, self.options.max_depth, containers))
            .flatten();
        if read.is_none() {
            containers.truncate(before);
        }
        if !is_array {
            return Ok(Span { start, end: message.end as u32, kind: Kind::Object });
        }
        let end = cursor.at as u32;
        let read = read.and_then(|kind| {
            cursor.white_space();
            if cursor.at == message.end { Some(kind) } else { cursor.want("the end") }
        });
        match read {
            Some(kind) => Ok(Span { start, end, kind }),
            None => Err(self.unread(text, message).told(&cursor.stop, cursor.at)),
        }
    }

    fn unread<'a>(&'a self, text: &'a [u8], message: &Range<usize>) -> Unread<'a> {
        Unread {
            paths: &self.paths,
            text,
            message: message.clone(),
            max_depth: self.options.max_depth,
            name: "the message",
        }
    }
}
