//! The keys of a message that nobody takes, where they are kept.

use std::ops::Range;

use clickmill_plugin::{Column, Texts};

use super::paths::Paths;
use super::value::{Kind, Span, unescape};
use crate::config::Duplicates;

/// The keys of one message that nobody takes, in the order of the message.
#[derive(Default)]
pub(super) struct Extras {
    extras: Vec<Extra>,
    /// The keys unescaped, end to end.
    keys: Vec<u8>,
}

struct Extra {
    /// The object's node, and where that object starts: a later duplicate of it may have come.
    parent: u16,
    parent_start: u32,
    /// Where the key stands in the text, and unescaped in `keys`.
    spelled: Range<usize>,
    key: Range<usize>,
    value: Span,
}

impl Extras {
    pub(super) fn clear(&mut self) {
        self.extras.clear();
        self.keys.clear();
    }

    /// Adds a key that stands at `spelled`, and its value.
    pub(super) fn push(
        &mut self,
        text: &[u8],
        parent: u16,
        parent_start: u32,
        spelled: Range<usize>,
        value: Span,
    ) {
        let key = self.keys.len();
        unescape(&text[spelled.clone()], &mut self.keys);
        let key = key..self.keys.len();
        self.extras.push(Extra { parent, parent_start, spelled, key, value });
    }

    /// Leaves one of each key, or, where duplicates are refused, answers the object and key of the first.
    /// Sorts, so that a message of nothing but such keys costs little more than its length.
    pub(super) fn settle(
        &mut self,
        duplicates: Duplicates,
        value: impl Fn(u16) -> Span,
    ) -> Option<(u16, Range<usize>)> {
        // Those of an object that came again are gone with it.
        self.extras.retain(|extra| {
            let parent = value(extra.parent);
            parent.kind == Kind::Object && parent.start == extra.parent_start
        });
        if self.extras.len() < 2 {
            return None;
        }
        let (extras, keys) = (&self.extras, &self.keys);
        let of = |at: usize| (extras[at].parent, &keys[extras[at].key.clone()]);
        let mut order: Vec<usize> = (0..extras.len()).collect();
        order.sort_by(|a, b| of(*a).cmp(&of(*b)));
        let twice = order.windows(2).filter(|pair| of(pair[0]) == of(pair[1]));
        match duplicates {
            Duplicates::Refuse => {
                let second = twice.map(|pair| pair[1]).min()?;
                return Some((extras[second].parent, extras[second].spelled.clone()));
            }
            Duplicates::Last | Duplicates::First => {
                let gone = usize::from(duplicates == Duplicates::First);
                let gone: Vec<usize> = twice.map(|pair| pair[gone]).collect();
                for at in gone {
                    self.extras[at].value.kind = Kind::Absent;
                }
                self.extras.retain(|extra| extra.value.kind != Kind::Absent);
            }
        }
        None
    }

    /// Writes them as a JSON object, nested as in the message. Whether there are any.
    pub(super) fn write(&self, paths: &Paths, text: &[u8], out: &mut Vec<u8>) -> bool {
        if self.extras.is_empty() {
            return false;
        }
        let mut open: Vec<u16> = Vec::new();
        let mut separator: &[u8] = b"{";
        for extra in &self.extras {
            let way = paths.way_to(extra.parent);
            let shared = open.iter().zip(&way).take_while(|(a, b)| a == b).count();
            for _ in open.drain(shared..) {
                out.push(b'}');
                separator = b",";
            }
            for node in &way[shared..] {
                out.extend_from_slice(separator);
                out.extend_from_slice(paths.nodes[usize::from(*node)].quoted().as_bytes());
                separator = b":{";
                open.push(*node);
            }
            out.extend_from_slice(separator);
            separator = b",";
            out.extend_from_slice(&text[extra.spelled.start - 1..=extra.spelled.end]);
            out.push(b':');
            out.extend_from_slice(extra.value.spelled(text));
        }
        out.extend(std::iter::repeat_n(b'}', open.len() + 1));
        true
    }
}

/// A key that nobody takes, from within a list or record, or from around the message.
#[derive(Clone)]
pub(super) struct Kept {
    row: usize,
    key: String,
    /// Its value, as it is spelled.
    value: Vec<u8>,
}

impl Kept {
    pub(super) fn new(row: usize, key: &str, value: Vec<u8>) -> Self {
        Self { row, key: key.to_owned(), value }
    }
}

/// The column of JSON objects with these keys added to them.
pub(super) fn merge(column: Column, mut kept: Vec<Kept>) -> Column {
    if kept.is_empty() {
        return column;
    }
    kept.sort_by_key(|kept| kept.row);
    let mut texts = Texts::with_capacity(column.len(), 0);
    let mut kept = kept.iter().peekable();
    for row in 0..column.len() {
        let object = column.bytes(row);
        if object.is_none() && kept.peek().is_none_or(|kept| kept.row != row) {
            texts.push_null();
            continue;
        }
        let out = texts.buffer();
        let mut separator = b'{';
        if let Some((_, members)) = object.and_then(<[u8]>::split_last) {
            out.extend_from_slice(members);
            separator = b',';
        }
        while let Some(one) = kept.next_if(|kept| kept.row == row) {
            out.push(separator);
            out.extend_from_slice(serde_json::Value::from(one.key.as_str()).to_string().as_bytes());
            out.push(b':');
            out.extend_from_slice(&one.value);
            separator = b',';
        }
        out.push(b'}');
        texts.end_row();
    }
    texts.finish(&column.name)
}
