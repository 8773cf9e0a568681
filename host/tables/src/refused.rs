//! Rows on their way to a table, and rows that the table does not take.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{BooleanArray, RecordBatch};
use arrow::buffer::BooleanBuffer;
use arrow::compute::filter_record_batch;
use arrow::error::ArrowError;
use bytes::Bytes;

use clickmill_core::batch::{Origins, Position, Positions, Reason};

/// Rows of a table, with what a dead letter of each would need.
#[derive(Debug, Clone)]
pub struct Rows {
    /// The rows, with the table's columns.
    pub rows: RecordBatch,
    /// Where each came from.
    pub origins: Origins,
    /// When the host took them in.
    pub ingest_time: i64,
}

/// A row that the table does not take.
#[derive(Debug, Clone, PartialEq)]
pub struct Refused {
    /// Where it came from.
    pub source: Arc<str>,
    /// The header there, where it has one.
    pub header: Option<Bytes>,
    /// Its place there.
    pub position: Position,
    /// Its original bytes.
    pub payload: Bytes,
    /// When the host took it in.
    pub ingest_time: i64,
    /// Why.
    pub reason: Reason,
}

impl Rows {
    /// Dead letters. Of a letter there is no letter: whatever it comes from is in it.
    pub fn letters(letters: RecordBatch) -> Self {
        let rows = letters.num_rows();
        let origins = Origins {
            source: "".into(),
            header: None,
            positions: Positions::Lines(vec![0; rows]),
            block: Bytes::new(),
            ranges: vec![0..0; rows],
        };
        Self { rows: letters, origins, ingest_time: 0 }
    }

    /// The rows of a range, without copying them.
    pub fn part(&self, range: Range<usize>) -> Self {
        Self {
            rows: self.rows.slice(range.start, range.len()),
            origins: self.origins.slice(range),
            ingest_time: self.ingest_time,
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

    /// Takes rows out, by number. Numbers beyond the rows are passed over.
    pub(super) fn refuse(
        &mut self,
        out: impl IntoIterator<Item = (usize, Reason)>,
    ) -> Result<Vec<Refused>, ArrowError> {
        let mut keep = vec![true; self.rows.num_rows()];
        let mut refused = Vec::new();
        for (row, reason) in out {
            if keep.get(row) != Some(&true) {
                continue;
            }
            keep[row] = false;
            refused.push(Refused {
                source: self.origins.source.clone(),
                header: self.origins.header.clone(),
                position: self.origins.position(row),
                payload: self.origins.payload(row),
                ingest_time: self.ingest_time,
                reason,
            });
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
