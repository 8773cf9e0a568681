//! Tables as many programs write them: what comes out is what went in, or a dead letter holds the very
//! bytes.

use proptest::prelude::*;

use super::*;

/// How a program writes a table.
#[derive(Debug, Clone)]
struct Written {
    delimiter: char,
    quote: char,
    /// Before a quote within a field, and before itself; a quote is doubled where absent.
    escape: Option<char>,
    quotes: Quoting,
    line_end: &'static str,
    byte_order_mark: bool,
    last_line_ends: bool,
    /// A delimiter behind the last name, and behind the last field of records.
    trailing: [bool; 2],
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Quoting {
    All,
    /// Only what needs them.
    Needed,
    /// Only what needs them, and a quote within a field is escaped without.
    Escaped,
    /// Nothing: what would need them is escaped, line ends too.
    Never,
}

impl Written {
    fn field(&self, text: &str, is_alone: bool, out: &mut String) {
        let special = |c: char| c == self.delimiter || matches!(c, '\r' | '\n');
        let is_never = self.escape.is_some() && self.quotes == Quoting::Never;
        let escaped = is_never || self.escape.is_some() && self.quotes == Quoting::Escaped;
        let quoted = self.quotes == Quoting::All
            || (text.contains(special) && !is_never)
            || (text.contains(self.quote) && !escaped)
            || (text.is_empty() && is_alone);
        let quote = if quoted { self.quote.to_string() } else { String::new() };
        out.push_str(&quote);
        for character in text.chars() {
            match self.escape {
                Some(escape) if character == escape || character == self.quote => out.push(escape),
                Some(escape) if is_never && special(character) => out.push(escape),
                None if character == self.quote => out.push(character),
                _ => {}
            }
            out.push(character);
        }
        out.push_str(&quote);
    }

    fn line(&self, fields: &[String], trailing: bool) -> String {
        let mut line = String::new();
        for (at, field) in fields.iter().enumerate() {
            if at > 0 {
                line.push(self.delimiter);
            }
            self.field(field, fields.len() == 1 && !trailing, &mut line);
        }
        if trailing {
            line.push(self.delimiter);
        }
        line
    }

    /// The bytes of a table, of which the first line names the columns.
    fn bytes(&self, table: &[Vec<String>]) -> Vec<u8> {
        let mut lines = Vec::new();
        for (at, fields) in table.iter().enumerate() {
            lines.push(self.line(fields, self.trailing[usize::from(at > 0)]));
        }
        let mark = if self.byte_order_mark { "\u{feff}" } else { "" };
        let end = if self.last_line_ends { self.line_end } else { "" };
        [mark, &lines.join(self.line_end), end].concat().into_bytes()
    }

    /// Whether a field that is not quoted ends in a line end, which with the one behind it may be another, or in none
    /// where that is left out.
    fn is_in_doubt(&self, table: &[Vec<String>]) -> bool {
        let ends = |row: &Vec<String>| row.last().is_some_and(|last| last.ends_with(['\r', '\n']));
        self.escape.is_some() && self.quotes == Quoting::Never && table.iter().any(ends)
    }

    /// As the pipeline file says it.
    fn dialect(&self) -> Dialect {
        Dialect {
            delimiter: Some(self.delimiter as u8),
            quote: self.quote as u8,
            escape: Some(self.escape.unwrap_or(self.quote) as u8),
            trailing_delimiter: self.trailing != [false; 2],
            ..Dialect::default()
        }
    }
}

fn written() -> impl Strategy<Value = Written> {
    use Quoting::{All, Escaped, Needed, Never};
    let quotes = prop::sample::select(vec![All, Needed, Escaped, Never]);
    let signs =
        (prop::sample::select(vec![',', ';', '\t', '|']), prop::sample::select(vec!['"', '\'']));
    (
        signs,
        prop::option::of(Just('\\')),
        quotes,
        prop::sample::select(vec!["\n", "\r\n", "\r"]),
        any::<[bool; 4]>(),
    )
        .prop_map(|((delimiter, quote), escape, quotes, line_end, flags)| Written {
            delimiter,
            quote,
            escape,
            quotes,
            line_end,
            byte_order_mark: flags[0],
            last_line_ends: flags[1],
            trailing: [flags[2], flags[3]],
        })
}

/// A table whose fields are made of these pieces; its first line names the columns.
fn table(pieces: &'static [&'static str]) -> impl Strategy<Value = Vec<Vec<String>>> {
    let field = prop::collection::vec(prop::sample::select(pieces), 0..6);
    let field = field.prop_map(|pieces| pieces.concat());
    (1_usize..5).prop_flat_map(move |columns| {
        let names = (0..columns).map(|at| format!("Name {at}é"));
        let names: Vec<String> = names.collect();
        let rows = prop::collection::vec(prop::collection::vec(field.clone(), columns), 0..8);
        rows.prop_map(move |mut rows| {
            rows.insert(0, names.clone());
            rows
        })
    })
}

