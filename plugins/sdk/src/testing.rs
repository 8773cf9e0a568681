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

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use crate::bindings::clickmill::plugin::lookup::LookupError;
use crate::{Batch, Column, ColumnSpec, Needs, Output, Plugin, Problems, Text, Texts, glue};

/// What the plugin needs with that configuration where these columns are available.
pub fn configure<P: Plugin>(config: &str, columns: &[Column]) -> Result<Needs, Problems> {
    let available: Vec<ColumnSpec> = columns.iter().map(Column::spec).collect();
    glue::configure::<P>(config, &available)
}

/// Configures the plugin and runs it over one batch of these columns, handing it only those it says it
/// reads, as the host does. The error is every problem with the configuration, or the fault.
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
    let needs = configure::<P>(config, &columns)?;
    let rows = columns.first().map_or(0, Column::len);
    for column in &columns {
        assert_eq!(column.len(), rows, "column `{}` of the test has another length", column.name);
    }
    let columns = columns
        .into_iter()
        .filter(|c| needs.reads.iter().any(|read| read.name == c.name))
        .collect();
    let batch = Batch { rows: rows as u32, ingest_time, columns };
    let output = glue::process::<P>(config, batch).map_err(|fault| vec![fault.message])?;
    check(&needs, rows, &output);
    Ok(output)
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
/// its level: `info: unreadable 2 ip`.
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
    for column in &output.columns {
        let announced = needs.writes.iter().find(|w| w.name == column.name);
        let announced = announced.unwrap_or_else(|| panic!("`{}` is not announced", column.name));
        assert_eq!(announced.data_type, column.values.data_type(), "type of `{}`", column.name);
        assert_eq!(column.len(), rows, "length of `{}`", column.name);
    }
    assert_eq!(output.columns.len(), needs.writes.len(), "every announced column is written once");
    for column in output.rejections.iter().filter_map(|rejection| rejection.column.as_ref()) {
        let known = needs.reads.iter().chain(&needs.writes).any(|spec| spec.name == *column);
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
