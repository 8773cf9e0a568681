//! A few rows at a time, as small files.

use arrow::array::RecordBatch;
use object_store::{ObjectStoreExt, PutMode, PutOptions};
use parquet::arrow::ArrowWriter;
use parquet::errors::ParquetError;

use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;

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
        let bytes = self.parquet(rows)?;
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&path, bytes.into(), create).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(source) => Err(self.failed(format!("write `{path}`"), source)),
        }
    }

    /// Whether there is a file of this name.
    pub async fn is_entered(&self, table: &TableName, name: &str) -> Result<bool, WarehouseError> {
        let path = self.table(table).join(format!("{name}.parquet"));
        match self.store.head(&path).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(source) => Err(self.failed(format!("look for `{path}`"), source)),
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
