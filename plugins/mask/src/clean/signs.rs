//! The few bytes without which a text holds nothing to clean.
//!
//! One pass over the text without a branch, three neighbouring bytes at a time, in a form that the
//! compiler turns into vector instructions.

use std::ops::{BitOr, BitOrAssign};

/// A set of signs.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Signs(u8);

impl Signs {
    /// `@`.
    pub(super) const AT: Self = Self(1);
    /// The percent-encoded form of `@`, `+`, `=` or `%`.
    pub(super) const ENCODED: Self = Self(1 << 1);
    /// `=`, or `:` that is not followed by `/`.
    pub(super) const ASSIGN: Self = Self(1 << 2);
    /// `eyJ`, which begins the base64 of `{"`.
    pub(super) const JWT: Self = Self(1 << 3);
    /// The first letters of `bearer`.
    pub(super) const BEARER: Self = Self(1 << 4);
    /// A digit after `+` or `(`, or two digits with a separator between them.
    pub(super) const PHONE: Self = Self(1 << 5);

    #[inline]
    pub(super) fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
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

/// The signs in a text. One of a single byte at either end of it is not seen, for nothing could be
/// found there: all that is cleaned has something on both sides of its sign.
#[inline]
pub(super) fn scan(text: &[u8]) -> Signs {
    let (Some(seconds), Some(thirds)) = (text.get(1..), text.get(2..)) else {
        return Signs::default();
    };
    let mut found = 0;
    for ((&a, &b), &c) in text.iter().zip(seconds).zip(thirds) {
        found |= sign(b == b'@', Signs::AT);
        found |= sign(
            (a == b'%')
                & ((b == b'4') & (c == b'0')
                    | (b == b'2') & ((c | 0x20 == b'b') | (c == b'5'))
                    | (b == b'3') & (c | 0x20 == b'd')),
            Signs::ENCODED,
        );
        found |= sign((b == b'=') | (b == b':') & (c != b'/'), Signs::ASSIGN);
        found |= sign((a == b'e') & (b == b'y') & (c == b'J'), Signs::JWT);
        found |= sign((a | 0x20 == b'b') & (b | 0x20 == b'e') & (c | 0x20 == b'a'), Signs::BEARER);
        let separator = (b == b' ')
            | (b == b'-')
            | (b == b'.')
            | (b == b'/')
            | (b == b'+')
            | (b == b'%')
            | (b == b')');
        found |= sign(
            is_digit(a) & separator & (is_digit(c) | (c == b' ') | (c == b'-'))
                | ((a == b'+') | (a == b'(')) & is_digit(b),
            Signs::PHONE,
        );
    }
    Signs(found)
}

#[inline]
fn sign(seen: bool, signs: Signs) -> u8 {
    if seen { signs.0 } else { 0 }
}

#[inline]
fn is_digit(byte: u8) -> bool {
    byte.wrapping_sub(b'0') < 10
}
