//! The audit log proves something: what counts is entered before, who asks is told as the server knows
//! them, and whoever writes log and table anew is found out.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clickmill_audit::{Action, Entry, Event, Log, Outcome, read};
use serde_json::{Value as Json, json};

use crate::cloud::wait_until;
use crate::live::{FAST, Live, clicks};
use crate::support::{Process, Scratch, agent, talk};

const FEW: [&str; 2] = ["source.rows=200", "source.rate=10000"];
const IN_TABLE: &str = "SELECT COUNT(*) FROM clickstream_analytics.audit_log";

/// The audit log of the stream that comes with the project, in a scratch folder.
struct Trail(PathBuf);

impl Trail {
    fn of(scratch: &Scratch) -> Self {
        Self(scratch.path("clickmill-data/audit/clicks-stream.jsonl"))
    }

    fn entries(&self) -> Vec<Entry> {
        read(&self.0).unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn actions(&self) -> Vec<&'static str> {
        self.entries().iter().map(|entry| entry.action.as_str()).collect()
    }

    /// The entry of an action, of which there is one.
    #[track_caller]
    fn one(&self, action: Action) -> Entry {
        let mut entries = self.entries();
        entries.retain(|entry| entry.action == action);
        assert_eq!(entries.len(), 1, "{entries:?}");
        entries.remove(0)
    }

    /// Keeps the file from being written to, whoever tries, as a disk that is full does.
    fn block(&self) {
        fs::rename(&self.0, self.0.with_extension("aside")).unwrap();
        fs::create_dir(&self.0).unwrap();
    }

    fn unblock(&self) {
        fs::remove_dir(&self.0).unwrap();
        fs::rename(self.0.with_extension("aside"), &self.0).unwrap();
    }
}

#[test]
fn without_an_entry_no_swap_counts_and_a_rollback_does() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &FAST);
    let trail = Trail::of(&scratch);
    live.wait_for_rows(1, 1000);
    let second = live.swap(&scratch, &["--config", "mask.key_id=k2"]).unwrap();
    trail.block();
    let swap = ["plugin", "swap", "--json", "--admin", &live.admin, "--config", "mask.key_id=k3"];
    let refused = scratch.run(&swap);
    let told = talk(&refused, &scratch);
    assert_eq!(refused.status.code(), Some(3), "{told}");
    assert!(told.contains("check `audit`, what ran before still runs"), "{told}");
    assert!(told.contains("what is not entered does not count"), "{told}");
    assert_eq!(live.history().len(), 2);
    let rollback = ["plugin", "rollback", "--json", "--admin", &live.admin, "--note", "wrong key"];
    let back: Json = serde_json::from_str(&scratch.done(&rollback)).unwrap();
    assert_eq!(back["plugin_set"], second["from"]);
    wait_until("an error", || live.talk().contains("is not in the audit log yet"));
    wait_until("it is told", || live.at.get("/readyz").0 == 503);
    let (_, why) = live.at.get("/readyz");
    assert!(why.contains("not in the audit log"), "{why}");
    // Nor does the next swap step over what waits.
    assert_eq!(scratch.run(&swap).status.code(), Some(3));
    trail.unblock();
    wait_until("the entries", || live.at.get("/readyz").0 == 200);
    live.swap(&scratch, &["--config", "mask.key_id=k4"]).unwrap();
    live.end();
    let entered = ["start", "swap", "refuse", "rollback", "refuse", "swap", "stop"];
    assert_eq!(trail.actions(), entered);
    let late = trail.one(Action::Rollback);
    assert!(late.detail.starts_with("from 127.0.0.1:"), "{}", late.detail);
    assert!(late.detail.contains("; wrong key; entered late, it was at 20"), "{}", late.detail);
    scratch.done(&["audit", "verify"]);
    assert_eq!(scratch.number(IN_TABLE), entered.len() as u64);
}

