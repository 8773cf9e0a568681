//! What a run tells while it goes on and when it has ended, and how it is told to stop.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;

use crate::plugin::StageCounts;
use crate::source::Progress;

/// Counters of a run, for whoever watches it.
#[derive(Debug, Default)]
pub struct Status {
    rows_in: AtomicU64,
    rows_rejected: AtomicU64,
    rows_done: AtomicU64,
    retries: AtomicU64,
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
    /// Of a stream: messages whose rows or dead letters are durable, or that were filtered.
    pub rows_done: u64,
    /// Of a stream: appends that failed and were tried again.
    pub retries: u64,
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
            rows_done: self.rows_done.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            bytes: self.progress.bytes(),
            bytes_total: self.bytes_total.load(Ordering::Relaxed),
            object: self.object.lock().map(|object| object.clone()).unwrap_or_default(),
        }
    }

    pub(super) fn count(&self, rows_in: u64, rows_rejected: u64) {
        self.rows_in.fetch_add(rows_in, Ordering::Relaxed);
        self.rows_rejected.fetch_add(rows_rejected, Ordering::Relaxed);
    }

    /// Of a stream: messages that arrived.
    pub(super) fn arrive(&self, messages: u64, bytes: u64) {
        self.rows_in.fetch_add(messages, Ordering::Relaxed);
        self.progress.add(bytes);
    }

    /// Of a stream: what is durable.
    pub(super) fn deliver(&self, counts: &Counts) {
        self.rows_done.fetch_add(counts.rows_in, Ordering::Relaxed);
        self.rows_rejected.fetch_add(counts.rows_rejected, Ordering::Relaxed);
    }

    /// Of a stream: an append that failed.
    pub(super) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
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

/// Tells a run to stop: first after the object in hand or, of a stream, what is in hand; then at once.
#[derive(Debug, Default)]
pub struct Stop(watch::Sender<u8>);

impl Stop {
    /// Asks once more. Returns how often it was asked.
    pub fn ask(&self) -> u8 {
        self.0.send_modify(|asked| *asked = asked.saturating_add(1));
        *self.0.borrow()
    }

    /// Whether to begin no further object.
    pub fn after_object(&self) -> bool {
        *self.0.borrow() >= 1
    }

    /// Whether to give up the object in hand.
    pub fn now(&self) -> bool {
        *self.0.borrow() >= 2
    }

    /// Waits until asked.
    pub async fn asked(&self) {
        self.asked_times(1).await;
    }

    /// Waits until asked twice.
    pub async fn asked_twice(&self) {
        self.asked_times(2).await;
    }

    async fn asked_times(&self, times: u8) {
        // The sender is ours: it does not go away.
        let _ = self.0.subscribe().wait_for(|asked| *asked >= times).await;
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
    /// The commonest reason for a refusal.
    pub(super) fn most_frequent(&self) -> String {
        let most = self.rejected_by.iter().max_by_key(|(_, count)| **count);
        most.map_or_else(String::new, |((stage, code), count)| {
            format!("`{code}` at stage `{stage}`, {count} times")
        })
    }

    /// The rows, in a line.
    pub(super) fn told(&self) -> String {
        format!(
            "{} rows in, {} out, {} rejected, {} filtered",
            self.rows_in, self.rows_out, self.rows_rejected, self.rows_filtered
        )
    }

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
            self.add_stage(&name, &counts);
        }
    }

    /// Adds what a stage did.
    pub(super) fn add_stage(&mut self, name: &str, counts: &StageCounts) {
        match self.stages.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => sum.add(counts),
            None => self.stages.push((name.to_owned(), counts.clone())),
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
    /// Of a stream: what only streams have.
    pub stream: Option<Streamed>,
}

/// What a run over a stream did beside its counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Streamed {
    /// Deliveries of messages whose rows or dead letters were there already; not among `rows_in`.
    pub repeated: u64,
    /// Acknowledgements that the service did not take: those messages come again.
    pub unconfirmed: u64,
    /// Dead letters that went to the spool, since their table was away.
    pub spooled: u64,
    /// Appends that failed and were tried again.
    pub retries: u64,
    /// From publishing to durable: the median, in milliseconds.
    pub latency_p50_ms: u64,
    /// Of 99 in a hundred messages at most.
    pub latency_p99_ms: u64,
    /// At most.
    pub latency_max_ms: u64,
    /// From having a batch to having its chain, which is where a swap shows: of 99 in a hundred batches
    /// at most, in microseconds.
    pub pause_p99_us: u64,
    /// At most.
    pub pause_max_us: u64,
}
