//! What telemetry costs: a stream at full rate as a whole process, with nothing measured; with metrics,
//! status and series asked for every second; and with metrics and traces sent to a collector as well.
//! In turn, throughput as ratios.
//!
//!     cargo bench --bench telemetry

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value as Json;

static MESSAGES: LazyLock<u64> = LazyLock::new(|| smoke::of(2_000_000, 20_000));
const TOKEN: &str = "a token for benches";
static ROUNDS: LazyLock<usize> = LazyLock::new(|| smoke::of(12, 1));

#[derive(Clone, Copy, PartialEq)]
enum Telemetry {
    Off,
    Asked,
    Sent,
}

fn main() {
    let collector = collector();
    // The first and the last are the same: what lies between them is the machine's noise.
    let kinds = [
        ("nothing measured", Telemetry::Off),
        ("asked every second", Telemetry::Asked),
        ("and sent to a collector", Telemetry::Sent),
        ("nothing measured, again", Telemetry::Off),
    ];
    let mut times = kinds.map(|_| Vec::new());
    for round in 0..*ROUNDS {
        for turn in 0..kinds.len() {
            // Whoever goes first finds another machine than whoever goes last.
            let at = (round + turn) % kinds.len();
            times[at].push(run(kinds[at].1, &collector));
        }
    }
    let rates = times.map(|mut times| {
        times.sort_by(f64::total_cmp);
        *MESSAGES as f64 / times[times.len() / 2]
    });
    println!("{} messages, median of {} rounds", *MESSAGES, *ROUNDS);
    for ((name, _), rate) in kinds.iter().zip(rates) {
        println!("{name:<24} {rate:>9.0} a second, ratio {:.3}", rate / rates[0]);
    }
}

/// Runs the stream to its end; returns how long it took.
fn run(telemetry: Telemetry, collector: &str) -> f64 {
    let folder = tempfile::tempdir().unwrap();
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap();
    let listen = match telemetry {
        Telemetry::Off => "admin.listen=off",
        Telemetry::Asked | Telemetry::Sent => "admin.listen=127.0.0.1:0",
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_clickmill"));
    command
        .current_dir(folder.path())
        .args(["run", "--json", "--set", listen, "--set", "source.rate=2000000"])
        .args(["--set", &format!("source.rows={}", *MESSAGES)])
        .args(["--set", "admin.token_env=BENCH_TOKEN"])
        .env("BENCH_TOKEN", TOKEN)
        .arg(root.join("host/pipelines/stream.toml"))
        .env("CLICKMILL_MASK_KEY", "a key for benches, 32 bytes long")
        .env("CLICKMILL_CACHE", std::env::temp_dir().join("clickmill-bench-cache"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if telemetry == Telemetry::Sent {
        command.env("OTEL_EXPORTER_OTLP_ENDPOINT", collector);
    }
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines().map_while(Result::ok);
    if telemetry != Telemetry::Off {
        let address =
            lines.find_map(|line| Some(line.strip_prefix("admin interface: ")?.to_owned()));
        let address = address.unwrap();
        while child.try_wait().unwrap().is_none() {
            for path in ["metrics", "readyz", "v1/status", "v1/series"] {
                // It may end meanwhile.
                let request = ureq::get(format!("http://{address}/{path}"));
                let _ = request.header("authorization", format!("Bearer {TOKEN}")).call();
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
    lines.for_each(drop);
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let summary: Json = serde_json::from_slice(&output.stdout).unwrap();
    summary["seconds"].as_f64().unwrap()
}

/// Something that takes what is sent; returns its address.
fn collector() -> String {
    let runtime = Box::leak(Box::new(tokio::runtime::Runtime::new().unwrap()));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let router = axum::Router::new().fallback(|| async {});
    runtime.spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}
