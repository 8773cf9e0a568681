//! Values of any type, owned: what a plugin over rows sets.

use crate::{Column, DataType, Decimal};

/// A value to [`Row::set`](crate::Row::set), or one of a list or record.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// True or false.
    Boolean(bool),
    /// An integer.
    Int64(i64),
    /// A number.
    Float64(f64),
    /// An exact number.
    Decimal(Decimal),
    /// Days since 1970-01-01.
    Date(i32),
    /// Microseconds since midnight.
    Time(i64),
    /// Microseconds since 1970-01-01T00:00:00, in no zone.
    Datetime(i64),
    /// Microseconds since 1970-01-01T00:00:00Z.
    Timestamp(i64),
    /// Text.
    Text(String),
    /// A JSON value, as its text.
    Json(String),
    /// Bytes.
    Blob(Vec<u8>),
    /// A list. Its elements are not null.
    List(Vec<Value>),
    /// A record: its fields by name. One that is not there is null.
    Record(Vec<(String, Value)>),
}

impl Value {
    /// A record of these fields.
    pub fn record<N: Into<String>, V: Into<Value>>(
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        Self::Record(fields.into_iter().map(|(n, v)| (n.into(), v.into())).collect())
    }

    /// A list of these elements.
    pub fn list<V: Into<Value>>(elements: impl IntoIterator<Item = V>) -> Self {
        Self::List(elements.into_iter().map(Into::into).collect())
    }

    /// The type of the value, of a list that of its first element: `None` of a null and of an empty list.
    pub fn data_type(&self) -> Option<DataType> {
        Some(match self {
            Value::Null => return None,
            Value::Boolean(_) => DataType::Boolean,
            Value::Int64(_) => DataType::Int64,
            Value::Float64(_) => DataType::Float64,
            Value::Decimal(_) => DataType::Decimal,
            Value::Date(_) => DataType::Date,
            Value::Time(_) => DataType::Time,
            Value::Datetime(_) => DataType::Datetime,
            Value::Timestamp(_) => DataType::Timestamp,
            Value::Text(_) => DataType::Text,
            Value::Json(_) => DataType::Json,
            Value::Blob(_) => DataType::Blob,
            Value::List(values) => return values.first()?.data_type(),
            Value::Record(_) => DataType::Record,
        })
    }

    /// The value as one of that type, where it says the same: what serde knows no types for is written as
    /// text or an integer.
    pub(crate) fn fit(self, data_type: DataType) -> Self {
        match (self, data_type) {
            (Value::Text(text), DataType::Decimal) => match text.parse() {
                Ok(decimal) => Value::Decimal(decimal),
                Err(_) => Value::Text(text),
            },
            (Value::Int64(value), DataType::Decimal) => Value::Decimal(value.into()),
            (Value::Int64(days), DataType::Date) => match days.try_into() {
                Ok(days) => Value::Date(days),
                Err(_) => Value::Int64(days),
            },
            (Value::Int64(micros), DataType::Time) => Value::Time(micros),
            (Value::Int64(micros), DataType::Datetime) => Value::Datetime(micros),
            (Value::Int64(micros), DataType::Timestamp) => Value::Timestamp(micros),
            (Value::Text(text), DataType::Json) => Value::Json(text),
            (value, _) => value,
        }
    }

    /// What a column that is no record holds at a place.
    pub(crate) fn of(column: &Column, at: usize) -> Self {
        let text =
            |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let value = match column.values.data_type() {
            DataType::Boolean => column.boolean(at).map(Value::Boolean),
            DataType::Int64 => column.int64(at).map(Value::Int64),
            DataType::Float64 => column.float64(at).map(Value::Float64),
            DataType::Decimal => column.decimal(at).map(Value::Decimal),
            DataType::Date => column.date(at).map(Value::Date),
            DataType::Time => column.time(at).map(Value::Time),
            DataType::Datetime => column.datetime(at).map(Value::Datetime),
            DataType::Timestamp => column.timestamp(at).map(Value::Timestamp),
            DataType::Text => text(column.bytes(at)).map(Value::Text),
            DataType::Json => text(column.bytes(at)).map(Value::Json),
            DataType::Blob => column.bytes(at).map(|bytes| Value::Blob(bytes.to_owned())),
            DataType::Record => None,
        };
        value.unwrap_or(Value::Null)
    }
}

macro_rules! value_from {
    ($($from:ty => $case:ident),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Value::$case(value.into())
            }
        }
    )*};
}

value_from!(
    bool => Boolean, i64 => Int64, f64 => Float64, Decimal => Decimal, &str => Text, String => Text,
    Vec<u8> => Blob, Vec<Value> => List,
);

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}
