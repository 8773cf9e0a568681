//! FORMAT_DATE and FORMAT_TIMESTAMP.

use chrono::{Datelike, NaiveDate, Weekday};

use super::calendar::{DAY, SECOND, Unit, Zone, date, part};
use super::casts::clock_text;
use super::scalar::Wrong;

/// What an element is made of.
struct Moment {
    day: i64,
    date: NaiveDate,
    /// The clock, where the value has one.
    clock: Option<Clock>,
}

struct Clock {
    micros: i64,
    of_day: i64,
    ahead: i64,
    zone: Zone,
}

/// A date by a format.
pub(super) fn format_date(form: &str, day: i64) -> Result<String, Wrong> {
    format(form, &Moment { day, date: date(day)?, clock: None })
}

/// A timestamp by a format, as the clocks of a zone show it.
pub(super) fn format_time(form: &str, micros: i64, zone: Zone) -> Result<String, Wrong> {
    let ahead = zone.ahead(micros)?;
    let local = micros + ahead;
    let day = local.div_euclid(DAY);
    let clock = Clock { micros, of_day: local.rem_euclid(DAY), ahead, zone };
    format(form, &Moment { day, date: date(day)?, clock: Some(clock) })
}

fn format(form: &str, moment: &Moment) -> Result<String, Wrong> {
    let mut out = String::with_capacity(form.len() * 2);
    let mut rest = form;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let length = match rest.as_bytes() {
            [b'E', b'0'..=b'9', b'S' | b'Y', ..] | [b'E', b'*', b'S', ..] => 3,
            [b'E', b'z', ..] => 2,
            [first, ..] if first.is_ascii() => 1,
            _ => return Err(Wrong::Value(format!("`{form}` has a `%` without an element"))),
        };
        let (name, behind) = rest.split_at(length);
        let text = element(name, moment)?.ok_or_else(|| {
            let of = if moment.clock.is_some() { "FORMAT_TIMESTAMP" } else { "FORMAT_DATE" };
            Wrong::Here(format!("`%{name}` is no format element that {of} knows here"))
        })?;
        out.push_str(&text);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

fn element(name: &str, moment: &Moment) -> Result<Option<String>, Wrong> {
    let date = &moment.date;
    let several = |form: &str| format(form, moment).map(Some);
    let year = date.year();
    let iso = date.iso_week();
    Ok(Some(match name {
        "%" => "%".to_owned(),
        "n" => "\n".to_owned(),
        "t" => "\t".to_owned(),
        "A" => date.format("%A").to_string(),
        "a" => date.format("%a").to_string(),
        "B" => date.format("%B").to_string(),
        "b" | "h" => date.format("%b").to_string(),
        "C" => format!("{:02}", year / 100),
        "D" | "x" => return several("%m/%d/%y"),
        "d" => format!("{:02}", date.day()),
        "e" => format!("{:2}", date.day()),
        "F" => return several("%Y-%m-%d"),
        "G" => iso.year().to_string(),
        "g" => format!("{:02}", iso.year().rem_euclid(100)),
        "j" => format!("{:03}", date.ordinal()),
        "m" => format!("{:02}", date.month()),
        "Q" => (date.month0() / 3 + 1).to_string(),
        "U" => format!("{:02}", part(moment.day, Unit::Week(Weekday::Sun))?),
        "u" => date.weekday().number_from_monday().to_string(),
        "V" => format!("{:02}", iso.week()),
        "W" => format!("{:02}", part(moment.day, Unit::Week(Weekday::Mon))?),
        "w" => date.weekday().num_days_from_sunday().to_string(),
        "Y" => year.to_string(),
        "E4Y" => format!("{year:04}"),
        "y" => format!("{:02}", year.rem_euclid(100)),
        "c" if moment.clock.is_some() => return several("%a %b %e %T %Y"),
        "R" if moment.clock.is_some() => return several("%H:%M"),
        name => return Ok(moment.clock.as_ref().and_then(|clock| of_clock(name, clock))),
    }))
}

fn of_clock(name: &str, clock: &Clock) -> Option<String> {
    let seconds = clock.of_day / SECOND;
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    let fraction = clock.of_day % SECOND;
    let minutes = clock.ahead.abs() / SECOND / 60;
    let sign = if clock.ahead < 0 { '-' } else { '+' };
    Some(match name {
        "H" => format!("{hour:02}"),
        "I" => format!("{twelve:02}"),
        "k" => format!("{hour:2}"),
        "l" => format!("{twelve:2}"),
        "M" => format!("{minute:02}"),
        "P" => if hour < 12 { "am" } else { "pm" }.to_owned(),
        "p" => if hour < 12 { "AM" } else { "PM" }.to_owned(),
        "S" => format!("{second:02}"),
        "s" => clock.micros.div_euclid(SECOND).to_string(),
        "T" | "X" => clock_text(clock.of_day),
        // Abbreviations of other zones are not written down anywhere.
        "Z" if clock.zone == Zone::UTC => "UTC".to_owned(),
        "z" => format!("{sign}{:02}{:02}", minutes / 60, minutes % 60),
        "Ez" => format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60),
        "E*S" if fraction == 0 => format!("{second:02}"),
        "E*S" => {
            let digits = format!("{fraction:06}");
            format!("{second:02}.{}", digits.trim_end_matches('0'))
        }
        digits => {
            let count: usize = digits.strip_prefix('E')?.strip_suffix('S')?.parse().ok()?;
            match count {
                0 => format!("{second:02}"),
                // Microseconds are all there is.
                1..=6 => {
                    let all = format!("{fraction:06}");
                    format!("{second:02}.{}", &all[..count])
                }
                _ => return None,
            }
        }
    })
}
