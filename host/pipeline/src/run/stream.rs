//! A stream through the pipeline, until it is told to stop.
//!
//! ```text
//! source ──messages──▶ cutter ──batches──▶ workers (decode, chain, projection) ──▶ writer ──▶ delivery
//!    ▲                                                                                          │
//!    └────────────────────────────── acknowledgements ◀────────────────────────────────────────┘
//! ```
//!
//! A batch is cut when it has its rows, its bytes, or its first message has waited long enough
//! ([`super::cut`] says how long that is). Batches overtake each other in the workers; the writer puts them
//! back in order. How many there may be between cutter and delivery is bounded, and what the source may have
//! out is bounded by itself: while the table is away nothing more is pulled.
//!
//! However a stream ends, it does so in this order: nothing more is pulled; what is in hand is delivered,
//! for as long as that takes, or, where the table will not take it or a worker failed, what is on its way
//! has [`LAST_APPENDS`]; what is not delivered is released; letters of the spool are tried once more; the
//! last acknowledgements have [`LAST_WORDS`]; the tables' logs are packed. Told to end at once, what is in
//! hand is released first, and the acknowledgements of what was written before have [`PARTING_WORDS`].

mod error;

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;
use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, unbounded};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use tokio::sync::{Notify, mpsc, watch};
use tracing::Instrument;

pub use error::StreamError;

use super::cut::{Control, Cut, cut, pace};
use super::deliver::{DeliverError, Delivery, PendingBatch};
use super::judge::Judge;
use super::letters::Letters;
use super::reorder::Reorder;
use super::stop::{Ending, Stop};
use super::transform::{Finished, Worker};
use crate::context::Context;
use crate::observe::delivered::Delivered;
use crate::observe::status::{Queue, Status};
use crate::observe::summary::Summary;
use crate::versions::slot::Slot;
use crate::versions::version::VersionRecord;
use clickmill_config::Payload;
use clickmill_core::batch::{Message, Positions};
use clickmill_core::schema::provenance;
use clickmill_core::{Micros, SPANS};
use clickmill_dead_letter::Spool;
use clickmill_decode::messages;
use clickmill_source::stream::Stream;

/// Rows that one file of the warehouse takes at once, when batches wait.
const ROWS_PER_APPEND: usize = 128 << 10;

/// How long what is on its way to the table has where the rest can't be delivered.
const LAST_APPENDS: Duration = Duration::from_secs(30);
/// How long acknowledgements may take once the last message is done with.
const LAST_WORDS: Duration = Duration::from_secs(30);
/// How long they may take where the stream is to end at once.
const PARTING_WORDS: Duration = Duration::from_secs(5);

type FromWorker = (u64, Result<PendingBatch, StreamError>);

/// Runs a stream until `stop` or `ending` says so, or the generator has made its last message.
pub(crate) fn run(
    context: &Context,
    ending: Ending,
    status: &Arc<Status>,
    stop: &Stop,
) -> Result<Summary, StreamError> {
    let pipeline = &context.pipeline;
    let payload = pipeline.format.payload();
    let columns = messages::schema(payload);
    context.slot.fit(&context.slot.current(), &columns)?;
    let max_record_bytes = pipeline.format.max_record_bytes();
    let (stream, delivery) = context.runtime.block_on(open(context, status))?;
    let name = stream.name().clone();
    std::thread::scope(|scope| {
        // Unbounded, since there are no more batches than there is room for.
        let (to_workers, batches) = unbounded::<(u64, Cut)>();
        let (to_writer, from_workers) = mpsc::unbounded_channel::<FromWorker>();
        let working: Vec<_> = (0..pipeline.workers)
            .map(|_| {
                let (batches, to) = (batches.clone(), to_writer.clone());
                let decoding =
                    Decoding { columns: &columns, name: &name, max_record_bytes, payload };
                scope.spawn(move || work(context, &decoding, status, &batches, &to))
            })
            .collect();
        drop((batches, to_writer));
        let ran = context.runtime.block_on(async {
            let control = Control { ending, status, stop, give_up: Notify::new() };
            both_ways(context, stream, &delivery, &control, to_workers, from_workers).await
        });
        for worker in working {
            worker.join().map_err(|_| StreamError::Worker)?;
        }
        let mut summary = ran?;
        summary.plugin_set = Some(context.slot.current().library.digest().clone());
        Ok(summary)
    })
}

