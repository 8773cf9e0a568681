//! One row that becomes many: where the rows of an answer came from, and how many there may be.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use arrow::compute::{cast, filter, take};
use arrow::datatypes::{DataType, Field, FieldRef};
use arrow::error::ArrowError;

use super::answer::Answer;
use super::error::AnswerError;
use crate::dictionary::shared;
use crate::kind::is_json;
use clickmill_core::batch::Reason;
use clickmill_core::columns::is_text;

/// What the host holds for a row beside its columns: its place, its position and where its bytes are.
const BYTES_PER_ROW: usize = 40;

/// Where the rows of an answer came from, checked: each row of the batch has some, in the batch's order.
/// Nothing, where they are those of the batch.
pub(super) fn came_from(
    came_from: Option<Vec<u32>>,
    rows: usize,
    multiplies: bool,
) -> Result<Option<Vec<u32>>, AnswerError> {
    let Some(came_from) = came_from else { return Ok(None) };
    if !multiplies {
        return Err(AnswerError::Multiplies);
    }
    let mut before = None;
    for (row, got) in came_from.iter().copied().enumerate() {
        let next = before.map_or(0, |before: u32| before.saturating_add(1));
        let is_next = got == next || before == Some(got);
        if !is_next || got as usize >= rows {
            let wanted = match before {
                None => "0".to_owned(),
                Some(before) if next as usize >= rows => before.to_string(),
                Some(before) => format!("{before} or {next}"),
            };
            return Err(AnswerError::CameFrom { row, got, wanted });
        }
        before = Some(got);
    }
    let got = before.map_or(0, |last| last as usize + 1);
    if got != rows {
        return Err(AnswerError::CameFromFew { got, rows });
    }
    // Each row once: nothing became many.
    Ok((came_from.len() > rows).then_some(came_from))
}

/// The answer in which each row that became too many is refused as a whole.
pub(super) fn bounded(answer: Answer, rows: usize, most: usize) -> Answer {
    let Some(came_from) = &answer.came_from else { return answer };
    let mut made = vec![0_usize; rows];
    for from in came_from {
        made[*from as usize] += 1;
    }
    refuse_whole(answer, most, |row| made[row as usize] > most)
}

/// Refuses rows of the batch as a whole, whatever the plugin has made of them: of each its first row is
/// left, refused for being more than so many.
pub(crate) fn refuse_whole(
    answer: Answer,
    most: usize,
    is_too_many: impl Fn(u32) -> bool,
) -> Answer {
    let Some(came_from) = &answer.came_from else { return answer };
    let rows = came_from.len();
    // By row: its number in what is left.
    let mut left = Vec::with_capacity(rows);
    let (mut kept, mut rejected, mut count) = (Vec::with_capacity(rows), Vec::new(), 0);
    for (at, from) in came_from.iter().copied().enumerate() {
        let is_first = at == 0 || came_from[at - 1] != from;
        let too_many = is_too_many(from);
        let is_kept = is_first || !too_many;
        left.push((!too_many).then_some(count));
        if too_many && is_first {
            rejected.push((count, too_many_rows(most)));
        }
        count += u32::from(is_kept);
        kept.push(is_kept);
    }
    if rejected.is_empty() {
        return answer;
    }
    let rejected_before =
        answer.rejected.into_iter().filter_map(|(row, reason)| Some((left[row as usize]?, reason)));
    rejected.extend(rejected_before);
    rejected.sort_by_key(|(row, _)| *row);
    let dropped = answer.dropped.into_iter().filter_map(|row| left[row as usize]).collect();
    let came_from = came_from.iter().zip(&kept).filter(|(_, kept)| **kept);
    let came_from = came_from.map(|(from, _)| *from).collect();
    let kept = BooleanArray::from(kept);
    let columns = answer.columns.iter().map(|column| -> ArrayRef {
        filter(column, &kept).expect("a column has a value for each row of its answer")
    });
    let columns = columns.collect();
    Answer { columns, came_from: Some(came_from), rejected, dropped, bytes: answer.bytes }
}

