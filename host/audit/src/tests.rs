use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;

const PIPELINE: &str = "clicks";
const ACTIONS: [Action; 9] = [
    Action::Start,
    Action::Stop,
    Action::Swap,
    Action::Refuse,
    Action::Promote,
    Action::Rollback,
    Action::Grant,
    Action::Replay,
    Action::Unseal,
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
        let append = |n| log.append(event(ACTIONS[n % 9], &format!("the \"{n}.\"\nof them")), None);
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
fn a_changed_field_is_told() {
    let written = Written::new(4);
    let mut lines = written.lines.clone();
    lines[1] = lines[1].replace("\"ada\"", "\"eve\"");
    let (content, hash) = (
        forged(&written.entries[1], |entry| entry.actor = "eve".into()).hash,
        &written.entries[1].hash,
    );
    assert_eq!(
        written.told(&lines),
        format!("line 2: entry 2 was changed: its content has hash `{content}`, it says `{hash}`")
    );
}

#[test]
fn a_changed_entry_with_a_new_hash_is_told_by_the_next() {
    let written = Written::new(4);
    let mut lines = written.lines.clone();
    let eve = forged(&written.entries[1], |entry| entry.actor = "eve".into());
    lines[1] = line(&eve);
    let (now, was) = (&eve.hash, &written.entries[1].hash);
    assert_eq!(
        written.told(&lines),
        format!(
            "line 3: entry 3 follows an entry with hash `{was}`, but the one before has `{now}`"
        )
    );
    // Nothing follows the last one: there the table tells.
    let mut file = written.entries.clone();
    file[3] = forged(&file[3], |entry| entry.actor = "eve".into());
    assert!(verify(PIPELINE, file.iter().cloned().map(Ok)).is_ok());
    assert_eq!(
        compare(&file, &written.entries).unwrap_err().to_string(),
        "entry 4 has actor `eve` in the file, `ada` in the table"
    );
}

#[test]
fn removed_moved_and_added_lines_are_told() {
    let written = Written::new(5);
    let removed = |at: usize| {
        let mut lines = written.lines.clone();
        lines.remove(at);
        written.told(&lines)
    };
    assert_eq!(removed(2), "line 3: wanted entry 3, which is missing, found entry 4");
    assert_eq!(removed(0), "line 1: wanted entry 1, which is missing, found entry 2");
    let mut lines = written.lines.clone();
    lines.swap(1, 3);
    assert_eq!(written.told(&lines), "line 2: wanted entry 2, which is on line 4, found entry 4");
    let mut lines = written.lines.clone();
    lines.insert(3, lines[1].clone());
    assert_eq!(written.told(&lines), "line 4: wanted entry 4, found entry 2 a second time");
    let mut lines = written.lines.clone();
    lines[4] = line(&forged(&written.entries[4], |entry| entry.sequence = 0));
    assert_eq!(written.told(&lines), "line 5: wanted entry 5, which is missing, found entry 0");
}

#[test]
fn lines_that_are_no_entries_and_entries_of_others_are_told() {
    let written = Written::new(3);
    let mut lines = written.lines.clone();
    lines.insert(1, String::new());
    assert_eq!(written.told(&lines), "line 2 is not an entry");
    // No hash covers what an entry does not have.
    let mut lines = written.lines.clone();
    lines[2] = lines[2].replacen('{', "{\"approved_by\":\"ada\",", 1);
    assert_eq!(written.told(&lines), "line 3 is not an entry");
    let of = |entry: &Entry| Ok(entry.clone());
    let error = verify("shop", written.entries.iter().map(of)).unwrap_err();
    assert_eq!(error.to_string(), "line 1: entry 1 is of pipeline `clicks`, wanted `shop`");
}

#[test]
fn a_cut_end_is_told_by_the_table() {
    let written = Written::new(4);
    let all = &written.entries;
    assert_eq!(
        compare(&all[..2], all).unwrap_err().to_string(),
        "the file ends with entry 2, the table goes on with entry 3: the file's end was cut off"
    );
    assert_eq!(
        compare(&[], all).unwrap_err().to_string(),
        "the file ends with entry 0, the table goes on with entry 1: the file's end was cut off"
    );
    // The table may lack what was just written, and nothing else.
    for end in 0..=4 {
        assert_eq!(compare(all, &all[..end]), Ok(()));
    }
    let told = |table: &[usize]| {
        let table: Vec<Entry> = table.iter().map(|at| all[*at].clone()).collect();
        compare(all, &table).unwrap_err().to_string()
    };
    assert_eq!(told(&[0, 2, 3]), "entry 2 is not in the table, which has entry 3");
    assert_eq!(told(&[0, 1, 1, 2]), "entry 2 is in the table a second time, or out of order");
    assert_eq!(told(&[0, 1, 2, 3, 3]), "entry 4 is in the table a second time, or out of order");
}

#[test]
fn replicas_write_chains_of_their_own_into_one_table_each_of_which_is_told_apart() {
    let [one, other] = [Written::new(4), Written::new(3)].map(|written| written.entries);
    // A container with an empty disk goes on after what the table has last.
    let folder = tempfile::tempdir().unwrap();
    let third = Log::open(folder.path(), PIPELINE).unwrap();
    assert!(third.is_new());
    let after = Some(one[3].hash.clone());
    let third: Vec<Entry> =
        (0..2).map(|_| third.append(event(Action::Start, ""), after.clone()).unwrap()).collect();
    assert_eq!((third[0].sequence, &third[0].previous), (1, &one[3].hash));
    assert_eq!((third[1].sequence, &third[1].previous), (2, &third[0].hash));
    assert!(check(&folder.path().join("clicks.jsonl")).is_ok());
    assert!(!Log::open(folder.path(), PIPELINE).unwrap().is_new());
    let table = [&other[..], &third, &one].concat();
    let found = chains(table.clone(), &[]).unwrap();
    assert_eq!(found, [one.clone(), other.clone(), third.clone()]);
    let told = |table: Vec<Entry>| chains(table, &[]).unwrap_err().to_string();
    let without = |at: usize| {
        let mut table = table.clone();
        table.remove(at);
        table
    };
    // The middle of one, and the end of the one after which another was begun.
    let missing = |entry: &Entry| {
        let Entry { sequence, hash, previous, .. } = entry;
        format!(
            "entry {sequence} with hash `{hash}` follows one with hash `{previous}`, which the table does not have"
        )
    };
    assert_eq!(told(without(1)), missing(&other[2]));
    assert_eq!(told(without(8)), missing(&third[0]));
    assert_eq!(told(without(5)), missing(&one[1]));
    assert_eq!(told(table[..5].to_vec()), missing(&third[0]));
    // Where a file has it, it is the table that lacks it, which the comparison with the file tells.
    assert_eq!(chains(table[..5].to_vec(), &one).unwrap().len(), 2);
    let mut changed = table.clone();
    changed[0].actor = "eve".to_owned();
    assert!(told(changed).contains("entry 1 was changed in the table"));
    let eve = forged(&one[3], |entry| entry.actor = "eve".to_owned());
    let (hash, other) = (&eve.hash, &one[3].hash);
    assert_eq!(
        told([&table[..], std::slice::from_ref(&eve)].concat()),
        format!(
            "entry 4 is in the table with hash `{hash}` and, after the same entry, with `{other}`"
        )
    );
    let jump = forged(&one[3], |entry| entry.sequence = 6);
    let mut table = without(8);
    table.retain(|entry| entry.hash != third[0].hash && entry.hash != third[1].hash);
    table.push(jump);
    assert_eq!(told(table), "entry 6 in the table follows entry 3");
}

#[test]
fn a_torn_last_line_is_kept_aside_and_the_chain_goes_on() {
    let written = Written::new(2);
    let third = written.log().append(event(Action::Stop, ""), None).unwrap();
    let whole = fs::read(written.path()).unwrap();
    let cut = whole.len() - 40;
    fs::write(written.path(), &whole[..cut]).unwrap();
    let start = written.lines.iter().map(|line| line.len() + 1).sum::<usize>();
    assert_eq!(
        check(&written.path()).unwrap_err().to_string(),
        format!("line 3 is torn: {} bytes without an end of line", cut - start)
    );
    let again = written.log().append(event(Action::Stop, ""), None).unwrap();
    assert_eq!((again.sequence, &again.previous), (3, &third.previous));
    assert_eq!(check(&written.path()).unwrap().entries, 3);
    assert_eq!(torn(written.folder.path()), [whole[start..cut].to_vec()]);
}

#[test]
fn a_last_line_that_is_no_json_is_kept_aside_too() {
    // Longer than what is read at once, and all there is.
    for before in [0, 2] {
        let written = Written::new(before);
        let junk = [vec![0; 10_000], b"\n".to_vec()].concat();
        let mut bytes = fs::read(written.path()).unwrap_or_default();
        bytes.extend(&junk);
        fs::write(written.path(), bytes).unwrap();
        let entry = written.log().append(event(Action::Stop, ""), None).unwrap();
        assert_eq!(entry.sequence, before as u64 + 1);
        assert_eq!(check(&written.path()).unwrap().entries, entry.sequence);
        assert_eq!(torn(written.folder.path()), [junk]);
    }
}

#[test]
fn nothing_follows_a_last_line_that_is_no_entry() {
    let written = Written::new(1);
    let with_last = |last: &str| {
        let text = format!("{}\n{last}", written.lines[0]);
        fs::write(written.path(), &text).unwrap();
        let error = written.log().append(event(Action::Stop, ""), None).unwrap_err();
        assert_eq!(fs::read_to_string(written.path()).unwrap(), text, "left as it was");
        error.to_string()
    };
    let path = written.path();
    // Of two lines that can't be read, a crash tore one at most.
    for last in ["{\"sequence\":2}\n", "{\"sequence\":2}\n{\"sequ", "{\"sequ\n{\"sequ"] {
        assert_eq!(
            with_last(last),
            format!(
                "audit log `{}`: the last line is not an entry, so none can follow it",
                path.display()
            )
        );
    }
    let last = forged(&written.entries[0], |entry| entry.sequence = u64::MAX);
    assert_eq!(
        with_last(&format!("{}\n", line(&last))),
        format!("audit log `{}`: no number follows {}", path.display(), u64::MAX)
    );
    assert_eq!(torn(written.folder.path()), Vec::<Vec<u8>>::new());
}

#[test]
fn appends_at_once_give_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for action in [Action::Swap, Action::Replay, Action::Unseal] {
            let log = Log::open(folder.path(), PIPELINE).unwrap();
            scope.spawn(move || {
                for n in 0..20 {
                    log.append(event(action, &n.to_string()), None).unwrap();
                }
            });
        }
    });
    let path = folder.path().join("clicks.jsonl");
    assert_eq!(check(&path).unwrap().entries, 60);
    // Each one's entries are there, in the order in which it appended them.
    let replays = all(&path).into_iter().filter(|entry| entry.action == Action::Replay);
    let details: Vec<String> = replays.map(|entry| entry.detail).collect();
    assert_eq!(details, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn long_texts_are_cut_and_long_lines_followed() {
    let written = Written::new(0);
    let long = Event { subject: "é".repeat(MAX_TEXT_BYTES), ..event(Action::Replay, "") };
    let first = written.log().append(long, None).unwrap();
    assert!(first.subject.len() <= MAX_TEXT_BYTES && first.subject.ends_with("é…"));
    let exact = Event { subject: "e".repeat(MAX_TEXT_BYTES), ..event(Action::Replay, "") };
    let second = written.log().append(exact.clone(), None).unwrap();
    assert_eq!(second.subject, exact.subject);
    written.log().append(event(Action::Stop, ""), None).unwrap();
    assert_eq!(check(&written.path()).unwrap().entries, 3);
}

/// Numbers that are the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963);
        ((self.0 >> 33) as usize) % end.max(1)
    }
}

