//! Texts of which many are alike. No guest is given a dictionary in which two texts are equal, whoever made it and
//! whatever became of it on the way.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, Int32Array, StringArray, UInt32Array,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::take;
use arrow::datatypes::{Int32Type, UInt32Type};
use arrow::error::ArrowError;

/// The keys of a dictionary whose texts are known to be distinct: it is given to guests as it is.
type Distinct = UInt32Type;
/// The keys of one whose texts may be equal: they are looked through when a guest is given it, and only then.
type Shared = Int32Type;

/// What a guest returned: for each value the number of a text, none where it is null.
pub(super) fn returned(
    mut indices: Vec<u32>,
    nulls: Option<NullBuffer>,
    texts: StringArray,
) -> ArrayRef {
    const CHECKED: &str = "each index that counts is that of a text";
    if texts.len() > indices.len() {
        // It is no use to a guest, and looking through it costs more than the values do.
        let keys = indices.into_iter().map(u32::cast_signed).collect::<Vec<_>>();
        let keys = Int32Array::new(keys.into(), nulls);
        return Arc::new(DictionaryArray::<Shared>::try_new(keys, Arc::new(texts)).expect(CHECKED));
    }
    let texts = distinct(&mut indices, &texts).unwrap_or(texts);
    let keys = UInt32Array::new(indices.into(), nulls);
    Arc::new(DictionaryArray::<Distinct>::try_new(keys, Arc::new(texts)).expect(CHECKED))
}

/// Texts that several rows share: for each row the number of one. Two may be equal.
pub(super) fn shared(rows: &[u32], texts: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    let keys: Int32Array = rows.iter().map(|row| Some(row.cast_signed())).collect();
    Ok(Arc::new(DictionaryArray::<Shared>::try_new(keys, texts.clone())?))
}

/// The indices and the distinct texts of a column, as a guest is given them. `None` where it is no dictionary, or is
/// better written out.
pub(super) fn given(array: &ArrayRef) -> Option<(ScalarBuffer<u32>, StringArray)> {
    let texts = array.as_any_dictionary_opt()?.values();
    // Of a few rows that were cut out of many, the texts may be the larger part.
    if texts.len() > array.len() || texts.null_count() > 0 {
        return None;
    }
    let texts = texts.as_string_opt::<i32>()?;
    if let Some(array) = array.as_dictionary_opt::<Distinct>() {
        return Some((array.keys().values().clone(), texts.clone()));
    }
    let keys = array.as_dictionary_opt::<Shared>()?.keys().values();
    // A key that is not null is never negative.
    let mut indices: Vec<u32> = keys.iter().map(|key| key.cast_unsigned()).collect();
    let texts = distinct(&mut indices, texts).unwrap_or_else(|| texts.clone());
    Some((indices.into(), texts))
}

/// The texts, each once, where some are equal: then the indices are those of these. None of the texts is null.
fn distinct(indices: &mut [u32], texts: &StringArray) -> Option<StringArray> {
    let mut numbers = HashMap::new();
    let (mut first, mut number_of) = (Vec::new(), Vec::with_capacity(texts.len()));
    for (at, text) in texts.iter().enumerate() {
        let number = *numbers.entry(text).or_insert_with(|| {
            first.push(at as u32);
            first.len() as u32 - 1
        });
        number_of.push(number);
    }
    if first.len() == texts.len() {
        return None;
    }
    for index in indices {
        // Where it is null an index may be any.
        *index = number_of.get(*index as usize).copied().unwrap_or_default();
    }
    let once = take(texts, &UInt32Array::from(first), None).expect("each is one of the texts");
    Some(once.as_string().clone())
}

#[cfg(test)]
mod tests;