fn too_many_rows(most: usize) -> Reason {
    let message = format!("its record became more than {most} rows");
    Reason { code: "too_many_rows".to_owned(), message, column: None }
}

/// A column of the batch, once for each row that came of its rows.
pub(super) fn repeat(column: &ArrayRef, came_from: &[u32]) -> Result<ArrayRef, ArrowError> {
    take(column, &UInt32Array::from(came_from.to_vec()), None)
}

/// Whether the rows of a record share the text of such a column. JSON values are told from texts by their field, and
/// are given as they are.
fn is_shared(field: &Field) -> bool {
    is_text(field.data_type()) && !is_json(field)
}

/// The same of a column that no plugin has written: the rows of a record share its text, so that a message is
/// there once, however many events are in it.
pub(crate) fn share(
    field: &FieldRef,
    column: &ArrayRef,
    came_from: &[u32],
) -> Result<(FieldRef, ArrayRef), ArrowError> {
    if *field.data_type() != DataType::Utf8 || is_json(field) {
        return Ok((field.clone(), repeat(column, came_from)?));
    }
    let shared = shared(came_from, column)?;
    let field = field.as_ref().clone().with_data_type(shared.data_type().clone());
    Ok((Arc::new(field.with_nullable(true)), shared))
}

/// Bytes that the columns of a batch have once they are repeated: those that are written too, since records
/// are given again. Texts that rows share count once for each row where they are wanted:
/// so a plugin or a table may have them that knows no dictionary. Of others each row has a number.
pub(super) fn repeated_bytes(
    batch: &RecordBatch,
    came_from: &[u32],
    wanted: Option<&BTreeSet<String>>,
) -> usize {
    let is_wanted = |field: &Field| wanted.is_none_or(|wanted| wanted.contains(field.name()));
    let columns = batch.schema_ref().fields().iter().zip(batch.columns());
    let (whole, shared): (Vec<_>, Vec<_>) =
        columns.partition(|(field, _)| is_wanted(field) || !is_shared(field));
    let of_row = |row: usize| -> usize {
        whole.iter().map(|(_, column)| bytes_between(column, row, row + 1)).sum()
    };
    let per_row = BYTES_PER_ROW + size_of::<u32>() * shared.len();
    let mut sum = came_from.len().saturating_mul(per_row);
    let (mut before, mut bytes) = (None, 0);
    for from in came_from {
        if before != Some(*from) {
            (before, bytes) = (Some(*from), of_row(*from as usize));
        }
        sum = sum.saturating_add(bytes);
    }
    sum
}

/// Bytes of some values of a column, about.
fn bytes_between(column: &ArrayRef, from: usize, to: usize) -> usize {
    let values = to - from;
    let of_offsets = |offsets: &[i32]| (offsets[to] - offsets[from]) as usize;
    let of_all = |columns: &[ArrayRef], from: usize, to: usize| -> usize {
        columns.iter().map(|column| bytes_between(column, from, to)).sum()
    };
    match column.data_type() {
        DataType::Utf8 => 4 * values + of_offsets(column.as_string::<i32>().value_offsets()),
        DataType::Binary => 4 * values + of_offsets(column.as_binary::<i32>().value_offsets()),
        DataType::List(_) => {
            let list = column.as_list::<i32>();
            let (first, last) = (list.offsets()[from] as usize, list.offsets()[to] as usize);
            4 * values + of_all(std::slice::from_ref(list.values()), first, last)
        }
        DataType::Struct(_) => of_all(column.as_struct().columns(), from, to),
        DataType::Dictionary(_, _) => {
            let some = cast(&column.slice(from, values), &DataType::Utf8);
            some.map_or(0, |some| bytes_between(&some, 0, values))
        }
        other => values * other.primitive_width().unwrap_or(1),
    }
}
