//! The pipeline file as it is written: what serde sees, one struct per section.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::strict::{Strict, table};
use super::{
    BatchLimits, ConfigError, InstanceLife, Limits, MissingTables, Payload, Seal, Unrouted,
};

/// Keys that hold a path; given by `--set`, it is relative to the current folder.
const PATH_KEYS: [&str; 8] =
    ["uri", "component", "schema", "file", "spool", "state", "token_file", "reader_token_file"];

/// Keys that hold text; what is given for them by `--set` is text though it looks like a number.
const TEXT_KEYS: [&str; 29] = [
    "bad",
    "component",
    "create_from_topic",
    "data",
    "delimiter",
    "escape",
    "format",
    "key_env",
    "key_id",
    "kind",
    "listen",
    "location",
    "missing_tables",
    "name",
    "not_before",
    "payload",
    "project",
    "quote",
    "reader_token_env",
    "reader_token_file",
    "schema",
    "spool",
    "state",
    "subscription",
    "table",
    "token_env",
    "token_file",
    "unrouted",
    "uri",
];
/// Sections of which every key holds text.
const TEXT_SECTIONS: [&str; 4] = ["allow", "lookups", "policy_tags", "secrets"];

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Source {
    Storage {
        uri: String,
        format: Option<FormatName>,
        #[serde(default, deserialize_with = "table")]
        csv: Csv,
        #[serde(default = "max_record_bytes")]
        max_record_bytes: usize,
        #[serde(default)]
        watch: bool,
        #[serde(default = "watch_interval_secs")]
        watch_interval_secs: u64,
        #[serde(default = "watch_rest_secs")]
        watch_rest_secs: u64,
    },
    Stdin {
        format: FormatName,
        #[serde(default, deserialize_with = "table")]
        csv: Csv,
        #[serde(default = "max_record_bytes")]
        max_record_bytes: usize,
    },
    Generator {
        data: String,
        rows: Option<u64>,
        #[serde(default)]
        seed: u64,
        #[serde(default)]
        bad: Option<String>,
        rate: Option<u64>,
    },
    PubSub(PubSub),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PubSub {
    pub subscription: String,
    pub create_from_topic: Option<String>,
    #[serde(default = "streams")]
    pub streams: usize,
    #[serde(default = "max_outstanding_messages")]
    pub max_outstanding_messages: usize,
    #[serde(default = "max_outstanding_bytes")]
    pub max_outstanding_bytes: usize,
    #[serde(default = "ack_deadline_secs")]
    pub ack_deadline_secs: u64,
    #[serde(default = "max_lease_secs")]
    pub max_lease_secs: u64,
    #[serde(default = "max_message_bytes")]
    pub max_record_bytes: usize,
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

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
pub(super) enum FormatName {
    Csv,
    Ndjson,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Csv {
    /// By the object's name where absent.
    pub delimiter: Option<String>,
    pub quote: String,
    pub escape: Option<String>,
    pub trailing_delimiter: bool,
}

impl Default for Csv {
    fn default() -> Self {
        let quote = "\"".to_owned();
        Self { delimiter: None, quote, escape: None, trailing_delimiter: false }
    }
}

fn max_record_bytes() -> usize {
    1 << 20
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    pub name: String,
    pub component: String,
    #[serde(default)]
    pub reads: Vec<String>,
    #[serde(default)]
    pub writes: Vec<String>,
    #[serde(default)]
    pub config: toml::Table,
    pub secrets: Option<toml::Value>,
    #[serde(default)]
    pub lookups: toml::Table,
    #[serde(default)]
    pub limits: Limits,
    #[serde(default)]
    pub instance: InstanceLife,
    #[serde(default)]
    pub watch: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sink {
    pub table: String,
    pub schema: String,
    #[serde(default)]
    pub kind: SinkKind,
    pub project: Option<String>,
    pub location: Option<String>,
    pub missing_tables: Option<MissingTables>,
    pub exactly_once: Option<bool>,
    pub patience_secs: Option<u64>,
    pub max_bytes_billed: Option<u64>,
    #[serde(default)]
    pub policy_tags: toml::Table,
    #[serde(default)]
    pub route: Vec<Route>,
    #[serde(default)]
    pub unrouted: Unrouted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    pub table: String,
    pub schema: String,
    #[serde(rename = "where")]
    pub condition: String,
    #[serde(default)]
    pub copy: bool,
}

#[derive(Deserialize, Clone, Copy, Default)]
#[serde(rename_all = "lowercase")]
pub(super) enum SinkKind {
    #[default]
    Warehouse,
    Bigquery,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Warehouse {
    pub retention_days: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadLetter {
    pub table: String,
    pub schema: String,
    #[serde(default = "max_rejected_share")]
    pub max_rejected_share: f64,
    #[serde(default = "window_rows")]
    pub window_rows: u64,
    pub spool: Option<String>,
    #[serde(default = "spool_max_bytes")]
    pub spool_max_bytes: u64,
    #[serde(default = "spool_max_wait_secs")]
    pub spool_max_wait_secs: u64,
    pub seal: Option<Seal>,
}

fn max_rejected_share() -> f64 {
    0.5
}

fn window_rows() -> u64 {
    100_000
}

fn spool_max_bytes() -> u64 {
    1 << 30
}

fn spool_max_wait_secs() -> u64 {
    600
}

/// A section or a value of the document: each is read by itself, so that one mistake does not hide the
/// next.
pub(super) fn section<T: DeserializeOwned>(
    value: Option<toml::Value>,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let Some(value) = value else {
        let message = "is missing".to_owned();
        problems.push(Problem { path: path.to_owned(), message });
        return None;
    };
    match serde_path_to_error::deserialize(Strict(value)) {
        Ok(section) => Some(section),
        Err(error) => {
            let inner = error.path().to_string();
            let path = if inner == "." { path.to_owned() } else { format!("{path}.{inner}") };
            let message = without_text(error.inner().message().trim());
            problems.push(Problem { path, message });
            None
        }
    }
}

/// What serde says, without the text that stands where something else is wanted: it may be a secret.
fn without_text(said: &str) -> String {
    const TEXT: &str = "invalid type: string ";
    let rest = said
        .strip_prefix(TEXT)
        .and_then(|rest| rest.rfind("\", expected ").map(|at| &rest[at + 1..]));
    rest.map_or_else(|| said.to_owned(), |rest| format!("{}{rest}", TEXT.trim_end()))
}

pub(super) fn optional<T: DeserializeOwned + Default>(
    value: Option<toml::Value>,
    path: &str,
    problems: &mut Vec<Problem>,
) -> T {
    match value {
        Some(value) => section(Some(value), path, problems).unwrap_or_default(),
        None => T::default(),
    }
}

/// Number of batches between the stages is small: each holds up to `max_bytes`.
pub(super) type Batch = BatchLimits;

/// Applies one `key=value`. A key is a path such as `source.uri` or `plugin.mask.config.key_id`, where
/// `mask` is a stage's name; a value is TOML where it parses as TOML, and else text. What looks like a date
/// is text, and so is what looks like a number where text is wanted or stands in the file.
pub(super) fn set(document: &mut toml::Table, given: &str) -> Result<(), ConfigError> {
    let (key, text) = given.split_once('=').map_or((given, None), |(key, text)| (key, Some(text)));
    let refuse = |wanted: &str| ConfigError::Set { key: key.to_owned(), wanted: wanted.to_owned() };
    let text = text.ok_or_else(|| refuse("wanted key=value, such as source.uri=clicks.csv"))?;
    let keys: Vec<&str> = key.trim().split('.').collect();
    let Some((last, parents)) = keys.split_last() else {
        return Err(refuse("the key is empty"));
    };
    let mut place = document;
    let mut at = 0;
    while at < parents.len() {
        let entry =
            place.entry(parents[at]).or_insert_with(|| toml::Value::Table(toml::Table::new()));
        at += 1;
        place = match entry {
            toml::Value::Table(table) => table,
            toml::Value::Array(list) if list.first().is_none_or(toml::Value::is_table) => {
                let name = parents.get(at).copied().unwrap_or_default();
                at += 1;
                list.iter_mut()
                    .filter_map(toml::Value::as_table_mut)
                    .find(|item| item.get("name").and_then(toml::Value::as_str) == Some(name))
                    .ok_or_else(|| {
                        refuse(&format!("there is no `{}` named `{name}`", parents[at - 2]))
                    })?
            }
            _ => {
                return Err(refuse(&format!("`{}` holds a value, not a section", parents[at - 1])));
            }
        };
    }
    let value = toml::from_str::<toml::Table>(&format!("value = {text}"))
        .ok()
        .and_then(|mut table| table.remove("value"))
        .unwrap_or_else(|| toml::Value::String(text.to_owned()));
    let wants_text = match place.get(*last) {
        Some(before) => before.is_str(),
        // The keys of a plugin's configuration are its own.
        None if keys.contains(&"config") => false,
        None => {
            TEXT_KEYS.contains(last)
                || parents.last().is_some_and(|section| TEXT_SECTIONS.contains(section))
        }
    };
    let value = match value {
        // No key holds a date.
        toml::Value::Datetime(_) => toml::Value::String(text.to_owned()),
        toml::Value::Integer(_) | toml::Value::Float(_) | toml::Value::Boolean(_) if wants_text => {
            toml::Value::String(text.to_owned())
        }
        other => other,
    };
    let value = match value {
        toml::Value::String(path)
            if PATH_KEYS.contains(last) && path != "-" && !path.contains("://") =>
        {
            let absolute = std::path::absolute(&path).map_err(|_| refuse("the path is empty"))?;
            toml::Value::String(absolute.to_string_lossy().into_owned())
        }
        other => other,
    };
    if key.trim() == "source.kind" && place.get("kind") != Some(&value) {
        // The file's other keys belong to the source that it names.
        place.clear();
    }
    place.insert((*last).to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check<T: DeserializeOwned>(text: &str, at: &str) {
        let document: toml::Table = toml::from_str(&format!("section = {text}")).unwrap();
        let mut problems = Vec::new();
        let found: Option<T> = section(document.get("section").cloned(), "section", &mut problems);
        let at = if at.is_empty() { "section".to_owned() } else { format!("section.{at}") };
        assert!(found.is_none(), "{text}");
        assert_eq!(problems[0].path, at, "{text}");
        assert!(problems[0].message.contains("invalid type: sequence"), "{}", problems[0].message);
    }

    #[test]
    fn no_list_is_taken_for_a_table() {
        check::<DeadLetter>(r#"["d.t", "s"]"#, "");
        check::<DeadLetter>(r#"{ table = "d.t", schema = "s", seal = ["SEAL", "s1"] }"#, "seal");
        let old = r#"{ key_env = "K", key_id = "s2", old = [["SEAL", "s1"]] }"#;
        check::<DeadLetter>(
            &format!(r#"{{ table = "d.t", schema = "s", seal = {old} }}"#),
            "seal.old[0]",
        );
        check::<Plugin>(r#"["mask", "mask.wasm"]"#, "");
        check::<Plugin>(r#"{ name = "mask", component = "c", limits = [1] }"#, "limits");
        check::<Batch>("[1]", "");
    }
}
