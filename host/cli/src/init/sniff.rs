//! What bytes are: which format, encoding and dialect.

mod dialect;
mod encoding;
mod found;

use encoding_rs::Encoding;

use clickmill_config::Format;
use clickmill_infer::Value;

pub(super) use found::Found;
use found::{MAX_RECORD_BYTES, Refused};

/// Lines of which half tell whether they are JSON.
const JSON_LINES: usize = 20;
/// Of JSON, at most one line in so many is not UTF-8, which it is read as.
const LEAST_PER_BAD_LINE: usize = 10;

/// What files of other kinds have at which place, and what to do with them.
const OTHERS: [(usize, &[u8], &str, &str); 21] = [
    (0, b"PAR1", "is Parquet", "DuckDB writes it as text: COPY (FROM 'FILE') TO 'FILE.csv'"),
    (0, b"Obj\x01", "is Avro", "`avro-tools tojson FILE` writes it as JSON lines"),
    (0, b"ORC", "is ORC", "`orc-contents FILE` writes it as JSON lines"),
    (0, b"ARROW1", "is Arrow or Feather", ARROW),
    (0, b"FEA1\0\0\0\0", "is Feather", ARROW),
    (0, b"PK\x03\x04", "is a zip archive or a workbook", "unpack it, or save the sheet as CSV"),
    (0, b"PK\x05\x06", "is an empty zip archive", "name one of the files that were to be in it"),
    (0, b"\xd0\xcf\x11\xe0", "is a workbook", "save the sheet as CSV"),
    (0, b"%PDF", "is PDF", READ),
    (0, b"{\\rtf", "is RTF", READ),
    (0, b"\x89PNG\r\n\x1a\n", "is a PNG image", READ),
    (0, b"\xff\xd8\xff", "is a JPEG image", READ),
    (
        0,
        b"\x1f\x8b",
        "is gzip, and was packed twice before",
        "`gunzip -c < FILE > DATA` unpacks it",
    ),
    (
        0,
        b"\x28\xb5\x2f\xfd",
        "is zstd, and was packed twice before",
        "`zstd -dc < FILE > DATA` unpacks it",
    ),
    (4, b"1AY&SY", "is bzip2", "`bzip2 -dc < FILE > DATA` unpacks it"),
    (0, b"\xfd7zXZ\0", "is xz", "`xz -dc < FILE > DATA` unpacks it"),
    (0, b"\xff\x06\0\0sNaPpY", "is Snappy", "`snzip -dc < FILE > DATA` unpacks it"),
    (0, b"\x04\x22\x4d\x18", "is LZ4", "`lz4 -dc < FILE > DATA` unpacks it"),
    (0, b"7z\xbc\xaf\x27\x1c", "is a 7z archive", "`7z x FILE` unpacks it"),
    (
        257,
        b"ustar",
        "is a tar archive",
        "`tar -xf FILE` unpacks it: name one of its files, or their folder",
    ),
    (
        0,
        b"SQLite format 3",
        "is a database",
        "`sqlite3 -csv -header FILE 'SELECT …'` writes it as CSV",
    ),
];
const READ: &str = "only delimited text and JSON lines are read";
const ARROW: &str =
    "pandas writes it as text: `pandas.read_feather('FILE').to_csv('DATA.csv', index=False)`";

/// Tells what an object is by its first bytes, which may be all of them.
pub(super) fn sniff(bytes: &[u8], is_whole: bool) -> Result<Found, Refused> {
    let is = |at: usize, sign: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(sign));
    if let Some((_, _, what, hint)) = OTHERS.iter().find(|(at, sign, ..)| is(*at, sign)) {
        return Err(((*what).to_owned(), (*hint).to_owned()));
    }
    let encoding = encoding::encoding(bytes, is_whole)?;
    let text = match encoding {
        Some(encoding) => encoding.decode(bytes).0.into_owned(),
        None => String::from_utf8_lossy(bytes).trim_start_matches('\u{feff}').to_owned(),
    };
    let is_json_at = |text: &str| text.trim_start().starts_with(['{', '[']);
    if text.trim_start().strip_prefix('\u{1e}').is_some_and(is_json_at) {
        return Err((
            "is a sequence of JSON texts (RFC 7464)".to_owned(),
            "`tr -d '\\036' < FILE > DATA.ndjson` writes it as JSON lines".to_owned(),
        ));
    }
    if let Some(what) = markup(&text) {
        return Err((what.to_owned(), READ.to_owned()));
    }
    encoding::controls(&text)?;
    let (bad, lines) = encoding::bad_lines(whole_lines(bytes, is_whole));
    let is_json =
        if is_json_at(&text) { is_json(&text, is_whole)? } else { are_objects(&text, is_whole) };
    if is_json {
        let mut told = Vec::new();
        let name = encoding.map_or("windows-1252", |encoding| encoding.name());
        let recoded = format!("`iconv -f {name} -t UTF-8 FILE > DATA.ndjson` writes it as UTF-8");
        let is_other = |encoding: &'static Encoding| {
            !encoding.is_single_byte() || bad * LEAST_PER_BAD_LINE > lines
        };
        if encoding.is_some_and(is_other) {
            return Err((format!("is JSON in {name}, of which only UTF-8 is read"), recoded));
        }
        if bad > 0 {
            told.push(format!(
                "has {bad} lines of the first {lines} that are not UTF-8, which become dead letters; where they are {name}, {recoded}"
            ));
        }
        return Ok(Found {
            format: Format::Ndjson { max_record_bytes: MAX_RECORD_BYTES },
            lines: vec!["format = \"ndjson\"".to_owned()],
            told,
        });
    }
    let mut found = dialect::delimited(&text, is_whole, encoding)?;
    if encoding.is_none() && bad > 0 {
        found.told.push(format!(
            "is UTF-8 but for {bad} of the first {lines} lines, which become dead letters: `clickmill dead-letter replay` with `--set source.csv.encoding=windows-1252`, say, makes rows of them"
        ));
    }
    Ok(found)
}

