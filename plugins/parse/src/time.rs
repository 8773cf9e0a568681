//! Text to dates and timestamps.
//!
//! The calendar is a page of arithmetic (Howard Hinnant's `days_from_civil`), written out because a
//! date library parses through its own structures and formats, which costs more than the rest of the
//! column here, and adds its tables to every instance.

use crate::number::{Decimal, int64};

const SECOND: i64 = 1_000_000;
/// 0001-01-01T00:00:00Z, in microseconds.
const FIRST: i64 = -62_135_596_800 * SECOND;
/// 9999-12-31T23:59:59.999999Z, in microseconds.
const LAST: i64 = 253_402_300_800 * SECOND - 1;

/// Days since 1970-01-01 of YYYY-MM-DD, YYYY/MM/DD or YYYYMMDD, in years 1 to 9999. With separators month
/// and day may have one digit.
#[inline]
pub(crate) fn date(text: &[u8]) -> Option<i32> {
    match *text {
        [a, b, c, d, separator @ (b'-' | b'/'), m, n, other, x, y] if other == separator => {
            days([a, b, c, d], [m, n], [x, y])
        }
        [a, b, c, d, m, n, x, y] if m != b'-' && m != b'/' => days([a, b, c, d], [m, n], [x, y]),
        _ => short_date(text).filter(|(_, rest)| rest.is_empty()).map(|(days, _)| days),
    }
}

/// Microseconds since 1970-01-01T00:00:00Z, in years 1 to 9999, of a date and time or of a number of
/// seconds, milliseconds, microseconds or nanoseconds.
///
/// Date and time are those of RFC 3339, and what is common besides: a space for the T, an offset without
/// colon or minutes, ` UTC` (as BigQuery spells it), no offset (UTC), a date alone (midnight UTC), and
/// slashes. Beyond that they are what BigQuery takes: one digit for month, day, hour, minute, second or
/// the hours of an offset, no seconds, a space before the offset. Names of time zones other than those of
/// UTC are none: their offsets change, and no table of them is here. Fractions beyond microseconds are cut
/// off. A leap second is the last microsecond before it.
#[inline]
pub(crate) fn timestamp(text: &[u8]) -> Option<i64> {
    if !matches!(text.get(4), Some(b'-' | b'/')) {
        return epoch(text);
    }
    usual_timestamp(text).or_else(|| short_timestamp(text)).or_else(|| epoch(text))
}

#[inline]
fn usual_timestamp(text: &[u8]) -> Option<i64> {
    let (day, text) = text.split_at_checked(10)?;
    let midnight = i64::from(date(day)?) * 86_400 * SECOND;
    if text.is_empty() {
        return Some(midnight);
    }
    let [b'T' | b't' | b' ', h, i, b':', m, n, b':', s, t, rest @ ..] = text else {
        return None;
    };
    let (fraction, zone) = fraction(rest)?;
    instant(midnight, [two(*h, *i)?, two(*m, *n)?, two(*s, *t)?], fraction, offset(zone)?)
}

/// A date and time whose parts may have one digit.
#[cold]
fn short_timestamp(text: &[u8]) -> Option<i64> {
    let (days, rest) = short_date(text)?;
    let midnight = i64::from(days) * 86_400 * SECOND;
    let [b'T' | b't' | b' ', rest @ ..] = rest else {
        return rest.is_empty().then_some(midnight);
    };
    let (hours, rest) = digits(rest)?;
    let (minutes, rest) = digits(rest.strip_prefix(b":")?)?;
    let (seconds, fraction, zone) = match rest.strip_prefix(b":") {
        Some(rest) => {
            let (seconds, rest) = digits(rest)?;
            let (fraction, zone) = fraction(rest)?;
            (seconds, fraction, zone)
        }
        None => (0, 0, rest),
    };
    instant(midnight, [hours, minutes, seconds], fraction, short_offset(zone)?)
}

