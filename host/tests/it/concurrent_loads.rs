//! Any number of runs at once over the same objects and one warehouse, killed at any moment: the rows of
//! each object are there once, and a run leaves alone what another has loaded.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value as Json;

use crate::cloud::wait_until;
use crate::emulators::Storage;
use crate::support::{Process, Scratch, conserved, plugins, root};

pub(crate) const WAITS: &str = "another run is loading this object, waiting for it";

/// A run. It does not outlive the test, stopped or not.
pub(crate) struct Run {
    child: Process,
    talk: PathBuf,
}

impl Run {
    /// Starts a run; `name` is for what it says.
    pub(crate) fn start(scratch: &Scratch, name: &str, mut command: Command) -> Self {
        let talk = scratch.path(&format!("{name}.log"));
        let log = std::fs::File::create(&talk).unwrap();
        let child = Process::spawn(command.stdout(Stdio::piped()).stderr(log));
        Self { child, talk }
    }

    /// What it has said so far.
    pub(crate) fn talk(&self) -> String {
        std::fs::read_to_string(&self.talk).unwrap()
    }

    pub(crate) fn signal(&self, name: &str) {
        crate::cloud::signal(&self.child, name);
    }

    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Whether it has this file open.
    fn reads(&self, file: &Path) -> bool {
        let open = std::fs::read_dir(format!("/proc/{}/fd", self.child.id()));
        let mut open = open.into_iter().flatten().flatten();
        open.any(|entry| std::fs::read_link(entry.path()).is_ok_and(|path| path == file))
    }

    /// Whether none of its threads goes on.
    fn is_stopped(&self) -> bool {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id()));
        let states: Vec<Option<char>> = threads
            .into_iter()
            .flatten()
            .flatten()
            .map(|thread| {
                // The name before it, in brackets, may hold anything.
                let stat = std::fs::read_to_string(thread.path().join("stat")).ok()?;
                stat.rsplit_once(") ")?.1.chars().next()
            })
            .collect();
        !states.is_empty() && states.iter().all(|state| *state == Some('T'))
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> (ExitStatus, String) {
        let mut stdout = String::new();
        let mut pipe = self.child.stdout.take().unwrap();
        std::io::Read::read_to_string(&mut pipe, &mut stdout).unwrap();
        (self.child.wait().unwrap(), stdout)
    }

    /// Waits for its end, which has to be a good one.
    #[track_caller]
    pub(crate) fn summary(self) -> Json {
        self.ended(0)
    }

    /// Waits for its end, which has to be of this exit code.
    #[track_caller]
    fn ended(mut self, code: i32) -> Json {
        let (status, stdout) = self.wait();
        assert_eq!(status.code(), Some(code), "{}", self.talk());
        let summary = serde_json::from_str(&stdout).unwrap();
        conserved(&summary);
        summary
    }
}

/// A run that is stopped in the middle of reading `object`: it has begun that one and none after it. Seen
/// rather than timed: one that has got past it before the signal came is started anew, by `start` with
/// the number of the try. The run has to name its objects by a pattern: one that is named itself is
/// opened while it is looked for, too.
pub(crate) fn caught(object: &Path, mut start: impl FnMut(u32) -> Run) -> (Run, u32) {
    let object = object.canonicalize().unwrap();
    for number in 0..50 {
        let mut run = start(number);
        while !run.reads(&object) && !run.has_ended() {
            std::thread::sleep(Duration::from_micros(200));
        }
        if run.has_ended() {
            continue;
        }
        run.signal("-STOP");
        while !run.is_stopped() && !run.has_ended() {
            std::thread::sleep(Duration::from_micros(200));
        }
        if !run.has_ended() && run.reads(&object) {
            return (run, number);
        }
    }
    panic!("no run was caught while it read `{}`", object.display());
}

pub(crate) fn batch() -> String {
    root().join("host/pipelines/batch.toml").to_string_lossy().into_owned()
}

/// Generates objects in folder `in`: names and how many rows.
pub(crate) fn objects(scratch: &Scratch, objects: &[(&str, u32)]) {
    plugins();
    std::fs::create_dir(scratch.path("in")).unwrap();
    for (seed, (name, rows)) in objects.iter().enumerate() {
        let (rows, seed) = (rows.to_string(), seed.to_string());
        let output = format!("in/{name}");
        scratch.done(&[
            "generate", "shop", "--rows", &rows, "--seed", &seed, "--bad", "2%", "--output",
            &output,
        ]);
    }
}

/// A run over objects of folder `in` into the warehouse on the disk.
pub(crate) fn over(scratch: &Scratch, pattern: &str) -> Command {
    let source = format!("source.uri=in/{pattern}");
    scratch.command(&["run", "--json", &batch(), "--set", &source])
}

