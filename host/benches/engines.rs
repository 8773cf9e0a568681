//! The same three steps over click events, in plain Python and by clickmill: in a loop over batches
//! (`clickmill.chain`), in Apache Beam on its direct runner (`clickmill.beam`) and in Spark on two cores
//! (`clickmill.spark`), each pair in turn. Prints rows a second and ratios, of each round as it is done and then their
//! medians.
//!
//!     cargo bench --bench engines
//!
//! The engines are installed from PyPI into the folder of the tests' emulators; Spark wants Java.
//! `CLICKMILL_ENGINES_ROWS` takes another number of events, `CLICKMILL_ENGINES_OF` one engine
//! (`python`, `beam`, `spark`), `CLICKMILL_ENGINES_SECONDS` another time that an engine has: once it is over, no round
//! is begun after the third, and a run that goes on so long by itself is given up. The rounds before it count.

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

#[path = "../tests/it/emulators.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod emulators;
#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use emulators::python_with;
use support::{Process, Scratch, cache, plugins, root};

/// Engines: what has to be installed, the plain way and ours.
const ENGINES: [(&str, &str, &str); 3] = [
    ("beam.txt", "python", "chain"),
    ("beam.txt", "beam", "beam-clickmill"),
    ("spark.txt", "spark", "spark-clickmill"),
];

/// What a way has done.
struct Ran {
    rows: u64,
    seconds: f64,
}

/// So many rounds an engine has, however long they take.
const LEAST_ROUNDS: usize = 3;

/// What a variable says, if it is there.
fn asked(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|number| number.parse().unwrap())
}

fn main() {
    plugins();
    let rows = asked("CLICKMILL_ENGINES_ROWS").unwrap_or_else(|| smoke::of(200_000, 1_000));
    // Three engines are twenty minutes.
    let time = Duration::from_secs(asked("CLICKMILL_ENGINES_SECONDS").unwrap_or(400));
    let rounds = smoke::of(5, 1);
    let only = std::env::var("CLICKMILL_ENGINES_OF").unwrap_or_default();
    let scratch = Scratch::new();
    let count = rows.to_string();
    let generate = ["generate", "clicks", "--rows", &count, "--bad", "2%", "--output"];
    scratch.done(&[&generate[..], &["events.ndjson"]].concat());
    println!("{rows} click events, medians of rounds in turn, rows/s");
    println!("| plain | rows/s | clickmill | rows/s | ratio | rounds |");
    println!("|---|---|---|---|---|---|");
    // CI has no engine to spare in a smoke run: Python alone tells that the bench still runs.
    for (requirements, plain, ours) in smoke::of(&ENGINES[..], &ENGINES[..1]) {
        if !plain.contains(&only) {
            continue;
        }
        let Ok(python) = python_with(requirements) else {
            println!("`{requirements}` cannot be installed from PyPI: `{plain}` is left out");
            continue;
        };
        let run = |way: &str| {
            let ran = run(&python, way, &scratch, time)?;
            assert_eq!(ran.rows, rows);
            Some(rows as f64 / ran.seconds)
        };
        let began = Instant::now();
        // The first runs compile plugins and modules.
        let round = || Some((run(plain)?, run(ours)?));
        let warmed = round();
        let mut rates: Vec<(f64, f64)> = Vec::new();
        while warmed.is_some()
            && rates.len() < rounds
            && (rates.len() < LEAST_ROUNDS || began.elapsed() < time)
        {
            let Some(round) = round() else { break };
            eprintln!("{plain} {:.0}, {ours} {:.0}", round.0, round.1);
            rates.push(round);
        }
        if rates.is_empty() {
            println!("a run of `{plain}` or `{ours}` takes more than {time:?}");
            continue;
        }
        let median = |of: &dyn Fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = rates.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let ratio = median(&|(plain, ours)| ours / plain);
        let (of_plain, of_ours) = (median(&|rates| rates.0), median(&|rates| rates.1));
        let rounds = rates.len();
        println!("| {plain} | {of_plain:.0} | {ours} | {of_ours:.0} | {ratio:.2} | {rounds} |");
    }
}

/// Runs a way; `None` where it takes longer than that.
fn run(python: &Path, way: &str, scratch: &Scratch, most: Duration) -> Option<Ran> {
    let peers = root().join("host/benches/peers");
    // No pipe, which somebody would have to empty meanwhile.
    let [told, talk] = ["told", "talk"].map(|name| scratch.path(name));
    let mut command = Command::new(python);
    command
        .arg(peers.join("engines.py"))
        .arg(way)
        .arg(scratch.path("events.ndjson"))
        .arg(peers.join("clicks.toml"))
        .current_dir(scratch.folder.path())
        .env("PYTHONPATH", root().join("host/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("CLICKMILL_EXECUTABLE", env!("CARGO_BIN_EXE_clickmill"))
        .env("CLICKMILL_CACHE", cache())
        .env("CLICKMILL_MASK_KEY", "a key for benches, 32 bytes long")
        .stdout(File::create(&told).unwrap())
        .stderr(File::create(&talk).unwrap());
    let (mut process, began) = (Process::spawn(&mut command), Instant::now());
    let status = loop {
        match process.try_wait().unwrap() {
            Some(status) => break status,
            // It ends with what holds it.
            None if began.elapsed() >= most => return None,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
    assert!(status.success(), "{way}: {}", read(&talk));
    let found: Json = serde_json::from_str(read(&told).lines().last().unwrap_or_default()).unwrap();
    let number = |name: &str| found[name].as_u64().unwrap();
    Some(Ran {
        rows: number("rows_out") + number("rejected"),
        seconds: found["seconds"].as_f64().unwrap(),
    })
}
