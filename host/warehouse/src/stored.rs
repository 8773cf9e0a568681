//! A Parquet file to be read: as much as is asked for from a disk, as a whole from Cloud Storage.

use std::fs::File;
use std::io::{ErrorKind, Read};

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};
use parquet::schema::types::SchemaDescriptor;

use super::pages;
use super::reading::replaced;
use super::{Warehouse, WarehouseError};

/// Rows of a row group that is not worth being made larger.
const LEAST_GROUP_ROWS: i64 = 16 << 10;

/// What a page of keys may become: those that are written here have about a megabyte.
pub(super) const MAX_KEYS_BYTES: u64 = 16 << 20;
/// The same of any column: twice what a batch may have.
pub(super) const MAX_PAGE_BYTES: u64 = 512 << 20;
/// Rows that are read at once, and the bytes that those of a column may have where they are more than one.
const MAX_BATCH_ROWS: u64 = 1024;
const MAX_BATCH_BYTES: u64 = 512 << 20;

/// A file to be read.
pub(super) enum Stored {
    File(File),
    Held(Bytes),
}

impl Length for Stored {
    fn len(&self) -> u64 {
        match self {
            Self::File(file) => file.len(),
            Self::Held(bytes) => Length::len(bytes),
        }
    }
}

impl ChunkReader for Stored {
    type T = Box<dyn Read>;

    fn get_read(&self, start: u64) -> Result<Self::T, ParquetError> {
        Ok(match self {
            Self::File(file) => Box::new(file.get_read(start)?),
            Self::Held(bytes) => Box::new(bytes.get_read(start)?),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if start.saturating_add(length as u64) > self.len() {
            // Room for it is not made.
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are not there")));
        }
        match self {
            Self::File(file) => file.get_bytes(start, length),
            Self::Held(bytes) => bytes.get_bytes(start, length),
        }
    }
}

/// A file to be read, and what its footer says.
pub(super) struct FileWithFooter {
    pub(super) stored: Stored,
    metadata: ArrowReaderMetadata,
}

impl FileWithFooter {
    /// Its columns.
    pub(crate) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// The rest of its footer.
    pub(crate) fn metadata(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// Whether its row groups are large enough to be copied as they are: each costs a query the work on a
    /// footer, and small ones compress badly.
    pub(crate) fn has_large_groups(&self) -> bool {
        let groups = self.metadata().num_row_groups() as i64;
        self.metadata().file_metadata().num_rows() >= groups * LEAST_GROUP_ROWS
    }
}

impl Warehouse {
    /// What reads a file's rows: on a disk as much as is asked for; from Cloud Storage it is held as a whole.
    pub(super) async fn reader(
        &self,
        path: &Path,
    ) -> Result<ParquetRecordBatchReaderBuilder<Stored>, WarehouseError> {
        let FileWithFooter { stored, metadata } = self.footed(path).await?;
        Ok(ParquetRecordBatchReaderBuilder::new_with_metadata(stored, metadata))
    }

    /// The same where the rows are read, of all columns or of some: whoever has put the file there, it takes no
    /// more memory than pages of so many bytes do.
    pub(super) async fn reader_within(
        &self,
        path: &Path,
        max_page_bytes: u64,
        mask: impl FnOnce(&SchemaDescriptor) -> ProjectionMask,
    ) -> Result<ParquetRecordBatchReaderBuilder<Stored>, WarehouseError> {
        let FileWithFooter { stored, metadata } = self.footed(path).await?;
        let mask = mask(metadata.parquet_schema());
        let is_read = |column| mask.leaf_included(column);
        let largest = pages::largest(&stored, metadata.metadata(), is_read, max_page_bytes);
        let largest = largest.map_err(|source| self.unread(path, source))?.max(1);
        // Each row may have the longest value.
        let rows = (MAX_BATCH_BYTES / largest).clamp(1, MAX_BATCH_ROWS);
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(stored, metadata);
        Ok(reader.with_projection(mask).with_batch_size(rows as usize))
    }

    /// A file to be read, and its footer.
    pub(super) async fn footed(&self, path: &Path) -> Result<FileWithFooter, WarehouseError> {
        let mut stored = self.stored(path).await;
        if let Err(Error::NotFound { .. }) = &stored {
            // It was listed before it was replaced.
            stored = self.stored(&replaced(path)).await;
        }
        let stored = stored.map_err(|source| match source {
            // It is as good as damaged: nobody but who has put it there has rows in it.
            Error::NotSupported { source } => {
                self.unread(path, ParquetError::General(source.to_string()))
            }
            _ => self.failed(format!("read `{path}`"), source),
        })?;
        let metadata = ArrowReaderMetadata::load(&stored, ArrowReaderOptions::default());
        let metadata = metadata.and_then(|metadata| {
            pages::check_places(metadata.metadata(), stored.len()).map(|()| metadata)
        });
        let metadata = metadata.map_err(|source| self.unread(path, source))?;
        Ok(FileWithFooter { stored, metadata })
    }

    async fn stored(&self, path: &Path) -> Result<Stored, Error> {
        let Some(disk) = &self.disk else {
            return Ok(Stored::Held(self.store.get(path).await?.bytes().await?));
        };
        disk.open(path).map(Stored::File).map_err(|source| match source.kind() {
            ErrorKind::NotFound => {
                Error::NotFound { path: path.to_string(), source: source.into() }
            }
            // A pipe, or what another user's link leads to.
            _ if source.raw_os_error().is_none() => Error::NotSupported { source: source.into() },
            _ => Error::Generic { store: "disk", source: source.into() },
        })
    }

    pub(super) fn unread(&self, path: &Path, source: ParquetError) -> WarehouseError {
        WarehouseError::Parquet { uri: self.uri.clone(), what: format!("read `{path}`"), source }
    }
}
