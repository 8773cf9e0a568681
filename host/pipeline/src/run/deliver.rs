//! Delivery of a stream's batches: rows to the tables, letters to theirs, and only then the
//! acknowledgements. Where a table is away, what is in hand is held and tried again, for as long as it
//! takes.
//!
//! Rows go to the pipeline's own table, then to those of its routes, in their order. Of a row that goes to
//! several of them:
//!
//! 1. Each takes it, has it already, or refuses it. What lacks a value that one of them requires was refused
//!    before the first, and a warehouse refuses nothing.
//! 2. What one of BigQuery's refuses is left out of those after it, and is a letter. Those before it keep it:
//!    what is appended there is not taken back. It is counted as rejected, and the copies that are there as
//!    rows of their tables.
//! 3. Once all have answered come the letters, and then the acknowledgements.
//!
//! Killed anywhere before the last, the message comes again, and goes to the same tables: one of the warehouse
//! drops what it has, one of BigQuery has it twice until its view removes it, and what the kill left out is
//! written. Such a row was not there already: that it is only where all of its tables had it. A replay of a
//! letter of step 2 writes the row to the tables that lack it.

use std::sync::Arc;
use std::time::Duration;

use arrow::error::ArrowError;
use backon::Retryable;
use tokio::sync::{Mutex, OwnedSemaphorePermit};

use super::backoff::backoff;
use super::copies::Copies;
use super::letters::Letters;
use super::transform::Finished;
use crate::observe::delivered::{Delivered, InHand};
use crate::observe::status::Status;
use crate::versions::version::VersionRecord;
use clickmill_config::TableName;
use clickmill_core::batch::{Message, Position, Positions, Rejected};
use clickmill_core::{Fault, Micros, causes};
use clickmill_sink::{Appended, Appender, SinkError};
use clickmill_source::{Receipt, acknowledge};
use clickmill_tables::{Rows, name_table};

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
    pub rows: Vec<(TableName, Box<dyn Appender>)>,
    /// Whether a row may go to several of them.
    pub copies: bool,
    pub letters: Letters,
    pub status: Arc<Status>,
}

impl Delivery {
    /// How many appends may be on their way at once.
    pub(crate) fn overlap(&self) -> usize {
        self.rows.iter().map(|(_, table)| table.overlap()).min().unwrap_or(1)
    }

    /// Whether batches that wait are better appended together.
    pub(crate) fn takes_many(&self) -> bool {
        self.rows.iter().all(|(_, table)| table.takes_many())
    }

    /// How long rows, and letters, had better wait for others.
    pub(crate) fn min_wait(&self) -> Duration {
        let of_rows = self.rows.iter().map(|(_, table)| table.min_wait());
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
        let mut copies = self.copies.then(Copies::default);
        let mut repeated = 0;
        for (number, ((name, to), mut rows)) in self.rows.iter().zip(tables).enumerate() {
            if let Some(copies) = &mut copies {
                let left_out = copies.next(&mut rows)?;
                delivered.counts.leave_out_of(number, left_out);
            }
            if rows.is_empty() {
                continue;
            }
            let mut appended = self.append(&**to, rows, &mut delivered).await?;
            if self.rows.len() > 1 {
                appended.refused.iter_mut().for_each(|row| name_table(row, name));
            }
            let there = appended.repeated.len() as u64;
            delivered.counts.refuse(number, &appended.refused);
            delivered.counts.leave_out_of(number, there);
            match &mut copies {
                Some(copies) => copies.appended(&appended),
                None => repeated += there,
            }
            rejected.extend(appended.refused);
        }
        if let Some(copies) = copies {
            repeated = copies.repeated();
        }
        delivered.counts.rows_out -= repeated;
        delivered.counts.take_back(repeated);
        delivered.repeated += repeated;
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
    /// Letters can't be made, or rows left out: a bug in clickmill.
    #[error("cannot make rows of what is refused")]
    Rows(#[from] ArrowError),
}

impl DeliverError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Sink(error) => error.fault(),
            Self::Rows(_) => Fault::Bug,
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
