//! The log of a table: the small files that a stream has written lately.
//!
//! A stream is durable every half second, and a table of such files is slow to read for everybody. So
//! small flushes go to the log, beside the tables, and are packed into one file of the table every minute
//! or so. A query reads the table and what of the log is not in it yet; other tools see the table.
//!
//! ```text
//! <warehouse>/_log/<dataset>/<table>/<pipeline>/<session>-<flush>-<digest>.parquet
//! <warehouse>/<dataset>/<table>/load_date=2026-11-25/live-<session>-<first flush>-<last flush>.parquet
//! <warehouse>/<dataset>/<table>/load_date=2026-11-25/live-<session>-<flush>-<flush>-<digest>.parquet
//! ```
//!
//! A file's name says which flushes of which session it holds, and a flush's what is in it. So what is
//! published again is still one file, and a reader knows which files of the log to leave out, whatever
//! was interrupted. What is packed stays in the log until the next pack is published: whoever began to
//! read it can end.

use std::collections::{HashMap, VecDeque};
use std::fs::File;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::file::TableFile;
use super::load::date;
use super::{STAGING, Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_core::causes;

/// Where logs are.
const LOG: &str = "_log";
/// How the names of a stream's files in a table begin.
const PREFIX: &str = "live-";
/// Held while a pipeline writes to its log.
const LOCK: &str = "lock";
/// A flush of so many rows is a file of the table at once: writing them twice would cost a fast stream
/// more than its readers gain.
const LARGE: usize = 8 << 10;
/// So many files are packed, …
const PACK_FILES: usize = 32;
/// … or so many rows, …
const PACK_ROWS: usize = 256 << 10;
/// … or what has waited so long.
const PACK_AGE: Duration = Duration::from_secs(60);

/// Flushes of a session, a run of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flushes {
    session: String,
    first: u64,
    last: u64,
}

impl Flushes {
    /// The next flush of a new session.
    pub(crate) fn begin() -> Self {
        Self { session: format!("{:016x}", rand::random::<u64>()), first: 0, last: 0 }
    }

    /// The flush after it.
    pub(crate) fn advance(&mut self) {
        self.last += 1;
        self.first = self.last;
    }

    /// What a file holds, by its name.
    fn of(path: &Path) -> Option<Self> {
        let name = path.filename()?.strip_suffix(".parquet")?;
        let (name, in_table) = match name.strip_prefix(PREFIX) {
            Some(rest) => (rest, true),
            None => (name, false),
        };
        let mut parts = name.split('-');
        let session = parts.next()?.to_owned();
        let first = parts.next()?.parse().ok()?;
        let last = if in_table { parts.next()?.parse().ok()? } else { first };
        Some(Self { session, first, last })
    }

    fn holds(&self, other: &Self) -> bool {
        self.session == other.session && self.first <= other.first && other.last <= self.last
    }

    /// The file of a table that one flush is.
    pub(crate) fn in_table(&self, folder: &Path, day: &str, bytes: &[u8]) -> Path {
        self.file_of(folder, day, &format!("-{}", digest(bytes)))
    }

    /// The file of a table that they are packed into.
    fn packed_in(&self, folder: &Path, day: &str) -> Path {
        self.file_of(folder, day, "")
    }

    fn file_of(&self, folder: &Path, day: &str, digest: &str) -> Path {
        let day = format!("load_date={day}");
        let Self { session, first, last } = self;
        folder.clone().join(day).join(format!("{PREFIX}{session}-{first}-{last}{digest}.parquet"))
    }

    fn in_log(&self, folder: &Path, bytes: &[u8]) -> Path {
        folder.clone().join(format!("{}-{}-{}.parquet", self.session, self.first, digest(bytes)))
    }
}

/// The day of what is published for the first time. What is tried again keeps it: in the folder of
/// another day it would be another file, with the same rows.
pub(super) fn today() -> String {
    date(SystemTime::now())
}

fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}

/// Whether a stream has written a file of a table.
pub(super) fn is_live(path: &Path) -> bool {
    path.filename().is_some_and(|name| name.starts_with(PREFIX))
}

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
    /// What the table has since the last pack.
    packed: Vec<Path>,
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
    /// Of the file that they are packed into, once that was tried.
    day: Option<String>,
}

impl Waiting {
    fn none() -> Self {
        Self { files: Vec::new(), rows: 0, since: Instant::now(), day: None }
    }

