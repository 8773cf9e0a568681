//! BigQuery: rows by the Storage Write API as Arrow, tables by the REST API, both by Google's own
//! clients. The only module that names them.

mod append;
mod encode;
mod ledger;
mod load;
mod query;
mod table_store;
mod tables;

use std::time::Duration;

use arrow::datatypes::SchemaRef;
use backon::{BackoffBuilder, ExponentialBuilder};
use google_cloud_bigquery::client::{BigQuery as QueryClient, Write};
use google_cloud_bigquery::model::ArrowSchema;
use google_cloud_bigquery_v2::client::{DatasetService, TableService};
use google_cloud_gax::client_builder::Error as ClientError;
use google_cloud_gax::error::Error as ServiceError;
use serde_json::Value as Json;

pub use encode::batch as encode_rows;
pub use tables::Change;

use clickmill_config as config;
use clickmill_config::TableName;
use clickmill_core::schema::SchemaError;
use clickmill_core::{Fault, list};
use clickmill_google as google;
use clickmill_google::{Service, connected};
use clickmill_tables::result_set::{Column, Parameter, ResultSet};

/// How long to wait before what has failed is tried again: shorter, and it fails for the same reason.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Clients and the configuration they work by.
#[derive(Debug, Clone)]
pub struct BigQuery {
    config: config::BigQuery,
    datasets: DatasetService,
    tables: TableService,
    queries: QueryClient,
}

/// What can go wrong with BigQuery.
#[derive(Debug, thiserror::Error)]
pub enum BigQueryError {
    /// A client can't be made: no credentials, say.
    #[error("cannot connect to BigQuery")]
    Client(#[source] ClientError),
    /// A request failed.
    #[error("BigQuery: cannot {what}")]
    Service {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: ServiceError,
    },
    /// A query failed.
    #[error("BigQuery: cannot {what}")]
    Query {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: Box<google_cloud_bigquery::error::QueryError>,
    },
    /// A query's answer can't be read.
    #[error("BigQuery: cannot {what}")]
    Row {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: Box<google_cloud_bigquery::error::RowError>,
    },
    /// A request had no answer in time.
    #[error("BigQuery: no answer in {seconds} s on trying to {what}")]
    NoAnswer {
        /// What was tried.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// The connection ended.
    #[error("BigQuery: the connection ended on trying to {what}")]
    Ended {
        /// What was tried.
        what: String,
    },
    /// Rows can't be put into Arrow's form.
    #[error("cannot encode rows for table `{table}`")]
    Encode {
        /// The table.
        table: TableName,
        /// Why.
        source: arrow::error::ArrowError,
    },
    /// A dataset or table is missing.
    #[error(
        "there is no {what}, and `sink.missing_tables` says to refuse; create it:\n  {command}"
    )]
    Missing {
        /// Which.
        what: String,
        /// What creates it.
        command: String,
    },
    /// A table does not take the pipeline's rows.
    #[error("table `{table}` does not take the pipeline's rows:{list}", list = list(misfits))]
    Misfit {
        /// The table.
        table: TableName,
        /// Why, a line each.
        misfits: Vec<String>,
    },
    /// A request cannot be built: a bug in clickmill, or a wrong `….table.json`.
    #[error("BigQuery: cannot describe table `{table}`")]
    Describe {
        /// The table.
        table: TableName,
        /// Why.
        source: serde_json::Error,
    },
    /// The ledger's schema is broken.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// A load can't be committed.
    #[error(
        "BigQuery: load `{load_id}` is written and cannot be committed: {why}; run again to find out and finish"
    )]
    Commit {
        /// The load.
        load_id: String,
        /// What BigQuery said.
        why: String,
    },
}

fn arrow_schema(table: &TableName, schema: &SchemaRef) -> Result<ArrowSchema, BigQueryError> {
    let failed = |source| BigQueryError::Encode { table: table.clone(), source };
    encode::schema(schema).map_err(failed)
}

/// What `future` gives, unless that takes longer than `patience`.
async fn in_time<T>(
    patience: Duration,
    what: &str,
    future: impl Future<Output = T>,
) -> Result<T, BigQueryError> {
    let no_answer =
        |_| BigQueryError::NoAnswer { what: what.to_owned(), seconds: patience.as_secs() };
    tokio::time::timeout(patience, future).await.map_err(no_answer)
}

