//! A new plugin set beside the one that runs, on the last real batches: what would change. Both sets get
//! made-up secrets. So their rows do not differ by a secret, and callers who try any plugin, as often as they
//! like, learn nothing of a real secret.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, BooleanArray, UInt64Array};
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::{or, take};
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use crate::observe::summary::{Reasons, add_reason};
use crate::run::transform::Transformed;
use crate::versions::fit::Fitted;
use crate::versions::rules::{Breach, Compared, breach};
use crate::versions::version::Rates;
use clickmill_config::Rules;
use clickmill_core::Counted;
use clickmill_core::batch::{Batch, Origins, Position, Rejected};
use clickmill_core::schema::provenance;
use clickmill_sandbox::ChainWorker;

/// What would change. Numbers of rows; no values, since those may be secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shadow {
    /// Rows that both sets were given.
    pub rows: u64,
    /// Rows that are good to both.
    pub good: u64,
    /// Those of them whose values differ in any column.
    pub changed_rows: u64,
    /// The same, by column.
    pub changed: BTreeMap<String, u64>,
    /// Rows that are good now and would be refused, by stage and code.
    pub newly_rejected: Reasons,
    /// Rows that are refused now and would be good.
    pub newly_accepted: u64,
    /// Rows that are good now and would be dropped on purpose.
    pub newly_dropped: u64,
    /// What the set that runs makes of them.
    pub before: Rates,
    /// What the new one makes of them.
    pub now: Rates,
}

/// Runs both over the batches. A set that faults on them takes as long as it may for each: once they say that
/// it does so too often by these rules, the rest is not looked at.
pub(super) fn shadow(
    before: &Fitted,
    now: &Fitted,
    batches: &[Batch],
    rules: &Rules,
) -> Result<Shadow, ArrowError> {
    let mut found = Shadow::default();
    let mut workers = (ChainWorker::rehearsing(&before.chain), ChainWorker::rehearsing(&now.chain));
    for batch in batches {
        let (old, old_rates) = one(&mut workers.0, before, batch)?;
        let (new, new_rates) = one(&mut workers.1, now, batch)?;
        found.rows += batch.rows() as u64;
        found.before.add(old_rates);
        found.now.add(new_rates);
        found.compare(&batch.origins, &old, &new)?;
        let broken = breach(rules, &found.before, &found.now, Compared::OnTheSame);
        if let Some(Breach::Faults { .. }) = broken {
            break;
        }
    }
    Ok(found)
}

fn one(
    worker: &mut ChainWorker,
    fitted: &Fitted,
    batch: &Batch,
) -> Result<(Transformed, Rates), ArrowError> {
    let made = fitted.make(worker, batch.clone(), |_, _, _| {})?;
    let (rows, rejected) = (batch.rows() as u64, made.rejected.len());
    let rates = Rates::of(rows, rejected, made.filtered, &worker.take_counts());
    Ok((made, rates))
}

/// Which values of a column differ, two nulls being the same. Arrow's comparison takes no records and lists.
fn differs_from(before: &ArrayRef, now: &ArrayRef) -> Result<BooleanArray, ArrowError> {
    if !before.data_type().is_nested() {
        return distinct(before, now);
    }
    let converter = RowConverter::new(vec![SortField::new(before.data_type().clone())])?;
    let [before, now] = [before, now].map(|array| converter.convert_columns(&[array.clone()]));
    let (before, now) = (before?, now?);
    Ok(before.iter().zip(now.iter()).map(|(before, now)| Some(before != now)).collect())
}

impl Shadow {
    fn compare(
        &mut self,
        input: &Origins,
        old: &Transformed,
        new: &Transformed,
    ) -> Result<(), ArrowError> {
        let refused: BTreeMap<&Position, &Rejected> =
            new.rejected.iter().map(|rejected| (&rejected.position, rejected)).collect();
        // Both keep the order of the input, so one walk finds each row's place in both.
        let (mut in_old, mut in_new) = (Vec::new(), Vec::new());
        let (mut at_old, mut at_new) = (0, 0);
        let is_next = |made: &Transformed, at: usize, position: &Position| {
            at < made.rows.own.rows.num_rows() && made.rows.own.origins.position(at) == *position
        };
        for row in 0..input.ranges.len() {
            let position = input.position(row);
            let was = is_next(old, at_old, &position);
            let is = is_next(new, at_new, &position);
            match (was, is) {
                (true, true) => {
                    in_old.push(at_old as u64);
                    in_new.push(at_new as u64);
                }
                (true, false) => match refused.get(&position) {
                    Some(rejected) => {
                        let (stage, code) = (rejected.stage.clone(), rejected.reason.code.clone());
                        add_reason(&mut self.newly_rejected, stage, code, 1);
                    }
                    None => self.newly_dropped += 1,
                },
                (false, true) => self.newly_accepted += 1,
                (false, false) => {}
            }
            at_old += usize::from(was);
            at_new += usize::from(is);
        }
        let (in_old, in_new) = (UInt64Array::from(in_old), UInt64Array::from(in_new));
        self.good += in_old.len() as u64;
        let mut differs = BooleanArray::from(vec![false; in_old.len()]);
        for (at, field) in old.rows.own.rows.schema().fields().iter().enumerate() {
            let name = field.name();
            if provenance::ALL.contains(&name.as_str()) {
                continue;
            }
            let before = take(old.rows.own.rows.column(at), &in_old, None)?;
            let now = take(new.rows.own.rows.column(at), &in_new, None)?;
            let here = differs_from(&before, &now)?;
            if here.true_count() > 0 {
                *self.changed.entry(name.clone()).or_default() += here.true_count() as u64;
                differs = or(&differs, &here)?;
            }
        }
        self.changed_rows += differs.true_count() as u64;
        Ok(())
    }
}
