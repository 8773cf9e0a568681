//! Which rows of letters are in the tables already. Each question reads a column of a whole table, which
//! BigQuery bills: so where there are more letters than a page, it is asked for many pages of them at once.
//!
//! A load is in all of its tables or in none. Of a stream into BigQuery a row that goes to several may be in
//! some of them, where another refused it, and be a letter beside that: what it lacks is written, and no more.

use arrow::error::ArrowError;

use super::chains::record_of;
use crate::context::Context;
use clickmill_sink::{Key, Kinds, Letter, Present, SinkError, Wanted};
use clickmill_tables::Routed;

/// So many letters are asked for at once.
const LETTERS: usize = 100_000;

/// Rows that are in the tables, as far as was asked, and those that this replay has written since.
#[derive(Default)]
pub(super) struct Rows {
    /// The id of the last letter that was asked for.
    last: String,
    kinds: Kinds,
    /// By table: the pipeline's own, then those of its routes.
    tables: Vec<Present>,
}

impl Rows {
    /// Sees to it that it is known of a page's letters which of their rows are there. `page` says which
    /// letters it is of, and `is_last` that none comes behind it.
    pub(super) fn look(
        &mut self,
        context: &Context,
        page: &Wanted<'_>,
        letters: &[Letter],
        is_last: bool,
    ) -> Result<(), SinkError> {
        let Some(end) = letters.last() else { return Ok(()) };
        let kinds = Kinds::of(letters);
        if end.letter_id <= self.last && self.kinds.hold(kinds) {
            return Ok(());
        }
        let (tables, runtime) = (&context.tables, &context.runtime);
        let mut last = end.letter_id.clone();
        if !is_last {
            let many = Wanted { limit: LETTERS, ..page.clone() };
            last = last.max(runtime.block_on(tables.last_of(&many))?.unwrap_or_default());
        }
        let keys: Vec<Key> = letters.iter().filter_map(Letter::key).collect();
        let mut found = Vec::new();
        for (table, schema) in context.pipeline.sink.tables() {
            found.push(if is_last {
                runtime.block_on(tables.rows_of(table, schema, &keys, None))?
            } else {
                runtime.block_on(tables.rows_of_letters(table, schema, page, &last, kinds))?
            });
        }
        *self = Self { last, kinds, tables: found };
        Ok(())
    }

    /// Looks for rows of other letters, or of none, too.
    pub(super) fn look_for(&mut self, context: &Context, keys: &[Key]) -> Result<(), SinkError> {
        for ((table, schema), present) in context.pipeline.sink.tables().zip(&mut self.tables) {
            let found = context.tables.present(table, schema, keys, None);
            context.runtime.block_on(found)?.into_iter().for_each(|key| present.insert(key));
        }
        Ok(())
    }

    /// Whether a row is in a table.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.tables.iter().any(|present| present.has(key))
    }

    /// Leaves rows out of the tables that have them.
    pub(super) fn leave_out(&self, rows: &mut Routed) -> Result<(), ArrowError> {
        let source = rows.origins().source.clone();
        rows.leave_out_there(|table, (position, place)| {
            let key = Key { record: record_of(&source, position), place: *place };
            self.tables.get(table).is_some_and(|present| present.has(&key))
        })
    }

    /// Rows are in all of their tables by now.
    pub(super) fn add(&mut self, keys: impl IntoIterator<Item = Key>) {
        for key in keys {
            self.tables.iter_mut().for_each(|present| present.insert(key.clone()));
        }
    }
}
