//! What is asked of a running pipeline's taps costs the pipeline nothing.

use std::io::{BufRead, BufReader};
use std::time::Duration;

use serde_json::Value as Json;

use crate::live::{FAST, Live, clicks};
use crate::support::{Scratch, agent};

/// Memory that a pipeline may take more of while somebody asks for terabytes.
const MORE_MIB: u64 = 300;

/// The most memory that a process has had, in MiB.
fn peak_mib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

/// The first row of a tap with a condition, or why it ended, or the status that refuses it.
fn tap(live: &Live, condition: &str) -> Result<Json, u16> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into();
    let request = agent.get(format!("http://{}/v1/tap", live.admin)).query("where", condition);
    let answer = request.header("authorization", &live.at.bearer).call().unwrap();
    if answer.status() != 200 {
        return Err(answer.status().as_u16());
    }
    let lines = BufReader::new(answer.into_body().into_reader()).lines();
    let mut lines = lines.map(|line| -> Json { serde_json::from_str(&line.unwrap()).unwrap() });
    // How many were missed stands between them.
    Ok(lines.find(|line| line["missed"].is_null()).expect("a line"))
}

#[test]
fn a_condition_that_wants_all_memory_or_all_time_ends_its_tap_and_nothing_else() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    live.wait_for_rows(1, 500);
    let good = tap(&live, "event_type <> ''").unwrap();
    assert!(good["event_type"].is_string(), "{good:#}");
    let before = peak_mib(live.child.id());
    for condition in [
        "repeat(event_type, 100000000) <> 'x'",
        "repeat(event_type, 100000) <> 'x'",
        "lpad(event_type, 2000000000, 'x') <> 'x'",
        "array_to_string(array_repeat(repeat(event_type, 1000), 100000), '') <> 'x'",
    ] {
        match tap(&live, condition) {
            // It says why, or is refused at once, or can be computed after all.
            Ok(line) => {
                let computed = line["event_type"].is_string();
                assert!(computed || line["error"].is_string(), "{condition}: {line:#}");
            }
            Err(status) => assert_eq!(status, 400, "{condition}"),
        }
        let good = tap(&live, "event_type <> ''").unwrap();
        assert!(good["event_type"].is_string(), "after {condition}: {good:#}");
    }
    let more = peak_mib(live.child.id()) - before;
    assert!(more < MORE_MIB, "the pipeline took {more} MiB more");
    let rows = live.history()[0]["rows"].as_u64().unwrap();
    live.wait_for_rows(1, rows + 500);
    let summary = live.end();
    crate::support::conserved(&summary);
}

/// Casts within casts, which take a reader of SQL twice as long for each.
fn nested(casts: usize) -> String {
    format!("{}event_type{} <> ''", "CAST(".repeat(casts), " AS STRING)".repeat(casts))
}

#[test]
fn a_condition_that_ends_its_engine_ends_no_tap_of_another() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &FAST);
    live.wait_for_rows(1, 500);
    let request = agent().get(format!("http://{}/v1/tap", live.admin));
    let request = request.query("where", "event_type <> ''");
    let answer = request.header("authorization", &live.at.bearer).call().unwrap();
    assert_eq!(answer.status(), 200);
    let mut lines = BufReader::new(answer.into_body().into_reader()).lines();
    let mut look = |after: &str| {
        // More than may have been on their way.
        for _ in 0..2000 {
            let line = lines.next().unwrap_or_else(|| panic!("the other tap ended: {after}"));
            let line: Json = serde_json::from_str(&line.unwrap()).unwrap();
            assert!(line["error"].is_null(), "after {after}: {line:#}");
        }
    };
    look("nothing");
    for condition in [
        nested(300),
        ["event_type"; 600].join("||") + " <> ''",
        "REPLACE(REPEAT('a', 100000), 'a', REPEAT('b', 100000)) <> ''".to_owned(),
        ["event_type BETWEEN 'a' AND 'z'"; 200].join(" AND "),
        "NOT ".repeat(2000) + "true",
    ] {
        let told: String = condition.chars().take(60).collect();
        match tap(&live, &condition) {
            Ok(line) => {
                let computed = line["event_type"].is_string();
                assert!(computed || line["error"].is_string(), "{told}: {line:#}");
            }
            Err(status) => assert!([400, 503].contains(&status), "{told}: {status}"),
        }
        look(&told);
    }
    // Nobody reads what is longer than anybody writes.
    let long = format!("event_type <> '{}'", "x".repeat(10_000));
    assert_eq!(tap(&live, &long).err(), Some(400));
    live.end();
}

#[test]
fn there_are_only_so_many_taps_and_those_that_are_left_make_room() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &[]);
    let agent = agent();
    let open = || {
        let request = agent.get(format!("http://{}/v1/tap", live.admin));
        request.header("authorization", &live.at.bearer).call().unwrap()
    };
    let mut taps = Vec::new();
    let refused = loop {
        let answer = open();
        match answer.status().as_u16() {
            200 => taps.push(answer.into_body().into_reader()),
            status => break status,
        }
        assert!(taps.len() < 100, "taps without an end");
    };
    assert_eq!((refused, taps.len()), (429, 8));
    drop(taps);
    crate::cloud::wait_until("room for a tap", || open().status() == 200);
    live.end();
}
