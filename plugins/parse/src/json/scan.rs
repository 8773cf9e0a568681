//! One pass over a message: where the value of every wanted key stands, and which other keys there are.
//!
//! Out comes a span per node of [`Paths`]; converting them is not done here. The order in which keys
//! come is remembered from message to message, so that a key is mostly found by one comparison.

use std::ops::Range;

use super::cursor::{Cursor, Stop};
use super::paths::Paths;
use super::value::{Kind, Span, unescape};
use crate::config::{Duplicates, Unknown};

/// How many messages are scanned before their values are converted: enough to run a column's loop for
/// a while, and few enough to stay in the nearest cache.
pub(super) const BLOCK: usize = 64;

/// How to read messages.
#[derive(Clone, Copy)]
pub(super) struct Options {
    pub(super) max_depth: u32,
    pub(super) duplicates: Duplicates,
    pub(super) unknown: Unknown,
}

/// What is found in a block of messages, and room to look for it.
pub(super) struct Scanner<'p> {
    paths: &'p Paths,
    options: Options,
    /// The values of each node: `BLOCK` of them, one per message.
    spans: Vec<[Span; BLOCK]>,
    /// Which message of the block is scanned.
    slot: usize,
    /// Keys of it that nobody takes, where they are kept.
    extras: Vec<Extra>,
    /// The node that came first in an object last time, by the object's node.
    first: Vec<u16>,
    /// The node that came next last time, by node.
    next: Vec<u16>,
    /// Unescaped keys of `extras`.
    keys: Vec<u8>,
    open: Vec<bool>,
}

/// A key that nobody takes.
struct Extra {
    /// The object's node, and where that object starts: a later duplicate of it may have come.
    parent: u16,
    parent_start: u32,
    /// Where the key stands in the text, and unescaped in `keys`.
    spelled: Range<usize>,
    key: Range<usize>,
    value: Span,
}

