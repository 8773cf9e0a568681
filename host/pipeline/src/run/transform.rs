//! Batches through chain and projection: what both kinds of run do with them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::error::ArrowError;

use crate::observe::summary::Counts;
use crate::versions::guard;
use crate::versions::slot::Slot;
use crate::versions::version::{Fitted, Made, Rates, Record, Version};
use clickmill_core::batch::{Rejected, Rejector};
use clickmill_core::stage;
use clickmill_decode::Decoded;
use clickmill_sandbox::{ChainWorker, StageCounts};
use clickmill_tables::Rows;

/// A batch that is ready to be written. Every record of it is here: as a row, refused or filtered.
pub(crate) struct Done {
    /// The version that made it.
    pub version: Arc<Record>,
    pub rows_in: u64,
    pub bytes: u64,
    pub rows: Rows,
    pub rejected: Vec<Rejected>,
    pub filtered: u64,
    /// What each stage of the version did, in order.
    pub stages: Vec<StageCounts>,
    /// From having the batch to having its chain.
    pub pause: Duration,
}

/// Runs batches, each through the version that it is given. One per thread.
pub(crate) struct Worker<'a> {
    slot: &'a Slot,
    /// The chains in use: one, or two beside a canary.
    hands: Vec<Hand>,
    generation: u64,
}

struct Hand {
    version: Arc<Version>,
    fitted: Arc<Fitted>,
    chain: ChainWorker,
}

impl<'a> Worker<'a> {
    pub fn new(slot: &'a Slot) -> Self {
        Self { slot, hands: Vec::new(), generation: 0 }
    }

    /// Runs a batch through a version that was fitted to its columns. `began` is when that was asked for.
    pub fn run(
        &mut self,
        version: &Arc<Version>,
        fitted: &Arc<Fitted>,
        decoded: Decoded,
        began: Instant,
    ) -> Result<Done, ArrowError> {
        let slot = self.slot;
        let generation = slot.generation();
        if generation != self.generation {
            // What is not picked any more is let go, and with the last worker its components.
            self.hands.retain(|hand| slot.runs(&hand.version));
            self.generation = generation;
        }
        let hand = self.hand(version, fitted);
        let pause = began.elapsed();
        slot.keep(&decoded.batch);
        let rows = decoded.batch.rows() as u64;
        let malformed = decoded.malformed.len();
        let mut done = transform(&mut hand.chain, version, fitted, slot, decoded)?;
        let unmasked = done.rejected.iter().filter(|r| r.reason.code == guard::CODE).count();
        if unmasked > 0 {
            tracing::error!(
                rows = unmasked,
                "values of a sensitive column are as they came in: their rows are stopped"
            );
        }
        let stages = hand.chain.take_counts();
        let seen = Rates {
            rows,
            rejected: (done.rejected.len() - malformed) as u64,
            filtered: done.filtered,
            faults: stages.iter().map(|stage| stage.faults).sum(),
            fuel: stages.iter().map(|stage| stage.fuel).sum(),
        };
        slot.count(version, seen, &stages);
        done.stages = stages;
        done.pause = pause;
        Ok(done)
    }

    fn hand(&mut self, version: &Arc<Version>, fitted: &Arc<Fitted>) -> &mut Hand {
        let known = self.hands.iter().position(|hand| Arc::ptr_eq(&hand.fitted, fitted));
        let at = known.unwrap_or_else(|| {
            let chain = ChainWorker::new(&fitted.chain);
            self.hands.push(Hand { version: version.clone(), fitted: fitted.clone(), chain });
            self.hands.len() - 1
        });
        &mut self.hands[at]
    }
}

fn transform(
    worker: &mut ChainWorker,
    version: &Version,
    fitted: &Fitted,
    slot: &Slot,
    decoded: Decoded,
) -> Result<Done, ArrowError> {
    let Decoded { batch, malformed, bytes } = decoded;
    let rows_in = (batch.rows() + malformed.len()) as u64;
    let plugin_set = fitted.chain.plugin_set();
    let by = Rejector::host(stage::DECODE, plugin_set, batch.ingest_time);
    let origins = &batch.origins;
    let mut rejected: Vec<Rejected> = malformed
        .into_iter()
        .map(|bad| origins.reject_record(bad.position, bad.payload, &by, bad.reason))
        .collect();
    let taps = slot.taps();
    let made = match taps.any() {
        false => fitted.make(worker, batch, |_, _| {})?,
        true => {
            let ways = slot.ways(&fitted.chain);
            fitted.make(worker, batch, |stage, batch| taps.pass(&ways, stage, batch))?
        }
    };
    let Made { rows, rejected: refused, filtered } = made;
    rejected.extend(refused);
    rejected.sort_by(|a, b| a.position.cmp(&b.position));
    if taps.any() {
        taps.reject(&rejected);
    }
    let version = version.record.clone();
    let (bytes, stages, pause) = (bytes as u64, Vec::new(), Duration::ZERO);
    Ok(Done { version, rows_in, bytes, rows, rejected, filtered, stages, pause })
}

impl Counts {
    /// Counts a batch as the chain leaves it.
    pub(crate) fn count(&mut self, done: &Done) {
        self.rows_in += done.rows_in;
        self.rows_out += done.rows.rows.num_rows() as u64;
        self.rows_filtered += done.filtered;
        self.bytes += done.bytes;
        self.reject(&done.rejected);
        let names = done.version.set.stages.iter().map(|stage| stage.stage.as_str());
        for (name, stage) in names.zip(&done.stages) {
            self.add_stage(name, stage);
        }
    }

    /// Counts refused records.
    pub(crate) fn reject(&mut self, rejected: &[Rejected]) {
        self.rows_rejected += rejected.len() as u64;
        for rejected in rejected {
            self.add_reason(rejected.stage.to_string(), rejected.reason.code.clone(), 1);
        }
    }

    /// Counts rows that the table refused after they were counted as written.
    pub(crate) fn refuse(&mut self, refused: &[Rejected]) {
        self.rows_out -= refused.len() as u64;
        self.reject(refused);
    }
}
