//! A few rows at a time, as small files.

use arrow::array::RecordBatch;
use object_store::path::Path;
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_core::{causes, folder};

impl Warehouse {
    /// Adds rows as a file of their own. One that is there already is left as it is.
    pub async fn enter(
        &self,
        table: &TableName,
        name: &str,
        rows: &RecordBatch,
    ) -> Result<(), WarehouseError> {
        let path = self.table(table).join(format!("{name}.parquet"));
        if self.is_entered(table, name).await? {
            return Ok(());
        }
        self.put_once(&path, self.parquet(rows)?).await
    }

    /// Makes a file that appears whole or not at all, and is durable. One that is there already was
    /// written before, perhaps without the writer knowing.
    pub(super) async fn put_once(&self, path: &Path, bytes: Vec<u8>) -> Result<(), WarehouseError> {
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(path, bytes.into(), create).await {
            Ok(_) | Err(Error::AlreadyExists { .. }) => Ok(()),
            Err(source) => Err(self.failed(format!("write `{path}`"), source)),
        }
    }

    /// Whether there is a file of this name. One that is damaged is set aside, and is not there.
    pub async fn is_entered(&self, table: &TableName, name: &str) -> Result<bool, WarehouseError> {
        let path = self.table(table).join(format!("{name}.parquet"));
        match self.store.head(&path).await {
            // A store keeps what it has confirmed; a disk may not.
            Ok(_) if self.disk.is_some() => Ok(self.is_whole(&path).await?),
            Ok(_) => Ok(true),
            Err(Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(self.failed(format!("look for `{path}`"), source)),
        }
    }

    /// Whether a small file can be read. One that can't is set aside and told: nothing is to rest on it.
    pub(super) async fn is_whole(&self, path: &Path) -> Result<bool, WarehouseError> {
        match self.reader(path).await {
            Ok(_) => Ok(true),
            Err(WarehouseError::Parquet { source, .. }) => {
                self.set_aside(path, &causes(&source)).await?;
                Ok(false)
            }
            // Another has set it aside just now.
            Err(WarehouseError::Store { source: Error::NotFound { .. }, .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Moves a damaged file out of the way and says so.
    pub(super) async fn set_aside(&self, path: &Path, why: &str) -> Result<(), WarehouseError> {
        match folder::set_aside(&*self.store, path).await {
            Ok(aside) => {
                let (file, aside, warehouse) = (path.as_ref(), aside.as_ref(), &self.uri);
                tracing::warn!(file, aside, warehouse, why, "a damaged file is set aside");
                Ok(())
            }
            Err(Error::NotFound { .. }) => Ok(()),
            Err(source) => {
                Err(self.failed(format!("set `{path}` aside, which is damaged"), source))
            }
        }
    }

    /// Rows as the bytes of a Parquet file.
    pub(super) fn parquet(&self, rows: &RecordBatch) -> Result<Vec<u8>, WarehouseError> {
        let failed = |error| self.small_file(error);
        let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).map_err(failed)?;
        writer.write(rows).map_err(failed)?;
        writer.into_inner().map_err(failed)
    }

    pub(super) fn small_file(&self, source: ParquetError) -> WarehouseError {
        let what = "write a small file".to_owned();
        WarehouseError::Parquet { uri: self.uri.clone(), what, source }
    }
}
