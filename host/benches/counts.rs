//! A gate of counts: the fuel that a record costs each stage of the shipped chains, in batches as the
//! pipeline file has them and in batches of 100 records. Fuel is the same on every machine and under any
//! load. `counts.csv` has what each count was, by commit: where it is more than 5 % above its last row, this
//! fails.
//!
//!     cargo bench --bench counts
//!     cargo bench --bench counts -- enter
//!
//! The second takes what is counted now for right, and enters a row for each count that has changed.

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Cursor, Read};
use std::process::{Command, ExitCode};

use clickmill_core::batch::Batch;
use clickmill_decode::Decoder;
use clickmill_generator::{Generator, Kind, Options};
use clickmill_sandbox::{ChainWorker, Engine, Library, Secrets};

use support::{KEY, root};

/// What may be on top of the last row.
const ALLOWED: f64 = 1.05;

/// A count: the chain, the records of a batch, the stage, or `chain` for all stages.
type Key = (String, String, String);
/// Fuel a record; for a key the one that was entered last counts.
type Counts = BTreeMap<Key, f64>;

fn main() -> ExitCode {
    support::plugins();
    let file = root().join("host/benches/counts.csv");
    let mut text = fs::read_to_string(&file).unwrap();
    let before = entered(&text);
    let now = counted();
    let enters = std::env::args().any(|word| word == "enter");
    let mut beyond = 0;
    println!(
        "fuel a record\n{:<8} {:<8} {:<10} {:>12} {:>12}",
        "chain", "batch", "stage", "before", "now"
    );
    for (key, fuel) in &now {
        let last = before.get(key).copied();
        let change = last.map_or(f64::INFINITY, |last| fuel / last);
        let verdict = match last {
            None => "has no row",
            Some(_) if change > ALLOWED => "more than 5 % above",
            Some(_) if change < 1.0 / ALLOWED => "less: enter it, so that it stays so",
            Some(_) => "",
        };
        beyond += usize::from(change > ALLOWED);
        let (chain, batch, stage) = key;
        let last = last.map_or("-".to_owned(), |last| format!("{last:.1}"));
        println!("{chain:<8} {batch:<8} {stage:<10} {last:>12} {fuel:>12.1} {verdict}");
        if enters && last != format!("{fuel:.1}") {
            text += &format!("{},{chain},{batch},{stage},{fuel:.1}\n", head());
        }
    }
    if enters {
        fs::write(&file, text).unwrap();
        println!("entered into {}", file.display());
    } else if beyond > 0 {
        eprintln!(
            "{beyond} counts are beyond their last row in {}. Where that is wanted, say why in the commit \
             and enter them:\n  cargo bench --bench counts -- enter",
            file.display()
        );
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// The commit on top of which a row is entered.
fn head() -> String {
    let arguments = ["rev-parse", "--short=7", "HEAD"];
    let output = Command::new("git").args(arguments).current_dir(root()).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The last row of each count: `commit,chain,batch,stage,fuel`.
fn entered(text: &str) -> Counts {
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        let [_commit, chain, batch, stage, fuel] = fields[..] else { panic!("`{line}` is no row") };
        ((chain.to_owned(), batch.to_owned(), stage.to_owned()), fuel.parse().unwrap())
    };
    text.lines().skip(1).map(row).collect()
}

fn counted() -> Counts {
    let cache = std::env::temp_dir().join("clickmill-bench-cache");
    let engine = Engine::new(&cache).unwrap();
    let mut counts = Counts::new();
    for (kind, pipeline, records) in [
        (Kind::Shop, "batch.toml", 16_384),
        (Kind::Clicks, "clicks.toml", 16_384),
        (Kind::Events, "shop_events.toml", 2_048),
    ] {
        for (batch, set, records) in
            [("full", None, records), ("100", Some("batch.max_rows=100".to_owned()), 1_600)]
        {
            let path = root().join("host/pipelines").join(pipeline);
            let pipeline = clickmill_config::read(&path, &Vec::from_iter(set)).unwrap();
            let batches = batches(&pipeline, &Options::new(kind, records, 7));
            let library = Library::load(&engine, &pipeline.plugins).unwrap();
            let secrets = Secrets::new().with("mask", "key", KEY);
            let chain = library.configure(&batches[0].columns.schema(), &secrets).unwrap();
            let mut worker = ChainWorker::new(&chain);
            for batch in batches {
                let done = worker.run(batch).unwrap();
                assert!(done.rejected.is_empty(), "{:?}", done.rejected[0].reason);
            }
            let mut all = 0.0;
            for (stage, counts_of) in chain.stage_names().zip(worker.take_counts()) {
                assert_eq!(counts_of.faults, 0, "{stage}: batches were split");
                let fuel = counts_of.fuel as f64 / records as f64;
                counts.insert((kind.to_string(), batch.to_owned(), stage.to_owned()), fuel);
                all += fuel;
            }
            counts.insert((kind.to_string(), batch.to_owned(), "chain".to_owned()), all);
        }
    }
    counts
}

fn batches(pipeline: &clickmill_config::Pipeline, options: &Options) -> Vec<Batch> {
    let mut data = Vec::new();
    Generator::new(options).read_to_end(&mut data).unwrap();
    // "Now" for the rules on timestamps: shortly after the generated events.
    let ingest_time: i64 = 1_790_000_000_000_000;
    let input = Box::new(Cursor::new(data));
    let mut decoder =
        Decoder::new(&pipeline.format, pipeline.batch, "bench".into(), ingest_time.into(), input)
            .unwrap();
    let mut batches = Vec::new();
    while let Some(decoded) = decoder.next_batch().unwrap() {
        batches.push(decoded.batch);
    }
    batches
}
