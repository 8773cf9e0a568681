//! What keeps an object from being loaded.

use arrow::error::ArrowError;

use super::line::LineError;
use crate::versions::fit::FitError;
use clickmill_core::Fault;
use clickmill_decode::DecodeError;
use clickmill_sink::SinkError;
use clickmill_source::SourceError;

/// Why an object is not loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// It can't be opened.
    #[error(transparent)]
    Source(Box<SourceError>),
    /// It can't be decoded.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// The chain can't run on its columns.
    #[error(transparent)]
    Fit(#[from] FitError),
    /// Columns do not make a batch: a bug in clickmill.
    #[error("cannot make rows of a batch")]
    Arrow(#[from] ArrowError),
    /// The tables failed.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A thread panicked: a bug in clickmill.
    #[error("{thread} panicked: {message}")]
    Panicked {
        /// Which one: `reader`, `worker 1`.
        thread: String,
        /// What it says.
        message: String,
    },
}

impl LoadError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Source(error) => error.fault(),
            Self::Decode(error) => error.fault(),
            Self::Fit(error) => error.fault(),
            Self::Sink(error) => error.fault(),
            Self::Arrow(_) | Self::Panicked { .. } => Fault::Bug,
        }
    }

    /// Whether another object may well be loaded: it is this one that is at fault, or its place.
    pub(super) fn spares_others(&self) -> bool {
        match self {
            Self::Source(_) | Self::Decode(_) | Self::Fit(_) | Self::Arrow(_) => true,
            Self::Sink(error) => error.is_of_load(),
            Self::Panicked { .. } => false,
        }
    }

    /// The error of the source, where this is one or has one for its cause.
    pub(super) fn of_source(&self) -> Option<&SourceError> {
        match self {
            Self::Source(error) => Some(error),
            Self::Decode(DecodeError::Read { source, .. }) => SourceError::within(source),
            _ => None,
        }
    }
}

impl From<LineError<LoadError>> for LoadError {
    fn from(broken: LineError<LoadError>) -> Self {
        match broken {
            LineError::Failed(error) => error,
            LineError::Panicked { thread, message } => Self::Panicked { thread, message },
        }
    }
}

impl From<SourceError> for LoadError {
    fn from(error: SourceError) -> Self {
        Self::Source(Box::new(error))
    }
}
