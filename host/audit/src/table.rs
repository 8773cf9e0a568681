//! Entries as rows of the table `audit_log`.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray, TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

use super::Entry;
use clickmill_core::schema::system::AUDIT_LOG;
use clickmill_core::schema::{SchemaError, TableSchema};

/// The table's name in its dataset. `entry_hash` is the column that tells a repeated row.
pub const TABLE: &str = AUDIT_LOG.name;

/// The table's columns.
pub fn schema() -> Result<TableSchema, SchemaError> {
    AUDIT_LOG.schema()
}

/// Entries as rows. Columns of `schema` that entries know nothing of are null.
pub fn rows(entries: &[Entry], schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |name: &str| -> Result<ArrayRef, ArrowError> {
        Ok(match name {
            "sequence" => {
                let number = |entry: &Entry| i64::try_from(entry.sequence);
                let numbers: Result<Vec<i64>, _> = entries.iter().map(number).collect();
                let numbers = numbers.map_err(|error| ArrowError::CastError(error.to_string()))?;
                Arc::new(Int64Array::from(numbers))
            }
            "time" => {
                let times = entries.iter().map(|entry| entry.time);
                Arc::new(TimestampMicrosecondArray::from_iter_values(times).with_timezone("UTC"))
            }
            name => Arc::new(StringArray::from_iter(entries.iter().map(|entry| {
                let mut fields = entry.fields().into_iter();
                fields.find(|(field, _)| *field == name).and_then(|(_, value)| value)
            }))),
        })
    };
    let columns = schema.fields().iter();
    let columns = columns.map(|field| cast(&column(field.name())?, field.data_type()));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(entries.len()));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use arrow::datatypes::{DataType, Field, Schema};

    use super::super::{Action, Event, NO_HASH, Outcome};
    use super::*;

    #[test]
    fn a_row_has_what_its_entry_has() {
        let event = Event {
            actor: "ada".to_owned(),
            action: Action::Swap,
            subject: String::new(),
            old_plugin_set: None,
            new_plugin_set: Some("set".to_owned()),
            outcome: Outcome::Done,
            detail: "é".to_owned(),
        };
        let entry = Entry::new(7, 1_000_001, "p", event, NO_HASH.to_owned());
        let schema = schema().unwrap().arrow();
        let rows = rows(std::slice::from_ref(&entry), &schema).unwrap();
        let text = |name: &str| {
            let column = rows.column_by_name(name).unwrap().as_string::<i32>();
            column.iter().next().flatten().map(str::to_owned)
        };
        for (name, wanted) in entry.fields() {
            match name {
                "sequence" | "time" => {}
                name => assert_eq!(text(name).as_deref(), wanted.as_deref(), "{name}"),
            }
        }
        // A table may have columns that entries know nothing of.
        let more = [&schema.fields()[..], &[Field::new("more", DataType::Utf8, true).into()]];
        let wider = super::rows(&[entry], &Schema::new(more.concat()).into()).unwrap();
        assert_eq!(wider.column(12).null_count(), 1);
    }
}
