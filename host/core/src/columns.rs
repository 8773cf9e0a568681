//! Columns as a table has them, at any depth: records have the table's fields in its order, and lists are
//! never null.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, StructArray, UInt64Array, new_empty_array, new_null_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field};
use arrow::error::ArrowError;

/// The column that the table has: of the same type as `wanted`, to the last field. What it lacks and may
/// lack is null, or an empty list. An error where it lacks something else, or is of another type.
pub fn fitted(wanted: &Field, array: &ArrayRef) -> Result<ArrayRef, ArrowError> {
    match wanted.data_type() {
        DataType::List(item) => {
            let lists = array.as_list_opt::<i32>().ok_or_else(|| other(wanted, array))?;
            if lists.null_count() == 0 && array.data_type() == wanted.data_type() {
                return Ok(array.clone());
            }
            let (offsets, values) = elements(lists)?;
            let values = fitted(item, &values)?;
            Ok(Arc::new(ListArray::try_new(item.clone(), offsets, values, None)?))
        }
        same if same == array.data_type() => Ok(array.clone()),
        DataType::Struct(fields) => {
            let record = array.as_struct_opt().ok_or_else(|| other(wanted, array))?;
            let columns = fields.iter().map(|field| match record.column_by_name(field.name()) {
                Some(values) => fitted(field, values),
                None => absent(field, record.len()),
            });
            let columns = columns.collect::<Result<Vec<_>, _>>()?;
            Ok(Arc::new(StructArray::try_new(fields.clone(), columns, record.nulls().cloned())?))
        }
        text if is_text(text) && is_text(array.data_type()) => cast(array, text),
        _ => Err(other(wanted, array)),
    }
}

/// A column that is not there: nulls, or empty lists.
pub fn absent(wanted: &Field, rows: usize) -> Result<ArrayRef, ArrowError> {
    Ok(match wanted.data_type() {
        DataType::List(item) => {
            let offsets = OffsetBuffer::new_zeroed(rows);
            let none = new_empty_array(item.data_type());
            Arc::new(ListArray::try_new(item.clone(), offsets, none, None)?)
        }
        of => new_null_array(of, rows),
    })
}

/// The elements of lists and no others, and where each list begins, from 0. A list that is null is empty.
fn elements(lists: &ListArray) -> Result<(OffsetBuffer<i32>, ArrayRef), ArrowError> {
    let offsets = lists.value_offsets();
    let (first, last) = (offsets[0] as usize, offsets[lists.len()] as usize);
    let is_null = |list: &usize| lists.is_null(*list);
    let has_hidden = (0..lists.len()).filter(is_null).any(|list| lists.value_length(list) > 0);
    if !has_hidden {
        let from_zero = offsets.iter().map(|offset| offset - offsets[0]).collect::<Vec<_>>();
        return Ok((
            OffsetBuffer::new(from_zero.into()),
            lists.values().slice(first, last - first),
        ));
    }
    let shown = (0..lists.len()).filter(|list| !is_null(list));
    let of_list = |list: usize| offsets[list] as u64..offsets[list + 1] as u64;
    let kept = UInt64Array::from_iter_values(shown.flat_map(of_list));
    let lengths = (0..lists.len())
        .map(|list| if is_null(&list) { 0 } else { lists.value_length(list) as usize });
    Ok((OffsetBuffer::from_lengths(lengths), take(lists.values(), &kept, None)?))
}

fn other(wanted: &Field, array: &ArrayRef) -> ArrowError {
    let (wanted, got) = (wanted.to_string(), array.data_type());
    ArrowError::CastError(format!("{got} is not a `{wanted}`"))
}

/// Whether it is the type of texts, plain or as a dictionary.
pub fn is_text(of: &DataType) -> bool {
    match of {
        DataType::Utf8 => true,
        DataType::Dictionary(_, values) => **values == DataType::Utf8,
        _ => false,
    }
}
