//! Parameters of queries.

use serde::{Deserialize, Serialize};

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
    /// A value of another type, as it is written; may be null.
    Written(ParameterType, Option<String>),
}

/// The type of a parameter that is given as a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are BigQuery's names")]
pub enum ParameterType {
    Int64,
    Float64,
    Numeric,
    Bool,
    Date,
    Datetime,
    Timestamp,
}

impl ParameterType {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Int64,
        Self::Float64,
        Self::Numeric,
        Self::Bool,
        Self::Date,
        Self::Datetime,
        Self::Timestamp,
    ];

    /// Its name in BigQuery.
    pub fn name(self) -> &'static str {
        match self {
            Self::Int64 => "INT64",
            Self::Float64 => "FLOAT64",
            Self::Numeric => "NUMERIC",
            Self::Bool => "BOOL",
            Self::Date => "DATE",
            Self::Datetime => "DATETIME",
            Self::Timestamp => "TIMESTAMP",
        }
    }
}
