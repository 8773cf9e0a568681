//! Any number of replays at once into one table, killed or stopped at any moment: each row is written once, and
//! each letter resolved once, on a disk, in Cloud Storage and in BigQuery.

use std::cell::Cell;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::cloud::{summary, wait_until};
use crate::cloud_loads::{Loads, ROWS};
use crate::concurrent_loads::{Run, batch, count, forget, in_cloud, moments, query};
use crate::emulators::Storage;
use crate::support::{Scratch, plugins, root};

/// Hardly a rule: what only a rule refused passes.
const NO_RULES: &str = r#"plugin.validate.config.rules=[{required={columns=["price"]}}]"#;
/// What a replay says that comes too late with what it has made of letters.
const LATE: &str = "the number of this page is taken, looking at the letters again";

/// Loads an object with many bad rows, which become letters, and returns what was loaded.
fn load_bad_rows(scratch: &Scratch) -> Json {
    bad_rows(scratch);
    let all_letters = ["source.uri=shop.csv", "dead_letter.max_rejected_share=1.0"];
    scratch.summary(&root().join("host/pipelines/batch.toml"), &all_letters)
}

/// Generates an object with many bad rows.
fn bad_rows(scratch: &Scratch) {
    plugins();
    let bad = ["--bad", "20%", "--seed", "5", "--output", "shop.csv"];
    scratch.done(&[&["generate", "shop", "--rows", "30000"], &bad[..]].concat());
}

/// Waits for the end of a replay, which has to be a good one, and returns what became of its letters.
#[track_caller]
fn ended(mut replay: Run) -> Json {
    let (status, told) = replay.wait();
    assert!(status.success(), "{status}: {}", replay.talk());
    serde_json::from_str(&told).unwrap()
}

#[test]
fn killed_at_any_moment_replays_at_once_write_each_row_once() {
    let scratch = Scratch::new();
    let loaded = load_bad_rows(&scratch);
    let (warehouse, kept) = (scratch.path("warehouse"), scratch.path("kept"));
    let copy = |from: &Path, to: &Path| {
        let copied = Command::new("cp").arg("-r").args([from, to]).status().unwrap();
        assert!(copied.success());
    };
    copy(&warehouse, &kept);
    for round in 0..4_u32 {
        forget(&scratch);
        copy(&kept, &warehouse);
        let command = |arguments: &[&str]| scratch.command(arguments);
        let replay = |name: &str, condition: &str| start(&scratch, &command, name, condition);
        // The same letters, on other pages.
        let mut one = replay("one", "TRUE");
        let other = replay("other", "code <> 'bad_date'");
        if round % 2 == 1 {
            std::thread::sleep(moments(1, Duration::from_millis(1500))[0]);
            one.kill();
        }
        let (status, _) = one.wait();
        assert!(status.success() || round % 2 == 1, "{status}: {}", one.talk());
        ended(other);
        ended(replay("last", "TRUE"));
        all_are_there_once(&command, count(&loaded, "rows_out"), round);
    }
}

/// Starts a replay of letters that hardly a rule is applied to.
fn start(
    scratch: &Scratch,
    command: &dyn Fn(&[&str]) -> Command,
    name: &str,
    condition: &str,
) -> Run {
    let batch = batch();
    let replay = ["dead-letter", "replay", &batch, "--json", "--set", NO_RULES];
    apart(scratch, name, command(&[&replay[..], &["--where", condition]].concat()))
}

/// Starts a replay with an audit log of its own: one that is stopped while it has the log's lock would keep others
/// from it.
fn apart(scratch: &Scratch, name: &str, mut command: Command) -> Run {
    command.env("CLICKMILL_AUDIT", scratch.path(&format!("audit-{name}")));
    Run::start(scratch, name, command)
}

/// Beside the rows that were loaded there is one for each letter that is resolved, each once, and each letter
/// was resolved once.
#[track_caller]
fn all_are_there_once(command: &dyn Fn(&[&str]) -> Command, loaded: u64, round: u32) {
    let number = |sql: &str| {
        let row = query(command, &sql.replace("FROM ", "FROM clickstream_analytics.")).remove(0);
        count(&row, "n")
    };
    let resolved = "FROM dead_letter_attempts WHERE outcome = 'resolved'";
    let letters = number(&format!("SELECT COUNT(DISTINCT letter_id) AS n {resolved}"));
    assert!(letters > 0);
    assert_eq!(number(&format!("SELECT COUNT(*) AS n {resolved}")), letters, "round {round}");
    let view = "SELECT COUNT(*) AS n FROM dead_letters WHERE resolved_at IS NOT NULL";
    assert_eq!(number(view), letters, "round {round}");
    let rows = "FROM clickstream_batch";
    assert_eq!(number(&format!("SELECT COUNT(*) AS n {rows}")), loaded + letters, "round {round}");
    let records = "COUNT(DISTINCT CONCAT(source, CAST(source_line AS STRING)))";
    assert_eq!(number(&format!("SELECT {records} AS n {rows}")), loaded + letters);
}

