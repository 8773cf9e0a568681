//! Rows as a tap shows them.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, DictionaryArray, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;

use clickmill_core::batch::{Position, Rejected};

/// What stands in place of a value that is not shown.
pub(crate) const HIDDEN: &str = "(hidden)";

/// The rows, with hidden columns' values replaced: nor can a filter tell what they were.
pub(super) fn masked(
    rows: &RecordBatch,
    hidden: impl Fn(&str) -> bool,
) -> Result<RecordBatch, ArrowError> {
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns
        .map(|(field, column)| {
            if hidden(field.name()) {
                let values: StringArray =
                    (0..column.len()).map(|row| column.is_valid(row).then_some(HIDDEN)).collect();
                let array: ArrayRef = Arc::new(values);
                (Field::new(field.name(), DataType::Utf8, true), array)
            } else {
                (field.as_ref().clone(), column.clone())
            }
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Refused rows in columns, with their payloads and messages where those are shown.
pub(super) fn refused(
    rows: &[&Rejected],
    payload: bool,
    message: bool,
) -> Result<RecordBatch, ArrowError> {
    let texts = |text: &dyn Fn(&Rejected) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| text(row)).collect::<StringArray>())
    };
    let hidden = || texts(&|_| Some(HIDDEN.to_owned()));
    let line = |row: &&Rejected| match &row.position {
        Position::Line(line) => Some(*line as i64),
        Position::Message(_) => None,
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("stage", texts(&|row| Some(row.stage.to_string()))),
        ("code", texts(&|row| Some(row.reason.code.clone()))),
        (
            "message",
            if message { texts(&|row| Some(row.reason.message.clone())) } else { hidden() },
        ),
        ("column", texts(&|row| row.reason.column.clone())),
        ("source", texts(&|row| Some(row.source.to_string()))),
        ("source_line", Arc::new(rows.iter().map(line).collect::<Int64Array>())),
        (
            "message_id",
            texts(&|row| match &row.position {
                Position::Message(message) => Some(message.id.to_string()),
                Position::Line(_) => None,
            }),
        ),
        ("payload", if payload { payloads(rows) } else { hidden() }),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
}

/// The records of refused rows as texts. A record that became many rows is there once, if they follow each other:
/// thousands may share one of a megabyte.
fn payloads(rows: &[&Rejected]) -> ArrayRef {
    let of_one = |one: &&Rejected, next: &&Rejected| std::ptr::eq(&*one.payload, &*next.payload);
    let records: Vec<&[&Rejected]> = rows.chunk_by(of_one).collect();
    let texts = records.iter().map(|rows| String::from_utf8_lossy(&rows[0].payload));
    let texts: StringArray = texts.map(Some).collect();
    let numbers = (0_i32..).zip(records);
    let numbers = numbers.flat_map(|(number, rows)| std::iter::repeat_n(number, rows.len()));
    Arc::new(DictionaryArray::new(numbers.collect::<Int32Array>(), Arc::new(texts)))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use arrow::array::{ArrayAccessor, AsArray};
    use arrow::datatypes::Int32Type;
    use clickmill_core::batch::{Reason, Rejector};
    use clickmill_core::{Digest, Micros, stage};

    /// Written out they would be more than a column takes.
    #[test]
    fn a_record_of_which_many_rows_are_refused_is_there_once() {
        let by = Rejector::host(stage::SINK, &Digest::of(b""), Micros::default());
        let reason = Reason { code: "x".to_owned(), message: String::new(), column: None };
        let row = |payload: Bytes| Rejected {
            source: "t@1".into(),
            header: None,
            position: Position::Line(1),
            record_index: 0,
            payload,
            stage: by.stage.clone(),
            plugin_digest: None,
            plugin_set: by.plugin_set.clone(),
            reason: reason.clone(),
            ingest_time: by.ingest_time,
        };
        let large = row(vec![b'a'; 1 << 20].into());
        let others = [row(Bytes::from_static(b"b")), row(Bytes::from_static(b"\xff"))];
        let rows: Vec<&Rejected> = [&large; 3000].into_iter().chain(&others).collect();
        let shown = refused(&rows, true, true).expect("columns");
        let shown_message =
            shown.column_by_name("message").expect("a column").as_string::<i32>().value(0);
        let payloads = shown.column_by_name("payload").expect("a column");
        let payloads = payloads.as_dictionary::<Int32Type>().downcast_dict::<StringArray>();
        let payloads = payloads.expect("texts");
        assert_eq!(payloads.values().len(), 3);
        let values = [0, 2999, 3000, 3001].map(|row| payloads.value(row).len());
        assert_eq!(values, [1 << 20, 1 << 20, 1, 3]);
        let hidden = refused(&rows, false, false).expect("columns");
        let messages = hidden.column_by_name("message").expect("a column").as_string::<i32>();
        assert_eq!((messages.value(0), shown_message), (HIDDEN, ""));
        let hidden = hidden.column_by_name("payload").expect("a column").as_string::<i32>();
        assert!(hidden.iter().all(|value| value == Some(HIDDEN)));
    }
}
