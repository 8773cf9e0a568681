//! Why letters are not kept, or not read.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use arrow::error::ArrowError;

use clickmill_core::Fault;

/// Why letters are not kept, or not read.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// There is none.
    #[error("there is no spool: `dead_letter.spool` is \"off\"")]
    Off,
    /// It holds as much as it may.
    #[error("spool `{folder}` is full: it holds {held} bytes, the letters have {wanted}, limit {max_bytes}", folder = folder.display())]
    Full {
        /// The folder.
        folder: PathBuf,
        /// Bytes in it.
        held: u64,
        /// Bytes of the new letters.
        wanted: u64,
        /// Bytes it may hold.
        max_bytes: u64,
    },
    /// The disk failed.
    #[error("spool: cannot {what} `{path}`", path = path.display())]
    Disk {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// Another process keeps it from being written to.
    #[error("spool: another process has locked `{path}`, waited {waited} s", path = path.display(), waited = waited.as_secs())]
    Locked {
        /// What is locked.
        path: PathBuf,
        /// How long.
        waited: Duration,
    },
    /// The letters can't be written or read as Arrow.
    #[error("spool: cannot {what} `{path}`", path = path.display())]
    Arrow {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: ArrowError,
    },
}

impl SpoolError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Off
            | Self::Full { .. }
            | Self::Disk { .. }
            | Self::Locked { .. }
            | Self::Arrow { .. } => Fault::Environment,
        }
    }
}
