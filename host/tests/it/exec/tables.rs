//! Rows by their provenance: those of a table's files, and those of frames.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::{SortColumn, cast, concat_batches, lexsort_to_indices, take_record_batch};
use arrow::datatypes::{DataType, TimestampMicrosecondType};
use arrow::ipc::writer::StreamWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::support::files;

/// Columns by which rows are told apart.
const KEYS: [&str; 5] = ["source", "source_line", "message_id", "publish_time", "record_index"];

/// A message, as it is given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub ingest_time: i64,
    pub source: String,
    pub message_id: String,
    pub publish_time: i64,
    pub payload: Vec<u8>,
}

impl Record {
    /// The messages that rows were made of, in their order, by columns that have them.
    pub(super) fn of(rows: &RecordBatch, payload: &str, ingest_time: &str) -> Vec<Self> {
        let column = |name: &str| rows.column_by_name(name).expect("a column").clone();
        let text = |name: &str| column(name).as_string::<i32>().clone();
        let time = |name: &str| column(name).as_primitive::<TimestampMicrosecondType>().clone();
        let payload = cast(&column(payload), &DataType::Binary).expect("bytes");
        let payload = payload.as_binary::<i32>();
        let (source, message_id) = (text("source"), text("message_id"));
        let (publish_time, ingest_time) = (time("publish_time"), time(ingest_time));
        let record = |row: usize| Self {
            ingest_time: ingest_time.value(row),
            source: source.value(row).to_owned(),
            message_id: message_id.value(row).to_owned(),
            publish_time: publish_time.value(row),
            payload: payload.value(row).to_vec(),
        };
        let mut records: Vec<Self> = (0..rows.num_rows()).map(record).collect();
        records.sort();
        records
    }

    /// Some that say nothing.
    pub(super) fn made_up(count: i64) -> Vec<Self> {
        let record = |number: i64| Self {
            ingest_time: 1_790_000_000_000_000,
            source: "made up".to_owned(),
            message_id: number.to_string(),
            publish_time: 1_790_000_000_000_000 + number,
            payload: b"{}".to_vec(),
        };
        (0..count).map(record).collect()
    }
}

/// The columns of a batch.
pub(super) fn columns(records: &[Record]) -> Vec<(&'static str, ArrayRef)> {
    let text = |of: fn(&Record) -> &String| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(records.iter().map(of)))
    };
    let time = |of: fn(&Record) -> i64| -> ArrayRef {
        let times = TimestampMicrosecondArray::from_iter_values(records.iter().map(of));
        Arc::new(times.with_timezone("UTC"))
    };
    let payload = records.iter().map(|record| &record.payload);
    vec![
        ("payload", Arc::new(BinaryArray::from_iter_values(payload))),
        ("source", text(|record| &record.source)),
        ("message_id", text(|record| &record.message_id)),
        ("publish_time", time(|record| record.publish_time)),
        ("ingest_time", time(|record| record.ingest_time)),
    ]
}

/// The same without a column.
pub(super) fn lacking(records: &[Record], name: &str) -> Vec<u8> {
    let columns = columns(records).into_iter().filter(|(known, _)| *known != name);
    stream(&columns.collect::<Vec<_>>())
}

/// The same with a column as text.
pub(super) fn mistyped(records: &[Record], name: &str) -> Vec<u8> {
    let columns = columns(records).into_iter().map(|(known, column)| {
        let is_it = known == name;
        (known, if is_it { cast(&column, &DataType::Utf8).expect("text") } else { column })
    });
    stream(&columns.collect::<Vec<_>>())
}

/// An Arrow IPC stream of one batch.
pub(super) fn stream(columns: &[(&'static str, ArrayRef)]) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns.iter().cloned()).expect("a batch");
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema()).expect("a writer");
    writer.write(&batch).expect("written");
    writer.into_inner().expect("bytes")
}

/// All rows of a table of the warehouse, by their provenance.
pub(super) fn table(folder: &Path) -> RecordBatch {
    let parquet = files(folder).into_iter();
    let parquet = parquet.filter(|path| path.extension().is_some_and(|ending| ending == "parquet"));
    let batches = parquet.flat_map(|path| {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path).expect("a file"));
        let reader = builder.expect("a Parquet file").build().expect("a reader");
        reader.map(|batch| batch.expect("rows")).collect::<Vec<_>>()
    });
    sorted(&batches.collect::<Vec<_>>())
}

/// Rows by their provenance.
pub(super) fn sorted(batches: &[RecordBatch]) -> RecordBatch {
    let schema = batches.first().expect("some rows").schema();
    let all = concat_batches(&schema, batches).expect("rows of one table");
    let keys = KEYS.into_iter().filter_map(|name| all.column_by_name(name).cloned());
    let keys: Vec<_> = keys.map(|values| SortColumn { values, options: None }).collect();
    let order = lexsort_to_indices(&keys, None).expect("they can be compared");
    take_record_batch(&all, &order).expect("the same rows")
}

/// Both are the same rows, value by value.
#[track_caller]
pub(super) fn same(found: &RecordBatch, wanted: &RecordBatch) {
    assert_eq!(found.num_rows(), wanted.num_rows());
    let names = |rows: &RecordBatch| {
        rows.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>()
    };
    assert_eq!(names(found), names(wanted));
    for (name, (found, wanted)) in
        names(found).iter().zip(found.columns().iter().zip(wanted.columns()))
    {
        // A file may say less of a field that is in another.
        let wanted = cast(wanted, found.data_type()).expect("the same type");
        if found.as_ref() == wanted.as_ref() {
            continue;
        }
        let row = (0..found.len()).find(|row| found.slice(*row, 1) != wanted.slice(*row, 1));
        let row = row.expect("one is other than its like");
        let (found, wanted) = (found.slice(row, 1), wanted.slice(row, 1));
        panic!("column `{name}`, row {row}: {found:?}, wanted {wanted:?}");
    }
}
