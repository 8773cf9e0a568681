//! `clickmill plugin profile`: where a plugin's fuel goes, by function.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;

use super::alone::Alone;
use super::bench::read_rows;
use super::pushed::reference;
use crate::compile::Limits;
use crate::{Exit, Failure};
use clickmill_sandbox::build::named;

const EXAMPLES: &str = "\
Examples:
  clickmill plugin profile plugins/mask
  clickmill plugin profile plugins/mask --cases clicks.json \\
      --output mask.cpuprofile
  clickmill plugin profile plugins/mask --cases clicks.json --rows clicks.ndjson

One call is made again and again, and each time it ends after a little more fuel: where it was then is a sample. So a profile is the same each time and on every machine. The file opens in https://www.speedscope.app and in https://profiler.firefox.com; what they show as a microsecond is a unit of fuel. Names of functions lie beside a component that `plugin build` made (`mask.named.wasm`); without them functions have numbers.";

/// Functions that are printed.
const PRINTED: usize = 20;

/// Show where a plugin's fuel goes, by function
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Profile {
    /// A component file, the folder of a plugin crate, or oci://HOST/REPOSITORY:TAG
    plugin: PathBuf,

    /// The golden cases of this file, such as clicks.json (default: the first)
    #[arg(long, value_name = "NAME")]
    cases: Option<String>,

    /// Rows to take in place of those of the cases: a JSON object a line; columns that the cases lack are left out
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,

    /// How many rows the call has
    #[arg(long, value_name = "ROWS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=8192))]
    count: u64,

    /// How many samples are taken
    #[arg(long, value_name = "N", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    samples: u64,

    /// Where the profile is written (default: here, named like the plugin)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,

    #[command(flatten)]
    limits: Limits,
}

impl Profile {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let (component, folder) = Alone::find(&self.plugin, &self.limits)?;
        let has_names = with_names(&component);
        let alone = Alone::of(has_names.unwrap_or(component), folder, &self.limits)?;
        let rows = self.rows.as_deref().map(read_rows).transpose()?.unwrap_or_default();
        let golden = alone.cases_of(self.cases.as_deref())?[0];
        let failed = |error: anyhow::Error| Failure::new(Exit::BadInput, error);
        let bench = alone.library.bench(&alone.stage, golden, &rows, self.count as usize);
        let profile = bench.map_err(|error| failed(error.into()))?.profile(self.samples);
        let profile = profile.map_err(|error| failed(error.into()))?;
        // Not by what it says of itself: that may be a path.
        let stem = match reference(&self.plugin)? {
            Some(reference) => reference.name().into(),
            None => self.plugin.file_stem().unwrap_or("plugin".as_ref()).to_owned(),
        };
        let output = self.output.unwrap_or_else(|| Path::new(&stem).with_extension("cpuprofile"));
        let written = std::fs::write(&output, profile.cpuprofile());
        written.map_err(|error| Failure::unwritable(&output, error))?;
        println!(
            "{}: {} rows in a call, {} fuel, a sample every {}",
            golden.file, profile.rows, profile.fuel, profile.step
        );
        println!("{:>7} {:>7}  function", "itself", "all");
        let functions = profile.functions();
        for function in functions.iter().take(PRINTED) {
            let (own, all) = (function.own * 100.0, function.all * 100.0);
            println!("{own:>6.1}% {all:>6.1}%  {}", function.function);
        }
        if functions.len() > PRINTED {
            println!("{} more", functions.len() - PRINTED);
        }
        eprintln!(
            "written to `{}`: open it in https://www.speedscope.app or https://profiler.firefox.com",
            output.display()
        );
        Ok(())
    }
}

/// The component with names beside another, if it is of the same build.
fn with_names(component: &Path) -> Option<PathBuf> {
    let made = |path: &Path| -> Option<SystemTime> { path.metadata().ok()?.modified().ok() };
    let named = named(component);
    (made(&named)? >= made(component)?).then_some(named)
}
