//! Processes of one pipeline that agree on one plugin set: all take another up or none, whoever is killed when, and
//! one rollback is everyone's.

mod canary;
mod page;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value as Json;

use crate::cloud::{signal, wait_until};
use crate::emulators::Storage;
use crate::live::{Live, clicks, hostile};
use crate::support::{Process, Scratch};

/// The place of a fleet, and the processes that meet there.
struct Fleet {
    scratch: Scratch,
    pipeline: PathBuf,
    set: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Fleet {
    /// One of the clicks pipeline, in a folder or a bucket.
    fn new(place: &str) -> Self {
        Self::of(Scratch::new(), clicks(), place)
    }

    /// The same in a bucket of an emulator.
    fn in_cloud_storage(storage: &Storage) -> Self {
        let mut fleet = Self::new("gs://lake/fleets/");
        let address = format!("http://{}", storage.address);
        fleet.environment.push(("STORAGE_EMULATOR_HOST".to_owned(), address));
        fleet
    }

    fn of(scratch: Scratch, pipeline: PathBuf, place: &str) -> Self {
        let place = match place {
            folder if !folder.contains("://") => {
                scratch.path(folder).to_string_lossy().into_owned()
            }
            uri => uri.to_owned(),
        };
        let set = [
            format!("swap.fleet={place}"),
            "swap.fleet_interval_secs=1".to_owned(),
            "swap.fleet_deadline_secs=30".to_owned(),
            "source.rate=1000".to_owned(),
            "batch.max_rows=100".to_owned(),
        ];
        let set = set.into_iter().flat_map(|set| ["--set".to_owned(), set]).collect();
        Self { scratch, pipeline, set, environment: Vec::new() }
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.set.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }

    /// A process, once it runs, with more arguments.
    fn replica_with(&self, more: &[&str]) -> Live {
        let environment: Vec<(&str, &str)> =
            self.environment.iter().map(|(name, value)| (&**name, &**value)).collect();
        let pipeline = &self.pipeline;
        let live = Live::start_with(&self.scratch, pipeline, &self.arguments(more), &environment);
        let name = self.status(&live)["replica"].as_str().unwrap().to_owned();
        wait_until("a sign of life", || {
            let status = self.status(&live);
            let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
            replicas.iter().any(|replica| replica["replica"] == *name)
        });
        live
    }

    fn replica(&self) -> Live {
        self.replica_with(&[])
    }

    fn three(&self) -> [Live; 3] {
        std::array::from_fn(|_| {
            let live = self.replica();
            live.wait_for_rows(1, 1000);
            live
        })
    }

    /// What a process says of its fleet.
    fn status(&self, live: &Live) -> Json {
        let mut status = Json::Null;
        wait_until("what a process says of its fleet", || {
            let (code, told) = live.at.json("/v1/fleet");
            status = told;
            code == 200
        });
        status
    }

    fn command(&self, verb: &str, more: &[&str]) -> Command {
        let pipeline = self.pipeline.to_string_lossy().into_owned();
        let verb = ["fleet", verb, &pipeline, "--json"];
        let mut command = self.scratch.command(&[&verb[..], &self.arguments(more)].concat());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn run(&self, verb: &str, more: &[&str]) -> Output {
        self.command(verb, more).output().unwrap()
    }

    /// Asks for something that is done, and returns what came of it.
    #[track_caller]
    fn done(&self, verb: &str, more: &[&str]) -> Json {
        let output = self.run(verb, more);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Waits until all of these run the set of the fleet, and returns that.
    #[track_caller]
    fn agree(&self, replicas: &[Live]) -> String {
        let mut set = String::new();
        wait_until("all to run one set", || {
            let status = self.done("status", &[]);
            let running: Vec<String> = replicas.iter().map(running).collect();
            let of_fleet = status["plugin_set"].as_str().map(str::to_owned);
            set = of_fleet.unwrap_or_else(|| running[0].clone());
            status["open"].is_null() && running.iter().all(|running| *running == set)
        });
        set
    }
}

/// The set that a process runs.
fn running(live: &Live) -> String {
    let (_, versions) = live.at.json("/v1/plugins");
    versions[0]["plugin_set"].as_str().unwrap_or_default().to_owned()
}

/// Ends a process: what came in is a row, a letter, or was dropped.
#[track_caller]
fn end(live: Live) {
    let summary = live.end();
    let count = |name: &str| summary[name].as_u64().unwrap();
    let out = count("rows_out") + count("rows_rejected") + count("rows_filtered");
    assert_eq!(count("rows_in"), out, "{summary:#}");
}

/// Of every row it is known which plugins made it.
fn all_rows_are_made_by_known_sets(fleet: &Fleet) {
    let unknown = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw \
                   WHERE plugin_set NOT IN (SELECT plugin_set FROM clickstream_analytics.plugin_sets)";
    assert_eq!(fleet.scratch.number(unknown), 0);
}

fn commits_and_goes_back(fleet: &Fleet) {
    let replicas = fleet.three();
    let before = fleet.agree(&replicas);
    let swapped = fleet.done("swap", &["--config", "mask.key_id=k2", "--note", "a new key"]);
    assert_eq!((&swapped["committed"], &swapped["entry"]), (&Json::Bool(true), &Json::from(1)));
    assert_eq!(swapped["followed"].as_array().unwrap().len(), 3, "{swapped:#}");
    let after = fleet.agree(&replicas);
    assert_eq!(swapped["plugin_set"], *after);
    assert_ne!(after, before);
    // Letters are replayed by it.
    let pipeline = fleet.pipeline.to_string_lossy().into_owned();
    let replay = ["dead-letter", "replay", pipeline.as_str(), "--dry-run", "--json"];
    let told = fleet.scratch.done(&[&replay[..], &fleet.arguments(&[])].concat());
    let told: Json = serde_json::from_str(&told).unwrap();
    assert_eq!(told["plugin_set"], *after);
    // One that starts begins with it.
    let late = fleet.replica();
    assert_eq!(running(&late), after);
    let replicas: Vec<Live> = replicas.into_iter().chain([late]).collect();
    // Each has entered it, by the name of who asked.
    let status = fleet.done("status", &[]);
    assert_eq!(status["entry"], 1);
    assert_eq!(status["log"][0]["decision"]["commit"], true);
    let told = status["replicas"].as_array().unwrap();
    assert_eq!(told.iter().filter(|replica| replica["live"] == true).count(), 4, "{status:#}");
    assert!(told.iter().all(|replica| replica["plugin_set"] == *after), "{status:#}");
    // A process of a fleet does nothing alone.
    let error = replicas[0].swap(&fleet.scratch, &["--config", "mask.key_id=k3"]).unwrap_err();
    assert!(error.contains("clickmill fleet swap PIPELINE.toml"), "{error}");
    // One goes back, by hand, and so do all, the one that never ran what was before too.
    fleet.scratch.done(&[
        "plugin",
        "rollback",
        "--admin",
        &replicas[1].admin,
        "--note",
        "too soon",
    ]);
    wait_until("the rollback to be everyone's", || fleet.done("status", &[])["entry"] == 0);
    assert_eq!(fleet.agree(&replicas), before);
    let status = fleet.done("status", &[]);
    assert_eq!(status["log"][1]["entry"]["reason"], "too soon", "{status:#}");
    // What was given up is not taken up by the next start.
    let next = fleet.replica();
    assert_eq!(running(&next), before);
    end(next);
    replicas.into_iter().for_each(end);
    all_rows_are_made_by_known_sets(fleet);
    let entries = "SELECT COUNT(*) FROM clickstream_analytics.audit_log WHERE action = 'swap'";
    assert_eq!(fleet.scratch.number(entries), 3);
    let entries = "SELECT COUNT(*) FROM clickstream_analytics.audit_log WHERE action = 'rollback'";
    assert_eq!(fleet.scratch.number(entries), 4);
}

#[test]
fn all_take_a_set_up_and_one_rollback_is_everyones_in_a_folder() {
    commits_and_goes_back(&Fleet::new("fleet"));
}

#[test]
fn all_take_a_set_up_and_one_rollback_is_everyones_in_cloud_storage() {
    let storage = Storage::start(None);
    commits_and_goes_back(&Fleet::in_cloud_storage(&storage));
}

#[test]
fn all_take_a_set_up_and_one_rollback_is_everyones_though_answers_are_lost() {
    let storage = Storage::losing_answers();
    commits_and_goes_back(&Fleet::in_cloud_storage(&storage));
}

/// As a folder is listed while files come and go, and as one is removed before who has listed it reads it.
#[test]
fn nobody_is_left_out_while_a_sign_of_life_takes_the_place_of_another() {
    let mut fleet = Fleet::new("fleets");
    fleet.set.extend(["--set".to_owned(), "swap.fleet_interval_secs=0.1".to_owned()]);
    let replicas = [fleet.replica(), fleet.replica()];
    for _ in 0..150 {
        let status = fleet.done("status", &[]);
        assert_eq!(status["replicas"].as_array().map(Vec::len), Some(2), "{status:#}");
    }
    replicas.into_iter().for_each(end);
}

/// `/readyz` answers anybody: it has words of ours, and no place.
#[test]
fn who_cannot_see_the_fleet_is_not_ready_and_tells_strangers_no_place() {
    let fleet = Fleet::new("fleets");
    let live = fleet.replica();
    let place = fleet.scratch.path("fleets");
    std::fs::rename(&place, fleet.scratch.path("elsewhere")).unwrap();
    std::fs::write(&place, "no folder").unwrap();
    let mut told = String::new();
    wait_until("no readiness", || {
        let (status, why) = live.at.get("/readyz");
        told = why;
        status == 503
    });
    assert_eq!(told, "it does not follow its fleet: `/v1/fleet` and the log say why\n");
    let (_, status) = live.at.json("/v1/status");
    assert!(status["problems"][0].as_str().unwrap().contains("fleets"), "{status:#}");
    std::fs::remove_file(&place).unwrap();
    std::fs::rename(fleet.scratch.path("elsewhere"), &place).unwrap();
    wait_until("readiness", || live.at.get("/readyz").0 == 200);
    end(live);
}

#[test]
fn one_refusal_leaves_all() {
    let fleet = Fleet::new("fleet");
    let strict = fleet.replica_with(&["--set", "swap.max_changed_share=0"]);
    strict.wait_for_rows(1, 3000);
    let replicas = [fleet.replica(), strict];
    let before = fleet.agree(&replicas);
    let output = fleet.run("swap", &["--config", "mask.key_id=k2"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("came to nothing, what ran before still runs"), "{errors}");
    assert!(errors.contains("check `shadow`") && errors.contains("other values"), "{errors}");
    assert_eq!(fleet.agree(&replicas), before);
    // What changes nothing that it minds counts.
    let rules = r#"validate.rules=[{"required":{"columns":["event_type"]}}]"#;
    fleet.done("swap", &["--config", rules]);
    assert_ne!(fleet.agree(&replicas), before);
    replicas.into_iter().for_each(end);
}

#[test]
fn who_is_stopped_or_killed_blocks_nobody_and_follows_when_it_goes_on() {
    let fleet = Fleet::new("fleet");
    let [mut killed, stopped, living] = fleet.three();
    let before = running(&living);
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    signal(&stopped.child, "-STOP");
    // Until their signs of life are too old.
    let swapped = fleet.done("swap", &["--config", "mask.key_id=k2"]);
    assert_eq!(swapped["committed"], true);
    assert_ne!(running(&living), before);
    wait_until("the gone to be told", || {
        let status = fleet.done("status", &[]);
        let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
        replicas.iter().filter(|replica| replica["live"] == false).count() == 2
    });
    signal(&stopped.child, "-CONT");
    let replicas = [stopped, living];
    assert_eq!(swapped["plugin_set"], *fleet.agree(&replicas));
    replicas.into_iter().for_each(end);
    all_rows_are_made_by_known_sets(&fleet);
}

#[test]
fn where_all_are_gone_it_is_told_what_is_waited_for() {
    let fleet = Fleet::new("fleet");
    let [mut first, mut last] = [fleet.replica(), fleet.replica()];
    let kill = |live: &mut Live| {
        live.child.kill().unwrap();
        live.child.wait().unwrap();
    };
    kill(&mut first);
    wait_until("the first to be gone", || {
        let status = fleet.done("status", &[]);
        let replicas = status["replicas"].as_array().cloned().unwrap_or_default();
        replicas.iter().any(|replica| replica["live"] == false)
    });
    kill(&mut last);
    // No further sign comes: that is known after three intervals.
    let output = fleet.run("status", &[]);
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert!(told.contains("these seem gone: waiting for another sign of life"), "{told}");
    let status: Json = serde_json::from_slice(&output.stdout).unwrap();
    let replicas = status["replicas"].as_array().unwrap();
    assert!(replicas.iter().all(|replica| replica["live"] == false), "{status:#}");
}

/// Whether proposal `n` has come so far.
type Step<'a> = Box<dyn Fn(&Path, u64) -> bool + 'a>;

/// Starts a proposal, and waits until an object of it is there.
fn proposed(fleet: &Fleet, key: &str, appears: impl Fn(&Path) -> bool) -> Process {
    let place = fleet.scratch.path("fleet/clicks-stream");
    let key = format!("mask.key_id={key}");
    let mut command = fleet.command("swap", &["--config", &key]);
    let proposal = Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));
    wait_until("a step of the proposal", || appears(&place));
    proposal
}

/// Kills a replica while something is proposed. That ends, whichever way, and not later than it may take; another
/// replica begins with what all run then.
fn is_replaced(fleet: &Fleet, replicas: &mut Vec<Live>, at: usize, proposal: Process, step: &str) {
    let mut killed = replicas.remove(at);
    killed.child.kill().unwrap();
    killed.child.wait().unwrap();
    proposal.wait_with_output().unwrap();
    let set = fleet.agree(replicas);
    let next = fleet.replica();
    assert_eq!(running(&next), set, "{step}");
    next.wait_for_rows(1, 500);
    replicas.push(next);
}

#[test]
fn killed_at_every_step_the_others_agree_and_so_does_who_starts() {
    let fleet = Fleet::new("fleet");
    let mut replicas: Vec<Live> = fleet.three().into();
    fleet.agree(&replicas);
    let there = |place: &Path, name: &str| place.join(name).exists();
    let votes = |place: &Path, number: u64| {
        std::fs::read_dir(place.join(format!("votes/{number:06}"))).map_or(0, Iterator::count)
    };
    let steps: [(&str, Step<'_>); 4] = [
        ("proposed", Box::new(|place, number| there(place, &format!("log/{number:06}.json")))),
        ("a vote", Box::new(|place, number| votes(place, number) >= 1)),
        ("all votes", Box::new(|place, number| votes(place, number) >= 3)),
        ("decided", Box::new(|place, number| there(place, &format!("decisions/{number:06}.json")))),
    ];
    for (at, (step, appears)) in steps.iter().enumerate() {
        let number = at as u64 + 1;
        let key = format!("k{}", at + 2);
        let proposal = proposed(&fleet, &key, |place| appears(place, number));
        is_replaced(&fleet, &mut replicas, 0, proposal, step);
    }
    // So is whoever asked.
    let place = fleet.scratch.path("fleet/clicks-stream/log/000005.json");
    let mut asked = proposed(&fleet, "k9", |_| place.exists());
    asked.kill().unwrap();
    fleet.agree(&replicas);
    replicas.into_iter().for_each(end);
    all_rows_are_made_by_known_sets(&fleet);
}

#[test]
fn a_set_that_turns_bad_is_given_up_by_all() {
    let scratch = Scratch::new();
    let pipeline = hostile(&scratch, "");
    let fleet = Fleet::of(scratch, pipeline, "fleet");
    let replicas = fleet.three();
    let before = fleet.agree(&replicas);
    let bad_from = clickmill_core::Micros::now().get() + 20_000_000;
    let bad = format!("hostile.bad_from={bad_from}");
    fleet.done("swap", &["--config", &bad, "--config", "hostile.misdeed=turn"]);
    wait_until("a rollback", || fleet.done("status", &[])["entry"] == 0);
    assert_eq!(fleet.agree(&replicas), before);
    let status = fleet.done("status", &[]);
    let reason = status["log"][1]["entry"]["reason"].as_str().unwrap();
    assert!(reason.starts_with("it rejects "), "{status:#}");
    replicas.into_iter().for_each(end);
}

#[test]
fn who_cannot_make_what_the_fleet_goes_back_to_does_not_go_on_with_another_set() {
    let scratch = Scratch::new();
    let pipeline = hostile(&scratch, "");
    let fleet = Fleet::of(scratch, pipeline, "fleet");
    let first = fleet.replica();
    first.wait_for_rows(1, 1000);
    let before = running(&first);
    // All take the file up with another limit, and one begins with that.
    let text = std::fs::read_to_string(&fleet.pipeline).unwrap();
    let limits = "limits = { max_fuel_per_record = 190000 }";
    std::fs::write(&fleet.pipeline, format!("{text}{limits}\n")).unwrap();
    fleet.done("swap", &["--pipeline"]);
    let mut late = fleet.replica_with(&["--set", "swap.fleet_deadline_secs=1"]);
    assert_eq!(running(&late), running(&first));
    assert_ne!(running(&first), before);
    fleet.run("rollback", &[]);
    wait_until("it to end", || late.child.try_wait().unwrap().is_some());
    assert!(!late.child.wait().unwrap().success());
    let told = "with the stages of the pipeline file here plugin set";
    wait_until("it to say why", || late.talk().contains(told));
    wait_until("the other to be back", || running(&first) == before);
    end(first);
}

#[test]
fn two_proposals_at_once_have_one_winner_and_the_other_is_told() {
    let fleet = Fleet::new("fleet");
    let replicas = [fleet.replica(), fleet.replica()];
    replicas.iter().for_each(|live| live.wait_for_rows(1, 1000));
    let spawned = ["k2", "k3"].map(|key| {
        let key = format!("mask.key_id={key}");
        let mut command = fleet.command("swap", &["--config", &key]);
        Process::listen(&mut command)
    });
    let outputs = spawned.map(|process| process.wait_with_output().unwrap());
    let set = fleet.agree(&replicas);
    // The slower one may have been slow enough to follow the faster one.
    let (won, lost): (Vec<_>, Vec<_>) = outputs.iter().partition(|output| output.status.success());
    assert!(!won.is_empty());
    for output in lost {
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        let is_told = ["another was first", "is voted on", "came to nothing"];
        assert!(is_told.iter().any(|told| errors.contains(told)), "{errors}");
    }
    let sets: Vec<Json> =
        won.iter().map(|output| serde_json::from_slice::<Json>(&output.stdout).unwrap()).collect();
    assert!(sets.iter().any(|swapped| swapped["plugin_set"] == *set), "{sets:?}");
    replicas.into_iter().for_each(end);
}

/// A set that cannot be kept there was not committed, and is not proposed.
#[test]
fn a_set_that_the_fleets_place_does_not_take_is_told_as_what_it_is() {
    let fleet = Fleet::new("fleet");
    let place = fleet.scratch.path("fleet/clicks-stream");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("blobs"), "no folder").unwrap();
    let output = fleet.run("swap", &["--config", "mask.key_id=k2"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("cannot keep plugin set"), "{errors}");
    assert!(!place.join("log").exists(), "{errors}");
}

#[test]
fn what_cannot_run_the_fleets_set_does_not_start() {
    let fleet = Fleet::new("fleet");
    let replica = fleet.replica();
    replica.wait_for_rows(1, 1000);
    fleet.done("swap", &["--config", "mask.key_id=k2"]);
    let other = ["--set", "plugin.mask.limits.max_fuel_per_record=190000"];
    let start = |more: &[&str]| {
        let pipeline = fleet.pipeline.to_string_lossy().into_owned();
        let run = ["run", pipeline.as_str(), "--set", "admin.listen=127.0.0.1:0"];
        fleet.scratch.run(&[&run[..], &fleet.arguments(more)].concat())
    };
    let output = start(&other);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(
        errors.contains("a fleet has one set, so this process does not run another"),
        "{errors}"
    );
    assert!(errors.contains("mask: "), "{errors}");
    let output = start(&["--forget-swaps"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("clickmill fleet rollback"), "{errors}");
    // A file is checked by itself, whatever its fleet runs.
    let pipeline = fleet.pipeline.to_string_lossy().into_owned();
    let as_it_is: &[&str] = &[];
    for more in [as_it_is, &other] {
        let validate = ["validate", pipeline.as_str()];
        fleet.scratch.done(&[&validate[..], &fleet.arguments(more)].concat());
    }
    // What is watched is for one process.
    let output = start(&["--watch"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("clickmill fleet swap"), "{errors}");
    // Nothing that a neighbour writes there is run or believed.
    let place = fleet.scratch.path("fleet/clicks-stream");
    let before = running(&replica);
    std::fs::write(place.join("log/000002.json"), vec![b'x'; 1 << 20]).unwrap();
    let output = fleet.run("status", &[]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{errors}");
    assert!(errors.contains("log/000002.json") && errors.contains("remove it"), "{errors}");
    std::fs::remove_file(place.join("log/000002.json")).unwrap();
    assert_eq!(running(&replica), before);
    end(replica);
}
