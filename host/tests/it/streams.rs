//! Streams that end badly, come twice, or run beside each other.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use serde_json::{Value as Json, json};

use crate::cloud::{Cloud, signal, spawn, summary, wait_until};
use crate::emulators::{PROJECT, PubSub, free_port, pubsub, request};
use crate::live::clicks;
use crate::support::{Process, Scratch, conserved, plugins, root};

/// A share of rejects that no stream of so many bad events keeps to.
const HOPELESS: [&str; 6] = [
    "--set",
    "dead_letter.max_rejected_share=0.1",
    "--set",
    "dead_letter.window_rows=400",
    "--set",
    "batch.max_rows=100",
];

#[test]
fn a_stream_that_is_stopped_for_its_rejects_acknowledges_all_that_it_wrote() {
    let test = "a_stream_that_is_stopped_for_its_rejects_acknowledges_all_that_it_wrote";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    cloud.publish(&["--count", "6000", "--bad", "50%", "--seed", "31"]);
    let few = ["--set", "source.max_outstanding_messages=1000"];
    let output = cloud.stream(&[&HOPELESS[..], &few].concat()).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{talk}");
    assert!(talk.contains("dead_letter.max_rejected_share"), "{talk}");
    let written = cloud.messages_there();
    assert!((400..6000).contains(&written), "{written}");
    // What was written was acknowledged, and what was not was released.
    let summary = cloud.drain_all(6000);
    assert_eq!(summary["rows_in"], 6000 - written, "{summary:#}");
    let count = |table: &str| {
        cloud.bigquery.number(&format!("SELECT COUNT(*) FROM clickstream_analytics.{table}"))
    };
    assert_eq!(count("clicks_raw") + count("dead_letter"), 6000);
    cloud.all_are_there_once(6000);
}

#[test]
fn a_stream_that_ends_by_an_error_leaves_its_rows_where_other_tools_look() {
    let scratch = Scratch::new();
    let pipeline = clicks().to_string_lossy().into_owned();
    let bad = ["--set", "source.bad=50%", "--set", "source.rate=2000"];
    let output = scratch.run(&[&["run", &pipeline][..], &bad, &HOPELESS].concat());
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{talk}");
    assert!(talk.contains("dead_letter.max_rejected_share"), "{talk}");
    let count = || {
        let count = |table: &str| {
            scratch.number(&format!("SELECT COUNT(*) FROM clickstream_analytics.{table}"))
        };
        (count("clicks_raw"), count("dead_letter"))
    };
    let there = count();
    assert!(there.0 > 0 && there.1 > 0, "{there:?}");
    std::fs::remove_dir_all(scratch.path("warehouse/_log")).unwrap();
    assert_eq!(count(), there, "rows were in the log only");
}

#[test]
fn a_topic_that_counts_from_one_again_has_other_messages() {
    let test = "a_topic_that_counts_from_one_again_has_other_messages";
    if pubsub(test).is_none() {
        return;
    }
    let scratch = Scratch::new();
    let pipeline = clicks().to_string_lossy().into_owned();
    let mut ids = Vec::new();
    for (start, seed) in ["41", "42"].into_iter().enumerate() {
        let pubsub = PubSub::start(free_port()).expect("it is installed");
        let [topic, subscription] =
            ["topics", "subscriptions"].map(|kind| format!("projects/{PROJECT}/{kind}/again"));
        let put = |path: &str, body: &Json| {
            request(&pubsub.address, "PUT", &format!("/v1/{path}"), Some(body)).expect("an answer")
        };
        put(&topic, &json!({}));
        put(&subscription, &json!({ "topic": topic, "ackDeadlineSeconds": 10 }));
        let done = |arguments: &[&str]| -> Output {
            let mut command = scratch.command(arguments);
            let output = command.env("PUBSUB_EMULATOR_HOST", &pubsub.address).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            output
        };
        let generate = ["generate", "clicks", "--publish", &topic, "--count", "50"];
        done(&[&generate[..], &["--bad", "0%", "--seed", seed]].concat());
        // The same letter each time: of the same topic and id, and the same bytes.
        let payload = json!({ "messages": [{ "data": "bm8gY2xpY2s=" }] });
        let publish = format!("/v1/{topic}:publish");
        request(&pubsub.address, "POST", &publish, Some(&payload)).expect("an answer");
        let source = format!("source.subscription={subscription}");
        let run = ["run", "--json", &pipeline, "--set", "source.kind=pubsub", "--set", &source];
        // A letter of 51 records is no reason to stop.
        let more = ["--set", "dead_letter.max_rejected_share=1.0", "--stop-when-idle", "3s"];
        let summary = summary(&done(&[&run[..], &more].concat()));
        assert_eq!((&summary["rows_out"], &summary["rows_rejected"]), (&json!(50), &json!(1)));
        let rows = 50 * (start as u64 + 1);
        for table in ["clicks", "clicks_raw"] {
            let sql = format!("SELECT COUNT(*) FROM clickstream_analytics.{table}");
            assert_eq!(scratch.number(&sql), rows, "{table}");
        }
        let letters = "SELECT COUNT(*) FROM clickstream_analytics.dead_letters";
        assert_eq!(scratch.number(letters), start as u64 + 1);
        let sql = "SELECT COUNT(DISTINCT message_id) FROM clickstream_analytics.clicks_raw";
        ids.push(scratch.number(sql));
    }
    assert!(ids[1] < 100, "no id came twice, so nothing was tried: {ids:?}");
}

