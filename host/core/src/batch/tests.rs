use super::*;
use crate::stage;

#[test]
fn batches_of_one_source_become_one() {
    let batch = |lines: Vec<u64>, places: Option<Vec<u64>>, text: &'static str| Batch {
        columns: RecordBatch::try_from_iter([(
            "line",
            Arc::new(arrow::array::UInt64Array::from(lines.clone())) as ArrayRef,
        )])
        .expect("a batch"),
        origins: Origins {
            source: "s".into(),
            header: None,
            ranges: (0..lines.len()).map(|row| row..row + 1).collect(),
            positions: Positions::Lines(lines),
            places,
            block: Bytes::from_static(text.as_bytes()),
        },
        ingest_time: Micros::default(),
    };
    let batches = [batch(vec![1, 2], None, "ab"), batch(vec![7, 7], Some(vec![0, 1]), "cd")];
    let one = Batch::concat(&batches).expect("a batch");
    assert_eq!(one.rows(), 4);
    let payloads: Vec<Bytes> = (0..4).map(|row| one.origins.payload(row)).collect();
    assert_eq!(payloads, ["a", "b", "c", "d"]);
    assert_eq!(one.origins.last(), Some(Position::Line(7)));
    assert_eq!(one.origins.places, Some(vec![0, 0, 0, 1]));
    Batch::concat(&[]).expect_err("none");
}

#[test]
fn a_row_keeps_its_place_in_its_record() {
    let origins = Origins {
        source: "s".into(),
        header: None,
        positions: Positions::Lines(vec![1, 1, 2]),
        places: Some(vec![0, 10_000, 0]),
        block: Bytes::from_static(b"ab"),
        ranges: vec![0..1, 0..1, 1..2],
    };
    let by = Rejector::host(stage::SINK, &Digest::of(b""), Micros::default());
    let reason = || Reason { code: "x".to_owned(), message: String::new(), column: None };
    let letter = origins.reject(1, &by, reason());
    assert_eq!((letter.position, letter.record_index), (Position::Line(1), 10_000));
    assert_eq!(origins.slice(1..3).places, Some(vec![10_000, 0]));
    let mut kept = origins.clone();
    kept.keep(&BooleanArray::from(vec![false, true, true]));
    assert_eq!(kept.places, Some(vec![10_000, 0]));
    let record = origins.reject_record(Position::Line(1), Bytes::new(), &by, reason());
    assert_eq!(record.record_index, 0);
}

#[test]
fn rows_in_memory_of_their_own_are_the_same() {
    let block = Bytes::from(b"a,bb,ccc,d".to_vec());
    let texts: ArrayRef = Arc::new(arrow::array::StringArray::from(vec!["a", "bb", "ccc", "d"]));
    let batch = Batch {
        columns: RecordBatch::try_from_iter([("x", texts)]).expect("a batch"),
        origins: Origins {
            source: "s".into(),
            header: Some(Bytes::from_static(b"x")),
            positions: Positions::Lines(vec![2, 3, 4, 5]),
            places: None,
            block: block.clone(),
            ranges: vec![0..1, 2..4, 5..8, 9..10],
        },
        ingest_time: Micros::default(),
    };
    let cut = batch.slice(1..3);
    let own = cut.detached().expect("a batch");
    assert_eq!(own.columns, cut.columns);
    assert_eq!(own.origins.block, b"bb,ccc"[..]);
    for row in 0..2 {
        assert_eq!(own.origins.payload(row), cut.origins.payload(row));
        assert_eq!(own.origins.position(row), cut.origins.position(row));
    }
    drop((batch, cut));
    assert!(block.is_unique());
    assert_eq!(own.slice(0..0).detached().expect("a batch").rows(), 0);
}
