//! The file: what crashes leave, and processes at once.

use super::*;

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
    Log::open(folder.path(), PIPELINE).unwrap().append(event(Action::Start, ""), None).unwrap();
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
    assert_eq!(check(&path).unwrap().entries, 61);
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

#[test]
fn an_actor_is_one_line_and_a_pipeline_no_path() {
    let written = Written::new(1);
    let actor = format!("ada\n\u{1b}[2J{}", "x".repeat(10 << 20));
    let entry = written.log().append(Event { actor, ..event(Action::Deny, "") }, None).unwrap();
    assert!(entry.actor.starts_with("ada  [2Jxxx") && entry.actor.len() <= MAX_NAME_BYTES);
    assert_eq!(check(&written.path()).unwrap().entries, 2);
    for name in ["../clicks", "a/b", "", ".", "clicks\n", &"x".repeat(300)] {
        let error = Log::open(written.folder.path(), name).unwrap_err();
        assert!(matches!(error, AuditError::Name(_)), "{name:?}: {error}");
    }
}

#[test]
fn what_cannot_be_written_is_an_error_and_leaves_the_chain_as_it_was() {
    let written = Written::new(2);
    let (path, aside) = (written.path(), written.folder.path().join("aside"));
    fs::rename(&path, &aside).unwrap();
    // Whatever the reason is: nothing can be written where a folder is.
    fs::create_dir(&path).unwrap();
    let error = written.log().append(event(Action::Swap, ""), None).unwrap_err();
    assert!(matches!(error, AuditError::Disk { .. }), "{error}");
    assert_eq!(error.fault(), clickmill_core::Fault::Environment);
    fs::remove_dir(&path).unwrap();
    fs::rename(&aside, &path).unwrap();
    let entry = written.log().append(event(Action::Swap, ""), None).unwrap();
    assert_eq!((entry.sequence, &entry.previous), (3, &written.entries[1].hash));
    assert_eq!(check(&path).unwrap().entries, 3);
}

#[cfg(unix)]
#[test]
fn the_file_is_for_the_user_alone() {
    assert!(!clickmill_core::private::is_open_to_others(&Written::new(1).path()).unwrap());
}

/// Whoever may write to the folder of logs is not to have other files written or read by it.
#[test]
fn a_link_of_another_user_is_neither_followed_nor_read() {
    use std::os::unix::fs::{lchown, symlink};
    let written = Written::new(1);
    let elsewhere = tempfile::tempdir().unwrap();
    let [there, new] = ["there", "new"].map(|name| elsewhere.path().join(name));
    fs::write(&there, "no line").unwrap();
    for target in [&there, &new] {
        fs::remove_file(written.path()).unwrap();
        symlink(target, written.path()).unwrap();
        // Our own may lead elsewhere.
        assert!(read(&written.path()).is_ok() || !target.exists());
        // Others' links are made by root alone.
        if lchown(written.path(), Some(12_345), None).is_err() {
            return;
        }
        let refused = written.log().append(event(Action::Stop, ""), None).unwrap_err();
        let unread = read(&written.path()).unwrap_err();
        let told = [refused, unread].map(|error| clickmill_core::causes(&error));
        let is_told = |told: &String| told.contains("is a link of another user");
        assert!(is_told(&told[0]) && (is_told(&told[1]) || !target.exists()), "{told:?}");
    }
    assert_eq!(fs::read_to_string(&there).unwrap(), "no line");
    assert!(!new.exists() && torn(written.folder.path()).is_empty());
}
