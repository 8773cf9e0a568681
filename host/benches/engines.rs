//! The same three steps over click events, in plain Python and by clickmill: in a loop over batches
//! (`clickmill.chain`), in Apache Beam on its direct runner (`clickmill.beam`) and in Spark on two cores
//! (`clickmill.spark`), each pair in turn. Prints rows a second and ratios.
//!
//!     cargo bench --bench engines
//!
//! The engines are installed from PyPI into the folder of the tests' emulators; Spark wants Java.
//! `CLICKMILL_ENGINES_ROWS` takes another number of events, `CLICKMILL_ENGINES_OF` one engine
//! (`python`, `beam`, `spark`).

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

#[path = "../tests/it/emulators.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod emulators;
#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value as Json;

use emulators::python_with;
use support::{Scratch, cache, plugins, root};

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

fn main() {
    plugins();
    let rows = std::env::var("CLICKMILL_ENGINES_ROWS");
    let rows = rows.map_or_else(|_| smoke::of(200_000, 1_000), |rows| rows.parse().unwrap());
    let rounds = smoke::of(5, 1);
    let only = std::env::var("CLICKMILL_ENGINES_OF").unwrap_or_default();
    let scratch = Scratch::new();
    let count = rows.to_string();
    let generate = ["generate", "clicks", "--rows", &count, "--bad", "2%", "--output"];
    scratch.done(&[&generate[..], &["events.ndjson"]].concat());
    println!("{rows} click events, medians of {rounds} rounds in turn, rows/s");
    println!("| plain | rows/s | clickmill | rows/s | ratio |");
    println!("|---|---|---|---|---|");
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
            let ran = run(&python, way, &scratch);
            assert_eq!(ran.rows, rows);
            rows as f64 / ran.seconds
        };
        // The first runs compile plugins and modules.
        run(plain);
        run(ours);
        let rates: Vec<(f64, f64)> = (0..rounds).map(|_| (run(plain), run(ours))).collect();
        let median = |of: &dyn Fn(&(f64, f64)) -> f64| {
            let mut values: Vec<f64> = rates.iter().map(of).collect();
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        let ratio = median(&|(plain, ours)| ours / plain);
        let (of_plain, of_ours) = (median(&|rates| rates.0), median(&|rates| rates.1));
        println!("| {plain} | {of_plain:.0} | {ours} | {of_ours:.0} | {ratio:.2} |");
    }
}

fn run(python: &Path, way: &str, scratch: &Scratch) -> Ran {
    let peers = root().join("host/benches/peers");
    let output = Command::new(python)
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
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{way}: {talk}");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let found: Json = serde_json::from_str(text.lines().last().unwrap_or_default()).unwrap();
    let number = |name: &str| found[name].as_u64().unwrap();
    Ran {
        rows: number("rows_out") + number("rejected"),
        seconds: found["seconds"].as_f64().unwrap(),
    }
}
