//! A stream at full rate while its plugins are swapped again and again, against the same stream left
//! alone: throughput as a ratio, and how long batches wait for their chain. Whole processes.
//!
//!     cargo bench --bench swap

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::{Value as Json, json};

static MESSAGES: LazyLock<u64> = LazyLock::new(|| smoke::of(3_000_000, 30_000));
/// Messages a second: more than there can be, or so many that there is time for a swap.
static RATE: LazyLock<u64> = LazyLock::new(|| smoke::of(2_000_000, 20_000));
const TOKEN: &str = "a token for benches";
static ROUNDS: LazyLock<usize> = LazyLock::new(|| smoke::of(3, 1));

fn main() {
    let (mut alone, mut swapped) = (Vec::new(), Vec::new());
    let mut swaps = 0;
    let mut pauses = Vec::new();
    for _ in 0..*ROUNDS {
        alone.push(run(false).0["seconds"].as_f64().unwrap());
        let (summary, count) = run(true);
        swapped.push(summary["seconds"].as_f64().unwrap());
        swaps += count;
        pauses.push(summary["stream"]["pause_p99_us"].as_u64().unwrap());
        let most = &summary["stream"]["pause_max_us"];
        println!("{count} swaps, pause {} us at p99, {most} us at most", pauses.last().unwrap());
    }
    assert!(swaps > 0, "no swap was taken");
    let rate = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        *MESSAGES as f64 / times[times.len() / 2]
    };
    let (alone, swapped) = (rate(&mut alone), rate(&mut swapped));
    let (messages, rounds) = (*MESSAGES, *ROUNDS);
    println!("{messages} messages, median of {rounds} rounds, {swaps} swaps in all");
    println!("alone        {alone:>9.0} a second");
    println!("with swaps   {swapped:>9.0} a second");
    println!("ratio        {:>9.2}", swapped / alone);
}

/// Runs the stream to its end; returns its summary and how many swaps it took.
fn run(swapping: bool) -> (Json, u64) {
    let folder = tempfile::tempdir().unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_clickmill"))
        .current_dir(folder.path())
        .args(["run", "--json", "--set", "admin.listen=127.0.0.1:0"])
        .args(["--set", "admin.token_env=BENCH_TOKEN"])
        .env("BENCH_TOKEN", TOKEN)
        .args(["--set", &format!("source.rate={}", *RATE)])
        .args(["--set", &format!("source.rows={}", *MESSAGES)])
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
    let mut swaps = 0;
    while swapping && child.try_wait().unwrap().is_none() {
        // Twenty a second would be a busy day.
        std::thread::sleep(Duration::from_millis(50));
        let config = json!({ "key_id": format!("k{swaps}") });
        let body = json!({ "actor": "bench", "changes": { "mask": { "config": config } } });
        let request = ureq::post(&url).header("authorization", format!("Bearer {TOKEN}"));
        swaps += u64::from(request.send_json(&body).is_ok());
    }
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    (serde_json::from_slice(&output.stdout).unwrap(), swaps)
}
