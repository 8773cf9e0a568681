//! The rows of a stream: a file per flush, durable once [`Live::append`] returns. Rows whose key was
//! written a short while ago are dropped: messages are delivered again after a crash.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime};

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, oneshot};

use super::claim::Claim;
use super::compact::SILENT;
use super::file::properties;
use super::flushes::Flushes;
use super::load::date;
use super::log::{Log, TICK};
use super::repeats::{KEY as REPEATS, Known, Times};
use super::window::{Fresh, Key, Window};
use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_core::causes;

/// So many flushes are a block that may be merged.
const COMPACT_EVERY: u64 = 16;
/// So often at most merging is thought about: it lists the table.
const COMPACT_REST: Duration = Duration::from_secs(8);
/// What a stream that ends has for merging its files.
const CLOSING: Duration = Duration::from_secs(5);

/// Appends to one table.
#[derive(Clone)]
pub(crate) struct Live {
    warehouse: Warehouse,
    table: TableName,
    schema: SchemaRef,
    key: Option<Arc<Key>>,
    written: Arc<Mutex<Written>>,
    closing: Arc<AtomicBool>,
    writer: Sender<Task>,
    has_log: Arc<AtomicBool>,
}

/// What the thread that writes does next.
type Task = Box<dyn FnOnce() + Send>;

/// What was written, and where the next flush goes.
struct Written {
    window: Window,
    known: Known,
    flush: Flushes,
    /// The day in whose folder the next flush belongs: that of its first try, since a file that a failed
    /// try has published is not to be published again in another.
    day: Option<String>,
    /// When the last flush was durable.
    at: SystemTime,
    log: Option<Log>,
    compacting: Option<JoinHandle<()>>,
    /// When that began last.
    compacted: Instant,
    /// Of the session: to others it is over once this is given back.
    claim: Claim,
}

impl Live {
    /// An appender of a pipeline. `key` are the columns that tell a repeated row; the keys of files written
    /// lately are read back.
    pub(crate) async fn open(
        warehouse: &Warehouse,
        table: &TableName,
        schema: SchemaRef,
        key: &[&str],
        pipeline: &str,
    ) -> Result<Self, WarehouseError> {
        let mut window = Window::default();
        let key =
            Key::of(&schema, key).map_err(|error| warehouse.unwritten(table, error.into()))?;
        if let Some(key) = &key {
            warehouse.read_window(table, key, &mut window).await?;
        }
        let log = Log::open(warehouse, table, &schema, pipeline).await?;
        let (flush, claim) = warehouse.begin_session(Flushes::begin)?;
        let written = Written {
            window,
            known: Known::default(),
            claim,
            flush,
            day: None,
            at: SystemTime::now(),
            log,
            compacting: None,
            compacted: Instant::now(),
        };
        let has_log = Arc::new(AtomicBool::new(written.log.is_some()));
        let written = Arc::new(Mutex::new(written));
        let writer = writer().map_err(|source| {
            warehouse.disk_failed(format!("begin a thread that writes to `{table}`"), source)
        })?;
        let live = Self {
            warehouse: warehouse.clone(),
            table: table.clone(),
            schema,
            key: key.map(Arc::new),
            written,
            closing: Arc::default(),
            writer,
            has_log,
        };
        if warehouse.disk.is_some() {
            tokio::spawn(live.ticks(pipeline, TICK));
        }
        Ok(live)
    }

    /// Whether small flushes go to a log.
    pub(crate) fn has_log(&self) -> bool {
        self.has_log.load(Ordering::Relaxed)
    }

    /// Packs what waits in the log of a stream that may write nothing more, for as long as it is there. Where another
    /// process had the log, which may just have packed what it found there, it is asked for again.
    pub(super) fn ticks(
        &self,
        pipeline: &str,
        every: Duration,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (warehouse, table, schema) =
            (self.warehouse.clone(), self.table.clone(), self.schema.clone());
        let (pipeline, has_log) = (pipeline.to_owned(), self.has_log.clone());
        // The stream is to end.
        let written = Arc::downgrade(&self.written);
        async move {
            loop {
                tokio::time::sleep(every).await;
                let log = if has_log.load(Ordering::Relaxed) {
                    None
                } else {
                    let log = Log::open(&warehouse, &table, &schema, &pipeline).await;
                    // Small flushes go to the table until then.
                    log.unwrap_or_else(|error| {
                        tracing::debug!(error = causes(&error), "a stream gets no log");
                        None
                    })
                };
                let Some(written) = written.upgrade() else { return };
                let mut written = written.lock().await;
                if log.is_some() {
                    written.log = log;
                    has_log.store(true, Ordering::Relaxed);
                }
                if let Some(log) = &mut written.log {
                    log.tick().await;
                }
            }
        }
    }

