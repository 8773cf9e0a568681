//! A column of a table: as a schema file has it, and in Arrow.

use std::collections::HashMap;

use arrow::datatypes::{DataType, Field};
use serde::Deserialize;

use super::types::{
    datetime_type, decimal_type, is_json, json_metadata, time_type, timestamp_type,
};
use crate::path::Path;

/// The name of a list's elements.
const ITEM: &str = "item";

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
    #[serde(alias = "DECIMAL")]
    Numeric,
    Timestamp,
    Date,
    Datetime,
    Time,
    Json,
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

impl Column {
    /// The column at this path with its fields, each record before its fields.
    pub(super) fn with_fields<'a>(&'a self, path: Path, all: &mut Vec<(Path, &'a Self)>) {
        all.push((path.clone(), self));
        for field in &self.fields {
            field.with_fields(path.field(&field.name), all);
        }
    }

    /// Whether a policy tag guards it or a field of it.
    pub fn is_sensitive(&self) -> bool {
        self.policy_tags.is_some() || self.fields.iter().any(Self::is_sensitive)
    }

    /// The Arrow field of the column. A list's elements are never null, and no list is.
    pub fn arrow(&self) -> Field {
        let item = match self.kind {
            Kind::String | Kind::Json => DataType::Utf8,
            Kind::Bytes => DataType::Binary,
            Kind::Integer => DataType::Int64,
            Kind::Float => DataType::Float64,
            Kind::Boolean => DataType::Boolean,
            Kind::Numeric => decimal_type(),
            Kind::Timestamp => timestamp_type(),
            Kind::Date => DataType::Date32,
            Kind::Datetime => datetime_type(),
            Kind::Time => time_type(),
            Kind::Record => DataType::Struct(self.fields.iter().map(Column::arrow).collect()),
        };
        let metadata = if self.kind == Kind::Json { json_metadata() } else { HashMap::new() };
        match self.mode {
            Mode::Repeated => {
                let item = Field::new(ITEM, item, false).with_metadata(metadata);
                Field::new_list(&self.name, item, false)
            }
            Mode::Required => Field::new(&self.name, item, false).with_metadata(metadata),
            Mode::Nullable => Field::new(&self.name, item, true).with_metadata(metadata),
        }
    }
}

/// A column of a schema file, from its Arrow field.
pub(super) fn of_arrow(field: &Field) -> Option<serde_json::Value> {
    let (item, mode) = match field.data_type() {
        DataType::List(item) => (&**item, "REPEATED"),
        _ if field.is_nullable() => (field, "NULLABLE"),
        _ => (field, "REQUIRED"),
    };
    let kind = match item.data_type() {
        DataType::Utf8 if is_json(item) => "JSON",
        DataType::Utf8 => "STRING",
        DataType::Binary => "BYTES",
        DataType::Int64 => "INTEGER",
        DataType::Float64 => "FLOAT",
        DataType::Boolean => "BOOLEAN",
        DataType::Date32 => "DATE",
        DataType::Struct(_) => "RECORD",
        decimal if *decimal == decimal_type() => "NUMERIC",
        instant if *instant == timestamp_type() => "TIMESTAMP",
        day_and_time if *day_and_time == datetime_type() => "DATETIME",
        time if *time == time_type() => "TIME",
        _ => return None,
    };
    let mut said = serde_json::json!({ "name": field.name(), "type": kind, "mode": mode });
    if let DataType::Struct(fields) = item.data_type() {
        let fields: Option<Vec<_>> = fields.iter().map(|field| of_arrow(field)).collect();
        said["fields"] = fields?.into();
    }
    Some(said)
}
