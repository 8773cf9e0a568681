//! The log of a table: the small files that a stream has written lately.
//!
//! A stream is durable some fifty times a second, and a table of such files is slow to read for everybody. So
//! small flushes go to the log, beside the tables, and are packed into one file of the table every few
//! seconds, or every minute where there are few. A query reads the table and what of the log is not in it
//! yet; other tools see the table.
//!
//! ```text
//! <warehouse>/_log/<dataset>/<table>/<pipeline>/<session>-<flush>-<digest>.parquet
//! <warehouse>/<dataset>/<table>/load_date=2026-11-25/live-<session>-<first flush>-<last flush>.parquet
//! ```
//!
//! A file's name says which flushes of which session it holds ([`super::flushes`]), and a flush's what is
//! in it. So what is published again is still one file, and a reader knows which files of the log to leave
//! out, whatever was interrupted. What is packed stays in the log for another half minute at least, and for five more
//! minutes in `_replaced`: whoever has listed it finds it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::file::{TableFile, properties};
use super::flushes::{Flushes, Held, LOG};
use super::load::date;
use super::reading::replaced;
use super::repeats::Repeats;
use super::stored::MAX_PAGE_BYTES;
use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_core::causes;
use clickmill_core::columns::{absent, fitted};

/// Held while a pipeline writes to its log.
pub(super) const LOCK: &str = "lock";
/// A flush of so many rows is a file of the table at once: writing them twice would cost a fast stream
/// more than its readers gain.
const LARGE: usize = 8 << 10;
/// A flush of fewer rows is not worth compressing: a context for each column costs more than its bytes.
const TINY: usize = 256;
/// So many files are packed, …
const PACK_FILES: u64 = 64;
/// … or so many rows, …
const PACK_ROWS: usize = 256 << 10;
/// … or what has waited so long.
const PACK_AGE: Duration = Duration::from_secs(60);
/// So long a file stays in the log at least once it is packed: whoever lists the log and then the table finds it.
const PACKED_STAYS: Duration = Duration::from_secs(30);
/// So long it stays beside it then: a query opens the files that it has listed as it comes to them.
const MOVED_STAYS: Duration = Duration::from_secs(300);
/// How long nobody has written to a log that whoever compacts the table packs.
const LEFT: Duration = Duration::from_secs(600);
/// So often a stream looks whether something has, also while it writes nothing.
pub(super) const TICK: Duration = Duration::from_secs(15);

/// A pipeline's log of a table, on a disk.
#[derive(Debug)]
pub(super) struct Log {
    warehouse: Warehouse,
    table: TableName,
    schema: SchemaRef,
    folder: Path,
    waiting: Waiting,
    /// Each of one session, and packed as it is: what earlier runs left, and what could not be packed,
    /// which may have been published all the same.
    before: VecDeque<Waiting>,
    packing: Option<JoinHandle<Packed>>,
    /// What the table has too, and since when that is known, the oldest first.
    packed: VecDeque<(Instant, Path)>,
    /// What was moved out of the log since, and when.
    moved: VecDeque<(Instant, Path)>,
    /// Ends with the process, however that ends.
    _lock: File,
}

/// What was packed, and how that went.
type Packed = (Waiting, Result<(), WarehouseError>);

/// Files that are not in the table yet, the oldest first.
#[derive(Debug)]
struct Waiting {
    files: Vec<(Flushes, Path)>,
    rows: usize,
    since: Instant,
    /// When packing them failed last.
    failed: Option<Instant>,
    /// The day in whose folder they are packed: that of the first try, since a file that a failed try has
    /// published is not to be published again in another.
    day: Option<String>,
}

impl Waiting {
    fn none() -> Self {
        Self { files: Vec::new(), rows: 0, since: Instant::now(), failed: None, day: None }
    }

    /// Whether they are to be packed. A pack ends where a block of flushes does, since such blocks are
    /// merged later.
    fn is_due(&self) -> bool {
        self.files.last().is_some_and(|(flush, _)| {
            (flush.last + 1).is_multiple_of(PACK_FILES)
                || self.rows >= PACK_ROWS
                || self.since.elapsed() >= PACK_AGE
        })
    }

