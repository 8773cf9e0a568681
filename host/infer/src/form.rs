//! What a text may be read as: the common spellings that `parse` reads too, and no others. What is in doubt is
//! text.

/// What a text may be read as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// A word that stands for nothing: `NA`, `null`, `-`.
    Nothing,
    /// A word that is true or false.
    Boolean,
    /// A whole number of 64 bits.
    Integer,
    /// An exact number of at most 29 digits before the point and 9 behind it.
    Decimal,
    /// Another number.
    Float,
    /// Digits around an `E`: a number, or the code of something, as of a lot `12E3`.
    Coded,
    Date,
    Time,
    /// A date and a time of day in no zone.
    Datetime,
    /// A date and a time of day with an offset.
    Timestamp,
    /// A date and a time of day with the name of a time zone, whose offset nobody here knows: `… CET`.
    NamedZone,
    /// Digits with a zero first, which a number loses.
    Zeros,
    /// A date whose day and month can be told only by who wrote it: `03/04/2026`, `3.4.26`.
    LocalDate,
    /// A number with a comma in it: `1.234,50`.
    CommaNumber,
    Text,
}

/// Words that stand for nothing, in small letters.
const NOTHING: [&str; 12] =
    ["na", "n/a", "#n/a", "null", "none", "nil", "nan", "-", "--", "?", "\\n", "unknown"];

/// Words that are true or false, in small letters, by families.
const BOOLEANS: [[&str; 2]; 4] = [["true", "false"], ["yes", "no"], ["t", "f"], ["y", "n"]];

/// The family of a truth value, and whether it is true.
pub(crate) fn boolean(text: &str) -> Option<(usize, bool)> {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    let family = BOOLEANS.iter().position(|words| words.iter().any(|word| is(word)))?;
    Some((family, is(BOOLEANS[family][0])))
}

pub(crate) fn form(text: &str) -> Form {
    let text = text.trim_ascii();
    if NOTHING.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        Form::Nothing
    } else if boolean(text).is_some() {
        Form::Boolean
    } else {
        number(text).or_else(|| moment(text)).or_else(|| local(text)).unwrap_or(Form::Text)
    }
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The digits of a number from the first on that is not zero, without those of its exponent.
pub(crate) fn significant_digits(text: &str) -> usize {
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let digits = mantissa.bytes().filter(u8::is_ascii_digit);
    digits.skip_while(|digit| *digit == b'0').count()
}

/// The digits behind the point of a number.
pub(crate) fn fraction_digits(text: &str) -> usize {
    text.split_once('.').map_or(0, |(_, fraction)| fraction.trim_ascii_end().len())
}

/// Whether a moment has digits beyond microseconds.
pub(crate) fn is_beyond_micros(text: &str) -> bool {
    const MICROS: usize = 6;
    let fraction = text.split_once('.').map_or("", |(_, fraction)| fraction);
    let mut digits = fraction.bytes().take_while(u8::is_ascii_digit).skip(MICROS);
    digits.any(|digit| digit != b'0')
}

/// Whether a number may have a point between thousands, as `1.234`.
pub(crate) fn may_be_grouped(text: &str) -> bool {
    let text = text.trim_ascii();
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    unsigned.split_once('.').is_some_and(|(thousands, rest)| {
        is_digits(thousands)
            && thousands.len() <= 3
            && !thousands.starts_with('0')
            && is_digits(rest)
            && rest.len() == 3
    })
}

/// Whether a whole number has no thousands.
pub(crate) fn is_below_thousand(text: &str) -> bool {
    let text = text.trim_ascii();
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    is_digits(unsigned) && unsigned.len() <= 3
}

