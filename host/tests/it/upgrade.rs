//! What an earlier version left behind is taken up: a warehouse with its ledger, letters and kept plugin
//! sets, a log that is not packed, a spool, an audit log. `fixtures/c8b70ae/README.md` says what lies there.

use std::path::{Path, PathBuf};
use std::process::Command;

use arrow::ipc::reader::FileReader;
use serde_json::Value as Json;

use crate::cloud::summary;
use crate::emulators::Storage;
use crate::live::Live;
use crate::support::{Scratch, root};

/// A folder that is the same wherever the fixture is laid out: the ledger knows a file by its path.
const IN: &str = "/proc/self/cwd/in";
const LEDGER: &str = "SELECT COUNT(*) FROM clickstream_analytics.load_ledger";
const KINDS: &str = "SELECT COUNT(*) FROM clickstream_analytics.kinds";
const RESOLVED: &str =
    "SELECT COUNT(*) FROM clickstream_analytics.dead_letters WHERE resolved_at IS NOT NULL";

/// What c8b70ae left, laid out in a scratch folder.
struct Left {
    scratch: Scratch,
    /// What that version answered of it.
    counts: Vec<Json>,
}

impl Left {
    fn lay_out() -> Self {
        let scratch = Scratch::new();
        let archive = root().join("host/tests/fixtures/c8b70ae/state.tar.gz");
        // With the files' times, by which the ledger knows them.
        let mut tar = Command::new("tar");
        tar.arg("-xzf").arg(archive).arg("-C").arg(scratch.folder.path());
        assert!(tar.status().expect("tar is installed").success());
        let counts = std::fs::read_to_string(scratch.path("counts.jsonl")).unwrap();
        let counts = counts.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        Self { scratch, counts }
    }

    fn count(&self, what: &str) -> u64 {
        let found = self.counts.iter().find(|count| count["what"] == what);
        found.expect("the fixture has it")["n"].as_u64().unwrap()
    }

    fn number(&self, sql: &str) -> u64 {
        self.scratch.number(sql)
    }

    /// Loads objects; returns the summary.
    fn load(&self, source: &str) -> Json {
        self.scratch.summary(Path::new("batch.toml"), &[&format!("source.uri={source}")])
    }

    /// The files of the logs of a table.
    fn logged(&self, table: &str) -> Vec<PathBuf> {
        let folder = self.scratch.path("warehouse/_log/clickstream_analytics").join(table);
        let logs = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let files = logs.filter_map(|log| std::fs::read_dir(log.path()).ok()).flatten().flatten();
        files.map(|file| file.path()).filter(|path| path.extension().is_some()).collect()
    }

    /// How many letters wait in the spool.
    fn spooled(&self) -> u64 {
        let files = std::fs::read_dir(self.scratch.path("spool/clicks")).unwrap().flatten();
        let files = files.map(|file| file.path());
        let waiting = files.filter(|path| path.extension().is_some_and(|e| e == "arrow"));
        let letters = |path: PathBuf| -> u64 {
            let file = FileReader::try_new(std::fs::File::open(path).unwrap(), None).unwrap();
            file.map(|letters| letters.unwrap().num_rows() as u64).sum()
        };
        waiting.map(letters).sum()
    }
}

#[test]
fn the_views_answer_what_the_version_before_answered() {
    let left = Left::lay_out();
    for (what, of) in [
        ("kinds", "kinds"),
        ("clicks_raw", "clicks_raw"),
        ("clicks", "clicks"),
        ("letters", "dead_letters"),
        ("audit", "audit_log"),
        ("resolved", "dead_letters WHERE resolved_at IS NOT NULL"),
    ] {
        let sql = format!("SELECT COUNT(*) FROM clickstream_analytics.{of}");
        assert_eq!(left.number(&sql), left.count(what), "{what}");
    }
    // Messages that are there twice, or the view would be tried on nothing.
    assert!(left.count("clicks_raw") > left.count("clicks"));
    left.scratch.done(&["audit", "verify"]);
}

#[test]
fn nothing_that_the_version_before_loaded_is_loaded_again() {
    let left = Left::lay_out();
    let loads = left.number(LEDGER);
    // By the names it was loaded by, and by others.
    for name in ["a.csv", "b [1] ż.csv", "*.csv", ""] {
        let source = format!("{IN}/{name}");
        let summary = left.load(&source);
        assert_eq!(summary["objects_loaded"], 0, "{source}: {summary:#}");
    }
    assert_eq!((left.number(KINDS), left.number(LEDGER)), (left.count("kinds"), loads));
    // An object that was not there then is loaded.
    std::fs::write(left.scratch.path("in/c.csv"), "id,kind\n301,good\n302,bad\n").unwrap();
    assert_eq!(left.load(&format!("{IN}/*.csv"))["rows_in"], 2);
    assert_eq!((left.number(KINDS), left.number(LEDGER)), (left.count("kinds") + 1, loads + 1));
    left.scratch.done(&["audit", "verify"]);
}

#[test]
fn nothing_that_the_version_before_loaded_from_cloud_storage_is_loaded_again() {
    // One was named, the other listed: by these names, and the other way round.
    let names = ["named/named.csv", "listed/*.csv", "named/*.csv", "listed/listed.csv", "**/*.csv"];
    nothing_is_loaded_from_cloud_storage(&names);
}

