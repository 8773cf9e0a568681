//! One object through the pipeline: a thread decodes, workers run the chain, this thread writes.
//!
//! ```text
//! decoder ──batches──▶ workers (chain, projection) ──done──▶ writer, in the order of the object
//! ```
//!
//! Both queues are bounded, and so is how far the decoder gets ahead of the writer, so memory does not
//! depend on the object's size. Batches overtake each other in the workers; the writer puts them back in order, so that the same object makes the same file.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::error::ArrowError;
use crossbeam_channel::{Receiver, Sender, bounded};
use tokio::runtime::Handle;

use super::judge::Judge;
use super::reorder::Reorder;
use super::stop::Stop;
use super::transform::{Finished, Worker};
use crate::context::Context;
use crate::observe::status::Status;
use crate::observe::summary::Counts;
use crate::versions::fit::{FitError, Fitted};
use crate::versions::version::Version;
use clickmill_core::batch::Rejected;
use clickmill_core::{Digest, Fault, Micros};
use clickmill_dead_letter::TooManyRejected;
use clickmill_decode::{DecodeError, Decoded, Decoder};
use clickmill_sink::{Begun, SinkError, Targets};
use clickmill_source::{Object, SourceError};
use clickmill_tables::ledger::{self, Committed};

/// Batches that wait before and after the workers, per worker: one in hand and one ready.
const QUEUED_PER_WORKER: usize = 2;
/// How often to look whether another run has ended.
const TURN: Duration = Duration::from_millis(100);

/// Why an object is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It can't be opened.
    #[error(transparent)]
    Source(Box<SourceError>),
    /// It can't be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The chain can't run on its columns.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// Columns do not make a batch: a bug in clickmill.
    #[error("cannot make rows of a batch")]
    Arrow(#[from] ArrowError),
    /// The tables failed.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A worker died: a bug in clickmill.
    #[error("a worker ended early")]
    Worker,
}

impl LoadError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Source(error) => error.fault(),
            Self::Decode(error) => error.fault(),
            Self::Fit(error) => error.fault(),
            Self::Sink(error) => error.fault(),
            Self::Arrow(_) | Self::Worker => Fault::Bug,
        }
    }
}

impl From<SourceError> for LoadError {
    fn from(error: SourceError) -> Self {
        Self::Source(Box::new(error))
    }
}

/// What became of an object.
pub(super) enum Outcome {
    Loaded {
        counts: Counts,
        plugin_set: Digest,
    },
    /// By another run, meanwhile.
    LoadedAlready,
    TooManyRejected {
        found: TooManyRejected,
        counts: Counts,
    },
    Interrupted,
    /// The run was told to stop while another was at the object.
    Left,
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
        runtime.block_on(async {
            tokio::select! {
                () = stop.asked() => {}
                () = tokio::time::sleep(TURN) => {}
            }
        });
    }
}

