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
    let Control { ending, status, stop, give_up } = control;
    let patience = Duration::from_millis(limits.max_wait_ms);
    let mut number = 0;
    let mut stopping = false;
    let mut last_arrival = Instant::now();
    loop {
        let permit = tokio::select! {
            biased;
            permit = room.clone().acquire_owned() => permit,
            () = stop.asked(), if !stopping => {
                stopping = true;
                stream.stop();
                continue;
            }
        };
        let Ok(permit) = permit else { return Ok(()) };
        let mut batch = Cut {
            messages: Vec::new(),
            receipts: Vec::new(),
            ingest_time: Micros::default(),
            room: permit,
            batch: InHand { oldest: Micros::MAX, number },
        };
        let mut bytes = 0;
        let mut arrived = Vec::new();
        let mut due: Option<Instant> = None;
        let ended = loop {
            let most = limits.max_rows - batch.messages.len();
            let idle = ending.when_idle.map(|idle| last_arrival + idle);
            tokio::select! {
                biased;
                () = stop.asked(), if !stopping => { stopping = true; stream.stop(); }
                () = give_up.notified(), if !stopping => { stopping = true; stream.stop(); }
                more = stream.next(&mut arrived, most) => {
                    last_arrival = Instant::now();
                    for delivery in arrived.drain(..) {
                        let delivery = delivery?;
                        bytes += delivery.payload.len();
                        let published = delivery.message.publish_time;
                        batch.batch.oldest = batch.batch.oldest.min(published);
                        batch.messages.push((delivery.message, delivery.payload));
                        batch.receipts.push(delivery.receipt);
                    }
                    if !more { break true }
                    if due.is_none() {
                        due = Some(last_arrival + patience);
                        batch.ingest_time = Micros::now();
                    }
                    if batch.messages.len() >= limits.max_rows || bytes >= limits.max_bytes { break false }
                }
                () = until(due), if due.is_some() => break false,
                () = until(idle), if idle.is_some() && !stopping => { stopping = true; stream.stop(); }
            }
        };
        if !batch.messages.is_empty() {
            status.arrive(batch.messages.len() as u64, bytes as u64, batch.batch);
            status.queue(Queue::Chain, 1);
            if to.send((number, batch)).is_err() {
                return Ok(());
            }
            number += 1;
        }
        if ended {
            return Ok(());
        }
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}
