//! What the sandbox costs: each stage as a component against the same code compiled natively, on the
//! same batches, in turn. Prints nanoseconds per row, ratios, and how many rows and bytes the chain takes a second.
//! Of nested events a message becomes several rows.
//!
//! Then what a call costs beyond its rows: the same records in batches of 100 and of 8192, and the line through
//! both. And how much two workers do in the time of one, of which each has its own share of the batches.
//!
//!     cargo bench --bench chain
//!     cargo bench --bench chain -- shop calls
//!
//! The second does one part of it (`stages`, `calls` or `workers`) with records of one kind.

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use clickmill_allocator as _;
use clickmill_config::{self, BatchLimits, Pipeline};
use clickmill_core::batch::Batch;
use clickmill_decode::Decoder;
use clickmill_generator::{Generator, Kind, Options};
use clickmill_plugin::{self as sdk, glue, testing};
use clickmill_sandbox::{Chain, ChainWorker, Engine, Library, Secrets};

static RECORDS: LazyLock<u64> = LazyLock::new(|| smoke::of(163_840, 1_600));
static ROUNDS: LazyLock<usize> = LazyLock::new(|| smoke::of(9, 1));
/// Rows of a small batch, as a quiet stream has.
const SMALL: usize = 100;
const KEY: &str = "a key for benches, 32 bytes long";

fn main() {
    // A message of nested events has several rows and is some five times as large as a click.
    for (kind, pipeline, records) in [
        (Kind::Shop, "batch.toml", *RECORDS),
        (Kind::Clicks, "clicks.toml", *RECORDS),
        (Kind::Events, "shop_events.toml", *RECORDS / 8),
    ] {
        if is_asked(&["shop", "clicks", "events"], &kind.to_string()) {
            compare(kind, &root().join("host/pipelines").join(pipeline), records);
        }
    }
}

