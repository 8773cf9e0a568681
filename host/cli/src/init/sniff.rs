//! What bytes are: which format, encoding and dialect. Candidates are tried with the decoder that reads them in a
//! run.

use std::collections::HashSet;
use std::io::Cursor;

use arrow::array::AsArray;
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1252};

use clickmill_config::{BatchLimits, Dialect, Format};
use clickmill_core::Micros;
use clickmill_decode::{DecodeError, Decoder};
use clickmill_infer::{Value, is_header, quoted};

/// Records may be as large while they are looked at.
const MAX_RECORD_BYTES: usize = 16 << 20;
/// So many records tell a dialect.
const TOLD_BY: usize = 2000;
/// Thousandths of the records that are good in a dialect which fits.
const GOOD: usize = 900;
/// Lines of which half tell whether they are JSON.
const JSON_LINES: usize = 20;

/// What an object is.
#[derive(Clone)]
pub(super) struct Found {
    /// How it is decoded.
    pub format: Format,
    /// Lines of the section `source` that say so.
    pub lines: Vec<String>,
}

/// Text has at most one zero byte in so many.
const LEAST_PER_ZERO: usize = 100;

/// What is wrong, and what to do about it.
type Refused = (String, &'static str);

/// How files of other kinds begin, and what to do with them.
const OTHERS: [(&[u8], &str, &str); 7] = [
    (b"PAR1", "is Parquet", "DuckDB writes it as text: COPY (FROM 'FILE') TO 'FILE.csv'"),
    (b"Obj\x01", "is Avro", "`avro-tools tojson FILE` writes it as JSON lines"),
    (b"ORC", "is ORC", "`orc-contents FILE` writes it as JSON lines"),
    (b"PK\x03\x04", "is a zip archive or a workbook", "unpack it, or save the sheet as CSV"),
    (b"\xd0\xcf\x11\xe0", "is a workbook", "save the sheet as CSV"),
    (b"%PDF", "is PDF", "only delimited text and JSON lines are read"),
    (
        b"SQLite format 3",
        "is a database",
        "`sqlite3 -csv -header FILE 'SELECT …'` writes it as CSV",
    ),
];

/// Tells what an object is by its first bytes, which may be all of them.
pub(super) fn sniff(bytes: &[u8], is_whole: bool) -> Result<Found, Refused> {
    if let Some((_, what, hint)) = OTHERS.iter().find(|(begin, ..)| bytes.starts_with(begin)) {
        return Err(((*what).to_owned(), hint));
    }
    let encoding = encoding(bytes)
        .ok_or_else(|| ("is not text".to_owned(), "only delimited text and JSON lines are read"))?;
    let text = match encoding {
        Some(encoding) => encoding.decode(bytes).0.into_owned(),
        None => String::from_utf8_lossy(bytes).trim_start_matches('\u{feff}').to_owned(),
    };
    let first = text.trim_start().chars().next();
    if matches!(first, Some('{' | '[')) && is_json(&text, is_whole)? {
        if encoding.is_some() {
            return Err((
                "is JSON, and no UTF-8".to_owned(),
                "`iconv -t UTF-8` writes it so: JSON lines are read as UTF-8",
            ));
        }
        return Ok(Found {
            format: Format::Ndjson { max_record_bytes: MAX_RECORD_BYTES },
            lines: vec!["format = \"ndjson\"".to_owned()],
        });
    }
    delimited(&text, is_whole, encoding)
}

/// Whether text that begins as JSON has a JSON value on each line.
fn is_json(text: &str, is_whole: bool) -> Result<bool, Refused> {
    let mut lines: Vec<&str> = text.split('\n').filter(|line| !line.trim().is_empty()).collect();
    if !is_whole && lines.len() > 1 {
        // The last one is cut.
        lines.pop();
    } else if !is_whole {
        // A line longer than that is an array of events, or nothing that is read here.
        return Ok(true);
    }
    let looked: Vec<&str> = lines.into_iter().take(JSON_LINES).collect();
    let good = looked.iter().filter(|line| Value::parse(line).is_some()).count();
    if good * 2 >= looked.len() {
        return Ok(true);
    }
    // An array or an object over several lines; or text that happens to begin so.
    let is_document = looked.first().is_some_and(|line| {
        let rest = line.trim_start().trim_start_matches(['{', '[']).trim_start();
        rest.is_empty() || rest.starts_with(['"', '{', '[', ']', '}'])
    });
    if is_document {
        return Err((
            "is JSON over several lines".to_owned(),
            "a value on each line is read: `jq -c '.[]' FILE > FILE.ndjson` writes an array so, `jq -c .` objects",
        ));
    }
    Ok(false)
}

/// The encoding of bytes where it is not UTF-8; `None` where they are no text.
fn encoding(bytes: &[u8]) -> Option<Option<&'static Encoding>> {
    if bytes.starts_with(b"\xff\xfe") {
        return Some(Some(UTF_16LE));
    }
    if bytes.starts_with(b"\xfe\xff") {
        return Some(Some(UTF_16BE));
    }
    let zeros = |first: usize| bytes.iter().skip(first).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    // One in a while is a slip of who wrote the file: a value has it, as each reads it.
    if (even + odd) * LEAST_PER_ZERO > bytes.len() {
        // Of ASCII in UTF-16 every second byte is zero.
        let many = bytes.len() / 4;
        return match (even, odd) {
            (0, odd) if odd > many => Some(Some(UTF_16LE)),
            (even, 0) if even > many => Some(Some(UTF_16BE)),
            _ => None,
        };
    }
    match std::str::from_utf8(bytes) {
        Ok(_) => Some(None),
        // Only the end is cut.
        Err(error) if error.error_len().is_none() => Some(None),
        Err(_) => {
            // Bytes that are signs in western text and letters in that of central Europe.
            let is_letter =
                |at: usize| bytes.get(at).is_some_and(|b| b.is_ascii_alphabetic() || *b >= 0xc0);
            let high = bytes.iter().filter(|b| **b >= 0x80).count();
            let central = bytes.iter().enumerate().filter(|(at, b)| {
                matches!(
                    b,
                    0xa3 | 0xaf
                        | 0x8c
                        | 0x8f
                        | 0xb9
                        | 0xb3
                        | 0xbf
                        | 0x9c
                        | 0x9f
                        | 0xbe
                        | 0x9e
                        | 0x9a
                ) && (is_letter(at + 1) || is_letter(at.wrapping_sub(1)))
            });
            Some(Some(if central.count() * 4 >= high { WINDOWS_1250 } else { WINDOWS_1252 }))
        }
    }
}

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

