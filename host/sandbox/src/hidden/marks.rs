//! Which parts of a message are hidden, and behind what.

use std::collections::HashSet;

use clickmill_core::parts::Parts;
use clickmill_core::words::{find, is_word};

/// Shorter values are words that anything may say.
pub(super) const LEAST_BYTES: usize = 4;
/// So many bytes of a value are as good as all of it: a message may have cut it.
const MAX_BYTES: usize = 24;
/// A quote of so many bytes is one wherever it begins and ends; shorter letters within a word are chance.
const LEAST_QUOTE_BYTES: usize = 8;
/// Shorter words of a line may be counts.
const LEAST_WORD_BYTES: usize = 6;
/// In place of the number of a name: the byte is never hidden.
const NAMES_COLUMN: u16 = u16::MAX;

/// A message, and what is hidden of it. Marks are made on the message as it was: what is told in place of
/// a value is never looked at again, so it grows by no more than a name for each value.
pub(super) struct Marks<'a> {
    text: &'a str,
    /// By byte, what hides it: the number of a name from 1, or 0 or [`NAMES_COLUMN`] for none.
    behind: Vec<u16>,
    names: Vec<&'a str>,
}

impl<'a> Marks<'a> {
    /// A message of which nothing is hidden. Of its words between backticks, those that name a column never are.
    pub(super) fn on(text: &'a str, columns: &HashSet<String>) -> Self {
        let mut behind = vec![0; text.len()];
        let ticks: Vec<usize> = text.match_indices('`').map(|(at, _)| at).collect();
        for [begin, end] in ticks.array_windows() {
            let pieces = without_places(&text[begin + 1..*end]);
            if columns.contains(&pieces.concat()) {
                for piece in pieces {
                    let begin = piece.as_ptr() as usize - text.as_ptr() as usize;
                    behind[begin..begin + piece.len()].fill(NAMES_COLUMN);
                }
            }
        }
        Self { text, behind, names: Vec::new() }
    }

    /// Hides a value of a column wherever it is, also where only its beginning is.
    pub(super) fn hide(&mut self, value: &str, column: &'a str) {
        let beginning = beginning(value);
        let text = self.text.as_bytes();
        let mut from = 0;
        while let Some(at) = find(beginning, &text[from..]) {
            let begin = from + at;
            let same = |(a, b): &(&u8, &u8)| a.eq_ignore_ascii_case(b);
            let length = text[begin..].iter().zip(value.as_bytes()).take_while(same).count();
            from = begin + length;
            self.mark(begin, from, Some(column));
        }
    }

    /// Hides quotes: `quoted` says of each part of the message whether it is from elsewhere.
    pub(super) fn hide_quotes(&mut self, quoted: &[bool]) {
        let text = self.text.as_bytes();
        let mut at = 0;
        while let Some(next) = quoted[at..].iter().position(|quoted| *quoted) {
            let begin = at + next;
            let parts = quoted[begin..].iter().take_while(|quoted| **quoted).count();
            at = begin + parts;
            let end = at + LEAST_BYTES - 1;
            let are_letters = text[begin..end].iter().all(u8::is_ascii_alphabetic);
            if is_word(text, begin..end) || !are_letters || end - begin >= LEAST_QUOTE_BYTES {
                self.mark(begin, end, None);
            }
        }
    }

    /// Hides all words that are more than letters.
    pub(super) fn hide_words(&mut self) {
        let text = self.text;
        let is_border =
            |c: char| c.is_whitespace() || "\"'`,;=|()[]{}<>".contains(c) || c.is_control();
        let is_plain =
            |word: &str| word.bytes().all(|b| b.is_ascii_alphabetic() || b"_-".contains(&b));
        for word in text.split(is_border) {
            let word = word.trim_matches(|c: char| ".:!?".contains(c));
            if word.len() >= LEAST_WORD_BYTES && !is_plain(word) {
                let begin = word.as_ptr() as usize - text.as_ptr() as usize;
                self.mark(begin, begin + word.len(), None);
            }
        }
    }

    fn mark(&mut self, begin: usize, end: usize, column: Option<&'a str>) {
        let name = column.unwrap_or_default();
        let known = self.names.iter().position(|known| *known == name);
        let number = known.unwrap_or_else(|| {
            self.names.push(name);
            self.names.len() - 1
        });
        let number = u16::try_from(number + 1).unwrap_or(NAMES_COLUMN).min(NAMES_COLUMN - 1);
        let free = self.behind[begin..end].iter_mut().filter(|behind| **behind == 0);
        free.for_each(|behind| *behind = number);
    }

    /// The message with columns' names, or lengths, in place of what is hidden.
    pub(super) fn told(&self) -> String {
        let mut told = String::with_capacity(self.text.len());
        let mut rest = self.text.char_indices().peekable();
        while let Some((at, character)) = rest.next() {
            let number = self.behind[at];
            if [0, NAMES_COLUMN].contains(&number) {
                told.push(character);
                continue;
            }
            let mut characters = 1;
            while rest.next_if(|(at, _)| self.behind[*at] == number).is_some() {
                characters += 1;
            }
            let name = self.names.get(usize::from(number) - 1).copied().unwrap_or_default();
            if name.is_empty() {
                told.push_str(&format!("[{characters} characters]"));
            } else {
                told.push_str(&format!("[{name}]"));
            }
        }
        told
    }
}

/// The pieces of a path beside its places in lists, which may be numbers of a visitor: `items` and `.price` of
/// `items[3].price`.
fn without_places(path: &str) -> Vec<&str> {
    let mut pieces = path.split('[');
    let first = pieces.next();
    let behind = pieces.map(|piece| match piece.split_once(']') {
        Some((place, rest)) if place.bytes().all(|byte| byte.is_ascii_digit()) => rest,
        _ => piece,
    });
    first.into_iter().chain(behind).collect()
}

/// What a value is looked for by.
pub(super) fn beginning(value: &str) -> &[u8] {
    &value.as_bytes()[..value.floor_char_boundary(MAX_BYTES)]
}

/// Whether a value is long enough and may be in a text, as far as all parts of its beginning tell: visitors may
/// send many values that have the first of them in common.
pub(super) fn may_hold(text: &Parts<LEAST_BYTES>, value: &str) -> bool {
    value.len() >= LEAST_BYTES && text.may_hold(beginning(value))
}
