//! Columns with few distinct values: finding those, and writing a column of them.
//!
//! Both ends are the plugin's hot path, and written for a component: there a `memcpy` or `memcmp` of
//! unknown length is a call, while a copy or comparison of known length is an instruction or two.

use clickmill_plugin::{Batch, Column, Dictionary, Fault, Text, Values};

/// The column of that name, which the configuration made sure is there.
pub(crate) fn column<'b>(batch: &'b Batch, name: &str) -> Result<&'b Column, Fault> {
    batch
        .column(name)
        .ok_or_else(|| Fault { message: format!("the host did not pass column `{name}`") })
}

/// The text of a column, which the configuration made sure is text.
pub(crate) fn text(column: &Column) -> Result<&Text, Fault> {
    match &column.values {
        Values::Texts(text) => Ok(text),
        _ => Err(Fault { message: format!("column `{}` is not text", column.name) }),
    }
}

/// Which value each row of a text column holds.
pub(crate) struct Distinct {
    /// Per row 0 where it is null, else n where it holds what row `first[n - 1]` holds.
    pub ids: Vec<u32>,
    /// A row for each value, in order of appearance.
    pub first: Vec<usize>,
    /// No value was found twice.
    pub is_exact: bool,
}

/// How many values may share a hash before a value is taken for a new one without further search. So
/// the cost of a row is bounded whatever the data; a value found twice costs, but is not wrong.
const MAX_PROBES: usize = 8;

/// Finds the distinct values of a text column.
pub(crate) fn distinct(column: &Column, text: &Text) -> Distinct {
    let rows = column.len();
    let mut ids = Vec::with_capacity(rows);
    let mut first: Vec<usize> = Vec::new();
    let mut is_exact = true;
    // An open-addressed table of ids, at most half full; its length is a power of two.
    let mut table = vec![0_u32; 256];
    for row in 0..rows {
        if !column.is_valid(row) {
            ids.push(0);
            continue;
        }
        let value = text.get(row);
        let hash = hash(value);
        let mut slot = 0;
        let mut id = 0;
        for probe in 0..MAX_PROBES {
            slot = slot_of(hash, probe, &table);
            id = table[slot];
            if id == 0 || equal(text.get(first[id as usize - 1]), value) {
                break;
            }
            id = 0;
        }
        if id == 0 {
            first.push(row);
            id = first.len() as u32;
            // Another loses its place.
            is_exact &= table[slot] == 0;
            table[slot] = id;
            if first.len() * 2 > table.len() {
                table = spread(table.len() * 4, &first, text, &mut is_exact);
            }
        }
        ids.push(id);
    }
    Distinct { ids, first, is_exact }
}

/// A larger table of the values found so far.
fn spread(len: usize, first: &[usize], text: &Text, is_exact: &mut bool) -> Vec<u32> {
    let mut table = vec![0_u32; len];
    for (at, row) in first.iter().enumerate() {
        let hash = hash(text.get(*row));
        let free = (0..MAX_PROBES)
            .map(|probe| slot_of(hash, probe, &table))
            .find(|slot| table[*slot] == 0);
        match free {
            Some(slot) => table[slot] = at as u32 + 1,
            None => *is_exact = false,
        }
    }
    table
}

fn slot_of(hash: u32, probe: usize, table: &[u32]) -> usize {
    (hash as usize).wrapping_add(probe) & (table.len() - 1)
}

/// How many rows there are for each value where a column is handed over as a dictionary. With fewer, telling
/// the values apart costs more than writing them out.
const LEAST_ROWS: usize = 16;

