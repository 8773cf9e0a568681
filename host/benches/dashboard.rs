//! Every tile of the dashboard over ten million click events and the same of shop clicks in the local
//! warehouse, made once and kept: the median of some rounds, each tile alone. Then questions to the view
//! that has one row per message, beside the same ones to its table.
//!
//!     cargo bench --bench dashboard

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::Instant;

use clickmill_config::Place;
use clickmill_core::Micros;
use clickmill_sink::Tables;
use clickmill_tables::result_set::{Bounds, Parameter, Question};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

static ROWS: LazyLock<u64> = LazyLock::new(|| smoke::of(10_000_000, 20_000));
static ROUNDS: LazyLock<usize> = LazyLock::new(|| smoke::of(3, 1));

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned();
    let scratch = tempfile::tempdir().unwrap();
    let kept = std::env::temp_dir().join("clickmill-bench-dashboard");
    let warehouse = smoke::of(kept, scratch.path().to_owned());
    fill(&root, &warehouse);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let warehouse = warehouse.to_string_lossy().into_owned();
    let tables = runtime.block_on(Tables::open(&Place::Warehouse, &warehouse)).unwrap();
    let mut tiles: Vec<PathBuf> = std::fs::read_dir(root.join("sql/dashboard"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "sql"))
        .collect();
    tiles.sort();
    println!("{} rows a table, median of {} rounds", *ROWS, *ROUNDS);
    for tile in tiles {
        let sql = std::fs::read_to_string(&tile).unwrap();
        let parameters = [
            ("from", Parameter::Timestamp(0.into())),
            ("to", Parameter::Timestamp(253_402_214_400_000_000.into())),
            ("now", Parameter::Timestamp(Micros::now())),
            ("bucket_secs", Parameter::Integer(3600)),
            ("event_type", Parameter::Text(None)),
            ("category", Parameter::Text(None)),
            ("country", Parameter::Text(None)),
        ];
        let name = tile.file_stem().unwrap().to_string_lossy();
        let seconds = median(|| {
            let question = Question {
                sql: &sql,
                parameters: &parameters,
                bounds: Bounds { rows: 5001, chars: 1001 },
                what: "time a tile",
            };
            runtime.block_on(tables.look(question)).unwrap();
        });
        println!("{name:<28} {seconds:>7.3} s");
    }
    println!("\n{:<60} {:>9} {:>9}", "asked of the table and of the view", "table", "view");
    for question in [
        "SELECT COUNT(*) FROM {}",
        "SELECT COUNT(DISTINCT session_id), MAX(event_timestamp) FROM {}",
        "SELECT event_type, COUNT(*) FROM {} GROUP BY 1",
        "SELECT country, SUM(price) FROM {} GROUP BY 1 ORDER BY 2 DESC LIMIT 10",
    ] {
        let [table, view] = ["clicks_raw", "clicks"].map(|name| {
            let sql = question.replace("{}", &format!("clickstream_analytics.{name}"));
            median(|| {
                runtime.block_on(tables.query(&sql, &[], "time a question")).unwrap();
            })
        });
        println!("{question:<60} {table:>7.3} s {view:>7.3} s");
    }
}

/// The median of the rounds, in seconds.
fn median(mut round: impl FnMut()) -> f64 {
    let mut times: Vec<f64> = (0..*ROUNDS)
        .map(|_| {
            let began = Instant::now();
            round();
            began.elapsed().as_secs_f64()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Loads what the generator makes, unless it is there.
fn fill(root: &Path, warehouse: &Path) {
    let rows = format!("source.rows={}", *ROWS);
    for (pipeline, data) in [("clicks.toml", "clicks"), ("batch.toml", "shop")] {
        let data = format!("source.data={data}");
        load(root, warehouse, pipeline, &["source.kind=generator", &data, &rows]);
    }
    let events = warehouse.join("events.ndjson");
    if !events.is_file() {
        // A message has several.
        let messages = (*ROWS / 4).to_string();
        let mut generate = Command::new(env!("CARGO_BIN_EXE_clickmill"));
        generate.args(["generate", "events", "--rows", &messages, "--output"]).arg(&events);
        assert!(generate.status().unwrap().success());
    }
    load(root, warehouse, "shop_events.toml", &[&format!("source.uri={}", events.display())]);
}

/// Runs a pipeline over made-up records, once.
fn load(root: &Path, warehouse: &Path, pipeline: &str, set: &[&str]) {
    let done = warehouse.join(format!("{pipeline}-{}", *ROWS));
    if done.is_file() {
        return;
    }
    let status = Command::new(env!("CARGO_BIN_EXE_clickmill"))
        .arg("run")
        .args(set.iter().flat_map(|set| ["--set", *set]))
        .arg(root.join("host/pipelines").join(pipeline))
        .arg("--warehouse")
        .arg(warehouse)
        .env("CLICKMILL_MASK_KEY", "a key for benches, 32 bytes long")
        .env("CLICKMILL_CACHE", std::env::temp_dir().join("clickmill-bench-cache"))
        .env("CLICKMILL_AUDIT", warehouse.join("_audit"))
        .status()
        .unwrap();
    assert!(status.success());
    std::fs::write(done, "").unwrap();
}