    /// Brings all rows into the table's folder, where other tools look, in few files.
    pub(crate) async fn close(&self) {
        let mut written = self.written.lock().await;
        if let Some(log) = &mut written.log {
            log.close().await;
        }
        // What others have left may be much, and a stream that is told to stop stops.
        self.closing.store(true, Ordering::Relaxed);
        if let Some(compacting) = written.compacting.take() {
            // What it could not do is done now.
            let _ = tokio::task::spawn_blocking(move || compacting.join()).await;
        }
        let until = Instant::now() + CLOSING;
        let (this, session) = (self.clone(), written.flush.session.clone());
        let runtime = Handle::current();
        let compacting = tokio::task::spawn_blocking(move || {
            this.compact(&runtime, Some(&session), &|| Instant::now() < until);
        });
        let _ = compacting.await;
    }

    /// Merges small files. What can't be merged now is merged later.
    fn compact(&self, runtime: &Handle, ended: Option<&str>, goes_on: &dyn Fn() -> bool) {
        let now = runtime.block_on(self.warehouse.now());
        let compacted =
            now.and_then(|now| self.warehouse.compact(runtime, &self.table, now, ended, goes_on));
        if let Err(error) = compacted {
            let table = self.table.to_string();
            tracing::warn!(error = causes(&error), table, "small files stay as they are");
        }
    }

    /// Makes rows durable and visible. Returns which of them were there already, by batch and number.
    pub(crate) async fn append(
        &self,
        batches: &[RecordBatch],
    ) -> Result<Vec<(usize, usize)>, WarehouseError> {
        let (this, batches, runtime) = (self.clone(), batches.to_vec(), Handle::current());
        let (answer, written) = oneshot::channel();
        let task: Task = Box::new(move || {
            let _ = answer.send(this.write(&runtime, &batches));
        });
        let ended = || {
            // Nothing will be written any more: it is not tried again.
            let source = ParquetError::General("the thread that writes has panicked".to_owned());
            self.warehouse.unwritten(&self.table, source)
        };
        self.writer.send(task).map_err(|_| ended())?;
        written.await.map_err(|_| ended())?
    }

    fn write(
        &self,
        runtime: &Handle,
        batches: &[RecordBatch],
    ) -> Result<Vec<(usize, usize)>, WarehouseError> {
        let warehouse = &self.warehouse;
        let failed = |source| warehouse.unwritten(&self.table, source);
        let mut before = self.written.blocking_lock();
        let Written { window, known, flush, day, at, log, claim, .. } = &mut *before;
        // By now others may take the session to be over, where no lock tells.
        if warehouse.disk.is_none() && at.elapsed().unwrap_or_default() > SILENT / 2 {
            (*flush, *claim) = warehouse.begin_session(Flushes::begin)?;
            *known = Known::default();
        }
        let mut fresh = Fresh::new();
        let mut news = Times::default();
        let mut repeated = Vec::new();
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let properties = if log.is_some() { Log::properties(rows) } else { properties() };
        let mut writer = ArrowWriter::try_new(Vec::new(), self.schema.clone(), Some(properties))
            .map_err(failed)?;
        let mut written = 0;
        for (number, batch) in batches.iter().enumerate() {
            let batch = match &self.key {
                Some(key) => {
                    let keys = key.digests(batch).map_err(|error| failed(error.into()))?;
                    let unseen = window.unseen(&keys, &mut fresh);
                    let seen = unseen.iter().enumerate().filter(|(_, unseen)| !**unseen);
                    repeated.extend(seen.map(|(row, _)| (number, row)));
                    let keep = BooleanArray::from(unseen);
                    filter_record_batch(batch, &keep).map_err(|error| failed(error.into()))?
                }
                None => batch.clone(),
            };
            let key = self.key.as_ref();
            news.add(&batch, key.map_or(batch.num_rows(), |key| key.missing(&batch)));
            written += batch.num_rows();
            writer.write(&batch).map_err(failed)?;
        }
        if written > 0 {
            if let Some(said) = known.repeats(&news).said() {
                writer
                    .append_key_value_metadata(KeyValue::new(REPEATS.to_owned(), said.to_owned()));
            }
            let bytes = writer.into_inner().map_err(failed)?;
            let day = day.get_or_insert_with(|| date(SystemTime::now())).clone();
            runtime.block_on(async {
                match log {
                    Some(log) if Log::takes(written) => log.add(flush, bytes, written).await,
                    _ => {
                        let to = flush.in_table(&warehouse.day(&self.table, &day), &bytes);
                        warehouse.put_once(&to, bytes).await
                    }
                }
            })?;
            // Only now: a flush that is tried again is not a second file.
            flush.advance();
            known.add(&news, fresh.len());
            (before.day, before.at) = (None, SystemTime::now());
            let is_busy = before.compacting.as_ref().is_some_and(|task| !task.is_finished());
            let is_due = before.compacted.elapsed() >= COMPACT_REST && !is_busy;
            if is_due && before.flush.first.is_multiple_of(COMPACT_EVERY) {
                before.compacting = self.compact_beside(runtime);
                before.compacted = Instant::now();
            }
        }
        before.window.add(fresh);
        Ok(repeated)
    }
}

