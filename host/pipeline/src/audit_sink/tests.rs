use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;

use super::carrier::LOOK_BACK;
use super::*;
use clickmill_audit::{Outcome, TABLE, Verified};
use clickmill_config::Place;
use tokio::runtime::Runtime;

const NO_ENTRY: &[u8] = b"{}\n";

/// A log, and a warehouse, both of which can be taken away.
struct Scratch {
    folder: tempfile::TempDir,
    runtime: Runtime,
    tables: Tables,
    target: TableName,
}

impl Scratch {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let warehouse = folder.path().join("warehouse");
        let opened = Tables::open(&Place::Warehouse, warehouse.to_str().unwrap());
        let tables = runtime.block_on(opened).unwrap();
        let target = TableName { dataset: "d".to_owned(), table: "t".to_owned() };
        Self { folder, runtime, tables, target }
    }

    fn logs(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn file(&self) -> PathBuf {
        self.logs().join("p.jsonl")
    }

    fn sink(&self) -> AuditSink {
        let (logs, handle) = (self.logs(), self.runtime.handle());
        AuditSink::open(&logs, "p", &self.tables, &self.target, handle).unwrap()
    }

    /// Has the file take no entry, and does so at once for whoever tries: none can follow what is none.
    fn block(&self) {
        let mut file = OpenOptions::new().create(true).append(true).open(self.file()).unwrap();
        file.write_all(NO_ENTRY).unwrap();
    }

    fn unblock(&self) {
        let file = OpenOptions::new().write(true).open(self.file()).unwrap();
        let length = file.metadata().unwrap().len();
        file.set_len(length - NO_ENTRY.len() as u64).unwrap();
    }

    /// The entries of the file, whose chain is unbroken.
    fn entries(&self) -> Vec<Entry> {
        let entries: Vec<Entry> =
            audit::read(&self.file()).unwrap().collect::<Result<_, _>>().unwrap();
        let Verified { entries: count, .. } =
            audit::verify("p", entries.iter().cloned().map(Ok)).unwrap();
        assert_eq!(count, entries.len() as u64);
        entries
    }

    fn details(&self) -> Vec<String> {
        self.entries().into_iter().map(|entry| entry.detail).collect()
    }

    /// Which entries of the file the table lacks.
    fn missing(&self) -> HashSet<String> {
        let hashes: Vec<String> = self.entries().into_iter().map(|entry| entry.hash).collect();
        let table = self.target.beside(TABLE);
        self.runtime.block_on(self.tables.not_entered(&table, "entry_hash", &hashes)).unwrap()
    }
}

fn event(action: Action, detail: &str) -> Event {
    Event {
        actor: "somebody".to_owned(),
        action,
        subject: "pipeline".to_owned(),
        old_plugin_set: None,
        new_plugin_set: None,
        outcome: Outcome::Done,
        detail: detail.to_owned(),
    }
}

#[test]
fn what_a_killed_process_left_out_is_entered_though_later_entries_are_there() {
    let scratch = Scratch::new();
    let log = Log::open(&scratch.logs(), "p").unwrap();
    let table = scratch.target.beside(TABLE);
    let schema = audit::schema().unwrap().arrow();
    // Many that were all left out, the first of those that are looked at among them; and a single one.
    for number in 0..3 * LOOK_BACK {
        let entry = log.append(event(Action::Start, ""), None).unwrap();
        let left_out = (20..=2 * LOOK_BACK).contains(&number) || number == 3 * LOOK_BACK - 10;
        if !left_out {
            let rows = audit::rows(std::slice::from_ref(&entry), &schema).unwrap();
            let entered = scratch.tables.enter(&table, &entry.hash, None, &rows);
            scratch.runtime.block_on(entered).unwrap();
        }
    }
    let sink = scratch.sink();
    sink.enter(event(Action::Stop, "")).unwrap();
    sink.settle();
    assert_eq!(scratch.missing(), HashSet::new());
    assert_eq!(sink.waiting(), (0, 0));
}

