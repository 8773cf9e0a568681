//! Where good rows and dead letters go: [`warehouse`] on a disk or in Cloud Storage, [`bigquery`].
//! [`Projection`] makes a table's rows of what the chain gives.
//!
//! Two ways in. A [`Load`] takes the rows and letters of one input object, all of them or none. An
//! [`Appender`] takes the rows of a stream, durable once it says so.

mod appender;
mod entries;
mod letters;
mod load;
mod query;

pub use appender::{Appended, Appender};
pub use letters::{Key, Letter, Wanted};
pub use load::{Load, Targets};

use clickmill_bigquery::{BigQuery, BigQueryError};
use clickmill_config::{Place, TableName};
use clickmill_core::Fault;
use clickmill_core::schema::TableSchema;
use clickmill_query::QueryError;
use clickmill_warehouse::{Warehouse, WarehouseError};

/// What keeps tables.
#[derive(Debug, Clone)]
pub enum Tables {
    /// A folder of Parquet files per table.
    Warehouse(Warehouse),
    /// BigQuery.
    BigQuery(BigQuery),
}

/// Why rows are not written.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The warehouse failed.
    #[error(transparent)]
    Warehouse(Box<WarehouseError>),
    /// BigQuery failed.
    #[error(transparent)]
    BigQuery(Box<BigQueryError>),
    /// A query over the warehouse failed.
    #[error(transparent)]
    Query(Box<QueryError>),
}

impl From<WarehouseError> for SinkError {
    fn from(error: WarehouseError) -> Self {
        Self::Warehouse(Box::new(error))
    }
}

impl From<QueryError> for SinkError {
    fn from(error: QueryError) -> Self {
        Self::Query(Box::new(error))
    }
}

impl From<BigQueryError> for SinkError {
    fn from(error: BigQueryError) -> Self {
        Self::BigQuery(Box::new(error))
    }
}

impl SinkError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        let is_input = match self {
            Self::Warehouse(error) => matches!(
                **error,
                WarehouseError::OtherSchema { .. }
                    | WarehouseError::Schema { .. }
                    | WarehouseError::Open { .. }
            ),
            Self::BigQuery(error) => !error.is_environment(),
            Self::Query(error) => {
                matches!(**error, QueryError::Query { .. } | QueryError::Condition { .. })
            }
        };
        if is_input { Fault::Input } else { Fault::Environment }
    }

    /// Whether the same rows may be taken later.
    pub fn is_transient(&self) -> bool {
        match self {
            // A full disk gets space, a store answers again.
            Self::Warehouse(error) => error.is_transient(),
            Self::BigQuery(error) => error.is_transient(),
            Self::Query(_) => false,
        }
    }
}

impl Tables {
    /// What a pipeline names. Nothing is asked of it yet.
    pub async fn open(place: &Place, warehouse: &str) -> Result<Self, SinkError> {
        Ok(match place {
            Place::Warehouse => Self::Warehouse(Warehouse::open(warehouse)?),
            Place::BigQuery(config) => Self::BigQuery(BigQuery::open(config).await?),
        })
    }

    /// Makes sure that a table is there and takes rows of this schema.
    pub async fn ensure(&self, table: &TableName, schema: &TableSchema) -> Result<(), SinkError> {
        match self {
            Self::Warehouse(warehouse) => Ok(warehouse.ensure_table(table, schema).await?),
            Self::BigQuery(bigquery) => Ok(bigquery.ensure_table(table, schema).await?),
        }
    }

    /// Whether a load has happened. One that was interrupted in its last step is finished.
    pub async fn is_loaded(&self, load_id: &str, target: &TableName) -> Result<bool, SinkError> {
        match self {
            Self::Warehouse(warehouse) => Ok(warehouse.is_loaded(load_id, target).await?),
            Self::BigQuery(bigquery) => Ok(bigquery.is_loaded(load_id, target).await?),
        }
    }
}
