//! Rows on their way into frames. Those of small batches go into one: each frame has a schema of its own, which costs
//! whoever reads it more than a few rows do.

use std::collections::BTreeMap;

use arrow::array::{Array, RecordBatch};
use arrow::compute::concat_batches;
use arrow::error::ArrowError;

use super::frame::{self, Kind};

/// A batch of more bytes goes by itself, and so many of small ones go together.
const LARGE_BYTES: usize = 1 << 20;

/// The frames of an element.
pub(super) struct Frames {
    max_bytes: usize,
    done: Vec<Vec<u8>>,
    small: BTreeMap<(Kind, u16), Small>,
}

#[derive(Default)]
struct Small {
    batches: Vec<RecordBatch>,
    bytes: usize,
}

impl Frames {
    /// None yet; each will have `max_bytes` at most.
    pub(super) fn new(max_bytes: usize) -> Self {
        Self { max_bytes, done: Vec::new(), small: BTreeMap::new() }
    }

    /// Adds rows of a table, or letters.
    pub(super) fn add(
        &mut self,
        kind: Kind,
        table: u16,
        rows: &RecordBatch,
    ) -> Result<(), ArrowError> {
        if rows.num_rows() == 0 {
            return Ok(());
        }
        let bytes = bytes_of(rows);
        if bytes >= LARGE_BYTES {
            return frame::rows(kind, table, rows, self.max_bytes, &mut self.done);
        }
        let small = self.small.entry((kind, table)).or_default();
        small.batches.push(rows.clone());
        small.bytes += bytes;
        if small.bytes >= LARGE_BYTES {
            let small = std::mem::take(small);
            self.write(kind, table, &small)?;
        }
        Ok(())
    }

    /// All of them.
    pub(super) fn finish(mut self) -> Result<Vec<Vec<u8>>, ArrowError> {
        for ((kind, table), small) in std::mem::take(&mut self.small) {
            self.write(kind, table, &small)?;
        }
        Ok(self.done)
    }

    fn write(&mut self, kind: Kind, table: u16, small: &Small) -> Result<(), ArrowError> {
        let Some(first) = small.batches.first() else { return Ok(()) };
        let rows = concat_batches(&first.schema(), &small.batches)?;
        frame::rows(kind, table, &rows, self.max_bytes, &mut self.done)
    }
}

/// Bytes of the rows themselves, which are the same whenever they are made: so are the frames then.
fn bytes_of(rows: &RecordBatch) -> usize {
    let of_column = |column: &dyn Array| column.to_data().get_slice_memory_size();
    rows.columns().iter().map(|column| of_column(column).unwrap_or(LARGE_BYTES)).sum()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, StringArray};
    use arrow::ipc::reader::StreamReader;

    use super::*;

    fn texts(texts: &[&str]) -> RecordBatch {
        let column: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
        RecordBatch::try_from_iter([("text", column)]).expect("a batch")
    }

    fn rows_of(frame: &[u8]) -> (u8, u8, usize) {
        let reader = StreamReader::try_new(&frame[frame::HEADER_BYTES..], None).expect("a stream");
        let rows = reader.map(|batch| batch.expect("a batch").num_rows());
        (frame[4], frame[6], rows.sum())
    }

    #[test]
    fn rows_of_small_batches_are_in_one_frame_by_table() {
        let mut frames = Frames::new(64 << 20);
        for _ in 0..100 {
            frames.add(Kind::Letters, 0, &texts(&["c"])).expect("a letter");
            frames.add(Kind::Rows, 1, &texts(&["a", "b"])).expect("rows");
            frames.add(Kind::Rows, 0, &texts(&[])).expect("none");
        }
        let large = "x".repeat(LARGE_BYTES);
        for text in ["a", &large, "b"] {
            frames.add(Kind::Rows, 0, &texts(&[text])).expect("a row");
        }
        let (rows, letters) = (Kind::Rows as u8, Kind::Letters as u8);
        let frames: Vec<_> = frames.finish().expect("frames").iter().map(|f| rows_of(f)).collect();
        assert_eq!(frames, [(rows, 0, 1), (rows, 0, 2), (rows, 1, 200), (letters, 0, 100)]);
    }
}