#[test]
fn a_log_that_is_gone_or_cut_while_this_runs_is_missed_by_the_chain_after_it() {
    let scratch = Scratch::new();
    let sink = scratch.sink();
    for detail in ["one", "two"] {
        sink.enter(event(Action::Swap, detail)).unwrap();
    }
    let mut last = scratch.entries().pop().unwrap();
    let remove = || fs::remove_file(scratch.file()).unwrap();
    let empty = || fs::write(scratch.file(), "").unwrap();
    // As one leaves it who copies a file and empties it, and an entry is written in between.
    let hollow = || fs::write(scratch.file(), b"\0\0\0\0{\"sequence\":3}\n").unwrap();
    for spoil in [&remove as &dyn Fn(), &empty, &hollow] {
        spoil();
        sink.enter(event(Action::Swap, "next")).unwrap();
        let begun = scratch.entries();
        assert_eq!((begun.len(), begun[0].sequence), (1, 1));
        assert_eq!(begun[0].previous, last.hash);
        last = begun[0].clone();
    }
    sink.settle();
    assert_eq!(scratch.missing(), HashSet::new());
}

#[test]
fn who_only_looks_carries_nothing_over() {
    let scratch = Scratch::new();
    Log::open(&scratch.logs(), "p").unwrap().append(event(Action::Start, ""), None).unwrap();
    scratch.sink().settle();
    assert_eq!(scratch.missing().len(), 1);
}

#[test]
fn without_an_entry_a_change_fails_and_what_counts_already_is_entered_first() {
    let scratch = Scratch::new();
    let sink = scratch.sink();
    sink.enter(event(Action::Start, "start")).unwrap();
    scratch.block();
    sink.enter(event(Action::Swap, "refused")).unwrap_err();
    sink.enter_late(event(Action::Rollback, "rolled back"));
    sink.settle();
    assert_eq!(sink.waiting().0, 1);
    sink.enter(event(Action::Swap, "refused again")).unwrap_err();
    scratch.unblock();
    sink.enter_late(event(Action::Refuse, "no"));
    sink.enter(event(Action::Swap, "swapped")).unwrap();
    let details = scratch.details();
    assert!(details[0].ends_with("; start"), "{details:?}");
    assert!(details[1].starts_with("rolled back; entered late, it was at 20"), "{details:?}");
    assert_eq!(details[2..], ["no", "swapped"]);
    sink.end(None);
    assert_eq!((sink.waiting(), scratch.missing().len()), ((0, 0), 0));
}

#[test]
fn what_waits_for_the_log_is_bounded_and_what_has_no_place_is_counted() {
    let scratch = Scratch::new();
    let sink = scratch.sink();
    scratch.block();
    for number in 0..MAX_LATE + 50 {
        sink.enter_late(event(Action::Rollback, &number.to_string()));
    }
    assert_eq!(sink.waiting().0, MAX_LATE as u64 + 50);
    scratch.unblock();
    sink.settle();
    let details = scratch.details();
    assert_eq!((sink.waiting(), details.len()), ((0, 0), MAX_LATE));
    assert_eq!(details[1], "1");
    let last = format!("{}; 50 later ones are in no entry", MAX_LATE - 1);
    assert_eq!(details.last(), Some(&last));
}

#[test]
fn refusals_leave_room_for_what_changes_something() {
    let scratch = Scratch::new();
    let sink = scratch.sink();
    scratch.block();
    for _ in 0..MAX_LATE {
        sink.enter_late(event(Action::Refuse, "no"));
    }
    sink.enter_late(event(Action::Rollback, "rolled back"));
    scratch.unblock();
    sink.settle();
    let details = scratch.details();
    assert_eq!(details.len(), MAX_LATE_REFUSALS + 1);
    assert!(details[MAX_LATE_REFUSALS].starts_with("rolled back"), "{details:?}");
    let refused = &details[MAX_LATE_REFUSALS - 1];
    assert!(refused.ends_with("; 100 later ones are in no entry"), "{refused}");
}