/// Microseconds since midnight of a time of day, whose parts may have one digit. Fractions beyond microseconds
/// are cut off; there are no leap seconds.
pub(crate) fn time(text: &[u8]) -> Option<i64> {
    let (hours, rest) = digits(text)?;
    let (minutes, rest) = digits(rest.strip_prefix(b":")?)?;
    let (seconds, fraction, rest) = match rest.strip_prefix(b":") {
        Some(rest) => {
            let (seconds, rest) = digits(rest)?;
            let (fraction, rest) = fraction(rest)?;
            (seconds, fraction, rest)
        }
        None => (0, 0, rest),
    };
    if !rest.is_empty() || hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    Some(i64::from(hours * 3600 + minutes * 60 + seconds) * SECOND + i64::from(fraction))
}

/// Microseconds since 1970-01-01T00:00:00 of a date, or of a date and time in no zone.
pub(crate) fn datetime(text: &[u8]) -> Option<i64> {
    if let Some(days) = date(text) {
        return Some(i64::from(days) * 86_400 * SECOND);
    }
    let (days, rest) = short_date(text)?;
    let [b'T' | b't' | b' ', rest @ ..] = rest else { return None };
    Some(i64::from(days) * 86_400 * SECOND + time(rest)?)
}

/// A time of day, in microseconds beyond the midnight of its day, `offset` seconds east of UTC.
#[inline]
fn instant(midnight: i64, [h, m, s]: [u32; 3], fraction: u32, offset: i64) -> Option<i64> {
    if h > 23 || m > 59 || s > 60 {
        return None;
    }
    let (s, fraction) = if s == 60 { (59, 999_999) } else { (s, fraction) };
    let time = i64::from(h * 3600 + m * 60 + s) * SECOND + i64::from(fraction);
    in_range(midnight + time - offset * SECOND)
}

