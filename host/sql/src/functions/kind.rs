//! BigQuery's types as Arrow has them.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, TimeUnit};

use crate::nested::JSON;

/// A type of BigQuery that the warehouse has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// BOOL.
    Bool,
    /// INT64.
    Int,
    /// FLOAT64.
    Float,
    /// NUMERIC.
    Numeric,
    /// STRING.
    Text,
    /// BYTES.
    Bytes,
    /// DATE.
    Date,
    /// TIMESTAMP.
    Time,
    /// DATETIME.
    Civil,
    /// JSON.
    Json,
    /// ARRAY<STRING>.
    Texts,
}

impl Kind {
    /// What a type is to BigQuery; `None` where it has no such type, or for nulls without one.
    pub(crate) fn of(found: &DataType) -> Option<Self> {
        Some(match found {
            DataType::Boolean => Self::Bool,
            integer if integer.is_integer() => Self::Int,
            float if float.is_floating() => Self::Float,
            DataType::Decimal128(38, 9) => Self::Numeric,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Binary | DataType::BinaryView => Self::Bytes,
            DataType::Date32 => Self::Date,
            DataType::Timestamp(_, Some(_)) => Self::Time,
            DataType::Timestamp(_, None) => Self::Civil,
            json if *json == JSON => Self::Json,
            DataType::List(item) if Self::of(item.data_type()) == Some(Self::Text) => Self::Texts,
            _ => return None,
        })
    }

    /// BigQuery's name of a type, or Arrow's where it has none.
    pub(crate) fn name_of(found: &DataType) -> String {
        match (Self::of(found), found) {
            (Some(kind), _) => kind.to_string(),
            (None, DataType::Time64(_)) => "TIME".to_owned(),
            (None, DataType::Struct(_)) => "STRUCT".to_owned(),
            (None, DataType::List(item)) => format!("ARRAY<{}>", Self::name_of(item.data_type())),
            (None, other) => other.to_string(),
        }
    }

    /// The type that functions get it in.
    pub(crate) fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Int => DataType::Int64,
            Self::Float => DataType::Float64,
            Self::Numeric => DataType::Decimal128(38, 9),
            Self::Text => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Date => DataType::Date32,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            Self::Civil => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Json => JSON,
            Self::Texts => DataType::List(Arc::new(Field::new("item", DataType::Utf8, true))),
        }
    }

    /// Whether an argument of a type may stand here, and as what; `widen` lets INT64 be FLOAT64 or NUMERIC.
    pub(crate) fn takes(self, found: &DataType, widen: bool) -> Option<DataType> {
        let fits = match Self::of(found) {
            Some(kind) => {
                let is_wider = matches!(self, Self::Float | Self::Numeric);
                kind == self || (widen && kind == Self::Int && is_wider)
            }
            None => found.is_null(),
        };
        fits.then(|| self.data_type())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bool => "BOOL",
            Self::Int => "INT64",
            Self::Float => "FLOAT64",
            Self::Numeric => "NUMERIC",
            Self::Text => "STRING",
            Self::Bytes => "BYTES",
            Self::Date => "DATE",
            Self::Time => "TIMESTAMP",
            Self::Civil => "DATETIME",
            Self::Json => "JSON",
            Self::Texts => "ARRAY<STRING>",
        })
    }
}
