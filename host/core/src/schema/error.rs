//! What can be wrong with a schema file.

use std::path::PathBuf;

use crate::path::Path;

/// Columns that a table may have, with all fields of records.
pub const MAX_COLUMNS: usize = 10_000;

/// What a `….table.json` may say.
pub(super) const TABLE_OPTIONS: [&str; 8] = [
    "description",
    "friendlyName",
    "labels",
    "timePartitioning",
    "rangePartitioning",
    "clustering",
    "expirationTime",
    "requirePartitionFilter",
];

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
        column: Path,
    },
    /// A column is none that tables can have here.
    #[error("table schema `{path}`: column `{column}` {what}", path = path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column, as it is written.
        column: String,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// There are more columns than BigQuery allows.
    #[error("table schema `{path}` has {columns} columns with all fields of records, at most {MAX_COLUMNS} are allowed", path = path.display())]
    Many {
        /// The file.
        path: PathBuf,
        /// How many.
        columns: usize,
    },
}
