//! Killed at any moment and run again, the result is exactly as if it had not been.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Scratch, plugins, root};

/// Everything that two runs must agree on: the load's id stands for the object, so it is the same.
fn content(scratch: &Scratch) -> Vec<serde_json::Value> {
    let mut rows = scratch.query(
        "SELECT COUNT(*) AS n, COUNT(DISTINCT source_line) AS lines, SUM(source_line) AS sum, SUM(price) AS price, \
         MIN(session_id) AS first, MAX(session_id) AS last FROM clickstream_analytics.clickstream_batch",
    );
    rows.extend(scratch.query("SELECT code, COUNT(*) AS n, SUM(source_line) AS sum, MIN(letter_id) AS first FROM clickstream_analytics.dead_letter GROUP BY code ORDER BY code"));
    rows.extend(scratch.query("SELECT rows_in, rows_out, rows_rejected, rows_filtered FROM clickstream_analytics.load_ledger"));
    rows
}

#[test]
fn killed_at_any_moment_and_run_again_gives_the_same_tables() {
    plugins();
    let pipeline = root().join("host/pipelines/batch.toml");
    let pipeline = pipeline.to_string_lossy();
    let scratch = Scratch::new();
    scratch.done(&[
        "generate", "shop", "--rows", "60000", "--seed", "3", "--bad", "2%", "--output", "shop.csv",
    ]);
    let run = ["run", &*pipeline, "--set", "source.uri=shop.csv"];

    // The first run may compile the plugins: how long a run takes is told by the second.
    scratch.done(&run);
    let wanted = content(&scratch);
    std::fs::remove_dir_all(scratch.path("warehouse")).unwrap();
    let whole = std::time::Instant::now();
    scratch.done(&run);
    let whole = whole.elapsed();
    assert_eq!(content(&scratch), wanted);

    let mut killed = 0;
    for round in 0..20_u32 {
        std::fs::remove_dir_all(scratch.path("warehouse")).unwrap();
        let mut child = scratch.command(&run).stderr(Stdio::null()).spawn().unwrap();
        // Spread over the whole run, its commit at the end included.
        std::thread::sleep(whole * (round + 1) / 20 + Duration::from_millis(u64::from(round % 3)));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        scratch.done(&run);
        assert_eq!(content(&scratch), wanted, "after kill {round}");
        let left = scratch.path("warehouse").join("_staging");
        assert!(std::fs::read_dir(left).map_or(0, Iterator::count) == 0, "staging is empty again");
    }
    assert!(killed >= 5, "only {killed} of 20 runs were killed before they ended");
}

#[test]
fn a_loaded_object_is_skipped_and_a_changed_one_is_loaded() {
    plugins();
    let pipeline = root().join("host/pipelines/batch.toml");
    let scratch = Scratch::new();
    scratch.done(&["generate", "shop", "--rows", "1000", "--output", "shop.csv"]);
    let first = scratch.summary(&pipeline, &["source.uri=shop.csv"]);
    assert_eq!(first["objects_loaded"], 1);
    let second = scratch.summary(&pipeline, &["source.uri=shop.csv"]);
    assert_eq!(second["objects_loaded"], 0);
    assert!(second["objects_skipped"][0].as_str().unwrap().ends_with("/shop.csv"));
    assert_eq!(
        scratch.number("SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch"),
        1000
    );

    scratch.done(&["generate", "shop", "--rows", "500", "--seed", "9", "--output", "shop.csv"]);
    let third = scratch.summary(&pipeline, &["source.uri=shop.csv"]);
    assert_eq!(third["objects_loaded"], 1);
    assert_eq!(
        scratch.number("SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch"),
        1500
    );
}

#[test]
fn interrupted_it_finishes_the_object_in_hand_and_leaves_the_rest_for_the_next_run() {
    plugins();
    let pipeline = root().join("host/pipelines/batch.toml");
    let pipeline = pipeline.to_string_lossy();
    let scratch = Scratch::new();
    for name in ["a.csv", "b.csv", "c.csv"] {
        scratch.done(&["generate", "shop", "--rows", "400000", "--output", name]);
    }
    let run = ["run", "--json", &*pipeline, "--set", "source.uri=*.csv"];
    let command = scratch.command(&run);
    let mut child = crate::cloud::spawn(command);
    // The first object is in hand once something of it is staged.
    while !scratch.has_staged() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it staged anything");
        std::thread::yield_now();
    }
    let signalled = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(signalled.success());
    let output = child.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{talk}");
    assert!(talk.contains("told to stop, ") && talk.contains(" objects are left"), "{talk}");
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let (loaded, left) =
        (summary["objects_loaded"].as_u64().unwrap(), summary["objects_left"].as_u64().unwrap());
    assert_eq!(loaded + left, 3);
    assert!(loaded >= 1 && left >= 1, "{summary:#}");
    let rows = "SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch";
    assert_eq!(scratch.number(rows), loaded * 400_000);
    scratch.done(&run);
    assert_eq!(scratch.number(rows), 3 * 400_000);
}
