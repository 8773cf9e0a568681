//! Names for codes, from a lookup table: the distinct codes of a batch are asked for in one call.
//!
//! In: an int64 or text column. Out: a text column. A null code has a null name; a code that the table
//! does not have refuses its row, or stays, or becomes null, as configured.

use std::collections::HashMap;

use clickmill_plugin::{Batch, Column, DataType, Fault, Text, Texts, Values, lookup};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Answer;
use crate::columns::{column, distinct, gather};
use crate::plan::Plan;

/// Writes the names of a column's codes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The column of codes, int64 or text. It may lie in a list (`items.category`): then the names stand in the
    /// same record.
    column: String,
    /// The lookup table that knows them: a name under `lookups` of the pipeline file.
    table: String,
    /// The text column to write. It may be `column` itself.
    to: String,
    /// The field of the table to take.
    #[serde(default = "default_field")]
    field: String,
    /// What becomes of a code that the table does not have.
    #[serde(default)]
    unknown: Unknown,
}

fn default_field() -> String {
    "name".to_owned()
}

/// What becomes of a code that the table does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Unknown {
    /// The row is refused with code `unknown_code`.
    #[default]
    Reject,
    /// The name is null.
    Null,
    /// The code itself is the name.
    Keep,
}

/// The enrichment, ready.
#[derive(Serialize, Deserialize)]
pub(crate) struct Names {
    column: String,
    table: String,
    to: String,
    field: String,
    unknown: Unknown,
}

impl Names {
    pub(crate) fn configure(config: Config, at: usize, plan: &mut Plan<'_>) -> Option<Self> {
        let types = &[DataType::Int64, DataType::Text];
        plan.read_values(format_args!("names[{at}].column"), &config.column, types);
        Self::place(&config, at, plan);
        plan.look_up(format_args!("names[{at}].table"), &config.table);
        if config.field.is_empty() {
            plan.problem(format_args!("names[{at}].field"), "the field has no name");
        } else if let Err(known) = lookup::check_field(&config.table, &config.field) {
            let (table, field) = (&config.table, &config.field);
            let known = known.join("`, `");
            let what = format!("lookup table `{table}` has no field `{field}`, only `{known}`");
            plan.problem(format_args!("names[{at}].field"), what);
        }
        let Config { column, table, to, field, unknown } = config;
        Some(Self { column, table, to, field, unknown })
    }

    /// Names stand beside their codes, in the same record, unless there is one per row.
    fn place(config: &Config, at: usize, plan: &mut Plan<'_>) {
        let Config { column, to, .. } = config;
        let path = format_args!("names[{at}].to");
        let Some(list) = plan.list_of(column) else {
            return plan.write(path, to, DataType::Text);
        };
        let record = |path: &str| path.rsplit_once('.').map(|(record, _)| record.to_owned());
        let repeated = list == *column;
        if record(to) != record(column) {
            let what = format!("`{to}` is not in the record of `{column}`, which lies in a list");
            plan.problem(path, what);
        } else if repeated && config.unknown == Unknown::Null {
            let what = format!("`{column}` is a list, of which no element is null");
            plan.problem(format_args!("names[{at}].unknown"), what);
        } else {
            plan.write_beside(path, to, DataType::Text, repeated);
        }
    }

    pub(crate) fn enrich(&self, batch: &Batch, answer: &mut Answer) -> Result<(), Fault> {
        let codes = column(batch, &self.column)?;
        let Codes { ids, keys } = Codes::of(codes)?;
        let count = keys.offsets.len() - 1;
        let found = if count == 0 {
            Column::nulls("", DataType::Text, 0)
        } else {
            lookup::find_texts(&self.table, &self.field, &keys)?
        };
        let named = (0..count).map(|at| match found.bytes(at) {
            None if self.unknown == Unknown::Keep => Some(keys.get(at)),
            name => name,
        });
        let values: Vec<Option<&[u8]>> = std::iter::once(None).chain(named).collect();
        let mut names = gather(&self.to, &ids, &values)?;
        if codes.offsets.is_some() {
            names.offsets.clone_from(&codes.offsets);
            // No element is null: those without a name are of rows that are refused.
            names.validity = None;
        }
        answer.add(names);
        let is_unknown = |at: usize| !found.is_valid(at);
        if self.unknown == Unknown::Reject && (0..count).any(is_unknown) {
            let places = batch.places(&self.column);
            for (value, id) in ids.iter().enumerate() {
                if *id != 0 && is_unknown(*id as usize - 1) {
                    let (row, column) = match &places {
                        Some(places) => (places.row(value), places.shown(value)),
                        None => (value, self.column.clone()),
                    };
                    let key = String::from_utf8_lossy(keys.get(*id as usize - 1));
                    let message = self.unknown_code(&column, &key);
                    answer.refuse(row, batch.rows as usize, "unknown_code", &column, message);
                }
            }
        }
        Ok(())
    }

    fn unknown_code(&self, column: &str, key: &str) -> String {
        let table = &self.table;
        match key.char_indices().nth(64) {
            None => format!("`{column}` `{key}` is not in lookup table `{table}`"),
            Some((end, _)) => {
                let start = &key[..end];
                format!("`{column}` `{start}`… is not in lookup table `{table}`")
            }
        }
    }
}

/// The codes of a column.
struct Codes {
    /// Per row 0 where it is null, else n where it holds `keys[n - 1]`.
    ids: Vec<u32>,
    /// The codes as the table spells them. A text code may stand there more than once.
    keys: Text,
}

impl Codes {
    fn of(column: &Column) -> Result<Self, Fault> {
        match &column.values {
            Values::Int64s(codes) => Ok(Self::of_int64s(column, codes)),
            Values::Texts(text) => {
                let found = distinct(column, text);
                let mut keys = Texts::with_capacity(found.first.len(), 0);
                found.first.iter().for_each(|row| keys.push(text.get(*row)));
                Ok(Self { ids: found.ids, keys: keys.into_text() })
            }
            _ => Err(Fault {
                message: format!("column `{}` is neither int64 nor text", column.name),
            }),
        }
    }

    fn of_int64s(column: &Column, codes: &[i64]) -> Self {
        // Codes mostly lie close together: those around the first one are looked up by their place. Few rows have
        // few codes: what is touched here is cleared when the call has ended.
        let around = codes.len().next_power_of_two().clamp(512, 4096);
        let first = (0..codes.len()).find(|row| column.is_valid(*row));
        let least = first.map_or(0, |row| codes[row].wrapping_sub(around as i64 / 2));
        let mut near = vec![0_u32; around];
        let mut far = HashMap::new();
        let mut keys = Texts::default();
        let mut count = 0;
        let mut add = |code: i64| {
            keys.push(code.to_string());
            count += 1;
            count
        };
        let ids = ids(column, codes, |code| {
            let place = code.wrapping_sub(least) as u64;
            match near.get_mut(place.min(around as u64) as usize) {
                Some(id) => {
                    if *id == 0 {
                        *id = add(code);
                    }
                    *id
                }
                None => *far.entry(code).or_insert_with(|| add(code)),
            }
        });
        Self { ids, keys: keys.into_text() }
    }
}

fn ids(column: &Column, codes: &[i64], mut id: impl FnMut(i64) -> u32) -> Vec<u32> {
    match column.validity {
        None => codes.iter().map(|code| id(*code)).collect(),
        Some(_) => codes
            .iter()
            .enumerate()
            .map(|(row, code)| if column.is_valid(row) { id(*code) } else { 0 })
            .collect(),
    }
}
