//! Why there is no component.

use std::path::PathBuf;

use super::language::Language;
use super::toolchain::TARGET;
use clickmill_core::Fault;

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The folder holds no plugin.
    #[error(
        "`{path}` is no plugin: it has no component, and nothing to build one of ({files})",
        path = path.display(),
        files = Language::ALL.map(|language| format!("`{}` of {language}", language.file())).join(", ")
    )]
    NoPlugin {
        /// The folder.
        path: PathBuf,
    },
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
    /// The tools of a language are not here, and none were to be installed or none could be.
    #[error(
        "the tools that build `{path}`, a plugin in {language}, are not here: {way}",
        path = path.display()
    )]
    NoTools {
        /// The folder.
        path: PathBuf,
        /// What it is written in.
        language: Language,
        /// What to do.
        way: String,
    },
    /// The tools of a language make no component of it. They have said why on standard error.
    #[error("`{path}` does not compile: see what the tools of {language} print", path = path.display())]
    Tools {
        /// The folder.
        path: PathBuf,
        /// What it is written in.
        language: Language,
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
            Self::NoToolchain { .. } | Self::NoTools { .. } => Fault::Environment,
            Self::NoPlugin { .. }
            | Self::NotACrate { .. }
            | Self::Tools { .. }
            | Self::Compile { .. }
            | Self::File { .. }
            | Self::Component { .. } => Fault::Input,
        }
    }
}
