//! Arrow columns to what a guest is given. Values are borrowed from Arrow wherever their layout is the
//! contract's, which is always but for booleans (bits there, bytes here) and sliced columns.

use arrow::array::{Array, ArrayRef, AsArray, GenericByteArray};
use arrow::buffer::{BooleanBuffer, Buffer, ScalarBuffer};
use arrow::datatypes::{
    BinaryType, ByteArrayType, Date32Type, Float64Type, Int64Type, TimestampMicrosecondType,
    Utf8Type,
};

use super::boundary::{ColumnIn, DataType, TextIn, ValuesIn};

/// A column in the contract's layout, borrowing from the Arrow array's buffers.
pub(super) struct Lowered {
    values: Values,
    validity: Option<Buffer>,
}

enum Values {
    Booleans(Vec<u8>),
    Int64s(ScalarBuffer<i64>),
    Float64s(ScalarBuffer<f64>),
    Dates(ScalarBuffer<i32>),
    Timestamps(ScalarBuffer<i64>),
    Texts(ScalarBuffer<u32>, Buffer),
    Blobs(ScalarBuffer<u32>, Buffer),
}

impl Lowered {
    /// Lowers a column; `None` where the contract has no such type.
    pub(crate) fn new(array: &ArrayRef) -> Option<Self> {
        let values = match DataType::of(array.data_type())? {
            DataType::Boolean => {
                Values::Booleans(array.as_boolean().values().iter().map(u8::from).collect())
            }
            DataType::Int64 => Values::Int64s(array.as_primitive::<Int64Type>().values().clone()),
            DataType::Float64 => {
                Values::Float64s(array.as_primitive::<Float64Type>().values().clone())
            }
            DataType::Date => Values::Dates(array.as_primitive::<Date32Type>().values().clone()),
            DataType::Timestamp => Values::Timestamps(
                array.as_primitive::<TimestampMicrosecondType>().values().clone(),
            ),
            DataType::Text => {
                let (offsets, bytes) = texts::<Utf8Type>(array.as_bytes());
                Values::Texts(offsets, bytes)
            }
            DataType::Blob => {
                let (offsets, bytes) = texts::<BinaryType>(array.as_bytes());
                Values::Blobs(offsets, bytes)
            }
        };
        let validity = array.nulls().filter(|nulls| nulls.null_count() > 0);
        Some(Self { values, validity: validity.map(|nulls| bitmap(nulls.inner())) })
    }

    /// The column as the guest gets it.
    pub(crate) fn column<'a>(&'a self, name: &'a str) -> ColumnIn<'a> {
        let values = match &self.values {
            Values::Booleans(v) => ValuesIn::Booleans(v),
            Values::Int64s(v) => ValuesIn::Int64s(v),
            Values::Float64s(v) => ValuesIn::Float64s(v),
            Values::Dates(v) => ValuesIn::Dates(v),
            Values::Timestamps(v) => ValuesIn::Timestamps(v),
            Values::Texts(offsets, bytes) => ValuesIn::Texts(TextIn { offsets, bytes }),
            Values::Blobs(offsets, bytes) => ValuesIn::Blobs(TextIn { offsets, bytes }),
        };
        ColumnIn { name, values, validity: self.validity.as_deref() }
    }
}

/// Offsets from 0 and exactly the bytes between them. A sliced array is moved to that form.
fn texts<T: ByteArrayType<Offset = i32>>(
    array: &GenericByteArray<T>,
) -> (ScalarBuffer<u32>, Buffer) {
    let offsets = array.offsets();
    let (first, last) = (offsets[0], offsets[offsets.len() - 1]);
    let bytes = array.values().slice_with_length(first as usize, (last - first) as usize);
    // Arrow's offsets are never negative, so the same bits read as unsigned mean the same.
    let offsets = if first == 0 {
        ScalarBuffer::from(offsets.inner().inner().clone())
    } else {
        offsets.iter().map(|offset| (offset - first) as u32).collect()
    };
    (offsets, bytes)
}

/// The bits from bit 0 on, in just as many bytes as they need.
fn bitmap(bits: &BooleanBuffer) -> Buffer {
    bits.sliced().slice_with_length(0, bits.len().div_ceil(8))
}