/// Whether one of several is asked for: all are where none is named.
fn is_asked(all: &[&str], one: &str) -> bool {
    let asked = || std::env::args().filter(|arg| all.contains(&arg.as_str()));
    asked().count() == 0 || asked().any(|arg| arg == one)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn compare(kind: Kind, path: &Path, records: u64) {
    let pipeline = clickmill_config::read(path, &[]).unwrap();
    let mut data = Vec::new();
    Generator::new(&Options::new(kind, records, 7)).read_to_end(&mut data).unwrap();
    let bytes = data.len();
    let batches = decode(data.clone(), &pipeline, pipeline.batch);
    let cache = std::env::temp_dir().join("clickmill-bench-cache");
    let secrets = Secrets::new().with("mask", "key", KEY);
    let chain = || {
        let engine = Engine::new(&cache).unwrap();
        let library = Library::load(&engine, &pipeline.plugins).unwrap();
        library.configure(&batches[0].columns.schema(), &secrets).unwrap()
    };
    // A stream that is quiet has instances of its own: none of them had a full batch before.
    let (chain, quiet) = (chain(), chain());
    for plugin in &pipeline.plugins {
        for (name, file) in &plugin.lookups {
            native_lookup(name, file);
        }
    }
    let is_asked = |part| is_asked(&["stages", "calls", "workers"], part);
    if is_asked("stages") {
        stages(kind, &pipeline, &chain, &batches, bytes);
    }
    if is_asked("calls") {
        let small = decode(data, &pipeline, BatchLimits { max_rows: SMALL, ..pipeline.batch });
        calls("of a quiet stream", [&quiet, &chain], [&small, &batches]);
        calls("where full batches come between", [&chain; 2], [&small, &batches]);
    }
    if is_asked("workers") {
        workers(&chain, &batches);
    }
    println!();
}

/// Each stage in Wasm and natively.
fn stages(kind: Kind, pipeline: &Pipeline, chain: &Chain, batches: &[Batch], bytes: usize) {
    let records: usize = batches.iter().map(Batch::rows).sum();
    let configs: Vec<String> = pipeline
        .plugins
        .iter()
        .map(|plugin| {
            let mut config = plugin.config.clone();
            if plugin.name.as_str() == "mask" {
                config.insert("key".to_owned(), KEY.into());
            }
            serde_json::Value::Object(config).to_string()
        })
        .collect();

    let stages = configs.len();
    let mut wasm: Vec<Vec<Duration>> = vec![Vec::new(); stages];
    let mut native: Vec<Vec<Duration>> = vec![Vec::new(); stages];
    let mut rows = 0;
    for _ in 0..*ROUNDS {
        let mut worker = ChainWorker::new(chain);
        rows = 0;
        for batch in batches {
            rows += worker.run(batch.clone()).unwrap().batch.rows();
        }
        for (times, counts) in wasm.iter_mut().zip(worker.take_counts()) {
            times.push(counts.time);
        }
        let mut times = vec![Duration::ZERO; stages];
        let native_rows: usize =
            batches.iter().map(|batch| run_native(batch, &configs, &mut times)).sum();
        assert_eq!(native_rows, rows, "both make the same of it");
        for (all, time) in native.iter_mut().zip(times) {
            all.push(time);
        }
    }
    println!(
        "{kind}: {rows} rows of {records} records, {} bytes a row, median of {} rounds, ns/row",
        bytes / rows.max(1),
        *ROUNDS
    );
    println!("{:<10} {:>8} {:>8} {:>7}", "stage", "wasm", "native", "ratio");
    let ns = |time: Duration| time.as_nanos() as f64 / rows as f64;
    let (mut sum_wasm, mut sum_native) = (0.0, 0.0);
    for (stage, (wasm, native)) in chain.stage_names().zip(wasm.iter_mut().zip(&mut native)) {
        let (wasm, native) = (ns(median(wasm)), ns(median(native)));
        println!("{stage:<10} {wasm:>8.0} {native:>8.0} {:>7.2}", wasm / native);
        sum_wasm += wasm;
        sum_native += native;
    }
    println!("{:<10} {sum_wasm:>8.0} {sum_native:>8.0} {:>7.2}", "chain", sum_wasm / sum_native);
    for (how, ns) in [("wasm", sum_wasm), ("native", sum_native)] {
        let megabytes = bytes as f64 / rows as f64 / ns * 1e3;
        println!("{how:<10} {:>8.0} rows/s, {megabytes:.0} MB/s on one core", 1e9 / ns);
    }
}

/// What a call costs beyond its rows, by stage: the line through small batches and large ones of the same
/// records.
fn calls(how: &str, chains: [&Chain; 2], batches: [&[Batch]; 2]) {
    let stages = chains[0].stage_names().count();
    let mut times = [vec![Vec::new(); stages], vec![Vec::new(); stages]];
    for _ in 0..*ROUNDS {
        for ((chain, batches), times) in chains.into_iter().zip(batches).zip(&mut times) {
            let mut worker = ChainWorker::new(chain);
            for batch in batches {
                worker.run(batch.clone()).unwrap();
            }
            for (times, counts) in times.iter_mut().zip(worker.take_counts()) {
                times.push(counts.time);
            }
        }
    }
    let [of_small, of_large] = &mut times;
    let more = batches[0].len().saturating_sub(batches[1].len()).max(1) as f64;
    let of_stages = of_small.iter_mut().zip(of_large).map(|(small, large)| {
        (median(small).as_secs_f64() - median(large).as_secs_f64()) / more * 1e6
    });
    let of_stages: Vec<f64> = of_stages.collect();
    let named =
        chains[0].stage_names().zip(&of_stages).map(|(stage, us)| format!("{stage} {us:.1}"));
    let mean = of_stages.iter().sum::<f64>() / stages as f64;
    println!(
        "a call beyond its rows, by batches of {SMALL}, {how}, in us: {}; mean {mean:.1}",
        named.collect::<Vec<_>>().join(", ")
    );
}

/// How much two workers do in the time of one.
fn workers(chain: &Chain, batches: &[Batch]) {
    let run = |workers: usize| {
        let next = AtomicUsize::new(0);
        let started = Instant::now();
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    let mut worker = ChainWorker::new(chain);
                    while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                        worker.run(batch.clone()).unwrap();
                    }
                });
            }
        });
        started.elapsed()
    };
    let (mut one, mut two) = (Vec::new(), Vec::new());
    for _ in 0..*ROUNDS {
        one.push(run(1));
        two.push(run(2));
    }
    let (one, two) = (median(&mut one).as_secs_f64(), median(&mut two).as_secs_f64());
    println!("two workers against one: {:.2} times as much", one / two);
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn decode(data: Vec<u8>, pipeline: &Pipeline, limits: BatchLimits) -> Vec<Batch> {
    // "Now" for the rules on timestamps: shortly after the generated events.
    let ingest_time: i64 = 1_790_000_000_000_000;
    let mut decoder = Decoder::new(
        &pipeline.format,
        limits,
        "bench".into(),
        ingest_time.into(),
        Box::new(Cursor::new(data)),
    )
    .unwrap();
    let mut batches = Vec::new();
    while let Some(decoded) = decoder.next_batch().unwrap() {
        batches.push(decoded.batch);
    }
    batches
}