impl Live {
    /// Merges small files beside what is written. `None` where there can be no thread: it is done later.
    fn compact_beside(&self, runtime: &Handle) -> Option<JoinHandle<()>> {
        let (this, runtime) = (self.clone(), runtime.clone());
        let compact = move || {
            this.compact(&runtime, None, &|| !this.closing.load(Ordering::Relaxed));
        };
        // A thread of its own: each of the runtime's that once did this would keep the memory that it takes.
        thread::Builder::new().name("compact".to_owned()).spawn(compact).ok()
    }
}

/// A thread that does one task after the other, and ends with the last sender. Compressing and waiting for
/// the disk belong on a thread, and on a single one: each of a runtime's threads would keep the memory that a
/// flush takes.
fn writer() -> io::Result<Sender<Task>> {
    let (tasks, todo) = mpsc::channel::<Task>();
    thread::Builder::new()
        .name("write".to_owned())
        .spawn(move || todo.iter().for_each(|task| task()))?;
    Ok(tasks)
}

impl Warehouse {
    /// Begins a session. As long as its claim is held, no process takes it to be over. A sweep may hold the
    /// claim of a name for a moment: then the session gets another name.
    fn begin_session(
        &self,
        mut names: impl FnMut() -> Flushes,
    ) -> Result<(Flushes, Claim), WarehouseError> {
        loop {
            let flush = names();
            if let Some(claim) = self.claim(&flush.session)? {
                return Ok((flush, claim));
            }
        }
    }

    fn unwritten(&self, table: &TableName, source: ParquetError) -> WarehouseError {
        let (uri, what) = (self.uri.clone(), format!("write to `{table}`"));
        WarehouseError::Parquet { uri, what, source }
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::{DataType, Field, Schema};

    use super::*;

    #[tokio::test]
    async fn a_stream_is_not_held_for_a_writer_that_has_panicked() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).unwrap();
        let table = TableName { dataset: "d".to_owned(), table: "t".to_owned() };
        let schema: SchemaRef = Schema::new(vec![Field::new("a", DataType::Utf8, true)]).into();
        let live = Live::open(&warehouse, &table, schema.clone(), &[], "p").await.unwrap();
        live.writer.send(Box::new(|| panic!("a bug"))).unwrap();
        for _ in 0..2 {
            let rows = [RecordBatch::new_empty(schema.clone())];
            let error = live.append(&rows).await.unwrap_err();
            assert!(!error.is_transient(), "{error}");
        }
    }

    #[test]
    fn no_session_begins_without_its_claim() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).unwrap();
        let taken = warehouse.claim("s1").unwrap().unwrap();
        let mut number = 0;
        let names = || {
            number += 1;
            Flushes { session: format!("s{number}"), first: 0, last: 0 }
        };
        let (flush, claim) = warehouse.begin_session(names).unwrap();
        assert_eq!(flush.session, "s2");
        assert!(warehouse.claim("s2").unwrap().is_none());
        drop((taken, claim));
    }
}
