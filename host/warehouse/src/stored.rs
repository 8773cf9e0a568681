//! A Parquet file to be read: as much as is asked for from a disk, as a whole from Cloud Storage.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

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

/// A file to be read. On a disk by one handle, however often: a process has only so many, and a file that cannot be
/// read for want of one is not damaged.
pub(super) enum Stored {
    File(Arc<File>),
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
            Self::File(file) => Box::new(BufReader::new(Rest { file: file.clone(), place: start })),
            Self::Held(bytes) => Box::new(bytes.get_read(start)?),
        })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        if start.saturating_add(length as u64) > self.len() {
            // Room for it is not made.
            return Err(ParquetError::EOF(format!("{length} bytes at {start} are not there")));
        }
        match self {
            Self::File(file) => {
                let mut bytes = vec![0; length];
                file.read_exact_at(&mut bytes, start)?;
                Ok(bytes.into())
            }
            Self::Held(bytes) => bytes.get_bytes(start, length),
        }
    }
}

/// A file on a disk, from a place on.
struct Rest {
    file: Arc<File>,
    place: u64,
}

impl Read for Rest {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(into, self.place)?;
        self.place += count as u64;
        Ok(count)
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
        let file = disk.open(path).map(|file| Stored::File(Arc::new(file)));
        file.map_err(|source| match source.kind() {
            ErrorKind::NotFound => {
                Error::NotFound { path: path.to_string(), source: source.into() }
            }
            // A pipe, or what another user's link leads to.
            _ if source.raw_os_error().is_none() => Error::NotSupported { source: source.into() },
            _ => Error::Generic { store: "disk", source: source.into() },
        })
    }

    /// Why a file is not read. What the system says of a disk tells nothing of what is in the file.
    pub(super) fn unread(&self, path: &Path, source: ParquetError) -> WarehouseError {
        let what = format!("read `{path}`");
        match of_system(source) {
            Ok(source) => self.disk_failed(what, source),
            Err(source) => WarehouseError::Parquet { uri: self.uri.clone(), what, source },
        }
    }
}

/// The system's own error, where it is one.
fn of_system(source: ParquetError) -> Result<io::Error, ParquetError> {
    let ParquetError::External(source) = source else { return Err(source) };
    match source.downcast::<io::Error>() {
        Ok(error) if error.raw_os_error().is_some() => Ok(*error),
        Ok(error) => Err(ParquetError::External(error)),
        Err(source) => Err(ParquetError::External(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_of_a_disk_is_no_damage_of_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).unwrap();
        let unread = |source: ParquetError| warehouse.unread(&Path::from("d/t/a.parquet"), source);
        // No more files may be open, and the disk cannot read.
        for number in [24, 5] {
            let error = unread(io::Error::from_raw_os_error(number).into());
            assert!(matches!(error, WarehouseError::Disk { .. }), "{error}");
        }
        let not_utf8 = String::from_utf8(vec![0xff]).unwrap_err();
        for damage in [
            ParquetError::General("no footer".to_owned()),
            io::Error::from(ErrorKind::UnexpectedEof).into(),
            not_utf8.into(),
        ] {
            let error = unread(damage);
            assert!(matches!(error, WarehouseError::Parquet { .. }), "{error}");
        }
    }

    #[test]
    fn a_file_is_read_from_any_place() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, "0123456789").unwrap();
        let stored = Stored::File(Arc::new(File::open(&path).unwrap()));
        let mut rest = String::new();
        stored.get_read(4).unwrap().read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "456789");
        assert_eq!(stored.get_bytes(2, 3).unwrap(), Bytes::from_static(b"234"));
        assert!(stored.get_bytes(8, 3).is_err());
    }
}
