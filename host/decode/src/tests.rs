use std::io::{self, Read};

use arrow::array::AsArray;
use proptest::prelude::*;

use super::*;
use clickmill_config::Dialect;

mod ahead;
mod dialects;
mod line_ends;
mod plain;

/// Gives its bytes in pieces of a few, so that every boundary falls inside something.
struct Trickle {
    bytes: Vec<u8>,
    at: usize,
    piece: usize,
}

impl Read for Trickle {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let end = (self.at + self.piece.min(buffer.len())).min(self.bytes.len());
        let piece = &self.bytes[self.at..end];
        buffer[..piece.len()].copy_from_slice(piece);
        self.at = end;
        Ok(piece.len())
    }
}

fn csv_format(max_record_bytes: usize) -> Format {
    let dialect = Dialect { delimiter: Some(b';'), ..Dialect::default() };
    Format::Csv { dialect, max_record_bytes }
}

fn limits(max_rows: usize) -> BatchLimits {
    BatchLimits { max_rows, max_bytes: 1 << 20, ..BatchLimits::default() }
}

fn trickle(bytes: &[u8]) -> Box<dyn Read + Send> {
    Box::new(Trickle { bytes: bytes.to_vec(), at: 0, piece: 7 })
}

fn decoder(format: &Format, max_rows: usize, bytes: &[u8]) -> Result<Decoder, DecodeError> {
    Decoder::new(format, limits(max_rows), "test@1".into(), Micros::default(), trickle(bytes))
}

fn line(position: &Position) -> u64 {
    match position {
        Position::Line(line) => *line,
        Position::Message(message) => panic!("message {} in an object", message.id),
    }
}

/// A record as it comes out: a row's fields, or what is wrong.
#[derive(Debug, Clone, PartialEq)]
struct Record {
    line: u64,
    fields: Result<Vec<String>, Reason>,
    payload: Vec<u8>,
    header: Option<Vec<u8>>,
}

/// Everything a decoder gives, in the order of its lines.
fn records(mut decoder: Decoder, max_rows: usize) -> Vec<Record> {
    let mut found = Vec::new();
    while let Some(decoded) = decoder.next_batch().expect("decodes") {
        let Batch { columns, origins, .. } = &decoded.batch;
        assert_eq!(columns.num_rows(), origins.ranges.len());
        assert!(columns.num_rows() + decoded.malformed.len() <= max_rows);
        let header = origins.header.as_ref().map(|header| header.to_vec());
        for row in 0..columns.num_rows() {
            let fields = columns.columns().iter().map(|c| c.as_string::<i32>().value(row));
            found.push(Record {
                line: line(&origins.position(row)),
                fields: Ok(fields.map(str::to_owned).collect()),
                payload: origins.payload(row).to_vec(),
                header: header.clone(),
            });
        }
        for bad in &decoded.malformed {
            found.push(Record {
                line: line(&bad.position),
                fields: Err(bad.reason.clone()),
                payload: bad.payload.to_vec(),
                header: header.clone(),
            });
        }
    }
    found.sort_by_key(|record| record.line);
    found
}

/// Everything an object decodes to: rows as `line|field|field`, malformed as `line!code!payload`.
fn decode(format: &Format, max_rows: usize, bytes: &[u8]) -> Vec<String> {
    texts(records(decoder(format, max_rows, bytes).expect("a header"), max_rows))
}

fn texts(records: Vec<Record>) -> Vec<String> {
    let text = |record: Record| match record.fields {
        Ok(fields) => format!("{}|{}", record.line, fields.join("|")),
        Err(reason) => {
            let payload = String::from_utf8_lossy(&record.payload);
            format!("{}!{}!{payload}", record.line, reason.code)
        }
    };
    records.into_iter().map(text).collect()
}

#[track_caller]
fn check_csv(bytes: &[u8], wanted: &[&str]) {
    for max_rows in [1, 2, 1000] {
        assert_eq!(decode(&csv_format(1024), max_rows, bytes), wanted);
    }
}

