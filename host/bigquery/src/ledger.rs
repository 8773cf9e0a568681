//! The ledger's part in BigQuery: it closes the gap where the answer to a commit is lost. A load is
//! entered as prepared, with its streams, before they are committed, and as committed after. A later run
//! that finds it prepared commits what is not committed yet. `decision` says which of several loads of one
//! object may be entered as prepared.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use google_cloud_bigquery::error::CommitError;
use google_cloud_bigquery::model::storage_error::StorageErrorCode;
use google_cloud_bigquery::write::PendingWriter;
use google_cloud_bigquery::write::format::Arrow;
use google_cloud_gax::error::Error;
use serde_json::Value as Json;

use super::answer::opening;
use super::asked::{Known, questions};
use super::error::{BigQueryError, in_time};
use super::patience::{Outages, Patience};
use super::{BigQuery, encode};
use clickmill_config::TableName;
use clickmill_core::lock;
use clickmill_tables::ledger::{self, Entry, State, TABLE};
use clickmill_tables::result_set::Parameter;

/// How long a commit may take.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(30);

/// What the ledger says of a load that is not committed: streams that are about to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Prepared {
    /// The name of a stream; of several the names and how many rows each has: `name#rows,name#rows`.
    pub rows: Option<String>,
    pub dead_letters: Option<String>,
    source: String,
    pipeline: String,
    rows_out: i64,
    rows_rejected: i64,
}

/// A stream of a load's rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RowsStream {
    pub name: String,
    pub rows: i64,
}

/// How far a load got.
#[derive(Debug, Default)]
pub(super) struct Standing {
    pub is_committed: bool,
    pub prepared: Vec<Prepared>,
}

/// How much of a load is there, once its streams were committed that are not gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum There {
    All,
    /// Of a replay: what comes before the first stream that is gone.
    Part,
    None,
}

impl BigQuery {
    /// Which of these loads have happened; those that were prepared are committed now.
    pub async fn loaded(
        &self,
        load_ids: &[String],
        target: &TableName,
    ) -> Result<HashSet<String>, BigQueryError> {
        let mut loaded = HashSet::new();
        for page in questions(load_ids) {
            for (load_id, standing) in self.look(page, target).await? {
                let is_there = standing.is_committed
                    || match self.help(&load_id, &standing, target).await {
                        // No reason to load none of the others: its own commit meets it once more.
                        Err(BigQueryError::HalfThere { .. }) => false,
                        helped => helped?,
                    };
                if is_there {
                    loaded.insert(load_id);
                }
            }
        }
        Ok(loaded)
    }

    /// Whether a load has happened by now, as far as is known from asking every few seconds for those that
    /// are next: what is not known here is found out before anything is committed.
    pub(super) async fn is_loaded_by_now(
        &self,
        load_id: &str,
        target: &TableName,
    ) -> Result<bool, BigQueryError> {
        let known = lock(&self.asked).known(load_id);
        match known {
            Known::Loaded(is_loaded) => Ok(is_loaded),
            Known::Ask(ids) => {
                let loaded = self.loaded(&ids, target).await?;
                lock(&self.asked).learn(&ids, &loaded);
                Ok(loaded.contains(load_id))
            }
        }
    }

    /// How far loads got, of those that the ledger knows.
    pub(super) async fn look(
        &self,
        load_ids: &[String],
        target: &TableName,
    ) -> Result<HashMap<String, Standing>, BigQueryError> {
        // Quoted, since `table` and others are words of the language.
        let sql = format!(
            "SELECT `load_id`, `state`, `rows_stream`, `dead_letter_stream`, `source`, `pipeline`, `rows_out`, `rows_rejected` \
             FROM {} WHERE `load_id` IN UNNEST(SPLIT(@load_ids, ',')) ORDER BY `finished_at` DESC",
            quoted(&target.beside(TABLE))
        );
        let of_loads = [text("load_ids", &load_ids.join(","))];
        let ask = || self.ask(&sql, &of_loads, "look into the load ledger");
        let patience = Patience::new(self, &target.beside(TABLE), None);
        let found = patience.until_done(Outages::Fail, ask).await?;
        let mut standings: HashMap<String, Standing> = HashMap::new();
        for row in &found.rows {
            let text = |at: usize| row.get(at).and_then(Json::as_str).map(str::to_owned);
            let number = |at: usize| row.get(at).and_then(Json::as_i64).unwrap_or_default();
            let Some(load_id) = text(0) else { continue };
            let standing = standings.entry(load_id).or_default();
            match (text(1).as_deref(), text(4), text(5)) {
                (Some("committed"), _, _) => standing.is_committed = true,
                (Some("prepared"), Some(source), Some(pipeline)) => {
                    standing.prepared.push(Prepared {
                        rows: text(2),
                        dead_letters: text(3),
                        source,
                        pipeline,
                        rows_out: number(6),
                        rows_rejected: number(7),
                    });
                }
                _ => {}
            }
        }
        Ok(standings)
    }

