//! Which rows of letters are in which tables.
//!
//! A load is in all of its tables or in none. Of a stream into BigQuery a row that goes to several may be in
//! some of them, where another refused it, and be a letter beside that: what it lacks is written, and no more.

use std::collections::BTreeSet;

use arrow::error::ArrowError;

use super::chains::record_of;
use crate::context::Context;
use clickmill_sink::{Key, SinkError};
use clickmill_tables::Routed;

/// Rows that are there, by table: the pipeline's own, then those of its routes.
pub(super) struct Present(Vec<BTreeSet<Key>>);

impl Present {
    /// Looks for rows in all tables of a pipeline.
    pub(super) fn look(context: &Context, keys: &[Key]) -> Result<Self, SinkError> {
        let there = context.pipeline.sink.tables().map(|(table, schema)| {
            context.runtime.block_on(context.tables.present(table, schema, keys, None))
        });
        Ok(Self(there.collect::<Result<_, SinkError>>()?))
    }

    /// Adds what was found of others.
    pub(super) fn add(&mut self, others: Self) {
        for (there, more) in self.0.iter_mut().zip(others.0) {
            there.extend(more);
        }
    }

    /// Whether a row is in a table.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.0.iter().any(|there| there.contains(key))
    }

    /// Leaves rows out of the tables that have them.
    pub(super) fn leave_out(&self, rows: &mut Routed) -> Result<(), ArrowError> {
        let source = rows.origins().source.clone();
        rows.leave_out_there(|table, (position, place)| {
            let key = Key { record: record_of(&source, position), place: *place };
            self.0.get(table).is_some_and(|there| there.contains(&key))
        })
    }
}
