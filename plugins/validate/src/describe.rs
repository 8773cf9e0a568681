//! What is told of a row that breaks a rule: a sentence for a person, with the value that will not do.
//!
//! Values are cut, control characters escaped (the message ends on somebody's terminal), and those of
//! sensitive columns left out.

use std::fmt::Write;

use clickmill_plugin::is_within;
use clickmill_plugin::prelude::*;
use serde_bytes::Bytes;

use crate::config::Operator;
use crate::rule::{Check, DAY, Rule, characters};
use crate::starts::key;

/// The most characters of a value that are told.
const MAX_VALUE: usize = 64;

/// Tells what is wrong with rows of a batch.
pub(crate) struct Printer<'a> {
    pub(crate) batch: &'a Batch,
    pub(crate) sensitive: &'a [String],
}

impl Printer<'_> {
    /// Adds to `out` how a value of the row breaks the rule with its column `part`.
    pub(crate) fn describe(
        &self,
        rule: &Rule,
        row: usize,
        at: usize,
        part: usize,
        out: &mut String,
    ) {
        let name = &rule.shown(self.batch, part, at);
        let path = &rule.column(part).path;
        let value = |part: usize| self.value(&rule.column(part).path, at);
        // Writing to a `String` never fails.
        let _ = match &rule.check {
            Check::Required if rule.column(part).repeated => write!(out, "`{name}` is empty"),
            Check::Required => write!(out, "`{name}` is missing"),
            Check::Elements { bounds, .. } => {
                let list = self.batch.column(path).and_then(|column| column.list(at));
                let found = count(list.map_or(0, |list| list.len()) as i64, "element");
                write!(out, "`{name}` has {found}, wanted {bounds}")
            }
            Check::OneOf { listed, .. } => {
                write!(out, "`{name}` is {}, wanted one of: {listed}", value(0))
            }
            Check::Int64Range { bounds, .. }
            | Check::Float64Range { bounds, .. }
            | Check::DecimalRange { bounds, .. } => {
                write!(out, "`{name}` is {}, wanted {bounds}", value(0))
            }
            Check::Pattern(pattern) => {
                write!(out, "`{name}` is {}, wanted a match of `{}`", value(0), pattern.as_str())
            }
            Check::Length { bounds, .. } => {
                let found = self.batch.column(path).and_then(|column| column.bytes(at));
                let found = found.map_or(0, characters);
                write!(out, "`{name}` has {}, wanted {bounds}", count(found as i64, "character"))
            }
            Check::Window { past, future } => write!(out, "`{name}` is {}, wanted ", value(0))
                .and_then(|()| self.window(*past, *future, out)),
            Check::Compare(op) => {
                let right = &rule.shown(self.batch, 1, at);
                write!(
                    out,
                    "`{name}` is {}, wanted it {} `{right}`, which is {}",
                    value(0),
                    words(*op),
                    value(1)
                )
            }
            Check::Starts { prefixes, .. } => {
                let mut decimal = String::new();
                let by = self.batch.column(&rule.column(1).path);
                let prefix = by
                    .and_then(|by| key(by, at, &mut decimal))
                    .and_then(|by| prefixes.get(Bytes::new(by)));
                let wanted = match prefix {
                    Some(prefix) => format!("to start with `{}`", String::from_utf8_lossy(prefix)),
                    None => "to have a known start".to_owned(),
                };
                let by = &rule.column(1).path;
                // The prefix tells the value it belongs to.
                let wanted = if self.is_sensitive(by) { "to start otherwise" } else { &wanted };
                write!(
                    out,
                    "`{name}` is {}, wanted it {wanted} where `{by}` is {}",
                    value(0),
                    value(1)
                )
            }
        };
        if let Some(when) = &rule.when {
            let at = if when.in_list { at } else { row };
            let _ = write!(
                out,
                " (where `{}` is {})",
                when.column.path,
                self.value(&when.column.path, at)
            );
        }
    }

    fn window(&self, past: Option<i64>, future: Option<i64>, out: &mut String) -> std::fmt::Result {
        let taken_in = timestamp(self.batch.ingest_time);
        match (past, future) {
            (Some(past), Some(future)) => {
                write!(out, "{} before to {} after", duration(past), duration(future))?;
            }
            (Some(past), None) => write!(out, "at most {} before", duration(past))?,
            (None, Some(future)) => write!(out, "at most {} after", duration(future))?,
            (None, None) => {}
        }
        write!(out, " {taken_in}, when it was taken in")
    }

    /// The value as it may be told, in backticks.
    fn value(&self, column: &str, row: usize) -> String {
        if self.is_sensitive(column) {
            return "(not told)".to_owned();
        }
        let Some(column) = self.batch.column(column).filter(|column| column.is_valid(row)) else {
            return "null".to_owned();
        };
        match &column.values {
            Values::Booleans(values) => format!("`{}`", values[row] != 0),
            Values::Decimals(_) => {
                column.decimal(row).map_or_else(String::new, |value| format!("`{value}`"))
            }
            Values::Times(values) => format!("`{}`", time(values[row])),
            Values::Datetimes(values) => {
                format!("`{}`", timestamp(values[row]).trim_end_matches('Z'))
            }
            Values::Records => "a record".to_owned(),
            Values::Int64s(values) => format!("`{}`", values[row]),
            Values::Float64s(values) => format!("`{}`", values[row]),
            Values::Dates(values) => format!("`{}`", date(i64::from(values[row]))),
            Values::Timestamps(values) => format!("`{}`", timestamp(values[row])),
            Values::Texts(text) | Values::Jsons(text) => cut(text.get(row)),
            Values::Dictionary(dictionary) => cut(dictionary.get(row)),
            Values::Blobs(bytes) => format!("{} bytes", bytes.get(row).len()),
        }
    }

    fn is_sensitive(&self, column: &str) -> bool {
        self.sensitive.iter().any(|name| is_within(column, name))
    }
}

