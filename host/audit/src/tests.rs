mod file;
mod tampering;

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;

const PIPELINE: &str = "clicks";
const ACTIONS: [Action; 11] = [
    Action::Start,
    Action::Stop,
    Action::Swap,
    Action::Refuse,
    Action::Promote,
    Action::Rollback,
    Action::Grant,
    Action::Replay,
    Action::Unseal,
    Action::Reveal,
    Action::Deny,
];

fn event(action: Action, detail: &str) -> Event {
    Event {
        actor: "ada".to_owned(),
        action,
        subject: "mask".to_owned(),
        old_plugin_set: None,
        new_plugin_set: Some("5e7".to_owned()),
        outcome: Outcome::Done,
        detail: detail.to_owned(),
    }
}

/// A log of so many entries, its folder and its lines.
struct Written {
    folder: TempDir,
    entries: Vec<Entry>,
    lines: Vec<String>,
}

impl Written {
    fn new(entries: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = Log::open(folder.path(), PIPELINE).unwrap();
        let append = |n| {
            log.append(event(ACTIONS[n % ACTIONS.len()], &format!("the \"{n}.\"\nof them")), None)
        };
        let entries = (0..entries).map(|n| append(n).unwrap()).collect();
        let text = fs::read_to_string(folder.path().join("clicks.jsonl")).unwrap_or_default();
        Self { folder, entries, lines: text.lines().map(str::to_owned).collect() }
    }

    fn log(&self) -> Log {
        Log::open(self.folder.path(), PIPELINE).unwrap()
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("clicks.jsonl")
    }

    /// What `verify` says once the file has these lines.
    fn told(&self, lines: &[String]) -> String {
        fs::write(self.path(), lines.iter().map(|line| format!("{line}\n")).collect::<String>())
            .unwrap();
        check(&self.path()).unwrap_err().to_string()
    }
}

fn check(path: &Path) -> Result<Verified, Broken> {
    verify(PIPELINE, read(path).unwrap())
}

fn all(path: &Path) -> Vec<Entry> {
    read(path).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Files that keep torn lines, with what they keep.
fn torn(folder: &Path) -> Vec<Vec<u8>> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let torn = files.filter(|path| path.to_string_lossy().contains(".jsonl.torn-"));
    torn.map(|path| fs::read(path).unwrap()).collect()
}

/// An entry whose content was changed by someone who knows how hashes are made.
fn forged(entry: &Entry, change: impl FnOnce(&mut Entry)) -> Entry {
    let mut entry = entry.clone();
    change(&mut entry);
    entry.hash = entry.digest();
    entry
}

fn line(entry: &Entry) -> String {
    serde_json::to_string(entry).unwrap()
}

#[test]
fn words_are_the_same_in_files_and_in_code() {
    for action in ACTIONS {
        assert_eq!(serde_json::to_value(action).unwrap(), action.as_str());
    }
    for outcome in [Outcome::Done, Outcome::Refused, Outcome::Failed] {
        assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
    }
}

#[test]
fn the_hash_is_the_documented_one() {
    let entry = Entry::new(1, 1_700_000_000_000_000, "p", event(Action::Swap, "é"), NO_HASH.into());
    let mut bytes = vec![1];
    for value in ["1", "1700000000000000", "p", "ada", "swap", "mask"] {
        bytes.push(1);
        bytes.extend((value.len() as u64).to_le_bytes());
        bytes.extend(value.as_bytes());
    }
    bytes.push(0);
    for value in ["5e7", "done", "é", NO_HASH] {
        bytes.push(1);
        bytes.extend((value.len() as u64).to_le_bytes());
        bytes.extend(value.as_bytes());
    }
    assert_eq!(entry.hash, blake3::hash(&bytes).to_hex().to_string());
    // Files written by earlier versions stay verifiable.
    assert_eq!(entry.hash, "46ed3ecb63a65d7b04ecb4b6cffa4ff38912e4b4e4457783b9ab3c285cf92c5e");
}

#[test]
fn a_chain_that_nobody_touched_is_unbroken() {
    let written = Written::new(9);
    assert_eq!(all(&written.path()), written.entries);
    let last = written.entries.last().unwrap();
    let verified = Verified {
        entries: 9,
        first_time: Some(written.entries[0].time),
        last_time: Some(last.time),
        last_hash: last.hash.clone(),
    };
    assert_eq!(check(&written.path()).unwrap(), verified);
    assert_eq!(written.entries[0].previous, NO_HASH);
    assert_eq!(logs(written.folder.path()).unwrap(), [(PIPELINE.to_owned(), written.path())]);
    assert_eq!(logs(&written.folder.path().join("none")).unwrap(), []);
}

#[test]
fn a_chain_says_where_it_was_begun_and_is_no_other() {
    let [one, other] = [Written::new(2), Written::new(1)].map(|written| written.entries);
    let here = Host::here().to_string();
    for first in [&one[0], &other[0]] {
        assert_eq!(begun_on(first), here.strip_prefix("host "));
        assert!(first.detail.ends_with("; the \"0.\"\nof them"), "{}", first.detail);
    }
    // Begun in one instant by one actor they are two: each has a number of its own.
    let chain = |entry: &Entry| entry.detail.split(' ').nth(1).unwrap().to_owned();
    assert_eq!(chain(&one[0]).len(), 32);
    assert_ne!(chain(&one[0]), chain(&other[0]));
    // Those of earlier versions say nothing, and nobody else speaks for them.
    assert_eq!(begun_on(&one[1]), None);
    let of = |sequence, detail: &str| {
        Entry::new(sequence, 0, PIPELINE, event(Action::Start, detail), NO_HASH.into())
    };
    assert_eq!(begun_on(&of(1, "parse parse 0.1.0")), None);
    assert_eq!(begun_on(&of(2, &one[0].detail)), None);
}
