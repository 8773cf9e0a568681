//! Text to integers and floating-point numbers.
//!
//! Plain integers and short decimals, which is nearly all there is, are read here, because `str::parse`
//! wants its input checked as UTF-8 and its grammar is not ours; the rest goes to `f64::from_str`.

/// An integer: an optional sign and digits.
#[inline]
pub(crate) fn int64(text: &[u8]) -> Option<i64> {
    if let Some(small) = one_or_two_digits(text) {
        return Some(small.into());
    }
    let (negative, digits) = sign(text);
    if digits.is_empty() || digits.len() > 8 {
        return long_int64(text);
    }
    let magnitude = eight_digits(word(digits), digits.len())? as i64;
    Some(if negative { -magnitude } else { magnitude })
}

/// Codes, days and prices are mostly so short: a few steps, where a word of digits takes some dozens.
#[inline]
fn one_or_two_digits(text: &[u8]) -> Option<u8> {
    match text {
        [one @ b'0'..=b'9'] => Some(one - b'0'),
        [ten @ b'0'..=b'9', one @ b'0'..=b'9'] => Some((ten - b'0') * 10 + (one - b'0')),
        _ => None,
    }
}

#[inline(never)]
fn long_int64(text: &[u8]) -> Option<i64> {
    let (_, digits) = sign(text);
    integral(text).filter(|_| digits.iter().all(u8::is_ascii_digit))
}

/// An integer in any decimal spelling, such as `12.0` or `1e3`.
pub(crate) fn integral(text: &[u8]) -> Option<i64> {
    let mut decimal = Decimal::read(text)?;
    while decimal.exponent < 0 && decimal.digits.is_multiple_of(10) && decimal.digits != 0 {
        decimal.digits /= 10;
        decimal.exponent += 1;
    }
    if decimal.digits == 0 {
        return Some(0);
    }
    let exponent = u32::try_from(decimal.exponent).ok()?;
    if !decimal.exact || exponent > 18 {
        return None;
    }
    let magnitude = i128::from(decimal.digits) * 10i128.pow(exponent);
    i64::try_from(if decimal.negative { -magnitude } else { magnitude }).ok()
}

