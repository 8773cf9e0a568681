//! One object through the pipeline: a thread decodes, workers run the chain, this thread writes.
//!
//! ```text
//! decoder ──batches──▶ workers (chain, projection) ──done──▶ writer, in the order of the object
//! ```
//!
//! Both queues are bounded, and so is how far the decoder gets ahead of the writer, so memory does not
//! depend on the object's size. Batches overtake each other in the workers; the writer puts them back in order, so that the same object makes the same file.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use crossbeam_channel::{Receiver, Sender, bounded};

use super::build::{BuildError, Built};
use super::run::micros_now;
use super::status::{Counts, Status, Stop};
use crate::batch::Rejected;
use crate::dead_letter::{self, Hopeless, StopRule};
use crate::decode::{DecodeError, Decoded, Decoder};
use crate::plugin::{Chain, ChainWorker, StageCounts};
use crate::sink::Projection;
use crate::sink::warehouse::{Load, WarehouseError, ledger};
use crate::source::{Object, SourceError};

/// Batches that wait before and after the workers, per worker: one in hand and one ready.
const QUEUED_PER_WORKER: usize = 2;

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
    Build(Box<BuildError>),
    /// Columns do not make a batch: a mistake of clickmill.
    #[error("cannot make rows of a batch")]
    Arrow(#[from] ArrowError),
    /// The warehouse failed.
    #[error(transparent)]
    Warehouse(Box<WarehouseError>),
    /// A worker died: a mistake of clickmill.
    #[error("a worker ended early")]
    Worker,
}

impl From<WarehouseError> for LoadError {
    fn from(error: WarehouseError) -> Self {
        Self::Warehouse(Box::new(error))
    }
}

impl From<SourceError> for LoadError {
    fn from(error: SourceError) -> Self {
        Self::Source(Box::new(error))
    }
}

/// What became of an object.
pub(super) enum Outcome {
    Loaded { counts: Counts, plugin_set: Arc<str> },
    Hopeless { hopeless: Hopeless, counts: Counts },
    Interrupted,
}

/// A batch that is ready to be written.
struct Done {
    rows_in: u64,
    bytes: u64,
    rows: RecordBatch,
    rejected: Vec<Rejected>,
    filtered: u64,
}

/// Loads one object.
pub(super) fn load(
    built: &Built,
    object: &Object,
    load_id: &str,
    rule: &mut StopRule,
    status: &Status,
    stop: &Stop,
) -> Result<Outcome, LoadError> {
    let started_at = micros_now();
    let pipeline = &built.pipeline;
    let runtime = built.runtime.handle();
    let input = object.open(runtime, &status.progress)?;
    let name: Arc<str> = object.name().into();
    let mut decoder =
        Decoder::new(&pipeline.format, pipeline.batch, name.clone(), started_at, input)?;
    let (chain, projection) =
        built.fit(decoder.schema()).map_err(|error| LoadError::Build(Box::new(error)))?;
    let dead_schema = pipeline.dead_letter.schema.arrow();
    let mut load = Load::begin(
        &built.warehouse,
        runtime,
        load_id,
        (pipeline.sink.table.clone(), pipeline.sink.schema.arrow()),
        (pipeline.dead_letter.table.clone(), dead_schema.clone()),
    )?;

    let queued = pipeline.workers * QUEUED_PER_WORKER;
    let mut counts = Counts::default();
    let written = std::thread::scope(|scope| {
        let (to_workers, from_decoder) = bounded::<(u64, Decoded)>(queued);
        let (to_writer, from_workers) = bounded::<(u64, Result<Done, ArrowError>)>(queued);
        // Batches that overtake a slow one wait in the writer: the decoder gets no further ahead of it
        // than there are permits, of which each written batch gives one back.
        let (permit, permits) = bounded::<()>(2 * queued + pipeline.workers);
        while permit.try_send(()).is_ok() {}
        let decoding = scope.spawn(move || decode(&mut decoder, &to_workers, &permits, stop));
        let working: Vec<_> = (0..pipeline.workers)
            .map(|_| {
                let (from, to) = (from_decoder.clone(), to_writer.clone());
                let (chain, projection) = (&chain, &projection);
                scope.spawn(move || work(chain, projection, &from, &to))
            })
            .collect();
        // The queues end when the threads that fill them do.
        drop((from_decoder, to_writer));

        let mut write = |done: Done| -> Result<Option<Hopeless>, LoadError> {
            let rejected = done.rejected.len() as u64;
            if done.rows.num_rows() > 0 {
                load.write(&done.rows)?;
            }
            if rejected > 0 {
                load.write_dead_letters(&dead_letter::rows(
                    &done.rejected,
                    &pipeline.name,
                    &dead_schema,
                )?)?;
            }
            status.count(done.rows_in, rejected);
            counts.count(&done);
            // Fails only where the decoder has ended and wants none.
            let _ = permit.try_send(());
            Ok(rule.count(done.rows_in, rejected).err())
        };
        let written = in_order(&from_workers, &mut write);
        // Whoever waits to put something into a queue, or for a permit, is let go.
        drop((from_workers, permit));
        let decoded = decoding.join().map_err(|_| LoadError::Worker)?;
        let mut stages: Vec<StageCounts> =
            vec![StageCounts::default(); chain.stage_names().count()];
        for worker in working {
            let done = worker.join().map_err(|_| LoadError::Worker)?;
            stages.iter_mut().zip(&done).for_each(|(sum, one)| sum.add(one));
        }
        counts.stages = chain.stage_names().map(str::to_owned).zip(stages).collect();
        match written? {
            Some(hopeless) => Ok(Some(hopeless)),
            None => decoded.map(|()| None).map_err(LoadError::from),
        }
    });
    // A short run is judged at its end, before anything of it is visible.
    let verdict = match written {
        Ok(None) => Ok(rule.end().err()),
        other => other,
    };
    match verdict {
        Err(error) => {
            load.abandon(runtime);
            Err(error)
        }
        Ok(Some(hopeless)) => {
            load.abandon(runtime);
            Ok(Outcome::Hopeless { hopeless, counts })
        }
        Ok(None) if stop.now() => {
            load.abandon(runtime);
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
                plugin_set: chain.plugin_set().to_string(),
                started_at,
                finished_at: micros_now(),
            };
            load.commit(runtime, &entry)?;
            Ok(Outcome::Loaded { counts, plugin_set: chain.plugin_set().clone() })
        }
    }
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
    chain: &Chain,
    projection: &Projection,
    from: &Receiver<(u64, Decoded)>,
    to: &Sender<(u64, Result<Done, ArrowError>)>,
) -> Vec<StageCounts> {
    let mut worker = ChainWorker::new(chain);
    for (number, decoded) in from {
        let done = transform(&mut worker, chain, projection, decoded);
        if to.send((number, done)).is_err() {
            break;
        }
    }
    worker.counts()
}

