//! A chain: stages in order, and what a batch becomes on its way through.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter;
use arrow::datatypes::Field;
use arrow::error::ArrowError;

use super::hidden::HiddenValues;
use super::isolate::call_isolated;
use super::stage::{Stage, StageWorker};
use clickmill_core::batch::{Batch, Rejected, Rejector};
use clickmill_core::{Digest, SPANS};

/// Configured stages in order. Immutable: a swap makes another chain.
pub struct Chain {
    pub(super) stages: Vec<Arc<Stage>>,
    pub(super) plugin_set: Digest,
    pub(super) output: Vec<Field>,
    /// Columns whose values are in no message.
    pub(super) guarded: Arc<[String]>,
}

impl Chain {
    /// Digest of components, configurations and reference data, in order.
    pub fn plugin_set(&self) -> &Digest {
        &self.plugin_set
    }

    /// The chain, of which no message says a value of these columns.
    pub fn guarding<'a>(self, columns: impl Iterator<Item = &'a str>) -> Self {
        Self { guarded: columns.map(str::to_owned).collect(), ..self }
    }

    /// The columns that come out, with their types.
    pub fn output(&self) -> &[Field] {
        &self.output
    }

    /// The columns that each stage writes, in order.
    pub fn writes(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.stages
            .iter()
            .map(|stage| (&*stage.name, stage.writes.iter().map(|(name, _)| name.as_str())))
    }

    /// The stages' names, in order.
    pub fn stage_names(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().map(|stage| &*stage.name)
    }
}

/// A batch that has been through the chain. `batch.rows() + rejected.len() + filtered` is what went in.
pub struct Processed {
    /// The good rows, with all columns.
    pub batch: Batch,
    /// Rows that a plugin refused or failed on.
    pub rejected: Vec<Rejected>,
    /// How many rows plugins dropped on purpose.
    pub filtered: u64,
    /// Guarded columns that are written anew after they are there, as they were before; of the good rows.
    pub raw: Vec<(String, ArrayRef)>,
}

/// What a stage has done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StageCounts {
    /// Rows given to it.
    pub rows_in: u64,
    /// Rows it refused or failed on.
    pub rejected: u64,
    /// Rows it dropped on purpose.
    pub filtered: u64,
    /// Calls that ended in a fault; each made the host split a batch or give up a row.
    pub faults: u64,
    /// Those of them that ended since they took too long.
    pub timeouts: u64,
    /// Log lines that were not written, being more than it may write for a batch.
    pub lines_unwritten: u64,
    /// Fuel it used.
    pub fuel: u64,
    /// Time in it, the boundary included.
    pub time: Duration,
    /// The most memory that an instance of it had, in bytes.
    pub most_memory: usize,
    /// By column, values that it could not read and that are null in rows that it let pass.
    pub unreadable: BTreeMap<String, u64>,
}

impl StageCounts {
    /// Adds another worker's counts.
    pub fn add(&mut self, other: &Self) {
        self.rows_in += other.rows_in;
        self.rejected += other.rejected;
        self.filtered += other.filtered;
        self.faults += other.faults;
        self.timeouts += other.timeouts;
        self.lines_unwritten += other.lines_unwritten;
        self.fuel += other.fuel;
        self.time += other.time;
        self.most_memory = self.most_memory.max(other.most_memory);
        for (column, values) in &other.unreadable {
            *self.unreadable.entry(column.clone()).or_default() += values;
        }
    }
}

/// Runs batches through a chain. One per thread.
pub struct ChainWorker {
    plugin_set: Digest,
    guarded: Arc<[String]>,
    stages: Vec<(StageWorker, StageCounts)>,
}

impl ChainWorker {
    /// A worker for a chain.
    pub fn new(chain: &Chain) -> Self {
        Self::of(chain, false)
    }

    /// A worker that tries a chain: its plugins get made-up secrets, so that nothing that they make of a
    /// batch, not even how much of it they refuse, tells of the real ones.
    pub fn rehearsing(chain: &Chain) -> Self {
        Self::of(chain, true)
    }

