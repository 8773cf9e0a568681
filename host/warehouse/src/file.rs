//! A Parquet file in the making: written to the staging folder as batches come, published whole.

use std::io::{self, ErrorKind, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use tokio_util::io::SyncIoBridge;

use super::reading::replaced;
use super::{Warehouse, WarehouseError};
use clickmill_core::durable::Part;

/// Rows of a row group: what a writer holds in memory, compressed, and what a reader can skip.
const ROW_GROUP_ROWS: usize = 256 << 10;
/// What is written to a disk at once.
const DISK_BUFFER_BYTES: usize = 1 << 20;

/// A file in the making. Dropped, it leaves nothing that a reader sees.
pub(super) struct TableFile {
    warehouse: Warehouse,
    staged: Path,
    writer: ArrowWriter<Sink>,
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
        let to = match warehouse.on_disk(&staged) {
            Some(path) => {
                let part = Part::begin(path)
                    .map_err(|source| warehouse.disk_failed(format!("write `{staged}`"), source))?;
                To::Disk(io::BufWriter::with_capacity(DISK_BUFFER_BYTES, part))
            }
            None => {
                let (store, path) = (warehouse.store.clone(), staged.clone());
                // One piece in flight: memory stays the same however large the file gets.
                let object = BufWriter::new(store, path).with_max_concurrency(1);
                To::Store(SyncIoBridge::new_with_handle(object, runtime.clone()))
            }
        };
        let writer = ArrowWriter::try_new(Sink { to, failed: false }, schema, Some(properties()));
        let writer = writer.map_err(|source| failed(warehouse, &staged, source))?;
        Ok(Self { warehouse: warehouse.clone(), staged, writer, rows: 0 })
    }

    /// Adds rows.
    pub(crate) fn write(&mut self, rows: &RecordBatch) -> Result<(), WarehouseError> {
        self.rows += rows.num_rows() as u64;
        self.writer.write(rows).map_err(|source| failed(&self.warehouse, &self.staged, source))
    }

    /// Says something of the file's rows as a whole, beside its columns.
    pub(crate) fn say(&mut self, key: &str, value: &str) {
        self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value.to_owned()));
    }

    /// Ends the file and returns what publishes it; `None` where it has no rows.
    pub(crate) fn finish(self) -> Result<Option<Staged>, WarehouseError> {
        if self.rows == 0 {
            return Ok(None);
        }
        let Self { warehouse, staged, writer, .. } = self;
        // Writes the last row group and the footer.
        let sink = writer.into_inner().map_err(|source| failed(&warehouse, &staged, source))?;
        let ended = sink.end();
        let part =
            ended.map_err(|source| warehouse.disk_failed(format!("write `{staged}`"), source))?;
        Ok(Some(Staged { warehouse, staged, part }))
    }

    /// Gives the file up.
    pub(crate) fn abandon(mut self, runtime: &tokio::runtime::Handle) {
        if let To::Store(object) = &mut self.writer.inner_mut().to {
            // What can't be removed now is removed when the object is loaded again.
            let _ = runtime.block_on(object.as_mut().abort());
        }
    }
}

/// Where a file's bytes go. After a failure nothing more is written: what buffers before it would try
/// once more when it is dropped, and the clients of stores panic on that.
struct Sink {
    to: To,
    failed: bool,
}

enum To {
    Disk(io::BufWriter<Part>),
    Store(SyncIoBridge<BufWriter>),
}

impl Sink {
    fn end(self) -> io::Result<Option<Part>> {
        match self.to {
            To::Disk(file) => file.into_inner().map(Some).map_err(io::IntoInnerError::into_error),
            To::Store(mut object) => object.shutdown().map(|()| None),
        }
    }

    fn guarded<T>(&mut self, write: impl FnOnce(&mut dyn Write) -> io::Result<T>) -> io::Result<T> {
        if self.failed {
            return Err(io::Error::other("an earlier write failed"));
        }
        let written = match &mut self.to {
            To::Disk(file) => write(file),
            To::Store(object) => write(object),
        };
        self.failed = written.as_ref().is_err_and(|error| error.kind() != ErrorKind::Interrupted);
        written
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.guarded(|to| to.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.guarded(|to| to.flush())
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
    /// On a disk.
    part: Option<Part>,
}

impl Staged {
    /// Makes the file durable where readers look, unless one is there already.
    pub(crate) async fn publish(self, to: &Path) -> Result<(), WarehouseError> {
        let Self { warehouse, staged, part } = self;
        let what = || format!("publish `{to}`");
        let Some(part) = part else {
            let moved = warehouse.store.rename_if_not_exists(&staged, to).await;
            return moved.map_err(|source| warehouse.failed(what(), source));
        };
        match warehouse.on_disk(to).map(|path| part.publish(&path)) {
            Some(Err(source)) if source.kind() == ErrorKind::AlreadyExists => {
                let (path, source) = (to.to_string(), source.into());
                Err(warehouse.failed(what(), Error::AlreadyExists { path, source }))
            }
            Some(Err(source)) => Err(warehouse.disk_failed(what(), source)),
            Some(Ok(())) | None => Ok(()),
        }
    }

    /// Makes the file durable where readers look. One that is there already is this very file, published
    /// by a try whose answer was lost.
    pub(crate) async fn publish_once(self, to: &Path) -> Result<(), WarehouseError> {
        let (warehouse, staged) = (self.warehouse.clone(), self.staged.clone());
        match self.publish(to).await {
            Err(WarehouseError::Store { source: Error::AlreadyExists { .. }, .. }) => {
                if warehouse.disk.is_none() {
                    // What stays is in nobody's way.
                    let _ = warehouse.store.delete(&staged).await;
                }
                Ok(())
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
        let got = async |path: &Path| self.store.get(path).await?.bytes().await;
        let mut bytes = got(path).await;
        if let Err(Error::NotFound { .. }) = &bytes {
            // It was listed before it was replaced.
            bytes = got(&replaced(path)).await;
        }
        let bytes = bytes.map_err(|source| self.failed(format!("read `{path}`"), source))?;
        ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|source| self.unread(path, source))
    }

    pub(super) fn unread(&self, path: &Path, source: ParquetError) -> WarehouseError {
        WarehouseError::Parquet { uri: self.uri.clone(), what: format!("read `{path}`"), source }
    }
}

fn failed(warehouse: &Warehouse, path: &Path, source: ParquetError) -> WarehouseError {
    WarehouseError::Parquet { uri: warehouse.uri.clone(), what: format!("write `{path}`"), source }
}
