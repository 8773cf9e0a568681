//! BigQuery as it is, not as its emulator is: what it gets over by itself is waited for, told, and loses
//! nothing; what it does not get over ends a run at once. And no call of it can hang.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::cloud::{Cloud, signal, spawn, summary, wait_until};
use crate::cloud_loads::{Loads, ROWS};
use crate::emulators::{free_port, request};
use crate::proxy::{Mode, Proxy};
use crate::support::{Process, agent, root};

/// What the Write API answers for a while, and what the operator reads of it.
const PASSING: [(&str, &str); 4] = [
    ("unseen_table", "the Write API does not see it yet"),
    ("unseen_columns", "the Write API does not see them yet"),
    ("denied", "permission is denied"),
    ("unauthenticated", "the credentials are refused"),
];

/// What `/readyz` answers.
fn readiness(address: &str) -> (u16, String) {
    let Ok(mut answer) = agent().get(format!("http://{address}/readyz")).call() else {
        return (0, String::new());
    };
    (answer.status().as_u16(), answer.body_mut().read_to_string().unwrap_or_default())
}

#[test]
fn what_passes_by_itself_is_waited_for_and_told() {
    let test = "what_passes_by_itself_is_waited_for_and_told";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    let admin = format!("127.0.0.1:{}", free_port());
    let listen = format!("admin.listen={admin}");
    let streaming = spawn(cloud.stream(&["--set", &listen, "--stop-when-idle", "120s"]));
    let mut published = 0;
    for (kind, told) in PASSING.into_iter().chain([("exhausted", "has not taken rows")]) {
        cloud.bigquery.order(&json!({ "kind": kind, "table": "clicks_raw" }));
        cloud.publish(&["--count", "500", "--seed", &published.to_string()]);
        published += 500;
        wait_until(kind, || cloud.bigquery.met(kind) >= 3);
        wait_until("no readiness", || {
            let (status, why) = readiness(&admin);
            status == 503 && why.contains(told)
        });
        cloud.bigquery.take_back();
        cloud.wait_for_messages(published);
        wait_until("readiness", || readiness(&admin).0 == 200);
    }
    signal(&streaming, "-INT");
    let output = streaming.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    let summary = summary(&output);
    assert!(summary["rows_in"].as_u64() >= Some(published), "{summary:#}");
    for (_, told) in PASSING {
        let lines: Vec<&str> = talk
            .lines()
            .filter(|line| line.contains("waiting for it") && line.contains(told))
            .collect();
        assert_eq!(lines.len(), 1, "told once: {talk}");
        assert!(lines[0].contains("until"), "{talk}");
    }
    cloud.all_are_there_once(published);
}

#[test]
fn patience_has_a_bound_and_what_was_in_hand_comes_again() {
    let test = "patience_has_a_bound_and_what_was_in_hand_comes_again";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    for (seed, (kind, told)) in PASSING.into_iter().enumerate() {
        cloud.bigquery.order(&json!({ "kind": kind, "table": "clicks_raw" }));
        cloud.publish(&["--count", "300", "--seed", &seed.to_string()]);
        let bound = ["--set", "sink.patience_secs=1", "--set", "admin.listen=off"];
        let output = cloud.stream(&bound).output().unwrap();
        let talk = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(3), "{kind}: {talk}");
        assert!(talk.contains(told) && talk.contains("sink.patience_secs"), "{kind}: {talk}");
        cloud.bigquery.take_back();
    }
    cloud.drain_all(1200);
    cloud.all_are_there_once(1200);
}

#[test]
fn a_column_that_the_table_lacks_is_not_waited_for() {
    let test = "a_column_that_the_table_lacks_is_not_waited_for";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    let streaming = spawn(cloud.stream(&["--set", "admin.listen=off"]));
    cloud.publish(&["--count", "500", "--seed", "41"]);
    cloud.wait_for_messages(500);
    cloud.bigquery.query("ALTER TABLE clickstream_analytics.clicks_raw DROP COLUMN country");
    cloud.publish(&["--count", "500", "--seed", "42"]);
    let output = streaming.wait_with_output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{talk}");
    assert!(talk.contains("has no column `country`"), "{talk}");
    assert!(!talk.contains("waiting for it"), "{talk}");
    cloud.drain_all(1000);
    cloud.all_are_there_once(1000);
}