/// One batch through chain and projection. Every record of it comes out: as a row, refused or filtered.
fn transform(
    worker: &mut ChainWorker,
    chain: &Chain,
    projection: &Projection,
    decoded: Decoded,
) -> Result<Done, ArrowError> {
    let Decoded { batch, malformed, bytes } = decoded;
    let rows_in = (batch.rows() + malformed.len()) as u64;
    let ingest_time = batch.ingest_time;
    let plugin_set = chain.plugin_set();
    let source = batch.origins.source.clone();
    let mut rejected: Vec<Rejected> = Vec::new();
    if !malformed.is_empty() {
        let stage: Arc<str> = "decode".into();
        rejected.extend(malformed.into_iter().map(|bad| Rejected {
            source: source.clone(),
            line: bad.line,
            payload: bad.payload,
            stage: stage.clone(),
            plugin_digest: None,
            plugin_set: plugin_set.clone(),
            reason: bad.reason,
            ingest_time,
        }));
    }
    let processed = worker.run(batch)?;
    rejected.extend(processed.rejected);
    let (rows, lacking) = projection.rows(&processed.batch, plugin_set)?;
    if !lacking.is_empty() {
        let stage: Arc<str> = "sink".into();
        let origins = &processed.batch.origins;
        rejected.extend(lacking.into_iter().map(|(row, reason)| Rejected {
            source: source.clone(),
            line: origins.lines[row],
            payload: origins.payload(row),
            stage: stage.clone(),
            plugin_digest: None,
            plugin_set: plugin_set.clone(),
            reason,
            ingest_time,
        }));
    }
    rejected.sort_by_key(|rejected| rejected.line);
    Ok(Done { rows_in, bytes: bytes as u64, rows, rejected, filtered: processed.filtered })
}

/// Hands on what comes from the workers in the order in which it was decoded, until the queue or the run
/// ends.
fn in_order(
    from: &Receiver<(u64, Result<Done, ArrowError>)>,
    write: &mut impl FnMut(Done) -> Result<Option<Hopeless>, LoadError>,
) -> Result<Option<Hopeless>, LoadError> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    for (number, done) in from {
        early.insert(number, done?);
        while let Some(done) = early.remove(&next) {
            if let Some(hopeless) = write(done)? {
                return Ok(Some(hopeless));
            }
            next += 1;
        }
    }
    Ok(None)
}

impl Counts {
    fn count(&mut self, done: &Done) {
        self.rows_in += done.rows_in;
        self.rows_out += done.rows.num_rows() as u64;
        self.rows_rejected += done.rejected.len() as u64;
        self.rows_filtered += done.filtered;
        self.bytes += done.bytes;
        for rejected in &done.rejected {
            let key = (rejected.stage.to_string(), rejected.reason.code.clone());
            *self.rejected_by.entry(key).or_default() += 1;
        }
    }
}