const PIECES: &[&str] = &[
    "a", "Z9", "é", "\u{feff}", " ", "\"", "'", "\\", ",", ";", "\t", "|", "\n", "\r\n", "\r", "\0",
];
const PIECES_WITHOUT_ESCAPES: &[&str] =
    &["a", "Z9", "é", "\u{feff}", " ", "\"", "'", ",", ";", "\t", "|", "\n", "\r\n", "\r", "\0"];
const PIECES_OF_A_LINE: &[&str] = &["a", "b", " ", "\"", "\"", ","];

fn of_dialect(dialect: Dialect, bytes: &[u8], block_bytes: usize) -> Vec<Record> {
    let format = Format::Csv { dialect, max_record_bytes: 1024 };
    let blocks = Blocks::of(trickle(bytes), block_bytes);
    let decoder =
        Decoder::of_blocks(&format, limits(3), "test@1".into(), Micros::default(), blocks);
    records(decoder.expect("a header"), 3)
}

/// Every byte of the object is in one record as it was, or in a line end, a blank line or the header.
fn account(bytes: &[u8], records: &[Record]) {
    let text = String::from_utf8(bytes.to_vec()).expect("text");
    // Where each line begins.
    let mut begins = vec![0];
    for (at, byte) in bytes.iter().enumerate() {
        let ends = match byte {
            b'\r' => bytes.get(at + 1) != Some(&b'\n'),
            byte => *byte == b'\n',
        };
        if ends {
            begins.push(at + 1);
        }
    }
    let mut done = None;
    for record in records {
        let begin = begins[record.line as usize - 1];
        let end = begin + record.payload.len();
        assert_eq!(&bytes[begin..end], record.payload, "line {}", record.line);
        let before = &text[done.unwrap_or(begin)..begin];
        assert!(before.chars().all(|c| matches!(c, '\r' | '\n')), "{before:?} is in no record");
        done = Some(end);
    }
    let rest = &text[done.unwrap_or(text.len())..];
    assert!(rest.chars().all(|c| matches!(c, '\r' | '\n')), "{rest:?} is in no record");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// Read as it was written, a table is what it was, wherever blocks are cut.
    #[test]
    fn a_table_comes_out_as_it_went_in(
        written in written(),
        table in table(PIECES),
        block_bytes in 1_usize..200,
    ) {
        if written.is_in_doubt(&table) {
            return Ok(());
        }
        let bytes = written.bytes(&table);
        let found = of_dialect(written.dialect(), &bytes, block_bytes);
        account(&bytes, &found);
        let rows: Vec<_> = found.into_iter().map(|record| record.fields).collect();
        let wanted: Vec<_> = table[1..].iter().cloned().map(Ok).collect();
        prop_assert_eq!(rows, wanted, "{}", String::from_utf8_lossy(&bytes));
    }

    /// Of records that have too few fields, however many lines their fields have, no part is a row.
    #[test]
    fn a_table_of_another_width_gives_a_letter_for_each_record(
        written in written(),
        table in table(PIECES),
        block_bytes in 1_usize..200,
    ) {
        let quotes = if written.quotes == Quoting::Never { Quoting::Needed } else { written.quotes };
        let written = Written { trailing: [false; 2], quotes, ..written };
        let mut table = table;
        table[0].push("One more".to_owned());
        let bytes = written.bytes(&table);
        let found = of_dialect(written.dialect(), &bytes, block_bytes);
        account(&bytes, &found);
        prop_assert_eq!(found.len(), table.len() - 1, "{}", String::from_utf8_lossy(&bytes));
        for record in found {
            let code = record.fields.map_err(|reason| reason.code);
            prop_assert_eq!(code, Err("wrong_field_count".to_owned()));
        }
    }

    /// Where nobody has said what a backslash escapes, rows are rows that went in, in their order, and all else is in
    /// letters. What a backslash before another one, or the only column of a table, means nothing tells.
    #[test]
    fn without_the_setting_rows_are_those_that_went_in(
        written in written(),
        table in table(PIECES_WITHOUT_ESCAPES),
        block_bytes in 1_usize..200,
    ) {
        let written = Written { trailing: [false; 2], ..written };
        if table[0].len() == 1 || written.is_in_doubt(&table) {
            return Ok(());
        }
        let bytes = written.bytes(&table);
        let dialect = Dialect { escape: None, ..written.dialect() };
        let found = of_dialect(dialect, &bytes, block_bytes);
        account(&bytes, &found);
        let mut wanted = table[1..].iter();
        let all = found.len();
        for record in found {
            if let Ok(fields) = record.fields {
                let is_next = wanted.any(|row| *row == fields);
                prop_assert!(is_next, "{:?} of {}", fields, String::from_utf8_lossy(&bytes));
            } else {
                prop_assert!(written.escape.is_some(), "{}", String::from_utf8_lossy(&bytes));
            }
        }
        // Lines that are none of a record by themselves may be letters of their own.
        prop_assert!(all == table.len() - 1 || written.escape.is_some());
    }

    /// Quotes that a backslash escapes are never read as if it did not: without the setting a line is the
    /// row that it was, or a dead letter with its bytes.
    #[test]
    fn escaped_quotes_are_never_altered(
        written in written(),
        table in table(PIECES_OF_A_LINE),
    ) {
        let written = Written {
            escape: Some('\\'), quote: '"', delimiter: ',', trailing: [false; 2], ..written
        };
        let bytes = written.bytes(&table);
        let dialect = Dialect { escape: None, ..written.dialect() };
        let found = of_dialect(dialect, &bytes, BLOCK_BYTES);
        account(&bytes, &found);
        for record in found {
            if let Ok(fields) = record.fields {
                prop_assert!(table[1..].contains(&fields), "{:?} of {}", fields, String::from_utf8_lossy(&bytes));
            }
        }
    }
}