#[test]
fn the_table_follows_once_it_is_back_and_nobody_waits_for_it() {
    let scratch = Scratch::new();
    // No folder can be made where a file is.
    let warehouse = scratch.folder.path().join("warehouse");
    if warehouse.is_dir() {
        fs::remove_dir_all(&warehouse).unwrap();
    }
    fs::write(&warehouse, "").unwrap();
    let sink = scratch.sink();
    for detail in ["one", "two", "three"] {
        sink.enter(event(Action::Swap, detail)).unwrap();
    }
    assert_eq!(sink.waiting(), (0, 3));
    sink.settle();
    sink.enter(event(Action::Swap, "four")).unwrap();
    sink.settle();
    assert_eq!((sink.waiting(), scratch.entries().len()), ((0, 4), 4));
    fs::remove_file(&warehouse).unwrap();
    sink.settle();
    assert_eq!((sink.waiting(), scratch.missing().len()), ((0, 0), 0));
}

#[test]
fn the_keeper_enters_and_carries_over_by_itself_and_once_more_when_it_ends() {
    let scratch = Scratch::new();
    let sink = Arc::new(scratch.sink());
    let kept = sink.kept();
    sink.enter_late(event(Action::Rollback, "one"));
    let deadline = Instant::now() + Duration::from_secs(60);
    while !scratch.file().is_file() || !scratch.missing().is_empty() {
        assert!(Instant::now() < deadline, "the keeper does nothing");
        std::thread::sleep(Duration::from_millis(5));
    }
    scratch.block();
    sink.enter_late(event(Action::Rollback, "two"));
    scratch.unblock();
    drop(kept);
    let details = scratch.details();
    assert!(details.len() == 2 && details[1].starts_with("two"), "{details:?}");
}

#[test]
fn tokens_and_links_that_are_none_fill_no_disk() {
    let scratch = Scratch::new();
    let sink = scratch.sink();
    for port in 1..=1000 {
        sink.deny("token", SocketAddr::from(([192, 0, 2, 1], port)));
        sink.deny("link", SocketAddr::from(([192, 0, 2, 2], port)));
    }
    sink.settle();
    sink.end(None);
    let entries = scratch.entries();
    assert!(entries.iter().all(|entry| entry.action == Action::Deny), "{entries:?}");
    let subjects: Vec<&str> = entries.iter().map(|entry| entry.subject.as_str()).collect();
    assert_eq!(subjects, ["token", "link", "link", "token"]);
    let details = scratch.details();
    assert!(details[0].ends_with("; from 192.0.2.1:1"), "{details:?}");
    let rest = [
        "from 192.0.2.2:1",
        "from 192.0.2.2:1000, the last of 999 times",
        "from 192.0.2.1:1000, the last of 999 times",
    ];
    assert_eq!(details[1..], rest);
}

#[test]
fn what_is_shown_to_one_caller_again_and_again_is_entered_once_a_minute() {
    let scratch = Scratch::new();
    let sink = scratch.sink();
    let shown = |who: &str, what: &str| {
        sink.reveal(who, Event { subject: what.to_owned(), ..event(Action::Reveal, who) })
    };
    for _ in 0..100 {
        shown("192.0.2.1 reader", "payload").unwrap();
        shown("192.0.2.2 reader", "payload").unwrap();
    }
    shown("192.0.2.1 reader", "ip").unwrap();
    assert_eq!(scratch.entries().len(), 3);
    // Whom nothing was shown yet is shown nothing without an entry.
    scratch.block();
    shown("192.0.2.3 reader", "payload").unwrap_err();
    shown("192.0.2.1 reader", "payload").unwrap();
    scratch.unblock();
    shown("192.0.2.3 reader", "payload").unwrap();
    assert_eq!(scratch.entries().len(), 4);
}
