//! `clickmill plugin test`: a plugin's golden cases, without a pipeline.

mod record;
mod report;

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use clap::Args;

use super::alone::Alone;
use super::pushed::reference;
use crate::compile::Limits;
use crate::{Exit, Failure};
use clickmill_core::{causes, list, shell_word};
use clickmill_sandbox::build;
use clickmill_sandbox::{Golden, GoldenError, Measure, TestError, Tested};
use record::Record;
use report::{json, junit, junit_of_error};

const EXAMPLES: &str = "\
Examples:
  clickmill plugin test plugins/mask
  clickmill plugin test mask.wasm
  clickmill plugin test oci://localhost:5000/plugins/mask:1.2.0
  clickmill plugin test plugins/mask --fuel
  clickmill plugin test plugins/mask --watch
  clickmill plugin test plugins/mask --json --junit mask.xml
  clickmill plugin test plugins/validate --record host/pipelines/batch.toml \\
      --limit 50
  clickmill plugin test plugins/mask --record host/pipelines/stream.toml --tap

Cases are the `tests/*.json` in the crate or beside the component, or those that were pushed with it: rows that go in, what is to become of them, and the fuel that they may use. A pipeline that takes the plugin up runs them first.

The exit code is 1 where a case fails or is beyond its budget, and 2 where cases can't be run.

--record writes cases of the rows that dead letters were when they came to the stage, or with --tap of those that pass, and of what the plugin makes of them now. Values that a tap hides are hidden. That letters are shown is entered into the audit log first.";

/// How often `--watch` looks.
const LOOK: Duration = Duration::from_millis(300);

/// Run a plugin's golden cases
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Test {
    /// A component file, the folder of a plugin crate, or oci://HOST/REPOSITORY:TAG
    plugin: PathBuf,

    /// Print the fuel of each case's row, and of all cases of a file in one batch
    #[arg(long, conflicts_with = "json")]
    fuel: bool,

    /// Print the outcome as JSON
    #[arg(long)]
    json: bool,

    /// Write the outcome to a file too, as JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Test again when the plugin or its cases change, until Ctrl-C
    #[arg(long)]
    watch: bool,

    #[command(flatten)]
    record: Record,

    #[command(flatten)]
    limits: Limits,
}

/// What became of a file of cases, or why they can't be run.
type Outcome = (String, Result<Tested, TestError>);

