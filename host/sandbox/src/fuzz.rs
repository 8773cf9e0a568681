//! What the fuzz target `guest_answers` and its test in CI call: any bytes as what a guest says.

use std::collections::BTreeSet;

use arbitrary::{Result, Unstructured};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};

use super::boundary::{
    Column, ColumnSpec, DataType, Manifest, Needs, Output, Rejection, Text, Values,
};
use super::lift::{Announced, Answer, AnswerError, MAX_CODE_BYTES, MAX_NAME_BYTES, check};
use super::manifest::Answers;

/// Bytes of a message that are kept.
const MAX_MESSAGE_BYTES: usize = 64;
/// Bytes of the mark of a text that was cut.
const MARK_BYTES: usize = '…'.len_utf8();
/// The most bytes that an error may have, however much the guest has said.
const MAX_ERROR_BYTES: usize = 2 * MAX_NAME_BYTES + 400;

const TYPES: [DataType; 7] = [
    DataType::Boolean,
    DataType::Int64,
    DataType::Float64,
    DataType::Date,
    DataType::Timestamp,
    DataType::Text,
    DataType::Blob,
];
/// Columns that may be written.
const WRITTEN: [&str; 3] = ["a", "b", "c"];
/// The column that is read.
const READ: &str = "read";

/// Makes of the bytes what a guest answers for a batch, or what it says of itself, much of it nearly right,
/// and checks it as the host does. Whether the host takes it.
///
/// # Panics
///
/// Where the host takes an answer that is not what was announced, or holds others than the values that the
/// guest gave; where what is told of it has no bound; and where checking panics.
pub fn guest_answer(bytes: &[u8]) -> bool {
    let mut source = Unstructured::new(bytes);
    // Bytes that are used up read as zeros, so there is always something to check.
    let checked = match source.int_in_range(0..=7) {
        Ok(0) => says_of_itself(&mut source),
        _ => answers(&mut source),
    };
    assert!(checked.is_ok(), "{checked:?}");
    checked.unwrap_or_default()
}

fn answers(source: &mut Unstructured) -> Result<bool> {
    let rows = source.int_in_range(0..=9)?;
    let reads = [(READ.to_owned(), DataType::Text)];
    let mut writes = Vec::new();
    for name in &WRITTEN[..source.int_in_range(0..=WRITTEN.len())?] {
        writes.push(((*name).to_owned(), *source.choose(&TYPES)?));
    }
    let said = output(source, rows, &writes)?;
    let announced = Announced { reads: &reads, writes: &writes };
    let checked = check(said.clone(), rows, announced, MAX_MESSAGE_BYTES);
    match &checked {
        Ok(answer) => taken(answer, &said, rows, announced),
        Err(error) => refused(error),
    }
    Ok(checked.is_ok())
}

fn refused(error: &AnswerError) {
    let told = error.to_string();
    assert!(told.len() <= MAX_ERROR_BYTES, "{} bytes: {told}", told.len());
}

/// What every answer is that was taken.
fn taken(answer: &Answer, said: &Output, rows: usize, announced: Announced<'_>) {
    assert_eq!(answer.columns.len(), announced.writes.len());
    assert_eq!(answer.bytes, said.bytes());
    for (array, (name, data_type)) in answer.columns.iter().zip(announced.writes) {
        assert_eq!(array.len(), rows, "column `{name}`");
        assert_eq!(array.data_type(), &data_type.arrow(), "column `{name}`");
        // Arrow's own check, down to each offset and character.
        let valid = array.to_data().validate_full();
        assert!(valid.is_ok(), "column `{name}`: {valid:?}");
        let column = said.columns.iter().find(|column| column.name == *name);
        assert!(column.is_some_and(|column| is_held(array, column)), "column `{name}` is another");
    }

    let rejected = answer.rejected.iter().map(|(row, _)| *row);
    let gone: Vec<u32> = rejected.chain(answer.dropped.iter().copied()).collect();
    assert_eq!(gone.len(), said.rejections.len() + said.dropped.len());
    assert!(gone.iter().all(|row| (*row as usize) < rows), "{gone:?} of {rows} rows");
    assert_eq!(gone.iter().collect::<BTreeSet<_>>().len(), gone.len(), "{gone:?}");
    assert!(answer.rejected.is_sorted_by_key(|(row, _)| *row) && answer.dropped.is_sorted());
    for (row, reason) in &answer.rejected {
        let code = &reason.code;
        let fine = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_');
        assert!((1..=MAX_CODE_BYTES).contains(&code.len()) && code.chars().all(fine), "{reason:?}");
        assert!(reason.message.len() <= MAX_MESSAGE_BYTES + MARK_BYTES, "{reason:?}");
        let mut columns = announced.reads.iter().chain(announced.writes).map(|(name, _)| name);
        let column = reason.column.as_ref();
        assert!(column.is_none_or(|column| columns.any(|name| name == column)), "{reason:?}");
        assert!(said.rejections.iter().any(|said| said.row == *row && said.code == *code));
    }
}

