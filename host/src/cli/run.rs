//! `clickmill run`: runs a pipeline, with progress while it goes on and a summary when it has ended.

use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use indicatif::{HumanBytes, HumanCount, HumanDuration, ProgressBar, ProgressStyle};
use serde_json::json;

use super::{Exit, Failure, dashboard, place};
use crate::config::Listen;
use crate::dashboard::Dashboard;
use crate::pipeline::{self, Built, Ending, Options, Running, Status, Stop, Streamed, Summary};
use crate::plugin::Secrets;
use crate::{admin, config, telemetry};

const EXAMPLES: &str = "\
Examples:
  clickmill run host/pipelines/batch.toml
  clickmill run host/pipelines/batch.toml --set source.uri='data/*.csv.gz'
  clickmill run host/pipelines/clicks.toml --set source.uri=clicks.ndjson --set plugin.mask.config.key_id=k2
  clickmill generate shop | clickmill run host/pipelines/batch.toml --set source.uri=-
  clickmill run host/pipelines/stream.toml
  clickmill run host/pipelines/stream_gcp.toml --stop-when-idle 30s

Ctrl-C finishes the object in hand, or the messages, and stops; a second one gives them up, and a later run takes them again.";

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
    #[arg(long, value_name = "DURATION", value_parser = humantime::parse_duration)]
    stop_when_idle: Option<Duration>,

    /// Take plugins up when they change: edit, save, and see the new rows (streams, and sources that are watched)
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
pub(super) struct Asked {
    /// When it ends.
    pub ending: Ending,
    /// All plugins are watched.
    pub watch: bool,
    /// Earlier swaps do not count.
    pub forget_swaps: bool,
    /// Values of secrets that do not come from the environment.
    pub secrets: Secrets,
    /// It is stopped after that long.
    pub stop_after: Option<Duration>,
    /// Its dashboard is opened in a browser.
    pub open: bool,
}

impl Run {
    pub fn run(self, warehouse: &str) -> Result<(), Failure> {
        let asked = Asked {
            ending: Ending { when_idle: self.stop_when_idle },
            watch: self.watch,
            forget_swaps: self.forget_swaps,
            ..Asked::default()
        };
        let summary = run_pipeline(&self.pipeline, &self.set, warehouse, asked)?;
        if self.json {
            println!("{}", as_json(&summary));
        } else {
            print_summary(&summary);
        }
        Ok(())
    }
}

/// Reads, builds and runs a pipeline.
pub(super) fn run_pipeline(
    path: &Path,
    set: &[String],
    warehouse: &str,
    asked: Asked,
) -> Result<Summary, Failure> {
    let Asked { ending, watch, forget_swaps, secrets, stop_after, open } = asked;
    let pipeline = config::read(path, set)?;
    let options = Options {
        warehouse: warehouse.to_owned(),
        cache: place::cache(),
        secrets,
        forget_swaps,
        audit: place::audit(),
        actor: place::actor(),
    };
    let built = pipeline::build(pipeline, &options)?;
    let served = match built.pipeline().admin.listen {
        Listen::Off => false,
        Listen::At(_) => true,
        // A short load has nobody to look at it.
        Listen::Usual(_) => built.is_live(),
    };
    let measured = served || telemetry::is_exported();
    if measured {
        telemetry::metrics::start(&built.pipeline().name);
    }
    let status = Arc::new(Status::default());
    let running = measured.then(|| Running::new(&built, &status));
    if let Some(running) = running.clone().filter(|_| served) {
        serve(&built, running, warehouse, open)?;
    }
    if built.is_live() {
        built.watch(watch);
    }
    let stop = Arc::new(Stop::default());
    on_interrupt(&stop, built.is_stream())?;
    if let Some(time) = stop_after {
        let stop = stop.clone();
        std::thread::spawn(move || {
            std::thread::sleep(time);
            stop.ask();
        });
    }
    let watch = Watch::start(status.clone(), built.is_stream());
    let ran = pipeline::run(&built, ending, &status, &stop);
    watch.end();
    telemetry::metrics::stop();
    drop(running);
    Ok(ran?)
}

/// Starts the admin interface, and says where it is.
fn serve(built: &Built, running: Running, warehouse: &str, open: bool) -> Result<(), Failure> {
    let pipeline = built.pipeline();
    let dashboard = Dashboard {
        pipeline: Some(pipeline.name.clone()),
        ..dashboard::over(built.tables().clone(), &pipeline.sink, &pipeline.admin, warehouse)
    };
    let started = built.block_on(admin::start(&pipeline.admin, dashboard, Some(running)))?;
    if let Some(address) = started {
        eprintln!("admin interface: {address}");
        eprintln!("dashboard: http://{address}/");
        if open {
            dashboard::open_in_browser(&format!("http://{address}/"));
        }
    }
    Ok(())
}

