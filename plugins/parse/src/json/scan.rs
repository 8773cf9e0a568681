//! One pass over a message: where the value of every wanted key stands, and which other keys there are.
//!
//! Out comes a span per node of [`Paths`]; converting them is not done here. The order in which keys
//! come is remembered from message to message, so that a key is mostly found by one comparison.

use std::ops::Range;

use super::containers::Containers;
use super::cursor::{Cursor, Stop};
use super::extras::Extras;
use super::paths::{Node, Paths, Pattern};
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
    /// What is found of each node.
    entries: Vec<Entry>,
    /// Which message of the block is scanned.
    slot: usize,
    /// Keys of it that nobody takes, where they are kept.
    extras: Extras,
    /// A key with escapes, unescaped.
    key: Vec<u8>,
    /// Where arrays and objects end.
    pub(super) containers: Containers,
}

/// What is found of a node: all that the inner loop needs, in one place.
struct Entry {
    pattern: Pattern,
    /// Whether it leads to other nodes.
    leads: bool,
    /// The node that came next last time, in the object that has this key.
    next: u16,
    /// The node that came first last time, in the object that this node is.
    first: u16,
    /// Its values, one per message.
    values: [Span; BLOCK],
}

impl<'p> Scanner<'p> {
    pub(super) fn new(paths: &'p Paths, options: Options) -> Self {
        Self {
            paths,
            options,
            entries: paths.nodes.iter().map(Entry::new).collect(),
            slot: 0,
            extras: Extras::default(),
            key: Vec::new(),
            containers: Containers::default(),
        }
    }

    /// Forgets the block before.
    pub(super) fn clear(&mut self) {
        for entry in &mut self.entries {
            entry.values.fill(Span::ABSENT);
        }
    }

    /// Forgets what was found in a message of the block.
    #[cold]
    pub(super) fn forget(&mut self, slot: usize) {
        for entry in &mut self.entries {
            entry.values[slot] = Span::ABSENT;
        }
    }

    /// Has a value in the place of one that says nothing: what stands around the message.
    #[inline]
    pub(super) fn fill(
        &mut self,
        node: u16,
        slot: usize,
        span: Span,
        says_nothing: impl Fn(Span) -> bool,
    ) {
        let value = &mut self.entries[usize::from(node)].values[slot];
        if value.kind == Kind::Absent || (span.kind != Kind::Absent && says_nothing(*value)) {
            *value = span;
        }
    }

    /// The values of a node in the messages of the block.
    #[inline]
    pub(super) fn values(&self, node: u16) -> &[Span; BLOCK] {
        &self.entries[usize::from(node)].values
    }

    /// Reads a message of a text as number `slot` of the block. The error comes with the byte where it
    /// was met.
    pub(super) fn scan(
        &mut self,
        slot: usize,
        text: &[u8],
        message: Range<usize>,
    ) -> Result<(), (Stop, usize)> {
        self.slot = slot % BLOCK;
        self.extras.clear();
        // A byte order mark is no part of what is said, as RFC 8259 allows.
        let mark = if text[message.clone()].starts_with(b"\xef\xbb\xbf") { 3 } else { 0 };
        let mut cursor = Cursor::new(text, message.start + mark..message.end);
        let before = self.containers.len();
        match self.message(&mut cursor) {
            Some(()) => Ok(()),
            None => {
                self.containers.truncate(before);
                Err((cursor.stop, cursor.at))
            }
        }
    }

    fn message(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        cursor.white_space();
        let is_object = cursor.peek() == b'{';
        if is_object {
            self.object(cursor, 0, 1)?;
        } else {
            cursor.value(0, self.options.max_depth, &mut self.containers)?;
        }
        cursor.white_space();
        if cursor.at != cursor.text.len() {
            return cursor.want("the end");
        }
        if !is_object {
            return cursor.fail(Stop::NotAnObject);
        }
        let (entries, slot) = (&self.entries, self.slot);
        let value = |node: u16| entries[usize::from(node)].values[slot];
        if let Some((parent, key)) = self.extras.settle(self.options.duplicates, value) {
            cursor.at = key.start;
            return cursor.fail(Stop::Duplicate(parent, key));
        }
        Some(())
    }

    #[inline]
    fn span(&mut self, node: u16) -> &mut Span {
        &mut self.entries[usize::from(node)].values[self.slot]
    }

