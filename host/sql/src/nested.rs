//! Columns as the engine has them while it answers: lists, records and JSON.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::CastOptions;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use datafusion::common::nested_struct::cast_column;
use datafusion::common::plan_err;
use datafusion::error::DataFusionError;

use clickmill_core::schema::provenance::RECORD_INDEX;
use clickmill_core::schema::{is_json, json_metadata};
use clickmill_tables::result_set::Answer;

/// JSON while a query runs: a type that no function takes for text, nor anything else has.
pub(crate) const JSON: DataType = DataType::LargeBinary;

/// The columns of a table, as files are read by them: fields of records and lists may be absent from files
/// that were written before the table had them. `with_place` adds the place of a row in its record where
/// the table has none yet.
pub(super) fn as_read(schema: &Schema, with_place: bool) -> SchemaRef {
    let top = schema.fields().iter().map(|field| {
        let is_list = matches!(field.data_type(), DataType::List(_));
        Field::new(field.name(), read_type(field), field.is_nullable() || is_list)
    });
    let mut fields: Vec<Field> = top.collect();
    if with_place && schema.column_with_name(RECORD_INDEX).is_none() {
        fields.push(Field::new(RECORD_INDEX, DataType::Int64, true));
    }
    Arc::new(Schema::new(fields))
}

fn read_type(field: &Field) -> DataType {
    let lax = |field: &Field| Field::new(field.name(), read_type(field), true);
    match field.data_type() {
        DataType::List(item) => DataType::List(Arc::new(lax(item))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| lax(field)).collect())
        }
        DataType::Utf8 if is_json(field) => JSON,
        other => other.clone(),
    }
}

/// An answer as others read it: JSON is text again that says what it is.
pub(super) fn shown(answer: Answer) -> Result<Answer, DataFusionError> {
    let fields: Fields = answer.schema.fields().iter().map(|field| shown_field(field)).collect();
    if fields == *answer.schema.fields() {
        return Ok(answer);
    }
    let schema: SchemaRef = Arc::new(Schema::new(fields));
    let batches = answer.batches.iter().map(|batch| {
        let columns = batch.columns().iter().zip(schema.fields());
        let columns = columns
            .map(|(column, field)| cast_column(column, field.data_type(), &CastOptions::default()));
        let columns = columns.collect::<Result<Vec<_>, DataFusionError>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        Ok(RecordBatch::try_new_with_options(schema.clone(), columns, &options)?)
    });
    let batches = batches.collect::<Result<Vec<_>, DataFusionError>>()?;
    Ok(Answer { schema, batches })
}

/// No array with a null among its elements leaves a query.
pub(super) fn no_null_elements(batch: &RecordBatch) -> Result<(), DataFusionError> {
    if batch.columns().iter().any(has_null_element) {
        return plan_err!("BigQuery lets no array with a null among its elements leave a query");
    }
    Ok(())
}

fn has_null_element(values: &ArrayRef) -> bool {
    match values.data_type() {
        DataType::List(_) => values
            .as_list::<i32>()
            .iter()
            .flatten()
            .any(|elements| elements.logical_null_count() > 0 || has_null_element(&elements)),
        DataType::Struct(_) => values.as_struct().columns().iter().any(has_null_element),
        _ => false,
    }
}

fn shown_field(field: &Field) -> Field {
    let of = match field.data_type() {
        DataType::List(item) => DataType::List(Arc::new(shown_field(item))),
        DataType::Struct(fields) => {
            DataType::Struct(fields.iter().map(|field| shown_field(field)).collect())
        }
        json if *json == JSON => {
            return Field::new(field.name(), DataType::Utf8, field.is_nullable())
                .with_metadata(json_metadata());
        }
        other => other.clone(),
    };
    field.clone().with_data_type(of)
}

#[cfg(test)]
mod tests;
