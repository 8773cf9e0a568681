//! However lines end, LF, CRLF or CR, and wherever blocks are cut: the records are the same.

use proptest::prelude::*;

use super::*;

/// The records of an object of which blocks of so many bytes are read at once. What an oversized record
/// is told to have, at least, depends on that: it is left out.
pub(super) fn records_of_blocks(
    format: &Format,
    max_rows: usize,
    block_bytes: usize,
    bytes: &[u8],
) -> Vec<Record> {
    let mut blocks = Blocks::of(trickle(bytes), block_bytes);
    // As what is read for a header.
    blocks.next_bytes = block_bytes.div_ceil(2);
    let decoder =
        Decoder::of_blocks(format, limits(max_rows), "test@1".into(), Micros::default(), blocks);
    let mut records = records(decoder.expect("a header"), max_rows);
    for record in &mut records {
        if let Err(reason) = &mut record.fields
            && reason.code == "too_large"
        {
            reason.message.clear();
        }
    }
    records
}

/// The text, of which every line end is an LF, with `ends` in their place, in turn.
fn written(text: &[u8], ends: &[&str]) -> Vec<u8> {
    let mut written = Vec::new();
    let mut ends = ends.iter().cycle();
    for byte in text {
        if *byte != b'\n' {
            written.push(*byte);
            continue;
        }
        let end = *ends.next().expect("there is an end");
        // An LF alone would be one line end with the CR before it.
        let end = if end == "\n" && written.last() == Some(&b'\r') { "\r\n" } else { end };
        written.extend_from_slice(end.as_bytes());
    }
    written
}

/// The bytes with an LF for every line end.
fn with_lf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'\n' if at > 0 && bytes[at - 1] == b'\r' => {}
            b'\r' => out.push(b'\n'),
            byte => out.push(*byte),
        }
    }
    out
}

/// The records with an LF for every line end within.
fn all_with_lf(records: Vec<Record>) -> Vec<Record> {
    let text = |text: String| String::from_utf8(with_lf(text.as_bytes())).expect("still text");
    let record = |record: Record| Record {
        fields: record.fields.map(|fields| fields.into_iter().map(text).collect()),
        payload: with_lf(&record.payload),
        header: record.header.map(|header| with_lf(&header)),
        ..record
    };
    records.into_iter().map(record).collect()
}

/// The records of a text, which are the same whichever line ends stand in place of its LFs, however
/// its blocks are cut.
#[track_caller]
fn check_line_ends(max_record_bytes: usize, text: &[u8]) -> Vec<Record> {
    let format = csv_format(max_record_bytes);
    let wanted = records_of_blocks(&format, 1000, BLOCK_BYTES, text);
    for ends in [&["\n"][..], &["\r\n"], &["\r"], &["\r", "\n", "\r\n"], &["\n", "\r"]] {
        let bytes = written(text, ends);
        for block_bytes in (1..=bytes.len() + 1).chain([BLOCK_BYTES]) {
            for max_rows in [1, 1000] {
                let found = records_of_blocks(&format, max_rows, block_bytes, &bytes);
                assert_eq!(
                    all_with_lf(found),
                    wanted,
                    "ends {ends:?}, blocks of {block_bytes} bytes, batches of {max_rows}"
                );
            }
        }
    }
    wanted
}

/// The records' lines, and the codes of those that are malformed.
fn lines_and_codes(records: &[Record]) -> Vec<(u64, &str)> {
    let told = records.iter().map(|record| match &record.fields {
        Ok(_) => (record.line, "row"),
        Err(reason) => (record.line, reason.code.as_str()),
    });
    told.collect()
}

