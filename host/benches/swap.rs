//! A stream at full rate while its plugins are swapped again and again, and without the guard, against the same
//! stream left alone: throughput as ratios, how long batches wait for their chain, and how long a swap takes.
//! Whole processes.
//!
//!     cargo bench --bench swap

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

static MESSAGES: LazyLock<u64> = LazyLock::new(|| smoke::of(3_000_000, 80_000));
/// Messages a second: more than there can be, or so many that there is time for a swap.
static RATE: LazyLock<u64> = LazyLock::new(|| smoke::of(2_000_000, 20_000));
const TOKEN: &str = "a token for benches";
static ROUNDS: LazyLock<usize> = LazyLock::new(|| smoke::of(3, 1));

/// So often a swap is asked for, or once the one before it is answered: three and a half a second.
const SWAP_EVERY: Duration = Duration::from_millis(285);

/// How a stream runs.
#[derive(Clone, Copy, PartialEq)]
enum How {
    Alone,
    Swapping,
    Unguarded,
}

fn main() {
    let [mut alone, mut swapped, mut unguarded] = [Vec::new(), Vec::new(), Vec::new()];
    let mut swaps = Vec::new();
    let seconds = |summary: &Json| summary["seconds"].as_f64().unwrap();
    for _ in 0..*ROUNDS {
        alone.push(seconds(&run(How::Alone).0));
        let (summary, times) = run(How::Swapping);
        swapped.push(seconds(&summary));
        unguarded.push(seconds(&run(How::Unguarded).0));
        let [p99, most] = ["pause_p99_us", "pause_max_us"].map(|key| &summary["stream"][key]);
        let rate = times.len() as f64 / seconds(&summary);
        println!("{rate:.1} swaps a second, pause {p99} us at p99, {most} us at most");
        swaps.extend(times);
    }
    assert!(!swaps.is_empty(), "no swap was taken");
    swaps.sort();
    let (median, longest) = (swaps[swaps.len() / 2], swaps[swaps.len() - 1]);
    println!("a swap takes {median:.0?}, the longest {longest:.0?}");
    let rate = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        *MESSAGES as f64 / times[times.len() / 2]
    };
    let [alone, swapped, unguarded] = [&mut alone, &mut swapped, &mut unguarded].map(rate);
    let (messages, rounds) = (*MESSAGES, *ROUNDS);
    println!("{messages} messages, median of {rounds} rounds, {} swaps in all", swaps.len());
    println!("alone        {alone:>9.0} a second");
    println!("with swaps   {swapped:>9.0} a second, ratio {:.3}", swapped / alone);
    println!("no guard     {unguarded:>9.0} a second, ratio {:.3} with it", alone / unguarded);
}

/// Runs the stream to its end; returns its summary, and how long each swap took.
fn run(how: How) -> (Json, Vec<Duration>) {
    let folder = tempfile::tempdir().unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_clickmill"))
        .current_dir(folder.path())
        .args(["run", "--json", "--set", "admin.listen=127.0.0.1:0"])
        .args(["--set", "admin.token_env=BENCH_TOKEN"])
        .env("BENCH_TOKEN", TOKEN)
        .args(["--set", &format!("source.rate={}", *RATE)])
        .args(["--set", &format!("source.rows={}", *MESSAGES)])
        .args(["--set", &format!("guard.off={}", how == How::Unguarded)])
        .arg(root.join("host/pipelines/stream.toml"))
        .env("CLICKMILL_MASK_KEY", "a key for benches, 32 bytes long")
        .env("CLICKMILL_CACHE", std::env::temp_dir().join("clickmill-bench-cache"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let address = lines.find_map(|line| Some(line.strip_prefix("admin interface: ")?.to_owned()));
    let url = format!("http://{}/v1/plugins/swap", address.unwrap());
    std::thread::spawn(move || lines.for_each(drop));
    let mut swaps = Vec::new();
    let mut asked = Instant::now();
    while how == How::Swapping && child.try_wait().unwrap().is_none() {
        std::thread::sleep(SWAP_EVERY.saturating_sub(asked.elapsed()));
        asked = Instant::now();
        let config = json!({ "key_id": format!("k{}", swaps.len()) });
        let body = json!({ "actor": "bench", "changes": { "mask": { "config": config } } });
        let request = ureq::post(&url).header("authorization", format!("Bearer {TOKEN}"));
        if request.send_json(&body).is_ok() {
            swaps.push(asked.elapsed());
        }
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    (serde_json::from_slice(&output.stdout).unwrap(), swaps)
}
