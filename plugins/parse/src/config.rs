//! What the pipeline file may set.

use std::collections::BTreeMap;

use clickmill_plugin::{ColumnSpec, DataType, Needs, Problems};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What to make typed columns of, and which.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// What comes in: `csv` (text columns named by the header) or `json` (one object per row).
    pub format: Format,
    /// JSON: the text column that holds the messages.
    #[serde(default = "default_payload")]
    pub payload: String,
    /// The columns to make, in the order in which they are added.
    pub columns: Vec<ColumnConfig>,
    /// What to do with JSON keys, or CSV columns, that no entry of `columns` takes.
    #[serde(default)]
    pub unknown: Unknown,
    /// With `unknown = "keep"`: the text column that gets them as a JSON object, null where there are
    /// none.
    #[serde(default = "default_unknown_column")]
    pub unknown_column: String,
    /// Whether an empty field of a CSV, or an empty text in JSON, is null, in text columns too.
    #[serde(default = "yes")]
    pub empty_is_null: bool,
    /// What becomes of a row with a value that does not fit its column's type. Of a required column it is
    /// always rejected.
    #[serde(default)]
    pub unreadable: Unreadable,
    /// CSV: whether white space (ASCII) around a value is ignored. Text columns always keep it.
    #[serde(default = "yes")]
    pub trim: bool,
    /// JSON: how deep objects and arrays may be nested, the message itself included. Deeper messages
    /// are refused with code `too_deep`.
    #[serde(default = "default_max_depth")]
    #[schemars(range(min = 1))]
    pub max_depth: u32,
    /// JSON: what to do with a key that an object has twice. Keys that nobody takes are compared too,
    /// unless `unknown` is `ignore`.
    #[serde(default)]
    pub duplicates: Duplicates,
    /// JSON: the array in a message whose elements become rows, an object each: `events`, with dots where it is
    /// nested. `.` is the message itself, which may then be an array, or one object. Columns are taken from
    /// the elements. An array without any element is filtered out.
    #[serde(default)]
    pub explode: Option<String>,
    /// With `explode`: columns that are taken from the message around the array where the element does not have
    /// them, and the key of each there, with dots as in `from`: `{ user_id = "context.user.id" }`.
    #[serde(default)]
    pub envelope: BTreeMap<String, String>,
    /// JSON: how the payload is packed, the outermost first: `["base64", "gzip"]` is gzip written as base64.
    #[serde(default)]
    pub packed: Vec<Packing>,
    /// With `packed`: how many bytes an unpacked message may have. Larger ones are refused with code
    /// `too_large`.
    #[serde(default = "default_max_unpacked_bytes")]
    #[schemars(range(min = 1))]
    pub max_unpacked_bytes: u32,
}

/// How a payload is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Packing {
    /// Base64, with the usual alphabet or that of URLs, padded or not.
    Base64,
    /// Gzip.
    Gzip,
}

/// Which members of a list's objects are key and value.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Entries {
    /// The member that names the field.
    #[serde(default = "default_key")]
    pub key: String,
    /// The member that is its value. Where that is an object, its one member that is not null is:
    /// `{"int_value": 3}`.
    #[serde(default = "default_value")]
    pub value: String,
}

/// What comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Fields of a CSV: text columns named by the header.
    Csv,
    /// A JSON object per row, in one text column.
    Json,
}

/// One column to make.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ColumnConfig {
    /// The column's name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub column_type: ColumnType,
    /// The CSV header, or the JSON key; where it is absent, the name. A dot leads into a nested JSON
    /// object (`geo.country`); `\.` is a dot in a key.
    #[serde(default)]
    pub from: Option<String>,
    /// Whether a row without the value (absent, null or empty) is refused with code `required`.
    #[serde(default)]
    pub required: bool,
    /// JSON: whether it is a list. The elements are of the column's type, and none is null; a list that is absent
    /// or null is empty.
    #[serde(default)]
    pub repeated: bool,
    /// Of a record: its fields. Their `from` is a key of the record's object, without dots.
    #[serde(default)]
    pub fields: Vec<ColumnConfig>,
    /// Of a record that is no list: it may come as a list of keys and values, of which each field takes the
    /// value whose key it is named by.
    #[serde(default)]
    pub entries: Option<Entries>,
    /// For this column, in place of the plugin's own `unreadable`. Elements of lists are never null: theirs is
    /// always `reject`.
    #[serde(default)]
    pub unreadable: Option<Unreadable>,
    /// Booleans: more spellings of true. They go before the usual ones (true, t, yes, y, 1). Case does
    /// not matter.
    #[serde(default, rename = "true")]
    pub true_values: Vec<String>,
    /// Booleans: more spellings of false. They go before the usual ones (false, f, no, n, 0). Case does
    /// not matter.
    #[serde(default, rename = "false")]
    pub false_values: Vec<String>,
}

