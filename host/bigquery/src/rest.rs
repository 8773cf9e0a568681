//! BigQuery's REST side. Every call has a deadline, and all its tries together have one: a connection
//! that hangs says nothing, so after a try without an answer the clients are made anew, and with them the
//! connections. A long wait is logged, with its reason.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use google_cloud_bigquery::builder::bigquery::Query as QueryBuilder;
use google_cloud_bigquery::error::QueryError;
use google_cloud_bigquery::query::{CompleteQuery, Query as QueryHandle};
use google_cloud_bigquery_v2::model::{Job, JobReference, TableFieldSchema};
use serde_json::Value as Json;

use super::clients::Rest;
use super::error::{BigQueryError, in_time};
use super::{ATTEMPT, BigQuery, query};
use clickmill_core::{causes, lock};
use clickmill_tables::result_set::{Bounds, Parameter, Question, ResultSet};

/// How long all tries of a call may take.
const TOTAL: Duration = Duration::from_secs(45);
/// How long a query may run, as long as BigQuery answers that it does.
const QUERY: Duration = Duration::from_secs(600);
/// After so long a wait is logged.
const TELL: Duration = Duration::from_secs(5);
/// The waits between two tries, or two looks at a query that runs.
const WAITS: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(3)];
/// Texts that are known to be queries, at most.
const MAX_QUERIES: usize = 200;

impl BigQuery {
    /// Calls the REST API until there is an answer, or for too long. `what` says what for.
    pub(super) async fn call<T, F>(
        &self,
        what: &str,
        attempt: impl Fn(Arc<Rest>) -> F,
    ) -> Result<T, BigQueryError>
    where
        F: Future<Output = Result<T, BigQueryError>>,
    {
        let began = Instant::now();
        let mut wait = WAITS[0];
        let mut told = false;
        loop {
            let rest = lock(&self.rest).clone();
            let left = TOTAL.saturating_sub(began.elapsed()).min(ATTEMPT);
            let tried = in_time(left, what, attempt(rest.clone()));
            let error = match tell_slow(what, began, &mut told, tried).await {
                Ok(Ok(done)) => return Ok(done),
                Ok(Err(error)) if !error.is_transient() => return Err(error),
                Ok(Err(error)) => error,
                Err(no_answer) => no_answer,
            };
            if began.elapsed() + wait >= TOTAL {
                return Err(match error {
                    BigQueryError::NoAnswer { what, .. } => {
                        BigQueryError::NoAnswer { what, seconds: began.elapsed().as_secs() }
                    }
                    error => error,
                });
            }
            tracing::debug!(error = causes(&error), what, "BigQuery is asked again");
            match Rest::open(&self.config, ATTEMPT).await {
                Ok(anew) => {
                    let mut current = lock(&self.rest);
                    if Arc::ptr_eq(&current, &rest) {
                        *current = Arc::new(anew);
                    }
                }
                // Those that there are may do: a key that is being replaced, say.
                Err(error) => {
                    tracing::debug!(
                        error = causes(&error),
                        "BigQuery is asked by the same clients"
                    );
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAITS[1]);
        }
    }

    /// Runs a query of our own with named parameters, such as `@country`. `what` says what for, in errors.
    pub fn ask<'a>(
        &'a self,
        sql: &'a str,
        parameters: &'a [(&str, Parameter)],
        what: &'a str,
    ) -> BoxFuture<'a, Result<ResultSet, BigQueryError>> {
        Box::pin(async move {
            self.answer(Question { sql, parameters, bounds: Bounds::NONE, what }, None).await
        })
    }

    /// Answers a question of a reader: only a query, and for no more bytes than the configuration allows.
    pub(super) async fn ask_for(&self, question: Question<'_>) -> Result<ResultSet, BigQueryError> {
        self.check_is_query(question).await?;
        self.answer(question, Some(self.config.max_bytes_billed)).await
    }

    /// Asks what kind of statement a text is, which costs nothing; once for each text.
    async fn check_is_query(&self, question: Question<'_>) -> Result<(), BigQueryError> {
        let Question { sql, what, .. } = question;
        if lock(&self.queries).contains(sql) {
            return Ok(());
        }
        let planned = self.send(question, |query| query.set_dry_run(true)).await?;
        let statistics = planned.metadata().statistics.as_ref();
        let found = statistics.and_then(|statistics| statistics.query.as_ref());
        let found = found.map_or("", |query| query.statement_type.as_str());
        if found != "SELECT" {
            let found = if found.is_empty() { "something else" } else { found };
            return Err(BigQueryError::NoQuery { what: what.to_owned(), found: found.to_owned() });
        }
        let mut queries = lock(&self.queries);
        if queries.len() >= MAX_QUERIES {
            queries.clear();
        }
        queries.insert(sql.to_owned());
        Ok(())
    }

    async fn answer(
        &self,
        question: Question<'_>,
        max_bytes_billed: Option<u64>,
    ) -> Result<ResultSet, BigQueryError> {
        let Question { bounds, what, .. } = question;
        let done = self.run(question, max_bytes_billed).await?;
        let schema = done.metadata().schema.clone();
        let fields = query::fields(schema.as_ref());
        let columns = query::columns(schema.as_ref());
        let mut rows = done.read();
        let mut found = ResultSet { columns, rows: Vec::new() };
        while found.rows.len() < bounds.rows
            && let Some(row) = in_time(TOTAL, what, rows.next()).await?
        {
            let row = row.map_err(|source| BigQueryError::Row {
                what: what.to_owned(),
                source: Box::new(source),
            })?;
            let value = |(at, field): (usize, &TableFieldSchema)| {
                bounds.value(query::value(row.get::<Json>(at).unwrap_or_default(), field))
            };
            found.rows.push(fields.iter().enumerate().map(value).collect());
        }
        Ok(found)
    }

    async fn run(
        &self,
        question: Question<'_>,
        max_bytes_billed: Option<u64>,
    ) -> Result<CompleteQuery, BigQueryError> {
        let what = question.what;
        // The configuration keeps it in range.
        let limit = max_bytes_billed.and_then(|bytes| i64::try_from(bytes).ok());
        let bound = |query: QueryBuilder| query.set_or_clear_maximum_bytes_billed(limit);
        let told = |error: BigQueryError| match (error, max_bytes_billed) {
            (BigQueryError::Query { what, source }, Some(limit))
                if BigQueryError::is_billed_too_much(&source) =>
            {
                BigQueryError::Billed { what, limit, source }
            }
            (error, _) => error,
        };
        let began = Instant::now();
        let running = self.send(question, bound).await.map_err(told)?;
        // Asked for the result of a query that runs, the client waits for it, however long it hears
        // nothing. So it is asked for that only once the job says that it is done.
        if running.metadata().job_complete != Some(true)
            && let Some(job) = &running.metadata().job_reference
        {
            let done = self.job_done(job, what);
            tell_slow(what, began, &mut false, done).await?;
        }
        let done = in_time(TOTAL, what, running.until_done()).await?;
        done.map_err(|source| told(failed(what, source)))
    }

    /// Sends a query, as `shape` has it.
    async fn send(
        &self,
        question: Question<'_>,
        shape: impl Fn(QueryBuilder) -> QueryBuilder,
    ) -> Result<QueryHandle, BigQueryError> {
        let Question { sql, parameters, what, .. } = question;
        let shape = &shape;
        self.call(what, |rest| async move {
            let mut query = shape(rest.queries.query(sql));
            if !parameters.is_empty() {
                let parameters: Vec<_> = parameters.iter().map(query::parameter).collect();
                query = query.set_parameter_mode("NAMED").set_query_parameters(parameters);
            }
            query.send().await.map_err(|source| failed(what, source))
        })
        .await
    }
}

