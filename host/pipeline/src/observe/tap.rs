//! Taps: somebody looks at rows as they pass, after a stage, or at those that are refused.
//!
//! A reader sees a column only in its last form: not one that a later stage still writes, since that may
//! be where it is masked, not one that is sensitive in the table's schema, and not one that the table does
//! not have, of which nobody says what it holds; unless it is revealed. Nor a row of which another column
//! holds what a sensitive one is not to tell: the guard will stop it.
//! A tap never holds the pipeline up: its rows are filtered and written on a thread of its own, by the SQL
//! engine's process, and rows that it does not take in time are counted, not kept.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::versions::fit::Fitted;
use crate::versions::guard::Guard;
use clickmill_core::batch::{Batch, Position, Rejected};
use clickmill_core::lock;
use clickmill_core::schema::TableSchema;
use clickmill_query::{Engine, QueryError};

/// Taps at once: each costs a thread and a copy of what it shows.
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
/// What stands in place of a value that is not shown.
const HIDDEN: &str = "(hidden)";
/// Columns that hold records as they came in.
const RAW: [&str; 2] = ["payload", "attributes"];

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

/// What somebody wants to see.
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
#[derive(Debug, Default)]
pub(crate) struct Taps {
    /// So that a batch costs nothing where nobody looks.
    any: AtomicBool,
    open: Mutex<Vec<Open>>,
    /// Apart from the one that answers queries: a condition that exhausts it ends no query.
    engine: Engine,
}

/// A tap, as the pipeline sees it.
#[derive(Debug)]
struct Open {
    tap: Tap,
    to: crossbeam_channel::Sender<RecordBatch>,
    missed: Arc<AtomicU64>,
}

/// A tap, as its thread sees it.
struct Writer {
    condition: Option<String>,
    engine: Engine,
    to: Sender<Line>,
    room: Arc<Semaphore>,
    missed: Arc<AtomicU64>,
}

/// What a chain does to columns, as far as a tap has to know.
pub(crate) struct StageWrites<'a> {
    /// The stages in order, each with the columns that it writes.
    pub stages: Vec<(&'a str, Vec<&'a str>)>,
    /// Columns of the table that are not sensitive.
    pub open: BTreeSet<&'a str>,
    /// Knows what no row is to hold.
    pub guard: &'a Guard,
}

impl Taps {
    /// Opens a tap.
    pub(crate) fn open(&self, tap: Tap) -> Result<TapStream, TooManyTaps> {
        let (to, lines) = channel(MAX_BEHIND);
        let (to_writer, batches) = crossbeam_channel::bounded(MAX_BATCHES_BEHIND);
        let missed = Arc::<AtomicU64>::default();
        let writer = Writer {
            condition: tap.condition.clone(),
            engine: self.engine.clone(),
            to,
            room: Arc::new(Semaphore::new(MAX_BYTES_BEHIND)),
            missed: missed.clone(),
        };
        let mut open = lock(&self.open);
        open.retain(Open::is_wanted);
        if open.len() >= MAX_TAPS {
            return Err(TooManyTaps);
        }
        open.push(Open { tap, to: to_writer, missed: missed.clone() });
        self.any.store(true, Ordering::Relaxed);
        std::thread::spawn(move || writer.write(&batches));
        Ok(TapStream { lines, missed })
    }

    /// Whether a text is a condition that a tap may have.
    pub(crate) async fn check(&self, condition: &str) -> Result<(), QueryError> {
        self.engine.check(condition).await
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
        raw: &[(String, ArrayRef)],
    ) {
        let is_last = writes.stages.last().is_some_and(|(last, _)| *last == stage);
        self.show(|tap| {
            let wanted = tap.stage.as_deref().map_or(is_last, |wanted| wanted == stage);
            if tap.rejected || !wanted || batch.rows() == 0 {
                return Ok(None);
            }
            let shown = writes.shown_after(stage);
            let is_hidden = |name: &str| !shown.contains(name) && !tap.reveals(name);
            let rows = masked(&batch.columns, is_hidden)?;
            let raw = writes.raw_after(stage, batch, raw);
            let raw: Vec<_> = raw.filter(|(name, _)| !tap.reveals(name)).collect();
            let rows = filter_record_batch(&rows, &writes.guard.holding_none(&rows, &raw)?)?;
            Ok(Some(rows).filter(|rows| rows.num_rows() > 0))
        });
    }

    /// Shows rows that were refused.
    pub(crate) fn reject(&self, rejected: &[Rejected]) {
        if rejected.is_empty() {
            return;
        }
        self.show(|tap| {
            if !tap.rejected {
                return Ok(None);
            }
            let wanted = |row: &&Rejected| tap.stage.as_deref().is_none_or(|s| s == &*row.stage);
            let rows: Vec<&Rejected> = rejected.iter().filter(wanted).collect();
            refused(&rows, tap.reveals("payload")).map(Some)
        });
    }