impl Test {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        if (self.record.is_asked() || self.watch) && reference(&self.plugin)?.is_some() {
            let what =
                "--record and --watch are about cases that lie here, and these lie in a registry";
            return Err(
                Failure::bad_input(what).hint("`clickmill plugin pull` makes a folder of it")
            );
        }
        if self.record.is_asked() {
            return self.record.run(&self.plugin, &self.limits, warehouse);
        }
        if !self.watch {
            return self.once();
        }
        loop {
            // What changes while it is built and tested is seen after that.
            let before = state(&self.plugin);
            if let Err(failure) = self.once() {
                eprintln!("{failure}");
            }
            eprintln!("waiting for `{}` or its cases to change", self.plugin.display());
            while state(&self.plugin) == before {
                std::thread::sleep(LOOK);
            }
        }
    }

    fn once(&self) -> Result<(), Failure> {
        let loaded = Alone::load(&self.plugin, &self.limits).and_then(|mut alone| {
            let cases = alone.take_cases()?;
            Ok((alone, cases))
        });
        let (alone, cases) = loaded.inspect_err(|failure| {
            let plugin = self.plugin.display().to_string();
            let report = || junit_of_error(&plugin, &causes(failure.told().0));
            // The failure is what the command ends with.
            if let Err(unwritable) = self.write(report) {
                eprintln!("{unwritable}");
            }
        })?;
        let test = |read: Result<Golden, GoldenError>| -> Result<Tested, TestError> {
            alone.library.golden(&alone.stage, &read?, Measure::All)
        };
        let outcomes: Vec<Outcome> =
            cases.into_iter().map(|(file, read)| (file, test(read))).collect();
        self.write(|| junit(&alone.made().plugin, &outcomes))?;
        if self.json {
            println!("{:#}", json(&alone.made(), &outcomes));
        }
        let (mut cases, mut failed, mut cannot) = (0, 0, Vec::new());
        let mut dear = Vec::new();
        for (_, outcome) in outcomes {
            let tested = match outcome {
                Ok(tested) => tested,
                Err(error) => {
                    cannot.push(error);
                    continue;
                }
            };
            cases += tested.cases.len();
            failed += tested.failed();
            dear.extend(warnings(&tested));
            if !self.json {
                self.tell(&tested);
            }
        }
        if cannot.is_empty() && failed == 0 && !self.json {
            println!("{cases} golden cases pass");
        }
        for warning in dear {
            eprintln!("{warning}");
        }
        if !cannot.is_empty() {
            return Err(cannot_be_run(cannot));
        }
        if failed > 0 {
            let error = anyhow::anyhow!("{failed} of {cases} golden cases fail");
            return Err(Failure::new(Exit::Failed, error));
        }
        let pipeline = alone.folder.join("pipeline.toml");
        if pipeline.is_file() && !self.watch {
            eprintln!("next: clickmill run {} --watch", shell_word(&pipeline.to_string_lossy()));
        }
        Ok(())
    }

    /// Writes the report, where one is wanted.
    fn write(&self, report: impl FnOnce() -> String) -> Result<(), Failure> {
        let Some(path) = &self.junit else { return Ok(()) };
        std::fs::write(path, report()).map_err(|error| Failure::unwritable(path, error))
    }

    fn tell(&self, tested: &Tested) {
        if self.fuel {
            for case in &tested.cases {
                let fuel = case.fuel_per_row.unwrap_or_default();
                println!("{fuel:>12}  {}, case `{}`", tested.file, case.name);
            }
            println!("{:>12}  {}, all cases in one batch", tested.fuel, tested.file);
        }
        for problem in tested.problems() {
            println!("{problem}");
        }
    }
}

/// Of cases that pass here and would not in a full batch, since a row takes more fuel than a pipeline grants for it by
/// default.
fn warnings(tested: &Tested) -> impl Iterator<Item = String> {
    tested.cases.iter().filter_map(|case| {
        let (fuel, granted) = (case.fuel_per_row?, case.granted_per_row?);
        (fuel > granted).then(|| {
            format!(
                "warning: {}, case `{}`: a row like it takes {fuel} fuel, and a pipeline grants {granted} for it by default: in full batches such rows may become dead letters unless the plugin has `max_fuel_per_record = {fuel}` under `[plugin.limits]`",
                tested.file, case.name
            )
        })
    })
}

/// All files whose cases can't be run, as one error.
fn cannot_be_run(mut errors: Vec<TestError>) -> Failure {
    if errors.len() == 1 {
        return Failure::new(Exit::BadInput, errors.remove(0));
    }
    let told = list(errors.iter().map(|error| causes(error)));
    Failure::bad_input(format!("the golden cases of {} files can't be run:{told}", errors.len()))
}

/// A file, when it was changed last, and its length: half of it may have been written just before.
type FileState = (PathBuf, Option<SystemTime>, u64);

/// In which state is what a test is made of: the plugin, and the files of its cases.
fn state(plugin: &Path) -> (Option<String>, Vec<FileState>) {
    let modified = |path: &Path| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    let folder = if plugin.is_dir() { Some(plugin) } else { plugin.parent() };
    let entries = folder.and_then(|folder| std::fs::read_dir(folder.join("tests")).ok());
    let paths = entries.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()));
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |meta| meta.len());
    let state = |path: PathBuf| (path.clone(), modified(&path), length(&path));
    let mut files: Vec<FileState> = paths.map(state).collect();
    files.sort();
    (build::state(plugin), files)
}
