//! The rows of a stream, durable once an append returns.

use arrow::array::RecordBatch;

use clickmill_bigquery as bigquery;
use clickmill_tables::{Refused, Rows};
use clickmill_warehouse as warehouse;

use super::{SinkError, Tables};
use clickmill_config::TableName;
use clickmill_core::schema::TableSchema;

/// Appends to one table. Each append is tried once; whoever calls tries again.
#[derive(Clone)]
pub enum Appender {
    /// A file per append; small ones become one.
    Warehouse(warehouse::Live),
    /// Rows by the Storage Write API.
    BigQuery(bigquery::Append),
}

/// What became of rows: those not listed are durable.
#[derive(Debug, Default)]
pub struct Appended {
    /// Rows that the table refuses. They are gone from it.
    pub refused: Vec<Refused>,
    /// Rows that were there already.
    pub repeated: u64,
}

impl Appender {
    /// An appender of a pipeline. `key` is the column that tells a repeated row.
    pub async fn open(
        tables: &Tables,
        table: &TableName,
        schema: &TableSchema,
        key: &str,
        pipeline: &str,
    ) -> Result<Self, SinkError> {
        Ok(match tables {
            Tables::Warehouse(warehouse) => {
                let schema = schema.arrow();
                let live = warehouse::Live::open(warehouse, table, schema, key, pipeline);
                Self::Warehouse(live.await?)
            }
            Tables::BigQuery(bigquery) => {
                let exactly_once = bigquery.config().exactly_once;
                let schema = schema.arrow();
                Self::BigQuery(bigquery::Append::new(bigquery, table, schema, exactly_once))
            }
        })
    }

    /// How many appends may be on their way at once.
    pub fn overlap(&self) -> usize {
        match self {
            // Files are cheaper the fewer they are, and the disk is one.
            Self::Warehouse(_) => 1,
            // Enough to hide the network; more hold more rows in memory.
            Self::BigQuery(_) => 4,
        }
    }

    /// Whether batches that wait are better appended together.
    pub fn takes_many(&self) -> bool {
        matches!(self, Self::Warehouse(_))
    }

    /// Appends rows, all in one go where the table allows it. What is done is taken out of `rows` and
    /// entered into `so_far`: after a failure, the rest can be tried again.
    pub async fn append(
        &self,
        rows: &mut Vec<Rows>,
        so_far: &mut Appended,
    ) -> Result<(), SinkError> {
        match self {
            Self::Warehouse(live) => {
                let batches: Vec<RecordBatch> = rows.iter().map(|rows| rows.rows.clone()).collect();
                so_far.repeated += live.append(&batches).await?;
                rows.clear();
            }
            Self::BigQuery(append) => {
                for rows in rows.iter_mut() {
                    append.append(rows, &mut so_far.refused).await?;
                }
                rows.clear();
            }
        }
        Ok(())
    }

    /// Ends it. All rows are durable before; now other tools find them where they look too.
    pub async fn close(&self) {
        match self {
            Self::Warehouse(live) => live.close().await,
            Self::BigQuery(_) => {}
        }
    }

    /// Appends dead letters. Returns how many were there already.
    pub async fn append_letters(&self, letters: &RecordBatch) -> Result<u64, SinkError> {
        match self {
            Self::Warehouse(live) => Ok(live.append(std::slice::from_ref(letters)).await?),
            Self::BigQuery(append) => Ok(append.append_whole(letters).await.map(|()| 0)?),
        }
    }
}
