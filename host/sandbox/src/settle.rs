//! Nested columns as the contract has them, whoever made them: a null list is an empty one, the fields of a
//! null record are null, and no element of a list is.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, StructArray,
};
use arrow::array::{BooleanArray, UInt32Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::{nullif, take};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;

/// The columns of a batch that comes in. Flat ones are as they were, and cost nothing.
pub(super) fn settled(batch: RecordBatch) -> Result<RecordBatch, ArrowError> {
    if !batch.columns().iter().any(|column| column.data_type().is_nested()) {
        return Ok(batch);
    }
    let schema = batch.schema();
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        let column = settle(column, field.name())?;
        let is = field.as_ref().clone().with_data_type(column.data_type().clone());
        fields.push(is.with_nullable(true));
        columns.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    let schema = Schema::new(fields).with_metadata(schema.metadata().clone());
    RecordBatch::try_new_with_options(Arc::new(schema), columns, &options)
}

fn settle(column: &ArrayRef, path: &str) -> Result<ArrayRef, ArrowError> {
    match column.data_type() {
        DataType::List(element) => {
            let list = without_null_lists(column.as_list())?;
            let (first, last) = (list.offsets()[0], list.offsets()[list.len()]);
            let elements = list.values().slice(first as usize, (last - first) as usize);
            if elements.logical_null_count() > 0 {
                let what = format!("column `{path}` has a list with an element that is null");
                return Err(ArrowError::InvalidArgumentError(what));
            }
            let elements = settle(&elements, path)?;
            let lengths = list.offsets().lengths();
            let element = Field::new(element.name(), elements.data_type().clone(), false)
                .with_metadata(element.metadata().clone());
            let offsets = OffsetBuffer::from_lengths(lengths);
            Ok(Arc::new(ListArray::try_new(Arc::new(element), offsets, elements, None)?))
        }
        DataType::Struct(_) => {
            let record = column.as_struct();
            let (mut fields, mut columns) = (Vec::new(), Vec::new());
            for (field, column) in record.fields().iter().zip(record.columns()) {
                let column = within(column, record.nulls())?;
                let column = settle(&column, &format!("{path}.{}", field.name()))?;
                let is = field.as_ref().clone().with_data_type(column.data_type().clone());
                fields.push(Arc::new(is.with_nullable(true)));
                columns.push(column);
            }
            let nulls = record.nulls().cloned();
            let record =
                StructArray::try_new_with_length(fields.into(), columns, nulls, record.len());
            Ok(Arc::new(record?))
        }
        _ => Ok(column.clone()),
    }
}

/// A field that is null wherever its record is.
fn within(field: &ArrayRef, records: Option<&NullBuffer>) -> Result<ArrayRef, ArrowError> {
    let Some(records) = records.filter(|nulls| nulls.null_count() > 0) else {
        return Ok(field.clone());
    };
    if !field.data_type().is_nested() {
        return nullif(field, &BooleanArray::new(!records.inner(), None));
    }
    // Where an index is null, so is what is taken.
    let rows = (0..field.len()).map(|at| records.is_valid(at).then_some(at as u32));
    take(field, &rows.collect::<UInt32Array>(), None)
}

/// The lists, of which the null ones are empty.
fn without_null_lists(list: &ListArray) -> Result<ListArray, ArrowError> {
    let Some(nulls) = list.nulls().filter(|nulls| nulls.null_count() > 0) else {
        return Ok(list.clone());
    };
    let lengths: Vec<usize> = list.offsets().lengths().collect();
    let is_null = |at: &usize| nulls.is_null(*at);
    let kept = (0..list.len()).filter(|at| !is_null(at));
    let kept = kept.flat_map(|at| {
        let from = list.offsets()[at] as u32;
        from..from + lengths[at] as u32
    });
    let elements = take(list.values(), &kept.collect::<UInt32Array>(), None)?;
    let lengths =
        lengths.iter().enumerate().map(|(at, length)| if is_null(&at) { 0 } else { *length });
    let DataType::List(element) = list.data_type() else { return Ok(list.clone()) };
    ListArray::try_new(element.clone(), OffsetBuffer::from_lengths(lengths), elements, None)
}

#[cfg(test)]
mod tests {
    use arrow::array::{Int64Array, StringArray};
    use arrow::buffer::ScalarBuffer;
    use arrow::datatypes::{Fields, Int64Type};

    use super::*;

    fn batch(column: ArrayRef) -> RecordBatch {
        RecordBatch::try_from_iter([("c", column)]).unwrap()
    }

    fn list(validity: Vec<bool>, values: ArrayRef) -> ArrayRef {
        let element = Arc::new(Field::new("item", values.data_type().clone(), true));
        let offsets = OffsetBuffer::new(ScalarBuffer::from(vec![0, 2, 3]));
        Arc::new(ListArray::new(element, offsets, values, Some(NullBuffer::from(validity))))
    }

    #[test]
    fn a_null_list_is_an_empty_one() {
        let values = Arc::new(Int64Array::from(vec![None, Some(2), Some(3)]));
        let settled = settled(batch(list(vec![false, true], values))).unwrap();
        let lists = settled.column(0).as_list::<i32>();
        assert_eq!((lists.null_count(), lists.value_length(0)), (0, 0));
        assert_eq!(lists.value(1).as_primitive::<Int64Type>().values(), &[3]);
    }

    #[test]
    fn a_null_element_is_refused_with_its_path() {
        let values: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None, Some(3)]));
        let inner = list(vec![true, true], values);
        let fields = Fields::from(vec![Field::new("l", inner.data_type().clone(), true)]);
        let record = Arc::new(StructArray::new(fields, vec![inner], None));
        let told = settled(batch(record)).unwrap_err().to_string();
        assert!(told.contains("column `c.l` has a list with an element that is null"), "{told}");
    }

    #[test]
    fn fields_of_a_null_record_are_null() {
        let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "b"]));
        let lists = list(vec![true, true], Arc::new(Int64Array::from(vec![1, 2, 3])));
        let fields = Fields::from(vec![
            Field::new("t", DataType::Utf8, true),
            Field::new("l", lists.data_type().clone(), true),
        ]);
        let nulls = Some(NullBuffer::from(vec![false, true]));
        let record = Arc::new(StructArray::new(fields, vec![texts, lists], nulls));
        let settled = settled(batch(record)).unwrap();
        let record = settled.column(0).as_struct();
        assert!(record.column(0).is_null(0) && record.column(0).is_valid(1));
        let lists = record.column(1).as_list::<i32>();
        assert_eq!((lists.null_count(), lists.value_length(0), lists.value_length(1)), (0, 0, 1));
    }
}
