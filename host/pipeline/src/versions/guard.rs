//! What masking promises, checked by the host: no value of a sensitive column reaches the table as it
//! came in. Columns with policy tags in the table's schema are sensitive.
//!
//! A value came in as it is where it stands in the record's original bytes as a word of its own. Its row
//! is stopped: it becomes a dead letter, which names the column and not the value. A value that came in
//! in another spelling, with JSON's escapes say, is not found.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::error::ArrowError;
use memchr::memmem;
use regex::Regex;

use clickmill_config as config;
use clickmill_core::batch::{Batch, Reason, Rejected, Rejector};
use clickmill_core::schema::TableSchema;
use clickmill_core::{Digest, stage};

/// Why rows are stopped.
pub(crate) const CODE: &str = "unmasked";

/// The columns that are looked at.
#[derive(Debug, Clone, Default)]
pub(crate) struct Guard {
    /// Names, each with the form of values that may stay as they are.
    columns: Vec<(String, Option<Regex>)>,
}

impl Guard {
    /// A guard of a table's sensitive columns.
    pub(crate) fn of(schema: &TableSchema, config: &config::Guard) -> Self {
        if config.off {
            return Self::default();
        }
        let sensitive = schema.columns.iter().filter(|column| column.is_sensitive());
        let columns = sensitive.map(|column| {
            let form = config.allow.iter().find(|(name, _)| *name == column.name);
            (column.name.clone(), form.map(|(_, form)| form.clone()))
        });
        Self { columns: columns.collect() }
    }

    /// The names of the columns.
    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|(name, _)| name.as_str())
    }

    /// Takes out the rows of which a sensitive value is as it came in.
    pub(crate) fn stop(
        &self,
        batch: Batch,
        plugin_set: &Digest,
    ) -> Result<(Batch, Vec<Rejected>), ArrowError> {
        let mut found: BTreeMap<usize, &str> = BTreeMap::new();
        for (name, form) in &self.columns {
            let Some(column) = batch.columns.column_by_name(name) else { continue };
            let Some(values) = column.as_string_opt::<i32>() else { continue };
            for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
                let value = values.value(row);
                let payload = &batch.origins.block[batch.origins.ranges[row].clone()];
                if came_in(value.as_bytes(), payload)
                    && !form.as_ref().is_some_and(|form| form.is_match(value))
                {
                    found.entry(row).or_insert(name);
                }
            }
        }
        if found.is_empty() {
            return Ok((batch, Vec::new()));
        }
        let by = Rejector::host(stage::GUARD, plugin_set, batch.ingest_time);
        let stopped = found.iter().map(|(row, column)| {
            let reason = Reason {
                code: CODE.to_owned(),
                message: format!("`{column}` is sensitive, and leaves the plugins as it came in"),
                column: Some((*column).to_owned()),
            };
            batch.origins.reject(*row, &by, reason)
        });
        let stopped = stopped.collect();
        let keep = (0..batch.rows()).map(|row| !found.contains_key(&row));
        let keep = BooleanArray::new(keep.collect::<BooleanBuffer>(), None);
        Ok((batch.keep(&keep)?, stopped))
    }
}

/// Whether a value stands in a record as a word of its own.
fn came_in(value: &[u8], record: &[u8]) -> bool {
    if value.is_empty() {
        return false;
    }
    let is_word = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    memmem::find_iter(record, value).any(|at| {
        let before = at.checked_sub(1).and_then(|before| record.get(before));
        !is_word(before) && !is_word(record.get(at + value.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_came_in_where_it_is_a_word_of_the_record() {
        let record = br#"{"user_id":"u-4711","ip":"192.0.2.77"}"#;
        for (value, wanted) in [
            ("u-4711", true),
            ("192.0.2.77", true),
            ("192.0.2.7", false),
            ("u-471", false),
            ("192.0.2.0", false),
            ("", false),
            ("4711", true),
        ] {
            assert_eq!(came_in(value.as_bytes(), record), wanted, "{value}");
        }
        assert!(came_in(b"u-4711", b"u-4711"));
    }
}
