//! Exact numbers: BigQuery's NUMERIC.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An exact number of at most 38 digits, 9 of them after the point.
///
/// It is kept as an integer, the number times 1,000,000,000, and no float is on any way into or out of it.
/// With serde it is its decimal text, and is read from that or from an integer. In a form that is not for people, as
/// postcard's is, it is the number that is kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal(i128);

/// How many digits there are after the point.
const SCALE: i64 = 9;
const ONE: i128 = 1_000_000_000;
const LIMIT: i128 = 10i128.pow(38);

/// What a number with so many digits after the point is multiplied with.
const UNITS: [i64; 10] =
    [1_000_000_000, 100_000_000, 10_000_000, 1_000_000, 100_000, 10_000, 1000, 100, 10, 1];

impl Decimal {
    /// Nought.
    pub const ZERO: Self = Self(0);
    /// The greatest: 38 nines, 9 of them after the point.
    pub const MAX: Self = Self(LIMIT - 1);
    /// The least.
    pub const MIN: Self = Self(1 - LIMIT);

    /// The number that `scaled` is 1,000,000,000 times of: `None` where it has more than 38 digits.
    #[inline]
    pub fn from_scaled(scaled: i128) -> Option<Self> {
        (Self::MIN.0..=Self::MAX.0).contains(&scaled).then_some(Self(scaled))
    }

    /// The number times 1,000,000,000.
    #[inline]
    pub fn scaled(self) -> i128 {
        self.0
    }

    /// Reads an optional sign, digits with at most one point among or around them, and an optional exponent.
    /// `None` where it is something else, or has digits other than 0 beyond the ninth after the point, or more
    /// than 29 before it.
    #[inline]
    pub fn parse(text: &[u8]) -> Option<Self> {
        Self::short(text).or_else(|| Self::long(text))
    }

    /// What nearly all numbers are: up to 18 digits and a point.
    #[inline]
    fn short(text: &[u8]) -> Option<Self> {
        let (negative, digits) = match text {
            [b'-', rest @ ..] => (true, rest),
            _ => (false, text),
        };
        if digits.len() > 18 {
            return None;
        }
        let (mut number, mut after, mut point) = (0i64, 0, false);
        for byte in digits {
            match byte.wrapping_sub(b'0') {
                digit @ 0..=9 => {
                    number = number * 10 + i64::from(digit);
                    after += usize::from(point);
                }
                _ if *byte == b'.' && !point => point = true,
                _ => return None,
            }
        }
        let unit = *UNITS.get(after).filter(|_| digits.len() > usize::from(point))?;
        let scaled = i128::from(number) * i128::from(unit);
        Some(Self(if negative { -scaled } else { scaled }))
    }

    #[inline(never)]
    fn long(text: &[u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            _ => (false, text),
        };
        let end = text.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(text.len());
        let exponent = match text.get(end + 1..) {
            Some(exponent) => read_exponent(exponent)?,
            None => 0,
        };
        // Where a digit counts one: nine places before the end of what is kept.
        let point = text[..end].iter().position(|byte| *byte == b'.').unwrap_or(end);
        let mut place = point as i64 - 1 + exponent;
        let (mut scaled, mut digits) = (0i128, 0);
        for (at, byte) in text[..end].iter().enumerate() {
            if at == point {
                continue;
            }
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            digits += 1;
            if digit != 0 {
                if !(-SCALE..=28).contains(&place) {
                    return None;
                }
                scaled += i128::from(digit) * 10i128.pow((place + SCALE) as u32);
            }
            place -= 1;
        }
        (digits > 0).then_some(Self(if negative { -scaled } else { scaled }))
    }

    /// The sum: `None` where it has too many digits.
    #[inline]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        Self::from_scaled(self.0 + other.0)
    }

    /// The difference: `None` where it has too many digits.
    #[inline]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        Self::from_scaled(self.0 - other.0)
    }

    /// So many times the number: `None` where that has too many digits.
    #[inline]
    pub fn checked_times(self, times: i64) -> Option<Self> {
        Self::from_scaled(self.0.checked_mul(i128::from(times))?)
    }

    /// From the two words of the contract, the low one first.
    #[inline]
    pub(crate) fn from_words(words: &[u64]) -> Self {
        Self((u128::from(words[0]) | u128::from(words[1]) << 64).cast_signed())
    }

    /// The two words of the contract, the low one first.
    #[inline]
    pub fn words(self) -> [u64; 2] {
        let bits = self.0.cast_unsigned();
        [bits as u64, (bits >> 64) as u64]
    }
}

