//! Queries over whatever keeps the tables, and their answers, in the same form from both.

mod parameter;

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Float64Array, Int64Array,
    LargeStringArray, ListArray, RecordBatch, RecordBatchOptions, StringArray, StringViewArray,
    StructArray,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{
    DataType, Decimal128Type, Field, Float64Type, Int64Type, Schema, SchemaRef,
};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value as Json;

use clickmill_core::schema::{is_json, json_metadata};
pub use parameter::{Parameter, ParameterType};

/// A question of somebody's, in BigQuery's dialect.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The query.
    pub sql: &'a str,
    /// Values of its named parameters.
    pub parameters: &'a [(&'a str, Parameter)],
    /// How much of its answer is wanted.
    pub bounds: Bounds,
    /// What it is asked for, in errors.
    pub what: &'a str,
}

/// How much of an answer is wanted: what is in a table comes from anybody, and whoever shows it has so much
/// room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// Rows: its first.
    pub rows: usize,
    /// Characters of a text, or BYTES: its first.
    pub chars: usize,
}

impl Bounds {
    /// All of it.
    pub const NONE: Self = Self { rows: usize::MAX, chars: usize::MAX };

    /// A text, as far as it is wanted.
    pub fn text<'a>(&self, text: &'a str) -> &'a str {
        if text.len() <= self.chars {
            return text;
        }
        text.char_indices().nth(self.chars).map_or(text, |(end, _)| &text[..end])
    }

    /// A value, with its texts as far as they are wanted.
    pub fn value(&self, value: Json) -> Json {
        match value {
            Json::String(text) if text.len() > self.chars => self.text(&text).into(),
            Json::Array(values) => values.into_iter().map(|value| self.value(value)).collect(),
            Json::Object(fields) => {
                fields.into_iter().map(|(name, value)| (name, self.value(value))).collect()
            }
            value => value,
        }
    }
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Text, and what has no other form; BYTES in base64.
    Text,
    /// INT64, FLOAT64 and NUMERIC, as JSON numbers; a NUMERIC that is no FLOAT64, as text.
    Number,
    /// BOOL.
    Boolean,
    /// TIMESTAMP, as RFC 3339 text in UTC.
    Timestamp,
    /// DATE, as text such as 2026-11-25.
    Date,
    /// Records, lists and JSON, as JSON.
    Json,
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

impl Answer {
    /// The same with its texts and BYTES as far as they are wanted, those of records and lists too.
    pub fn within(self, bounds: Bounds) -> Result<Self, ArrowError> {
        if bounds.chars == usize::MAX {
            return Ok(self);
        }
        let cut = |batch: RecordBatch| {
            let columns = batch.columns().iter().map(|column| cut(column, bounds)).collect();
            let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
            RecordBatch::try_new_with_options(batch.schema(), columns, &options)
        };
        let batches = self.batches.into_iter().map(cut).collect::<Result<_, ArrowError>>()?;
        Ok(Self { schema: self.schema, batches })
    }
}

/// An array with its texts and BYTES as far as they are wanted.
fn cut(array: &ArrayRef, bounds: Bounds) -> ArrayRef {
    let text = |text: Option<&str>| text.map(|text| bounds.text(text).to_owned());
    match array.data_type() {
        DataType::Utf8 => {
            Arc::new(array.as_string::<i32>().iter().map(text).collect::<StringArray>())
        }
        DataType::LargeUtf8 => {
            Arc::new(array.as_string::<i64>().iter().map(text).collect::<LargeStringArray>())
        }
        DataType::Utf8View => {
            Arc::new(array.as_string_view().iter().map(text).collect::<StringViewArray>())
        }
        DataType::Binary => {
            let bytes = |bytes: Option<&[u8]>| {
                bytes.map(|bytes| bytes[..bytes.len().min(bounds.chars)].to_vec())
            };
            Arc::new(array.as_binary::<i32>().iter().map(bytes).collect::<BinaryArray>())
        }
        DataType::Struct(fields) if !fields.is_empty() => {
            let records = array.as_struct();
            let columns = records.columns().iter().map(|column| cut(column, bounds)).collect();
            let nulls = records.nulls().cloned();
            Arc::new(StructArray::new(fields.clone(), columns, nulls))
        }
        DataType::List(item) => {
            let lists = array.as_list::<i32>();
            let offsets = OffsetBuffer::from_lengths(lists.offsets().lengths());
            let (elements, nulls) = (cut(&elements(lists), bounds), lists.nulls().cloned());
            Arc::new(ListArray::new(item.clone(), offsets, elements, nulls))
        }
        _ => array.clone(),
    }
}