fn number(text: &str) -> Option<Form> {
    const BEFORE_POINT: usize = 29;
    const BEHIND_POINT: usize = 9;
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    if is_digits(whole) && fraction.is_none_or(is_digits) {
        if whole.len() > 1 && whole.starts_with('0') {
            return Some(Form::Zeros);
        }
        return Some(match fraction {
            None if text.parse::<i64>().is_ok() => Form::Integer,
            None if whole.len() <= BEFORE_POINT => Form::Decimal,
            // Digits that no number keeps.
            None => Form::Text,
            Some(fraction) if whole.len() <= BEFORE_POINT && fraction.len() <= BEHIND_POINT => {
                Form::Decimal
            }
            Some(_) => Form::Float,
        });
    }
    let (mantissa, exponent) = unsigned.split_once(['e', 'E'])?;
    let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
    let mantissa: String = mantissa.splitn(2, '.').collect();
    let is_number = is_digits(&mantissa) && is_digits(exponent);
    let is_kept = |number: f64| {
        number.is_finite() && (number != 0.0 || mantissa.bytes().all(|digit| digit == b'0'))
    };
    if !is_number || !text.parse().is_ok_and(is_kept) {
        return None;
    }
    let is_coded = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    Some(if is_coded { Form::Coded } else { Form::Float })
}

/// One or two digits at the start of a text as a number, and the rest.
fn two(text: &str) -> Option<(u32, &str)> {
    let count = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(count);
    Some((digits.parse().ok()?, rest))
}

/// The rest of a text that begins with a day of the calendar, its year first.
fn date(text: &str) -> Option<&str> {
    let (year, rest) = text.split_at_checked(4)?;
    let separator = rest.chars().next().filter(|c| matches!(c, '-' | '/'))?;
    let year: u32 = year.parse().ok().filter(|year| *year > 0)?;
    let (month, rest) = two(&rest[1..])?;
    let (day, rest) = two(rest.strip_prefix(separator)?)?;
    is_day(year, month, day).then_some(rest)
}

fn is_day(year: u32, month: u32, day: u32) -> bool {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// Whether a text is a day as eight digits.
pub(crate) fn is_compact_date(text: &str) -> bool {
    let digits = (text.len() == 8 && is_digits(text)).then_some(text);
    digits.is_some_and(|text| {
        let part = |range: std::ops::Range<usize>| text[range].parse::<u32>().unwrap_or_default();
        (1900..2100).contains(&part(0..4)) && is_day(part(0..4), part(4..6), part(6..8))
    })
}

/// The rest of a text that begins with a time of day.
fn time(text: &str) -> Option<&str> {
    let (hours, rest) = two(text)?;
    let (minutes, rest) = two(rest.strip_prefix(':')?)?;
    let (seconds, rest) = match rest.strip_prefix(':') {
        Some(rest) => two(rest)?,
        None => (0, rest),
    };
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let rest = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
            (1..=9).contains(&(fraction.len() - rest.len())).then_some(rest)?
        }
        None => rest,
    };
    (hours <= 23 && minutes <= 59 && seconds <= 59).then_some(rest)
}

/// Whether a text is the zone of a time, as `parse` reads it: an offset, or a name of UTC behind a space.
fn is_zone(text: &str) -> bool {
    const UTC: [&str; 7] = ["UTC", "GMT", "Z", "Etc/UTC", "Etc/GMT", "Universal", "Zulu"];
    if matches!(text, "Z" | "z") {
        return true;
    }
    let behind_space = text.strip_prefix(' ');
    if behind_space.is_some_and(|name| UTC.iter().any(|utc| utc.eq_ignore_ascii_case(name))) {
        return true;
    }
    let offset = behind_space.unwrap_or(text).strip_prefix(['+', '-']);
    let Some((hours, rest)) = offset.and_then(two) else { return false };
    let minutes = rest.strip_prefix(':').unwrap_or(rest);
    let is_minutes = minutes.len() == 2
        && two(minutes).is_some_and(|(minutes, rest)| rest.is_empty() && minutes <= 59);
    hours < 15 && (rest.is_empty() || is_minutes)
}

