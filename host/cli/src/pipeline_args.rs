//! The pipeline that a verb is about.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, place};
use clickmill_config::Pipeline;

// A pipeline file, as it is named on the command line. (No text of help: the verb has its own.)
#[derive(Debug, Args)]
pub(super) struct PipelineArgs {
    /// The pipeline file
    #[arg(value_name = "PIPELINE.toml")]
    pub pipeline: PathBuf,

    /// Set a value of the pipeline file, as for `run`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl PipelineArgs {
    /// Reads and checks it.
    pub(crate) fn read(&self) -> Result<Pipeline, Failure> {
        place::read_pipeline(&self.pipeline, &self.set)
    }
}
