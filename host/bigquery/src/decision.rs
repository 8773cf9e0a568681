//! Which of several loads of one object counts. Any number of runs may load it at once, each into streams
//! of its own, of which nothing is seen: one of them is decided for, and only its streams are committed.
//!
//! BigQuery has no locks, but it takes an id of a job once, whoever gives it. So the ledger's entry that
//! a load is prepared, with its streams, is made by a job whose id is that of the load:
//!
//! 1. Rows and letters are in pending streams, one for each table, which are finalised.
//! 2. The job `clickmill-load-<load id>-<n>` enters the load as prepared. `n` is 0; where a job of that
//!    id is known to be done and has left nothing that counts (it failed, the streams it names are gone,
//!    the ledger was made anew since), it is the next number.
//! 3. Whose job is refused, since there is one of that id, waits until that one is done, and looks into the
//!    ledger. It commits what was decided for, unless whoever is decided for does, and gives its own up.
//!    A job that cannot be looked at is done once the ledger has one entry more than those before it left.
//! 4. Whoever is decided for commits its letters, then its rows, table by table, and enters the load as
//!    committed. Killed between two of them: the entry lists all streams, whatever the pipeline file says by
//!    then, and whoever finds it commits the rest. Until then a reader may see one table first. Of a replay of
//!    which a stream is gone by then, be it the first, what is committed counts, and nobody is decided for once more.
//!
//! No lease is needed, and no clock: a run that is stopped for an hour and goes on finds that another
//! was decided for. Killed before its job is sent, a run leaves streams that BigQuery forgets. Killed
//! after it, the job runs by itself, and the next run at the object, or the next that asks the ledger,
//! goes on from there: committing again what is committed does nothing.

use std::time::{Duration, Instant};

use google_cloud_bigquery_v2::model::{Job, JobConfiguration, JobConfigurationQuery, JobReference};

use super::error::BigQueryError;
use super::ledger::{Prepared, RowsStream, Standing, There, quoted, text};
use super::load::Load;
use super::patience::Backoff;
use super::{BigQuery, query};
use clickmill_config::TableName;
use clickmill_google as google;
use clickmill_tables::ledger::{Committed, Entry, TABLE};
use clickmill_tables::result_set::Parameter;

/// So many jobs of this run may fail before it gives up; jobs of other runs do not count.
const OWN_JOBS: usize = 5;
/// How long the run that was decided for may take before another completes its load.
const GRACE: Duration = Duration::from_secs(3);
/// How long to wait for the entry of a job that cannot be looked at.
const UNSEEN: Duration = Duration::from_secs(60);
/// How often the ledger is looked at meanwhile.
const TURN: Duration = Duration::from_millis(250);

/// What became of a job.
enum Sent {
    /// It is done, and was ours.
    Done,
    /// It failed, and was ours. BigQuery's words.
    Failed(String),
    /// There was one of that id, which failed.
    AnotherFailed,
    /// There was one of that id, which is done.
    Another,
    /// There was one of that id, which cannot be looked at.
    Unseen,
}

impl BigQuery {
    /// Decides for this load, commits its streams and enters that; or brings to its end what was decided
    /// for before.
    pub(super) async fn commit_load(
        &self,
        entry: &Entry,
        mut rows: Vec<Load>,
        mut dead_letters: Load,
    ) -> Result<Committed, BigQueryError> {
        // The caller has asked for refused rows before: there are no late ones.
        let mut streams = Vec::with_capacity(rows.len());
        for rows in &mut rows {
            if let Some(refused) = rows.settle().await?.first() {
                return Err(uncommitted(entry, refused.reason.message.clone()));
            }
        }
        if let Some(refused) = dead_letters.settle().await?.first() {
            let (table, why) = (dead_letters.table().clone(), refused.reason.message.clone());
            let load_id = entry.load_id.clone();
            return Err(BigQueryError::LetterRefused { load_id, table, why });
        }
        for rows in &mut rows {
            if let Some(name) = rows.finish().await? {
                streams.push(RowsStream { name, rows: rows.rows() });
            }
        }
        let ours = Prepared::of(entry, &streams, dead_letters.finish().await?);
        if self.decide(entry, &ours).await? == Committed::ByAnother {
            return Ok(Committed::ByAnother);
        }
        if self.commit_streams(&entry.load_id, &ours).await? != There::All {
            let (load_id, why) = (entry.load_id.clone(), "its stream is gone".to_owned());
            return Err(BigQueryError::Commit { load_id, why, passes: true });
        }
        self.enter_committed(entry).await?;
        Ok(Committed::Now)
    }

