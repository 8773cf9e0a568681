//! From the chain's columns to a table's rows: the columns that the table has, in its order, of its
//! types, with those that only the host knows filled in. What the schema does not allow is refused here,
//! row by row.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Field, SchemaRef};
use arrow::error::ArrowError;

use crate::batch::{Batch, Reason};
use crate::schema::{TableSchema, provenance};

/// How to make rows of a table.
pub struct Projection {
    schema: SchemaRef,
}

/// A column that the chain can't fill.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Misfit {
    /// Nothing writes it.
    #[error("column `{column}` is REQUIRED and no plugin writes it")]
    Missing {
        /// The column.
        column: String,
    },
    /// The types differ.
    #[error("column `{column}` is {wanted} in the table, the chain gives {got}")]
    Type {
        /// The column.
        column: String,
        /// The table's type.
        wanted: String,
        /// The chain's.
        got: String,
    },
}

impl Projection {
    /// Fits a chain's output to a table; the error is every column that does not fit.
    pub fn new(table: &TableSchema, output: &[Field]) -> Result<Self, Vec<Misfit>> {
        let mut misfits = Vec::new();
        for column in &table.columns {
            if provenance::ALL.contains(&column.name.as_str()) {
                continue;
            }
            let wanted = column.arrow();
            let column = column.name.clone();
            match output.iter().find(|field| *field.name() == column) {
                Some(field) if field.data_type() == wanted.data_type() => {}
                Some(field) => misfits.push(Misfit::Type {
                    column,
                    wanted: wanted.data_type().to_string(),
                    got: field.data_type().to_string(),
                }),
                None if wanted.is_nullable() => {}
                None => misfits.push(Misfit::Missing { column }),
            }
        }
        if misfits.is_empty() { Ok(Self { schema: table.arrow() }) } else { Err(misfits) }
    }

    /// Makes rows of a batch. With them come the batch's rows that lack a REQUIRED value, by number.
    pub fn rows(
        &self,
        batch: &Batch,
        plugin_set: &str,
    ) -> Result<(RecordBatch, BTreeMap<usize, Reason>), ArrowError> {
        let rows = batch.rows();
        let mut refused: BTreeMap<usize, Reason> = BTreeMap::new();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            let column: ArrayRef = match field.name().as_str() {
                provenance::SOURCE => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                    &*batch.origins.source,
                    rows,
                ))),
                provenance::SOURCE_LINE => Arc::new(Int64Array::from_iter_values(
                    batch.origins.lines.iter().map(|line| *line as i64),
                )),
                provenance::PLUGIN_SET => {
                    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(plugin_set, rows)))
                }
                provenance::INGESTED_AT => {
                    let times = TimestampMicrosecondArray::from_value(batch.ingest_time, rows);
                    Arc::new(times.with_timezone("UTC"))
                }
                name => match batch.columns.column_by_name(name) {
                    Some(column) => column.clone(),
                    None => new_null_array(field.data_type(), rows),
                },
            };
            if !field.is_nullable()
                && let Some(nulls) = column.nulls().filter(|nulls| nulls.null_count() > 0)
            {
                for row in (0..rows).filter(|row| nulls.is_null(*row)) {
                    refused.entry(row).or_insert_with(|| required(field.name()));
                }
            }
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        if refused.is_empty() {
            return Ok((
                RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?,
                refused,
            ));
        }
        let mut keep = vec![true; rows];
        for row in refused.keys() {
            keep[*row] = false;
        }
        let keep = BooleanArray::new(BooleanBuffer::from(keep), None);
        let columns = columns
            .iter()
            .map(|column| arrow::compute::filter(column, &keep))
            .collect::<Result<Vec<_>, _>>()?;
        let options = options.with_row_count(Some(rows - refused.len()));
        Ok((RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?, refused))
    }
}

fn required(column: &str) -> Reason {
    Reason {
        code: "required".to_owned(),
        message: format!("`{column}` is REQUIRED in the table and has no value"),
        column: Some(column.to_owned()),
    }
}
