//! What the fuzz target `guest_answers` and its test in CI call: any bytes as what a guest says.

mod made;

use std::collections::BTreeSet;
use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray, StructArray,
};
use arrow::buffer::NullBuffer;
use arrow::compute::cast;
use arrow::datatypes::{
    DataType as ArrowType, Date32Type, Decimal128Type, Field, Float64Type, Int64Type, Schema,
    Time64MicrosecondType, TimestampMicrosecondType,
};

use super::boundary::{
    Column, ColumnSpec, DataType, Dictionary, Manifest, Needs, Output, Secret, Text, Values,
};
use super::kind::{Columns, Kind, Spec};
use super::lift::{Announced, Answer, AnswerError, MAX_CODE_BYTES, MAX_NAME_BYTES, check};
use clickmill_config::Limits;
use clickmill_core::path::Path;
use made::{GIVEN, READ, TYPES, list, output, words, writes};

/// Bytes of a message that are kept.
const MAX_MESSAGE_BYTES: usize = 64;
/// Bytes of the mark of a text that was cut.
const MARK_BYTES: usize = '…'.len_utf8();
/// The most bytes that an error may have, however much the guest has said.
const MAX_ERROR_BYTES: usize = 2 * MAX_NAME_BYTES + 400;

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
    let null: Vec<bool> = (0..rows).map(|_| source.arbitrary()).collect::<Result<_>>()?;
    let batch = batch(&null);
    let record = |path: &Path| {
        let (_, field) = batch.schema_ref().column_with_name(path.first())?;
        Kind::of(field)
    };
    let column = |name: &str, data_type| Spec { path: Path::of(name), data_type, repeated: false };
    let reads = [column(READ, DataType::Text), column(GIVEN, DataType::Record)];
    let multiplies = source.arbitrary()?;
    let writes = writes(source)?;
    // They are announced as a plugin may announce them.
    let columns = |specs| Columns::of(specs, record).map(|(columns, _)| columns);
    let (Ok(reads), Ok(writes)) = (columns(&reads), columns(&writes)) else { return Ok(false) };
    let said = output(source, rows, &writes, multiplies, &null)?;
    let announced = Announced { reads: &reads, writes: &writes, multiplies, wanted: None };
    let limits = Limits { max_message_bytes: MAX_MESSAGE_BYTES, ..Limits::default() };
    let checked = check(said.clone(), &batch, announced, &limits);
    match &checked {
        Ok(answer) => taken(answer, &said, rows, announced),
        Err(error) => refused(error),
    }
    Ok(checked.is_ok())
}

/// A batch of a text, and a record that is null in these rows.
fn batch(null: &[bool]) -> RecordBatch {
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["text"; null.len()]));
    let numbers = null.iter().map(|is_null| (!is_null).then_some(7));
    let numbers: ArrayRef = Arc::new(numbers.collect::<Int64Array>());
    let nulls = NullBuffer::from_iter(null.iter().map(|is_null| !is_null));
    let fields = vec![Field::new("x", ArrowType::Int64, true)];
    let record = StructArray::new(fields.into(), vec![numbers], Some(nulls));
    let fields = vec![
        Field::new(READ, ArrowType::Utf8, true),
        Field::new(GIVEN, record.data_type().clone(), true),
    ];
    let options = RecordBatchOptions::new().with_row_count(Some(null.len()));
    let columns = vec![texts, Arc::new(record) as ArrayRef];
    let batch = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options);
    batch.expect("a batch")
}

fn refused(error: &AnswerError) {
    let told = error.to_string();
    assert!(told.len() <= MAX_ERROR_BYTES, "{} bytes: {told}", told.len());
}

