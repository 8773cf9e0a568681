//! Plugins: Wasm components that transform batches, each in its own sandbox.
//!
//! Comes in: stages as configured, then batches. Goes out: transformed batches, and the rows that a plugin
//! refused or failed on. This is the only crate that names wasmtime, and none of its types is in the
//! interface. The crate does no I/O on data, and knows no source, no sink and no table: an embedder brings
//! rows as Arrow columns and takes them back.
//!
//! - [`Engine`] compiles components, cached on disk, with every limit of the sandbox in one place. By a
//!   [`Compiler`] it does so in processes of their own, which may take so much time and memory and no more.
//! - [`Library`] is a chain's components, compiled and described; [`Library::configure`] fits them to
//!   the columns that come in and makes a [`Chain`].
//! - [`ChainWorker`] runs batches through a chain, one per thread.
//! - [`build`] makes a component of a plugin crate.
//!
//! # Embedding
//!
//! The sandbox runs without the rest of clickmill: no pipeline file, no tables.
//!
//! ```no_run
//! use std::path::Path;
//! use std::sync::Arc;
//!
//! use arrow::array::{ArrayRef, RecordBatch, StringArray};
//! use clickmill_sandbox::{
//!     Batch, ChainWorker, Engine, Grant, Library, Micros, NewComponent, Origins, Plugin, Positions,
//!     Secrets,
//! };
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // Compiled code is kept in a folder; the engine is cheap to clone and shared by all threads.
//! let engine = Engine::new(Path::new("/var/cache/example/compiled-plugins"))?;
//!
//! // A stage: what the plugin may touch, how it is configured. Limits have defaults.
//! let config = serde_json::json!({ "columns": { "ip": "ip" } });
//! let mask = Plugin {
//!     reads: Grant::Only(vec!["ip".to_owned()]),
//!     writes: Grant::Only(vec!["ip".to_owned()]),
//!     config: config.as_object().cloned().unwrap_or_default(),
//!     ..Plugin::named("mask".parse()?)
//! };
//! // The component is bytes, wherever they come from.
//! let component = NewComponent {
//!     path: "mask.wasm".into(),
//!     bytes: std::fs::read("mask.wasm")?.into(),
//!     signature: None,
//! };
//! let library = Library::from_components(&engine, [(mask, component, Vec::new())])?;
//!
//! // The chain is fitted to the columns: here a plugin refuses its configuration, or asks for too much.
//! let ips: ArrayRef = Arc::new(StringArray::from(vec!["192.0.2.77", "nowhere"]));
//! let columns = RecordBatch::try_from_iter([("ip", ips)])?;
//! let chain = library.configure(&columns.schema(), &Secrets::new())?;
//!
//! // Rows say where they came from, so that a refused one can be told and found again.
//! let batch = Batch {
//!     origins: Origins {
//!         source: "example".into(),
//!         header: None,
//!         positions: Positions::Lines(vec![1, 2]),
//!         places: None,
//!         block: bytes::Bytes::from_static(b"192.0.2.77\nnowhere\n"),
//!         ranges: vec![0..10, 11..18],
//!     },
//!     columns,
//!     ingest_time: Micros::default(),
//! };
//! let processed = ChainWorker::new(&chain).run(batch)?;
//! println!("{:?}", processed.batch.columns);
//! for rejected in &processed.rejected {
//!     println!("{:?} by {}: {}", rejected.position, rejected.stage, rejected.reason.message);
//! }
//! # Ok(())
//! # }
//! ```

mod allowance;
mod bench;
mod boundary;
pub mod build;
mod cache;
mod chain;
mod change;
mod compiler;
mod component;
mod contract;
mod contract_0_1;
mod counts;
mod dictionary;
mod digest;
mod ending;
mod engine;
mod engine_words;
mod error;
pub mod fuzz;
mod golden;
mod guest;
mod hidden;
mod isolate;
mod kind;
mod library;
mod lift;
mod lookup;
mod lower;
mod manifest;
mod permits;
mod processor_time;
mod profile;
mod record;
mod records;
mod redactor;
mod rows;
mod secrets;
mod set;
mod settings;
mod settle;
mod shape;
pub mod signature;
mod stage;
mod tested;
#[cfg(test)]
mod testing;
mod trust;

pub use bench::{Bench, Round};
pub use boundary::CONTRACT;
pub use cache::CacheError;
pub use chain::{Chain, ChainWorker, Processed};
pub use change::{Change, FetchError, NewComponent};
pub use compiler::{CompileError, Compiler, compile};
pub use component::{Described, describe, describe_file};
pub use counts::StageCounts;
pub use ending::lacked_fuel;
pub use engine::{Engine, EngineError};
pub use error::{ChangeError, PluginError, TestError};
pub use golden::{Cases, Golden, GoldenError};
pub use library::{Library, look};
pub use lookup::LookupFile;
pub use profile::{FunctionShare, Profile};
pub use record::Recorded;
pub use records::RecordCounts;
pub use secrets::{MIN_SECRET_BYTES, Secrets, SecretsError};
pub use set::{LookupMade, PluginSet, StageMade};
pub use shape::{ModuleKind, ShapeError};
pub use tested::{Measure, Tested, TestedCase};
pub use trust::{Trust, TrustError};

// What an embedder needs of the other crates: stages as configured, batches as they flow.
pub use clickmill_config::{ComponentLimits, Grant, InstanceLife, Limits, Plugin};
pub use clickmill_core::batch::{Batch, Message, Origins, Position, Positions, Reason, Rejected};
pub use clickmill_core::{Digest, Micros, StageName};