/// Whether an array holds what a guest has said, row by row. What it says of a null row is nothing.
fn is_held(array: &dyn Array, column: &Column) -> bool {
    let bit = |bits: &Vec<u8>, row: usize| bits[row / 8] >> (row % 8) & 1 == 1;
    (0..array.len()).all(|row| {
        let is_valid = column.validity.as_ref().is_none_or(|bits| bit(bits, row));
        let is_same = |text: &Text, held: &[u8]| {
            let [from, to] = [row, row + 1].map(|at| text.offsets[at] as usize);
            text.bytes[from..to] == *held
        };
        array.is_valid(row) == is_valid
            && (!is_valid
                || match &column.values {
                    Values::Booleans(values) => {
                        values[row] == u8::from(array.as_boolean().value(row))
                    }
                    Values::Int64s(values) => {
                        values[row] == array.as_primitive::<Int64Type>().value(row)
                    }
                    Values::Float64s(values) => {
                        let held = array.as_primitive::<Float64Type>().value(row);
                        values[row].to_bits() == held.to_bits()
                    }
                    Values::Dates(values) => {
                        values[row] == array.as_primitive::<Date32Type>().value(row)
                    }
                    Values::Timestamps(values) => {
                        let held = array.as_primitive::<TimestampMicrosecondType>().value(row);
                        values[row] == held
                    }
                    Values::Texts(text) => {
                        is_same(text, array.as_string::<i32>().value(row).as_bytes())
                    }
                    Values::Blobs(text) => is_same(text, array.as_binary::<i32>().value(row)),
                })
    })
}

/// What a component says of itself, and what it wants.
fn says_of_itself(source: &mut Unstructured) -> Result<bool> {
    let manifest = Manifest {
        name: words(source)?,
        version: words(source)?,
        description: words(source)?,
        config_schema: String::new(),
        secrets: list(source, 40, words)?,
    };
    let spec = |source: &mut Unstructured<'_>| {
        Ok(ColumnSpec { name: words(source)?, data_type: *source.choose(&TYPES)? })
    };
    let needs = Needs {
        reads: list(source, 1100, spec)?,
        writes: list(source, 1100, spec)?,
        lookups: list(source, 110, words)?,
    };
    let (says, wants) = (manifest.check(), needs.check());
    match &says {
        Ok(()) => {
            let Manifest { name, version, description, secrets, .. } = &manifest;
            for (text, most) in [(name, 64), (version, 32), (description, 512)] {
                assert!(text.chars().count() <= most && !text.contains(char::is_control));
            }
            assert!(secrets.len() <= 32 && secrets.iter().all(|name| name.is_ascii()));
        }
        Err(told) => is_fit_to_be_told(told),
    }
    match &wants {
        Ok(()) => {
            assert!(needs.reads.len() <= 1000 && needs.writes.len() <= 1000);
            assert!(needs.lookups.len() <= 100);
            let columns = needs.reads.iter().chain(&needs.writes).map(|column| &column.name);
            assert!(columns.chain(&needs.lookups).all(|name| name.len() <= MAX_NAME_BYTES));
        }
        Err(told) => is_fit_to_be_told(told),
    }
    Ok(says.is_ok() && wants.is_ok())
}

fn is_fit_to_be_told(told: &str) {
    assert!(told.len() <= 1000 && !told.contains(char::is_control), "{told:?}");
}

fn output(source: &mut Unstructured, rows: usize, writes: &[(String, DataType)]) -> Result<Output> {
    let mut columns = Vec::new();
    for (name, data_type) in writes {
        if !is_odd(source)? {
            columns.push(column(source, rows, name.clone(), *data_type)?);
        }
    }
    if is_odd(source)? {
        let (name, data_type) = (name(source)?, *source.choose(&TYPES)?);
        columns.push(column(source, rows, name, data_type)?);
    }
    if is_odd(source)? {
        columns.reverse();
    }
    let row = |source: &mut Unstructured<'_>| -> Result<u32> {
        if is_odd(source)? { source.arbitrary() } else { source.int_in_range(0..=rows as u32) }
    };
    let rejection = |source: &mut Unstructured<'_>| {
        Ok(Rejection {
            row: row(source)?,
            code: if is_odd(source)? { words(source)? } else { "out_of_range".to_owned() },
            message: words(source)?,
            column: if source.arbitrary()? { Some(name(source)?) } else { None },
        })
    };
    Ok(Output { columns, rejections: list(source, 4, rejection)?, dropped: list(source, 4, row)? })
}

