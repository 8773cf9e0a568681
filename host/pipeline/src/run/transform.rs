//! What a batch becomes: chain, guard and projection, and what a worker does with each batch around them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::error::ArrowError;

use crate::observe::summary::Counts;
use crate::observe::tap::{StageWrites, Taps};
use crate::versions::fit::Fitted;
use crate::versions::slot::Slot;
use crate::versions::version::{Rates, Version, VersionRecord};
use crate::versions::workers::Counted;
use clickmill_config::Sink;
use clickmill_core::batch::{Batch, Origins, Rejected, Rejector};
use clickmill_core::{RawColumn, stage};
use clickmill_decode::Decoded;
use clickmill_guard as guard;
use clickmill_sandbox::{ChainWorker, Processed, RecordCounts, StageCounts, lacked_fuel};
use clickmill_tables::Routed;

/// What a batch becomes: `rows.count() + rejected.len() + filtered` are the rows that went in and
/// those that plugins made of them.
pub(crate) struct Transformed {
    pub rows: Routed,
    pub rejected: Vec<Rejected>,
    pub filtered: u64,
    /// What has become of the records, by record.
    pub records: RecordCounts,
}

impl Transformed {
    /// Rows of which it is told what became of them.
    pub(crate) fn told(&self) -> u64 {
        (self.rows.count() + self.rejected.len()) as u64 + self.filtered
    }

    /// The good rows by table; none where there are no routes.
    pub(crate) fn routed(&self) -> Vec<u64> {
        if self.rows.others.is_empty() {
            return Vec::new();
        }
        self.rows.tables().map(|rows| rows.rows.num_rows() as u64).collect()
    }
}

impl Fitted {
    /// Runs a batch through chain, guard and projection. `worker` is one of this chain's; `watch` sees
    /// what each stage leaves, as [`ChainWorker::run_watched`] shows it.
    pub(crate) fn make(
        &self,
        worker: &mut ChainWorker,
        batch: Batch,
        watch: impl FnMut(&str, &Batch, &[RawColumn]),
    ) -> Result<Transformed, ArrowError> {
        self.finish(worker.run_watched(batch, watch)?)
    }

    /// What guard and projection leave of a batch that has been through the chain.
    pub(crate) fn finish(&self, processed: Processed) -> Result<Transformed, ArrowError> {
        let plugin_set = self.chain.plugin_set();
        let Processed { batch, mut rejected, filtered, records, raw } = processed;
        let (batch, stopped) = self.guard.stop(batch, &raw, plugin_set)?;
        rejected.extend(stopped);
        let (rows, lacking) = self.router.rows(batch, plugin_set)?;
        rejected.extend(lacking);
        let records = stopped_since(records, with_rows(rows.origins()));
        Ok(Transformed { rows, rejected, filtered, records })
    }
}

/// How many records rows are of. Those of one lie side by side.
fn with_rows(origins: &Origins) -> u64 {
    if origins.places.is_none() {
        return origins.ranges.len() as u64;
    }
    let rows = 0..origins.ranges.len();
    let begins = |row: &usize| *row == 0 || origins.position(*row) != origins.position(*row - 1);
    rows.filter(begins).count() as u64
}

/// The counts, once only so many records have rows: of the others letters are left.
fn stopped_since(records: RecordCounts, with_rows: u64) -> RecordCounts {
    let stopped = records.with_rows.saturating_sub(with_rows);
    let with_letters_only = records.with_letters_only + stopped;
    RecordCounts { with_rows, with_letters_only, ..records }
}

/// A batch that is ready to be written. Every record of it is here: as a row, rejected or filtered.
pub(crate) struct Finished {
    /// The version that made it.
    pub version: Arc<VersionRecord>,
    pub rows_in: u64,
    pub bytes: u64,
    pub rows: Routed,
    pub rejected: Vec<Rejected>,
    pub filtered: u64,
    /// What has become of the records, those that never became rows among them.
    pub records: RecordCounts,
    /// What each stage of the version did, in order.
    pub stages: Vec<StageCounts>,
    /// From having the batch to having its chain.
    pub pause: Duration,
}

impl Finished {
    /// Takes over rows that were left out of `rows` since a table refuses them.
    pub(crate) fn refuse(&mut self, refused: Vec<Rejected>) {
        if refused.is_empty() {
            return;
        }
        self.rejected.extend(refused);
        in_order(&mut self.rejected);
        self.records = stopped_since(self.records, with_rows(self.rows.origins()));
    }

    /// The batch as the chain leaves it, counted.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts {
            rows_in: self.rows_in,
            rows_out: self.rows.count() as u64,
            rows_by_table: self.rows.tables().map(|rows| rows.rows.num_rows() as u64).collect(),
            rows_filtered: self.filtered,
            records: self.records,
            bytes: self.bytes,
            ..Counts::default()
        };
        counts.reject(&self.rejected);
        counts.rows_made = counts.rows_told().saturating_sub(self.rows_in);
        let names = self.version.set.stages.iter().map(|stage| &stage.stage);
        for (name, stage) in names.zip(&self.stages) {
            counts.add_stage(name, stage);
        }
        counts
    }
}

