//! The pipeline that a verb is about, and what it is built with.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, compile, place};
use clickmill_config::Pipeline;
use clickmill_pipeline::Options;
use clickmill_sandbox::Secrets;

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

/// Whether a pipeline can run, as far as it can be told before anything is built.
///
/// # Errors
///
/// All that keeps it from running.
pub(super) fn look(pipeline: &Pipeline, options: &Options) -> Result<(), Failure> {
    let found = clickmill_pipeline::look(pipeline, &options.secrets, options.cache.as_deref());
    let mut found: Vec<Failure> = found.into_iter().map(Failure::from).collect();
    found.extend(clickmill_pipeline::look_at_columns(pipeline).err().map(Failure::from));
    if pipeline.is_served() {
        found.extend(clickmill_admin::look(&pipeline.admin).into_iter().map(Failure::from));
    }
    Failure::all(found)
}

/// What a pipeline is built with on this machine. Its secrets come from the environment, and its last swap
/// counts.
pub(super) fn options(warehouse: &str) -> Options {
    Options {
        warehouse: warehouse.to_owned(),
        cache: place::cache(),
        compiler: Some(compile::compiler()),
        secrets: Secrets::new(),
        forget_swaps: false,
        audit: place::audit(),
        actor: place::actor(),
        file: None,
    }
}
