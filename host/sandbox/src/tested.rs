//! Golden cases, run: what a plugin makes of each, and the fuel that it takes.

use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use serde_json::{Map, Value as Json};

use super::allowance::fuel_of_rows;
use super::chain::{Chain, ChainWorker, Processed};
use super::counts::StageCounts;
use super::golden::{Case, Golden, GoldenError};
use super::lower::bytes_of;
use super::rows::{decode, differences};
use super::stage::Stage;
use clickmill_core::batch::{Batch, Origins, Position, Positions};

/// A case's row is repeated so often to tell its fuel from that of the call, …
const COPIES: usize = 64;
/// … or as often as makes so many bytes of JSON, where that is less.
const COPIED_BYTES: usize = 1 << 20;

/// Of which cases the fuel is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// Of those that have a budget.
    Budgets,
    /// Of all.
    All,
}

/// What became of a file's cases.
#[derive(Debug, Clone, PartialEq)]
pub struct Tested {
    /// The file's name.
    pub file: String,
    /// Each case, in the order of the file.
    pub cases: Vec<TestedCase>,
    /// The fuel of all cases in one batch: that of their rows, and what a call takes beside them.
    pub fuel: u64,
    /// How that is beyond the file's budget, if so.
    pub problem: Option<String>,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq)]
pub struct TestedCase {
    /// Its name, or its number from 1 on.
    pub name: String,
    /// What is wrong, if anything.
    pub problem: Option<String>,
    /// The fuel that one more row like it takes in a batch, where it was measured; of a row on which the plugin fails,
    /// what the call takes that has it alone.
    pub fuel_per_row: Option<u64>,
    /// What a batch is granted for such a row, where that was measured and the plugin does not fail on it.
    pub granted_per_row: Option<u64>,
}

impl Tested {
    /// How many cases fail; one at least where all of them together are beyond their budget.
    pub fn failed(&self) -> usize {
        let failed = self.cases.iter().filter(|case| case.problem.is_some()).count();
        failed.max(usize::from(self.problem.is_some()))
    }

    /// A line for each problem.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        let of_case = |case: &TestedCase| {
            let problem = case.problem.as_ref()?;
            Some(format!("{}, case `{}`: {problem}", self.file, case.name))
        };
        let all = self.problem.iter().map(|problem| format!("{}: {problem}", self.file));
        self.cases.iter().filter_map(of_case).chain(all)
    }
}

/// Runs cases through a chain of the one plugin.
pub(super) fn run(golden: &Golden, chain: &Chain, measure: Measure) -> Result<Tested, GoldenError> {
    let failed = |source| GoldenError::Values { file: golden.file.clone(), source };
    let columns = golden.columns()?;
    for (at, case) in golden.cases.iter().enumerate() {
        let unknown = case.input.keys().find(|name| columns.field_with_name(name).is_err());
        let problem = match (unknown, decode(&columns, &[&case.input])) {
            (Some(name), _) => format!("has `{name}`, which `columns` has not"),
            (None, Err(ArrowError::JsonError(what))) => format!("does not fit its columns: {what}"),
            _ => continue,
        };
        let what = format!("case `{}` {problem}", case.called(at));
        return Err(GoldenError::Case { file: golden.file.clone(), what });
    }
    let inputs: Vec<&Map<String, Json>> = golden.cases.iter().map(|case| &case.input).collect();
    let (processed, StageCounts { fuel, .. }) = process(golden, chain, batch_of(golden, &inputs)?)?;
    let Positions::Lines(kept) = &processed.batch.origins.positions else {
        return Err(failed(ArrowError::ComputeError("rows lost their lines".to_owned())));
    };
    let mut cases = Vec::new();
    for (at, case) in golden.cases.iter().enumerate() {
        let got = CaseOutcome::of(at as u64, case.rows.is_some(), &processed, kept);
        let mut problems = judge(case, &got, &processed.batch.columns).map_err(failed)?;
        let budget = golden.max_fuel_of(case);
        let (fuel_per_row, granted_per_row) = if budget.is_some() || measure == Measure::All {
            let (fuel, granted) = fuel_per_row(golden, chain, &case.input)?;
            (Some(fuel), granted)
        } else {
            (None, None)
        };
        problems.extend(beyond("a row like it takes", fuel_per_row, budget));
        let problem = (!problems.is_empty()).then(|| problems.join("; "));
        cases.push(TestedCase { name: case.called(at), problem, fuel_per_row, granted_per_row });
    }
    let problem = beyond("all cases in one batch take", Some(fuel), golden.max_fuel);
    Ok(Tested { file: golden.file.clone(), cases, fuel, problem })
}

/// How fuel is beyond a budget, if so.
fn beyond(what: &str, fuel: Option<u64>, budget: Option<u64>) -> Option<String> {
    let (fuel, budget) = (fuel?, budget?);
    (fuel > budget).then(|| {
        let percent = (fuel - budget) as f64 / budget.max(1) as f64 * 100.0;
        format!("{what} {fuel} fuel, wanted at most {budget} (+{percent:.1} %)")
    })
}

