//! Small tables that are added to now and then: a few rows at a time, each lot under a name of its own
//! and at most once.

use arrow::array::RecordBatch;

use super::{SinkError, Tables};
use clickmill_config::TableName;

impl Tables {
    /// Adds rows to a table. In the warehouse they are a file of this name, which is left as it is where
    /// it is there; in BigQuery they are left where a row has `key.1` in column `key.0`.
    pub async fn enter(
        &self,
        table: &TableName,
        name: &str,
        key: Option<(&str, &str)>,
        rows: &RecordBatch,
    ) -> Result<(), SinkError> {
        match self {
            Self::Warehouse(warehouse) => Ok(warehouse.enter(table, name, rows).await?),
            Self::BigQuery(bigquery) => {
                if let Some(key) = key
                    && self.is_entered(table, name, key).await?
                {
                    return Ok(());
                }
                Ok(bigquery.enter_rows(table, rows).await?)
            }
        }
    }
    /// Whether rows were added under this name or, in BigQuery, with this value in this column.
    pub async fn is_entered(
        &self,
        table: &TableName,
        name: &str,
        (column, value): (&str, &str),
    ) -> Result<bool, SinkError> {
        match self {
            Self::Warehouse(warehouse) => Ok(warehouse.is_entered(table, name).await?),
            Self::BigQuery(bigquery) => {
                let sql = format!(
                    "SELECT COUNT(*) FROM `{}`.`{}` WHERE `{column}` = @value",
                    table.dataset, table.table
                );
                let what = format!("look into `{table}`");
                let found = bigquery.query_rows(&sql, &[("value", value)], &what).await?;
                let count = found.first().and_then(|row| row.first()).and_then(Option::as_deref);
                Ok(count.is_some_and(|count| count != "0"))
            }
        }
    }
}
