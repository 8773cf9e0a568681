//! A Parquet file in the making: written to the staging folder as batches come, published whole. What reads them
//! is in `stored`.

use std::io::{self, ErrorKind, Write};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use object_store::buffered::BufWriter;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesBuilder};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use tokio_util::io::SyncIoBridge;

use super::stored::FileWithFooter;
use super::{Warehouse, WarehouseError};
use clickmill_core::durable::Part;
use clickmill_core::schema::provenance;

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
        let to = match &warehouse.disk {
            Some(disk) => {
                let part = disk
                    .way(&staged)
                    .and_then(Part::begin)
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
        let properties = properties_of(&schema);
        let writer = ArrowWriter::try_new(Sink { to, failed: false }, schema, Some(properties));
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
        Staged::of(warehouse, staged, sink).map(Some)
    }

    /// Goes on with row groups of other files, of the same columns, that are copied as they are.
    pub(crate) fn of_groups(self) -> Result<GroupsFile, WarehouseError> {
        let Self { warehouse, staged, writer, rows } = self;
        let writer = writer.into_serialized_writer();
        let (writer, _) = writer.map_err(|source| failed(&warehouse, &staged, source))?;
        Ok(GroupsFile { warehouse, staged, writer, rows })
    }

    /// Gives the file up.
    pub(crate) fn abandon(mut self, runtime: &tokio::runtime::Handle) {
        self.writer.inner_mut().abandon(runtime);
    }
}

/// A file in the making, of row groups that others have.
pub(super) struct GroupsFile {
    warehouse: Warehouse,
    staged: Path,
    writer: SerializedFileWriter<Sink>,
    rows: u64,
}

impl GroupsFile {
    /// Adds the row groups of a file.
    pub(crate) fn append(&mut self, file: &FileWithFooter) -> Result<(), WarehouseError> {
        for group in file.metadata().row_groups() {
            let copied = self.writer.next_row_group().and_then(|mut copy| {
                for column in group.columns() {
                    let close = ColumnCloseResult {
                        bytes_written: u64::try_from(column.compressed_size())?,
                        rows_written: u64::try_from(group.num_rows())?,
                        metadata: column.clone(),
                        bloom_filter: None,
                        column_index: None,
                        offset_index: None,
                    };
                    copy.append_column(&file.stored, close)?;
                }
                copy.close()
            });
            copied.map_err(|source| failed(&self.warehouse, &self.staged, source))?;
            self.rows += u64::try_from(group.num_rows()).unwrap_or(0);
        }
        Ok(())
    }

    /// How many rows it has so far.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// Gives the file up.
    pub(crate) fn abandon(mut self, runtime: &tokio::runtime::Handle) {
        self.writer.inner_mut().abandon(runtime);
    }

    /// Ends the file and returns what publishes it.
    pub(crate) fn finish(self) -> Result<Staged, WarehouseError> {
        let Self { warehouse, staged, writer, .. } = self;
        let sink = writer.into_inner().map_err(|source| failed(&warehouse, &staged, source))?;
        Staged::of(warehouse, staged, sink)
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

    fn abandon(&mut self, runtime: &tokio::runtime::Handle) {
        if let To::Store(object) = &mut self.to {
            // What can't be removed now is removed by a later run.
            let _ = runtime.block_on(object.as_mut().abort());
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

/// The same for a file of many rows with these columns. Of most columns a dictionary is made; not of those that
/// grow row by row or stay as they are, whose values are told by what they have on the one before. The least and
/// the greatest text of a column rules out no file, since names and pseudonyms come in no order: they are told of
/// where rows are from alone.
fn properties_of(schema: &Schema) -> WriterProperties {
    let steps = [
        provenance::SOURCE_LINE,
        provenance::PUBLISH_TIME,
        provenance::INGESTED_AT,
        provenance::RECORD_INDEX,
    ];
    let mut properties = WriterPropertiesBuilder::from(properties());
    for field in schema.fields() {
        let (name, column) = (field.name().as_str(), ColumnPath::from(field.name().as_str()));
        properties = match field.data_type() {
            DataType::Int64 | DataType::Timestamp(..) if steps.contains(&name) => properties
                .set_column_dictionary_enabled(column.clone(), false)
                .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED),
            DataType::Utf8 if !provenance::ALL.contains(&name) => {
                properties.set_column_statistics_enabled(column, EnabledStatistics::None)
            }
            _ => properties,
        };
    }
    properties.build()
}

/// A finished file that no reader sees yet.
pub(super) struct Staged {
    warehouse: Warehouse,
    staged: Path,
    /// On a disk.
    part: Option<Part>,
}

impl Staged {
    fn of(warehouse: Warehouse, staged: Path, sink: Sink) -> Result<Self, WarehouseError> {
        let part = sink.end();
        let part =
            part.map_err(|source| warehouse.disk_failed(format!("write `{staged}`"), source))?;
        Ok(Self { warehouse, staged, part })
    }

    /// Makes the file durable where readers look, unless one is there already.
    pub(crate) async fn publish(self, to: &Path) -> Result<(), WarehouseError> {
        let Self { warehouse, staged, part } = self;
        let what = || format!("publish `{to}`");
        let Some(part) = part else {
            let copied = warehouse.store.copy_if_not_exists(&staged, to).await;
            copied.map_err(|source| warehouse.failed(what(), source))?;
            // What stays is in nobody's way.
            let _ = warehouse.store.delete(&staged).await;
            return Ok(());
        };
        let way = warehouse.disk.as_ref().map(|disk| disk.way(to));
        match way.map(|path| part.publish(&path?)) {
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

fn failed(warehouse: &Warehouse, path: &Path, source: ParquetError) -> WarehouseError {
    WarehouseError::Parquet { uri: warehouse.uri.clone(), what: format!("write `{path}`"), source }
}
