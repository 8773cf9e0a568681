//! The elements of an array and the members of an object that the scanner has passed: their grammar is known
//! to be right.

use std::ops::Range;

use super::containers::Containers;
use super::cursor::Cursor;
use super::paths::Pattern;
use super::scan::any_value;
use super::value::Span;

/// A walk through an array or object.
pub(super) struct Walk<'a> {
    cursor: Cursor<'a>,
    /// The place among the containers.
    place: usize,
}

/// A member of an object.
pub(super) struct Member {
    /// Where the key stands, without its quotes.
    pub(super) key: Range<usize>,
    pub(super) escaped: bool,
    pub(super) value: Span,
}

impl<'a> Walk<'a> {
    /// Into the array or object that stands there.
    #[inline]
    pub(super) fn into(text: &'a [u8], span: Span, containers: &mut Containers) -> Self {
        let inside = span.start as usize + 1..span.end as usize;
        containers.enter(span.start as usize);
        Self { cursor: Cursor::new(text, inside), place: containers.place() }
    }

    /// The next element of an array.
    #[inline]
    pub(super) fn element(&mut self, containers: &mut Containers) -> Option<Span> {
        self.separator();
        if matches!(self.cursor.peek(), b']' | 0) {
            return None;
        }
        self.value(containers)
    }

    /// The next member of an object.
    #[inline]
    pub(super) fn member(&mut self, containers: &mut Containers) -> Option<Member> {
        self.separator();
        if self.cursor.peek() != b'"' {
            return None;
        }
        self.cursor.at += 1;
        self.other_member(containers)
    }

    /// The next member of an object, and whether its key is the guessed one.
    #[inline]
    pub(super) fn guessed_member(
        &mut self,
        guess: Option<&Pattern>,
        containers: &mut Containers,
    ) -> Option<(Member, bool)> {
        self.separator();
        if self.cursor.peek() != b'"' {
            return None;
        }
        self.cursor.at += 1;
        let start = self.cursor.at;
        let end = guess.and_then(|guess| guess.ends(self.cursor.beyond, start));
        match end.filter(|end| *end <= self.cursor.text.len()) {
            Some(end) => {
                self.cursor.at = end;
                let value = self.value(containers)?;
                // Without its closing quote and the colon.
                Some((Member { key: start..end - 2, escaped: false, value }, true))
            }
            None => Some((self.other_member(containers)?, false)),
        }
    }

    /// The rest of a member, the opening quote of its key being passed.
    #[inline(never)]
    fn other_member(&mut self, containers: &mut Containers) -> Option<Member> {
        let start = self.cursor.at;
        let escaped = self.cursor.string()?;
        let key = start..self.cursor.at - 1;
        self.cursor.colon()?;
        let value = self.value(containers)?;
        Some(Member { key, escaped, value })
    }

    /// The next value. Whoever walks through one comes to another place meanwhile.
    #[inline]
    fn value(&mut self, containers: &mut Containers) -> Option<Span> {
        containers.go_to(self.place);
        let value = any_value(&mut self.cursor, 0, u32::MAX, containers);
        let after = containers.place();
        if after != self.place {
            // It is gone into next, if at all.
            containers.go_to(self.place);
            self.place = after;
        }
        value
    }

    #[inline]
    fn separator(&mut self) {
        self.cursor.white_space();
        if self.cursor.peek() == b',' {
            self.cursor.at += 1;
            self.cursor.white_space();
        }
    }
}
