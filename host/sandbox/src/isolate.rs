//! One bad record is one dead letter: a batch on which a plugin fails is split until the guilty rows
//! stand alone, and the rest passes.

use arrow::array::ArrayRef;
use arrow::compute::concat;

use super::allowance::Allowance;
use super::guest::tell_unwritten;
use super::lift::Answer;
use super::stage::StageWorker;
use clickmill_core::batch::{Batch, Reason};

/// Runs a stage over a batch. What comes back covers every row: rows on which the plugin failed are
/// among the rejected, with null or meaningless values in the columns.
pub(super) fn call_isolated(worker: &mut StageWorker, batch: &Batch) -> Answer {
    let unwritten = worker.lines_unwritten;
    let mut allowance = Allowance::new(worker.stage.limits, batch.rows());
    let answer = split(worker, batch, &mut allowance);
    tell_unwritten(&worker.stage.name, worker.lines_unwritten - unwritten);
    answer
}

fn split(worker: &mut StageWorker, batch: &Batch, allowance: &mut Allowance) -> Answer {
    if let Some(of) = allowance.used_up() {
        let reason = worker.gave_up(of);
        return guilty(worker, batch, reason);
    }
    match worker.call(batch, allowance) {
        Ok(answer) => match allowance.output_bytes.checked_sub(answer.bytes) {
            Some(left) => {
                allowance.output_bytes = left;
                answer
            }
            None => {
                let reason = worker.output_too_large();
                guilty(worker, batch, reason)
            }
        },
        Err(reason) if batch.rows() <= 1 => guilty(worker, batch, reason),
        Err(_) => {
            // The plugin's verdict on a row may not depend on its neighbours, so halves are as good.
            let middle = batch.rows() / 2;
            let first = split(worker, &batch.slice(0..middle), allowance);
            let second = split(worker, &batch.slice(middle..batch.rows()), allowance);
            join(first, second, middle as u32)
        }
    }
}

fn guilty(worker: &StageWorker, batch: &Batch, reason: Reason) -> Answer {
    let rows = batch.rows();
    let columns = worker
        .stage
        .writes
        .iter()
        .map(|(_, data_type)| arrow::array::new_null_array(&data_type.arrow(), rows))
        .collect();
    let mut reason = reason;
    if rows > 1 {
        // What a plugin says of one row is told of the others too.
        reason.message = worker.hidden.keep_all_out(&reason.message);
    }
    let rejected = (0..rows as u32).map(|row| (row, reason.clone())).collect();
    Answer { columns, rejected, ..Answer::default() }
}

fn join(first: Answer, second: Answer, rows_before: u32) -> Answer {
    let columns = first.columns.iter().zip(&second.columns).map(|(a, b)| -> ArrayRef {
        // Both were checked to be of the announced type, and together are no longer than a batch.
        concat(&[a.as_ref(), b.as_ref()]).expect("columns of one type")
    });
    let columns = columns.collect();
    let mut rejected = first.rejected;
    rejected.extend(second.rejected.into_iter().map(|(row, reason)| (row + rows_before, reason)));
    let mut dropped = first.dropped;
    dropped.extend(second.dropped.into_iter().map(|row| row + rows_before));
    Answer { columns, rejected, dropped, bytes: first.bytes + second.bytes }
}

#[cfg(test)]
mod tests;
