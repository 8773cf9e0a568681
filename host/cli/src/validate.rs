//! `clickmill validate`: every problem of a pipeline, before it runs.

use clap::Args;

use super::pipeline_args::PipelineArgs;
use super::{Failure, compile, place};
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
    #[command(flatten)]
    pipeline: PipelineArgs,
}

impl Validate {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        let pipeline = self.pipeline.read()?;
        let options = Options {
            warehouse: warehouse.to_owned(),
            cache: place::cache(),
            compiler: Some(compile::compiler()),
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
        println!("{}: valid", self.pipeline.pipeline.display());
        Ok(())
    }
}
