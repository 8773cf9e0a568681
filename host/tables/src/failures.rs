//! Objects that could not be loaded: a table of its own beside the ledger, which says only what happened.
//! A failure is entered once however often it is met, so that one bad object does not fill the table; one
//! whose load is in the ledger is over. Of a place that could not be looked at, such as a folder, there is no load:
//! that it was looked at since is an entry of its own, and a failure after that another one.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow::error::ArrowError;

use clickmill_config::TableName;
use clickmill_core::schema::system::LOAD_FAILURES;
use clickmill_core::schema::{SchemaError, TableSchema};
use clickmill_core::{Digest, Fault, Micros};

/// The table's name in its dataset.
pub const TABLE: &str = LOAD_FAILURES.name;
/// The column that tells failures apart.
pub const ID: &str = "failure_id";
/// Whose fault it is that a place was looked at since.
pub const NOBODY: &str = "none";
/// What such an entry says in place of an error.
const SEEN: &str = "it was looked at since";

/// A load that failed by its object.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// See [`super::ledger::load_id`].
    pub load_id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// Table the rows were to go to.
    pub table: TableName,
    /// The object, as its URI.
    pub object: String,
    /// The object, as `uri@generation`.
    pub source: String,
    /// Whose fault it is, and the error and its causes on a line; `None` where a place was looked at since.
    pub error: Option<(Fault, String)>,
    /// When.
    pub failed_at: Micros,
    /// How often the place was looked at before, after it could not be.
    pub times_seen: u64,
}

impl Failure {
    /// Identifies the load and why it failed.
    pub fn id(&self) -> String {
        self.id_of(self.error())
    }

    /// That of the entry that the place was looked at since.
    pub fn id_of_end(&self) -> String {
        self.id_of(SEEN)
    }

    fn id_of(&self, error: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.load_id.as_bytes()).update(b"\0").update(error.as_bytes());
        if self.times_seen > 0 {
            hasher.update(b"\0").update(&self.times_seen.to_le_bytes());
        }
        Digest::from(hasher.finalize()).short().into()
    }

    fn error(&self) -> &str {
        self.error.as_ref().map_or(SEEN, |(_, error)| error)
    }

    /// The failure as a row.
    pub fn row(&self, schema: &TableSchema) -> Result<RecordBatch, ArrowError> {
        let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
        let at = TimestampMicrosecondArray::from(vec![self.failed_at.get()]).with_timezone("UTC");
        let columns = vec![
            text(&self.id()),
            text(&self.load_id),
            text(&self.pipeline),
            text(&self.table.to_string()),
            text(&self.object),
            text(&self.source),
            text(self.error.as_ref().map_or(NOBODY, |(fault, _)| word(*fault))),
            text(self.error()),
            Arc::new(at),
        ];
        RecordBatch::try_new(schema.arrow(), columns)
    }
}

/// The table's columns.
pub fn schema() -> Result<TableSchema, SchemaError> {
    LOAD_FAILURES.schema()
}

fn word(fault: Fault) -> &'static str {
    match fault {
        Fault::Input => "input",
        Fault::Environment => "environment",
        Fault::Run => "run",
        Fault::Bug => "bug",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_one_row_of_its_table_however_often_it_is_met() {
        let failure = |error: &str, failed_at: i64| Failure {
            load_id: "0a1b".to_owned(),
            pipeline: "clothing_batch".to_owned(),
            table: TableName { dataset: "d".to_owned(), table: "t".to_owned() },
            object: "gs://lake/a.csv".to_owned(),
            source: "gs://lake/a.csv@17".to_owned(),
            error: Some((Fault::Input, error.to_owned())),
            failed_at: failed_at.into(),
            times_seen: 0,
        };
        let schema = schema().expect("a schema");
        assert_eq!(failure("damaged", 1).row(&schema).expect("a row").num_rows(), 1);
        assert_eq!(failure("damaged", 1).id(), failure("damaged", 2).id());
        assert_ne!(failure("damaged", 1).id(), failure("gone", 1).id());
        // One that is over may come again, and be over again.
        let end = Failure { error: None, ..failure("", 2) };
        assert_eq!(end.row(&schema).expect("a row").num_rows(), 1);
        assert_eq!(end.id(), failure("no rights", 1).id_of_end());
        let again = Failure { times_seen: 1, ..failure("no rights", 3) };
        assert_ne!(again.id(), failure("no rights", 1).id());
        assert_ne!(again.id_of_end(), end.id());
    }
}