/// A finite number, correctly rounded.
#[inline]
pub(crate) fn float64(text: &[u8]) -> Option<f64> {
    if let Some(small) = one_or_two_digits(text) {
        return Some(small.into());
    }
    let (negative, unsigned) = sign(text);
    let magnitude = match short_decimal(unsigned) {
        Some(magnitude) => magnitude,
        None => return long_float64(text),
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// Up to eight digits and a point, or nothing where it is something else.
#[inline]
fn short_decimal(text: &[u8]) -> Option<f64> {
    if text.is_empty() || text.len() > 8 {
        return None;
    }
    let word = word(text);
    let points = word ^ (ONES * b'.' as u64);
    let points = points.wrapping_sub(ONES) & !points & TOPS;
    if points == 0 {
        return Some(eight_digits(word, text.len())? as f64);
    }
    // The digits after the point move up to those before it.
    let before = points.trailing_zeros() / 8;
    let low = word & ((1 << (8 * before)) - 1);
    let high = word.unbounded_shr(8 * before + 8) << (8 * before);
    let digits = text.len() - 1;
    let power = POWERS[digits - before as usize];
    Some(eight_digits(low | high, digits)? as f64 / power)
}

#[inline(never)]
fn long_float64(text: &[u8]) -> Option<f64> {
    let decimal = Decimal::read(text)?;
    // Both the digits and the power of ten are exact here, so the one operation rounds correctly
    // (Clinger 1990).
    if decimal.exact && decimal.digits <= 1 << 53 && (-22..=22).contains(&decimal.exponent) {
        let digits = decimal.digits as f64;
        let power = POWERS[decimal.exponent.unsigned_abs() as usize];
        let magnitude = if decimal.exponent < 0 { digits / power } else { digits * power };
        return Some(if decimal.negative { -magnitude } else { magnitude });
    }
    let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
    value.is_finite().then_some(value)
}

const ONES: u64 = 0x0101_0101_0101_0101;
const TOPS: u64 = 0x8080_8080_8080_8080;

/// A text of one to eight bytes as a word, the first byte in the lowest place.
///
/// Loops over bytes are what metered Wasm is slowest at: hence words.
#[inline]
fn word(text: &[u8]) -> u64 {
    let last = text.len() - 1;
    match (text.first_chunk::<4>(), text.last_chunk::<4>()) {
        (Some(first), Some(end)) => {
            let first = u64::from(u32::from_le_bytes(*first));
            first | u64::from(u32::from_le_bytes(*end)) << (8 * (last - 3))
        }
        _ => {
            let middle = text.len() / 2;
            let (first, between, end) = (text[0], text[middle], text[last]);
            u64::from(first) | u64::from(between) << (8 * middle) | u64::from(end) << (8 * last)
        }
    }
}

/// The number that the lowest `len` bytes of a word spell, one to eight.
#[inline]
fn eight_digits(word: u64, len: usize) -> Option<u64> {
    if len == 0 {
        return None;
    }
    // Zeros before it, then each byte's value, which must be below ten.
    let digits = (word ^ (ONES * b'0' as u64)) << (64 - 8 * len);
    if (digits | digits.wrapping_add(ONES * 0x76)) & TOPS != 0 {
        return None;
    }
    // Neighbours are joined: two, four, eight digits.
    let pairs = digits.wrapping_mul(10).wrapping_add(digits >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = pairs.wrapping_mul(100).wrapping_add(pairs >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff)
}

const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16,
    1e17, 1e18, 1e19, 1e20, 1e21, 1e22,
];

/// A number as written: plus or minus digits x 10^exponent.
pub(crate) struct Decimal {
    pub(crate) negative: bool,
    /// The first 19 significant digits.
    pub(crate) digits: u64,
    pub(crate) exponent: i64,
    /// Whether all digits that are left out are zeros.
    pub(crate) exact: bool,
}

impl Decimal {
    /// Reads an optional sign, digits with at most one point among or around them, and an optional
    /// exponent.
    #[inline]
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let (negative, text) = sign(text);
        let mut number = Self { negative, digits: 0, exponent: 0, exact: true };
        let mut at = 0;
        let mut significant = 0;
        let mut point = None;
        while let Some(&byte) = text.get(at) {
            let digit = byte.wrapping_sub(b'0');
            if digit <= 9 {
                if significant < 19 {
                    number.digits = number.digits * 10 + u64::from(digit);
                    significant += u32::from(number.digits != 0);
                } else {
                    number.exact &= digit == 0;
                    number.exponent += 1;
                }
            } else if byte == b'.' && point.is_none() {
                point = Some(at);
            } else {
                break;
            }
            at += 1;
        }
        if at == usize::from(point.is_some()) {
            return None;
        }
        if let Some(point) = point {
            number.exponent -= (at - point - 1) as i64;
        }
        match text.get(at) {
            None => {}
            Some(b'e' | b'E') => number.exponent += exponent(&text[at + 1..])?,
            Some(_) => return None,
        }
        Some(number)
    }
}

fn exponent(text: &[u8]) -> Option<i64> {
    let (negative, digits) = sign(text);
    if digits.is_empty() {
        return None;
    }
    let mut value = 0i64;
    for byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        // No text is so long that its digits could make up for an exponent of that size.
        value = (value * 10 + i64::from(digit)).min(1 << 40);
    }
    Some(if negative { -value } else { value })
}

