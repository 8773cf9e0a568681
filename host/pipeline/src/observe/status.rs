//! What a run tells while it goes on.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock};

use hdrhistogram::Histogram;

use super::delivered::{Delivered, InHand};
use super::summary::{Counts, Streamed, Summary};
use clickmill_core::{Micros, lock};
use clickmill_dead_letter::Held;
use clickmill_source::Progress;
use clickmill_telemetry::metrics::{self, Recorder};

/// Counters of a run, for whoever watches it.
#[derive(Debug)]
pub struct Status {
    rows_in: AtomicU64,
    rows_rejected: AtomicU64,
    rows_given_up: AtomicU64,
    loads_failed: AtomicU64,
    objects_failed: AtomicU64,
    objects_of_others: AtomicU64,
    retries: AtomicU64,
    bytes_total: AtomicU64,
    batches: AtomicU64,
    /// Since when the table does not take rows, in microseconds since 1970; 0 while it does.
    away_since: AtomicU64,
    /// Stored bytes of all objects.
    pub progress: Progress,
    object: Mutex<String>,
    queues: [AtomicU64; Queue::ALL.len()],
    in_hand: Mutex<BTreeSet<InHand>>,
    spool: Mutex<Held>,
    durable: Mutex<Durable>,
    /// Where latencies are recorded one by one, once metrics are shown.
    latencies: OnceLock<Recorder>,
}

/// Where batches wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Queue {
    /// For a worker.
    Chain,
    /// For the writer: until those before them are through, and the table takes more.
    Sink,
}

impl Queue {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Chain, Self::Sink];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Sink => "sink",
        }
    }
}

/// What is durable, or was dropped on purpose.
#[derive(Debug)]
struct Durable {
    counts: Counts,
    streamed: Streamed,
    latencies: Histogram<u64>,
    /// Latencies since somebody took them last.
    lately: Histogram<u64>,
    pauses: Histogram<u64>,
    /// When the newest message was published, or the newest object loaded.
    newest: Option<Micros>,
}

/// The counters at one moment.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Snapshot {
    /// Records read.
    pub rows_in: u64,
    /// Records refused.
    pub rows_rejected: u64,
    /// Records whose rows or dead letters are durable, or that were filtered.
    pub rows_done: u64,
    /// Records of objects whose load was given up.
    pub rows_given_up: u64,
    /// Loads that failed by their object.
    pub loads_failed: u64,
    /// Objects that are set aside by now.
    pub objects_failed: u64,
    /// Objects that other runs have loaded since this one began.
    pub objects_of_others: u64,
    /// What failed by the tables and was tried again: appends of a stream, loads of a watched source.
    pub retries: u64,
    /// Stored bytes read.
    pub bytes: u64,
    /// Stored bytes to read, 0 where unknown.
    pub bytes_total: u64,
    /// Batches that the source was cut into.
    pub batches: u64,
    /// The object being read.
    pub object: String,
    /// Batches that wait, in the order of [`Queue::ALL`].
    pub queued: [u64; Queue::ALL.len()],
    /// For how long the table has not taken rows, in seconds.
    pub away_secs: Option<f64>,
    /// How long ago the newest durable message was published, or the newest object loaded, in seconds.
    pub freshness_secs: Option<f64>,
    /// How long ago the oldest message in hand was published, in seconds.
    pub oldest_unacknowledged_secs: Option<f64>,
    /// Of a stream: what its spool holds.
    pub spool: Held,
    /// How long the oldest letter has waited there, in seconds.
    pub spool_oldest_secs: Option<f64>,
}

impl Snapshot {
    /// Records read that are not durable yet.
    pub fn rows_in_hand(&self) -> u64 {
        self.rows_in.saturating_sub(self.rows_done + self.rows_given_up)
    }
}