#[test]
fn no_random_tampering_is_accepted() {
    let written = Written::new(6);
    let whole = fs::read(written.path()).unwrap();
    let mut numbers = Numbers(11);
    let mut told = 0;
    for round in 0..4000 {
        let mut bytes = whole.clone();
        let mut lines = written.lines.clone();
        let (at, other) = (numbers.below(bytes.len()), numbers.below(bytes.len()));
        let (line, to) = (numbers.below(lines.len()), numbers.below(lines.len()));
        match numbers.below(7) {
            0 => bytes[at] ^= 1 << numbers.below(8),
            1 => bytes.insert(at, numbers.below(256) as u8),
            2 => drop(bytes.drain(at.min(other)..at.max(other))),
            3 => bytes.truncate(at),
            4 => drop(lines.remove(line)),
            5 => lines.swap(line, to),
            _ => lines.insert(to, lines[line].clone()),
        }
        if lines != written.lines {
            bytes = lines.iter().map(|line| format!("{line}\n")).collect::<String>().into_bytes();
        }
        if verify(PIPELINE, log::Lines::new(bytes.clone())).is_err() {
            told += 1;
            continue;
        }
        let entries: Vec<Entry> = log::Lines::new(bytes).flatten().collect();
        match compare(&entries, &written.entries) {
            Err(_) => told += 1,
            // Nothing happened, or a space where JSON may have one: the entries are what they were.
            Ok(()) => assert_eq!(entries, written.entries, "round {round}"),
        }
    }
    assert!(told > 3400, "{told}");
}