    fn show(&self, rows: impl Fn(&Tap) -> Result<Option<RecordBatch>, ArrowError>) {
        let mut open = lock(&self.open);
        open.retain(|open| {
            let rows = match rows(&open.tap) {
                Ok(Some(rows)) => rows,
                Ok(None) => return true,
                Err(error) => {
                    tracing::warn!(error = clickmill_core::causes(&error), "a tap is closed");
                    return false;
                }
            };
            match open.to.try_send(rows) {
                Ok(()) => true,
                Err(crossbeam_channel::TrySendError::Full(rows)) => {
                    open.missed.fetch_add(rows.num_rows() as u64, Ordering::Relaxed);
                    true
                }
                Err(crossbeam_channel::TrySendError::Disconnected(_)) => false,
            }
        });
        self.any.store(!open.is_empty(), Ordering::Relaxed);
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
                    Err(error) => {
                        let error = serde_json::json!({ "error": clickmill_core::causes(&error) });
                        let _ = self.send_line(format!("{error}\n"));
                        return;
                    }
                },
                Err(crossbeam_channel::RecvTimeoutError::Timeout) if !self.to.is_closed() => {}
                Err(_) => return,
            }
        }
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
        let mut writer = LineDelimitedWriter::new(Vec::new());
        writer.write(&shown)?;
        writer.finish()?;
        let text = String::from_utf8_lossy(&writer.into_inner()).into_owned();
        for line in text.split_inclusive('\n') {
            if !self.send_line(line.to_owned()) {
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
    /// Whether its thread still goes on. That ends a moment after its reader.
    fn is_wanted(&self) -> bool {
        Arc::strong_count(&self.missed) > 1
    }
}

impl Tap {
    fn reveals(&self, column: &str) -> bool {
        self.reveal.iter().any(|name| name == "*" || name == column)
    }
}

impl<'a> StageWrites<'a> {
    /// What a chain writes, of which the rows go to a table.
    pub(crate) fn of(fitted: &'a Fitted, table: &'a TableSchema) -> Self {
        let stages = fitted.chain.writes().map(|(stage, writes)| (stage, writes.collect()));
        let open = table.columns.iter().filter(|column| !column.is_sensitive());
        let open = open.map(|column| column.name.as_str()).collect();
        Self { stages: stages.collect(), open, guard: &fitted.guard }
    }

    /// Columns that are written after a stage.
    fn written_after(&self, stage: &str) -> impl Iterator<Item = &'a str> {
        let later = self.stages.iter().skip_while(move |(name, _)| *name != stage).skip(1);
        later.flat_map(|(_, writes)| writes.iter().copied())
    }

    /// Columns that anybody may see after a stage: in their last form, and not sensitive.
    fn shown_after(&self, stage: &str) -> BTreeSet<&'a str> {
        let later: BTreeSet<&str> = self.written_after(stage).chain(RAW).collect();
        self.open.difference(&later).copied().collect()
    }

    /// Raw values after a stage: those of columns that were written anew, and of those that will be.
    fn raw_after(
        &self,
        stage: &str,
        batch: &Batch,
        raw: &[(String, ArrayRef)],
    ) -> impl Iterator<Item = (String, ArrayRef)> {
        let later: BTreeSet<&str> = self.written_after(stage).collect();
        let still = self
            .guard
            .columns()
            .filter(move |name| later.contains(name) && raw.iter().all(|(known, _)| known != name));
        let still = still.filter_map(|name| {
            Some((name.to_owned(), batch.columns.column_by_name(name)?.clone()))
        });
        raw.iter().cloned().chain(still)
    }
}