/// What every answer is that was taken.
fn taken(answer: &Answer, said: &Output, rows: usize, announced: Announced<'_>) {
    assert_eq!(answer.columns.len(), announced.writes.all.len());
    assert!(answer.bytes >= said.bytes());
    let came_from = said.came_from.as_deref();
    let made = came_from.map_or(rows, <[u32]>::len);
    if let Some(came_from) = came_from {
        assert!(announced.multiplies && came_from.is_sorted());
        let from: BTreeSet<u32> = came_from.iter().copied().collect();
        assert_eq!(from, (0..rows as u32).collect());
    }
    assert_eq!(answer.came_from.as_ref().map_or(rows, Vec::len), made);
    for (array, node) in answer.columns.iter().zip(&announced.writes.all) {
        let name = &node.name;
        assert_eq!(array.len(), made, "column `{name}`");
        let kind = Kind::of(&node.field_of(array.data_type()));
        if node.named {
            assert_eq!(kind, Some(node.kind()), "column `{name}`");
        }
        // Arrow's own check, down to each offset and character.
        let valid = array.to_data().validate_full();
        assert!(valid.is_ok(), "column `{name}`: {valid:?}");
        let is_it = |column: &Column| column.parent.is_none() && column.name == *name;
        let at = said.columns.iter().position(is_it);
        assert!(at.is_some_and(|at| is_held(array, said, at)), "column `{name}` is another");
    }

    let rejected = answer.rejected.iter().map(|(row, _)| *row);
    let gone: Vec<u32> = rejected.chain(answer.dropped.iter().copied()).collect();
    assert_eq!(gone.len(), said.rejections.len() + said.dropped.len());
    assert!(gone.iter().all(|row| (*row as usize) < made), "{gone:?} of {made} rows");
    assert_eq!(gone.iter().collect::<BTreeSet<_>>().len(), gone.len(), "{gone:?}");
    assert!(answer.rejected.is_sorted_by_key(|(row, _)| *row) && answer.dropped.is_sorted());
    for (row, reason) in &answer.rejected {
        let code = &reason.code;
        let fine = |c: char| matches!(c, 'a'..='z' | '0'..='9' | '_');
        assert!((1..=MAX_CODE_BYTES).contains(&code.len()) && code.chars().all(fine), "{reason:?}");
        assert!(reason.message.len() <= MAX_MESSAGE_BYTES + MARK_BYTES, "{reason:?}");
        let is_known = |column: &String| {
            let path: Path = column.replace("[1]", "").parse().expect("a path");
            [announced.reads, announced.writes].iter().any(|known| known.find(&path).is_some())
        };
        assert!(reason.column.as_ref().is_none_or(is_known), "{reason:?}");
        assert!(said.rejections.iter().any(|said| said.row == *row && said.code == *code));
    }
}

