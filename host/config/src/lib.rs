//! The pipeline file: TOML in, a checked [`Pipeline`] out, or every problem at once.
//!
//! Reading is pure apart from the files it names (the pipeline file, table schemas) and the environment
//! variables that `${NAME}` stands for: no network, no clock, no plugin is touched. What [`read`] returns
//! is the only thing a pipeline is built from.
//! Relative paths in the file are relative to the file; those given by `--set` to the current folder.

mod admin;
mod bounds;
mod check;
mod difference;
mod environment;
pub mod fuzz;
mod guard;
mod input;
mod lines;
mod output;
mod overrides;
mod plugin;
mod problem;
mod raw;
mod reader;
mod routes;
mod schema;
mod secrets;
mod service;
mod source;
mod stages;
mod strict;
mod swap;
mod table;
mod trust;
mod types;

use std::path::PathBuf;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

pub use admin::{Admin, Listen, Token, is_host};
pub use guard::Guard;
pub use input::{Dialect, Format, Generated, Payload, PubSub, Source, Watch};
pub use output::{BigQuery, MissingTables, Place, Route, Sink, TableName, Unrouted};
pub use plugin::{Grant, InstanceLife, Limits, Plugin};
pub use problem::Problem;
pub use reader::{PipelineFile, read};
pub use schema::{MAX_WORKERS, PluginSchema, schema};
pub use swap::{ComponentLimits, Rules, Swap};
pub use trust::Trust;

use clickmill_core::list;
use clickmill_core::schema::TableSchema;

/// A checked pipeline file.
#[derive(Debug, Clone)]
pub struct Pipeline {
    /// Its name: in the ledger, in dead letters and in metrics.
    pub name: String,
    /// Where records come from.
    pub source: Source,
    /// How bytes become records.
    pub format: Format,
    /// The chain, in order.
    pub plugins: Vec<Plugin>,
    /// Where good rows go.
    pub sink: Sink,
    /// Where rejected records go, and when there are too many.
    pub dead_letter: DeadLetter,
    /// How plugins change while it runs.
    pub swap: Swap,
    /// Who may change them.
    pub admin: Admin,
    /// How sensitive columns are guarded.
    pub guard: Guard,
    /// Which components are taken.
    pub trust: Trust,
    /// When a batch is full.
    pub batch: BatchLimits,
    /// Chain workers; each has a thread.
    pub workers: usize,
}

impl Pipeline {
    /// Whether its run has the admin interface. A short load has nobody to look at it.
    pub fn is_served(&self) -> bool {
        match self.admin.listen {
            Listen::Off => false,
            Listen::At(_) => true,
            Listen::Usual(_) => self.source.is_live(),
        }
    }
}

/// Where rejected records go, and when there are too many.
#[derive(Debug, Clone, PartialEq)]
pub struct DeadLetter {
    /// `dataset.table`.
    pub table: TableName,
    /// The table's columns.
    pub schema: TableSchema,
    /// The run ends when this share of the last `window_rows` records was refused.
    pub max_rejected_share: f64,
    /// See `max_rejected_share`.
    pub window_rows: u64,
    /// Of a stream: the folder that keeps letters while the table is away. None: they are held, with their
    /// messages.
    pub spool: Option<PathBuf>,
    /// Bytes that the spool may hold; beyond, messages are held back instead.
    pub spool_max_bytes: u64,
    /// How long letters may wait in the spool before the pipeline counts as not ready.
    pub spool_max_wait: Duration,
    /// Payloads, messages and attributes are sealed.
    pub seal: Option<Seal>,
}

/// What dead letters are sealed with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The environment variable that holds the key: 64 hexadecimal digits, as `openssl rand -hex 32` makes
    /// them.
    #[serde(rename = "key_env")]
    #[schemars(regex(pattern = raw::VARIABLE))]
    pub variable: String,
    /// The key's name, which each letter carries.
    pub key_id: String,
    /// Keys that letters were sealed with before: they open them.
    #[serde(default)]
    pub old: Vec<OldKey>,
}

/// A key that letters were sealed with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OldKey {
    /// The environment variable that holds the key: 64 hexadecimal digits, as `openssl rand -hex 32` makes
    /// them.
    #[serde(rename = "key_env")]
    #[schemars(regex(pattern = raw::VARIABLE))]
    pub variable: String,
    /// The key's name.
    pub key_id: String,
}

/// When a batch is full: whichever comes first.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct BatchLimits {
    /// Records.
    #[schemars(range(min = 1, max = 1 << 20))]
    pub max_rows: usize,
    /// Bytes of the records as read.
    #[schemars(range(min = 1, max = 1 << 28))]
    pub max_bytes: usize,
    /// Of a stream: how long the first record waits for more, at most.
    #[schemars(range(min = 1, max = 60_000))]
    pub max_wait_ms: u64,
    /// Of a stream: how long it waits at least. Then the batch goes on its way once all before it are durable.
    /// Where absent, it is what suits the tables: 10 of a warehouse on a disk, 100 of BigQuery, 500 of Cloud
    /// Storage, and no more than `max_wait_ms`.
    #[schemars(range(max = 60_000))]
    pub min_wait_ms: Option<u64>,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { max_rows: 8192, max_bytes: 2 << 20, max_wait_ms: 500, min_wait_ms: None }
    }
}

/// Why there is no pipeline.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("cannot read pipeline file `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not TOML.
    #[error("pipeline file `{path}` is not TOML: line {line}, column {column}: {why}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on. What stands there is not told: it may be a secret.
        line: usize,
        /// The character in that line, from 1 on.
        column: usize,
        /// Why.
        why: String,
    },
    /// `--set` makes no sense.
    #[error("`--set {key}`: {wanted}")]
    Set {
        /// The key that was given. Its value is not told: it may be a secret.
        key: String,
        /// What would do.
        wanted: String,
    },
    /// The file says things that can't be.
    #[error("pipeline file `{path}` has {count}:{list}", path = path.display(), count = count(problems), list = list(problems))]
    Problems {
        /// The file.
        path: PathBuf,
        /// All of them.
        problems: Vec<Problem>,
    },
}

fn count(problems: &[Problem]) -> String {
    match problems.len() {
        1 => "a problem".to_owned(),
        n => format!("{n} problems"),
    }
}
