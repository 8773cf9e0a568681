use std::path::Path;

use arrow::array::{Array, AsArray};

use super::*;
use clickmill_core::Micros;
use clickmill_core::batch::{Reason, Rejector};
use clickmill_core::schema::TableSchema;

fn writer() -> Writer {
    let schema = include_str!("../../../schemas/dead_letter.json");
    let schema = TableSchema::parse(schema, Path::new("dead_letter.json")).expect("a schema");
    Writer { pipeline: "clicks".to_owned(), schema: schema.arrow(), keys: None }
}

/// A letter of an object that has a header.
fn letter(line: u64, header: &[u8], payload: &[u8]) -> Rejected {
    let by = Rejector::host("decode", &Digest::of(b""), Micros::default());
    let text = "record has 1 fields, the header 9".to_owned();
    Rejected {
        source: "shop.csv@1".into(),
        header: Some(header.to_vec().into()),
        position: Position::Line(line),
        record_index: 0,
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

const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

/// Letters of a writer that seals, with the key that opens them.
fn sealed(rejected: &[Rejected]) -> (RecordBatch, Seal) {
    let seal = || Seal::new(KEY, "s2").expect("a key");
    let writer = Writer { keys: Some(SealKeys { current: seal(), old: Vec::new() }), ..writer() };
    (writer.rows(rejected).next().expect("a part").expect("letters"), seal())
}

/// A letter of a message that says who sent it, everywhere.
fn of_message(payload: &str, message: &str, value: &str) -> Rejected {
    let position = Position::Message(Arc::new(Message {
        id: "7".to_owned(),
        publish_time: Micros::default(),
        ordering_key: String::new(),
        attributes: vec![("user".to_owned(), value.to_owned())],
    }));
    let letter = letter(2, b"", payload.as_bytes());
    let reason = Reason { message: message.to_owned(), ..letter.reason };
    Rejected { header: None, position, reason, ..letter }
}

#[test]
fn a_sealed_letter_says_nothing_of_its_record() {
    let rejected = [
        letter(2, b"id;ada@example.com", b"1;ada@example.com"),
        of_message(
            "{\"user\":\"ada@example.com\"}",
            "`ada@example.com` is no id",
            "ada@example.com",
        ),
    ];
    let (letters, seal) = sealed(&rejected);
    // All cells as they are shown.
    for column in letters.columns() {
        for row in 0..letters.num_rows() {
            let cell = arrow::util::display::array_value_to_string(column, row).expect("a cell");
            assert!(!cell.contains("ada@"), "{cell}");
            assert!(!cell.contains("616461406578"), "{cell}");
        }
    }
    let text = |name: &str, row: usize| {
        let column = letters.column_by_name(name).expect("a column");
        column.as_string::<i32>().value(row).to_owned()
    };
    let bytes = letters.column_by_name("payloadBytes").expect("a column").as_binary::<i32>();
    for (row, one) in rejected.iter().enumerate() {
        assert_eq!(text("errorMessage", row), SEALED_MESSAGE);
        assert_eq!(text("sealed_with", row), "s2");
        assert_eq!(attributes_of(&letters, row), []);
        let opened = seal.open(bytes.value(row), &text("letter_id", row)).expect("it opens");
        let own = super::attributes_of(one).into_iter();
        let wanted = Contents {
            payload: one.payload.to_vec(),
            message: one.reason.message.clone(),
            attributes: own.map(|(key, value)| (key.to_owned(), value.into_owned())).collect(),
        };
        assert_eq!(wanted.attributes.len(), 1);
        assert_eq!(opened, Opened::Whole(wanted));
    }
}

/// The id of a row's letter.
fn id_of(rejected: &Rejected, is_sealed: bool) -> String {
    letter_id(&record_id(rejected, is_sealed), rejected.record_index)
}

/// Letters are resolved and replayed by them, for years.
#[test]
fn ids_are_those_of_all_versions() {
    let first = letter(2, b"a,b", b"x");
    let later = Rejected { record_index: 258, ..first.clone() };
    let message = of_message("{}", "", "");
    let rejected = [first, later, message];
    let letters = writer().rows(&rejected).next().expect("a part").expect("letters");
    let ids = letters.column_by_name("letter_id").expect("a column").as_string::<i32>();
    let hashed: [&[u8]; 3] = [
        b"shop.csv@1\0\x02\0\0\0\0\0\0\0x",
        b"shop.csv@1\0\x02\0\0\0\0\0\0\0x\0\x02\x01\0\0\0\0\0\0",
        b"shop.csv@1\x007\0\0\0\0\0\0\0\0\0{}",
    ];
    for (row, bytes) in hashed.into_iter().enumerate() {
        assert_eq!(ids.value(row), Digest::of(bytes).short().as_str(), "{row}");
    }
    let with = [(PAYLOAD_ATTRIBUTE.to_owned(), ids.value(0).to_owned())];
    assert_eq!(attributes_of(&letters, 1)[..1], with);
}

#[test]
fn the_id_of_a_sealed_letter_is_the_same_whatever_is_in_it() {
    let (one, other) = (letter(2, b"id", b"ada"), letter(2, b"id", b"bob"));
    assert_ne!(id_of(&one, false), id_of(&other, false));
    assert_eq!(id_of(&one, true), id_of(&other, true));
    assert_ne!(id_of(&one, true), id_of(&letter(3, b"id", b"ada"), true));
    let again = of_message("{}", "", "");
    assert_ne!(id_of(&again, true), id_of(&one, true));
}

#[test]
fn letters_of_the_rows_of_a_record_are_told_apart_by_their_places() {
    let first = letter(2, b"a,b", b"x");
    let second = Rejected { record_index: 1, ..first.clone() };
    let ids = [&first, &second].map(|rejected| id_of(rejected, false));
    assert_ne!(ids[0], ids[1]);
    assert_ne!(id_of(&first, true), id_of(&second, true));
    let rejected = [first, second];
    let letters = writer().rows(&rejected).next().expect("a part").expect("letters");
    let places = letters.column_by_name("record_index").expect("a column");
    assert_eq!(places.as_primitive::<arrow::datatypes::Int64Type>().values(), &[0, 1]);
}

/// The payload of each letter, as bytes and as text, and the letter that has it instead.
fn payloads_of(letters: &RecordBatch) -> Vec<(Vec<u8>, Option<String>, Option<String>)> {
    let bytes = letters.column_by_name("payloadBytes").expect("a column").as_binary::<i32>();
    let texts = letters.column_by_name("payloadString").expect("a column").as_string::<i32>();
    let of = |row: usize| {
        let text = texts.is_valid(row).then(|| texts.value(row).to_owned());
        let with = attributes_of(letters, row).into_iter();
        let with = with.filter(|(key, _)| key == PAYLOAD_ATTRIBUTE).map(|(_, id)| id).next();
        (bytes.value(row).to_vec(), text, with)
    };
    (0..letters.num_rows()).map(of).collect()
}

#[test]
fn of_several_rows_of_a_record_the_first_has_the_payload_and_the_others_name_its_letter() {
    let row = |line, place, payload: &[u8]| Rejected {
        record_index: place,
        ..letter(line, b"a,b", payload)
    };
    // As stages leave them: the first place is not always the first letter.
    let rejected = [
        row(2, 3, b"two"),
        row(2, 1, b"two"),
        row(3, 0, b"three"),
        row(2, 10_001, b"two"),
        row(4, 7, b"four"),
    ];
    let has = id_of(&rejected[1], false);
    let letters = writer().rows(&rejected).next().expect("a part").expect("letters");
    let here = |payload: &str| (payload.as_bytes().to_vec(), Some(payload.to_owned()), None);
    let there = || (Vec::new(), None, Some(has.clone()));
    let wanted = [there(), here("two"), here("three"), there(), here("four")];
    assert_eq!(payloads_of(&letters), wanted);
    // Sealed ones say so too, and hold what else there is to say of their rows.
    let (letters, seal) = sealed(&rejected);
    let has = id_of(&rejected[1], true);
    let (bytes, text, with) = payloads_of(&letters).swap_remove(0);
    assert_eq!((text, with), (None, Some(has)));
    let Opened::Whole(opened) = seal.open(&bytes, &id_of(&rejected[0], true)).expect("it opens")
    else {
        panic!("it holds all that is sealed");
    };
    assert_eq!((opened.payload, opened.message), (Vec::new(), rejected[0].reason.message.clone()));
}

#[test]
fn a_large_record_that_became_many_rows_is_stored_once() {
    let payload = vec![b'x'; 100_000];
    let rows: Vec<Rejected> = (0..1000)
        .map(|place| Rejected { record_index: place, ..letter(2, b"a,b", &payload) })
        .collect();
    let writer = writer();
    let parts: Vec<RecordBatch> =
        writer.rows(&rows).map(|letters| letters.expect("letters")).collect();
    assert_eq!(parts.iter().map(RecordBatch::num_rows).sum::<usize>(), 1000);
    let bytes: usize = parts.iter().flat_map(payloads_of).map(|(bytes, ..)| bytes.len()).sum();
    assert_eq!(bytes, payload.len());
}
