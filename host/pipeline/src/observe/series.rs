//! The counters of the last hour, a sample a second.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use super::status::Status;
use clickmill_core::{Micros, StageName, lock};

/// Samples that are kept: an hour.
const MAX_SAMPLES: usize = 3600;

/// Counters at one moment, all since the start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// When.
    pub time: Micros,
    /// Records read.
    pub rows_in: u64,
    /// Rows durable in the table.
    pub rows_out: u64,
    /// Records durable as dead letters.
    pub rows_rejected: u64,
    /// Records read that are not durable yet.
    pub rows_in_hand: u64,
    /// As in [`super::status::Snapshot`].
    pub freshness_secs: Option<f64>,
    /// As in [`super::status::Snapshot`].
    pub oldest_unacknowledged_secs: Option<f64>,
    /// From publishing to durable since the sample before, in milliseconds: the median, and that of 99 in
    /// a hundred messages at most.
    pub latency_ms: Option<(u64, u64)>,
    /// What each stage did, in order.
    pub stages: Vec<StageSample>,
}

/// What a stage did.
#[derive(Debug, Clone, PartialEq)]
pub struct StageSample {
    /// Its name.
    pub stage: StageName,
    /// Rows given to it.
    pub rows: u64,
    /// Fuel it used.
    pub fuel: u64,
    /// Time in it.
    pub time: Duration,
}

impl Sample {
    /// The counters now.
    pub(crate) fn of(status: &Status) -> Self {
        let now = status.snapshot();
        let (counts, _) = status.durable();
        let stages = counts.stages.iter().map(|(stage, done)| StageSample {
            stage: stage.clone(),
            rows: done.rows_in,
            fuel: done.fuel,
            time: done.time,
        });
        Self {
            time: Micros::now(),
            rows_in: now.rows_in,
            rows_out: counts.rows_out,
            rows_rejected: counts.rows_rejected,
            rows_in_hand: now.rows_in_hand(),
            freshness_secs: now.freshness_secs,
            oldest_unacknowledged_secs: now.oldest_unacknowledged_secs,
            latency_ms: status.take_latencies(),
            stages: stages.collect(),
        }
    }
}

/// The last samples.
#[derive(Debug, Default)]
pub(crate) struct Series(Mutex<VecDeque<Sample>>);

impl Series {
    pub(crate) fn add(&self, sample: Sample) {
        let mut samples = lock(&self.0);
        if samples.len() == MAX_SAMPLES {
            samples.pop_front();
        }
        samples.push_back(sample);
    }

    pub(crate) fn samples(&self) -> Vec<Sample> {
        lock(&self.0).iter().cloned().collect()
    }
}