/// The elements of lists, one list behind the other. A slice of lists holds those of all that it was cut from.
fn elements(lists: &ListArray) -> ArrayRef {
    let offsets = lists.value_offsets();
    let (first, last) = (offsets[0] as usize, offsets[lists.len()] as usize);
    lists.values().slice(first, last - first)
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

    /// A line of JSON per row, the same whatever has answered. What is null is left out.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.rows.iter().map(|row| {
            let fields = self.columns.iter().map(|column| &column.name).zip(row);
            let fields = fields.filter(|(_, value)| !value.is_null());
            let mut line = Vec::new();
            let written = serde_json::Serializer::new(&mut line).collect_map(fields);
            written.expect("names and values of JSON are JSON");
            line.push(b'\n');
            String::from_utf8_lossy(&line).into_owned()
        })
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
                DataType::Struct(_) | DataType::List(_) => Kind::Json,
                DataType::Utf8 if is_json(field) => Kind::Json,
                number if number.is_numeric() => Kind::Number,
                _ => Kind::Text,
            },
        });
        let columns: Vec<Column> = columns.collect();
        let mut rows = Vec::new();
        for batch in &answer.batches {
            let arrays = batch.columns().iter().zip(answer.schema.fields());
            let values: Result<Vec<Vec<Json>>, ArrowError> =
                arrays.map(|(array, field)| values(array, is_json(field))).collect();
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
            // A NUMERIC that is no FLOAT64 stays exact.
            let is_exact =
                column.kind == Kind::Number && values().any(serde_json::Value::is_string);
            let array: ArrayRef = match column.kind {
                _ if is_exact => Arc::new(values().map(text).collect::<StringArray>()),
                Kind::Boolean => Arc::new(values().map(Json::as_bool).collect::<BooleanArray>()),
                Kind::Number if values().all(|value| value.is_null() || value.is_i64()) => {
                    Arc::new(values().map(Json::as_i64).collect::<Int64Array>())
                }
                Kind::Number => Arc::new(values().map(Json::as_f64).collect::<Float64Array>()),
                _ => Arc::new(values().map(text).collect::<StringArray>()),
            };
            let field = Field::new(&column.name, array.data_type().clone(), true);
            let is_json = column.kind == Kind::Json;
            let field = if is_json { field.with_metadata(json_metadata()) } else { field };
            (field, array)
        });
        let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns.unzip();
        let schema: SchemaRef = Arc::new(Schema::new(fields));
        let options = RecordBatchOptions::new().with_row_count(Some(found.rows.len()));
        let batch = RecordBatch::try_new_with_options(schema.clone(), columns, &options)?;
        Ok(Self { schema, batches: vec![batch] })
    }
}

/// A NUMERIC as JSON, from its digits: a number where that is the same, else text.
pub fn exact(digits: &str) -> Json {
    let plain = match digits.split_once('.') {
        Some((whole, part)) if part.bytes().all(|digit| digit == b'0') => whole,
        Some(_) => digits.trim_end_matches('0'),
        None => digits,
    };
    if let Ok(whole) = plain.parse::<i64>() {
        return whole.into();
    }
    match plain.parse::<f64>() {
        Ok(number) if number.to_string() == plain => number.into(),
        _ => plain.into(),
    }
}

/// The text of a JSON value as that value; as text where it is none.
pub fn json(text: &str) -> Json {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// The values of a column as JSON. Numbers that JSON has none for, such as infinity, are null; a list that
/// is null is empty, as BigQuery has it.
fn values(array: &ArrayRef, is_text_json: bool) -> Result<Vec<Json>, ArrowError> {
    let rows = 0..array.len();
    let unless_null = |row: usize, value: &dyn Fn() -> Json| {
        if array.is_null(row) { Json::Null } else { value() }
    };
    Ok(match array.data_type() {
        DataType::Null => vec![Json::Null; array.len()],
        DataType::Boolean => {
            let values = array.as_boolean();
            rows.map(|row| unless_null(row, &|| values.value(row).into())).collect()
        }
        DataType::Decimal128(..) => {
            let values = array.as_primitive::<Decimal128Type>();
            rows.map(|row| unless_null(row, &|| exact(&values.value_as_string(row)))).collect()
        }
        integer if integer.is_integer() => {
            let values = arrow::compute::cast(array, &DataType::Int64)?;
            let values = values.as_primitive::<Int64Type>();
            rows.map(|row| unless_null(row, &|| values.value(row).into())).collect()
        }
        number if number.is_numeric() => {
            let values = arrow::compute::cast(array, &DataType::Float64)?;
            let values = values.as_primitive::<Float64Type>();
            rows.map(|row| unless_null(row, &|| values.value(row).into())).collect()
        }
        DataType::Struct(fields) => {
            let record = array.as_struct();
            let columns = fields.iter().zip(record.columns());
            let columns: Result<Vec<_>, ArrowError> = columns
                .map(|(field, column)| Ok((field.name(), values(column, is_json(field))?)))
                .collect();
            let columns = columns?;
            let object = |row: usize| {
                let fields = columns.iter();
                let fields = fields.map(|(name, values)| ((*name).clone(), values[row].clone()));
                Json::Object(fields.collect())
            };
            rows.map(|row| unless_null(row, &|| object(row))).collect()
        }
        DataType::List(item) => {
            let lists = array.as_list::<i32>();
            let mut elements = values(&elements(lists), is_json(item))?.into_iter();
            let lengths = lists.offsets().lengths().enumerate();
            let list = |(row, length)| {
                let list: Vec<Json> = elements.by_ref().take(length).collect();
                if lists.is_null(row) { Json::Array(Vec::new()) } else { list.into() }
            };
            lengths.map(list).collect()
        }
        DataType::Dictionary(_, of) => values(&arrow::compute::cast(array, of)?, is_text_json)?,
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => {
            let bytes = arrow::compute::cast(array, &DataType::Binary)?;
            let bytes = bytes.as_binary::<i32>();
            rows.map(|row| unless_null(row, &|| STANDARD.encode(bytes.value(row)).into())).collect()
        }
        DataType::Utf8 if is_text_json => {
            let texts = array.as_string::<i32>();
            rows.map(|row| unless_null(row, &|| json(texts.value(row)))).collect()
        }
        _ => {
            let options = FormatOptions::default();
            let texts = ArrayFormatter::try_new(array, &options)?;
            rows.map(|row| unless_null(row, &|| texts.value(row).to_string().into())).collect()
        }
    })
}

#[cfg(test)]
mod tests;
