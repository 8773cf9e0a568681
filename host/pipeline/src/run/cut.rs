//! Cuts a stream into batches: by rows, by bytes, or when the first message has waited long enough.

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

/// Cuts the stream into batches until it ends or is to end.
/// There are no more batches at once than `room` has permits.
pub(crate) async fn cut(
    limits: BatchLimits,
    stream: &mut Stream,
    room: &Arc<Semaphore>,
    control: &Control<'_>,
    to: Sender<(u64, Cut)>,
) -> Result<(), SourceError> {
    let last_arrival = Instant::now();
    let mut cutter = Cutter { limits, stream, control, is_stopping: false, last_arrival };
    let mut number = 0;
    loop {
        let Some(room) = cutter.room(room).await else { return Ok(()) };
        let mut batch = Cut {
            messages: Vec::new(),
            receipts: Vec::new(),
            ingest_time: Micros::default(),
            room,
            batch: InHand { oldest: Micros::MAX, number },
        };
        let (bytes, is_over) = cutter.fill(&mut batch).await?;
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

struct Cutter<'a> {
    limits: BatchLimits,
    stream: &'a mut Stream,
    control: &'a Control<'a>,
    /// The source was told to end: what is on its way still arrives.
    is_stopping: bool,
    last_arrival: Instant,
}

impl Cutter<'_> {
    /// Room for another batch. `None` where there will be none any more.
    async fn room(&mut self, room: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        loop {
            tokio::select! {
                biased;
                permit = room.clone().acquire_owned() => return permit.ok(),
                () = self.control.stop.asked(), if !self.is_stopping => self.stop(),
            }
        }
    }

    /// Fills a batch until it is full, its first message has waited long enough, or the stream is over.
    /// Returns the bytes of its payloads, and whether the stream is over.
    async fn fill(&mut self, batch: &mut Cut) -> Result<(usize, bool), SourceError> {
        let Control { ending, stop, give_up, .. } = self.control;
        let max_wait = Duration::from_millis(self.limits.max_wait_ms);
        let mut bytes = 0;
        let mut arrived = Vec::new();
        let mut due: Option<Instant> = None;
        loop {
            let most = self.limits.max_rows - batch.messages.len();
            let idle = ending.when_idle.map(|idle| self.last_arrival + idle);
            tokio::select! {
                biased;
                () = stop.asked(), if !self.is_stopping => self.stop(),
                () = give_up.notified(), if !self.is_stopping => self.stop(),
                more = self.stream.next(&mut arrived, most) => {
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
                    if due.is_none() {
                        due = Some(self.last_arrival + max_wait);
                        batch.ingest_time = Micros::now();
                    }
                    if batch.messages.len() >= self.limits.max_rows || bytes >= self.limits.max_bytes {
                        return Ok((bytes, false));
                    }
                }
                () = until(due), if due.is_some() => return Ok((bytes, false)),
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
