//! A chain: stages in order, and what a batch becomes on its way through.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;

use super::counts::StageCounts;
use super::hidden::HiddenValues;
use super::isolate::call_isolated;
use super::kind::Node;
use super::lift::{refuse_whole, share};
use super::records::{RecordCounts, Records, beyond, places};
use super::settle::settled;
use super::stage::{Stage, StageWorker};
use clickmill_core::batch::{Batch, Rejected, Rejector};
use clickmill_core::leaves::leaves;
use clickmill_core::path::Path;
use clickmill_core::{Digest, RawColumn, SPANS, StageName};

/// Configured stages in order. Immutable: a swap makes another chain.
#[derive(Clone)]
pub struct Chain {
    pub(super) stages: Vec<Arc<Stage>>,
    pub(super) plugin_set: Digest,
    pub(super) output: Vec<Field>,
    /// Columns whose values are in no message.
    pub(super) guarded: Arc<[String]>,
    /// The columns that are wanted of its rows; all where absent.
    pub(super) wanted: Option<BTreeSet<String>>,
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

    /// The chain, of whose rows these columns are wanted and no others: texts of others that the rows of a record
    /// share are never written out.
    pub fn wanting<'a>(self, columns: impl Iterator<Item = &'a str>) -> Self {
        Self { wanted: Some(columns.map(str::to_owned).collect()), ..self }
    }

    /// The columns that are wanted behind a stage, by a later one or of the rows; all where absent.
    fn wanted_behind(&self, at: usize) -> Option<BTreeSet<String>> {
        let later = self.stages[at + 1..].iter().flat_map(|stage| &stage.reads.all);
        let later = later.map(|node| node.name.clone());
        Some(self.wanted.as_ref()?.iter().cloned().chain(later).collect())
    }

    /// Whether a plugin may make several rows of one.
    pub fn multiplies(&self) -> bool {
        self.stages.iter().any(|stage| stage.multiplies.is_some())
    }

    /// The columns that come out, with their types.
    pub fn output(&self) -> &[Field] {
        &self.output
    }

    /// The columns that the stages write, by path, in order: of a record of which a stage writes some fields
    /// only, those fields.
    pub fn written_paths(&self) -> impl Iterator<Item = Path> {
        self.stages.iter().flat_map(|stage| stage.writes.named())
    }

    /// The same, stage by stage.
    pub fn written_by_stage(&self) -> impl Iterator<Item = (&StageName, Vec<Path>)> {
        self.stages.iter().map(|stage| (&stage.name, stage.writes.named()))
    }

    /// The columns of the batch that each stage writes, in order, or writes fields of.
    pub fn writes(&self) -> impl Iterator<Item = (&str, impl Iterator<Item = &str>)> {
        self.stages
            .iter()
            .map(|stage| (&*stage.name, stage.writes.all.iter().map(|node| node.name.as_str())))
    }

    /// The stages' names, in order.
    pub fn stage_names(&self) -> impl Iterator<Item = &str> {
        self.stages.iter().map(|stage| &*stage.name)
    }
}

/// A batch that has been through the chain. Every record that went in has a good row, a rejected one or a
/// filtered one; where no plugin makes several rows of one, it is just one of these.
pub struct Processed {
    /// The good rows, with all columns.
    pub batch: Batch,
    /// Rows that a plugin rejected or failed on.
    pub rejected: Vec<Rejected>,
    /// How many rows plugins dropped on purpose.
    pub filtered: u64,
    /// What has become of the records that went in.
    pub records: RecordCounts,
    /// Guarded columns that are written anew after they are there, as they were before; of the good rows.
    pub raw: Vec<RawColumn>,
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
            .enumerate()
            .map(|(at, stage)| {
                let worker = StageWorker::new(stage.clone(), rehearses);
                (worker.wanting(chain.wanted_behind(at)), StageCounts::default())
            })
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

    /// Runs a batch through all stages. Every row that went in or was made comes out exactly once: good,
    /// refused or filtered.
    ///
    /// # Errors
    ///
    /// Columns of the batch do not fit each other, or its records cannot be accounted for: a fault of the host, never of
    /// a plugin, which has letters.
    pub fn run(&mut self, batch: Batch) -> Result<Processed, ArrowError> {
        self.run_watched(batch, |_, _, _| {})
    }

