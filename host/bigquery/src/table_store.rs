//! BigQuery as a [`TableStore`].

use std::collections::HashSet;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use serde_json::Value as Json;
use tokio::runtime::Handle;

use super::BigQuery;
use super::append::Append;
use super::error::BigQueryError;
use super::load::Load;
use clickmill_config::TableName;
use clickmill_core::lock;
use clickmill_core::schema::TableSchema;
use clickmill_tables::ledger::{Committed, Entry};
use clickmill_tables::result_set::{Parameter, Question, ResultSet};
use clickmill_tables::{
    Appended, Appender, Begun, Claim, NoTableForAttempts, Refused, Routed, Rows, TableError,
    TableStore, Targets, Wait,
};

/// An append is a request, which takes as long whatever is in it.
const MIN_WAIT: Duration = Duration::from_millis(100);

impl From<BigQueryError> for TableError {
    fn from(error: BigQueryError) -> Self {
        if error.is_of_missing_table() {
            return Self::missing_table(error.fault(), error);
        }
        if matches!(error, BigQueryError::LetterRefused { .. } | BigQueryError::HalfThere { .. }) {
            return Self::load(error.fault(), error);
        }
        Self::new(error.fault(), error.is_transient(), error)
    }
}

#[async_trait]
impl TableStore for BigQuery {
    fn address(&self, table: &TableName) -> String {
        format!("bigquery:{}.{table}", self.config.project)
    }

    async fn ensure(&self, table: &TableName, schema: &TableSchema) -> Result<(), TableError> {
        Ok(self.ensure_table(table, schema).await?)
    }

    async fn is_loaded(&self, load_id: &str, target: &TableName) -> Result<bool, TableError> {
        let load_id = load_id.to_owned();
        let loaded = BigQuery::loaded(self, std::slice::from_ref(&load_id), target).await?;
        Ok(loaded.contains(&load_id))
    }

    async fn loaded(
        &self,
        load_ids: &[String],
        target: &TableName,
    ) -> Result<HashSet<String>, TableError> {
        Ok(BigQuery::loaded(self, load_ids, target).await?)
    }

    fn expect_loads(&self, load_ids: Vec<String>) {
        lock(&self.asked).expect(load_ids);
    }

    fn unready(&self) -> Vec<Wait> {
        self.waiting.waits()
    }

    fn begin_load(
        &self,
        runtime: &Handle,
        load_id: &str,
        targets: &Targets,
    ) -> Result<Option<Begun>, TableError> {
        if runtime.block_on(self.is_loaded_by_now(load_id, &targets.rows.0))? {
            return Ok(Some(Begun::LoadedAlready));
        }
        let begin =
            |(table, schema): &(TableName, SchemaRef)| Load::begin(self, table, schema.clone());
        Ok(Some(Begun::Load(Box::new(Loading {
            bigquery: self.clone(),
            rows: std::iter::once(&targets.rows).chain(&targets.routes).map(begin).collect(),
            dead_letters: begin(&targets.dead_letters),
            attempts: targets.attempts.as_ref().map(begin),
            runtime: runtime.clone(),
        }))))
    }

    /// Everybody is given one: which of two loads counts is decided before either is committed.
    fn claim(&self, _id: &str) -> Result<Option<Claim>, TableError> {
        Ok(Some(Box::new(())))
    }

    async fn mark(&self, load_id: &str, period: u64) -> Result<bool, TableError> {
        Ok(BigQuery::mark(self, load_id, period).await?)
    }

    /// A repeated row is told by offsets or not at all: `key` is not looked at.
    async fn appender(
        &self,
        table: &TableName,
        schema: &TableSchema,
        _key: &[&str],
        _pipeline: &str,
    ) -> Result<Box<dyn Appender>, TableError> {
        let exactly_once = self.config().exactly_once;
        Ok(Box::new(Append::new(self, table, schema.arrow(), exactly_once)))
    }

    async fn enter(
        &self,
        table: &TableName,
        name: &str,
        key: Option<(&str, &str)>,
        rows: &RecordBatch,
    ) -> Result<(), TableError> {
        if let Some(key) = key
            && self.is_entered(table, name, key).await?
        {
            return Ok(());
        }
        Ok(self.enter_rows(table, rows).await?)
    }

