//! What a table's columns have to be, as BigQuery has it.

use std::collections::HashMap;
use std::path::Path;

use serde_json::Value as Json;

use super::column::{Column, Kind};
use super::error::{MAX_COLUMNS, SchemaError};
use crate::path::{MAX_DEPTH, MAX_NAME_BYTES, Path as ColumnPath};

const IN_PLACE_OF_BIGNUMERIC: &str = "NUMERIC, which has 38 digits, 9 of them behind the point, or STRING, which keeps every digit and is cast in a query";

/// Types of BigQuery that are not taken here, and what to use.
const OTHERS: [(&str, &str); 5] = [
    ("BIGNUMERIC", IN_PLACE_OF_BIGNUMERIC),
    ("BIGDECIMAL", IN_PLACE_OF_BIGNUMERIC),
    ("GEOGRAPHY", "STRING with GeoJSON, which ST_GEOGFROMGEOJSON reads in a query"),
    ("INTERVAL", "INTEGER in a unit that the column's name tells"),
    ("RANGE", "two columns, one with its start and one with its end"),
];

/// How no column's name may begin, whatever its capitals.
pub const RESERVED: [&str; 9] = [
    "_TABLE_",
    "_FILE_",
    "_PARTITION",
    "_ROW_TIMESTAMP",
    "__ROOT__",
    "_COLIDENTIFIER",
    "_CHANGE_SEQUENCE_NUMBER",
    "_CHANGE_TIMESTAMP",
    "_CHANGE_TYPE",
];
/// What is in no column's name, not even in a flexible one. A dot is told by itself.
const SIGNS: &str = "!\"$()*,/;?@[\\]^`{}~";

/// Refuses types that are not taken here, and says what to use instead.
pub(super) fn kinds(columns: &[Json], path: &Path) -> Result<(), SchemaError> {
    for column in columns {
        let named = column["name"].as_str().unwrap_or_default();
        let kind = column["type"].as_str().unwrap_or_default();
        if let Some((kind, instead)) =
            OTHERS.iter().find(|(other, _)| other.eq_ignore_ascii_case(kind))
        {
            return Err(SchemaError::Column {
                path: path.to_owned(),
                column: named.to_owned(),
                what: format!("is {kind}, which tables do not have here: use {instead}"),
            });
        }
        if let Json::Array(fields) = &column["fields"] {
            kinds(fields, path).map_err(|error| within(error, named))?;
        }
    }
    Ok(())
}

/// The same, of a field of this record.
fn within(error: SchemaError, record: &str) -> SchemaError {
    match error {
        SchemaError::Column { path, column, what } => {
            SchemaError::Column { path, column: format!("{record}.{column}"), what }
        }
        other => other,
    }
}

/// Checks names, records and how many there are.
pub(super) fn columns(columns: &[Column], path: &Path) -> Result<(), SchemaError> {
    let mut count = 0;
    all(columns, None, path, &mut count)?;
    if count > MAX_COLUMNS {
        return Err(SchemaError::Many { path: path.to_owned(), columns: count });
    }
    Ok(())
}

fn all(
    columns: &[Column],
    record: Option<&ColumnPath>,
    path: &Path,
    count: &mut usize,
) -> Result<(), SchemaError> {
    let mut names = HashMap::new();
    for column in columns {
        *count += 1;
        let name = column.name.as_str();
        let at = record.map_or_else(|| ColumnPath::of(name), |record| record.field(name));
        let same = names.insert(name.to_lowercase(), name);
        if same == Some(name) {
            return Err(SchemaError::Twice { path: path.to_owned(), column: at });
        }
        let same = same.map(|other| {
            format!("differs from `{other}` in capitals alone, and to BigQuery they are one name")
        });
        if let Some(what) = same.or_else(|| wrong(column, &at)) {
            return Err(SchemaError::Column {
                path: path.to_owned(),
                column: at.to_string(),
                what,
            });
        }
        all(&column.fields, Some(&at), path, count)?;
    }
    Ok(())
}

fn wrong(column: &Column, at: &ColumnPath) -> Option<String> {
    let is_record = column.kind == Kind::Record;
    let bytes = column.name.len();
    let name = column.name.to_uppercase();
    let reserved = RESERVED.iter().find(|prefix| name.starts_with(*prefix));
    let sign = name.chars().find(|sign| SIGNS.contains(*sign) || sign.is_control());
    if bytes == 0 {
        Some("has no name".to_owned())
    } else if column.name.contains('.') {
        Some("has a dot in its name, which stands between a record and its field".to_owned())
    } else if bytes > MAX_NAME_BYTES {
        Some(format!("has a name of {bytes} bytes, at most {MAX_NAME_BYTES} are allowed"))
    } else if let Some(prefix) = reserved {
        Some(format!("begins with `{prefix}`, which BigQuery keeps for columns of its own"))
    } else if let Some(sign) = sign {
        Some(format!("has `{}` in its name, which BigQuery takes in none", sign.escape_default()))
    } else if is_record && column.fields.is_empty() {
        Some("is a RECORD and has no `fields`".to_owned())
    } else if !is_record && !column.fields.is_empty() {
        Some("has `fields` and is not a RECORD".to_owned())
    } else if is_record && at.names().len() > MAX_DEPTH {
        Some(format!("is deeper than {MAX_DEPTH} records, the most that BigQuery takes"))
    } else {
        None
    }
}