/// Runs batches, each through the version that it is given. One per thread.
pub(crate) struct Worker<'a> {
    slot: &'a Slot,
    taps: &'a Taps,
    /// The chains in use: one, or two beside a canary.
    chains: Vec<CachedChain>,
    generation: u64,
    _counted: Counted<'a>,
}

struct CachedChain {
    version: Arc<Version>,
    fitted: Arc<Fitted>,
    worker: ChainWorker,
    /// That rows lacked fuel was logged: such rows may come with every batch.
    told_of_fuel: bool,
}

impl<'a> Worker<'a> {
    pub(crate) fn new(slot: &'a Slot, taps: &'a Taps) -> Self {
        Self { slot, taps, chains: Vec::new(), generation: 0, _counted: slot.workers().join() }
    }

    /// Runs a batch through a version that was fitted to its columns. `began` is when that was asked for.
    pub(crate) fn run(
        &mut self,
        version: &Arc<Version>,
        fitted: &Arc<Fitted>,
        decoded: Decoded,
        began: Instant,
    ) -> Result<Finished, ArrowError> {
        let (slot, taps) = (self.slot, self.taps);
        let _busy = slot.workers().begin();
        let generation = slot.generation();
        if generation != self.generation {
            // What is not picked any more is let go, and with the last worker its components.
            self.chains.retain(|chain| slot.runs(&chain.version));
            self.generation = generation;
        }
        let chain = self.chain(version, fitted);
        let pause = began.elapsed();
        slot.recent().offer(&decoded.batch);
        let rows = decoded.batch.rows() as u64;
        let malformed = decoded.malformed.len();
        let (rows_in, bytes) = (rows + malformed as u64, decoded.bytes as u64);
        let sink = &slot.target().sink;
        let made = transform(&mut chain.worker, fitted, taps, sink, decoded)?;
        // Records that never became rows are not the plugins' doing.
        let (told, routed) = (made.told() - malformed as u64, made.routed());
        let Transformed { rows: good, rejected, filtered, mut records } = made;
        records.with_letters_only += malformed as u64;
        let unmasked = rejected.iter().filter(|r| r.reason.code == guard::CODE).count();
        if unmasked > 0 {
            tracing::error!(
                rows = unmasked,
                "values of a sensitive column are as they came in: their rows are stopped"
            );
        }
        let mut of_fuel = rejected.iter().filter(|rejected| lacked_fuel(&rejected.reason.code));
        if !chain.told_of_fuel
            && let Some(Rejected { reason, .. }) = of_fuel.next()
        {
            chain.told_of_fuel = true;
            let (rows, why) = (1 + of_fuel.count(), &*reason.message);
            tracing::warn!(rows, why, "rows of a batch are dead letters for want of fuel");
        }
        let stages = chain.worker.take_counts();
        let of_chain = (&fitted.chain, &stages[..]);
        let seen = Rates::of(told, rejected.len() - malformed, filtered, routed, of_chain);
        slot.count(version, seen, &stages);
        let version = version.record.clone();
        let rows = good;
        Ok(Finished { version, rows_in, bytes, rows, rejected, filtered, records, stages, pause })
    }

    fn chain(&mut self, version: &Arc<Version>, fitted: &Arc<Fitted>) -> &mut CachedChain {
        let known = self.chains.iter().position(|chain| Arc::ptr_eq(&chain.fitted, fitted));
        let at = known.unwrap_or_else(|| {
            let worker = ChainWorker::new(&fitted.chain);
            // Of a version, the columns before these are over: objects may all have others.
            self.chains.retain(|chain| !Arc::ptr_eq(&chain.version, version));
            let (version, fitted) = (version.clone(), fitted.clone());
            self.chains.push(CachedChain { version, fitted, worker, told_of_fuel: false });
            self.chains.len() - 1
        });
        &mut self.chains[at]
    }
}

/// Sorts letters by their places in the source.
fn in_order(rejected: &mut [Rejected]) {
    rejected.sort_by(|a, b| a.position.cmp(&b.position).then(a.record_index.cmp(&b.record_index)));
}

/// Makes rows of what was decoded, and shows them to whoever looks.
fn transform(
    worker: &mut ChainWorker,
    fitted: &Fitted,
    taps: &Taps,
    sink: &Sink,
    decoded: Decoded,
) -> Result<Transformed, ArrowError> {
    let Decoded { batch, malformed, .. } = decoded;
    let by = Rejector::host(stage::DECODE, fitted.chain.plugin_set(), batch.ingest_time);
    let origins = &batch.origins;
    let mut rejected: Vec<Rejected> = malformed
        .into_iter()
        .map(|bad| origins.reject_record(bad.position, bad.payload, &by, bad.reason))
        .collect();
    let made = if taps.any() {
        let writes = StageWrites::of(fitted, sink);
        fitted.make(worker, batch, |stage, batch, raw| taps.pass(&writes, stage, batch, raw))?
    } else {
        fitted.make(worker, batch, |_, _, _| {})?
    };
    rejected.extend(made.rejected);
    in_order(&mut rejected);
    if taps.any() {
        taps.reject(&rejected);
    }
    Ok(Transformed { rejected, ..made })
}
