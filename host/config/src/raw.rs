//! The pipeline file as it is written: what serde sees, one struct per section.

mod source;

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub(super) use source::{Csv, FormatName, PubSub, Source};

use super::problem::{Problem, problem};
use super::strict::Strict;
use super::{InstanceLife, Limits, MissingTables, Seal, Unrouted};
use clickmill_core::stage;

/// Forms of texts, for editors: what is checked of them is checked where they are used.
pub(super) const NAME: &str = "^[a-z0-9_-]{1,64}$";
pub(super) const VARIABLE: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
const TABLE: &str = r"^[A-Za-z0-9][A-Za-z0-9_]{0,1023}\.[A-Za-z0-9_]{1,1024}$";

/// Routes of a pipeline, at most: each row is held against all conditions.
pub(super) const MAX_ROUTES: usize = 64;

/// How long BigQuery is waited for, unless the file says otherwise: new tables, columns and roles take
/// minutes.
pub(super) const PATIENCE_SECS: u64 = 600;

/// In place of a spool's folder: there is none.
pub(super) const NO_SPOOL: &str = "off";

/// What a query may be billed for, unless the file says otherwise: 10 GiB, some six cents.
pub(super) const MAX_BYTES_BILLED: u64 = 10 << 30;

/// A stage of the chain.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Plugin {
    /// The stage's name, unique in the pipeline.
    #[schemars(regex(pattern = NAME), extend("not" = { "enum": stage::ALL }))]
    pub name: String,
    /// A component file, the folder of a plugin crate, which is built, or `oci://HOST/REPOSITORY@sha256:DIGEST`.
    pub component: String,
    /// Columns that it may read, records and fields by their paths; `*` is all of them.
    #[serde(default)]
    pub reads: Vec<String>,
    /// Columns that it may write; `*` is all of them.
    #[serde(default)]
    pub writes: Vec<String>,
    /// The plugin's own configuration.
    #[serde(default)]
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub config: toml::Table,
    /// What it may know. `["key"]`: secret `key`, of stage `mask` from the environment variable
    /// CLICKMILL_MASK_KEY; `{ key = "OTHER" }`: from another.
    #[serde(default)]
    #[schemars(schema_with = "secrets")]
    pub secrets: Option<toml::Value>,
    /// Lookup tables that it may ask, each with its file.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub lookups: toml::Table,
    /// What it may use.
    #[serde(default)]
    pub limits: Limits,
    /// Whether an instance lives for one batch or many.
    #[serde(default)]
    pub instance: InstanceLife,
    /// Take the component up when it changes, a crate when its sources do, and its lookup tables.
    #[serde(default)]
    pub watch: bool,
}

/// The forms that secrets have.
fn secrets(_: &mut SchemaGenerator) -> Schema {
    let name = json!({ "type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$" });
    let variable = json!({ "type": "string", "pattern": VARIABLE });
    json_schema!({
        "anyOf": [
            { "type": "array", "items": name, "uniqueItems": true },
            { "type": "object", "propertyNames": name, "additionalProperties": variable },
        ],
    })
}

/// Where good rows go.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Sink {
    /// `dataset.table`. With routes, where rows go that no route takes.
    #[schemars(regex(pattern = TABLE))]
    pub table: String,
    /// The file of the table's schema, as BigQuery has it in JSON.
    pub schema: String,
    /// What keeps the tables.
    #[serde(default)]
    pub kind: SinkKind,
    /// Of BigQuery: the project; else the environment variable GOOGLE_CLOUD_PROJECT names it.
    #[schemars(regex(pattern = "^[A-Za-z0-9.:_-]{1,100}$"))]
    pub project: Option<String>,
    /// Of BigQuery: the location of a dataset that is created, such as `EU`.
    pub location: Option<String>,
    /// Of BigQuery: what happens where a dataset or table is missing.
    #[schemars(extend("default" = "create"))]
    pub missing_tables: Option<MissingTables>,
    /// Of BigQuery: a stream's rows go to streams with offsets, so that a repeated append is no second row.
    #[schemars(extend("default" = false))]
    pub exactly_once: Option<bool>,
    /// Of BigQuery: how long it is waited for where it gets over something by itself; 0: not at all.
    #[schemars(range(max = 86_400), extend("default" = PATIENCE_SECS))]
    pub patience_secs: Option<u64>,
    /// Of BigQuery: bytes that a tile's query, or one of `clickmill query`, may be billed for. Any query is
    /// billed for 10 MiB.
    #[schemars(range(min = 10 << 20), extend("default" = MAX_BYTES_BILLED))]
    pub max_bytes_billed: Option<u64>,
    /// Of BigQuery: resource names of policy tags, by the word that a schema has.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub policy_tags: toml::Table,
    /// Tables that rows go to by a condition, asked in this order.
    #[serde(default)]
    #[schemars(length(max = MAX_ROUTES))]
    pub route: Vec<Route>,
    /// What becomes of rows that meet the condition of no route.
    #[serde(default)]
    pub unrouted: Unrouted,
}

