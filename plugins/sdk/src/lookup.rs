//! Reference data by key: the files that the pipeline file names under `lookups`.

use std::collections::HashMap;
use std::hash::Hash;

use crate::bindings::clickmill::plugin::lookup::LookupError;
use crate::{Column, Fault, Text, Texts};

/// Field `field` of table `table` for each of `keys`, `None` where the table has no such key.
///
/// One call to the host, so pass many keys at once. For a column with few distinct values use
/// [`Memo`]. Errors: the table is not granted, or has no such field.
pub fn find<'k>(
    table: &str,
    field: &str,
    keys: impl IntoIterator<Item = &'k str>,
) -> Result<Vec<Option<String>>, Fault> {
    let mut texts = Texts::default();
    for key in keys {
        texts.push(key);
    }
    let column = find_texts(table, field, &texts.into_text())?;
    Ok((0..column.len()).map(|row| column.text(row).map(str::to_owned)).collect())
}

/// The same, from texts to a column of texts: as it crosses the boundary, so that nothing is copied.
pub fn find_texts(table: &str, field: &str, keys: &Text) -> Result<Column, Fault> {
    host_find(table, field, keys).map_err(|error| Fault {
        message: match error {
            LookupError::UnknownTable(name) => {
                format!("no lookup table `{name}`: name it under `lookups` in the pipeline file")
            }
            LookupError::UnknownField(known) => {
                format!("lookup table `{table}` has no field `{field}`, only: {}", known.join(", "))
            }
            LookupError::MalformedKeys(what) => format!("malformed lookup keys: {what}"),
        },
    })
}

/// Whether a table has that field, for `configure` to ask: the error is the fields that it has. A table
/// that is not granted has any: the host says so itself.
pub fn check_field(table: &str, field: &str) -> Result<(), Vec<String>> {
    match host_find(table, field, &Texts::default().into_text()) {
        Err(LookupError::UnknownField(known)) => Err(known),
        _ => Ok(()),
    }
}

/// Answers for the distinct keys of one column, so that a column of a million codes asks the host for
/// each code once.
pub struct Memo<K> {
    found: HashMap<K, Option<String>>,
}

impl<K: Hash + Eq + Copy> Memo<K> {
    /// Asks the host for all distinct `keys`; `text` spells a key the way the table does.
    pub fn new(
        table: &str,
        field: &str,
        keys: impl IntoIterator<Item = K>,
        text: impl Fn(K) -> String,
    ) -> Result<Self, Fault> {
        let mut distinct = Vec::new();
        let mut found = HashMap::new();
        for key in keys {
            found.entry(key).or_insert_with(|| {
                distinct.push(key);
                None
            });
        }
        let spelled: Vec<String> = distinct.iter().map(|key| text(*key)).collect();
        let answers = find(table, field, spelled.iter().map(String::as_str))?;
        found.extend(distinct.into_iter().zip(answers));
        Ok(Self { found })
    }

    /// The answer for a key that was among those asked for.
    pub fn get(&self, key: K) -> Option<&str> {
        self.found.get(&key)?.as_deref()
    }
}

#[cfg(target_family = "wasm")]
fn host_find(table: &str, field: &str, keys: &Text) -> Result<Column, LookupError> {
    crate::bindings::clickmill::plugin::lookup::find(table, field, keys)
}

#[cfg(not(target_family = "wasm"))]
fn host_find(table: &str, field: &str, keys: &Text) -> Result<Column, LookupError> {
    crate::testing::find(table, field, keys)
}