/// A column of texts: per row `values[id]`, null where that is `None`. Few values of many rows are a
/// dictionary: then a row is four bytes, and a text is copied and checked once.
pub(crate) fn gather(name: &str, ids: &[u32], values: &[Option<&[u8]>]) -> Result<Column, Fault> {
    if values.len() * LEAST_ROWS <= ids.len()
        && let Some(column) = dictionary(name, ids, values)?
    {
        return Ok(column);
    }
    let sizes: Vec<(u64, bool)> =
        values.iter().map(|value| (value.map_or(0, <[u8]>::len) as u64, value.is_none())).collect();
    let (mut end, mut some_null) = (0, false);
    for id in ids {
        let (size, is_null) = sizes[*id as usize];
        end += size;
        some_null |= is_null;
    }
    if end > u64::from(u32::MAX) {
        return Err(Fault {
            message: format!("column `{name}` would hold {end} bytes, more than a batch can"),
        });
    }
    let len = end as usize;
    let text = match sizes.iter().map(|(size, _)| size).max() {
        Some(0..=16) => copy_padded::<16>(ids, values, len),
        Some(17..=32) => copy_padded::<32>(ids, values, len),
        _ => copy_exact(ids, values, len),
    };
    let validity = some_null.then(|| validity(ids, values)).flatten();
    Ok(Column::new(name, Values::Texts(text), validity))
}

/// The column as a dictionary, unless it takes too long to tell whether its texts are distinct.
fn dictionary(name: &str, ids: &[u32], values: &[Option<&[u8]>]) -> Result<Option<Column>, Fault> {
    let written = |values: &[Option<&[u8]>]| {
        let places: Vec<u32> = (0..values.len() as u32).collect();
        copy_exact(&places, values, 0)
    };
    // Many user agents have one browser, and two codes may have the same name.
    let all = Column::new(name, Values::Texts(written(values)), None);
    let Distinct { ids: numbers, first, is_exact } = distinct(&all, text(&all)?);
    if !is_exact {
        return Ok(None);
    }
    let (indices, texts) = if first.len() == values.len() {
        (ids.to_vec(), text(&all)?.clone())
    } else {
        let places: Vec<u32> = numbers.iter().map(|number| number - 1).collect();
        let first: Vec<Option<&[u8]>> = first.iter().map(|at| values[*at]).collect();
        (ids.iter().map(|id| places[*id as usize]).collect(), written(&first))
    };
    // Mostly no row is null, which the least id tells.
    let least = ids.iter().fold(u32::MAX, |least, id| least.min(*id)) as usize;
    let may_be_null = values.iter().enumerate().any(|(id, value)| id >= least && value.is_none());
    let validity = may_be_null.then(|| validity(ids, values)).flatten();
    let values = Values::Dictionary(Dictionary { indices, values: texts });
    Ok(Some(Column::new(name, values, validity)))
}

/// Copies `N` bytes per row whatever the value's length: what is too much is overwritten by the next.
fn copy_padded<const N: usize>(ids: &[u32], values: &[Option<&[u8]>], len: usize) -> Text {
    let padded = |value: &Option<&[u8]>| {
        let value = value.unwrap_or_default();
        let mut padded = [0_u8; N];
        padded[..value.len()].copy_from_slice(value);
        (padded, value.len())
    };
    let padded: Vec<([u8; N], usize)> = values.iter().map(padded).collect();
    let mut bytes = vec![0; len + N];
    let mut offsets = Vec::with_capacity(ids.len() + 1);
    let mut end = 0;
    offsets.push(0);
    offsets.extend(ids.iter().map(|id| {
        let (value, size) = &padded[*id as usize];
        bytes[end..end + N].copy_from_slice(value);
        end += size;
        end as u32
    }));
    bytes.truncate(len);
    Text { offsets, bytes }
}

fn copy_exact(ids: &[u32], values: &[Option<&[u8]>], len: usize) -> Text {
    let mut bytes = Vec::with_capacity(len);
    let mut offsets = Vec::with_capacity(ids.len() + 1);
    offsets.push(0);
    for id in ids {
        bytes.extend_from_slice(values[*id as usize].unwrap_or_default());
        offsets.push(bytes.len() as u32);
    }
    Text { offsets, bytes }
}

/// A validity bitmap of which these rows are null, absent where there are none.
pub(crate) fn all_but(rows: usize, nulls: &[usize]) -> Option<Vec<u8>> {
    if nulls.is_empty() {
        return None;
    }
    let mut bits = vec![0xff; rows.div_ceil(8)];
    for row in nulls {
        bits[row / 8] &= !(1 << (row % 8));
    }
    if let (Some(last), 1..) = (bits.last_mut(), rows % 8) {
        *last &= (1 << (rows % 8)) - 1;
    }
    Some(bits)
}

