//! Faults, counted: whatever breaks, every message published is in the table or the dead-letter table,
//! once in the views.

use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::cloud::{Cloud, signal, spawn, summary, wait_until};
use crate::emulators::{PullStreams, request};
use crate::proxy::{Mode, Proxy};
use crate::support::after;

/// How a stream is told to write each row once.
const EXACTLY_ONCE: [&str; 2] = ["--set", "sink.exactly_once=true"];

/// A cloud with its tables, whose BigQuery takes rows by way of a proxy. `None` as of [`Cloud::start`].
pub(crate) fn behind_a_wire(test: &str) -> Option<(Cloud, Proxy)> {
    let mut cloud = Cloud::start(test, &json!({}))?;
    cloud.apply_tables();
    let wire = Proxy::start(&cloud.bigquery.grpc);
    cloud.via[1] = wire.address.clone();
    Some((cloud, wire))
}

#[test]
fn killed_again_and_again_no_message_is_lost() {
    killed_again_and_again("killed_again_and_again_no_message_is_lost", &[]);
}

#[test]
fn killed_again_and_again_no_message_is_lost_where_rows_are_written_once() {
    let test = "killed_again_and_again_no_message_is_lost_where_rows_are_written_once";
    killed_again_and_again(test, &EXACTLY_ONCE);
}

