//! A pipeline: built from its checked file, run to the end, watched while it runs. The only module that
//! knows all the others.

mod build;
mod cut;
mod deliver;
mod load;
mod run;
mod status;
mod stream;
mod transform;

pub use build::{BuildError, Built, Options, build, validate};
pub use deliver::DeliverError;
pub use load::LoadError;
pub use run::{Ending, RunError, run};
pub use status::{Counts, Snapshot, Status, Stop, Streamed, Summary};
pub use stream::StreamError;
