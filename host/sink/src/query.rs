//! Queries over whatever keeps the tables, and their answers, in the same form from both.

use clickmill_query::{EngineError, QueryError};
use clickmill_tables::result_set::{Parameter, ResultSet};

use super::{SinkError, Tables};

impl Tables {
    /// Runs a query in BigQuery's dialect. `what` says what for, in errors.
    pub async fn query(
        &self,
        sql: &str,
        parameters: &[(&str, Parameter)],
        what: &str,
    ) -> Result<ResultSet, SinkError> {
        match self {
            Self::Warehouse(warehouse) => {
                let answer =
                    warehouse.query_with(sql, parameters).await.map_err(SinkError::from)?;
                let read = ResultSet::of(&answer);
                read.map_err(|error| SinkError::from(QueryError::from(EngineError::from(error))))
            }
            Self::BigQuery(bigquery) => Ok(bigquery.query_with(sql, parameters, what).await?),
        }
    }
}
