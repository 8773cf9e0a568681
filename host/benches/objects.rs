//! What one more object costs beside those that were loaded before: loads of small objects into the local
//! warehouse and into the BigQuery emulator, as whole processes.
//!
//!     cargo bench --bench objects
//!
//! `CLICKMILL_OBJECTS` takes other counts (`100,1000,10000`), `CLICKMILL_OBJECTS_OF` one place
//! (`warehouse`, `bigquery`).

#![expect(clippy::unwrap_used, reason = "a bench that fails may stop")]

mod smoke;

#[path = "../tests/it/emulators.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod emulators;
#[path = "../tests/it/support.rs"]
#[expect(dead_code, reason = "the tests use more of it")]
mod support;

use std::time::Instant;

use emulators::BigQuery;
use support::{Scratch, root};

/// Records of an object.
const RECORDS: usize = 100;

fn main() {
    support::plugins();
    let counts = std::env::var("CLICKMILL_OBJECTS");
    let counts = counts.unwrap_or_else(|_| smoke::of("100,1000,10000", "5,10").to_owned());
    let only = std::env::var("CLICKMILL_OBJECTS_OF").unwrap_or_default();
    println!("objects of {RECORDS} records; seconds of whole processes");
    println!("| into | objects | all of them | again, all known | one more | and one more |");
    println!("|---|---|---|---|---|---|");
    for place in ["warehouse", "bigquery"] {
        if place.contains(&only) {
            for count in counts.split(',') {
                row(place, count.trim().parse().unwrap());
            }
        }
    }
}

fn row(place: &str, count: usize) {
    let scratch = Scratch::new();
    let bigquery = (place == "bigquery").then(BigQuery::start);
    let folder = scratch.path("in");
    std::fs::create_dir(&folder).unwrap();
    let all = scratch.path("all.csv");
    let rows = ((count + 2) * RECORDS).to_string();
    let output = all.to_string_lossy().into_owned();
    scratch.done(&["generate", "shop", "--rows", &rows, "--bad", "0%", "--output", &output]);
    let all = std::fs::read_to_string(&all).unwrap();
    let (header, records) = all.split_once('\n').unwrap();
    let records: Vec<&str> = records.lines().collect();
    let put = |number: usize| {
        let records = &records[number * RECORDS..][..RECORDS];
        let text = format!("{header}\n{}\n", records.join("\n"));
        std::fs::write(folder.join(format!("{number:06}.csv")), text).unwrap();
    };
    (0..count).for_each(put);
    let load = |wanted: usize| {
        let pipeline = if bigquery.is_some() { "batch_gcp.toml" } else { "batch.toml" };
        let pipeline = root().join("host/pipelines").join(pipeline);
        let source = format!("source.uri={}/", folder.display());
        let arguments = ["run", "--json", &pipeline.to_string_lossy(), "--set", &source];
        let mut command = scratch.command(&arguments);
        command.env("CLICKSTREAM_BUCKET", "lake");
        if let Some(bigquery) = &bigquery {
            command
                .env("BIGQUERY_EMULATOR_HOST", &bigquery.rest)
                .env("BIGQUERY_STORAGE_EMULATOR_HOST", &bigquery.grpc);
        }
        let began = Instant::now();
        let output = command.output().unwrap();
        let seconds = began.elapsed().as_secs_f64();
        assert!(output.status.success(), "{}", support::talk(&output, &scratch));
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(summary["rows_in"], wanted * RECORDS);
        format!("{seconds:.2}")
    };
    let (first, again) = (load(count), load(0));
    put(count);
    let one = load(1);
    put(count + 1);
    println!("| {place} | {count} | {first} | {again} | {one} | {} |", load(1));
}