#[test]
fn csv_lines_may_end_with_lf_crlf_or_cr() {
    let text =
        b"\xef\xbb\xbfa;b\n1;2\n\"two\nlines\";\"\n\"\n\n3\n;\xff\n\"a \"\"b\"\"\";\"\"\n4;5";
    let found = check_line_ends(1024, text);
    let wanted = [
        (2, "row"),
        (3, "row"),
        (7, "wrong_field_count"),
        (8, "invalid_utf8"),
        (9, "row"),
        (10, "row"),
    ];
    assert_eq!(lines_and_codes(&found), wanted);
    assert_eq!(found[1].fields, Ok(vec!["two\nlines".to_owned(), "\n".to_owned()]));
    assert_eq!(found[1].payload, b"\"two\nlines\";\"\n\"");
    assert_eq!(found[0].header.as_deref(), Some(&b"a;b"[..]));
    let found = check_line_ends(1024, b"\n\n\"a\nb\";c\n\n\n1;2\n\n");
    assert_eq!(lines_and_codes(&found), [(7, "row")]);
    assert_eq!(found[0].header.as_deref(), Some(&b"\"a\nb\";c"[..]));
    for text in ["", "\n", "a;b", "a;b\n", "a;b\n\n\n"] {
        assert!(check_line_ends(1024, text.as_bytes()).is_empty());
    }
}

#[test]
fn csv_stray_quote_costs_one_line_whichever_way_lines_end() {
    let check = |text: &[u8], wanted: &[(u64, &str)]| {
        let found = check_line_ends(1024, text);
        assert_eq!(lines_and_codes(&found), wanted);
    };
    let stray = "unbalanced_quote";
    check(
        b"a;b\n1;\"x\n2;y\n3;z\n4;\"w\n5;v",
        &[(2, stray), (3, "row"), (4, "row"), (5, stray), (6, "row")],
    );
    check(b"a;b\n1;2\n3;\"x\n", &[(2, "row"), (3, stray)]);
    check(b"a;b\n\"1;2\n\n3;\"x\"\n5;6\n", &[(2, stray), (4, "row"), (5, "row")]);
}

#[test]
fn csv_line_beyond_the_limit_costs_itself_whichever_way_lines_end() {
    let found = check_line_ends(
        8,
        b"a;b\n1;23456\n1;234567\n1;2345678\n1;2345678901234\n2;3\n4;\"x\n5;6\n7;8\n9;\"0\"\n1;\"2345678901234\n2;3\n",
    );
    let wanted = [
        (2, "row"),
        (3, "row"),
        (4, "too_large"),
        (5, "too_large"),
        (6, "row"),
        (7, "unbalanced_quote"),
        (8, "row"),
        (9, "row"),
        (10, "row"),
        (11, "too_large"),
        (12, "row"),
    ];
    assert_eq!(lines_and_codes(&found), wanted);
    assert_eq!(found[3].payload, b"1;234567");
    // Without delimiters the fields take as much room as the record.
    let found = check_line_ends(8, b"a\n12345678\n123456789\n12345678");
    assert_eq!(lines_and_codes(&found), [(2, "row"), (3, "too_large"), (4, "row")]);
}

#[test]
fn csv_lines_within_closed_quotes_are_never_records() {
    let found = check_line_ends(1024, b"a;b;c\n1;\"x\n7;8;9\n\";3;4\n5;6;7");
    assert_eq!(lines_and_codes(&found), [(2, "wrong_field_count"), (5, "row")]);
    assert_eq!(found[0].payload, b"1;\"x\n7;8;9\n\";3;4");
    // Beyond the limit.
    let found = check_line_ends(12, b"a;b\n1;\"2345678901234\n5;6\n7;8\n\"\n2;3\n");
    assert_eq!(lines_and_codes(&found), [(2, "too_large"), (6, "row")]);
    assert_eq!(found[0].payload, b"1;\"234567890");
    // The limit is within the second line, and behind it there is the end.
    let bytes = b"a;b\n1;\"234\n5;6\n7;8\n\"";
    for block_bytes in 1..=bytes.len() + 1 {
        let found = records_of_blocks(&csv_format(8), 10, block_bytes, bytes);
        assert_eq!(lines_and_codes(&found), [(2, "too_large")]);
        assert_eq!(found[0].payload, b"1;\"234\n5");
    }
}

