//! Queries over whatever keeps the tables, and their answers, in the same form from both.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Float64Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Float64Type, Int64Type, SchemaRef};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use clickmill_core::Micros;

/// The value of a named query parameter, such as `@country`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Parameter {
    /// STRING; may be null.
    Text(Option<String>),
    /// INT64.
    Integer(i64),
    /// TIMESTAMP.
    Timestamp(Micros),
}

/// A question of somebody's, in BigQuery's dialect.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The query.
    pub sql: &'a str,
    /// Values of its named parameters.
    pub parameters: &'a [(&'a str, Parameter)],
    /// The most rows that are wanted: its first.
    pub max_rows: usize,
    /// What it is asked for, in errors.
    pub what: &'a str,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text, and what has no other form.
    Text,
    /// INT64 and FLOAT64, as JSON numbers.
    Number,
    /// BOOL.
    Boolean,
    /// TIMESTAMP, as RFC 3339 text in UTC.
    Timestamp,
    /// DATE, as text such as 2026-11-25.
    Date,
}

/// A column of an answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What it holds.
    #[serde(rename = "type")]
    pub kind: Kind,
}

/// An answer: its columns, and rows in batches.
pub struct Answer {
    /// Its columns.
    pub schema: SchemaRef,
    /// Its rows.
    pub batches: Vec<RecordBatch>,
}

/// A query's answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ResultSet {
    /// Its columns.
    pub columns: Vec<Column>,
    /// Its rows, a value per column.
    pub rows: Vec<Vec<Json>>,
}

impl ResultSet {
    /// The first value of the first row, such as a count.
    pub fn single(&self) -> Option<&Json> {
        self.rows.first()?.first()
    }

    /// The rows of an answer as JSON.
    pub fn of(answer: &Answer) -> Result<Self, ArrowError> {
        let fields = answer.schema.fields().iter();
        let columns = fields.map(|field| Column {
            name: field.name().clone(),
            kind: match field.data_type() {
                DataType::Boolean => Kind::Boolean,
                DataType::Timestamp(..) => Kind::Timestamp,
                DataType::Date32 | DataType::Date64 => Kind::Date,
                number if number.is_numeric() => Kind::Number,
                _ => Kind::Text,
            },
        });
        let columns: Vec<Column> = columns.collect();
        let mut rows = Vec::new();
        for batch in &answer.batches {
            let arrays = batch.columns().iter().zip(&columns);
            let values: Result<Vec<Vec<Json>>, ArrowError> =
                arrays.map(|(array, column)| values(array, column.kind)).collect();
            let mut values: Vec<_> = values?.into_iter().map(Vec::into_iter).collect();
            for _ in 0..batch.num_rows() {
                rows.push(values.iter_mut().filter_map(Iterator::next).collect());
            }
        }
        Ok(Self { columns, rows })
    }
}

impl TryFrom<ResultSet> for Answer {
    type Error = ArrowError;

    fn try_from(found: ResultSet) -> Result<Self, ArrowError> {
        let columns = found.columns.iter().enumerate().map(|(at, column)| {
            let values = || found.rows.iter().map(move |row| row.get(at).unwrap_or(&Json::Null));
            let text = |value: &Json| match value {
                Json::Null => None,
                Json::String(text) => Some(text.clone()),
                other => Some(other.to_string()),
            };
            let array: ArrayRef = match column.kind {
                Kind::Boolean => Arc::new(values().map(Json::as_bool).collect::<BooleanArray>()),
                Kind::Number if values().all(|value| value.is_null() || value.is_i64()) => {
                    Arc::new(values().map(Json::as_i64).collect::<Int64Array>())
                }
                Kind::Number => Arc::new(values().map(Json::as_f64).collect::<Float64Array>()),
                _ => Arc::new(values().map(text).collect::<StringArray>()),
            };
            (column.name.as_str(), array, true)
        });
        let batch = RecordBatch::try_from_iter_with_nullable(columns)?;
        Ok(Self { schema: batch.schema(), batches: vec![batch] })
    }
}

/// The values of a column as JSON. Numbers that JSON has none for, such as infinity, are null.
fn values(array: &ArrayRef, kind: Kind) -> Result<Vec<Json>, ArrowError> {
    let rows = 0..array.len();
    let unless_null = |row: usize, value: &dyn Fn() -> Json| {
        if array.is_null(row) { Json::Null } else { value() }
    };
    Ok(match kind {
        Kind::Boolean => {
            let values = array.as_boolean();
            rows.map(|row| unless_null(row, &|| values.value(row).into())).collect()
        }
        Kind::Number if array.data_type().is_integer() => {
            let values = arrow::compute::cast(array, &DataType::Int64)?;
            let values = values.as_primitive::<Int64Type>();
            rows.map(|row| unless_null(row, &|| values.value(row).into())).collect()
        }
        Kind::Number => {
            let values = arrow::compute::cast(array, &DataType::Float64)?;
            let values = values.as_primitive::<Float64Type>();
            rows.map(|row| unless_null(row, &|| values.value(row).into())).collect()
        }
        Kind::Text | Kind::Timestamp | Kind::Date => {
            let options = FormatOptions::default();
            let texts = ArrayFormatter::try_new(array, &options)?;
            rows.map(|row| unless_null(row, &|| texts.value(row).to_string().into())).collect()
        }
    })
}
