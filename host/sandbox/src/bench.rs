//! What rows cost a plugin: fuel, which is the same everywhere, and processor time, which is this machine's.

use std::time::Duration;

use arrow::array::{RecordBatch, UInt64Array};
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use serde_json::{Map, Value as Json};

use super::chain::{Chain, ChainWorker};
use super::ending::lacked_fuel;
use super::golden::{Golden, GoldenError};
use super::processor_time::spent;
use super::profile::Profile;
use super::rows::decode;
use super::stage::StageWorker;
use super::tested::batch;
use clickmill_core::batch::Batch;

/// Rows of a batch, at most, …
const BATCH_ROWS: usize = 8192;
/// … and about so many bytes.
const BATCH_BYTES: usize = 8 << 20;

/// A plugin by itself, with rows for it.
pub struct Bench {
    chain: Chain,
    golden: Golden,
    /// All that differ.
    rows: RecordBatch,
    /// How many go through it in a round.
    count: usize,
    batch_rows: usize,
}

/// What a round took.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Round {
    /// Processor time, with that of handing rows over and back.
    pub time: Duration,
    /// Fuel.
    pub fuel: u64,
    /// Rows that came out.
    pub made: u64,
    /// Rows that were refused, or that the plugin failed on.
    pub rejected: u64,
    /// Those of them that lacked fuel.
    pub lacked_fuel: u64,
    /// Calls that ended in a fault, of which each made the host split a batch or give up a row.
    pub faults: u64,
    /// Rows that were dropped on purpose.
    pub dropped: u64,
}

impl Bench {
    /// A plugin for the columns of golden cases. Without `rows` those of the cases are taken. They are repeated
    /// in turn until they are `count`. What the columns lack is left out of a row.
    pub(super) fn new(
        golden: &Golden,
        chain: Chain,
        rows: &[Map<String, Json>],
        count: usize,
    ) -> Result<Self, GoldenError> {
        let columns = golden.columns()?;
        let own: Vec<&Map<String, Json>> = if rows.is_empty() {
            golden.cases.iter().map(|case| &case.input).collect()
        } else {
            rows.iter().collect()
        };
        let are_given = !rows.is_empty();
        let rows = decode(&columns, &own).map_err(|source| {
            let file = golden.file.clone();
            let fits = |row: &&Map<String, Json>| decode(&columns, &[row]).is_ok();
            match own.iter().position(|row| are_given && !fits(row)) {
                Some(row) => GoldenError::Row { row: row + 1, file, source },
                None => GoldenError::Values { file, source },
            }
        })?;
        let bytes_per_row = rows.get_array_memory_size() / own.len().max(1);
        let batch_rows = (BATCH_BYTES / bytes_per_row.max(1)).clamp(1, BATCH_ROWS);
        Ok(Self { chain, golden: golden.clone(), rows, count, batch_rows })
    }

    /// The file of the cases.
    pub fn file(&self) -> &str {
        &self.golden.file
    }

    /// How many rows a batch has.
    pub fn batch_rows(&self) -> usize {
        self.batch_rows.min(self.count)
    }

    /// Where the fuel of a call for the first batch goes, by so many samples.
    ///
    /// # Errors
    ///
    /// Where the rows don't fit their columns.
    pub fn profile(&self, samples: u64) -> Result<Profile, GoldenError> {
        let batch = self.batch(0, self.batch_rows())?;
        Ok(Profile::of(&StageWorker::new(self.chain.stages[0].clone(), true), &batch, samples))
    }

    /// The rows of one batch.
    fn batch(&self, start: usize, end: usize) -> Result<Batch, GoldenError> {
        let rows = (start..end).map(|row| (row % self.rows.num_rows()) as u64);
        let columns = take_record_batch(&self.rows, &UInt64Array::from_iter_values(rows));
        batch(&self.golden, columns.map_err(|source| self.failed(source))?)
    }

    fn failed(&self, source: ArrowError) -> GoldenError {
        GoldenError::Values { file: self.golden.file.clone(), source }
    }

    /// Runs all rows, batch by batch.
    ///
    /// # Errors
    ///
    /// The rows don't fit their columns.
    pub fn round(&self) -> Result<Round, GoldenError> {
        let mut worker = ChainWorker::new(&self.chain);
        let mut round = Round::default();
        for start in (0..self.count).step_by(self.batch_rows) {
            let batch = self.batch(start, self.count.min(start + self.batch_rows))?;
            let began = spent();
            let processed = worker.run(batch).map_err(|source| self.failed(source))?;
            round.time += spent().saturating_sub(began);
            round.made += processed.batch.rows() as u64;
            round.rejected += processed.rejected.len() as u64;
            let lacked = processed.rejected.iter().filter(|r| lacked_fuel(&r.reason.code));
            round.lacked_fuel += lacked.count() as u64;
            round.dropped += processed.filtered;
        }
        for counts in worker.take_counts() {
            round.fuel += counts.fuel;
            round.faults += counts.faults;
        }
        Ok(round)
    }
}