/// Delimited text, in the dialect that fits it.
fn delimited(
    text: &str,
    is_whole: bool,
    encoding: Option<&'static Encoding>,
) -> Result<Found, Refused> {
    // What is cut at the end is no record.
    let end = if is_whole {
        text.len()
    } else {
        text.rfind(['\n', '\r']).map_or(text.len(), |at| at + 1)
    };
    let text = &text[..end];
    let best = dialect(text);
    if has_preamble(text, best.as_ref()) {
        return Err((
            "begins with lines that are no records: comments, a title, or `sep=;`".to_owned(),
            "`tail -n +3 FILE > DATA.csv` writes what begins on line 3",
        ));
    }
    if best.as_ref().is_some_and(|best| best.is_too_wide) {
        return Err((
            "has more columns than are read: the first record is too wide".to_owned(),
            "`cut -d, -f1-4096 FILE > PART.csv` writes the first 4096 of them, where no value is in quotes",
        ));
    }
    let Some(Tried { mut dialect, mut rows, .. }) = best else {
        return Ok(found(Dialect::default(), encoding));
    };
    dialect.header = true;
    if !rows.is_empty() {
        let first = rows.remove(0);
        dialect.header = is_header(&first, &rows);
        let mut names = HashSet::new();
        let repeats = first.iter().any(|name| !name.is_empty() && !names.insert(name));
        dialect.repeated_names = dialect.header && repeats;
    }
    Ok(found(dialect, encoding))
}

