//! Live events as their user meets them: from a topic to the table, and out of harm's way.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::json;

use crate::cloud::{Cloud, MANY_STREAMS, signal, spawn, summary, wait_until};
use crate::support::{Process, Scratch, plugins, root};

#[test]
fn every_message_is_a_row_or_a_dead_letter_with_where_it_came_from() {
    let test = "every_message_is_a_row_or_a_dead_letter_with_where_it_came_from";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.publish(&["--count", "20000", "--bad", "2%", "--seed", "7"]);
    let summary = cloud.drain("3s", &[]);
    assert_eq!(summary["rows_in"], 20_000);
    assert_eq!(summary["stream"]["unconfirmed"], 0);
    cloud.all_are_there_once(20_000);
    let origin = "source = 'pubsub:projects/test-project/subscriptions/' || SPLIT(source, '/')[OFFSET(3)] AND source_line IS NULL";
    let origins = format!(
        "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw WHERE {origin} AND publish_time <= ingested_at"
    );
    assert_eq!(cloud.bigquery.number(&origins), summary["rows_out"].as_u64().unwrap());
    let letters = cloud.bigquery.query(
        "SELECT COUNT(*), MIN(a.key), MIN(a.value) FROM clickstream_analytics.dead_letter, UNNEST(attributes) AS a",
    );
    let rejected = summary["rows_rejected"].to_string();
    let wanted = [rejected, "producer".to_owned(), "clickmill generate".to_owned()].map(Some);
    assert_eq!(letters, [wanted]);
    // All of it was acknowledged: nothing is left.
    assert_eq!(cloud.drain("2s", &[])["rows_in"], 0);
}

#[test]
fn an_exactly_once_subscription_confirms_every_acknowledgement() {
    let test = "an_exactly_once_subscription_confirms_every_acknowledgement";
    let settings = json!({ "enableExactlyOnceDelivery": true, "ackDeadlineSeconds": 60 });
    let Some(cloud) = Cloud::start(test, &settings) else { return };
    cloud.publish(&["--count", "3000", "--seed", "8"]);
    // Rows go to a stream of our own, with offsets.
    let summary =
        cloud.drain("3s", &["--set", "sink.exactly_once=true", "--set", "batch.max_rows=500"]);
    assert_eq!(summary["rows_out"], 3000);
    assert_eq!(summary["stream"]["unconfirmed"], 0);
    let rows = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw";
    assert_eq!(cloud.bigquery.number(rows), 3000);
    assert_eq!(cloud.drain("2s", &[])["rows_in"], 0);
}

#[test]
fn messages_of_a_key_reach_the_table_in_their_order() {
    let test = "messages_of_a_key_reach_the_table_in_their_order";
    let Some(cloud) = Cloud::start(test, &json!({ "enableMessageOrdering": true })) else { return };
    cloud.publish(&["--count", "4000", "--seed", "9", "--order-by", "session_id"]);
    let small = ["--set", "batch.max_rows=40", "--set", "workers=4"];
    assert_eq!(cloud.drain("3s", &small)["rows_out"], 4000);
    // Events of a session carry the time at which they happened, in the order of publishing.
    let overtaken = cloud.bigquery.number(
        "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw a JOIN clickstream_analytics.clicks_raw b \
         ON a.session_id = b.session_id AND a.event_timestamp < b.event_timestamp AND a.ingested_at > b.ingested_at",
    );
    assert_eq!(overtaken, 0);
    let batches = "SELECT COUNT(DISTINCT ingested_at) FROM clickstream_analytics.clicks_raw";
    assert!(cloud.bigquery.number(batches) > 50);
}

#[test]
fn a_row_that_the_table_refuses_is_a_dead_letter_and_the_others_pass() {
    let test = "a_row_that_the_table_refuses_is_a_dead_letter_and_the_others_pass";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.bigquery.refuse("clicks_raw", "/search?");
    cloud.publish(&["--count", "3000", "--seed", "10"]);
    let summary = cloud.drain("3s", &[]);
    let refused =
        json!([{ "stage": "sink", "code": "refused_by_table", "rows": summary["rows_rejected"] }]);
    assert_eq!(summary["rejected_by"], refused);
    assert!(summary["rows_rejected"].as_u64() > Some(50), "{summary:#}");
    let searches =
        "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw WHERE STRPOS(url, '/search?') > 0";
    assert_eq!(cloud.bigquery.number(searches), 0);
    cloud.all_are_there_once(3000);
}

