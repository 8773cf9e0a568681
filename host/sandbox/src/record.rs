//! Golden cases made of rows: what a plugin makes of them now.

use arrow::array::RecordBatch;
use arrow::error::ArrowError;

use super::chain::Chain;
use super::golden::{Case, Golden, GoldenError};
use super::rows::{encode, plainly};
use super::tested::{CaseOutcome, Measure, batch_of, process, run};
use clickmill_core::batch::Positions;

/// Cases that were made of rows.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The cases, which pass.
    pub golden: Golden,
    /// Rows of which there is no case, since JSON does not hold what the plugin makes of them.
    pub left_out: usize,
}

/// Makes a case of each row, which has the file's columns and perhaps more. Of equal rows there is one case.
pub(super) fn record(
    mut golden: Golden,
    chain: &Chain,
    rows: &RecordBatch,
) -> Result<Recorded, GoldenError> {
    let file = golden.file.clone();
    let failed = |source| GoldenError::Values { file: file.clone(), source };
    let mut inputs = encode(rows, false).map_err(failed)?;
    let columns = golden.columns()?;
    for input in &mut inputs {
        input.retain(|name, _| columns.field_with_name(name).is_ok());
    }
    let mut distinct = Vec::with_capacity(inputs.len());
    for input in inputs {
        if !distinct.contains(&input) {
            distinct.push(input);
        }
    }
    let inputs = batch_of(&golden, &distinct.iter().collect::<Vec<_>>())?;
    let (processed, _) = process(&golden, chain, inputs)?;
    let Positions::Lines(kept) = &processed.batch.origins.positions else {
        return Err(failed(ArrowError::ComputeError("rows lost their lines".to_owned())));
    };
    let made = plainly(&processed.batch.columns).map_err(failed)?;
    let made = encode(&made, true).map_err(failed)?;
    let stage = &chain.stages[0];
    let multiplies = stage.multiplies.is_some();
    for (line, input) in distinct.into_iter().enumerate() {
        let case = Case { input, ..Case::default() };
        golden.cases.push(match CaseOutcome::of(line as u64, multiplies, &processed, kept) {
            CaseOutcome::Rejected(code, _) => Case { rejected: Some(code.to_owned()), ..case },
            CaseOutcome::Dropped => Case { dropped: true, ..case },
            CaseOutcome::Rows(rows) => {
                let output = |row: usize| {
                    let mut output = made[row].clone();
                    output.retain(|name, _| stage.writes_column(name));
                    output
                };
                let mut outputs: Vec<_> = rows.into_iter().map(output).collect();
                if multiplies {
                    Case { rows: Some(outputs), ..case }
                } else {
                    Case { output: outputs.pop(), ..case }
                }
            }
        });
    }
    // A number that is none, say, is null in JSON.
    let tested = run(&golden, chain, Measure::Budgets)?;
    let mut passes = tested.cases.iter().map(|case| case.problem.is_none());
    let all = golden.cases.len();
    golden.cases.retain(|_| passes.next().unwrap_or(true));
    let left_out = all - golden.cases.len();
    Ok(Recorded { golden, left_out })
}