/// Whether a text may be the name of a time zone behind a time: ` CET`, ` Europe/Berlin`.
fn is_named_zone(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '_');
    let is_short =
        |name: &str| (3..=5).contains(&name.len()) && name.bytes().all(|c| c.is_ascii_uppercase());
    text.strip_prefix(' ')
        .is_some_and(|name| is_short(name) || (name.contains('/') && name.chars().all(is_part)))
}

fn moment(text: &str) -> Option<Form> {
    let Some(rest) = date(text) else {
        return time(text).filter(|rest| rest.is_empty()).map(|_| Form::Time);
    };
    if rest.is_empty() {
        return Some(Form::Date);
    }
    let zone = time(rest.strip_prefix(['T', 't', ' '])?)?;
    if zone.is_empty() {
        Some(Form::Datetime)
    } else if is_zone(zone) {
        Some(Form::Timestamp)
    } else {
        is_named_zone(zone).then_some(Form::NamedZone)
    }
}

/// The parts of a date of some countries, its year last.
fn local_date(text: &str) -> Option<[&str; 3]> {
    let parts: Vec<&str> = text.split([' ', 'T']).next()?.split(['/', '.', '-']).collect();
    let [first, second, year] = parts[..] else { return None };
    let is_date = [first, second].iter().all(|part| part.len() <= 2 && is_digits(part))
        && matches!(year.len(), 2 | 4)
        && is_digits(year);
    is_date.then_some([first, second, year])
}

/// How dates of some countries are written, as far as they show it.
#[derive(Debug, Default)]
pub(crate) struct LocalDates {
    /// What stands between the parts of the first, and how many digits its year has.
    written: Option<(char, usize)>,
    has_day_first: bool,
    has_month_first: bool,
}

impl LocalDates {
    pub(crate) fn add(&mut self, text: &str) {
        const MONTHS: u32 = 12;
        const DAYS: u32 = 31;
        let Some(parts) = local_date(text) else { return };
        let Some(separator) = text.chars().find(|c| !c.is_ascii_digit()) else { return };
        self.written.get_or_insert((separator, parts[2].len()));
        let [first, second, year] = parts.map(|part| part.parse::<u32>().unwrap_or_default());
        // `26/12/31` may have its year first, but for the points of those who begin with the day.
        let is_year_last = year > DAYS || separator == '.';
        self.has_day_first |=
            (MONTHS + 1..=DAYS).contains(&first) && second <= MONTHS && is_year_last;
        self.has_month_first |= (MONTHS + 1..=DAYS).contains(&second) && first <= MONTHS;
    }

    /// Why they are no dates of a table, with a date that nobody gave, written as they are.
    pub(crate) fn why(&self) -> String {
        let (separator, digits) = self.written.unwrap_or(('/', 4));
        let year = &"2026"[4 - digits..];
        let date =
            |first: &str, second: &str| format!("`{first}{separator}{second}{separator}{year}`");
        match (self.has_day_first, self.has_month_first) {
            (true, false) => format!("such as {}, whose day comes first", date("31", "12")),
            (false, true) => format!("such as {}, whose month comes first", date("12", "31")),
            (true, true) => format!(
                "such as {}, some with the day first and some with the month",
                date("31", "12")
            ),
            (false, false) => {
                let parts = if digits == 4 { "day from month" } else { "day, month and year" };
                format!("such as {}, of which nobody can tell {parts}", date("03", "04"))
            }
        }
    }
}

