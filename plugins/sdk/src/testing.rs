//! The host's part, for native tests of a plugin: `cargo test`, no Wasm in sight.
//!
//! ```
//! # use clickmill_plugin::prelude::*;
//! # #[derive(serde::Deserialize, schemars::JsonSchema)]
//! # struct Config {}
//! # struct Upper;
//! # impl RowPlugin for Upper {
//! #     type Config = Config;
//! #     fn configure(_: Config, _: &[ColumnSpec]) -> Result<Self, Problems> { Ok(Self) }
//! #     fn needs(&self) -> Needs { Needs::new().reads("name", DataType::Text).writes("name", DataType::Text) }
//! #     fn row(&self, row: &mut Row<'_>) -> Result<(), Refusal> {
//! #         let upper = row.require_text("name")?.to_uppercase();
//! #         row.set("name", upper);
//! #         Ok(())
//! #     }
//! # }
//! use clickmill_plugin::testing;
//!
//! let output = testing::run::<Upper>("{}", vec![Column::texts("name", [Some("ada"), None])]).unwrap();
//! assert_eq!(output.columns[0].text(0), Some("ADA"));
//! assert_eq!(output.rejections[0].code, "required");
//! ```

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value as Json};

use crate::bindings::clickmill::plugin::lookup::LookupError;
use crate::record::Record;
use crate::{
    Batch, Column, ColumnSpec, Configured, Needs, Output, Plugin, Problems, Text, Texts, Value,
    Values, batch, glue, is_within, tree,
};

/// What the plugin needs with that configuration where these columns are available.
pub fn configure<P: Plugin>(config: &str, columns: &[Column]) -> Result<Needs, Problems> {
    configured::<P>(config, columns).map(|configured| configured.needs)
}

fn configured<P: Plugin>(config: &str, columns: &[Column]) -> Result<Configured, Problems> {
    glue::configure::<P>(config, &batch::specs(columns))
}

/// Columns of these types, with records and lists, a value for each row: a [`Value::record`] of the columns by
/// name.
///
/// ```
/// use clickmill_plugin::{prelude::*, testing};
///
/// let types = Needs::new()
///     .writes_list("items", DataType::Record)
///     .writes("items.name", DataType::Text)
///     .writes("items.price", DataType::Decimal);
/// let price: Decimal = "19.90".parse().unwrap();
/// let hat = Value::record([("name", Value::from("hat")), ("price", price.into())]);
/// let row = Value::record([("items", Value::list([hat]))]);
/// let columns = testing::columns(&types.writes, [row.clone()]);
/// assert_eq!(columns[2].decimal(0), Some(price));
/// assert_eq!(testing::rows(&columns), [row]);
/// ```
pub fn columns(types: &[ColumnSpec], rows: impl IntoIterator<Item = Value>) -> Vec<Column> {
    let nothing = Batch { rows: 0, ingest_time: 0, columns: Vec::new() };
    let mut roots = tree::roots(types, &nothing, 0);
    for (at, row) in rows.into_iter().enumerate() {
        let Value::Record(mut fields) = row else { panic!("{row:?} is no record of columns") };
        for root in &mut roots {
            let field = fields.iter_mut().find(|(name, _)| *name == root.path());
            let value = field.map(|(_, value)| std::mem::replace(value, Value::Null));
            root.push(Some(value.unwrap_or(Value::Null)), &nothing, at);
        }
    }
    let mut output = Output::new(Vec::new());
    roots.into_iter().for_each(|root| root.finish(&nothing, &mut output));
    output.columns
}

/// The rows of columns: what [`columns`] makes columns of.
pub fn rows(columns: &[Column]) -> Vec<Value> {
    let rows = count(columns);
    let batch = Batch { rows: rows as u32, ingest_time: 0, columns: columns.to_vec() };
    let whole = |row| {
        let record = Record::row(&batch, row);
        let own = columns.iter().filter(|column| column.parent.is_none());
        Value::record(own.map(|column| (column.name.as_str(), record.value(&column.name))))
    };
    (0..rows).map(whole).collect()
}

/// How many rows columns have.
fn count(columns: &[Column]) -> usize {
    let own = columns.iter().filter(|column| column.parent.is_none());
    let known = own.filter_map(|column| match (&column.offsets, &column.values) {
        (Some(offsets), _) => Some(offsets.len() - 1),
        (None, Values::Records) => None,
        (None, _) => Some(column.len()),
    });
    // Records that are alone and never null have the rows that their fields have.
    known.max().unwrap_or_else(|| {
        let fields = columns.iter().filter(|column| column.offsets.is_none());
        fields.filter(|column| column.values != Values::Records).map(Column::len).max().unwrap_or(0)
    })
}

