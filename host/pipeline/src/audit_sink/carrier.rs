//! Brings entries from the log file to the table `audit_log`, in order. While the table is away they wait;
//! what a crash left behind is carried over at the next start.

use std::collections::{HashSet, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arrow::error::ArrowError;

use clickmill_audit as audit;
use clickmill_audit::{Entry, TABLE};
use clickmill_config::TableName;
use clickmill_core::schema::{SchemaError, TableSchema};
use clickmill_core::{causes, lock};
use clickmill_sink::{SinkError, Tables};

/// The column that tells entries apart.
const HASH: &str = "entry_hash";
/// How long the table may take over an entry: a start and an end wait for it, and the log file has the
/// entry already.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long entries may take together. Those that are left wait for the next time.
const ROUND_TIMEOUT: Duration = Duration::from_secs(30);
/// So many entries a start looks back for ones that the table lacks; and as many again while the oldest of
/// them is one.
pub(super) const LOOK_BACK: usize = 100;

/// Carries entries over.
pub(super) struct Carrier {
    tables: Tables,
    table: TableName,
    schema: TableSchema,
    runtime: tokio::runtime::Handle,
    /// New ones. Apart from the others, so that nobody who adds one waits for the table. They are few: each
    /// is a deed, or at most one a minute of what callers can bring about.
    added: Mutex<Vec<Entry>>,
    waiting: Mutex<Waiting>,
    /// How many of those that were tried the table lacks, as far as is known.
    behind: AtomicU64,
}

/// Entries that are in the file, and perhaps not in the table, the oldest first.
#[derive(Default)]
struct Waiting {
    /// Those to be brought there. Which of them are there already is not told by their order: processes
    /// share a file, and one that is killed may leave an entry behind that is older than those of others.
    entries: VecDeque<Entry>,
    /// Those before, as a start finds them, until it is known how far back it has to look.
    before: Vec<Entry>,
    /// The last time did not come to its end.
    is_behind: bool,
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

impl Carrier {
    /// To the table in the dataset of `target`. `before` are the entries that the file has.
    pub(super) fn new(
        tables: &Tables,
        target: &TableName,
        runtime: &tokio::runtime::Handle,
        before: Vec<Entry>,
    ) -> Result<Self, SchemaError> {
        let mut waiting = Waiting { before, ..Waiting::default() };
        waiting.look_back();
        Ok(Self {
            tables: tables.clone(),
            table: target.beside(TABLE),
            schema: audit::schema()?,
            runtime: runtime.clone(),
            added: Mutex::default(),
            waiting: Mutex::new(waiting),
            behind: AtomicU64::default(),
        })
    }

    /// Has an entry that was appended just now carried over, by the next [`Self::carry`].
    pub(super) fn add(&self, entry: Entry) {
        lock(&self.added).push(entry);
    }

    /// How many entries are known to wait.
    pub(super) fn waiting(&self) -> u64 {
        lock(&self.added).len() as u64 + self.behind.load(Ordering::Relaxed)
    }

    /// The hash of the entry that is the table's newest, for a chain to be begun after it. Not where that
    /// would take an SQL engine: a chain that was begun after none says so.
    pub(super) fn newest(&self, pipeline: &str) -> Option<String> {
        if self.tables.asks_sql_engine() {
            return None;
        }
        let TableName { dataset, table } = &self.table;
        let sql = format!(
            "SELECT entry_hash FROM `{dataset}`.`{table}` WHERE pipeline = '{pipeline}' ORDER BY `time` DESC, sequence DESC LIMIT 1"
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

    /// Brings what waits into the table, where something was added or the last time did not come to its
    /// end. What can't be brought there goes on waiting, and that is told once.
    pub(super) fn carry(&self) {
        let mut waiting = lock(&self.waiting);
        if lock(&self.added).is_empty() && !waiting.is_behind {
            return;
        }
        let carried = self.carry_over(&mut waiting);
        let left = waiting.entries.len() as u64;
        self.behind.store(left, Ordering::Relaxed);
        let was_behind = std::mem::replace(&mut waiting.is_behind, left > 0);
        match carried {
            Err(error) if !was_behind => {
                let error = causes(&error);
                tracing::warn!(
                    error,
                    left,
                    "the audit table is away: entries wait in the log file"
                );
            }
            Ok(()) if left > 0 && !was_behind => {
                tracing::info!(
                    left,
                    "the audit table lacks many entries: some wait in the log file"
                );
            }
            Ok(()) if left == 0 && was_behind => {
                tracing::info!("the audit table has all entries again");
            }
            Err(_) | Ok(()) => {}
        }
    }

    fn carry_over(&self, waiting: &mut Waiting) -> Result<(), TableError> {
        let mut unknown = waiting.entries.len();
        // Before anything fails: what is added is known to wait.
        waiting.entries.extend(lock(&self.added).drain(..));
        let mut missing = HashSet::new();
        let tried = unknown;
        let mut looked_back = 0;
        // One that was tried may be there, though nobody said so.
        while unknown > 0 {
            missing.extend(self.missing(waiting.entries.iter().take(unknown))?);
            let is_missing = |entry: &Entry| missing.contains(&entry.hash);
            let goes_on = waiting.entries.front().is_some_and(is_missing);
            unknown = if goes_on { waiting.look_back() } else { 0 };
            looked_back += unknown;
        }
        waiting.before.clear();
        let new = waiting.entries.split_off(tried + looked_back);
        waiting.entries.retain(|entry| missing.contains(&entry.hash));
        waiting.entries.extend(new);
        let began = Instant::now();
        while let Some(entry) = waiting.entries.front() {
            if began.elapsed() >= ROUND_TIMEOUT {
                return Ok(());
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
        let asked = async { tokio::time::timeout(ANSWER_TIMEOUT, asked).await };
        let no_answer = |_| TableError::NoAnswer { seconds: ANSWER_TIMEOUT.as_secs() };
        Ok(self.runtime.block_on(asked).map_err(no_answer)??)
    }
}
