//! Points in time and their text, without a calendar library.
//!
//! In: `2026-01-05` or `2026-01-05T08:00:00Z`. Out: RFC 3339 in UTC with milliseconds, and civil
//! dates. No time zones, no leap seconds, no clock: a generator's time starts where it is told.

use std::str::FromStr;

use super::text::push_padded;

pub(super) const DAY_MS: i64 = 86_400_000;

/// Milliseconds since 1970, UTC, kept within 1970 to 2199.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(i64);

/// Not a time that a generator can begin at.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "`{value}` is not a time: expected `2026-01-31` or `2026-01-31T08:30:00Z`, from 1970 to 2199"
)]
pub struct TimestampError {
    value: String,
}

impl Timestamp {
    const END: i64 = days_from_civil(2200, 1, 1) * DAY_MS;

    /// Times outside 1970 to 2199 become the nearest within.
    pub const fn from_millis(millis: i64) -> Self {
        if millis < 0 {
            Self(0)
        } else if millis < Self::END {
            Self(millis)
        } else {
            Self(Self::END - 1)
        }
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    pub const fn millis(self) -> i64 {
        self.0
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text)
            .filter(|millis| (0..Self::END).contains(millis))
            .map(Self)
            .ok_or_else(|| TimestampError { value: text.to_owned() })
    }
}

fn parse(text: &str) -> Option<i64> {
    let (date, time) = match text.split_once('T') {
        Some((date, time)) => (date, time.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let days = days_from_civil(year, month, day);
    let real_date = month <= 12 && civil_from_days(days) == (year, month, day);
    let real_time = hour < 24 && minute < 60 && second < 60;
    (real_date && real_time).then_some(days * DAY_MS + ((hour * 60 + minute) * 60 + second) * 1000)
}

fn numbers(text: &str, between: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(between);
    let mut found = [0; 3];
    for (number, width) in found.iter_mut().zip(widths) {
        let digits = parts.next()?;
        if digits.len() != width || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *number = digits.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

/// `2026-01-05T08:00:00.000Z`.
pub(super) fn push_rfc3339(out: &mut Vec<u8>, millis: i64) {
    let (year, month, day) = civil_from_days(millis.div_euclid(DAY_MS));
    let of_day = millis.rem_euclid(DAY_MS) as u64;
    let parts = [
        (year.max(0) as u64, 4, b'-'),
        (month as u64, 2, b'-'),
        (day as u64, 2, b'T'),
        (of_day / 3_600_000, 2, b':'),
        (of_day / 60_000 % 60, 2, b':'),
        (of_day / 1000 % 60, 2, b'.'),
        (of_day % 1000, 3, b'Z'),
    ];
    for (number, width, after) in parts {
        push_padded(out, number, width);
        out.push(after);
    }
}

/// Days since 1970-01-01. Both directions are Howard Hinnant's algorithms: years begin in March,
/// so that the leap day is a year's last.
pub(super) const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month, day.
pub(super) const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

/// 0 is Monday.
pub(super) const fn weekday(days: i64) -> usize {
    (days + 3).rem_euclid(7) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_there_and_back() {
        for days in -1000..90_000 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
        assert_eq!(civil_from_days(0), (1970, 1, 1));
        assert_eq!(civil_from_days(11_016), (2000, 2, 29));
        assert_eq!(weekday(days_from_civil(2026, 1, 5)), 0);
    }

    #[test]
    fn times_read_as_they_are_written() {
        let time: Timestamp = "2026-02-28T23:59:58Z".parse().unwrap();
        let mut out = Vec::new();
        push_rfc3339(&mut out, time.millis() + 7);
        assert_eq!(out, b"2026-02-28T23:59:58.007Z");
        assert_eq!("1970-01-02".parse(), Ok(Timestamp(DAY_MS)));
        assert_eq!(Timestamp::from_millis(-1).millis(), 0);
        assert_eq!(Timestamp::from_millis(i64::MAX).millis(), Timestamp::END - 1);
    }

    #[test]
    fn what_is_no_time_is_refused_by_name() {
        for text in [
            "",
            "now",
            "2026-02-30",
            "2026-13-01",
            "2026-1-1",
            "1969-12-31",
            "2200-01-01",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01-01",
            "+026-01-01",
        ] {
            let error = text.parse::<Timestamp>().unwrap_err().to_string();
            assert!(error.starts_with(&format!("`{text}` is not a time")), "{error}");
        }
    }
}
