//! Where records come from, and how bytes become records.

use std::time::Duration;

use encoding_rs::Encoding;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where records come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Objects: a path or URI, which may hold a glob pattern. (`-` is standard input.)
    Storage {
        /// `gs://bucket/prefix/*.csv`, `gs://bucket/prefix/`, `file:///…` or an absolute path.
        uri: String,
        /// How to look for new objects; the run ends with the last object where absent.
        watch: Option<Watch>,
        /// How long an object is kept for a run that says nothing more, where tables have no locks. Objects are
        /// not claimed there where absent.
        claim_lease: Option<Duration>,
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
    /// How often all objects of a bucket are listed, and not only those whose names come after the last one's;
    /// each time where absent.
    pub all: Option<Duration>,
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
        let is_tabbed = |name: &str| ending(name).is_some_and(|ending| ending == "tsv");
        let by_name = if is_tabbed(uri) || is_tabbed(object) { b'\t' } else { b',' };
        self.delimiter.unwrap_or(by_name)
    }
}

/// How a name ends, in small letters, compression aside.
pub(super) fn ending(name: &str) -> Option<String> {
    let name = name.to_ascii_lowercase();
    let name = name.trim_end_matches(".gz").trim_end_matches(".zst");
    name.rsplit_once('.').map(|(_, ending)| ending.to_owned())
}
