//! The last batches that came in, to try a new plugin set on.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use arrow::error::ArrowError;

use clickmill_core::batch::{Batch, Origins, Positions};
use clickmill_core::lock;

/// Rows of a batch that are kept: two sets are to be through them in a moment, on a busy machine.
const KEEP_ROWS: usize = 2048;
/// Bytes of records that small batches have which are kept as one.
const KEEP_BYTES: usize = 2 << 20;

/// How often the batches are renewed: keeping one costs a copy of where its rows came from. What comes in
/// smaller batches meanwhile is kept as one: a stream that is hardly late has few rows in each.
const KEEP_EVERY: Duration = Duration::from_millis(250);

/// The last batches.
pub(crate) struct Recent {
    most: usize,
    kept: Mutex<Kept>,
}

struct Kept {
    /// What became one batch each, the oldest first.
    batches: VecDeque<Vec<Batch>>,
    /// When the last of them was begun.
    last: Instant,
}

impl Recent {
    /// Keeps as many as `most` batches.
    pub(crate) fn new(most: usize) -> Self {
        let kept = Kept { batches: VecDeque::new(), last: Instant::now() };
        Self { most, kept: Mutex::new(kept) }
    }

    /// Offers a batch that came in.
    pub(crate) fn offer(&self, batch: &Batch) {
        // Another worker holds the lock and is storing a batch: this one is not needed.
        let Ok(mut kept) = self.kept.try_lock() else { return };
        if self.most == 0 || batch.rows() == 0 {
            return;
        }
        let (is_fresh, is_full) =
            (kept.last.elapsed() < KEEP_EVERY, kept.batches.len() >= self.most);
        if is_fresh
            && let Some(newest) = kept.batches.back_mut()
            && goes_with(newest, batch)
        {
            newest.push(by_itself(batch));
            return;
        }
        if is_fresh && is_full {
            return;
        }
        let first = batch.rows().min(KEEP_ROWS);
        kept.batches.push_back(vec![by_itself(&batch.slice(0..first))]);
        kept.last = Instant::now();
        while kept.batches.len() > self.most {
            kept.batches.pop_front();
        }
    }

    /// The batches, the oldest first.
    pub(crate) fn batches(&self) -> Result<Vec<Batch>, ArrowError> {
        let kept: Vec<Vec<Batch>> = lock(&self.kept).batches.iter().cloned().collect();
        kept.iter().map(|batches| Batch::concat(batches)).collect()
    }
}

/// The batch without the block that it was cut from. Messages are in a block of their own: where they have most of it,
/// a copy would gain little, and of a quiet stream every batch would be copied.
fn by_itself(batch: &Batch) -> Batch {
    let Origins { positions, block, .. } = &batch.origins;
    let is_so = matches!(positions, Positions::Messages(_))
        && 2 * batch.origins.extent().len() > block.len();
    let copy = if is_so { None } else { batch.detached().ok() };
    copy.unwrap_or_else(|| batch.clone())
}

/// Whether a batch can be kept as one with others: it is of the same source, and together they are not large.
fn goes_with(others: &[Batch], batch: &Batch) -> bool {
    let rows: usize = others.iter().map(Batch::rows).sum();
    let records = others.iter().chain([batch]).flat_map(|batch| &batch.origins.ranges);
    rows + batch.rows() <= KEEP_ROWS
        && records.map(ExactSizeIterator::len).sum::<usize>() <= KEEP_BYTES
        && others.first().is_some_and(|first| {
            Arc::ptr_eq(&first.origins.source, &batch.origins.source)
                && first.columns.schema() == batch.columns.schema()
        })
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, RecordBatch, StringArray};
    use bytes::Bytes;

    use super::*;
    use clickmill_core::Micros;
    use clickmill_core::batch::Message;

    fn batch(source: &Arc<str>, lines: std::ops::Range<u64>) -> Batch {
        let texts: StringArray = lines.clone().map(|line| Some(line.to_string())).collect();
        let column: ArrayRef = Arc::new(texts);
        Batch {
            columns: RecordBatch::try_from_iter([("line", column)]).expect("a batch"),
            origins: Origins {
                source: source.clone(),
                header: None,
                ranges: lines.clone().map(|_| 1..3).collect(),
                block: Bytes::from(format!("-{:02}", lines.start)),
                positions: Positions::Lines(lines.collect()),
                places: None,
            },
            ingest_time: Micros::default(),
        }
    }

    fn rows(recent: &Recent) -> Vec<usize> {
        recent.batches().expect("batches").iter().map(Batch::rows).collect()
    }

    #[test]
    fn small_batches_of_a_moment_are_kept_as_one() {
        let (source, other) = (Arc::from("stream"), Arc::from("object"));
        let recent = Recent::new(100);
        for first in 0..10 {
            recent.offer(&batch(&source, 7 * first..7 * first + 7));
        }
        // However slow this machine is, none of the first ones is lost.
        let kept = recent.batches().expect("batches");
        let of_first = &kept[0];
        for (row, range) in of_first.origins.ranges.iter().enumerate() {
            let Positions::Lines(lines) = &of_first.origins.positions else { panic!("lines") };
            assert_eq!(lines[row], row as u64);
            let payload = &of_first.origins.block[range.clone()];
            assert_eq!(payload, format!("{:02}", row / 7 * 7).as_bytes());
        }
        // One that is large, or of another source, is a batch of its own.
        let recent = Recent::new(3);
        recent.offer(&batch(&source, 0..5000));
        recent.offer(&batch(&other, 0..1));
        recent.offer(&batch(&source, 0..1));
        assert_eq!(rows(&recent), [KEEP_ROWS, 1, 1]);
        let none = Recent::new(0);
        none.offer(&batch(&source, 0..1));
        assert_eq!(rows(&none), [0; 0]);
    }

    #[test]
    fn what_is_kept_is_bounded_by_bytes_and_holds_no_block_that_is_far_larger() {
        let source = Arc::from("stream");
        let recent = Recent::new(100);
        let block = || Bytes::from(vec![b'x'; KEEP_BYTES]);
        let (own, others) = (block(), block());
        for (line, of, record) in
            [(0, &own, 0..KEEP_BYTES - 1), (1, &others, 0..2), (2, &others, 2..3)]
        {
            let mut small = batch(&source, line..line + 1);
            (small.origins.block, small.origins.ranges) = (of.clone(), vec![record]);
            small.origins.positions = Positions::Messages(vec![Arc::new(Message {
                id: line.to_string(),
                publish_time: Micros::default(),
                ordering_key: String::new(),
                attributes: Vec::new(),
            })]);
            recent.offer(&small);
        }
        assert!(others.is_unique());
        assert!(!own.is_unique(), "no copy of what is as large");
        assert_eq!(rows(&recent)[0], 1, "a large record is by itself");
        assert_eq!(rows(&recent).iter().sum::<usize>(), 3);
    }
}