#[test]
fn a_column_that_the_table_gains_is_null_in_what_a_stream_goes_on_to_write() {
    let test = "a_column_that_the_table_gains_is_null_in_what_a_stream_goes_on_to_write";
    for exactly_once in ["sink.exactly_once=true", "sink.exactly_once=false"] {
        let Some(cloud) = Cloud::start(test, &json!({})) else { return };
        cloud.apply_tables();
        let streaming = spawn(cloud.stream(&["--set", exactly_once]));
        cloud.publish(&["--count", "500", "--seed", "47"]);
        cloud.wait_for_messages(500);
        let gain = "ALTER TABLE clickstream_analytics.clicks_raw ADD COLUMN added_since STRING";
        cloud.bigquery.query(gain);
        cloud.publish(&["--count", "500", "--seed", "48"]);
        cloud.wait_for_messages(1000);
        signal(&streaming, "-INT");
        assert_eq!(summary(&streaming.wait_with_output().unwrap())["rows_in"], 1000);
        let filled = "SELECT COUNT(added_since) FROM clickstream_analytics.clicks_raw";
        assert_eq!(cloud.bigquery.number(filled), 0);
        cloud.all_are_there_once(1000);
    }
}

#[test]
fn requests_that_are_too_large_on_the_way_are_cut() {
    let test = "requests_that_are_too_large_on_the_way_are_cut";
    for exactly_once in ["sink.exactly_once=true", "sink.exactly_once=false"] {
        let Some(cloud) = Cloud::start(test, &json!({})) else { return };
        cloud.apply_tables();
        let fault = json!({ "kind": "too_large", "table": "clicks_raw", "bytes": 40_000 });
        cloud.bigquery.order(&fault);
        cloud.publish(&["--count", "2000", "--seed", "42"]);
        let summary = cloud.drain("3s", &["--set", exactly_once]);
        assert_eq!(summary["rows_in"], 2000);
        assert!(cloud.bigquery.met("too_large") > 0);
        cloud.all_are_there_once(2000);
    }
}

#[test]
fn requests_of_which_not_one_row_passes_become_letters() {
    let test = "requests_of_which_not_one_row_passes_become_letters";
    for exactly_once in ["sink.exactly_once=true", "sink.exactly_once=false"] {
        let Some(cloud) = Cloud::start(test, &json!({})) else { return };
        cloud.apply_tables();
        cloud.bigquery.order(&json!({ "kind": "too_large", "table": "clicks_raw", "bytes": 10 }));
        cloud.publish(&["--count", "20", "--seed", "43"]);
        let summary = cloud.drain("3s", &["--set", exactly_once]);
        assert_eq!((&summary["rows_in"], &summary["rows_rejected"]), (&json!(20), &json!(20)));
        cloud.all_are_there_once(20);
    }
}

#[test]
fn a_table_that_is_deleted_and_made_again_takes_what_was_held() {
    let test = "a_table_that_is_deleted_and_made_again_takes_what_was_held";
    for exactly_once in ["sink.exactly_once=true", "sink.exactly_once=false"] {
        let Some(cloud) = Cloud::start(test, &json!({})) else { return };
        cloud.apply_tables();
        let admin = format!("127.0.0.1:{}", free_port());
        let listen = format!("admin.listen={admin}");
        let set = ["--set", exactly_once, "--set", &listen];
        let streaming = spawn(cloud.stream(&[&set[..], &["--stop-when-idle", "60s"]].concat()));
        cloud.publish(&["--count", "500", "--seed", "44", "--bad", "0%"]);
        cloud.wait_for_messages(500);
        delete(&cloud, "clicks_raw");
        cloud.publish(&["--count", "700", "--seed", "45", "--bad", "0%"]);
        wait_until("no readiness", || readiness(&admin).1.contains("there is no such table"));
        cloud.apply_tables();
        cloud.wait_for_messages(700);
        signal(&streaming, "-INT");
        assert_eq!(summary(&streaming.wait_with_output().unwrap())["rows_in"], 1200);
        assert_eq!(cloud.messages_there(), 700);
    }
}

fn delete(cloud: &Cloud, table: &str) {
    let project = crate::emulators::PROJECT;
    let path =
        format!("/bigquery/v2/projects/{project}/datasets/clickstream_analytics/tables/{table}");
    // Answers without a body.
    let _ = request(&cloud.bigquery.rest, "DELETE", &path, None);
    assert!(cloud.bigquery.table("clickstream_analytics", table)["id"].is_null());
}

#[test]
fn a_load_waits_for_what_passes_and_is_whole() {
    let loads = Loads::start();
    let rest = ["rest_denied", "rest_unauthenticated"];
    for kind in rest {
        let fault = json!({ "kind": kind, "table": "clickstream_batch", "times": 2 });
        loads.bigquery.order(&fault);
    }
    let kinds = ["unseen_table", "unseen_columns", "denied", "unauthenticated", "exhausted"];
    for kind in kinds.into_iter().chain(["lost_answer", "refused_commit", "lost_commit"]) {
        let fault = json!({ "kind": kind, "table": "clickstream_batch", "times": 2 });
        loads.bigquery.order(&fault);
    }
    let fault = json!({ "kind": "too_large", "table": "clickstream_batch", "bytes": 200_000 });
    loads.bigquery.order(&fault);
    loads.put("clothing.csv", 30_000, 46);
    let summary = loads.run(&[]);
    assert_eq!((&summary["objects_loaded"], &summary["rows_out"]), (&json!(1), &json!(30_000)));
    assert_eq!(loads.bigquery.number(ROWS), 30_000);
    assert_eq!(loads.entries("committed"), 1);
    let others = ["lost_answer", "refused_commit", "lost_commit", "too_large"];
    for kind in rest.into_iter().chain(kinds).chain(others) {
        assert!(loads.bigquery.met(kind) > 0, "{kind} was not met");
    }
    assert_eq!(loads.run(&[])["objects_loaded"], 0);
}

