//! The types of `wit/plugin.wit` as wasmtime sees them: borrowed on the way in, so that each column is
//! one copy into the guest; owned on the way out.

use arrow::datatypes::DataType as ArrowType;
use wasmtime::component::{ComponentType, Lift, Lower, WasmList};

use clickmill_core::schema::timestamp_type;

/// The contract that this host speaks.
pub const CONTRACT: &str = "clickmill:plugin@0.1.0";

/// Columns going in.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct TextIn<'a> {
    pub offsets: &'a [u32],
    pub bytes: &'a [u8],
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(variant)]
pub(super) enum ValuesIn<'a> {
    #[component(name = "booleans")]
    Booleans(&'a [u8]),
    #[component(name = "int64s")]
    Int64s(&'a [i64]),
    #[component(name = "float64s")]
    Float64s(&'a [f64]),
    #[component(name = "dates")]
    Dates(&'a [i32]),
    #[component(name = "timestamps")]
    Timestamps(&'a [i64]),
    #[component(name = "texts")]
    Texts(TextIn<'a>),
    #[component(name = "blobs")]
    Blobs(TextIn<'a>),
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct ColumnIn<'a> {
    pub name: &'a str,
    pub values: ValuesIn<'a>,
    pub validity: Option<&'a [u8]>,
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct BatchIn<'a> {
    pub rows: u32,
    #[component(name = "ingest-time")]
    pub ingest_time: i64,
    pub columns: &'a [ColumnIn<'a>],
}

/// Columns coming out: nothing here is to be trusted.
#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Text {
    pub offsets: Vec<u32>,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(variant)]
pub(super) enum Values {
    #[component(name = "booleans")]
    Booleans(Vec<u8>),
    #[component(name = "int64s")]
    Int64s(Vec<i64>),
    #[component(name = "float64s")]
    Float64s(Vec<f64>),
    #[component(name = "dates")]
    Dates(Vec<i32>),
    #[component(name = "timestamps")]
    Timestamps(Vec<i64>),
    #[component(name = "texts")]
    Texts(Text),
    #[component(name = "blobs")]
    Blobs(Text),
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Column {
    pub name: String,
    pub values: Values,
    pub validity: Option<Vec<u8>>,
}

#[derive(Debug, Clone, ComponentType, Lift)]
#[component(record)]
pub(super) struct Rejection {
    pub row: u32,
    pub code: String,
    pub message: String,
    pub column: Option<String>,
}

#[derive(Debug, Clone, ComponentType, Lift)]
#[component(record)]
pub(super) struct Output {
    pub columns: Vec<Column>,
    pub rejections: Vec<Rejection>,
    pub dropped: Vec<u32>,
}

#[derive(Debug, Clone, ComponentType, Lift)]
#[component(record)]
pub(super) struct Fault {
    pub message: String,
}

#[derive(ComponentType, Lift, Lower, Clone, Copy, PartialEq, Eq, Debug)]
#[component(enum)]
#[repr(u8)]
pub(super) enum DataType {
    #[component(name = "boolean")]
    Boolean,
    #[component(name = "int64")]
    Int64,
    #[component(name = "float64")]
    Float64,
    #[component(name = "date")]
    Date,
    #[component(name = "timestamp")]
    Timestamp,
    #[component(name = "text")]
    Text,
    #[component(name = "blob")]
    Blob,
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct ColumnSpec {
    pub name: String,
    #[component(name = "data-type")]
    pub data_type: DataType,
}

#[derive(Debug, Clone, Default, ComponentType, Lift)]
#[component(record)]
pub(super) struct Manifest {
    pub name: String,
    pub version: String,
    pub description: String,
    #[component(name = "config-schema")]
    pub config_schema: String,
    pub secrets: Vec<String>,
}

#[derive(Debug, Clone, ComponentType, Lift)]
#[component(record)]
pub(super) struct Needs {
    pub reads: Vec<ColumnSpec>,
    pub writes: Vec<ColumnSpec>,
    pub lookups: Vec<String>,
}

#[derive(ComponentType, Lift, Lower, Clone, Copy, Debug)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "guests make them")]
pub(super) enum Level {
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

/// Keys to look up, as they lie in the guest's memory.
#[derive(ComponentType, Lift)]
#[component(record)]
pub(super) struct LookupKeys {
    pub offsets: WasmList<u32>,
    pub bytes: WasmList<u8>,
}

#[derive(ComponentType, Lower, Clone)]
#[component(variant)]
pub(super) enum LookupError {
    #[component(name = "unknown-table")]
    UnknownTable(String),
    #[component(name = "unknown-field")]
    UnknownField(Vec<String>),
    #[component(name = "malformed-keys")]
    MalformedKeys(String),
}

/// What `configure` takes: the configuration, and the columns there are.
pub(super) type ConfigureIn<'a> = (&'a str, &'a [ColumnSpec]);
/// What `configure` answers: what the plugin needs, or every problem.
pub(super) type ConfigureOut = Result<Needs, Vec<String>>;
/// What `process` takes: the configuration with its secrets, and a batch.
pub(super) type ProcessIn<'a> = (&'a str, BatchIn<'a>);
/// What `process` answers.
pub(super) type ProcessOut = Result<Output, Fault>;

impl Output {
    /// Bytes that the host holds of it.
    pub(crate) fn bytes(&self) -> usize {
        let columns: usize = self.columns.iter().map(Column::bytes).sum();
        let text = |rejection: &Rejection| {
            let column = rejection.column.as_ref().map_or(0, String::len);
            rejection.code.len() + rejection.message.len() + column
        };
        let texts: usize = self.rejections.iter().map(text).sum();
        columns + size_of_val(&*self.rejections) + texts + size_of_val(&*self.dropped)
    }
}

impl Column {
    /// Bytes that the host holds of it.
    pub(crate) fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::Booleans(values) => size_of_val(&**values),
            Values::Int64s(values) | Values::Timestamps(values) => size_of_val(&**values),
            Values::Float64s(values) => size_of_val(&**values),
            Values::Dates(values) => size_of_val(&**values),
            Values::Texts(text) | Values::Blobs(text) => {
                size_of_val(&*text.offsets) + text.bytes.len()
            }
        };
        let validity = self.validity.as_ref().map_or(0, Vec::len);
        size_of::<Self>() + self.name.len() + values + validity
    }
}

impl DataType {
    /// The Arrow type of such a column.
    pub(crate) fn arrow(self) -> ArrowType {
        match self {
            DataType::Boolean => ArrowType::Boolean,
            DataType::Int64 => ArrowType::Int64,
            DataType::Float64 => ArrowType::Float64,
            DataType::Date => ArrowType::Date32,
            DataType::Timestamp => timestamp_type(),
            DataType::Text => ArrowType::Utf8,
            DataType::Blob => ArrowType::Binary,
        }
    }

    /// The contract's type for an Arrow type, where it has one.
    pub(crate) fn of(arrow: &ArrowType) -> Option<Self> {
        Some(match arrow {
            ArrowType::Boolean => DataType::Boolean,
            ArrowType::Int64 => DataType::Int64,
            ArrowType::Float64 => DataType::Float64,
            ArrowType::Date32 => DataType::Date,
            ArrowType::Timestamp(_, _) if *arrow == timestamp_type() => DataType::Timestamp,
            ArrowType::Utf8 => DataType::Text,
            ArrowType::Binary => DataType::Blob,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests;
