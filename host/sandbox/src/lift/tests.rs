mod any_columns;
mod columns;
mod rows;

use std::sync::Arc;

use arrow::array::{
    Array, AsArray, BinaryArray, BooleanArray, Decimal128Array, DictionaryArray, Int64Array,
    ListArray, RecordBatchOptions, StringArray, StructArray, Time64MicrosecondArray,
    TimestampMicrosecondArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{Field, Schema, UInt32Type};

use super::*;
use crate::boundary::{Column, ColumnIn, DataType, Dictionary, Text, TextIn, Values, ValuesIn};
use crate::kind::{Kind, Spec};
use crate::lower::{Lowered, lower};

fn spec(path: &str, data_type: DataType, repeated: bool) -> Spec {
    Spec { path: path.parse().unwrap_or_else(|_| Path::of(path)), data_type, repeated }
}

fn plain_kind(data_type: DataType) -> Kind {
    Kind { data_type, repeated: false, fields: Vec::new() }
}

fn columns(specs: &[Spec], batch: &RecordBatch) -> Columns {
    let record = |path: &Path| {
        let (_, field) = batch.schema_ref().column_with_name(path.first())?;
        Kind::of(field)
    };
    Columns::of(specs, record).unwrap().0
}

fn batch_of(columns: Vec<(Field, ArrayRef)>, rows: usize) -> RecordBatch {
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).unwrap()
}

fn checked(
    output: Output,
    batch: &RecordBatch,
    announced: Announced<'_>,
) -> Result<Answer, String> {
    let limits = Limits { max_message_bytes: 64, max_output_bytes: 1 << 20, ..Limits::default() };
    check(output, batch, announced, &limits).map_err(|error| error.to_string())
}

/// What a guest answers that gives back what it was given.
fn identity(columns: &[ColumnIn<'_>]) -> Vec<Column> {
    let text =
        |text: &TextIn<'_>| Text { offsets: text.offsets.to_vec(), bytes: text.bytes.to_vec() };
    let values = |values: &ValuesIn<'_>| match values {
        ValuesIn::Booleans(v) => Values::Booleans(v.to_vec()),
        ValuesIn::Int64s(v) => Values::Int64s(v.to_vec()),
        ValuesIn::Float64s(v) => Values::Float64s(v.to_vec()),
        ValuesIn::Decimals(v) => Values::Decimals(v.to_vec()),
        ValuesIn::Dates(v) => Values::Dates(v.to_vec()),
        ValuesIn::Times(v) => Values::Times(v.to_vec()),
        ValuesIn::Datetimes(v) => Values::Datetimes(v.to_vec()),
        ValuesIn::Timestamps(v) => Values::Timestamps(v.to_vec()),
        ValuesIn::Texts(v) => Values::Texts(text(v)),
        ValuesIn::Dictionary(v) => {
            Values::Dictionary(Dictionary { indices: v.indices.to_vec(), values: text(&v.values) })
        }
        ValuesIn::Jsons(v) => Values::Jsons(text(v)),
        ValuesIn::Blobs(v) => Values::Blobs(text(v)),
        ValuesIn::Records => Values::Records,
    };
    let column = |column: &ColumnIn<'_>| Column {
        name: column.name.to_owned(),
        parent: column.parent,
        offsets: column.offsets.map(<[u32]>::to_vec),
        values: values(&column.values),
        validity: column.validity.map(<[u8]>::to_vec),
    };
    columns.iter().map(column).collect()
}

/// Rows with a list of items, of which one is empty, and a user, of whom one is nobody.
fn shop() -> RecordBatch {
    let price = Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef;
    let name = Arc::new(StringArray::from(vec!["a", "b", "c"])) as ArrayRef;
    let fields = vec![
        Field::new("price", arrow::datatypes::DataType::Int64, true),
        Field::new("name", arrow::datatypes::DataType::Utf8, true),
    ];
    let item = Arc::new(StructArray::new(fields.into(), vec![price, name], None)) as ArrayRef;
    let element = Arc::new(Field::new("item", item.data_type().clone(), false));
    let items = ListArray::new(element, OffsetBuffer::from_lengths([2, 0, 1]), item, None);
    let id = Arc::new(StringArray::from(vec![Some("u"), None, Some("v")])) as ArrayRef;
    let fields = vec![Field::new("id", arrow::datatypes::DataType::Utf8, true)];
    let nulls = Some(NullBuffer::from(vec![true, false, true]));
    let user = StructArray::new(fields.into(), vec![id], nulls);
    batch_of(
        vec![
            (Field::new("items", items.data_type().clone(), true), Arc::new(items) as ArrayRef),
            (Field::new("user", user.data_type().clone(), true), Arc::new(user) as ArrayRef),
        ],
        3,
    )
}

fn record(name: &str, offsets: Option<Vec<u32>>, validity: Option<Vec<u8>>) -> Column {
    Column { name: name.to_owned(), parent: None, offsets, values: Values::Records, validity }
}

fn numbers(name: &str, parent: Option<u32>, values: Vec<i64>) -> Column {
    let (name, values) = (name.to_owned(), Values::Int64s(values));
    Column { name, parent, offsets: None, values, validity: None }
}
