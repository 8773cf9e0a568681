//! What a guest might answer, made of any bytes: much of it nearly right.

use arbitrary::{Result, Unstructured};

use crate::boundary::{Column, DataType, Dictionary, Output, Rejection, Text, Values};
use crate::kind::{Columns, Node, Spec};
use clickmill_core::path::Path;

pub(super) const TYPES: [DataType; 12] = [
    DataType::Boolean,
    DataType::Int64,
    DataType::Float64,
    DataType::Decimal,
    DataType::Date,
    DataType::Time,
    DataType::Datetime,
    DataType::Timestamp,
    DataType::Text,
    DataType::Json,
    DataType::Blob,
    DataType::Record,
];
/// The columns that are read.
pub(super) const READ: &str = "read";
pub(super) const GIVEN: &str = "given";

/// What a plugin announces that it writes, besides a field of the record that it is given.
pub(super) fn writes(source: &mut Unstructured) -> Result<Vec<Spec>> {
    let mut specs = Vec::new();
    for name in &["a", "b", "c"][..source.int_in_range(0..=3)?] {
        spec(source, Path::of(name), &mut specs)?;
    }
    if source.arbitrary()? {
        let path = Path::of(GIVEN).field("z");
        let (data_type, repeated) = (DataType::Int64, source.arbitrary()?);
        specs.push(Spec { path, data_type, repeated });
    }
    Ok(specs)
}

fn spec(source: &mut Unstructured, path: Path, specs: &mut Vec<Spec>) -> Result<()> {
    let types = if path.names().len() > 3 { TYPES.len() - 1 } else { TYPES.len() };
    let data_type = TYPES[source.choose_index(types)?];
    specs.push(Spec { path: path.clone(), data_type, repeated: source.ratio(1_u8, 4)? });
    if data_type == DataType::Record {
        for name in &["x", "y"][..source.int_in_range(1..=2)?] {
            spec(source, path.field(name), specs)?;
        }
    }
    Ok(())
}

