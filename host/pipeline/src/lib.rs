//! A pipeline: built from its checked file, run to the end, watched while it runs. The only module that
//! knows all the others.

mod audit_sink;
mod build;
mod observe;
mod replay;
mod run;
mod swap;
mod versions;

pub use audit_sink::TrailError;
pub use build::{BuildError, Built, Options, build, open, tables_of, validate};
pub use observe::running::{About, Plugins, Running};
pub use observe::series::{Sample, StageSample};
pub use observe::status::{Queue, Snapshot, Status};
pub use observe::summary::{Counts, Streamed, Summary};
pub use observe::tap::{Taken, Tap, TooManyTaps};
pub use replay::{Explained, Fate, Replay, ReplayError, Replayed, explain, replay};
pub use run::deliver::DeliverError;
pub use run::load::LoadError;
pub use run::stop::Stop;
pub use run::stream::StreamError;
pub use run::{Ending, RunError, run};
pub use swap::{Check, Keep, KeepError, Refused, Request, Shadow, Swapped, Swaps};
pub use versions::slot::Rollout;
pub use versions::version::{Origin, Rates, Record, Standing, Tally};
