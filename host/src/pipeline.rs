//! A pipeline: built from its checked file, run to the end, watched while it runs. The only module that
//! knows all the others.

mod build;
mod load;
mod run;
mod status;

pub use build::{BuildError, Built, Options, build, validate};
pub use load::LoadError;
pub use run::{RunError, run};
pub use status::{Counts, Snapshot, Status, Stop, Summary};
