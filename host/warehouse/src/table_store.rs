//! A warehouse as a [`TableStore`].

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow::array::RecordBatch;
use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Handle;

use super::live::Live;
use super::load::{Begun, Load};
use super::{Warehouse, WarehouseError};
use clickmill_config::TableName;
use clickmill_core::schema::TableSchema;
use clickmill_query::{EngineError, QueryError};
use clickmill_tables::ledger::{Committed, Entry};
use clickmill_tables::result_set::{Bounds, Parameter, Question, ResultSet};
use clickmill_tables::{
    Appended, Appender, Claim, Refused, Routed, Rows, TableError, TableStore, Targets,
};

/// A flush is a file, which is packed with others before they are merged: 60 a second cost a tenth of a core.
const MIN_WAIT_WITH_LOG: Duration = Duration::from_millis(10);
/// Without a log it is a file of the table at once, which every reader asks for.
const MIN_WAIT: Duration = Duration::from_millis(500);

/// Small files that are looked for at once.
const LOOKS_AT_ONCE: usize = 32;

impl From<WarehouseError> for TableError {
    fn from(error: WarehouseError) -> Self {
        Self::new(error.fault(), error.is_transient(), error)
    }
}

#[async_trait]
impl TableStore for Warehouse {
    fn address(&self, table: &TableName) -> String {
        let folder = self.disk.as_ref().map(|disk| disk.address().display().to_string());
        let folder = folder.unwrap_or_else(|| self.uri.trim_end_matches('/').to_owned());
        format!("{folder}/{table}")
    }

    async fn ensure(&self, table: &TableName, schema: &TableSchema) -> Result<(), TableError> {
        // Whoever writes clears up, once. What can't be swept now is swept by a later run.
        if !self.swept.swap(true, Ordering::Relaxed)
            && let Ok(now) = self.now().await
        {
            let _ = self.sweep(now).await;
        }
        Ok(self.ensure_table(table, schema).await?)
    }

    async fn clear_up(&self) -> Result<(), TableError> {
        if self.disk.is_some() {
            self.sweep(std::time::SystemTime::now()).await?;
        }
        Ok(())
    }

    async fn keep_for(&self, days: u32, tables: &[TableName]) -> Result<(), TableError> {
        Warehouse::keep_for(self, days);
        let now = self.now().await?;
        for table in tables {
            self.expire(table, now, || true).await?;
        }
        Ok(())
    }

    async fn is_loaded(&self, load_id: &str, target: &TableName) -> Result<bool, TableError> {
        Ok(Warehouse::is_loaded(self, load_id, target).await?)
    }

    async fn loaded(
        &self,
        load_ids: &[String],
        target: &TableName,
    ) -> Result<HashSet<String>, TableError> {
        Ok(Warehouse::loaded(self, load_ids, target).await?)
    }

    fn begin_load(
        &self,
        runtime: &Handle,
        load_id: &str,
        targets: &Targets,
    ) -> Result<Option<clickmill_tables::Begun>, TableError> {
        let begun = Load::begin(self, runtime, load_id, targets)?;
        Ok(begun.map(|begun| match begun {
            Begun::Load(load) => clickmill_tables::Begun::Load(Box::new(Loading {
                load: *load,
                runtime: runtime.clone(),
            })),
            Begun::LoadedAlready => clickmill_tables::Begun::LoadedAlready,
        }))
    }

    fn has_locks(&self) -> bool {
        self.disk.is_some()
    }

    /// On a disk, a file that is locked.
    fn claim(&self, id: &str) -> Result<Option<Claim>, TableError> {
        let claim = Warehouse::claim(self, id)?;
        Ok(claim.map(|claim| -> Claim { Box::new(claim) }))
    }

    async fn mark(&self, load_id: &str, period: u64) -> Result<bool, TableError> {
        Ok(self.disk.is_some() || Warehouse::mark(self, load_id, period).await?)
    }

    async fn unmark(&self, load_id: &str, periods: &[u64]) {
        if self.disk.is_none() {
            Warehouse::unmark(self, load_id, periods).await;
        }
    }