    /// Runs a batch, and shows what each stage leaves of it, and of these rows what is in
    /// [`Processed::raw`].
    ///
    /// # Errors
    ///
    /// As of [`ChainWorker::run`].
    pub fn run_watched(
        &mut self,
        batch: Batch,
        watch: impl FnMut(&str, &Batch, &[RawColumn]),
    ) -> Result<Processed, ArrowError> {
        let underway = Underway::begin(batch)?;
        self.go_on(0, underway, watch)?.end()
    }

    /// Runs a batch through this worker's chain and through another's, and says what each stage has done. The
    /// stages that both begin with are run once: a set that is tried mostly differs in one. What they refuse is
    /// refused in the name of this worker's chain.
    ///
    /// # Errors
    ///
    /// As of [`ChainWorker::run`].
    pub fn run_both(
        &mut self,
        other: &mut Self,
        batch: Batch,
    ) -> Result<[(Processed, Vec<StageCounts>); 2], ArrowError> {
        let mut both = Underway::begin(batch)?;
        let mut shared = 0;
        while both.batch.rows() > 0 && self.does_as(other, shared, &both.batch) {
            both = self.pass(shared, both)?;
            shared += 1;
        }
        let own = self.go_on(shared, both.clone(), |_, _, _| {})?.end()?;
        let others = other.go_on(shared, both, |_, _, _| {})?.end()?;
        let (counts, mut counts_of_other) = (self.take_counts(), other.take_counts());
        counts_of_other[..shared].clone_from_slice(&counts[..shared]);
        Ok([(own, counts), (others, counts_of_other)])
    }

    /// Whether both chains have the same stage here, and it may say as much of the batch.
    fn does_as(&self, other: &Self, at: usize, batch: &Batch) -> bool {
        let (Some((own, _)), Some((others, _))) = (self.stages.get(at), other.stages.get(at))
        else {
            return false;
        };
        own.does_as(others)
            && self.guarded == other.guarded
            && self.has_to_come(at, batch) == other.has_to_come(at, batch)
    }

    /// Whether a guarded column, or a field of one, comes about in a stage from this one on.
    fn has_to_come(&self, at: usize, batch: &Batch) -> bool {
        self.guarded.iter().any(|name| {
            let there = batch.columns.column_by_name(name);
            self.stages[at..].iter().any(|(worker, _)| {
                let writes = &worker.stage.writes;
                writes.position(name).is_some_and(|at| makes(&writes.all[at], there))
            })
        })
    }

    /// Runs a batch through the stages from this one on, as long as there are rows.
    fn go_on(
        &mut self,
        from: usize,
        mut underway: Underway,
        mut watch: impl FnMut(&str, &Batch, &[RawColumn]),
    ) -> Result<Underway, ArrowError> {
        for at in from..self.stages.len() {
            if underway.batch.rows() == 0 {
                break;
            }
            underway = self.pass(at, underway)?;
            watch(&self.stages[at].0.stage.name, &underway.batch, &underway.raw);
        }
        Ok(underway)
    }

