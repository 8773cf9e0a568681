//! The values of one column, checked.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
    StringArray, Time64MicrosecondArray, TimestampMicrosecondArray,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use serde::de::IgnoredAny;

use super::error::AnswerError;
use crate::boundary::{Dictionary, Text, Values};
use crate::dictionary::returned;
use crate::kind::{DIGITS, DIGITS_AFTER_POINT};

/// Days and microseconds of the years 1 to 9999, which is what BigQuery holds.
const DAYS: std::ops::RangeInclusive<i32> = -719_162..=2_932_896;
const MICROS: std::ops::RangeInclusive<i64> = -62_135_596_800_000_000..=253_402_300_799_999_999;
/// Microseconds of a day.
const OF_DAY: std::ops::RangeInclusive<i64> = 0..=86_399_999_999;
/// The largest number of 38 digits.
const MAX_DECIMAL: u128 = 10_u128.pow(DIGITS as u32) - 1;

/// A column of which the values are checked.
pub(super) struct Checked<'a> {
    /// Its path.
    pub column: &'a str,
    /// How many values there must be, and of what there are so many.
    pub wanted: usize,
    pub of: &'static str,
    pub nulls: Option<NullBuffer>,
}

impl Checked<'_> {
    fn length(&self, got: usize) -> Result<(), AnswerError> {
        if got == self.wanted {
            return Ok(());
        }
        let (column, wanted, of) = (self.column.to_owned(), self.wanted, self.of);
        Err(AnswerError::WrongLength { column, got, wanted, of })
    }

    fn is_null(&self, row: usize) -> bool {
        self.nulls.as_ref().is_some_and(|nulls| nulls.is_null(row))
    }

    /// The first value that is bad. A null holds any value: only the others are looked at, and only where
    /// any is bad.
    fn first_bad<T>(&self, values: &[T], is_bad: impl Fn(&T) -> bool) -> Option<usize> {
        if !values.iter().any(&is_bad) {
            return None;
        }
        (0..values.len()).find(|row| is_bad(&values[*row]) && !self.is_null(*row))
    }

    fn in_calendar(&self, values: &[i64]) -> Result<(), AnswerError> {
        match self.first_bad(values, |value| !MICROS.contains(value)) {
            None => Ok(()),
            Some(row) => {
                let (column, got) = (self.column.to_owned(), values[row]);
                Err(AnswerError::OutOfCalendar { column, row, got })
            }
        }
    }

    /// The array of these values, and how many bytes more they would be as plain texts. Records have none.
    pub(super) fn array(self, values: Values) -> Result<(ArrayRef, usize), AnswerError> {
        let column = || self.column.to_owned();
        let array: ArrayRef = match values {
            Values::Booleans(values) => {
                self.length(values.len())?;
                if let Some(row) = self.first_bad(&values, |value| *value > 1) {
                    let (column, got) = (column(), values[row]);
                    return Err(AnswerError::NotABoolean { column, row, got });
                }
                let bits = BooleanBuffer::from_iter(values.iter().map(|value| *value == 1));
                Arc::new(BooleanArray::new(bits, self.nulls))
            }
            Values::Int64s(values) => {
                self.length(values.len())?;
                Arc::new(Int64Array::new(values.into(), self.nulls))
            }
            Values::Float64s(values) => {
                self.length(values.len())?;
                Arc::new(Float64Array::new(values.into(), self.nulls))
            }
            Values::Decimals(words) => self.decimals(&words)?,
            Values::Dates(values) => {
                self.length(values.len())?;
                if let Some(row) = self.first_bad(&values, |value| !DAYS.contains(value)) {
                    let (column, got) = (column(), values[row].into());
                    return Err(AnswerError::OutOfCalendar { column, row, got });
                }
                Arc::new(Date32Array::new(values.into(), self.nulls))
            }
            Values::Times(values) => {
                self.length(values.len())?;
                if let Some(row) = self.first_bad(&values, |value| !OF_DAY.contains(value)) {
                    let (column, got) = (column(), values[row]);
                    return Err(AnswerError::OutOfDay { column, row, got });
                }
                Arc::new(Time64MicrosecondArray::new(values.into(), self.nulls))
            }
            Values::Datetimes(values) => {
                self.length(values.len())?;
                self.in_calendar(&values)?;
                Arc::new(TimestampMicrosecondArray::new(values.into(), self.nulls))
            }
            Values::Timestamps(values) => {
                self.length(values.len())?;
                self.in_calendar(&values)?;
                let array = TimestampMicrosecondArray::new(values.into(), self.nulls);
                Arc::new(array.with_timezone("UTC"))
            }
            Values::Texts(text) => {
                let (offsets, bytes) = check_text(text, self.column, self.wanted, self.of)?;
                let array = StringArray::try_new(offsets, bytes, self.nulls);
                Arc::new(array.map_err(|_| AnswerError::NotUtf8(self.column.to_owned()))?)
            }
            Values::Dictionary(dictionary) => return self.dictionary(dictionary),
            Values::Jsons(text) => self.jsons(text)?,
            Values::Blobs(text) => {
                let (offsets, bytes) = check_text(text, self.column, self.wanted, self.of)?;
                // Offsets, bytes and validity have been checked: nothing is left to fail.
                let array = BinaryArray::try_new(offsets, bytes, self.nulls);
                Arc::new(array.map_err(|_| AnswerError::NotUtf8(self.column.to_owned()))?)
            }
            Values::Records => {
                let (got, announced) = ("record".to_owned(), "values".to_owned());
                return Err(AnswerError::WrongType { column: column(), got, announced });
            }
        };
        Ok((array, 0))
    }

    fn decimals(self, words: &[u64]) -> Result<ArrayRef, AnswerError> {
        let (pairs, rest) = words.as_chunks::<2>();
        if pairs.len() != self.wanted || !rest.is_empty() {
            let (column, got) = (self.column.to_owned(), words.len());
            let (wanted, of) = (self.wanted, self.of);
            return Err(AnswerError::WrongWords { column, got, wanted, of });
        }
        let number =
            |[low, high]: &[u64; 2]| (u128::from(*high) << 64 | u128::from(*low)).cast_signed();
        let mut numbers: Vec<i128> = pairs.iter().map(number).collect();
        let is_bad = |number: &i128| number.unsigned_abs() > MAX_DECIMAL;
        if let Some(row) = self.first_bad(&numbers, is_bad) {
            return Err(AnswerError::TooManyDigits { column: self.column.to_owned(), row });
        }
        // What others make of a null depends on no digit that is too many.
        numbers.iter_mut().filter(|number| is_bad(number)).for_each(|number| *number = 0);
        let array = Decimal128Array::new(numbers.into(), self.nulls);
        let array = array.with_precision_and_scale(DIGITS, DIGITS_AFTER_POINT);
        Ok(Arc::new(array.expect("a decimal has 38 digits, 9 of them after the point")))
    }

    fn jsons(self, text: Text) -> Result<ArrayRef, AnswerError> {
        let (offsets, bytes) = check_text(text, self.column, self.wanted, self.of)?;
        let array = StringArray::try_new(offsets, bytes, self.nulls.clone());
        let array = array.map_err(|_| AnswerError::NotUtf8(self.column.to_owned()))?;
        let is_json = |text: &str| serde_json::from_str::<IgnoredAny>(text).is_ok();
        match (0..self.wanted).find(|row| !self.is_null(*row) && !is_json(array.value(*row))) {
            None => Ok(Arc::new(array)),
            Some(row) => Err(AnswerError::NotJson { column: self.column.to_owned(), row }),
        }
    }

    fn dictionary(self, dictionary: Dictionary) -> Result<(ArrayRef, usize), AnswerError> {
        let Dictionary { mut indices, values: texts } = dictionary;
        self.length(indices.len())?;
        let values = texts.offsets.len().saturating_sub(1);
        let (offsets, bytes) = check_text(texts, self.column, values, "texts")?;
        let texts = StringArray::try_new(offsets, bytes, None);
        let texts = texts.map_err(|_| AnswerError::NotUtf8(self.column.to_owned()))?;
        let is_bad = |index: &u32| *index as usize >= values;
        if let Some(row) = self.first_bad(&indices, is_bad) {
            let (column, got) = (self.column.to_owned(), indices[row]);
            return Err(AnswerError::NotInDictionary { column, row, got, values });
        }
        // Where it is null nobody looks up what is not there.
        indices.iter_mut().filter(|index| is_bad(index)).for_each(|index| *index = 0);
        let bytes = |index: &u32| {
            let at = *index as usize;
            if at < values { texts.value_length(at) as usize } else { 0 }
        };
        let written_out = indices.iter().map(bytes).fold(0, usize::saturating_add);
        Ok((returned(indices, self.nulls, texts), written_out))
    }
}

