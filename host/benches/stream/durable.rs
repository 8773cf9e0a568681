//! From publishing to durable: a stream into a local warehouse at a rate, as a whole process. What its rows cost
//! beside the time they take: flushes, which are files, and processor time.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use crate::clicks::{cache, file};

/// Ticks of `/proc/self/stat` in a second, on Linux.
const TICKS: f64 = 100.0;
const TOPIC: &str = "projects/bench-project/topics/clicks";

/// What a run says.
pub(crate) struct Durable {
    pub p50_ms: u64,
    pub p99_ms: u64,
    /// Flushes of rows.
    pub flushes: u64,
    pub seconds: f64,
    /// Of the whole process, its start too, and of one that publishes.
    pub processor_seconds: f64,
}

/// So many made-up events at a rate, made by the process itself.
pub(crate) fn made(rate: u64, rows: u64) -> Durable {
    let of = |key: &str, value: u64| ["--set".to_owned(), format!("source.{key}={value}")];
    run(&[of("rate", rate), of("rows", rows)].concat(), || ())
}

/// The same by the emulator of Pub/Sub that `PUBSUB_EMULATOR_HOST` names.
pub(crate) fn pulled(rate: u64, rows: u64) -> Durable {
    let subscription = format!("projects/bench-project/subscriptions/of-{}", std::process::id());
    let publish = |count: u64, rate: &[String]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_clickmill"));
        command.args(["generate", "clicks", "--publish", TOPIC, "--create"]);
        command.args(["--subscription", &subscription, "--count", &count.to_string()]).args(rate);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    };
    // Topic and subscription are there before anybody listens.
    assert!(publish(1, &[]).status().unwrap().success());
    let set = |value: &str| ["--set".to_owned(), format!("source.{value}")];
    let kind = set("kind=pubsub");
    let of = set(&format!("subscription={subscription}"));
    let ending = ["--stop-when-idle".to_owned(), "3s".to_owned()];
    let arguments = [kind, of, ending].concat();
    run(&arguments, || {
        let rate = ["--rate".to_owned(), rate.to_string()];
        let mut publishing = publish(rows, &rate).spawn().unwrap();
        std::thread::spawn(move || assert!(publishing.wait().unwrap().success()));
    })
}

fn run(arguments: &[String], meanwhile: impl FnOnce()) -> Durable {
    let folder = tempfile::tempdir().unwrap();
    let before = processor_seconds();
    let child = Command::new(env!("CARGO_BIN_EXE_clickmill"))
        .current_dir(folder.path())
        .args(["run", "--json", "--set", "admin.listen=off"])
        .args(arguments)
        .arg(file())
        .env("CLICKMILL_MASK_KEY", crate::clicks::KEY)
        .env("CLICKMILL_CACHE", cache())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    meanwhile();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let summary: Json = serde_json::from_slice(&output.stdout).unwrap();
    let stream = &summary["stream"];
    let table = "clickmill-data/warehouse/clickstream_analytics/clicks_raw";
    Durable {
        p50_ms: stream["latency_p50_ms"].as_u64().unwrap(),
        p99_ms: stream["latency_p99_ms"].as_u64().unwrap(),
        flushes: last_flush(&folder.path().join(table)).unwrap() + 1,
        seconds: summary["seconds"].as_f64().unwrap(),
        processor_seconds: processor_seconds() - before,
    }
}

/// The number of a session's last flush, as the names of its files say.
fn last_flush(folder: &Path) -> Option<u64> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let last = entries.filter_map(|entry| {
        if entry.path().is_dir() {
            return last_flush(&entry.path());
        }
        let name = entry.file_name().into_string().ok()?;
        let name = name.strip_suffix(".parquet")?.strip_prefix("live-")?;
        name.split('-').nth(2)?.parse().ok()
    });
    last.max()
}

/// What ended processes that this one has started have taken.
fn processor_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // Behind the name, which may have blanks.
    let fields = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = fields.split(' ').skip(13).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / TICKS
}