/// Whether an array holds what a guest has said, value by value. What it says of a null is nothing.
fn is_held(array: &ArrayRef, said: &Output, at: usize) -> bool {
    let column = &said.columns[at];
    let elements;
    let array = match &column.offsets {
        None => array,
        Some(offsets) => {
            let list = array.as_list::<i32>();
            if !list.value_offsets().iter().map(|offset| *offset as u32).eq(offsets.iter().copied())
            {
                return false;
            }
            elements = list.values().clone();
            &elements
        }
    };
    let bit = |bits: &Vec<u8>, row: usize| bits[row / 8] >> (row % 8) & 1 == 1;
    let is_valid = |row: usize| column.validity.as_ref().is_none_or(|bits| bit(bits, row));
    if !(0..array.len()).all(|row| array.is_valid(row) == is_valid(row)) {
        return false;
    }
    if let Values::Records = column.values {
        let fields = said.columns.iter().enumerate();
        let mut fields = fields.filter(|(_, field)| field.parent == Some(at as u32));
        return fields.all(|(at, field)| {
            let held = array.as_struct().column_by_name(&field.name);
            held.is_some_and(|held| is_held(held, said, at))
        });
    }
    let is_same = |text: &Text, at: usize, held: &[u8]| {
        let [from, to] = [at, at + 1].map(|at| text.offsets[at] as usize);
        text.bytes[from..to] == *held
    };
    let texts = cast(array, &ArrowType::Utf8);
    let text = |row: usize| match &texts {
        Ok(texts) => texts.as_string::<i32>().value(row).as_bytes(),
        Err(_) => &[],
    };
    (0..array.len()).filter(|row| is_valid(*row)).all(|row| match &column.values {
        Values::Booleans(values) => values[row] == u8::from(array.as_boolean().value(row)),
        Values::Int64s(values) => values[row] == array.as_primitive::<Int64Type>().value(row),
        Values::Float64s(values) => {
            let held = array.as_primitive::<Float64Type>().value(row);
            values[row].to_bits() == held.to_bits()
        }
        Values::Decimals(words) => {
            let held = array.as_primitive::<Decimal128Type>().value(row);
            let [low, high] = [held as u64, (held >> 64) as u64];
            words[2 * row..2 * row + 2] == [low, high]
        }
        Values::Dates(values) => values[row] == array.as_primitive::<Date32Type>().value(row),
        Values::Times(values) => {
            values[row] == array.as_primitive::<Time64MicrosecondType>().value(row)
        }
        Values::Datetimes(values) | Values::Timestamps(values) => {
            values[row] == array.as_primitive::<TimestampMicrosecondType>().value(row)
        }
        Values::Texts(said) => is_same(said, row, text(row)),
        Values::Jsons(said) => {
            let held = text(row);
            is_same(said, row, held) && serde_json::from_slice::<serde_json::Value>(held).is_ok()
        }
        Values::Dictionary(Dictionary { indices, values }) => {
            is_same(values, indices[row] as usize, text(row))
        }
        Values::Blobs(said) => is_same(said, row, array.as_binary::<i32>().value(row)),
        Values::Records => true,
    })
}

/// What a component says of itself, and what it wants.
fn says_of_itself(source: &mut Unstructured) -> Result<bool> {
    let secret = |source: &mut Unstructured<'_>| {
        Ok(Secret { name: words(source)?, min_bytes: source.int_in_range(0..=2000)? })
    };
    let manifest = Manifest {
        name: words(source)?,
        version: words(source)?,
        description: words(source)?,
        config_schema: String::new(),
        secrets: list(source, 40, secret)?,
    };
    let spec = |source: &mut Unstructured<'_>| {
        let (path, data_type) = (words(source)?, *source.choose(&TYPES)?);
        Ok(ColumnSpec { path, data_type, repeated: source.arbitrary()? })
    };
    let needs = Needs {
        reads: list(source, 10_100, spec)?,
        writes: list(source, 10_100, spec)?,
        lookups: list(source, 110, words)?,
        multiplies: source.arbitrary()?,
    };
    let (says, wants) = (manifest.check(), needs.check());
    match &says {
        Ok(()) => {
            let Manifest { name, version, description, secrets, .. } = &manifest;
            for (text, most) in [(name, 64), (version, 32), (description, 512)] {
                assert!(text.chars().count() <= most && !text.contains(char::is_control));
            }
            let fine = |secret: &Secret| secret.name.is_ascii() && secret.min_bytes <= 1024;
            assert!(secrets.len() <= 32 && secrets.iter().all(fine));
        }
        Err(told) => is_fit_to_be_told(told),
    }
    match &wants {
        Ok(()) => {
            assert!(needs.reads.len() <= 10_000 && needs.writes.len() <= 10_000);
            assert!(needs.lookups.len() <= 100);
            for ColumnSpec { path, .. } in needs.reads.iter().chain(&needs.writes) {
                let names: Vec<&str> = path.split('.').collect();
                assert!(names.len() <= 16 && names.iter().all(|name| name.len() <= MAX_NAME_BYTES));
            }
            assert!(needs.lookups.iter().all(|name| name.len() <= MAX_NAME_BYTES));
        }
        Err(told) => is_fit_to_be_told(told),
    }
    Ok(says.is_ok() && wants.is_ok())
}

fn is_fit_to_be_told(told: &str) {
    assert!(told.len() <= 1000 && !told.contains(char::is_control), "{told:?}");
}