/// Configures the plugin and runs it over one batch of these columns, handing it only those it says it
/// reads, as the host does. The error is every problem with the configuration, or the fault.
///
/// As by the host, secrets are made up where it is configured: one that [`Plugin::prepare`] hands on is not the
/// one that the configuration has here.
///
/// Panics where the plugin answers what the host would refuse: a column that is not announced or
/// missing, another type or length, a row refused twice.
pub fn run<P: Plugin>(config: &str, columns: Vec<Column>) -> Result<Output, Problems> {
    run_at::<P>(config, columns, 0)
}

/// [`run`], with rows that were taken in at `ingest_time` (microseconds since 1970-01-01T00:00:00Z).
pub fn run_at<P: Plugin>(
    config: &str,
    columns: Vec<Column>,
    ingest_time: i64,
) -> Result<Output, Problems> {
    let Configured { needs, prepared } =
        configured::<P>(&with_made_up_secrets::<P>(config), &columns)?;
    let rows = count(&columns);
    let all = Batch { rows: rows as u32, ingest_time, columns };
    for (at, column) in all.columns.iter().enumerate() {
        assert_lengths(&all, at, "column of the test", &column.name);
    }
    let columns = granted(&all.columns, &needs.reads);
    let batch = Batch { rows: rows as u32, ingest_time, columns };
    let output =
        glue::process::<P>(config, &prepared, batch).map_err(|fault| vec![fault.message])?;
    check(&needs, rows, &output);
    Ok(output)
}

/// The configuration with other secrets, where it has any.
fn with_made_up_secrets<P: Plugin>(config: &str) -> Cow<'_, str> {
    let fields = serde_json::from_str::<Map<String, Json>>(config);
    // What is no configuration is told where it is read.
    let Some(mut fields) = fields.ok().filter(|_| !P::SECRETS.is_empty()) else {
        return config.into();
    };
    for secret in P::SECRETS {
        if let Some(Json::String(value)) = fields.get_mut(secret.name) {
            *value = "5ec2e7f0".repeat(8);
        }
    }
    Json::from(fields).to_string().into()
}

/// The columns that are read, and the records that they are fields of.
fn granted(columns: &[Column], reads: &[ColumnSpec]) -> Vec<Column> {
    let mut places = Vec::with_capacity(columns.len());
    let mut granted: Vec<Column> = Vec::new();
    for (column, spec) in columns.iter().zip(batch::specs(columns)) {
        let is_read = |read: &ColumnSpec| {
            is_within(&spec.path, &read.path) || is_within(&read.path, &spec.path)
        };
        places.push(granted.len() as u32);
        if reads.iter().any(is_read) {
            let parent = column.parent.map(|parent| places[parent as usize]);
            granted.push(Column { parent, ..column.clone() });
        }
    }
    granted
}

/// A column has as many values, lists and bits as its place in the batch wants.
fn assert_lengths(batch: &Batch, at: usize, what: &str, name: &str) {
    let column = &batch.columns[at];
    let parent = column.parent.map(|parent| batch.places_of(parent as usize).len());
    let wanted = parent.unwrap_or(batch.rows as usize);
    if let Some(offsets) = &column.offsets {
        assert_eq!(offsets.len(), wanted + 1, "lists of {what} `{name}`");
    }
    let values = batch.places_of(at).len();
    if column.values != Values::Records {
        assert_eq!(column.len(), values, "length of {what} `{name}`");
    }
    if let Some(bits) = &column.validity {
        assert_eq!(bits.len(), values.div_ceil(8), "validity of {what} `{name}`");
        let nulls = (0..values).filter(|value| !column.is_valid(*value)).count();
        assert!(column.offsets.is_none() || nulls == 0, "elements of {what} `{name}` are null");
    }
}

/// Gives the plugin under test, on this thread, a lookup table: rows of field values under `fields`, of
/// which the first is the key.
pub fn lookup_table(name: &str, fields: &[&str], rows: &[&[&str]]) {
    let by_key = rows
        .iter()
        .map(|row| (row[0].to_owned(), row.iter().map(|v| (*v).to_owned()).collect()))
        .collect();
    let table = Table { fields: fields.iter().map(|f| (*f).to_owned()).collect(), by_key };
    TABLES.with_borrow_mut(|tables| tables.insert(name.to_owned(), table));
}

struct Table {
    fields: Vec<String>,
    by_key: HashMap<String, Vec<String>>,
}

/// The lines that the plugin under test has logged on this thread since this was asked last, each behind
/// its level, and what it has counted: `unreadable: 2 ip`.
pub fn take_log() -> Vec<String> {
    crate::log::LINES.take()
}

thread_local! {
    static TABLES: RefCell<BTreeMap<String, Table>> = const { RefCell::new(BTreeMap::new()) };
}

