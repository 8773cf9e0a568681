//! Entries as rows of the table `audit_log`, and back.

use std::str::FromStr;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    TimestampMicrosecondArray,
};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;

use super::{Entry, UnknownWord};
use clickmill_core::schema::system::AUDIT_LOG;
use clickmill_core::schema::{SchemaError, TableSchema, timestamp_type};

/// The table's name in its dataset. `entry_hash` is the column that tells a repeated row.
pub const TABLE: &str = AUDIT_LOG.name;

/// Why rows are not entries.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// A column is not there.
    #[error("audit table: no column `{column}`")]
    NoColumn {
        /// The column.
        column: &'static str,
    },
    /// A column has another type, which can't be converted.
    #[error("audit table: column `{column}` has another type")]
    Type {
        /// The column.
        column: &'static str,
        /// Why.
        source: ArrowError,
    },
    /// A value is null that may not be, or can't be converted.
    #[error("audit table: row {row} has no `{column}`")]
    Null {
        /// The column.
        column: &'static str,
        /// The row, from 0.
        row: usize,
    },
    /// A value is not one that the column may have.
    #[error("audit table: row {row}, column `{column}`")]
    Word {
        /// The column.
        column: &'static str,
        /// The row, from 0.
        row: usize,
        /// The value.
        source: UnknownWord,
    },
    /// An entry's number is negative.
    #[error("audit table: row {row} has `sequence` {value}, wanted 1 or more")]
    Negative {
        /// The row, from 0.
        row: usize,
        /// The number.
        value: i64,
    },
}

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

/// Rows as entries, in the order of the rows. Columns are found by name; other columns don't matter.
/// Types may be others that hold the same, as a query's answer has them.
pub fn entries(rows: &RecordBatch) -> Result<Vec<Entry>, RowsError> {
    let column = |column: &'static str, kind: &DataType| {
        let found = rows.column_by_name(column).ok_or(RowsError::NoColumn { column })?;
        cast(found, kind).map_err(|source| RowsError::Type { column, source })
    };
    let text = |name| Ok(Text { name, values: column(name, &DataType::Utf8)? });
    let sequence = column("sequence", &DataType::Int64)?;
    let time = column("time", &timestamp_type())?;
    let [pipeline, actor, action, subject] =
        [text("pipeline")?, text("actor")?, text("action")?, text("subject")?];
    let [old, new] = [text("old_plugin_set")?, text("new_plugin_set")?];
    let [outcome, detail] = [text("outcome")?, text("detail")?];
    let [previous, hash] = [text("previous_hash")?, text("entry_hash")?];
    let present = |array: &ArrayRef, column, row| {
        if array.is_null(row) { Err(RowsError::Null { column, row }) } else { Ok(()) }
    };
    let entry = |row: usize| {
        present(&sequence, "sequence", row)?;
        present(&time, "time", row)?;
        let value = sequence.as_primitive::<Int64Type>().value(row);
        Ok(Entry {
            sequence: u64::try_from(value).map_err(|_| RowsError::Negative { row, value })?,
            time: time.as_primitive::<TimestampMicrosecondType>().value(row),
            pipeline: pipeline.required(row)?.to_owned(),
            actor: actor.required(row)?.to_owned(),
            action: action.word(row)?,
            subject: subject.required(row)?.to_owned(),
            old_plugin_set: old.get(row).map(str::to_owned),
            new_plugin_set: new.get(row).map(str::to_owned),
            outcome: outcome.word(row)?,
            detail: detail.required(row)?.to_owned(),
            previous: previous.required(row)?.to_owned(),
            hash: hash.required(row)?.to_owned(),
        })
    };
    (0..rows.num_rows()).map(entry).collect()
}

/// A column of texts.
struct Text {
    name: &'static str,
    values: ArrayRef,
}

impl Text {
    fn get(&self, row: usize) -> Option<&str> {
        self.values.is_valid(row).then(|| self.values.as_string::<i32>().value(row))
    }

    fn required(&self, row: usize) -> Result<&str, RowsError> {
        self.get(row).ok_or(RowsError::Null { column: self.name, row })
    }

    fn word<T: FromStr<Err = UnknownWord>>(&self, row: usize) -> Result<T, RowsError> {
        let word = self.required(row)?.parse();
        word.map_err(|source| RowsError::Word { column: self.name, row, source })
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{Field, Schema, TimeUnit};

    use super::super::{Action, Event, NO_HASH, Outcome};
    use super::*;

    /// So many entries, each with the hash of the one before.
    fn chain(length: u64) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for sequence in 1..=length {
            let event = Event {
                actor: "ada".to_owned(),
                action: Action::Swap,
                subject: String::new(),
                old_plugin_set: (sequence > 1).then(|| format!("set {sequence}")),
                new_plugin_set: Some(String::new()),
                outcome: Outcome::Done,
                detail: "é".to_owned(),
            };
            let previous = entries.last().map_or(NO_HASH, |entry| &entry.hash).to_owned();
            entries.push(Entry::new(sequence, sequence as i64 * 1_000_001, "p", event, previous));
        }
        entries
    }

    #[test]
    fn rows_and_entries_are_inverse() {
        let written = chain(9);
        let schema = schema().unwrap().arrow();
        let batch = rows(&written, &schema).unwrap();
        assert_eq!(batch.num_rows(), 9);
        assert_eq!(entries(&batch).unwrap(), written);
        assert_eq!(entries(&rows(&[], &schema).unwrap()).unwrap(), []);
        // As a query's answer may have them: other types, another order, other columns beside.
        let zone = DataType::Timestamp(TimeUnit::Nanosecond, Some("+02:00".into()));
        let columns = schema.fields().iter().zip(batch.columns()).rev();
        let columns: Vec<(Field, ArrayRef)> = columns
            .map(|(field, column)| {
                let kind = match field.data_type() {
                    DataType::Utf8 => DataType::Utf8View,
                    DataType::Timestamp(..) => zone.clone(),
                    _ => DataType::Int32,
                };
                (Field::new(field.name(), kind.clone(), true), cast(column, &kind).unwrap())
            })
            .chain([(Field::new("more", DataType::Int64, true), batch.column(0).clone())])
            .collect();
        let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
        let other = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
        assert_eq!(entries(&other).unwrap(), written);
    }

    #[test]
    fn rows_that_are_no_entries_are_told() {
        let schema = schema().unwrap().arrow();
        let batch = rows(&chain(2), &schema).unwrap();
        let replaced = |name: &str, values: ArrayRef| {
            let (at, _) = schema.column_with_name(name).unwrap();
            let mut fields: Vec<Field> =
                schema.fields().iter().map(|f| f.as_ref().clone()).collect();
            let mut columns = batch.columns().to_vec();
            fields[at] = Field::new(name, values.data_type().clone(), true);
            columns[at] = values;
            let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
            entries(&batch).unwrap_err().to_string()
        };
        let texts = |values: [Option<&str>; 2]| -> ArrayRef {
            Arc::new(StringArray::from(values.to_vec()))
        };
        assert_eq!(
            replaced("actor", texts([Some("ada"), None])),
            "audit table: row 1 has no `actor`"
        );
        assert_eq!(
            replaced("action", texts([Some("start"), Some("erase")])),
            "audit table: row 1, column `action`"
        );
        assert_eq!(
            replaced("sequence", Arc::new(Int64Array::from(vec![-1, 2]))),
            "audit table: row 0 has `sequence` -1, wanted 1 or more"
        );
        let less = batch.project(&[0, 1]).unwrap();
        assert_eq!(entries(&less).unwrap_err().to_string(), "audit table: no column `pipeline`");
    }
}
