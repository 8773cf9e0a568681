//! Why golden cases can't be run.

use std::path::PathBuf;

use arrow::error::ArrowError;

use clickmill_core::Fault;

/// Why golden cases can't be run.
#[derive(Debug, thiserror::Error)]
pub enum GoldenError {
    /// The file can't be read.
    #[error("cannot read golden cases `{path}`", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not what it is to be.
    #[error("golden cases `{file}` are not of the form that they are to have")]
    Parse {
        /// The file.
        file: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A case says nothing, or several things at once, or a secret can be guessed.
    #[error("golden cases `{file}`: {what}")]
    Case {
        /// The file.
        file: String,
        /// Which, and what it lacks.
        what: String,
    },
    /// A row that was given in place of its own does not have the types that it names.
    #[error("row {row} of those that were given does not fit the columns of golden cases `{file}`")]
    Row {
        /// The row, from 1.
        row: usize,
        /// The file with the columns.
        file: String,
        /// Why.
        source: ArrowError,
    },
    /// Its values are not of the types that it names, or the columns can't be.
    #[error("golden cases `{file}` have values that do not fit their columns")]
    Values {
        /// The file.
        file: String,
        /// Why.
        source: ArrowError,
    },
}

impl GoldenError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Read { .. }
            | Self::Parse { .. }
            | Self::Case { .. }
            | Self::Row { .. }
            | Self::Values { .. } => Fault::Input,
        }
    }
}