#[test]
fn a_canary_takes_over_once_that_is_entered_and_stays_one_until_then() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &FAST);
    let trail = Trail::of(&scratch);
    live.wait_for_rows(1, 1000);
    let canary = ["--canary", "50%", "--canary-for", "5s", "--config", "mask.key_id=k2"];
    let swapped = live.swap(&scratch, &canary).unwrap();
    trail.block();
    wait_until("an error", || live.talk().contains("the canary does not take over"));
    let (status, why) = live.at.get("/readyz");
    assert!(status == 503 && why.contains("a canary whose time is over"), "{status}: {why}");
    let history = live.history();
    assert_eq!(history[1]["standing"], "canary", "{history:?}");
    for number in [1, 2] {
        let rows = history[number - 1]["rows"].as_u64().unwrap();
        live.wait_for_rows(number as u64, rows + 1000);
    }
    trail.unblock();
    wait_until("the canary to take over", || live.history()[1]["standing"] == "current");
    wait_until("readiness", || live.at.get("/readyz").0 == 200);
    let promoted = trail.one(Action::Promote);
    assert_eq!(promoted.actor, "clickmill");
    let sets = [promoted.old_plugin_set, promoted.new_plugin_set];
    let wanted = ["from", "to"].map(|set| swapped[set].as_str().map(str::to_owned));
    assert_eq!(sets, wanted);
    assert_eq!(live.end()["plugin_set"], swapped["to"]);
    assert_eq!(trail.actions(), ["start", "swap", "promote", "stop"]);
    scratch.done(&["audit", "verify"]);
}

#[test]
fn a_log_that_is_removed_while_a_pipeline_runs_is_told_and_missed() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &FAST);
    let trail = Trail::of(&scratch);
    live.wait_for_rows(1, 1000);
    live.swap(&scratch, &["--config", "mask.key_id=k2"]).unwrap();
    let hidden = trail.entries().pop().unwrap().hash;
    fs::remove_file(&trail.0).unwrap();
    live.swap(&scratch, &["--config", "mask.key_id=k3"]).unwrap();
    let told = "the audit log was removed, cut or exchanged while this ran";
    wait_until("an error", || live.talk().contains(told));
    live.end();
    assert_eq!(trail.actions(), ["swap", "stop"]);
    assert_eq!(trail.entries()[0].previous, hidden);
    let verified = scratch.done(&["audit", "verify"]);
    assert!(verified.contains("in the table only"), "{verified}");
    // Nor may the table have lost it.
    let copy = format!("warehouse/clickstream_analytics/audit_log/{hidden}.parquet");
    fs::remove_file(scratch.path(&copy)).unwrap();
    let output = scratch.run(&["audit", "verify"]);
    let told = talk(&output, &scratch);
    assert!(!output.status.success(), "{told}");
    assert!(told.contains(&hidden), "{told}");
}

#[test]
fn without_an_entry_nothing_begins() {
    let scratch = Scratch::new();
    let pipeline = clicks();
    scratch.summary(&pipeline, &FEW);
    let trail = Trail::of(&scratch);
    trail.block();
    let rows = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw";
    let before = scratch.number(rows);
    let path = pipeline.to_string_lossy();
    let refused = |arguments: &[&str]| {
        let output = scratch.run(arguments);
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {told}");
        assert!(told.contains("audit log"), "{arguments:?}: {told}");
    };
    refused(&["run", &path, "--set", FEW[0], "--set", FEW[1]]);
    // It would write rows, too.
    let mended = r#"plugin.validate.config.rules=[{required={columns=["event_type"]}}]"#;
    refused(&["dead-letter", "replay", &path, "--set", mended]);
    assert_eq!(scratch.number(rows), before);
    trail.unblock();
    scratch.summary(&pipeline, &FEW);
    assert_eq!(trail.actions(), ["start", "stop", "start", "stop"]);
}

#[test]
fn a_log_that_is_no_file_is_told_at_once() {
    let scratch = Scratch::new();
    let trail = Trail::of(&scratch);
    fs::create_dir_all(trail.0.parent().unwrap()).unwrap();
    let pipeline = clicks();
    let path = pipeline.to_string_lossy();
    let run = ["run", &path, "--set", FEW[0], "--set", FEW[1]];
    let asked: [&[&str]; 3] = [&run, &["audit", "verify"], &["audit", "list"]];
    let made: [fn(&Path); 2] = [
        |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(),
    ];
    for make in made {
        make(&trail.0);
        for arguments in asked {
            let mut command = scratch.command(arguments);
            let mut process = Process::listen(&mut command);
            wait_until("its end", || process.try_wait().unwrap().is_some());
            let output = process.wait_with_output().unwrap();
            let told = talk(&output, &scratch);
            assert_eq!(output.status.code(), Some(3), "{arguments:?}: {told}");
            assert!(told.contains("a pipe or a device"), "{arguments:?}: {told}");
        }
        fs::remove_file(&trail.0).unwrap();
    }
}