/// Runs a pipeline over what it is given on its standard input.
#[track_caller]
fn piped(scratch: &Scratch, pipeline: &str, bytes: &[u8]) -> Json {
    let share = "dead_letter.max_rejected_share=1.0";
    let run = ["run", "--json", pipeline, "--set", "source.uri=-", "--set", share];
    let mut command: Command = scratch.command(&run);
    command.stdin(Stdio::piped());
    let mut child = spawn(command);
    child.stdin.take().unwrap().write_all(bytes).unwrap();
    summary(&child.wait_with_output().unwrap())
}

#[test]
fn what_comes_by_a_pipe_is_of_its_own_run() {
    plugins();
    let scratch = Scratch::new();
    let pipeline = root().join("host/pipelines/clicks.toml").to_string_lossy().into_owned();
    let made = ["generate", "clicks", "--rows", "400", "--bad", "20%", "--seed", "3"];
    // Some of the bad ones are not text.
    let first = piped(&scratch, &pipeline, &scratch.run(&made).stdout);
    // The same lines of other events: where a row of the first run is, a letter of the second may be.
    let made = ["generate", "clicks", "--rows", "400", "--bad", "20%", "--seed", "4"];
    let second = piped(&scratch, &pipeline, &scratch.run(&made).stdout);
    let sum = |key: &str| first[key].as_u64().unwrap() + second[key].as_u64().unwrap();
    let number =
        |what: &str| scratch.number(&format!("SELECT COUNT(*) FROM clickstream_analytics.{what}"));
    assert_eq!(number("clicks"), sum("rows_out"));
    assert_eq!(number("dead_letters"), sum("rows_rejected"));
    // The same plugins refuse what they refused: nothing is taken for written.
    let replay = scratch.done(&["dead-letter", "replay", &pipeline, "--json"]);
    let replay: Json = serde_json::from_str(&replay).unwrap();
    assert_eq!(
        (&replay["letters"], &replay["resolved"]),
        (&sum("rows_rejected").into(), &json!(0))
    );
    // So is what the generator makes when it is asked twice for the same.
    let made = r#"source={ kind = "generator", data = "clicks", rows = 300 }"#;
    let before = number("clicks");
    let mut rows = 0;
    for _ in 0..2 {
        let summary = scratch.summary(std::path::Path::new(&pipeline), &[made]);
        rows += summary["rows_out"].as_u64().unwrap();
    }
    assert_eq!(number("clicks"), before + rows);
}