/// What Ctrl-C stops: the run of this moment, and whether it is a stream. A process has one handler.
static INTERRUPTED: Mutex<Option<(Arc<Stop>, bool)>> = Mutex::new(None);

fn on_interrupt(stop: &Arc<Stop>, stream: bool) -> Result<(), Failure> {
    let interrupted = || INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner);
    let before = interrupted().replace((stop.clone(), stream));
    if before.is_some() {
        return Ok(());
    }
    let set = ctrlc::set_handler(move || {
        let Some((stop, stream)) = interrupted().clone() else { return };
        let (first, second) = match stream {
            true => (
                "stopping: no more is taken, what is in hand is finished; once more to release it",
                "releasing what is in hand: it is delivered again",
            ),
            false => (
                "stopping after the object in hand; once more to give it up",
                "giving the object in hand up",
            ),
        };
        match stop.ask() {
            1 => eprintln!("{first}"),
            2 => eprintln!("{second}"),
            _ => std::process::exit(i32::from(Exit::Failed as u8)),
        }
    });
    set.map_err(|error| Failure::new(Exit::Environment, error))
}

/// Draws progress: a bar on a terminal, a line every ten seconds elsewhere.
struct Watch {
    ended: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Watch {
    fn start(status: Arc<Status>, stream: bool) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let ended = ended.clone();
            move || match (stderr().is_terminal(), stream) {
                (true, true) => spinner(&status, &ended),
                (true, false) => bar(&status, &ended),
                (false, _) => lines(&status, &ended),
            }
        });
        Self { ended, thread }
    }

    fn end(self) {
        self.ended.store(true, Ordering::Relaxed);
        self.thread.thread().unpark();
        // A watcher that panicked takes nothing with it.
        let _ = self.thread.join();
    }
}

fn bar(status: &Status, ended: &AtomicBool) {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:30} {percent:>3}% {msg} {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    while !ended.load(Ordering::Relaxed) {
        let now = status.snapshot();
        bar.set_length(now.bytes_total.max(now.bytes));
        bar.set_position(now.bytes);
        let rate = now.rows_in as f64 / bar.elapsed().as_secs_f64().max(0.001);
        bar.set_message(format!(
            "{} rows, {}/s, {} rejected",
            HumanCount(now.rows_in),
            HumanCount(rate as u64),
            HumanCount(now.rows_rejected),
        ));
        std::thread::park_timeout(Duration::from_millis(100));
    }
    bar.finish_and_clear();
}

fn spinner(status: &Status, ended: &AtomicBool) {
    let spinner = ProgressBar::new_spinner();
    let mut before = (std::time::Instant::now(), 0);
    let mut rate = 0.0;
    while !ended.load(Ordering::Relaxed) {
        let now = status.snapshot();
        let seconds = before.0.elapsed().as_secs_f64();
        if seconds >= 1.0 {
            rate = (now.rows_done - before.1) as f64 / seconds;
            before = (std::time::Instant::now(), now.rows_done);
        }
        spinner.set_message(format!(
            "{} messages done, {}/s, {} in hand, {} rejected{}",
            HumanCount(now.rows_done),
            HumanCount(rate as u64),
            HumanCount(now.rows_in.saturating_sub(now.rows_done)),
            HumanCount(now.rows_rejected),
            if now.retries > 0 { format!(", {} retries", now.retries) } else { String::new() },
        ));
        spinner.tick();
        std::thread::park_timeout(Duration::from_millis(100));
    }
    spinner.finish_and_clear();
}

fn lines(status: &Status, ended: &AtomicBool) {
    loop {
        std::thread::park_timeout(Duration::from_secs(10));
        if ended.load(Ordering::Relaxed) {
            return;
        }
        let now = status.snapshot();
        tracing::info!(
            rows_in = now.rows_in,
            rows_rejected = now.rows_rejected,
            rows_done = now.rows_done,
            retries = now.retries,
            bytes = now.bytes,
            bytes_total = now.bytes_total,
            object = now.object,
            "running"
        );
    }
}

