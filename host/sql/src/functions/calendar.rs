//! Days, units of time and time zones.

use std::str::FromStr;

use chrono::{DateTime, Datelike, LocalResult, NaiveDate, Offset, TimeZone, Weekday};
use chrono_tz::Tz;

use super::scalar::Wrong;

/// Microseconds in a second.
pub(super) const SECOND: i64 = 1_000_000;
/// Microseconds in a day.
pub(super) const DAY: i64 = 86_400 * SECOND;

/// 0001-01-01 and 9999-12-31, BigQuery's first and last day.
const DAYS: std::ops::RangeInclusive<i64> = -719_162..=2_932_896;

/// A unit of time, or a part of a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A fixed number of microseconds, less than a day.
    Micros(i64),
    /// DAY.
    Day,
    /// WEEK, and the day it begins on.
    Week(Weekday),
    /// ISOWEEK.
    IsoWeek,
    /// MONTH.
    Month,
    /// QUARTER.
    Quarter,
    /// YEAR.
    Year,
    /// ISOYEAR.
    IsoYear,
    /// DAYOFWEEK, which only EXTRACT knows.
    DayOfWeek,
    /// DAYOFYEAR, which only EXTRACT knows.
    DayOfYear,
}

impl Unit {
    /// A unit by its name, in capitals.
    pub(super) fn of(name: &str) -> Result<Self, Wrong> {
        let weekday = |day: &str| match day {
            "SUNDAY" | "MONDAY" | "TUESDAY" | "WEDNESDAY" | "THURSDAY" | "FRIDAY" | "SATURDAY" => {
                Weekday::from_str(day).ok()
            }
            _ => None,
        };
        Ok(match name {
            "MICROSECOND" => Self::Micros(1),
            "MILLISECOND" => Self::Micros(1_000),
            "SECOND" => Self::Micros(SECOND),
            "MINUTE" => Self::Micros(60 * SECOND),
            "HOUR" => Self::Micros(3_600 * SECOND),
            "DAY" => Self::Day,
            "WEEK" => Self::Week(Weekday::Sun),
            "ISOWEEK" => Self::IsoWeek,
            "MONTH" => Self::Month,
            "QUARTER" => Self::Quarter,
            "YEAR" => Self::Year,
            "ISOYEAR" => Self::IsoYear,
            "DAYOFWEEK" => Self::DayOfWeek,
            "DAYOFYEAR" => Self::DayOfYear,
            other => {
                let day = other.strip_prefix("WEEK(").and_then(|rest| rest.strip_suffix(')'));
                match day.and_then(weekday) {
                    Some(day) => Self::Week(day),
                    None => {
                        return Err(Wrong::Value(format!(
                            "`{name}` is no unit that the warehouse knows"
                        )));
                    }
                }
            }
        })
    }
}

/// The date of a day since 1970-01-01.
pub(super) fn date(day: i64) -> Result<NaiveDate, Wrong> {
    let known = DAYS.contains(&day).then(|| NaiveDate::from_epoch_days(day as i32)).flatten();
    known.ok_or_else(|| {
        Wrong::Value(format!("day {day} since 1970-01-01 is not in the years 1 to 9999"))
    })
}

/// The day of a date.
pub(super) fn day_of(date: NaiveDate) -> i64 {
    i64::from(date.to_epoch_days())
}

/// The day of a year, month and day.
pub(super) fn day_ymd(year: i64, month: i64, day: i64) -> Result<i64, Wrong> {
    let part = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
    let date = i32::try_from(year)
        .ok()
        .and_then(|year| NaiveDate::from_ymd_opt(year, part(month), part(day)))
        .map(day_of)
        .filter(|day| DAYS.contains(day));
    date.ok_or_else(|| {
        Wrong::Value(format!("{year}-{month}-{day} is no date in the years 1 to 9999"))
    })
}

/// A day that is one of BigQuery's.
pub(super) fn checked_day(day: Option<i64>) -> Result<i32, Wrong> {
    match day {
        Some(day) if DAYS.contains(&day) => Ok(day as i32),
        _ => Err(Wrong::Value("the date is not in the years 1 to 9999".to_owned())),
    }
}

