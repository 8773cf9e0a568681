//! Rules that the records support. What might refuse a good row that was not looked at is wide, or commented
//! out.

use crate::kind::{FLOAT_DIGITS, Kind};
use crate::personal;
use crate::shape::Column;
use crate::toml::{inline, quoted};

/// Fewer values support no rule.
const MIN_VALUES: u64 = 50;
/// A value of a list of values came so often on average.
const MIN_TIMES: u64 = 10;

/// The rules of a pipeline file.
pub(crate) struct Rules {
    /// Lines of the list `rules`, with their comments.
    pub lines: Vec<String>,
    /// Columns that they are about, those that are commented out too.
    pub reads: Vec<String>,
}

/// Quantities that are never below zero.
const NEVER_NEGATIVE: &str = "price quantity qty count pieces items age duration size width height weight views clicks visits sessions ms seconds";

pub(crate) fn rules(columns: &[(String, &Column<'_>)], unknown: &str, this_year: u32) -> Rules {
    let mut rules = Rules { lines: Vec::new(), reads: Vec::new() };
    let (mut active, mut proposed) = (Vec::new(), Vec::new());
    let mut about = |path: &str| {
        if !rules.reads.iter().any(|known| known == path) {
            rules.reads.push(path.to_owned());
        }
    };
    for (path, column) in columns.iter().filter(|(_, column)| column.treatment.is_none()) {
        let seen = column.seen;
        let name = quoted(path);
        let of = format!("{} values", seen.count);
        if matches!(column.kind, Kind::Date | Kind::Timestamp)
            && let Some((least, most)) = seen.years
            && least >= 1990
            && most <= this_year + 1
        {
            about(path);
            active.push(format!(
                "# {of} were of {least} to {most}. Wide on purpose: it refuses what is in another unit, or has a wrong century."
            ));
            active.push(format!(
                "{{ window = {{ column = {name}, past_days = 36500, future_secs = 315360000 }} }},"
            ));
        }
        let is_number = matches!(column.kind, Kind::Integer | Kind::Float | Kind::Decimal);
        if let Some((least, most)) = seen.numbers.filter(|_| is_number && seen.count >= MIN_VALUES)
        {
            about(path);
            let words = personal::words(column.key);
            let is_positive =
                words.iter().any(|word| NEVER_NEGATIVE.split(' ').any(|never| never == word));
            if is_positive && least >= 0.0 {
                active.push(format!("# None of {of} was below zero."));
                active.push(format!("{{ range = {{ column = {name}, min = 0 }} }},"));
            }
            // Bounds that a float has rounded are beside the values, and might refuse all of them.
            if column.kind == Kind::Float || seen.most_digits <= FLOAT_DIGITS {
                proposed.push(format!("# {of} were {least} to {most}; others may come."));
                let (least, most) = match column.kind {
                    // A float of TOML would be no whole number.
                    Kind::Integer => (format!("{least:.0}"), format!("{most:.0}")),
                    Kind::Decimal => (format!("\"{least}\""), format!("\"{most}\"")),
                    _ => (format!("{least:?}"), format!("{most:?}")),
                };
                proposed.push(format!(
                    "# {{ range = {{ column = {name}, min = {least}, max = {most} }} }},"
                ));
            }
        }
        if column.kind == Kind::Text
            && let Some(distinct) = &seen.distinct
            && seen.count >= MIN_VALUES.max(MIN_TIMES * distinct.len() as u64)
        {
            about(path);
            let values = inline(distinct.keys().map(|value| quoted(value)));
            let kinds = match distinct.len() {
                1 => "one kind".to_owned(),
                kinds => format!("{kinds} kinds"),
            };
            proposed.push(format!("# {of} were of {kinds}; another may come."));
            proposed.push(format!("# {{ enum = {{ column = {name}, values = {values} }} }},"));
        }
    }
    let always = columns.iter().filter(|(path, column)| {
        let (values, places) = column.there;
        // Of what lies in a record that may be away, nothing is said.
        values == places
            && values >= MIN_VALUES
            && !column.is_list
            && !path.contains('.')
            && column.seen.count == values
            && column.treatment.is_none()
    });
    let always: Vec<String> = always.map(|(path, _)| path.clone()).collect();
    if !always.is_empty() {
        always.iter().for_each(|path| about(path));
        proposed.push("# None of these was ever empty; one may be.".to_owned());
        let columns = inline(always.iter().map(|path| quoted(path)));
        proposed.push(format!("# {{ required = {{ columns = {columns} }} }},"));
    }
    about(unknown);
    let unknown = quoted(unknown);
    active.push(
        "# Wide on purpose: a record is refused that is nearly all of it unknown.".to_owned(),
    );
    active.push(format!("{{ length = {{ column = {unknown}, max = 1000000 }} }},"));
    if !proposed.is_empty() {
        active.push(
            "# Commented out, since each might refuse good rows that were not looked at:"
                .to_owned(),
        );
    }
    rules.lines = active.into_iter().chain(proposed).collect();
    rules
}