    /// Whether a flush is of a later block, or of another session.
    fn is_before(&self, next: &Flushes) -> bool {
        let block = |flush: &Flushes| (flush.session.clone(), flush.first / PACK_FILES);
        self.files.first().is_some_and(|(first, _)| block(first) != block(next))
    }
}

impl Log {
    /// Opens the log. What an interrupted run has left is packed. `None` in Cloud Storage, where small
    /// objects are not read at every turn, and where another process writes to it.
    pub(crate) async fn open(
        warehouse: &Warehouse,
        table: &TableName,
        schema: &SchemaRef,
        pipeline: &str,
    ) -> Result<Option<Self>, WarehouseError> {
        let folder = warehouse.log(table).join(pipeline);
        let Some(disk) = &warehouse.disk else { return Ok(None) };
        let locked = disk.to_lock(&folder.clone().join(LOCK));
        let locked = locked
            .map(|file| file.try_lock().is_ok().then_some(file))
            .map_err(|source| warehouse.disk_failed(format!("write to `{folder}`"), source))?;
        let Some(lock) = locked else { return Ok(None) };
        let in_table = warehouse.held(table).await?;
        let mut packed = VecDeque::new();
        let mut sessions: HashMap<String, Vec<(Flushes, Path)>> = HashMap::new();
        for file in warehouse.list(&folder).await? {
            let path = file.location;
            match Flushes::of(&path) {
                Some(flush) if in_table.has(&flush) => packed.push_back((Instant::now(), path)),
                Some(flush) => {
                    sessions.entry(flush.session.clone()).or_default().push((flush, path));
                }
                None => {}
            }
        }
        let mut log = Self {
            warehouse: warehouse.clone(),
            table: table.clone(),
            schema: schema.clone(),
            folder,
            waiting: Waiting::none(),
            before: VecDeque::new(),
            packing: None,
            packed,
            moved: VecDeque::new(),
            _lock: lock,
        };
        let left = |files| Waiting { files, ..Waiting::none() };
        log.before = sessions.into_values().map(left).collect();
        log.pack_before().await;
        Ok(Some(log))
    }

    /// Whether rows are few enough to wait here.
    pub(crate) fn takes(rows: usize) -> bool {
        rows < LARGE
    }

    /// How a flush of so many rows is written that waits here.
    pub(crate) fn properties(rows: usize) -> WriterProperties {
        if rows >= TINY {
            return properties();
        }
        let tiny = properties().into_builder().set_dictionary_enabled(false);
        tiny.set_compression(Compression::UNCOMPRESSED).build()
    }

    /// Makes a flush durable and, to queries, visible.
    pub(crate) async fn add(
        &mut self,
        flush: &Flushes,
        bytes: Vec<u8>,
        rows: usize,
    ) -> Result<(), WarehouseError> {
        let path = flush.in_log(&self.folder, &bytes);
        self.warehouse.put_once(&path, bytes).await?;
        if self.waiting.is_before(flush) {
            self.before.push_back(std::mem::replace(&mut self.waiting, Waiting::none()));
        }
        if self.waiting.files.is_empty() {
            self.waiting.since = Instant::now();
        }
        self.waiting.files.push((flush.clone(), path));
        self.waiting.rows += rows;
        self.tick().await;
        Ok(())
    }