fn failed(what: &str, source: QueryError) -> BigQueryError {
    BigQueryError::Query { what: what.to_owned(), source: Box::new(source) }
}

impl BigQuery {
    /// A job as it stands.
    pub(super) async fn job(&self, job: &JobReference, what: &str) -> Result<Job, BigQueryError> {
        self.call(what, |rest| async move {
            let get = rest.jobs.get_job().set_project_id(&job.project_id).set_job_id(&job.job_id);
            let get = match &job.location {
                Some(location) => get.set_location(location),
                None => get,
            };
            get.send().await.map_err(|source| BigQueryError::service(what, source))
        })
        .await
    }

    /// Waits until a job is done, as long as BigQuery answers that it runs.
    pub(super) async fn job_done(
        &self,
        job: &JobReference,
        what: &str,
    ) -> Result<Job, BigQueryError> {
        let began = Instant::now();
        let mut wait = WAITS[0];
        loop {
            let found = self.job(job, what).await?;
            if found.status.as_ref().is_none_or(|status| status.state == "DONE") {
                return Ok(found);
            }
            if began.elapsed() > QUERY {
                let seconds = began.elapsed().as_secs();
                return Err(BigQueryError::NoAnswer { what: what.to_owned(), seconds });
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(WAITS[1]);
        }
    }
}

/// Waits for a future, and says so once it has taken a while since `began`.
async fn tell_slow<T>(
    what: &str,
    began: Instant,
    told: &mut bool,
    future: impl Future<Output = T>,
) -> T {
    let mut future = std::pin::pin!(future);
    if !*told {
        tokio::select! {
            done = &mut future => return done,
            () = tokio::time::sleep(TELL.saturating_sub(began.elapsed())) => {
                *told = true;
                tracing::warn!(what, "waiting for an answer of BigQuery");
            }
        }
    }
    future.await
}
