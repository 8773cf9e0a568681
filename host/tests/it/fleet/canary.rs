//! Some replicas try a set out before the others take it up: they do so with all their batches, and all switch or
//! none, whoever gives it up, is stopped by hand or is killed when.

use serde_json::Value as Json;

use super::{Fleet, all_rows_are_made_by_known_sets, end, is_replaced, running};
use crate::cloud::wait_until;
use crate::emulators::Storage;
use crate::live::{Live, hostile};
use crate::support::{Process, Scratch};

/// Proposes another key, that these replicas try out so long.
fn propose(fleet: &Fleet, key: &str, replicas: &str, time: &str) -> Process {
    let key = format!("mask.key_id={key}");
    let more = ["--config", &key, "--canary-replicas", replicas, "--canary-for", time];
    let mut command = fleet.command("swap", &more);
    Process::listen(&mut command)
}

/// The name of a process among the replicas.
fn name(fleet: &Fleet, live: &Live) -> String {
    fleet.status(live)["replica"].as_str().unwrap().to_owned()
}

/// Where in a list of processes the first and the last by name are.
fn first_and_last(fleet: &Fleet, replicas: &[Live]) -> (usize, usize) {
    let names: Vec<String> = replicas.iter().map(|live| name(fleet, live)).collect();
    let mut by_name: Vec<usize> = (0..names.len()).collect();
    by_name.sort_by_key(|at| &names[*at]);
    (by_name[0], *by_name.last().unwrap())
}

fn versions(live: &Live) -> usize {
    live.history().len()
}

/// Whether two replicas have tried out what was committed, be it on a busy machine without a row.
#[track_caller]
fn is_tried_by_two(swapped: &Json) {
    let why = swapped["why"].as_str().unwrap_or_default();
    assert!(why.starts_with("2 replicas have tried it out"), "{swapped:#}");
}

fn is_tried_out_first(fleet: &Fleet) {
    let mut replicas: Vec<Live> = fleet.three().into();
    let before = fleet.agree(&replicas);
    let (first, _) = first_and_last(fleet, &replicas);
    let proposal = propose(fleet, "k2", "1", "1h");
    // The first by name makes all its rows by it, and no other any.
    replicas[first].wait_for_rows(2, 1000);
    assert_eq!(replicas[first].history()[1]["standing"], "canary");
    let status = fleet.done("status", &[]);
    let canaries: Vec<&String> = status["canaries"].as_object().unwrap().keys().collect();
    assert_eq!(canaries, [&name(fleet, &replicas[first])], "{status:#}");
    assert_eq!((&status["open"], &status["entry"]), (&Json::from(1), &Json::from(0)));
    assert_eq!(replicas.iter().map(versions).sum::<usize>(), 4);
    // It is seen by replica.
    wait_until("a sign of life of the canary", || {
        let status = fleet.done("status", &[]);
        let told = status["replicas"].as_array().cloned().unwrap_or_default();
        told.iter().filter(|replica| !replica["canary"].is_null()).count() == 1
    });
    // One that starts meanwhile runs what is in effect.
    let late = fleet.replica();
    late.wait_for_rows(1, 500);
    assert_eq!((running(&late), versions(&late)), (before.clone(), 1));
    replicas.push(late);
    // It is stopped by hand, and what is in effect stays.
    let stopped = fleet.done("rollback", &["--note", "seen enough"]);
    assert_eq!(stopped["committed"], false, "{stopped:#}");
    assert_eq!((&stopped["entry"], &stopped["why"]), (&Json::from(1), &Json::from("seen enough")));
    let output = proposal.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("came to nothing") && errors.contains("seen enough"), "{errors}");
    assert_eq!(fleet.agree(&replicas), before);
    wait_until("the canary to be left", || {
        replicas[first].history()[1]["standing"] == "rolled back"
    });
    assert_eq!(fleet.done("status", &[])["entry"], 0);
    // Once its time is over all take it up.
    let half = ["--config", "mask.key_id=k3", "--canary-replicas", "50%", "--canary-for", "2s"];
    let swapped = fleet.done("swap", &half);
    assert_eq!((&swapped["committed"], &swapped["entry"]), (&Json::Bool(true), &Json::from(2)));
    is_tried_by_two(&swapped);
    assert_eq!(swapped["followed"].as_array().unwrap().len(), 4, "{swapped:#}");
    let after = fleet.agree(&replicas);
    assert_eq!(swapped["plugin_set"], *after);
    assert_ne!(after, before);
    for live in &replicas {
        assert_eq!(live.history().last().unwrap()["standing"], "current");
    }
    // What was tried out and stays is entered as such, once by each that tried.
    replicas.into_iter().for_each(end);
    all_rows_are_made_by_known_sets(fleet);
    let entries = |action: &str| {
        fleet.scratch.number(&format!(
            "SELECT COUNT(*) FROM clickstream_analytics.audit_log WHERE action = '{action}'"
        ))
    };
    assert_eq!((entries("swap"), entries("promote"), entries("rollback")), (5, 2, 1));
}

