//! `clickmill validate`: every problem of a pipeline, before it runs.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, place};
use clickmill_config as config;
use clickmill_pipeline as pipeline;
use clickmill_pipeline::Options;
use clickmill_sandbox::Secrets;

const EXAMPLES: &str = "\
Examples:
  clickmill validate host/pipelines/batch.toml
  clickmill validate host/pipelines/batch.toml --set source.uri=clothing.csv";

/// Checks a pipeline, its plugins and its table, without running it
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Validate {
    /// The pipeline file
    #[arg(value_name = "PIPELINE.toml")]
    pipeline: PathBuf,

    /// Set a value of the pipeline file, as for `run`
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
}

impl Validate {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        let pipeline = config::read(&self.pipeline, &self.set)?;
        let options = Options {
            warehouse: warehouse.to_owned(),
            cache: place::cache(),
            secrets: Secrets::new(),
            // The file is what is asked about.
            forget_swaps: true,
            audit: place::audit(),
            actor: place::actor(),
        };
        let checked = pipeline::validate(pipeline, &options)?;
        for line in checked {
            eprintln!("{line}");
        }
        println!("{}: valid", self.pipeline.display());
        Ok(())
    }
}