#[test]
fn csv_quotes_are_not_followed_for_ever() {
    let rows = "5;6\n".repeat(10);
    let found = check_line_ends(8, format!("a;b\n1;\"2345678\n{rows}\"\n2;3\n").as_bytes());
    let codes = |from, to, code| (from..=to).map(move |line: u64| (line, code));
    let wanted = codes(2, 2, "too_large").chain(codes(3, 12, "row"));
    let wanted = wanted.chain(codes(13, 13, "unbalanced_quote")).chain(codes(14, 14, "row"));
    assert_eq!(lines_and_codes(&found), wanted.collect::<Vec<_>>());
}

#[test]
fn csv_line_of_too_many_fields_keeps_its_bytes_wherever_a_block_ends() {
    let many = [&b"a;b\r"[..], &b";".repeat(5000), b"\r1;2\r"].concat();
    let quoted = [&b"a;b\r"[..], &b";".repeat(5000), b"\"\r7;8\r\"\r1;2\r"].concat();
    for block_bytes in [1000, 4097, 4101, 5003, 5004, 5005, 5010, 5011, BLOCK_BYTES] {
        let found = records_of_blocks(&csv_format(10_000), 10, block_bytes, &many);
        assert_eq!(lines_and_codes(&found), [(2, "wrong_field_count"), (3, "row")]);
        assert_eq!(found[0].payload.len(), 5000);
        let found = records_of_blocks(&csv_format(10_000), 10, block_bytes, &quoted);
        assert_eq!(lines_and_codes(&found), [(2, "wrong_field_count"), (5, "row")]);
        assert_eq!(found[0].payload.len(), 5007);
    }
}

#[test]
fn ndjson_record_of_exactly_the_limit_is_one_wherever_its_line_end_is_cut() {
    let format = Format::Ndjson { max_record_bytes: 8 };
    let bytes = b"{\"a\":12}\r\n{\"a\":123}\r\n{}\r\n";
    for block_bytes in 1..=bytes.len() {
        let found = records_of_blocks(&format, 10, block_bytes, bytes);
        assert_eq!(lines_and_codes(&found), [(1, "row"), (2, "too_large"), (3, "row")]);
    }
}

proptest! {
    /// Neither the line ends of a text nor the places where its blocks are cut change its records.
    #[test]
    fn csv_line_ends_make_no_difference(
        text in proptest::collection::vec(
            prop_oneof![Just(";"), Just("\""), Just("\n"), Just("a"), Just("é")],
            0..60,
        ),
        ends in proptest::collection::vec(prop_oneof![Just("\n"), Just("\r"), Just("\r\n")], 1..5),
        block_bytes in 1_usize..80,
    ) {
        let format = csv_format(1024);
        let text = format!("a;b\n{}", text.concat());
        let wanted = records_of_blocks(&format, 1000, BLOCK_BYTES, text.as_bytes());
        let bytes = written(text.as_bytes(), &ends);
        let found = records_of_blocks(&format, 1000, block_bytes, &bytes);
        prop_assert_eq!(all_with_lf(found), wanted);
    }

    /// Where blocks are cut changes nothing, be records beyond the limit or not text.
    #[test]
    fn csv_blocks_make_no_difference(
        bytes in proptest::collection::vec(
            prop_oneof![Just(b';'), Just(b'"'), Just(b'\n'), Just(b'\r'), Just(b'a'), any::<u8>()],
            0..80,
        ),
        max_record_bytes in 3_usize..20,
        block_bytes in 1_usize..100,
    ) {
        let format = csv_format(max_record_bytes);
        let bytes = [b"a;b\r".to_vec(), bytes].concat();
        let wanted = records_of_blocks(&format, 1000, BLOCK_BYTES, &bytes);
        prop_assert_eq!(records_of_blocks(&format, 1000, block_bytes, &bytes), wanted);
    }
}
