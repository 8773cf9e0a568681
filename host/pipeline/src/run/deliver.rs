//! Delivery of a stream's batches: rows to the table, letters to theirs, and only then the
//! acknowledgements. Where the table is away, what is in hand is held and tried again, for as long as it
//! takes.

use std::sync::Arc;
use std::time::Duration;

use arrow::error::ArrowError;
use backon::Retryable;
use tokio::sync::{Mutex, OwnedSemaphorePermit};

use super::backoff::backoff;
use super::letters::Letters;
use super::transform::Finished;
use crate::observe::delivered::{Delivered, InHand};
use crate::observe::status::Status;
use crate::versions::version::VersionRecord;
use clickmill_core::batch::{Message, Position, Positions, Rejected};
use clickmill_core::{Fault, Micros, causes};
use clickmill_sink::{Appended, Appender, SinkError};
use clickmill_source::{Receipt, acknowledge};
use clickmill_tables::Rows;

/// A batch that has been through the chain, with what is to be given back for it.
pub(crate) struct PendingBatch {
    pub finished: Finished,
    pub receipts: Vec<Receipt>,
    /// Room for the next batch.
    pub room: OwnedSemaphorePermit,
    pub batch: InHand,
    /// Of the batch's way through the chain.
    pub span: tracing::Span,
}

/// Where a stream's batches go.
pub(crate) struct Delivery {
    /// Of each table of rows: the pipeline's own, then those of its routes.
    pub rows: Vec<Box<dyn Appender>>,
    pub letters: Letters,
    pub status: Arc<Status>,
}

impl Delivery {
    /// How many appends may be on their way at once.
    pub(crate) fn overlap(&self) -> usize {
        self.rows.iter().map(|table| table.overlap()).min().unwrap_or(1)
    }

    /// Whether batches that wait are better appended together.
    pub(crate) fn takes_many(&self) -> bool {
        self.rows.iter().all(|table| table.takes_many())
    }

    /// How long rows, and letters, had better wait for others.
    pub(crate) fn min_wait(&self) -> Duration {
        let of_rows = self.rows.iter().map(|table| table.min_wait());
        of_rows.fold(self.letters.min_wait(), Duration::max)
    }

    /// Delivers batches of one version: returns once all of it is durable and acknowledged, or can't be.
    pub(crate) async fn deliver(
        &self,
        version: Arc<VersionRecord>,
        batches: Vec<PendingBatch>,
    ) -> Result<Delivered, DeliverError> {
        let mut delivered = Delivered::of(version);
        let span = tracing::Span::current();
        let mut tables: Vec<Vec<Rows>> = self.rows.iter().map(|_| Vec::new()).collect();
        let mut rejected: Vec<Rejected> = Vec::new();
        let mut receipts = Vec::new();
        let mut published = Vec::new();
        let mut room = Vec::new();
        for batch in batches {
            delivered.counts.add(batch.finished.counts());
            delivered.pauses.push(batch.finished.pause);
            published.extend(publish_times(&batch.finished));
            for (table, rows) in tables.iter_mut().zip(batch.finished.rows.into_tables()) {
                if rows.rows.num_rows() > 0 {
                    table.push(rows);
                }
            }
            rejected.extend(batch.finished.rejected);
            receipts.extend(batch.receipts);
            room.push(batch.room);
            delivered.batches.push(batch.batch);
            span.follows_from(&batch.span);
        }
        // A row is in one table: of a message that comes again, after a kill between two tables, each says
        // of its own rows which it has.
        for (number, (to, rows)) in self.rows.iter().zip(tables).enumerate() {
            if rows.is_empty() {
                continue;
            }
            let appended = self.append(&**to, rows, &mut delivered).await?;
            delivered.counts.refuse(number, &appended.refused);
            delivered.counts.leave_out_of(number, appended.repeated);
            delivered.counts.rows_out -= appended.repeated;
            delivered.counts.take_back(appended.repeated);
            delivered.repeated += appended.repeated;
            rejected.extend(appended.refused);
        }
        if !rejected.is_empty() {
            let kept = self.letters.deliver(&rejected).await?;
            delivered.counts.rows_rejected -= kept.repeated;
            delivered.counts.take_back(kept.repeated);
            delivered.repeated += kept.repeated;
            delivered.spooled += kept.spooled;
            delivered.retries += kept.retries;
        }
        let now = Micros::now();
        let latency = |published: Micros| now.since(published).as_millis() as u64;
        delivered.newest = published.iter().copied().max();
        delivered.latencies = published.into_iter().map(latency).collect();
        delivered.unconfirmed = acknowledge(receipts).await;
        Ok(delivered)
    }

    /// Appends rows, again and again until the table has them or says that it never will.
    async fn append(
        &self,
        to: &dyn Appender,
        rows: Vec<Rows>,
        delivered: &mut Delivered,
    ) -> Result<Appended, DeliverError> {
        let state = Mutex::new((rows, Appended::default()));
        let append = || async {
            let (rows, so_far) = &mut *state.lock().await;
            to.append(rows, so_far).await
        };
        append
            .retry(backoff())
            .when(SinkError::is_transient)
            .notify(|error, wait| {
                delivered.retries += 1;
                self.status.retry();
                tracing::warn!(
                    error = causes(error),
                    ?wait,
                    "the table is away: holding what is in hand"
                );
            })
            .await?;
        Ok(state.into_inner().1)
    }
}

/// Why batches are not delivered. Their messages are released.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The table will not take them.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// Letters can't be made: a bug in clickmill.
    #[error("cannot make rows of dead letters")]
    Letters(#[from] ArrowError),
}

impl DeliverError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Sink(error) => error.fault(),
            Self::Letters(_) => Fault::Bug,
        }
    }
}

fn publish_times(finished: &Finished) -> Vec<Micros> {
    let rows = match &finished.rows.origins().positions {
        Positions::Messages(messages) => messages.as_slice(),
        Positions::Lines(_) => &[],
    };
    let rejected = finished.rejected.iter().filter_map(|rejected| match &rejected.position {
        Position::Message(message) => Some(message),
        Position::Line(_) => None,
    });
    rows.iter().chain(rejected).map(|message: &Arc<Message>| message.publish_time).collect()
}
