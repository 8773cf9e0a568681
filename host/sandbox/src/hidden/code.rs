//! Codes of rejections: labels of metrics, which nobody seals. None says a value.

use std::collections::HashSet;

use clickmill_core::parts::{Parts, parts};
use clickmill_core::words::{find, is_plain};

use super::marks::LEAST_BYTES;

/// In place of a code that says a value, or of one that could not be looked through.
pub(super) const HIDDEN: &str = "code_hidden";
/// So many letters and digits of a value are as good as all of it.
const MAX_BYTES: usize = 24;

/// How a value is looked for in a code, which has none of its signs and large letters: by the letters and digits of
/// its beginning.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Spelling {
    bytes: [u8; MAX_BYTES],
    len: usize,
}

impl Spelling {
    /// `None` of a value that is too short to be told from what anything may say, or a plain word: `anonymous` is a
    /// good code for a user of that name.
    fn of(value: &str) -> Option<Self> {
        if is_plain(value) {
            return None;
        }
        let mut spelling = Self { bytes: [0; MAX_BYTES], len: 0 };
        let plain = value.bytes().filter(u8::is_ascii_alphanumeric).take(MAX_BYTES);
        for byte in plain {
            spelling.bytes[spelling.len] = byte.to_ascii_lowercase();
            spelling.len += 1;
        }
        (spelling.len >= LEAST_BYTES).then_some(spelling)
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The codes of what was refused.
pub(super) struct Codes(Parts<LEAST_BYTES>);

impl Codes {
    pub(super) fn of<'a>(codes: impl Iterator<Item = &'a str>) -> Self {
        let codes: HashSet<Vec<u8>> = codes.map(without_signs).collect();
        Self(Parts::of(codes.iter().map(Vec::as_slice)))
    }

    /// How those of some values are spelt that the codes may say, each once.
    pub(super) fn may_say<'a>(&self, values: impl Iterator<Item = &'a str>) -> HashSet<Spelling> {
        let spellings = values.filter_map(Spelling::of);
        spellings.filter(|spelling| self.0.may_hold(spelling.as_bytes())).collect()
    }
}

/// A code, unless it says one of these values, or digits that are `quoted`.
pub(super) fn told(
    code: &str,
    values: &HashSet<Spelling>,
    quoted: Option<&HashSet<[u8; LEAST_BYTES]>>,
) -> String {
    let plain = without_signs(code);
    let is_number = |part: &[u8; LEAST_BYTES]| part.iter().all(u8::is_ascii_digit);
    let says_one = values.iter().any(|value| find(value.as_bytes(), &plain).is_some());
    let quotes = quoted.is_some_and(|quoted| {
        parts(code.as_bytes()).any(|part| is_number(&part) && quoted.contains(&part))
    });
    if says_one || quotes { HIDDEN.to_owned() } else { code.to_owned() }
}

fn without_signs(code: &str) -> Vec<u8> {
    code.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase()).collect()
}
