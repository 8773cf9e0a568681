//! A new plugin set beside the one that runs, on the last real batches: what would change. Both sets get
//! made-up secrets. So their rows do not differ by a secret, and callers who try any plugin, as often as they
//! like, learn nothing of a real secret.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, UInt64Array};
use arrow::compute::kernels::cmp::distinct;
use arrow::compute::take_record_batch;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, SortField};

use crate::observe::summary::{Reasons, add_reason};
use crate::run::transform::Transformed;
use crate::versions::fit::Fitted;
use crate::versions::rules::{Breach, Compared, breach};
use crate::versions::version::Rates;
use crate::versions::workers::Slices;
use clickmill_config::Rules;
use clickmill_core::Counted;
use clickmill_core::batch::{Batch, Origins, Position, Rejected};
use clickmill_core::schema::provenance;
use clickmill_sandbox::{ChainWorker, Processed, StageCounts};
use clickmill_tables::Rows;

/// What would change. Numbers of rows; no values, since those may be secret.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shadow {
    /// Rows that both sets were given: each a record.
    pub rows: u64,
    /// Rows that are good to both.
    pub good: u64,
    /// Those of them whose values differ in any column.
    pub changed_rows: u64,
    /// The same, by column.
    pub changed: BTreeMap<String, u64>,
    /// Rows that are good to both and would go to other tables.
    pub rerouted: u64,
    /// Rows that are good now and would be refused, by stage and code.
    pub newly_rejected: Reasons,
    /// Rows that would be good and are not now: refused, dropped, or not made of their record.
    pub newly_accepted: u64,
    /// Rows that are good now and would be dropped on purpose, or not made of their record.
    pub newly_dropped: u64,
    /// What the set that runs makes of them.
    pub before: Rates,
    /// What the new one makes of them.
    pub now: Rates,
}

/// Runs both over the batches, in slices beside the workers, and the stages that both begin with once. A set
/// that faults on them takes as long as it may for each: once they say that it does so too often by these
/// rules, the rest is not looked at.
pub(super) fn shadow(
    before: &Fitted,
    now: &Fitted,
    batches: &[Batch],
    rules: &Rules,
    slices: &mut Slices<'_>,
) -> Result<Shadow, ArrowError> {
    let mut found = Shadow::default();
    let mut workers = (ChainWorker::rehearsing(&before.chain), ChainWorker::rehearsing(&now.chain));
    for batch in batches {
        let made = slices.run(|| workers.0.run_both(&mut workers.1, batch.clone()))?;
        let [(old, old_rates), (new, new_rates)] = slices.run(|| {
            let [old, new] = made;
            Ok::<_, ArrowError>([finished(before, old)?, finished(now, new)?])
        })?;
        found.rows += batch.rows() as u64;
        found.before.add(&old_rates);
        found.now.add(&new_rates);
        found.compare(&old, &new)?;
        let broken = breach(rules, &found.before, &found.now, Compared::OnTheSame);
        if let Some(Breach::Faults { .. }) = broken {
            break;
        }
    }
    Ok(found)
}

/// What a set makes of a batch in the end, and what it made of it by counting.
fn finished(
    fitted: &Fitted,
    (processed, counts): (Processed, Vec<StageCounts>),
) -> Result<(Transformed, Rates), ArrowError> {
    let made = fitted.finish(processed)?;
    let rejected = made.rejected.len();
    let of_chain = (&fitted.chain, &counts[..]);
    let rates = Rates::of(made.told(), rejected, made.filtered, made.routed(), of_chain);
    Ok((made, rates))
}

/// Which values of a column differ, two nulls being the same. Arrow's comparison takes no records and lists.
fn differs_from(before: &ArrayRef, now: &ArrayRef) -> Result<BooleanArray, ArrowError> {
    if !before.data_type().is_nested() {
        return distinct(before, now);
    }
    let converter = RowConverter::new(vec![SortField::new(before.data_type().clone())])?;
    let [before, now] =
        [before, now].map(|array| converter.convert_columns(std::slice::from_ref(array)));
    let (before, now) = (before?, now?);
    Ok(before.iter().zip(now.iter()).map(|(before, now)| Some(before != now)).collect())
}

/// The record of a row, and its place in that.
type Key = (u64, u64);

/// A number that a record of a batch has for as long as the batch is there: its line, or where its message is in
/// memory. Both sets are given the same messages, and hand them on.
fn record(position: &Position) -> u64 {
    match position {
        Position::Line(line) => *line,
        Position::Message(message) => Arc::as_ptr(message).addr() as u64,
    }
}

