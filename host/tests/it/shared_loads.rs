//! Runs share the objects of a prefix by claims: none does what another does, whichever are killed, on a
//! disk, in Cloud Storage and in BigQuery. Who did how much is told by what each has read.

use std::time::Duration;

use serde_json::Value as Json;

use crate::cloud::wait_until;
use crate::cloud_loads::Loads;
use crate::concurrent_loads::{
    Run, WAITS, batch, caught, caught_over, content, count, forget, in_cloud, moments,
    nothing_is_staged, objects, on_disk, over,
};
use crate::emulators::Storage;
use crate::support::{Scratch, conserved};

/// What a run says that has loaded an object which another has loaded at the same time.
const TWICE: &str = "another run has loaded this object at the same time";

/// Generates so many objects of so many rows.
fn many(scratch: &Scratch, number: usize, rows: u32) {
    let names: Vec<String> = (0..number).map(|at| format!("{at:02}.csv")).collect();
    let named: Vec<(&str, u32)> = names.iter().map(|name| (name.as_str(), rows)).collect();
    objects(scratch, &named);
}

fn sum(summaries: &[Json], key: &str) -> u64 {
    summaries.iter().map(|summary| count(summary, key)).sum()
}

/// Each object was loaded by one of these runs, which have all come to their end, and skipped by the others.
#[track_caller]
fn each_was_loaded_once(summaries: &[Json], objects: u64, bytes: u64) {
    assert_eq!(sum(summaries, "objects_loaded"), objects, "{summaries:#?}");
    assert_eq!(sum(summaries, "bytes"), bytes);
    for summary in summaries {
        let over = count(summary, "objects_loaded") + count(summary, "objects_skipped");
        assert_eq!(over, objects, "{summary:#}");
        assert!(count(summary, "objects_loaded_by_others") <= count(summary, "objects_skipped"));
    }
}

#[test]
fn four_runs_share_a_folder() {
    let scratch = Scratch::new();
    many(&scratch, 32, 4_000);
    let alone = Run::start(&scratch, "alone", over(&scratch, "*.csv")).summary();
    let wanted = on_disk(&scratch);
    forget(&scratch);
    let start = |at: u32| Run::start(&scratch, &format!("run-{at}"), over(&scratch, "*.csv"));
    let runs: Vec<Run> = (0..4).map(start).collect();
    let summaries: Vec<Json> = runs.into_iter().map(Run::summary).collect();
    each_was_loaded_once(&summaries, 32, count(&alone, "bytes"));
    assert_eq!(on_disk(&scratch), wanted);
    nothing_is_staged(&scratch);
}

#[test]
fn a_run_passes_over_what_another_is_at_and_loads_the_rest() {
    let scratch = Scratch::new();
    objects(&scratch, &[("a.csv", 200_000), ("b.csv", 500), ("c.csv", 500), ("d.csv", 500)]);
    let first = caught_over(&scratch, "*.csv", "a.csv");
    let second = Run::start(&scratch, "second", over(&scratch, "*.csv"));
    // All but the first object is loaded before it waits.
    wait_until("the second run to wait", || second.talk().contains(WAITS));
    let loads = "SELECT COUNT(*) FROM clickstream_analytics.load_ledger";
    assert_eq!(scratch.number(loads), 3);
    first.signal("-CONT");
    let (first, second) = (first.summary(), second.summary());
    assert_eq!(
        ["objects_loaded", "objects_loaded_by_others"].map(|key| count(&first, key)),
        [1, 3]
    );
    assert_eq!(
        ["objects_loaded", "objects_loaded_by_others"].map(|key| count(&second, key)),
        [3, 1]
    );
    nothing_is_staged(&scratch);
}

#[test]
fn a_watched_folder_goes_on_while_another_run_is_at_one_of_its_objects() {
    let scratch = Scratch::new();
    objects(&scratch, &[("a.csv", 200_000), ("b.csv", 500)]);
    let first = caught_over(&scratch, "*.csv", "a.csv");
    let batch = batch();
    let sets = ["source.uri=in/*.csv", "source.watch=true", "source.watch_interval_secs=1"];
    let sets = sets.iter().chain(&["source.watch_rest_secs=0"]).flat_map(|set| ["--set", *set]);
    let run: Vec<&str> = ["run", "--json", &batch].into_iter().chain(sets).collect();
    let _second = Run::start(&scratch, "second", scratch.command(&run));
    let loaded = || {
        let entries = scratch.path("warehouse/clickstream_analytics/load_ledger");
        let entries = std::fs::read_dir(entries).into_iter().flatten().flatten();
        entries.filter(|entry| entry.path().extension().is_some_and(|e| e == "parquet")).count()
    };
    // By then it has listed both.
    wait_until("the object that nobody is at", || loaded() == 1);
    scratch.done(&["generate", "shop", "--rows", "500", "--output", "in/c.csv"]);
    wait_until("what came meanwhile", || loaded() == 2);
    first.signal("-CONT");
    assert_eq!(count(&first.summary(), "objects_loaded"), 1);
    assert_eq!(loaded(), 3);
}

