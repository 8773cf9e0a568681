//! A pipeline: built from its checked file, run to the end, watched while it runs. The only crate that
//! knows all the others.
//!
//! | module | what is in it | which of these it uses |
//! |---|---|---|
//! | `versions` | plugin sets that run or have run: the slot, their history, the rules, the guard | - |
//! | `observe` | what is counted and shown: status, summary, series, taps, metrics | `versions` |
//! | `run` | what happens to batches: the transform; loads, streams, delivery; the end | `versions`, `observe` |
//! | `swap` | another plugin set: the gate, the shadow run, what is kept of it, what is watched | `versions`, `observe`, `run` |
//! | `fleet` | one set for all processes of a pipeline: proposed, voted on, followed | `versions`, `observe`, `swap` |
//! | `replay` | dead letters once more | `versions`, `run`, `swap` |
//! | `exec` | the chain for other engines: frames in, frames out, nothing written | all but `replay` |
//!
//! `build` makes a `Context` of a pipeline file, which all of these share; `columns` tells what is misspelt
//! in its grants; `components` has what registries hold pulled; `threads` are those beside a run.
//! No module imports back, and no two files import each other; a test holds it.

mod audit_sink;
mod build;
mod columns;
mod components;
mod context;
mod exec;
mod fleet;
mod observe;
mod replay;
mod run;
mod swap;
mod threads;
mod versions;

pub use audit_sink::{AuditSink, AuditSinkError, Kept};
pub use build::{BuildError, Options, PreparedPipeline, build, look, open, tables_of, validate};
pub use columns::{Misspelt, look_at_columns};
pub use components::ComponentError;
pub use context::PublishError;
pub use exec::{Exec, ExecError, error_frame, exec};
pub use fleet::error::FleetError;
pub use fleet::membership::Membership;
pub use fleet::objects::{Canary, Decision, Entry, Proposal, Rollback, Vote};
pub use fleet::operator::{Fleet, FleetStatus, Outcome, Progress, Proposed, RolledBack};
pub use fleet::propose_error::ProposeError;
pub use fleet::standing::{Replica, Standing as FleetStanding};
pub use observe::running::{About, PluginKey, Plugins, Problem, Running};
pub use observe::series::{Sample, StageSample};
pub use observe::status::{Queue, Snapshot, Status};
pub use observe::summary::{Counts, FailedObject, Streamed, Summary};
pub use observe::tap::{Tap, TapStream, TooManyTaps};
pub use replay::{
    Explained, Fate, RecordedRows, Recording, Replay, ReplayError, Replayed, Tapped, explain,
    record, record_tapped, replay, tapped,
};
pub use run::deliver::DeliverError;
pub use run::load_error::LoadError;
pub use run::stop::{Ending, Stop};
pub use run::stream::StreamError;
pub use run::{RunError, run, run_objects};
pub use swap::gate::{Check, SwapRefused};
pub use swap::reload::Reload;
pub use swap::set_store::{SetStore, SetStoreError};
pub use swap::shadow::Shadow;
pub use swap::{Request, Swapped, Swaps};
pub use versions::actor::{Actor, ReservedName};
pub use versions::fit::FitError;
pub use versions::slot::Rollout;
pub use versions::version::{Origin, Rates, Standing, Tally, VersionRecord};
