//! The dialect of delimited text. Candidates are tried with the decoder that reads them in a run.

use std::collections::HashSet;
use std::io::Cursor;

use arrow::array::AsArray;
use encoding_rs::Encoding;

use super::found::{Found, MAX_RECORD_BYTES, Refused};
use clickmill_config::{BatchLimits, Dialect, Format};
use clickmill_core::Micros;
use clickmill_decode::{DecodeError, Decoder};
use clickmill_infer::{is_header, quoted};

/// So many records tell a dialect.
const TOLD_BY: usize = 2000;
/// Thousandths of the records that are good in a dialect which fits.
const GOOD: usize = 900;
/// Where fewer are, a run ends, unless the pipeline file allows it.
const RAGGED: usize = 800;
/// What separates fields.
const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// What ends a line.
const LINE_ENDS: [char; 2] = ['\n', '\r'];
/// A first line of so many fields looks like one of a table; one of fewer, where they name columns of what is below.
const SEVERAL: usize = 3;

/// What a candidate makes of delimited text.
struct Tried {
    dialect: Dialect,
    rows: Vec<Vec<String>>,
    columns: usize,
    malformed: usize,
    /// Its first record has more fields than are read.
    is_too_wide: bool,
}

impl Tried {
    /// Thousandths of the records that are good.
    fn good(&self) -> usize {
        1000 * self.rows.len() / (self.rows.len() + self.malformed).max(1)
    }

    /// Whether it is a table, if of ragged rows: most records have as many fields as the first, which has to name
    /// them, since sentences and the lines of a log have commas and semicolons too.
    fn is_table(&self) -> bool {
        let Some((first, rest)) = self.rows.split_first() else { return false };
        self.columns > 1
            && rest.len() > self.malformed
            && first.iter().all(|name| may_name(name))
            && is_header(first, rest)
    }

    /// How many records are as wide as the first, and what shows those that are not.
    fn widths(&self) -> String {
        let (columns, good) = (self.columns, self.rows.len());
        let delimiter = char::from(self.dialect.delimiter.unwrap_or(b',')).escape_default();
        format!(
            "its first line has {columns} fields between `{delimiter}`, as {good} of its first {} records have; `awk -F'{delimiter}' 'NF != {columns}' FILE` shows the others",
            good + self.malformed
        )
    }

    /// Whether its first record names columns, into which most lines of a text come apart, if not into as many.
    fn names_columns(&self, text: &str) -> bool {
        let delimiter = char::from(self.dialect.delimiter.unwrap_or(b','));
        let lines = text.split(LINE_ENDS).filter(|line| !line.is_empty()).take(TOLD_BY);
        let (apart, whole): (Vec<&str>, Vec<&str>) =
            lines.partition(|line| line.contains(delimiter));
        let is_named = self.rows.split_first().is_some_and(|(first, rest)| {
            first.iter().all(|name| !name.is_empty() && may_name(name)) && is_header(first, rest)
        });
        self.columns > 1 && apart.len() > whole.len() && is_named
    }

    /// What to tell where it has so many dead letters that a run might end of them.
    fn ragged(&self) -> Option<String> {
        (self.good() < RAGGED).then(|| {
            format!(
                "has ragged rows, which become dead letters: {}. With so many a run ends, unless they are mended or `max_rejected_share` in the pipeline file allows them, as it does where they are so many of all that was looked at",
                self.widths()
            )
        })
    }

    /// Whether its first record has a name over numbers.
    fn names_numbers(&self) -> bool {
        let is_number = |text: &String| text.trim().parse::<f64>().is_ok();
        self.rows.split_first().is_some_and(|(first, rest)| {
            let names =
                |at: usize| !is_number(&first[at]) && rest.iter().all(|row| is_number(&row[at]));
            (0..self.columns).any(names)
        })
    }

    fn last_is_empty(&self) -> bool {
        let is_empty = |row: &Vec<String>| row.last().is_some_and(String::is_empty);
        self.columns > 1 && !self.rows.is_empty() && self.rows.iter().all(is_empty)
    }
}

/// Whether a text may be the name of a column, rather than a part of a sentence.
fn may_name(text: &str) -> bool {
    const MOST_WORDS: usize = 4;
    !text.starts_with(' ') && text.split_whitespace().count() <= MOST_WORDS
}

