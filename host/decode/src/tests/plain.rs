//! Blocks without a quote are read by their marks, others by a parser: the records are the same.

use proptest::prelude::*;

use super::*;

fn records_of(
    block_bytes: usize,
    limits: BatchLimits,
    dialect: Dialect,
    bytes: &[u8],
) -> Vec<Record> {
    let format = Format::Csv { dialect, max_record_bytes: 24 };
    let blocks = Blocks::of(trickle(bytes), block_bytes);
    let decoder = Decoder::of_blocks(&format, limits, "test@1".into(), Micros::default(), blocks);
    records(decoder.expect("a header"), limits.max_rows)
}

/// The records of a text without quotes as the parser reads them, since the line behind them has some.
fn parsed(limits: BatchLimits, dialect: Dialect, bytes: &[u8]) -> Vec<Record> {
    let mut records = records_of(BLOCK_BYTES, limits, dialect, &[bytes, b"\"\"\n"].concat());
    records.pop();
    records
}

/// What an oversized record is told to have, at least, depends on how blocks are cut.
fn without_sizes(mut records: Vec<Record>) -> Vec<Record> {
    for record in &mut records {
        if let Err(reason) = &mut record.fields
            && reason.code == "too_large"
        {
            reason.message.clear();
        }
    }
    records
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let texts: [&[u8]; 14] = [
        b";",
        b";",
        b";",
        b"1;2;3\n",
        b"4;55;\r\n",
        b";;\r",
        b"\n",
        b"\r",
        b"\r\n",
        b"\0",
        b"\xef\xbb\xbf",
        "é".as_bytes(),
        b"\xc3",
        b"abcdefghijklmnopq",
    ];
    prop_oneof![
        9 => proptest::sample::select(texts.map(<[u8]>::to_vec).to_vec()),
        1 => "[a-z]{1,9}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn marks_and_parser_read_the_same_records(
        pieces in proptest::collection::vec(piece(), 0..60),
        columns in 1..4_usize,
        trailing_delimiter: bool,
        max_rows in prop_oneof![1..5_usize, Just(1000)],
        max_bytes in prop_oneof![1..40_usize, Just(1 << 20)],
    ) {
        let header = ["a", "b", "c"][..columns].join(";");
        let bytes = [header.as_bytes(), b"\n", &pieces.concat(), b"\n"].concat();
        let dialect = Dialect { delimiter: Some(b';'), trailing_delimiter, ..Dialect::default() };
        let limits = BatchLimits { max_rows, max_bytes, ..BatchLimits::default() };
        let wanted = parsed(limits, dialect, &bytes);
        prop_assert_eq!(&records_of(BLOCK_BYTES, limits, dialect, &bytes), &wanted);
        let wanted = without_sizes(wanted);
        for block_bytes in 1..bytes.len() + 2 {
            let found = records_of(block_bytes, limits, dialect, &bytes);
            prop_assert_eq!(&without_sizes(found), &wanted, "in blocks of {}", block_bytes);
        }
        // The last line need not end.
        let open = bytes.strip_suffix(b"\n").expect("it ends so");
        if !open.ends_with(b"\r") {
            prop_assert_eq!(without_sizes(records_of(BLOCK_BYTES, limits, dialect, open)), wanted);
        }
    }
}

#[test]
fn records_go_on_where_a_part_that_is_looked_through_ends() {
    for begin in [0, 1, 2, 3, 7] {
        let row = |n: usize| format!("{n};{}", "é".repeat(n % 11));
        let rows = 20_000;
        let text: String = (0..rows).map(|n| row(n) + "\r\n").collect();
        let text = format!("{};b\n{text}", "a".repeat(begin + 1));
        let dialect = Dialect { delimiter: Some(b';'), ..Dialect::default() };
        let limits = BatchLimits { max_rows: 5000, max_bytes: 1 << 20, ..BatchLimits::default() };
        let wanted = parsed(limits, dialect, text.as_bytes());
        assert_eq!(records_of(BLOCK_BYTES, limits, dialect, text.as_bytes()), wanted);
        assert_eq!(wanted.len(), rows);
    }
}

#[test]
fn a_block_that_nobody_uses_is_read_into_again() {
    let mut blocks = Blocks::of(Box::new(io::repeat(b'x')), 100);
    let mut held = Vec::new();
    for number in 0..3 * KEPT_BUFFERS {
        let block = blocks.next(b"rest", 1).unwrap().unwrap();
        assert_eq!(block.len(), 104);
        assert!(block.starts_with(b"restx"));
        if number < 2 * KEPT_BUFFERS {
            held.push(block);
        }
    }
    assert!(blocks.buffers.given.len() <= KEPT_BUFFERS);
    assert!(held.iter().all(|block| block.starts_with(b"restx") && block.len() == 104));
    let last = blocks.buffers.given.back().map(|block| block.as_ptr());
    assert_eq!(blocks.next(b"", 1).unwrap().map(|block| block.as_ptr()), last);
}

#[test]
fn a_text_that_nobody_uses_is_written_into_again() {
    let lines: String = (10..60).map(|number| format!("{{\"n\":{number}}}\n")).collect();
    let mut decoder =
        decoder(&Format::Ndjson { max_record_bytes: 100 }, 10, lines.as_bytes()).unwrap();
    let mut next = || decoder.next_batch().unwrap().unwrap().batch;
    let text = |batch: &Batch| batch.columns.column(0).as_string::<i32>().values().as_ptr();
    let (held, given) = (next(), next());
    let again = text(&given);
    drop(given);
    let batch = next();
    assert_eq!(text(&batch), again);
    assert_eq!(
        (&*batch.origins.payload(0), &*held.origins.payload(9)),
        (&b"{\"n\":30}"[..], &b"{\"n\":19}"[..])
    );
}