#[test]
fn a_load_whose_first_offset_is_out_of_range_begins_another_stream() {
    let loads = Loads::start();
    let fault = json!({ "kind": "out_of_range", "table": "clickstream_batch", "times": 1 });
    loads.bigquery.order(&fault);
    loads.put("clothing.csv", 1000, 49);
    assert_eq!(loads.run(&[])["objects_loaded"], 1);
    assert_eq!((loads.bigquery.met("out_of_range"), loads.bigquery.number(ROWS)), (1, 1000));
    assert_eq!(loads.entries("committed"), 1);
}

#[test]
fn rows_that_arrive_late_are_not_taken_for_those_that_others_made_room_for() {
    let loads = Loads::start();
    // Of four requests the second is refused as a whole, and the third arrives where the fourth belongs by then.
    for kind in ["late", "refused"] {
        let fault = json!({ "kind": kind, "table": "clickstream_batch", "times": 1, "from": 1000 });
        loads.bigquery.order(&fault);
    }
    loads.put("clothing.csv", 4000, 51);
    let set = ["--set", "batch.max_rows=1000", "--set", "dead_letter.max_rejected_share=1"];
    let output = loads.command(&set).output().unwrap();
    assert_eq!((loads.bigquery.met("late"), loads.bigquery.met("refused")), (1, 1));
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!((loads.bigquery.number(ROWS), loads.entries("committed")), (0, 0));
    assert_eq!(loads.run(&set)["objects_loaded"], 1);
    let places = "SELECT COUNT(DISTINCT source_line) FROM clickstream_analytics.clickstream_batch";
    assert_eq!((loads.bigquery.number(ROWS), loads.bigquery.number(places)), (4000, 4000));
}

#[test]
fn a_load_whose_streams_are_gone_before_their_commit_is_made_again() {
    let loads = Loads::start();
    for (round, (fault, loaded)) in [("uncommitted", 1), ("lost_commit", 0)].into_iter().enumerate()
    {
        let rows = 1000 * (round as u64 + 1);
        loads.put("clothing.csv", 1000, round as u64);
        loads.bigquery.order(&json!({ "kind": fault, "table": "clickstream_batch" }));
        let mut run = loads.command(&[]);
        let mut run = Process::spawn(run.stdout(Stdio::null()).stderr(Stdio::null()));
        wait_until("a commit", || loads.bigquery.met(fault) > 0);
        run.kill().unwrap();
        run.wait().unwrap();
        loads.bigquery.take_back();
        let ended = json!({ "kind": "expired", "table": "clickstream_batch" });
        loads.bigquery.order(&ended);
        assert_eq!(loads.run(&[])["objects_loaded"], loaded, "{fault}");
        assert_eq!(loads.bigquery.number(ROWS), rows);
        assert_eq!(loads.run(&[])["objects_loaded"], 0);
        assert_eq!(loads.bigquery.number(ROWS), rows);
    }
}

#[test]
fn two_runs_at_once_that_are_killed_load_each_object_once() {
    let loads = Loads::start();
    let objects = 5;
    let folder = ["--set", "source.uri=gs://lake/in/*.csv"];
    for round in 0..8_u64 {
        for object in 0..objects {
            loads.put(&format!("in/{object}.csv"), 2000, round * objects + object);
        }
        let mut runs: Vec<Process> = (0..2)
            .map(|_| {
                let mut run = loads.command(&folder);
                Process::spawn(run.stdout(Stdio::null()).stderr(Stdio::null()))
            })
            .collect();
        // Over the start, the loads, the decisions and the commits; of the first, or of both.
        std::thread::sleep(Duration::from_millis(100 + round * 131));
        let killed = if round % 4 == 3 { 2 } else { 1 };
        for run in &mut runs[..killed] {
            run.kill().unwrap();
        }
        let ended: Vec<bool> = runs.iter_mut().map(|run| run.wait().unwrap().success()).collect();
        assert!(ended[killed..].iter().all(|well| *well), "round {round}");
        loads.run(&folder);
        assert_eq!(loads.bigquery.number(ROWS), (round + 1) * objects * 2000, "round {round}");
        let loaded = "SELECT COUNT(DISTINCT load_id) FROM clickstream_analytics.load_ledger WHERE state = 'committed'";
        assert_eq!(loads.bigquery.number(loaded), (round + 1) * objects);
    }
    // Undisturbed, both end well, and one of them has loaded each.
    for object in 0..objects {
        loads.put(&format!("in/{object}.csv"), 2000, 1000 + object);
    }
    let runs: Vec<Process> = (0..2).map(|_| spawn(loads.command(&folder))).collect();
    let loaded: u64 = runs
        .into_iter()
        .map(|run| summary(&run.wait_with_output().unwrap())["objects_loaded"].as_u64().unwrap())
        .sum();
    assert_eq!(loaded, objects);
    assert_eq!(loads.bigquery.number(ROWS), 9 * objects * 2000);
}

