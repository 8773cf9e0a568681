//! The ledger's part in BigQuery: it closes the gap where the answer to a commit is lost. A load is
//! entered as prepared, with its streams, before they are committed, and as committed after. A later run
//! that finds it prepared commits what is not committed yet.

use std::time::Duration;

use google_cloud_bigquery::error::CommitError;
use google_cloud_bigquery::model::storage_error::StorageErrorCode;
use google_cloud_bigquery::write::PendingWriter;
use google_cloud_bigquery::write::format::Arrow;
use google_cloud_gax::error::Error;
use serde_json::Value as Json;

use super::append::opening;
use super::load::Load;
use super::{BigQuery, BigQueryError, encode, waits};
use clickmill_config::TableName;
use clickmill_tables::Refused;
use clickmill_tables::ledger::{self, Entry, State, TABLE};
use clickmill_tables::result_set::Parameter;

/// How long a commit may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a commit is tried again before the load is left for a later run.
const RETRIES: usize = 4;

impl BigQuery {
    /// Whether a load has happened; one that was prepared is committed now.
    pub async fn is_loaded(
        &self,
        load_id: &str,
        target: &TableName,
    ) -> Result<bool, BigQueryError> {
        let table = target.beside(TABLE);
        // Quoted, since `table` and others are words of the language.
        let sql = format!(
            "SELECT `state`, `rows_stream`, `dead_letter_stream`, `source`, `pipeline`, `rows_out`, `rows_rejected` \
             FROM `{}`.`{}` WHERE `load_id` = @load_id ORDER BY `finished_at` DESC",
            table.dataset, table.table
        );
        let of_load = [text("load_id", load_id)];
        let found = self.ask(&sql, &of_load, "look into the load ledger").await?;
        let is = |row: &[Json], state: &str| row.first().and_then(Json::as_str) == Some(state);
        if found.rows.iter().any(|row| is(row, "committed")) {
            return Ok(true);
        }
        for row in found.rows.iter().filter(|row| is(row, "prepared")) {
            let value = |at: usize| row.get(at).and_then(Json::as_str);
            let (Some(source), Some(pipeline)) = (value(3), value(4)) else { continue };
            if self.commit_stream(load_id, value(2), None, source, pipeline).await?
                && self.commit_stream(load_id, value(1), Some(target), source, pipeline).await?
            {
                self.enter_again(&table, load_id).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Enters a load, commits its streams and enters that.
    pub async fn commit_load(
        &self,
        entry: &Entry,
        mut rows: Load,
        mut dead_letters: Load,
    ) -> Result<(), BigQueryError> {
        let none_refused = |refused: Vec<Refused>| match refused.first() {
            Some(refused) => Err(BigQueryError::Commit {
                load_id: entry.load_id.clone(),
                why: refused.reason.message.clone(),
            }),
            None => Ok(()),
        };
        // The caller has asked for refused rows before: there are no late ones.
        none_refused(rows.settle().await?)?;
        none_refused(dead_letters.settle().await?)?;
        let rows = rows.finish().await?;
        let dead_letters = dead_letters.finish().await?;
        let prepared = State::Prepared { rows: rows.clone(), dead_letters: dead_letters.clone() };
        self.enter_state(entry, &prepared).await?;
        // Letters first: at no moment is a row missing from both tables with its load half done.
        for stream in [dead_letters, rows] {
            let (source, pipeline) = (entry.source.as_str(), entry.pipeline.as_str());
            let target = Some(&entry.table);
            if !self
                .commit_stream(&entry.load_id, stream.as_deref(), target, source, pipeline)
                .await?
            {
                let (load_id, why) = (entry.load_id.clone(), "its stream is gone".to_owned());
                return Err(BigQueryError::Commit { load_id, why });
            }
        }
        self.enter_state(entry, &State::Committed).await
    }

    /// Enters a load that is prepared as committed.
    async fn enter_again(&self, table: &TableName, load_id: &str) -> Result<(), BigQueryError> {
        let ledger = format!("`{}`.`{}`", table.dataset, table.table);
        let sql = format!(
            "INSERT INTO {ledger} SELECT * REPLACE ('committed' AS `state`) FROM {ledger} WHERE `load_id` = @load_id LIMIT 1"
        );
        let of_load = [text("load_id", load_id)];
        self.ask(&sql, &of_load, "enter a load as committed").await.map(drop)
    }

    async fn enter_state(&self, entry: &Entry, state: &State) -> Result<(), BigQueryError> {
        let schema = ledger::schema()?;
        let table = entry.table.beside(TABLE);
        let row = ledger::row(entry, state, &schema);
        let row = row.map_err(|source| BigQueryError::Encode { table: table.clone(), source })?;
        self.enter_rows(&table, &row).await
    }

    /// Commits a stream, now or earlier. `false` where it can't be any more and was not: it is gone
    /// before its commit, and its load has to be made again.
    async fn commit_stream(
        &self,
        load_id: &str,
        stream: Option<&str>,
        target: Option<&TableName>,
        source: &str,
        pipeline: &str,
    ) -> Result<bool, BigQueryError> {
        let Some(name) = stream else { return Ok(true) };
        let mut waits = waits(RETRIES);
        loop {
            let tried = tokio::time::timeout(PATIENCE, self.try_commit(name)).await;
            let tried = tried.unwrap_or_else(|_| Err(Error::timeout("no answer in time").into()));
            let why = match tried {
                Ok(()) => return Ok(true),
                Err(CommitError::FailedTransaction { stream_errors, .. }) => {
                    let committed =
                        |code: &StorageErrorCode| *code == StorageErrorCode::StreamAlreadyCommitted;
                    if stream_errors.iter().any(|error| committed(&error.code)) {
                        return Ok(true);
                    }
                    // Committed or gone: the rows tell.
                    return self.has_rows(name, target, source, pipeline).await;
                }
                Err(CommitError::Rpc { source: error, .. })
                    if clickmill_google::is_not_found(&error) =>
                {
                    return self.has_rows(name, target, source, pipeline).await;
                }
                Err(error) => error.to_string(),
            };
            let Some(wait) = waits.next() else {
                return Err(BigQueryError::Commit { load_id: load_id.to_owned(), why });
            };
            tracing::warn!(why, ?wait, "a commit had no answer and is tried again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn try_commit(&self, stream: &str) -> Result<(), CommitError> {
        let ended = |error: BigQueryError| match error {
            BigQueryError::Service { source, .. } => CommitError::from(source),
            other => CommitError::from(Error::io(other)),
        };
        let client = self.write_client().await.map_err(ended)?;
        // The schema is not used: nothing is appended.
        let schema = encode::schema(&std::sync::Arc::new(arrow::datatypes::Schema::empty()));
        let schema = schema.map_err(Error::io)?;
        let writer: Result<PendingWriter<Arrow>, _> =
            client.attach_to_stream(stream).build_arrow(schema).await;
        let writer = writer.map_err(|error| ended(opening(error, "find a stream again")))?;
        writer.commit().await.map(drop)
    }

    /// Whether the object's rows are in the stream's table.
    async fn has_rows(
        &self,
        stream: &str,
        target: Option<&TableName>,
        source: &str,
        pipeline: &str,
    ) -> Result<bool, BigQueryError> {
        // projects/P/datasets/D/tables/T/streams/S
        let parts: Vec<&str> = stream.split('/').collect();
        let [_, _, _, dataset, _, table, ..] = parts.as_slice() else { return Ok(false) };
        let is_target = target.is_some_and(|target| target.table == *table);
        let own = if is_target { "TRUE" } else { "`pipeline` = @pipeline" };
        let sql = format!(
            "SELECT COUNT(*) FROM `{dataset}`.`{table}` WHERE `source` = @source AND {own}"
        );
        let parameters = [text("source", source), text("pipeline", pipeline)];
        let parameters = if is_target { &parameters[..1] } else { &parameters[..] };
        let found = self.ask(&sql, parameters, "look for the rows of a load").await?;
        Ok(found.single().and_then(Json::as_i64).is_some_and(|count| count > 0))
    }
}

fn text<'a>(name: &'a str, value: &str) -> (&'a str, Parameter) {
    (name, Parameter::Text(Some(value.to_owned())))
}
