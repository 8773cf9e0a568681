//! The clients of BigQuery's REST side.

use std::time::Duration;

use futures::future::BoxFuture;
use google_cloud_bigquery::client::BigQuery as QueryClient;
use google_cloud_bigquery_v2::client::{DatasetService, JobService, TableService};
use google_cloud_gax::retry_policy::NeverRetry;

use super::error::BigQueryError;
use clickmill_config as config;
use clickmill_google::{Service, connected};

/// The clients.
#[derive(Debug)]
pub(super) struct Rest {
    pub datasets: DatasetService,
    pub tables: TableService,
    pub jobs: JobService,
    pub queries: QueryClient,
}

impl Rest {
    /// Makes the clients. Nothing is asked of the service yet. A try of a call may
    /// take so long.
    pub(super) fn open(
        config: &config::BigQuery,
        attempt: Duration,
    ) -> BoxFuture<'_, Result<Self, BigQueryError>> {
        Box::pin(async move {
            // They try once: what is tried again is decided here.
            let datasets = connected!(DatasetService::builder(), Service::BigQuery);
            let datasets = datasets.with_retry_policy(NeverRetry).with_attempt_timeout(attempt);
            let tables = connected!(TableService::builder(), Service::BigQuery);
            let tables = tables.with_retry_policy(NeverRetry).with_attempt_timeout(attempt);
            let jobs = connected!(JobService::builder(), Service::BigQuery);
            let jobs = jobs.with_retry_policy(NeverRetry).with_attempt_timeout(attempt);
            let queries = QueryClient::builder().with_project_id(&config.project);
            let queries = connected!(queries, Service::BigQuery).with_retry_policy(NeverRetry);
            Ok(Self {
                datasets: datasets.build().await.map_err(BigQueryError::Client)?,
                tables: tables.build().await.map_err(BigQueryError::Client)?,
                jobs: jobs.build().await.map_err(BigQueryError::Client)?,
                queries: queries.build().await.map_err(BigQueryError::Client)?,
            })
        })
    }
}
