//! BigQuery's jobs and limits as they are: what is refused for a while is asked again, and what is not
//! known to be over is not stepped over.

use std::process::Stdio;

use serde_json::{Value as Json, json};

use crate::cloud::{summary, wait_until};
use crate::cloud_loads::{Loads, ROWS};
use crate::support::Process;

#[test]
fn a_rate_limit_of_rest_is_waited_for_and_is_no_missing_role() {
    let loads = Loads::start();
    loads.put("clothing.csv", 100, 48);
    let fault = json!({
        "kind": "rest_denied", "table": "clickstream_batch", "times": 2, "reason": "rateLimitExceeded"
    });
    loads.bigquery.order(&fault);
    let output = loads.command(&[]).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(summary(&output)["objects_loaded"], 1, "{talk}");
    assert_eq!(loads.bigquery.met("rest_denied"), 2);
    assert!(!talk.contains("permission is denied"), "{talk}");
}

#[test]
fn jobs_of_our_own_that_fail_are_tried_again_and_not_for_ever() {
    let loads = Loads::start();
    loads.put("clothing.csv", 100, 49);
    loads.bigquery.order(&json!({ "kind": "failed_job", "table": "load_ledger" }));
    let output = loads.command(&[]).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{talk}");
    assert!(talk.contains("not decided") && talk.contains("Exceeded rate limits"), "{talk}");
    assert_eq!(loads.bigquery.met("failed_job"), 5);
    // However many there are, those of others are stepped over.
    loads.bigquery.order(&json!({ "kind": "failed_job", "table": "load_ledger", "times": 2 }));
    assert_eq!(loads.run(&[])["objects_loaded"], 1);
    assert_eq!(loads.bigquery.met("failed_job"), 7);
    assert_eq!(loads.bigquery.number(ROWS), 100);
}

#[test]
fn a_job_that_cannot_be_looked_at_is_not_stepped_over() {
    let loads = Loads::start();
    loads.put("clothing.csv", 100, 50);
    loads.bigquery.order(&json!({ "kind": "foreign_job", "table": "load_ledger", "times": 1 }));
    let output = loads.command(&[]).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(3), "{talk}");
    assert!(talk.contains("cannot be looked at"), "{talk}");
    assert_eq!(loads.entries("prepared"), 0);
    assert_eq!(loads.bigquery.number(ROWS), 0);
}

#[test]
fn a_dead_letter_that_is_refused_keeps_no_other_object_from_being_loaded() {
    let loads = Loads::start();
    loads.put_with("in/a.csv", 100, 51, "a poisonous record\n");
    loads.put("in/b.csv", 100, 52);
    loads.bigquery.refuse("dead_letter", "a poisonous record");
    let folder = ["--set", "source.uri=gs://lake/in/*.csv"];
    let output = loads.command(&folder).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{talk}");
    assert!(talk.contains("going on with the others"), "{talk}");
    assert!(talk.contains("a dead letter of load"), "{talk}");
    assert_eq!(loads.entries("committed"), 1);
    assert_eq!(loads.bigquery.number(ROWS), 100);
}

#[test]
fn of_several_entries_of_a_load_the_one_that_was_committed_is_entered_again() {
    let loads = Loads::start();
    loads.put("clothing.csv", 100, 53);
    let table = "clickstream_batch";
    for expires in [true, false] {
        let before = loads.bigquery.met("uncommitted");
        loads.bigquery.order(&json!({ "kind": "uncommitted", "table": table }));
        let mut run = loads.command(&[]);
        let mut run = Process::spawn(run.stdout(Stdio::null()).stderr(Stdio::null()));
        wait_until("a commit", || loads.bigquery.met("uncommitted") > before);
        run.kill().unwrap();
        run.wait().unwrap();
        loads.bigquery.take_back();
        if expires {
            loads.bigquery.order(&json!({ "kind": "expired", "table": table }));
        }
    }
    assert_eq!(loads.entries("prepared"), 2);
    assert_eq!(loads.run(&[])["objects_loaded"], 0);
    assert_eq!(loads.bigquery.number(ROWS), 100);
    let ledger = "clickstream_analytics.load_ledger";
    let entered = format!(
        "SELECT COUNT(*) FROM {ledger} WHERE state = 'committed' AND rows_stream IN \
         (SELECT rows_stream FROM {ledger} WHERE state = 'prepared' ORDER BY finished_at DESC LIMIT 1)"
    );
    assert_eq!(loads.bigquery.number(&entered), 1);
}

#[test]
fn a_question_only_looks_and_is_billed_for_no_more_than_the_file_allows() {
    let loads = Loads::start();
    loads.put("clothing.csv", 100, 52);
    loads.run(&[]);
    let pipeline = Loads::pipeline();
    let ask = |sql: &str, more: &[&str]| {
        let query = ["query", "--json", "--pipeline", &pipeline];
        let output = loads.verb(&[&query[..], more, &[sql]].concat()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let rows_in = |rows: &str| serde_json::from_str::<Json>(rows.trim()).unwrap()["n"].as_f64();
    let count = "SELECT COUNT(*) AS n FROM clickstream_analytics.clickstream_batch";
    let (code, rows, talk) = ask(count, &[]);
    assert_eq!((code, rows_in(&rows)), (Some(0), Some(100.0)), "{talk}");
    for (sql, called) in [
        ("DELETE FROM clickstream_analytics.clickstream_batch WHERE TRUE", "DELETE"),
        ("UPDATE clickstream_analytics.clickstream_batch SET price = 0 WHERE TRUE", "UPDATE"),
        ("INSERT INTO clickstream_analytics.clickstream_batch (year) VALUES (1)", "INSERT"),
        ("DROP TABLE clickstream_analytics.clickstream_batch", "DROP_TABLE"),
        ("CREATE TABLE clickstream_analytics.copied AS SELECT 1 AS one", "CREATE_TABLE"),
    ] {
        let (code, rows, talk) = ask(sql, &[]);
        assert_eq!((code, rows.as_str()), (Some(2), ""), "{sql}: {talk}");
        assert!(talk.contains("only queries are taken here") && talk.contains(called), "{talk}");
    }
    assert_eq!(loads.bigquery.number(ROWS), 100);
    assert!(loads.bigquery.table("clickstream_analytics", "copied")["id"].is_null());

    let least = 10_485_760;
    loads.bigquery.order(&json!({ "kind": "billed", "table": "queries", "bytes": 2 * least }));
    let bound = |bytes: u64| format!("sink.max_bytes_billed={bytes}");
    let (code, _, talk) = ask(count, &["--set", &bound(least)]);
    assert_eq!(code, Some(2), "{talk}");
    assert!(talk.contains("`sink.max_bytes_billed`") && talk.contains("10485760 bytes"), "{talk}");
    assert_eq!(loads.bigquery.met("billed"), 1);
    let (code, rows, talk) = ask(count, &["--set", &bound(2 * least)]);
    assert_eq!((code, rows_in(&rows)), (Some(0), Some(100.0)), "{talk}");
    // What a load asks of its ledger is not somebody's question.
    loads.put("more.csv", 100, 53);
    loads.run(&["--set", "source.uri=gs://lake/more.csv", "--set", &bound(least)]);
    assert_eq!(loads.bigquery.number(ROWS), 200);
    let (code, _, talk) = ask(count, &["--set", &bound(least - 1)]);
    assert_eq!(code, Some(2));
    assert!(talk.contains("`sink.max_bytes_billed`: is 10485759, wanted at least"), "{talk}");
}
