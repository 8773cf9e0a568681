//! The last batches that came in, to try a new plugin set on.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use clickmill_core::batch::Batch;
use clickmill_core::lock;

/// Rows of a batch that are kept: two sets are to be through them in a moment, on a busy machine.
const KEEP_ROWS: usize = 2048;

/// How often the batches are renewed: keeping one costs a copy of where its rows came from.
const KEEP_EVERY: Duration = Duration::from_millis(250);

/// The last batches.
pub(crate) struct Recent {
    most: usize,
    kept: Mutex<Kept>,
}

struct Kept {
    batches: VecDeque<Batch>,
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
        let enough = kept.batches.len() >= self.most && kept.last.elapsed() < KEEP_EVERY;
        if self.most == 0 || batch.rows() == 0 || enough {
            return;
        }
        // By itself, so that the block that it was cut from is not kept.
        let batch = batch.slice(0..batch.rows().min(KEEP_ROWS));
        kept.batches.push_back(batch.detached().unwrap_or(batch));
        kept.last = Instant::now();
        while kept.batches.len() > self.most {
            kept.batches.pop_front();
        }
    }

    /// The batches, the oldest first.
    pub(crate) fn batches(&self) -> Vec<Batch> {
        lock(&self.kept).batches.iter().cloned().collect()
    }
}
