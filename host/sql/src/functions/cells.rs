//! What a scalar function takes and gives: how a value of a row is read from a column of its type, and how
//! a column is made of answers.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BooleanArray,
    BooleanBuilder, LargeBinaryArray, ListArray, ListBuilder, PrimitiveArray, PrimitiveBuilder,
    StringArray, StringBuilder,
};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float64Type, Int64Type, TimeUnit,
    TimestampMicrosecondType,
};

/// A type of arguments.
pub(super) trait Read {
    /// The column.
    type Array: Array;
    /// A value.
    type Item<'a>;
    /// A column as what it is.
    fn open(array: &ArrayRef) -> &Self::Array;
    /// The value of a row that has one.
    fn get(array: &Self::Array, row: usize) -> Self::Item<'_>;
}

macro_rules! reads {
    ($($name:ident $array:ty, $item:ty, $open:expr;)*) => {$(
        #[doc = concat!("Arguments in a `", stringify!($array), "`.")]
        pub(super) struct $name;

        impl Read for $name {
            type Array = $array;
            type Item<'a> = $item;
            fn open(array: &ArrayRef) -> &Self::Array {
                $open(array)
            }
            fn get(array: &Self::Array, row: usize) -> Self::Item<'_> {
                array.value(row)
            }
        }
    )*};
}

reads! {
    Bool BooleanArray, bool, AsArray::as_boolean;
    Int PrimitiveArray<Int64Type>, i64, AsArray::as_primitive;
    Float PrimitiveArray<Float64Type>, f64, AsArray::as_primitive;
    Decimal PrimitiveArray<Decimal128Type>, i128, AsArray::as_primitive;
    Date PrimitiveArray<Date32Type>, i32, AsArray::as_primitive;
    Time PrimitiveArray<TimestampMicrosecondType>, i64, AsArray::as_primitive;
    Civil PrimitiveArray<TimestampMicrosecondType>, i64, AsArray::as_primitive;
    Text StringArray, &'a str, AsArray::as_string;
    Json LargeBinaryArray, &'a [u8], AsArray::as_binary;
    Bytes BinaryArray, &'a [u8], AsArray::as_binary;
    Texts ListArray, ArrayRef, AsArray::as_list;
}

/// A type of answers.
pub(super) trait Write: Sized {
    /// What makes the column.
    type Builder: ArrayBuilder;
    /// An empty one, for so many rows.
    fn builder(rows: usize) -> Self::Builder;
    /// Adds a row.
    fn push(builder: &mut Self::Builder, value: Option<Self>);
    /// The bytes of text that it holds.
    fn bytes(_: &Self::Builder) -> usize {
        0
    }
}

/// Days since 1970-01-01, as an answer.
pub(super) struct Day(pub(super) i32);

/// Units of 1e-9, as an answer.
pub(super) struct Numeric(pub(super) i128);

/// Microseconds since 1970-01-01T00:00:00Z, as an answer.
pub(super) struct Instant(pub(super) i64);

/// What clocks show, in microseconds as if in UTC, as an answer.
pub(super) struct Clocks(pub(super) i64);

macro_rules! writes {
    ($($name:ty, $builder:ty;)*) => {$(
        impl Write for $name {
            type Builder = $builder;
            fn builder(rows: usize) -> Self::Builder {
                <$builder>::with_capacity(rows)
            }
            fn push(builder: &mut Self::Builder, value: Option<Self>) {
                builder.append_option(value);
            }
        }
    )*};
}

writes! {
    bool, BooleanBuilder;
    i64, PrimitiveBuilder<Int64Type>;
    f64, PrimitiveBuilder<Float64Type>;
}

impl Write for Numeric {
    type Builder = PrimitiveBuilder<Decimal128Type>;
    fn builder(rows: usize) -> Self::Builder {
        PrimitiveBuilder::with_capacity(rows).with_data_type(DataType::Decimal128(38, 9))
    }
    fn push(builder: &mut Self::Builder, value: Option<Self>) {
        builder.append_option(value.map(|numeric| numeric.0));
    }
}

impl Write for Day {
    type Builder = PrimitiveBuilder<Date32Type>;
    fn builder(rows: usize) -> Self::Builder {
        PrimitiveBuilder::with_capacity(rows)
    }
    fn push(builder: &mut Self::Builder, value: Option<Self>) {
        builder.append_option(value.map(|day| day.0));
    }
}

impl Write for Instant {
    type Builder = PrimitiveBuilder<TimestampMicrosecondType>;
    fn builder(rows: usize) -> Self::Builder {
        PrimitiveBuilder::with_capacity(rows)
            .with_data_type(DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())))
    }
    fn push(builder: &mut Self::Builder, value: Option<Self>) {
        builder.append_option(value.map(|instant| instant.0));
    }
}

impl Write for Clocks {
    type Builder = PrimitiveBuilder<TimestampMicrosecondType>;
    fn builder(rows: usize) -> Self::Builder {
        PrimitiveBuilder::with_capacity(rows)
    }
    fn push(builder: &mut Self::Builder, value: Option<Self>) {
        builder.append_option(value.map(|clocks| clocks.0));
    }
}

impl Write for String {
    type Builder = StringBuilder;
    fn builder(rows: usize) -> Self::Builder {
        StringBuilder::with_capacity(rows, rows)
    }
    fn push(builder: &mut Self::Builder, value: Option<Self>) {
        builder.append_option(value);
    }
    fn bytes(builder: &Self::Builder) -> usize {
        builder.values_slice().len()
    }
}

impl Write for Vec<u8> {
    type Builder = BinaryBuilder;
    fn builder(rows: usize) -> Self::Builder {
        BinaryBuilder::with_capacity(rows, rows)
    }
    fn push(builder: &mut Self::Builder, value: Option<Self>) {
        builder.append_option(value);
    }
    fn bytes(builder: &Self::Builder) -> usize {
        builder.values_slice().len()
    }
}

impl Write for Vec<String> {
    type Builder = ListBuilder<StringBuilder>;
    fn builder(_: usize) -> Self::Builder {
        let item = Field::new("item", DataType::Utf8, true);
        ListBuilder::new(StringBuilder::new()).with_field(Arc::new(item))
    }
    fn push(builder: &mut Self::Builder, value: Option<Self>) {
        builder.append_option(value.map(|texts| texts.into_iter().map(Some)));
    }
    fn bytes(builder: &Self::Builder) -> usize {
        builder.values_ref().values_slice().len()
    }
}
