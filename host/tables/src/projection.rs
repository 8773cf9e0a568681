//! From the chain's columns to a table's rows: the columns that the table has, in its order, of its
//! types, with those that only the host knows filled in. What the schema does not allow is refused here,
//! row by row.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::{Refused, Rows};

use clickmill_core::batch::{Batch, Positions, Reason};
use clickmill_core::schema::{TableSchema, provenance};
use clickmill_core::{Digest, Fault};

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
    /// The host fills it in, and has no value for rows of this source.
    #[error("column `{column}` is REQUIRED and rows of this source have none")]
    Unknown {
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

impl Misfit {
    /// Whose fault it is: the plugins and the schema that a pipeline names do not go together.
    pub fn fault(&self) -> Fault {
        Fault::Input
    }
}

impl Projection {
    /// Fits a chain's output to a table; the error is every column that does not fit. `unknown` are the
    /// columns of provenance that rows of this source have no value for.
    pub fn new(
        table: &TableSchema,
        output: &[Field],
        unknown: &[&str],
    ) -> Result<Self, Vec<Misfit>> {
        let mut misfits = Vec::new();
        for column in &table.columns {
            if provenance::ALL.contains(&column.name.as_str()) {
                if unknown.contains(&column.name.as_str()) && !column.arrow().is_nullable() {
                    misfits.push(Misfit::Unknown { column: column.name.clone() });
                }
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

    /// Makes rows of a batch. With them come those that lack a REQUIRED value.
    pub fn rows(
        &self,
        batch: Batch,
        plugin_set: &Digest,
    ) -> Result<(Rows, Vec<Refused>), ArrowError> {
        let rows = batch.rows();
        if rows == 0 {
            // A chain ends early where no row is left: the columns are those of some stage.
            let Batch { origins, ingest_time, .. } = batch;
            let rows = RecordBatch::new_empty(self.schema.clone());
            let plugin_set = plugin_set.clone();
            return Ok((Rows { rows, origins, ingest_time, plugin_set }, Vec::new()));
        }
        let mut refused: BTreeMap<usize, Reason> = BTreeMap::new();
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.schema.fields().len());
        for field in self.schema.fields() {
            let column: ArrayRef = match field.name().as_str() {
                provenance::SOURCE => Arc::new(StringArray::from_iter_values(std::iter::repeat_n(
                    &*batch.origins.source,
                    rows,
                ))),
                provenance::SOURCE_LINE => match &batch.origins.positions {
                    Positions::Lines(lines) => Arc::new(Int64Array::from_iter_values(
                        lines.iter().map(|line| *line as i64),
                    )),
                    Positions::Messages(_) => new_null_array(field.data_type(), rows),
                },
                provenance::MESSAGE_ID => match &batch.origins.positions {
                    Positions::Lines(_) => new_null_array(field.data_type(), rows),
                    Positions::Messages(messages) => Arc::new(StringArray::from_iter_values(
                        messages.iter().map(|message| &message.id),
                    )),
                },
                provenance::PUBLISH_TIME => match &batch.origins.positions {
                    Positions::Lines(_) => new_null_array(field.data_type(), rows),
                    Positions::Messages(messages) => {
                        let times = messages.iter().map(|message| message.publish_time.get());
                        let times = TimestampMicrosecondArray::from_iter_values(times);
                        Arc::new(times.with_timezone("UTC"))
                    }
                },
                provenance::PLUGIN_SET => Arc::new(StringArray::from_iter_values(
                    std::iter::repeat_n(plugin_set.as_str(), rows),
                )),
                provenance::INGESTED_AT => {
                    let time = batch.ingest_time.get();
                    let times = TimestampMicrosecondArray::from_value(time, rows);
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
        // Not yet by the table's schema: that allows no nulls where there still may be some.
        let lax = |field: &Arc<Field>| Arc::new(field.as_ref().clone().with_nullable(true));
        let lax: Fields = self.schema.fields().iter().map(lax).collect();
        let rows =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(lax)), columns, &options)?;
        let Batch { origins, ingest_time, .. } = batch;
        let plugin_set = plugin_set.clone();
        let mut rows = Rows { rows, origins, ingest_time, plugin_set };
        let refused = rows.refuse(refused)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.rows.num_rows()));
        let columns = rows.rows.columns().to_vec();
        rows.rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok((rows, refused))
    }
}

fn required(column: &str) -> Reason {
    Reason {
        code: "required".to_owned(),
        message: format!("`{column}` is REQUIRED in the table and has no value"),
        column: Some(column.to_owned()),
    }
}
