//! What keeps tables, as its users see it: a store, the loads of objects, the appends of streams. The
//! warehouse and BigQuery each implement it once.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use tokio::runtime::Handle;

use super::error::TableError;
use super::ledger::{Committed, Entry};
use super::refused::{Refused, Rows};
use super::result_set::{Parameter, Question, ResultSet};
use super::router::Routed;
use clickmill_config::{Sink, TableName};
use clickmill_core::batch::RowKey;
use clickmill_core::schema::TableSchema;

/// The tables of a load: names and columns.
pub struct Targets {
    /// Of good rows, where the ledger is beside: the pipeline's own.
    pub rows: (TableName, SchemaRef),
    /// Of good rows too: those of the pipeline's routes.
    pub routes: Vec<(TableName, SchemaRef)>,
    /// Of dead letters.
    pub dead_letters: (TableName, SchemaRef),
    /// Of attempts at dead letters, where they are replayed.
    pub attempts: Option<(TableName, SchemaRef)>,
}

impl Targets {
    /// The tables of a sink, and that of its dead letters.
    pub fn of(sink: &Sink, dead_letters: (TableName, SchemaRef)) -> Self {
        let routes = sink.routes.iter().map(|route| (route.table.clone(), route.schema.arrow()));
        let rows = (sink.table.clone(), sink.schema.arrow());
        Self { rows, routes: routes.collect(), dead_letters, attempts: None }
    }
}

/// How a load begins.
pub enum Begun {
    /// There is something to load.
    Load(Box<dyn Load>),
    /// There is nothing: it has happened.
    LoadedAlready,
}

/// What one process at a time may do. It is given back when it is dropped.
pub type Claim = Box<dyn Send>;

/// What became of rows: those not listed are durable.
#[derive(Debug, Default)]
pub struct Appended {
    /// Rows that the table refuses. They are gone from it.
    pub refused: Vec<Refused>,
    /// Rows that were there already.
    pub repeated: Vec<RowKey>,
}

/// Something that tables wait for and that passes by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What for, and for how long already. Names nothing.
    pub what: String,
    /// The table.
    pub table: TableName,
}

/// What keeps tables.
#[async_trait]
pub trait TableStore: fmt::Debug + Send + Sync {
    /// A name of the table that no table of another place has.
    fn address(&self, table: &TableName) -> String;

    /// Makes sure that a table is there and takes rows of this schema.
    async fn ensure(&self, table: &TableName, schema: &TableSchema) -> Result<(), TableError>;

    /// Removes what killed processes have left of loads that have not happened, as far as that can be told,
    /// so that nobody takes it for what is there.
    async fn clear_up(&self) -> Result<(), TableError> {
        Ok(())
    }

    /// From now on, rows of these tables are kept for so many days after the day on which they were
    /// written; older ones are removed now, and while a stream writes. Tables that say this themselves are
    /// left alone.
    async fn keep_for(&self, _days: u32, _tables: &[TableName]) -> Result<(), TableError> {
        Ok(())
    }

    /// Whether a load has happened. One that was interrupted in its last step is finished.
    async fn is_loaded(&self, load_id: &str, target: &TableName) -> Result<bool, TableError>;

    /// Which of these loads have happened. The ledger is asked for all of them at once.
    async fn loaded(
        &self,
        load_ids: &[String],
        target: &TableName,
    ) -> Result<HashSet<String>, TableError> {
        let mut loaded = HashSet::new();
        for load_id in load_ids {
            if self.is_loaded(load_id, target).await? {
                loaded.insert(load_id.clone());
            }
        }
        Ok(loaded)
    }

    /// These loads are about to be begun, in this order: `loaded` has just said that they have not happened.
    /// Where asking costs much, the ledger is asked for several of them at once as their turn comes.
    fn expect_loads(&self, _load_ids: Vec<String>) {}

    /// Begins a load, unless it has happened by now: the ledger is asked, whoever asked it before. What an
    /// interrupted load of the same object has left is removed, or finished. `None` while another process
    /// is at it. Blocks: it belongs on a thread, as the load does.
    fn begin_load(
        &self,
        runtime: &Handle,
        load_id: &str,
        targets: &Targets,
    ) -> Result<Option<Begun>, TableError>;

    /// Whether locks tell who is at what: then a claim is one process's at a time.
    fn has_locks(&self) -> bool {
        false
    }

    /// Claims what one process at a time may do with these tables, until the claim is dropped or the
    /// process ends. `None` while another has it. Without locks everybody is given a claim.
    fn claim(&self, id: &str) -> Result<Option<Claim>, TableError>;

