//! The few bytes without which a text holds nothing to clean.
//!
//! One pass over the text, with a table of classes and without a branch. In a component sixteen bytes are
//! looked at at once, by tables of their halves: comparing them with each byte that matters would
//! take as long as one after the other does.

#[cfg(any(test, all(target_arch = "wasm32", target_feature = "simd128")))]
mod lanes;
#[cfg(any(test, all(target_arch = "wasm32", target_feature = "simd128")))]
mod plain;

use std::ops::{BitOr, BitOrAssign};

use super::escape;

/// A set of signs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Signs(u8);

impl Signs {
    /// `@`.
    pub(super) const AT: Self = Self(1);
    /// An escape without decoding which something may be missed.
    pub(super) const ENCODED: Self = Self(1 << 1);
    /// `=`, `<`, `>`, or `:` that is not followed by `/`.
    pub(super) const ASSIGN: Self = Self(1 << 2);
    /// `yJ`, of the `eyJ` that begins the base64 of `{"`.
    pub(super) const JWT: Self = Self(1 << 3);
    /// `be`, of `bearer`, in any case.
    pub(super) const BEARER: Self = Self(1 << 4);
    /// A digit after `+`, `(`, `)`, `.`, a space or a tab, or two digits with a separator between them.
    pub(super) const PHONE: Self = Self(1 << 5);
    /// Any digit: without one there is no address, no account number and no key.
    pub(super) const DIGIT: Self = Self(1 << 6);
    /// Any escape.
    pub(super) const ESCAPE: Self = Self(1 << 7);