/// An instant that is one of BigQuery's.
pub(super) fn checked_instant(micros: Option<i64>) -> Result<i64, Wrong> {
    match micros {
        Some(micros) if DAYS.contains(&micros.div_euclid(DAY)) => Ok(micros),
        _ => Err(Wrong::Value("the time is not in the years 1 to 9999".to_owned())),
    }
}

/// Days since the last one that weeks begin on.
fn into_week(day: i64, begins: Weekday) -> i64 {
    // 1970-01-01 was a Thursday.
    let monday = (day + 3).rem_euclid(7);
    (monday - i64::from(begins.num_days_from_monday())).rem_euclid(7)
}

/// The first day of the unit that a day is in.
pub(super) fn first_day(day: i64, unit: Unit) -> Result<i64, Wrong> {
    let first = match unit {
        Unit::Day => day,
        Unit::Week(begins) => day - into_week(day, begins),
        Unit::IsoWeek => day - into_week(day, Weekday::Mon),
        Unit::Month => day - i64::from(date(day)?.day0()),
        Unit::Quarter => {
            let date = date(day)?;
            day_ymd(i64::from(date.year()), i64::from(date.month0() / 3 * 3 + 1), 1)?
        }
        Unit::Year => day - i64::from(date(day)?.ordinal0()),
        Unit::IsoYear => {
            let week = date(day)?.iso_week();
            day - into_week(day, Weekday::Mon) - 7 * i64::from(week.week0())
        }
        Unit::Micros(_) | Unit::DayOfWeek | Unit::DayOfYear => return Err(no_unit("a date")),
    };
    checked_day(Some(first)).map(i64::from)
}

/// Boundaries of a unit between two days.
pub(super) fn boundaries(end: i64, start: i64, unit: Unit) -> Result<i64, Wrong> {
    let months = |day| date(day).map(|d| i64::from(d.year()) * 12 + i64::from(d.month0()));
    Ok(match unit {
        Unit::Day => end - start,
        Unit::Week(_) | Unit::IsoWeek => {
            // The week that a day is in may begin before the year 1: only the difference counts.
            let begins = if let Unit::Week(day) = unit { day } else { Weekday::Mon };
            ((end - into_week(end, begins)) - (start - into_week(start, begins))) / 7
        }
        Unit::Month => months(end)? - months(start)?,
        Unit::Quarter => months(end)?.div_euclid(3) - months(start)?.div_euclid(3),
        Unit::Year => i64::from(date(end)?.year()) - i64::from(date(start)?.year()),
        Unit::IsoYear => {
            i64::from(date(end)?.iso_week().year()) - i64::from(date(start)?.iso_week().year())
        }
        Unit::Micros(_) | Unit::DayOfWeek | Unit::DayOfYear => return Err(no_unit("DATE_DIFF")),
    })
}

/// A day and so many units more; the last day of the month where the month has no such day.
pub(super) fn add(day: i64, number: i64, unit: Unit) -> Result<i32, Wrong> {
    let months = match unit {
        Unit::Day => return checked_day(day.checked_add(number)),
        Unit::Week(Weekday::Sun) => {
            return checked_day(number.checked_mul(7).and_then(|days| day.checked_add(days)));
        }
        Unit::Month => Some(number),
        Unit::Quarter => number.checked_mul(3),
        Unit::Year => number.checked_mul(12),
        _ => return Err(no_unit("what is added to or subtracted from a day")),
    };
    let date = date(day)?;
    let month = i64::from(date.year()) * 12 + i64::from(date.month0());
    let month = months.and_then(|months| month.checked_add(months));
    let month = month.filter(|month| (12..12 * 10_000).contains(month));
    let Some(month) = month else { return checked_day(None) };
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
    let in_month = (28..=i64::from(date.day())).rev();
    let day =
        in_month.chain([i64::from(date.day())]).find_map(|day| day_ymd(year, month, day).ok());
    checked_day(day)
}

