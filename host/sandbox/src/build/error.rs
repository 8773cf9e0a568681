//! Why there is no component.

use std::path::PathBuf;

use super::toolchain::TARGET;
use clickmill_core::Fault;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder is no crate.
    #[error("`{path}` is not a Rust crate: {what}", path = path.display())]
    NotACrate {
        /// The folder.
        path: PathBuf,
        /// What cargo says.
        what: String,
    },
    /// There is no toolchain for Wasm, and none was to be installed or none could be.
    #[error("no Rust toolchain here can build `{path}` for {TARGET}: run {lines}", path = path.display())]
    NoToolchain {
        /// The folder.
        path: PathBuf,
        /// The lines to run, any of which will do.
        lines: String,
    },
    /// The crate does not compile. The compiler has said why on standard error.
    #[error("`{path}` does not compile for {TARGET}", path = path.display())]
    Compile {
        /// The folder.
        path: PathBuf,
    },
    /// A file can't be read or written.
    #[error("cannot read or write `{path}`", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The compiled module does not make a component.
    #[error("the module of `{path}` makes no component: {what}", path = path.display())]
    Component {
        /// The folder.
        path: PathBuf,
        /// Why.
        what: String,
    },
}

impl BuildError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::NoToolchain { .. } => Fault::Environment,
            Self::NotACrate { .. }
            | Self::Compile { .. }
            | Self::File { .. }
            | Self::Component { .. } => Fault::Input,
        }
    }
}
