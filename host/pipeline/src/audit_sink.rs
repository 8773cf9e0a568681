//! The audit trail of a running pipeline: entries go to the log file at once, and from there to the
//! table, in order. While the table is away they wait; what a crash left behind is carried over at the
//! next start.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use arrow::error::ArrowError;

use clickmill_audit as audit;
use clickmill_audit::{AuditError, Entry, Event, Log, TABLE};
use clickmill_config::TableName;
use clickmill_core::schema::{SchemaError, TableSchema};
use clickmill_core::{Fault, causes, lock};
use clickmill_sink::{SinkError, Tables};

/// The column that tells entries apart.
const HASH: &str = "entry_hash";
/// How long the table may take over an entry: a start, a swap and an end wait for it, and the log file has
/// the entry already.
const PATIENCE: Duration = Duration::from_secs(10);
/// So many entries a start looks back for ones that the table lacks.
const LOOK_BACK: usize = 100;

/// Enters who changed what.
pub(super) struct AuditSink {
    log: Log,
    pipeline: String,
    tables: Tables,
    table: TableName,
    schema: TableSchema,
    runtime: tokio::runtime::Handle,
    /// In the file, and perhaps not in the table.
    waiting: Mutex<VecDeque<Entry>>,
}

#[derive(Debug, thiserror::Error)]
enum TableError {
    #[error("cannot make a row of an audit entry")]
    Row(#[from] ArrowError),
    #[error(transparent)]
    Sink(#[from] SinkError),
    #[error("no answer in {seconds} s")]
    NoAnswer { seconds: u64 },
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
            pipeline: pipeline.to_owned(),
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
            let from = entries.len().saturating_sub(LOOK_BACK);
            *lock(&sink.waiting) = entries.into_iter().skip(from).collect();
        }
        Ok(sink)
    }

    /// Enters an event. Where even the file fails, that is logged: the pipeline goes on.
    pub(crate) fn enter(&self, event: Event) {
        let action = event.action;
        let after = if self.log.is_new() { self.newest() } else { None };
        match self.log.append(event, after) {
            Ok(entry) => {
                let mut waiting = lock(&self.waiting);
                if let Err(error) = self.carry_over(&mut waiting, entry) {
                    let error = causes(&error);
                    tracing::warn!(error, "the audit table is away: entries wait in the log file");
                }
            }
            Err(error) => {
                let error = causes(&error);
                tracing::error!(error, action = action.as_str(), "cannot write the audit log");
            }
        }
    }

    /// The hash of the entry that is the table's newest, for a chain to be begun after it. Not where that
    /// would take an SQL engine: a chain that was begun after none says so.
    fn newest(&self) -> Option<String> {
        if self.tables.asks_sql_engine() {
            return None;
        }
        let TableName { dataset, table } = &self.table;
        let sql = format!(
            "SELECT entry_hash FROM `{dataset}`.`{table}` WHERE pipeline = '{}' ORDER BY `time` DESC, sequence DESC LIMIT 1",
            self.pipeline
        );
        let found = self.tables.query(&sql, &[], "look for the newest entry of the audit log");
        match self.in_time(found) {
            Ok(found) => found.single().and_then(|hash| hash.as_str()).map(str::to_owned),
            Err(error) => {
                let error = causes(&error);
                tracing::warn!(
                    error,
                    "the audit table is away: its next entries say nothing of those before"
                );
                None
            }
        }
    }

    /// Brings what waits, and then the newest entry, into the table. What can't be brought there waits.
    fn carry_over(&self, waiting: &mut VecDeque<Entry>, newest: Entry) -> Result<(), TableError> {
        let before = waiting.len();
        waiting.push_back(newest);
        if before > 0 {
            // One that was tried may be there, though nobody said so.
            let names = waiting.iter().take(before).rev().map(|entry| entry.hash.clone());
            let names: Vec<String> = names.collect();
            let lacking = self.tables.not_entered(&self.table, HASH, &names);
            let lacking = self.in_time(lacking)?;
            waiting.drain(..before - lacking);
        }
        while let Some(entry) = waiting.front() {
            let rows = audit::rows(std::slice::from_ref(entry), &self.schema.arrow())?;
            let entered = self.tables.enter(&self.table, &entry.hash, None, &rows);
            self.in_time(entered)?;
            waiting.pop_front();
        }
        Ok(())
    }

    /// What the table answers, unless that takes too long.
    fn in_time<T>(
        &self,
        asked: impl Future<Output = Result<T, SinkError>>,
    ) -> Result<T, TableError> {
        let asked = async { tokio::time::timeout(PATIENCE, asked).await };
        let no_answer = |_| TableError::NoAnswer { seconds: PATIENCE.as_secs() };
        Ok(self.runtime.block_on(asked).map_err(no_answer)??)
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
