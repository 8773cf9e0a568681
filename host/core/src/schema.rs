//! Table schemas: `schemas/*.json`, as `bq` and Terraform read them, and their Arrow form. Beside
//! `clicks_raw.json` may lie `clicks_raw.table.json` with what else BigQuery is to know of the table:
//! partitioning, clustering, expiry, description, labels, as in a REST `Table`.
//!
//! They are the one source of what a table looks like: the chain's output is checked against them and
//! the warehouse writes by them. This module knows neither plugins nor services.

mod check;
mod column;
mod error;
pub mod system;
mod types;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::datatypes::{Fields, Schema, SchemaRef};

use crate::file;
use crate::path::Path as ColumnPath;
pub use check::RESERVED;
pub use column::{Column, Kind, Mode, PolicyTags};
use error::TABLE_OPTIONS;
pub use error::{MAX_COLUMNS, SchemaError};
pub use types::{datetime_type, decimal_type, is_json, json_metadata, time_type, timestamp_type};

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
    /// What tells a row that comes again from all others: its message, and its place among the rows of
    /// that. The message's number alone does not: two topics may give the same one, and an emulator counts
    /// from 1 each time it starts.
    pub const MESSAGE: [&str; 3] = [MESSAGE_ID, PUBLISH_TIME, RECORD_INDEX];
    /// Digest of the plugin set that made the row.
    pub const PLUGIN_SET: &str = "plugin_set";
    /// When the host took the row in.
    pub const INGESTED_AT: &str = "ingested_at";
    /// The row's place among the rows that were made of its record, from 0; null is 0, as rows have it
    /// from before there were several.
    pub const RECORD_INDEX: &str = "record_index";
    /// Those that rows of messages have no value for.
    pub const UNKNOWN_OF_MESSAGES: &[&str] = &[SOURCE_LINE];
    /// Those that rows of objects have no value for.
    pub const UNKNOWN_OF_OBJECTS: &[&str] = &[MESSAGE_ID, PUBLISH_TIME];
    /// All of them.
    pub const ALL: [&str; 7] =
        [SOURCE, SOURCE_LINE, MESSAGE_ID, PUBLISH_TIME, PLUGIN_SET, INGESTED_AT, RECORD_INDEX];
}

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

impl TableSchema {
    /// Reads a schema file.
    pub fn read(path: &Path) -> Result<Self, SchemaError> {
        let read = |path: &Path| {
            file::text(path).map_err(|source| SchemaError::Read { path: path.to_owned(), source })
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
        let parse = |source| SchemaError::Parse { path: path.to_owned(), source };
        if let Ok(serde_json::Value::Array(columns)) = serde_json::from_str(text) {
            check::kinds(&columns, path)?;
        }
        let columns: Vec<Column> = serde_json::from_str(text).map_err(parse)?;
        check::columns(&columns, path)?;
        let (path, options) = (path.to_owned(), serde_json::Map::new());
        Ok(Self { columns, path, options, json: text.to_owned() })
    }

    /// The schema that rows of these columns have; what only a schema file says is not known. `None` where
    /// a column is of a type that tables do not have.
    pub fn of_arrow(schema: &Schema, path: &Path) -> Option<Self> {
        let columns: Option<Vec<_>> =
            schema.fields().iter().map(|field| column::of_arrow(field)).collect();
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

    /// All columns by their paths, each record before its fields.
    pub fn all_columns(&self) -> Vec<(ColumnPath, &Column)> {
        let mut all = Vec::new();
        for column in &self.columns {
            column.with_fields(ColumnPath::of(&column.name), &mut all);
        }
        all
    }

    /// The Arrow schema of the table.
    pub fn arrow(&self) -> SchemaRef {
        Arc::new(Schema::new(self.columns.iter().map(Column::arrow).collect::<Fields>()))
    }
}

#[cfg(test)]
mod tests;