#[test]
fn what_was_replayed_stays_when_the_ledger_is_gone() {
    let scratch = Scratch::new();
    let loaded = load_bad_rows(&scratch);
    let command = |arguments: &[&str]| scratch.command(arguments);
    let resolved = |name: &str, condition: &str| {
        count(&ended(start(&scratch, &command, name, condition)), "resolved")
    };
    // More than a page of letters is left, so that the rows of all are asked for before the first page.
    let some = resolved("some", "MOD(source_line, 10) = 0");
    std::fs::remove_dir_all(scratch.path("warehouse/clickstream_analytics/load_ledger")).unwrap();
    let others = resolved("others", "TRUE");
    assert!(some > 0 && others > some, "{some}, {others}");
    all_are_there_once(&command, count(&loaded, "rows_out"), 0);
    let all = "SELECT COUNT(*) FROM clickstream_analytics.dead_letter_attempts WHERE outcome = 'resolved'";
    assert_eq!(scratch.number(all), some + others);
}

#[test]
fn in_cloud_storage_replays_at_once_resolve_each_letter_once() {
    let (scratch, storage) = (Scratch::new(), Storage::start(None));
    bad_rows(&scratch);
    let batch = batch();
    let round = Cell::new(0);
    let command = |arguments: &[&str]| {
        in_cloud(&scratch, &storage, &format!("round-{}", round.get()), arguments)
    };
    let source = ["--set", "source.uri=shop.csv", "--set", "dead_letter.max_rejected_share=1.0"];
    let run = [&["run", "--json", &batch], &source[..]].concat();
    for number in 0..3_u32 {
        round.set(number);
        let loaded = summary(&command(&run).output().unwrap());
        let replay = |name: &str, condition: &str| start(&scratch, &command, name, condition);
        let mut one = replay("one", "TRUE");
        let other = replay("other", "code <> 'bad_date'");
        // Both come to their ends, one is killed, or it is stopped until the other has ended.
        std::thread::sleep(moments(1, Duration::from_millis(2500))[0]);
        match number % 3 {
            0 => {}
            1 => one.kill(),
            _ => one.signal("-STOP"),
        }
        ended(other);
        if number % 3 == 2 {
            one.signal("-CONT");
        }
        let (status, _) = one.wait();
        assert!(status.success() || number % 3 == 1, "{status}: {}", one.talk());
        ended(replay("last", "TRUE"));
        all_are_there_once(&command, count(&loaded, "rows_out"), number);
        // Nobody else is there: every letter that is left is tried, and none is resolved.
        assert_eq!(count(&ended(replay("again", "TRUE")), "resolved"), 0);
    }
}

/// Loads an object of which the table refuses some rows, and returns how many: from now on it takes them.
fn refused(loads: &Loads, rows: u64, seed: u64) -> u64 {
    let object = format!("refused-{seed}.csv");
    loads.put(&object, rows, seed);
    loads.bigquery.refuse("clickstream_batch", "top left");
    let source = format!("source.uri=gs://lake/{object}");
    let any = ["--set", "dead_letter.max_rejected_share=1.0", "--set", &source];
    let letters = count(&loads.run(&any), "rows_rejected");
    assert!(letters > 0);
    loads.bigquery.refuse("no_table", "nothing");
    letters
}

fn in_bigquery(loads: &Loads, name: &str, condition: &str) -> Run {
    let pipeline = Loads::pipeline();
    let replay = ["dead-letter", "replay", &pipeline, "--json", "--where", condition];
    apart(&loads.scratch, name, loads.verb(&replay))
}

/// The table has so many rows, each once, and so many letters are resolved, each once.
#[track_caller]
fn bigquery_has_each_once(loads: &Loads, rows: u64, letters: u64) {
    let number =
        |sql: &str| loads.bigquery.number(&sql.replace("FROM ", "FROM clickstream_analytics."));
    let records = "COUNT(DISTINCT CONCAT(source, CAST(source_line AS STRING)))";
    assert_eq!(loads.bigquery.number(ROWS), rows);
    assert_eq!(number(&format!("SELECT {records} FROM clickstream_batch")), rows);
    let resolved = "FROM dead_letter_attempts WHERE outcome = 'resolved'";
    assert_eq!(number(&format!("SELECT COUNT(*) {resolved}")), letters);
    assert_eq!(number(&format!("SELECT COUNT(DISTINCT letter_id) {resolved}")), letters);
}