/// What text in a language of tags or blocks is: each of its lines would be a record of one column.
fn markup(text: &str) -> Option<&'static str> {
    let start = text.trim_start();
    let begins =
        |with: &str| start.get(..with.len()).is_some_and(|it| it.eq_ignore_ascii_case(with));
    let is_tag = || start[1..].starts_with(|letter: char| letter.is_ascii_alphabetic());
    if begins("<!doctype html") || begins("<html") {
        return Some("is a page in HTML");
    }
    if begins("<?xml") || (start.starts_with('<') && is_tag() && start.contains("</")) {
        return Some("is XML");
    }
    let mut lines = lines_of(start).into_iter();
    if lines.next()?.trim_end() != "---" {
        return None;
    }
    // A block of YAML: `key: value`, `key:`, `- value`, and what is indented below.
    let is_key = |key: &str| !key.is_empty() && !key.contains([' ', ',']);
    let is_block = |line: &str| {
        line.starts_with([' ', '#'])
            || line.starts_with("- ")
            || line.split_once(": ").is_some_and(|(key, _)| is_key(key))
            || line.trim_end().strip_suffix(':').is_some_and(is_key)
    };
    lines.take(JSON_LINES).all(is_block).then_some("is YAML")
}

/// Bytes without what is cut at the end.
fn whole_lines(bytes: &[u8], is_whole: bool) -> &[u8] {
    let end = bytes.iter().rposition(|byte| matches!(byte, b'\n' | b'\r'));
    &bytes[..end.filter(|_| !is_whole).map_or(bytes.len(), |at| at + 1)]
}

/// Lines with something on them.
fn lines_of(text: &str) -> Vec<&str> {
    text.split('\n').filter(|line| !line.trim().is_empty()).collect()
}

/// Whether most lines of text that begins as something else are objects of JSON: a log may be cut in the middle of
/// one, or begin with a line about itself.
fn are_objects(text: &str, is_whole: bool) -> bool {
    const LEAST: usize = 3;
    let mut lines = lines_of(text);
    if !is_whole {
        lines.pop();
    }
    let looked = &lines[..lines.len().min(JSON_LINES)];
    let good = looked.iter().filter(|line| matches!(Value::parse(line), Some(Value::Object(_))));
    looked.len() >= LEAST && good.count() * 2 > looked.len()
}

/// A line with null for what Python and others write where a number is none.
fn without_nan(line: &str) -> String {
    const NO_NUMBERS: [&str; 4] = ["NaN", "nan", "-Infinity", "Infinity"];
    let (mut written, mut rest) = (String::new(), line);
    let (mut is_text, mut is_escaped) = (false, false);
    while let Some(c) = rest.chars().next() {
        let found = NO_NUMBERS.iter().find(|word| !is_text && rest.starts_with(**word));
        if let Some(word) = found {
            written.push_str("null");
            rest = &rest[word.len()..];
            continue;
        }
        is_text ^= c == '"' && !is_escaped;
        is_escaped = is_text && c == '\\' && !is_escaped;
        written.push(c);
        rest = &rest[c.len_utf8()..];
    }
    written
}

