//! What a guest answered, checked: every value it returns is hostile until it has passed here.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Float64Array, Int64Array, StringArray,
    TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

use super::boundary::{Column, DataType, Output, Rejection, Text, Values};
use clickmill_core::batch::Reason;

/// Days and microseconds of the years 1 to 9999, which is what BigQuery holds.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;
const MICROS: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;

/// The longest rejection code.
pub(super) const MAX_CODE_BYTES: usize = 64;

/// How the host's own codes begin, by which a call that failed is told from a row that was refused.
pub(super) const HOST_CODE: &str = "plugin_";

/// The longest name of a column: what BigQuery takes.
pub(super) const MAX_NAME_BYTES: usize = 300;

/// A checked answer. Row numbers are below the batch's rows, and no row is named twice.
#[derive(Default)]
pub(super) struct Answer {
    /// The announced columns, in the announced order.
    pub columns: Vec<ArrayRef>,
    /// Refused rows, by row.
    pub rejected: Vec<(u32, Reason)>,
    /// Filtered rows, by row.
    pub dropped: Vec<u32>,
    /// What the host holds for it, in bytes.
    pub bytes: usize,
}

/// What is wrong with an answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum AnswerError {
    #[error("it returned column `{0}`, which it did not announce")]
    NotAnnounced(String),
    #[error("it returned column `{0}` twice")]
    Twice(String),
    #[error("it did not return column `{0}`, which it announced")]
    Missing(String),
    #[error("it returned column `{column}` as {got}, announced as {announced}")]
    WrongType { column: String, got: String, announced: String },
    #[error("column `{column}` has {got} values for {rows} rows")]
    WrongLength { column: String, got: usize, rows: usize },
    #[error("column `{column}` has {got} bytes of validity for {rows} rows, wanted {wanted}")]
    WrongValidity { column: String, got: usize, wanted: usize, rows: usize },
    #[error("column `{column}` has offset {got} after {before} at row {row}")]
    OffsetFalls { column: String, row: usize, before: u32, got: u32 },
    #[error("column `{column}` has offsets from {first} to {last} for {bytes} bytes")]
    OffsetRange { column: String, first: u32, last: u32, bytes: usize },
    #[error("column `{0}` holds text that is not UTF-8")]
    NotUtf8(String),
    #[error("column `{column}` holds boolean {got} at row {row}, wanted 0 or 1")]
    NotABoolean { column: String, row: usize, got: u8 },
    #[error("column `{column}` holds {got} at row {row}, outside the years 1 to 9999")]
    OutOfCalendar { column: String, row: usize, got: i64 },
    #[error("it named row {row} of {rows}")]
    NoSuchRow { row: u32, rows: usize },
    #[error("it refused or dropped row {0} twice")]
    RowTwice(u32),
    #[error("it refused row {row} with code `{code}`, wanted 1 to 64 of a-z, 0-9 and `_`")]
    BadCode { row: u32, code: String },
    #[error(
        "it refused row {row} with code `{code}`: codes that begin with `plugin_` are the host's own, for calls that fail"
    )]
    HostCode { row: u32, code: String },
    #[error("it refused row {row} for column `{column}`, which it neither reads nor writes")]
    ForeignColumn { row: u32, column: String },
}

/// What a plugin announced.
#[derive(Clone, Copy)]
pub(super) struct Announced<'a> {
    pub reads: &'a [(String, DataType)],
    pub writes: &'a [(String, DataType)],
}

impl Announced<'_> {
    fn has(&self, column: &str) -> bool {
        self.reads.iter().chain(self.writes).any(|(name, _)| name == column)
    }
}

/// Checks an answer for a batch of `rows` rows against what the plugin announced.
pub(super) fn check(
    output: Output,
    rows: usize,
    announced: Announced<'_>,
    max_message_bytes: usize,
) -> Result<Answer, AnswerError> {
    let (writes, bytes) = (announced.writes, output.bytes());
    let mut columns: Vec<Option<ArrayRef>> = vec![None; writes.len()];
    for column in output.columns {
        let Some(at) = writes.iter().position(|(name, _)| *name == column.name) else {
            return Err(AnswerError::NotAnnounced(cut(column.name, MAX_NAME_BYTES)));
        };
        if columns[at].is_some() {
            return Err(AnswerError::Twice(column.name));
        }
        columns[at] = Some(check_column(column, rows, writes[at].1)?);
    }
    let columns = columns
        .into_iter()
        .zip(writes)
        .map(|(column, (name, _))| column.ok_or_else(|| AnswerError::Missing(name.clone())))
        .collect::<Result<_, _>>()?;

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
        rejected.push((row, check_rejection(rejection, announced, max_message_bytes)?));
    }
    for row in &output.dropped {
        name_row(*row)?;
    }
    rejected.sort_by_key(|(row, _)| *row);
    let mut dropped = output.dropped;
    dropped.sort_unstable();
    Ok(Answer { columns, rejected, dropped, bytes })
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
    match column {
        // Its name is told in the clear.
        Some(column) if !announced.has(&column) => {
            Err(AnswerError::ForeignColumn { row, column: cut(column, MAX_NAME_BYTES) })
        }
        column => Ok(Reason { code, message: cut(message, max_bytes), column }),
    }
}