/// The chain without a sandbox: the plugins' own code, the columns handed on as they are. Returns how many rows
/// come out.
fn run_native(batch: &Batch, configs: &[String], times: &mut [Duration]) -> usize {
    let columns = to_sdk(&batch.columns);
    let mut batch =
        sdk::Batch { rows: batch.rows() as u32, ingest_time: batch.ingest_time.get(), columns };
    type Process = fn(&str, &[u8], sdk::Batch) -> Result<sdk::Output, sdk::Fault>;
    type Needs = fn(&str, &[sdk::ColumnSpec]) -> Result<sdk::Configured, Vec<String>>;
    let stages: [(Needs, Process); 4] = [
        (glue::configure::<parse::Parse>, glue::process::<parse::Parse>),
        (glue::configure::<enrich::Enrich>, glue::process::<enrich::Enrich>),
        (glue::configure::<mask::Mask>, glue::process::<mask::Mask>),
        (glue::configure::<validate::Validate>, glue::process::<validate::Validate>),
    ];
    for (at, ((needs, process), config)) in stages.iter().zip(configs).enumerate() {
        let sdk::Configured { needs, prepared } = needs(config, &batch.specs()).unwrap();
        let columns = granted(&batch, &needs.reads);
        let input = sdk::Batch { rows: batch.rows, ingest_time: batch.ingest_time, columns };
        let started = Instant::now();
        let output = process(config, &prepared, input).unwrap();
        times[at] += started.elapsed();
        assert!(output.rejections.is_empty(), "{:?}", output.rejections[0]);
        if let Some(came_from) = output.came_from {
            // Nobody reads what the rows were made of.
            batch.rows = came_from.len() as u32;
            batch.columns.clear();
        }
        merge(&mut batch, output.columns);
    }
    batch.rows as usize
}

/// The columns that a stage reads, with all below them and the records that they are fields of.
fn granted(batch: &sdk::Batch, reads: &[sdk::ColumnSpec]) -> Vec<sdk::Column> {
    let is_below = |path: &str, record: &str| {
        path.strip_prefix(record).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let mut columns: Vec<sdk::Column> = Vec::new();
    let mut places = Vec::with_capacity(batch.columns.len());
    for (column, spec) in batch.columns.iter().zip(batch.specs()) {
        let is_read = reads.iter().any(|read| {
            is_below(&spec.path, &read.path)
                || spec.data_type == sdk::DataType::Record && is_below(&read.path, &spec.path)
        });
        places.push(is_read.then_some(columns.len() as u32));
        if is_read {
            let parent = column.parent.map(|parent| places[parent as usize].unwrap());
            columns.push(sdk::Column { parent, ..column.clone() });
        }
    }
    columns
}

/// Puts what a stage has written among the columns. A record of which only fields are written stays as it is.
fn merge(batch: &mut sdk::Batch, columns: Vec<sdk::Column>) {
    let written = sdk::Batch { rows: batch.rows, ingest_time: batch.ingest_time, columns };
    let specs = written.specs();
    for (column, spec) in written.columns.into_iter().zip(specs) {
        match batch.index(&spec.path) {
            Some(_) if spec.data_type == sdk::DataType::Record => {}
            Some(at) => {
                let parent = batch.columns[at].parent;
                batch.columns[at] = sdk::Column { parent, ..column };
            }
            None => {
                let record = spec.path.rsplit_once('.').map(|(record, _)| record);
                let parent = record.map(|record| batch.index(record).unwrap() as u32);
                batch.columns.push(sdk::Column { parent, ..column });
            }
        }
    }
}

fn to_sdk(columns: &RecordBatch) -> Vec<sdk::Column> {
    let schema = columns.schema();
    let named = schema.fields().iter().zip(columns.columns());
    named
        .map(|(field, array)| {
            let name = field.name();
            if let Some(array) = array.as_string_opt::<i32>() {
                sdk::Column::texts(name, array.iter())
            } else if let Some(array) = array.as_primitive_opt::<Int64Type>() {
                sdk::Column::int64s(name, array.iter())
            } else if let Some(array) = array.as_primitive_opt::<Float64Type>() {
                sdk::Column::float64s(name, array.iter())
            } else if let Some(array) = array.as_primitive_opt::<Date32Type>() {
                sdk::Column::dates(name, array.iter())
            } else if let Some(array) = array.as_primitive_opt::<TimestampMicrosecondType>() {
                sdk::Column::timestamps(name, array.iter())
            } else {
                sdk::Column::booleans(name, array.as_boolean().iter())
            }
        })
        .collect()
}

fn native_lookup(name: &str, file: &Path) {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let fields: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
    let records: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let rows: Vec<Vec<&str>> = records.iter().map(|record| record.iter().collect()).collect();
    let rows: Vec<&[&str]> = rows.iter().map(Vec::as_slice).collect();
    testing::lookup_table(name, &fields, &rows);
}
