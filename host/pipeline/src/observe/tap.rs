//! Taps show rows as they pass, after a stage, or those that are rejected.
//!
//! A reader sees a column only in its last form. Hidden, unless they are revealed, are a column that a later
//! stage still writes, which may be the one that masks it; a column that is sensitive in a table's schema;
//! and a column that no table has, of which nothing says whether it is sensitive. A row of which
//! another column holds a sensitive value is not shown: the guard will stop it.
//!
//! A tap never holds the pipeline up: its rows are filtered and written on a thread of its own, by the SQL
//! engine's process, and rows that it does not take in time are counted, not kept.

mod rows;
mod writes;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use clickmill_core::batch::{Batch, Rejected};
use clickmill_core::{RawColumn, lock, stage};
use clickmill_query::{Engine, EngineError, QueryError};
use clickmill_tables::result_set::{Answer, ResultSet};
pub(crate) use rows::HIDDEN;
use rows::refused;
pub(crate) use writes::StageWrites;
use writes::reveals;

/// Taps at once: each costs a thread and a copy of what it shows, and a process where it has a condition.
const MAX_TAPS: usize = 8;
/// Batches that a tap may be behind.
const MAX_BATCHES_BEHIND: usize = 4;
/// Lines that a reader may be behind, and bytes in them: what is longer is never shown.
const MAX_BEHIND: usize = 1000;
const MAX_BYTES_BEHIND: usize = 4 << 20;
/// Rows of a batch that are shown at most.
const MAX_ROWS: usize = 100;
/// How often a tap without rows looks whether anybody listens.
const IDLE: Duration = Duration::from_secs(1);
/// The most that a condition may have: what is longer may take all of the engine's stack.
const MAX_CONDITION_BYTES: usize = 8 << 10;
/// The characters of a longer one that are told.
const TOLD: usize = 60;
/// Conditions that are read at once: some texts take the engine as long as it may.
const CHECKS_AT_ONCE: usize = 2;
/// Memory that the engine of a tap may have, in MiB: it has some batches in hand.
const ENGINE_MB: u64 = 512;
/// Why a tap ends by itself.
#[derive(Debug, thiserror::Error)]
enum TapError {
    /// Its condition fails.
    #[error(transparent)]
    Condition(#[from] QueryError),
    /// Its rows can't be written.
    #[error(transparent)]
    Rows(#[from] ArrowError),
}

/// What a tap shows.
#[derive(Debug)]
pub struct Tap {
    /// After which stage; the last where absent.
    pub stage: Option<String>,
    /// Rows that are refused, by any stage or the one named, in place of those that pass.
    pub rejected: bool,
    /// Which rows: a condition in SQL.
    pub condition: Option<String>,
    /// Columns that are shown though they are sensitive, raw or none of the table's; `*` is all of them.
    pub reveal: Vec<String>,
}

/// The lines of a tap: JSON objects.
#[derive(Debug)]
pub struct TapStream {
    /// Closing it ends the tap.
    lines: Receiver<Line>,
    /// Rows that passed and were not sent, since the reader was behind or there were too many at once.
    pub missed: Arc<AtomicU64>,
}

/// A line on its way. It has room among those that a reader may be behind, until it is taken.
#[derive(Debug)]
struct Line {
    text: String,
    _room: OwnedSemaphorePermit,
}

impl TapStream {
    /// The next line; `None` once the tap has ended.
    pub async fn next(&mut self) -> Option<String> {
        Some(self.lines.recv().await?.text)
    }
}

/// There are as many taps as there may be.
#[derive(Debug, thiserror::Error)]
#[error("there are {MAX_TAPS} taps already, close one first")]
pub struct TooManyTaps;

/// All taps of a pipeline.
#[derive(Debug)]
pub(crate) struct Taps {
    /// So that a batch costs nothing where nobody looks.
    any: AtomicBool,
    open: Mutex<Vec<Arc<Open>>>,
    /// Reads conditions. Each tap has an engine of its own beside it, and none is the one that answers
    /// queries: a condition that exhausts its engine ends its tap, and nothing else.
    reads: Engine,
    checks: Arc<Semaphore>,
    /// Where letters are sealed, so are their messages: who may not see a payload sees none of them.
    are_sealed: bool,
}

impl Default for Taps {
    fn default() -> Self {
        Self {
            any: AtomicBool::default(),
            open: Mutex::default(),
            reads: Engine::of_memory(ENGINE_MB),
            checks: Arc::new(Semaphore::new(CHECKS_AT_ONCE)),
            are_sealed: false,
        }
    }
}

/// A tap, as the pipeline sees it.
#[derive(Debug)]
struct Open {
    tap: Tap,
    to: crossbeam_channel::Sender<RecordBatch>,
    missed: Arc<AtomicU64>,
    /// Why it ends, where the pipeline ends it.
    why: Arc<OnceLock<String>>,
}

/// A tap, as its thread sees it.
struct Writer {
    condition: Option<String>,
    engine: Engine,
    to: Sender<Line>,
    room: Arc<Semaphore>,
    missed: Arc<AtomicU64>,
    why: Arc<OnceLock<String>>,
}

impl Taps {
    /// Those of a pipeline whose letters are sealed, or are not.
    pub(crate) fn of_letters(are_sealed: bool) -> Self {
        Self { are_sealed, ..Self::default() }
    }

    /// Opens a tap.
    pub(crate) fn open(&self, tap: Tap) -> Result<TapStream, TooManyTaps> {
        let (to, lines) = channel(MAX_BEHIND);
        let (to_writer, batches) = crossbeam_channel::bounded(MAX_BATCHES_BEHIND);
        let missed = Arc::<AtomicU64>::default();
        let why = Arc::<OnceLock<String>>::default();
        let writer = Writer {
            condition: tap.condition.clone(),
            engine: Engine::of_memory(ENGINE_MB),
            to,
            room: Arc::new(Semaphore::new(MAX_BYTES_BEHIND)),
            missed: missed.clone(),
            why: why.clone(),
        };
        let mut open = lock(&self.open);
        open.retain(|open| open.is_wanted());
        if open.len() >= MAX_TAPS {
            return Err(TooManyTaps);
        }
        open.push(Arc::new(Open { tap, to: to_writer, missed: missed.clone(), why }));
        self.any.store(true, Ordering::Relaxed);
        std::thread::spawn(move || writer.write(&batches));
        Ok(TapStream { lines, missed })
    }

    /// Whether a text is a condition that a tap may have.
    pub(crate) async fn check(&self, condition: &str) -> Result<(), QueryError> {
        if condition.len() > MAX_CONDITION_BYTES {
            return Err(QueryError::Condition {
                condition: condition.chars().take(TOLD).chain(['…']).collect(),
                what: format!(
                    "it has {} bytes, wanted at most {MAX_CONDITION_BYTES}",
                    condition.len()
                ),
            });
        }
        // It is never closed.
        let turn = self.checks.clone().acquire_owned().await;
        let (reads, condition) = (self.reads.clone(), condition.to_owned());
        // To the end, also where nobody waits for it any more: else what takes forever would be left to it.
        let checked = tokio::task::spawn_blocking(move || {
            let checked = reads.check(&condition);
            drop(turn);
            checked
        });
        checked.await.map_err(|error| EngineError::Ask(std::io::Error::other(error)))?
    }

    /// Whether anybody looks.
    pub(crate) fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Shows rows that have passed a stage. `raw` are sensitive columns as they were before they were
    /// written anew.
    pub(crate) fn pass(
        &self,
        writes: &StageWrites<'_>,
        stage: &str,
        batch: &Batch,
        raw: &[RawColumn],
    ) {
        let is_last = writes.stages.last().is_some_and(|(last, _)| *last == stage);
        let count = |tap: &Tap| {
            let wanted = tap.stage.as_deref().map_or(is_last, |wanted| wanted == stage);
            if tap.rejected || !wanted { 0 } else { batch.rows() }
        };
        self.show(count, |tap| writes.seen(Some(stage), batch, raw, &tap.reveal));
    }

    /// Shows rows that were refused.
    pub(crate) fn reject(&self, rejected: &[Rejected]) {
        if rejected.is_empty() {
            return;
        }
        let rows = |tap: &Tap| -> Vec<&Rejected> {
            let wanted = |row: &&Rejected| tap.stage.as_deref().is_none_or(|s| s == &*row.stage);
            rejected.iter().filter(wanted).collect()
        };
        let count = |tap: &Tap| if tap.rejected { rows(tap).len() } else { 0 };
        self.show(count, |tap| {
            let payload = tap.reveals("payload");
            refused(&rows(tap), payload, payload || !self.are_sealed)
        });
    }

    /// Ends taps on stages that are none of these any more. Each says so as its last line.
    pub(crate) fn end_gone(&self, stages: &[&str]) {
        let mut open = lock(&self.open);
        open.retain(|open| {
            // Others than plugins refuse rows too.
            let is_host = |stage: &&str| open.tap.rejected && stage::ALL.contains(stage);
            let is_there = |stage: &&str| stages.contains(stage) || is_host(stage);
            let gone = open.tap.stage.as_deref().filter(|stage| !is_there(stage));
            let Some(gone) = gone else { return true };
            let stages = stages.join("`, `");
            let why = format!("stage `{gone}` is gone, the stages are now `{stages}`");
            // It is told once.
            let _ = open.why.set(why);
            false
        });
        self.any.store(!open.is_empty(), Ordering::Relaxed);
    }

    /// Shows rows to the taps that want some: `count` says how many at most, and costs little.
    fn show(
        &self,
        count: impl Fn(&Tap) -> usize,
        rows: impl Fn(&Tap) -> Result<RecordBatch, ArrowError>,
    ) {
        // Made without the lock: one worker does not wait for another's rows.
        let open = lock(&self.open).clone();
        let has_ended = |open: &&Arc<Open>| !open.show(&count, &rows);
        let ended: Vec<&Arc<Open>> = open.iter().filter(has_ended).collect();
        if !ended.is_empty() {
            let mut open = lock(&self.open);
            open.retain(|open| !ended.iter().any(|ended| Arc::ptr_eq(ended, open)));
            self.any.store(!open.is_empty(), Ordering::Relaxed);
        }
    }
}

impl Writer {
    /// A tap's thread: until nobody listens any more, or its condition fails.
    fn write(&self, batches: &crossbeam_channel::Receiver<RecordBatch>) {
        loop {
            match batches.recv_timeout(IDLE) {
                Ok(rows) => match self.send(&rows) {
                    Ok(true) => {}
                    Ok(false) => return,
                    Err(error) => return self.end(&clickmill_core::causes(&error)),
                },
                Err(crossbeam_channel::RecvTimeoutError::Timeout) if !self.to.is_closed() => {}
                Err(_) => return self.why.get().map_or((), |why| self.end(why)),
            }
        }
    }

    /// Says why it ends.
    fn end(&self, why: &str) {
        let error = serde_json::json!({ "error": why });
        let _ = self.send_line(format!("{error}\n"));
    }

    /// Sends the rows that the condition holds for. `false` where nobody listens any more.
    fn send(&self, rows: &RecordBatch) -> Result<bool, TapError> {
        let kept = match &self.condition {
            Some(condition) => self.engine.filter(condition, rows)?,
            None => rows.clone(),
        };
        let shown = kept.slice(0, kept.num_rows().min(MAX_ROWS));
        let missed = (kept.num_rows() - shown.num_rows()) as u64;
        self.missed.fetch_add(missed, Ordering::Relaxed);
        let shown = ResultSet::of(&Answer { schema: shown.schema(), batches: vec![shown] })?;
        for line in shown.lines() {
            if !self.send_line(line) {
                return Ok(false);
            }
        }
        Ok(!self.to.is_closed())
    }

    /// Sends a line where there is room for it. `false` where nobody listens any more.
    fn send_line(&self, text: String) -> bool {
        let bytes = u32::try_from(text.len()).unwrap_or(u32::MAX);
        let sent = self
            .room
            .clone()
            .try_acquire_many_owned(bytes)
            .ok()
            .map(|room| self.to.try_send(Line { text, _room: room }));
        match sent {
            Some(Ok(())) => true,
            Some(Err(TrySendError::Closed(_))) => false,
            Some(Err(TrySendError::Full(_))) | None => {
                self.missed.fetch_add(1, Ordering::Relaxed);
                true
            }
        }
    }
}

impl Open {
    /// Shows rows, unless the tap is behind. `false` where it has ended.
    fn show(
        &self,
        count: impl Fn(&Tap) -> usize,
        rows: impl Fn(&Tap) -> Result<RecordBatch, ArrowError>,
    ) -> bool {
        let missed = |rows: usize| self.missed.fetch_add(rows as u64, Ordering::Relaxed);
        let wanted = count(&self.tap);
        if wanted == 0 {
            return true;
        }
        // What is thrown away is not made.
        if self.to.is_full() {
            missed(wanted);
            return true;
        }
        let rows = match rows(&self.tap) {
            Ok(rows) if rows.num_rows() == 0 => return true,
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(error = clickmill_core::causes(&error), "a tap is closed");
                return false;
            }
        };
        match self.to.try_send(rows) {
            Ok(()) => true,
            Err(crossbeam_channel::TrySendError::Full(rows)) => {
                missed(rows.num_rows());
                true
            }
            Err(crossbeam_channel::TrySendError::Disconnected(_)) => false,
        }
    }

    /// Whether its thread still goes on. That ends a moment after its reader.
    fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.missed) > 1
    }
}

impl Tap {
    fn reveals(&self, column: &str) -> bool {
        reveals(&self.reveal, column)
    }
}

#[cfg(test)]
mod tests;
