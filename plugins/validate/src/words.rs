//! Sets of texts and of integers that are asked once per row.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use clickmill_plugin::{Column, Dictionary, Text, Values, same};
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};

/// The values that a text or int64 column may have.
#[derive(Serialize, Deserialize)]
pub(crate) enum Allowed {
    Texts(HashSet<ByteBuf, Quick>),
    Int64s(HashSet<i64, Quick>),
}

/// A map from texts.
pub(crate) type TextMap<T> = HashMap<ByteBuf, T, Quick>;

/// Makes [`QuickHasher`]s.
pub(crate) type Quick = BuildHasherDefault<QuickHasher>;

/// A hash of a few instructions per 8 bytes. It is not made for keys that an attacker chooses: here all
/// that is stored comes from the configuration, and rows only ask.
#[derive(Default)]
pub(crate) struct QuickHasher(u64);

impl Allowed {
    /// Calls `other` for each row that has another value, or as it may be a null.
    pub(crate) fn others(&self, column: &Column, mut other: impl FnMut(usize)) {
        match (self, &column.values) {
            (Self::Texts(allowed), Values::Texts(text)) => {
                others_of_texts(text, |value| allowed.contains(Bytes::new(value)), other);
            }
            (Self::Texts(allowed), Values::Dictionary(texts)) => {
                others_of(texts, |value| allowed.contains(Bytes::new(value)), other);
            }
            (Self::Int64s(allowed), Values::Int64s(values)) => {
                for (row, value) in values.iter().enumerate() {
                    if !allowed.contains(value) {
                        other(row);
                    }
                }
            }
            _ => {}
        }
    }

    /// Whether the row has one of the values.
    pub(crate) fn has(&self, column: &Column, row: usize) -> bool {
        match self {
            Self::Texts(allowed) => {
                column.bytes(row).is_some_and(|value| allowed.contains(Bytes::new(value)))
            }
            Self::Int64s(allowed) => {
                column.int64(row).is_some_and(|value| allowed.contains(&value))
            }
        }
    }
}

/// Calls `other` for each row whose text is none of those that are allowed, or as it may be a null.
pub(crate) fn others_of_texts(
    text: &Text,
    is_allowed: impl Fn(&[u8]) -> bool,
    mut other: impl FnMut(usize),
) {
    let rows = text.offsets.len().saturating_sub(1);
    let mut verdicts = Verdicts::of(rows);
    for row in 0..rows {
        if !verdicts.on(text.get(row), &is_allowed) {
            other(row);
        }
    }
}

/// What is made of each text of a dictionary.
pub(crate) fn of_each<'t, T>(texts: &'t Dictionary, make: impl Fn(&'t [u8]) -> T) -> Vec<T> {
    let count = texts.values.offsets.len().saturating_sub(1);
    (0..count).map(|at| make(texts.values.get(at))).collect()
}

/// Calls `other` for each row of a dictionary whose text is none of those that are allowed, or as it may be
/// a null.
pub(crate) fn others_of(
    texts: &Dictionary,
    is_allowed: impl Fn(&[u8]) -> bool,
    mut other: impl FnMut(usize),
) {
    let allowed = of_each(texts, is_allowed);
    if allowed.contains(&false) {
        let is_allowed = |index: &u32| allowed.get(*index as usize).is_some_and(|is| *is);
        let rows = texts.indices.iter().enumerate();
        rows.filter(|(_, index)| !is_allowed(index)).for_each(|(row, _)| other(row));
    }
}

impl Hasher for QuickHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(last));
        }
    }

    fn write_u64(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_i64(&mut self, word: i64) {
        self.write_u64(word as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.write_u64(word as u64);
    }

    fn finish(&self) -> u64 {
        // The table takes its slots from the low bits, and a multiplication mixes the high ones best.
        self.0 ^ self.0 >> 32
    }
}

/// What was found of texts, for those that come again: a session has one country, and a shop some hundred models.
/// To look here takes a few dozen instructions, to ask a set or a pattern some hundred.
struct Verdicts<'t> {
    /// Short texts, each where its hash says: their bytes, and what tells their length and verdict.
    short: Vec<[u64; 3]>,
    /// The longer one before.
    long: Option<(&'t [u8], bool)>,
}

impl<'t> Verdicts<'t> {
    /// For that many texts.
    fn of(texts: usize) -> Self {
        let slots = texts.next_power_of_two().clamp(16, 512);
        Self { short: vec![[0; 3]; slots], long: None }
    }

    /// The verdict on a text, which `ask` tells where it is not known.
    #[inline]
    fn on(&mut self, text: &'t [u8], ask: impl FnOnce(&[u8]) -> bool) -> bool {
        let Some([first, last]) = ends(text) else {
            return match self.long {
                Some((seen, verdict)) if same(seen, text) => verdict,
                _ => self.long.insert((text, ask(text))).1,
            };
        };
        let mut hasher = QuickHasher(text.len() as u64);
        hasher.write_u64(first);
        hasher.write_u64(last);
        let place = hasher.finish() as usize & (self.short.len() - 1);
        let slot = &mut self.short[place];
        // Never 0, as it is where there is none yet.
        let length = text.len() as u64 + 1;
        if slot[0] != first || slot[1] != last || slot[2] >> 1 != length {
            *slot = [first, last, length << 1 | u64::from(ask(text))];
        }
        slot[2] & 1 == 1
    }
}

/// The first and the last bytes of a text: with its length they are the text. `None` where it is longer.
#[inline]
fn ends(text: &[u8]) -> Option<[u64; 2]> {
    let four = |bytes: Option<&[u8; 4]>| bytes.map_or(0, |four| u32::from_le_bytes(*four).into());
    let eight = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |eight| u64::from_le_bytes(*eight));
    Some(match text.len() {
        0 => [0, 0],
        len @ 1..=3 => [u64::from(text[0]) << 8 | u64::from(text[len / 2]), text[len - 1].into()],
        4..=7 => [four(text.first_chunk()), four(text.last_chunk())],
        8..=16 => [eight(text.first_chunk()), eight(text.last_chunk())],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Verdicts;

    proptest! {
        /// Few letters and lengths around those at which texts are told apart in another way.
        #[test]
        fn a_verdict_is_what_the_text_itself_gets(
            texts in prop::collection::vec("[ab\\x00]{0,5}|[ab]{6,10}|[ab]{14,18}", 1..200),
            slots in 1_usize..40,
        ) {
            let ask = |text: &[u8]| text.iter().filter(|byte| **byte == b'a').count() % 2 == 1;
            let mut verdicts = Verdicts::of(slots);
            for text in &texts {
                let text = text.as_bytes();
                prop_assert_eq!(verdicts.on(text, ask), ask(text), "{:?}", text);
                prop_assert_eq!(verdicts.on(text, |_| !ask(text)), ask(text), "it is known");
            }
        }
    }
}