/// A line with whole characters where one of JSON's two halves of a character may be without the other, as where a text
/// was cut between them.
fn without_halves(line: &str) -> String {
    const WHOLE: &str = "fffd";
    let mut parts = line.split("\\u");
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        written.push_str("\\u");
        let is_half =
            matches!(part.as_bytes(), [b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', ..]);
        match part.get(WHOLE.len()..).filter(|_| is_half) {
            Some(rest) => written.extend([WHOLE, rest]),
            None => written.push_str(part),
        }
    }
    written
}

/// Whether text that begins as JSON has a JSON value on each line.
fn is_json(text: &str, is_whole: bool) -> Result<bool, Refused> {
    let mut lines = lines_of(text);
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
    let is_listed = |line: &&&str| {
        let line = line.trim_end();
        line.strip_suffix(',').is_some_and(|value| Value::parse(value).is_some())
    };
    if looked.iter().filter(is_listed).count() * 2 > looked.len() {
        return Err((
            "is JSON with a comma behind each value".to_owned(),
            "`sed 's/,[[:space:]]*$//' FILE > DATA.ndjson` takes them off".to_owned(),
        ));
    }
    let is_but_for_numbers = |line: &&&str| Value::parse(&without_nan(line)).is_some();
    if looked.iter().filter(is_but_for_numbers).count() * 2 > looked.len() {
        return Err((
            "has NaN or Infinity on most of its lines, which are no numbers of JSON".to_owned(),
            "`jq -c . FILE > DATA.ndjson` writes null for NaN, and for Infinity the largest number"
                .to_owned(),
        ));
    }
    let is_but_for_halves = |line: &&&str| Value::parse(&without_halves(line)).is_some();
    if looked.iter().filter(is_but_for_halves).count() * 2 > looked.len() {
        return Err((
            "has halves of characters on most of its lines, such as `\\ud83d` without the other half, which are no text of JSON".to_owned(),
            "`jq -c . FILE > DATA.ndjson` writes U+FFFD in their place".to_owned(),
        ));
    }
    // An array or an object over several lines; or text that happens to begin so.
    let is_document = looked.first().is_some_and(|line| {
        let rest = line.trim_start().trim_start_matches(['{', '[']).trim_start();
        rest.is_empty() || rest.starts_with(['"', '{', '[', ']', '}'])
    });
    if is_document {
        return Err((
            "is JSON over several lines".to_owned(),
            "a value on each line is read: `jq -c '.[]' FILE > FILE.ndjson` writes an array so, `jq -c .` objects".to_owned(),
        ));
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines of the section `source`.
    #[track_caller]
    pub(super) fn lines(bytes: &[u8]) -> String {
        match sniff(bytes, true) {
            Ok(found) => found.lines.last().cloned().unwrap_or_default(),
            Err((what, _)) => what,
        }
    }

    #[test]
    fn json_lines_are_told_from_documents_and_other_kinds_are_named() {
        const NAN: &str = "has NaN or Infinity on most of its lines, which are no numbers of JSON";
        const HALVES: &str = "has halves of characters on most of its lines, such as `\\ud83d` without the other half, which are no text of JSON";
        for (bytes, wanted) in [
            (&b"{\"a\": 1}\n{\"a\": 2}\n"[..], "format = \"ndjson\""),
            (b"[{\"a\": 1}, {\"a\": 2}]", "format = \"ndjson\""),
            (b"{\"a\": 1}\n{\"a\": \n{\"a\": 2}\n", "format = \"ndjson\""),
            (b"[\n  {\"a\": 1},\n  {\"a\": 2}\n]\n", "is JSON over several lines"),
            (b"{\"a\": 1},\r\n{\"a\": 2},\r\n", "is JSON with a comma behind each value"),
            (b"{\"a\":NaN,\"b\":1}\n{\"a\":-Infinity}\n{\"a\":1}\n", NAN),
            (b"{\"a\": \"\\\"NaN\", \"b\": [1, NaN]}\n", NAN),
            (b"{\"a\": NaN}\n{\"a\": 1}\n", "format = \"ndjson\""),
            (b"[\n{\"a\": NaN},\n{\"a\": NaN}\n]\n", "is JSON over several lines"),
            (b"{\"id\":1,\"x\":\"\\ud83d\"}\n{\"id\":2,\"x\":\"\\uDE00 a\"}\n", HALVES),
            (b"{\"x\":\"\\ud83d\\ude00\"}\n", "format = \"ndjson\""),
            (b"{\"x\":\"\\ud83d\"}\n{\"x\":1}\n", "format = \"ndjson\""),
            (b"{\n\"x\":\"\\ud83d\"\n}\n", "is JSON over several lines"),
            (b"ada\"}\n{\"a\": 1}\n{\"a\": 2}\n", "format = \"ndjson\""),
            (b"# a log\n{\"a\": 1}\n{\"a\": 2}\n", "format = \"ndjson\""),
            (b"label\n1\n{\"a\": 2}\n", r#"csv = { delimiter = "," }"#),
            (b"<?xml version=\"1.0\"?>\n<rows><row id=\"1\"/></rows>\n", "is XML"),
            (b"\n<Events>\n  <event id=\"1\">a</event>\n</Events>\n", "is XML"),
            (b"<!DOCTYPE html>\n<title>a</title>\n", "is a page in HTML"),
            (b"<INFO> one\n<WARN> two\n", r#"csv = { delimiter = "," }"#),
            (
                b"<34>Oct 11 su: one\n<34>Oct 11 su: two\n",
                r#"csv = { delimiter = ",", header = false }"#,
            ),
            (b"---\n- id: 1\n  name: a\n- id: 2\n  name: b\n", "is YAML"),
            (b"---\nid: 1\nname: a\n", "is YAML"),
            (b"---\nid\n1\n", r#"csv = { delimiter = "," }"#),
            (b"---\n12:00 INFO x: y\n12:01 INFO x: z\n", r#"csv = { delimiter = "," }"#),
            (b"PAR1\x15\x04", "is Parquet"),
            (b"PK\x03\x04\x14", "is a zip archive or a workbook"),
            (b"a\0\0b\0", "is not text"),
            (b"\x89PNG\r\n\x1a\nid,v\n1,2\n", "is a PNG image"),
            (b"\xff\xd8\xff\xe0id,v\n", "is a JPEG image"),
            (b"\xff\x06\0\0sNaPpYid,v\n1,2\n", "is Snappy"),
            (b"BZh91AY&SYid,v\n", "is bzip2"),
            (b"\xfd7zXZ\0\0\x04", "is xz"),
            (b"\x1f\x8b\x08\0", "is gzip, and was packed twice before"),
            (b"(\xb5/\xfd\x04", "is zstd, and was packed twice before"),
            (b"ARROW1\0\0", "is Arrow or Feather"),
            (b"\x1e{\"id\": 1}\n\x1e{\"id\": 2}\n", "is a sequence of JSON texts (RFC 7464)"),
            (b"\n\x1e[{\"id\": 1}]\n", "is a sequence of JSON texts (RFC 7464)"),
        ] {
            assert_eq!(lines(bytes), wanted, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn every_refusal_says_what_to_do() {
        for (at, sign, what, _) in OTHERS {
            let bytes = [vec![b'a'; at].as_slice(), sign, b" and more"].concat();
            let (told, hint) = sniff(&bytes, true).expect_err("another kind");
            assert_eq!(told, what);
            assert!(!hint.is_empty());
        }
    }

    #[test]
    fn json_of_some_lines_that_are_not_utf_8_is_read() {
        let good = |count: usize| "{\"id\": 1}\n".repeat(count).into_bytes();
        let bad = b"{\"id\": \"Ren\xe9\"}\n";
        for bytes in [
            [good(10_000).as_slice(), bad].concat(),
            [good(40).as_slice(), bad, b"{\"id\": \"\xc0\x80\"}\n", bad].concat(),
            ["{\"id\": \"Łódź\"}\n".repeat(9).as_bytes(), bad].concat(),
            [b"\xef\xbb\xbf".as_slice(), &good(9), bad].concat(),
        ] {
            let found = sniff(&bytes, true).expect("JSON lines");
            assert!(matches!(found.format, Format::Ndjson { .. }));
            assert!(found.told[0].contains("which become dead letters"), "{:?}", found.told);
        }
        for (bytes, name) in [
            (bad.repeat(10), "windows-1252"),
            ([good(2).as_slice(), bad].concat(), "windows-1252"),
            (
                "\u{feff}{\"a\": 1}\n".encode_utf16().flat_map(u16::to_le_bytes).collect(),
                "UTF-16LE",
            ),
        ] {
            let (what, hint) = sniff(&bytes, true).expect_err("no UTF-8");
            assert_eq!(what, format!("is JSON in {name}, of which only UTF-8 is read"));
            assert!(hint.contains(&format!("iconv -f {name} -t UTF-8")), "{hint}");
        }
    }

    #[test]
    fn lines_that_are_not_utf_8_are_told() {
        let rows = "7,Łódź\n".repeat(100);
        let bytes = [b"id,city\n", rows.as_bytes(), b"8,Ren\xe9\n"].concat();
        let found = sniff(&bytes, true).expect("text");
        assert_eq!(found.lines.last().map(String::as_str), Some("csv = { delimiter = \",\" }"));
        assert!(found.told[0].contains("but for 1 of the first 102 lines"), "{:?}", found.told);
        // The end that is cut is no such line.
        let cut = &[b"id,city\n", rows.as_bytes(), b"8,\xc5"].concat();
        assert!(sniff(cut, false).expect("text").told.is_empty());
    }
}