/// A table that rows go to by a condition.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Route {
    /// `dataset.table`.
    #[schemars(regex(pattern = TABLE))]
    pub table: String,
    /// The file of its schema: of the chain's columns it gets those that it has.
    pub schema: String,
    /// Which rows go there, a part of GoogleSQL: `event_type = 'purchase' AND order.total > 0`.
    #[serde(rename = "where")]
    pub condition: String,
    /// The row goes on to the routes after this one, too.
    #[serde(default)]
    pub copy: bool,
}

/// What keeps the tables.
#[derive(Serialize, Deserialize, Clone, Copy, Default, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum SinkKind {
    /// The warehouse that the command line names.
    #[default]
    Warehouse,
    /// BigQuery.
    Bigquery,
}

/// The warehouse.
#[derive(Deserialize, Default, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Warehouse {
    /// Rows and dead letters are kept so many days after the day of their writing; forever where absent. In a
    /// table that pipelines share, the shortest holds for all.
    #[schemars(range(min = 1, max = 36_525))]
    pub retention_days: Option<u32>,
}

/// Where rejected records go, and when there are too many.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct DeadLetter {
    /// `dataset.table`.
    #[schemars(regex(pattern = TABLE))]
    pub table: String,
    /// The file of the table's schema.
    pub schema: String,
    /// The run ends when this share of the last `window_rows` records was refused.
    #[serde(default = "max_rejected_share")]
    #[schemars(range(min = 0, max = 1))]
    pub max_rejected_share: f64,
    /// See `max_rejected_share`.
    #[serde(default = "window_rows")]
    #[schemars(range(min = 1))]
    pub window_rows: u64,
    /// Of a stream: the folder where letters wait while their table is away. Where absent, `clickmill-data/spool`
    /// in the current folder. `off`: they are held, with their messages.
    pub spool: Option<String>,
    /// What does not fit is held back, with its messages.
    #[serde(default = "spool_max_bytes")]
    pub spool_max_bytes: u64,
    /// Letters that wait longer make `GET /readyz` answer 503.
    #[serde(default = "spool_max_wait_secs")]
    #[schemars(range(min = 1))]
    pub spool_max_wait_secs: u64,
    /// Payloads, messages and attributes are sealed (AES-256-GCM).
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

/// How serde begins to say that a value of another type stands somewhere.
const MISTYPED: &str = "invalid type: ";

/// A section or a value of the document: each is read by itself, so that one mistake does not hide the
/// next.
pub(super) fn section<T: DeserializeOwned>(
    value: Option<toml::Value>,
    path: &str,
    problems: &mut Vec<Problem>,
) -> Option<T> {
    let Some(value) = value else {
        problem(problems, path, "is missing".to_owned());
        return None;
    };
    match serde_path_to_error::deserialize(Strict(value.clone())) {
        Ok(section) => Some(section),
        Err(error) => {
            let inner = error.path().to_string();
            let inner = if inner == "." { wrong_key::<T>(&value) } else { Some(inner) };
            let path = inner.map_or_else(|| path.to_owned(), |inner| format!("{path}.{inner}"));
            let message = without_text(error.inner().message().trim());
            let is_mistyped = message.starts_with(MISTYPED);
            problems.push(Problem { path, message, is_mistyped });
            None
        }
    }
}

/// The key whose value is wrong. Of a section that `kind` gives its form, serde tells no place: it is the one without
/// which something else is wrong, or nothing.
fn wrong_key<T: DeserializeOwned>(section: &toml::Value) -> Option<String> {
    let said =
        |section| T::deserialize(Strict(section)).err().map(|error| error.message().to_owned());
    let whole = said(section.clone()).filter(|said| said.starts_with("invalid "))?;
    let is_wrong = |key: &&String| {
        let mut without = section.clone();
        without.as_table_mut().is_some_and(|table| table.remove(*key).is_some())
            && said(without).as_ref() != Some(&whole)
    };
    section.as_table()?.keys().filter(|key| *key != "kind").find(is_wrong).cloned()
}

/// What serde says, without the text that stands where something else is wanted: it may be a secret.
fn without_text(said: &str) -> String {
    const TEXT: &str = "string ";
    let rest = said
        .strip_prefix(MISTYPED)
        .and_then(|rest| rest.strip_prefix(TEXT))
        .and_then(|rest| rest.rfind("\", expected ").map(|at| &rest[at + 1..]));
    rest.map_or_else(|| said.to_owned(), |rest| format!("{MISTYPED}{}{rest}", TEXT.trim_end()))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::BatchLimits;

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
    fn the_key_of_a_wrong_value_is_named_where_kind_gives_the_form_too() {
        for (key, text) in [
            ("watch", r#"kind = "storage", uri = "a.csv", watch = "yes""#),
            ("uri", r#"kind = "storage", uri = 5, watch = true"#),
            (
                "watch_interval_secs",
                r#"kind = "storage", uri = "a.csv", watch_interval_secs = 1.5"#,
            ),
            ("rate", r#"kind = "generator", data = "clicks", rate = "fast""#),
        ] {
            let document: toml::Table = toml::from_str(&format!("source = {{ {text} }}")).unwrap();
            let mut problems = Vec::new();
            let found: Option<Source> =
                section(document.get("source").cloned(), "source", &mut problems);
            assert!(found.is_none(), "{text}");
            assert_eq!(problems[0].path, format!("source.{key}"), "{}", problems[0].message);
        }
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
        check::<BatchLimits>("[1]", "");
    }
}