/// The days of a date whose month and day may have one digit, and what follows it.
#[cold]
fn short_date(text: &[u8]) -> Option<(i32, &[u8])> {
    let [a, b, c, d, separator @ (b'-' | b'/'), rest @ ..] = text else { return None };
    let (month, rest) = digits(rest)?;
    let (day, rest) = digits(rest.strip_prefix(&[*separator])?)?;
    let spelled = |number: u32| [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
    Some((days([*a, *b, *c, *d], spelled(month), spelled(day))?, rest))
}

/// One or two digits, and what follows them.
fn digits(text: &[u8]) -> Option<(u32, &[u8])> {
    match *text {
        [tens @ b'0'..=b'9', ones @ b'0'..=b'9', ..] => Some((two(tens, ones)?, &text[2..])),
        [ones @ b'0'..=b'9', ..] => Some((u32::from(ones - b'0'), &text[1..])),
        _ => None,
    }
}

/// Seconds east of UTC of an offset that may have one digit, or of a name of UTC; either may stand behind
/// a space.
fn short_offset(zone: &[u8]) -> Option<i64> {
    const UTC: [&[u8]; 7] = [b"UTC", b"GMT", b"Z", b"Etc/UTC", b"Etc/GMT", b"Universal", b"Zulu"];
    let (zone, behind_space) = match zone.strip_prefix(b" ") {
        Some(zone) => (zone, true),
        None => (zone, false),
    };
    if behind_space && UTC.iter().any(|name| name.eq_ignore_ascii_case(zone)) {
        return Some(0);
    }
    let [sign @ (b'+' | b'-'), rest @ ..] = zone else {
        return if behind_space { None } else { offset(zone) };
    };
    let (hours, rest) = digits(rest)?;
    let minutes = match *rest {
        [] => 0,
        [b':', m, n] | [m, n] => two(m, n)?,
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i64::from(hours * 3600 + minutes * 60);
    Some(if *sign == b'+' { seconds } else { -seconds })
}

/// The fraction of a second, in microseconds, and what follows it.
fn fraction(text: &[u8]) -> Option<(u32, &[u8])> {
    let [b'.', digits @ ..] = text else {
        return Some((0, text));
    };
    let mut micros = 0;
    let mut weight = 100_000;
    let mut at = 0;
    while let Some(digit @ 0..=9) = digits.get(at).map(|byte| byte.wrapping_sub(b'0')) {
        micros += u32::from(digit) * weight;
        weight /= 10;
        at += 1;
    }
    (at > 0).then(|| (micros, &digits[at..]))
}

/// Seconds east of UTC.
fn offset(zone: &[u8]) -> Option<i64> {
    let (sign, hours, minutes) = match *zone {
        [] | [b'Z' | b'z'] | [b' ', b'U', b'T', b'C'] => return Some(0),
        [sign, h, i, b':', m, n] | [sign, h, i, m, n] => (sign, two(h, i)?, two(m, n)?),
        [sign, h, i] => (sign, two(h, i)?, 0),
        _ => return None,
    };
    if hours > 23 || minutes > 59 {
        return None;
    }
    let seconds = i64::from(hours * 3600 + minutes * 60);
    match sign {
        b'+' => Some(seconds),
        b'-' => Some(-seconds),
        _ => None,
    }
}

/// A number since 1970. Up to 10^11 it counts seconds (that is the year 5138), up to 10^14 milliseconds,
/// then microseconds, and beyond the year 9999 of these nanoseconds.
fn epoch(text: &[u8]) -> Option<i64> {
    if let Some(value) = int64(text) {
        let unit = match value.unsigned_abs() {
            0..100_000_000_000 => 1_000_000,
            100_000_000_000..100_000_000_000_000 => 1_000,
            _ => 1,
        };
        let micros = value.checked_mul(unit)?;
        return in_range(micros).or_else(|| in_range(nanoseconds(value)?));
    }
    let decimal = Decimal::read(text)?;
    if decimal.digits == 0 {
        return Some(0);
    }
    // How many digits stand before the point says the unit.
    let whole = i64::from(decimal.digits.ilog10()) + 1 + decimal.exponent;
    let power = decimal.exponent
        + match whole {
            ..=11 => 6,
            12..=14 => 3,
            _ => 0,
        };
    let digits = i64::try_from(decimal.digits).ok();
    let magnitude = match power {
        0.. => digits?.checked_mul(10i64.checked_pow(u32::try_from(power).ok()?)?)?,
        -19..0 => (decimal.digits / 10u64.pow(power.unsigned_abs() as u32)) as i64,
        _ => 0,
    };
    let value = if decimal.negative { -magnitude } else { magnitude };
    in_range(value).or_else(|| in_range(nanoseconds(value)?))
}

/// Nanoseconds as microseconds, where a number is too large to count these.
fn nanoseconds(value: i64) -> Option<i64> {
    const LEAST: u64 = 100_000_000_000_000_000;
    (value.unsigned_abs() >= LEAST).then(|| value.div_euclid(1000))
}

fn in_range(micros: i64) -> Option<i64> {
    (FIRST..=LAST).contains(&micros).then_some(micros)
}

#[inline]
fn days(year: [u8; 4], month: [u8; 2], day: [u8; 2]) -> Option<i32> {
    let year = two(year[0], year[1])? * 100 + two(year[2], year[3])?;
    let (month, day) = (two(month[0], month[1])?, two(day[0], day[1])?);
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        _ => return None,
    };
    if year == 0 || day == 0 || day > last {
        return None;
    }
    // Years that begin in March, so that the leap day is the last of its year.
    let year = year - u32::from(month <= 2);
    let (era, year) = (year / 400, year % 400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year * 365 + year / 4 - year / 100 + day_of_year;
    Some((era * 146_097 + day_of_era) as i32 - 719_468)
}

#[inline]
fn two(tens: u8, ones: u8) -> Option<u32> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    (tens <= 9 && ones <= 9).then(|| u32::from(tens) * 10 + u32::from(ones))
}

#[cfg(test)]
mod tests;