#[test]
fn csv_takes_crlf_bom_quotes_and_a_last_line_without_end() {
    check_csv(
        b"\xef\xbb\xbfa;b\r\n1;2\r\n\"x;\"\"y\"\"\";z\r\n3;4",
        &["2|1|2", "3|x;\"y\"|z", "4|3|4"],
    );
}

#[test]
fn csv_takes_line_ends_inside_quotes_and_counts_lines() {
    check_csv(b"a;b\n1;\"two\nlines\"\n\n3;4\n", &["2|1|two\nlines", "5|3|4"]);
}

#[test]
fn csv_rows_of_wrong_width_are_malformed_with_their_bytes() {
    check_csv(
        b"a;b\n1\n1;2;3\r\n4;5\n",
        &["2!wrong_field_count!1", "3!wrong_field_count!1;2;3", "4|4|5"],
    );
}

#[test]
fn malformed_records_count_towards_the_rows_of_a_batch() {
    let lines = 10_000;
    let csv = format!("a;b\n{}", "x\n".repeat(lines));
    assert_eq!(decode(&csv_format(1024), 1000, csv.as_bytes()).len(), lines);
    let ndjson = b"\xff\n".repeat(lines);
    assert_eq!(decode(&Format::Ndjson { max_record_bytes: 1024 }, 1000, &ndjson).len(), lines);
}

#[test]
fn csv_row_that_is_not_utf8_is_malformed_with_its_exact_bytes() {
    let format = csv_format(1024);
    let mut decoder = decoder(&format, 10, b"a;b\n1;\xff\xfe\n2;3\n").unwrap();
    let decoded = decoder.next_batch().unwrap().unwrap();
    assert_eq!(decoded.malformed[0].payload.as_ref(), b"1;\xff\xfe");
    assert_eq!(decoded.malformed[0].reason.message, "field 2 is not UTF-8");
    assert_eq!(decoded.batch.rows(), 1);
}

#[test]
fn csv_character_cut_in_two_by_a_delimiter_is_not_text() {
    let format = csv_format(1024);
    let mut decoder = decoder(&format, 10, b"a;b;c\n\xc2;;\x80\n").unwrap();
    let decoded = decoder.next_batch().unwrap().unwrap();
    assert_eq!(decoded.malformed[0].reason.message, "field 1 is not UTF-8");
}

#[test]
fn csv_quote_that_never_closes_costs_its_own_line_only() {
    check_csv(b"a;b\n1;\"x\n2;y\n3;z\n", &["2!unbalanced_quote!1;\"x", "3|2|y", "4|3|z"]);
}

#[test]
fn csv_two_unclosed_quotes_do_not_pair_up() {
    check_csv(
        b"a;b\n1;\"x\n2;y\n3;\"z\n4;w\n",
        &["2!unbalanced_quote!1;\"x", "3|2|y", "4!unbalanced_quote!3;\"z", "5|4|w"],
    );
}

#[test]
fn csv_line_beyond_the_limit_is_malformed_and_the_next_one_fine() {
    let long = "x".repeat(5000);
    let bytes = format!("a;b\n1;{long}\n2;y\n");
    let got = decode(&csv_format(1024), 10, bytes.as_bytes());
    assert_eq!(got.len(), 2);
    assert!(got[0].starts_with("2!too_large!1;xxx"), "{}", &got[0][..30]);
    assert_eq!(got[1], "3|2|y");
}

#[test]
fn csv_headers_that_can_not_name_columns_are_told() {
    let error =
        |bytes: &[u8]| decoder(&csv_format(1024), 1, bytes).err().map(|error| error.to_string());
    assert_eq!(
        error(b"a;b;a\n").as_deref(),
        Some("the header on line 1 names column `a` twice, as columns 1 and 3")
    );
    assert_eq!(
        error(b"a;\"b\"c\n").as_deref(),
        Some(
            "the header on line 1 cannot be read: a quote opens and is not closed where a field ends"
        )
    );
    assert_eq!(
        error(b"a;\xff\n").as_deref(),
        Some(
            "the header on line 1 is not UTF-8 text of at most 1024 bytes: is this a CSV file? (`source.csv.encoding` names another encoding)"
        )
    );
}

