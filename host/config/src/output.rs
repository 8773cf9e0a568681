//! Where rows go.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use clickmill_core::condition::Condition;
use clickmill_core::schema::TableSchema;

/// Where good rows go. Dead letters go to the same kind of place.
#[derive(Debug, Clone, PartialEq)]
pub struct Sink {
    /// `dataset.table`.
    pub table: TableName,
    /// The table's columns.
    pub schema: TableSchema,
    /// Tables that rows go to by a condition, in this order.
    pub routes: Vec<Route>,
    /// What becomes of rows that meet no condition.
    pub unrouted: Unrouted,
    /// What keeps the tables.
    pub place: Place,
    /// How many days the warehouse keeps rows and dead letters; `None` is forever.
    pub retention_days: Option<u32>,
}

impl Sink {
    /// All tables of rows: the pipeline's own, then those of its routes in their order.
    pub fn tables(&self) -> impl Iterator<Item = (&TableName, &TableSchema)> {
        let routes = self.routes.iter().map(|route| (&route.table, &route.schema));
        std::iter::once((&self.table, &self.schema)).chain(routes)
    }

    /// Whether a row may go to several tables.
    pub fn copies(&self) -> bool {
        self.routes.iter().any(|route| route.copy)
    }
}

/// A table that rows go to by a condition.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// `dataset.table`.
    pub table: TableName,
    /// The table's columns.
    pub schema: TableSchema,
    /// Which rows go there.
    pub condition: Condition,
    /// The row goes on to the routes after this one, and where it meets none of them, to the pipeline's own
    /// table.
    pub copy: bool,
}

/// What becomes of rows that meet the condition of no route.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unrouted {
    /// They go to the pipeline's own table.
    #[default]
    Table,
    /// They are dead letters, of the code `no_route`.
    Reject,
}

/// What keeps tables.
#[derive(Debug, Clone, PartialEq)]
pub enum Place {
    /// The warehouse that the command line names.
    Warehouse,
    /// BigQuery.
    BigQuery(BigQuery),
}

/// Where in BigQuery, and how rows are written.
#[derive(Debug, Clone, PartialEq)]
pub struct BigQuery {
    /// The project.
    pub project: String,
    /// Location of a dataset that is created, such as `EU`; BigQuery's default where absent.
    pub location: Option<String>,
    /// What happens where a dataset or table is missing.
    pub missing_tables: MissingTables,
    /// A stream's rows go to a stream with offsets, so that a repeated append is not a second row.
    pub exactly_once: bool,
    /// How long BigQuery is waited for where it gets over something by itself: a table or a column that
    /// its Write API does not see yet, a role that has not spread yet, an outage during a load.
    pub patience: Duration,
    /// Bytes that a tile's query, or one of the command line, may be billed for.
    pub max_bytes_billed: u64,
    /// Resource names of policy tags, by the last part of the name that the schema has.
    pub policy_tags: BTreeMap<String, String>,
}

/// What happens where a dataset or table is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum MissingTables {
    /// It is created.
    #[default]
    Create,
    /// The run does not start.
    Refuse,
}

/// A table's name as in BigQuery: `dataset.table`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    /// The dataset.
    pub dataset: String,
    /// The table.
    pub table: String,
}

impl TableName {
    /// Another table of the same dataset.
    pub fn beside(&self, table: &str) -> Self {
        Self { dataset: self.dataset.clone(), table: table.to_owned() }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.dataset, self.table)
    }
}
