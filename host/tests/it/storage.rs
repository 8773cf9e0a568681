//! Objects in Cloud Storage: found by folder and pattern, read on after a cut, watched for, loaded into
//! BigQuery once, whatever happens.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::cloud::{signal, spawn, summary, wait_until};
use crate::emulators::{BigQuery, Storage};
use crate::proxy::{Mode, Proxy};
use crate::support::{Process, Scratch, plugins, root};

const ROWS: &str = "SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch";

fn local(scratch: &Scratch, storage: &Storage, arguments: &[&str]) -> Command {
    let pipeline = root().join("host/pipelines/batch.toml").to_string_lossy().into_owned();
    let mut command = scratch.command(&[&["run", "--json", &pipeline], arguments].concat());
    command.env("STORAGE_EMULATOR_HOST", format!("http://{}", storage.address));
    command
}

fn shop(scratch: &Scratch, rows: &str, seed: &str) -> Vec<u8> {
    scratch.done(&["generate", "shop", "--rows", rows, "--seed", seed]).into_bytes()
}

#[test]
fn a_folder_stands_for_all_that_it_holds() {
    plugins();
    let (storage, scratch) = (Storage::start(None), Scratch::new());
    storage.put("shop/a.csv", &shop(&scratch, "100", "1"));
    storage.put("shop/2026/b.csv", &shop(&scratch, "200", "2"));
    storage.put("other/c.csv", &shop(&scratch, "400", "3"));
    let mut run = local(&scratch, &storage, &["--set", "source.uri=gs://lake/shop/"]);
    assert_eq!(summary(&run.output().unwrap())["rows_out"], 300);
    let mut run = local(&scratch, &storage, &["--set", "source.uri=gs://lake/*/*.csv"]);
    assert_eq!(summary(&run.output().unwrap())["rows_out"], 400);
}

#[test]
fn a_read_that_is_cut_goes_on_where_it_was() {
    plugins();
    let (storage, scratch) = (Storage::start(Some(300_000)), Scratch::new());
    let bytes = shop(&scratch, "40000", "4");
    assert!(bytes.len() > 1_500_000);
    storage.put("clothing.csv", &bytes);
    let mut run = local(&scratch, &storage, &["--set", "source.uri=gs://lake/clothing.csv"]);
    let summary = summary(&run.output().unwrap());
    assert_eq!(summary["rows_out"], 40_000);
    assert_eq!(
        scratch.number(
            "SELECT COUNT(DISTINCT source_line) FROM clickstream_analytics.clickstream_batch"
        ),
        40_000
    );
}

#[test]
fn watched_it_loads_objects_as_they_come() {
    plugins();
    let (storage, scratch) = (Storage::start(None), Scratch::new());
    let watch =
        ["source.uri=gs://lake/in/*.csv", "source.watch=true", "source.watch_interval_secs=1"];
    let watch: Vec<&str> = watch.iter().flat_map(|set| ["--set", set]).collect();
    let child = spawn(local(&scratch, &storage, &watch));
    let loaded = || {
        let folder = scratch.path("warehouse/clickstream_analytics/load_ledger");
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter(|e| e.path().extension().is_some_and(|e| e == "parquet")).count()
    };
    for (at, name) in ["in/a.csv", "in/b.csv", "in/a.csv"].into_iter().enumerate() {
        storage.put(name, &shop(&scratch, "100", &at.to_string()));
        wait_until("a load", || loaded() == at + 1);
    }
    signal(&child, "-INT");
    let summary = summary(&child.wait_with_output().unwrap());
    assert_eq!((&summary["objects_loaded"], &summary["rows_out"]), (&3.into(), &300.into()));
    let mut again = local(&scratch, &storage, &[&watch[..], &["--stop-when-idle", "1s"]].concat());
    assert_eq!(crate::cloud::summary(&again.output().unwrap())["objects_loaded"], 0);
}

