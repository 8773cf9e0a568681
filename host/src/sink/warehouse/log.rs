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

use std::collections::HashMap;
use std::fs::File;
use std::time::{Duration, Instant, SystemTime};

use arrow::array::{ArrayRef, RecordBatch, new_null_array};
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::file::TableFile;
use super::load::date;
use super::{STAGING, Warehouse, WarehouseError};
use crate::config::TableName;
use crate::telemetry::causes;

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
    pub fn begin() -> Self {
        Self { session: format!("{:016x}", rand::random::<u64>()), first: 0, last: 0 }
    }

    /// The flush after it.
    pub fn advance(&mut self) {
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
    pub fn in_table(&self, folder: &Path, bytes: &[u8]) -> Path {
        self.file_of(folder, &format!("-{}", digest(bytes)))
    }

    /// The file of a table that they are packed into.
    fn packed_in(&self, folder: &Path) -> Path {
        self.file_of(folder, "")
    }

    fn file_of(&self, folder: &Path, digest: &str) -> Path {
        let day = format!("load_date={}", date(SystemTime::now()));
        let Self { session, first, last } = self;
        folder.clone().join(day).join(format!("{PREFIX}{session}-{first}-{last}{digest}.parquet"))
    }

    fn in_log(&self, folder: &Path, bytes: &[u8]) -> Path {
        folder.clone().join(format!("{}-{}-{}.parquet", self.session, self.first, digest(bytes)))
    }
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
    /// What could not be packed. It is tried again as it is, since it may have been published.
    again: Option<Waiting>,
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
}

