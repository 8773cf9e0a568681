//! The load ledger: an entry per loaded object, which makes loading it again a no-op. It is a table like
//! any other, `load_ledger`.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::error::ArrowError;

use clickmill_config::TableName;
use clickmill_core::schema::system::LEDGER;
use clickmill_core::schema::{SchemaError, TableSchema};
use clickmill_core::{Digest, Micros};

/// The ledger's name in its dataset.
pub const TABLE: &str = LEDGER.name;

/// What the ledger says of a load.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// See [`load_id`].
    pub load_id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// Table the rows went to.
    pub table: TableName,
    /// The object, as `uri@generation`.
    pub source: String,
    /// Bytes read, decompressed.
    pub bytes: u64,
    /// Records read.
    pub rows_in: u64,
    /// Rows written.
    pub rows_out: u64,
    /// Dead letters written.
    pub rows_rejected: u64,
    /// Records a plugin dropped on purpose.
    pub rows_filtered: u64,
    /// Digest of the plugin set.
    pub plugin_set: Digest,
    /// When the load began.
    pub started_at: Micros,
    /// When its rows were durable.
    pub finished_at: Micros,
}

/// How far a load got.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Everything is written to these streams, of rows and of dead letters, which are to be committed.
    Prepared {
        /// Of rows, where there are any.
        rows: Option<String>,
        /// Of dead letters, where there are any.
        dead_letters: Option<String>,
    },
    /// Done.
    Committed,
}

/// Identifies the load of an object's generation into a table.
pub fn load_id(table: &TableName, source: &str) -> String {
    let mut hasher = blake3::Hasher::new();
    hasher.update(table.to_string().as_bytes()).update(b"\0").update(source.as_bytes());
    Digest::from(hasher.finalize()).short().into()
}

/// What a load of replayed letters has in place of an object: its number among those into the table.
pub fn replay(number: u64) -> String {
    format!("replay {number} of dead letters")
}

/// Whether a load was of replayed letters, by what it has in place of an object.
pub fn is_replay(source: &str) -> bool {
    source.starts_with("replay ")
}

/// The ledger's columns.
pub fn schema() -> Result<TableSchema, SchemaError> {
    LEDGER.schema()
}

/// An entry as a row of the ledger.
pub fn row(entry: &Entry, state: &State, schema: &TableSchema) -> Result<RecordBatch, ArrowError> {
    let text = |value: Option<&str>| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
    let number = |value: u64| -> ArrayRef { Arc::new(Int64Array::from(vec![value as i64])) };
    let time = |value: Micros| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![value.get()]).with_timezone("UTC"))
    };
    let (state, rows, dead_letters) = match state {
        State::Prepared { rows, dead_letters } => {
            ("prepared", rows.as_deref(), dead_letters.as_deref())
        }
        State::Committed => ("committed", None, None),
    };
    let columns = vec![
        text(Some(&entry.load_id)),
        text(Some(&entry.pipeline)),
        text(Some(&entry.table.to_string())),
        text(Some(&entry.source)),
        number(entry.bytes),
        number(entry.rows_in),
        number(entry.rows_out),
        number(entry.rows_rejected),
        number(entry.rows_filtered),
        text(Some(&entry.plugin_set)),
        time(entry.started_at),
        time(entry.finished_at),
        text(Some(state)),
        text(rows),
        text(dead_letters),
    ];
    RecordBatch::try_new(schema.arrow(), columns)
}

/// Whose rows a load has brought into the tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// Its own.
    Now,
    /// Those of another load of the same object, or of the same number, which was faster. Its own are given up.
    ByAnother,
}