    fn of(chain: &Chain, rehearses: bool) -> Self {
        let stages = chain
            .stages
            .iter()
            .map(|stage| (StageWorker::new(stage.clone(), rehearses), StageCounts::default()))
            .collect();
        let (plugin_set, guarded) = (chain.plugin_set.clone(), chain.guarded.clone());
        Self { plugin_set, guarded, stages }
    }

    /// What each stage has done since this was asked last, in order.
    pub fn take_counts(&mut self) -> Vec<StageCounts> {
        let take = |(worker, counts): &mut (StageWorker, StageCounts)| StageCounts {
            fuel: std::mem::take(&mut worker.fuel),
            faults: std::mem::take(&mut worker.faults),
            timeouts: std::mem::take(&mut worker.timeouts),
            lines_unwritten: std::mem::take(&mut worker.lines_unwritten),
            most_memory: worker.most_memory,
            unreadable: std::mem::take(&mut worker.unreadable),
            ..std::mem::take(counts)
        };
        self.stages.iter_mut().map(take).collect()
    }

    /// Runs a batch through all stages. Every row comes out exactly once: good, refused or filtered.
    pub fn run(&mut self, batch: Batch) -> Result<Processed, ArrowError> {
        self.run_watched(batch, |_, _, _| {})
    }

    /// Runs a batch, and shows what each stage leaves of it, and of these rows what is in
    /// [`Processed::raw`].
    pub fn run_watched(
        &mut self,
        mut batch: Batch,
        mut watch: impl FnMut(&str, &Batch, &[(String, ArrayRef)]),
    ) -> Result<Processed, ArrowError> {
        let mut rejected = Vec::new();
        let mut filtered = 0;
        let mut raw: Vec<(String, ArrayRef)> = Vec::new();
        for at in 0..self.stages.len() {
            let to_come = self.guarded.iter().any(|name| {
                let mut rest = self.stages[at..].iter();
                batch.columns.column_by_name(name).is_none()
                    && rest.any(|(worker, _)| worker.stage.writes_column(name))
            });
            let (worker, counts) = &mut self.stages[at];
            if batch.rows() == 0 {
                break;
            }
            let started = Instant::now();
            let rows = batch.rows();
            let _span =
                tracing::info_span!(target: SPANS, "stage", stage = &*worker.stage.name, rows)
                    .entered();
            let stage = worker.stage.clone();
            let hidden = HiddenValues::of(&batch, &self.guarded, &raw, to_come);
            worker.hidden = hidden.clone();
            let answer = call_isolated(worker, &batch);
            for name in self.guarded.iter().filter(|name| stage.writes_column(name)) {
                if let Some(column) = batch.columns.column_by_name(name)
                    && raw.iter().all(|(known, _)| known != name)
                {
                    raw.push((name.clone(), column.clone()));
                }
            }
            let by = Rejector {
                stage: stage.name.clone(),
                plugin_digest: Some(stage.digest.clone()),
                plugin_set: self.plugin_set.clone(),
                ingest_time: batch.ingest_time,
            };
            for (row, reason) in &answer.rejected {
                let row = *row as usize;
                rejected.push(batch.origins.reject(row, &by, hidden.keep_out(row, reason)));
            }
            let names = stage.writes.iter().map(|(name, _)| name.clone());
            batch.set_columns(names.zip(answer.columns).collect())?;
            if !answer.rejected.is_empty() || !answer.dropped.is_empty() {
                let mut keep = vec![true; rows];
                let gone = answer.rejected.iter().map(|(row, _)| row).chain(&answer.dropped);
                for row in gone {
                    keep[*row as usize] = false;
                }
                let keep = BooleanArray::new(BooleanBuffer::from(keep), None);
                for (_, column) in &mut raw {
                    *column = filter(column, &keep)?;
                }
                batch = batch.keep(&keep)?;
            }
            filtered += answer.dropped.len() as u64;
            counts.rows_in += rows as u64;
            counts.rejected += answer.rejected.len() as u64;
            counts.filtered += answer.dropped.len() as u64;
            counts.time += started.elapsed();
            watch(&stage.name, &batch, &raw);
        }
        Ok(Processed { batch, rejected, filtered, raw })
    }
}