/// The beginning of a text, in backticks, without anything that a terminal obeys.
fn cut(text: &[u8]) -> String {
    // A value can be long: what is cut off need not be looked at.
    let text = String::from_utf8_lossy(&text[..text.len().min(4 * MAX_VALUE + 4)]);
    let mut out = String::from("`");
    let mut characters = text.chars();
    for character in characters.by_ref().take(MAX_VALUE) {
        if character.is_control() {
            out.extend(character.escape_default());
        } else {
            out.push(character);
        }
    }
    if characters.next().is_some() {
        out.push('…');
    }
    out.push('`');
    out
}

fn words(op: Operator) -> &'static str {
    match op {
        Operator::Eq => "to equal",
        Operator::Ne => "to differ from",
        Operator::Lt => "to be less than",
        Operator::Le => "to be at most",
        Operator::Gt => "to be greater than",
        Operator::Ge => "to be at least",
    }
}

/// Days where they are whole, else seconds.
fn duration(micros: i64) -> String {
    if micros != 0 && micros % DAY == 0 {
        count(micros / DAY, "day")
    } else {
        format!("{} s", micros / 1_000_000)
    }
}

fn count(number: i64, of: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {of}{plural}")
}

/// `2026-11-24T13:00:00Z`, with a fraction where there is one.
fn timestamp(micros: i64) -> String {
    format!("{}T{}Z", date(micros.div_euclid(DAY)), time(micros.rem_euclid(DAY)))
}

/// `13:00:00`, with a fraction where there is one.
fn time(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction == 0 {
        format!("{hour:02}:{minute:02}:{second:02}")
    } else {
        format!("{hour:02}:{minute:02}:{second:02}.{fraction:06}")
    }
}

/// The date of a day since 1970-01-01. Eras of 400 years that begin on the first of March, so that the
/// leap day is the last of a year.
fn date(days: i64) -> String {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{day:02}", year_of_era + era * 400 + next_year)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_told_as_the_calendar_has_them() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (1_700_000_000_123_000, "2023-11-14T22:13:20.123000Z"),
            (-62_135_596_800_000_000, "0001-01-01T00:00:00Z"),
            (253_402_300_799_000_000, "9999-12-31T23:59:59Z"),
        ];
        for (micros, expected) in cases {
            assert_eq!(timestamp(micros), expected);
        }
    }

    #[test]
    fn values_are_cut_at_whole_characters_and_control_characters_escaped() {
        assert_eq!(cut(b"a\x1b[31m\n"), "`a\\u{1b}[31m\\n`");
        assert_eq!(cut("ü".repeat(64).as_bytes()), format!("`{}`", "ü".repeat(64)));
        assert_eq!(cut("😀".repeat(500).as_bytes()), format!("`{}…`", "😀".repeat(64)));
    }
}
