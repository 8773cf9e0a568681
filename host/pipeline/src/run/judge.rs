//! Counts what becomes of rows for the stop rule, of loads and of streams.

use crate::observe::delivered::Delivered;
use clickmill_config as config;
use clickmill_core::batch::{Position, Rejected};
use clickmill_dead_letter::{StopRule, TooManyRejected};

/// Counts what becomes of a run's records, and says when too many of them are rejected.
pub(crate) struct Judge {
    rule: StopRule,
    /// The batches of the object in hand, in its order.
    batches: Vec<Batch>,
}

struct Batch {
    rows: u64,
    rejected: u64,
    /// Of the last row that was written up to here.
    last: Option<Position>,
}

impl Judge {
    /// A judge by the rule of a pipeline file.
    pub(crate) fn new(config: &config::DeadLetter) -> Self {
        Self::by(StopRule::new(config.max_rejected_share, config.window_rows))
    }

    /// A judge by a rule.
    pub(crate) fn by(rule: StopRule) -> Self {
        Self { rule, batches: Vec::new() }
    }

    /// Of a stream: counts what is durable.
    pub(crate) fn deliver(&mut self, delivered: &Delivered) -> Result<(), TooManyRejected> {
        // What a version did that is gone says nothing about what comes.
        if delivered.version.was_rolled_back() {
            return Ok(());
        }
        let counts = &delivered.counts;
        self.rule.count(counts.rows_in + counts.rows_made, counts.rows_rejected)
    }

    /// Begins an object. Each is judged by itself: the verdict on it is the same whatever came before.
    pub(crate) fn begin(&mut self) {
        self.rule.forget();
        self.batches.clear();
    }

    /// Of an object: counts a batch, by the rows that its records became. `last` is the place of its last row
    /// that is written.
    pub(crate) fn count(
        &mut self,
        rows: u64,
        rejected: u64,
        last: Option<Position>,
    ) -> Result<(), TooManyRejected> {
        let last = last.or_else(|| self.batches.last()?.last.clone());
        self.batches.push(Batch { rows, rejected, last });
        self.rule.count(rows, rejected)
    }

    /// Of an object: counts rows that its table refused after their batches were counted, and judges as
    /// if it had refused them at once.
    pub(crate) fn refuse_late(&mut self, refused: &[Rejected]) -> Result<(), TooManyRejected> {
        for refused in refused {
            let is_before = |batch: &Batch| batch.last.as_ref() < Some(&refused.position);
            let at = self.batches.partition_point(is_before);
            if let Some(batch) = self.batches.get_mut(at) {
                batch.rejected += 1;
            }
        }
        self.rule.forget();
        self.batches.iter().try_for_each(|batch| self.rule.count(batch.rows, batch.rejected))
    }

    /// Of an object: the verdict at its end. A short run is judged only here.
    pub(crate) fn end(&self) -> Result<(), TooManyRejected> {
        self.rule.end()
    }
}
