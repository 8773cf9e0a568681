//! Why a registry gives or takes something not.

use std::io;
use std::path::PathBuf;

use clickmill_core::Fault;
use clickmill_core::private::NotOurs;

/// Why a registry gives or takes something not.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// Nobody answers, or the answer breaks off.
    #[error("cannot reach the registry `{host}`")]
    Unreachable {
        /// The registry.
        host: String,
        /// Why.
        source: reqwest::Error,
    },
    /// It answers, and comes to no end.
    #[error("the registry `{host}` has not given all that was asked for within {secs} s")]
    Late {
        /// The registry.
        host: String,
        /// How long it was waited for.
        secs: u64,
    },
    /// The registry says no.
    #[error(
        "the registry `{host}` does not allow to {what}, with {with}: {status}{said}: `docker login {host}` gives it other credentials"
    )]
    Denied {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// Whose credentials it was shown.
        with: &'static str,
        /// Its answer.
        status: u16,
        /// What it says about it.
        said: String,
    },
    /// There is no such thing.
    #[error("the registry `{host}` has no `{what}`")]
    NotFound {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
    },
    /// The registry answers something else than it is to.
    #[error("the registry `{host}` cannot {what}: it answers {status}{said}")]
    Answer {
        /// The registry.
        host: String,
        /// What was asked for.
        what: String,
        /// Its answer.
        status: u16,
        /// What it says about it.
        said: String,
    },
    /// What the registry gives is not what it is to be.
    #[error("`{of}` is not taken: {what}")]
    Wrong {
        /// What was asked for.
        of: String,
        /// What is wrong with it.
        what: String,
    },
    /// There are no credentials, or they cannot be read.
    #[error("there are no credentials for the registry `{host}`: {what}")]
    Credentials {
        /// The registry.
        host: String,
        /// Why.
        what: String,
    },
    /// A file cannot be read or written.
    #[error("cannot read or write `{path}`", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The cache is somebody else's.
    #[error("what registries hold is not kept: {0}")]
    NotOurs(#[from] NotOurs),
    /// There is no cache.
    #[error(
        "what registries hold is kept in a cache folder, and there is none: set CLICKMILL_CACHE"
    )]
    NoCache,
    /// Requests cannot be made.
    #[error("cannot ask registries anything")]
    Client(#[source] reqwest::Error),
    /// There is no runtime for I/O.
    #[error("cannot ask registries anything")]
    Runtime(#[source] io::Error),
}

impl RegistryError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NotFound { .. } | Self::Wrong { .. } => Fault::Input,
            Self::Unreachable { .. }
            | Self::Late { .. }
            | Self::Denied { .. }
            | Self::Answer { .. }
            | Self::Credentials { .. }
            | Self::File { .. }
            | Self::NotOurs(_)
            | Self::NoCache
            | Self::Client(_)
            | Self::Runtime(_) => Fault::Environment,
        }
    }
}

pub(crate) fn wrong(of: impl ToString, what: impl Into<String>) -> RegistryError {
    RegistryError::Wrong { of: of.to_string(), what: what.into() }
}

pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> RegistryError {
    let path = path.into();
    move |source| RegistryError::File { path, source }
}
