//! The rows of a stream: a file per flush, durable once [`Live::append`] returns. Rows whose key was
//! written a short while ago are dropped: messages are delivered again after a crash.

use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use object_store::path::Path;
use object_store::{PutMode, PutOptions, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::file::{Staged, properties};
use super::log::{Flushes, Log, today};
use super::window::{Fresh, Key, Window};
use super::{STAGING, Warehouse, WarehouseError};
use clickmill_config::TableName;

/// Appends to one table.
#[derive(Clone)]
pub(crate) struct Live {
    warehouse: Warehouse,
    table: TableName,
    schema: SchemaRef,
    key: Option<Arc<Key>>,
    written: Arc<Mutex<Written>>,
}

/// What was written, and where the next flush goes.
struct Written {
    window: Window,
    flush: Flushes,
    /// Of the flush that is being written, once that was tried.
    day: Option<String>,
    log: Option<Log>,
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
        let written = Written { window, flush: Flushes::begin(), day: None, log };
        Ok(Self {
            warehouse: warehouse.clone(),
            table: table.clone(),
            schema,
            key: key.map(Arc::new),
            written: Arc::new(Mutex::new(written)),
        })
    }

    /// Brings all rows into the table's folder, where other tools look.
    pub(crate) async fn close(&self) {
        if let Some(log) = &mut self.written.lock().await.log {
            log.close().await;
        }
    }

    /// Makes rows durable and visible. Returns how many were there already.
    pub(crate) async fn append(&self, batches: &[RecordBatch]) -> Result<u64, WarehouseError> {
        let this = self.clone();
        let batches = batches.to_vec();
        // Compressing and waiting for the disk belong on a thread.
        let runtime = Handle::current();
        let written = tokio::task::spawn_blocking(move || this.write(&runtime, &batches));
        written.await.map_err(|error| {
            self.warehouse.disk_failed(format!("write to `{}`", self.table), error.into())
        })?
    }

    fn write(&self, runtime: &Handle, batches: &[RecordBatch]) -> Result<u64, WarehouseError> {
        let warehouse = &self.warehouse;
        let failed = |source| warehouse.unwritten(&self.table, source);
        let mut before = self.written.blocking_lock();
        let Written { window, flush, day, log } = &mut *before;
        let mut fresh = Fresh::new();
        let mut writer = ArrowWriter::try_new(Vec::new(), self.schema.clone(), Some(properties()))
            .map_err(failed)?;
        let mut written = 0;
        for batch in batches {
            let batch = match &self.key {
                Some(key) => {
                    let keys = key.digests(batch).map_err(|error| failed(error.into()))?;
                    let keep = BooleanArray::from(window.unseen(&keys, &mut fresh));
                    filter_record_batch(batch, &keep).map_err(|error| failed(error.into()))?
                }
                None => batch.clone(),
            };
            written += batch.num_rows();
            writer.write(&batch).map_err(failed)?;
        }
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if written > 0 {
            let bytes = writer.into_inner().map_err(failed)?;
            runtime.block_on(async {
                match log {
                    Some(log) if Log::takes(written) => log.add(flush, bytes, written).await,
                    _ => {
                        let day = day.get_or_insert_with(today);
                        let to = flush.in_table(&warehouse.table(&self.table), day, &bytes);
                        warehouse.put_once(&to, bytes).await
                    }
                }
            })?;
            // Only now: a flush that is tried again is not a second file.
            flush.advance();
            *day = None;
        }
        window.add(fresh);
        Ok((rows - written) as u64)
    }
}

impl Warehouse {
    fn unwritten(&self, table: &TableName, source: ParquetError) -> WarehouseError {
        let (uri, what) = (self.uri.clone(), format!("write to `{table}`"));
        WarehouseError::Parquet { uri, what, source }
    }

    /// Makes a file that appears whole or not at all, and is durable. One that is there already was
    /// written before, without the writer knowing.
    pub(super) async fn put_once(&self, path: &Path, bytes: Vec<u8>) -> Result<(), WarehouseError> {
        let bytes = PutPayload::from(bytes);
        let put = async |path: &Path, mode| {
            let options = PutOptions { mode, ..PutOptions::default() };
            self.store.put_opts(path, bytes.clone(), options).await
        };
        if self.disk.is_none() {
            return match put(path, PutMode::Create).await {
                Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
                Err(source) => Err(self.failed(format!("write `{path}`"), source)),
            };
        }
        let name = path.filename().unwrap_or_default();
        let staged = self.root.clone().join(STAGING).join(name);
        let done = put(&staged, PutMode::Overwrite).await;
        done.map_err(|source| self.failed(format!("write `{staged}`"), source))?;
        Staged::new(self, staged).publish_once(path).await
    }
}