#[track_caller]
fn check(dialect: Dialect, source: &str, bytes: &[u8], wanted: &[&str]) {
    let format = Format::Csv { dialect, max_record_bytes: 1024 };
    let decoder =
        Decoder::new(&format, limits(10), source.into(), Micros::default(), trickle(bytes));
    let decoder = decoder.expect("a header");
    let names: Vec<&str> = decoder.schema().fields().iter().map(|f| f.name().as_str()).collect();
    let mut found = vec![names.join("|")];
    found.extend(texts(records(decoder, 10)));
    assert_eq!(found, wanted);
}

#[test]
fn quotes_that_a_backslash_escapes_are_letters_unless_the_setting_says_so() {
    let bytes = br#"id,name
1,"Coat ""West"" M"
2,"Coat \"West\" M"
3,"length \"10\", red"
4,length 10\"
5,C:\new "or so"
6,"C:\new\"
7,"C:\new\", red
"#;
    check(
        Dialect::default(),
        "a.csv@1",
        bytes,
        &[
            "id|name",
            r#"2|1|Coat "West" M"#,
            r#"3!unbalanced_quote!2,"Coat \"West\" M""#,
            r#"4!unbalanced_quote!3,"length \"10\", red""#,
            r#"5!unbalanced_quote!4,length 10\""#,
            r#"6|5|C:\new "or so""#,
            r#"7!unbalanced_quote!6,"C:\new\""#,
            r#"8!unbalanced_quote!7,"C:\new\", red"#,
        ],
    );
    check(
        Dialect { escape: Some(b'"'), ..Dialect::default() },
        "a.csv@1",
        bytes,
        &[
            "id|name",
            r#"2|1|Coat "West" M"#,
            r#"3!unbalanced_quote!2,"Coat \"West\" M""#,
            r#"4!unbalanced_quote!3,"length \"10\", red""#,
            r#"5|4|length 10\""#,
            r#"6|5|C:\new "or so""#,
            r"7|6|C:\new\",
            r#"8!wrong_field_count!7,"C:\new\", red"#,
        ],
    );
    check(
        Dialect { escape: Some(b'\\'), ..Dialect::default() },
        "a.csv@1",
        bytes,
        &[
            "id|name",
            r#"2|1|Coat "West" M"#,
            r#"3|2|Coat "West" M"#,
            r#"4|3|length "10", red"#,
            r#"5|4|length 10""#,
            r#"6|5|C:\new "or so""#,
            r#"7!unbalanced_quote!6,"C:\new\""#,
            r#"8!unbalanced_quote!7,"C:\new\", red"#,
        ],
    );
    let escaped = Dialect { escape: Some(b'\\'), ..Dialect::default() };
    let bytes = b"id,name\n1,C:\\\\new\n2,a\\,b\n3,end\\\n4,\"two\\\nlines\"\n5,\\N\n";
    let wanted = [
        "id|name",
        "2|1|C:\\new",
        "3|2|a,b",
        "4!unbalanced_quote!3,end\\",
        "5|4|two\\\nlines",
        "7|5|\\N",
    ];
    check(escaped, "a.csv@1", bytes, &wanted);
}