/// Delimited text, in the dialect that fits it.
pub(super) fn delimited(
    text: &str,
    is_whole: bool,
    encoding: Option<&'static Encoding>,
) -> Result<Found, Refused> {
    // What is cut at the end is no record.
    let end =
        if is_whole { text.len() } else { text.rfind(LINE_ENDS).map_or(text.len(), |at| at + 1) };
    let text = &text[..end];
    let best = dialect(text);
    if let Some(end) = preamble(text, best.as_ref()) {
        let line = next_line(text, end);
        return Err((
            "begins with lines that are no records: comments, a title, or `sep=;`".to_owned(),
            format!("`tail -n +{line} FILE > DATA.csv` writes what begins on line {line}"),
        ));
    }
    if best.as_ref().is_some_and(|best| best.is_too_wide) {
        return Err((
            "has more columns than are read: the first record is too wide".to_owned(),
            "`cut -d, -f1-4096 FILE > PART.csv` writes the first 4096 of them, where no value is in quotes".to_owned(),
        ));
    }
    let Some(best) = best else { return Ok(found(Dialect::default(), encoding)) };
    let told = match best.columns {
        0 => None,
        1 => lost(text),
        _ => best.ragged(),
    };
    let Tried { mut dialect, mut rows, .. } = best;
    dialect.header = true;
    if !rows.is_empty() {
        let first = rows.remove(0);
        dialect.header = is_header(&first, &rows);
        let mut names = HashSet::new();
        let repeats = first.iter().any(|name| !name.is_empty() && !names.insert(name));
        dialect.repeated_names = dialect.header && repeats;
    }
    let mut found = found(dialect, encoding);
    found.told.extend(told);
    Ok(found)
}

/// What to tell of text that is read as one column, though its first record looks like one of several.
fn lost(text: &str) -> Option<String> {
    let widest = DELIMITERS
        .map(|delimiter| tried(text, candidate(delimiter)))
        .into_iter()
        .filter(|tried| tried.columns >= SEVERAL || tried.names_columns(text))
        .max_by_key(|tried| tried.columns)?;
    Some(format!(
        "is read as one column of whole lines, though {}: where it is a table, they have to be mended",
        widest.widths()
    ))
}

/// Where lines end that stand before the records, if there are any: behind them the text is of several columns, and
/// with them of one; or of as many as Excel is told by `sep=;`; or they end in empty fields, before a header that
/// does not.
fn preamble(text: &str, best: Option<&Tried>) -> Option<usize> {
    const MOST_LINE_ENDS: usize = 24;
    const TOLD_BY_LINES: usize = 200;
    let line = text.split(LINE_ENDS).next().unwrap_or_default();
    let first = line.trim_matches('"');
    let names_delimiter = |begin: &str| begin.eq_ignore_ascii_case("sep=");
    if first.chars().count() <= 5 && first.get(..4).is_some_and(names_delimiter) {
        return Some(line.len());
    }
    let best = best?;
    let is_padded = |row: &Vec<String>| row.last().is_some_and(String::is_empty);
    let begins_padded = best.columns > 1 && best.rows.first().is_some_and(is_padded);
    if best.columns != 1 && !begins_padded {
        return None;
    }
    let told_by = text.match_indices(LINE_ENDS).nth(MOST_LINE_ENDS + TOLD_BY_LINES);
    let text = &text[..told_by.map_or(text.len(), |(at, _)| at + 1)];
    let mut ends = text.match_indices(LINE_ENDS).take(MOST_LINE_ENDS).map(|(end, _)| end);
    if begins_padded {
        // Spreadsheets put as many delimiters behind a title as into all other lines.
        return ends.find(|end| {
            let (before, rest) = text.split_at(end + 1);
            let tried = |text: &str| tried(text, best.dialect);
            let rest = tried(rest);
            let is_header = rest.rows.split_first().is_some_and(|(first, others)| {
                !is_padded(first) && others.len() > 1 && is_header(first, others)
            });
            let is_table = rest.columns == best.columns && rest.good() >= GOOD;
            is_table
                && is_header
                && rest.names_numbers()
                && tried(before).rows.iter().all(is_padded)
        });
    }
    ends.find(|end| {
        let (before, rest) = text.split_at(end + 1);
        let is_comment = |line: &str| line.is_empty() || line.starts_with('#');
        // A sentence may well have a comma.
        let is_told =
            |tried: &Tried| before.split(LINE_ENDS).all(is_comment) || tried.names_numbers();
        dialect(rest).is_some_and(|tried| {
            let is_table = tried.columns > 1 && tried.rows.len() > 1;
            is_table && tried.good() >= GOOD && is_told(&tried)
        })
    })
}

/// The number of the first line with anything in it, from the line end at `end` on.
fn next_line(text: &str, end: usize) -> usize {
    let rest = text[end..].trim_start_matches(LINE_ENDS);
    let before = &text[..text.len() - rest.len()];
    let count = |end: char| before.matches(end).count();
    1 + count('\n').max(count('\r'))
}