async fn open(context: &Context, status: &Arc<Status>) -> Result<(Stream, Delivery), StreamError> {
    let pipeline = &context.pipeline;
    let (sink, dead) = (&pipeline.sink, &pipeline.dead_letter);
    let (tables, name) = (&context.tables, &pipeline.name);
    let address = tables.address(&dead.table);
    let open = |folder| Spool::open(folder, name, &address, dead.spool_max_bytes);
    let spool = dead.spool.as_deref().map(open).transpose()?;
    let mut rows = Vec::new();
    for (table, schema) in sink.tables() {
        let to = tables.appender(table, schema, &provenance::MESSAGE, name).await?;
        rows.push((table.clone(), to));
    }
    // Another pipeline's letter of the same message has the same id, and no replay of this one finds it.
    let letters = tables.appender(&dead.table, &dead.schema, &["letter_id", "pipeline"], name);
    let letters = Letters::new(letters.await?, context.letters.clone(), spool, status.clone());
    let copies = sink.copies();
    let delivery = Delivery { rows, copies, letters, status: status.clone() };
    // The source last: from now on messages arrive.
    let stream = Stream::open(&pipeline.source).await?;
    status.reading(stream.name());
    Ok((stream, delivery))
}

/// Cutter and writer, until both have ended; then what ends a stream, however it went.
async fn both_ways(
    context: &Context,
    mut stream: Stream,
    delivery: &Delivery,
    control: &Control<'_>,
    to_workers: Sender<(u64, Cut)>,
    from_workers: mpsc::UnboundedReceiver<FromWorker>,
) -> Result<Summary, StreamError> {
    let limits = context.pipeline.batch;
    let pace = pace(limits, || delivery.min_wait(), context.most_batches());
    let (end, ended) = watch::channel(false);
    let both = async {
        let cutting = async {
            let cut = cut(limits, pace, &mut stream, control, to_workers).await;
            stream.stop();
            // What has arrived is delivered, whatever ended the source.
            cut
        };
        let writing = write(context, delivery, &control.give_up, from_workers);
        let (cut, written) = tokio::join!(cutting, writing);
        // Nobody listens where letters are not being carried over.
        let _ = end.send(true);
        let summary = written?;
        cut?;
        Ok::<_, StreamError>(summary)
    };
    let both = async { tokio::join!(both, delivery.letters.carry_over(ended)).0 };
    let ran = tokio::select! {
        ran = both => ran,
        // Receipts that are dropped release their messages.
        () = control.stop.asked_twice() => Err(StreamError::Interrupted),
    };
    if let Err(StreamError::Interrupted) = ran {
        stream.end(PARTING_WORDS).await;
        return ran;
    }
    let ending = async {
        delivery.letters.carry_over_once().await;
        stream.end(LAST_WORDS).await;
        for (_, rows) in &delivery.rows {
            rows.close().await;
        }
        delivery.letters.close().await;
    };
    tokio::select! {
        () = ending => {}
        // All of it is delivered: what is left, the next run does.
        () = control.stop.asked_twice() => {}
    }
    ran
}

/// How messages are decoded.
struct Decoding<'a> {
    columns: &'a SchemaRef,
    /// Where they come from.
    name: &'a Arc<str>,
    max_record_bytes: usize,
    payload: Payload,
}

/// A worker's thread.
fn work(
    context: &Context,
    decoding: &Decoding<'_>,
    status: &Status,
    from: &Receiver<(u64, Cut)>,
    to: &mpsc::UnboundedSender<FromWorker>,
) {
    let mut worker = Worker::new(&context.slot, &context.taps);
    for (number, Cut { messages, receipts, ingest_time, room, batch }) in from {
        status.queue(Queue::Chain, -1);
        let span = tracing::info_span!(
            target: SPANS, parent: None, "batch", number, rows = messages.len()
        );
        let entered = span.enter();
        // The writer waits for every number: none may get lost.
        let done = std::panic::catch_unwind(AssertUnwindSafe(|| {
            let messages = Messages { number, messages, ingest_time };
            transform(&mut worker, &context.slot, decoding, messages)
        }));
        drop(entered);
        status.queue(Queue::Sink, 1);
        let ready = match done {
            Ok(Ok(finished)) => Ok(PendingBatch { finished, receipts, room, batch, span }),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(StreamError::Worker),
        };
        if to.send((number, ready)).is_err() {
            break;
        }
    }
}

/// A batch as it was cut.
struct Messages {
    number: u64,
    messages: Vec<(Arc<Message>, Bytes)>,
    ingest_time: Micros,
}

/// Decodes a batch and runs it through the version that is its turn.
fn transform(
    worker: &mut Worker<'_>,
    slot: &Slot,
    decoding: &Decoding<'_>,
    batch: Messages,
) -> Result<Finished, StreamError> {
    let Decoding { columns, name, max_record_bytes, payload } = decoding;
    let Messages { number, messages, ingest_time } = batch;
    let decoded =
        messages::decode(messages, (*name).clone(), *max_record_bytes, *payload, ingest_time)?;
    let began = Instant::now();
    let version = slot.pick(number);
    let fitted = slot.fit(&version, columns)?;
    Ok(worker.run(&version, &fitted, decoded, began)?)
}