/// Waits for a process that has to end by itself.
#[track_caller]
fn ends(mut child: Process, within: Duration) -> std::process::Output {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > within {
            child.kill().unwrap();
            let output = child.wait_with_output().unwrap();
            panic!("it hangs: {}", String::from_utf8_lossy(&output.stderr));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

#[test]
fn a_frozen_rest_interface_hangs_no_start() {
    let mut loads = Loads::start();
    loads.put("clothing.csv", 100, 47);
    let wire = Proxy::start(&loads.bigquery.rest);
    loads.via[0] = wire.address.clone();
    wire.set(Mode::Freeze);
    let output = ends(spawn(loads.command(&[])), Duration::from_secs(120));
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{talk}");
    assert!(talk.contains("waiting for an answer of BigQuery"), "{talk}");
    assert!(talk.contains("no answer in") && talk.contains("look at table"), "{talk}");
    wire.set(Mode::Pass);
    assert_eq!(loads.run(&[])["objects_loaded"], 1);
}

#[test]
fn a_frozen_rest_interface_hangs_no_load_and_no_query() {
    let mut loads = Loads::start();
    for object in 0..2 {
        loads.put(&format!("in/{object}.csv"), 20_000, object);
    }
    let wire = Proxy::start(&loads.bigquery.rest);
    loads.via[0] = wire.address.clone();
    let folder = ["--set", "source.uri=gs://lake/in/*.csv"];
    let running = spawn(loads.command(&folder));
    wait_until("the first object", || loads.entries("committed") > 0);
    wire.set(Mode::Freeze);
    let output = ends(running, Duration::from_secs(150));
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    // It may have loaded the second one before.
    assert!(matches!(output.status.code(), Some(0 | 3)), "{talk}");
    let pipeline = root().join("host/pipelines/batch_gcp.toml").to_string_lossy().into_owned();
    let mut query = loads.scratch.command(&["query", "--pipeline", &pipeline, "SELECT 1"]);
    query
        .env("CLICKSTREAM_BUCKET", "lake")
        .env("BIGQUERY_EMULATOR_HOST", &loads.via[0])
        .env("BIGQUERY_STORAGE_EMULATOR_HOST", &loads.via[1]);
    let output = ends(spawn(query), Duration::from_secs(120));
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{talk}");
    assert!(talk.contains("waiting for an answer of BigQuery"), "{talk}");
    assert!(talk.contains("no answer in"), "{talk}");
    wire.set(Mode::Pass);
    loads.run(&folder);
    assert_eq!(loads.bigquery.number(ROWS), 40_000);
}

#[test]
fn whatever_is_frozen_a_second_interrupt_ends_a_run() {
    let test = "whatever_is_frozen_a_second_interrupt_ends_a_run";
    let Some(mut cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    let rest = Proxy::start(&cloud.bigquery.rest);
    let grpc = Proxy::start(&cloud.bigquery.grpc);
    cloud.via[1] = grpc.address.clone();
    for wires in [vec![&rest], vec![&grpc], vec![&rest, &grpc]] {
        let before = cloud.messages_there();
        let mut streaming = cloud.stream(&["--set", "admin.listen=off"]);
        streaming.env("BIGQUERY_EMULATOR_HOST", &rest.address);
        let streaming = spawn(streaming);
        cloud.publish(&["--count", "300", "--seed", &before.to_string()]);
        wait_until("the first messages", || cloud.messages_there() > before);
        for wire in &wires {
            wire.set(Mode::Freeze);
        }
        signal(&streaming, "-INT");
        std::thread::sleep(Duration::from_millis(500));
        // It may have ended after the first.
        let _ = Command::new("kill").args(["-INT", &streaming.id().to_string()]).output();
        // What it says at last takes eight seconds of ten; the rest is for a machine that is busy.
        ends(streaming, Duration::from_secs(12));
        for wire in wires {
            wire.set(Mode::Pass);
        }
    }
    cloud.via[1] = cloud.bigquery.grpc.clone();
    cloud.drain_all(900);
    cloud.all_are_there_once(900);
}
