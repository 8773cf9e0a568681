//! Questions in SQL, and who answers them: an executable of its own, `clickmill-sql`.
//!
//! The SQL engine is the largest part of clickmill by far, to build and in memory, and what it is asked
//! comes from people and web pages. As a process of its own it is built when it is first wanted, and a
//! query that exhausts it ends that process and no other. [`Engine`] starts it and asks it; [`wire`] is
//! what the two say to each other. Neither knows what is in the tables.

mod engine;
mod executable;
mod memory;
pub mod wire;

pub use engine::{Engine, EngineError};
pub use executable::{ExecutableError, Readiness, prepare, readiness, without_waiting};
pub use memory::{MEMORY_VARIABLE, memory_mb};

use std::time::Duration;

use arrow::array::RecordBatch;
use clickmill_tables::TableError;
use clickmill_tables::result_set::{Answer, Bounds, Parameter};

use wire::{Fault, Reply, Request};

/// How long a condition over a batch of rows may take: a thousand times what one needs.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The question is wrong, or its computation fails.
    #[error("cannot answer the query: {what}")]
    Query {
        /// What is wrong with it.
        what: String,
    },
    /// The question names a table that is not there.
    #[error("cannot answer the query: {what}")]
    NoTable {
        /// Which, in the engine's words.
        what: String,
    },
    /// The tables can't be read.
    #[error("{what}")]
    Tables {
        /// Why.
        what: String,
    },
    /// A condition is wrong, or does not fit the rows' columns.
    #[error("condition `{condition}`: {what}")]
    Condition {
        /// The condition.
        condition: String,
        /// What is wrong with it.
        what: String,
    },
    /// The SQL engine does not run.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl From<ExecutableError> for QueryError {
    fn from(error: ExecutableError) -> Self {
        Self::Engine(error.into())
    }
}

impl QueryError {
    /// Whose fault it is.
    pub fn fault(&self) -> clickmill_core::Fault {
        match self {
            Self::Query { .. } | Self::NoTable { .. } | Self::Condition { .. } => {
                clickmill_core::Fault::Input
            }
            Self::Tables { .. } => clickmill_core::Fault::Environment,
            Self::Engine(error) => error.fault(),
        }
    }

    /// Whether the same question may have an answer later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Engine(error) => error.is_transient(),
            Self::Query { .. }
            | Self::NoTable { .. }
            | Self::Condition { .. }
            | Self::Tables { .. } => false,
        }
    }
}

impl From<QueryError> for TableError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::NoTable { .. } => Self::missing_table(error.fault(), error),
            _ => Self::new(error.fault(), error.is_transient(), error),
        }
    }
}

impl Engine {
    /// Runs a query in BigQuery's dialect over a warehouse, with named parameters such as `@country`, and
    /// gives what is wanted of its rows.
    pub async fn query(
        &self,
        warehouse: &str,
        sql: &str,
        parameters: &[(&str, Parameter)],
        bounds: Bounds,
    ) -> Result<Answer, QueryError> {
        let parameters = parameters.iter();
        let request = Request::Query {
            warehouse: warehouse.to_owned(),
            sql: sql.to_owned(),
            parameters: parameters
                .map(|(name, value)| ((*name).to_owned(), value.clone()))
                .collect(),
            bounds,
        };
        match self.ask(&request, Vec::new()).await? {
            (Reply::Rows, body) => Ok(wire::read_rows(&body).map_err(EngineError::from)?),
            (Reply::Failed { fault: Fault::Tables, what }, _) => Err(QueryError::Tables { what }),
            (Reply::Failed { fault: Fault::NoTable, what }, _) => Err(QueryError::NoTable { what }),
            (Reply::Failed { fault: Fault::Question, what }, _) => Err(QueryError::Query { what }),
        }
    }

    /// Whether a text is a condition over one row, such as `event_type = 'purchase'`. Blocks: it belongs on
    /// a thread. A text that takes longer than [`PATIENCE`] to read fails.
    pub fn check(&self, condition: &str) -> Result<(), QueryError> {
        let request = Request::Check { condition: condition.to_owned() };
        let (reply, _) = self.ask_blocking(&request, &[], PATIENCE)?;
        of_condition(reply, condition)
    }

    /// The rows that a condition holds for. Blocks: it belongs on a thread. A condition that takes longer
    /// than [`PATIENCE`] fails.
    pub fn filter(&self, condition: &str, rows: &RecordBatch) -> Result<RecordBatch, QueryError> {
        let request = Request::Filter { condition: condition.to_owned() };
        let body = wire::write_rows(&rows.schema(), std::slice::from_ref(rows));
        let body = body.map_err(EngineError::from)?;
        let (reply, body) = self.ask_blocking(&request, &body, PATIENCE)?;
        of_condition(reply, condition)?;
        let answer = wire::read_rows(&body).map_err(EngineError::from)?;
        let kept = arrow::compute::concat_batches(&answer.schema, &answer.batches);
        Ok(kept.map_err(EngineError::from)?)
    }
}

fn of_condition(reply: Reply, condition: &str) -> Result<(), QueryError> {
    match reply {
        Reply::Rows => Ok(()),
        Reply::Failed { what, .. } => {
            Err(QueryError::Condition { condition: condition.to_owned(), what })
        }
    }
}