#[test]
fn a_record_of_wrong_width_whose_escaped_quotes_are_in_order_is_one_letter() {
    check(
        Dialect { escape: Some(b'\\'), ..Dialect::default() },
        "a.csv@1",
        b"a,b\n1,\"x\\\"\n7,8\n\",3\n5,6\n",
        &["a|b", "2!wrong_field_count!1,\"x\\\"\n7,8\n\",3", "5|5|6"],
    );
}

#[test]
fn text_behind_a_closing_quote_is_no_part_of_the_field() {
    check(
        Dialect::default(),
        "a.csv@1",
        b"a,b\n\"x\" ,y\n\"x\"y,z\nx \"y\",z\n",
        &["a|b", "2!unbalanced_quote!\"x\" ,y", "3!unbalanced_quote!\"x\"y,z", "4|x \"y\"|z"],
    );
}

#[test]
fn names_that_end_in_tsv_are_read_with_tabs_unless_a_delimiter_is_set() {
    let bytes = b"a\tb,c\n1,5\tx\n";
    let tabs = ["a|b,c", "2|1,5|x"];
    for name in ["file:///data/x.tsv@1-2", "gs://b/x.TSV.gz@17", "x.tsv", "gs://b/a@b.tsv@3"] {
        check(Dialect::default(), name, bytes, &tabs);
    }
    let commas = ["a\tb|c", "2|1|5\tx"];
    for name in ["x.csv@1", "x.tsv.csv@1", "stdin", "tsv"] {
        check(Dialect::default(), name, bytes, &commas);
    }
    check(Dialect { delimiter: Some(b','), ..Dialect::default() }, "x.tsv@1", bytes, &commas);
}

#[test]
fn a_column_without_a_name_is_called_by_its_place() {
    let plain = Dialect::default();
    check(plain, "a", b",id\n0,7\n", &["column_1|id", "2|0|7"]);
    check(plain, "a", b"id,,\n0,7,\n", &["id|column_2|column_3", "2|0|7|"]);
    let format = csv_format(1024);
    let error = decoder(&format, 1, b";column_1\n").err().expect("no header").to_string();
    assert_eq!(error, "the header on line 1 names column `column_1` twice, as columns 1 and 2");
}

#[test]
fn without_a_header_the_first_line_is_a_record_and_columns_are_called_by_their_places() {
    let bare = Dialect { header: false, ..Dialect::default() };
    let wanted = ["column_1|column_2", "2|1|x", "3|2|y", "4!wrong_field_count!3", "5|4|\u{e9}"];
    check(bare, "a", "\n1,x\n2,y\n3\n4,\u{e9}\n".as_bytes(), &wanted);
    check(bare, "a", b"\xef\xbb\xbf1,x\n", &["column_1|column_2", "1|1|x"]);
    let trailing = Dialect { trailing_delimiter: true, ..bare };
    check(trailing, "a", b"1,2,\n3,4\n", &["column_1|column_2", "1|1|2", "2|3|4"]);
    let format = Format::Csv { dialect: bare, max_record_bytes: 1024 };
    let error = decoder(&format, 1, b"\"a\n1,2\n").err().expect("no columns").to_string();
    assert!(error.starts_with("the first record, which tells how many columns"), "{error}");
}

#[test]
fn a_record_without_a_header_is_read_alone_behind_the_one_that_it_got() {
    let dialect = Dialect { header: false, delimiter: Some(b';'), ..Dialect::default() };
    let format = Format::Csv { dialect, max_record_bytes: 1024 };
    let mut whole = decoder(&format, 10, b"1;a\n2;b\n").expect("columns");
    let batch = whole.next_batch().expect("a batch").expect("rows").batch;
    let header = batch.origins.header.expect("a header");
    let alone = [&header[..], b"\n2;b\n"].concat();
    let mut one = decoder(&format.of_one(true), 10, &alone).expect("a header");
    assert_eq!(one.schema(), whole.schema());
    assert_eq!(one.next_batch().expect("a batch").expect("a row").batch.rows(), 1);
}

