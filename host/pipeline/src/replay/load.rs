//! A page's rows, and the attempts at its letters, as one load under a number.
//!
//! Of replays into one table any number may be at it at once, and each page is the load of a number: the one
//! above all under which something was loaded before. As of the loads of one object, one is decided for, whoever
//! else is at it. So what a replay has read holds as long as its load counts: between the two no other replay has
//! written. Step by step: what if the replay is killed right here, what if another does the same now?
//!
//! 1. The number is looked for ([`free_number`]). What a killed replay was decided for is completed by that
//!    (BigQuery), or in 3 or 4. Killed: nothing was done. Another: has the same number.
//! 2. Open letters are read, and which of their rows are in the tables. Killed: nothing was done. Another, which
//!    writes meanwhile: has the number by 4.
//! 3. Rows, letters that are new, and attempts are written, where nobody sees them. Killed: they are forgotten, or
//!    removed as what is left of any load.
//! 4. The load is committed. Killed before it is decided for: as in 3. Killed after: the next replay that comes to 1,
//!    3 or 4 completes it, and none has to wait for that. Another was decided for: what was read in 2 may hold no more,
//!    and is read anew for the next number; letters that the other has resolved are not among it.
//!
//! Nothing of that rests on a clock: a replay that was stopped for an hour finds its number taken. On a disk one
//! replay is at it at a time, since there rows are seen before their load has happened
//! (`clickmill_warehouse::load`), and its first number is drawn.
//!
//! Entries that somebody removes from the ledger are no gap to load under, or a replay that began before and is at a
//! number above would not find this one's taken. But the number on top may come again. What was written under it
//! stays: in BigQuery streams add to it, and in Cloud Storage the files have other names. On a disk a load without an
//! entry has not happened, and its files go, so there no number is to come again. Where the last entries, or all of
//! the first [`ASKED`], are removed while a replay runs, one that begins then finds a lower number, and both may write
//! the same rows.

use std::ops::Range;

use arrow::array::RecordBatch;

use super::attempts;
use super::error::ReplayError;
use crate::context::Context;
use crate::run::load::in_turn;
use crate::run::stop::Stop;
use crate::run::withheld::{Withheld, refused_once};
use clickmill_core::batch::Rejected;
use clickmill_core::{Digest, Micros};
use clickmill_sink::{Begun, Load, SinkError, Targets};
use clickmill_tables::ledger::{self, Committed};
use clickmill_tables::{Refused, Routed};

/// So many numbers are asked for first, and twice as many each time after.
const ASKED: u64 = 1000;

/// A number under which nothing was loaded: the one above all that are taken, so that all replays find the same,
/// whichever entries somebody has removed from the ledger, but for those on top.
pub(super) fn free_number(context: &Context) -> Result<u64, SinkError> {
    if context.tables.has_locks() {
        // One replay is at it at a time, and need not find the number of others. Under one that is drawn lies
        // nothing that its load would remove: no rows either whose entry is gone.
        return Ok(rand::random::<u64>() >> 1);
    }
    let table = &context.pipeline.sink.table;
    above(|numbers| {
        let ids: Vec<String> = numbers.map(|number| id(context, number)).collect();
        let loaded = context.runtime.block_on(context.tables.loaded(&ids, table))?;
        Ok(ids.iter().map(|id| loaded.contains(id)).collect())
    })
}

/// The number above all that are taken, as far as numbers are asked for: until none of many is.
fn above<E>(mut are_taken: impl FnMut(Range<u64>) -> Result<Vec<bool>, E>) -> Result<u64, E> {
    let (mut numbers, mut above) = (0..ASKED, 0);
    while let Some(last) = are_taken(numbers.clone())?.iter().rposition(|is_taken| *is_taken) {
        above = numbers.start + last as u64 + 1;
        numbers = numbers.end..numbers.end + 2 * (numbers.end - numbers.start);
    }
    Ok(above)
}

fn id(context: &Context, number: u64) -> String {
    ledger::load_id(&context.pipeline.sink.table, &ledger::replay(number))
}