#[test]
fn a_letter_that_holds_the_beginning_of_its_record_is_not_replayed_as_if_it_were_whole() {
    plugins();
    let scratch = Scratch::new();
    let header = "year;month;day;order;country;session ID;page 1 (main category);page 2 (clothing model);colour;location;model photography;price;price 2;page";
    // Of the second record the first bytes would be a row: of page 1, where it says 11.
    let long = format!("2008;4;1;2;29;1;1;A13;1;1;1;{}28;2;11", "0".repeat(1200));
    let text = format!("{header}\n2008;4;1;1;29;1;1;A13;1;1;1;28;2;1\n{long}\n");
    let file = scratch.write("shop.csv", text).to_string_lossy().into_owned();
    let pipeline = root().join("host/pipelines/batch.toml");
    let source = format!("source.uri={file}");
    let limit = format!("source.max_record_bytes={}", long.len() - 1);
    let all = "dead_letter.max_rejected_share=1.0";
    let summary = scratch.summary(&pipeline, &[&source, &limit, all]);
    conserved(&summary);
    let refused = json!([{ "stage": "decode", "code": "too_large", "rows": 1 }]);
    assert_eq!(summary["rejected_by"], refused);
    let pipeline = pipeline.to_string_lossy().into_owned();
    let replay = ["dead-letter", "replay", &pipeline, "--json", "--set", &limit];
    let told: Json = serde_json::from_str(&scratch.done(&replay)).unwrap();
    assert_eq!((&told["letters"], &told["resolved"]), (&json!(1), &json!(0)), "{told:#}");
    assert_eq!(told["rejected"][0]["code"], "too_large", "{told:#}");
    let rows = "SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch";
    assert_eq!(scratch.number(rows), 1);
}

#[test]
fn letters_that_their_table_refuses_are_set_aside_and_told_and_stop_no_others() {
    let test = "letters_that_their_table_refuses_are_set_aside_and_told_and_stop_no_others";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    cloud.apply_tables();
    cloud.bigquery.refuse("dead_letter", "a poisonous letter");
    cloud.publish_these(&[
        (b"a poisonous letter", json!({})),
        (b"a letter", json!({})),
        (b"another letter", json!({})),
    ]);
    cloud.publish(&["--count", "500", "--bad", "0%", "--seed", "33"]);
    let summary = cloud.drain("3s", &[]);
    assert_eq!((&summary["rows_out"], &summary["rows_rejected"]), (&json!(500), &json!(3)));
    assert_eq!(summary["stream"]["spooled"], 1);
    let letters = "SELECT COUNT(*) FROM clickstream_analytics.dead_letter";
    assert_eq!(cloud.bigquery.number(letters), 2);
    let aside = cloud.scratch.path("spool/clicks-stream.refused");
    let files = || std::fs::read_dir(&aside).map_or(0, Iterator::count);
    assert_eq!(files(), 1);
    // The next start tries it again. The others are not there twice.
    let output = cloud.stream(&["--stop-when-idle", "2s"]).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(talk.contains("they are set aside"), "{talk}");
    assert_eq!((files(), cloud.bigquery.number(letters)), (1, 2));
    cloud.bigquery.refuse("dead_letter", "nothing of this");
    cloud.drain("2s", &[]);
    assert_eq!((files(), cloud.bigquery.number(letters)), (0, 3));
    wait_until("an empty topic", || cloud.drain("1s", &[])["rows_in"] == 0);
}

