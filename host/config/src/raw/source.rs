//! The section `source` as it is written.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::Payload;
use crate::strict::table;

/// Form of a text of one character, for editors.
const CHARACTER: &str = r"^[\x00-\x09\x0b\x0c\x0e-\x7f]$";

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(crate) enum Source {
    /// Objects: files, also in Cloud Storage.
    Storage {
        /// A file, a folder, a pattern such as `in/*.csv.gz`, `gs://bucket/prefix/`, or `-` for standard input.
        uri: String,
        /// How bytes become records. Where absent, the ending of the name says it.
        format: Option<FormatName>,
        /// How fields of CSV are told apart.
        #[serde(default, deserialize_with = "table")]
        csv: Csv,
        /// A record larger than that is refused.
        #[serde(default = "max_record_bytes")]
        #[schemars(range(min = 1024, max = 1 << 28))]
        max_record_bytes: usize,
        /// Go on to load objects as they come.
        #[serde(default)]
        watch: bool,
        /// How often they are listed.
        #[serde(default = "watch_interval_secs")]
        #[schemars(range(min = 1))]
        watch_interval_secs: u64,
        /// How long a file has to be as it is before it is taken for whole.
        #[serde(default = "watch_rest_secs")]
        watch_rest_secs: u64,
        /// In Cloud Storage, where names grow: how often all objects are listed. In between only those are
        /// whose names come after the last one's. Where absent, all of them are each time.
        #[schemars(range(min = 1))]
        watch_all_secs: Option<u64>,
        /// Where tables have no locks, in Cloud Storage and BigQuery: how long an object is kept for the run that
        /// loads it, from its last word on, so that runs share a prefix. Where absent, each loads what is there.
        #[schemars(range(min = 2, max = 3600))]
        claim_lease_secs: Option<u64>,
    },
    /// Standard input.
    Stdin {
        /// How bytes become records.
        format: FormatName,
        /// How fields of CSV are told apart.
        #[serde(default, deserialize_with = "table")]
        csv: Csv,
        /// A record larger than that is refused.
        #[serde(default = "max_record_bytes")]
        #[schemars(range(min = 1024, max = 1 << 28))]
        max_record_bytes: usize,
    },
    /// Made-up events.
    Generator {
        /// What is made: `shop` (CSV), `clicks` or `events` (JSON).
        #[schemars(extend("enum" = ["shop", "clicks", "events"]))]
        data: String,
        /// How many records. Where absent 100000, and without an end where there is a `rate`.
        rows: Option<u64>,
        /// Same seed, same records.
        #[serde(default)]
        seed: u64,
        /// The share of bad records, such as `2%`.
        #[serde(default)]
        #[schemars(extend("default" = "0%"))]
        bad: Option<String>,
        /// Messages a second: then it is a stream, which `shop` cannot be.
        #[schemars(range(min = 1))]
        rate: Option<u64>,
    },
    /// A Pub/Sub subscription.
    PubSub(PubSub),
}

/// A Pub/Sub subscription.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PubSub {
    /// `projects/PROJECT/subscriptions/NAME`.
    #[schemars(regex(pattern = "^projects/[^/]+/subscriptions/[^/]{3,255}$"))]
    pub subscription: String,
    /// `projects/PROJECT/topics/NAME`: the subscription is created on it where it is missing.
    #[schemars(regex(pattern = "^projects/[^/]+/topics/[^/]{3,255}$"))]
    pub create_from_topic: Option<String>,
    /// Pull streams.
    #[serde(default = "streams")]
    #[schemars(range(min = 1, max = 64))]
    pub streams: usize,
    /// Messages that are pulled and not yet acknowledged, at most.
    #[serde(default = "max_outstanding_messages")]
    #[schemars(range(min = 1, max = 10_000_000))]
    pub max_outstanding_messages: usize,
    /// Their bytes, at most.
    #[serde(default = "max_outstanding_bytes")]
    #[schemars(range(min = 1, max = 1_u64 << 36))]
    pub max_outstanding_bytes: usize,
    /// How long a message is ours without a word from us: after a crash it comes again that much later.
    #[serde(default = "ack_deadline_secs")]
    #[schemars(range(min = 10, max = 600))]
    pub ack_deadline_secs: u64,
    /// How long that is extended while a message's row cannot be written.
    #[serde(default = "max_lease_secs")]
    #[schemars(range(min = 1, max = 7 * 86_400))]
    pub max_lease_secs: u64,
    /// How long what is in hand may take to be written once the stream is told to end: then it is released. Where
    /// absent, as long as it takes.
    #[schemars(range(min = 1, max = 86_400))]
    pub max_drain_secs: Option<u64>,
    /// A message larger than that is refused.
    #[serde(default = "max_message_bytes")]
    #[schemars(range(min = 1024, max = 1 << 28))]
    pub max_record_bytes: usize,
    /// What the column `payload` holds.
    #[serde(default)]
    pub payload: Payload,
}

/// One stream gives about two thousand small messages a second.
fn streams() -> usize {
    4
}

fn max_outstanding_messages() -> usize {
    50_000
}

fn max_outstanding_bytes() -> usize {
    128 << 20
}

fn ack_deadline_secs() -> u64 {
    60
}

fn max_lease_secs() -> u64 {
    3600
}

/// What Pub/Sub takes at most.
fn max_message_bytes() -> usize {
    10 << 20
}

fn watch_interval_secs() -> u64 {
    10
}

fn watch_rest_secs() -> u64 {
    10
}

/// How bytes become records.
#[derive(Deserialize, Clone, Copy, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum FormatName {
    /// Delimited text with a header line.
    Csv,
    /// A JSON value per line.
    Ndjson,
}

/// How fields of CSV are told apart.
#[derive(Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Csv {
    /// Between fields. Where absent, a tab in objects whose names end in `.tsv`, else a comma.
    #[schemars(regex(pattern = CHARACTER))]
    pub delimiter: Option<String>,
    /// Around fields.
    #[schemars(regex(pattern = CHARACTER))]
    pub quote: String,
    /// Stands before a quote that is a field's own, and before itself. The quote: quotes are doubled, and a
    /// backslash is a character like any other.
    #[schemars(regex(pattern = CHARACTER))]
    pub escape: Option<String>,
    /// Lines may have a delimiter behind their last field, the header too.
    pub trailing_delimiter: bool,
    /// The first line has the names of the columns. `false`: it is a record like the others, and columns are
    /// called `column_1`, `column_2` and so on.
    pub header: bool,
    /// Of columns with one name the second is called `name_2`, the third `name_3`. Where false, such an object is
    /// refused.
    pub repeated_names: bool,
    /// How text is spelled in bytes, by its name on the web: `windows-1252`, `windows-1250`, `utf-16`, `shift_jis`.
    /// Where absent, UTF-8.
    pub encoding: Option<String>,
}

impl Default for Csv {
    fn default() -> Self {
        let quote = "\"".to_owned();
        Self {
            delimiter: None,
            quote,
            escape: None,
            trailing_delimiter: false,
            header: true,
            repeated_names: false,
            encoding: None,
        }
    }
}

fn max_record_bytes() -> usize {
    1 << 20
}
