//! One bad record is one dead letter: a batch on which a plugin fails is split until the guilty rows
//! stand alone, and the rest passes.

use std::ops::Range;

use arrow::array::ArrayRef;
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field};

use super::allowance::Allowance;
use super::guest::tell_unwritten;
use super::lift::Answer;
use super::lower::{Lowered, bytes_of};
use super::processor_time::spent;
use super::stage::{Stage, StageWorker};
use clickmill_core::batch::{Batch, Reason};

/// Runs a stage over a batch. What comes back covers every row: rows on which the plugin failed are
/// among the rejected, with null or meaningless values in the columns.
pub(super) fn call_isolated(worker: &mut StageWorker, batch: &Batch) -> Answer {
    let unwritten = worker.lines_unwritten;
    let stage = worker.stage.clone();
    let given = stage.given(batch);
    let mut allowance = Allowance::new(stage.limits, batch.rows(), bytes_of(&given));
    let answer = split(worker, batch, given, &stage, &mut allowance);
    tell_unwritten(&worker.stage.name, worker.lines_unwritten - unwritten);
    answer
}

/// `given` is what the plugin is given of the batch.
fn split(
    worker: &mut StageWorker,
    batch: &Batch,
    given: Vec<Lowered<'_>>,
    stage: &Stage,
    allowance: &mut Allowance,
) -> Answer {
    let began = spent();
    allowance.comes_to(began);
    if let Some(of) = allowance.used_up() {
        let reason = worker.gave_up(of);
        return guilty(worker, batch, reason);
    }
    let reason = match worker.call(batch, &given, allowance, began) {
        Ok(answer) => match allowance.output_bytes.checked_sub(answer.bytes) {
            Some(left) => {
                allowance.output_bytes = left;
                return answer;
            }
            None => worker.output_too_large(answer.bytes, allowance.output_bytes),
        },
        Err(reason) => reason,
    };
    if batch.rows() <= 1 {
        return guilty(worker, batch, reason);
    }
    drop(given);
    // The plugin's verdict on a row may not depend on its neighbours, so halves are as good.
    let middle = batch.rows() / 2;
    let mut half = |rows: Range<usize>| {
        let half = batch.slice(rows);
        let given = stage.given(&half);
        split(worker, &half, given, stage, allowance)
    };
    let (first, second) = (half(0..middle), half(middle..batch.rows()));
    join([(first, middle), (second, batch.rows() - middle)], &stage.written)
}

/// Of several rows only what the host says by itself, that they were not tried: no word of a plugin's on one row is told
/// of another.
fn guilty(worker: &StageWorker, batch: &Batch, reason: Reason) -> Answer {
    let rows = batch.rows();
    let columns = worker
        .stage
        .written
        .iter()
        .map(|field| arrow::array::new_null_array(field.data_type(), rows))
        .collect();
    let rejected = (0..rows as u32).map(|row| (row, reason.clone())).collect();
    Answer { columns, rejected, ..Answer::default() }
}

/// The answer for two pieces, each with its rows.
fn join(pieces: [(Answer, usize); 2], written: &[Field]) -> Answer {
    let [(first, rows), (second, rows_after)] = pieces;
    let columns = first.columns.iter().zip(&second.columns).zip(written);
    let columns = columns.map(|((a, b), field)| concat_two(a, b, field.data_type())).collect();
    let made = first.came_from.as_ref().map_or(rows, Vec::len) as u32;
    let came_from = (first.came_from.is_some() || second.came_from.is_some()).then(|| {
        let mut all = first.came_from.unwrap_or_else(|| (0..rows as u32).collect());
        let after = second.came_from.unwrap_or_else(|| (0..rows_after as u32).collect());
        all.extend(after.into_iter().map(|row| row + rows as u32));
        all
    });
    let mut rejected = first.rejected;
    rejected.extend(second.rejected.into_iter().map(|(row, reason)| (row + made, reason)));
    let mut dropped = first.dropped;
    dropped.extend(second.dropped.into_iter().map(|row| row + made));
    Answer { columns, came_from, rejected, dropped, bytes: first.bytes + second.bytes }
}

/// Two columns that were checked to be of the announced type. Texts become plain: those of two dictionaries may be
/// equal.
pub(super) fn concat_two(a: &ArrayRef, b: &ArrayRef, announced: &DataType) -> ArrayRef {
    let plain = |array: &ArrayRef| cast(array, announced).expect("texts can be written out");
    // Together they are no longer than a batch.
    concat(&[plain(a).as_ref(), plain(b).as_ref()]).expect("columns of one type")
}

#[cfg(test)]
mod tests;
