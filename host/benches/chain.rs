//! What the sandbox costs: each stage as a component against the same code compiled natively, on the
//! same batches, in turn. Prints nanoseconds per record and ratios.
//!
//!     cargo bench --bench chain

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::{Date32Type, Float64Type, Int64Type, TimestampMicrosecondType};
use clickmill_config::{self, Pipeline};
use clickmill_core::batch::Batch;
use clickmill_decode::Decoder;
use clickmill_generator::{Generator, Kind, Options};
use clickmill_plugin::{self as sdk, glue, testing};
use clickmill_sandbox::{ChainWorker, Engine, Library, Secrets};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

static ROWS: LazyLock<u64> = LazyLock::new(|| smoke::of(163_840, 1_600));
static ROUNDS: LazyLock<usize> = LazyLock::new(|| smoke::of(9, 1));
const KEY: &str = "a key for benches, 32 bytes long";

fn main() {
    for (kind, pipeline) in [(Kind::Shop, "batch.toml"), (Kind::Clicks, "clicks.toml")] {
        compare(kind, &root().join("host/pipelines").join(pipeline));
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

fn compare(kind: Kind, path: &Path) {
    let pipeline = clickmill_config::read(path, &[]).unwrap();
    let batches = decode(kind, &pipeline);
    let rows: usize = batches.iter().map(Batch::rows).sum();
    let cache = std::env::temp_dir().join("clickmill-bench-cache");
    let engine = Engine::new(&cache).unwrap();
    let library = Library::load(&engine, &pipeline.plugins).unwrap();
    let secrets = Secrets::new().with("mask", "key", KEY);
    let chain = library.configure(&batches[0].columns.schema(), &secrets).unwrap();
    for plugin in &pipeline.plugins {
        for (name, file) in &plugin.lookups {
            native_lookup(name, file);
        }
    }
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
    for _ in 0..*ROUNDS {
        let mut worker = ChainWorker::new(&chain);
        for batch in &batches {
            worker.run(batch.clone()).unwrap();
        }
        for (times, counts) in wasm.iter_mut().zip(worker.take_counts()) {
            times.push(counts.time);
        }
        let mut times = vec![Duration::ZERO; stages];
        for batch in &batches {
            run_native(batch, &configs, &mut times);
        }
        for (all, time) in native.iter_mut().zip(times) {
            all.push(time);
        }
    }
    println!("{kind}: {rows} records, median of {} rounds, ns/record", *ROUNDS);
    println!("{:<10} {:>8} {:>8} {:>7}", "stage", "wasm", "native", "ratio");
    let ns = |time: Duration| time.as_nanos() as f64 / rows as f64;
    let (mut sum_wasm, mut sum_native) = (0.0, 0.0);
    for (stage, (wasm, native)) in chain.stage_names().zip(wasm.iter_mut().zip(&mut native)) {
        let (wasm, native) = (ns(median(wasm)), ns(median(native)));
        println!("{stage:<10} {wasm:>8.0} {native:>8.0} {:>7.2}", wasm / native);
        sum_wasm += wasm;
        sum_native += native;
    }
    println!("{:<10} {sum_wasm:>8.0} {sum_native:>8.0} {:>7.2}\n", "chain", sum_wasm / sum_native);
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn decode(kind: Kind, pipeline: &Pipeline) -> Vec<Batch> {
    let generator = Generator::new(&Options::new(kind, *ROWS, 7));
    // "Now" for the rules on timestamps: shortly after the generated events.
    let ingest_time: i64 = 1_790_000_000_000_000;
    let mut decoder = Decoder::new(
        &pipeline.format,
        pipeline.batch,
        "bench".into(),
        ingest_time.into(),
        Box::new(generator),
    )
    .unwrap();
    let mut batches = Vec::new();
    while let Some(decoded) = decoder.next_batch().unwrap() {
        batches.push(decoded.batch);
    }
    batches
}

/// The chain without a sandbox: the plugins' own code, the columns handed on as they are.
fn run_native(batch: &Batch, configs: &[String], times: &mut [Duration]) {
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
        let reads = |column: &&sdk::Column| needs.reads.iter().any(|read| read.path == column.name);
        let columns = batch.columns.iter().filter(reads).cloned().collect();
        let input = sdk::Batch { rows: batch.rows, ingest_time: batch.ingest_time, columns };
        let started = Instant::now();
        let output = process(config, &prepared, input).unwrap();
        times[at] += started.elapsed();
        assert!(output.rejections.is_empty(), "{:?}", output.rejections[0]);
        for column in output.columns {
            batch.take(&column.name);
            batch.columns.push(column);
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