    /// Marks a load as somebody's for a period: once, for all processes. `false` where that was done before.
    /// Where locks tell who is at a load, marks are not needed, and everybody is told `true`.
    async fn mark(&self, _load_id: &str, _period: u64) -> Result<bool, TableError> {
        Ok(true)
    }

    /// Takes marks back, where that can be done. Those that stay are nobody's once their period is over.
    async fn unmark(&self, _load_id: &str, _periods: &[u64]) {}

    /// An appender of a pipeline. `key` are the columns that tell a repeated row, as far as the table has
    /// them; rows without a value in the first of them are never taken for repeated.
    async fn appender(
        &self,
        table: &TableName,
        schema: &TableSchema,
        key: &[&str],
        pipeline: &str,
    ) -> Result<Box<dyn Appender>, TableError>;

    /// Adds a few rows to a small table, at most once: under a name of their own or, where the table has
    /// no such names, unless a row has `key.1` in column `key.0`.
    async fn enter(
        &self,
        table: &TableName,
        name: &str,
        key: Option<(&str, &str)>,
        rows: &RecordBatch,
    ) -> Result<(), TableError>;

    /// Whether rows were added under this name or, where the table has no such names, with `key.1` in
    /// column `key.0`.
    async fn is_entered(
        &self,
        table: &TableName,
        name: &str,
        key: (&str, &str),
    ) -> Result<bool, TableError>;

    /// Which of these names were not entered.
    async fn not_entered(
        &self,
        table: &TableName,
        column: &str,
        names: &[String],
    ) -> Result<HashSet<String>, TableError> {
        let mut missing = HashSet::new();
        for name in names {
            if !self.is_entered(table, name, (column, name)).await? {
                missing.insert(name.clone());
            }
        }
        Ok(missing)
    }

    /// What these tables wait for that passes by itself; nothing where they are ready.
    fn unready(&self) -> Vec<Wait> {
        Vec::new()
    }

    /// Whether queries go to the SQL engine of this machine, which may have to be built first.
    fn asks_sql_engine(&self) -> bool {
        false
    }

    /// Answers somebody's question: a query and no other statement, and in BigQuery at most for what
    /// `sink.max_bytes_billed` lets it cost.
    async fn look(&self, question: Question<'_>) -> Result<ResultSet, TableError>;

    /// Runs a query of our own in BigQuery's dialect, with named parameters such as `@country`. `what` says
    /// what for, in errors.
    async fn query(
        &self,
        sql: &str,
        parameters: &[(&str, Parameter)],
        what: &str,
    ) -> Result<ResultSet, TableError>;
}

/// The rows and dead letters of one input object, or of a page of replayed letters with the attempts at them: all
/// of them or none, in however many tables.
///
/// All methods block: they belong on a thread, not in a task.
pub trait Load: Send {
    /// Adds good rows to the tables of the load.
    fn write(&mut self, rows: Routed) -> Result<(), TableError>;

    /// Rows that the tables refused since this was last asked: of the pipeline's own, then of those of its
    /// routes. They come to be known late: after the last row, this waits for all.
    fn refused(&mut self) -> Result<Vec<Vec<Refused>>, TableError>;

    /// Adds dead letters.
    fn write_dead_letters(&mut self, letters: RecordBatch) -> Result<(), TableError>;

    /// Adds attempts at dead letters, for which the load has to have a table.
    fn write_attempts(&mut self, attempts: RecordBatch) -> Result<(), TableError>;

    /// Makes everything durable and visible, and enters the load into the ledger.
    fn commit(self: Box<Self>, entry: &Entry) -> Result<Committed, TableError>;

    /// Gives the load up: it has not happened.
    fn abandon(self: Box<Self>);
}

/// Appends the rows of a stream to one table. Each append is tried once; whoever calls tries again.
#[async_trait]
pub trait Appender: Send + Sync {
    /// How many appends may be on their way at once.
    fn overlap(&self) -> usize;

    /// Whether batches that wait are better appended together.
    fn takes_many(&self) -> bool;

    /// How long rows had better wait for others before they are appended: what an append costs, whatever is in
    /// it, is not to be paid more often than that.
    fn min_wait(&self) -> Duration;

    /// Appends rows, all in one go where the table allows it; durable once it returns. What is done is
    /// taken out of `rows` and entered into `so_far`: after a failure, the rest can be tried again.
    async fn append(&self, rows: &mut Vec<Rows>, so_far: &mut Appended) -> Result<(), TableError>;

    /// Ends it. All rows are durable before; now other tools find them where they look too.
    async fn close(&self);
}