    /// Packs what is due, which takes as long as it takes elsewhere. A stream that falls quiet adds nothing,
    /// and what it has written is packed all the same.
    pub(crate) async fn tick(&mut self) {
        if self.packing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.settle().await;
        }
        let again = |before: &Waiting| before.failed.is_none_or(|at| at.elapsed() >= PACK_AGE);
        let before = self.before.front().map(again);
        if self.packing.is_none() && before.unwrap_or_else(|| self.waiting.is_due()) {
            self.pack();
        }
    }

    /// Packs all that waits. What can't be packed stays, and is packed by the next run.
    pub(crate) async fn close(&mut self) {
        self.settle().await;
        if !self.waiting.files.is_empty() {
            self.before.push_back(std::mem::replace(&mut self.waiting, Waiting::none()));
        }
        self.pack_before().await;
    }

    /// Packs what is from before, each once.
    async fn pack_before(&mut self) {
        for _ in 0..self.before.len() {
            self.pack();
            self.settle().await;
        }
    }

    /// Begins to pack what waits.
    fn pack(&mut self) {
        let (warehouse, table) = (self.warehouse.clone(), self.table.clone());
        let schema = self.schema.clone();
        let before = self.before.pop_front();
        let mut waiting =
            before.unwrap_or_else(|| std::mem::replace(&mut self.waiting, Waiting::none()));
        let runtime = Handle::current();
        let day = waiting.day.get_or_insert_with(|| date(SystemTime::now()));
        let day = warehouse.day(&table, day);
        let out = older(&mut self.packed, PACKED_STAYS);
        let gone = older(&mut self.moved, MOVED_STAYS);
        let now = Instant::now();
        self.moved.extend(out.iter().map(|path| (now, replaced(path))));
        self.packing = Some(tokio::task::spawn_blocking(move || {
            let packed = warehouse.pack(&runtime, &day, schema, &waiting.files);
            // One that stays is left out by readers, and removed by a later run.
            for path in out {
                let _ = runtime.block_on(warehouse.retire(&path, SystemTime::now()));
            }
            for path in gone {
                let _ = runtime.block_on(warehouse.store.delete(&path));
            }
            (waiting, packed)
        }));
    }

    /// Waits for what is being packed, which moves out what was packed long before it.
    async fn settle(&mut self) {
        let Some(packing) = self.packing.take() else { return };
        match packing.await {
            Ok((waiting, Ok(()))) => {
                let now = Instant::now();
                self.packed.extend(waiting.files.into_iter().map(|(_, path)| (now, path)));
            }
            Ok((mut waiting, Err(error))) => {
                let log = self.folder.to_string();
                tracing::warn!(error = causes(&error), log, "files of the log stay as they are");
                waiting.failed = Some(Instant::now());
                self.before.push_back(waiting);
            }
            // The files are there, and the next run finds them.
            Err(error) => tracing::error!(%error, "packing the log failed"),
        }
    }
}

/// Takes out what is older.
fn older(files: &mut VecDeque<(Instant, Path)>, than: Duration) -> Vec<Path> {
    let old = files.partition_point(|(since, _)| since.elapsed() >= than);
    files.drain(..old).map(|(_, path)| path).collect()
}

impl Warehouse {
    pub(super) fn log(&self, table: &TableName) -> Path {
        let TableName { dataset, table } = table;
        Path::from(LOG).join(dataset.as_str()).join(table.as_str())
    }

    /// The folder of a table for what is written on a day.
    pub(super) fn day(&self, table: &TableName, date: &str) -> Path {
        self.table(table).join(format!("load_date={date}"))
    }

    /// What a table's own files hold of streams.
    async fn held(&self, table: &TableName) -> Result<Held, WarehouseError> {
        let mut files = self.list(&self.table(table)).await?;
        files.extend(self.list(&replaced(&self.table(table))).await?);
        Ok(Held::by(files.iter().map(|file| &file.location)))
    }

    /// The files of a table's logs, packed or not.
    pub(super) async fn logged(
        &self,
        table: &TableName,
    ) -> Result<Vec<ObjectMeta>, WarehouseError> {
        if self.disk.is_none() {
            return Ok(Vec::new());
        }
        let mut files = self.list(&self.log(table)).await?;
        files.retain(|file| Flushes::of(&file.location).is_some());
        Ok(files)
    }