/// What a bomb unpacks to.
struct Zeros {
    left: usize,
}

impl Read for Zeros {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.left.checked_sub(buffer.len());
        self.left = left.ok_or_else(|| io::Error::other("too much is read"))?;
        buffer.fill(0);
        Ok(buffer.len())
    }
}

#[test]
fn of_a_record_without_an_end_so_much_is_read_and_no_more() {
    let zeros = || Box::new(Zeros { left: 32 << 20 });
    let of = |format: &Format| {
        Decoder::new(format, limits(10), "bomb@1".into(), Micros::default(), zeros())
    };
    let max_record_bytes = 1 << 20;
    for escape in [None, Some(b'^')] {
        for (header, wanted) in [
            (true, "the header on line 1 is not UTF-8 text of at most 1048576 bytes"),
            (false, "the first record, which tells how many columns there are, cannot be read"),
        ] {
            let dialect = Dialect { header, escape, ..Dialect::default() };
            let error = of(&Format::Csv { dialect, max_record_bytes }).err().expect("no text");
            assert!(error.to_string().starts_with(wanted), "{error}");
        }
    }
    let mut decoder = of(&Format::Ndjson { max_record_bytes }).expect("no header");
    let decoded = decoder.next_batch().expect("decodes").expect("a record");
    let payload = &decoded.malformed[0].payload;
    assert_eq!((decoded.malformed.len(), payload.len()), (1, max_record_bytes));
}

#[test]
fn empty_objects_have_no_records() {
    assert!(decode(&csv_format(1024), 1, b"").is_empty());
    assert!(decode(&csv_format(1024), 1, b"a;b\n").is_empty());
    assert!(decode(&Format::Ndjson { max_record_bytes: 1024 }, 1, b"\n \n").is_empty());
}

#[test]
fn ndjson_takes_blank_lines_crlf_and_bom_and_tells_what_is_not_text() {
    let bytes = b"\xef\xbb\xbf{\"a\":1}\r\n\n\xff\n{\"b\":2}";
    let got = decode(&Format::Ndjson { max_record_bytes: 1024 }, 10, bytes);
    assert_eq!(got, ["1|{\"a\":1}", "3!invalid_utf8!\u{fffd}", "4|{\"b\":2}"]);
}

#[test]
fn ndjson_line_beyond_the_limit_is_malformed_and_the_next_one_fine() {
    // Beyond a block, so that the rest of the line is passed over in the next one.
    let bytes = [vec![b'x'; BLOCK_BYTES + 5000], b"\n{}\n".to_vec()].concat();
    let got = decode(&Format::Ndjson { max_record_bytes: 1024 }, 10, &bytes);
    assert_eq!(got.len(), 2);
    assert!(got[0].starts_with("1!too_large!xxx"));
    assert_eq!(got[1], "2|{}");
}

#[test]
fn records_come_out_whole_across_blocks() {
    let row = |n: usize| format!("{n};{}", "v".repeat(n % 90));
    let rows = BLOCK_BYTES / 20;
    let text: String = (0..rows).map(|n| row(n) + "\r\n").collect();
    let got = decode(&csv_format(1024), 5000, format!("a;b\r\n{text}").as_bytes());
    assert_eq!(got.len(), rows);
    for (n, got) in got.iter().enumerate() {
        assert_eq!(*got, format!("{}|{}", n + 2, row(n).replace(';', "|")));
    }
}

