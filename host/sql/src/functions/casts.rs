//! Conversions, as CAST has them.

use super::calendar::{DAY, SECOND, Zone, date, day_ymd};
use super::cells::{Bool, Bytes, Civil, Clocks, Date, Day, Float, Instant, Int, Text, Time};
use super::kind::Kind;
use super::numeric;
use super::scalar::{Cell, Form, Named, Wrong, map1};

// What CAST and CONCAT make a text of in the same way.
const TEXT_AS_IT_IS: Form = Form::new(&[Kind::Text], Kind::Text, |a, _| Ok(a[0].clone()));
const INT_AS_TEXT: Form = Form::new(&[Kind::Int], Kind::Text, |a, safe| {
    map1::<Int, String>(a, safe, |number| Ok(Some(number.to_string())))
});
const BOOL_AS_TEXT: Form = Form::new(&[Kind::Bool], Kind::Text, |a, safe| {
    map1::<Bool, String>(a, safe, |truth| Ok(Some(truth.to_string())))
});
const DATE_AS_TEXT: Form = Form::new(&[Kind::Date], Kind::Text, |a, safe| {
    map1::<Date, String>(a, safe, |day| date_text(i64::from(day)).map(Some))
});
const TIME_AS_TEXT: Form = Form::new(&[Kind::Time], Kind::Text, |a, safe| {
    map1::<Time, String>(a, safe, |micros| time_text(micros, Zone::UTC).map(Some))
});

/// The day that clocks show.
pub(super) const DAY_OF_CLOCKS: Form = Form::new(&[Kind::Civil], Kind::Date, |a, safe| {
    map1::<Civil, Day>(a, safe, |micros| Ok(Some(Day(micros.div_euclid(DAY) as i32))))
});
/// The instant at which clocks of UTC show that.
pub(super) const TIME_OF_CLOCKS: Form = Form::new(&[Kind::Civil], Kind::Time, |a, safe| {
    map1::<Civil, Instant>(a, safe, |micros| Ok(Some(Instant(micros))))
});
/// What clocks show at the beginning of a day.
pub(super) const CLOCKS_OF_DAY: Form = Form::new(&[Kind::Date], Kind::Civil, |a, safe| {
    map1::<Date, Clocks>(a, safe, |day| Ok(Some(Clocks(i64::from(day) * DAY))))
});
/// What clocks of UTC show at an instant.
pub(super) const CLOCKS_OF_TIME: Form = Form::new(&[Kind::Time], Kind::Civil, |a, safe| {
    map1::<Time, Clocks>(a, safe, |micros| Ok(Some(Clocks(micros))))
});

