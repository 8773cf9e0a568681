//! The rows of a stream: a file per flush, durable once [`Live::append`] returns. Rows whose key was
//! written a short while ago are dropped: messages are delivered again after a crash.

use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use arrow::array::{AsArray, BooleanArray, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use object_store::{ObjectStoreExt, PutMode, PutOptions};
use parquet::arrow::ArrowWriter;

use super::file::{Staged, properties};
use super::load::date;
use super::window::{Fresh, Window};
use super::{STAGING, Warehouse, WarehouseError};
use crate::config::TableName;

/// How the names of a stream's files begin.
pub(super) const PREFIX: &str = "live-";

/// Appends to one table.
#[derive(Clone)]
pub struct Live {
    warehouse: Warehouse,
    table: TableName,
    schema: SchemaRef,
    key: Arc<str>,
    window: Arc<Mutex<Window>>,
}

impl Live {
    /// An appender. `key` is the column that tells a repeated row; the keys of files written lately are
    /// read back.
    pub async fn open(
        warehouse: &Warehouse,
        table: &TableName,
        schema: SchemaRef,
        key: &str,
    ) -> Result<Self, WarehouseError> {
        let mut window = Window::default();
        if schema.column_with_name(key).is_some() {
            warehouse.read_window(table, key, &mut window).await?;
        }
        Ok(Self {
            warehouse: warehouse.clone(),
            table: table.clone(),
            schema,
            key: key.into(),
            window: Arc::new(Mutex::new(window)),
        })
    }

    /// Makes rows durable and visible. Returns how many were there already.
    pub async fn append(&self, batches: &[RecordBatch]) -> Result<u64, WarehouseError> {
        let this = self.clone();
        let batches = batches.to_vec();
        // Compressing and waiting for the disk belong on a thread.
        let runtime = tokio::runtime::Handle::current();
        let written = tokio::task::spawn_blocking(move || this.write(&runtime, &batches));
        written.await.map_err(|error| {
            self.warehouse.disk_failed(format!("write to `{}`", self.table), error.into())
        })?
    }

    fn write(
        &self,
        runtime: &tokio::runtime::Handle,
        batches: &[RecordBatch],
    ) -> Result<u64, WarehouseError> {
        let warehouse = &self.warehouse;
        let failed = |source| WarehouseError::Parquet {
            uri: warehouse.uri.clone(),
            what: format!("write to `{}`", self.table),
            source,
        };
        let mut window = self.window.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut fresh = Fresh::new();
        let mut name = blake3::Hasher::new();
        let mut writer = ArrowWriter::try_new(Vec::new(), self.schema.clone(), Some(properties()))
            .map_err(failed)?;
        let mut written = 0;
        for batch in batches {
            let batch = match batch.column_by_name(&self.key) {
                Some(keys) => {
                    let keep = window.unseen(keys.as_string::<i32>(), &mut fresh);
                    keys.as_string::<i32>().iter().flatten().for_each(|key| {
                        name.update(key.as_bytes()).update(b"\0");
                    });
                    filter_record_batch(batch, &BooleanArray::from(keep))
                        .map_err(|error| failed(error.into()))?
                }
                None => batch.clone(),
            };
            written += batch.num_rows();
            writer.write(&batch).map_err(failed)?;
        }
        let rows: usize = batches.iter().map(RecordBatch::num_rows).sum();
        if written > 0 {
            // The same rows give the same name: a flush that is tried again is not a second file.
            let name = format!("{PREFIX}{}.parquet", &name.finalize().to_hex()[..32]);
            let bytes = writer.into_inner().map_err(failed)?;
            runtime.block_on(warehouse.publish_live(&self.table, &name, bytes))?;
        }
        window.add(fresh);
        Ok((rows - written) as u64)
    }
}

impl Warehouse {
    async fn publish_live(
        &self,
        table: &TableName,
        name: &str,
        bytes: Vec<u8>,
    ) -> Result<(), WarehouseError> {
        let folder = format!("load_date={}", date(SystemTime::now()));
        let path = self.table(table).join(folder).join(name);
        let put = |path: &object_store::path::Path, mode| {
            let options = PutOptions { mode, ..PutOptions::default() };
            let path = path.clone();
            let bytes = bytes.clone();
            async move { self.store.put_opts(&path, bytes.into(), options).await }
        };
        if self.disk.is_none() {
            // An object appears whole or not at all, and is durable.
            return match put(&path, PutMode::Create).await {
                Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
                Err(source) => Err(self.failed(format!("write `{path}`"), source)),
            };
        }
        let staged = self.root.clone().join(STAGING).join(name);
        let done = put(&staged, PutMode::Overwrite).await;
        done.map_err(|source| self.failed(format!("write `{staged}`"), source))?;
        match Staged::new(self, staged.clone()).publish(&path).await {
            Err(WarehouseError::Store {
                source: object_store::Error::AlreadyExists { .. },
                ..
            }) => {
                // It was published before, without us knowing.
                let _ = self.store.delete(&staged).await;
                self.sync_folder(&path)
            }
            other => other,
        }
    }
}
