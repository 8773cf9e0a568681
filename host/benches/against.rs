//! clickmill against faucet-stream, or against another executable of its own, such as that of an earlier
//! commit: whole processes, in turn.
//!
//!     cargo bench --bench against -- faucet
//!     cargo bench --bench against -- /path/to/clickmill /path/to/its/share
//!
//! faucet-stream reads twenty times the shop file, hands each record to one Wasm module that does nothing and
//! writes JSON lines; clickmill runs its four plugins and writes a Parquet table. It is installed from its
//! registry into the target folder, which takes the compiler long once. Another clickmill runs twenty times
//! the shop file, and a million click events; its share is a folder with the pipelines, schemas and
//! components of its commit, as `.ci/share` makes it or as a clone is. Without an argument and in smoke mode
//! clickmill runs against itself.

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

#[path = "growth/host.rs"]
#[expect(dead_code, reason = "the curves use more of it")]
mod host;
mod smoke;

use std::fs;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use clickmill_generator::{Generator, Kind, Options};
use host::{Host, Took, root};

const FAUCET: &str = "1.12.0";
static ROUNDS: LazyLock<usize> = LazyLock::new(|| smoke::of(5, 1));
static SHOP: LazyLock<u64> = LazyLock::new(|| smoke::of(20 * 165_474, 1_600));
static CLICKS: LazyLock<u64> = LazyLock::new(|| smoke::of(1_000_000, 1_000));

fn main() {
    // Cargo hands on a flag of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let host = Host::new();
    match words.as_slice() {
        [] => another(&host, &Host::new()),
        [faucet] if faucet == "faucet" => faucet_stream(&host),
        [binary, share] => another(&host, &Host::of(binary.into(), share.into())),
        _ => panic!("wanted `faucet`, or an executable and its share, not {words:?}"),
    }
}

fn another(host: &Host, other: &Host) {
    for (pipeline, kind, rows) in
        [("batch.toml", Kind::Shop, *SHOP), ("clicks.toml", Kind::Clicks, *CLICKS)]
    {
        let input = generated(host, kind, rows);
        let run = |host: &Host| load(host, pipeline, &input);
        versus(&format!("{rows} {kind}"), "the other", || run(host), || run(other));
    }
}

fn faucet_stream(host: &Host) {
    let faucet = faucet();
    let input = generated(host, Kind::Shop, *SHOP);
    let output = host.path("output.jsonl");
    let pipeline = host.path("faucet.yaml");
    // It takes no text.
    let module = host.path("nothing.wasm");
    let wat = fs::read_to_string(root().join("host/benches/peers/nothing.wat")).unwrap();
    let wat = wast::parser::ParseBuffer::new(&wat).unwrap();
    let wasm = wast::parser::parse::<wast::Wat<'_>>(&wat).unwrap().encode().unwrap();
    fs::write(&module, wasm).unwrap();
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
        module = module.display(),
        output = output.display(),
    );
    fs::write(&pipeline, text).unwrap();
    let theirs = || host.run(Command::new(&faucet).arg("run").arg(&pipeline), None).0;
    versus("shop file", "faucet-stream", || load(host, "batch.toml", &input), theirs);
    let lines = fs::read(&output).unwrap().iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines as u64, *SHOP, "each record is in the output");
}

fn load(host: &Host, pipeline: &str, input: &Path) -> Took {
    let _ = fs::remove_dir_all(host.path("warehouse"));
    let set = [format!("source.uri={}", input.display())];
    host.load(&host.shipped(pipeline), &set, None).0
}

fn versus(
    what: &str,
    name: &str,
    mut ours: impl FnMut() -> Took,
    mut theirs: impl FnMut() -> Took,
) {
    println!("{what}, medians of {} rounds in turn, whole process", *ROUNDS);
    // The first run compiles plugins: not counted.
    ours();
    theirs();
    let rounds: Vec<(Took, Took)> = (0..*ROUNDS).map(|_| (ours(), theirs())).collect();
    let (a, b): (Vec<Took>, Vec<Took>) = rounds.into_iter().unzip();
    let (a, b) = (told("clickmill", a), told(name, b));
    println!(
        "{:.2} times as fast by the clock, {:.2} by processor time, at {:.2} times the memory",
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
                FAUCET,
                "--locked",
                "--ignore-rust-version",
            ])
            .args(["--no-default-features", "--features", "source-csv,sink-jsonl,transform-wasm"])
            .arg("--root")
            .arg(&place)
            .status()
            .unwrap();
        assert!(done.success(), "faucet-cli {FAUCET} was not installed");
    }
    installed
}

fn generated(host: &Host, kind: Kind, rows: u64) -> PathBuf {
    let path = host.path(&kind.to_string());
    let mut writer = BufWriter::new(fs::File::create(&path).unwrap());
    std::io::copy(&mut Generator::new(&Options::new(kind, rows, 2008)), &mut writer).unwrap();
    writer.flush().unwrap();
    path
}
