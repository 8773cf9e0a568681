//! Objects that could not be loaded: a table of its own beside the ledger, which says only what happened.
//! A failure is entered once however often it is met, so that one bad object does not fill the table; one
//! whose load is in the ledger is over.

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
    /// Whose fault it is.
    pub fault: Fault,
    /// The error and its causes, on a line.
    pub error: String,
    /// When.
    pub failed_at: Micros,
}

impl Failure {
    /// Identifies the load and why it failed.
    pub fn id(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.load_id.as_bytes()).update(b"\0").update(self.error.as_bytes());
        Digest::from(hasher.finalize()).short().into()
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
            text(word(self.fault)),
            text(&self.error),
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
            fault: Fault::Input,
            error: error.to_owned(),
            failed_at: failed_at.into(),
        };
        let schema = schema().expect("a schema");
        assert_eq!(failure("damaged", 1).row(&schema).expect("a row").num_rows(), 1);
        assert_eq!(failure("damaged", 1).id(), failure("damaged", 2).id());
        assert_ne!(failure("damaged", 1).id(), failure("gone", 1).id());
    }
}