fn read_exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    };
    let mut value = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // No text is so long that its digits could make up for an exponent of that size.
        value = (value * 10 + i64::from(digit)).min(1 << 40);
    }
    (!digits.is_empty()).then_some(if negative { -value } else { value })
}

impl From<i64> for Decimal {
    #[inline]
    fn from(value: i64) -> Self {
        Self(i128::from(value) * ONE)
    }
}

impl fmt::Display for Decimal {
    /// Digits, and behind a point those that are no noughts at the end: `-12.5`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, fraction) =
            (self.0.unsigned_abs() / 1_000_000_000, self.0.unsigned_abs() % 1_000_000_000);
        let mut text = whole.to_string();
        if fraction != 0 {
            text.push('.');
            text.push_str(format!("{fraction:09}").trim_end_matches('0'));
        }
        f.pad_integral(self.0 >= 0, "", &text)
    }
}

/// A text is no exact number of at most 38 digits, 9 of them after the point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotADecimal;

impl fmt::Display for NotADecimal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a number of at most 29 digits before the point and 9 after it")
    }
}

impl std::error::Error for NotADecimal {}

impl FromStr for Decimal {
    type Err = NotADecimal;

    fn from_str(text: &str) -> Result<Self, NotADecimal> {
        Self::parse(text.as_bytes()).ok_or(NotADecimal)
    }
}

impl Serialize for Decimal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(self)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Decimal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = Decimal;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an exact number as text, or an integer")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
                text.parse().map_err(E::custom)
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Decimal, E> {
                Ok(value.into())
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Decimal, E> {
                Ok(Decimal(i128::from(value) * ONE))
            }
        }

        if deserializer.is_human_readable() {
            deserializer.deserialize_any(Visitor)
        } else {
            Self::from_scaled(i128::deserialize(deserializer)?)
                .ok_or_else(|| de::Error::custom(NotADecimal))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_read_and_told_exactly() {
        let nines = "9".repeat(29);
        let most = format!("{nines}.999999999");
        let cases: &[(&str, Option<&str>)] = &[
            ("0", Some("0")),
            ("-0.000", Some("0")),
            ("19.90", Some("19.9")),
            ("-0.1", Some("-0.1")),
            ("+.5", Some("0.5")),
            ("5.", Some("5")),
            ("0.000000001", Some("0.000000001")),
            ("0.0000000010000", Some("0.000000001")),
            ("0.0000000001", None),
            ("1e-9", Some("0.000000001")),
            ("1e-10", None),
            ("10e-10", Some("0.000000001")),
            ("1.5e3", Some("1500")),
            ("0e99999999999999999999", Some("0")),
            ("1e28", Some("10000000000000000000000000000")),
            ("1e29", None),
            ("00000000000000000000000000000000000000000000001", Some("1")),
            (&most, Some(&most)),
            ("100000000000000000000000000000", None),
            ("", None),
            ("-", None),
            (".", None),
            ("1.2.3", None),
            ("1e", None),
            ("e1", None),
            ("1,5", None),
            (" 1", None),
            ("NaN", None),
            ("0x1", None),
        ];
        for (text, told) in cases {
            let found = Decimal::parse(text.as_bytes()).map(|decimal| decimal.to_string());
            assert_eq!(found.as_deref(), *told, "{text:?}");
        }
        assert_eq!(Decimal::parse(most.as_bytes()), Some(Decimal::MAX));
    }

    #[test]
    fn words_go_there_and_back() {
        for decimal in [Decimal::MIN, Decimal(-1), Decimal::ZERO, Decimal::from(7), Decimal::MAX] {
            assert_eq!(Decimal::from_words(&decimal.words()), decimal);
        }
    }

    #[test]
    fn sums_beyond_38_digits_are_none() {
        let cent: Decimal = "0.01".parse().expect("a number");
        assert_eq!(cent.checked_times(100), Some(Decimal::from(1)));
        assert_eq!(Decimal::MAX.checked_add(cent), None);
        assert_eq!(Decimal::MIN.checked_sub(cent), None);
        assert_eq!(Decimal::MAX.checked_times(i64::MAX), None);
    }
}