/// The rows, with hidden columns' values replaced: nor can a filter tell what they were.
fn masked(rows: &RecordBatch, hidden: impl Fn(&str) -> bool) -> Result<RecordBatch, ArrowError> {
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns
        .map(|(field, column)| {
            if hidden(field.name()) {
                let values: StringArray =
                    (0..column.len()).map(|row| column.is_valid(row).then_some(HIDDEN)).collect();
                let array: ArrayRef = Arc::new(values);
                (Field::new(field.name(), DataType::Utf8, true), array)
            } else {
                (field.as_ref().clone(), column.clone())
            }
        })
        .unzip();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Refused rows in columns.
fn refused(rows: &[&Rejected], payload: bool) -> Result<RecordBatch, ArrowError> {
    let texts = |text: &dyn Fn(&Rejected) -> Option<String>| -> ArrayRef {
        Arc::new(rows.iter().map(|row| text(row)).collect::<StringArray>())
    };
    let line = |row: &&Rejected| match &row.position {
        Position::Line(line) => Some(*line as i64),
        Position::Message(_) => None,
    };
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("stage", texts(&|row| Some(row.stage.to_string()))),
        ("code", texts(&|row| Some(row.reason.code.clone()))),
        ("message", texts(&|row| Some(row.reason.message.clone()))),
        ("column", texts(&|row| row.reason.column.clone())),
        ("source", texts(&|row| Some(row.source.to_string()))),
        ("source_line", Arc::new(rows.iter().map(line).collect::<Int64Array>())),
        (
            "message_id",
            texts(&|row| match &row.position {
                Position::Message(message) => Some(message.id.to_string()),
                Position::Line(_) => None,
            }),
        ),
        (
            "payload",
            texts(&|row| {
                if payload {
                    Some(String::from_utf8_lossy(&row.payload).into_owned())
                } else {
                    Some(HIDDEN.to_owned())
                }
            }),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bytes::Bytes;

    use super::*;
    use clickmill_config::{self as config, Format};
    use clickmill_core::Micros;
    use clickmill_core::batch::{Origins, Positions};

    #[tokio::test]
    async fn a_row_that_the_guard_will_stop_is_shown_after_no_stage() {
        let schema = r#"[
            {"name": "ip", "type": "STRING", "policyTags": {"names": ["t"]}},
            {"name": "note", "type": "STRING"}
        ]"#;
        let schema = TableSchema::parse(schema, Path::new("t.json")).expect("a schema");
        let format = Format::Ndjson { max_record_bytes: 1024 };
        let guard = Guard::of(&schema, &config::Guard::default(), &format);
        let stages = vec![("parse", vec!["ip", "note"]), ("mask", vec!["ip"])];
        let writes = StageWrites { stages, open: ["note"].into(), guard: &guard };
        let texts =
            |values: [&str; 2]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
        let raw = texts(["203.0.113.9", "203.0.113.7"]);
        let before = [("ip".to_owned(), raw.clone())];
        for (stage, ips, before) in
            [("parse", raw, &before[..0]), ("mask", texts(["203.0.113.0"; 2]), &before[..])]
        {
            // What `parse` has made `ip` of is no column of the table.
            let columns = [
                ("Client IP", texts(["203.0.113.9", "203.0.113.7"])),
                ("ip", ips),
                ("note", texts(["from 203.0.113.9", "none"])),
            ];
            let columns = RecordBatch::try_from_iter(columns).expect("a batch");
            let origins = Origins {
                source: "t@1".into(),
                header: None,
                positions: Positions::Lines(vec![1, 2]),
                places: None,
                block: Bytes::new(),
                ranges: vec![0..0; 2],
            };
            let batch = Batch { columns, origins, ingest_time: Micros::default() };
            for (reveal, first) in [(vec![], "none"), (vec!["ip".to_owned()], "from 203.0.113.9")] {
                let (taps, stage_of_tap) = (Taps::default(), Some(stage.to_owned()));
                let tap = Tap { stage: stage_of_tap, rejected: false, condition: None, reveal };
                let mut shown = taps.open(tap).expect("room for a tap");
                taps.pass(&writes, stage, &batch, before);
                let line = shown.next().await.expect("a row");
                let row: serde_json::Value = serde_json::from_str(&line).expect("JSON");
                assert_eq!(row["note"], first, "{line}");
                assert_eq!(row["Client IP"], HIDDEN, "{line}");
            }
        }
    }

    #[tokio::test]
    async fn a_reader_that_is_behind_holds_few_bytes_and_is_told_what_it_missed() {
        let (to, lines) = channel(MAX_BEHIND);
        let missed = Arc::<AtomicU64>::default();
        let writer = Writer {
            condition: None,
            engine: Engine::default(),
            to,
            room: Arc::new(Semaphore::new(MAX_BYTES_BEHIND)),
            missed: missed.clone(),
        };
        let mut taken = TapStream { lines, missed };
        let quarter = || "x".repeat(MAX_BYTES_BEHIND / 4);
        assert!((0..6).all(|_| writer.send_line(quarter())));
        assert_eq!(taken.missed.swap(0, Ordering::Relaxed), 2);
        // What is taken makes room.
        assert_eq!(taken.next().await.map(|line| line.len()), Some(MAX_BYTES_BEHIND / 4));
        assert!(writer.send_line(quarter()) && writer.send_line(String::from("\n")));
        assert_eq!(taken.missed.swap(0, Ordering::Relaxed), 1);
        let before: Vec<_> = (0..4).map(|_| taken.lines.try_recv().is_ok()).collect();
        assert_eq!(before, [true; 4]);
        assert!(writer.send_line("x".repeat(MAX_BYTES_BEHIND + 1)));
        assert_eq!(taken.missed.load(Ordering::Relaxed), 1, "it never fits");
        assert!((0..2 * MAX_BEHIND).all(|_| writer.send_line(String::new())));
        assert_eq!(taken.missed.load(Ordering::Relaxed), 1 + MAX_BEHIND as u64);
        drop(taken);
        assert!(!writer.send_line(String::from("\n")));
    }
}
