//! Questions about a warehouse, which the SQL engine answers, and where it finds the tables' files.

use std::sync::Arc;

use clickmill_config::TableName;
use clickmill_query::{Engine, QueryError};
use clickmill_tables::result_set::{Answer, Parameter};
use object_store::ObjectStore;

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
