//! Questions about a warehouse, which the SQL engine answers, and where it finds the tables' files.

use std::sync::Arc;

use clickmill_config::TableName;
use clickmill_query::{Engine, QueryError};
use clickmill_tables::result_set::{Answer, Parameter};
use object_store::ObjectStore;
use object_store::path::Path;

use super::{Warehouse, WarehouseError};

impl Warehouse {
    /// Runs a query in BigQuery's dialect, with named parameters such as `@country`, and gives its rows as
    /// they are, in batches. Tables are `dataset.table`.
    pub async fn answer(
        &self,
        sql: &str,
        parameters: &[(&str, Parameter)],
    ) -> Result<Answer, QueryError> {
        Engine::shared().query(&self.uri, sql, parameters).await
    }

    /// How many rows a table has, by the footers of its files.
    pub async fn count(&self, table: &TableName) -> Result<u64, WarehouseError> {
        let mut rows = 0;
        for file in self.files(table).await? {
            let reader = self.reader(&file).await?;
            rows += u64::try_from(reader.metadata().file_metadata().num_rows()).unwrap_or(0);
        }
        Ok(rows)
    }

    /// The files that hold a table's rows now, those in the log among them.
    async fn files(&self, table: &TableName) -> Result<Vec<Path>, WarehouseError> {
        if let Some(files) = self.with_log(table).await? {
            return Ok(files);
        }
        let listed = self.list(&self.table(table)).await?.into_iter().map(|file| file.location);
        Ok(listed.filter(|path| path.extension() == Some("parquet")).collect())
    }

    /// The bucket that the warehouse is in, as a URL, and what reads it; `None` for one on a disk.
    pub fn bucket(&self) -> Option<(String, Arc<dyn ObjectStore>)> {
        let bucket = || self.uri.split('/').take(3).collect::<Vec<_>>().join("/");
        self.disk.is_none().then(|| (bucket(), self.store.clone()))
    }

    /// What holds a table's rows now: a folder or, where some are in the log, files.
    pub async fn urls(&self, table: &TableName) -> Result<Vec<String>, WarehouseError> {
        if let Some(files) = self.with_log(table).await? {
            return Ok(files.iter().map(|path| format!("file:///{path}")).collect());
        }
        let base = match (&self.disk, self.bucket()) {
            (None, Some((bucket, _))) => format!("{bucket}/{}", self.root),
            (disk, _) => format!("file://{}", disk.as_deref().unwrap_or(".".as_ref()).display()),
        };
        Ok(vec![format!("{base}/{}/{}/", table.dataset, table.table)])
    }
}