#[test]
fn who_asks_is_told_as_the_server_knows_them_whatever_they_say() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &FAST);
    live.wait_for_rows(1, 1000);
    let ask = |arguments: &[&str], user: &str| -> Output {
        let mut command = scratch.command(arguments);
        command.env("USER", user).env("HOSTNAME", "hq").output().unwrap()
    };
    let swap = ["plugin", "swap", "--admin", &live.admin, "--config", "mask.key_id=k2"];
    let note = ["--note", "from 192.0.2.1:1 as operator\nand on"];
    let output = ask(&[&swap[..], &note].concat(), "ceo\n{\"action\":\"stop\"}\u{1b}[2J");
    assert!(output.status.success(), "{}", talk(&output, &scratch));
    let rollback = ["plugin", "rollback", "--admin", &live.admin];
    let output = ask(&rollback, &"é".repeat(30_000));
    assert!(output.status.success(), "{}", talk(&output, &scratch));
    live.end();
    let trail = Trail::of(&scratch);
    let swapped = trail.one(Action::Swap);
    assert_eq!(swapped.actor, "ceo {\"action\":\"stop\"} [2J@hq");
    let mut parts = swapped.detail.split("; ");
    let first = parts.next().unwrap();
    assert!(first.starts_with("from 127.0.0.1:") && first.ends_with(" as operator"), "{first}");
    let rest: Vec<&str> = parts.collect();
    let claimed = "from 192.0.2.1:1 as operator and on";
    assert_eq!(rest, ["mask: config key_id", "all batches", claimed]);
    let back = trail.one(Action::Rollback);
    assert!(back.actor.len() <= 200 && back.actor.ends_with("é…"), "{}", back.actor);
    assert!(back.detail.starts_with("from 127.0.0.1:"), "{}", back.detail);
    assert_eq!(trail.actions(), ["start", "swap", "rollback", "stop"]);
    scratch.done(&["audit", "verify"]);
}

#[test]
fn a_head_that_was_noted_tells_that_log_and_table_were_written_anew() {
    let scratch = Scratch::new();
    let pipeline = clicks();
    let path = pipeline.to_string_lossy().into_owned();
    let run = ["run", &path, "--set", FEW[0], "--set", FEW[1]];
    let output = scratch.run(&run);
    assert!(output.status.success(), "{}", talk(&output, &scratch));
    // At its start, and at its stop.
    let told = talk(&output, &scratch);
    let lines = told.lines().filter_map(|line| serde_json::from_str::<Json>(line).ok());
    let logged: Vec<String> =
        lines.filter_map(|line| line["head"].as_str().map(str::to_owned)).collect();
    let trail = Trail::of(&scratch);
    let hashes = trail.entries().into_iter().map(|entry| entry.hash);
    assert_eq!(logged, hashes.collect::<Vec<_>>());
    let verified: Json =
        serde_json::from_str(&scratch.done(&["audit", "verify", "--json"])).unwrap();
    assert_eq!(verified["last_hash"], logged[1]);
    // The chain grows, and still has them.
    scratch.summary(&pipeline, &FEW);
    scratch.done(&["audit", "verify", "--head", &logged[0], "--head", &logged[1]]);
    scratch.done(&["audit", "verify", &path, "--head", &logged[1].to_uppercase()]);
    for wrong in [&logged[1][..16], "no hash", ""] {
        let output = scratch.run(&["audit", "verify", "--head", wrong]);
        assert_eq!(output.status.code(), Some(2), "{wrong:?}");
    }
    // Whoever owns both begins anew, and what is there verifies.
    fs::remove_file(&trail.0).unwrap();
    fs::remove_dir_all(scratch.path("warehouse")).unwrap();
    scratch.summary(&pipeline, &FEW);
    scratch.done(&["audit", "verify"]);
    let output = scratch.run(&["audit", "verify", "--head", &logged[1]]);
    let told = talk(&output, &scratch);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains(&logged[1]) && told.contains("written anew, or cut"), "{told}");
}

