//! `clickmill run`: runs a pipeline, with progress while it goes on and a summary when it has ended.

mod progress;
mod summary;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Args;

use super::duration::duration;
use super::pipeline_args::{self, options};
use super::running::{self, Announced};
use super::{Exit, Failure, dashboard, place};
use clickmill_admin as admin;
use clickmill_admin::Interface;
use clickmill_config::PipelineFile;
use clickmill_core::lock;
use clickmill_dashboard::Dashboard;
use clickmill_pipeline as pipeline;
use clickmill_pipeline::{Ending, Options, PreparedPipeline, Running, Status, Stop, Summary};
use clickmill_sandbox::Secrets;
use clickmill_sink::Tables;
use clickmill_telemetry as telemetry;
use progress::Watch;
pub(super) use summary::{not_loaded, print_summary};

const EXAMPLES: &str = "\
Examples:
  clickmill run host/pipelines/batch.toml
  clickmill run host/pipelines/batch.toml --set source.uri='data/*.csv.gz'
  clickmill run host/pipelines/clicks.toml --set plugin.mask.config.key_id=k2
  clickmill generate shop | clickmill run host/pipelines/batch.toml \\
      --set source.uri=-
  clickmill run host/pipelines/stream.toml
  clickmill run host/pipelines/stream_gcp.toml --stop-when-idle 30s

Ctrl-C finishes the object in hand, or the messages, and stops; a second one gives them up, and a later run takes them again. A load that leaves objects ends with 3.";

/// Runs a pipeline to the end of its source, a stream until it is told to stop
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Run {
    /// The pipeline file
    #[arg(value_name = "PIPELINE.toml")]
    pipeline: PathBuf,

    /// Set a value of the pipeline file, such as source.uri=clicks.csv; a stage is named: plugin.mask.config.key_id=k2
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,

    /// End once nothing has arrived for that long, such as 5s or 2m (streams, and sources that are watched)
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    stop_when_idle: Option<Duration>,

    /// Take plugins up when they change, and the stages of the pipeline file: edit, save, and see the new rows (streams, and sources that are watched)
    #[arg(long)]
    watch: bool,

    /// Run the plugins that the pipeline file names, whatever was swapped since
    #[arg(long)]
    forget_swaps: bool,

    /// Print the summary as JSON on standard output
    #[arg(long)]
    json: bool,
}

/// What a run is asked to do beside what the pipeline file says.
#[derive(Debug, Default)]
pub(super) struct RunOptions {
    /// When it ends.
    pub ending: Ending,
    /// All plugins are watched.
    pub watch: bool,
    /// Earlier swaps do not count.
    pub forget_swaps: bool,
    /// Values of secrets that do not come from the environment.
    pub secrets: Secrets,
    /// Its dashboard is opened in a browser.
    pub open: bool,
    /// These objects are loaded, and no others.
    pub only: Option<Only>,
}

/// Objects that are loaded once more.
#[derive(Debug)]
pub(super) struct Only {
    pub uris: Vec<String>,
    /// Those of them that could not be looked at.
    pub places: Vec<String>,
    /// Somebody has said which. Otherwise those are loaded that the source names.
    pub chosen: bool,
}

impl Run {
    pub(crate) fn run(self, warehouse: &str) -> Result<(), Failure> {
        let options = RunOptions {
            ending: Ending { when_idle: self.stop_when_idle, after: None },
            watch: self.watch,
            forget_swaps: self.forget_swaps,
            ..RunOptions::default()
        };
        let summary = run_pipeline(&self.pipeline, &self.set, warehouse, options)?;
        conclude(&summary, self.json)
    }
}

/// Prints the summary of a run, and says whether all of it is loaded.
pub(super) fn conclude(summary: &Summary, json: bool) -> Result<(), Failure> {
    if json {
        println!("{}", summary::as_json(summary));
    } else {
        print_summary(summary);
    }
    summary::not_loaded(summary)
}