    /// Makes one file of the table from files of the log, of one session.
    fn pack(
        &self,
        runtime: &Handle,
        day: &Path,
        schema: SchemaRef,
        files: &[(Flushes, Path)],
    ) -> Result<(), WarehouseError> {
        let numbers = files.iter().map(|(flush, _)| flush.first);
        let (Some(first), Some(last)) = (numbers.clone().min(), numbers.max()) else {
            return Ok(());
        };
        let session = files[0].0.session.clone();
        if let Some((other, path)) = files.iter().find(|(flush, _)| flush.session != session) {
            // The file's name would say of flushes that they are in it, or hide that they are.
            let what = format!("it is of session `{}`, wanted `{session}`", other.session);
            return Err(self.unread(path, ParquetError::General(what)));
        }
        let to = Flushes { session, first, last }.packed_in(day);
        let mut made = TableFile::create(self, runtime, self.part(), schema.clone())?;
        let mut said = Vec::new();
        for (_, path) in files {
            let failed = |source| self.unread(path, source);
            let reader = self.reader_within(path, MAX_PAGE_BYTES, |_| ProjectionMask::all());
            let reader = match runtime.block_on(reader) {
                // It keeps the others from being packed otherwise.
                Err(WarehouseError::Parquet { source, .. }) => {
                    runtime.block_on(self.set_aside(path, &causes(&source)))?;
                    continue;
                }
                // It was too old to be kept.
                Err(WarehouseError::Store { source: Error::NotFound { .. }, .. }) => continue,
                reader => reader?,
            };
            said.push(Repeats::of(reader.metadata().file_metadata()));
            for batch in reader.build().map_err(failed)? {
                let batch = batch.and_then(|batch| widened(&batch, &schema));
                made.write(&batch.map_err(|error| failed(error.into()))?)?;
            }
        }
        Repeats::of_all(&said).say(&mut made);
        match made.finish()? {
            Some(staged) => runtime.block_on(staged.publish_once(&to)),
            None => Ok(()),
        }
    }
}

impl Warehouse {
    /// Packs what streams have left in logs of a table to which none writes any more: the pipeline may have another
    /// name by now, or go to another table.
    pub(super) async fn pack_left(
        &self,
        table: &TableName,
        now: SystemTime,
        goes_on: &dyn Fn() -> bool,
    ) -> Result<(), WarehouseError> {
        let mut newest: BTreeMap<String, SystemTime> = BTreeMap::new();
        for file in self.logged(table).await? {
            let Some(pipeline) = file.location.as_ref().rsplit('/').nth(1) else { continue };
            let written = SystemTime::from(file.last_modified);
            let newest = newest.entry(pipeline.to_owned()).or_insert(written);
            *newest = written.max(*newest);
        }
        // A stream that begins now is to find its log free.
        newest.retain(|_, written| now.duration_since(*written).is_ok_and(|age| age > LEFT));
        if newest.is_empty() {
            return Ok(());
        }
        // Columns that no sound schema tells of would be lost.
        let Some(schema) = self.sound_columns(table).await? else { return Ok(()) };
        for pipeline in newest.into_keys() {
            if !goes_on() {
                return Ok(());
            }
            if let Err(error) = self.pack_log(table, &schema.arrow(), &pipeline, now).await {
                let (error, table) = (causes(&error), table.to_string());
                tracing::warn!(error, table, pipeline, "a log that was left stays as it is");
            }
        }
        Ok(())
    }

    /// Packs a log, unless a stream has it, and moves what is packed out of it.
    async fn pack_log(
        &self,
        table: &TableName,
        schema: &SchemaRef,
        pipeline: &str,
        now: SystemTime,
    ) -> Result<(), WarehouseError> {
        // Opening it packs what is there.
        let Some(log) = Log::open(self, table, schema, pipeline).await? else { return Ok(()) };
        let held = self.held(table).await?;
        for file in self.list(&log.folder).await? {
            if Flushes::of(&file.location).is_some_and(|flush| held.has(&flush)) {
                self.retire(&file.location, now).await?;
            }
        }
        Ok(())
    }
}

/// Rows with the columns and fields that the table has got since they were written.
pub(super) fn widened(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let columns = schema.fields().iter().map(|field| match rows.column_by_name(field.name()) {
        Some(column) => fitted(field, column),
        None => absent(field, rows.num_rows()),
    });
    RecordBatch::try_new(schema.clone(), columns.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests;
