//! Arrow columns to what a guest is given. Values are borrowed from Arrow wherever their layout is the
//! contract's, which is always but for booleans (bits there, bytes here) and sliced columns.
//!
//! Of a record only those fields are there that the plugin reads; of the columns, those that it reads.

use arrow::array::{Array, ArrayRef, AsArray, GenericByteArray, RecordBatch, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, OffsetBuffer, ScalarBuffer};
use arrow::compute::cast;
use arrow::datatypes::{
    BinaryType, ByteArrayType, DataType as ArrowType, Date32Type, Decimal128Type, Float64Type,
    Int64Type, Time64MicrosecondType, TimestampMicrosecondType, Utf8Type,
};

use super::boundary::{ColumnIn, DataType, DictionaryIn, TextIn, ValuesIn};
use super::dictionary::given;
use super::kind::{Columns, Node};

/// A column in the contract's layout, borrowing from the Arrow array's buffers.
pub(super) struct Lowered<'a> {
    name: &'a str,
    parent: Option<u32>,
    offsets: Option<ScalarBuffer<u32>>,
    values: Values,
    validity: Option<Buffer>,
}

enum Values {
    Booleans(Vec<u8>),
    Int64s(ScalarBuffer<i64>),
    Float64s(ScalarBuffer<f64>),
    Decimals(ScalarBuffer<i128>),
    Dates(ScalarBuffer<i32>),
    Times(ScalarBuffer<i64>),
    Datetimes(ScalarBuffer<i64>),
    Timestamps(ScalarBuffer<i64>),
    Texts(ScalarBuffer<u32>, Buffer),
    Dictionary(ScalarBuffer<u32>, ScalarBuffer<u32>, Buffer),
    Jsons(ScalarBuffer<u32>, Buffer),
    Blobs(ScalarBuffer<u32>, Buffer),
    Records,
}

/// The columns of a batch that a plugin reads, as far as they are there, each record before its fields.
/// Without `dictionaries` all texts are plain.
pub(super) fn lower<'a>(
    batch: &RecordBatch,
    reads: &'a Columns,
    dictionaries: bool,
) -> Vec<Lowered<'a>> {
    let mut lowered = Vec::with_capacity(reads.all.len());
    for node in &reads.all {
        if let Some(array) = batch.column_by_name(&node.name) {
            add(&mut lowered, node, None, array, dictionaries);
        }
    }
    lowered
}

/// Adds a column with all below it. One of another type than it was when the plugin was configured is none.
fn add<'a>(
    lowered: &mut Vec<Lowered<'a>>,
    node: &'a Node,
    parent: Option<u32>,
    array: &ArrayRef,
    dictionaries: bool,
) {
    let (offsets, elements);
    let array = if node.repeated {
        let Some(list) = array.as_list_opt::<i32>() else { return };
        let (first, last) = (list.offsets()[0], list.offsets()[list.len()]);
        elements = list.values().slice(first as usize, (last - first) as usize);
        offsets = Some(from_zero(list.offsets()));
        &elements
    } else {
        offsets = None;
        array
    };
    let Some(values) = values(node.data_type, array, dictionaries) else { return };
    let nulls = array.logical_nulls().filter(|nulls| nulls.null_count() > 0);
    let validity = nulls.map(|nulls| bitmap(nulls.inner()));
    let at = lowered.len() as u32;
    lowered.push(Lowered { name: &node.name, parent, offsets, values, validity });
    if let Some(record) = array.as_struct_opt() {
        for (hint, field) in node.fields.all.iter().enumerate() {
            // Mostly all fields are read, in their order.
            let is_next = record.fields().get(hint).is_some_and(|is| *is.name() == field.name);
            let column = if is_next {
                Some(record.column(hint))
            } else {
                record.column_by_name(&field.name)
            };
            if let Some(column) = column {
                add(lowered, field, Some(at), column, dictionaries);
            }
        }
    }
}

fn values(data_type: DataType, array: &ArrayRef, dictionaries: bool) -> Option<Values> {
    Some(match data_type {
        DataType::Boolean => {
            Values::Booleans(array.as_boolean_opt()?.values().iter().map(u8::from).collect())
        }
        DataType::Int64 => Values::Int64s(array.as_primitive_opt::<Int64Type>()?.values().clone()),
        DataType::Float64 => {
            Values::Float64s(array.as_primitive_opt::<Float64Type>()?.values().clone())
        }
        DataType::Decimal => {
            Values::Decimals(array.as_primitive_opt::<Decimal128Type>()?.values().clone())
        }
        DataType::Date => Values::Dates(array.as_primitive_opt::<Date32Type>()?.values().clone()),
        DataType::Time => {
            Values::Times(array.as_primitive_opt::<Time64MicrosecondType>()?.values().clone())
        }
        DataType::Datetime => Values::Datetimes(
            array.as_primitive_opt::<TimestampMicrosecondType>()?.values().clone(),
        ),
        DataType::Timestamp => Values::Timestamps(
            array.as_primitive_opt::<TimestampMicrosecondType>()?.values().clone(),
        ),
        DataType::Text => return text_values(array, dictionaries),
        DataType::Json => {
            let (offsets, bytes) = texts::<Utf8Type>(array.as_bytes_opt()?);
            Values::Jsons(offsets, bytes)
        }
        DataType::Blob => {
            let (offsets, bytes) = texts::<BinaryType>(array.as_bytes_opt()?);
            Values::Blobs(offsets, bytes)
        }
        DataType::Record => {
            array.as_struct_opt()?;
            Values::Records
        }
    })
}

