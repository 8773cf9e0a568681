//! A pipeline: built from its checked file, run to the end, watched while it runs. The only module that
//! knows all the others.

mod build;
mod cut;
mod deliver;
mod guard;
mod load;
mod replay;
mod run;
mod running;
mod series;
mod slot;
mod status;
mod stop;
mod stream;
mod summary;
mod swap;
mod tap;
mod trail;
mod transform;
mod version;

pub use build::{BuildError, Built, Options, build, open, tables_of, validate};
pub use deliver::DeliverError;
pub use load::LoadError;
pub use replay::{Explained, Fate, Replay, ReplayError, Replayed, explain, replay};
pub use run::{Ending, RunError, run};
pub use running::{About, Plugins, Running};
pub use series::{Sample, StageSample};
pub use slot::Rollout;
pub use status::{Queue, Snapshot, Status};
pub use stop::Stop;
pub use stream::StreamError;
pub use summary::{Counts, Streamed, Summary};
pub use swap::{Check, Keep, KeepError, Refused, Request, Shadow, Swapped, Swaps};
pub use tap::{Taken, Tap, TooManyTaps};
pub use trail::TrailError;
pub use version::{Origin, Rates, Record, Standing, Tally};
