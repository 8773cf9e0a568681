//! A batch: Arrow columns, and for each row where it came from and its original bytes.
//!
//! Batches are what flows through clickmill. This module knows neither where bytes come from nor where
//! rows go; it offers what every stage does with a batch: add columns, keep some rows, take one out.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;
use bytes::Bytes;

/// Rows on their way through the pipeline.
#[derive(Debug, Clone)]
pub struct Batch {
    /// The columns. Every column has [`Batch::rows`] values.
    pub columns: RecordBatch,
    /// Where the rows came from, one entry per row.
    pub origins: Origins,
    /// When the host took the rows in: microseconds since 1970-01-01T00:00:00Z.
    pub ingest_time: i64,
}

/// Where rows came from: an object, and in it a position and the exact bytes of each.
#[derive(Debug, Clone)]
pub struct Origins {
    /// `uri@generation` of the object.
    pub source: Arc<str>,
    /// The line on which each row begins, from 1.
    pub lines: Vec<u64>,
    /// What the rows' bytes are cut from.
    pub block: Bytes,
    /// Each row's bytes in `block`.
    pub ranges: Vec<Range<usize>>,
}

/// A row that leaves the pipeline by the dead-letter table.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// `uri@generation` of the object it came from.
    pub source: Arc<str>,
    /// The line on which it begins, from 1.
    pub line: u64,
    /// Its original bytes.
    pub payload: Bytes,
    /// Who refused it: `decode`, the name of a plugin in the pipeline file, or `sink`.
    pub stage: Arc<str>,
    /// The digest of the component that refused it, where it was a plugin.
    pub plugin_digest: Option<Arc<str>>,
    /// The digest of the whole plugin set.
    pub plugin_set: Arc<str>,
    /// Why.
    pub reason: Reason,
    /// When the host took the row in: microseconds since 1970-01-01T00:00:00Z.
    pub ingest_time: i64,
}

/// Why a row was refused.
#[derive(Debug, Clone, PartialEq)]
pub struct Reason {
    /// A stable word for counting.
    pub code: String,
    /// What is wrong, for a person.
    pub message: String,
    /// The column at fault, where there is one.
    pub column: Option<String>,
}

impl Batch {
    /// How many rows.
    pub fn rows(&self) -> usize {
        self.columns.num_rows()
    }

    /// The rows of a range, without copying.
    pub fn slice(&self, rows: Range<usize>) -> Self {
        Self {
            columns: self.columns.slice(rows.start, rows.len()),
            origins: Origins {
                source: self.origins.source.clone(),
                lines: self.origins.lines[rows.clone()].to_vec(),
                block: self.origins.block.clone(),
                ranges: self.origins.ranges[rows].to_vec(),
            },
            ingest_time: self.ingest_time,
        }
    }

    /// Only the rows where `keep` is true. `keep` has one value per row.
    pub fn keep(self, keep: &BooleanArray) -> Result<Self, ArrowError> {
        if keep.true_count() == self.rows() {
            return Ok(self);
        }
        let mut rows = keep.values().iter();
        let mut kept = move || rows.next().unwrap_or(false);
        let mut kept_again = keep.values().iter();
        let mut origins = self.origins;
        origins.lines.retain(|_| kept());
        origins.ranges.retain(|_| kept_again.next().unwrap_or(false));
        Ok(Self {
            columns: filter_record_batch(&self.columns, keep)?,
            origins,
            ingest_time: self.ingest_time,
        })
    }

    /// Puts columns in: each replaces the one of its name, or is added at the end.
    pub fn set_columns(&mut self, columns: Vec<(String, ArrayRef)>) -> Result<(), ArrowError> {
        let rows = self.rows();
        let schema = self.columns.schema();
        let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
        let mut arrays = self.columns.columns().to_vec();
        for (name, array) in columns {
            let field = Arc::new(Field::new(&name, array.data_type().clone(), true));
            match fields.iter().position(|known| *known.name() == name) {
                Some(at) => {
                    fields[at] = field;
                    arrays[at] = array;
                }
                None => {
                    fields.push(field);
                    arrays.push(array);
                }
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        self.columns =
            RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)?;
        Ok(())
    }
}

impl Origins {
    /// The original bytes of a row.
    pub fn payload(&self, row: usize) -> Bytes {
        self.block.slice(self.ranges[row].clone())
    }
}