/// The fuel that one more row like this takes in a batch, and what it is granted there, unless the plugin fails on it.
/// It is the same each time and everywhere.
fn fuel_per_row(
    golden: &Golden,
    chain: &Chain,
    row: &Map<String, Json>,
) -> Result<(u64, Option<u64>), GoldenError> {
    let (_, alone) = process(golden, chain, batch_of(golden, &[row])?)?;
    if alone.faults > 0 {
        return Ok((alone.fuel, None));
    }
    let stage = &chain.stages[0];
    let granting = granting_each(chain);
    let bytes = row.iter().map(|(name, value)| name.len() + value.to_string().len()).sum::<usize>();
    let mut copies = (COPIED_BYTES / bytes.max(1)).clamp(1, COPIES);
    loop {
        let all = batch_of(golden, &vec![row; copies + 1])?;
        let granted = fuel_of_rows(&stage.limits, copies + 1, bytes_of(&stage.given(&all)));
        let granted = Some(granted / (copies + 1) as u64);
        let (_, many) = process(golden, &granting, all)?;
        if many.faults == 0 {
            return Ok((many.fuel.saturating_sub(alone.fuel) / copies as u64, granted));
        }
        // A call that has too many of them is split, and what it took was paid for nothing.
        if copies == 1 {
            return Ok((alone.fuel, granted));
        }
        copies /= 2;
    }
}

/// The chain, where each row of a batch may use what it may alone: else copies that share the fuel of a batch run out of
/// it where the row does not.
fn granting_each(chain: &Chain) -> Chain {
    let granting = |stage: &Arc<Stage>| {
        let mut stage = Stage::clone(stage);
        let limits = &mut stage.limits;
        limits.max_fuel_per_record =
            limits.max_fuel_per_record.saturating_add(limits.max_fuel_per_batch);
        Arc::new(stage)
    };
    Chain { stages: chain.stages.iter().map(granting).collect(), ..chain.clone() }
}

/// What becomes of rows, and what that takes of the one stage.
pub(super) fn process(
    golden: &Golden,
    chain: &Chain,
    rows: Batch,
) -> Result<(Processed, StageCounts), GoldenError> {
    let failed = |source| GoldenError::Values { file: golden.file.clone(), source };
    let mut worker = ChainWorker::new(chain);
    let processed = worker.run(rows).map_err(failed)?;
    Ok((processed, worker.take_counts().swap_remove(0)))
}

/// A batch of such rows.
pub(super) fn batch_of(golden: &Golden, rows: &[&Map<String, Json>]) -> Result<Batch, GoldenError> {
    let failed = |source| GoldenError::Values { file: golden.file.clone(), source };
    batch(golden, decode(&golden.columns()?, rows).map_err(failed)?)
}

/// A batch of the file's columns, of lines from 0 on.
pub(super) fn batch(golden: &Golden, columns: RecordBatch) -> Result<Batch, GoldenError> {
    let rows = columns.num_rows();
    let ingest_time = golden.ingest_time();
    Ok(Batch {
        columns,
        origins: Origins {
            source: golden.file.as_str().into(),
            header: None,
            positions: Positions::Lines((0..rows as u64).collect()),
            places: None,
            block: bytes::Bytes::new(),
            ranges: vec![0..0; rows],
        },
        ingest_time: ingest_time
            .map_err(|source| GoldenError::Values { file: golden.file.clone(), source })?,
    })
}

/// What a plugin made of a case.
pub(super) enum CaseOutcome<'a> {
    /// These rows of the batch.
    Rows(Vec<usize>),
    Rejected(&'a str, &'a str),
    Dropped,
}

impl<'a> CaseOutcome<'a> {
    /// What became of a line. `kept` are the lines of the rows that came out, and rows that are wanted come before
    /// others of the line that are refused.
    pub(super) fn of(line: u64, wants_rows: bool, processed: &'a Processed, kept: &[u64]) -> Self {
        let rejected = processed.rejected.iter().find(|r| r.position == Position::Line(line));
        let lines = kept.iter().enumerate().filter(|(_, kept)| **kept == line);
        let rows: Vec<usize> = lines.map(|(row, _)| row).collect();
        match rejected {
            Some(rejected) if !wants_rows || rows.is_empty() => {
                Self::Rejected(&rejected.reason.code, &rejected.reason.message)
            }
            _ if rows.is_empty() => Self::Dropped,
            _ => Self::Rows(rows),
        }
    }
}

/// What is wrong with what the plugin made of a case.
fn judge(
    case: &Case,
    got: &CaseOutcome<'_>,
    rows: &RecordBatch,
) -> Result<Vec<String>, ArrowError> {
    let outputs = case.rows.as_deref().or(case.output.as_ref().map(std::slice::from_ref));
    let several = |rows: usize| if rows == 1 { "a row".to_owned() } else { format!("{rows} rows") };
    let wanted = match (&case.rejected, case.dropped) {
        (Some(code), _) => format!("rejected as `{code}`"),
        (None, true) => "dropped".to_owned(),
        (None, false) => several(outputs.map_or(1, <[_]>::len)),
    };
    Ok(match (got, &case.rejected, case.dropped) {
        (CaseOutcome::Rejected(code, _), Some(wanted), _) if code == wanted => Vec::new(),
        (CaseOutcome::Dropped, None, true) => Vec::new(),
        (CaseOutcome::Rows(made), None, false) if made.len() == outputs.map_or(1, <[_]>::len) => {
            let several = made.len() > 1;
            let mut problems = Vec::new();
            for (at, (output, row)) in outputs.into_iter().flatten().zip(made).enumerate() {
                let differences = differences(output, rows, *row)?.into_iter();
                problems.extend(differences.map(|difference| {
                    if several { format!("row {}: {difference}", at + 1) } else { difference }
                }));
            }
            problems
        }
        (CaseOutcome::Rejected(code, message), ..) => {
            vec![format!("wanted {wanted}, got rejected as `{code}`: {message}")]
        }
        (CaseOutcome::Dropped, ..) => vec![format!("wanted {wanted}, got dropped")],
        (CaseOutcome::Rows(made), ..) => {
            vec![format!("wanted {wanted}, got {}", several(made.len()))]
        }
    })
}