/// A page's rows, on their way.
pub(super) struct Page {
    number: u64,
    load: Box<dyn Load>,
    rows: u64,
    /// Rows that a table refuses.
    pub refused: Vec<Refused>,
    started_at: Micros,
}

impl Page {
    /// Writes rows. `None` where another replay has loaded under this number.
    pub(super) fn write(
        context: &Context,
        number: u64,
        rows: &[Routed],
    ) -> Result<Option<Self>, ReplayError> {
        let sink = &context.pipeline.sink;
        let letters = (context.pipeline.dead_letter.table.clone(), context.letters.schema.clone());
        let tried = (sink.table.beside(attempts::TABLE), attempts::schema()?.arrow());
        let targets = Targets { attempts: Some(tried), ..Targets::of(sink, letters) };
        let (runtime, load_id) = (&context.runtime, id(context, number));
        let tell = || tracing::info!(number, "another replay is loading letters, waiting for it");
        let started_at = Micros::now();
        let count = rows.iter().map(Routed::count).sum::<usize>() as u64;
        let mut withheld = Withheld::default();
        loop {
            let begin = || context.tables.begin_load(runtime, &load_id, &targets);
            let begun = in_turn(runtime, &Stop::default(), tell, begin)?;
            let Some(Begun::Load(mut load)) = begun else { return Ok(None) };
            let mut refused = Vec::new();
            for mut rows in rows.iter().cloned() {
                refused.extend(withheld.take_out(&mut rows)?);
                load.write(rows)?;
            }
            let now = refused_once(&mut *load, sink)?.concat();
            if now.is_empty() || !sink.copies() {
                refused.extend(now);
                return Ok(Some(Self { number, load, rows: count, refused, started_at }));
            }
            load.abandon();
            withheld.add(now)?;
        }
    }

    /// Commits it with letters of rows that have none yet, and with attempts at the page's letters.
    pub(super) fn commit(
        self,
        context: &Context,
        plugin_set: &Digest,
        unlettered: &[Rejected],
        attempts: RecordBatch,
    ) -> Result<Committed, ReplayError> {
        let Self { number, mut load, rows, refused, started_at } = self;
        for letters in context.letters.rows(unlettered) {
            load.write_dead_letters(letters?)?;
        }
        load.write_attempts(attempts)?;
        let refused = refused.len() as u64;
        Ok(load.commit(&ledger::Entry {
            source: ledger::replay(number),
            load_id: id(context, number),
            pipeline: context.pipeline.name.clone(),
            table: context.pipeline.sink.table.clone(),
            bytes: 0,
            rows_in: rows,
            rows_out: rows - refused,
            rows_rejected: refused,
            rows_filtered: 0,
            plugin_set: plugin_set.clone(),
            started_at,
            finished_at: Micros::now(),
        })?)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    /// The number above those that are taken, and how many were asked for.
    fn found(is_taken: impl Fn(u64) -> bool) -> (u64, u64) {
        let mut asked = 0;
        let found = above(|numbers| {
            assert_eq!(numbers.start, asked);
            asked = numbers.end;
            Ok::<_, Infallible>(numbers.map(&is_taken).collect())
        });
        let Ok(found) = found;
        (found, asked)
    }

    #[test]
    fn hardly_more_than_four_times_as_many_numbers_are_asked_for_as_are_taken() {
        for taken in [0, 1, 999, 1000, 1001, 2999, 3000, 100_000, 1_000_000] {
            let (above, asked) = found(|number| number < taken);
            assert_eq!(above, taken);
            assert!(asked <= 3 * ASKED + 4 * taken, "{taken}: {asked}");
        }
    }

    #[test]
    fn numbers_whose_entries_are_gone_come_again_only_on_top() {
        // The first, those of a year, all but one, and the last.
        assert_eq!(found(|number| (1..4).contains(&number)).0, 4);
        assert_eq!(found(|number| (900..1200).contains(&number)).0, 1200);
        assert_eq!(found(|number| number == 7).0, 8);
        assert_eq!(found(|number| number < 3).0, 3);
    }
}