    /// Brings a load to its end that was prepared. `false` where its streams are gone: it has to be made
    /// again. A replay of which streams are gone has ended: BigQuery forgets those that are committed, too, so that
    /// some of its rows may be there. Who has read its letters before is too late, and the next one finds which of
    /// their rows are there.
    pub(super) async fn help(
        &self,
        load_id: &str,
        standing: &Standing,
        target: &TableName,
    ) -> Result<bool, BigQueryError> {
        for prepared in &standing.prepared {
            match self.commit_streams(load_id, prepared).await? {
                There::All | There::Part => {
                    self.enter_again(&target.beside(TABLE), load_id, prepared).await?;
                    return Ok(true);
                }
                // Not entered as committed: perhaps nothing of it was.
                There::None if ledger::is_replay(&prepared.source) => return Ok(true),
                There::None => {}
            }
        }
        Ok(false)
    }

    /// Commits the streams of a load, now or earlier, up to one that is gone.
    pub(super) async fn commit_streams(
        &self,
        load_id: &str,
        prepared: &Prepared,
    ) -> Result<There, BigQueryError> {
        let Prepared { dead_letters, source, pipeline, rows_rejected, .. } = prepared;
        if ledger::is_replay(source) {
            // Its rows are of many objects, and cannot be counted.
            let rows = prepared.streams().into_iter().map(|stream| stream.name);
            let mut there = There::None;
            for stream in dead_letters.iter().cloned().chain(rows) {
                if !self.commit_stream(load_id, &stream).await? {
                    return Ok(there);
                }
                there = There::Part;
            }
            return Ok(There::All);
        }
        // Letters first: at no moment is a row missing from all tables with its load half done.
        if let Some(stream) = dead_letters
            && !self.commit_stream(load_id, stream).await?
            // Letters of one object are of several pipelines; rows are of one, by the load's id.
            && self.count_rows(stream, "`pipeline` = @pipeline", source, pipeline).await?
                < *rows_rejected
        {
            return Ok(There::None);
        }
        let mut there: Option<TableName> = None;
        for RowsStream { name, rows } in prepared.streams() {
            let table = table_of(&name);
            if !self.commit_stream(load_id, &name).await?
                && self.count_rows(&name, "@pipeline IS NOT NULL", source, pipeline).await? < rows
            {
                // What is in one table can't be taken back, nor be loaded once more.
                return match there {
                    None => Ok(There::None),
                    Some(there) => Err(BigQueryError::HalfThere {
                        load_id: load_id.to_owned(),
                        object: source.clone(),
                        tables: Box::new([there, table]),
                    }),
                };
            }
            there.get_or_insert(table);
        }
        Ok(There::All)
    }

    /// Enters a load that is prepared as committed, unless that was done: of several entries that it is
    /// prepared, the one with these streams.
    async fn enter_again(
        &self,
        table: &TableName,
        load_id: &str,
        prepared: &Prepared,
    ) -> Result<(), BigQueryError> {
        let ledger = quoted(table);
        // No stream has that name, and a null equals nothing.
        let sql = format!(
            "INSERT INTO {ledger} SELECT * REPLACE ('committed' AS `state`) FROM {ledger} \
             WHERE `load_id` = @load_id AND `state` = 'prepared' \
             AND IFNULL(`rows_stream`, '-') = @rows_stream \
             AND IFNULL(`dead_letter_stream`, '-') = @dead_letter_stream AND `load_id` NOT IN \
             (SELECT `load_id` FROM {ledger} WHERE `load_id` = @load_id AND `state` = 'committed') LIMIT 1"
        );
        let parameters = [
            text("load_id", load_id),
            text("rows_stream", prepared.rows.as_deref().unwrap_or("-")),
            text("dead_letter_stream", prepared.dead_letters.as_deref().unwrap_or("-")),
        ];
        self.ask(&sql, &parameters, "enter a load as committed").await.map(drop)
    }

    /// Enters a load as committed.
    pub(super) async fn enter_committed(&self, entry: &Entry) -> Result<(), BigQueryError> {
        let schema = ledger::schema()?;
        let table = entry.table.beside(TABLE);
        let row = ledger::row(entry, &State::Committed, &schema);
        let row = row.map_err(|source| BigQueryError::Encode { table: table.clone(), source })?;
        self.enter_rows(&table, &row).await
    }