/// Whether lines stand before the records: behind some of them the text is of several columns, and with them of
/// one; or of as many as Excel is told by `sep=;`.
fn has_preamble(text: &str, best: Option<&Tried>) -> bool {
    const MOST_LINE_ENDS: usize = 24;
    const TOLD_BY_LINES: usize = 200;
    let ends = ['\n', '\r'];
    let first = text.split(ends).next().unwrap_or_default().trim_matches('"');
    let names_delimiter = |begin: &str| begin.eq_ignore_ascii_case("sep=");
    if first.chars().count() <= 5 && first.get(..4).is_some_and(names_delimiter) {
        return true;
    }
    let told_by = text.match_indices(ends).nth(MOST_LINE_ENDS + TOLD_BY_LINES);
    let text = &text[..told_by.map_or(text.len(), |(at, _)| at + 1)];
    best.is_some_and(|best| best.columns == 1)
        && text.match_indices(ends).take(MOST_LINE_ENDS).any(|(end, _)| {
            let (before, rest) = text.split_at(end + 1);
            let is_comment = |line: &str| line.is_empty() || line.starts_with('#');
            // A sentence may well have a comma.
            let is_told =
                |tried: &Tried| before.split(ends).all(is_comment) || tried.names_numbers();
            dialect(rest).is_some_and(|tried| {
                let is_table = tried.columns > 1 && tried.rows.len() > 1;
                is_table && tried.good() >= GOOD && is_told(&tried)
            })
        })
}

