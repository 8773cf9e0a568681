//! Cuts a stream into batches: by rows, by bytes, or when the first message has waited long enough.
//!
//! How long that is follows what a batch costs, as a database does that commits in groups. While a batch is on
//! its way the next one gathers, and it goes once that is durable: messages that come one by one wait for
//! nobody, and those that come fast share the cost. Two bounds keep what batches cost by their number, such as
//! files and fresh sandboxes, from growing beyond measure: a batch gathers for `min_wait_ms`, and for twice as
//! long as the one before it took to be durable, so that for half of the time nothing is flushed. After
//! `max_wait_ms` it goes anyhow, and batches overlap.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::Sender;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::stop::{Ending, Stop};
use crate::observe::delivered::InHand;
use crate::observe::status::{Queue, Status};
use clickmill_config::BatchLimits;
use clickmill_core::Micros;
use clickmill_core::batch::Message;
use clickmill_source::stream::Stream;
use clickmill_source::{Receipt, SourceError};

/// What may end a stream, and who is told of it.
pub(crate) struct Control<'a> {
    pub ending: Ending,
    pub status: &'a Status,
    pub stop: &'a Stop,
    /// Too much was refused.
    pub give_up: Notify,
}

/// Messages of a batch on their way to a worker.
pub(crate) struct Cut {
    pub messages: Vec<(Arc<Message>, Bytes)>,
    pub receipts: Vec<Receipt>,
    /// When the first of them arrived.
    pub ingest_time: Micros,
    pub room: OwnedSemaphorePermit,
    pub batch: InHand,
}

/// How long a batch gathers.
pub(crate) struct Pace<W> {
    /// The least, as the pipeline file says it or as the tables do by now.
    min_wait: W,
    max_wait: Duration,
    room: Arc<Semaphore>,
    /// Permits of the batches that may be on their way while one gathers.
    others: u32,
    /// When the last batch was cut.
    cut: Instant,
    /// How long it took to be durable, once it is.
    took: Option<Duration>,
}

/// How long a batch gathers in a stream whose tables would have it wait for so long at least, which may change while
/// it runs. There are no more batches at once than `most`.
pub(crate) fn pace(
    limits: BatchLimits,
    of_tables: impl Fn() -> Duration,
    most: usize,
) -> Pace<impl Fn() -> Duration> {
    let min_wait = move || limits.min_wait_ms.map_or_else(&of_tables, Duration::from_millis);
    Pace::new(Duration::from_millis(limits.max_wait_ms), min_wait, most)
}

impl<W: Fn() -> Duration> Pace<W> {
    fn new(max_wait: Duration, min_wait: W, most: usize) -> Self {
        let others = u32::try_from(most.saturating_sub(1)).unwrap_or(u32::MAX);
        let (room, took) = (Arc::new(Semaphore::new(most)), Some(Duration::ZERO));
        Self { min_wait, max_wait, room, others, cut: Instant::now(), took }
    }

    /// Waits until a batch has gathered for long enough whose first message came then. `None`, forever, where
    /// none has come yet.
    async fn ready(&mut self, first: Option<Instant>) {
        let due = first.map(|first| first + self.max_wait);
        let early = async {
            if self.took.is_none() {
                // All permits but that of the batch which gathers: nothing is on its way.
                let _ = self.room.acquire_many(self.others).await;
                self.took = Some(self.cut.elapsed());
            }
            let again =
                self.cut + self.took.unwrap_or_default().saturating_mul(2).min(self.max_wait);
            let min_wait = (self.min_wait)().min(self.max_wait);
            until(first.map(|first| (first + min_wait).max(again))).await;
        };
        tokio::select! {
            () = early => {}
            () = until(due) => {}
        }
    }

    /// That a batch is cut.
    fn cut(&mut self) {
        (self.cut, self.took) = (Instant::now(), None);
    }
}

/// Cuts the stream into batches until it ends or is to end.
pub(crate) async fn cut<W: Fn() -> Duration>(
    limits: BatchLimits,
    pace: Pace<W>,
    stream: &mut Stream,
    control: &Control<'_>,
    to: Sender<(u64, Cut)>,
) -> Result<(), SourceError> {
    let last_arrival = Instant::now();
    let mut cutter = Cutter { limits, pace, stream, control, is_stopping: false, last_arrival };
    let mut number = 0;
    loop {
        let Some(room) = cutter.room().await else { return Ok(()) };
        let mut batch = Cut {
            messages: Vec::new(),
            receipts: Vec::new(),
            ingest_time: Micros::default(),
            room,
            batch: InHand { oldest: Micros::MAX, number },
        };
        let (bytes, is_over) = cutter.fill(&mut batch).await?;
        cutter.pace.cut();
        if !batch.messages.is_empty() {
            control.status.arrive(batch.messages.len() as u64, bytes as u64, batch.batch);
            control.status.queue(Queue::Chain, 1);
            if to.send((number, batch)).is_err() {
                return Ok(());
            }
            number += 1;
        }
        if is_over {
            return Ok(());
        }
    }
}

struct Cutter<'a, W> {
    limits: BatchLimits,
    pace: Pace<W>,
    stream: &'a mut Stream,
    control: &'a Control<'a>,
    /// The source was told to end: what is on its way still arrives.
    is_stopping: bool,
    last_arrival: Instant,
}

impl<W: Fn() -> Duration> Cutter<'_, W> {
    /// Room for another batch. `None` where there will be none any more.
    async fn room(&mut self) -> Option<OwnedSemaphorePermit> {
        loop {
            tokio::select! {
                biased;
                permit = self.pace.room.clone().acquire_owned() => return permit.ok(),
                () = self.control.stop.asked(), if !self.is_stopping => self.stop(),
            }
        }
    }

    /// Fills a batch until it is full, its first message has waited long enough, or the stream is over.
    /// Returns the bytes of its payloads, and whether the stream is over.
    async fn fill(&mut self, batch: &mut Cut) -> Result<(usize, bool), SourceError> {
        let Control { ending, stop, give_up, .. } = self.control;
        let mut bytes = 0;
        let mut arrived = Vec::new();
        let mut first: Option<Instant> = None;
        loop {
            let most = self.limits.max_rows - batch.messages.len();
            let most_bytes = self.limits.max_bytes - bytes;
            let idle = ending.when_idle.map(|idle| self.last_arrival + idle);
            tokio::select! {
                biased;
                () = stop.asked(), if !self.is_stopping => self.stop(),
                () = give_up.notified(), if !self.is_stopping => self.stop(),
                more = self.stream.next(&mut arrived, most, most_bytes) => {
                    self.last_arrival = Instant::now();
                    for delivery in arrived.drain(..) {
                        let delivery = delivery?;
                        bytes += delivery.payload.len();
                        let published = delivery.message.publish_time;
                        batch.batch.oldest = batch.batch.oldest.min(published);
                        batch.messages.push((delivery.message, delivery.payload));
                        batch.receipts.push(delivery.receipt);
                    }
                    if !more {
                        return Ok((bytes, true));
                    }
                    if first.is_none() {
                        first = Some(self.last_arrival);
                        batch.ingest_time = Micros::now();
                    }
                    if batch.messages.len() >= self.limits.max_rows || bytes >= self.limits.max_bytes {
                        return Ok((bytes, false));
                    }
                }
                () = self.pace.ready(first) => return Ok((bytes, false)),
                () = until(idle), if idle.is_some() && !self.is_stopping => self.stop(),
            }
        }
    }

    fn stop(&mut self) {
        self.is_stopping = true;
        self.stream.stop();
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
