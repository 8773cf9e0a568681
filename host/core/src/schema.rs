//! Table schemas: `schemas/*.json`, as `bq` and Terraform read them, and their Arrow form. Beside
//! `clicks_raw.json` may lie `clicks_raw.table.json` with what else BigQuery is to know of the table:
//! partitioning, clustering, expiry, description, labels, as in a REST `Table`.
//!
//! They are the one source of what a table looks like: the chain's output is checked against them and
//! the warehouse writes by them. This module knows neither plugins nor services.

pub mod system;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use serde::Deserialize;

/// Columns that the host fills in itself, if the schema has them. Plugins may not write them.
pub mod provenance {
    /// `uri@generation` of the object the row was read from, or the subscription.
    pub const SOURCE: &str = "source";
    /// Line of the object on which the row begins, from 1; null for messages.
    pub const SOURCE_LINE: &str = "source_line";
    /// The topic's number for the message that the row is; null for rows of an object.
    pub const MESSAGE_ID: &str = "message_id";
    /// When that message was published; null for rows of an object.
    pub const PUBLISH_TIME: &str = "publish_time";
    /// What tells a message that comes again from all others. Its number alone does not: two topics may
    /// give the same one, and an emulator counts from 1 each time it starts.
    pub const MESSAGE: [&str; 2] = [MESSAGE_ID, PUBLISH_TIME];
    /// Digest of the plugin set that made the row.
    pub const PLUGIN_SET: &str = "plugin_set";
    /// When the host took the row in.
    pub const INGESTED_AT: &str = "ingested_at";
    /// Those that rows of messages have no value for.
    pub const UNKNOWN_OF_MESSAGES: &[&str] = &[SOURCE_LINE];
    /// Those that rows of objects have no value for.
    pub const UNKNOWN_OF_OBJECTS: &[&str] = &[MESSAGE_ID, PUBLISH_TIME];
    /// All of them.
    pub const ALL: [&str; 6] =
        [SOURCE, SOURCE_LINE, MESSAGE_ID, PUBLISH_TIME, PLUGIN_SET, INGESTED_AT];
}

/// What a `….table.json` may say.
const TABLE_OPTIONS: [&str; 8] = [
    "description",
    "friendlyName",
    "labels",
    "timePartitioning",
    "rangePartitioning",
    "clustering",
    "expirationTime",
    "requirePartitionFilter",
];

/// A table's columns.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSchema {
    /// In the table's order. Names are unique.
    pub columns: Vec<Column>,
    /// The file it was read from.
    pub path: PathBuf,
    /// Partitioning, clustering and the like, as a REST `Table` has them.
    pub options: serde_json::Map<String, serde_json::Value>,
    json: String,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Column {
    /// The column's name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// Whether it may be null, or holds a list.
    #[serde(default)]
    pub mode: Mode,
    /// What it means.
    #[serde(default)]
    pub description: Option<String>,
    /// Of a record: its fields.
    #[serde(default)]
    pub fields: Vec<Column>,
    /// Who may read it: present on sensitive columns.
    #[serde(default)]
    pub policy_tags: Option<PolicyTags>,
}

/// References to BigQuery policy tags.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct PolicyTags {
    /// Resource names of the tags.
    pub names: Vec<String>,
}

/// A column's type, by its BigQuery name; aliases are the names of BigQuery SQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
#[expect(missing_docs, reason = "the names are BigQuery's own")]
pub enum Kind {
    String,
    Bytes,
    #[serde(alias = "INT64")]
    Integer,
    #[serde(alias = "FLOAT64")]
    Float,
    #[serde(alias = "BOOL")]
    Boolean,
    Timestamp,
    Date,
    #[serde(alias = "STRUCT")]
    Record,
}

/// Whether a column may be null, or holds a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mode {
    /// May be null.
    #[default]
    Nullable,
    /// May not be null.
    Required,
    /// A list, which may be empty.
    Repeated,
}

/// What can be wrong with a schema file.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// The file can't be read.
    #[error("cannot read table schema `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a list of BigQuery columns.
    #[error("table schema `{path}` is not a list of BigQuery columns", path = path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The file beside it is not a JSON object.
    #[error("table options `{path}` are not a JSON object", path = path.display())]
    Options {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// The file beside it has a key that says nothing of a new table.
    #[error("table options `{path}` have `{option}`, wanted only {known}", path = path.display(), known = TABLE_OPTIONS.join(", "))]
    UnknownOption {
        /// The file.
        path: PathBuf,
        /// The key.
        option: String,
    },
    /// Two columns have one name.
    #[error("table schema `{path}` names column `{column}` twice", path = path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// The column.
        column: String,
    },
}

impl TableSchema {
    /// Reads a schema file.
    pub fn read(path: &Path) -> Result<Self, SchemaError> {
        let read = |path: &Path| {
            std::fs::read_to_string(path)
                .map_err(|source| SchemaError::Read { path: path.to_owned(), source })
        };
        let schema = Self::parse(&read(path)?, path)?;
        let beside = path.with_extension("table.json");
        if !beside.is_file() {
            return Ok(schema);
        }
        schema.with_options(&read(&beside)?, &beside)
    }

    /// Adds the text of a `….table.json`; `path` is for messages.
    pub fn with_options(mut self, text: &str, path: &Path) -> Result<Self, SchemaError> {
        let options: serde_json::Map<_, _> = serde_json::from_str(text)
            .map_err(|source| SchemaError::Options { path: path.to_owned(), source })?;
        if let Some(key) = options.keys().find(|key| !TABLE_OPTIONS.contains(&key.as_str())) {
            let (path, option) = (path.to_owned(), key.clone());
            return Err(SchemaError::UnknownOption { path, option });
        }
        self.options = options;
        Ok(self)
    }