/// The bitmap of the rows that hold a value, absent where all do.
fn validity(ids: &[u32], values: &[Option<&[u8]>]) -> Option<Vec<u8>> {
    let valid: Vec<u8> = values.iter().map(|value| u8::from(value.is_some())).collect();
    let mut nulls = false;
    let bits = ids
        .chunks(8)
        .map(|ids| {
            let bits = ids.iter().rev().fold(0, |bits, id| bits << 1 | valid[*id as usize]);
            nulls |= u32::from(bits).count_ones() as usize != ids.len();
            bits
        })
        .collect();
    nulls.then_some(bits)
}

/// A fast hash: [`MAX_PROBES`] makes up for what a hostile sender could do to it.
fn hash(value: &[u8]) -> u32 {
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = value.as_chunks::<8>();
    let (pairs, odd) = words.as_chunks::<2>();
    let (mut a, mut b) = (value.len() as u64, MIX);
    for [left, right] in pairs {
        a = (a ^ u64::from_le_bytes(*left)).wrapping_mul(MIX).rotate_left(23);
        b = (b ^ u64::from_le_bytes(*right)).wrapping_mul(MIX).rotate_left(29);
    }
    for word in odd {
        a = (a ^ u64::from_le_bytes(*word)).wrapping_mul(MIX).rotate_left(23);
    }
    let mixed = (a ^ b.rotate_left(32) ^ tail(value, rest)).wrapping_mul(MIX);
    (mixed >> 32) as u32
}

/// Whether two values are the same.
pub(crate) fn equal(a: &[u8], b: &[u8]) -> bool {
    if a.len() != b.len() {
        return false;
    }
    let (a_words, a_rest) = a.as_chunks::<8>();
    let (b_words, b_rest) = b.as_chunks::<8>();
    // Without a way out on the way: so it is done several words at a time.
    let difference = a_words.iter().zip(b_words).fold(0, |difference, (a, b)| {
        difference | (u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b))
    });
    difference == 0 && tail(a, a_rest) == tail(b, b_rest)
}

/// The bytes `rest` at the end of a value, those before it included where there are any.
fn tail(value: &[u8], rest: &[u8]) -> u64 {
    match value.last_chunk::<8>() {
        Some(last) => u64::from_le_bytes(*last),
        None => rest.iter().fold(0, |tail, byte| tail << 8 | u64::from(*byte)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A sender may choose texts that share a hash, so that the search gives up.
    #[test]
    fn texts_of_a_dictionary_are_distinct_whatever_their_hashes_are() {
        let same = (0..100_000_u32).map(|number| number.to_string());
        let same: Vec<String> = same.filter(|text| hash(text.as_bytes()) & 255 == 7).collect();
        for count in 1..=2 * MAX_PROBES {
            let words = &same[..count];
            // Each twice, as names of codes may be.
            let values = words.iter().chain(words.iter().rev());
            let values: Vec<Option<&[u8]>> = values.map(|word| Some(word.as_bytes())).collect();
            let rows = values.len() * LEAST_ROWS;
            let ids: Vec<u32> = (0..rows).map(|row| (row % values.len()) as u32).collect();
            let column = gather("c", &ids, &values).expect("a column");
            for (row, id) in ids.iter().enumerate() {
                let wanted = values[*id as usize].map(|value| std::str::from_utf8(value).unwrap());
                assert_eq!(column.text(row), wanted, "row {row} of {count} words");
            }
            let Values::Dictionary(Dictionary { values, .. }) = &column.values else {
                assert!(count > MAX_PROBES, "{count} words are found");
                continue;
            };
            let texts = values.offsets.len() - 1;
            let distinct: BTreeSet<&[u8]> = (0..texts).map(|at| values.get(at)).collect();
            assert_eq!((distinct.len(), texts), (count, count));
        }
    }
}