/// The offsets and the bytes of so many texts.
fn check_text(
    text: Text,
    column: &str,
    wanted: usize,
    of: &'static str,
) -> Result<(OffsetBuffer<i32>, Buffer), AnswerError> {
    let Text { offsets, bytes } = text;
    let got = offsets.len().saturating_sub(1);
    if offsets.is_empty() || got != wanted {
        return Err(AnswerError::WrongLength { column: column.to_owned(), got, wanted, of });
    }
    let (first, last) = (offsets[0], offsets[wanted]);
    if first != 0 || last as usize != bytes.len() || i32::try_from(last).is_err() {
        let bytes = bytes.len();
        return Err(AnswerError::OffsetRange { column: column.to_owned(), first, last, bytes });
    }
    if let Some(row) = offsets.windows(2).position(|pair| pair[1] < pair[0]) {
        let (before, got) = (offsets[row], offsets[row + 1]);
        return Err(AnswerError::OffsetFalls { column: column.to_owned(), row, before, got });
    }
    Ok((signed(offsets), Buffer::from_vec(bytes)))
}

/// The offsets of lists for so many rows or records, and how many elements there are in all.
pub(super) fn check_lists(
    offsets: Vec<u32>,
    column: &str,
    wanted: usize,
    of: &'static str,
) -> Result<(OffsetBuffer<i32>, usize), AnswerError> {
    let got = offsets.len().saturating_sub(1);
    if offsets.is_empty() || got != wanted {
        return Err(AnswerError::WrongLists { column: column.to_owned(), got, wanted, of });
    }
    let (first, last) = (offsets[0], offsets[wanted]);
    if first != 0 || i32::try_from(last).is_err() {
        return Err(AnswerError::ListRange { column: column.to_owned(), first, last });
    }
    if let Some(list) = offsets.windows(2).position(|pair| pair[1] < pair[0]) {
        let (before, got) = (offsets[list], offsets[list + 1]);
        return Err(AnswerError::ListFalls { column: column.to_owned(), list, before, got });
    }
    Ok((signed(offsets), last as usize))
}

/// Offsets never fall and the last one fits, so the same bits read as signed mean the same.
fn signed(offsets: Vec<u32>) -> OffsetBuffer<i32> {
    OffsetBuffer::new(ScalarBuffer::<i32>::from(Buffer::from_vec(offsets)))
}
