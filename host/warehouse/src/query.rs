//! Questions about a warehouse, which the SQL engine answers, and where it finds the tables' files.

use clickmill_config::TableName;
use clickmill_core::causes;
use clickmill_core::schema::system;
use clickmill_query::{Engine, QueryError};
use clickmill_tables::result_set::{Answer, Bounds, Parameter};
use object_store::path::Path;
use object_store::{Error, ObjectMeta};

use super::flushes::once;
use super::reading::replaced;
use super::{Warehouse, WarehouseError};

/// A Parquet file has two magic words and the length of what is between them.
const LEAST_BYTES: u64 = 12;

impl Warehouse {
    /// Runs a query in BigQuery's dialect, with named parameters such as `@country`, and gives its rows as
    /// they are, in batches. Tables are `dataset.table`.
    pub async fn answer(
        &self,
        sql: &str,
        parameters: &[(&str, Parameter)],
    ) -> Result<Answer, QueryError> {
        self.within(sql, parameters, Bounds::NONE).await
    }

    /// The same, as much of them as is wanted.
    pub(super) async fn within(
        &self,
        sql: &str,
        parameters: &[(&str, Parameter)],
        bounds: Bounds,
    ) -> Result<Answer, QueryError> {
        Engine::shared().query(&self.uri, sql, parameters, bounds).await
    }

    /// How many rows a table has, by the footers of its files.
    pub async fn count(&self, table: &TableName) -> Result<u64, WarehouseError> {
        let mut rows = 0;
        for file in self.files(table).await? {
            let reader = self.reader(&file.location).await?;
            rows += u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
        }
        Ok(rows)
    }

    /// The files that hold each row of a table once, those in the log among them. One that is empty is
    /// set aside: a loss of power has emptied it, and it says nothing.
    pub async fn files(&self, table: &TableName) -> Result<Vec<ObjectMeta>, WarehouseError> {
        // In this order: what is gone from one by now is in the next.
        let logged = self.logged(table).await?;
        let in_table = self.parquet_in(&self.table(table)).await?;
        let replaced = self.parquet_in(&replaced(&self.table(table))).await?;
        let mut files = once(logged, in_table, replaced);
        let (empty, whole) = files.drain(..).partition(|file| file.size < LEAST_BYTES);
        for ObjectMeta { location, .. } in empty {
            // Who may only read leaves it where it is.
            if let Err(error) = self.is_whole(&location).await {
                let (file, error) = (location.as_ref(), causes(&error));
                tracing::warn!(file, error, "an empty file is passed over");
            }
        }
        Ok(whole)
    }

    /// Looks through the small files that a loss of power may have damaged, those of clickmill's own tables
    /// and of the logs, and sets aside those that can't be read. Returns whether there was one.
    pub async fn set_damaged_aside(&self) -> Result<bool, WarehouseError> {
        let mut found = false;
        for (table, _) in self.tables().await? {
            let is_own = system::ALL.iter().any(|own| own.name == table.table);
            let files =
                if is_own { self.files(&table).await? } else { self.logged(&table).await? };
            for file in files {
                found |= !self.is_whole(&file.location).await?;
            }
        }
        Ok(found)
    }

    /// Whether a table's files can be read, as far as their footers tell. Those that were removed since they
    /// were listed are none.
    ///
    /// # Errors
    ///
    /// The first that can't, by its name.
    pub async fn check(&self, table: &TableName) -> Result<(), WarehouseError> {
        for file in self.files(table).await? {
            match self.footed(&file.location).await {
                Ok(_) | Err(WarehouseError::Store { source: Error::NotFound { .. }, .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    pub(super) async fn parquet_in(
        &self,
        folder: &Path,
    ) -> Result<Vec<ObjectMeta>, WarehouseError> {
        let mut files = self.list(folder).await?;
        files.retain(|file| file.location.extension() == Some("parquet"));
        Ok(files)
    }
}
