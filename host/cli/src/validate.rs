//! `clickmill validate`: every problem of a pipeline, before it runs.

use clap::Args;

use super::Failure;
use super::pipeline_args::{PipelineArgs, look, options};
use clickmill_pipeline as pipeline;
use clickmill_pipeline::Options;

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
        // The file is what is asked about.
        let options = Options { forget_swaps: true, ..options(warehouse) };
        look(&pipeline, &options)?;
        let checked = pipeline::validate(pipeline, &options)?;
        for line in checked {
            eprintln!("{line}");
        }
        println!("{}: valid", self.pipeline.pipeline.display());
        Ok(())
    }
}
