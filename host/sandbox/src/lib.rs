//! Plugins: Wasm components that transform batches, each in its own sandbox.
//!
//! Comes in: pipeline stages as configured, then batches. Goes out: transformed batches, and the rows
//! that a plugin refused or failed on. This is the only module that names wasmtime. It does no I/O on
//! data, and knows no source, sink or table.
//!
//! - [`engine`](self) compiles components, cached on disk, with every limit of the sandbox in one place.
//! - [`Library`] is a chain's components, compiled and described; [`Library::configure`] fits them to
//!   the columns that come in and makes a [`Chain`].
//! - [`ChainWorker`] runs batches through a chain, one per thread.
//! - [`build`] makes a component of a plugin crate.

mod boundary;
pub mod build;
mod chain;
mod change;
mod component;
mod digest;
mod engine;
mod engine_words;
mod error;
mod golden;
mod guest;
mod hidden;
mod isolate;
mod library;
mod lift;
mod lookup;
mod lower;
mod secrets;
mod set;
pub mod signature;
mod stage;
#[cfg(test)]
mod testing;

pub use boundary::CONTRACT;
pub use chain::{Chain, ChainWorker, Processed, StageCounts};
pub use change::{Change, NewComponent};
pub use component::{Described, describe, describe_file};
pub use engine::{Engine, EngineError};
pub use error::{ChangeError, PluginError, TestError};
pub use golden::{Golden, GoldenError};
pub use library::Library;
pub use lookup::LookupFile;
pub use secrets::Secrets;
pub use set::{LookupMade, PluginSet, StageMade};