/// An answer for so many rows. `given` says where the record that is given is null.
pub(super) fn output(
    source: &mut Unstructured,
    rows: usize,
    writes: &Columns,
    multiplies: bool,
    given: &[bool],
) -> Result<Output> {
    let mut came_from = None;
    if multiplies && source.arbitrary()? {
        let mut from = Vec::new();
        for row in 0..rows as u32 {
            from.extend(vec![row; source.int_in_range(1..=3)?]);
        }
        if is_odd(source)? && !from.is_empty() {
            let at = source.choose_index(from.len())?;
            from[at] = source.arbitrary()?;
        }
        came_from = Some(from);
    } else if is_odd(source)? {
        came_from = Some((0..rows as u32).collect());
    }
    let null: Vec<bool> = match &came_from {
        Some(from) => from.iter().map(|row| *given.get(*row as usize).unwrap_or(&false)).collect(),
        None => given.to_vec(),
    };
    let rows = null.len();
    let mut columns = Vec::new();
    for node in &writes.all {
        if !is_odd(source)? {
            let given = (!node.named).then_some(&*null);
            column(source, node, None, &vec![false; rows], given, &mut columns)?;
        }
    }
    if is_odd(source)? {
        let (data_type, repeated) = (*source.choose(&TYPES)?, source.arbitrary()?);
        let (name, fields) = (name(source)?, Columns::default());
        let node = Node { name, data_type, repeated, named: true, fields };
        let parent = if source.arbitrary()? { Some(source.int_in_range(0..=9)?) } else { None };
        column(source, &node, parent, &vec![false; rows], None, &mut columns)?;
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
    let (rejections, dropped) = (list(source, 4, rejection)?, list(source, 4, row)?);
    Ok(Output { came_from, columns, rejections, dropped })
}

/// Adds a column with all below it. `outer` says for each of its values, or lists, whether the record that
/// it is of is null.
fn column(
    source: &mut Unstructured,
    node: &Node,
    parent: Option<u32>,
    outer: &[bool],
    given: Option<&[bool]>,
    columns: &mut Vec<Column>,
) -> Result<()> {
    let data_type = if is_odd(source)? { *source.choose(&TYPES)? } else { node.data_type };
    let mut offsets = None;
    let mut null = vec![false; outer.len()];
    if node.repeated != is_odd(source)? {
        let (mut ends, mut end) = (vec![0], 0);
        for is_null in outer {
            end += if *is_null { 0 } else { source.int_in_range(0..=2)? };
            ends.push(end);
        }
        if is_odd(source)? {
            let at = source.choose_index(ends.len())?;
            ends[at] = source.int_in_range(0..=9)?;
        }
        null = vec![false; end as usize];
        offsets = Some(ends);
    } else if let Some(given) = given {
        null = given.to_vec();
    } else if source.arbitrary()? {
        for (null, outer) in null.iter_mut().zip(outer) {
            *null = *outer || source.arbitrary()?;
        }
    } else if outer.contains(&true) {
        null = outer.to_vec();
    }
    let mut validity = null.contains(&true).then(|| bits(&null));
    if is_odd(source)? {
        let bytes = length(source, null.len().div_ceil(8))?;
        validity = Some((0..bytes).map(|_| source.arbitrary()).collect::<Result<_>>()?);
    }
    let values = values_of(source, data_type, null.len())?;
    let at = columns.len() as u32;
    columns.push(Column { name: node.name.clone(), parent, offsets, values, validity });
    for field in &node.fields.all {
        if !is_odd(source)? {
            column(source, field, Some(at), &null, None, columns)?;
        }
    }
    Ok(())
}

fn bits(null: &[bool]) -> Vec<u8> {
    let byte =
        |bits: &[bool]| bits.iter().enumerate().map(|(at, is_null)| u8::from(!is_null) << at).sum();
    null.chunks(8).map(byte).collect()
}

fn values_of(source: &mut Unstructured, data_type: DataType, rows: usize) -> Result<Values> {
    let micros = -62_135_600_000_000_000..=253_402_310_000_000_000_i64;
    Ok(match data_type {
        DataType::Boolean => Values::Booleans(values(source, rows, 0..=1)?),
        DataType::Int64 => Values::Int64s(values(source, rows, i64::MIN..=i64::MAX)?),
        DataType::Float64 => {
            let bits = values(source, rows, u64::MIN..=u64::MAX)?;
            Values::Float64s(bits.into_iter().map(f64::from_bits).collect())
        }
        DataType::Decimal => {
            // The high word of the largest, and a little more.
            let low: Vec<u64> = values(source, rows, u64::MIN..=u64::MAX)?;
            let high: Vec<i64> =
                values(source, rows, -0x4b3b_4ca8_5a86_c500..=0x4b3b_4ca8_5a86_c500)?;
            let words = low.into_iter().zip(high);
            Values::Decimals(words.flat_map(|(low, high)| [low, high.cast_unsigned()]).collect())
        }
        // A little more than the years 1 to 9999.
        DataType::Date => Values::Dates(values(source, rows, -719_200..=2_932_950)?),
        DataType::Time => Values::Times(values(source, rows, 0..=86_399_999_999)?),
        DataType::Datetime => Values::Datetimes(values(source, rows, micros)?),
        DataType::Timestamp => Values::Timestamps(values(source, rows, micros)?),
        DataType::Text if source.ratio(1_u8, 4)? => {
            let texts = source.int_in_range(1..=4)?;
            let indices = values(source, rows, 0..=texts as u32 - 1)?;
            Values::Dictionary(Dictionary { indices, values: text(source, texts, &PIECES)? })
        }
        DataType::Text => Values::Texts(text(source, rows, &PIECES)?),
        DataType::Json => Values::Jsons(text(source, rows, &JSONS)?),
        DataType::Blob => Values::Blobs(text(source, rows, &PIECES)?),
        DataType::Record => Values::Records,
    })
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

const PIECES: [&[u8]; 6] = [b"", b"a", b"2026-11-25", "ä".as_bytes(), "🦀".as_bytes(), b"\xff"];
const JSONS: [&[u8]; 6] = [b"1", b"{\"a\": [1]}", b"null", "\"ä\"".as_bytes(), b"[]", b"[1"];

/// Texts of these, the last one of which is none.
fn text(source: &mut Unstructured, rows: usize, pieces: &[&[u8]]) -> Result<Text> {
    let (mut offsets, mut bytes) = (vec![0], Vec::new());
    for _ in 0..length(source, rows)? {
        let most = if is_odd(source)? { pieces.len() } else { pieces.len() - 1 };
        bytes.extend_from_slice(pieces[..most][source.choose_index(most)?]);
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
    const NAMES: [&str; 9] = ["a", "b", "c", READ, "a[1].x", "given.z", "x", "", "A"];
    if is_odd(source)? { words(source) } else { Ok((*source.choose(&NAMES)?).to_owned()) }
}

/// A text, at times a long one.
pub(super) fn words(source: &mut Unstructured) -> Result<String> {
    const WORDS: [&str; 5] = ["a", "key_2", "ä", "`", "🦀"];
    const HOSTILE: [&str; 5] = ["\u{1b}[2J", "\u{202e}", "\n", "\0", "a."];
    let times = if is_odd(source)? { source.int_in_range(0..=1000)? } else { 1 };
    let word = match (is_odd(source)?, source.arbitrary()?) {
        (false, _) => *source.choose(&WORDS)?,
        (true, false) => *source.choose(&HOSTILE)?,
        (true, true) => source.arbitrary()?,
    };
    Ok(word.repeat(times))
}

pub(super) fn list<'a, T>(
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
