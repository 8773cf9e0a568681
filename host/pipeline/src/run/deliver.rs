//! Delivery of a stream's batches: rows to the table, letters to theirs, and only then the
//! acknowledgements. Where the table is away, what is in hand is held and tried again, for as long as it
//! takes; where the dead-letter table is away, letters go to the spool.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use backon::{ExponentialBuilder, Retryable};
use tokio::sync::{Mutex, OwnedSemaphorePermit};

use super::transform::Finished;
use crate::observe::delivered::{Delivered, InHand};
use crate::observe::status::Status;
use crate::versions::version::VersionRecord;
use clickmill_core::batch::{Message, Position, Positions, Rejected};
use clickmill_core::{Fault, Micros, causes};
use clickmill_dead_letter::{Spool, Writer};
use clickmill_sink::{Appended, Appender, SinkError};
use clickmill_source::{Receipt, acknowledge};
use clickmill_tables::Rows;

/// How often letters in the spool are tried to be carried over.
const CARRY_EVERY: Duration = Duration::from_secs(5);

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
    pub rows: Box<dyn Appender>,
    pub letters: Box<dyn Appender>,
    pub writer: Arc<Writer>,
    pub spool: Spool,
    pub status: Arc<Status>,
}

impl Delivery {
    /// Delivers batches of one version: returns once all of it is durable and acknowledged, or can't be.
    pub(crate) async fn deliver(
        &self,
        version: Arc<VersionRecord>,
        batches: Vec<PendingBatch>,
    ) -> Result<Delivered, DeliverError> {
        let mut delivered = Delivered::of(version);
        let span = tracing::Span::current();
        let mut rows: Vec<Rows> = Vec::new();
        let mut rejected: Vec<Rejected> = Vec::new();
        let mut receipts = Vec::new();
        let mut published = Vec::new();
        let mut room = Vec::new();
        for batch in batches {
            delivered.counts.add(batch.finished.counts());
            delivered.pauses.push(batch.finished.pause);
            published.extend(publish_times(&batch.finished));
            if batch.finished.rows.rows.num_rows() > 0 {
                rows.push(batch.finished.rows);
            }
            rejected.extend(batch.finished.rejected);
            receipts.extend(batch.receipts);
            room.push(batch.room);
            delivered.batches.push(batch.batch);
            span.follows_from(&batch.span);
        }
        if !rows.is_empty() {
            let appended = self.append(rows, &mut delivered).await?;
            delivered.counts.refuse(&appended.refused);
            delivered.counts.rows_out -= appended.repeated;
            delivered.counts.rows_in -= appended.repeated;
            delivered.repeated += appended.repeated;
            rejected.extend(appended.refused);
        }
        if !rejected.is_empty() {
            let letters = self.writer.rows(&rejected)?;
            let repeated = self.append_letters(&letters, &mut delivered).await;
            delivered.counts.rows_rejected -= repeated;
            delivered.counts.rows_in -= repeated;
            delivered.repeated += repeated;
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
        rows: Vec<Rows>,
        delivered: &mut Delivered,
    ) -> Result<Appended, DeliverError> {
        let state = Mutex::new((rows, Appended::default()));
        let append = || async {
            let (rows, so_far) = &mut *state.lock().await;
            self.rows.append(rows, so_far).await
        };
        append
            .retry(patience())
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

    /// Puts letters into their table or, where that is away, into the spool. Where both are away, holds
    /// them. Returns how many were in the table already.
    async fn append_letters(&self, letters: &RecordBatch, delivered: &mut Delivered) -> u64 {
        let mut waits = backon::BackoffBuilder::build(patience());
        loop {
            let away = match self.letters.append_letters(letters).await {
                Ok(repeated) => return repeated,
                Err(error) => causes(&error),
            };
            delivered.retries += 1;
            self.status.retry();
            match self.spool.keep(letters) {
                Ok(()) => {
                    let letters = letters.num_rows() as u64;
                    delivered.spooled += letters;
                    tracing::warn!(
                        error = away,
                        letters,
                        "the dead-letter table is away: letters go to the spool"
                    );
                    return 0;
                }
                Err(full) => {
                    let full = causes(&full);
                    tracing::warn!(
                        error = away,
                        spool = full,
                        "dead-letter table and spool are away: holding what is in hand"
                    );
                }
            }
            // Endless, so there is always a next.
            tokio::time::sleep(waits.next().unwrap_or(CARRY_EVERY)).await;
        }
    }

    /// Carries letters from the spool to their table, now and then, forever.
    pub(crate) async fn carry_over(&self) -> Infallible {
        let mut ticks = tokio::time::interval(CARRY_EVERY);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.carry_over_once().await;
        }
    }

    /// Carries what the spool holds over. What can't be carried stays.
    pub(crate) async fn carry_over_once(&self) {
        let waiting = match self.spool.waiting() {
            Ok(waiting) => waiting,
            Err(error) => {
                return tracing::warn!(error = causes(&error), "cannot look into the spool");
            }
        };
        for path in waiting {
            let letters = match self.spool.read(&path, &self.writer.schema) {
                Ok(letters) => letters,
                Err(error) => {
                    tracing::error!(error = causes(&error), "letters in the spool cannot be read");
                    continue;
                }
            };
            for letters in letters {
                if let Err(error) = self.letters.append_letters(&letters).await {
                    tracing::debug!(error = causes(&error), "the dead-letter table is still away");
                    return;
                }
            }
            match self.spool.remove(&path) {
                Ok(()) => {
                    tracing::info!(path = %path.display(), "carried letters over from the spool")
                }
                Err(error) => {
                    tracing::warn!(error = causes(&error), "letters carried over stay in the spool")
                }
            }
        }
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

/// Waits between tries: short at first, at most ten seconds, forever.
fn patience() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(50))
        .with_max_delay(Duration::from_secs(10))
        .with_jitter()
        .without_max_times()
}

fn publish_times(finished: &Finished) -> Vec<Micros> {
    let rows = match &finished.rows.origins.positions {
        Positions::Messages(messages) => messages.as_slice(),
        Positions::Lines(_) => &[],
    };
    let rejected = finished.rejected.iter().filter_map(|rejected| match &rejected.position {
        Position::Message(message) => Some(message),
        Position::Line(_) => None,
    });
    rows.iter().chain(rejected).map(|message: &Arc<Message>| message.publish_time).collect()
}
