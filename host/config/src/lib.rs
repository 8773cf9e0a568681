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

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use encoding_rs::Encoding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use admin::{Admin, Listen, Token, is_host};
pub use guard::Guard;
pub use plugin::{Grant, InstanceLife, Limits, Plugin};
pub use problem::Problem;
pub use reader::{PipelineFile, read};
pub use schema::{PluginSchema, schema};
pub use swap::{ComponentLimits, Rules, Swap};
pub use trust::Trust;

use clickmill_core::condition::Condition;
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
    /// Where refused records go, and when there are too many.
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

/// Where records come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Objects: a path or URI, which may hold a glob pattern. (`-` is standard input.)
    Storage {
        /// `gs://bucket/prefix/*.csv`, `gs://bucket/prefix/`, `file:///…` or an absolute path.
        uri: String,
        /// How to look for new objects; the run ends with the last object where absent.
        watch: Option<Watch>,
    },
    /// Standard input.
    Stdin,
    /// The generator, as an object.
    Generator(Generated),
    /// The generator, as a stream of messages.
    Live {
        /// What it makes.
        generated: Generated,
        /// Messages a second.
        rate: u64,
    },
    /// A Pub/Sub subscription.
    PubSub(PubSub),
}

/// How a source is watched.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Watch {
    /// How often it is listed.
    pub interval: Duration,
    /// How long a file has to be as it is before it is taken for whole.
    pub rest: Duration,
}

/// What the generator makes.
#[derive(Debug, Clone, PartialEq)]
pub struct Generated {
    /// `shop`, `clicks` or `events`.
    pub data: String,
    /// How many records.
    pub rows: u64,
    /// Same seed, same records.
    pub seed: u64,
    /// Share of bad records, such as `2%`.
    pub bad: String,
}

/// A Pub/Sub subscription and how much of it is taken at once.
#[derive(Debug, Clone, PartialEq)]
pub struct PubSub {
    /// `projects/…/subscriptions/…`.
    pub subscription: String,
    /// `projects/…/topics/…`: the subscription is created on it where it is missing.
    pub create_from_topic: Option<String>,
    /// Pull streams.
    pub streams: usize,
    /// Messages that are pulled and not yet acknowledged, at most.
    pub max_outstanding_messages: usize,
    /// Their bytes, at most.
    pub max_outstanding_bytes: usize,
    /// How long a message is ours without a word from us: after a crash it comes again that much later.
    pub ack_deadline: Duration,
    /// How long that is extended while a message's row can't be written.
    pub max_lease: Duration,
    /// How long what is in hand may take to be written once the stream is told to end; as long as it takes where
    /// there is none.
    pub max_drain: Option<Duration>,
}

impl Source {
    /// Whether it gives messages without an end, rather than objects.
    pub fn is_stream(&self) -> bool {
        matches!(self, Self::Live { .. } | Self::PubSub(_))
    }

    /// How long a stream may take to end; as long as it takes where there is none.
    pub fn max_drain(&self) -> Option<Duration> {
        match self {
            Self::PubSub(source) => source.max_drain,
            _ => None,
        }
    }

    /// Whether it goes on until it is told to stop: a stream, or objects that are watched.
    pub fn is_live(&self) -> bool {
        self.is_stream() || matches!(self, Self::Storage { watch: Some(_), .. })
    }
}

/// How bytes become records.
#[derive(Debug, Clone, PartialEq)]
pub enum Format {
    /// Delimited text with a header line.
    Csv {
        /// How fields are told apart.
        dialect: Dialect,
        /// A record larger than that is refused.
        max_record_bytes: usize,
    },
    /// One JSON value per line.
    Ndjson {
        /// A record larger than that is refused.
        max_record_bytes: usize,
    },
    /// A record per message.
    Message {
        /// A record larger than that is refused.
        max_record_bytes: usize,
        /// What its column holds.
        payload: Payload,
    },
}

/// What the column of messages holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Payload {
    /// Text: a message that is not UTF-8 is refused.
    #[default]
    Text,
    /// Bytes, whatever they are, such as gzip.
    Bytes,
}

impl Format {
    /// The same for a record that stands alone, as text, behind its object's header or without one.
    pub fn of_one(&self, has_header: bool) -> Self {
        let mut own = self.clone();
        if let Self::Csv { dialect, .. } = &mut own {
            // Names are given to records that have none, and text is UTF-8, before anybody keeps them.
            dialect.header |= has_header;
            dialect.encoding = None;
        }
        own
    }

    /// What the column of messages holds.
    pub fn payload(&self) -> Payload {
        match self {
            Self::Message { payload, .. } => *payload,
            Self::Csv { .. } | Self::Ndjson { .. } => Payload::Text,
        }
    }

    /// A record larger than that is refused.
    pub fn max_record_bytes(&self) -> usize {
        match self {
            Self::Csv { max_record_bytes, .. }
            | Self::Ndjson { max_record_bytes }
            | Self::Message { max_record_bytes, .. } => *max_record_bytes,
        }
    }
}

/// How delimited text tells its fields apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    /// Between fields. Where absent, a tab in objects whose names end in `.tsv`, else a comma.
    pub delimiter: Option<u8>,
    /// Around fields. Within them a doubled one stands for one.
    pub quote: u8,
    /// Stands before a quote, or before itself, that is a field's own. The quote where quotes are doubled
    /// and nothing else; where absent that is so too, but a backslash before a quote is not believed.
    pub escape: Option<u8>,
    /// Lines may have a delimiter behind their last field.
    pub trailing_delimiter: bool,
    /// The first line has the names of the columns. Without it they are called by their places.
    pub header: bool,
    /// Of columns with one name all but the first get a number behind it, rather than that the object is refused.
    pub repeated_names: bool,
    /// How its bytes spell text; UTF-8 where absent.
    pub encoding: Option<&'static Encoding>,
}

impl Default for Dialect {
    fn default() -> Self {
        Self {
            delimiter: None,
            quote: b'"',
            escape: None,
            trailing_delimiter: false,
            header: true,
            repeated_names: false,
            encoding: None,
        }
    }
}

impl Dialect {
    /// The delimiter of an object, by its name: a URI, or `uri@generation`.
    pub fn delimiter_of(&self, object: &str) -> u8 {
        let uri = object.rsplit_once('@').map_or(object, |(uri, _)| uri);
        let is_tabbed = |name: &str| source::ending(name).is_some_and(|ending| ending == "tsv");
        let by_name = if is_tabbed(uri) || is_tabbed(object) { b'\t' } else { b',' };
        self.delimiter.unwrap_or(by_name)
    }
}

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
    /// How many days the warehouse keeps rows and dead letters; `None` is for ever.
    pub retention_days: Option<u32>,
}

impl Sink {
    /// All tables of rows: the pipeline's own, then those of its routes in their order.
    pub fn tables(&self) -> impl Iterator<Item = (&TableName, &TableSchema)> {
        let routes = self.routes.iter().map(|route| (&route.table, &route.schema));
        std::iter::once((&self.table, &self.schema)).chain(routes)
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

/// Where refused records go, and when there are too many.
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
    /// Of a stream: how long the first record waits for more.
    #[schemars(range(min = 1, max = 60_000))]
    pub max_wait_ms: u64,
}

impl Default for BatchLimits {
    fn default() -> Self {
        Self { max_rows: 8192, max_bytes: 2 << 20, max_wait_ms: 500 }
    }
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
