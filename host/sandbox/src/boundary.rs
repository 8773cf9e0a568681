//! The types of `wit/plugin.wit` as wasmtime sees them: borrowed on the way in, so that each column is
//! one copy into the guest; owned on the way out.

use wasmtime::component::{ComponentType, Lift, Lower, WasmList};

/// The newest contract that this host speaks.
pub const CONTRACT: &str = "clickmill:plugin@0.2.0";

/// Columns going in.
#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct TextIn<'a> {
    pub offsets: &'a [u32],
    pub bytes: &'a [u8],
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct DictionaryIn<'a> {
    pub indices: &'a [u32],
    pub values: TextIn<'a>,
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
    #[component(name = "decimals")]
    Decimals(&'a [u64]),
    #[component(name = "dates")]
    Dates(&'a [i32]),
    #[component(name = "times")]
    Times(&'a [i64]),
    #[component(name = "datetimes")]
    Datetimes(&'a [i64]),
    #[component(name = "timestamps")]
    Timestamps(&'a [i64]),
    #[component(name = "texts")]
    Texts(TextIn<'a>),
    #[component(name = "dictionary")]
    Dictionary(DictionaryIn<'a>),
    #[component(name = "jsons")]
    Jsons(TextIn<'a>),
    #[component(name = "blobs")]
    Blobs(TextIn<'a>),
    #[component(name = "records")]
    Records,
}

#[derive(ComponentType, Lower, Clone, Copy)]
#[component(record)]
pub(super) struct ColumnIn<'a> {
    pub name: &'a str,
    pub parent: Option<u32>,
    pub offsets: Option<&'a [u32]>,
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
#[component(record)]
pub(super) struct Dictionary {
    pub indices: Vec<u32>,
    pub values: Text,
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
    #[component(name = "decimals")]
    Decimals(Vec<u64>),
    #[component(name = "dates")]
    Dates(Vec<i32>),
    #[component(name = "times")]
    Times(Vec<i64>),
    #[component(name = "datetimes")]
    Datetimes(Vec<i64>),
    #[component(name = "timestamps")]
    Timestamps(Vec<i64>),
    #[component(name = "texts")]
    Texts(Text),
    #[component(name = "dictionary")]
    Dictionary(Dictionary),
    #[component(name = "jsons")]
    Jsons(Text),
    #[component(name = "blobs")]
    Blobs(Text),
    #[component(name = "records")]
    Records,
}

#[derive(Debug, Clone, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct Column {
    pub name: String,
    pub parent: Option<u32>,
    pub offsets: Option<Vec<u32>>,
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

#[derive(Debug, Clone, Default, ComponentType, Lift)]
#[component(record)]
pub(super) struct Output {
    #[component(name = "came-from")]
    pub came_from: Option<Vec<u32>>,
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
    #[component(name = "decimal")]
    Decimal,
    #[component(name = "date")]
    Date,
    #[component(name = "time")]
    Time,
    #[component(name = "datetime")]
    Datetime,
    #[component(name = "timestamp")]
    Timestamp,
    #[component(name = "text")]
    Text,
    #[component(name = "json")]
    Json,
    #[component(name = "blob")]
    Blob,
    #[component(name = "record")]
    Record,
}

#[derive(Debug, Clone, PartialEq, ComponentType, Lift, Lower)]
#[component(record)]
pub(super) struct ColumnSpec {
    pub path: String,
    #[component(name = "data-type")]
    pub data_type: DataType,
    pub repeated: bool,
}

#[derive(Debug, Clone, PartialEq, ComponentType, Lift)]
#[component(record)]
pub(super) struct Secret {
    pub name: String,
    #[component(name = "min-bytes")]
    pub min_bytes: u32,
}

#[derive(Debug, Clone, Default, ComponentType, Lift)]
#[component(record)]
pub(super) struct Manifest {
    pub name: String,
    pub version: String,
    pub description: String,
    #[component(name = "config-schema")]
    pub config_schema: String,
    pub secrets: Vec<Secret>,
}

#[derive(Debug, Clone, Default, ComponentType, Lift)]
#[component(record)]
pub(super) struct Needs {
    pub reads: Vec<ColumnSpec>,
    pub writes: Vec<ColumnSpec>,
    pub lookups: Vec<String>,
    pub multiplies: bool,
}

#[derive(Debug, Clone, Default, ComponentType, Lift)]
#[component(record)]
pub(super) struct Configured {
    pub needs: Needs,
    pub prepared: Vec<u8>,
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
/// What `configure` answers: what the plugin needs and has prepared, or every problem.
pub(super) type ConfigureOut = Result<Configured, Vec<String>>;
/// What `process` takes: the configuration with its secrets, what `configure` prepared, and a batch.
pub(super) type ProcessIn<'a> = (&'a str, &'a [u8], BatchIn<'a>);
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
        let came_from = self.came_from.as_ref().map_or(0, |rows| size_of_val(&**rows));
        columns + size_of_val(&*self.rejections) + texts + size_of_val(&*self.dropped) + came_from
    }
}

impl Column {
    /// A column of texts, by the names of the host.
    pub(crate) fn texts(name: &str, text: Text, validity: Option<Vec<u8>>) -> Self {
        let values = Values::Texts(text);
        Self { name: name.to_owned(), parent: None, offsets: None, values, validity }
    }

    /// Bytes that the host holds of it.
    pub(crate) fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::Booleans(values) => size_of_val(&**values),
            Values::Int64s(values)
            | Values::Times(values)
            | Values::Datetimes(values)
            | Values::Timestamps(values) => size_of_val(&**values),
            Values::Float64s(values) => size_of_val(&**values),
            Values::Decimals(values) => size_of_val(&**values),
            Values::Dates(values) => size_of_val(&**values),
            Values::Texts(text) | Values::Jsons(text) | Values::Blobs(text) => text.bytes(),
            Values::Dictionary(Dictionary { indices, values }) => {
                size_of_val(&**indices) + values.bytes()
            }
            Values::Records => 0,
        };
        let offsets = self.offsets.as_ref().map_or(0, |offsets| size_of_val(&**offsets));
        let validity = self.validity.as_ref().map_or(0, Vec::len);
        size_of::<Self>() + self.name.len() + offsets + values + validity
    }
}

impl Text {
    fn bytes(&self) -> usize {
        size_of_val(&*self.offsets) + self.bytes.len()
    }
}

impl Values {
    /// The type that they are of.
    pub(crate) fn data_type(&self) -> DataType {
        match self {
            Values::Booleans(_) => DataType::Boolean,
            Values::Int64s(_) => DataType::Int64,
            Values::Float64s(_) => DataType::Float64,
            Values::Decimals(_) => DataType::Decimal,
            Values::Dates(_) => DataType::Date,
            Values::Times(_) => DataType::Time,
            Values::Datetimes(_) => DataType::Datetime,
            Values::Timestamps(_) => DataType::Timestamp,
            Values::Texts(_) | Values::Dictionary(_) => DataType::Text,
            Values::Jsons(_) => DataType::Json,
            Values::Blobs(_) => DataType::Blob,
            Values::Records => DataType::Record,
        }
    }
}

#[cfg(test)]
mod tests;