/// Reads, builds and runs a pipeline.
pub(super) fn run_pipeline(
    path: &Path,
    set: &[String],
    warehouse: &str,
    run: RunOptions,
) -> Result<Summary, Failure> {
    let RunOptions { ending, watch, forget_swaps, secrets, open, only } = run;
    let path = place::find_pipeline(path);
    let pipeline = clickmill_config::read(&path, set)?;
    if watch && pipeline.swap.fleet.is_some() {
        return Err(Failure::bad_input(
            "`--watch` takes plugins up in one process, and this one is of a fleet (`swap.fleet`)",
        )
        .hint("clickmill fleet swap PIPELINE.toml mask=plugins/mask proposes to all"));
    }
    // What came by a pipe is read once.
    let file = path.is_file().then(|| PipelineFile { path, overrides: set.to_vec() });
    let options = Options { secrets, forget_swaps, file, ..options(warehouse) };
    pipeline_args::look(&pipeline, &options)?;
    let prepared = pipeline::build(pipeline, &options)?;
    // Its start is in the audit log, and so its end will be.
    let stop = Arc::new(Stop::default());
    on_interrupt(&stop, &prepared)?;
    let served = prepared.pipeline().is_served();
    let measured = served || telemetry::is_exported();
    if measured {
        telemetry::metrics::start(&prepared.pipeline().name);
    }
    let status = Arc::new(Status::default());
    let running = measured.then(|| prepared.observe(&status));
    // Until the end.
    let _served = match running.clone().filter(|_| served) {
        Some(running) => serve(&prepared, running, warehouse, open)?,
        None => None,
    };
    if prepared.is_live() {
        prepared.watch(watch);
        if watch {
            eprintln!("next: change a plugin and save it: it is built, tried, and takes over");
        }
    }
    let watch = Watch::start(status.clone(), prepared.is_stream());
    let ran = match only {
        Some(Only { uris, places, chosen }) => {
            pipeline::run_objects(&prepared, &uris, &places, chosen, &status, &stop)
        }
        None => pipeline::run(&prepared, ending, &status, &stop),
    };
    watch.end();
    telemetry::metrics::stop();
    drop(running);
    Ok(ran?)
}

/// Starts the admin interface, and says where it is: to whoever reads, and to other commands.
fn serve(
    prepared: &PreparedPipeline,
    observed: Running,
    warehouse: &str,
    open: bool,
) -> Result<Option<(Option<Announced>, Interface)>, Failure> {
    let pipeline = prepared.pipeline();
    // Connections of its own: the pipeline's are never held up by a page.
    let tables = prepared.block_on(Tables::open(&pipeline.sink.place, warehouse))?;
    let dashboard = Dashboard {
        pipeline: Some(pipeline.name.clone()),
        ..dashboard::over(tables, &pipeline.sink, &pipeline.admin, warehouse)
    };
    let started = admin::start(&pipeline.admin, dashboard, Some(observed), None)?;
    let Some(interface) = started else { return Ok(None) };
    let announced = running::announce(Some(&pipeline.name), &interface);
    eprintln!("admin interface: {}", interface.address());
    dashboard::tell(&interface, "", open);
    // In this order they end: what is told is there.
    Ok(Some((announced, interface)))
}

/// How long a run that was told to end at once may take over it.
const LAST_WORDS: Duration = Duration::from_secs(8);

/// What Ctrl-C and SIGTERM stop: the run of this moment.
#[derive(Clone)]
struct Interruptible {
    stop: Arc<Stop>,
    is_stream: bool,
    /// How long a stream may take over what is in hand.
    max_drain: Option<Duration>,
}

/// A process has one handler.
static INTERRUPTED: Mutex<Option<Interruptible>> = Mutex::new(None);

fn on_interrupt(stop: &Arc<Stop>, prepared: &PreparedPipeline) -> Result<(), Failure> {
    let max_drain = prepared.pipeline().source.max_drain();
    let now = Interruptible { stop: stop.clone(), is_stream: prepared.is_stream(), max_drain };
    if lock(&INTERRUPTED).replace(now).is_some() {
        return Ok(());
    }
    ctrlc::set_handler(interrupt).map_err(|error| Failure::new(Exit::Environment, error))
}

/// Has the run of this moment end: once what is in hand is done, then at once, then however it is.
fn interrupt() {
    let Some(run) = lock(&INTERRUPTED).clone() else { return };
    let (first, second) = if run.is_stream {
        (
            "stopping: no more is taken, what is in hand is finished; once more to release it",
            "releasing what is in hand: it is delivered again",
        )
    } else {
        (
            "stopping after the object in hand; once more to give it up",
            "giving the object in hand up",
        )
    };
    match run.stop.ask() {
        1 => {
            eprintln!("{first}");
            let Some(most) = run.max_drain else { return };
            run.after(most, move |run| {
                if !run.stop.now() {
                    eprintln!("not done within `source.max_drain_secs`, {} s", most.as_secs());
                    interrupt();
                }
            });
        }
        2 => {
            eprintln!("{second}");
            // Whatever is waited for: all of it can be killed.
            run.after(LAST_WORDS, |_| {
                eprintln!("error: interrupted, while something did not answer");
                std::process::exit(i32::from(Exit::Failed as u8));
            });
        }
        _ => std::process::exit(i32::from(Exit::Failed as u8)),
    }
}

impl Interruptible {
    /// Does something so much later, if this run is still on its way.
    fn after(self, time: Duration, then: impl FnOnce(&Self) + Send + 'static) {
        std::thread::spawn(move || {
            std::thread::sleep(time);
            let now = lock(&INTERRUPTED).clone();
            if now.is_some_and(|now| Arc::ptr_eq(&now.stop, &self.stop)) {
                then(&self);
            }
        });
    }
}