impl<'p> Scanner<'p> {
    pub(super) fn new(paths: &'p Paths, options: Options) -> Self {
        Self {
            paths,
            options,
            spans: vec![[Span::ABSENT; BLOCK]; paths.nodes.len()],
            slot: 0,
            extras: Vec::new(),
            first: paths.nodes.iter().map(|node| node.first_child).collect(),
            next: paths.nodes.iter().map(|node| node.next).collect(),
            keys: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Forgets the block before.
    pub(super) fn clear(&mut self) {
        self.spans.fill([Span::ABSENT; BLOCK]);
    }

    /// Forgets what was found in a message of the block.
    #[cold]
    pub(super) fn forget(&mut self, slot: usize) {
        for spans in &mut self.spans {
            spans[slot] = Span::ABSENT;
        }
    }

    /// The values of a node in the messages of the block.
    #[inline]
    pub(super) fn values(&self, node: u16) -> &[Span; BLOCK] {
        &self.spans[usize::from(node)]
    }

    /// Reads the message that starts at `start` and ends where the text does, as number `slot` of the
    /// block. The error comes with the byte where it was met.
    pub(super) fn scan(
        &mut self,
        slot: usize,
        text: &[u8],
        start: usize,
    ) -> Result<(), (Stop, usize)> {
        self.slot = slot % BLOCK;
        self.extras.clear();
        self.keys.clear();
        let mut cursor = Cursor::new(text, start);
        match self.message(&mut cursor) {
            Some(()) => Ok(()),
            None => Err((cursor.stop, cursor.at)),
        }
    }

    fn message(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        cursor.white_space();
        let is_object = cursor.peek() == b'{';
        if is_object {
            self.object(cursor, 0, 1)?;
        } else {
            cursor.value(0, self.options.max_depth, &mut self.open)?;
        }
        cursor.white_space();
        if cursor.at != cursor.text.len() {
            return cursor.want("the end");
        }
        if !is_object {
            return cursor.fail(Stop::NotAnObject);
        }
        if self.extras.len() > 1 {
            self.settle_extras(cursor)?;
        }
        Some(())
    }

    #[inline]
    fn span(&mut self, node: u16) -> &mut Span {
        &mut self.spans[usize::from(node)][self.slot]
    }

    /// Reads an object that a node stands for. Recurses no deeper than the configured paths.
    fn object(&mut self, cursor: &mut Cursor<'_>, node: u16, depth: u32) -> Option<()> {
        if depth > self.options.max_depth {
            return cursor.fail(Stop::TooDeep);
        }
        let start = cursor.at as u32;
        *self.span(node) = Span { start, end: start, kind: Kind::Object };
        cursor.at += 1;
        cursor.white_space();
        if cursor.peek() == b'}' {
            cursor.at += 1;
            self.span(node).end = cursor.at as u32;
            return Some(());
        }
        let mut guess = self.first[usize::from(node)];
        let mut before = 0;
        loop {
            if cursor.peek() != b'"' {
                return cursor.want("a key in quotes");
            }
            cursor.at += 1;
            let key = cursor.at;
            let pattern = &self.paths.nodes[usize::from(guess)].pattern;
            let (child, spelled) = match pattern.ends(cursor.text, key) {
                Some(end) => {
                    cursor.at = end;
                    (guess, key..end - 2)
                }
                None => {
                    let child = self.find(cursor, node)?;
                    match (child, before) {
                        (0, _) => {}
                        (_, 0) => self.first[usize::from(node)] = child,
                        _ => self.next[usize::from(before)] = child,
                    }
                    let spelled = key..cursor.at - 1;
                    cursor.colon()?;
                    (child, spelled)
                }
            };
            cursor.white_space();
            if child == 0 {
                self.extra(cursor, node, spelled, depth)?;
            } else {
                before = child;
                guess = self.next[usize::from(child)];
                if self.span(child).kind == Kind::Absent {
                    self.value(cursor, child, depth)?;
                } else {
                    self.duplicate(cursor, node, child, spelled, depth)?;
                }
            }
            cursor.white_space();
            match cursor.peek() {
                b',' => {
                    cursor.at += 1;
                    cursor.white_space();
                }
                b'}' => {
                    cursor.at += 1;
                    self.span(node).end = cursor.at as u32;
                    return Some(());
                }
                _ => return cursor.want("`,` or `}`"),
            }
        }
    }

    /// Passes a key: its node, 0 where nobody takes it.
    fn find(&mut self, cursor: &mut Cursor<'_>, node: u16) -> Option<u16> {
        let start = cursor.at;
        let escaped = cursor.string()?;
        let key = &cursor.text[start..cursor.at - 1];
        if !escaped {
            return Some(self.paths.find(node, key));
        }
        let keys = self.keys.len();
        unescape(key, &mut self.keys);
        let found = self.paths.find(node, &self.keys[keys..]);
        self.keys.truncate(keys);
        Some(found)
    }

    #[inline(always)]
    fn value(&mut self, cursor: &mut Cursor<'_>, node: u16, depth: u32) -> Option<()> {
        if cursor.peek() == b'{' && self.paths.nodes[usize::from(node)].first_child != 0 {
            return self.object(cursor, node, depth + 1);
        }
        *self.span(node) = self.any_value(cursor, depth)?;
        Some(())
    }

    #[inline]
    fn any_value(&mut self, cursor: &mut Cursor<'_>, depth: u32) -> Option<Span> {
        let start = cursor.at as u32;
        let kind = match cursor.plain_string() {
            Some(kind) => kind,
            None => cursor.value(depth, self.options.max_depth, &mut self.open)?,
        };
        Some(Span { start, end: cursor.at as u32, kind })
    }

    #[cold]
    fn duplicate(
        &mut self,
        cursor: &mut Cursor<'_>,
        parent: u16,
        node: u16,
        spelled: Range<usize>,
        depth: u32,
    ) -> Option<()> {
        match self.options.duplicates {
            Duplicates::Refuse => {
                cursor.at = spelled.start;
                cursor.fail(Stop::Duplicate(parent, spelled))
            }
            Duplicates::First => self.any_value(cursor, depth).map(|_| ()),
            Duplicates::Last => {
                for below in 1..self.paths.nodes.len() as u16 {
                    if self.paths.is_below(below, node) {
                        *self.span(below) = Span::ABSENT;
                    }
                }
                self.value(cursor, node, depth)
            }
        }
    }

    /// Passes the value of a key that nobody takes.
    fn extra(
        &mut self,
        cursor: &mut Cursor<'_>,
        parent: u16,
        spelled: Range<usize>,
        depth: u32,
    ) -> Option<()> {
        if self.options.unknown == Unknown::Refuse {
            cursor.at = spelled.start;
            return cursor.fail(Stop::Unknown(parent, spelled));
        }
        let value = self.any_value(cursor, depth)?;
        if self.options.unknown == Unknown::Keep {
            let key = self.keys.len();
            unescape(&cursor.text[spelled.clone()], &mut self.keys);
            let key = key..self.keys.len();
            let parent_start = self.span(parent).start;
            self.extras.push(Extra { parent, parent_start, spelled, key, value });
        }
        Some(())
    }

    /// Leaves one of each key among those that nobody takes. Sorts, so that a message of nothing but
    /// such keys costs little more than its length.
    fn settle_extras(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let (spans, slot) = (&self.spans, self.slot);
        self.extras.retain(|extra| {
            let parent = spans[usize::from(extra.parent)][slot];
            parent.kind == Kind::Object && parent.start == extra.parent_start
        });
        let keys = &self.keys;
        let of = |extra: &Extra| (extra.parent, &keys[extra.key.clone()]);
        let mut order: Vec<usize> = (0..self.extras.len()).collect();
        order.sort_by(|a, b| of(&self.extras[*a]).cmp(&of(&self.extras[*b])));
        let twice: Vec<(usize, usize)> = order
            .windows(2)
            .map(|pair| (pair[0], pair[1]))
            .filter(|(a, b)| of(&self.extras[*a]) == of(&self.extras[*b]))
            .collect();
        if self.options.duplicates == Duplicates::Refuse {
            if let Some(second) = twice.iter().map(|(_, second)| *second).min() {
                let extra = &self.extras[second];
                cursor.at = extra.spelled.start;
                return cursor.fail(Stop::Duplicate(extra.parent, extra.spelled.clone()));
            }
            return Some(());
        }
        for (first, second) in twice {
            let gone = if self.options.duplicates == Duplicates::Last { first } else { second };
            self.extras[gone].value.kind = Kind::Absent;
        }
        self.extras.retain(|extra| extra.value.kind != Kind::Absent);
        Some(())
    }

    /// Writes the keys of the last message that nobody takes as a JSON object, nested as in the message.
    /// Whether there are any.
    pub(super) fn write_extras(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        if self.extras.is_empty() {
            return false;
        }
        let mut open: Vec<u16> = Vec::new();
        let mut separator: &[u8] = b"{";
        for extra in &self.extras {
            let way = self.paths.way_to(extra.parent);
            let shared = open.iter().zip(&way).take_while(|(a, b)| a == b).count();
            for _ in open.drain(shared..) {
                out.push(b'}');
                separator = b",";
            }
            for node in &way[shared..] {
                out.extend_from_slice(separator);
                out.extend_from_slice(self.paths.nodes[usize::from(*node)].quoted.as_bytes());
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

    /// Whether a node is below another than the message.
    #[inline]
    pub(super) fn is_nested(&self, node: u16) -> bool {
        self.paths.nodes[usize::from(node)].parent != 0
    }

    /// What stands in the place of an object that leads to a node, in a message of the block. Null and
    /// absent ones are no reason to complain.
    pub(super) fn misplaced(&self, node: u16, slot: usize) -> Option<Span> {
        let mut found = None;
        let mut above = self.paths.nodes[usize::from(node)].parent;
        while above != 0 {
            let span = self.values(above)[slot];
            if !matches!(span.kind, Kind::Object | Kind::Null | Kind::Absent) {
                found = Some(span);
            }
            above = self.paths.nodes[usize::from(above)].parent;
        }
        found
    }
}