    /// Commits a stream, now or earlier. `false` where it is gone: committed long ago, or never.
    async fn commit_stream(&self, load_id: &str, name: &str) -> Result<bool, BigQueryError> {
        let table = table_of(name);
        let patience = Patience::new(self, &table, None);
        let what = format!("commit a stream of `{table}`");
        let committed = patience.until_done(Outages::Wait, || async {
            let tried = match in_time(COMMIT_TIMEOUT, &what, self.try_commit(name)).await {
                Ok(tried) => tried,
                Err(no_answer) => {
                    self.forget_write_client(&no_answer);
                    return Err(no_answer);
                }
            };
            match tried {
                Ok(()) => Ok(true),
                Err(CommitError::FailedTransaction { stream_errors, .. }) => {
                    let codes = stream_errors.iter().map(|error| &error.code);
                    standing_of(codes).ok_or_else(|| BigQueryError::Uncommitted {
                        what: what.clone(),
                        why: format!("{stream_errors:?}"),
                    })
                }
                Err(CommitError::Rpc { source, .. }) if clickmill_google::is_not_found(&source) => {
                    Ok(false)
                }
                Err(CommitError::Rpc { source, .. }) => {
                    let error = BigQueryError::service(&what, source);
                    self.forget_write_client(&error);
                    Err(error)
                }
                Err(error) => {
                    Err(BigQueryError::Uncommitted { what: what.clone(), why: error.to_string() })
                }
            }
        });
        committed.await.map_err(|error| BigQueryError::Commit {
            load_id: load_id.to_owned(),
            why: clickmill_core::causes(&error),
            passes: error.is_transient(),
        })
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

    /// How many of the object's rows are in the stream's table.
    async fn count_rows(
        &self,
        stream: &str,
        own: &str,
        source: &str,
        pipeline: &str,
    ) -> Result<i64, BigQueryError> {
        let table = quoted(&table_of(stream));
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE `source` = @source AND {own}");
        let parameters = [text("source", source), text("pipeline", pipeline)];
        let found = match self.ask(&sql, &parameters, "look for the rows of a load").await {
            // The table of a route that is in the pipeline file no more.
            Err(error) if error.is_of_missing_table() => return Ok(0),
            found => found?,
        };
        Ok(found.single().and_then(Json::as_i64).unwrap_or_default())
    }
}

impl Prepared {
    /// What is about to be committed of a load.
    pub(super) fn of(entry: &Entry, rows: &[RowsStream], dead_letters: Option<String>) -> Self {
        let several = rows.iter().map(|stream| format!("{}#{}", stream.name, stream.rows));
        let rows = match rows {
            [] => None,
            [only] => Some(only.name.clone()),
            _ => Some(several.collect::<Vec<_>>().join(",")),
        };
        Self {
            rows,
            dead_letters,
            source: entry.source.clone(),
            pipeline: entry.pipeline.clone(),
            rows_out: entry.rows_out as i64,
            rows_rejected: entry.rows_rejected as i64,
        }
    }

    /// The streams of rows, in the order in which they are committed.
    fn streams(&self) -> Vec<RowsStream> {
        let streams = self.rows.iter().flat_map(|rows| rows.split(','));
        let read = |stream: &str| match stream.split_once('#') {
            Some((name, rows)) => {
                RowsStream { name: name.to_owned(), rows: rows.parse().unwrap_or(i64::MAX) }
            }
            None => RowsStream { name: stream.to_owned(), rows: self.rows_out },
        };
        streams.map(read).collect()
    }
}

/// What the errors of a commit that failed say of its stream: that it is committed, or that it is gone.
/// Others, such as one of the keys that encrypt a table, say nothing of it: it may be committed later.
fn standing_of<'a>(codes: impl Iterator<Item = &'a StorageErrorCode>) -> Option<bool> {
    let known = codes.filter_map(|code| match code {
        StorageErrorCode::StreamAlreadyCommitted => Some(true),
        StorageErrorCode::StreamNotFound
        | StorageErrorCode::TableNotFound
        | StorageErrorCode::InvalidStreamState => Some(false),
        _ => None,
    });
    known.max()
}

/// The table of `projects/P/datasets/D/tables/T/streams/S`.
fn table_of(stream: &str) -> TableName {
    let mut parts = stream.split('/').skip(1).step_by(2).map(str::to_owned);
    let (_project, dataset, table) = (parts.next(), parts.next(), parts.next());
    TableName { dataset: dataset.unwrap_or_default(), table: table.unwrap_or_default() }
}

pub(super) fn quoted(table: &TableName) -> String {
    format!("`{}`.`{}`", table.dataset, table.table)
}

pub(super) fn text<'a>(name: &'a str, value: &str) -> (&'a str, Parameter) {
    (name, Parameter::Text(Some(value.to_owned())))
}

#[cfg(test)]
mod tests;