/// Starts a replay of all letters, and stops it where a table that it comes to takes nothing yet: it has made the
/// rows of all of them by then.
fn stopped_before(loads: &Loads, table: &str) -> Run {
    loads.bigquery.order(&json!({ "kind": "unseen_table", "table": table }));
    let late = in_bigquery(loads, "late", "TRUE");
    wait_until(table, || loads.bigquery.met("unseen_table") > 0);
    late.signal("-STOP");
    loads.bigquery.take_back();
    late
}

/// Has another replay of all letters killed between its rows and its attempts.
fn kill_another_between_its_tables(loads: &Loads) {
    loads.bigquery.order(&json!({ "kind": "uncommitted", "table": "dead_letter_attempts" }));
    let mut one = in_bigquery(loads, "one", "source_line >= 0");
    wait_until("a commit", || loads.bigquery.met("uncommitted") > 0);
    one.kill();
    one.wait();
    loads.bigquery.take_back();
}

/// Has BigQuery forget the streams of a replay's tables.
fn forget_streams(loads: &Loads) {
    for table in ["clickstream_batch", "dead_letter_attempts"] {
        loads.bigquery.order(&json!({ "kind": "expired", "table": table }));
    }
}

/// Has a replay that was stopped go on, which finds that it is too late, and returns what became of its letters.
#[track_caller]
fn ended_late(loads: &Loads, late: Run) -> Json {
    late.signal("-CONT");
    let done = ended(late);
    let talk = std::fs::read_to_string(loads.scratch.path("late.log")).unwrap();
    assert!(talk.contains(LATE), "{talk}");
    done
}

#[test]
fn in_bigquery_a_replay_that_comes_too_late_reads_its_letters_again() {
    let loads = Loads::start();
    let letters = refused(&loads, 3000, 71);
    let late = stopped_before(&loads, "dead_letter_attempts");
    // Some of the same letters, so another page.
    let some = count(&ended(in_bigquery(&loads, "other", "MOD(source_line, 3) > 0")), "resolved");
    assert!(some > 0 && some < letters, "{some} of {letters}");
    bigquery_has_each_once(&loads, 3000 - letters + some, some);
    let done = ended_late(&loads, late);
    let counted = ["letters", "resolved", "there_before"].map(|key| count(&done, key));
    assert_eq!(counted, [letters - some, letters - some, 0]);
    bigquery_has_each_once(&loads, 3000, letters);
    // A page is a load.
    let pages = "SELECT COUNT(*) FROM clickstream_analytics.load_ledger WHERE STARTS_WITH(source, 'replay ') AND state = 'committed'";
    assert_eq!(loads.bigquery.number(pages), 2);
}

#[test]
fn in_bigquery_a_replay_that_comes_too_late_for_a_part_of_another_reads_its_letters_again() {
    let loads = Loads::start();
    let letters = refused(&loads, 2000, 73);
    let late = stopped_before(&loads, "dead_letter_attempts");
    kill_another_between_its_tables(&loads);
    // BigQuery drops its attempts.
    loads.bigquery.order(&json!({ "kind": "expired", "table": "dead_letter_attempts" }));
    bigquery_has_each_once(&loads, 2000, 0);
    let done = ended_late(&loads, late);
    let counted = ["letters", "resolved", "there_before"].map(|key| count(&done, key));
    assert_eq!(counted, [letters; 3]);
    bigquery_has_each_once(&loads, 2000, letters);
}

#[test]
fn in_bigquery_a_replay_that_comes_too_late_for_one_that_is_forgotten_reads_its_letters_again() {
    let loads = Loads::start();
    let letters = refused(&loads, 2000, 75);
    // It has no stream yet.
    let late = stopped_before(&loads, "clickstream_batch");
    kill_another_between_its_tables(&loads);
    bigquery_has_each_once(&loads, 2000, 0);
    // Both streams are forgotten, also that of the rows, which are there.
    forget_streams(&loads);
    let done = ended_late(&loads, late);
    let counted = ["letters", "resolved", "there_before"].map(|key| count(&done, key));
    assert_eq!(counted, [letters; 3]);
    bigquery_has_each_once(&loads, 2000, letters);
}

