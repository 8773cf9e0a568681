//! Why a run ended early, or why an object of it is not loaded.

use super::load_error::LoadError;
use super::stream::StreamError;
use crate::versions::fit::FitError;
use clickmill_core::Fault;
use clickmill_dead_letter::TooManyRejected;
use clickmill_sink::SinkError;
use clickmill_source::SourceError;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is nothing to read.
    #[error(transparent)]
    Source(Box<SourceError>),
    /// The pipeline can't run on this input.
    #[error("`{object}`")]
    Fit {
        /// The object.
        object: String,
        /// Why.
        source: FitError,
    },
    /// An object can't be loaded. Nothing of it is in the tables.
    #[error("`{object}` is not loaded")]
    Load {
        /// The object.
        object: String,
        /// Why.
        source: Box<LoadError>,
    },
    /// Too many records were refused. Nothing of the object is in the tables.
    #[error("`{object}` is not loaded: {found}; most frequent: {most_frequent}")]
    TooManyRejected {
        /// The object.
        object: String,
        /// How many.
        found: TooManyRejected,
        /// The commonest reason.
        most_frequent: String,
    },
    /// The tables failed.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A stream ended early.
    #[error(transparent)]
    Stream(Box<StreamError>),
    /// It cannot run what its fleet runs, and runs nothing else.
    #[error("{0}")]
    Fleet(String),
    /// The run was told to end at once.
    #[error("interrupted: nothing of `{object}` is loaded, run again to load it")]
    Interrupted {
        /// The object in hand.
        object: String,
    },
}

impl RunError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Source(error) => error.fault(),
            Self::Fit { source, .. } => source.fault(),
            Self::Load { source, .. } => source.fault(),
            Self::TooManyRejected { found, .. } => found.fault(),
            Self::Sink(error) => error.fault(),
            Self::Stream(error) => error.fault(),
            Self::Fleet(_) => Fault::Environment,
            Self::Interrupted { .. } => Fault::Run,
        }
    }
}

impl From<SourceError> for RunError {
    fn from(error: SourceError) -> Self {
        Self::Source(Box::new(error))
    }
}

impl RunError {
    /// Why an object is not loaded.
    pub(crate) fn of(object: &str, error: LoadError) -> Self {
        let object = object.to_owned();
        match error {
            LoadError::Fit(source) => Self::Fit { object, source },
            error => Self::Load { object, source: Box::new(error) },
        }
    }
}