    async fn appender(
        &self,
        table: &TableName,
        schema: &TableSchema,
        key: &[&str],
        pipeline: &str,
    ) -> Result<Box<dyn Appender>, TableError> {
        Ok(Box::new(Live::open(self, table, schema.arrow(), key, pipeline).await?))
    }

    /// Rows are a file of this name: `key` is not looked at.
    async fn enter(
        &self,
        table: &TableName,
        name: &str,
        _key: Option<(&str, &str)>,
        rows: &RecordBatch,
    ) -> Result<(), TableError> {
        Ok(Warehouse::enter(self, table, name, rows).await?)
    }

    async fn is_entered(
        &self,
        table: &TableName,
        name: &str,
        _key: (&str, &str),
    ) -> Result<bool, TableError> {
        Ok(Warehouse::is_entered(self, table, name).await?)
    }

    async fn not_entered(
        &self,
        table: &TableName,
        _column: &str,
        names: &[String],
    ) -> Result<HashSet<String>, TableError> {
        let asked = names.iter().map(|name| async move {
            let is_there = Warehouse::is_entered(self, table, name).await?;
            Ok::<_, WarehouseError>((!is_there).then(|| name.clone()))
        });
        let asked: Vec<_> = asked.collect();
        let found = stream::iter(asked).buffer_unordered(LOOKS_AT_ONCE);
        let found: Vec<Option<String>> = found.try_collect().await?;
        Ok(found.into_iter().flatten().collect())
    }

    fn asks_sql_engine(&self) -> bool {
        true
    }

    async fn query(
        &self,
        sql: &str,
        parameters: &[(&str, Parameter)],
        what: &str,
    ) -> Result<ResultSet, TableError> {
        self.look(Question { sql, parameters, bounds: Bounds::NONE, what }).await
    }

    async fn look(&self, question: Question<'_>) -> Result<ResultSet, TableError> {
        let Question { sql, parameters, bounds, what: _ } = question;
        let answer = self.within(sql, parameters, bounds).await?;
        let rows = ResultSet::of(&answer).map_err(EngineError::from).map_err(QueryError::from);
        Ok(rows?)
    }
}

/// A load, and where its waiting is done.
struct Loading {
    load: Load,
    runtime: Handle,
}

impl clickmill_tables::Load for Loading {
    fn write(&mut self, rows: Routed) -> Result<(), TableError> {
        Ok(self.load.write(rows.tables().map(|rows| &rows.rows))?)
    }

    /// None: a file takes whatever has its columns.
    fn refused(&mut self) -> Result<Vec<Vec<Refused>>, TableError> {
        Ok(Vec::new())
    }

    fn write_dead_letters(&mut self, letters: RecordBatch) -> Result<(), TableError> {
        Ok(self.load.write_dead_letters(&letters)?)
    }

    fn write_attempts(&mut self, attempts: RecordBatch) -> Result<(), TableError> {
        self.load.write_attempts(&attempts)
    }

    fn commit(self: Box<Self>, entry: &Entry) -> Result<Committed, TableError> {
        Ok(self.load.commit(&self.runtime, entry)?)
    }

    fn abandon(self: Box<Self>) {
        self.load.abandon(&self.runtime);
    }
}

#[async_trait]
impl Appender for Live {
    /// Files are cheaper the fewer they are, and the disk is one.
    fn overlap(&self) -> usize {
        1
    }

    fn takes_many(&self) -> bool {
        true
    }

    fn min_wait(&self) -> Duration {
        if self.has_log() { MIN_WAIT_WITH_LOG } else { MIN_WAIT }
    }

    async fn append(&self, rows: &mut Vec<Rows>, so_far: &mut Appended) -> Result<(), TableError> {
        let batches: Vec<RecordBatch> = rows.iter().map(|rows| rows.rows.clone()).collect();
        let there = Live::append(self, &batches).await?;
        so_far.repeated.extend(there.into_iter().map(|(at, row)| rows[at].origins.key(row)));
        rows.clear();
        Ok(())
    }

    async fn close(&self) {
        Live::close(self).await;
    }
}
