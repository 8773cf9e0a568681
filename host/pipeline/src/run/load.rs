//! One object through the pipeline: a thread decodes, workers run the chain, this thread writes.
//!
//! ```text
//! decoder ──batches──▶ workers (chain, projection) ──done──▶ writer, in the order of the object
//! ```
//!
//! The threads are those of [`super::line`]. Batches overtake each other in the workers; the writer puts
//! them back in order, so that the same object makes the same file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;

use super::claim::Claim;
use super::interrupted::Interrupted;
use super::judge::Judge;
use super::line;
use super::load_error::LoadError;
use super::open::open_object;
use super::stop::Stop;
use super::transform::{Finished, Worker};
use super::withheld::{Withheld, check_read_again, refused_once};
use crate::context::Context;
use crate::observe::status::Status;
use crate::observe::summary::Counts;
use crate::versions::fit::Fitted;
use crate::versions::version::Version;
use clickmill_core::batch::Rejected;
use clickmill_core::{Digest, Micros};
use clickmill_dead_letter::TooManyRejected;
use clickmill_decode::{Decoded, Decoder};
use clickmill_sink::{Begun, Load, SinkError, Targets};
use clickmill_source::{Interrupt, Object};
use clickmill_tables::ledger::{self, Committed};

/// How often to look whether another run has ended.
pub(super) const TURN: Duration = Duration::from_millis(100);

/// What became of an object.
pub(super) enum Outcome {
    Loaded {
        counts: Counts,
        plugin_set: Digest,
    },
    /// By another run, meanwhile.
    LoadedAlready,
    /// It holds nothing.
    Nothing,
    TooManyRejected {
        found: TooManyRejected,
        counts: Counts,
    },
    Interrupted,
    /// Another run is at it.
    Claimed,
}

/// Tries something until no other process is at it. `None` where told to stop meanwhile. `tell` says what
/// is waited for, once.
pub(crate) fn in_turn<T>(
    runtime: &Handle,
    stop: &Stop,
    tell: impl FnOnce(),
    mut attempt: impl FnMut() -> Result<Option<T>, SinkError>,
) -> Result<Option<T>, SinkError> {
    let mut tell = Some(tell);
    loop {
        if let Some(done) = attempt()? {
            return Ok(Some(done));
        }
        if let Some(tell) = tell.take() {
            tell();
        }
        // Nothing is in hand that would have to be finished.
        if stop.after_object() {
            return Ok(None);
        }
        stop.pause(runtime, TURN);
    }
}

/// Loads one object, unless another run has by now or is at it.
pub(super) fn load(
    context: &Context,
    object: &Object,
    load_id: &str,
    judge: &mut Judge,
    status: &Status,
    stop: &Stop,
) -> Result<Outcome, LoadError> {
    let Some(claim) = Claim::take(context, load_id)? else { return Ok(Outcome::Claimed) };
    let outcome = load_claimed(context, object, load_id, judge, status, stop);
    claim.end(context);
    outcome
}

fn load_claimed(
    context: &Context,
    object: &Object,
    load_id: &str,
    judge: &mut Judge,
    status: &Status,
    stop: &Stop,
) -> Result<Outcome, LoadError> {
    let pipeline = &context.pipeline;
    let runtime = &context.runtime;
    let dead_letters = (pipeline.dead_letter.table.clone(), context.letters.schema.clone());
    let targets = Targets::of(&pipeline.sink, dead_letters);
    let mut tries = Tries::default();
    loop {
        judge.begin();
        // Before anything else: what is opened while another run is at the object may go stale, and where
        // that run loads it there is nothing to open.
        let mut load = match context.tables.begin_load(runtime, load_id, &targets)? {
            Some(Begun::Load(load)) => load,
            Some(Begun::LoadedAlready) => return Ok(Outcome::LoadedAlready),
            None => return Ok(Outcome::Claimed),
        };
        tries.read = 0;
        let filled = fill(context, object, &mut *load, judge, status, stop, &mut tries);
        let given_up = match filled {
            Ok(Filled::Whole(whole)) => {
                let committed = commit(context, object, load_id, load, whole, status);
                // Rows of a load that another has done at the same time are nowhere, and no longer in hand.
                if !matches!(committed, Ok(Outcome::Loaded { .. })) {
                    status.give_up(tries.read);
                }
                return committed;
            }
            Ok(Filled::Again) => None,
            Ok(Filled::GivenUp(outcome)) => Some(Ok(outcome)),
            Err(_) if stop.now() => Some(Ok(Outcome::Interrupted)),
            Err(error) => Some(Err(error)),
        };
        load.abandon();
        status.give_up(tries.read);
        if let Some(given_up) = given_up {
            return given_up;
        }
    }
}

/// What is known of an object from one load of it to the next.
#[derive(Default)]
struct Tries {
    /// An object is loaded whole, so by one plugin set: a swap counts from the next one on.
    version: Option<Arc<Version>>,
    withheld: Withheld,
    /// Records that the load in hand has read.
    read: u64,
}