/// Loads by these names load nothing.
#[track_caller]
fn nothing_is_loaded_from_cloud_storage(names: &[&str]) {
    let left = Left::lay_out();
    let loads = left.number(LEDGER);
    let storage = Storage::start_at(1_700_000_000_000_000);
    for object in ["named", "listed"] {
        let bytes = std::fs::read(left.scratch.path(&format!("cloud/{object}.csv"))).unwrap();
        storage.put(&format!("{object}/{object}.csv"), &bytes);
    }
    for name in names {
        let source = format!("source.uri=gs://lake/{name}");
        let mut run = left.scratch.command(&["run", "--json", "batch.toml", "--set", &source]);
        run.env("STORAGE_EMULATOR_HOST", format!("http://{}", storage.address));
        let summary = summary(&run.output().unwrap());
        assert_eq!(summary["objects_loaded"], 0, "{name}: {summary:#}");
    }
    assert_eq!((left.number(KINDS), left.number(LEDGER)), (left.count("kinds"), loads));
}

#[test]
fn letters_of_the_version_before_are_replayed_and_resolved_once() {
    let left = Left::lay_out();
    let replay = |refuse: &str| -> Json {
        let set = format!("plugin.check.config.refuse={refuse}");
        let replay = ["dead-letter", "replay", "batch.toml", "--json", "--set", &set];
        let of_this = ["--where", "pipeline = 'kinds'"];
        serde_json::from_str(&left.scratch.done(&[&replay[..], &of_this].concat())).unwrap()
    };
    // Those of a.csv that are odd have been replayed before: there are those of b.csv, and all the bad ones.
    let odd = replay(r#"["bad"]"#);
    let (before, after) = (left.count("resolved"), left.number(RESOLVED));
    assert!(odd["resolved"].as_u64() > Some(0), "{odd:#}");
    assert_eq!(odd["resolved"].as_u64(), Some(after - before));
    assert_eq!(left.number(KINDS), left.count("kinds") + after - before);
    let bad = replay("[]");
    assert_eq!(bad["resolved"], bad["letters"], "{bad:#}");
    assert_eq!(replay("[]")["letters"], 0);
    // Every record is a row now, once.
    let records = "SELECT COUNT(DISTINCT CONCAT(source, '#', CAST(source_line AS STRING))) FROM clickstream_analytics.kinds";
    assert_eq!((left.number(KINDS), left.number(records)), (280, 280));
    left.scratch.done(&["audit", "verify"]);
}

#[test]
fn a_stream_goes_on_with_the_swapped_set_the_spool_and_the_log_of_the_version_before() {
    let left = Left::lay_out();
    let spooled = left.spooled();
    assert!(!left.logged("clicks_raw").is_empty() && spooled > 0, "the fixture has both");
    // That version locks nothing of what it is making: a week says that nobody is.
    let staging = left.scratch.path("warehouse/_staging");
    let week = std::time::Duration::from_secs(8 * 24 * 3600);
    for entry in std::fs::read_dir(&staging).unwrap().flatten() {
        let file = std::fs::File::options().write(true).open(entry.path()).unwrap();
        file.set_modified(std::time::SystemTime::now() - week).unwrap();
    }
    let live = Live::start(&left.scratch, Path::new("stream.toml"), &[]);
    live.wait_for_rows(1, 100);
    let history = live.history();
    let talk = live.talk();
    let summary = live.end();
    // The swap counts, or the run says why not.
    let note = "errors are events";
    assert!(history.iter().any(|version| version["note"] == note), "{history:?}\n{talk}");
    let rows = "SELECT COUNT(*) FROM clickstream_analytics.";
    let (out, rejected) = (summary["rows_out"].as_u64(), summary["rows_rejected"].as_u64());
    let (out, rejected) = (out.unwrap(), rejected.unwrap());
    let there = left.number(&format!("{rows}clicks_raw"));
    assert_eq!(there, left.count("clicks_raw") + out);
    assert_eq!(left.number(&format!("{rows}clicks")), left.count("clicks") + out);
    // `error` was refused before the swap, `search` after it. The set may be known by another digest now.
    let made = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw WHERE plugin_set = ";
    let made = format!("{made}'{}'", summary["plugin_set"].as_str().unwrap());
    assert_eq!(left.number(&made), out);
    assert_eq!(left.number(&format!("{made} AND event_type = 'search'")), 0);
    // What waited in the spool is among the letters, each once.
    assert_eq!(left.spooled(), 0);
    let letters = left.number(&format!("{rows}dead_letters"));
    let all = left.number(&format!("{rows}dead_letter"));
    assert_eq!(letters, all);
    assert_eq!(letters, left.count("letters") + spooled + rejected);
    // Nor is anything left of what the killed run had begun.
    let staged = std::fs::read_dir(&staging);
    assert_eq!(staged.map_or(0, Iterator::count), 0);
    // No row is in the log alone: other tools see the table's folder only.
    let packed = packed_rows(&left);
    assert_eq!(packed, there);
    left.scratch.done(&["audit", "verify"]);
}

/// How many rows the files in the folder of `clicks_raw` have: what other tools see.
fn packed_rows(left: &Left) -> u64 {
    // Without their log, queries read that folder only.
    std::fs::remove_dir_all(left.scratch.path("warehouse/_log")).unwrap();
    left.number("SELECT COUNT(*) FROM clickstream_analytics.clicks_raw")
}