    fn is_due(&self) -> bool {
        !self.files.is_empty()
            && (self.files.len() >= PACK_FILES
                || self.rows >= PACK_ROWS
                || self.since.elapsed() >= PACK_AGE)
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
        let Some(on_disk) = warehouse.on_disk(&folder) else { return Ok(None) };
        let locked = std::fs::create_dir_all(&on_disk)
            .and_then(|()| File::create(on_disk.join(LOCK)))
            .map(|file| file.try_lock().is_ok().then_some(file));
        let locked = locked
            .map_err(|source| warehouse.disk_failed(format!("write to `{folder}`"), source))?;
        let Some(lock) = locked else { return Ok(None) };
        let in_table = warehouse.flushes(table).await?;
        let mut packed = Vec::new();
        let mut sessions: HashMap<String, Vec<(Flushes, Path)>> = HashMap::new();
        for file in warehouse.list(&folder).await? {
            let path = file.location;
            match Flushes::of(&path) {
                Some(flush) if is_packed(&in_table, &flush) => packed.push(path),
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
            _lock: lock,
        };
        // A pack that was being made when its run ended.
        for file in warehouse.list(&warehouse.root.clone().join(STAGING)).await? {
            if Flushes::of(&file.location).is_some_and(|of| sessions.contains_key(&of.session)) {
                let _ = warehouse.store.delete(&file.location).await;
            }
        }
        let left = |files| Waiting { files, ..Waiting::none() };
        log.before = sessions.into_values().map(left).collect();
        log.pack_before().await;
        Ok(Some(log))
    }

    /// Whether rows are few enough to wait here.
    pub(crate) fn takes(rows: usize) -> bool {
        rows < LARGE
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
        if self.waiting.files.is_empty() {
            self.waiting.since = Instant::now();
        }
        self.waiting.files.push((flush.clone(), path));
        self.waiting.rows += rows;
        if self.packing.as_ref().is_some_and(JoinHandle::is_finished) {
            self.settle().await;
        }
        let before = self.before.front().map(|before| before.since.elapsed() >= PACK_AGE);
        if self.packing.is_none() && before.unwrap_or_else(|| self.waiting.is_due()) {
            self.pack();
        }
        Ok(())
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
        let day = waiting.day.get_or_insert_with(today).clone();
        let runtime = Handle::current();
        self.packing = Some(tokio::task::spawn_blocking(move || {
            let packed = warehouse.pack(&runtime, &table, schema, &waiting.files, &day);
            (waiting, packed)
        }));
    }

    /// Waits for what is being packed, and removes what was packed before it.
    async fn settle(&mut self) {
        let Some(packing) = self.packing.take() else { return };
        match packing.await {
            Ok((waiting, Ok(()))) => {
                let files = waiting.files.into_iter().map(|(_, path)| path).collect();
                for path in std::mem::replace(&mut self.packed, files) {
                    // One that stays is left out by readers, and removed by a later run.
                    let _ = self.warehouse.store.delete(&path).await;
                }
            }
            Ok((mut waiting, Err(error))) => {
                let log = self.folder.to_string();
                tracing::warn!(error = causes(&error), log, "files of the log stay as they are");
                waiting.since = Instant::now();
                self.before.push_back(waiting);
            }
            // The files are there, and the next run finds them.
            Err(error) => tracing::error!(%error, "packing the log failed"),
        }
    }
}

impl Warehouse {
    fn log(&self, table: &TableName) -> Path {
        let TableName { dataset, table } = table;
        self.root.clone().join(LOG).join(dataset.as_str()).join(table.as_str())
    }

    /// What a table's own files hold of streams.
    async fn flushes(&self, table: &TableName) -> Result<Vec<Flushes>, WarehouseError> {
        let files = self.list(&self.table(table)).await?;
        Ok(files.iter().filter_map(|file| Flushes::of(&file.location)).collect())
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

    /// The files of a table and those of its log that are not in it yet. `None` where the table's folder
    /// has all.
    pub(super) async fn with_log(
        &self,
        table: &TableName,
    ) -> Result<Option<Vec<Path>>, WarehouseError> {
        // The log first: what is gone from it by now is in the table.
        let logged = self.logged(table).await?;
        if logged.is_empty() {
            return Ok(None);
        }
        let files = self.list(&self.table(table)).await?;
        let mut files: Vec<Path> = files.into_iter().map(|file| file.location).collect();
        files.retain(|path| path.extension() == Some("parquet"));
        let in_table: Vec<Flushes> = files.iter().filter_map(Flushes::of).collect();
        let before = files.len();
        files.extend(
            logged.into_iter().map(|file| file.location).filter(|path| {
                Flushes::of(path).is_some_and(|flush| !is_packed(&in_table, &flush))
            }),
        );
        Ok((files.len() > before).then_some(files))
    }

    /// Makes one file of the table from files of the log, of one session.
    fn pack(
        &self,
        runtime: &Handle,
        table: &TableName,
        schema: SchemaRef,
        files: &[(Flushes, Path)],
        day: &str,
    ) -> Result<(), WarehouseError> {
        let numbers = files.iter().map(|(flush, _)| flush.first);
        let (Some(first), Some(last)) = (numbers.clone().min(), numbers.max()) else {
            return Ok(());
        };
        let session = files[0].0.session.clone();
        let to = Flushes { session, first, last }.packed_in(&self.table(table), day);
        let staged = self.root.clone().join(STAGING).join(to.filename().unwrap_or_default());
        let mut made = TableFile::create(self, runtime, staged, schema.clone())?;
        for (_, path) in files {
            let failed = |source| self.unread(path, source);
            let reader = runtime.block_on(self.reader(path))?;
            for batch in reader.build().map_err(failed)? {
                let batch = batch.and_then(|batch| widened(&batch, &schema));
                made.write(&batch.map_err(|error| failed(error.into()))?)?;
            }
        }
        match made.finish()? {
            Some(staged) => runtime.block_on(staged.publish_once(&to)),
            None => Ok(()),
        }
    }
}

fn is_packed(in_table: &[Flushes], flush: &Flushes) -> bool {
    in_table.iter().any(|packed| packed.holds(flush))
}

/// Rows with the columns that the table has got since they were written.
fn widened(rows: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, ArrowError> {
    let column = |name: &str| rows.column_by_name(name).cloned();
    let columns = schema.fields().iter().map(|field| -> ArrayRef {
        column(field.name()).unwrap_or_else(|| new_null_array(field.data_type(), rows.num_rows()))
    });
    RecordBatch::try_new(schema.clone(), columns.collect())
}

#[cfg(test)]
mod tests;