#[test]
fn killed_at_any_moment_four_runs_load_each_object_of_a_folder_once() {
    let scratch = Scratch::new();
    many(&scratch, 12, 4_000);
    let began = std::time::Instant::now();
    Run::start(&scratch, "alone", over(&scratch, "*.csv")).summary();
    let (alone, wanted) = (began.elapsed(), on_disk(&scratch));
    let mut killed = 0;
    for round in 0..6_u32 {
        forget(&scratch);
        let start = |at: u32| Run::start(&scratch, &format!("run-{at}"), over(&scratch, "*.csv"));
        let mut runs: Vec<Run> = (0..4).map(start).collect();
        let moments = moments(1 + round % 3, alone);
        let began = std::time::Instant::now();
        for (run, moment) in runs.iter_mut().zip(&moments) {
            std::thread::sleep(moment.saturating_sub(began.elapsed()));
            run.kill();
            killed += u32::from(!run.wait().0.success());
        }
        // Those that are left do what the killed ones had in hand, too.
        for summary in runs.drain(moments.len()..).map(Run::summary) {
            let over = count(&summary, "objects_loaded") + count(&summary, "objects_skipped");
            assert_eq!(over, 12, "{summary:#}");
        }
        assert_eq!(on_disk(&scratch), wanted, "round {round}, killed at {moments:?}");
        // One that was killed once its load had happened leaves a file for the next run to remove.
        Run::start(&scratch, "last", over(&scratch, "*.csv")).summary();
        nothing_is_staged(&scratch);
    }
    assert!(killed >= 3, "only {killed} of 12 runs were killed before they ended");
}

#[test]
fn in_cloud_storage_four_runs_share_a_prefix_by_leases() {
    let (scratch, storage) = (Scratch::new(), Storage::start(None));
    many(&scratch, 16, 4_000);
    let batch = batch();
    let run = |lease: &str| {
        let lease = format!("source.claim_lease_secs={lease}");
        ["run", "--json", &batch, "--set", "source.uri=in/*.csv", "--set", &lease]
            .map(str::to_owned)
    };
    let command = |folder: &str, arguments: &[String]| {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        in_cloud(&scratch, &storage, folder, &arguments)
    };
    let all = |folder: &str| content(&|arguments| in_cloud(&scratch, &storage, folder, arguments));
    let alone = Run::start(&scratch, "alone", command("alone", &run("60"))).summary();
    let wanted = all("alone");
    let start = |folder: &str, lease: &str, at: u32| {
        Run::start(&scratch, &format!("{folder}-{at}"), command(folder, &run(lease)))
    };
    let runs: Vec<Run> = (0..4).map(|at| start("shared", "60", at)).collect();
    let talks: Vec<std::path::PathBuf> =
        (0..4).map(|at| scratch.path(&format!("shared-{at}.log"))).collect();
    let summaries: Vec<Json> = runs.into_iter().map(Run::summary).collect();
    each_was_loaded_once(&summaries, 16, count(&alone, "bytes"));
    for talk in talks {
        let talk = std::fs::read_to_string(talk).unwrap();
        assert!(!talk.contains(TWICE), "work was done twice: {talk}");
    }
    assert_eq!(all("shared"), wanted);
    // Killed, their claims run out.
    for round in 0..3_u32 {
        let folder = format!("killed-{round}");
        let mut runs: Vec<Run> = (0..4).map(|at| start(&folder, "2", at)).collect();
        let moments = moments(1 + round, Duration::from_secs(2));
        let began = std::time::Instant::now();
        for (run, moment) in runs.iter_mut().zip(&moments) {
            std::thread::sleep(moment.saturating_sub(began.elapsed()));
            run.kill();
        }
        for summary in runs.drain(moments.len()..).map(Run::summary) {
            let over = count(&summary, "objects_loaded") + count(&summary, "objects_skipped");
            assert_eq!(over, 16, "{summary:#}");
        }
        assert_eq!(all(&folder), wanted, "round {round}, killed at {moments:?}");
    }
}

