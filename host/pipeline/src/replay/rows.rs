//! Which rows of letters are in the tables already. Each question reads a column of a whole table, which
//! BigQuery bills: so where there are more letters than a page, it is asked for many pages of them at once.

use crate::context::Context;
use clickmill_sink::{Key, Kinds, Letter, Present, SinkError, Wanted};

/// So many letters are asked for at once.
const LETTERS: usize = 100_000;

/// Rows that are in the tables, as far as was asked, and those that this replay has written since.
#[derive(Default)]
pub(super) struct Rows {
    /// The id of the last letter that was asked for.
    last: String,
    kinds: Kinds,
    present: Present,
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
        let mut present = Present::default();
        // A row that is in one of its tables is in all of them: a load writes to all or to none, and a stream
        // takes no copies.
        for (table, schema) in context.pipeline.sink.tables() {
            present.extend(if is_last {
                runtime.block_on(tables.rows_of(table, schema, &keys, None))?
            } else {
                runtime.block_on(tables.rows_of_letters(table, schema, page, &last, kinds))?
            });
        }
        *self = Self { last, kinds, present };
        Ok(())
    }

    /// Whether a row is there.
    pub(super) fn has(&self, key: &Key) -> bool {
        self.present.has(key)
    }

    /// Rows are there by now.
    pub(super) fn add(&mut self, keys: impl IntoIterator<Item = Key>) {
        keys.into_iter().for_each(|key| self.present.insert(key));
    }
}