    /// Parses the text of a schema file; `path` is for messages.
    pub fn parse(text: &str, path: &Path) -> Result<Self, SchemaError> {
        let columns: Vec<Column> = serde_json::from_str(text)
            .map_err(|source| SchemaError::Parse { path: path.to_owned(), source })?;
        for (at, column) in columns.iter().enumerate() {
            if columns[..at].iter().any(|earlier| earlier.name == column.name) {
                let column = column.name.clone();
                return Err(SchemaError::Twice { path: path.to_owned(), column });
            }
        }
        let (path, options) = (path.to_owned(), serde_json::Map::new());
        Ok(Self { columns, path, options, json: text.to_owned() })
    }

    /// The schema that rows of these columns have; what only a schema file says is not known. `None` where
    /// a column is of a type that tables do not have.
    pub fn of_arrow(schema: &Schema, path: &Path) -> Option<Self> {
        let columns: Option<Vec<_>> = schema.fields().iter().map(|field| column(field)).collect();
        Self::parse(&serde_json::Value::from(columns?).to_string(), path).ok()
    }

    /// The columns, as a REST `Table` has them.
    pub fn fields(&self) -> Vec<serde_json::Value> {
        // It was parsed as a list before.
        serde_json::from_str(&self.json).unwrap_or_default()
    }

    /// The schema as it was read.
    pub fn json(&self) -> String {
        self.json.clone()
    }

    /// The Arrow schema of the table.
    pub fn arrow(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(Column::arrow).collect::<Fields>()))
    }
}

impl Column {
    /// Whether a policy tag guards it or a field of it.
    pub fn is_sensitive(&self) -> bool {
        self.policy_tags.is_some() || self.fields.iter().any(Self::is_sensitive)
    }

    /// The Arrow field of the column.
    pub fn arrow(&self) -> Field {
        let item = match self.kind {
            Kind::String => DataType::Utf8,
            Kind::Bytes => DataType::Binary,
            Kind::Integer => DataType::Int64,
            Kind::Float => DataType::Float64,
            Kind::Boolean => DataType::Boolean,
            Kind::Timestamp => timestamp_type(),
            Kind::Date => DataType::Date32,
            Kind::Record => DataType::Struct(self.fields.iter().map(Column::arrow).collect()),
        };
        match self.mode {
            Mode::Repeated => Field::new_list(&self.name, Field::new("item", item, true), false),
            Mode::Required => Field::new(&self.name, item, false),
            Mode::Nullable => Field::new(&self.name, item, true),
        }
    }
}

/// A column of a schema file, from its Arrow field.
fn column(field: &Field) -> Option<serde_json::Value> {
    let (item, mode) = match field.data_type() {
        DataType::List(item) => (item.data_type(), "REPEATED"),
        item if field.is_nullable() => (item, "NULLABLE"),
        item => (item, "REQUIRED"),
    };
    let kind = match item {
        DataType::Utf8 => "STRING",
        DataType::Binary => "BYTES",
        DataType::Int64 => "INTEGER",
        DataType::Float64 => "FLOAT",
        DataType::Boolean => "BOOLEAN",
        DataType::Date32 => "DATE",
        DataType::Struct(_) => "RECORD",
        instant if *instant == timestamp_type() => "TIMESTAMP",
        _ => return None,
    };
    let mut said = serde_json::json!({ "name": field.name(), "type": kind, "mode": mode });
    if let DataType::Struct(fields) = item {
        let fields: Option<Vec<_>> = fields.iter().map(|field| column(field)).collect();
        said["fields"] = fields?.into();
    }
    Some(said)
}

/// The Arrow type of an instant: microseconds, UTC.
pub fn timestamp_type() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_schema_parses_and_is_documented() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../schemas");
        let mut count = 0;
        for entry in std::fs::read_dir(folder).expect("the folder is there") {
            let path = entry.expect("readable").path();
            let name = path.to_string_lossy();
            if name.ends_with(".json") && !name.ends_with(".table.json") {
                let schema = TableSchema::read(&path).expect("a schema");
                let again = TableSchema::of_arrow(&schema.arrow(), &path).expect("known types");
                assert_eq!(again.arrow(), schema.arrow());
                for column in &schema.columns {
                    assert!(column.description.is_some(), "{}: {}", path.display(), column.name);
                }
                count += 1;
            }
        }
        assert!(count >= 4);
    }

    #[test]
    fn a_record_with_a_sensitive_field_is_sensitive() {
        let text = r#"[
            {"name": "plain", "type": "STRING"},
            {"name": "user", "type": "RECORD", "fields": [
                {"name": "id", "type": "STRING", "policyTags": {"names": ["pseudonym"]}}
            ]}
        ]"#;
        let schema = TableSchema::parse(text, Path::new("t.json")).expect("a schema");
        let sensitive: Vec<bool> = schema.columns.iter().map(Column::is_sensitive).collect();
        assert_eq!(sensitive, [false, true]);
    }

    #[test]
    fn a_column_named_twice_is_told() {
        let text = r#"[{"name": "a", "type": "STRING"}, {"name": "a", "type": "DATE"}]"#;
        let error = TableSchema::parse(text, Path::new("t.json")).expect_err("twice");
        assert_eq!(error.to_string(), "table schema `t.json` names column `a` twice");
    }
}