impl Waiting {
    fn none() -> Self {
        Self { files: Vec::new(), rows: 0, since: Instant::now() }
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
    pub async fn open(
        warehouse: &Warehouse,
        table: &TableName,
        schema: &SchemaRef,
        pipeline: &str,
    ) -> Result<Option<Self>, WarehouseError> {
        if warehouse.disk.is_none() {
            return Ok(None);
        }
        let folder = warehouse.log(table).join(pipeline);
        let locked = std::fs::create_dir_all(format!("/{folder}"))
            .and_then(|()| File::create(format!("/{folder}/{LOCK}")))
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
            again: None,
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
        for files in sessions.into_values() {
            log.waiting.files = files;
            log.pack();
            log.settle().await;
        }
        Ok(Some(log))
    }

    /// Whether rows are few enough to wait here.
    pub fn takes(rows: usize) -> bool {
        rows < LARGE
    }

    /// Makes a flush durable and, to queries, visible.
    pub async fn add(
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
        let again = self.again.as_ref().map(|again| again.since.elapsed() >= PACK_AGE);
        if self.packing.is_none() && again.unwrap_or_else(|| self.waiting.is_due()) {
            self.pack();
        }
        Ok(())
    }

    /// Packs all that waits. What can't be packed stays, and is packed by the next run.
    pub async fn close(&mut self) {
        self.settle().await;
        for _ in 0..2 {
            if self.again.is_some() || !self.waiting.files.is_empty() {
                self.pack();
                self.settle().await;
            }
        }
    }

    /// Begins to pack what waits.
    fn pack(&mut self) {
        let (warehouse, table) = (self.warehouse.clone(), self.table.clone());
        let schema = self.schema.clone();
        let waiting = self.again.take();
        let waiting =
            waiting.unwrap_or_else(|| std::mem::replace(&mut self.waiting, Waiting::none()));
        let runtime = Handle::current();
        self.packing = Some(tokio::task::spawn_blocking(move || {
            let packed = warehouse.pack(&runtime, &table, schema, &waiting.files);
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
                self.again = Some(waiting);
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
    ) -> Result<(), WarehouseError> {
        let numbers = files.iter().map(|(flush, _)| flush.first);
        let (Some(first), Some(last)) = (numbers.clone().min(), numbers.max()) else {
            return Ok(());
        };
        let session = files[0].0.session.clone();
        let to = Flushes { session, first, last }.packed_in(&self.table(table));
        let staged = self.root.clone().join(STAGING).join(to.filename().unwrap_or_default());
        let mut made = TableFile::create(self, runtime, staged, schema.clone())?;
        for (_, path) in files {
            let got = runtime.block_on(async { self.store.get(path).await?.bytes().await });
            let bytes = got.map_err(|source| self.failed(format!("read `{path}`"), source))?;
            let failed = |source| WarehouseError::Parquet {
                uri: self.uri.clone(),
                what: format!("read `{path}`"),
                source,
            };
            let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(failed)?;
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
mod tests {
    use std::sync::Arc;

    use arrow::array::{AsArray, Int64Array, StringArray};
    use arrow::datatypes::Int64Type;

    use super::*;
    use crate::schema::TableSchema;
    use crate::sink::warehouse::Live;

    const SCHEMA: &str = r#"[
        {"name": "message_id", "type": "STRING", "mode": "REQUIRED"},
        {"name": "n", "type": "INTEGER", "mode": "REQUIRED"}
    ]"#;

    struct Scratch {
        folder: tempfile::TempDir,
        table: TableName,
        schema: TableSchema,
    }

    impl Scratch {
        async fn new() -> Self {
            let scratch = Self {
                folder: tempfile::tempdir().unwrap(),
                table: TableName { dataset: "d".to_owned(), table: "t".to_owned() },
                schema: TableSchema::parse(SCHEMA, std::path::Path::new("t.json")).unwrap(),
            };
            scratch.warehouse().ensure_table(&scratch.table, &scratch.schema).await.unwrap();
            scratch
        }

        fn warehouse(&self) -> Warehouse {
            Warehouse::open(&self.folder.path().to_string_lossy()).unwrap()
        }

        async fn open(&self, pipeline: &str) -> Live {
            let (warehouse, schema) = (self.warehouse(), self.schema.arrow());
            Live::open(&warehouse, &self.table, schema, "message_id", pipeline).await.unwrap()
        }

        /// Number and sum of the rows, as queries see them.
        async fn seen(&self) -> (i64, i64) {
            let sql = "SELECT COUNT(*), COALESCE(SUM(n), 0) FROM d.t";
            let answer = self.warehouse().query(sql).await.unwrap();
            let value = |column: usize| {
                answer.batches[0].column(column).as_primitive::<Int64Type>().value(0)
            };
            (value(0), value(1))
        }

        /// Parquet files below a folder of the warehouse.
        fn files(&self, folder: &str) -> Vec<std::path::PathBuf> {
            let mut files = Vec::new();
            let mut folders = vec![self.folder.path().join(folder)];
            while let Some(folder) = folders.pop() {
                for entry in std::fs::read_dir(folder).into_iter().flatten() {
                    let path = entry.unwrap().path();
                    match path.is_dir() {
                        true => folders.push(path),
                        false if path.extension().is_some_and(|e| e == "parquet") => {
                            files.push(path);
                        }
                        false => {}
                    }
                }
            }
            files
        }
    }

    fn rows(numbers: std::ops::Range<i64>) -> RecordBatch {
        let ids: StringArray = numbers.clone().map(|n| Some(format!("m{n}"))).collect();
        let numbers = Int64Array::from_iter_values(numbers);
        let schema = TableSchema::parse(SCHEMA, std::path::Path::new("t.json")).unwrap();
        RecordBatch::try_new(schema.arrow(), vec![Arc::new(ids), Arc::new(numbers)]).unwrap()
    }

    fn sum(rows: i64) -> (i64, i64) {
        (rows, rows * (rows - 1) / 2)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn small_flushes_are_seen_at_once_and_become_few_files() {
        let scratch = Scratch::new().await;
        let live = scratch.open("p").await;
        let flushes = 2 * PACK_FILES as i64 + 10;
        for n in 0..flushes {
            assert_eq!(live.append(&[rows(10 * n..10 * n + 10)]).await.unwrap(), 0);
            if n % 16 == 0 {
                assert_eq!(scratch.seen().await, sum(10 * n + 10), "flush {n}");
            }
        }
        live.close().await;
        assert_eq!(scratch.seen().await, sum(10 * flushes));
        let files = scratch.files("d");
        assert!((2..=4).contains(&files.len()), "{files:?}");
        // Other tools find all of it where they look.
        let in_table: u64 = files
            .iter()
            .map(|file| {
                let file = std::fs::File::open(file).unwrap();
                let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
                reader.metadata().file_metadata().num_rows() as u64
            })
            .sum();
        assert_eq!(in_table as i64, 10 * flushes);
        assert!(scratch.files("_log").len() <= PACK_FILES);
        // A flush that is large is a file of the table at once.
        let large = LARGE as i64;
        live.append(&[rows(10 * flushes..10 * flushes + large)]).await.unwrap();
        assert_eq!(scratch.files("d").len(), files.len() + 1);
        assert_eq!(scratch.seen().await, sum(10 * flushes + large));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_an_interrupted_run_leaves_is_seen_once_and_taken_up_by_the_next() {
        let scratch = Scratch::new().await;
        let live = scratch.open("p").await;
        for n in 0..5 {
            live.append(&[rows(10 * n..10 * n + 10)]).await.unwrap();
        }
        let left: Vec<(std::path::PathBuf, Vec<u8>)> = scratch
            .files("_log")
            .into_iter()
            .map(|path| (path.clone(), std::fs::read(path).unwrap()))
            .collect();
        assert_eq!(left.len(), 5);
        drop(live);
        assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(50), 0));
        // What was written before the interruption comes again, and is known.
        let live = scratch.open("p").await;
        assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(50), 1));
        assert_eq!(live.append(&[rows(40..60)]).await.unwrap(), 10);
        assert_eq!(scratch.seen().await, sum(60));
        drop(live);
        // Interrupted between the pack and the removal of what it holds.
        for (path, bytes) in &left {
            std::fs::write(path, bytes).unwrap();
        }
        assert_eq!(scratch.seen().await, sum(60));
        let live = scratch.open("p").await;
        live.close().await;
        assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(60), 2));
        let live = scratch.open("p").await;
        live.append(&[rows(60..70)]).await.unwrap();
        live.close().await;
        assert_eq!(scratch.seen().await, sum(70));
        assert!(scratch.files("_staging").is_empty());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_flush_that_is_tried_again_is_one_and_pipelines_do_not_meet() {
        let scratch = Scratch::new().await;
        let (one, other) = (scratch.open("p").await, scratch.open("q").await);
        one.append(&[rows(0..10)]).await.unwrap();
        other.append(&[rows(10..20)]).await.unwrap();
        // A second process of the pipeline leaves the first one's log alone.
        let second = scratch.open("p").await;
        second.append(&[rows(20..30)]).await.unwrap();
        assert_eq!(scratch.files("d").len(), 1);
        assert_eq!(scratch.seen().await, sum(30));
        for live in [&one, &other, &second] {
            live.close().await;
        }
        assert_eq!((scratch.seen().await, scratch.files("d").len()), (sum(30), 3));

        let warehouse = scratch.warehouse();
        let schema = scratch.schema.arrow();
        let log = Log::open(&warehouse, &scratch.table, &schema, "r").await.unwrap();
        let (mut log, flush) = (log.unwrap(), Flushes::begin());
        let bytes = std::fs::read(&scratch.files("d")[0]).unwrap();
        for _ in 0..2 {
            log.add(&flush, bytes.clone(), 10).await.unwrap();
        }
        assert_eq!(scratch.seen().await.0, 40);
    }
}