    async fn is_entered(
        &self,
        table: &TableName,
        _name: &str,
        (column, value): (&str, &str),
    ) -> Result<bool, TableError> {
        Ok(self.not_entered(table, column, &[value.to_owned()]).await?.is_empty())
    }

    /// In one query.
    async fn not_entered(
        &self,
        table: &TableName,
        column: &str,
        names: &[String],
    ) -> Result<HashSet<String>, TableError> {
        let quoted =
            |name: &String| format!("'{}'", name.replace('\\', "\\\\").replace('\'', "\\'"));
        let list: Vec<String> = names.iter().map(quoted).collect();
        let sql = format!(
            "SELECT DISTINCT `{column}` FROM `{}`.`{}` WHERE `{column}` IN ({})",
            table.dataset,
            table.table,
            list.join(", ")
        );
        let found = self.ask(&sql, &[], &format!("look into `{table}`")).await?;
        let values = found.rows.iter().filter_map(|row| row.first().and_then(Json::as_str));
        let there: HashSet<&str> = values.collect();
        Ok(names.iter().filter(|name| !there.contains(name.as_str())).cloned().collect())
    }

    async fn query(
        &self,
        sql: &str,
        parameters: &[(&str, Parameter)],
        what: &str,
    ) -> Result<ResultSet, TableError> {
        Ok(self.ask(sql, parameters, what).await?)
    }

    async fn look(&self, question: Question<'_>) -> Result<ResultSet, TableError> {
        Ok(self.ask_for(question).await?)
    }
}

/// A load: its part of each table, and where its waiting is done.
struct Loading {
    bigquery: BigQuery,
    /// Of the pipeline's own table, then of its routes'.
    rows: Vec<Load>,
    dead_letters: Load,
    /// Where letters are replayed.
    attempts: Option<Load>,
    runtime: Handle,
}

impl clickmill_tables::Load for Loading {
    fn write(&mut self, rows: Routed) -> Result<(), TableError> {
        for (load, rows) in self.rows.iter_mut().zip(rows.into_tables()) {
            if rows.rows.num_rows() > 0 {
                self.runtime.block_on(load.write(rows))?;
            }
        }
        Ok(())
    }

    fn refused(&mut self) -> Result<Vec<Vec<Refused>>, TableError> {
        let settled = self.rows.iter_mut().map(|load| self.runtime.block_on(load.settle()));
        Ok(settled.collect::<Result<_, BigQueryError>>()?)
    }

    fn write_dead_letters(&mut self, letters: RecordBatch) -> Result<(), TableError> {
        Ok(self.runtime.block_on(self.dead_letters.write(Rows::letters(letters)))?)
    }

    fn write_attempts(&mut self, attempts: RecordBatch) -> Result<(), TableError> {
        let load = self.attempts.as_mut().ok_or(NoTableForAttempts)?;
        Ok(self.runtime.block_on(load.write(Rows::letters(attempts)))?)
    }

    fn commit(self: Box<Self>, entry: &Entry) -> Result<Committed, TableError> {
        let Self { bigquery, mut rows, dead_letters, attempts, runtime } = *self;
        // Last: no letter is resolved before its row is there.
        rows.extend(attempts);
        Ok(runtime.block_on(bigquery.commit_load(entry, rows, dead_letters))?)
    }

    /// BigQuery forgets a pending stream by itself.
    fn abandon(self: Box<Self>) {}
}

#[async_trait]
impl Appender for Append {
    fn overlap(&self) -> usize {
        self.at_once()
    }

    fn takes_many(&self) -> bool {
        false
    }

    fn min_wait(&self) -> Duration {
        MIN_WAIT
    }

    async fn append(&self, rows: &mut Vec<Rows>, so_far: &mut Appended) -> Result<(), TableError> {
        for rows in rows.iter_mut() {
            Append::append(self, rows, &mut so_far.refused).await?;
        }
        rows.clear();
        Ok(())
    }

    async fn close(&self) {}
}