#[inline]
fn sign(text: &[u8]) -> (bool, &[u8]) {
    match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] => (false, rest),
        _ => (false, text),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn integers_are_a_sign_and_digits_of_64_bits() {
        let cases: &[(&str, Option<i64>)] = &[
            ("0", Some(0)),
            ("-0", Some(0)),
            ("+12", Some(12)),
            ("-12", Some(-12)),
            ("007", Some(7)),
            ("999999999999999999", Some(999_999_999_999_999_999)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("0000000000000000000000009223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("-9223372036854775809", None),
            ("18446744073709551617", None),
            ("99999999999999999999999999999999999999999", None),
            ("", None),
            ("-", None),
            ("+", None),
            ("--1", None),
            ("1-", None),
            ("1.0", None),
            ("1000000000000000000.0", None),
            ("1e3", None),
            ("0x10", None),
            ("1_000", None),
            ("1,000", None),
            (" 1", None),
            ("١", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(int64(text.as_bytes()), *wanted, "{text:?}");
        }
    }

    #[test]
    fn integral_decimals_are_integers_exactly() {
        let cases: &[(&str, Option<i64>)] = &[
            ("12.0", Some(12)),
            ("1e3", Some(1000)),
            ("-1.5e1", Some(-15)),
            ("0.0", Some(0)),
            ("0e99999999999999999999", Some(0)),
            ("-0.000e-400", Some(0)),
            ("100e-2", Some(1)),
            ("9007199254740993.0", Some(9_007_199_254_740_993)),
            ("9223372036854775807.000", Some(i64::MAX)),
            ("-9.223372036854775808e18", Some(i64::MIN)),
            ("9.223372036854775808e18", None),
            ("1230000000000000000000000000e-25", Some(123)),
            ("1000000000000000000000000000e-25", Some(100)),
            ("1e-1", None),
            ("12.5", None),
            ("1.00000000000000000000000001", None),
            ("1e19", None),
            ("1e99999999999999999999", None),
            ("1e", None),
            ("e1", None),
            (".", None),
            ("1.2.3", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(integral(text.as_bytes()), *wanted, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_decimals_and_finite() {
        let cases: &[(&str, Option<f64>)] = &[
            ("0", Some(0.0)),
            ("1.5", Some(1.5)),
            ("+1.5", Some(1.5)),
            ("-.5", Some(-0.5)),
            ("5.", Some(5.0)),
            ("1e22", Some(1e22)),
            ("1e23", Some(1e23)),
            ("123456789012345678901234567890", Some(123_456_789_012_345_678_901_234_567_890.0)),
            ("4.9e-324", Some(4.9e-324)),
            ("1e-400", Some(0.0)),
            ("1.7976931348623157e308", Some(f64::MAX)),
            ("1.8e308", None),
            ("-1e400", None),
            ("1e99999999999999999999", None),
            ("nan", None),
            ("NaN", None),
            ("inf", None),
            ("-Infinity", None),
            ("", None),
            ("-", None),
            (".", None),
            ("-.", None),
            (".e1", None),
            ("1e", None),
            ("1e+", None),
            ("1e1.5", None),
            ("1,5", None),
            ("1 ", None),
            ("0x1p3", None),
        ];
        for (text, wanted) in cases {
            assert_eq!(float64(text.as_bytes()), *wanted, "{text:?}");
        }
        assert!(float64(b"-0.0").is_some_and(f64::is_sign_negative));
    }

    proptest! {
        #[test]
        fn numbers_are_rounded_like_the_standard_library(text in "[+-]?[0-9]{0,25}(\\.[0-9]{0,25})?([eE][+-]?[0-9]{1,3})?") {
            let wanted = text.parse::<f64>().ok().filter(|value| value.is_finite());
            prop_assert_eq!(float64(text.as_bytes()).map(f64::to_bits), wanted.map(f64::to_bits));
        }

        #[test]
        fn integers_are_those_of_the_standard_library(text in "[+-]?[0-9]{0,22}") {
            prop_assert_eq!(int64(text.as_bytes()), text.parse().ok());
            if int64(text.as_bytes()).is_some() {
                prop_assert_eq!(integral(text.as_bytes()), text.parse().ok());
            }
        }

        #[test]
        fn any_text_is_judged_like_by_the_standard_library(
            text in "[+-]?[0-9.]{0,9}|[0-9.eE+/:-]{0,12}|[+-]?[0-9]{0,8}[^0-9]?[0-9]{0,8}"
        ) {
            prop_assert_eq!(int64(text.as_bytes()), text.parse().ok(), "{}", text);
            let wanted = text.parse::<f64>().ok().filter(|value| value.is_finite());
            prop_assert_eq!(float64(text.as_bytes()).map(f64::to_bits), wanted.map(f64::to_bits));
        }

        #[test]
        fn whole_decimals_are_their_integers(value: i64, zeros in 0usize..12) {
            let fraction = format!("{value}.{}", "0".repeat(zeros));
            prop_assert_eq!(integral(fraction.as_bytes()), Some(value));
            let exponent = format!("{value}{}e-{zeros}", "0".repeat(zeros));
            prop_assert_eq!(integral(exponent.as_bytes()), Some(value));
        }
    }
}
