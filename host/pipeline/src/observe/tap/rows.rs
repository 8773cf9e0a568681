//! Rows as a tap shows them.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
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

/// Refused rows in columns.
pub(super) fn refused(rows: &[&Rejected], payload: bool) -> Result<RecordBatch, ArrowError> {
    let texts = |text: &dyn Fn(&Rejected) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| text(row)).collect::<StringArray>())
    };
    let line = |row: &&Rejected| match &row.position {
        Position::Line(line) => Some(*line as i64),
        Position::Message(_) => None,
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("stage", texts(&|row| Some(row.stage.to_string()))),
        ("code", texts(&|row| Some(row.reason.code.clone()))),
        ("message", texts(&|row| Some(row.reason.message.clone()))),
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
        (
            "payload",
            texts(&|row| {
                if payload {
                    Some(String::from_utf8_lossy(&row.payload).into_owned())
                } else {
                    Some(HIDDEN.to_owned())
                }
            }),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
}
