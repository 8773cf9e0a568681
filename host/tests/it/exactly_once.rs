//! `sink.exactly_once` under faults: an answer that is lost loses no rows and doubles none, whatever comes
//! after it.

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::cloud::{Cloud, signal, spawn, summary, wait_until};
use crate::faults::behind_a_wire;
use crate::proxy::Mode;

/// So many answers are lost in each test.
const LOST: u64 = 30;
const EXACTLY_ONCE: [&str; 6] = [
    "--set",
    "sink.exactly_once=true",
    "--set",
    "batch.max_rows=100",
    // What comes again since nobody had time to extend its lease would be there twice, as it may be.
    "--set",
    "source.ack_deadline_secs=60",
];

/// Publishes `count` messages while `faults` happen to a stream; returns the stream's summary.
fn stream_through(cloud: &Cloud, count: u64, bad: &str, faults: impl FnOnce()) -> Json {
    let numbers = count.to_string();
    let generate = ["generate", "clicks", "--publish", &cloud.topic, "--count", &numbers];
    let more = ["--rate", "1000", "--bad", bad, "--seed", "31"];
    let mut publish = cloud.command(&[&generate[..], &more].concat());
    publish.env("PUBSUB_EMULATOR_HOST", &cloud.pubsub.address);
    let mut publishing = spawn(publish);
    let streaming = spawn(cloud.stream(&EXACTLY_ONCE));
    faults();
    assert!(publishing.wait().unwrap().success());
    cloud.wait_for_messages(count);
    signal(&streaming, "-INT");
    summary(&streaming.wait_with_output().unwrap())
}

/// No row and no letter is there twice, not even in the tables themselves.
#[track_caller]
fn none_is_doubled(cloud: &Cloud) {
    for (id, table) in [("message_id", "clicks_raw"), ("letter_id", "dead_letter")] {
        let doubled =
            format!("SELECT COUNT(*) - COUNT(DISTINCT {id}) FROM clickstream_analytics.{table}");
        assert_eq!(cloud.bigquery.number(&doubled), 0, "{table}");
    }
}

/// Loses an answer to an append of each table, again and again.
fn lose_answers(cloud: &Cloud, tables: &[&str], then: Option<&str>) {
    for lost in 0..LOST {
        let table = tables[lost as usize % tables.len()];
        let mut fault = json!({ "kind": "lost_answer", "table": table, "times": 1 });
        if let Some(then) = then {
            fault["then"] = json!(then);
        }
        cloud.bigquery.order(&fault);
        wait_until("a lost answer", || cloud.bigquery.met("lost_answer") > lost);
    }
}

#[test]
fn cut_with_answers_on_the_wire_it_loses_nothing() {
    let test = "cut_with_answers_on_the_wire_it_loses_nothing";
    let Some((mut cloud, wire)) = behind_a_wire(test) else { return };
    let summary = stream_through(&cloud, 30_000, "3%", || {
        for _ in 0..LOST {
            wire.set(Mode::Late);
            std::thread::sleep(Duration::from_millis(250));
            wire.cut();
            wire.set(Mode::Pass);
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    assert!(summary["stream"]["retries"].as_u64() >= Some(LOST / 2), "{summary:#}");
    cloud.via[1] = cloud.bigquery.grpc.clone();
    none_is_doubled(&cloud);
    cloud.all_are_there_once(30_000);
}

#[test]
fn rows_whose_answer_is_lost_are_settled_before_any_others() {
    let test = "rows_whose_answer_is_lost_are_settled_before_any_others";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    let tables = ["clicks_raw", "clicks_raw", "dead_letter"];
    stream_through(&cloud, 15_000, "10%", || lose_answers(&cloud, &tables, None));
    none_is_doubled(&cloud);
    cloud.all_are_there_once(15_000);
}

#[test]
fn letters_whose_answer_is_lost_go_to_the_spool_and_are_there_once() {
    let test = "letters_whose_answer_is_lost_go_to_the_spool_and_are_there_once";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    let summary = stream_through(&cloud, 15_000, "20%", || {
        lose_answers(&cloud, &["dead_letter"], None);
    });
    assert!(summary["stream"]["spooled"].as_u64() > Some(0), "{summary:#}");
    none_is_doubled(&cloud);
    cloud.all_are_there_once(15_000);
}

#[test]
fn where_the_stream_is_finalised_with_an_answer_lost_its_end_tells() {
    let test = "where_the_stream_is_finalised_with_an_answer_lost_its_end_tells";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    let tables = ["clicks_raw", "dead_letter"];
    stream_through(&cloud, 15_000, "10%", || lose_answers(&cloud, &tables, Some("finalized")));
    none_is_doubled(&cloud);
    cloud.all_are_there_once(15_000);
}

#[test]
fn where_the_stream_has_expired_with_an_answer_lost_nothing_is() {
    let test = "where_the_stream_has_expired_with_an_answer_lost_nothing_is";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    let tables = ["clicks_raw", "dead_letter"];
    // Whether the rows are there cannot be found out: they may be there twice, and once in the views.
    stream_through(&cloud, 15_000, "10%", || lose_answers(&cloud, &tables, Some("expired")));
    cloud.all_are_there_once(15_000);
}

#[test]
fn where_an_offset_is_out_of_range_another_stream_takes_the_rows() {
    let test = "where_an_offset_is_out_of_range_another_stream_takes_the_rows";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    stream_through(&cloud, 6000, "10%", || {
        for met in 0..6 {
            let table = ["clicks_raw", "dead_letter"][met as usize % 2];
            let fault = json!({ "kind": "out_of_range", "table": table, "times": 1 });
            cloud.bigquery.order(&fault);
            wait_until("an offset out of range", || cloud.bigquery.met("out_of_range") > met);
        }
    });
    none_is_doubled(&cloud);
    cloud.all_are_there_once(6000);
}
