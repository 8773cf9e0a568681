//! One bad record is one dead letter: a batch on which a plugin fails is split until the guilty rows
//! stand alone, and the rest passes.

use arrow::array::ArrayRef;
use arrow::compute::concat;

use super::lift::Answer;
use super::stage::StageWorker;
use clickmill_core::batch::{Batch, Reason};

/// Runs a stage over a batch. What comes back covers every row: rows on which the plugin failed are
/// among the rejected, with null or meaningless values in the columns.
pub(super) fn call_isolated(worker: &mut StageWorker, batch: &Batch) -> Answer {
    let mut budget = worker.stage.limits.max_output_bytes;
    split(worker, batch, &mut budget)
}

/// `budget` is what the pieces of a batch may return together: the limit holds for the batch, however
/// often a plugin makes the host split it.
fn split(worker: &mut StageWorker, batch: &Batch, budget: &mut usize) -> Answer {
    match worker.call(batch) {
        Ok(answer) => {
            let bytes: usize = answer.columns.iter().map(|c| c.get_buffer_memory_size()).sum();
            match budget.checked_sub(bytes) {
                Some(left) => {
                    *budget = left;
                    answer
                }
                None => {
                    let reason = worker.output_too_large();
                    guilty(worker, batch, reason)
                }
            }
        }
        Err(reason) if batch.rows() <= 1 => guilty(worker, batch, reason),
        Err(_) => {
            // The plugin's verdict on a row may not depend on its neighbours, so halves are as good.
            let middle = batch.rows() / 2;
            let first = split(worker, &batch.slice(0..middle), budget);
            let second = split(worker, &batch.slice(middle..batch.rows()), budget);
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
    Answer { columns, rejected, dropped: Vec::new() }
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
    Answer { columns, rejected, dropped }
}