    async fn decide(&self, entry: &Entry, ours: &Prepared) -> Result<Committed, BigQueryError> {
        let (mut number, mut own, mut left) = (0, 0, 0);
        let mut backoff = Backoff::default();
        loop {
            match self.enter_prepared(entry, ours, number).await? {
                Sent::Done => return Ok(Committed::Now),
                Sent::Failed(why) => {
                    own += 1;
                    if own == OWN_JOBS {
                        return Err(undecided(entry, why));
                    }
                    backoff.wait().await;
                }
                Sent::AnotherFailed => {}
                Sent::Another => match self.decided_before(entry, ours).await? {
                    Some(committed) => return Ok(committed),
                    None => left += 1,
                },
                Sent::Unseen => match self.decided_unseen(entry, ours, left).await? {
                    Some(committed) => return Ok(committed),
                    None => left += 1,
                },
            }
            number += 1;
        }
    }

    /// What a job has decided that cannot be looked at. The jobs before it have `left` at most so many
    /// entries.
    async fn decided_unseen(
        &self,
        entry: &Entry,
        ours: &Prepared,
        left: usize,
    ) -> Result<Option<Committed>, BigQueryError> {
        let began = Instant::now();
        while began.elapsed() < UNSEEN {
            let standing = self.standing(&entry.load_id, &entry.table).await?;
            if standing.is_committed || standing.prepared.len() > left {
                return self.decided_before(entry, ours).await;
            }
            tokio::time::sleep(TURN * 8).await;
        }
        // It may still run: with the next number two of them could be decided for.
        Err(undecided(entry, "another run's job for it cannot be looked at".to_owned()))
    }

    /// What a job of the load's has decided; `None` where it has left nothing that counts.
    async fn decided_before(
        &self,
        entry: &Entry,
        ours: &Prepared,
    ) -> Result<Option<Committed>, BigQueryError> {
        let began = Instant::now();
        loop {
            let standing = self.standing(&entry.load_id, &entry.table).await?;
            if standing.prepared.contains(ours) {
                // The answer to our own job was lost.
                return Ok(Some(Committed::Now));
            }
            if standing.is_committed {
                return Ok(Some(Committed::ByAnother));
            }
            if standing.prepared.is_empty() {
                return Ok(None);
            }
            if began.elapsed() >= GRACE {
                let helped = self.help(&entry.load_id, &standing, &entry.table).await?;
                return Ok(helped.then_some(Committed::ByAnother));
            }
            tokio::time::sleep(TURN).await;
        }
    }

    async fn standing(&self, load_id: &str, target: &TableName) -> Result<Standing, BigQueryError> {
        let load_id = load_id.to_owned();
        let mut found = self.look(std::slice::from_ref(&load_id), target).await?;
        Ok(found.remove(&load_id).unwrap_or_default())
    }

    /// Enters the load as prepared, by a job that there can be once.
    async fn enter_prepared(
        &self,
        entry: &Entry,
        ours: &Prepared,
        number: u64,
    ) -> Result<Sent, BigQueryError> {
        const WHAT: &str = "enter a load as prepared";
        let (sql, parameters) = insert(entry, ours);
        let query = JobConfigurationQuery::new()
            .set_query(sql)
            .set_use_legacy_sql(false)
            .set_parameter_mode("NAMED")
            .set_query_parameters(parameters.iter().map(query::parameter));
        let id = format!("clickmill-load-{}-{number}", entry.load_id);
        let mut reference =
            JobReference::new().set_project_id(&self.config.project).set_job_id(&id);
        if let Some(location) = &self.config.location {
            reference = reference.set_location(location);
        }
        let job = Job::new()
            .set_job_reference(reference.clone())
            .set_configuration(JobConfiguration::new().set_query(query));
        let (reference, ours) = match self.insert_job(&job, WHAT).await? {
            Ok(job) => (job.job_reference.unwrap_or(reference), true),
            Err(said) => match location(&said, &id) {
                Some(location) => (reference.set_location(location), false),
                None => (reference, false),
            },
        };
        let done = match self.job_done(&reference, WHAT).await {
            Ok(done) => done,
            // It belongs to somebody else: the ledger may tell.
            Err(BigQueryError::Service { source, .. })
                if !ours && (google::is_denied(&source) || google::is_not_found(&source)) =>
            {
                return Ok(Sent::Unseen);
            }
            Err(error) => return Err(error),
        };
        match done.status.and_then(|status| status.error_result) {
            Some(error) if ours && !is_transient(&error.reason) => {
                Err(uncommitted(entry, error.message))
            }
            Some(error) if ours => Ok(Sent::Failed(error.message)),
            Some(_) => Ok(Sent::AnotherFailed),
            None if ours => Ok(Sent::Done),
            None => Ok(Sent::Another),
        }
    }
}