/// Delivers what comes from the workers, in the order in which it was cut.
async fn write(
    context: &Context,
    delivery: &Delivery,
    give_up: &Notify,
    mut from: mpsc::UnboundedReceiver<FromWorker>,
) -> Result<Summary, StreamError> {
    let mut judge = Judge::new(&context.pipeline.dead_letter);
    let mut in_order = Reorder::default();
    let mut ready: VecDeque<PendingBatch> = VecDeque::new();
    let mut on_the_way = FuturesUnordered::new();
    let mut ended = false;
    let mut too_many = None;
    let failed: Option<StreamError> = loop {
        while let Some((version, group)) = next_group(&mut ready, on_the_way.len(), delivery) {
            delivery.status.queue(Queue::Sink, -(group.len() as i64));
            let span = tracing::info_span!(
                target: SPANS, parent: None, "deliver", batches = group.len()
            );
            on_the_way.push(delivery.deliver(version, group).instrument(span));
        }
        if ended && ready.is_empty() && on_the_way.is_empty() {
            break None;
        }
        tokio::select! {
            Some(delivered) = on_the_way.next(), if !on_the_way.is_empty() => {
                let delivered: Delivered = match delivered {
                    Ok(delivered) => delivered,
                    Err(error) => break Some(error.into()),
                };
                if let (None, Err(found)) = (&too_many, judge.deliver(&delivered)) {
                    too_many = Some(found);
                    give_up.notify_one();
                }
                delivery.status.deliver(delivered);
            }
            arrived = from.recv(), if !ended => match arrived {
                Some((number, Ok(batch))) => {
                    in_order.push(number, batch);
                    ready.extend(std::iter::from_fn(|| in_order.pop()));
                }
                Some((_, Err(error))) => break Some(error),
                None => ended = true,
            },
        }
    };
    if let Some(error) = failed {
        // No more is pulled, and what nobody takes any more is released.
        give_up.notify_one();
        drop((from, in_order, ready));
        finish_appends(on_the_way, &delivery.status).await;
        return Err(error);
    }
    let Some(found) = too_many else { return Ok(delivery.status.streamed()) };
    let most_frequent = delivery.status.durable().0.most_frequent();
    Err(StreamError::TooManyRejected { found, most_frequent })
}

/// Waits for the appends that are on their way, for so long as they have where the stream has failed.
async fn finish_appends(
    mut on_the_way: impl futures::Stream<Item = Result<Delivered, DeliverError>> + Unpin,
    status: &Status,
) {
    let last = async {
        while let Some(delivered) = on_the_way.next().await {
            // One error is enough to tell.
            if let Ok(delivered) = delivered {
                status.deliver(delivered);
            }
        }
    };
    if tokio::time::timeout(LAST_APPENDS, last).await.is_err() {
        tracing::warn!("the last appends take too long, their messages come again");
    }
}

/// The batches that go to the table next, and the version that made them; `None` while as many appends are
/// `on_the_way` as may be.
fn next_group(
    ready: &mut VecDeque<PendingBatch>,
    on_the_way: usize,
    to: &Delivery,
) -> Option<(Arc<VersionRecord>, Vec<PendingBatch>)> {
    let first = ready.front()?;
    // Messages of one key follow each other into the table.
    if on_the_way >= to.overlap() || (on_the_way > 0 && is_ordered(first)) {
        return None;
    }
    let version = first.finished.version.clone();
    let group = group(&version, ready, to);
    Some((version, group))
}

/// The batches that go to the table together: all of one version.
fn group(
    version: &Arc<VersionRecord>,
    ready: &mut VecDeque<PendingBatch>,
    to: &Delivery,
) -> Vec<PendingBatch> {
    let mut rows = 0;
    let mut count = 0;
    for batch in ready.iter() {
        rows += batch.finished.rows.count();
        let other = !Arc::ptr_eq(version, &batch.finished.version);
        if count > 0 && (other || rows > ROWS_PER_APPEND || !to.takes_many()) {
            break;
        }
        count += 1;
    }
    ready.drain(..count).collect()
}

/// Whether a batch has messages whose order counts.
fn is_ordered(batch: &PendingBatch) -> bool {
    match &batch.finished.rows.origins().positions {
        Positions::Messages(messages) => messages.iter().any(|m| !m.ordering_key.is_empty()),
        Positions::Lines(_) => false,
    }
}

#[cfg(test)]
mod tests;
