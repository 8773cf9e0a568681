//! Patience with what BigQuery gets over by itself: a table or column that its REST side has and its Write
//! API has not yet; a role that was granted and has not spread yet. That takes minutes, so the wait has a
//! bound, `sink.patience_secs`, and is logged once, with its reason.
//!
//! What does not pass by itself, such as a column that the table lacks by REST too, is not waited for.

use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use google_cloud_gax::error::Error as ServiceError;
use google_cloud_gax::error::rpc::Code;

use super::BigQuery;
use super::error::{BigQueryError, Unready};
use super::waiting::{Place, Since};
use clickmill_config::TableName;
use clickmill_core::{Micros, causes, lock};
use clickmill_google as google;

/// The longest wait between two tries.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// The first wait between two tries.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// What becomes of an outage: the service cannot be reached, or does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outages {
    /// It is waited for, as long as for anything else.
    Wait,
    /// It is an error: the caller has tried for a while, or does not want to wait.
    Fail,
}

/// Backoff between two tries, each twice as long as the one before.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(FIRST_WAIT)
    }
}

impl Backoff {
    pub(super) async fn wait(&mut self) {
        tokio::time::sleep(self.0).await;
        self.0 = (self.0 * 2).min(LONGEST_WAIT);
    }
}

/// Patience of one user of one table.
#[derive(Debug)]
pub(super) struct Patience {
    bigquery: BigQuery,
    table: TableName,
    /// What rows are written; nothing where only REST is asked.
    columns: Option<SchemaRef>,
    waiting: Place,
}

impl Patience {
    pub(super) fn new(bigquery: &BigQuery, table: &TableName, columns: Option<&SchemaRef>) -> Self {
        Self {
            bigquery: bigquery.clone(),
            table: table.clone(),
            columns: columns.cloned(),
            waiting: bigquery.waiting.place(),
        }
    }

    /// It has passed.
    pub(super) fn pass(&self) {
        if let Some(since) = lock(&self.waiting).take() {
            let seconds = since.began.elapsed().as_secs();
            tracing::info!(table = %self.table, reason = %since.reason, seconds, "BigQuery is ready");
        }
    }

    /// What an error comes to: the same, or that it is waited for, or that it was waited for in vain.
    pub(super) async fn judge(&self, error: BigQueryError) -> BigQueryError {
        match self.reason(&error).await {
            Err(permanent) => permanent,
            Ok(None) => {
                if error.is_transient() {
                    interrupt(&self.waiting);
                }
                error
            }
            Ok(Some(reason)) => self.wait_for(reason, error),
        }
    }

    /// Tries until it is done. What passes is waited for, and an outage where `outages` says so.
    pub(super) async fn until_done<T, F>(
        &self,
        outages: Outages,
        mut attempt: impl FnMut() -> F,
    ) -> Result<T, BigQueryError>
    where
        F: Future<Output = Result<T, BigQueryError>>,
    {
        let mut backoff = Backoff::default();
        loop {
            let error = match attempt().await {
                Ok(done) => {
                    self.pass();
                    return Ok(done);
                }
                Err(error) => error,
            };
            let error = match outages {
                Outages::Wait => self.judge_outage(error).await,
                Outages::Fail => self.judge(error).await,
            };
            if !matches!(error, BigQueryError::Unready { .. }) {
                return Err(error);
            }
            backoff.wait().await;
        }
    }

    /// As [`Patience::judge`], with outages among what is waited for no longer than that.
    pub(super) async fn judge_outage(&self, error: BigQueryError) -> BigQueryError {
        match self.judge(error).await {
            error @ (BigQueryError::Unready { .. } | BigQueryError::Overdue { .. }) => error,
            error if error.is_transient() => self.wait_for(Unready::Away, error),
            error => error,
        }
    }

    fn wait_for(&self, reason: Unready, error: BigQueryError) -> BigQueryError {
        let bound = self.bigquery.config.patience;
        let mut waiting = lock(&self.waiting);
        let told = waiting.as_ref().is_some_and(|since| since.reason == reason);
        let since = enter(&mut waiting, reason, &self.table);
        let left = bound.saturating_sub(since.began.elapsed());
        if !left.is_zero() && !told {
            let until = Micros::now().get().saturating_add(left.as_micros() as i64);
            tracing::warn!(
                table = %self.table,
                reason = %reason,
                error = causes(&error),
                until = Micros::from(until).to_the_second(),
                "BigQuery is not ready: waiting for it"
            );
        }
        let (table, source) = (self.table.clone(), Box::new(error));
        if left.is_zero() {
            BigQueryError::Overdue { table, reason, seconds: bound.as_secs(), source }
        } else {
            BigQueryError::Unready { table, reason, source }
        }
    }