/// Two processes of one pipeline whose file names one port.
#[test]
fn a_port_that_is_taken_gives_way_to_a_free_one_and_top_finds_both() {
    let scratch = Scratch::new();
    let pipeline = clicks().to_string_lossy().into_owned();
    let port = free_port();
    let listen = format!("admin.listen=127.0.0.1:{port}");
    let run = |more: &[&str]| {
        let run = ["run", &pipeline, "--set", &listen, "--set", "source.rate=500"];
        scratch.command(&[&run[..], more].concat())
    };
    let found = || -> Vec<Json> {
        let top = scratch.run(&["top", "--json"]);
        let text = String::from_utf8(top.stdout).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    let first = spawn(run(&[]));
    let usual = format!("127.0.0.1:{port}");
    wait_until("the first", || found().iter().any(|one| one["admin"] == *usual));
    let mut second = Process::spawn(run(&[]).stdout(Stdio::null()).stderr(Stdio::piped()));
    let mut lines = BufReader::new(second.stderr.take().unwrap()).lines();
    let mut talk = String::new();
    let other = loop {
        let line = lines.next().unwrap_or_else(|| panic!("it ended: {talk}")).unwrap();
        if let Some(address) = line.strip_prefix("admin interface: ") {
            break address.to_owned();
        }
        talk.push_str(&line);
    };
    assert!(talk.contains("WARN") && talk.contains(&usual), "{talk}");
    assert_ne!(other, usual);
    // Other tests' pipelines run on this machine too.
    let ours = |found: &[Json]| {
        [&usual, &other].map(|address| found.iter().filter(|one| one["admin"] == **address).count())
    };
    wait_until("both", || ours(&found()) == [1, 1]);
    let strict = run(&["--set", "admin.strict_port=true"]).output().unwrap();
    let told = String::from_utf8_lossy(&strict.stderr).into_owned();
    assert_eq!(strict.status.code(), Some(3), "{told}");
    assert!(told.contains(&usual) && told.contains("admin.strict_port"), "{told}");
    // A killed one is found no more.
    second.kill().unwrap();
    second.wait().unwrap();
    assert_eq!(ours(&found()), [1, 0]);
    signal(&first, "-INT");
    let output = first.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(ours(&found()), [0, 0]);
}

/// The folder of an audit log of its own, as each container has.
fn audited(cloud: &Cloud, folder: &str, arguments: &[&str]) -> Output {
    let mut command = cloud.stream(arguments);
    command.env("CLICKMILL_AUDIT", cloud.scratch.path(folder)).output().unwrap()
}

#[test]
fn replicas_audit_logs_are_verified_in_bigquery_and_what_is_cut_is_told() {
    let test = "replicas_audit_logs_are_verified_in_bigquery_and_what_is_cut_is_told";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    for folder in ["one", "other", "one"] {
        let output = audited(&cloud, folder, &["--stop-when-idle", "1s"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let pipeline = root().join("host/pipelines/stream_gcp.toml").to_string_lossy().into_owned();
    let verify = |folder: &str| -> (Option<i32>, Json, String) {
        let mut command = cloud.command(&["audit", "verify", &pipeline, "--json"]);
        let output = command.env("CLICKMILL_AUDIT", cloud.scratch.path(folder)).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), serde_json::from_slice(&output.stdout).unwrap(), told)
    };
    let entries = |told: &Json| {
        let others = told["others_in_table"].as_array().unwrap().iter();
        let others: Vec<u64> = others.map(|chain| chain["entries"].as_u64().unwrap()).collect();
        (told["entries"].as_u64().unwrap(), told["entries_in_table"].clone(), others)
    };
    let (code, told, errors) = verify("one");
    assert_eq!(code, Some(0), "{errors}");
    assert_eq!(entries(&told), (4, json!(4), vec![2]));
    assert_eq!(entries(&verify("other").1), (2, json!(2), vec![4]));
    // A container that has neither file.
    assert_eq!(entries(&verify("none").1), (0, json!(0), vec![4, 2]));
    // The end of a file is cut off.
    let path = cloud.scratch.path("one/clicks-stream.jsonl");
    let whole = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    std::fs::write(&path, format!("{}\n", lines[..3].join("\n"))).unwrap();
    let (code, _, told) = verify("one");
    assert_eq!(code, Some(1));
    assert!(told.contains("the file's end was cut off"), "{told}");
    // The file is written anew.
    std::fs::remove_file(&path).unwrap();
    let elsewhere = cloud.scratch.path("elsewhere/clicks-stream.jsonl");
    let apart = Scratch::new();
    apart.summary(&clicks(), &["source.rows=10", "source.rate=1000"]);
    std::fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
    std::fs::copy(apart.path("clickmill-data/audit/clicks-stream.jsonl"), &elsewhere).unwrap();
    let (code, _, told) = verify("elsewhere");
    assert_eq!(code, Some(1));
    assert!(told.contains("the file was written anew"), "{told}");
    std::fs::write(&path, whole).unwrap();
    // The end of the chain that the other replica's was begun after.
    let gone = "DELETE FROM clickstream_analytics.audit_log WHERE entry_hash IN (SELECT previous_hash FROM clickstream_analytics.audit_log WHERE sequence = 1)";
    cloud.bigquery.query(gone);
    let (code, _, told) = verify("other");
    assert_eq!(code, Some(1));
    assert!(told.contains("which the table does not have"), "{told}");
}