/// Makes visible what is in a load, and enters it.
fn commit(
    context: &Context,
    object: &Object,
    load_id: &str,
    load: Box<dyn Load>,
    whole: Whole,
    status: &Status,
) -> Result<Outcome, LoadError> {
    let pipeline = &context.pipeline;
    let Whole { counts, plugin_set, started_at } = whole;
    let entry = ledger::Entry {
        load_id: load_id.to_owned(),
        pipeline: pipeline.name.clone(),
        table: pipeline.sink.table.clone(),
        source: object.name(),
        bytes: counts.bytes,
        rows_in: counts.rows_in,
        rows_out: counts.rows_out,
        rows_rejected: counts.rows_rejected,
        rows_filtered: counts.rows_filtered,
        plugin_set: plugin_set.clone(),
        started_at,
        finished_at: Micros::now(),
    };
    match load.commit(&entry)? {
        Committed::Now => {
            status.load(&counts);
            Ok(Outcome::Loaded { counts, plugin_set })
        }
        Committed::ByAnother => {
            tracing::info!(
                object = object.uri,
                "another run has loaded this object at the same time: with `source.claim_lease_secs` runs share what there is"
            );
            Ok(Outcome::LoadedAlready)
        }
    }
}

/// A load that holds all of its object.
struct Whole {
    counts: Counts,
    plugin_set: Digest,
    started_at: Micros,
}

/// A load, once its object was read.
enum Filled {
    Whole(Whole),
    /// It is to be made again, without rows that are withheld now.
    Again,
    GivenUp(Outcome),
}

/// Brings an object's rows and letters into a load.
fn fill(
    context: &Context,
    object: &Object,
    load: &mut dyn Load,
    judge: &mut Judge,
    status: &Status,
    stop: &Stop,
    Tries { version, withheld, read }: &mut Tries,
) -> Result<Filled, LoadError> {
    let Context { pipeline, runtime, letters, slot, .. } = context;
    let started_at = Micros::now();
    let interrupt = Interrupt::default();
    let _interrupted = Interrupted::by(stop, runtime, &interrupt);
    let opened = open_object(object, pipeline, started_at, runtime, &status.progress, &interrupt)?;
    let Some(mut decoder) = opened else { return Ok(Filled::GivenUp(Outcome::Nothing)) };
    let version = version.get_or_insert_with(|| slot.pick_for_object()).clone();
    let fitted = slot.fit(&version, decoder.schema())?;
    let plugin_set = fitted.chain.plugin_set().clone();
    let mut counts = Counts::default();
    let mut write = |mut done: Finished| -> Result<Option<TooManyRejected>, LoadError> {
        let refused = withheld.take_out(&mut done.rows)?;
        done.refuse(refused);
        let (rows_in, rejected) = (done.rows_in, done.rejected.len() as u64);
        let last = done.rows.origins().last();
        let of_batch = done.counts();
        let rows = of_batch.rows_told();
        counts.add(of_batch);
        for letters in letters.rows(&done.rejected) {
            load.write_dead_letters(letters?)?;
        }
        if done.rows.count() > 0 {
            load.write(done.rows)?;
        }
        status.count(rows_in, rejected);
        *read += rows_in;
        Ok(judge.count(rows, rejected, last).err())
    };
    let made = (&version, &fitted);
    let mut found = write_all(context, &mut decoder, made, stop, &interrupt, &mut write)?;
    // Of a part nothing is judged.
    if stop.now() {
        return Ok(Filled::GivenUp(Outcome::Interrupted));
    }
    if found.is_none() {
        // The tables may say only now what they do not take.
        let refused = refused_once(&mut *load, &pipeline.sink)?;
        let again = pipeline.sink.copies() && refused.iter().any(|rows| !rows.is_empty());
        let write = |refused: &[Rejected]| {
            if again {
                return Ok(());
            }
            letters.rows(refused).try_for_each(|letters| Ok(load.write_dead_letters(letters?)?))
        };
        found = late_refusals(&refused, judge, &mut counts, write)?;
        if again && found.is_none() {
            check_read_again(object, &refused)?;
            withheld.add(refused.concat())?;
            return Ok(Filled::Again);
        }
    }
    // A short run is judged at its end, before anything of it is visible.
    if let Some(found) = found.or_else(|| judge.end().err()) {
        return Ok(Filled::GivenUp(Outcome::TooManyRejected { found, counts }));
    }
    // What was read is to be the object as it is: of one that grows, a part would be loaded, and then the
    // whole.
    object.check_unchanged()?;
    Ok(Filled::Whole(Whole { counts, plugin_set, started_at }))
}

/// Decodes an object and runs it through a version, on threads, and hands its batches to `write` in the
/// order of the object, until one of both has something to say.
fn write_all(
    context: &Context,
    decoder: &mut Decoder,
    (version, fitted): (&Arc<Version>, &Arc<Fitted>),
    stop: &Stop,
    interrupt: &Interrupt,
    write: &mut impl FnMut(Finished) -> Result<Option<TooManyRejected>, LoadError>,
) -> Result<Option<TooManyRejected>, LoadError> {
    let decode = || if stop.now() { Ok(None) } else { Ok(decoder.next_batch()?) };
    let worker = || {
        let mut worker = Worker::new(&context.slot, &context.taps);
        move |decoded: Decoded| -> Result<Finished, LoadError> {
            Ok(worker.run(version, fitted, decoded, Instant::now())?)
        }
    };
    let workers = context.pipeline.workers;
    Ok(line::run(workers, decode, worker, write, || interrupt.interrupt())?)
}

/// Takes rows that the tables refuse, each some, over to the dead letters, which `write` writes.
fn late_refusals(
    refused: &[Vec<Rejected>],
    judge: &mut Judge,
    counts: &mut Counts,
    write: impl FnOnce(&[Rejected]) -> Result<(), LoadError>,
) -> Result<Option<TooManyRejected>, LoadError> {
    for (table, refused) in refused.iter().enumerate() {
        counts.refuse(table, refused);
    }
    let refused = refused.concat();
    if refused.is_empty() {
        return Ok(None);
    }
    write(&refused)?;
    Ok(judge.refuse_late(&refused).err())
}

#[cfg(test)]
mod tests;
