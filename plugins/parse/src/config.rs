//! What the pipeline file may set, and the checks that need nothing but it.

use std::collections::HashSet;

use clickmill_plugin::{ColumnSpec, DataType, Needs, Problems};
use schemars::JsonSchema;
use serde::Deserialize;

/// What to make typed columns of, and which.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
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
}

/// What comes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Fields of a CSV: text columns named by the header.
    Csv,
    /// A JSON object per row, in one text column.
    Json,
}

/// One column to make.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
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
    /// For this column, in place of the plugin's own `unreadable`.
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
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
}

/// What to do with keys or columns that no configured column takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unreadable {
    /// It is refused, with a code such as `not_a_number`.
    #[default]
    Reject,
    /// The value is null, and counted: by stage and column in the summary of a run and in the metrics.
    Null,
}

/// What to do with a key that a JSON object has twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
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

fn yes() -> bool {
    true
}

impl Config {
    /// What is wrong with it whatever columns there are.
    pub(crate) fn problems(&self) -> Problems {
        let mut problems = Problems::new();
        let mut names = HashSet::new();
        if self.columns.is_empty() {
            problems.push("`columns` is empty, wanted at least one column".to_owned());
        }
        if self.max_depth == 0 {
            problems.push("`max_depth` is 0, wanted at least 1".to_owned());
        }
        for (at, column) in self.columns.iter().enumerate() {
            if column.name.is_empty() {
                problems.push(format!("`columns[{at}].name` is empty"));
            } else if !names.insert(column.name.as_str()) {
                problems.push(format!(
                    "`columns[{at}].name` is `{}`, which another column has",
                    column.name
                ));
            }
            if column.required && column.unreadable == Some(Unreadable::Null) {
                problems.push(format!(
                    "`columns[{at}]` (`{}`) is required: what is unreadable cannot be null",
                    column.name
                ));
            }
            let spellings = [&column.true_values, &column.false_values];
            if column.column_type != ColumnType::Boolean && spellings.iter().any(|s| !s.is_empty())
            {
                problems.push(format!(
                    "`columns[{at}]` (`{}`) has spellings of true or false, which only a boolean takes",
                    column.name
                ));
            }
            if spellings.iter().any(|s| s.iter().any(String::is_empty)) {
                problems.push(format!(
                    "`columns[{at}]` (`{}`) has an empty spelling of true or false, which means null",
                    column.name
                ));
            }
            for both in &column.true_values {
                if column.false_values.iter().any(|f| f.eq_ignore_ascii_case(both)) {
                    problems.push(format!(
                        "`columns[{at}]` (`{}`) spells both true and false `{both}`",
                        column.name
                    ));
                }
            }
        }
        if self.unknown == Unknown::Keep && names.contains(self.unknown_column.as_str()) {
            problems.push(format!(
                "`unknown_column` is `{}`, which is the name of a column",
                self.unknown_column
            ));
        }
        problems
    }
}

impl ColumnConfig {
    /// Whether what is unreadable is null, once the plugin's own setting is filled in.
    pub(crate) fn unreadable_is_null(&self) -> bool {
        !self.required && self.unreadable == Some(Unreadable::Null)
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
        }
    }
}

/// The columns written, added to what is read.
pub(crate) fn writes<'a>(
    needs: Needs,
    columns: impl Iterator<Item = &'a ColumnConfig>,
    unknown_column: Option<&str>,
) -> Needs {
    let needs = columns.fold(needs, |needs, c| needs.writes(&c.name, c.column_type.into()));
    unknown_column.into_iter().fold(needs, |needs, name| needs.writes(name, DataType::Text))
}

/// Whether that text column is available; where it is not, a problem of the field `path`.
pub(crate) fn check_text(
    path: &str,
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