fn killed_again_and_again(test: &str, set: &[&str]) {
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    let messages = 30_000;
    let generate = ["generate", "clicks", "--publish", &cloud.topic, "--count", "30000"];
    let more = ["--rate", "1500", "--bad", "3%", "--seed", "20"];
    let mut publishing = spawn(cloud.command(&[&generate[..], &more].concat()));
    for kill in 0..20_u64 {
        let mut child = cloud.stream(&[&["--set", "batch.max_rows=400"], set].concat());
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // Spread over starting, pulling, writing and acknowledging.
        std::thread::sleep(Duration::from_millis(150 + (kill * 389) % 1100));
        assert!(child.try_wait().unwrap().is_none(), "it ended before kill {kill}");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(publishing.wait().unwrap().success());
    cloud.drain_all(messages);
    cloud.all_are_there_once(messages);
}

#[test]
fn cut_refused_frozen_and_slow_connections_lose_nothing() {
    on_bad_wires("cut_refused_frozen_and_slow_connections_lose_nothing", &[]);
}

#[test]
fn cut_refused_frozen_and_slow_connections_lose_nothing_where_rows_are_written_once() {
    let test = "cut_refused_frozen_and_slow_connections_lose_nothing_where_rows_are_written_once";
    on_bad_wires(test, &EXACTLY_ONCE);
}

fn on_bad_wires(test: &str, set: &[&str]) {
    let Some(mut cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    let wires = [Proxy::start(&cloud.pubsub.address), Proxy::start(&cloud.bigquery.grpc)];
    cloud.via = [wires[0].address.clone(), wires[1].address.clone()];
    let messages = 20_000;
    let generate = ["generate", "clicks", "--publish", &cloud.topic, "--count", "20000"];
    let more = ["--rate", "1000", "--bad", "3%", "--seed", "21"];
    let mut publish = cloud.command(&[&generate[..], &more].concat());
    publish.env("PUBSUB_EMULATOR_HOST", &cloud.pubsub.address);
    let mut publishing = spawn(publish);
    let streaming = spawn(cloud.stream(&[&["--set", "batch.max_rows=300"], set].concat()));
    for fault in 0..16 {
        let wire = &wires[fault % 2];
        match fault / 2 % 4 {
            0 => wire.cut(),
            1 => {
                wire.set(Mode::Refuse);
                wire.cut();
            }
            2 => wire.set(Mode::Freeze),
            _ => wire.set(Mode::Slow),
        }
        std::thread::sleep(Duration::from_millis(700));
        wire.set(Mode::Pass);
        std::thread::sleep(Duration::from_millis(300));
    }
    assert!(publishing.wait().unwrap().success());
    signal(&streaming, "-INT");
    let summary = summary(&streaming.wait_with_output().unwrap());
    assert!(summary["stream"]["retries"].as_u64() > Some(0), "{summary:#}");
    cloud.via = [cloud.pubsub.address.clone(), cloud.bigquery.grpc.clone()];
    cloud.drain_all(messages);
    cloud.all_are_there_once(messages);
}

/// The client takes UNKNOWN, and what answers in place of the service, for the end.
#[test]
fn a_pull_stream_that_ends_as_it_is_opened_is_opened_again() {
    let test = "a_pull_stream_that_ends_as_it_is_opened_is_opened_again";
    let Some(mut cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    cloud.publish(&["--count", "2000", "--seed", "29"]);
    let pulls = PullStreams::ended(&cloud.pubsub.address, 3);
    cloud.via[0] = pulls.address.clone();
    let streaming = spawn(cloud.stream(&[]));
    cloud.wait_for_messages(2000);
    signal(&streaming, "-INT");
    let output = streaming.wait_with_output().unwrap();
    assert_eq!(summary(&output)["rows_in"], 2000);
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(talk.matches("a pull stream broke, opening it again").count(), 3, "{talk}");
    cloud.via[0] = cloud.pubsub.address.clone();
    cloud.all_are_there_once(2000);
}

#[test]
fn while_the_table_is_away_messages_are_held_and_nothing_more_is_pulled() {
    let test = "while_the_table_is_away_messages_are_held_and_nothing_more_is_pulled";
    let Some((cloud, wire)) = behind_a_wire(test) else { return };
    let bound = ["--set", "source.max_outstanding_messages=1000", "--set", "batch.max_rows=200"];
    let streaming = spawn(cloud.stream(&[&bound[..], &["--stop-when-idle", "60s"]].concat()));
    has_started(&cloud);
    wire.set(Mode::Refuse);
    // The connections that the client has made by now.
    wire.cut();
    cloud.publish(&["--count", "5000", "--seed", "22"]);
    std::thread::sleep(Duration::from_secs(4));
    let rows = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw";
    assert_eq!(cloud.bigquery.number(rows), 0);
    wire.set(Mode::Pass);
    cloud.wait_for_messages(5000);
    signal(&streaming, "-INT");
    let output = streaming.wait_with_output().unwrap();
    let summary = summary(&output);
    // The emulator hands over more than was asked for, which may come again: the view has it once.
    assert!(summary["rows_out"].as_u64() >= Some(5000), "{summary:#}");
    assert!(summary["stream"]["retries"].as_u64() > Some(0));
    cloud.all_are_there_once(5000);
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(talk.contains("the table is away: holding what is in hand"), "{talk}");
}

#[test]
fn what_is_held_longer_than_its_deadline_does_not_come_again() {
    let test = "what_is_held_longer_than_its_deadline_does_not_come_again";
    let Some((cloud, wire)) = behind_a_wire(test) else { return };
    let streaming = spawn(cloud.stream(&["--stop-when-idle", "60s"]));
    has_started(&cloud);
    wire.set(Mode::Refuse);
    cloud.publish(&["--count", "5000", "--seed", "26"]);
    // The deadline is ten seconds.
    std::thread::sleep(Duration::from_secs(24));
    wire.set(Mode::Pass);
    cloud.wait_for_messages(5000);
    signal(&streaming, "-INT");
    let summary = summary(&streaming.wait_with_output().unwrap());
    assert_eq!(summary["rows_in"], 5000, "{summary:#}");
    cloud.all_are_there_once(5000);
}

#[test]
fn what_waits_for_a_slow_table_longer_than_its_deadline_does_not_come_again() {
    let test = "what_waits_for_a_slow_table_longer_than_its_deadline_does_not_come_again";
    let Some((cloud, wire)) = behind_a_wire(test) else { return };
    // Some two hundred rows a second, however fast the machine is.
    wire.set(Mode::Late);
    let few = ["--set", "batch.max_rows=25"];
    let streaming = spawn(cloud.stream(&[&few[..], &["--stop-when-idle", "60s"]].concat()));
    cloud.publish(&["--count", "9000", "--seed", "27"]);
    std::thread::sleep(Duration::from_secs(30));
    wire.set(Mode::Pass);
    cloud.wait_for_messages(9000);
    signal(&streaming, "-INT");
    let summary = summary(&streaming.wait_with_output().unwrap());
    assert_eq!(summary["rows_in"], 9000, "{summary:#}");
    cloud.all_are_there_once(9000);
}

#[test]
fn while_the_dead_letter_table_is_away_letters_wait_in_the_spool() {
    let test = "while_the_dead_letter_table_is_away_letters_wait_in_the_spool";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    let streaming = spawn(cloud.stream(&[]));
    cloud.publish(&["--count", "2000", "--bad", "20%", "--seed", "23"]);
    let letters = "SELECT COUNT(*) FROM clickstream_analytics.dead_letter";
    wait_until("the first letters", || cloud.bigquery.number(letters) > 0);
    delete_dead_letters(&cloud);
    cloud.publish(&["--count", "2000", "--bad", "20%", "--seed", "24"]);
    let spool = cloud.scratch.path("spool/clicks-stream");
    let spooled = || std::fs::read_dir(&spool).map_or(0, Iterator::count);
    wait_until("letters in the spool", || spooled() > 0);
    assert_eq!(letters_so_far(&cloud), 0);
    cloud.apply_tables();
    wait_until("an empty spool", || spooled() == 0);
    signal(&streaming, "-INT");
    let summary = summary(&streaming.wait_with_output().unwrap());
    assert!(summary["stream"]["spooled"].as_u64() > Some(0), "{summary:#}");
    assert_eq!(summary["rows_in"], 4000);
    // Those of the deleted table are gone with it; the spooled ones have come.
    let there = letters_so_far(&cloud);
    assert!(
        there >= summary["stream"]["spooled"].as_u64().unwrap(),
        "{there} letters, {summary:#}"
    );
}

#[test]
fn where_spool_and_dead_letter_table_are_away_messages_are_held() {
    let test = "where_spool_and_dead_letter_table_are_away_messages_are_held";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    delete_dead_letters(&cloud);
    // A disk that takes no file of more than four megabytes: a letter of six can't be spooled.
    let run = cloud.stream(&["--set", "sink.missing_tables=create"]);
    let streaming = spawn(after("trap '' XFSZ; ulimit -f 8192", &run));
    wait_until("the table", || {
        !cloud.bigquery.table("clickstream_analytics", "dead_letter")["id"].is_null()
    });
    delete_dead_letters(&cloud);
    let poison = "x".repeat(6_000_000);
    cloud.publish_these(&[(poison.as_bytes(), json!({}))]);
    cloud.publish(&["--count", "999", "--bad", "20%", "--seed", "25"]);
    let rows = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw";
    wait_until("the rows", || cloud.bigquery.number(rows) > 0);
    std::thread::sleep(Duration::from_secs(2));
    signal(&streaming, "-INT");
    std::thread::sleep(Duration::from_millis(300));
    signal(&streaming, "-INT");
    let output = streaming.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(talk.contains("dead-letter table and spool are away"), "{talk}");
    cloud.drain_all(1000);
    cloud.all_are_there_once(1000);
}

/// Waits until a stream has entered its start, the last thing before it pulls.
fn has_started(cloud: &Cloud) {
    let entries = "SELECT COUNT(*) FROM clickstream_analytics.audit_log";
    wait_until("a start", || cloud.bigquery.number(entries) > 0);
}

fn letters_so_far(cloud: &Cloud) -> u64 {
    let table = cloud.bigquery.table("clickstream_analytics", "dead_letter");
    if table["id"].is_null() {
        0
    } else {
        cloud.bigquery.number("SELECT COUNT(*) FROM clickstream_analytics.dead_letter")
    }
}

pub(crate) fn delete_dead_letters(cloud: &Cloud) {
    let path = format!(
        "/bigquery/v2/projects/{}/datasets/clickstream_analytics/tables/dead_letter",
        crate::emulators::PROJECT
    );
    // Answers without a body.
    let _ = request(&cloud.bigquery.rest, "DELETE", &path, None);
    assert!(cloud.bigquery.table("clickstream_analytics", "dead_letter")["id"].is_null());
}