impl BigQuery {
    /// Starts a job; or says in BigQuery's words that there is one of its id.
    pub(super) async fn insert_job(
        &self,
        job: &Job,
        what: &str,
    ) -> Result<Result<Job, String>, BigQueryError> {
        self.call(what, |rest| {
            let insert = rest.jobs.insert_job().set_project_id(&self.config.project);
            let insert = insert.set_job(job.clone());
            async move {
                match insert.send().await {
                    Ok(job) => Ok(Ok(job)),
                    Err(error) if google::is_already_there(&error) => Ok(Err(error.to_string())),
                    Err(source) => Err(BigQueryError::service(what, source)),
                }
            }
        })
        .await
    }
}

fn uncommitted(entry: &Entry, why: String) -> BigQueryError {
    BigQueryError::Commit { load_id: entry.load_id.clone(), why, passes: false }
}

fn undecided(entry: &Entry, why: String) -> BigQueryError {
    BigQueryError::Undecided { load_id: entry.load_id.clone(), why }
}

/// The statement that enters a load as prepared.
fn insert(entry: &Entry, ours: &Prepared) -> (String, Vec<(&'static str, Parameter)>) {
    let number = |number: u64| Parameter::Integer(number as i64);
    let parameters = vec![
        text("load_id", &entry.load_id),
        text("pipeline", &entry.pipeline),
        text("table", &entry.table.to_string()),
        text("source", &entry.source),
        ("bytes", number(entry.bytes)),
        ("rows_in", number(entry.rows_in)),
        ("rows_out", number(entry.rows_out)),
        ("rows_rejected", number(entry.rows_rejected)),
        ("rows_filtered", number(entry.rows_filtered)),
        text("plugin_set", &entry.plugin_set),
        ("started_at", Parameter::Timestamp(entry.started_at)),
        ("finished_at", Parameter::Timestamp(entry.finished_at)),
        text("state", "prepared"),
        ("rows_stream", Parameter::Text(ours.rows.clone())),
        ("dead_letter_stream", Parameter::Text(ours.dead_letters.clone())),
    ];
    let columns: Vec<String> = parameters.iter().map(|(name, _)| format!("`{name}`")).collect();
    let values: Vec<String> = parameters.iter().map(|(name, _)| format!("@{name}")).collect();
    let ledger = quoted(&entry.table.beside(TABLE));
    let sql =
        format!("INSERT INTO {ledger} ({}) VALUES ({})", columns.join(", "), values.join(", "));
    (sql, parameters)
}

/// Whether another job may succeed.
fn is_transient(reason: &str) -> bool {
    google::is_passing_reason(reason) || reason == "quotaExceeded"
}

/// The location in `Already Exists: Job project:LOCATION.id`.
fn location(said: &str, id: &str) -> Option<String> {
    let (before, _) = said.split_once(&format!(".{id}"))?;
    let (_, location) = before.rsplit_once(':')?;
    let fine = |c: char| c.is_ascii_alphanumeric() || c == '-';
    (!location.is_empty() && location.chars().all(fine)).then(|| location.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_that_is_there_already_says_where() {
        let said = "Already Exists: Job example.com:project:EU.clickmill-load-ab-0";
        assert_eq!(location(said, "clickmill-load-ab-0").as_deref(), Some("EU"));
        let said = "Already Exists: Job project:europe-west3.clickmill-load-ab-0";
        assert_eq!(location(said, "clickmill-load-ab-0").as_deref(), Some("europe-west3"));
        assert_eq!(location("Already Exists: Job project:x", "clickmill-load-ab-0"), None);
    }
}
