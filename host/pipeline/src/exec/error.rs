//! Why a process of `exec` ends.

use std::io;

use arrow::error::ArrowError;

use super::frame::FrameError;
use crate::build::BuildError;
use crate::run::line::LineError;
use crate::versions::fit::FitError;
use clickmill_core::Fault;
use clickmill_core::schema::SchemaError;

/// The version of the protocol.
pub(super) const PROTOCOL: u64 = 1;

/// Why a process of `exec` ends.
#[derive(Debug, thiserror::Error)]
pub enum ExecError {
    /// The pipeline can't run.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// It is of no fleet.
    #[error(
        "`swap.fleet` is for `clickmill run`: `exec` runs the pipeline file's plugins, or those that `--plugin-set` names. Leave it out of the file that another engine is given"
    )]
    Fleet,
    /// Another plugin set is wanted.
    #[error("the plugin set is `{plugin_set}`, and `--plugin-set` wants `{wanted}`")]
    PluginSet {
        /// That of the pipeline file.
        plugin_set: String,
        /// What was asked for.
        wanted: String,
    },
    /// What comes in is no frame.
    #[error("{what}")]
    Frame {
        /// What is wrong.
        what: String,
        /// Why, where it is the system's to say.
        source: Option<io::Error>,
    },
    /// The caller speaks another protocol, or does not say hello.
    #[error("{what}, wanted hello with protocol {PROTOCOL} first, and once")]
    Hello {
        /// What came.
        what: String,
    },
    /// An element is not as it has to be.
    #[error("element {element} {what}")]
    Element {
        /// Its number, from 0.
        element: u64,
        /// What is wrong with it.
        what: String,
    },
    /// Messages for a pipeline of objects, or the other way round.
    #[error("element {element} is {given}, and the source of pipeline `{pipeline}` gives {takes}")]
    Kind {
        /// Its number.
        element: u64,
        /// What it is.
        given: &'static str,
        /// The pipeline's name.
        pipeline: String,
        /// What that takes.
        takes: &'static str,
    },
    /// Answers are not taken any more.
    #[error("cannot write to standard output")]
    Write(#[source] io::Error),
    /// Rows can't be made: a bug in clickmill.
    #[error("cannot make rows of element {element}")]
    Rows {
        /// The element.
        element: u64,
        /// Why.
        source: ArrowError,
    },
    /// Records are not conserved: a bug in clickmill.
    #[error("of element {element} it is not known what became of each record: {counts}")]
    Counts {
        /// The element.
        element: u64,
        /// What was counted.
        counts: String,
    },
    /// A thread panicked: a bug in clickmill.
    #[error("{thread} panicked: {message}")]
    Panicked {
        /// Which one.
        thread: String,
        /// What it says.
        message: String,
    },
}

impl ExecError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Build(error) => error.fault(),
            Self::Frame { source: None, .. }
            | Self::Fleet
            | Self::PluginSet { .. }
            | Self::Hello { .. }
            | Self::Element { .. }
            | Self::Kind { .. } => Fault::Input,
            Self::Frame { source: Some(_), .. } | Self::Write(_) => Fault::Environment,
            Self::Rows { .. } | Self::Counts { .. } | Self::Panicked { .. } => Fault::Bug,
        }
    }

    /// What to do about it, where that can be told.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::PluginSet { .. } => Some(
                "give the component files, configuration and grants that the set was made of, or drop `--plugin-set`",
            ),
            Self::Frame { source: None, .. } | Self::Hello { .. } | Self::Element { .. } => {
                Some("host/README.md has the protocol")
            }
            Self::Kind { takes: "objects", .. } => Some(
                "send the object's name, or run a pipeline whose source is a stream: `--set source.kind=pubsub`",
            ),
            Self::Kind { .. } => Some(
                "send messages, or run a pipeline whose source is storage: `--set source.kind=storage`",
            ),
            _ => None,
        }
    }
}

impl From<FrameError> for ExecError {
    fn from(error: FrameError) -> Self {
        let what = error.to_string();
        let source = match error {
            FrameError::Read(source) => Some(source),
            _ => None,
        };
        Self::Frame { what, source }
    }
}

impl From<LineError<ExecError>> for ExecError {
    fn from(broken: LineError<ExecError>) -> Self {
        match broken {
            LineError::Failed(error) => error,
            LineError::Panicked { thread, message } => Self::Panicked { thread, message },
        }
    }
}

impl From<FitError> for ExecError {
    fn from(error: FitError) -> Self {
        Self::Build(error.into())
    }
}

/// A schema of clickmill's own that is broken.
impl From<SchemaError> for ExecError {
    fn from(error: SchemaError) -> Self {
        Self::Build(error.into())
    }
}