#[test]
fn poisonous_messages_are_dead_letters_with_their_exact_bytes() {
    let test = "poisonous_messages_are_dead_letters_with_their_exact_bytes";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    let deep = "[".repeat(100_000);
    let large = format!("{{\"event_id\": \"{}\"}}", "x".repeat(6_000_000));
    let poisons: [(&[u8], serde_json::Value); 6] = [
        (b"", json!({ "reason": "no payload" })),
        (b"\xff\xfe\x00", json!({})),
        (deep.as_bytes(), json!({ "many": "brackets", "and": "two attributes" })),
        (large.as_bytes(), json!({})),
        (b"{\"event_timestamp\": \"292277026596-01-01T00:00:00Z\"}", json!({})),
        (b"null", json!({})),
    ];
    cloud.publish_these(&poisons);
    cloud.publish(&["--count", "500", "--seed", "11"]);
    let summary = cloud.drain("3s", &[]);
    assert_eq!((&summary["rows_out"], &summary["rows_rejected"]), (&json!(500), &json!(6)));
    let mut sizes: Vec<String> = cloud
        .bigquery
        .query("SELECT BYTE_LENGTH(payloadBytes) FROM clickstream_analytics.dead_letter")
        .into_iter()
        .map(|row| row[0].clone().unwrap())
        .collect();
    sizes.sort();
    let mut wanted = poisons.map(|(payload, _)| payload.len().to_string());
    wanted.sort();
    assert_eq!(sizes, wanted);
    cloud.all_are_there_once(506);
}

#[test]
fn told_to_stop_as_it_starts_it_ends_as_it_does_later() {
    plugins();
    let scratch = Scratch::new();
    let pipeline = root().join("host/pipelines/stream.toml");
    let run = ["run", &*pipeline.to_string_lossy(), "--set", "admin.listen=127.0.0.1:0"];
    for _ in 0..8 {
        let mut command = scratch.command(&run);
        let mut child = Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::piped()));
        let told = BufReader::new(child.stderr.take().unwrap()).lines();
        for line in told.map_while(Result::ok) {
            if line.starts_with("admin interface: ") {
                signal(&child, "-INT");
            }
        }
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn told_to_stop_it_finishes_what_is_in_hand_and_leaves_the_rest() {
    let test = "told_to_stop_it_finishes_what_is_in_hand_and_leaves_the_rest";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    cloud.publish(&["--count", "40000", "--seed", "13"]);
    let rows = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw";
    let mut taken = 0;
    for stop in ["-TERM", "-INT"] {
        let before = cloud.bigquery.number(rows);
        let child = spawn(cloud.stream(&["--set", "batch.max_rows=500"]));
        wait_until("the first rows", || cloud.bigquery.number(rows) > before);
        signal(&child, stop);
        let summary = summary(&child.wait_with_output().unwrap());
        assert_eq!(summary["stream"]["repeated"], 0);
        taken += summary["rows_in"].as_u64().unwrap();
        assert_eq!(cloud.bigquery.number(rows), taken, "what was taken is written");
    }
    taken += cloud.drain_all(40_000)["rows_in"].as_u64().unwrap();
    // Nothing was delivered twice: what was not finished was released, not lost and not kept.
    assert_eq!(taken, 40_000);
    cloud.all_are_there_once(40_000);
}

#[test]
fn without_an_account_the_same_pipeline_runs_on_made_up_events() {
    plugins();
    let scratch = Scratch::new();
    let stream = root().join("host/pipelines/stream.toml");
    let summary = scratch.summary(&stream, &["source.rows=3000", "source.rate=6000"]);
    assert_eq!(summary["rows_in"], 3000);
    let table = "clickstream_analytics.clicks_raw";
    let rows = scratch.number(&format!("SELECT COUNT(DISTINCT message_id) FROM {table}"));
    assert_eq!(Some(rows), summary["rows_out"].as_u64());
    assert_eq!(scratch.number("SELECT COUNT(*) FROM clickstream_analytics.clicks"), rows);
    // Events happen now, not when the generator's world began.
    let late = format!(
        "SELECT COUNT(*) FROM {table} WHERE ABS(TIMESTAMP_DIFF(publish_time, event_timestamp, SECOND)) > 600"
    );
    assert_eq!(scratch.number(&late), 0);
}