#[test]
fn a_name_that_comes_again_gets_a_number_where_the_setting_says_so() {
    let repeated = Dialect { repeated_names: true, ..Dialect::default() };
    check(repeated, "a", b"v,v,v_2,v\n1,2,3,4\n", &["v|v_2|v_2_2|v_3", "2|1|2|3|4"]);
}

#[test]
fn one_name_may_come_again_very_often() {
    let repeated = Dialect { repeated_names: true, ..Dialect::default() };
    let format = Format::Csv { dialect: repeated, max_record_bytes: 1 << 20 };
    let header = vec!["v"; 4096].join(",");
    let decoder = decoder(&format, 10, header.as_bytes()).expect("a header");
    assert_eq!(decoder.schema().field(4095).name(), "v_4096");
}

#[test]
fn a_header_of_too_many_columns_is_told_by_their_number() {
    // The second is what a file of nothing but delimiters has for a header.
    let named: String = (0..4097).map(|column| format!("v{column},")).collect();
    for header in [named, ",".repeat(4096), ",".repeat(1 << 19)] {
        for escape in [None, Some(b'^')] {
            let dialect = Dialect { escape, ..Dialect::default() };
            let format = Format::Csv { dialect, max_record_bytes: 1 << 20 };
            let text = format!("{header}\n1,2\n");
            let error = decoder(&format, 10, text.as_bytes()).err().expect("too many");
            let told = "the header on line 1 has more than 4096 columns";
            assert_eq!(error.to_string(), told, "{escape:?}");
        }
    }
}

#[test]
fn an_object_of_line_ends_alone_holds_nothing() {
    for text in ["\n".repeat(1000), "\r".repeat(1000), "\r\n".repeat(1000), String::new()] {
        for (header, marks) in [(true, ""), (true, "\u{feff}"), (false, "")] {
            let dialect = Dialect { header, ..Dialect::default() };
            let format = Format::Csv { dialect, max_record_bytes: 1024 };
            let text = format!("{marks}{text}");
            let mut decoder = decoder(&format, 10, text.as_bytes()).expect("no header");
            assert!(decoder.holds_nothing(), "{text:?}");
            assert!(decoder.next_batch().expect("decodes").is_none());
        }
    }
    let format = Format::Csv { dialect: Dialect::default(), max_record_bytes: 1024 };
    assert!(!decoder(&format, 10, b"\n\na\n").expect("a header").holds_nothing());
    let format = Format::Ndjson { max_record_bytes: 1024 };
    assert!(!decoder(&format, 10, b"\n\n").expect("no header").holds_nothing());
}

#[test]
fn text_in_another_encoding_is_decoded_as_text() {
    let latin = Dialect { encoding: Some(encoding_rs::WINDOWS_1252), ..Dialect::default() };
    let format = Format::Csv { dialect: latin, max_record_bytes: 1024 };
    let mut decoder = decoder(&format, 10, b"a,stra\xdfe\n1,\xfc\n").expect("a header");
    assert_eq!(decoder.schema().field(1).name(), "stra\u{df}e");
    let batch = decoder.next_batch().expect("a batch").expect("rows").batch;
    let column: &arrow::array::StringArray = batch.columns.column(1).as_string();
    assert_eq!(column.value(0), "\u{fc}");
}

#[test]
fn lines_may_end_in_a_delimiter_where_the_setting_says_so() {
    let trailing = Dialect { trailing_delimiter: true, ..Dialect::default() };
    let wanted = ["a|b", "2|1|2", "3|3|", "4!wrong_field_count!4,5,6"];
    check(trailing, "a", b"a,b,\n1,2,\n3,,\n4,5,6\n", &wanted);
    check(trailing, "a", b"a,b\n1,2,\n3,\n4,5,6\n", &wanted);
    let wanted = ["a|b", "2!wrong_field_count!1,2,", "3|3|"];
    check(Dialect::default(), "a", b"a,b\n1,2,\n3,\n", &wanted);
}

#[test]
fn a_byte_order_mark_within_an_object_is_a_field_s_own() {
    check(
        Dialect::default(),
        "a",
        b"\xef\xbb\xbfa,b\n\xef\xbb\xbf1,2\n",
        &["a|b", "2|\u{feff}1|2"],
    );
}