/// Loads one object, unless another run has by now.
pub(super) fn load(
    context: &Context,
    object: &Object,
    load_id: &str,
    judge: &mut Judge,
    status: &Status,
    stop: &Stop,
) -> Result<Outcome, LoadError> {
    let pipeline = &context.pipeline;
    let runtime = &context.runtime;
    let targets = Targets {
        rows: (pipeline.sink.table.clone(), pipeline.sink.schema.arrow()),
        dead_letters: (pipeline.dead_letter.table.clone(), context.letters.schema.clone()),
    };
    let tell = || {
        tracing::info!(object = object.uri, "another run is loading this object, waiting for it");
    };
    let begin = || context.tables.begin_load(runtime, load_id, &targets);
    // Before anything else: what is opened while another run is at the object may go stale, and where
    // that run loads it there is nothing to open. An error drops the load, with which its claim goes.
    let mut load = match in_turn(runtime, stop, tell, begin)? {
        Some(Begun::Load(load)) => load,
        Some(Begun::LoadedAlready) => return Ok(Outcome::LoadedAlready),
        None => return Ok(Outcome::Left),
    };
    let started_at = Micros::now();
    let input = object.open(runtime, &status.progress)?;
    let name: Arc<str> = object.name().into();
    let mut decoder =
        Decoder::new(&pipeline.format, pipeline.batch, name.clone(), started_at, input)?;
    // An object is loaded whole, so by one plugin set: a swap counts from the next one on.
    let version = context.slot.current();
    let fitted = context.slot.fit(&version, decoder.schema())?;
    let plugin_set = fitted.chain.plugin_set().clone();
    let mut counts = Counts::default();
    judge.begin();
    let mut write = |done: Finished| -> Result<Option<TooManyRejected>, LoadError> {
        let (rows_in, rejected) = (done.rows_in, done.rejected.len() as u64);
        let last = done.rows.origins.last();
        counts.add(done.counts());
        if rejected > 0 {
            load.write_dead_letters(context.letters.rows(&done.rejected)?)?;
        }
        if done.rows.rows.num_rows() > 0 {
            load.write(done.rows)?;
        }
        status.count(rows_in, rejected);
        Ok(judge.count(rows_in, rejected, last).err())
    };
    let written = match write_all(context, &mut decoder, &version, &fitted, stop, &mut write) {
        // The table may say only now what it does not take.
        Ok(None) => load.refused().map_err(LoadError::from).and_then(|refused| {
            let write =
                |refused: &[Rejected]| Ok(load.write_dead_letters(context.letters.rows(refused)?)?);
            late_refusals(&refused, judge, &mut counts, write)
        }),
        other => other,
    };
    // A short run is judged at its end, before anything of it is visible.
    let verdict = match written {
        Ok(None) => Ok(judge.end().err()),
        other => other,
    };
    match verdict {
        Err(error) => {
            load.abandon();
            Err(error)
        }
        Ok(Some(found)) => {
            load.abandon();
            Ok(Outcome::TooManyRejected { found, counts })
        }
        Ok(None) if stop.now() => {
            load.abandon();
            Ok(Outcome::Interrupted)
        }
        Ok(None) => {
            let entry = ledger::Entry {
                load_id: load_id.to_owned(),
                pipeline: pipeline.name.clone(),
                table: pipeline.sink.table.clone(),
                source: name.to_string(),
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
                Committed::ByAnother => Ok(Outcome::LoadedAlready),
            }
        }
    }
}

/// Decodes an object and runs it through a version, on threads, and hands its batches to `write` in the
/// order of the object, until one of both has something to say.
fn write_all(
    context: &Context,
    decoder: &mut Decoder,
    version: &Arc<Version>,
    fitted: &Arc<Fitted>,
    stop: &Stop,
    write: &mut impl FnMut(Finished) -> Result<Option<TooManyRejected>, LoadError>,
) -> Result<Option<TooManyRejected>, LoadError> {
    let workers = context.pipeline.workers;
    let queued = workers * QUEUED_PER_WORKER;
    std::thread::scope(|scope| {
        let (to_workers, from_decoder) = bounded::<(u64, Decoded)>(queued);
        let (to_writer, from_workers) = bounded::<(u64, Result<Finished, ArrowError>)>(queued);
        // Batches that overtake a slow one wait in the writer: the decoder gets no further ahead of it
        // than there are permits, of which each written batch gives one back.
        let (permit, permits) = bounded::<()>(2 * queued + workers);
        while permit.try_send(()).is_ok() {}
        let decoding = scope.spawn(move || decode(decoder, &to_workers, &permits, stop));
        let working: Vec<_> = (0..workers)
            .map(|_| {
                let (from, to) = (from_decoder.clone(), to_writer.clone());
                scope.spawn(move || work(context, version, fitted, &from, &to))
            })
            .collect();
        // The queues end when the threads that fill them do.
        drop((from_decoder, to_writer));
        let written = in_order(&from_workers, &permit, write);
        // Whoever waits to put something into a queue, or for a permit, is let go.
        drop((from_workers, permit));
        let decoded = decoding.join().map_err(|_| LoadError::Worker)?;
        for worker in working {
            worker.join().map_err(|_| LoadError::Worker)?;
        }
        match written? {
            Some(found) => Ok(Some(found)),
            None => decoded.map(|()| None).map_err(LoadError::from),
        }
    })
}

/// Takes rows that the table refuses over to the dead letters, which `write` writes.
fn late_refusals(
    refused: &[Rejected],
    judge: &mut Judge,
    counts: &mut Counts,
    write: impl FnOnce(&[Rejected]) -> Result<(), LoadError>,
) -> Result<Option<TooManyRejected>, LoadError> {
    if refused.is_empty() {
        return Ok(None);
    }
    write(refused)?;
    counts.refuse(refused);
    Ok(judge.refuse_late(refused).err())
}