#[test]
fn in_cloud_storage_runs_load_each_object_once_though_answers_are_lost() {
    let (scratch, storage) = (Scratch::new(), Storage::losing_answers());
    many(&scratch, 6, 1_000);
    let batch = batch();
    let sets = ["--set", "source.uri=in/*.csv", "--set", "source.claim_lease_secs=60"];
    let run = [&["run", "--json", &batch], &sets[..]].concat();
    let command = |folder: &str| in_cloud(&scratch, &storage, folder, &run);
    let all = |folder: &str| content(&|arguments| in_cloud(&scratch, &storage, folder, arguments));
    let alone = Run::start(&scratch, "alone", command("alone")).summary();
    assert_eq!(count(&alone, "objects_loaded"), 6, "{alone:#}");
    conserved(&alone);
    let runs = ["one", "two"].map(|name| Run::start(&scratch, name, command("shared")));
    for summary in runs.map(Run::summary) {
        let over = count(&summary, "objects_loaded") + count(&summary, "objects_skipped");
        assert_eq!(over, 6, "{summary:#}");
    }
    assert_eq!(all("shared"), all("alone"));
}

#[test]
fn in_cloud_storage_a_run_that_is_stopped_beyond_its_lease_doubles_nothing() {
    let (scratch, storage) = (Scratch::new(), Storage::start(None));
    objects(&scratch, &[("a.csv", 200_000), ("b.csv", 1_000)]);
    let batch = batch();
    // So long that the other begins in time, on a busy machine too.
    let sets = ["--set", "source.uri=in/*.csv", "--set", "source.claim_lease_secs=10"];
    let run = [&["run", "--json", &batch], &sets[..]].concat();
    let start = |number: u32| {
        let command = in_cloud(&scratch, &storage, &format!("stopped-{number}"), &run);
        Run::start(&scratch, "stopped", command)
    };
    let (stopped, number) = caught(&scratch.path("in/a.csv"), start);
    let folder = format!("stopped-{number}");
    let command = |arguments: &[&str]| in_cloud(&scratch, &storage, &folder, arguments);
    // It loads the other object, and waits until nobody says anything for the first any more.
    let other = Run::start(&scratch, "other", command(&run));
    wait_until("the other run to wait", || other.talk().contains(WAITS));
    let other = other.summary();
    assert_eq!(count(&other, "objects_loaded"), 2, "{other:#}");
    stopped.signal("-CONT");
    let stopped = stopped.summary();
    assert_eq!(count(&stopped, "objects_loaded"), 0, "{stopped:#}");
    assert_eq!(count(&stopped, "objects_loaded_by_others"), 2);
    // Rows and letters of two objects, and an entry of each.
    let content = content(&command);
    let numbers: Vec<u64> = content.iter().map(|row| count(row, "n")).collect();
    assert_eq!(numbers[..4].iter().sum::<u64>(), 201_000, "{content:#?}");
    assert_eq!(numbers[4..], [1, 1]);
}

#[test]
fn in_bigquery_runs_share_a_prefix_by_leases() {
    let loads = Loads::start();
    for at in 0..8 {
        loads.put(&format!("shared/{at}.csv"), 2_000, at);
    }
    let share = ["--set", "source.uri=gs://lake/shared/*.csv", "--set"];
    let start = |name: &str, lease: &str| {
        let lease = format!("source.claim_lease_secs={lease}");
        let command = loads.command(&[&share[..], &[&lease]].concat());
        Run::start(&loads.scratch, name, command)
    };
    let runs: Vec<Run> = ["one", "two", "three", "four"].map(|name| start(name, "60")).into();
    let summaries: Vec<Json> = runs.into_iter().map(Run::summary).collect();
    each_was_loaded_once(&summaries, 8, sum(&summaries, "bytes"));
    for name in ["one", "two", "three", "four"] {
        let talk = std::fs::read_to_string(loads.scratch.path(&format!("{name}.log"))).unwrap();
        assert!(!talk.contains(TWICE), "work was done twice: {talk}");
    }
    assert_eq!(loads.bigquery.number(crate::cloud_loads::ROWS), sum(&summaries, "rows_out"));
    assert_eq!(loads.loaded(), 8);
    // What a killed run had claimed is another's, later.
    for at in 8..12 {
        loads.put(&format!("shared/{at}.csv"), 20_000, at);
    }
    let mut killed = start("killed", "2");
    std::thread::sleep(moments(1, Duration::from_secs(1))[0]);
    killed.kill();
    let last = start("last", "2").summary();
    assert_eq!(count(&last, "objects_loaded") + count(&last, "objects_skipped"), 12);
    assert_eq!(loads.loaded(), 12);
    let distinct = "SELECT COUNT(*) FROM (SELECT DISTINCT source, source_line FROM clickstream_analytics.clickstream_batch) AS places";
    assert_eq!(loads.bigquery.number(crate::cloud_loads::ROWS), loads.bigquery.number(distinct));
}