/// A part of a day, as EXTRACT gives it.
pub(super) fn part(day: i64, unit: Unit) -> Result<i64, Wrong> {
    let date = date(day)?;
    Ok(match unit {
        Unit::Day => i64::from(date.day()),
        Unit::Week(begins) => (i64::from(date.ordinal0()) + 7 - into_week(day, begins)) / 7,
        Unit::IsoWeek => i64::from(date.iso_week().week()),
        Unit::Month => i64::from(date.month()),
        Unit::Quarter => i64::from(date.month0() / 3 + 1),
        Unit::Year => i64::from(date.year()),
        Unit::IsoYear => i64::from(date.iso_week().year()),
        Unit::DayOfWeek => into_week(day, Weekday::Sun) + 1,
        Unit::DayOfYear => i64::from(date.ordinal()),
        Unit::Micros(_) => return Err(no_unit("EXTRACT from a date")),
    })
}

/// What is said of a unit that a function does not take.
pub(super) fn no_unit(what: &str) -> Wrong {
    Wrong::Value(format!("{what} does not take this unit"))
}

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Zone {
    /// Seconds east of Greenwich.
    Fixed(i64),
    /// A zone of the tz database.
    Named(Tz),
}

impl Zone {
    /// The zone that BigQuery takes where none is named.
    pub(super) const UTC: Self = Self::Fixed(0);

    /// A zone by its name, or an offset such as `-08:00`.
    pub(super) fn of(name: &str) -> Result<Self, Wrong> {
        let unknown = || Wrong::Value(format!("`{name}` is no time zone"));
        if name == "UTC" {
            return Ok(Self::UTC);
        }
        if !name.starts_with(['+', '-']) {
            return Tz::from_str(name).map(Self::Named).map_err(|_| unknown());
        }
        Self::offset(name).map(Self::Fixed).ok_or_else(unknown)
    }

    /// `{+|-}H[H][:M[M]]`
    fn offset(text: &str) -> Option<i64> {
        let (hours, minutes) = text[1..].split_once(':').unwrap_or((&text[1..], "0"));
        let number = |digits: &str, most: i64| {
            let fits =
                (1..=2).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse::<i64>().ok().filter(|number| fits && *number <= most)
        };
        // No clocks are farther from UTC than 14 hours.
        let seconds: i64 = number(hours, 14)? * 3_600 + number(minutes, 59)? * 60;
        let signed = if text.starts_with('-') { -seconds } else { seconds };
        (seconds <= 14 * 3_600).then_some(signed)
    }

    /// How far its clocks are before UTC at an instant, in microseconds.
    pub(super) fn ahead(self, micros: i64) -> Result<i64, Wrong> {
        match self {
            Self::Fixed(seconds) => Ok(seconds * SECOND),
            Self::Named(zone) => {
                let utc = naive(micros)?;
                Ok(i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc()) * SECOND)
            }
        }
    }

    /// The instant that its clocks show a time at: the first, where they show it twice. Where they are put forward
    /// over it, the one at which they would show it had they not been (data-types, time zones).
    pub(super) fn instant(self, local: i64) -> Result<i64, Wrong> {
        let Self::Named(zone) = self else {
            return checked_instant(local.checked_sub(self.ahead(local)?));
        };
        let offset = match zone.offset_from_local_datetime(&naive(local)?) {
            LocalResult::Single(offset) => offset.fix(),
            LocalResult::Ambiguous(one, other) => {
                let (one, other) = (one.fix(), other.fix());
                if one.local_minus_utc() > other.local_minus_utc() { one } else { other }
            }
            LocalResult::None => zone.offset_from_utc_datetime(&naive(local - DAY)?).fix(),
        };
        checked_instant(Some(local - i64::from(offset.local_minus_utc()) * SECOND))
    }
}

fn naive(micros: i64) -> Result<chrono::NaiveDateTime, Wrong> {
    let time = DateTime::from_timestamp_micros(micros).map(|time| time.naive_utc());
    time.ok_or_else(|| {
        Wrong::Value(format!("{micros} microseconds since 1970 are in no year known"))
    })
}
