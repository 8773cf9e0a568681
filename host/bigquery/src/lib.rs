//! BigQuery: rows by the Storage Write API as Arrow, tables by the REST API, both by Google's own
//! clients. The only module that names them.
//!
//! What other crates await is a boxed future where it reaches those clients: the code of an `async fn` is
//! compiled in each crate that awaits it, and their clients with it.

mod answer;
mod append;
mod asked;
mod clients;
mod decision;
mod encode;
mod error;
mod exactly_once;
mod ledger;
mod load;
mod marks;
mod patience;
mod query;
mod rest;
mod table_store;
mod tables;
mod waiting;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::datatypes::SchemaRef;
use google_cloud_bigquery::client::Write;
use google_cloud_bigquery::model::ArrowSchema;

use asked::Asked;
use clients::Rest;
pub use encode::batch as encode_rows;
pub use error::{BigQueryError, Unready};
pub use tables::Change;
use waiting::Waiting;

use clickmill_config as config;
use clickmill_config::TableName;
use clickmill_core::lock;
use clickmill_google::{Service, connected};

/// How long one try of a REST call may take. A query is answered within ten seconds, done or not.
const ATTEMPT: Duration = Duration::from_secs(15);

/// Clients and the configuration they work by. Copies share them.
#[derive(Debug, Clone)]
pub struct BigQuery {
    config: config::BigQuery,
    rest: Arc<Mutex<Arc<Rest>>>,
    /// One for all that is written, made with the first of it, and anew after a failure.
    write: Arc<Mutex<Option<Arc<Write>>>>,
    waiting: Arc<Waiting>,
    /// What the ledger was asked last.
    asked: Arc<Mutex<Asked>>,
    /// Texts that BigQuery has said to be queries.
    queries: Arc<Mutex<HashSet<String>>>,
}

fn arrow_schema(table: &TableName, schema: &SchemaRef) -> Result<ArrowSchema, BigQueryError> {
    let failed = |source| BigQueryError::Encode { table: table.clone(), source };
    encode::schema(schema).map_err(failed)
}

impl BigQuery {
    /// Makes the clients. Nothing is asked of the service yet.
    pub async fn open(config: &config::BigQuery) -> Result<Self, BigQueryError> {
        Ok(Self {
            config: config.clone(),
            rest: Arc::new(Mutex::new(Arc::new(Rest::open(config, ATTEMPT).await?))),
            write: Arc::default(),
            waiting: Arc::default(),
            asked: Arc::default(),
            queries: Arc::default(),
        })
    }

    /// How the configuration names things.
    pub fn config(&self) -> &config::BigQuery {
        &self.config
    }

    /// The client for writing.
    async fn write_client(&self) -> Result<Arc<Write>, BigQueryError> {
        let open = lock(&self.write).clone();
        if let Some(client) = open {
            return Ok(client);
        }
        let builder = connected!(Write::builder(), Service::BigQueryStorage);
        let client = Arc::new(builder.build().await.map_err(BigQueryError::Client)?);
        Ok(lock(&self.write).get_or_insert(client).clone())
    }

    /// After a failure that may be the connection's: the next to write gets another. One that hangs never
    /// says so.
    fn forget_write_client(&self, after: &BigQueryError) {
        if after.is_transient() {
            lock(&self.write).take();
        }
    }

    /// A table's full resource name.
    fn resource(&self, table: &TableName) -> String {
        let project = &self.config.project;
        format!("projects/{project}/datasets/{}/tables/{}", table.dataset, table.table)
    }
}