fn check_column(column: Column, rows: usize, announced: DataType) -> Result<ArrayRef, AnswerError> {
    let name = column.name;
    let got = match &column.values {
        Values::Booleans(_) => DataType::Boolean,
        Values::Int64s(_) => DataType::Int64,
        Values::Float64s(_) => DataType::Float64,
        Values::Dates(_) => DataType::Date,
        Values::Timestamps(_) => DataType::Timestamp,
        Values::Texts(_) => DataType::Text,
        Values::Blobs(_) => DataType::Blob,
    };
    if got != announced {
        let (got, announced) =
            (format!("{got:?}").to_lowercase(), format!("{announced:?}").to_lowercase());
        return Err(AnswerError::WrongType { column: name, got, announced });
    }
    let nulls = match column.validity {
        None => None,
        Some(bits) => {
            let wanted = rows.div_ceil(8);
            if bits.len() != wanted {
                return Err(AnswerError::WrongValidity {
                    column: name,
                    got: bits.len(),
                    wanted,
                    rows,
                });
            }
            Some(NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows)))
        }
    };
    let length = |got: usize| {
        if got == rows {
            Ok(())
        } else {
            Err(AnswerError::WrongLength { column: name.clone(), got, rows })
        }
    };
    // A null row holds any value: only the others are checked.
    let first_bad = |bad: &dyn Fn(usize) -> bool| {
        (0..rows).find(|row| bad(*row) && nulls.as_ref().is_none_or(|nulls| nulls.is_valid(*row)))
    };
    Ok(match column.values {
        Values::Booleans(values) => {
            length(values.len())?;
            if values.iter().any(|value| *value > 1)
                && let Some(row) = first_bad(&|row| values[row] > 1)
            {
                return Err(AnswerError::NotABoolean { column: name, row, got: values[row] });
            }
            let bits = BooleanBuffer::from_iter(values.iter().map(|value| *value == 1));
            Arc::new(BooleanArray::new(bits, nulls))
        }
        Values::Int64s(values) => {
            length(values.len())?;
            Arc::new(Int64Array::new(values.into(), nulls))
        }
        Values::Float64s(values) => {
            length(values.len())?;
            Arc::new(Float64Array::new(values.into(), nulls))
        }
        Values::Dates(values) => {
            length(values.len())?;
            if values.iter().any(|value| !DAYS.contains(value))
                && let Some(row) = first_bad(&|row| !DAYS.contains(&values[row]))
            {
                return Err(AnswerError::OutOfCalendar {
                    column: name,
                    row,
                    got: values[row].into(),
                });
            }
            Arc::new(Date32Array::new(values.into(), nulls))
        }
        Values::Timestamps(values) => {
            length(values.len())?;
            if values.iter().any(|value| !MICROS.contains(value))
                && let Some(row) = first_bad(&|row| !MICROS.contains(&values[row]))
            {
                return Err(AnswerError::OutOfCalendar { column: name, row, got: values[row] });
            }
            Arc::new(TimestampMicrosecondArray::new(values.into(), nulls).with_timezone("UTC"))
        }
        Values::Texts(text) => {
            let (offsets, bytes) = check_text(text, &name, rows)?;
            let array = StringArray::try_new(offsets, bytes, nulls);
            Arc::new(array.map_err(|_| AnswerError::NotUtf8(name))?)
        }
        Values::Blobs(text) => {
            let (offsets, bytes) = check_text(text, &name, rows)?;
            // Offsets, bytes and validity have been checked: nothing is left to fail.
            Arc::new(
                BinaryArray::try_new(offsets, bytes, nulls)
                    .map_err(|_| AnswerError::NotUtf8(name))?,
            )
        }
    })
}

fn check_text(
    text: Text,
    column: &str,
    rows: usize,
) -> Result<(OffsetBuffer<i32>, Buffer), AnswerError> {
    let Text { offsets, bytes } = text;
    let got = offsets.len().saturating_sub(1);
    if offsets.is_empty() || got != rows {
        return Err(AnswerError::WrongLength { column: column.to_owned(), got, rows });
    }
    let (first, last) = (offsets[0], offsets[rows]);
    if first != 0 || last as usize != bytes.len() || i32::try_from(last).is_err() {
        let bytes = bytes.len();
        return Err(AnswerError::OffsetRange { column: column.to_owned(), first, last, bytes });
    }
    if let Some(row) = offsets.windows(2).position(|pair| pair[1] < pair[0]) {
        let (before, got) = (offsets[row], offsets[row + 1]);
        return Err(AnswerError::OffsetFalls { column: column.to_owned(), row, before, got });
    }
    // They never fall and the last one fits, so the same bits read as signed mean the same.
    let offsets = ScalarBuffer::<i32>::from(Buffer::from_vec(offsets));
    Ok((OffsetBuffer::new(offsets), Buffer::from_vec(bytes)))
}

/// Cuts a text at a limit, between characters. Nothing is kept of what is cut off.
pub(super) fn cut<'a>(text: impl Into<Cow<'a, str>>, max_bytes: usize) -> String {
    let text = text.into();
    if text.len() <= max_bytes {
        return text.into_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(max_bytes)])
}

#[cfg(test)]
mod tests;