fn keys(origins: &Origins) -> Vec<Key> {
    let rows = 0..origins.ranges.len();
    rows.map(|row| (record(&origins.position(row)), origins.record_index(row))).collect()
}

impl Shadow {
    /// Compares the rows of each record by their places in it.
    fn compare(&mut self, old: &Transformed, new: &Transformed) -> Result<(), ArrowError> {
        let refused: BTreeMap<Key, &Rejected> =
            new.rejected.iter().map(|r| ((record(&r.position), r.record_index), r)).collect();
        let keys_of = |made: &Transformed| -> BTreeSet<Key> {
            keys(made.rows.origins()).into_iter().collect()
        };
        let (keys_old, keys_new) = (keys_of(old), keys_of(new));
        for (record, place) in keys_old.difference(&keys_new) {
            let all = (*record, 0)..=(*record, u64::MAX);
            // Where nothing is left of a record, it may have been refused before it became rows.
            let whole = || {
                let mut of_record = refused.range(all.clone());
                of_record.next().filter(|_| keys_new.range(all.clone()).next().is_none())
            };
            let own = refused.get(&(*record, *place)).copied();
            match own.or_else(|| whole().map(|(_, rejected)| *rejected)) {
                Some(rejected) => {
                    let (stage, code) = (rejected.stage.clone(), rejected.reason.code.clone());
                    add_reason(&mut self.newly_rejected, stage, code, 1);
                }
                None => self.newly_dropped += 1,
            }
        }
        self.newly_accepted += keys_new.difference(&keys_old).count() as u64;
        let good: BTreeSet<Key> = keys_old.intersection(&keys_new).copied().collect();
        self.good += good.len() as u64;
        let mut changed = Changed::default();
        for (old, new) in old.rows.tables().zip(new.rows.tables()) {
            changed.look(old, new, &good)?;
        }
        self.rerouted += changed.moved.len() as u64;
        changed.rows.extend(std::mem::take(&mut changed.moved));
        for (column, rows) in changed.columns {
            *self.changed.entry(column).or_default() += rows.len() as u64;
            changed.rows.extend(rows);
        }
        self.changed_rows += changed.rows.len() as u64;
        Ok(())
    }
}

/// Rows that are good to both sets and not the same.
#[derive(Default)]
struct Changed {
    columns: BTreeMap<String, BTreeSet<Key>>,
    /// By the tables that they go to.
    moved: BTreeSet<Key>,
    /// In any column, or by the tables.
    rows: BTreeSet<Key>,
}

impl Changed {
    /// Looks at the rows of one table.
    fn look(&mut self, old: &Rows, new: &Rows, good: &BTreeSet<Key>) -> Result<(), ArrowError> {
        let (keys_old, keys_new) = (keys(&old.origins), keys(&new.origins));
        if keys_old == keys_new {
            return self.look_side_by_side(&keys_old, &old.rows, &new.rows);
        }
        let mut places_new: BTreeMap<Key, usize> =
            keys_new.into_iter().enumerate().map(|(row, key)| (key, row)).collect();
        let (mut in_old, mut in_new) = (Vec::new(), Vec::new());
        let (mut moved, mut of_both) = (Vec::new(), Vec::new());
        for (row, key) in keys_old.into_iter().enumerate() {
            match places_new.remove(&key) {
                Some(at) => {
                    in_old.push(row as u64);
                    in_new.push(at as u64);
                    of_both.push(key);
                }
                None => moved.push(key),
            }
        }
        moved.extend(places_new.into_keys());
        self.moved.extend(moved.into_iter().filter(|key| good.contains(key)));
        let (in_old, in_new) = (UInt64Array::from(in_old), UInt64Array::from(in_new));
        let (old, new) =
            (take_record_batch(&old.rows, &in_old)?, take_record_batch(&new.rows, &in_new)?);
        self.look_side_by_side(&of_both, &old, &new)
    }