#[test]
fn some_replicas_try_a_set_out_first_in_a_folder() {
    is_tried_out_first(&Fleet::new("fleet"));
}

#[test]
fn some_replicas_try_a_set_out_first_in_cloud_storage() {
    let storage = Storage::start(None);
    is_tried_out_first(&Fleet::in_cloud_storage(&storage));
}

#[test]
fn a_canary_that_gives_a_set_up_leaves_all_where_they_were() {
    let scratch = Scratch::new();
    let pipeline = hostile(&scratch, "swap = { shadow_batches = 0 }");
    let fleet = Fleet::of(scratch, pipeline, "fleet");
    let replicas = fleet.three();
    let before = fleet.agree(&replicas);
    let bad = ["--config", "hostile.misdeed=turn", "--config", "hostile.bad_from=0"];
    let canary = ["--canary-replicas", "1", "--canary-for", "1h"];
    let output = fleet.run("swap", &[&bad[..], &canary].concat());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("gives it up: it rejects "), "{errors}");
    assert_eq!(fleet.agree(&replicas), before);
    assert_eq!(replicas.iter().map(versions).sum::<usize>(), 4);
    let status = fleet.done("status", &[]);
    assert_eq!(status["entry"], 0);
    assert_eq!(status["log"][0]["decision"]["commit"], false, "{status:#}");
    // The pipeline file may say how many try a set out.
    let fine = ["--config", "hostile.misdeed=still_none"];
    let of_file = ["--set", "swap.fleet_canary_replicas=2", "--set", "swap.canary_secs=1"];
    let swapped = fleet.done("swap", &[&fine[..], &of_file].concat());
    is_tried_by_two(&swapped);
    let fine = fleet.agree(&replicas);
    assert_ne!(fine, before);
    // Who is too late to take a canary back takes back nothing else, unless it is named.
    assert_eq!(fleet.run("swap", &[&bad[..], &canary].concat()).status.code(), Some(2));
    for (entry, told) in [
        (&[][..], "entry 3 came to nothing, or was taken back, already. In effect is plugin set"),
        (&["--entry", "3"], "entry 3 is not in effect, entry 2 is"),
    ] {
        let output = fleet.run("rollback", entry);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(told), "{errors}");
    }
    assert_eq!(fleet.agree(&replicas), fine);
    fleet.done("rollback", &["--entry", "2"]);
    assert_eq!(fleet.agree(&replicas), before);
    replicas.into_iter().for_each(end);
}

/// Two of three try a set out; when it is so far, one of them is killed, or the third.
fn killed_at_every_step(fleet: &mut Fleet, victims: &[bool]) {
    fleet.set.extend(["--set", "swap.fleet_deadline_secs=8"].map(str::to_owned));
    let mut replicas: Vec<Live> = fleet.three().into();
    fleet.agree(&replicas);
    let steps = ["named", "a word", "decided"];
    let each = steps.into_iter().flat_map(|step| victims.iter().map(move |is| (step, *is)));
    let cases: Vec<(&str, bool)> = each.collect();
    for (at, &(step, is_canary)) in cases.iter().enumerate() {
        let number = at + 1;
        let (first, last) = first_and_last(fleet, &replicas);
        let proposal = propose(fleet, &format!("k{}", number + 1), "2", "2s");
        wait_for(fleet, number, step);
        let victim = if is_canary { first } else { last };
        is_replaced(fleet, &mut replicas, victim, proposal, step);
    }
    // So is whoever asked.
    let mut asked = propose(fleet, "k9", "2", "2s");
    wait_for(fleet, cases.len() + 1, "named");
    asked.kill().unwrap();
    fleet.agree(&replicas);
    replicas.into_iter().for_each(end);
    all_rows_are_made_by_known_sets(fleet);
}

/// Waits until a proposal has come so far, or further.
fn wait_for(fleet: &Fleet, number: usize, step: &str) {
    wait_until("a step of the proposal", || {
        let status = fleet.done("status", &[]);
        let log = status["log"].as_array().cloned().unwrap_or_default();
        let entry = log.iter().find(|entry| entry["number"] == number);
        let is_decided = entry.is_some_and(|entry| !entry["decision"].is_null());
        let canaries = status["canaries"].as_object().cloned().unwrap_or_default();
        is_decided
            || match step {
                "named" => !canaries.is_empty(),
                "a word" => canaries.values().any(|word| !word.is_null()),
                _ => false,
            }
    });
}

#[test]
#[ignore = "a minute: `.ci/long`"]
fn killed_at_every_step_of_a_canary_the_others_agree_and_so_does_who_starts() {
    killed_at_every_step(&mut Fleet::new("fleet"), &[true, false]);
}

#[test]
#[ignore = "two minutes: `.ci/long`"]
fn killed_at_every_step_of_a_canary_in_cloud_storage_the_others_agree() {
    let storage = Storage::start(None);
    killed_at_every_step(&mut Fleet::in_cloud_storage(&storage), &[true]);
}