/// All of them.
pub(super) static ALL: &[Named] = &[
    Named(
        "cast_int64",
        &[
            Form::new(&[Kind::Int], Kind::Int, |a, _| Ok(a[0].clone())),
            Form::new(&[Kind::Float], Kind::Int, |a, safe| map1::<Float, i64>(a, safe, whole)),
            numeric::AS_INT,
            Form::new(&[Kind::Bool], Kind::Int, |a, safe| {
                map1::<Bool, i64>(a, safe, |truth| Ok(Some(i64::from(truth))))
            }),
            Form::new(&[Kind::Text], Kind::Int, |a, safe| map1::<Text, i64>(a, safe, integer)),
        ],
    ),
    Named(
        "cast_float64",
        &[
            Form::new(&[Kind::Float], Kind::Float, |a, _| Ok(a[0].clone())),
            Form::new(&[Kind::Int], Kind::Float, |a, safe| {
                map1::<Int, f64>(a, safe, |number| Ok(Some(number as f64)))
            }),
            numeric::AS_FLOAT,
            Form::new(&[Kind::Text], Kind::Float, |a, safe| map1::<Text, f64>(a, safe, float)),
        ],
    ),
    Named(
        "cast_bool",
        &[
            Form::new(&[Kind::Bool], Kind::Bool, |a, _| Ok(a[0].clone())),
            Form::new(&[Kind::Int], Kind::Bool, |a, safe| {
                map1::<Int, bool>(a, safe, |number| Ok(Some(number != 0)))
            }),
            Form::new(&[Kind::Text], Kind::Bool, |a, safe| map1::<Text, bool>(a, safe, truth)),
        ],
    ),
    Named(
        "cast_string",
        &[
            TEXT_AS_IT_IS,
            INT_AS_TEXT,
            BOOL_AS_TEXT,
            DATE_AS_TEXT,
            TIME_AS_TEXT,
            Form::new(&[Kind::Bytes], Kind::Text, |a, safe| {
                map1::<Bytes, String>(a, safe, |bytes| match std::str::from_utf8(bytes) {
                    Ok(text) => Ok(Some(text.to_owned())),
                    Err(error) => Err(Wrong::Value(format!("these bytes are no UTF-8: {error}"))),
                })
            }),
        ],
    ),
    // What CONCAT makes of its arguments.
    Named("concat_part", &[TEXT_AS_IT_IS, INT_AS_TEXT, BOOL_AS_TEXT, DATE_AS_TEXT, TIME_AS_TEXT]),
    // A quantile, of the type of what it is taken of.
    Named(
        "quantile_of",
        &[
            Form::new(&[Kind::Float, Kind::Int], Kind::Int, |a, safe| {
                map1::<Float, i64>(a, safe, whole)
            }),
            Form::new(&[Kind::Float, Kind::Float], Kind::Float, |a, _| Ok(a[0].clone())),
        ],
    ),
    // What an argument must be, where DataFusion would make it so.
    Named("float_of", &[Form::new(&[Kind::Float], Kind::Float, |a, _| Ok(a[0].clone()))]),
    Named("text_of", &[TEXT_AS_IT_IS]),
    Named("bool_of", &[Form::new(&[Kind::Bool], Kind::Bool, |a, _| Ok(a[0].clone()))]),
    Named(
        "cast_bytes",
        &[
            Form::new(&[Kind::Bytes], Kind::Bytes, |a, _| Ok(a[0].clone())),
            Form::new(&[Kind::Text], Kind::Bytes, |a, safe| {
                map1::<Text, Vec<u8>>(a, safe, |text| Ok(Some(text.as_bytes().to_vec())))
            }),
        ],
    ),
    Named(
        "cast_date",
        &[
            Form::new(&[Kind::Date], Kind::Date, |a, _| Ok(a[0].clone())),
            Form::new(&[Kind::Time], Kind::Date, |a, safe| {
                map1::<Time, Day>(a, safe, |micros| Ok(Some(Day(micros.div_euclid(DAY) as i32))))
            }),
            DAY_OF_CLOCKS,
            Form::new(&[Kind::Text], Kind::Date, |a, safe| {
                map1::<Text, Day>(a, safe, |text| match read_date(text)? {
                    (day, "") => Ok(Some(Day(day as i32))),
                    _ => Err(no_date(text)),
                })
            }),
        ],
    ),
    Named(
        "cast_datetime",
        &[
            Form::new(&[Kind::Civil], Kind::Civil, |a, _| Ok(a[0].clone())),
            CLOCKS_OF_DAY,
            CLOCKS_OF_TIME,
            Form::new(&[Kind::Text], Kind::Civil, |a, safe| {
                map1::<Text, Clocks>(a, safe, |text| match read_time(text, Some(Zone::UTC)) {
                    Ok(micros) => Ok(Some(Clocks(micros))),
                    Err(_) => Err(Wrong::Value(format!(
                        "`{text}` is no datetime as YYYY-MM-DD HH:MM:SS.FFFFFF, without a zone"
                    ))),
                })
            }),
        ],
    ),
    Named(
        "cast_timestamp",
        &[
            Form::new(&[Kind::Time], Kind::Time, |a, _| Ok(a[0].clone())),
            Form::new(&[Kind::Date], Kind::Time, |a, safe| {
                map1::<Date, Instant>(a, safe, |day| Ok(Some(Instant(i64::from(day) * DAY))))
            }),
            TIME_OF_CLOCKS,
            Form::new(&[Kind::Text], Kind::Time, |a, safe| {
                map1::<Text, Instant>(a, safe, |text| {
                    read_time(text, None).map(|micros| Some(Instant(micros)))
                })
            }),
        ],
    ),
];

/// Halves are rounded away from zero.
fn whole(number: f64) -> Cell<i64> {
    let rounded = number.round();
    // 2^63 is a number of both types' sizes; the largest INT64 is not a FLOAT64.
    if (-9_223_372_036_854_775_808.0..9_223_372_036_854_775_808.0).contains(&rounded) {
        Ok(Some(rounded as i64))
    } else {
        Err(Wrong::Value(format!("{number} is no INT64")))
    }
}

fn integer(text: &str) -> Cell<i64> {
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) if text.starts_with('-') => ("-", digits),
        Some(digits) => ("", digits),
        None => ("", text),
    };
    let (radix, digits) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(digits) => (16, digits),
        None => (10, digits),
    };
    let plain = !digits.starts_with(['+', '-']);
    let number = i64::from_str_radix(&format!("{sign}{digits}"), radix).ok();
    match number.filter(|_| plain) {
        Some(number) => Ok(Some(number)),
        None => Err(Wrong::no_number(text, "INT64")),
    }
}

fn float(text: &str) -> Cell<f64> {
    let number = text.parse::<f64>().ok();
    // What is too large for the type is read as infinite.
    let named = !text.bytes().any(|byte| byte.is_ascii_digit());
    match number {
        Some(number) if number.is_finite() || named => Ok(Some(number)),
        Some(_) => Err(Wrong::Here(format!("`{text}` is no FLOAT64: it is too large"))),
        None => Err(Wrong::no_number(text, "FLOAT64")),
    }
}

