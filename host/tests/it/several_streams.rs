//! Several processes on one subscription, started, stopped and killed at will: no message is lost, and the view
//! `clicks` has each once.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use crate::cloud::{Cloud, MANY_STREAMS, signal, wait_until};
use crate::support::{Process, root};

/// How many messages are published between two ends of processes.
const SHARE: u64 = 1_500;

/// A stream from the subscription into the warehouse, with one worker.
pub(crate) fn stream(cloud: &Cloud, arguments: &[&str]) -> Command {
    let pipeline = root().join("host/pipelines/stream.toml").to_string_lossy().into_owned();
    let subscription = format!("source.subscription={}", cloud.subscription);
    let sets = [
        "source.kind=pubsub",
        &subscription,
        // After a crash messages are to come again soon.
        "source.ack_deadline_secs=10",
        "workers=1",
        "admin.listen=127.0.0.1:0",
    ];
    let sets = sets.iter().flat_map(|set| ["--set", set]);
    let run = ["run", "--json", pipeline.as_str()];
    let arguments: Vec<&str> =
        run.into_iter().chain(sets).chain(arguments.iter().copied()).collect();
    cloud.command(&arguments)
}

/// Rows and letters of the views that keep one per message.
fn there(cloud: &Cloud) -> (u64, u64) {
    let count = |view: &str| {
        cloud.scratch.number(&format!("SELECT COUNT(*) FROM clickstream_analytics.{view}"))
    };
    (count("clicks"), count("dead_letters"))
}

/// So many processes are on a subscription, and so many times one of them ends, by a signal or by a kill, while
/// more is published, and another is started. Returns how many were killed; `None` where there is no
/// Pub/Sub emulator.
pub(crate) fn processes_come_and_go(test: &str, processes: usize, ends: usize) -> Option<u32> {
    let cloud = Cloud::start(test, &json!({ "ackDeadlineSeconds": 10 }))?;
    let started = std::cell::Cell::new(0);
    let start = |arguments: &[&str]| {
        started.set(started.get() + 1);
        let path = |end: &str| cloud.scratch.path(&format!("stream-{}.{end}", started.get()));
        let [out, log] = ["json", "log"].map(|end| File::create(path(end)).unwrap());
        (Process::spawn(stream(&cloud, arguments).stdout(out).stderr(log)), path("log"))
    };
    let runs = |log: &PathBuf| {
        wait_until("a stream to run", || {
            std::fs::read_to_string(log).unwrap().contains("admin interface: ")
        });
    };
    let few = ["--set", "source.streams=1"];
    let mut running: Vec<(Process, PathBuf)> = (0..processes).map(|_| start(&few)).collect();
    running.iter().for_each(|(_, log)| runs(log));
    let (mut published, mut killed) = (0, 0);
    for end in 0..ends {
        let seed = end.to_string();
        cloud.publish(&["--count", &SHARE.to_string(), "--bad", "2%", "--seed", &seed]);
        published += SHARE;
        std::thread::sleep(Duration::from_millis(rand::random::<u64>() % 600));
        let (leaving, log) = &mut running[end % processes];
        if end % 2 == 0 {
            leaving.kill().unwrap();
            killed += 1;
        } else {
            runs(log);
            signal(leaving, "-INT");
        }
        // A stopped process has what is in hand to write, beside the next one.
        let (left, log) = std::mem::replace(&mut running[end % processes], start(&few));
        let ended = left.wait_with_output().unwrap().status;
        let talk = || std::fs::read_to_string(&log).unwrap();
        assert!(end % 2 == 0 || ended.success(), "{ended}: {}", talk());
    }
    cloud.publish(&["--count", &SHARE.to_string(), "--bad", "2%", "--seed", "99"]);
    published += SHARE;
    // The emulator goes on to hand messages to streams whose process is gone: one with many takes part.
    running.push(start(&["--set", MANY_STREAMS]));
    wait_until("all messages", || {
        let (rows, letters) = there(&cloud);
        rows + letters >= published
    });
    for (process, log) in &running {
        runs(log);
        signal(process, "-INT");
    }
    for (process, log) in running {
        let ended = process.wait_with_output().unwrap().status;
        assert!(ended.success(), "{ended}: {}", std::fs::read_to_string(log).unwrap());
    }
    let (rows, letters) = there(&cloud);
    assert_eq!(rows + letters, published, "{rows} rows, {letters} letters");
    let ids = "SELECT COUNT(DISTINCT message_id) FROM clickstream_analytics.clicks";
    assert_eq!(cloud.scratch.number(ids), rows);
    assert!(letters > 0);
    Some(killed)
}

#[test]
fn one_process_after_another_loses_and_doubles_nothing() {
    let killed = processes_come_and_go("one_process_after_another_loses_and_doubles_nothing", 1, 3);
    assert!(killed.is_none_or(|killed| killed == 2));
}

#[test]
fn two_processes_on_a_subscription_lose_and_double_nothing() {
    let test = "two_processes_on_a_subscription_lose_and_double_nothing";
    assert!(processes_come_and_go(test, 2, 4).is_none_or(|killed| killed == 2));
}

#[test]
fn four_processes_on_a_subscription_lose_and_double_nothing() {
    let test = "four_processes_on_a_subscription_lose_and_double_nothing";
    assert!(processes_come_and_go(test, 4, 6).is_none_or(|killed| killed == 3));
}
