//! Marks of loads. BigQuery has no locks; they are jobs, since it takes an id of a job once. Each is a query of a
//! constant, which reads no table and is billed nothing; it runs where `sink.location` says. None can be taken
//! back.
//!
//! Nothing that is right rests on them, see [`super::decision`].

use google_cloud_bigquery_v2::model::{Job, JobConfiguration, JobConfigurationQuery, JobReference};

use super::BigQuery;
use super::error::BigQueryError;

impl BigQuery {
    /// Starts the job of a mark. `false` where there is one of its id.
    pub(super) async fn mark(&self, load_id: &str, period: u64) -> Result<bool, BigQueryError> {
        let mut reference = JobReference::new()
            .set_project_id(&self.config.project)
            .set_job_id(format!("clickmill-claim-{load_id}-{period}"));
        if let Some(location) = &self.config.location {
            reference = reference.set_location(location);
        }
        let query = JobConfigurationQuery::new().set_query("SELECT 1").set_use_legacy_sql(false);
        let job = Job::new()
            .set_job_reference(reference)
            .set_configuration(JobConfiguration::new().set_query(query));
        Ok(self.insert_job(&job, "claim an object").await?.is_ok())
    }
}