/// What is a date or a number to people of some countries.
fn local(text: &str) -> Option<Form> {
    if local_date(text).is_some() {
        return Some(Form::LocalDate);
    }
    let unsigned = text.trim_start_matches('-');
    let is_part = |byte: u8| byte.is_ascii_digit() || matches!(byte, b',' | b'.' | b' ' | b'\'');
    let is_number = unsigned.starts_with(|c: char| c.is_ascii_digit())
        && unsigned.contains(',')
        && unsigned.bytes().all(is_part);
    is_number.then_some(Form::CommaNumber)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_spellings_are_told_and_what_is_in_doubt_is_text() {
        for (wanted, texts) in [
            (Form::Nothing, &["NA", "n/a", "NULL", "-"][..]),
            (Form::Boolean, &["true", "No", "t", "Y"]),
            (Form::Integer, &["0", "-7", "9223372036854775807"]),
            (
                Form::Decimal,
                &["0.10", "-12.5", "9223372036854775808", "12345678901234567890123456789"],
            ),
            (Form::Float, &["1e+3", "-1e3", "-1.5E-7", "0.1234567891", "0e-400"]),
            (Form::Coded, &["1e3", "12E3", "2E02"]),
            (Form::Date, &["2026-02-28", "2024-2-29", "2026/12/01"]),
            (Form::Time, &["23:59", "8:05:01", "08:05:01.250"]),
            (
                Form::Datetime,
                &["2026-01-05T10:00", "2026-1-5 3:04:05", "2026-01-05 10:00:00.123456"],
            ),
            (
                Form::Timestamp,
                &[
                    "2026-01-05T10:00:00Z",
                    "2026-01-05 10:00:00 UTC",
                    "2026-01-05T10:00:00+01:00",
                    "2026-01-05 10:00:00+01",
                    "2026-01-05 10:00:00+1:30",
                    "2026-01-05 10:00:00 +0100",
                    "2026-01-05 10:00 -05:00",
                    "2026-01-05 10:00:00.5 -3",
                    "2026-01-05 10:00:00 gmt",
                    "2026-01-05 10:00:00 Z",
                ],
            ),
            (Form::NamedZone, &["2026-01-05 10:00:00 CET", "2026-01-05T10:00 America/New_York"]),
            (Form::Zeros, &["007", "00", "01.5"]),
            (Form::LocalDate, &["03/04/2026", "3.4.26", "31-12-2026", "31/12/2026 10:00"]),
            (Form::CommaNumber, &["1,5", "1.234,50", "1,234.50", "-1,5"]),
            (
                Form::Text,
                &[
                    "",
                    "a",
                    "2026-02-30",
                    "24:00",
                    "1e999",
                    "1e-400",
                    "+48",
                    "1.2.3.4",
                    "--1",
                    ".",
                    "1.",
                    ".5",
                    "1_000",
                    "2026-01-05T10:00:00+99:00",
                    "123456789012345678901234567890",
                    "e5",
                    "2026-01-05T10:00:00UTC",
                    "2026-01-05 10:00:00 +",
                    "2026-01-05 10:00:00 +1:",
                    "2026-01-05 10:00:00 +01:",
                    "2026-01-05 10:00:00 +01:60",
                    "2026-01-05 10:00:00 +1:3",
                    "2026-01-05 10:00:00  +01:00",
                    "2026-01-05 10:00:00 -é",
                    "2026-01-05 10:00:00 A",
                    "2026-01-05 10:00:00 PM",
                    "2026-01-05 10:00:00 started",
                ],
            ),
        ] {
            for text in texts {
                assert_eq!(form(text), wanted, "{text}");
            }
        }
    }

    #[test]
    fn digits_that_a_float_has_to_keep_are_counted() {
        for (text, digits) in
            [("0.30000000000000004", 17), ("-1.5e-07", 2), ("0", 0), ("1.10", 3), ("00.5", 1)]
        {
            assert_eq!(significant_digits(text), digits, "{text}");
        }
    }

    #[test]
    fn no_text_is_cut_within_a_character() {
        for text in [
            "é",
            "20é6-01-01",
            "2026é01",
            "2026-01-01é",
            "1é:00",
            "é,5",
            "+é1:00",
            "2026-01-01 10:00+é",
        ] {
            assert!(matches!(form(text), Form::Text | Form::Nothing), "{text}");
        }
    }
}
