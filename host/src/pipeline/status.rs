//! What a run tells while it goes on and when it has ended, and how it is told to stop.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::plugin::StageCounts;
use crate::source::Progress;

/// Counters of a run, for whoever watches it.
#[derive(Debug, Default)]
pub struct Status {
    rows_in: AtomicU64,
    rows_rejected: AtomicU64,
    bytes_total: AtomicU64,
    /// Stored bytes of all objects.
    pub progress: Progress,
    object: Mutex<String>,
}

/// The counters at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// Records read.
    pub rows_in: u64,
    /// Records refused.
    pub rows_rejected: u64,
    /// Stored bytes read.
    pub bytes: u64,
    /// Stored bytes to read, 0 where unknown.
    pub bytes_total: u64,
    /// The object being read.
    pub object: String,
}

impl Status {
    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            rows_in: self.rows_in.load(Ordering::Relaxed),
            rows_rejected: self.rows_rejected.load(Ordering::Relaxed),
            bytes: self.progress.bytes(),
            bytes_total: self.bytes_total.load(Ordering::Relaxed),
            object: self.object.lock().map(|object| object.clone()).unwrap_or_default(),
        }
    }

    pub(super) fn count(&self, rows_in: u64, rows_rejected: u64) {
        self.rows_in.fetch_add(rows_in, Ordering::Relaxed);
        self.rows_rejected.fetch_add(rows_rejected, Ordering::Relaxed);
    }

    pub(super) fn expect_bytes(&self, bytes: u64) {
        self.bytes_total.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn reading(&self, uri: &str) {
        if let Ok(mut object) = self.object.lock() {
            uri.clone_into(&mut object);
        }
    }
}

/// Tells a run to stop: first after the object in hand, then at once.
#[derive(Debug, Default)]
pub struct Stop(AtomicU8);

impl Stop {
    /// Asks once more. Returns how often it was asked.
    pub fn ask(&self) -> u8 {
        self.0.fetch_add(1, Ordering::Relaxed).saturating_add(1)
    }

    /// Whether to begin no further object.
    pub fn after_object(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= 1
    }

    /// Whether to give up the object in hand.
    pub fn now(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= 2
    }
}

/// Rows by what became of them: `rows_in = rows_out + rows_rejected + rows_filtered`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// Records read.
    pub rows_in: u64,
    /// Rows written to the table.
    pub rows_out: u64,
    /// Records written to the dead-letter table.
    pub rows_rejected: u64,
    /// Records a plugin dropped on purpose.
    pub rows_filtered: u64,
    /// Bytes decoded.
    pub bytes: u64,
    /// Refused records by stage and code.
    pub rejected_by: BTreeMap<(String, String), u64>,
    /// What each stage did, by name, in order.
    pub stages: Vec<(String, StageCounts)>,
}

impl Counts {
    /// Adds another object's counts.
    pub fn add(&mut self, other: Self) {
        self.rows_in += other.rows_in;
        self.rows_out += other.rows_out;
        self.rows_rejected += other.rows_rejected;
        self.rows_filtered += other.rows_filtered;
        self.bytes += other.bytes;
        for (key, count) in other.rejected_by {
            *self.rejected_by.entry(key).or_default() += count;
        }
        for (name, counts) in other.stages {
            match self.stages.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => sum.add(&counts),
                None => self.stages.push((name, counts)),
            }
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Rows by what became of them.
    pub counts: Counts,
    /// Objects loaded.
    pub loaded: u64,
    /// Objects skipped, since the ledger has them.
    pub skipped: Vec<String>,
    /// Objects not begun, since the run was told to stop.
    pub left: u64,
    /// Digest of the plugin set, once an object was begun.
    pub plugin_set: Option<String>,
    /// How long it took.
    pub elapsed: Duration,
}
