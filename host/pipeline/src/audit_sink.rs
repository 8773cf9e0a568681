//! The audit trail of a running pipeline: entries go to the log file at once, and from there to the
//! table, in order. While the table is away they wait; what a crash left behind is carried over at the
//! next start.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;

use arrow::error::ArrowError;

use clickmill_audit as audit;
use clickmill_audit::{AuditError, Entry, Event, Log, TABLE};
use clickmill_config::TableName;
use clickmill_core::schema::{SchemaError, TableSchema};
use clickmill_core::{Fault, causes, lock};
use clickmill_sink::{SinkError, Tables};

/// The column that tells entries apart.
const HASH: &str = "entry_hash";
/// So many entries a start looks back for ones that the table lacks.
const LOOK_BACK: usize = 100;

/// Enters who changed what.
pub(super) struct AuditSink {
    log: Log,
    tables: Tables,
    table: TableName,
    schema: TableSchema,
    runtime: tokio::runtime::Handle,
    /// In the file, and not in the table yet.
    waiting: Mutex<VecDeque<Entry>>,
}

#[derive(Debug, thiserror::Error)]
enum TableError {
    #[error("cannot make a row of an audit entry")]
    Row(#[from] ArrowError),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

impl AuditSink {
    /// Opens the log of a pipeline in a folder, and its table in the dataset of `target`.
    pub(crate) fn open(
        folder: &Path,
        pipeline: &str,
        tables: &Tables,
        target: &TableName,
        runtime: &tokio::runtime::Handle,
    ) -> Result<Self, AuditSinkError> {
        let sink = Self {
            log: Log::open(folder, pipeline)?,
            tables: tables.clone(),
            table: target.beside(TABLE),
            schema: audit::schema()?,
            runtime: runtime.clone(),
            waiting: Mutex::default(),
        };
        let path = folder.join(format!("{pipeline}.jsonl"));
        if path.is_file() {
            // What can't be read is for `audit verify` to tell.
            let entries: Vec<Entry> = audit::read(&path)?.filter_map(Result::ok).collect();
            // They go to the table in order: before one that is there all are.
            let lacking = entries.into_iter().rev().take(LOOK_BACK);
            let lacking: Vec<Entry> = lacking.take_while(|entry| !sink.is_there(entry)).collect();
            *lock(&sink.waiting) = lacking.into_iter().rev().collect();
        }
        Ok(sink)
    }

    /// Whether the table has an entry. Where it can't be asked, it is as if it had not: entering one
    /// again does nothing.
    fn is_there(&self, entry: &Entry) -> bool {
        let key = (HASH, entry.hash.as_str());
        let there = self.tables.is_entered(&self.table, &entry.hash, key);
        self.runtime.block_on(there).unwrap_or(false)
    }

    /// Enters an event. Where even the file fails, that is logged: the pipeline goes on.
    pub(crate) fn enter(&self, event: Event) {
        let action = event.action;
        match self.log.append(event) {
            Ok(entry) => {
                let mut waiting = lock(&self.waiting);
                waiting.push_back(entry);
                while let Some(entry) = waiting.front() {
                    if let Err(error) = self.carry_over(entry) {
                        let error = causes(&error);
                        tracing::warn!(
                            error,
                            "the audit table is away: entries wait in the log file"
                        );
                        return;
                    }
                    waiting.pop_front();
                }
            }
            Err(error) => {
                let error = causes(&error);
                tracing::error!(error, action = action.as_str(), "cannot write the audit log");
            }
        }
    }

    fn carry_over(&self, entry: &Entry) -> Result<(), TableError> {
        let rows = audit::rows(std::slice::from_ref(entry), &self.schema.arrow())?;
        let key = Some((HASH, entry.hash.as_str()));
        self.runtime.block_on(self.tables.enter(&self.table, &entry.hash, key, &rows))?;
        Ok(())
    }
}

/// Why there is no audit trail.
#[derive(Debug, thiserror::Error)]
pub enum AuditSinkError {
    /// The log file can't be used.
    #[error(transparent)]
    Log(#[from] AuditError),
    /// The table's schema is broken: a bug in clickmill.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl AuditSinkError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Log(_) | Self::Schema(_) => Fault::Environment,
        }
    }
}
