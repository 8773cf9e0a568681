//! What is changed, removed, moved or added in a chain is told.

use super::*;

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