#[test]
fn in_bigquery_a_replay_whose_streams_are_forgotten_fails_and_the_next_one_writes_the_rows() {
    let loads = Loads::start();
    let letters = refused(&loads, 2000, 77);
    // It was decided for, and has committed nothing.
    loads.bigquery.order(&json!({ "kind": "uncommitted", "table": "clickstream_batch" }));
    let mut late = in_bigquery(&loads, "late", "TRUE");
    wait_until("a commit", || loads.bigquery.met("uncommitted") > 0);
    late.signal("-STOP");
    loads.bigquery.take_back();
    forget_streams(&loads);
    let done = ended(in_bigquery(&loads, "other", "source_line >= 0"));
    assert_eq!(["letters", "resolved"].map(|key| count(&done, key)), [letters; 2]);
    late.signal("-CONT");
    let (status, _) = late.wait();
    assert_eq!(status.code(), Some(3), "{}", late.talk());
    assert!(late.talk().contains("its stream is gone"), "{}", late.talk());
    bigquery_has_each_once(&loads, 2000, letters);
}

#[test]
fn in_bigquery_entries_that_are_removed_from_the_ledger_are_no_gap_to_replay_in() {
    let loads = Loads::start();
    let letters = refused(&loads, 3000, 79);
    for third in ["0", "1"] {
        let condition = format!("MOD(source_line, 3) = {third}");
        ended(in_bigquery(&loads, &format!("third-{third}"), &condition));
    }
    let late = stopped_before(&loads, "dead_letter_attempts");
    // The older one's, as by age.
    let ledger = "clickstream_analytics.load_ledger";
    let older = format!("DELETE FROM {ledger} WHERE STARTS_WITH(source, 'replay 0 ')");
    loads.bigquery.query(&older);
    let left =
        format!("SELECT COUNT(DISTINCT source) FROM {ledger} WHERE STARTS_WITH(source, 'replay ')");
    assert_eq!(loads.bigquery.number(&left), 1);
    ended(in_bigquery(&loads, "other", "source_line >= 0"));
    let done = ended_late(&loads, late);
    assert_eq!(count(&done, "letters"), 0);
    bigquery_has_each_once(&loads, 3000, letters);
}

#[test]
fn in_bigquery_what_a_killed_replay_was_decided_for_is_completed_by_the_next() {
    let loads = Loads::start();
    let (mut rows, mut resolved) = (0, 0);
    // Before any of it is there, and before the attempts are.
    let killed = [("clickstream_batch", false), ("dead_letter_attempts", false)];
    // And where BigQuery has dropped the rest since.
    for (seed, (table, is_dropped)) in
        killed.into_iter().chain([("dead_letter_attempts", true)]).enumerate()
    {
        let letters = refused(&loads, 2000, 80 + seed as u64);
        let before = loads.bigquery.met("uncommitted");
        loads.bigquery.order(&json!({ "kind": "uncommitted", "table": table }));
        let mut one = in_bigquery(&loads, "one", "TRUE");
        wait_until("a commit", || loads.bigquery.met("uncommitted") > before);
        one.kill();
        one.wait();
        loads.bigquery.take_back();
        if is_dropped {
            loads.bigquery.order(&json!({ "kind": "expired", "table": "dead_letter_attempts" }));
        }
        let done = ended(in_bigquery(&loads, "other", "source_line >= 0"));
        let there = if is_dropped { letters } else { 0 };
        let counted = ["letters", "resolved", "there_before"].map(|key| count(&done, key));
        assert_eq!(counted, [there; 3], "{table}");
        (rows, resolved) = (rows + 2000, resolved + letters);
        bigquery_has_each_once(&loads, rows, resolved);
    }
}

#[test]
fn in_bigquery_replays_at_once_that_are_killed_resolve_each_letter_once() {
    let loads = Loads::start();
    let (mut rows, mut resolved) = (0, 0);
    for round in 0..6_u64 {
        resolved += refused(&loads, 1000, 90 + round);
        rows += 1000;
        let mut one = in_bigquery(&loads, "one", "TRUE");
        let other = in_bigquery(&loads, "other", "MOD(source_line, 5) > 0");
        std::thread::sleep(Duration::from_millis(300 + round * 237));
        let is_killed = round % 2 == 1;
        if is_killed {
            one.kill();
        }
        ended(other);
        let (status, _) = one.wait();
        assert!(status.success() || is_killed, "{status}: {}", one.talk());
        ended(in_bigquery(&loads, "last", "TRUE"));
        bigquery_has_each_once(&loads, rows, resolved);
    }
}