/// The type of a column to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ColumnType {
    /// True or false.
    Boolean,
    /// A signed 64-bit integer. In JSON also 12.0, 1e3 and "12".
    Int64,
    /// A 64-bit floating-point number. NaN and infinities are refused.
    Float64,
    /// A day: YYYY-MM-DD, YYYY/MM/DD or YYYYMMDD. With separators month and day may have one digit.
    Date,
    /// An instant: RFC 3339 and what BigQuery takes besides, such as a space for the T, one digit, no
    /// seconds, no time of day, no offset (UTC), ` UTC`; or seconds, milliseconds, microseconds or
    /// nanoseconds since 1970, told apart by magnitude. Names of other time zones are refused.
    Timestamp,
    /// Text. JSON numbers, booleans, objects and arrays keep their spelling.
    Text,
    /// An exact number of at most 29 digits before the point and 9 after it. In JSON also "12.50". More digits are
    /// refused, not rounded.
    Decimal,
    /// A time of day: HH:MM:SS, with or without a fraction, or HH:MM.
    Time,
    /// A day and a time of day in no zone: what `timestamp` takes, but for offsets, zones and numbers.
    Datetime,
    /// Any JSON value, as it is spelled.
    Json,
    /// Bytes, written as base64.
    Blob,
    /// JSON: an object, whose fields are columns of their own.
    Record,
}

/// What to do with keys or columns that no configured column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// Leave them out.
    #[default]
    Ignore,
    /// Keep them as a JSON object in the column `unknown_column`.
    Keep,
    /// JSON: refuse the row, with code `unknown_field`. CSV: refuse to start.
    Refuse,
}

/// What becomes of a row with a value that does not fit its column's type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unreadable {
    /// It is refused, with a code such as `not_a_number`.
    #[default]
    Reject,
    /// The value is null, and counted: by stage and column in the summary of a run and in the metrics.
    Null,
}

/// What to do with a key that a JSON object has twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Duplicates {
    /// Refuse the row, with code `duplicate_field`.
    #[default]
    Refuse,
    /// The last value counts.
    Last,
    /// The first value counts.
    First,
}

fn default_payload() -> String {
    "payload".to_owned()
}

fn default_unknown_column() -> String {
    "unknown_fields".to_owned()
}

fn default_max_depth() -> u32 {
    64
}

fn default_max_unpacked_bytes() -> u32 {
    4 << 20
}

fn default_key() -> String {
    "key".to_owned()
}

fn default_value() -> String {
    "value".to_owned()
}

fn yes() -> bool {
    true
}

impl ColumnConfig {
    /// Whether what is unreadable is null, once the plugin's own setting is filled in.
    pub(crate) fn unreadable_is_null(&self) -> bool {
        !self.required && self.unreadable == Some(Unreadable::Null)
    }

    /// Whether it has a single value per row and no fields.
    pub(crate) fn is_flat(&self) -> bool {
        !self.repeated && self.column_type != ColumnType::Record
    }

    /// Adds it and its fields to what is written.
    fn writes(&self, mut needs: Needs, path: &str) -> Needs {
        needs.writes.push(ColumnSpec {
            path: path.to_owned(),
            data_type: self.column_type.into(),
            repeated: self.repeated,
        });
        self.fields
            .iter()
            .fold(needs, |needs, field| field.writes(needs, &format!("{path}.{}", field.name)))
    }

    /// Where it comes from.
    pub(crate) fn from(&self) -> &str {
        self.from.as_deref().unwrap_or(&self.name)
    }
}

impl From<ColumnType> for DataType {
    fn from(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Boolean => Self::Boolean,
            ColumnType::Int64 => Self::Int64,
            ColumnType::Float64 => Self::Float64,
            ColumnType::Date => Self::Date,
            ColumnType::Timestamp => Self::Timestamp,
            ColumnType::Text => Self::Text,
            ColumnType::Decimal => Self::Decimal,
            ColumnType::Time => Self::Time,
            ColumnType::Datetime => Self::Datetime,
            ColumnType::Json => Self::Json,
            ColumnType::Blob => Self::Blob,
            ColumnType::Record => Self::Record,
        }
    }
}

/// The columns written, added to what is read.
pub(crate) fn writes<'a>(
    needs: Needs,
    columns: impl Iterator<Item = &'a ColumnConfig>,
    unknown_column: Option<&str>,
) -> Needs {
    let needs = columns.fold(needs, |needs, column| column.writes(needs, &column.name));
    unknown_column.into_iter().fold(needs, |needs, name| needs.writes(name, DataType::Text))
}

/// Whether that text column is available; where it is not, a problem of the field `path`.
pub(crate) fn check_text(
    path: impl std::fmt::Display,
    name: &str,
    available: &[ColumnSpec],
    problems: &mut Problems,
) -> bool {
    let found = available.iter().find(|column| column.path == name);
    match found {
        Some(column) if column.data_type == DataType::Text => return true,
        Some(column) => problems.push(format!(
            "`{path}` is `{name}`, which is of type {:?}, wanted a text column",
            column.data_type
        )),
        None => {
            let names: Vec<String> = available.iter().map(|c| format!("`{}`", c.path)).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            problems.push(format!("`{path}` is `{name}`, which is not available: {names}"));
        }
    }
    false
}
