//! What of a stream became durable, as it is counted.

use std::sync::Arc;
use std::time::Duration;

use super::summary::Counts;
use crate::versions::version::VersionRecord;
use clickmill_core::Micros;

/// A batch of messages that are not acknowledged yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InHand {
    /// When the oldest of its messages was published.
    pub oldest: Micros,
    /// The batch's number.
    pub number: u64,
}

/// What became of batches. All of it is durable.
pub(crate) struct Delivered {
    /// The version that made them.
    pub version: Arc<VersionRecord>,
    pub counts: Counts,
    pub repeated: u64,
    pub unconfirmed: u64,
    pub spooled: u64,
    pub retries: u64,
    /// From publishing to durable, in milliseconds, a value per message.
    pub latencies: Vec<u64>,
    /// From having a batch to having its chain, a value per batch.
    pub pauses: Vec<Duration>,
    pub batches: Vec<InHand>,
    /// When the newest of the messages was published.
    pub newest: Option<Micros>,
}

impl Delivered {
    /// Nothing yet of what a version made.
    pub(crate) fn of(version: Arc<VersionRecord>) -> Self {
        Self {
            version,
            counts: Counts::default(),
            repeated: 0,
            unconfirmed: 0,
            spooled: 0,
            retries: 0,
            latencies: Vec::new(),
            pauses: Vec::new(),
            batches: Vec::new(),
            newest: None,
        }
    }
}
