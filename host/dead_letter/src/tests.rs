use std::path::Path;

use arrow::array::{Array, AsArray};

use super::*;
use clickmill_core::Micros;
use clickmill_core::batch::{Reason, Rejector};
use clickmill_core::schema::TableSchema;

fn writer() -> Writer {
    let schema = include_str!("../../../schemas/dead_letter.json");
    let schema = TableSchema::parse(schema, Path::new("dead_letter.json")).expect("a schema");
    Writer { pipeline: "clicks".to_owned(), schema: schema.arrow(), seal: None }
}

/// A letter of an object that has a header.
fn letter(line: u64, header: &[u8], payload: &[u8]) -> Rejected {
    let by = Rejector::host("decode", &Digest::of(b""), Micros::default());
    let text = "record has 1 fields, the header 9".to_owned();
    Rejected {
        source: "shop.csv@1".into(),
        header: Some(header.to_vec().into()),
        position: Position::Line(line),
        payload: payload.to_vec().into(),
        stage: by.stage,
        plugin_digest: None,
        plugin_set: by.plugin_set,
        reason: Reason { code: "wrong_field_count".to_owned(), message: text, column: None },
        ingest_time: by.ingest_time,
    }
}

/// The attributes of a letter of a batch.
fn attributes_of(letters: &RecordBatch, row: usize) -> Vec<(String, String)> {
    let lists = letters.column_by_name("attributes").expect("a column").as_list::<i32>();
    let pairs = lists.value(row);
    let pairs = pairs.as_struct();
    let text = |at: usize, pair| pairs.column(at).as_string::<i32>().value(pair).to_owned();
    (0..pairs.len()).map(|pair| (text(0, pair), text(1, pair))).collect()
}

#[test]
fn letters_that_all_hold_a_long_header_are_written_in_bounded_parts() {
    // More than 2 GB of header: the offsets of one column would not do.
    let header = "c".repeat(22_000);
    let first = letter(2, header.as_bytes(), b"x");
    let rejected: Vec<Rejected> = (0..100_000)
        .map(|at| Rejected { position: Position::Line(at + 2), ..first.clone() })
        .collect();
    let (writer, mut line) = (writer(), 2);
    for letters in writer.rows(&rejected) {
        let letters = letters.expect("letters");
        assert!(letters.num_rows() * header.len() <= MAX_CHUNK_BYTES);
        let lines = letters.column_by_name("source_line").expect("a column");
        let lines = lines.as_primitive::<arrow::datatypes::Int64Type>();
        for at in lines.values() {
            assert_eq!(*at, line);
            line += 1;
        }
        let wanted = [(HEADER_ATTRIBUTE.to_owned(), header.clone())];
        assert_eq!(attributes_of(&letters, letters.num_rows() - 1), wanted);
    }
    assert_eq!(line, 100_002);
}

#[test]
fn a_letter_that_is_larger_than_a_part_is_one_by_itself() {
    let small = letter(2, b"a,b", b"x");
    let large = letter(3, b"a,b", &vec![b'x'; 2 * MAX_CHUNK_BYTES]);
    let rejected = [small.clone(), large.clone(), large, small];
    let writer = writer();
    let parts = writer.rows(&rejected).map(|letters| letters.expect("letters").num_rows());
    assert_eq!(parts.collect::<Vec<_>>(), [1, 1, 1, 1]);
    assert_eq!(writer.rows(&[]).count(), 0);
}

#[test]
fn a_header_that_is_too_long_is_left_out_and_the_letter_says_why() {
    let kept = letter(2, &[b'h'; MAX_HEADER_BYTES], b"x");
    let left_out = letter(3, &[b'h'; MAX_HEADER_BYTES + 1], b"x");
    let letters = writer().rows(&[kept, left_out]).next().expect("a part").expect("letters");
    let [(key, header)] = &attributes_of(&letters, 0)[..] else { panic!("one attribute") };
    assert_eq!((key.as_str(), header.len()), (HEADER_ATTRIBUTE, MAX_HEADER_BYTES));
    let why = "the header has 65537 bytes, a letter keeps 65536".to_owned();
    assert_eq!(attributes_of(&letters, 1), [(NO_HEADER_ATTRIBUTE.to_owned(), why)]);
}