#[test]
fn a_chain_says_where_it_was_begun_and_each_start_what_runs_and_where() {
    let scratch = Scratch::new();
    let pipeline = clicks();
    scratch.summary(&pipeline, &FEW);
    let verified = scratch.done(&["audit", "verify"]);
    assert!(
        verified.contains("… begun on ") && verified.contains(", unbroken, head "),
        "{verified}"
    );
    let verified: Json =
        serde_json::from_str(&scratch.done(&["audit", "verify", "--json"])).unwrap();
    assert!(verified["begun_on"].is_string(), "{verified:#}");
    let trail = Trail::of(&scratch);
    let first = trail.one(Action::Start);
    // A process that is killed when its swap is entered, and before that counts, leaves this behind.
    let orphan = Event {
        actor: "ada".to_owned(),
        action: Action::Swap,
        subject: "mask".to_owned(),
        old_plugin_set: first.new_plugin_set.clone(),
        new_plugin_set: Some("0123".repeat(8)),
        outcome: Outcome::Done,
        detail: "all batches".to_owned(),
    };
    let log = Log::open(trail.0.parent().unwrap(), "clicks-stream").unwrap();
    log.append(orphan, None).unwrap();
    scratch.summary(&pipeline, &FEW);
    let entries = trail.entries();
    let last = &entries[entries.len() - 2];
    assert_eq!((last.action, &last.new_plugin_set), (Action::Start, &first.new_plugin_set));
    assert!(last.detail.starts_with("host ") && last.detail.contains("; parse parse "), "{last:?}");
    scratch.done(&["audit", "verify"]);
    // What it left in the file alone the next start has carried to the table.
    assert_eq!(scratch.number(IN_TABLE), entries.len() as u64);
}

#[test]
fn what_a_tap_reveals_is_entered_before_it_is_shown() {
    let scratch = Scratch::new();
    let set = ["--set", "admin.reveal=[\"payload\"]"];
    let live = Live::start(&scratch, &clicks(), &[&FAST[..], &set].concat());
    let trail = Trail::of(&scratch);
    let tap = ["tap", "--admin", &live.admin, "--limit", "1"];
    trail.block();
    let output = scratch.run(&tap);
    let told = talk(&output, &scratch);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{told}");
    assert!(told.contains("cannot be entered into the audit log"), "{told}");
    trail.unblock();
    for _ in 0..3 {
        assert!(!scratch.done(&tap).is_empty());
    }
    let entry = trail.one(Action::Reveal);
    assert_eq!(entry.subject, "payload");
    assert!(entry.detail.starts_with("from 127.0.0.1:"), "{}", entry.detail);
    assert!(entry.detail.contains(" as operator; /v1/tap?"), "{}", entry.detail);
    live.end();
    // Where nothing is revealed there is nothing to enter.
    let live = Live::start(&scratch, &clicks(), &FAST);
    let tap = ["tap", "--admin", &live.admin, "--limit", "1"];
    scratch.done(&tap);
    live.end();
    trail.one(Action::Reveal);
    scratch.done(&["audit", "verify"]);
}

#[test]
fn a_letter_is_shown_or_explained_once_that_is_entered() {
    let scratch = Scratch::new();
    let pipeline = clicks();
    scratch.summary(&pipeline, &[&FEW[..], &["source.bad=20%"]].concat());
    let id = "SELECT letter_id FROM clickstream_analytics.dead_letter ORDER BY letter_id LIMIT 1";
    let id = scratch.query(id)[0]["letter_id"].as_str().unwrap().to_owned();
    let path = pipeline.to_string_lossy().into_owned();
    let trail = Trail::of(&scratch);
    let shown: [&[&str]; 2] =
        [&["dead-letter", "show", &id], &["dead-letter", "explain", &path, &id]];
    trail.block();
    for verb in shown {
        let output = scratch.run(verb);
        let told = talk(&output, &scratch);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{verb:?}: {told}");
    }
    trail.unblock();
    for verb in shown {
        assert!(scratch.done(verb).contains(&id), "{verb:?}");
    }
    assert_eq!(trail.actions(), ["start", "stop", "reveal", "reveal"]);
    assert!(trail.entries()[2..].iter().all(|entry| entry.subject == id));
    assert_eq!(scratch.number(&format!("{IN_TABLE} WHERE action = 'reveal'")), 2);
    scratch.done(&["audit", "verify"]);
}