/// Nobody has said whether a backslash escapes quotes: lines that a record has where it does are in its letter, and none
/// of them is a row.
#[test]
fn csv_lines_within_what_may_be_escaped_are_no_rows() {
    for (text, wanted) in [
        (
            "3,\"he said \\\"\n4,x\n\\\" bye\"\n5,ok\n",
            &["!3,\"he said \\\"\n4,x\n\\\" bye\"", "5,ok"][..],
        ),
        ("3,\"he said \\\"\n4,x\\\"\"\n5,ok\n", &["!3,\"he said \\\"\n4,x\\\"\"", "5,ok"]),
        // Paths that end so: the next line opens a quote, which would not be in order.
        ("1,\"C:\\a\\\"\n2,\"C:\\b\\\"\n3,ok\n", &["!1,\"C:\\a\\\"", "!2,\"C:\\b\\\"", "3,ok"]),
        // Behind the first line.
        ("3,\"a\n4,x\nb \\\"c\\\" d\"\n5,ok\n", &["!3,\"a\n4,x\nb \\\"c\\\" d\"", "5,ok"]),
        ("1,\"C:\\a\\\"\n2,ok\n3,ok\n", &["!1,\"C:\\a\\\"", "2,ok", "3,ok"]),
    ] {
        let text = format!("id,txt\n{text}");
        for block_bytes in [1, 7, BLOCK_BYTES] {
            let format = Format::Csv { dialect: Dialect::default(), max_record_bytes: 1 << 16 };
            let found =
                super::line_ends::records_of_blocks(&format, 100, block_bytes, text.as_bytes());
            let shown = |record: &Record| {
                let sign = if record.fields.is_err() { "!" } else { "" };
                format!("{sign}{}", String::from_utf8_lossy(&record.payload))
            };
            assert_eq!(
                found.iter().map(shown).collect::<Vec<_>>(),
                wanted,
                "{text:?} in {block_bytes}"
            );
        }
    }
}

#[test]
fn a_line_end_that_a_backslash_may_escape_is_in_a_letter_and_folders_are_rows() {
    let plain = Dialect::default();
    for (text, wanted) in [
        ("1,two\\\nlines\n2,b\n", &["2!1,two\\\nlines", "4|2|b"][..]),
        ("1,two\\\r\nlines\r\n2,b", &["2!1,two\\\r\nlines", "4|2|b"]),
        ("1,a\\\n\\\nb\n2,b\n", &["2!1,a\\\n\\\nb", "5|2|b"]),
        // In another field than the last.
        ("two\\\nlines,1\n2,b\n", &["2!two\\\nlines,1", "4|2|b"]),
        ("1,C:\\a\\\n2,C:\\b\\\n", &["2|1|C:\\a\\", "3|2|C:\\b\\"]),
        ("1,C:\\a\\\n\n2,C:\\b\\\n\n", &["2|1|C:\\a\\", "4|2|C:\\b\\"]),
        ("1,C:\\a\\\\\nx\n", &["2|1|C:\\a\\\\", "3!x"]),
    ] {
        let bytes = format!("id,name\n{text}");
        let format = Format::Csv { dialect: plain, max_record_bytes: 1024 };
        for block_bytes in [1, 7, BLOCK_BYTES] {
            let found =
                super::line_ends::records_of_blocks(&format, 100, block_bytes, bytes.as_bytes());
            let shown = |record: &Record| match &record.fields {
                Ok(fields) => format!("{}|{}", record.line, fields.join("|")),
                Err(_) => format!("{}!{}", record.line, String::from_utf8_lossy(&record.payload)),
            };
            assert_eq!(
                found.iter().map(shown).collect::<Vec<_>>(),
                wanted,
                "{text:?} in {block_bytes}"
            );
        }
    }
    let bytes = b"id,name\n1,two\\\nlines\n2,C:\\\\new\n3,a\\\r\n\\\nb\n4,end\\\n";
    let wanted =
        ["id|name", "2|1|two\nlines", "4|2|C:\\new", "5|3|a\r\n\nb", "8!unbalanced_quote!4,end\\"];
    check(Dialect { escape: Some(b'\\'), ..plain }, "a.csv@1", bytes, &wanted);
    let wanted = ["id|name", "2|1|two\\", "3!wrong_field_count!lines", "4|2|b"];
    check(
        Dialect { escape: Some(b'"'), ..plain },
        "a.csv@1",
        b"id,name\n1,two\\\nlines\n2,b\n",
        &wanted,
    );
}