    /// What may pass, if anything; an error where it is clear that it will not.
    async fn reason(&self, error: &BigQueryError) -> Result<Option<Unready>, BigQueryError> {
        let source = match error {
            BigQueryError::Service { source, .. } => source,
            BigQueryError::Query { source, .. } => match &**source {
                google_cloud_bigquery::error::QueryError::Rpc { source, .. } => source,
                _ => return Ok(None),
            },
            // There were clients before, or nobody would be here: a key that is being replaced, say.
            BigQueryError::Client(_) => return Ok(Some(Unready::Unauthenticated)),
            _ => return Ok(None),
        };
        if google::is_denied(source) {
            return Ok(Some(Unready::Denied));
        }
        if google::is_unauthenticated(source) {
            return Ok(Some(Unready::Unauthenticated));
        }
        let Some(columns) = &self.columns else { return Ok(None) };
        if google::is_not_found(source) {
            return Ok(Some(match self.bigquery.find(&self.table).await {
                Ok(None) => Unready::NoTable,
                Ok(Some(_)) | Err(_) => Unready::UnseenTable,
            }));
        }
        if !is_about_columns(source) {
            return Ok(None);
        }
        // Where REST cannot be asked, there is no telling: it is asked again.
        let Ok(found) = self.bigquery.find(&self.table).await else {
            return Ok(Some(Unready::UnseenColumns));
        };
        let Some(found) = found else { return Ok(Some(Unready::NoTable)) };
        let there: Vec<String> = found
            .schema
            .iter()
            .flat_map(|schema| &schema.fields)
            .map(|field| field.name.to_lowercase())
            .collect();
        let lacks = columns.fields().iter().map(|field| field.name());
        let lacks: Vec<String> = lacks
            .filter(|name| !there.contains(&name.to_lowercase()))
            .map(|name| format!("it has no column `{name}`: `clickmill tables apply` adds it"))
            .collect();
        if lacks.is_empty() {
            Ok(Some(Unready::UnseenColumns))
        } else {
            Err(BigQueryError::Misfit { table: self.table.clone(), misfits: lacks })
        }
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        // `/readyz` is to say nothing of a user who has gone.
        lock(&self.waiting).take();
    }
}

/// A wait begins, or goes on. That for an outage begins anew: what it interrupts was for something else.
fn enter<'a>(waiting: &'a mut Option<Since>, reason: Unready, table: &TableName) -> &'a mut Since {
    if reason == Unready::Away {
        waiting.take_if(|since| since.interrupted.is_some());
    }
    let since = waiting.get_or_insert_with(|| Since::now(reason, table.clone()));
    since.resume();
    since.reason = reason;
    since
}

/// An outage interrupts a wait for anything else. The wait would be overdue at once after it otherwise.
fn interrupt(waiting: &Place) {
    if let Some(since) = lock(waiting).as_mut().filter(|since| since.reason != Unready::Away) {
        since.interrupted.get_or_insert_with(Instant::now);
    }
}

/// Whether the Write API says that the rows have columns that the table lacks.
fn is_about_columns(error: &ServiceError) -> bool {
    error.status().is_some_and(|status| {
        let message = status.message.to_lowercase();
        status.code == Code::InvalidArgument
            && (message.contains("more fields than") || message.contains("schema"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_does_not_count_for_a_wait_that_it_interrupts() {
        let table = TableName { dataset: "d".to_owned(), table: "t".to_owned() };
        for (reason, counts) in [(Unready::NoTable, false), (Unready::Away, true)] {
            let waiting = Place::default();
            let since = lock(&waiting).insert(Since::now(reason, table.clone())).clone();
            interrupt(&waiting);
            std::thread::sleep(Duration::from_millis(1));
            interrupt(&waiting);
            let mut waiting = lock(&waiting);
            let resumed = waiting.as_mut().unwrap();
            resumed.resume();
            assert_eq!(resumed.began == since.began, counts, "{reason}");
            assert!(resumed.interrupted.is_none());
        }
    }

    #[test]
    fn a_wait_for_an_outage_has_all_of_its_patience_whatever_it_interrupts() {
        let table = TableName { dataset: "d".to_owned(), table: "t".to_owned() };
        let waiting = Place::default();
        let before = enter(&mut lock(&waiting), Unready::NoTable, &table).began;
        std::thread::sleep(Duration::from_millis(1));
        interrupt(&waiting);
        let outage = enter(&mut lock(&waiting), Unready::Away, &table).began;
        assert!(outage > before);
        interrupt(&waiting);
        assert_eq!(enter(&mut lock(&waiting), Unready::Away, &table).began, outage);
    }
}