/// The summary, for a person.
pub(super) fn print_summary(summary: &Summary) {
    let counts = &summary.counts;
    for object in &summary.skipped {
        eprintln!("skipped {object}: it is loaded already");
    }
    if summary.left > 0 {
        eprintln!("stopped: {} objects are left, run again to load them", summary.left);
    }
    if summary.loaded == 0 && summary.stream.is_none() {
        eprintln!("nothing to load");
        return;
    }
    let seconds = summary.elapsed.as_secs_f64();
    match &summary.stream {
        Some(streamed) => print_streamed(streamed, counts.rows_in, seconds),
        None => eprintln!(
            "loaded {} object{} in {seconds:.2} s: {} rows/s, {}",
            summary.loaded,
            if summary.loaded == 1 { "" } else { "s" },
            HumanCount((counts.rows_in as f64 / seconds) as u64),
            HumanBytes(counts.bytes),
        ),
    }
    let width = 14;
    for (label, value) in [
        ("rows in", counts.rows_in),
        ("rows out", counts.rows_out),
        ("rejected", counts.rows_rejected),
        ("filtered", counts.rows_filtered),
    ] {
        eprintln!("  {label:<9} {:>width$}", HumanCount(value).to_string());
    }
    if !counts.rejected_by.is_empty() {
        eprintln!("rejected by");
        for ((stage, code), count) in &counts.rejected_by {
            eprintln!("  {stage:<10} {code:<26} {:>10}", HumanCount(*count).to_string());
        }
    }
    if !counts.stages.is_empty() {
        eprintln!("plugins");
        for (name, stage) in &counts.stages {
            let rows = stage.rows_in.max(1) as f64;
            eprintln!(
                "  {name:<10} {:>8.3} s {:>7.0} ns/row {:>8.0} fuel/row {:>8} rejected {:>4} faults",
                stage.time.as_secs_f64(),
                stage.time.as_nanos() as f64 / rows,
                stage.fuel as f64 / rows,
                HumanCount(stage.rejected).to_string(),
                stage.faults,
            );
        }
    }
    if let Some(digest) = &summary.plugin_set {
        eprintln!("plugin set {digest}");
    }
    if seconds > 60.0 {
        eprintln!("took {}", HumanDuration(summary.elapsed));
    }
}

fn print_streamed(streamed: &Streamed, rows_in: u64, seconds: f64) {
    eprintln!(
        "streamed for {seconds:.1} s: {} messages/s, from publishing to durable {} ms (median), {} ms (99 %), {} ms (most)",
        HumanCount((rows_in as f64 / seconds) as u64),
        streamed.latency_p50_ms,
        streamed.latency_p99_ms,
        streamed.latency_max_ms,
    );
    for (count, what) in [
        (streamed.repeated, "deliveries of messages that were written before, dropped"),
        (streamed.unconfirmed, "acknowledgements were not taken, their messages come again"),
        (streamed.spooled, "dead letters went to the spool"),
        (streamed.retries, "appends failed and were tried again"),
    ] {
        if count > 0 {
            eprintln!("  {} {what}", HumanCount(count));
        }
    }
}

fn as_json(summary: &Summary) -> serde_json::Value {
    let counts = &summary.counts;
    let rejected_by = counts
        .rejected_by
        .iter()
        .map(|((stage, code), count)| json!({ "stage": stage, "code": code, "rows": count }));
    let stages = counts.stages.iter().map(|(name, stage)| {
        json!({
            "name": name,
            "rows_in": stage.rows_in,
            "rows_rejected": stage.rejected,
            "rows_filtered": stage.filtered,
            "faults": stage.faults,
            "fuel": stage.fuel,
            "seconds": stage.time.as_secs_f64(),
        })
    });
    let stream = summary.stream.as_ref().map(|streamed| {
        json!({
            "repeated": streamed.repeated,
            "unconfirmed": streamed.unconfirmed,
            "spooled": streamed.spooled,
            "retries": streamed.retries,
            "latency_p50_ms": streamed.latency_p50_ms,
            "latency_p99_ms": streamed.latency_p99_ms,
            "latency_max_ms": streamed.latency_max_ms,
            "pause_p99_us": streamed.pause_p99_us,
            "pause_max_us": streamed.pause_max_us,
        })
    });
    json!({
        "stream": stream,
        "rows_in": counts.rows_in,
        "rows_out": counts.rows_out,
        "rows_rejected": counts.rows_rejected,
        "rows_filtered": counts.rows_filtered,
        "rejected_by": rejected_by.collect::<Vec<_>>(),
        "plugins": stages.collect::<Vec<_>>(),
        "bytes": counts.bytes,
        "objects_loaded": summary.loaded,
        "objects_skipped": summary.skipped,
        "objects_left": summary.left,
        "plugin_set": summary.plugin_set,
        "seconds": summary.elapsed.as_secs_f64(),
    })
}