    /// Reads an object that a node stands for. Recurses no deeper than the configured paths.
    fn object(&mut self, cursor: &mut Cursor<'_>, node: u16, depth: u32) -> Option<()> {
        if depth > self.options.max_depth {
            return cursor.fail(Stop::TooDeep);
        }
        self.containers.enter(cursor.at);
        let start = cursor.at as u32;
        *self.span(node) = Span { start, end: start, kind: Kind::Object };
        cursor.at += 1;
        cursor.white_space();
        if cursor.peek() == b'}' {
            cursor.at += 1;
            self.span(node).end = cursor.at as u32;
            return Some(());
        }
        let mut guess = self.entries[usize::from(node)].first;
        let mut before = 0;
        loop {
            if cursor.peek() != b'"' {
                return cursor.want("a key in quotes");
            }
            cursor.at += 1;
            let entry = &mut self.entries[usize::from(guess)];
            let value = &mut entry.values[self.slot];
            match entry.pattern.ends(cursor.beyond, cursor.at) {
                // Where it runs beyond the message, the colon is missing.
                Some(end)
                    if end <= cursor.text.len() && value.kind == Kind::Absent && !entry.leads =>
                {
                    cursor.at = end;
                    *value =
                        any_value(cursor, depth, self.options.max_depth, &mut self.containers)?;
                    before = guess;
                    guess = entry.next;
                }
                _ => {
                    let child = self.field(cursor, node, before, depth)?;
                    if child != 0 {
                        before = child;
                        guess = self.entries[usize::from(child)].next;
                    }
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

    /// Passes a key that is not the guessed one, or not as simple, and its value. Answers the key's
    /// node.
    #[inline(never)]
    fn field(
        &mut self,
        cursor: &mut Cursor<'_>,
        node: u16,
        before: u16,
        depth: u32,
    ) -> Option<u16> {
        let start = cursor.at;
        let child = self.find(cursor, node)?;
        let spelled = start..cursor.at - 1;
        cursor.colon()?;
        if child == 0 {
            self.extra(cursor, node, spelled, depth)?;
            return Some(0);
        }
        match before {
            0 => self.entries[usize::from(node)].first = child,
            _ => self.entries[usize::from(before)].next = child,
        }
        if self.span(child).kind == Kind::Absent {
            self.value(cursor, child, depth)?;
        } else {
            self.duplicate(cursor, node, child, spelled, depth)?;
        }
        Some(child)
    }

    /// Passes a key: its node, 0 where nobody takes it.
    fn find(&mut self, cursor: &mut Cursor<'_>, node: u16) -> Option<u16> {
        let start = cursor.at;
        let escaped = cursor.string()?;
        let key = &cursor.text[start..cursor.at - 1];
        if !escaped {
            return Some(self.paths.find(node, key));
        }
        self.key.clear();
        unescape(key, &mut self.key);
        Some(self.paths.find(node, &self.key))
    }

    fn value(&mut self, cursor: &mut Cursor<'_>, node: u16, depth: u32) -> Option<()> {
        if cursor.peek() == b'{' && self.entries[usize::from(node)].leads {
            return self.object(cursor, node, depth + 1);
        }
        *self.span(node) = self.any_value(cursor, depth)?;
        Some(())
    }

    fn any_value(&mut self, cursor: &mut Cursor<'_>, depth: u32) -> Option<Span> {
        any_value(cursor, depth, self.options.max_depth, &mut self.containers)
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
            let parent_start = self.span(parent).start;
            self.extras.push(cursor.text, parent, parent_start, spelled, value);
        }
        Some(())
    }

    /// Writes the keys of the last message that nobody takes as a JSON object, nested as in the message.
    /// Whether there are any.
    pub(super) fn write_extras(&self, text: &[u8], out: &mut Vec<u8>) -> bool {
        self.extras.write(self.paths, text, out)
    }

    /// Whether a node is below another than the message.
    #[inline]
    fn is_nested(&self, node: u16) -> bool {
        self.paths.nodes[usize::from(node)].parent != 0
    }

    /// What a node is in a message of the block: what stands in the place of an object that leads to it, where
    /// that is none.
    pub(super) fn value_of(&self, node: u16, slot: usize) -> Span {
        let value = self.values(node)[slot];
        match value.kind {
            Kind::Absent if self.is_nested(node) => self.misplaced(node, slot).unwrap_or(value),
            _ => value,
        }
    }

    /// What stands in the place of an object that leads to a node, in a message of the block. Null and
    /// absent ones are no reason to complain.
    fn misplaced(&self, node: u16, slot: usize) -> Option<Span> {
        let mut found = None;
        let mut above = self.paths.nodes[usize::from(node)].parent;
        while above != 0 {
            let span = self.values(above)[slot];
            if !matches!(span.kind, Kind::Object | Kind::Null | Kind::Absent) {
                found = Some(span.misplaced());
            }
            above = self.paths.nodes[usize::from(above)].parent;
        }
        found
    }
}

impl Entry {
    fn new(node: &Node) -> Self {
        Self {
            pattern: node.pattern,
            leads: node.first_child != 0,
            next: node.next,
            first: node.first_child,
            values: [Span::ABSENT; BLOCK],
        }
    }
}

/// Passes any value and the white space before it.
#[inline]
pub(super) fn any_value(
    cursor: &mut Cursor<'_>,
    depth: u32,
    max_depth: u32,
    containers: &mut Containers,
) -> Option<Span> {
    cursor.white_space();
    let start = cursor.at as u32;
    let kind = match cursor.plain_string() {
        Some(kind) => kind,
        None => cursor.value(depth, max_depth, containers)?,
    };
    Some(Span { start, end: cursor.at as u32, kind })
}