    #[inline]
    pub(super) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Those that are not among others.
    pub(super) fn except(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    #[inline]
    fn add(&mut self, seen: bool, signs: Self) {
        if seen {
            *self |= signs;
        }
    }
}

impl BitOr for Signs {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Signs {
    fn bitor_assign(&mut self, other: Self) {
        *self = *self | other;
    }
}

/// The signs in a text.
#[inline]
pub(super) fn scan(text: &[u8]) -> Signs {
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    if let Some(signs) = scan_plain(text) {
        return signs;
    }
    scan_by_byte(text)
}

/// The same of a text of ASCII without escapes: `None` where it is another, or short.
#[cfg(any(test, all(target_arch = "wasm32", target_feature = "simd128")))]
#[inline]
fn scan_plain(text: &[u8]) -> Option<Signs> {
    let found = plain::scan(text)?;
    let mut signs = Signs::default();
    signs.add(found.at, Signs::AT);
    signs.add(found.assign, Signs::ASSIGN);
    // A number needs no `;`.
    let has_escape = found.ampersand && (found.semicolon || memchr::memchr(b'#', text).is_some());
    signs.add(has_escape, Signs::ESCAPE);
    signs.add(has_escape && escape::any_tells(text), Signs::ENCODED);
    signs.add(found.jwt, Signs::JWT);
    signs.add(found.bearer, Signs::BEARER);
    signs.add(found.digit, Signs::DIGIT);
    signs.add(found.phone, Signs::PHONE);
    Some(signs)
}

#[inline]
fn scan_by_byte(text: &[u8]) -> Signs {
    let (mut singles, mut pairs, mut triples) = (0, 0, 0);
    let (mut before, mut pair) = (0, 0);
    for byte in text {
        let class = CLASSES[usize::from(*byte)];
        triples |= pair << 1 & class;
        pair = before << 1 & class;
        pairs |= pair;
        singles |= class;
        before = class;
    }
    let mut signs = Signs::default();
    signs.add(singles & AT != 0, Signs::AT);
    signs.add(singles & EQUALS != 0 || pairs & NO_SLASH != 0, Signs::ASSIGN);
    // `&` is in most URLs, with a `;` or a `#` hardly anywhere.
    let has_escape =
        singles & ESCAPE != 0 || singles & (AMPERSAND | SEMICOLON) == AMPERSAND | SEMICOLON;
    signs.add(has_escape, Signs::ESCAPE);
    signs.add(has_escape && escape::any_tells(text), Signs::ENCODED);
    signs.add(pairs & J != 0, Signs::JWT);
    signs.add(pairs & E != 0, Signs::BEARER);
    signs.add(singles & DIGIT != 0, Signs::DIGIT);
    signs.add(pairs & DIGIT_AFTER != 0 || triples & GOES_ON != 0, Signs::PHONE);
    signs
}

// The classes of bytes. The second byte of a pair has the bit next to that of the first, so that a shift
// and an `and` find all pairs at once; and the third of a triple the one next to that.
const AT: u16 = 1;
const EQUALS: u16 = 1 << 1;
const COLON: u16 = 1 << 2;
const NO_SLASH: u16 = 1 << 3;
const ESCAPE: u16 = 1 << 4;
const SEMICOLON: u16 = 1 << 5;
const Y: u16 = 1 << 6;
const J: u16 = 1 << 7;
const B: u16 = 1 << 8;
const E: u16 = 1 << 9;
const DIGIT: u16 = 1 << 10;
const SEPARATOR: u16 = 1 << 11;
const GOES_ON: u16 = 1 << 12;
const BEFORE_DIGIT: u16 = 1 << 13;
const DIGIT_AFTER: u16 = 1 << 14;
const AMPERSAND: u16 = 1 << 15;

const CLASSES: [u16; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < classes.len() {
        classes[byte] = class(byte as u8);
        byte += 1;
    }
    classes
};

const fn class(byte: u8) -> u16 {
    let own = match byte {
        b'@' => AT,
        // `<` begins what `=` and `:` stand behind: a name. `>` is of `->`.
        b'=' | b'<' | b'>' => EQUALS,
        b':' => COLON,
        b'%' => SEPARATOR | ESCAPE,
        // Of a slash or a dash that JSON escapes between digits.
        b'\\' => SEPARATOR | GOES_ON | ESCAPE,
        b'&' => AMPERSAND,
        // Of `&#64`.
        b';' | b'#' => SEMICOLON,
        b'y' => Y,
        b'J' => J,
        b'b' | b'B' => B,
        b'e' | b'E' => E,
        b'0'..=b'9' => DIGIT | GOES_ON | DIGIT_AFTER,
        b' ' => SEPARATOR | GOES_ON | BEFORE_DIGIT,
        b'-' => SEPARATOR | GOES_ON,
        b'/' => SEPARATOR | GOES_ON,
        b')' => SEPARATOR | BEFORE_DIGIT,
        // A tab, and what has to be of the class with it in the scan of sixteen bytes.
        0 | 8 | b'\t' | 0xB | 0xE => BEFORE_DIGIT,
        // A dot stands behind a word that announces a number: `Tel.0301234567`.
        b'.' | b'+' => SEPARATOR | BEFORE_DIGIT,
        b'(' => BEFORE_DIGIT,
        // Of the colours of a terminal.
        0x1B => ESCAPE,
        // Typographic spaces and dashes.
        0xC2 | 0xE2 | 0xEF => SEPARATOR | ESCAPE,
        // Digits of other scripts.
        0xD9 | 0xDB | 0xE0 => ESCAPE,
        0x80..=0xBF => GOES_ON,
        _ => 0,
    };
    if byte == b'/' { own } else { own | NO_SLASH }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{scan_by_byte, scan_plain};

    fn check(text: &[u8]) {
        let is_plain = text.len() >= 16
            && text.iter().all(|byte| byte.is_ascii() && !matches!(byte, b'%' | b'\\' | 0x1B));
        let wanted = is_plain.then(|| scan_by_byte(text));
        assert_eq!(scan_plain(text), wanted, "{}", text.escape_ascii());
    }

    /// Around the ends of sixteen bytes, and at that of the text.
    #[test]
    fn sixteen_bytes_at_once_tell_the_same_of_every_pair() {
        for (length, at) in [(16, 0), (16, 14), (35, 14), (35, 15), (35, 30), (35, 33)] {
            let mut text = vec![b'x'; length];
            for pair in 0..1 << 14 {
                text[at] = (pair >> 7) as u8;
                text[at + 1] = (pair & 0x7F) as u8;
                check(&text);
            }
        }
    }

    proptest! {
        #[test]
        fn sixteen_bytes_at_once_tell_the_same_of_any_text(
            text in "[0-9 ()+./:;&#=<>@byJeE-]{0,80}",
            filler in "[a-z0]{0,40}",
            other in ".{0,60}",
        ) {
            check(text.as_bytes());
            check(format!("{filler}{text}").as_bytes());
            check(format!("{text}{filler}").as_bytes());
            check(other.as_bytes());
            check(format!("{filler}{other}").as_bytes());
        }

        #[test]
        fn sixteen_bytes_at_once_find_three_that_make_a_number(
            before in 0_usize..48,
            three in "[0-9][ ).+/-][0-9 ./-]",
            after in 0_usize..33,
        ) {
            check(format!("{}{three}{}", "x".repeat(before), "y".repeat(after)).as_bytes());
        }
    }
}