    /// Runs a batch through one stage.
    fn pass(&mut self, at: usize, underway: Underway) -> Result<Underway, ArrowError> {
        let Underway { mut batch, mut records, mut rejected, mut filtered, mut raw } = underway;
        let to_come = self.has_to_come(at, &batch);
        let (worker, counts) = &mut self.stages[at];
        let started = Instant::now();
        let rows = batch.rows();
        let _span = tracing::info_span!(target: SPANS, "stage", stage = &*worker.stage.name, rows)
            .entered();
        let stage = worker.stage.clone();
        let hidden = HiddenValues::of(&batch, &self.guarded, &raw, to_come.then_some(&stage.reads))
            .but_for(stage.names.clone());
        worker.hidden = hidden.clone();
        let mut answer = call_isolated(worker, &batch);
        for name in self.guarded.iter().filter(|name| stage.writes_column(name)) {
            if let Some(column) = batch.columns.column_by_name(name)
                && has_new(name, column, &raw)
            {
                raw.push(RawColumn::new(name, column.clone()));
            }
        }
        let by = Rejector {
            stage: stage.name.clone(),
            plugin_digest: Some(stage.digest.clone()),
            plugin_set: self.plugin_set.clone(),
            ingest_time: batch.ingest_time,
        };
        if let (Some(came_from), Some(of)) = (&answer.came_from, records.of_rows()) {
            let most = stage.limits.max_rows_per_record as usize;
            let is_beyond = beyond(of, came_from, most);
            answer = refuse_whole(answer, most, |row| is_beyond[row as usize]);
        }
        // Whose values a message may not say is known by the rows that the plugin was given.
        let came_from = answer.came_from.as_deref();
        let row_given = |row: u32| came_from.map_or(row, |rows| rows[row as usize]) as usize;
        let of_one =
            answer.rejected.chunk_by(|(one, _), (next, _)| row_given(*one) == row_given(*next));
        let told = of_one.flat_map(|refused| hidden.keep_out(row_given(refused[0].0), refused));
        let told: Vec<_> = told.collect();
        if let (Some(came_from), Some(number)) = (came_from, stage.multiplies) {
            batch = repeated(batch, came_from, &stage, number)?;
            records.repeat(rows, came_from);
            raw.iter_mut().for_each(|raw| raw.repeat(came_from));
        }
        for (row, reason) in told {
            rejected.push(batch.origins.reject(row as usize, &by, reason));
        }
        let fields = stage.writes.all.iter().zip(&answer.columns);
        let fields = fields.map(|(node, column)| node.field_of(column.data_type()));
        let fields: Vec<Field> = fields.collect();
        batch.set_columns(fields.into_iter().zip(answer.columns).collect())?;
        let rows_made = batch.rows();
        if !answer.rejected.is_empty() || !answer.dropped.is_empty() {
            let mut keep = vec![true; rows_made];
            let gone = answer.rejected.iter().map(|(row, _)| row).chain(&answer.dropped);
            for row in gone {
                keep[*row as usize] = false;
            }
            let keep = BooleanArray::new(BooleanBuffer::from(keep), None);
            raw.iter_mut().for_each(|raw| raw.keep(&keep));
            let refused = answer.rejected.iter().map(|(row, _)| *row);
            records.keep(refused, answer.dropped.iter().copied(), &keep);
            batch = batch.keep(&keep)?;
        }
        filtered += answer.dropped.len() as u64;
        counts.rows_in += rows as u64;
        counts.rows_made += rows_made as u64;
        counts.rejected += answer.rejected.len() as u64;
        counts.filtered += answer.dropped.len() as u64;
        counts.time += started.elapsed();
        Ok(Underway { batch, records, rejected, filtered, raw })
    }
}

/// A batch on its way: what is left of it so far, and what became of the rest.
#[derive(Clone)]
struct Underway {
    batch: Batch,
    records: Records,
    rejected: Vec<Rejected>,
    filtered: u64,
    raw: Vec<RawColumn>,
}

impl Underway {
    fn begin(mut batch: Batch) -> Result<Self, ArrowError> {
        batch.columns = settled(batch.columns)?;
        let records = Records::new(batch.rows());
        Ok(Self { batch, records, rejected: Vec::new(), filtered: 0, raw: Vec::new() })
    }

    fn end(self) -> Result<Processed, ArrowError> {
        let Self { batch, records, rejected, filtered, raw } = self;
        let records = records.end(batch.rows())?;
        Ok(Processed { batch, rejected, filtered, records, raw })
    }
}

/// Whether this makes a column that is not there yet, or a field of it.
fn makes(node: &Node, there: Option<&ArrayRef>) -> bool {
    let Some(column) = there else { return true };
    let column = column.as_list_opt::<i32>().map_or(column, |list| list.values());
    node.fields.all.iter().any(|field| {
        let record = column.as_struct_opt();
        makes(field, record.and_then(|record| record.column_by_name(&field.name)))
    })
}

/// Whether a column has fields that its earlier forms had not.
fn has_new(name: &str, column: &ArrayRef, raw: &[RawColumn]) -> bool {
    let known = raw.iter().filter(|raw| raw.name == name);
    let known: Vec<Path> = known.flat_map(RawColumn::leaves).map(|leaf| leaf.path).collect();
    leaves(name, column).iter().any(|leaf| !known.contains(&leaf.path))
}

/// The batch with each row once for each that came of it. The columns that the stage writes are as they were:
/// others take their place.
fn repeated(
    batch: Batch,
    came_from: &[u32],
    stage: &Stage,
    number: u32,
) -> Result<Batch, ArrowError> {
    let schema = batch.columns.schema();
    let columns = schema.fields().iter().zip(batch.columns.columns());
    let columns = columns.filter(|(field, _)| !stage.writes_column(field.name()));
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (field, column) in columns {
        let (field, column) = share(field, column, came_from)?;
        fields.push(field);
        arrays.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(came_from.len()));
    let columns =
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
    let places = places(batch.origins.places.as_deref(), came_from, number);
    let origins = batch.origins.repeat(came_from, places);
    Ok(Batch { columns, origins, ingest_time: batch.ingest_time })
}

#[cfg(test)]
mod tests;