/// The dialect of which most records are good, and have most columns.
fn dialect(text: &str) -> Option<Tried> {
    let mut best: Option<Tried> = None;
    for delimiter in DELIMITERS {
        // Where quotes are doubled, a backslash before one is text.
        for escape in [None, Some(b'"'), Some(b'\\')] {
            for trailing_delimiter in [false, true] {
                let dialect = Dialect { escape, trailing_delimiter, ..candidate(delimiter) };
                let tried = tried(text, dialect);
                // One column is good whatever the lines are: any table goes before it.
                let rank = |tried: &Tried| {
                    let is_good = tried.columns > 1 && tried.good() >= GOOD;
                    let columns = tried.columns - usize::from(tried.last_is_empty());
                    let good = tried.good() / 10;
                    let is_table = is_good || tried.is_table();
                    (is_good, tried.is_too_wide, is_table, good, columns)
                };
                let is_better = best.as_ref().is_none_or(|best| {
                    let is_trailing = trailing_delimiter
                        && best.dialect.delimiter == Some(delimiter)
                        && best.last_is_empty()
                        && tried.columns + 1 == best.columns
                        && tried.good() >= best.good();
                    rank(&tried) > rank(best) || is_trailing
                });
                if is_better {
                    best = Some(tried);
                }
            }
        }
    }
    best
}

fn candidate(delimiter: u8) -> Dialect {
    Dialect { delimiter: Some(delimiter), header: false, ..Dialect::default() }
}

fn tried(text: &str, dialect: Dialect) -> Tried {
    let mut tried =
        Tried { dialect, rows: Vec::new(), columns: 0, malformed: 0, is_too_wide: false };
    let format = Format::Csv { dialect, max_record_bytes: MAX_RECORD_BYTES };
    let limits = BatchLimits { max_rows: TOLD_BY, ..BatchLimits::default() };
    let input = Box::new(Cursor::new(text.as_bytes().to_vec()));
    let decoder = Decoder::new(&format, limits, "sniffed".into(), Micros::now(), input);
    let mut decoder = match decoder {
        Ok(decoder) => decoder,
        Err(error) => {
            tried.malformed = 1;
            tried.is_too_wide = matches!(error, DecodeError::FirstWide { .. });
            return tried;
        }
    };
    tried.columns = decoder.schema().fields().len();
    if let Ok(Some(decoded)) = decoder.next_batch() {
        tried.malformed = decoded.malformed.len();
        let columns = decoded.batch.columns;
        let texts: Vec<_> =
            columns.columns().iter().map(|column| column.as_string::<i32>()).collect();
        let row = |row| texts.iter().map(|text| text.value(row).to_owned()).collect();
        tried.rows = (0..columns.num_rows()).map(row).collect();
    }
    tried
}

/// Delimited text as it is decoded, and as the pipeline file says so.
fn found(dialect: Dialect, encoding: Option<&'static Encoding>) -> Found {
    let dialect = Dialect { encoding, ..dialect };
    let mut settings = Vec::new();
    let mut lines = vec!["format = \"csv\"".to_owned()];
    let delimiter = char::from(dialect.delimiter.unwrap_or(b','));
    settings.push(format!("delimiter = {}", quoted(&delimiter.to_string())));
    if dialect.escape == Some(b'"') {
        lines.push("# Quotes are doubled, and a backslash before one is text. Where it stands for the quote, `escape = \"\\\\\"`.".to_owned());
    }
    if let Some(escape) = dialect.escape {
        settings.push(format!("escape = {}", quoted(&char::from(escape).to_string())));
    }
    if dialect.trailing_delimiter {
        settings.push("trailing_delimiter = true".to_owned());
    }
    if dialect.header {
        lines.push("# The first line is taken for the names of the columns. Where it is a record, `header = false`.".to_owned());
    } else {
        lines.push("# The first line looks like a record. Where it has the names of the columns, `header = true`.".to_owned());
        settings.push("header = false".to_owned());
    }
    if dialect.repeated_names {
        lines.push("# The header has a name twice: the second is read as `name_2`.".to_owned());
        settings.push("repeated_names = true".to_owned());
    }
    let mut told = Vec::new();
    if let Some(encoding) = encoding {
        let name = encoding.name().to_ascii_lowercase();
        told.push(format!(
            "is read as {name}, since it is not UTF-8: where letters look wrong in the table, name another `encoding` in the pipeline file"
        ));
        lines.push(
            "# It is not UTF-8. Where letters look wrong in the table, it is another encoding."
                .to_owned(),
        );
        settings.push(format!("encoding = {}", quoted(&name)));
    }
    lines.push(format!("csv = {{ {} }}", settings.join(", ")));
    let format = Format::Csv { dialect, max_record_bytes: MAX_RECORD_BYTES };
    Found { format, lines, told }
}

#[cfg(test)]
mod tests;