fn truth(text: &str) -> Cell<bool> {
    match text {
        _ if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
        _ if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
        _ => Err(Wrong::Value(format!("`{text}` is no BOOL, wanted true or false"))),
    }
}

/// A day as text.
pub(super) fn date_text(day: i64) -> Result<String, Wrong> {
    Ok(date(day)?.format("%Y-%m-%d").to_string())
}

/// An instant as text, with none, three or six digits of fractions, and the offset of a zone.
pub(super) fn time_text(micros: i64, zone: Zone) -> Result<String, Wrong> {
    let ahead = zone.ahead(micros)?;
    let local = micros + ahead;
    let day = date_text(local.div_euclid(DAY))?;
    let time = clock_text(local.rem_euclid(DAY));
    let fraction = match local.rem_euclid(SECOND) {
        0 => String::new(),
        fraction if fraction % 1_000 == 0 => format!(".{:03}", fraction / 1_000),
        fraction => format!(".{fraction:06}"),
    };
    let minutes = (ahead / SECOND / 60).abs();
    let sign = if ahead < 0 { '-' } else { '+' };
    let offset = match minutes % 60 {
        0 => format!("{sign}{:02}", minutes / 60),
        part => format!("{sign}{:02}:{part:02}", minutes / 60),
    };
    Ok(format!("{day} {time}{fraction}{offset}"))
}

/// Hours, minutes and seconds of microseconds since midnight.
pub(super) fn clock_text(of_day: i64) -> String {
    let seconds = of_day / SECOND;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

fn no_date(text: &str) -> Wrong {
    Wrong::Value(format!("`{text}` is no date as YYYY-MM-DD"))
}

fn no_time(text: &str) -> Wrong {
    Wrong::Value(format!("`{text}` is no timestamp as YYYY-MM-DD HH:MM:SS.FFFFFF+HH:MM"))
}

/// Digits at the beginning of a text, at least and at most so many.
fn digits(text: &str, least: usize, most: usize) -> Option<(i64, &str)> {
    let count = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    let number = text[..count].parse().ok().filter(|_| count >= least)?;
    Some((number, &text[count..]))
}

/// `YYYY-[M]M-[D]D`, and what follows it.
fn read_date(text: &str) -> Result<(i64, &str), Wrong> {
    let parts = || {
        let (year, rest) = digits(text, 4, 4)?;
        let (month, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
        let (day, rest) = digits(rest.strip_prefix('-')?, 1, 2)?;
        Some((year, month, day, rest))
    };
    let (year, month, day, rest) = parts().ok_or_else(|| no_date(text))?;
    Ok((day_ymd(year, month, day)?, rest))
}

/// A date, and if any a time and a zone. A zone must not be there twice.
pub(super) fn read_time(text: &str, zone: Option<Zone>) -> Result<i64, Wrong> {
    let wrong = || no_time(text);
    let (day, rest) = read_date(text).map_err(|_| wrong())?;
    let (mut of_day, mut rest) = (0, rest);
    let mut has_time = false;
    if let Some(time) = rest.strip_prefix([' ', 'T', 't'])
        && time.starts_with(|c: char| c.is_ascii_digit())
    {
        let parts = || {
            let (hour, rest) = digits(time, 1, 2).filter(|(hour, _)| *hour < 24)?;
            let (minute, rest) = digits(rest.strip_prefix(':')?, 1, 2).filter(|(m, _)| *m < 60)?;
            let (second, rest) = digits(rest.strip_prefix(':')?, 1, 2).filter(|(s, _)| *s < 60)?;
            Some(((hour * 60 + minute) * 60 + second, rest))
        };
        let (seconds, behind) = parts().ok_or_else(wrong)?;
        has_time = true;
        of_day = seconds * SECOND;
        rest = behind;
        if let Some(fraction) = behind.strip_prefix('.') {
            let count = fraction.bytes().take_while(u8::is_ascii_digit).count();
            let (number, behind) = digits(fraction, 1, 6).ok_or_else(wrong)?;
            if count > 6 {
                return Err(wrong());
            }
            of_day += number * 10i64.pow(6 - count as u32);
            rest = behind;
        }
    }
    let named = match rest {
        "" => None,
        // A zone stands behind a time of day.
        _ if !has_time => return Err(wrong()),
        "Z" | "z" => Some(Zone::UTC),
        offset if offset.starts_with(['+', '-']) => Some(Zone::of(offset).map_err(|_| wrong())?),
        name => {
            let name = name.strip_prefix(' ').filter(|name| !name.starts_with(['+', '-', ' ']));
            Some(Zone::of(name.ok_or_else(wrong)?)?)
        }
    };
    if named.is_some() && zone.is_some() {
        return Err(Wrong::Value(format!("`{text}` has a time zone, and another is named")));
    }
    named.or(zone).unwrap_or(Zone::UTC).instant(day * DAY + of_day)
}
