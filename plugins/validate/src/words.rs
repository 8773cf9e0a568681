//! Sets of texts and of integers that are asked once per row.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};

use clickmill_plugin::{Column, Dictionary, Values};
use serde::{Deserialize, Serialize};

/// The values that a text or int64 column may have.
#[derive(Serialize, Deserialize)]
pub(crate) enum Allowed {
    Texts(HashSet<Box<[u8]>, Quick>),
    Int64s(HashSet<i64, Quick>),
}

/// A map from texts.
pub(crate) type TextMap<T> = HashMap<Box<[u8]>, T, Quick>;

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
                // Values repeat: a session has one country, one currency.
                let mut last: Option<(&[u8], bool)> = None;
                for row in 0..column.len() {
                    let value = text.get(row);
                    let is_allowed = match last {
                        Some((seen, is_allowed)) if same(seen, value) => is_allowed,
                        _ => allowed.contains(value),
                    };
                    last = Some((value, is_allowed));
                    if !is_allowed {
                        other(row);
                    }
                }
            }
            (Self::Texts(allowed), Values::Dictionary(texts)) => {
                others_of(texts, |value| allowed.contains(value), other);
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
            Self::Texts(allowed) => column.bytes(row).is_some_and(|value| allowed.contains(value)),
            Self::Int64s(allowed) => {
                column.int64(row).is_some_and(|value| allowed.contains(&value))
            }
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

/// Whether two texts are the same. Most are short: in a component a comparison by `==` is a call.
#[inline]
pub(crate) fn same(a: &[u8], b: &[u8]) -> bool {
    let len = a.len();
    if len != b.len() {
        return false;
    }
    match len {
        0 => true,
        1..=3 => a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1],
        4..=7 => a.first_chunk::<4>() == b.first_chunk() && a.last_chunk::<4>() == b.last_chunk(),
        _ => {
            let mut words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
            words.all(|(a, b)| u64::from_le_bytes(*a) == u64::from_le_bytes(*b))
                && a.last_chunk::<8>() == b.last_chunk()
        }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::same;

    proptest! {
        #[test]
        fn texts_are_the_same_where_all_bytes_are(a in ".{0,12}", at in any::<usize>(), byte: u8) {
            prop_assert!(same(a.as_bytes(), a.as_bytes()));
            let mut other = a.clone().into_bytes();
            if let Some(changed) = other.len().checked_sub(1).map(|last| at % (last + 1)) {
                other[changed] = byte;
            }
            prop_assert_eq!(same(a.as_bytes(), &other), a.as_bytes() == other);
            other.push(byte);
            prop_assert!(!same(a.as_bytes(), &other));
        }
    }
}