/// See [`caught`]; the warehouse is empty when the run starts.
pub(crate) fn caught_over(scratch: &Scratch, pattern: &str, object: &str) -> Run {
    let start = |_| {
        forget(scratch);
        Run::start(scratch, "caught", over(scratch, pattern))
    };
    caught(&scratch.path("in").join(object), start).0
}

pub(crate) fn forget(scratch: &Scratch) {
    let warehouse = scratch.path("warehouse");
    if warehouse.exists() {
        std::fs::remove_dir_all(warehouse).unwrap();
    }
}

/// What a query in the same surroundings answers.
pub(crate) fn query(command: &dyn Fn(&[&str]) -> Command, sql: &str) -> Vec<Json> {
    let output = command(&["query", "--json", sql]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Everything that two warehouses with the same objects must agree on.
pub(crate) fn content(command: &dyn Fn(&[&str]) -> Command) -> Vec<Json> {
    let rows = "SELECT source, COUNT(*) AS n, COUNT(DISTINCT source_line) AS places, SUM(source_line) AS checksum \
         FROM clickstream_analytics.clickstream_batch GROUP BY source ORDER BY source";
    let letters = "SELECT source, COUNT(*) AS n, COUNT(DISTINCT letter_id) AS places, SUM(source_line) AS checksum \
         FROM clickstream_analytics.dead_letter GROUP BY source ORDER BY source";
    let loads = "SELECT source, COUNT(*) AS n, SUM(rows_in) AS records, SUM(rows_out) AS kept, SUM(rows_rejected) AS refused \
         FROM clickstream_analytics.load_ledger GROUP BY source ORDER BY source";
    [rows, letters, loads].into_iter().flat_map(|sql| query(command, sql)).collect()
}

pub(crate) fn on_disk(scratch: &Scratch) -> Vec<Json> {
    content(&|arguments| scratch.command(arguments))
}

/// Rows and dead letters of an object, and its entries in the ledger.
pub(crate) fn of(scratch: &Scratch, object: &str) -> (u64, u64) {
    let count = |table: &str| {
        scratch.number(&format!(
            "SELECT COUNT(*) FROM clickstream_analytics.{table} WHERE source LIKE '%/{object}@%'"
        ))
    };
    (count("clickstream_batch") + count("dead_letter"), count("load_ledger"))
}

pub(crate) fn count(summary: &Json, key: &str) -> u64 {
    match &summary[key] {
        Json::Array(list) => list.len() as u64,
        number => number.as_u64().unwrap(),
    }
}

/// Nothing is left in the staging folder.
#[track_caller]
pub(crate) fn nothing_is_staged(scratch: &Scratch) {
    let left = std::fs::read_dir(scratch.path("warehouse/_staging"));
    let left: Vec<_> = left.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_run_that_comes_late_to_an_object_leaves_what_another_has_loaded() {
    let scratch = Scratch::new();
    objects(&scratch, &[("a.csv", 200_000), ("b.csv", 60_000)]);
    // It has asked the ledger for both objects, and is at the first.
    let mut late = caught_over(&scratch, "*.csv", "a.csv");
    let other = Run::start(&scratch, "other", over(&scratch, "b.csv")).summary();
    assert_eq!(count(&other, "objects_loaded"), 1);
    let days = std::fs::read_dir(scratch.path("warehouse/clickstream_analytics/clickstream_batch"));
    let days = days.unwrap().flatten().filter_map(|day| std::fs::read_dir(day.path()).ok());
    let files: Vec<PathBuf> = days.flatten().flatten().map(|file| file.path()).collect();
    let [file] = files.as_slice() else { panic!("{files:?}") };

    late.signal("-CONT");
    // It is killed where it takes away what is loaded, before it can put it back.
    wait_until("the late run to end, or to remove a file", || late.has_ended() || !file.exists());
    late.kill();
    let (status, stdout) = late.wait();
    assert_eq!(of(&scratch, "b.csv"), (60_000, 1), "{status}: {}", late.talk());
    assert!(status.success(), "{status}: {}", late.talk());
    let summary: Json = serde_json::from_str(&stdout).unwrap();
    assert_eq!(summary["rows_in"], 200_000);
    assert!(summary["objects_skipped"][0].as_str().unwrap().ends_with("/in/b.csv"), "{summary:#}");

    let third = Run::start(&scratch, "third", over(&scratch, "*.csv")).summary();
    assert_eq!((count(&third, "objects_loaded"), count(&third, "objects_skipped")), (0, 2));
    assert_eq!(of(&scratch, "a.csv"), (200_000, 1));
    assert_eq!(of(&scratch, "b.csv"), (60_000, 1));
    nothing_is_staged(&scratch);
}

#[test]
fn a_run_waits_for_the_one_that_is_at_its_object_and_then_skips_it() {
    let scratch = Scratch::new();
    objects(&scratch, &[("a.csv", 200_000), ("b.csv", 1_000)]);
    let first = caught_over(&scratch, "*.csv", "a.csv");
    let second = Run::start(&scratch, "second", over(&scratch, "*.csv"));
    wait_until("the second run to wait", || second.talk().contains(WAITS));
    // A stopped process is not a dead one.
    first.signal("-CONT");
    let talk = second.talk.clone();
    let (first, second) = (first.summary(), second.summary());
    assert_eq!(count(&first, "objects_loaded") + count(&second, "objects_loaded"), 2);
    assert_eq!(count(&first, "objects_skipped") + count(&second, "objects_skipped"), 2);
    assert!(second["objects_skipped"][0].as_str().unwrap().ends_with("/in/a.csv"), "{second:#}");
    let talk = std::fs::read_to_string(talk).unwrap();
    let told = talk.lines().filter(|line| line.contains(WAITS) && line.contains("/in/a.csv"));
    assert_eq!(told.count(), 1, "{talk}");
    assert_eq!(of(&scratch, "a.csv"), (200_000, 1));
    assert_eq!(of(&scratch, "b.csv"), (1_000, 1));
    nothing_is_staged(&scratch);
}

#[test]
fn a_run_takes_over_when_the_one_that_is_at_its_object_is_killed() {
    let scratch = Scratch::new();
    objects(&scratch, &[("a.csv", 200_000), ("b.csv", 1_000)]);
    let first = caught_over(&scratch, "*.csv", "a.csv");
    let second = Run::start(&scratch, "second", over(&scratch, "*.csv"));
    wait_until("the second run to wait", || second.talk().contains(WAITS));
    drop(first);
    let second = second.summary();
    assert_eq!((count(&second, "objects_loaded"), count(&second, "objects_skipped")), (2, 0));
    assert_eq!(of(&scratch, "a.csv"), (200_000, 1));
    assert_eq!(of(&scratch, "b.csv"), (1_000, 1));
    nothing_is_staged(&scratch);
}

#[test]
fn a_run_that_waits_ends_when_it_is_interrupted() {
    let scratch = Scratch::new();
    objects(&scratch, &[("a.csv", 200_000), ("b.csv", 1_000)]);
    let first = caught_over(&scratch, "*.csv", "a.csv");
    let second = Run::start(&scratch, "second", over(&scratch, "*.csv"));
    wait_until("the second run to wait", || second.talk().contains(WAITS));
    second.signal("-INT");
    let second = second.ended(3);
    // It has gone on with what nobody was at.
    assert_eq!((count(&second, "objects_loaded"), count(&second, "objects_left")), (1, 1));
    first.signal("-CONT");
    assert_eq!(count(&first.summary(), "objects_loaded"), 1);
    nothing_is_staged(&scratch);
}

/// Moments at which runs are killed, the earliest first.
pub(crate) fn moments(number: u32, within: Duration) -> Vec<Duration> {
    let mut moments: Vec<Duration> =
        (0..number).map(|_| within * (rand::random::<u32>() % 1000) / 1000).collect();
    moments.sort();
    moments
}

#[test]
fn killed_at_any_moment_runs_at_once_load_each_object_once() {
    let scratch = Scratch::new();
    let names = ["a.csv", "b.csv", "c.csv", "d.csv"];
    objects(&scratch, &names.map(|name| (name, 30_000)));
    // The first run may compile the plugins: how long a run takes is told by the second.
    let mut alone = Duration::ZERO;
    let mut wanted = Vec::new();
    for _ in 0..2 {
        forget(&scratch);
        let began = Instant::now();
        Run::start(&scratch, "alone", over(&scratch, "*.csv")).summary();
        alone = began.elapsed();
        wanted = on_disk(&scratch);
    }
    assert_eq!(wanted.len(), 3 * names.len());
    let mut killed = 0;
    for round in 0..16 {
        forget(&scratch);
        let start = |at: u32| Run::start(&scratch, &format!("run-{at}"), over(&scratch, "*.csv"));
        let mut runs: Vec<Run> = (0..3).map(start).collect();
        // None is killed, one, two or all, while they take turns.
        let moments = moments(round % 4, alone * 2);
        let began = Instant::now();
        for (run, moment) in runs.iter_mut().zip(&moments) {
            std::thread::sleep(moment.saturating_sub(began.elapsed()));
            run.kill();
            killed += u32::from(!run.wait().0.success());
        }
        let whole: Vec<Json> = runs.drain(moments.len()..).map(Run::summary).collect();
        let loaded: u64 = whole.iter().map(|summary| count(summary, "objects_loaded")).sum();
        for summary in &whole {
            let all = count(summary, "objects_loaded") + count(summary, "objects_skipped");
            assert_eq!(all, names.len() as u64, "{summary:#}");
        }
        if moments.is_empty() {
            assert_eq!(loaded, names.len() as u64);
        }
        if !whole.is_empty() {
            assert_eq!(on_disk(&scratch), wanted, "round {round}, killed at {moments:?}");
        }
        Run::start(&scratch, "last", over(&scratch, "*.csv")).summary();
        assert_eq!(on_disk(&scratch), wanted, "round {round}, killed at {moments:?}");
        nothing_is_staged(&scratch);
    }
    assert!(killed >= 5, "only {killed} of 24 runs were killed before they ended");
}

/// The binary, with a warehouse in Cloud Storage.
pub(crate) fn in_cloud(
    scratch: &Scratch,
    storage: &Storage,
    folder: &str,
    arguments: &[&str],
) -> Command {
    let local = scratch.command(arguments);
    let mut command = Command::new(local.get_program());
    command.current_dir(scratch.folder.path());
    command.args(local.get_args().take_while(|argument| *argument != "--warehouse"));
    command.args(["--warehouse", &format!("gs://lake/{folder}")]);
    for (name, value) in local.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.env("STORAGE_EMULATOR_HOST", format!("http://{}", storage.address));
    command
}

#[test]
fn in_cloud_storage_one_of_the_runs_at_an_object_is_decided_for() {
    let (scratch, storage) = (Scratch::new(), Storage::start(None));
    objects(&scratch, &[("a.csv", 200_000), ("b.csv", 10_000)]);
    let batch = batch();
    // Late to an object that another loads meanwhile: to the second, which it has not begun, and to the
    // only one, which it has.
    for (pattern, other) in [("*.csv", "b.csv"), ("a*.csv", "a.csv")] {
        let source = format!("source.uri=in/{pattern}");
        let others_source = format!("source.uri=in/{other}");
        let folder = |number: u32| format!("late-{other}-{number}");
        let start = |number| {
            let run = ["run", "--json", &batch, "--set", &source];
            let command = in_cloud(&scratch, &storage, &folder(number), &run);
            Run::start(&scratch, "late", command)
        };
        let (late, number) = caught(&scratch.path("in/a.csv"), start);
        let folder = folder(number);
        let command = |arguments: &[&str]| in_cloud(&scratch, &storage, &folder, arguments);
        let run = ["run", "--json", &batch, "--set", &others_source];
        let summary = Run::start(&scratch, "other", command(&run)).summary();
        assert_eq!(count(&summary, "objects_loaded"), 1, "{summary:#}");
        late.signal("-CONT");
        let summary = late.summary();
        let skipped = summary["objects_skipped"][0].as_str().unwrap();
        assert!(skipped.ends_with(&format!("/in/{other}")), "{summary:#}");
        let run = ["run", "--json", &batch, "--set", "source.uri=in/*.csv"];
        Run::start(&scratch, "last", command(&run)).summary();
        let sql =
            "SELECT SUM(rows_out) AS n, COUNT(*) AS loads FROM clickstream_analytics.load_ledger";
        let entered = query(&command, sql).remove(0);
        let sql = "SELECT COUNT(*) AS n, COUNT(DISTINCT source) AS loads FROM clickstream_analytics.clickstream_batch";
        assert_eq!(query(&command, sql).remove(0), entered);
        assert_eq!(entered["loads"], 2);
    }
}

#[test]
fn in_cloud_storage_too_runs_at_once_load_each_object_once() {
    let (scratch, storage) = (Scratch::new(), Storage::start(None));
    let names = ["a.csv", "b.csv", "c.csv"];
    objects(&scratch, &names.map(|name| (name, 20_000)));
    let batch = batch();
    let run = ["run", "--json", batch.as_str(), "--set", "source.uri=in/*.csv"];
    let round = Cell::new(0);
    let command = |arguments: &[&str]| {
        in_cloud(&scratch, &storage, &format!("round-{}", round.get()), arguments)
    };
    let start = |name: &str| Run::start(&scratch, name, command(&run));
    start("alone").summary();
    round.set(1);
    let began = Instant::now();
    start("alone").summary();
    let alone = began.elapsed();
    let wanted = content(&command);
    for number in 2..10 {
        round.set(number);
        let mut runs: Vec<Run> = (0..3).map(|at| start(&format!("run-{at}"))).collect();
        let moments = moments(number % 4, alone * 2);
        let began = Instant::now();
        for (run, moment) in runs.iter_mut().zip(&moments) {
            std::thread::sleep(moment.saturating_sub(began.elapsed()));
            run.kill();
        }
        for run in runs.drain(moments.len()..) {
            run.summary();
        }
        start("last").summary();
        assert_eq!(content(&command), wanted, "round {number}, killed at {moments:?}");
    }
    let sources: BTreeSet<String> =
        wanted.iter().map(|row| row["source"].as_str().unwrap().to_owned()).collect();
    assert_eq!(sources.len(), names.len());
}
