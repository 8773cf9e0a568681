//! Several processes at one thing: two with one worker each against one with two, in turn, over the objects of
//! a folder and over a subscription; and what is there once 1, 2, 4 and 8 processes on one subscription were
//! started, stopped and killed, by counting.
//!
//!     cargo bench --bench processes
//!
//! What needs Google's Pub/Sub emulator is left out, and told, where that is missing.
//! `CLICKMILL_PROCESSES_OF` takes one part alone (`folder`, `subscription`, `kills`).

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

#[path = "../tests/it/cloud.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod cloud;
#[path = "../tests/it/emulators.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod emulators;
#[path = "../tests/it/several_streams.rs"]
mod several_streams;
#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use cloud::Cloud;
use several_streams::{processes_come_and_go, stream};
use support::{Process, Scratch, plugins, root, summary};

/// How long a stream waits for more before it ends, which is not counted.
const IDLE: Duration = Duration::from_secs(3);

fn main() {
    plugins();
    let only = std::env::var("CLICKMILL_PROCESSES_OF").unwrap_or_default();
    if "folder".contains(&only) {
        folder(smoke::of(48, 6), smoke::of(20_000, 200), smoke::of(7, 1));
    }
    if "subscription".contains(&only) {
        subscription(smoke::of(100_000, 500), smoke::of(5, 1));
    }
    if "kills".contains(&only) {
        // Tests count with fewer.
        for processes in smoke::of(&[1, 2, 4, 8][..], &[8][..]) {
            let ends = smoke::of(4 + 2 * processes, 2);
            match processes_come_and_go("the bench `processes`", *processes, ends) {
                Some(killed) => println!(
                    "{processes} processes on a subscription, {ends} ends, {killed} of them kills: nothing lost or doubled"
                ),
                None => return,
            }
        }
    }
}

/// Medians of what two processes with one worker each and one with two do a second, and of the ratio of both.
fn in_turn(what: &str, rows: u64, rounds: usize, mut seconds: impl FnMut(usize) -> f64) {
    // The first run may compile the plugins.
    seconds(1);
    let mut rates: [Vec<f64>; 2] = Default::default();
    for _ in 0..rounds {
        rates[0].push(rows as f64 / seconds(1));
        rates[1].push(rows as f64 / seconds(2));
    }
    let mut ratios: Vec<f64> = rates[0].iter().zip(&rates[1]).map(|(one, two)| two / one).collect();
    let [one, two] = rates.map(|mut rates| median(&mut rates));
    println!("{what}, {rows} rows, medians of {rounds} rounds in turn");
    println!("one process with two workers      {one:>9.0} rows/s");
    println!("two processes with one worker     {two:>9.0} rows/s");
    println!("two / one                         {:>9.3}", median(&mut ratios));
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn workers(processes: usize) -> String {
    format!("workers={}", 2 / processes)
}

/// Starts so many processes, and waits for their ends. Returns their summaries.
fn all(processes: usize, command: impl Fn() -> Command) -> Vec<Json> {
    let start = |_| Process::listen(&mut command());
    let running: Vec<Process> = (0..processes).map(start).collect();
    running.into_iter().map(|process| summary(&process.wait_with_output().unwrap())).collect()
}

fn sum(summaries: &[Json], key: &str) -> u64 {
    summaries.iter().map(|summary| summary[key].as_u64().unwrap()).sum()
}

fn folder(objects: u64, rows: u64, rounds: usize) {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("in")).unwrap();
    for seed in 0..objects {
        let (rows, seed) = (rows.to_string(), seed.to_string());
        let output = format!("in/{seed:0>3}.csv");
        let generate = ["generate", "shop", "--rows", &rows, "--seed", &seed, "--output", &output];
        scratch.done(&generate);
    }
    let pipeline = root().join("host/pipelines/batch.toml").to_string_lossy().into_owned();
    let all_rows = objects * rows;
    in_turn(&format!("{objects} objects of a folder"), all_rows, rounds, |processes| {
        let _ = std::fs::remove_dir_all(scratch.path("warehouse"));
        let workers = workers(processes);
        let run = ["run", "--json", &pipeline, "--set", "source.uri=in/*.csv", "--set", &workers];
        let began = Instant::now();
        let summaries = all(processes, || scratch.command(&run));
        let seconds = began.elapsed().as_secs_f64();
        assert_eq!(sum(&summaries, "rows_in"), all_rows);
        assert_eq!(sum(&summaries, "objects_loaded"), objects);
        seconds
    });
}

/// What is published before is drained: the emulator runs on the same cores.
fn subscription(messages: u64, rounds: usize) {
    let settings = json!({ "ackDeadlineSeconds": 60 });
    if emulators::pubsub("the bench `processes`").is_none() {
        return;
    }
    in_turn("messages of a subscription", messages, rounds, |processes| {
        let cloud = Cloud::start("the bench `processes`", &settings).unwrap();
        cloud.publish(&["--count", &messages.to_string()]);
        let workers = workers(processes);
        let idle = format!("{}s", IDLE.as_secs());
        let arguments = ["--set", &workers, "--stop-when-idle", &idle];
        let began = Instant::now();
        let summaries = all(processes, || stream(&cloud, &arguments));
        let seconds = began.elapsed().saturating_sub(IDLE).as_secs_f64();
        assert_eq!(sum(&summaries, "rows_in"), messages);
        seconds
    });
}