#[test]
fn a_watched_bucket_whose_names_grow_is_not_listed_as_a_whole_each_time() {
    plugins();
    let (storage, scratch) = (Storage::start(None), Scratch::new());
    let watch = [
        "source.uri=gs://lake/in/*.csv",
        "source.watch=true",
        "source.watch_interval_secs=1",
        "source.watch_all_secs=3600",
    ];
    let watch: Vec<&str> = watch.iter().flat_map(|set| ["--set", set]).collect();
    let ledger = "SELECT source FROM clickstream_analytics.load_ledger ORDER BY source";
    let loaded = || -> Vec<String> {
        let folder = scratch.path("warehouse/clickstream_analytics/load_ledger");
        let mut entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        if !entries.any(|entry| entry.path().extension().is_some_and(|e| e == "parquet")) {
            return Vec::new();
        }
        let sources = scratch.query(ledger).into_iter();
        let name = |row: serde_json::Value| {
            let source = row["source"].as_str().unwrap().to_owned();
            source.split(['/', '@']).nth(4).unwrap().to_owned()
        };
        sources.map(name).collect()
    };
    storage.put("in/m.csv", &shop(&scratch, "10", "1"));
    let child = spawn(local(&scratch, &storage, &watch));
    wait_until("the first", || loaded() == ["m.csv"]);
    // The one that is found was put last: a listing of all would have found the other.
    storage.put("in/a.csv", &shop(&scratch, "10", "2"));
    storage.put("in/n.csv", &shop(&scratch, "10", "3"));
    wait_until("what comes after it", || loaded().contains(&"n.csv".to_owned()));
    storage.put("in/o.csv", &shop(&scratch, "10", "4"));
    wait_until("what comes after that", || loaded().contains(&"o.csv".to_owned()));
    assert_eq!(loaded(), ["m.csv", "n.csv", "o.csv"]);
    signal(&child, "-INT");
    assert_eq!(summary(&child.wait_with_output().unwrap())["objects_loaded"], 3);
    // All are listed at first.
    let mut again = local(&scratch, &storage, &[&watch[..], &["--stop-when-idle", "1s"]].concat());
    assert_eq!(summary(&again.output().unwrap())["objects_loaded"], 1);
}

fn to_bigquery(scratch: &Scratch, storage: &Storage, bigquery: &BigQuery, grpc: &str) -> Command {
    let pipeline = root().join("host/pipelines/batch_gcp.toml").to_string_lossy().into_owned();
    let mut command = scratch.command(&["run", "--json", &pipeline]);
    command
        .env("CLICKSTREAM_BUCKET", "lake")
        .env("STORAGE_EMULATOR_HOST", format!("http://{}", storage.address))
        .env("BIGQUERY_EMULATOR_HOST", &bigquery.rest)
        .env("BIGQUERY_STORAGE_EMULATOR_HOST", grpc);
    command
}

#[test]
fn killed_at_any_moment_an_object_is_in_bigquery_once() {
    plugins();
    let (storage, bigquery, scratch) = (Storage::start(None), BigQuery::start(), Scratch::new());
    let bytes = shop(&scratch, "60000", "5");
    let ledger = "SELECT COUNT(*) FROM clickstream_analytics.load_ledger WHERE state = 'committed'";
    let mut killed = 0;
    for round in 0..20_u64 {
        // A new generation is another object.
        storage.put("clothing.csv", &bytes);
        let mut run = to_bigquery(&scratch, &storage, &bigquery, &bigquery.grpc);
        let mut child = run.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(40 + round * 17));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        let mut run = to_bigquery(&scratch, &storage, &bigquery, &bigquery.grpc);
        assert!(run.output().unwrap().status.success());
        assert_eq!(bigquery.number(ROWS), (round + 1) * 60_000, "after kill {round}");
        assert_eq!(bigquery.number(ledger), round + 1);
    }
    assert!(killed >= 5, "only {killed} of 20 runs were killed before they ended");
}

#[test]
fn a_commit_whose_answer_is_lost_is_found_out_by_the_next_run() {
    plugins();
    let (storage, bigquery, scratch) = (Storage::start(None), BigQuery::start(), Scratch::new());
    storage.put("clothing.csv", &shop(&scratch, "5000", "6"));
    let wire = Proxy::start(&bigquery.grpc);
    wire.set(Mode::Late);
    let mut run = to_bigquery(&scratch, &storage, &bigquery, &wire.address);
    let mut child = Process::spawn(run.stdout(Stdio::null()).stderr(Stdio::null()));
    let there = |table: &str| !bigquery.table("clickstream_analytics", table)["id"].is_null();
    wait_until("the commit", || there("clickstream_batch") && bigquery.number(ROWS) > 0);
    // Its answer is still on the wire.
    child.kill().unwrap();
    child.wait().unwrap();
    let prepared = "SELECT COUNT(*) FROM clickstream_analytics.load_ledger";
    let committed = format!("{prepared} WHERE state = 'committed'");
    assert_eq!(bigquery.number(&committed), 0, "the run had no answer");
    let mut run = to_bigquery(&scratch, &storage, &bigquery, &bigquery.grpc);
    assert_eq!(summary(&run.output().unwrap())["objects_loaded"], 0);
    assert_eq!(bigquery.number(ROWS), 5000);
    assert_eq!(bigquery.number(&committed), 1);
}