#[cfg_attr(target_family = "wasm", expect(dead_code, reason = "the host answers there"))]
pub(crate) fn find(table: &str, field: &str, keys: &Text) -> Result<Column, LookupError> {
    TABLES.with_borrow(|tables| {
        let found = tables.get(table).ok_or_else(|| LookupError::UnknownTable(table.to_owned()))?;
        let at = found
            .fields
            .iter()
            .position(|name| name == field)
            .ok_or_else(|| LookupError::UnknownField(found.fields.clone()))?;
        let mut texts = Texts::default();
        for row in 0..keys.offsets.len() - 1 {
            let key = std::str::from_utf8(keys.get(row))
                .map_err(|error| LookupError::MalformedKeys(error.to_string()))?;
            texts.push_option(found.by_key.get(key).map(|values| &values[at]));
        }
        Ok(texts.finish(field))
    })
}

fn check(needs: &Needs, rows: usize, output: &Output) {
    let rows = match &output.came_from {
        None => rows,
        Some(came_from) => {
            assert!(needs.multiplies, "rows come from others, which is not announced");
            assert!(came_from.is_sorted(), "rows come from others in their order");
            let mut of = came_from.clone();
            of.dedup();
            let all: Vec<u32> = (0..rows as u32).collect();
            assert_eq!(of, all, "each row of the batch has one of the output");
            came_from.len()
        }
    };
    let specs = batch::specs(&output.columns);
    let batch = Batch { rows: rows as u32, ingest_time: 0, columns: output.columns.clone() };
    let mut written = 0;
    for (at, spec) in specs.iter().enumerate() {
        match needs.writes.iter().find(|w| w.path == spec.path) {
            Some(announced) => {
                assert_eq!(announced, spec, "type of `{}`", spec.path);
                written += 1;
            }
            // A record that a written column is a field of.
            None => assert!(
                needs.writes.iter().any(|w| is_within(&w.path, &spec.path)),
                "`{}` is not announced",
                spec.path
            ),
        }
        assert_lengths(&batch, at, "the written", &spec.path);
    }
    assert_eq!(written, needs.writes.len(), "every announced column is written once");
    for column in output.rejections.iter().filter_map(|rejection| rejection.column.as_ref()) {
        let path = without_elements(column);
        let mut known = needs.reads.iter().chain(&needs.writes);
        let known = known.any(|spec| is_within(&path, &spec.path) || is_within(&spec.path, &path));
        assert!(known, "a row is refused for `{column}`, which is neither read nor written");
    }
    for rejection in &output.rejections {
        let code = &rejection.code;
        let is_hosts = code.starts_with("plugin_");
        assert!(!is_hosts, "a row is refused with `{code}`, which begins as the host's codes do");
    }
    let mut gone: Vec<u32> = output.rejections.iter().map(|r| r.row).collect();
    gone.extend(&output.dropped);
    gone.sort_unstable();
    assert!(gone.windows(2).all(|w| w[0] != w[1]), "a row is refused or dropped twice");
    assert!(gone.iter().all(|row| (*row as usize) < rows), "a refused row is in the batch");
}

/// A path without the numbers of elements: `items.price` of `items[3].price`.
fn without_elements(path: &str) -> String {
    let mut inside = false;
    let outside = |character: &char| {
        inside |= *character == '[';
        let outside = !inside;
        inside &= *character != ']';
        outside
    };
    path.chars().filter(outside).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prelude::*;

    #[derive(serde::Deserialize, schemars::JsonSchema)]
    struct Config {
        key: String,
    }

    /// A plugin that hands on all of itself, its secret too.
    struct Careless(String);

    impl Plugin for Careless {
        type Config = Config;

        const SECRETS: &'static [Secret] = &[Secret::new("key")];

        fn configure(config: Config, _available: &[ColumnSpec]) -> Result<Self, Problems> {
            Ok(Self(config.key))
        }

        fn needs(&self) -> Needs {
            Needs::new().writes("key", DataType::Text)
        }

        fn prepare(&self) -> Vec<u8> {
            self.0.clone().into_bytes()
        }

        fn restore(
            _config: &str,
            prepared: &[u8],
            _available: &[ColumnSpec],
        ) -> Result<Self, Problems> {
            Ok(Self(String::from_utf8_lossy(prepared).into_owned()))
        }

        fn process(&self, _batch: Batch) -> Result<Output, Fault> {
            Ok(Output::new(vec![Column::texts("key", [Some(&self.0)])]))
        }
    }

    #[test]
    fn what_is_wrong_with_a_configuration_is_told_without_its_place_in_the_text() {
        for (config, wanted) in [
            ("{}", "missing field `key`"),
            (r#"{"key": 1}"#, "invalid type: integer `1`, expected a string"),
        ] {
            let told = configure::<Careless>(config, &[]).err();
            assert_eq!(told, Some(vec![wanted.to_owned()]), "{config}");
        }
    }

    #[test]
    fn a_secret_that_is_handed_on_is_a_made_up_one() {
        let row = vec![Column::int64s("number", [Some(1)])];
        let config = r#"{"key": "a key for tests only, 42"}"#;
        let output = run::<Careless>(config, row).expect("it is configured");
        let found = output.columns[0].text(0).expect("a key");
        assert!(found.len() == 64 && found.bytes().all(|byte| byte.is_ascii_hexdigit()), "{found}");
    }
}