fn column(
    source: &mut Unstructured,
    rows: usize,
    name: String,
    announced: DataType,
) -> Result<Column> {
    let data_type = if is_odd(source)? { *source.choose(&TYPES)? } else { announced };
    let values = match data_type {
        DataType::Boolean => Values::Booleans(values(source, rows, 0..=1)?),
        DataType::Int64 => Values::Int64s(values(source, rows, i64::MIN..=i64::MAX)?),
        DataType::Float64 => {
            let bits = values(source, rows, u64::MIN..=u64::MAX)?;
            Values::Float64s(bits.into_iter().map(f64::from_bits).collect())
        }
        // A little more than the years 1 to 9999.
        DataType::Date => Values::Dates(values(source, rows, -719_200..=2_932_950)?),
        DataType::Timestamp => {
            let range = -62_135_600_000_000_000..=253_402_310_000_000_000;
            Values::Timestamps(values(source, rows, range)?)
        }
        DataType::Text => Values::Texts(text(source, rows)?),
        DataType::Blob => Values::Blobs(text(source, rows)?),
    };
    let mut validity = None;
    if source.arbitrary()? {
        let bytes = length(source, rows.div_ceil(8))?;
        validity = Some((0..bytes).map(|_| source.arbitrary()).collect::<Result<_>>()?);
    }
    Ok(Column { name, values, validity })
}

/// As many values as there are rows, or nearly; within a range, or any.
fn values<T>(
    source: &mut Unstructured,
    rows: usize,
    range: std::ops::RangeInclusive<T>,
) -> Result<Vec<T>>
where
    T: arbitrary::unstructured::Int + for<'a> arbitrary::Arbitrary<'a>,
{
    let mut values = Vec::new();
    for _ in 0..length(source, rows)? {
        let value =
            if is_odd(source)? { source.arbitrary() } else { source.int_in_range(range.clone()) };
        values.push(value?);
    }
    Ok(values)
}

fn text(source: &mut Unstructured, rows: usize) -> Result<Text> {
    const PIECES: [&[u8]; 6] = [b"", b"a", b"2026-11-25", "ä".as_bytes(), "🦀".as_bytes(), b"\xff"];
    let (mut offsets, mut bytes) = (vec![0], Vec::new());
    for _ in 0..length(source, rows)? {
        let most = if is_odd(source)? { PIECES.len() } else { PIECES.len() - 1 };
        bytes.extend_from_slice(PIECES[..most][source.choose_index(most)?]);
        offsets.push(bytes.len() as u32);
    }
    if is_odd(source)? {
        let at = source.choose_index(offsets.len())?;
        offsets[at] =
            if source.arbitrary()? { source.arbitrary()? } else { source.int_in_range(0..=9)? };
    }
    if is_odd(source)? {
        offsets.remove(0);
    }
    if is_odd(source)? {
        bytes.push(source.arbitrary()?);
    }
    Ok(Text { offsets, bytes })
}

/// The name of a column: mostly one that there is.
fn name(source: &mut Unstructured) -> Result<String> {
    const NAMES: [&str; 6] = ["a", "b", "c", READ, "", "A"];
    if is_odd(source)? { words(source) } else { Ok((*source.choose(&NAMES)?).to_owned()) }
}

/// A text, at times a long one.
fn words(source: &mut Unstructured) -> Result<String> {
    const WORDS: [&str; 5] = ["a", "key_2", "ä", "`", "🦀"];
    const HOSTILE: [&str; 4] = ["\u{1b}[2J", "\u{202e}", "\n", "\0"];
    let times = if is_odd(source)? { source.int_in_range(0..=1000)? } else { 1 };
    let word = match (is_odd(source)?, source.arbitrary()?) {
        (false, _) => *source.choose(&WORDS)?,
        (true, false) => *source.choose(&HOSTILE)?,
        (true, true) => source.arbitrary()?,
    };
    Ok(word.repeat(times))
}

fn list<'a, T>(
    source: &mut Unstructured<'a>,
    most: usize,
    mut item: impl FnMut(&mut Unstructured<'a>) -> Result<T>,
) -> Result<Vec<T>> {
    let items = if is_odd(source)? {
        source.int_in_range(0..=most)?
    } else {
        source.int_in_range(0..=2)?
    };
    (0..items).map(|_| item(source)).collect()
}

/// Mostly as many as wanted.
fn length(source: &mut Unstructured, wanted: usize) -> Result<usize> {
    if is_odd(source)? { source.int_in_range(0..=wanted + 8) } else { Ok(wanted) }
}

/// Once in sixteen times, and never once the bytes are used up.
fn is_odd(source: &mut Unstructured) -> Result<bool> {
    Ok(source.int_in_range(0..=15_u8)? == 15)
}