#[test]
fn what_the_first_block_ends_in_is_read_whole() {
    let (format, max_rows) = (csv_format(1 << 20), 100);
    let after = "\r\n\"2\";\"x\r\ny\"\r\n3;é\r\n4;z;5\r\n";
    for end in FIRST_BYTES - 24..FIRST_BYTES + 8 {
        let begin = "a;b\r\n1;";
        let record = format!("{begin}{}{after}", "v".repeat(end - begin.len()));
        let name = "n".repeat(end - 2);
        let header = format!("a;{name}\r\n1;v{after}");
        let exact = format!("{begin}{}", "v".repeat(end - begin.len()));
        for text in [record, header, exact] {
            let blocks = Blocks::of(trickle(text.as_bytes()), BLOCK_BYTES);
            let (limits, time) = (limits(max_rows), Micros::default());
            let of_one_block =
                Decoder::of_blocks(&format, limits, "test@1".into(), time, blocks).unwrap();
            let decoder = decoder(&format, max_rows, text.as_bytes()).unwrap();
            let found = records(decoder, max_rows);
            assert!(found == records(of_one_block, max_rows), "{end}, {} bytes", text.len());
        }
    }
}

#[test]
fn csv_object_that_ends_within_a_character_has_one_malformed_record() {
    check_csv(b"a;b\n1;2\n3;\xc3", &["2|1|2", "3!invalid_utf8!3;\u{fffd}"]);
}

proptest! {
    /// Whatever comes in: nothing panics, rows have the header's width, and batches of any size give
    /// the same records.
    #[test]
    fn csv_any_bytes_decode_the_same_in_batches_of_any_size(
        bytes in proptest::collection::vec(
            prop_oneof![Just(b';'), Just(b'"'), Just(b'\n'), Just(b'\r'), Just(b'a'), any::<u8>()],
            0..300,
        ),
    ) {
        let input = [b"a;b;c\n".to_vec(), bytes].concat();
        let one = decode(&csv_format(1024), 1, &input);
        prop_assert_eq!(&one, &decode(&csv_format(1024), 3, &input));
        prop_assert_eq!(&one, &decode(&csv_format(1024), 1000, &input));
    }

    /// Without quotes every line that is not blank is exactly one record or one malformed one, with the
    /// very bytes of the line.
    #[test]
    fn csv_every_line_comes_out_once(lines in proptest::collection::vec("[a-z;é]{0,12}", 0..40)) {
        let input = format!("a;b\n{}", lines.iter().map(|line| format!("{line}\n")).collect::<String>());
        let mut decoder = decoder(&csv_format(1024), 7, input.as_bytes()).unwrap();
        let mut out = Vec::new();
        while let Some(decoded) = decoder.next_batch().unwrap() {
            let origins = &decoded.batch.origins;
            out.extend((0..decoded.batch.rows()).map(|row| (line(&origins.position(row)), origins.payload(row))));
            out.extend(decoded.malformed.iter().map(|bad| (line(&bad.position), bad.payload.clone())));
        }
        out.sort();
        let wanted: Vec<(u64, Bytes)> = lines
            .iter()
            .enumerate()
            .filter(|(_, line)| !line.is_empty())
            .map(|(at, line)| (at as u64 + 2, Bytes::copy_from_slice(line.as_bytes())))
            .collect();
        prop_assert_eq!(out, wanted);
    }

    #[test]
    fn ndjson_any_bytes_decode_the_same_in_batches_of_any_size(
        bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..300),
    ) {
        let format = Format::Ndjson { max_record_bytes: 1024 };
        prop_assert_eq!(decode(&format, 1, &bytes), decode(&format, 1000, &bytes));
    }
}

#[test]
fn a_quote_that_the_end_closes_is_not_closed() {
    let found = decode(&csv_format(1000), 10, b"a;b\n1;\"2\n");
    assert_eq!(found, ["2!unbalanced_quote!1;\"2"]);
    let found = decode(&csv_format(1000), 10, b"a;b\n1;\"2\"\n3;\"4\"");
    assert_eq!(found, ["2|1|2", "3|3|4"]);
}
