//! A Parquet file to be read: as much as is asked for from a disk, as a whole from Cloud Storage.

use std::fs::File;
use std::io::{ErrorKind, Read};

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt};
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;
use parquet::file::reader::{ChunkReader, Length};

use super::reading::replaced;
use super::{Warehouse, WarehouseError};
use clickmill_core::file;

/// Rows of a row group that is not worth being made larger.
const LEAST_GROUP_ROWS: i64 = 16 << 10;

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

    /// A file to be read, and its footer.
    pub(super) async fn footed(&self, path: &Path) -> Result<FileWithFooter, WarehouseError> {
        let mut stored = self.stored(path).await;
        if let Err(Error::NotFound { .. }) = &stored {
            // It was listed before it was replaced.
            stored = self.stored(&replaced(path)).await;
        }
        let stored = stored.map_err(|source| self.failed(format!("read `{path}`"), source))?;
        let metadata = ArrowReaderMetadata::load(&stored, ArrowReaderOptions::default());
        let metadata = metadata.map_err(|source| self.unread(path, source))?;
        Ok(FileWithFooter { stored, metadata })
    }

    async fn stored(&self, path: &Path) -> Result<Stored, Error> {
        let Some(on_disk) = self.on_disk(path) else {
            return Ok(Stored::Held(self.store.get(path).await?.bytes().await?));
        };
        file::open(&on_disk).map(Stored::File).map_err(|source| match source.kind() {
            ErrorKind::NotFound => {
                Error::NotFound { path: path.to_string(), source: source.into() }
            }
            _ => Error::Generic { store: "disk", source: source.into() },
        })
    }

    pub(super) fn unread(&self, path: &Path, source: ParquetError) -> WarehouseError {
        WarehouseError::Parquet { uri: self.uri.clone(), what: format!("read `{path}`"), source }
    }
}
