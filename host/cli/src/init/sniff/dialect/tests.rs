use super::super::sniff;
use super::super::tests::lines;
use super::*;

#[test]
fn dialects_are_told_by_what_the_decoder_makes_of_them() {
    for (bytes, wanted) in [
        (&b"id,label\n1,a\n2,b\n"[..], r#"csv = { delimiter = "," }"#),
        (b"id;price\r\n1;2,50\r\n2;3,50\r\n", r#"csv = { delimiter = ";" }"#),
        (b"id\tlabel\r1\ta, b\r2\tc\r", "csv = { delimiter = \"\\t\" }"),
        (b"id|label\n1|a;b\n", r#"csv = { delimiter = "|" }"#),
        (b"id,label,\n1,a,\n2,b,\n", r#"csv = { delimiter = ",", trailing_delimiter = true }"#),
        (b"id,label\n1,\"a \\\"b\\\"\"\n", r#"csv = { delimiter = ",", escape = "\\" }"#),
        (
            b"id,payload\n0,\"{\"\"a\"\":\"\"x\\\"\"y\"\"}\"\n1,\"{}\"\n",
            r#"csv = { delimiter = ",", escape = "\"" }"#,
        ),
        (
            b"id,folder,n\n0,\"C:\\data\\\",1\n1,\"C:\\temp\\\",2\n",
            r#"csv = { delimiter = ",", escape = "\"" }"#,
        ),
        (
            b"id\tevent\n0\t{\"a\":\"b\\\"c\"}\n1\t{\"a\":\"d\"}\n",
            "csv = { delimiter = \"\\t\", escape = \"\\\"\" }",
        ),
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
    const REFUSED: &str = "begins with lines that are no records: comments, a title, or `sep=;`";
    for (bytes, wanted) in [
        (&b"sep=;\r\nid;price\r\n1;2,50\r\n2;3,50\r\n"[..], REFUSED),
        (b"\"sep=,\"\nid,a,b\n1,2,3\n", REFUSED),
        (b"# GA4 - Shop\n# 20260101-20260131\n\nPage,Views\n/,100\n/a,20\n", REFUSED),
        (b"#Version: 1.0\n#Fields: date time\n2026-01-05\t10:00\n2026-01-06\t11:00\n", REFUSED),
        (b"Campaigns\n\"January 1, 2026\"\nName,Clicks,Cost\na,1,2\nb,3,4\n", REFUSED),
        (b"Sales report,,\nid,val,x\n1,1,z\n2,2,z\n3,3,z\n", REFUSED),
        (b"Report;Sales;\r\n;;\r\nid;val;x\r\n1;1;z\r\n2;2;z\r\n3;3;z\r\n", REFUSED),
        (b"Sales report,\nid,val\n1,1\n2,2\n3,3\n", REFUSED),
        (b"id,val,\n1,1,\n2,2,x\n3,3,y\n", r#"csv = { delimiter = "," }"#),
        (b"a,,\nb,1,x\nc,2,y\nd,3,z\n", r#"csv = { delimiter = ",", header = false }"#),
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
fn the_lines_before_the_header_are_taken_off_and_not_the_header() {
    for (bytes, line) in [
        (&b"sep=;\r\nid;price\r\n1;2,50\r\n2;3,50\r\n"[..], 2),
        (b"\"sep=,\"\nid,a,b\n1,2,3\n", 2),
        (b"# GA4 - Shop\n# 20260101-20260131\n\nPage,Views\n/,100\n/a,20\n", 4),
        (b"Campaigns\r\n\"January 1, 2026\"\r\nName,Clicks,Cost\r\na,1,2\r\nb,3,4\r\n", 3),
        (b"Sales report,,\nid,val,x\n1,1,z\n2,2,z\n3,3,z\n", 2),
        (b"Report;Sales;\r\n;;\r\nid;val;x\r\n1;1;z\r\n2;2;z\r\n3;3;z\r\n", 3),
    ] {
        let (_, hint) = sniff(bytes, true).expect_err("lines that are no records");
        let wanted = format!("`tail -n +{line} FILE > DATA.csv` writes what begins on line {line}");
        assert_eq!(hint, wanted, "{}", bytes.escape_ascii());
    }
}

#[test]
fn a_first_line_of_words_may_be_a_record_and_that_is_said() {
    let found = sniff(b"Ada,Paris\nBob,Rome\n", true).expect("text");
    assert!(found.lines.iter().any(|line| line.contains("Where it is a record, `header = false`")));
}

#[test]
fn files_of_too_many_columns_are_refused_and_a_zero_byte_is_a_slip() {
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

/// A header of six names; of `all` rows each that `is_short` has one field less.
fn ragged(all: u32, is_short: fn(u32) -> bool, delimiter: char) -> String {
    let row = |at: u32| {
        let last = if is_short(at) { "" } else { ",ok" };
        format!("{at},Ada {at},ada{at}@example.com,1980-01-02,{at}.50{last}\n")
    };
    let rows: String = (0..all).map(row).collect();
    let text = format!("order_id,customer_name,email,birthday,price,note\n{rows}");
    text.replace(',', &delimiter.to_string())
}

#[test]
fn ragged_rows_are_a_table_still() {
    for delimiter in [',', ';', '\t', '|'] {
        let wanted =
            format!("csv = {{ delimiter = {} }}", clickmill_infer::quoted(&delimiter.to_string()));
        for is_short in [|at| at % 5 == 0, |at| at % 9 == 0, |at| at % 3 == 0, |at| at % 20 < 9] {
            assert_eq!(lines(ragged(100, is_short, delimiter).as_bytes()), wanted);
        }
    }
    for (bytes, wanted) in [
        // Too many fields, of two columns, in quotes.
        (&b"id,name,city\n1,a,Bonn,DE\n2,b,Ulm\n3,c,Kiel\n"[..], r#"csv = { delimiter = "," }"#),
        (b"id;name\n1;a\n2\n3;c\n", r#"csv = { delimiter = ";" }"#),
        (b"id,text\n1,\"a, b\"\n2\n3,\"c\"\"d\"\n", r#"csv = { delimiter = "," }"#),
        (b"id;price;note\n1;2,50;x\n2;3,50\n3;4,50;z\n", r#"csv = { delimiter = ";" }"#),
    ] {
        assert_eq!(lines(bytes), wanted, "{}", bytes.escape_ascii());
    }
}

#[test]
fn rows_so_ragged_that_a_run_ends_are_told() {
    for (is_short, is_told) in
        [(|at| at % 6 == 0, false), (|at| at % 3 == 0, true)] as [(fn(u32) -> bool, bool); 2]
    {
        let found = sniff(ragged(100, is_short, ',').as_bytes(), true).expect("text");
        let told = found.told.join("\n");
        assert_eq!(told.contains("`max_rejected_share`"), is_told, "{told}");
        assert_eq!(told.contains("67 of its first 101 records"), is_told, "{told}");
    }
    // What has no columns at all the decoder refuses.
    assert!(sniff(b"\"a\nb\n", true).is_ok_and(|found| found.told.is_empty()));
}

#[test]
fn sentences_and_lines_of_a_log_are_no_ragged_table() {
    let many = |all: &[&str]| (all.join("\n") + "\n").repeat(20);
    for text in [
        "review\n".to_owned() + &many(&["good, cheap", "fine", "well, well"]),
        many(&["Hello, world", "Good morning", "Yes, of course"]),
        many(&[
            "2026-01-05 10:00:00,123 INFO up",
            "2026-01-05 10:00:01,001 WARN a, b",
            "2026-01-05 10:00:02,5 INFO down",
        ]),
        "address\n".to_owned() + &many(&["A 1, Bonn, DE", "B 2, Ulm, DE", "C 3"]),
    ] {
        let found = sniff(text.as_bytes(), true).expect("text");
        let Format::Csv { dialect, .. } = found.format else { panic!("no CSV") };
        let columns = tried(&text, dialect).columns;
        assert_eq!(columns, 1, "{text}");
        assert!(found.told.is_empty(), "{:?}", found.told);
    }
}

#[test]
fn user_agents_and_poems_are_no_ragged_table() {
    let many = |all: &[&str]| (all.join("\n") + "\n").repeat(40);
    for text in [
        many(&[
            "192.0.2.7 GET / Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/140",
            "192.0.2.8 GET / Mozilla/5.0 (Windows NT 10.0; Win64; x64) Edge/140",
            "192.0.2.9 GET / curl/8.5",
        ]),
        many(&["Much have I seen, and known, of men", "of manners, of climates, too", "and all"]),
    ] {
        let found = sniff(text.as_bytes(), true).expect("text");
        let Format::Csv { dialect, .. } = found.format else { panic!("no CSV") };
        assert_eq!(tried(&text, dialect).columns, 1, "{text}");
    }
}

#[test]
fn one_column_under_a_header_of_several_is_told() {
    for delimiter in [',', ';', '\t', '|'] {
        let text = ragged(100, |at| at % 5 != 0, delimiter);
        let found = sniff(text.as_bytes(), true).expect("text");
        let told = found.told.join("\n");
        assert!(told.contains("one column") && told.contains("has 6 fields"), "{told}");
        assert!(told.contains("21 of its first 101 records"), "{told}");
        assert!(told.contains(&format!("awk -F'{}'", delimiter.escape_default())), "{told}");
    }
    let rows = |row: fn(u32) -> String| (0..60).map(row).collect::<String>();
    for text in [
        "id,t\n".to_owned() + &rows(|at| format!("{at},'a, b {at}'\n")),
        "first name;city\n".to_owned() + &rows(|at| format!("Ada {at};Ulm;;\n")),
    ] {
        let told = sniff(text.as_bytes(), true).expect("text").told.join("\n");
        assert!(told.contains("one column") && told.contains("has 2 fields"), "{told}");
        assert!(told.contains("as 1 of its first 61 records have"), "{told}");
    }
    // Of most lines that are not taken apart nothing is told.
    let text = "id,t\n".to_owned() + &rows(|at| format!("word {at}\n"));
    assert!(sniff(text.as_bytes(), true).expect("text").told.is_empty());
}

#[test]
fn another_encoding_is_told() {
    for (bytes, wanted) in [
        (&b"id;stra\xdfe\n1;M\xfcnchen\n"[..], Some("windows-1252")),
        (b"\xff\xfei\0d\0,\0a\0\n\x001\0,\x002\0\n\0", Some("utf-16le")),
        (b"\xef\xbb\xbfid,label\n1,a\n", None),
    ] {
        let told = sniff(bytes, true).expect("text").told;
        assert_eq!(told.len(), usize::from(wanted.is_some()), "{told:?}");
        assert!(wanted.is_none_or(|name| told[0].contains(name)), "{told:?}");
    }
}
