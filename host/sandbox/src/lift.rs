//! What a guest answered, checked: every value it returns is hostile until it has passed here.

mod answer;
mod columns;
mod error;
mod rows;
mod values;

use std::collections::BTreeSet;

use arrow::array::{ArrayRef, RecordBatch};

use super::boundary::{Output, Rejection};
use super::kind::{Columns, Node};
use clickmill_config::Limits;
use clickmill_core::batch::Reason;
use clickmill_core::path::Path;

use columns::AnswerColumns;

pub(super) use answer::{Answer, cut};
pub(super) use error::AnswerError;
pub(super) use rows::{refuse_whole, share};

/// The longest rejection code.
pub(super) const MAX_CODE_BYTES: usize = 64;

/// How the host's own codes begin, by which a call that failed is told from a row that was refused.
pub(super) const HOST_CODE: &str = "plugin_";

/// A place in a list that has more digits is not told.
const MAX_PLACE_DIGITS: usize = 3;

/// The longest name of a column: what BigQuery takes.
pub(super) const MAX_NAME_BYTES: usize = clickmill_core::path::MAX_NAME_BYTES;

/// What a plugin announced, and what is wanted behind it.
#[derive(Clone, Copy)]
pub(super) struct Announced<'a> {
    pub reads: &'a Columns,
    pub writes: &'a Columns,
    pub multiplies: bool,
    /// The columns that others have of the rows that it makes; all where absent.
    pub wanted: Option<&'a BTreeSet<String>>,
}

impl Announced<'_> {
    /// A column that it reads or writes, as it is told. Elements of lists may be told by their numbers, unless
    /// these are as long as a visitor's may be.
    fn told(&self, column: String) -> Result<String, String> {
        let is = |columns: &Columns, path: &Path| columns.find(path).is_some();
        let is = |path: &Path| is(self.reads, path) || is(self.writes, path);
        if is(&Path::of(&column)) {
            return Ok(column);
        }
        match without_numbers(&column) {
            Some(path) if is(&path) && has_long_number(&column) => Ok(path.to_string()),
            Some(path) if is(&path) => Ok(column),
            _ => Err(column),
        }
    }
}

fn has_long_number(column: &str) -> bool {
    let mut numbers = column.split('[').skip(1).filter_map(|after| after.split_once(']'));
    numbers.any(|(number, _)| number.len() > MAX_PLACE_DIGITS)
}

/// `items[3].price` without its numbers.
fn without_numbers(text: &str) -> Option<Path> {
    // Sixteen names with all that may stand with them.
    const MAX_BYTES: usize = 16 * (MAX_NAME_BYTES + 12);
    if text.len() > MAX_BYTES {
        return None;
    }
    let names = text.split('.').map(|name| {
        let Some(before) = name.strip_suffix(']') else { return Some(name) };
        let (name, number) = before.rsplit_once('[')?;
        (number.parse::<u32>().is_ok() && number.bytes().all(|b| b.is_ascii_digit()))
            .then_some(name)
    });
    names.collect::<Option<Vec<_>>>()?.join(".").parse().ok()
}

/// Checks an answer for a batch against what the plugin announced.
pub(super) fn check(
    output: Output,
    batch: &RecordBatch,
    announced: Announced<'_>,
    limits: &Limits,
) -> Result<Answer, AnswerError> {
    let (writes, mut bytes) = (announced.writes, output.bytes());
    let came_from = rows::came_from(output.came_from, batch.num_rows(), announced.multiplies)?;
    let rows = came_from.as_ref().map_or(batch.num_rows(), Vec::len);
    let repeated = |came_from: &[u32]| rows::repeated_bytes(batch, came_from, announced.wanted);
    // Before anything is given again: few numbers ask for much.
    if writes.all.iter().any(|node| !node.named) {
        let repeated = came_from.as_deref().map_or(0, repeated);
        if repeated > limits.max_output_bytes {
            return Err(AnswerError::TooLarge(bytes.saturating_add(repeated)));
        }
    }

    let mut named =
        vec![
            false;
            if output.rejections.is_empty() && output.dropped.is_empty() { 0 } else { rows }
        ];
    let mut name_row = |row: u32| match named.get_mut(row as usize) {
        None => Err(AnswerError::NoSuchRow { row, rows }),
        Some(true) => Err(AnswerError::RowTwice(row)),
        Some(seen) => {
            *seen = true;
            Ok(())
        }
    };
    let mut rejected = Vec::with_capacity(output.rejections.len());
    for rejection in output.rejections {
        name_row(rejection.row)?;
        let row = rejection.row;
        rejected.push((row, check_rejection(rejection, announced, limits.max_message_bytes)?));
    }
    for row in &output.dropped {
        name_row(*row)?;
    }
    rejected.sort_by_key(|(row, _)| *row);
    let mut dropped = output.dropped;
    dropped.sort_unstable();

    let mut said = AnswerColumns::new(output.columns, writes)?;
    let mut columns = Vec::with_capacity(writes.all.len());
    for (place, node) in writes.all.iter().enumerate() {
        let given = given(node, batch, came_from.as_deref());
        columns.push(said.column(place, node, rows, given.as_ref())?);
    }
    let written_out = said.written_out;
    let answer = Answer { columns, came_from, rejected, dropped, bytes: 0 };
    let answer = rows::bounded(answer, batch.num_rows(), limits.max_rows_per_record as usize);
    let repeated = answer.came_from.as_deref().map_or(0, repeated);
    let beside = written_out.saturating_add(repeated);
    bytes = bytes.saturating_add(beside);
    if beside > 0 && bytes > limits.max_output_bytes {
        return Err(AnswerError::TooLarge(bytes));
    }
    Ok(Answer { bytes, ..answer })
}

/// The record of which only fields are written, as the plugin was given it, once for each row that it makes.
fn given(node: &Node, batch: &RecordBatch, came_from: Option<&[u32]>) -> Option<ArrayRef> {
    if node.named {
        return None;
    }
    let column = batch.column_by_name(&node.name)?;
    match came_from {
        None => Some(column.clone()),
        Some(came_from) => rows::repeat(column, came_from).ok(),
    }
}

fn check_rejection(
    rejection: Rejection,
    announced: Announced<'_>,
    max_bytes: usize,
) -> Result<Reason, AnswerError> {
    let Rejection { row, code, message, column } = rejection;
    let fine = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
    if code.is_empty() || code.len() > MAX_CODE_BYTES || !code.bytes().all(fine) {
        return Err(AnswerError::BadCode { row, code: cut(code, MAX_CODE_BYTES) });
    }
    if code.starts_with(HOST_CODE) {
        return Err(AnswerError::HostCode { row, code });
    }
    // Its name is told in the clear.
    let column = column.map(|column| announced.told(column)).transpose();
    let column = column.map_err(|column| {
        let column = cut(column, MAX_NAME_BYTES);
        AnswerError::ForeignColumn { row, column }
    })?;
    Ok(Reason { code, message: cut(message, max_bytes), column })
}

#[cfg(test)]
mod tests;