/// The decoder's thread. Ends early when the workers are gone or the run is told to end at once.
fn decode(
    decoder: &mut Decoder,
    to: &Sender<(u64, Decoded)>,
    permits: &Receiver<()>,
    stop: &Stop,
) -> Result<(), DecodeError> {
    let mut number = 0;
    while !stop.now()
        && permits.recv().is_ok()
        && let Some(decoded) = decoder.next_batch()?
    {
        if to.send((number, decoded)).is_err() {
            break;
        }
        number += 1;
    }
    Ok(())
}

/// A worker's thread.
fn work(
    context: &Context,
    version: &Arc<Version>,
    fitted: &Arc<Fitted>,
    from: &Receiver<(u64, Decoded)>,
    to: &Sender<(u64, Result<Finished, ArrowError>)>,
) {
    let mut worker = Worker::new(&context.slot, &context.taps);
    for (number, decoded) in from {
        let done = worker.run(version, fitted, decoded, Instant::now());
        if to.send((number, done)).is_err() {
            break;
        }
    }
}

/// Hands on what comes from the workers in the order in which it was decoded, and a permit for each,
/// until the queue or the run ends.
fn in_order(
    from: &Receiver<(u64, Result<Finished, ArrowError>)>,
    permit: &Sender<()>,
    write: &mut impl FnMut(Finished) -> Result<Option<TooManyRejected>, LoadError>,
) -> Result<Option<TooManyRejected>, LoadError> {
    let mut in_order = Reorder::default();
    for (number, done) in from {
        in_order.push(number, done?);
        while let Some(done) = in_order.pop() {
            if let Some(found) = write(done)? {
                return Ok(Some(found));
            }
            // Fails only where the decoder has ended and wants none.
            let _ = permit.try_send(());
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use clickmill_core::batch::{Position, Reason};
    use clickmill_core::stage;

    /// Rows that the table says only at the end of a load that it does not take.
    fn refused(lines: std::ops::RangeInclusive<u64>) -> Vec<Rejected> {
        let refused = |line| Rejected {
            source: "clicks.csv@1".into(),
            header: None,
            position: Position::Line(line),
            payload: Bytes::from("a record"),
            stage: stage::SINK.parse().unwrap(),
            plugin_digest: None,
            plugin_set: Digest::of(b"set"),
            reason: Reason {
                code: "refused_by_table".to_owned(),
                message: "no such partition".to_owned(),
                column: None,
            },
            ingest_time: Micros::default(),
        };
        lines.map(refused).collect()
    }

    /// Counts a load of batches of ten lines, of which the table refuses `lines` at its end. Returns how
    /// many letters are written, and the verdict.
    fn ends(
        judge: &mut Judge,
        batches: u64,
        lines: std::ops::RangeInclusive<u64>,
    ) -> (u64, Result<(), TooManyRejected>) {
        let mut counts = Counts { rows_in: batches * 10, ..Counts::default() };
        counts.rows_out = counts.rows_in;
        judge.begin();
        for batch in 1..=batches {
            assert_eq!(judge.count(10, 0, Some(Position::Line(batch * 10))), Ok(()));
        }
        let mut letters = 0;
        let write = |refused: &[Rejected]| {
            letters = refused.len() as u64;
            Ok(())
        };
        let found = late_refusals(&refused(lines), judge, &mut counts, write).unwrap();
        assert_eq!(counts.rows_in, counts.rows_out + counts.rows_rejected);
        (letters, found.map_or_else(|| judge.end(), Err))
    }

    #[test]
    fn rows_that_the_table_refuses_late_end_a_load_as_those_refused_at_once() {
        let too_many = |rejected, rows| Err(TooManyRejected { rejected, rows, max_share: 0.5 });
        let judge = || Judge::by(clickmill_dead_letter::StopRule::new(0.5, 100));
        // All of a short load.
        assert_eq!(ends(&mut judge(), 2, 1..=20), (20, too_many(20, 20)));
        // All that a long load has in the window, though few of the whole.
        assert_eq!(ends(&mut judge(), 100, 401..=500), (100, too_many(60, 100)));
        // As many, but never half of a window.
        let mut judge = judge();
        assert_eq!(ends(&mut judge, 100, 401..=440), (40, Ok(())));
        // Those of the object before are in the window too.
        assert_eq!(ends(&mut judge, 4, 1..=40), (40, Ok(())));
        assert_eq!(ends(&mut judge, 2, 1..=20), (20, too_many(60, 100)));
    }
}
