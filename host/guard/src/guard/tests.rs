mod many;
mod nested;
mod values;

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, Decimal128Array, Float64Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Field;
use bytes::Bytes;

use super::*;
use clickmill_core::Micros;
use clickmill_core::batch::{Origins, Position, Positions};

fn guarded(name: &str, networks: bool) -> Guarded {
    let path = clickmill_core::path::Path::of(name);
    Guarded { name: name.to_owned(), path, form: None, networks }
}

/// A guard of a table whose columns `ip`, `user_id` and `phone` are sensitive, all written twice.
fn guard(allow: &[(&str, &str)]) -> Guard {
    let column = |(name, kind, tag): (&str, &str, bool)| {
        let tags = if tag { r#", "policyTags": {"names": ["t"]}"# } else { "" };
        format!(r#"{{"name": "{name}", "type": "{kind}", "mode": "NULLABLE"{tags}}}"#)
    };
    let columns = [
        ("ip", "STRING", true),
        ("user_id", "STRING", true),
        ("phone", "INTEGER", true),
        ("url", "STRING", false),
        ("note", "STRING", false),
        ("raw", "BYTES", false),
    ];
    let columns = columns.map(column).join(",");
    let schema =
        TableSchema::parse(&format!("[{columns}]"), Path::new("t.json")).expect("a schema");
    let allow = allow
        .iter()
        .map(|(name, form)| ((*name).to_owned(), Regex::new(form).expect("a regular expression")));
    let config = config::Guard { off: false, allow: allow.collect() };
    let guard = Guard::of([&schema], &config, &Format::Ndjson { max_record_bytes: 1024 });
    let twice = ["ip", "user_id", "phone"].repeat(2);
    guard.over(&Schema::empty(), twice.into_iter().map(clickmill_core::path::Path::of))
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

/// A row that is of a record.
fn batch(record: &str, columns: &[(&str, ArrayRef)]) -> Batch {
    let columns = RecordBatch::try_from_iter(columns.iter().cloned()).expect("a batch");
    let block = Bytes::from(record.to_owned());
    let ranges = std::iter::once(0..block.len()).collect();
    let positions = Positions::Lines(vec![1]);
    let origins = Origins {
        source: "t.ndjson@1".into(),
        header: None,
        positions,
        places: None,
        block,
        ranges,
    };
    Batch { columns, origins, ingest_time: Micros::default() }
}

/// What becomes of a row: the message of its letter, where it is stopped.
fn of_row(
    guard: &Guard,
    record: &str,
    raw: &[(&str, ArrayRef)],
    columns: &[(&str, ArrayRef)],
) -> Option<String> {
    let batch = batch(record, columns);
    let columns = raw.iter().map(|(name, column)| RawColumn::new(*name, column.clone()));
    let columns: Vec<RawColumn> = columns.collect();
    let (batch, mut stopped) = guard.stop(batch, &columns, &Digest::of(b"")).expect("a batch");
    assert_eq!(batch.rows() + stopped.len(), 1);
    let stopped = stopped.pop()?;
    assert_eq!((stopped.reason.code.as_str(), &*stopped.stage), (CODE, stage::GUARD));
    for (_, column) in raw {
        let value = texts(column).expect("texts").expect("values");
        assert!(!stopped.reason.message.contains(value.value(0)), "{}", stopped.reason.message);
    }
    Some(stopped.reason.message)
}

/// Whether a raw value of `user_id` is found in a text.
fn finds(value: &str, held: &str) -> bool {
    let columns = [("user_id", text("k1:5f")), ("url", text(held))];
    let told = of_row(&guard(&[]), "", &[("user_id", text(value))], &columns);
    let wanted = "`url` holds the value of `user_id`, which is sensitive, as it came in";
    told.is_some_and(|told| {
        assert_eq!(told, wanted);
        true
    })
}

fn record(columns: [(&str, &[&str]); 2]) -> ArrayRef {
    let columns = columns.map(|(name, values)| {
        let field = Arc::new(Field::new(name, DataType::Utf8, true));
        (field, Arc::new(StringArray::from(values.to_vec())) as ArrayRef)
    });
    Arc::new(arrow::array::StructArray::from(columns.to_vec()))
}

/// Lists of so many of them.
fn lists(values: ArrayRef, lengths: &[usize]) -> ArrayRef {
    let item = Arc::new(Field::new("item", values.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Arc::new(arrow::array::ListArray::new(item, offsets, values, None))
}

/// All of them in one row.
fn one_list(values: ArrayRef) -> ArrayRef {
    let length = values.len();
    lists(values, &[length])
}
