//! Taps: somebody looks at rows as they pass, after a stage, or at those that are refused.
//!
//! A reader sees a column only in its last form: not one that a later stage still writes, since that may
//! be where it is masked, and not one that is sensitive in the table's schema; unless it is revealed.
//! Rows that a slow reader does not take are counted, not kept: a tap never holds the pipeline up.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use arrow::json::LineDelimitedWriter;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::batch::{Batch, Position, Rejected};
use crate::sink::{RowFilter, RowFilterError};

/// Lines that a reader may be behind.
const MAX_BEHIND: usize = 1000;
/// Rows of a batch that are shown at most.
const MAX_ROWS: usize = 100;
/// What stands in place of a value that is not shown.
const HIDDEN: &str = "(hidden)";
/// Columns that hold records as they came in.
const RAW: [&str; 2] = ["payload", "attributes"];

/// What somebody wants to see.
#[derive(Debug)]
pub struct Tap {
    /// After which stage; the last where absent.
    pub stage: Option<String>,
    /// Rows that are refused, by any stage or the one named, in place of those that pass.
    pub rejected: bool,
    /// Which rows.
    pub filter: Option<RowFilter>,
    /// Columns that are shown though they are sensitive or raw; `*` is all of them.
    pub reveal: Vec<String>,
}

/// The lines of a tap: JSON objects.
#[derive(Debug)]
pub struct Taken {
    /// Receives them; closing it ends the tap.
    pub lines: Receiver<String>,
    /// Rows that passed and were not sent, since the reader was behind or there were too many at once.
    pub missed: Arc<AtomicU64>,
}

/// All taps of a pipeline.
#[derive(Debug, Default)]
pub(super) struct Taps {
    /// So that a batch costs nothing where nobody looks.
    any: AtomicBool,
    open: Mutex<Vec<Open>>,
}

#[derive(Debug)]
struct Open {
    tap: Tap,
    to: Sender<String>,
    missed: Arc<AtomicU64>,
}

/// What a chain does to columns, as far as a tap has to know.
pub(super) struct Ways<'a> {
    /// The stages in order, each with the columns that it writes.
    pub stages: Vec<(&'a str, Vec<&'a str>)>,
    /// Sensitive columns of the table.
    pub sensitive: Vec<&'a str>,
}

impl Taps {
    /// Opens a tap.
    pub fn open(&self, tap: Tap) -> Taken {
        let (to, lines) = channel(MAX_BEHIND);
        let missed = Arc::<AtomicU64>::default();
        self.lock().push(Open { tap, to, missed: missed.clone() });
        self.any.store(true, Ordering::Relaxed);
        Taken { lines, missed }
    }

    /// Whether anybody looks.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Relaxed)
    }

    /// Shows rows that have passed a stage.
    pub fn pass(&self, ways: &Ways<'_>, stage: &str, batch: &Batch) {
        let is_last = ways.stages.last().is_some_and(|(last, _)| *last == stage);
        self.show(|tap| {
            let wanted = tap.stage.as_deref().map_or(is_last, |wanted| wanted == stage);
            if tap.rejected || !wanted || batch.rows() == 0 {
                return Ok(None);
            }
            let hidden = ways.hidden_after(stage);
            masked(&batch.columns, |name| hidden.contains(name) && !tap.reveals(name)).map(Some)
        });
    }

    /// Shows rows that were refused.
    pub fn reject(&self, rejected: &[Rejected]) {
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
        let mut open = self.lock();
        open.retain(|open| {
            let shown = rows(&open.tap)
                .map_err(RowFilterError::from)
                .and_then(|rows| rows.map_or(Ok(true), |rows| open.send(&rows)));
            shown.unwrap_or_else(|error| {
                let error = crate::telemetry::causes(&error);
                let _ = open.to.try_send(format!("{}\n", serde_json::json!({ "error": error })));
                false
            })
        });
        self.any.store(!open.is_empty(), Ordering::Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Sends the rows that the filter keeps. `false` where nobody listens any more.
    fn send(&self, rows: &RecordBatch) -> Result<bool, RowFilterError> {
        let kept = match &self.tap.filter {
            Some(filter) => filter.keep(rows)?,
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
            match self.to.try_send(line.to_owned()) {
                Ok(()) => {}
                Err(TrySendError::Full(_)) => {
                    self.missed.fetch_add(1, Ordering::Relaxed);
                }
                Err(TrySendError::Closed(_)) => return Ok(false),
            }
        }
        Ok(!self.to.is_closed())
    }
}

impl Tap {
    fn reveals(&self, column: &str) -> bool {
        self.reveal.iter().any(|name| name == "*" || name == column)
    }
}

impl<'a> Ways<'a> {
    /// Columns that are not in their last form after a stage, or sensitive.
    fn hidden_after(&self, stage: &str) -> BTreeSet<&'a str> {
        let later = self.stages.iter().skip_while(|(name, _)| *name != stage).skip(1);
        let written = later.flat_map(|(_, writes)| writes.iter().copied());
        written.chain(self.sensitive.iter().copied()).chain(RAW).collect()
    }
}

/// The rows, with hidden columns' values replaced: nor can a filter tell what they were.
fn masked(rows: &RecordBatch, hidden: impl Fn(&str) -> bool) -> Result<RecordBatch, ArrowError> {
    let schema = rows.schema();
    let columns = schema.fields().iter().zip(rows.columns());
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns
        .map(|(field, column)| match hidden(field.name()) {
            true => {
                let values: StringArray =
                    (0..column.len()).map(|row| column.is_valid(row).then_some(HIDDEN)).collect();
                let array: ArrayRef = Arc::new(values);
                (Field::new(field.name(), DataType::Utf8, true), array)
            }
            false => (field.as_ref().clone(), column.clone()),
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
            texts(&|row| match payload {
                true => Some(String::from_utf8_lossy(&row.payload).into_owned()),
                false => Some(HIDDEN.to_owned()),
            }),
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(
        columns.into_iter().map(|(name, column)| (name, column, true)),
    )
}