fn text_values(array: &ArrayRef, dictionaries: bool) -> Option<Values> {
    let plain = |array: &StringArray| {
        let (offsets, bytes) = texts::<Utf8Type>(array);
        Values::Texts(offsets, bytes)
    };
    if let Some(array) = array.as_string_opt::<i32>() {
        return Some(plain(array));
    }
    if dictionaries && let Some((indices, values)) = given(array) {
        let (offsets, bytes) = texts::<Utf8Type>(&values);
        return Some(Values::Dictionary(indices, offsets, bytes));
    }
    cast(array, &ArrowType::Utf8).ok()?.as_string_opt::<i32>().map(plain)
}

/// The bytes that a guest is given with these columns.
pub(super) fn bytes_of(columns: &[Lowered<'_>]) -> usize {
    columns.iter().map(Lowered::bytes).sum()
}

impl Lowered<'_> {
    fn bytes(&self) -> usize {
        let text = |offsets: &[u32], bytes: &Buffer| size_of_val(offsets) + bytes.len();
        let values = match &self.values {
            Values::Booleans(v) => v.len(),
            Values::Int64s(v) | Values::Times(v) | Values::Datetimes(v) | Values::Timestamps(v) => {
                v.inner().len()
            }
            Values::Float64s(v) => v.inner().len(),
            Values::Decimals(v) => v.inner().len(),
            Values::Dates(v) => v.inner().len(),
            Values::Texts(offsets, bytes)
            | Values::Jsons(offsets, bytes)
            | Values::Blobs(offsets, bytes) => text(offsets, bytes),
            Values::Dictionary(indices, offsets, bytes) => {
                indices.inner().len() + text(offsets, bytes)
            }
            Values::Records => 0,
        };
        let offsets = self.offsets.as_ref().map_or(0, |offsets| offsets.inner().len());
        values + offsets + self.validity.as_ref().map_or(0, Buffer::len)
    }

    /// The column as the guest gets it.
    pub(crate) fn column(&self) -> ColumnIn<'_> {
        let values = match &self.values {
            Values::Booleans(v) => ValuesIn::Booleans(v),
            Values::Int64s(v) => ValuesIn::Int64s(v),
            Values::Float64s(v) => ValuesIn::Float64s(v),
            // Wasm has the low word first, as every machine has that runs this.
            Values::Decimals(v) => ValuesIn::Decimals(v.inner().typed_data()),
            Values::Dates(v) => ValuesIn::Dates(v),
            Values::Times(v) => ValuesIn::Times(v),
            Values::Datetimes(v) => ValuesIn::Datetimes(v),
            Values::Timestamps(v) => ValuesIn::Timestamps(v),
            Values::Texts(offsets, bytes) => ValuesIn::Texts(TextIn { offsets, bytes }),
            Values::Dictionary(indices, offsets, bytes) => {
                let values = TextIn { offsets, bytes };
                ValuesIn::Dictionary(DictionaryIn { indices, values })
            }
            Values::Jsons(offsets, bytes) => ValuesIn::Jsons(TextIn { offsets, bytes }),
            Values::Blobs(offsets, bytes) => ValuesIn::Blobs(TextIn { offsets, bytes }),
            Values::Records => ValuesIn::Records,
        };
        ColumnIn {
            name: self.name,
            parent: self.parent,
            offsets: self.offsets.as_deref(),
            values,
            validity: self.validity.as_deref(),
        }
    }
}

/// Offsets from 0 and exactly the bytes between them. A sliced array is moved to that form.
fn texts<T: ByteArrayType<Offset = i32>>(
    array: &GenericByteArray<T>,
) -> (ScalarBuffer<u32>, Buffer) {
    let offsets = array.offsets();
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let bytes = array.values().slice_with_length(first as usize, (last - first) as usize);
    (from_zero(offsets), bytes)
}

fn from_zero(offsets: &OffsetBuffer<i32>) -> ScalarBuffer<u32> {
    let first = offsets[0];
    // Arrow's offsets are never negative, so the same bits read as unsigned mean the same.
    if first == 0 {
        ScalarBuffer::from(offsets.inner().inner().clone())
    } else {
        offsets.iter().map(|offset| (offset - first) as u32).collect()
    }
}

/// The bits from bit 0 on, in just as many bytes as they need.
fn bitmap(bits: &BooleanBuffer) -> Buffer {
    bits.sliced().slice_with_length(0, bits.len().div_ceil(8))
}
