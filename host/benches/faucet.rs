//! The shop job against faucet-stream: clickmill's four plugins and a Parquet table on one side, on the other
//! a CSV file whose records go through one Wasm module that does nothing, into JSON lines. Twenty times the
//! shop file, whole processes, in turn.
//!
//!     cargo bench --bench faucet
//!
//! faucet-stream is installed from its registry into the target folder, which takes the compiler some ten
//! minutes once; so this is not part of the smoke mode.

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

#[path = "growth/host.rs"]
#[expect(dead_code, reason = "the curves use more of it")]
mod host;
mod smoke;

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use clickmill_generator::{Generator, Kind, Options};
use host::{Host, Took, root};

const VERSION: &str = "1.12.0";
const ROUNDS: usize = 3;

fn main() {
    if smoke::of(false, true) {
        println!("not part of the smoke mode: faucet-stream takes long to build");
        return;
    }
    let faucet = faucet();
    let host = Host::new();
    let input = input(&host);
    let pipeline = host.path("faucet.yaml");
    let text = format!(
        "version: 1
name: shop
pipeline:
  source: {{ type: csv, config: {{ path: {input}, has_headers: true, delimiter: 59 }} }}
  transforms:
    - type: wasm
      config: {{ module: {module}, function: transform, on_error: fail }}
  sink: {{ type: jsonl, config: {{ path: {output} }} }}
",
        input = input.display(),
        module = root().join("host/benches/peers/nothing.wat").display(),
        output = host.path("output.jsonl").display(),
    );
    fs::write(&pipeline, text).unwrap();
    let set = [format!("source.uri={}", input.display())];
    let ours = || {
        let _ = fs::remove_dir_all(host.path("warehouse"));
        host.load(&host.shipped("batch.toml"), &set, None).0
    };
    let theirs = || host.run(Command::new(&faucet).arg("run").arg(&pipeline), None).0;
    // The first run compiles the plugins: not counted.
    ours();
    let (mut a, mut b) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        a.push(ours());
        b.push(theirs());
    }
    let lines = fs::read(host.path("output.jsonl")).unwrap();
    let lines = lines.iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, 20 * 165_474, "each record is in the output");
    println!("shop file twenty times, medians of {ROUNDS} rounds in turn, whole process");
    let (a, b) = (told("clickmill", a), told("faucet-stream", b));
    println!(
        "clickmill is {:.1} times as fast by the clock, {:.1} by processor time, at {:.1} times the memory",
        b.clock / a.clock,
        b.processor / a.processor,
        a.peak_mib / b.peak_mib
    );
}

fn told(name: &str, mut runs: Vec<Took>) -> Took {
    runs.sort_by(|one, other| one.clock.total_cmp(&other.clock));
    let took = runs[runs.len() / 2];
    let Took { processor, clock, peak_mib } = took;
    println!(
        "{name:<14} {clock:>7.2} s, {processor:>7.2} s of processor time, {peak_mib:>5.0} MiB"
    );
    took
}

fn faucet() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("faucet");
    let installed = place.join("bin/faucet");
    if !installed.exists() {
        // It asks for a newer compiler than its code needs.
        let done = Command::new("cargo")
            .args([
                "install",
                "faucet-cli",
                "--version",
                VERSION,
                "--locked",
                "--ignore-rust-version",
            ])
            .args(["--no-default-features", "--features", "source-csv,sink-jsonl,transform-wasm"])
            .arg("--root")
            .arg(&place)
            .status()
            .unwrap();
        assert!(done.success(), "faucet-cli {VERSION} was not installed");
    }
    installed
}

fn input(host: &Host) -> PathBuf {
    let path = host.path("shop-20.csv");
    let mut writer = BufWriter::new(fs::File::create(&path).unwrap());
    let options = Options::new(Kind::Shop, 20 * 165_474, 2008);
    std::io::copy(&mut Generator::new(&options), &mut writer).unwrap();
    writer.flush().unwrap();
    path
}