impl Default for Status {
    fn default() -> Self {
        // Three digits, up to a day: 100 kB.
        let histogram = Histogram::new_with_max(86_400_000, 3).expect("bounds that are allowed");
        Self {
            rows_in: AtomicU64::default(),
            rows_rejected: AtomicU64::default(),
            rows_given_up: AtomicU64::default(),
            loads_failed: AtomicU64::default(),
            objects_failed: AtomicU64::default(),
            objects_of_others: AtomicU64::default(),
            retries: AtomicU64::default(),
            bytes_total: AtomicU64::default(),
            batches: AtomicU64::default(),
            away_since: AtomicU64::default(),
            progress: Progress::default(),
            object: Mutex::default(),
            queues: Default::default(),
            in_hand: Mutex::default(),
            spool: Mutex::default(),
            durable: Mutex::new(Durable {
                counts: Counts::default(),
                streamed: Streamed::default(),
                latencies: histogram.clone(),
                lately: histogram.clone(),
                pauses: histogram,
                newest: None,
            }),
            latencies: OnceLock::new(),
        }
    }
}

impl Status {
    /// The counters now.
    pub fn snapshot(&self) -> Snapshot {
        let now = Micros::now();
        let ago = |moment: Micros| now.since(moment).as_secs_f64();
        let away = self.away_since.load(Ordering::Relaxed);
        let oldest = lock(&self.in_hand).first().map(|batch| batch.oldest);
        let spool = *lock(&self.spool);
        let durable = lock(&self.durable);
        Snapshot {
            rows_in: self.rows_in.load(Ordering::Relaxed),
            rows_rejected: self.rows_rejected.load(Ordering::Relaxed),
            rows_done: durable.counts.rows_in + durable.streamed.repeated,
            rows_given_up: self.rows_given_up.load(Ordering::Relaxed),
            loads_failed: self.loads_failed.load(Ordering::Relaxed),
            objects_failed: self.objects_failed.load(Ordering::Relaxed),
            objects_of_others: self.objects_of_others.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            bytes: self.progress.bytes(),
            bytes_total: self.bytes_total.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
            object: lock(&self.object).clone(),
            queued: std::array::from_fn(|at| self.queues[at].load(Ordering::Relaxed)),
            away_secs: (away > 0).then(|| ago((away as i64).into())),
            freshness_secs: durable.newest.map(ago),
            oldest_unacknowledged_secs: oldest.map(ago),
            spool,
            spool_oldest_secs: spool.oldest.map(ago),
        }
    }

    /// What is durable, and what only streams have.
    pub fn durable(&self) -> (Counts, Streamed) {
        let durable = lock(&self.durable);
        (durable.counts.clone(), durable.streamed.clone())
    }

    /// From publishing to durable since this was asked last: the median, and that of 99 in a hundred
    /// messages at most, in milliseconds. `None` where no message came through.
    pub fn take_latencies(&self) -> Option<(u64, u64)> {
        let mut durable = lock(&self.durable);
        let lately = &mut durable.lately;
        let found = (!lately.is_empty())
            .then(|| (lately.value_at_quantile(0.5), lately.value_at_quantile(0.99)));
        lately.reset();
        found
    }

    /// The summary of a stream.
    pub(crate) fn streamed(&self) -> Summary {
        let durable = lock(&self.durable);
        let mut streamed = durable.streamed.clone();
        streamed.pause_p99_us = durable.pauses.value_at_quantile(0.99);
        streamed.pause_max_us = durable.pauses.max();
        streamed.latency_p50_ms = durable.latencies.value_at_quantile(0.5);
        streamed.latency_p99_ms = durable.latencies.value_at_quantile(0.99);
        streamed.latency_max_ms = durable.latencies.max();
        Summary { counts: durable.counts.clone(), stream: Some(streamed), ..Summary::default() }
    }

