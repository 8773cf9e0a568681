//! A page's rows as one load.

use std::collections::BTreeSet;

use super::chains::{Chains, key_of};
use super::error::ReplayError;
use crate::context::Context;
use crate::run::load::in_turn;
use crate::run::stop::Stop;
use crate::run::withheld::{Withheld, refused_once};
use clickmill_core::batch::Rejected;
use clickmill_core::{Digest, Micros};
use clickmill_sink::{Begun, Key, Targets};
use clickmill_tables::ledger::{self, Committed};
use clickmill_tables::{Refused, Routed};

/// Writes the rows of a page as one load, and letters of those that are refused and that none is of yet.
/// Returns those that the table refuses; `None` where another replay has loaded the page by now.
pub(super) fn write(
    context: &Context,
    chains: &Chains<'_>,
    rows: &[Routed],
    strays: &[Rejected],
    letters: &[(String, Option<Key>)],
) -> Result<Option<Vec<Refused>>, ReplayError> {
    let sink = &context.pipeline.sink;
    let mut hasher = blake3::Hasher::new();
    hasher.update(chains.library.digest().as_bytes());
    // What becomes of a row is decided by the tables too.
    for (table, schema) in sink.tables() {
        hasher.update(format!("{table} {:?}\0", schema.arrow()).as_bytes());
    }
    for route in &sink.routes {
        hasher.update(format!("{} {}\0", route.condition, route.copy).as_bytes());
    }
    hasher.update(format!("{:?}", sink.unrouted).as_bytes());
    letters.iter().for_each(|(id, _)| {
        hasher.update(id.as_bytes());
    });
    if rows.is_empty() {
        // New letters alone are another load than the rows of the same page.
        strays.iter().for_each(|stray| {
            hasher.update(format!("{:?}\0", key_of(stray)).as_bytes());
        });
    }
    let load_id: String = Digest::from(hasher.finalize()).short().into();
    let letters_table = context.pipeline.dead_letter.table.clone();
    let targets = Targets::of(sink, (letters_table, context.letters.schema.clone()));
    let runtime = &context.runtime;
    let tell =
        || tracing::info!(load_id, "another replay is loading these letters, waiting for it");
    let started_at = Micros::now();
    let count: usize = rows.iter().map(Routed::count).sum();
    let mut withheld = Withheld::default();
    let (mut load, refused) = loop {
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
            break (load, refused);
        }
        load.abandon();
        withheld.add(now)?;
    };
    let lettered: BTreeSet<&Key> = letters.iter().filter_map(|(_, key)| key.as_ref()).collect();
    let late = refused.iter().filter(|refused| !lettered.contains(&key_of(refused)));
    let unlettered: Vec<Rejected> = strays.iter().chain(late).cloned().collect();
    if count > 0 && refused.len() == count {
        // None of it has happened: the next replay of these letters is to try it again. But for the new letters:
        // the one that is there of their record may be filtered, and is not tried again then.
        load.abandon();
        if !unlettered.is_empty() {
            write(context, chains, &[], &unlettered, letters)?;
        }
        return Ok(Some(refused));
    }
    for letters in context.letters.rows(&unlettered) {
        load.write_dead_letters(letters?)?;
    }
    let committed = load.commit(&ledger::Entry {
        source: format!("replay of dead letters {load_id}"),
        load_id,
        pipeline: context.pipeline.name.clone(),
        table: sink.table.clone(),
        bytes: 0,
        rows_in: count as u64,
        rows_out: (count - refused.len()) as u64,
        rows_rejected: refused.len() as u64,
        rows_filtered: 0,
        plugin_set: chains.library.digest().clone(),
        started_at,
        finished_at: Micros::now(),
    })?;
    Ok((committed == Committed::Now).then_some(refused))
}
