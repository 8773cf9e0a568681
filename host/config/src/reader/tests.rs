use std::process::Command;

use super::*;
use clickmill_core::causes;

const LETTERS: &str = include_str!("../../../../schemas/dead_letter.json");

const FILE: &str = r#"
name = "again"
source = { kind = "generator", data = "clicks", rate = 100 }
sink = { table = "test.out", schema = "out.json" }
dead_letter = { table = "test.dead_letter", schema = "letters.json" }
"#;

#[test]
fn a_file_that_is_read_again_says_which_sections_are_different() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("out.json"), r#"[{"name": "payload", "type": "STRING"}]"#).unwrap();
    std::fs::write(at("letters.json"), LETTERS).unwrap();
    std::fs::write(at("again.toml"), FILE).unwrap();
    let file = PipelineFile { path: at("again.toml"), overrides: Vec::new() };
    let (before, digest) = file.read().map_err(|error| causes(&error)).unwrap();
    assert_eq!(digest, Digest::of(FILE.as_bytes()));
    for (text, wanted) in [
        (format!("# a word\n{FILE}"), &[][..]),
        (FILE.replace("rate = 100", "rate = 200"), &["source"]),
        (FILE.replace("test.out", "test.other"), &["sink"]),
        (format!("{FILE}workers = 3\nguard = {{ off = true }}\n"), &["guard", "workers"]),
        (format!("{FILE}guard = {{ allow = {{ payload = '^a' }} }}\n"), &["guard"]),
        (format!("{FILE}warehouse = {{ retention_days = 400 }}\n"), &["warehouse"]),
    ] {
        std::fs::write(&file.path, &text).unwrap();
        let (now, digest) = file.read().map_err(|error| causes(&error)).unwrap();
        assert_eq!((before.differs(&now), digest), (wanted.to_vec(), Digest::of(text.as_bytes())));
    }
    // The schema belongs to the section that names it.
    std::fs::write(&file.path, FILE).unwrap();
    std::fs::write(at("out.json"), r#"[{"name": "other", "type": "STRING"}]"#).unwrap();
    assert_eq!(before.differs(&file.read().unwrap().0), ["sink"]);
}

#[test]
fn a_link_is_followed_and_a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("file"), "half = ").unwrap();
    std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    for (name, words) in [
        ("link", "is not TOML: line 1, column"),
        ("pipe", "a pipe or a device"),
        ("none", "No such file"),
        (".", "a folder"),
    ] {
        let file = PipelineFile { path: at(name), overrides: Vec::new() };
        let error = causes(&file.read().unwrap_err());
        assert!(error.contains(words), "{name}: {error}");
    }
}

#[test]
fn a_spool_is_a_folder_or_off_in_the_file_and_where_it_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("out.json"), r#"[{"name": "payload", "type": "STRING"}]"#).unwrap();
    std::fs::write(at("letters.json"), LETTERS).unwrap();
    let with = |spool: &str| FILE.replace("\"letters.json\"", &format!("\"letters.json\"{spool}"));
    for (text, set, wanted) in [
        (FILE.to_owned(), None, Some("clickmill-data/spool".into())),
        (with(", spool = \"letters\""), None, Some(at("letters"))),
        (with(", spool = \"off\""), None, None),
        (FILE.to_owned(), Some("dead_letter.spool=off"), None),
        (with(", spool = \"off\""), Some("dead_letter.spool=/letters"), Some("/letters".into())),
    ] {
        std::fs::write(at("spool.toml"), &text).unwrap();
        let overrides = set.map(str::to_owned).into_iter().collect();
        let file = PipelineFile { path: at("spool.toml"), overrides };
        let (pipeline, _) = file.read().map_err(|error| causes(&error)).unwrap();
        assert_eq!(pipeline.dead_letter.spool, wanted, "{text} {set:?}");
    }
}
