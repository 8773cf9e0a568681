//! `clickmill exec`: the chain for another engine, by frames on standard input and output.

use std::fs::File;
use std::io::{IsTerminal, Write, stdin, stdout};
use std::os::fd::AsFd;

use clap::Args;

use super::Failure;
use super::pipeline_args::{PipelineArgs, options};
use super::print;
use clickmill_config::MAX_WORKERS;
use clickmill_pipeline as pipeline;

const EXAMPLES: &str = "\
Examples:
  clickmill exec host/pipelines/stream_gcp.toml
  clickmill exec host/pipelines/batch.toml --plugin-set 0a1b2c3d
  clickmill exec host/pipelines/stream_gcp.toml --watch \\
      --set swap.watch=gs://lake/plugins/

Frames come in on standard input and go out on standard output, for Beam, Spark and other engines: host/README.md has the protocol. Nothing is written to a table, ledger, spool or audit log. The process ends where standard input does.";

/// Run the chain for another engine, by frames on standard input and output
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Exec {
    #[command(flatten)]
    pipeline: PipelineArgs,

    /// Threads that run the chain
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        value_parser = clap::value_parser!(u16).range(1..=MAX_WORKERS as i64)
    )]
    workers: u16,

    /// Refuse any plugin set but this one, by how its digest begins: all retries are to agree
    #[arg(long, value_name = "DIGEST", value_parser = digest, conflicts_with = "watch")]
    plugin_set: Option<String>,

    /// Take plugins up as they change: those in `swap.watch`, also at the start, and those with `watch = true`
    #[arg(long)]
    watch: bool,

    /// The longest frame, both ways
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 64 << 20,
        value_parser = clap::value_parser!(u32).range(64 << 10..=1 << 30)
    )]
    max_frame_bytes: u32,
}

/// How a digest begins, long enough to mean one.
fn digest(text: &str) -> Result<String, &'static str> {
    let is_one = text.len() >= 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_one { Ok(text.to_ascii_lowercase()) } else { Err("wanted 8 or more hexadecimal digits") }
}

impl Exec {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        if stdout().is_terminal() {
            return Err(Failure::bad_input(
                "standard output is a terminal, and frames are for programs",
            )
            .hint("`clickmill run` runs a pipeline by itself"));
        }
        let mut output = print::frames()?;
        let ran = self.answer(warehouse, &mut output);
        if let Err(failure) = &ran {
            let (error, hint) = failure.told();
            let frame = pipeline::error_frame(error, hint, failure.exit as u8);
            // Who does not read it sees the exit code.
            let _ = output.write_all(&frame);
        }
        ran
    }

    fn answer(self, warehouse: &str, output: &mut impl Write) -> Result<(), Failure> {
        let (pipeline, options) = (self.pipeline.read()?, options(warehouse));
        let found = pipeline::look(&pipeline, &options.secrets, options.cache.as_deref());
        Failure::all(found.into_iter().map(Failure::from).collect())?;
        // Not through a buffer: frames are long.
        let input = File::from(stdin().as_fd().try_clone_to_owned()?);
        let how = pipeline::Exec {
            workers: usize::from(self.workers),
            watch: self.watch,
            plugin_set: self.plugin_set,
            max_frame_bytes: self.max_frame_bytes as usize,
        };
        pipeline::exec(pipeline, &options, &how, input, output).map_err(|error| {
            let hint = error.hint();
            let failure = Failure::from(error);
            match hint {
                Some(hint) => failure.hint(hint),
                None => failure,
            }
        })
    }
}