    /// Of an object: a batch that is written, and counts once the object is loaded.
    pub(crate) fn count(&self, rows_in: u64, rows_rejected: u64) {
        self.rows_in.fetch_add(rows_in, Ordering::Relaxed);
        self.rows_rejected.fetch_add(rows_rejected, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
    }

    /// Of an object that is given up: what was counted of it, by [`Status::count`].
    pub(crate) fn give_up(&self, rows_in: u64) {
        self.rows_given_up.fetch_add(rows_in, Ordering::Relaxed);
    }

    /// A load that failed by its object.
    pub(crate) fn fail_load(&self) {
        self.loads_failed.fetch_add(1, Ordering::Relaxed);
    }

    /// How many objects are set aside.
    pub(crate) fn set_aside(&self, objects: u64) {
        self.objects_failed.store(objects, Ordering::Relaxed);
    }

    /// An object that is loaded.
    pub(crate) fn load(&self, counts: &Counts) {
        self.answer();
        let mut durable = lock(&self.durable);
        durable.counts.add(counts.clone());
        durable.newest = Some(Micros::now());
    }

    /// Of a stream: a batch of messages that arrived.
    pub(crate) fn arrive(&self, messages: u64, bytes: u64, batch: InHand) {
        self.rows_in.fetch_add(messages, Ordering::Relaxed);
        self.batches.fetch_add(1, Ordering::Relaxed);
        self.progress.add(bytes);
        lock(&self.in_hand).insert(batch);
    }

    /// Of a stream: what is durable and acknowledged.
    pub(crate) fn deliver(&self, delivered: Delivered) {
        self.away_since.store(0, Ordering::Relaxed);
        self.rows_rejected.fetch_add(delivered.counts.rows_rejected, Ordering::Relaxed);
        {
            let mut in_hand = lock(&self.in_hand);
            in_hand.retain(|batch| !delivered.batches.contains(batch));
        }
        let mut durable = lock(&self.durable);
        durable.counts.add(delivered.counts);
        durable.streamed.repeated += delivered.repeated;
        durable.streamed.unconfirmed += delivered.unconfirmed;
        durable.streamed.spooled += delivered.spooled;
        durable.streamed.retries += delivered.retries;
        durable.newest = durable.newest.max(delivered.newest);
        for latency in delivered.latencies {
            durable.latencies.saturating_record(latency);
            durable.lately.saturating_record(latency);
            if let Some(recorder) = self.latencies.get() {
                recorder.record(latency as f64 / 1e3);
            }
        }
        for pause in delivered.pauses {
            durable.pauses.saturating_record(pause.as_micros() as u64);
        }
    }

    /// Records latencies from now on where metrics are read. The process measures by now.
    pub(crate) fn show_latencies(&self) {
        self.latencies.get_or_init(|| Recorder::new(&metrics::LATENCY));
    }

    /// The tables answer.
    pub(crate) fn answer(&self) {
        self.away_since.store(0, Ordering::Relaxed);
    }

    /// The tables fail, and are tried again.
    pub(crate) fn retry(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        let now = Micros::now().get() as u64;
        // Since the first of them.
        let _ = self.away_since.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Of a stream: what its spool holds now.
    pub(crate) fn spool(&self, held: Held) {
        *lock(&self.spool) = held;
    }

    /// Batches that begin to wait, or end to, where the number is negative.
    pub(crate) fn queue(&self, queue: Queue, batches: i64) {
        self.queues[queue as usize].fetch_add(batches as u64, Ordering::Relaxed);
    }

    pub(crate) fn expect_bytes(&self, bytes: u64) {
        self.bytes_total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// An object of so many bytes that another run has loaded: they are not to be read any more.
    pub(crate) fn loaded_by_another(&self, bytes: u64) {
        self.objects_of_others.fetch_add(1, Ordering::Relaxed);
        self.expect_less(bytes);
    }

    /// So many bytes are not to be read now.
    pub(crate) fn expect_less(&self, bytes: u64) {
        let less = |total: u64| Some(total.saturating_sub(bytes));
        let _ = self.bytes_total.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    pub(crate) fn reading(&self, uri: &str) {
        uri.clone_into(&mut lock(&self.object));
    }
}
