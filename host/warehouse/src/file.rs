//! A Parquet file in the making: written to the staging folder as batches come, published whole.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use tokio_util::io::SyncIoBridge;

use super::{Warehouse, WarehouseError};
use clickmill_core::durable;

/// Rows of a row group: what a writer holds in memory, compressed, and what a reader can skip.
const ROW_GROUP_ROWS: usize = 256 << 10;

/// A file in the making. Dropped, it leaves nothing that a reader sees.
pub(super) struct TableFile {
    warehouse: Warehouse,
    staged: Path,
    writer: ArrowWriter<SyncIoBridge<BufWriter>>,
    rows: u64,
}

impl TableFile {
    /// Begins a file. All methods block: they belong on a thread, not in a task.
    pub(crate) fn create(
        warehouse: &Warehouse,
        runtime: &tokio::runtime::Handle,
        staged: Path,
        schema: SchemaRef,
    ) -> Result<Self, WarehouseError> {
        // One part in flight: memory stays the same however large the file gets.
        let sink = BufWriter::new(warehouse.store.clone(), staged.clone()).with_max_concurrency(1);
        let sink = SyncIoBridge::new_with_handle(sink, runtime.clone());
        let writer = ArrowWriter::try_new(sink, schema, Some(properties()));
        let writer = writer.map_err(|source| failed(warehouse, &staged, source))?;
        Ok(Self { warehouse: warehouse.clone(), staged, writer, rows: 0 })
    }

    /// Adds rows.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), WarehouseError> {
        self.rows += rows.num_rows() as u64;
        self.writer.write(rows).map_err(|source| failed(&self.warehouse, &self.staged, source))
    }

    /// Ends the file and returns what publishes it; `None` where it has no rows.
    pub(crate) fn finish(self) -> Result<Option<Staged>, WarehouseError> {
        if self.rows == 0 {
            return Ok(None);
        }
        // Writes the last row group and the footer.
        let sink = self.writer.into_inner();
        let mut sink = sink.map_err(|source| failed(&self.warehouse, &self.staged, source))?;
        let ended = sink.shutdown();
        ended.map_err(|source| {
            self.warehouse.disk_failed(format!("write `{}`", self.staged), source)
        })?;
        Ok(Some(Staged { warehouse: self.warehouse, staged: self.staged }))
    }

    /// Gives the file up.
    pub(crate) fn abandon(mut self, runtime: &tokio::runtime::Handle) {
        // What can't be removed now is removed when the object is loaded again.
        let _ = runtime.block_on(self.writer.inner_mut().as_mut().abort());
    }
}

/// How tables' files are written.
pub(super) fn properties() -> WriterProperties {
    WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_created_by(concat!("clickmill ", env!("CARGO_PKG_VERSION")).to_owned())
        .build()
}

/// A finished file that no reader sees yet.
pub(super) struct Staged {
    warehouse: Warehouse,
    staged: Path,
}

impl Staged {
    /// A file that lies in the staging folder.
    pub(crate) fn new(warehouse: &Warehouse, staged: Path) -> Self {
        Self { warehouse: warehouse.clone(), staged }
    }

    /// Moves the file to where readers look, unless one is there already.
    pub(crate) async fn publish(self, to: &Path) -> Result<(), WarehouseError> {
        let warehouse = &self.warehouse;
        warehouse.sync(&self.staged)?;
        let moved = warehouse.store.rename_if_not_exists(&self.staged, to).await;
        moved.map_err(|source| warehouse.failed(format!("publish `{to}`"), source))?;
        warehouse.sync_folder(to)
    }

    /// Moves the file to where readers look. One that is there already is this very file, published by a try
    /// whose answer was lost.
    pub(crate) async fn publish_once(self, to: &Path) -> Result<(), WarehouseError> {
        let Self { warehouse, staged } = &self;
        let (warehouse, staged) = (warehouse.clone(), staged.clone());
        match self.publish(to).await {
            Err(WarehouseError::Store {
                source: object_store::Error::AlreadyExists { .. },
                ..
            }) => {
                let _ = warehouse.store.delete(&staged).await;
                warehouse.sync_folder(to)
            }
            other => other,
        }
    }
}

impl Warehouse {
    /// What reads a file, which is small enough to be held.
    pub(super) async fn reader(
        &self,
        path: &Path,
    ) -> Result<ParquetRecordBatchReaderBuilder<Bytes>, WarehouseError> {
        let got = async { self.store.get(path).await?.bytes().await };
        let bytes = got.await.map_err(|source| self.failed(format!("read `{path}`"), source))?;
        ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|source| self.unread(path, source))
    }

    pub(super) fn unread(&self, path: &Path, source: ParquetError) -> WarehouseError {
        WarehouseError::Parquet { uri: self.uri.clone(), what: format!("read `{path}`"), source }
    }

    /// Makes a file's bytes durable. In Cloud Storage they are.
    fn sync(&self, path: &Path) -> Result<(), WarehouseError> {
        let Some(file) = self.on_disk(path) else { return Ok(()) };
        durable::sync(&file)
            .map_err(|source| self.disk_failed(format!("make `{path}` durable"), source))
    }

    /// Makes a file's name durable.
    pub(super) fn sync_folder(&self, path: &Path) -> Result<(), WarehouseError> {
        let Some(file) = self.on_disk(path) else { return Ok(()) };
        durable::sync_name(&file)
            .map_err(|source| self.disk_failed(format!("make `{path}` durable"), source))
    }
}

fn failed(warehouse: &Warehouse, path: &Path, source: ParquetError) -> WarehouseError {
    WarehouseError::Parquet { uri: warehouse.uri.clone(), what: format!("write `{path}`"), source }
}
