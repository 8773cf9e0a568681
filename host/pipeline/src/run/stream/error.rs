//! Why a stream ended early.

use arrow::error::ArrowError;

use super::super::deliver::DeliverError;
use crate::versions::fit::FitError;
use clickmill_core::Fault;
use clickmill_dead_letter::{SpoolError, TooManyRejected};
use clickmill_sink::SinkError;
use clickmill_source::SourceError;

/// Why a stream ended early. Nothing that was not delivered is acknowledged.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The source can't be opened, or read on.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The chain can't run on messages.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// The tables can't be opened.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The spool can't be opened.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// Rows can't be delivered.
    #[error("what is in hand cannot be delivered, its messages are released")]
    Deliver(#[from] DeliverError),
    /// Too many messages were refused.
    #[error("the stream is stopped: {found}; most frequent: {most_frequent}")]
    TooManyRejected {
        /// How many.
        found: TooManyRejected,
        /// The commonest reason.
        most_frequent: String,
    },
    /// A batch can't be made: a bug in clickmill.
    #[error("a worker failed on a batch, its messages are released")]
    Batch(#[from] ArrowError),
    /// A worker died: a bug in clickmill.
    #[error("a worker ended early on a batch, its messages are released")]
    Worker,
    /// It was told to end at once.
    #[error("interrupted: what was not written is delivered again")]
    Interrupted,
}

impl StreamError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Source(error) => error.fault(),
            Self::Fit(error) => error.fault(),
            Self::Sink(error) => error.fault(),
            Self::Spool(error) => error.fault(),
            Self::Deliver(error) => error.fault(),
            Self::TooManyRejected { found, .. } => found.fault(),
            Self::Batch(_) | Self::Worker => Fault::Bug,
            Self::Interrupted => Fault::Run,
        }
    }
}
