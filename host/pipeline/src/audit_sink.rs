//! The audit trail of a running pipeline: entries go to the log file at once, and from there to the
//! table, in order. While the table is away they wait; what a crash left behind is carried over at the
//! next start.

use std::collections::{HashSet, VecDeque};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

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
/// How long entries of before may take together. Those that are left wait for the next event.
const TOGETHER: Duration = Duration::from_secs(30);
/// So many entries a start looks back for ones that the table lacks; and as many again while the oldest of
/// them is one.
const LOOK_BACK: usize = 100;

/// Enters who changed what.
pub(super) struct AuditSink {
    log: Log,
    pipeline: String,
    tables: Tables,
    table: TableName,
    schema: TableSchema,
    runtime: tokio::runtime::Handle,
    waiting: Mutex<Waiting>,
}

/// Entries that are in the file, and perhaps not in the table, the oldest first.
#[derive(Default)]
struct Waiting {
    /// Those to be brought there. Which of them are there already is not told by their order: processes
    /// share a file, and one that is killed may leave an entry behind that is older than those of others.
    entries: VecDeque<Entry>,
    /// Those before, as a start finds them, until it is known how far back it has to look.
    before: Vec<Entry>,
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

impl Waiting {
    /// Takes up some more of those before. Returns how many.
    fn look_back(&mut self) -> usize {
        let more = self.before.split_off(self.before.len().saturating_sub(LOOK_BACK));
        let count = more.len();
        for entry in more.into_iter().rev() {
            self.entries.push_front(entry);
        }
        count
    }
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
            *lock(&sink.waiting) = Waiting { entries: VecDeque::new(), before: entries };
            lock(&sink.waiting).look_back();
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
    fn carry_over(&self, waiting: &mut Waiting, newest: Entry) -> Result<(), TableError> {
        let mut unknown = waiting.entries.len();
        waiting.entries.push_back(newest);
        let mut missing = HashSet::new();
        // One that was tried may be there, though nobody said so.
        while unknown > 0 {
            missing.extend(self.missing(waiting.entries.iter().take(unknown))?);
            let is_missing = |entry: &Entry| missing.contains(&entry.hash);
            let goes_on = waiting.entries.front().is_some_and(is_missing);
            unknown = if goes_on { waiting.look_back() } else { 0 };
        }
        waiting.before.clear();
        let tried = waiting.entries.len() - 1;
        let newest = waiting.entries.split_off(tried);
        waiting.entries.retain(|entry| missing.contains(&entry.hash));
        waiting.entries.extend(newest);
        let began = Instant::now();
        while let Some(entry) = waiting.entries.front() {
            if began.elapsed() >= TOGETHER {
                let left = waiting.entries.len();
                tracing::info!(
                    left,
                    "the audit table lacks many entries: some wait in the log file"
                );
                break;
            }
            let rows = audit::rows(std::slice::from_ref(entry), &self.schema.arrow())?;
            let entered = self.tables.enter(&self.table, &entry.hash, None, &rows);
            self.in_time(entered)?;
            waiting.entries.pop_front();
        }
        Ok(())
    }

    /// Which of these the table lacks.
    fn missing<'a>(
        &self,
        entries: impl Iterator<Item = &'a Entry>,
    ) -> Result<HashSet<String>, TableError> {
        let names: Vec<String> = entries.map(|entry| entry.hash.clone()).collect();
        self.in_time(self.tables.not_entered(&self.table, HASH, &names))
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

#[cfg(test)]
mod tests {
    use super::*;
    use clickmill_audit::Action;
    use clickmill_config::Place;

    fn event(action: Action) -> Event {
        Event {
            actor: "somebody".to_owned(),
            action,
            subject: "pipeline".to_owned(),
            old_plugin_set: None,
            new_plugin_set: None,
            outcome: audit::Outcome::Done,
            detail: String::new(),
        }
    }

    #[test]
    fn what_a_killed_process_left_out_is_entered_though_later_entries_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let warehouse = folder.path().join("warehouse");
        let opened = Tables::open(&Place::Warehouse, warehouse.to_str().unwrap());
        let tables = runtime.block_on(opened).unwrap();
        let target = TableName { dataset: "d".to_owned(), table: "t".to_owned() };
        let table = target.beside(TABLE);
        let logs = folder.path().join("audit");
        let log = Log::open(&logs, "p").unwrap();
        let schema = audit::schema().unwrap().arrow();
        let mut hashes = Vec::new();
        // Many that were all left out, the first of those that are looked at among them; and a single one.
        for number in 0..3 * LOOK_BACK {
            let entry = log.append(event(Action::Start), None).unwrap();
            let left_out = (20..=2 * LOOK_BACK).contains(&number) || number == 3 * LOOK_BACK - 10;
            if !left_out {
                let rows = audit::rows(std::slice::from_ref(&entry), &schema).unwrap();
                runtime.block_on(tables.enter(&table, &entry.hash, None, &rows)).unwrap();
            }
            hashes.push(entry.hash);
        }
        let sink = AuditSink::open(&logs, "p", &tables, &target, runtime.handle()).unwrap();
        sink.enter(event(Action::Stop));
        let missing = runtime.block_on(tables.not_entered(&table, HASH, &hashes)).unwrap();
        assert_eq!(missing, HashSet::new());
        assert!(lock(&sink.waiting).entries.is_empty());
    }
}