/// The dialect of which most records are good, and have most columns.
fn dialect(text: &str) -> Option<Tried> {
    let mut best: Option<Tried> = None;
    for delimiter in [b',', b';', b'\t', b'|'] {
        for escape in [None, Some(b'\\')] {
            for trailing_delimiter in [false, true] {
                let dialect = Dialect {
                    delimiter: Some(delimiter),
                    escape,
                    trailing_delimiter,
                    header: false,
                    ..Dialect::default()
                };
                let tried = tried(text, dialect);
                let rank = |tried: &Tried| {
                    let is_good = tried.good() >= GOOD;
                    let columns = tried.columns - usize::from(tried.last_is_empty());
                    (is_good && tried.columns > 1, tried.is_too_wide, tried.good() / 10, columns)
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
            tried.is_too_wide = matches!(error, DecodeError::HeaderWide { .. });
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
    if let Some(encoding) = encoding {
        lines.push(
            "# It is not UTF-8. Where letters look wrong in the table, it is another encoding."
                .to_owned(),
        );
        settings.push(format!("encoding = {}", quoted(&encoding.name().to_ascii_lowercase())));
    }
    lines.push(format!("csv = {{ {} }}", settings.join(", ")));
    let format = Format::Csv { dialect, max_record_bytes: MAX_RECORD_BYTES };
    Found { format, lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of the section `source`.
    #[track_caller]
    fn lines(bytes: &[u8]) -> String {
        match sniff(bytes, true) {
            Ok(found) => found.lines.last().cloned().unwrap_or_default(),
            Err((what, _)) => what,
        }
    }

    #[test]
    fn dialects_are_told_by_what_the_decoder_makes_of_them() {
        for (bytes, wanted) in [
            (&b"id,label\n1,a\n2,b\n"[..], r#"csv = { delimiter = "," }"#),
            (b"id;price\r\n1;2,50\r\n2;3,50\r\n", r#"csv = { delimiter = ";" }"#),
            (b"id\tlabel\r1\ta, b\r2\tc\r", "csv = { delimiter = \"\\t\" }"),
            (b"id|label\n1|a;b\n", r#"csv = { delimiter = "|" }"#),
            (b"id,label,\n1,a,\n2,b,\n", r#"csv = { delimiter = ",", trailing_delimiter = true }"#),
            (b"id,label\n1,\"a \\\"b\\\"\"\n", r#"csv = { delimiter = ",", escape = "\\" }"#),
            (b"1,a\n2,b\n", r#"csv = { delimiter = ",", header = false }"#),
            (b"id,v,v\n1,2,3\n", r#"csv = { delimiter = ",", repeated_names = true }"#),
            (b"word\na\nb\n", r#"csv = { delimiter = "," }"#),
            (
                b"id;stra\xdfe\n1;M\xfcnchen\n",
                r#"csv = { delimiter = ";", encoding = "windows-1252" }"#,
            ),
            (
                b"id;miasto\n1;\xa3\xf3d\x9f\n2;Bia\xb3ystok\n",
                r#"csv = { delimiter = ";", encoding = "windows-1250" }"#,
            ),
            (
                b"\xff\xfei\0d\0,\0a\0\n\x001\0,\x002\0\n\0",
                r#"csv = { delimiter = ",", encoding = "utf-16le" }"#,
            ),
            (b"\xef\xbb\xbfid,label\n1,a\n", r#"csv = { delimiter = "," }"#),
        ] {
            assert_eq!(lines(bytes), wanted, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn lines_before_the_records_are_told_from_records() {
        const REFUSED: &str =
            "begins with lines that are no records: comments, a title, or `sep=;`";
        for (bytes, wanted) in [
            (&b"sep=;\r\nid;price\r\n1;2,50\r\n2;3,50\r\n"[..], REFUSED),
            (b"\"sep=,\"\nid,a,b\n1,2,3\n", REFUSED),
            (b"# GA4 - Shop\n# 20260101-20260131\n\nPage,Views\n/,100\n/a,20\n", REFUSED),
            (b"#Version: 1.0\n#Fields: date time\n2026-01-05\t10:00\n2026-01-06\t11:00\n", REFUSED),
            (b"Campaigns\n\"January 1, 2026\"\nName,Clicks,Cost\na,1,2\nb,3,4\n", REFUSED),
            (b"#id\tname\n1\ta\n2\tb\n", "csv = { delimiter = \"\\t\" }"),
            (b"#tag\n#red\n#blue\n", r#"csv = { delimiter = "," }"#),
            (b"address\nA 1, Bonn, DE\nB 2, Ulm, DE\n", r#"csv = { delimiter = ";" }"#),
            (b"share\n1,5\n2,25\n", r#"csv = { delimiter = ";" }"#),
            (b"words\nhello, world\nfoo, bar\n", r#"csv = { delimiter = ";" }"#),
        ] {
            assert_eq!(lines(bytes), wanted, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_first_line_of_words_may_be_a_record_and_that_is_said() {
        let found = sniff(b"Ada,Paris\nBob,Rome\n", true).expect("text");
        assert!(
            found.lines.iter().any(|line| line.contains("Where it is a record, `header = false`"))
        );
    }

    #[test]
    fn json_lines_are_told_from_documents_and_other_kinds_are_named() {
        for (bytes, wanted) in [
            (&b"{\"a\": 1}\n{\"a\": 2}\n"[..], "format = \"ndjson\""),
            (b"[{\"a\": 1}, {\"a\": 2}]", "format = \"ndjson\""),
            (b"{\"a\": 1}\n{\"a\": \n{\"a\": 2}\n", "format = \"ndjson\""),
            (b"[\n  {\"a\": 1},\n  {\"a\": 2}\n]\n", "is JSON over several lines"),
            (b"PAR1\x15\x04", "is Parquet"),
            (b"PK\x03\x04\x14", "is a zip archive or a workbook"),
            (b"a\0\0b\0", "is not text"),
        ] {
            assert_eq!(lines(bytes), wanted, "{}", bytes.escape_ascii());
        }
        let wide = |columns: usize| {
            let columns: Vec<String> = (0..columns).map(|at| format!("c{at}")).collect();
            columns.join(",") + "\n"
        };
        assert_eq!(lines(wide(4096).as_bytes()), "csv = { delimiter = \",\" }");
        let told = "has more columns than are read: the first record is too wide";
        assert_eq!(lines((wide(4097) + &wide(4097)).as_bytes()), told);
        let one_zero = format!("a,b\n{}1,x\0y\n", "1,2\n".repeat(50));
        assert_eq!(lines(one_zero.as_bytes()), "csv = { delimiter = \",\" }");
    }
}
