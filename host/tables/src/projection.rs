//! From the chain's columns to a table's rows: the columns that the table has, in its order, of its
//! types at any depth, with those that only the host knows filled in. What the schema does not allow is
//! refused here, row by row.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::array::{
    Array, ArrayRef, Int64Array, RecordBatch, RecordBatchOptions, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{Field, Fields, Schema, SchemaRef};
use arrow::error::ArrowError;

use super::nested::{Misfit, compare, lacking, may_be_absent};
use super::{Refused, Rows};

use clickmill_core::batch::{Batch, Positions, Reason};
use clickmill_core::columns::{absent, fitted};
use clickmill_core::path::Path;
use clickmill_core::schema::{TableSchema, provenance};
use clickmill_core::{Digest, lock};

/// How to make rows of a table.
pub struct Projection {
    schema: SchemaRef,
    sources: Repeated,
    plugin_sets: Repeated,
}

/// A column of one text in all rows, as it was made last. Batches of a source are mostly of one size: then they
/// have it in memory together.
#[derive(Default)]
struct Repeated(Mutex<Option<StringArray>>);

impl Repeated {
    /// The column of so many rows, one at least.
    fn of(&self, text: &str, rows: usize) -> ArrayRef {
        let mut last = lock(&self.0);
        // A part of a much larger one would pass for as large as that.
        let serves = |known: &&StringArray| {
            (rows..=2 * rows).contains(&known.len()) && known.value(0) == text
        };
        if let Some(known) = last.as_ref().filter(serves) {
            return Arc::new(known.slice(0, rows));
        }
        let made = StringArray::new_repeated(text, rows);
        *last = Some(made.clone());
        Arc::new(made)
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
            let (wanted, at) = (column.arrow(), Path::of(&column.name));
            if provenance::ALL.contains(&column.name.as_str()) {
                if unknown.contains(&column.name.as_str()) && !wanted.is_nullable() {
                    misfits.push(Misfit::Unknown { column: at });
                }
                continue;
            }
            match output.iter().find(|field| *field.name() == column.name) {
                Some(field) => compare(&wanted, field, &at, &mut misfits),
                None if may_be_absent(&wanted) => {}
                None => misfits.push(Misfit::Missing { column: at }),
            }
        }
        if !misfits.is_empty() {
            return Err(misfits);
        }
        let (sources, plugin_sets) = (Repeated::default(), Repeated::default());
        Ok(Self { schema: table.arrow(), sources, plugin_sets })
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
                provenance::SOURCE => self.sources.of(&batch.origins.source, rows),
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
                provenance::PLUGIN_SET => self.plugin_sets.of(plugin_set.as_str(), rows),
                provenance::INGESTED_AT => {
                    let time = batch.ingest_time.get();
                    let times = TimestampMicrosecondArray::from_value(time, rows);
                    Arc::new(times.with_timezone("UTC"))
                }
                provenance::RECORD_INDEX => {
                    let places = (0..rows).map(|row| batch.origins.record_index(row) as i64);
                    Arc::new(Int64Array::from_iter_values(places))
                }
                name => match batch.columns.column_by_name(name) {
                    Some(column) => column.clone(),
                    None => absent(field, rows)?,
                },
            };
            for (row, place) in lacking(field, &column) {
                refused.entry(row).or_insert_with(|| required(place));
            }
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        // Not yet by the table's schema: that allows no nulls where there still may be some.
        let lax = self.schema.fields().iter().zip(&columns).map(|(field, column)| {
            Arc::new(Field::new(field.name(), column.data_type().clone(), true))
        });
        let lax: Fields = lax.collect();
        let rows =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(lax)), columns, &options)?;
        let Batch { origins, ingest_time, .. } = batch;
        let plugin_set = plugin_set.clone();
        let mut rows = Rows { rows, origins, ingest_time, plugin_set };
        let refused = rows.refuse(refused)?;
        let options = RecordBatchOptions::new().with_row_count(Some(rows.rows.num_rows()));
        let columns = self.schema.fields().iter().zip(rows.rows.columns());
        let columns: Vec<_> =
            columns.map(|(field, column)| fitted(field, column)).collect::<Result<_, _>>()?;
        rows.rows = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options)?;
        Ok((rows, refused))
    }
}

fn required(place: String) -> Reason {
    Reason {
        code: "required".to_owned(),
        message: format!("`{place}` is REQUIRED in the table and has no value"),
        column: Some(place),
    }
}

#[cfg(test)]
mod tests;
