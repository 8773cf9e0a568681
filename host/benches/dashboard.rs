//! Every tile of the dashboard over ten million click events and the same of shop clicks in the local
//! warehouse, made once and kept: the median of some rounds, each tile alone. Then questions to the view
//! that has one row per message, beside the same ones to its table, of events that were loaded, of events
//! that a stream has written, and of events that two streams have written at once.
//!
//!     cargo bench --bench dashboard             both
//!     cargo bench --bench dashboard -- tiles    or one of them
//!     cargo bench --bench dashboard -- view
//!
//! `CLICKMILL_DASHBOARD_ROWS` takes another number of rows.

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::LazyLock;
use std::time::Instant;

use tokio::runtime::Runtime;

use clickmill_allocator as _;
use clickmill_config::Place;
use clickmill_core::Micros;
use clickmill_sink::Tables;
use clickmill_tables::result_set::{Bounds, Parameter, Question};

static ROWS: LazyLock<u64> = LazyLock::new(|| {
    let rows = std::env::var("CLICKMILL_DASHBOARD_ROWS");
    rows.map_or(smoke::of(10_000_000, 20_000), |rows| rows.parse().unwrap())
});
static ROUNDS: LazyLock<usize> = LazyLock::new(|| smoke::of(3, 1));

/// Questions to the view and to its table: how many rows, and some that read columns.
const QUESTIONS: [&str; 4] = [
    "SELECT COUNT(*) FROM {}",
    "SELECT COUNT(DISTINCT session_id), MAX(event_timestamp) FROM {}",
    "SELECT event_type, COUNT(*) FROM {} GROUP BY 1",
    "SELECT country, SUM(price) FROM {} GROUP BY 1 ORDER BY 2 DESC LIMIT 10",
];

fn main() {
    // Cargo hands on a flag of its own.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let known = |word: &&String| ["tiles", "view"].contains(&word.as_str());
    if let Some(word) = words.iter().find(|word| !known(word)) {
        panic!("`{word}` is no part: wanted `tiles` or `view`");
    }
    let is_asked = |part: &str| words.is_empty() || words.iter().any(|word| word == part);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned();
    let scratch = tempfile::tempdir().unwrap();
    let kept = std::env::temp_dir().join(format!("clickmill-bench-dashboard-{}", *ROWS));
    let folder = smoke::of(kept, scratch.path().to_owned());
    let loaded = folder.join("loaded");
    let runtime = Runtime::new().unwrap();
    println!("{} rows a table, median of {} rounds", *ROWS, *ROUNDS);
    if is_asked("tiles") {
        fill(&root, &loaded);
        tiles(&root, &runtime, &open(&runtime, &loaded));
    }
    if is_asked("view") {
        load_clicks(&root, &loaded);
        view("loaded", &runtime, &open(&runtime, &loaded));
        for (how, streams) in [("streamed", 1), ("streamed by two", 2)] {
            let warehouse = folder.join(how);
            stream(&root, &warehouse, streams);
            view(how, &runtime, &open(&runtime, &warehouse));
        }
    }
}

fn open(runtime: &Runtime, warehouse: &Path) -> Tables {
    let warehouse = warehouse.to_string_lossy().into_owned();
    runtime.block_on(Tables::open(&Place::Warehouse, &warehouse)).unwrap()
}

/// Asks every tile.
fn tiles(root: &Path, runtime: &Runtime, tables: &Tables) {
    let mut tiles: Vec<PathBuf> = std::fs::read_dir(root.join("sql/dashboard"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "sql"))
        .collect();
    tiles.sort();
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
}

/// Asks the view with one row per message what its table is asked.
fn view(how: &str, runtime: &Runtime, tables: &Tables) {
    let title = format!("asked of {how} events");
    println!("\n{title:<70} {:>9} {:>9} {:>6}", "table", "view", "ratio");
    for question in QUESTIONS {
        let [table, view] = ["clicks_raw", "clicks"].map(|name| {
            let sql = question.replace("{}", &format!("clickstream_analytics.{name}"));
            median(|| {
                runtime.block_on(tables.query(&sql, &[], "time a question")).unwrap();
            })
        });
        println!("{question:<70} {table:>7.3} s {view:>7.3} s {:>6.2}", view / table);
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
    load_clicks(root, warehouse);
    load(root, warehouse, "batch.toml", &generated("shop"));
    let events = warehouse.join("events.ndjson");
    if !events.is_file() {
        // A message has several.
        let messages = (*ROWS / 4).to_string();
        let mut generate = Command::new(env!("CARGO_BIN_EXE_clickmill"));
        generate.args(["generate", "events", "--rows", &messages, "--output"]).arg(&events);
        assert!(generate.status().unwrap().success());
    }
    load(root, warehouse, "shop_events.toml", &[format!("source.uri={}", events.display())]);
}

fn load_clicks(root: &Path, warehouse: &Path) {
    load(root, warehouse, "clicks.toml", &generated("clicks"));
}

fn generated(data: &str) -> [String; 3] {
    let rows = format!("source.rows={}", *ROWS);
    ["source.kind=generator".to_owned(), format!("source.data={data}"), rows]
}

/// Has so many streams at once write as many events together, at full rate.
fn stream(root: &Path, warehouse: &Path, streams: u64) {
    const PIPELINE: &str = "stream.toml";
    let done = done(warehouse, PIPELINE);
    if done.is_file() {
        return;
    }
    // What a bench that was ended has left would be counted too.
    let _ = std::fs::remove_dir_all(warehouse);
    let rows = format!("source.rows={}", *ROWS / streams);
    let others = ["source.rate=2000000", "admin.listen=off", "dead_letter.spool=off"];
    let set: Vec<String> = others.into_iter().map(str::to_owned).chain([rows]).collect();
    let runs: Vec<Child> =
        (0..streams).map(|_| run(root, warehouse, PIPELINE, &set).spawn().unwrap()).collect();
    for mut run in runs {
        assert!(run.wait().unwrap().success());
    }
    std::fs::write(done, "").unwrap();
}

/// What is there once a pipeline has run.
fn done(warehouse: &Path, pipeline: &str) -> PathBuf {
    warehouse.join(pipeline).with_extension("done")
}

/// Runs a pipeline over made-up records, once.
fn load(root: &Path, warehouse: &Path, pipeline: &str, set: &[String]) {
    let done = done(warehouse, pipeline);
    if done.is_file() {
        return;
    }
    assert!(run(root, warehouse, pipeline, set).status().unwrap().success());
    std::fs::write(done, "").unwrap();
}

fn run(root: &Path, warehouse: &Path, pipeline: &str, set: &[String]) -> Command {
    let mut run = Command::new(env!("CARGO_BIN_EXE_clickmill"));
    run.arg("run")
        .args(set.iter().flat_map(|set| ["--set", set.as_str()]))
        .arg(root.join("host/pipelines").join(pipeline))
        .arg("--warehouse")
        .arg(warehouse)
        .env("CLICKMILL_MASK_KEY", "a key for benches, 32 bytes long")
        .env("CLICKMILL_CACHE", std::env::temp_dir().join("clickmill-bench-cache"))
        .env("CLICKMILL_AUDIT", warehouse.join("_audit"));
    run
}
