//! Which rows of letters are in the tables already. Each question reads a column of a whole table, which
//! BigQuery bills: so where there are more letters than a page, it is asked for many pages of them at once.
//!
//! A load is in all of its tables or in none. Of a stream into BigQuery a row that goes to several may be in
//! some of them, where another refused it, and be a letter beside that: what it lacks is written, and no more.

use std::collections::BTreeSet;

use arrow::error::ArrowError;

use super::chains::record_of;
use crate::context::Context;
use clickmill_sink::{Key, Kinds, Letter, Present, SinkError, Wanted};
use clickmill_tables::Routed;

/// So many letters are asked for at once, those that were tried before among them.
const LETTERS: usize = 100_000;

/// Rows that are in the tables, as far as was asked, and those that this replay has written since.
#[derive(Default)]
pub(super) struct Rows {
    /// The ids of the letters that were asked for.
    asked: BTreeSet<String>,
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
        let is_beyond = self.asked.last().is_none_or(|last| end.letter_id > *last);
        if is_beyond || !self.kinds.hold(Kinds::of(letters)) {
            *self = Self::ask(context, page, letters, is_last)?;
        }
        // Letters that have come since, that meet a condition at one time and not at another, or before which lie
        // more than so many that were tried before.
        let new = letters.iter().filter(|letter| !self.asked.contains(&letter.letter_id));
        let new: Vec<Key> = new.filter_map(Letter::key).collect();
        if new.is_empty() { Ok(()) } else { self.look_for(context, &new) }
    }

    /// Asks for the rows of a page's letters, and where more come behind it for those of as many as it may.
    fn ask(
        context: &Context,
        page: &Wanted<'_>,
        letters: &[Letter],
        is_last: bool,
    ) -> Result<Self, SinkError> {
        let kinds = Kinds::of(letters);
        let tables = context.pipeline.sink.tables();
        if is_last {
            let asked = letters.iter().map(|letter| letter.letter_id.clone()).collect();
            let tables = tables.map(|_| Present::default()).collect();
            let mut rows = Self { asked, kinds, tables };
            let keys: Vec<Key> = letters.iter().filter_map(Letter::key).collect();
            rows.look_for(context, &keys)?;
            return Ok(rows);
        }
        let wanted = Wanted { limit: LETTERS, ..page.clone() };
        let (mut asked, mut found) = (Vec::new(), Vec::new());
        for (table, schema) in tables {
            let rows = context.tables.rows_of_letters(table, schema, &wanted, kinds);
            let (of, present) = context.runtime.block_on(rows)?;
            asked.push(of);
            found.push(present);
        }
        let asked = asked.into_iter().reduce(|one, other| &one & &other).unwrap_or_default();
        Ok(Self { asked, kinds, tables: found })
    }

    /// Looks for rows of other letters, or of none, too.
    pub(super) fn look_for(&mut self, context: &Context, keys: &[Key]) -> Result<(), SinkError> {
        for ((table, schema), present) in context.pipeline.sink.tables().zip(&mut self.tables) {
            let found = context.tables.rows_of(table, schema, keys, None);
            present.extend(context.runtime.block_on(found)?);
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