#[test]
fn tokens_that_are_none_are_entered_by_their_number() {
    let scratch = Scratch::new();
    scratch.write("token", "a token of more than sixteen bytes\n");
    scratch.write("readers", "a token of those who look on\n");
    let tokens = ["--set", "admin.token_file=token", "--set", "admin.reader_token_file=readers"];
    let live = Live::start(&scratch, &clicks(), &tokens);
    let history = ["plugin", "history", "--admin", &live.admin];
    for _ in 0..5 {
        let mut command = scratch.command(&history);
        let output = command.env("CLICKMILL_ADMIN_TOKEN", "a token of somebody else").output();
        assert_eq!(output.unwrap().status.code(), Some(3));
    }
    scratch.done(&[&history[..], &["--token-file", "token"]].concat());
    // A reader's is one, and not for this.
    let rollback = ["plugin", "rollback", "--admin", &live.admin, "--token-file", "readers"];
    assert!(!scratch.run(&rollback).status.success());
    live.end();
    let trail = Trail::of(&scratch);
    assert_eq!(trail.actions(), ["start", "deny", "deny", "stop"]);
    let denied = &trail.entries()[1..3];
    let is_of_a_token =
        |entry: &Entry| entry.subject == "token" && entry.outcome == Outcome::Refused;
    assert!(denied.iter().all(is_of_a_token), "{denied:?}");
    assert!(denied[0].detail.starts_with("from 127.0.0.1:"), "{denied:?}");
    assert!(denied[1].detail.ends_with(", the last of 5 times"), "{denied:?}");
    let text = fs::read_to_string(&trail.0).unwrap();
    assert!(!text.contains("somebody else"), "what was shown is in the log");
}

#[test]
fn links_that_let_nobody_in_are_entered_by_their_number() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &FAST);
    let sessions = format!("http://{}/v1/sessions", live.admin);
    let open = |code: &str| {
        let answer = agent().post(&sessions).send_json(json!({ "code": code }));
        answer.unwrap().status().as_u16()
    };
    let link = live.at.link();
    let (_, code) = link.split_once("#open=").unwrap();
    assert_eq!(open(code), 200);
    // Somebody has seen it.
    assert_eq!(open(code), 401);
    for _ in 0..5 {
        assert_eq!(open("a code of my own"), 401);
    }
    live.end();
    let trail = Trail::of(&scratch);
    assert_eq!(trail.actions(), ["start", "deny", "deny", "stop"]);
    let denied = &trail.entries()[1..3];
    let is_of_a_link = |entry: &Entry| entry.subject == "link" && entry.outcome == Outcome::Refused;
    assert!(denied.iter().all(is_of_a_link), "{denied:?}");
    assert!(denied[0].detail.starts_with("from 127.0.0.1:"), "{denied:?}");
    assert!(denied[1].detail.ends_with(", the last of 5 times"), "{denied:?}");
    let text = fs::read_to_string(&trail.0).unwrap();
    assert!(!text.contains(code) && !text.contains("of my own"), "what was shown is in the log");
}

#[test]
fn two_processes_write_one_chain() {
    let scratch = Scratch::new();
    let pipeline = clicks();
    let path = pipeline.to_string_lossy().into_owned();
    let run = ["run", &path, "--set", "source.rows=2000", "--set", "source.rate=2000"];
    let start = || {
        let mut command = scratch.command(&[&run[..], &["--set", "admin.listen=off"]].concat());
        Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::piped()))
    };
    let mut both = [start(), start()];
    for process in &mut both {
        let mut told = BufReader::new(process.stderr.take().unwrap()).lines();
        let told: Vec<String> = told.by_ref().map_while(Result::ok).collect();
        assert!(process.wait().unwrap().success(), "{told:?}");
    }
    let trail = Trail::of(&scratch);
    let mut actions = trail.actions();
    actions.sort_unstable();
    assert_eq!(actions, ["start", "start", "stop", "stop"]);
    let verified: Json =
        serde_json::from_str(&scratch.done(&["audit", "verify", "--json"])).unwrap();
    assert_eq!(verified["entries_in_table"], 4, "{verified:#}");
}