#[test]
fn from_pubsub_into_the_warehouse_a_message_that_comes_again_is_no_second_row() {
    let test = "from_pubsub_into_the_warehouse_a_message_that_comes_again_is_no_second_row";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.publish(&["--count", "6000", "--seed", "12", "--bad", "5%"]);
    let stream = root().join("host/pipelines/stream.toml");
    let subscription = format!("source.subscription={}", cloud.subscription);
    let run = [
        "run",
        "--json",
        &*stream.to_string_lossy(),
        "--set",
        "source.kind=pubsub",
        "--set",
        &subscription,
    ];
    let one = ["--set", "source.streams=1"];
    let more = ["--set", "source.ack_deadline_secs=10", "--set", "batch.max_rows=200"];
    let run = [&run[..], &more].concat();
    let files = || {
        // Small files go to the log first.
        let folders = ["warehouse/clickstream_analytics/clicks_raw", "warehouse/_log"];
        let found = folders.iter().flat_map(|folder| walk(&cloud.scratch.path(folder)));
        found.filter(|path| path.extension().is_some_and(|e| e == "parquet")).count()
    };
    let mut killed = 0;
    for kill in 1..=3 {
        let mut command = cloud.command(&[&run[..], &one].concat());
        let mut child = Process::spawn(command.stderr(Stdio::null()));
        let before = files();
        wait_until("a new file", || files() > before || child.try_wait().unwrap().is_some());
        child.kill().unwrap();
        killed += usize::from(!child.wait().unwrap().success());
        assert!(killed == kill || files() > 0);
    }
    assert!(killed > 0);
    let count = |table: &str| {
        let sql = format!(
            "SELECT COUNT(*) AS n, COUNT(DISTINCT message_id) AS ids FROM clickstream_analytics.{table}"
        );
        let row = cloud.scratch.query(&sql).remove(0);
        // The table itself has no doubles, not only the view.
        assert_eq!(row["n"], row["ids"], "{table}");
        row["n"].as_u64().unwrap()
    };
    let child = spawn(cloud.command(&[&run[..], &["--set", MANY_STREAMS]].concat()));
    wait_until("all messages", || count("clicks_raw") + count("dead_letter") == 6000);
    signal(&child, "-INT");
    summary(&child.wait_with_output().unwrap());
}

#[test]
fn pipelines_for_google_cloud_differ_from_those_for_here_in_source_and_sink_only() {
    let plugins = |name: &str| {
        let text = std::fs::read_to_string(root().join("host/pipelines").join(name)).unwrap();
        let mut pipeline: toml::Table = toml::from_str(&text).unwrap();
        pipeline.remove("plugin").unwrap()
    };
    assert_eq!(plugins("stream_gcp.toml"), plugins("stream.toml"));
    assert_eq!(plugins("clicks.toml"), plugins("stream.toml"));
    assert_eq!(plugins("batch_gcp.toml"), plugins("batch.toml"));
}

/// As many messages as come in an hour and a half at 500 a second.
#[test]
fn hours_of_messages_leave_memory_flat() {
    plugins();
    let scratch = Scratch::new();
    let stream = root().join("host/pipelines/stream.toml").to_string_lossy().into_owned();
    let many = ["--set", "source.rows=2700000", "--set", "source.rate=150000"];
    let mut child = spawn(scratch.command(&[&["run", "--json", &stream], &many[..]].concat()));
    let status = format!("/proc/{}/status", child.id());
    let mut resident: Vec<u64> = Vec::new();
    while child.try_wait().unwrap().is_none() {
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        resident.extend(line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok()));
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    assert_eq!(summary(&child.wait_with_output().unwrap())["rows_in"], 2_700_000);
    // The window of message ids is full after a million. Packing files takes some for a moment, so the middle of a
    // quarter counts.
    let quarter = resident.len() / 4;
    let middle = |part: &[u64]| {
        let mut part = part.to_vec();
        part.sort_unstable();
        part[part.len() / 2]
    };
    let (before, after) =
        (middle(&resident[2 * quarter..3 * quarter]), middle(&resident[3 * quarter..]));
    eprintln!("{before} kB in the third quarter, {after} kB in the fourth");
    assert!(after < before + before / 4, "{before} kB, then {after} kB");
    let most = resident.iter().max();
    assert!(most < Some(&(1 << 20)), "{most:?} kB");
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .flat_map(|entry| match entry.path() {
            path if path.is_dir() => walk(&path),
            path => vec![path],
        })
        .collect()
}