    /// Looks at rows that have the same keys.
    fn look_side_by_side(
        &mut self,
        keys: &[Key],
        old: &RecordBatch,
        new: &RecordBatch,
    ) -> Result<(), ArrowError> {
        for (at, field) in old.schema().fields().iter().enumerate() {
            let name = field.name();
            if provenance::ALL.contains(&name.as_str()) {
                continue;
            }
            let differs = differs_from(old.column(at), new.column(at))?;
            if differs.true_count() == 0 {
                continue;
            }
            let rows = keys.iter().zip(&differs).filter(|(_, differs)| *differs == Some(true));
            self.columns.entry(name.clone()).or_default().extend(rows.map(|(key, _)| *key));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::Int64Array;

    use super::*;
    use clickmill_core::batch::{Positions, Reason, Rejector};
    use clickmill_core::{Digest, Micros, stage};
    use clickmill_sandbox::RecordCounts;

    /// What a set makes: rows by line, place and value, and refused ones by line and place.
    fn made(rows: &[(u64, u64, i64)], refused: &[(u64, u64)]) -> Transformed {
        let values: Int64Array = rows.iter().map(|(_, _, value)| Some(*value)).collect();
        let values: ArrayRef = Arc::new(values);
        let lines = |lines: Vec<u64>, places| Origins {
            source: "t.ndjson@1".into(),
            header: None,
            ranges: lines.iter().map(|_| 0..0).collect(),
            positions: Positions::Lines(lines),
            places: Some(places),
            block: Vec::new().into(),
        };
        let by = Rejector::host(stage::GUARD, &Digest::of(b""), Micros::default());
        let reason =
            || Reason { code: "out_of_range".to_owned(), message: String::new(), column: None };
        let of = lines(
            refused.iter().map(|(line, _)| *line).collect(),
            refused.iter().map(|(_, place)| *place).collect(),
        );
        Transformed {
            rows: Rows {
                rows: RecordBatch::try_from_iter([("value", values)]).expect("a batch"),
                origins: lines(
                    rows.iter().map(|(line, ..)| *line).collect(),
                    rows.iter().map(|(_, place, _)| *place).collect(),
                ),
                ingest_time: Micros::default(),
                plugin_set: Digest::of(b""),
            }
            .into(),
            rejected: (0..refused.len()).map(|row| of.reject(row, &by, reason())).collect(),
            filtered: 0,
            records: RecordCounts::default(),
        }
    }

    fn compared(old: &Transformed, new: &Transformed) -> Shadow {
        let mut shadow = Shadow::default();
        shadow.compare(old, new).expect("batches");
        shadow
    }

    fn newly_rejected(shadow: &Shadow) -> u64 {
        shadow.newly_rejected.values().sum()
    }

    #[test]
    fn rows_of_one_record_are_compared_by_their_places() {
        let old = made(&[(1, 0, 10), (1, 1, 11), (1, 2, 12), (2, 0, 20)], &[]);
        // The first row is refused, the third has another value, and there is one more of the second record.
        let new = made(&[(1, 1, 11), (1, 2, 99), (2, 0, 20), (2, 1, 21)], &[(1, 0)]);
        let found = compared(&old, &new);
        assert_eq!((found.good, found.changed_rows), (3, 1));
        assert_eq!(newly_rejected(&found), 1);
        assert_eq!((found.newly_accepted, found.newly_dropped), (1, 0));
        let back = compared(&new, &old);
        assert_eq!((back.good, back.changed_rows, newly_rejected(&back)), (3, 1, 0));
        assert_eq!((back.newly_accepted, back.newly_dropped), (1, 1));
    }

    #[test]
    fn a_record_that_is_refused_whole_is_that_for_each_of_its_rows() {
        let old = made(&[(1, 0, 10), (1, 1, 11), (1, 10_000, 12), (2, 0, 20)], &[]);
        let found = compared(&old, &made(&[(2, 0, 20)], &[(1, 0)]));
        assert_eq!((found.good, newly_rejected(&found), found.newly_dropped), (1, 3, 0));
        // A row that is merely not made is not refused since another one is.
        let found = compared(&old, &made(&[(1, 1, 11), (2, 0, 20)], &[(1, 0)]));
        assert_eq!((found.good, newly_rejected(&found), found.newly_dropped), (2, 1, 1));
    }

    #[test]
    fn rows_that_come_in_another_order_are_the_same() {
        let rows = [(1, 0, 1), (1, 10_000, 2), (1, 1, 3), (1, 10_001, 4)];
        let mut turned = rows;
        turned.sort_by_key(|(_, place, _)| *place);
        let found = compared(&made(&rows, &[]), &made(&turned, &[]));
        assert_eq!((found.good, found.changed_rows, found.newly_dropped), (4, 0, 0));
    }
}
