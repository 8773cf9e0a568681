//! Rows on their way to a table, and rows that the table does not take.

use std::ops::Range;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use bytes::Bytes;

use clickmill_config::TableName;
use clickmill_core::batch::{Origins, Positions, Reason, Rejected, Rejector, RowKey};
use clickmill_core::{Digest, Micros, stage};

/// Rows of a table, with what a dead letter of each would need.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The rows, with the table's columns.
    pub rows: RecordBatch,
    /// Where each came from.
    pub origins: Origins,
    /// When the host took them in.
    pub ingest_time: Micros,
    /// The plugin set that made them.
    pub plugin_set: Digest,
}

/// A row that the table does not take: rejected at [`stage::SINK`].
pub type Refused = Rejected;

/// Has a letter say which of several tables refuses its row.
pub fn name_table(refused: &mut Refused, table: &TableName) {
    refused.reason.message = format!("table `{table}`: {}", refused.reason.message);
}

impl Rows {
    /// Wraps dead letters as rows. A refused dead letter is not dead-lettered again: the place of each is
    /// its number among them, from 0.
    pub fn letters(letters: RecordBatch) -> Self {
        let rows = letters.num_rows();
        let origins = Origins {
            source: "".into(),
            header: None,
            positions: Positions::Lines((0..rows as u64).collect()),
            places: None,
            block: Bytes::new(),
            ranges: vec![0..0; rows],
        };
        Self {
            rows: letters,
            origins,
            ingest_time: Micros::default(),
            plugin_set: Digest::default(),
        }
    }

    /// The rows of a range, without copying them.
    pub fn part(&self, range: Range<usize>) -> Self {
        Self {
            rows: self.rows.slice(range.start, range.len()),
            origins: self.origins.slice(range),
            ingest_time: self.ingest_time,
            plugin_set: self.plugin_set.clone(),
        }
    }

    /// Takes rows out that the service refuses, by number, each with what it says of it.
    pub fn take_out(&mut self, out: &[(usize, String)]) -> Result<Vec<Refused>, ArrowError> {
        let reason = |message: &String| Reason {
            code: "refused_by_table".to_owned(),
            message: message.clone(),
            column: None,
        };
        self.refuse(out.iter().map(|(row, message)| (*row, reason(message))))
    }

    /// Leaves rows out, by what tells them from each other. Returns how many those are.
    pub fn leave_out_where(
        &mut self,
        is_out: impl Fn(&RowKey) -> bool,
    ) -> Result<usize, ArrowError> {
        let rows = 0..self.rows.num_rows();
        let out: Vec<usize> = rows.filter(|row| is_out(&self.origins.key(*row))).collect();
        if !out.is_empty() {
            self.leave_out(&out)?;
        }
        Ok(out.len())
    }

    /// Leaves rows out, by number.
    pub(super) fn leave_out(&mut self, out: &[usize]) -> Result<(), ArrowError> {
        let mut keep = vec![true; self.rows.num_rows()];
        for row in out {
            if let Some(kept) = keep.get_mut(*row) {
                *kept = false;
            }
        }
        let keep = BooleanArray::new(BooleanBuffer::from(keep), None);
        self.rows = filter_record_batch(&self.rows, &keep)?;
        self.origins.keep(&keep);
        Ok(())
    }

    /// Takes rows out, by number. Numbers beyond the rows are passed over.
    pub(super) fn refuse(
        &mut self,
        out: impl IntoIterator<Item = (usize, Reason)>,
    ) -> Result<Vec<Refused>, ArrowError> {
        let by = Rejector::host(stage::SINK, &self.plugin_set, self.ingest_time);
        let mut keep = vec![true; self.rows.num_rows()];
        let mut refused = Vec::new();
        for (row, reason) in out {
            if keep.get(row) != Some(&true) {
                continue;
            }
            keep[row] = false;
            refused.push(self.origins.reject(row, &by, reason));
        }
        if refused.is_empty() {
            return Ok(refused);
        }
        let keep = BooleanArray::new(BooleanBuffer::from(keep), None);
        self.rows = filter_record_batch(&self.rows, &keep)?;
        self.origins.keep(&keep);
        Ok(refused)
    }
}