/// Waits between tries, each twice as long as the one before, so many of them.
fn waits(times: usize) -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::default().with_min_delay(FIRST_WAIT).with_max_times(times).build()
}

impl BigQueryError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Client(_)
            | Self::Service { .. }
            | Self::Query { .. }
            | Self::NoAnswer { .. }
            | Self::Ended { .. }
            | Self::Commit { .. } => Fault::Environment,
            Self::Row { .. }
            | Self::Encode { .. }
            | Self::Missing { .. }
            | Self::Misfit { .. }
            | Self::Describe { .. }
            | Self::Schema(_) => Fault::Input,
        }
    }
    /// Whether the same may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Service { source, .. } => google::is_transient(source),
            Self::NoAnswer { .. } | Self::Ended { .. } => true,
            Self::Query { source, .. } => match &**source {
                google_cloud_bigquery::error::QueryError::Rpc { source, .. } => {
                    google::is_transient(source)
                }
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether a query names a table or a dataset that is not there.
    pub fn is_of_missing_table(&self) -> bool {
        use google_cloud_bigquery::error::QueryError;

        let Self::Query { source, .. } = self else { return false };
        match &**source {
            QueryError::Rpc { source, .. } => google::is_not_found(source),
            QueryError::JobFailed { errors, .. } => {
                errors.iter().any(|error| error.reason == "notFound")
            }
            _ => false,
        }
    }
}

impl BigQuery {
    /// Makes the clients. Nothing is asked of the service yet.
    pub async fn open(config: &config::BigQuery) -> Result<Self, BigQueryError> {
        let datasets = connected!(DatasetService::builder(), Service::BigQuery);
        let tables = connected!(TableService::builder(), Service::BigQuery);
        let queries = QueryClient::builder().with_project_id(&config.project);
        let queries = connected!(queries, Service::BigQuery);
        Ok(Self {
            config: config.clone(),
            datasets: datasets.build().await.map_err(BigQueryError::Client)?,
            tables: tables.build().await.map_err(BigQueryError::Client)?,
            queries: queries.build().await.map_err(BigQueryError::Client)?,
        })
    }

    /// How the configuration names things.
    pub fn config(&self) -> &config::BigQuery {
        &self.config
    }

    /// A client for writing, with a connection of its own.
    async fn write_client(&self) -> Result<Write, BigQueryError> {
        let builder = connected!(Write::builder(), Service::BigQueryStorage);
        builder.build().await.map_err(BigQueryError::Client)
    }

    /// A table's full resource name.
    fn resource(&self, table: &TableName) -> String {
        let project = &self.config.project;
        format!("projects/{project}/datasets/{}/tables/{}", table.dataset, table.table)
    }

    /// Runs a query with named parameters, such as `@country`. `what` says what for, in errors.
    pub async fn ask(
        &self,
        sql: &str,
        parameters: &[(&str, Parameter)],
        what: &str,
    ) -> Result<ResultSet, BigQueryError> {
        let failed =
            |source| BigQueryError::Query { what: what.to_owned(), source: Box::new(source) };
        let mut query = self.queries.query(sql);
        if !parameters.is_empty() {
            let parameters: Vec<_> = parameters.iter().map(query::parameter).collect();
            query = query.set_parameter_mode("NAMED").set_query_parameters(parameters);
        }
        let done = query.until_done().await.map_err(failed)?;
        let columns = query::columns(done.metadata().schema.as_ref());
        let mut rows = done.read();
        let mut found = ResultSet { columns, rows: Vec::new() };
        while let Some(row) = rows.next().await {
            let row = row.map_err(|source| BigQueryError::Row {
                what: what.to_owned(),
                source: Box::new(source),
            })?;
            let value = |(at, column): (usize, &Column)| {
                query::value(row.get::<Json>(at).unwrap_or_default(), column.kind)
            };
            found.rows.push(found.columns.iter().enumerate().map(value).collect());
        }
        Ok(found)
    }
}
