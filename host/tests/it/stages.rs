//! The list of stages changes while the pipeline runs: the pipeline file is edited, and the process reads it
//! again.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use clickmill_core::Digest;
use serde_json::Value as Json;

use crate::cloud::wait_until;
use crate::live::{FAST, Live, clicks};
use crate::support::{Process, Scratch, component, root, talk};

/// How often the file is edited in each life of a process.
const ROUNDS: usize = 6;

/// The stages of the stream of clicks, in order.
const CLICKS: [&str; 4] = ["parse", "enrich", "mask", "validate"];

/// The pipeline file of the stream of clicks, to be edited.
struct File {
    path: PathBuf,
    head: String,
    stages: Vec<(String, String)>,
    tail: String,
}

impl File {
    fn new(scratch: &Scratch) -> Self {
        let text = std::fs::read_to_string(clicks()).unwrap();
        let text = text.replace("../../", &format!("{}/", root().display()));
        let (head, rest) = text.split_once("[[plugin]]\n").unwrap();
        let (stages, tail) = rest.split_once("[sink]\n").unwrap();
        let stages = stages.split("[[plugin]]\n").map(str::to_owned);
        let mut stages: Vec<_> =
            CLICKS.iter().map(|stage| (*stage).to_owned()).zip(stages).collect();
        // A stage more, which looks at what `parse` has made.
        let late = stages[3].1.lines().next().unwrap().replace("validate", "late");
        let late = format!(
            "{late}\ncomponent = \"{}/plugins/validate\"\nreads = [\"event_type\"]\n\
             config = {{ rules = [{{ required = {{ columns = [\"event_type\"] }} }}] }}\n",
            root().display()
        );
        stages.push(("late".to_owned(), late));
        let tail = format!("[sink]\n{tail}");
        let file = Self { path: scratch.path("clicks.toml"), head: head.to_owned(), stages, tail };
        file.write(&CLICKS);
        file
    }

    /// The file with these stages.
    fn text(&self, stages: &[&str]) -> String {
        let mut text = self.head.clone();
        for stage in stages {
            let (_, section) = self.stages.iter().find(|(name, _)| name == stage).unwrap();
            text.push_str(&format!("[[plugin]]\n{section}\n"));
        }
        text + &self.tail
    }

    /// Saves the file with these stages, in one go.
    fn write(&self, stages: &[&str]) {
        self.save(&self.text(stages));
    }

    fn save(&self, text: &str) {
        let beside = self.path.with_extension("new");
        std::fs::write(&beside, text).unwrap();
        std::fs::rename(&beside, &self.path).unwrap();
    }
}

fn stages(version: &Json) -> Vec<&str> {
    let stages = version["stages"].as_array().unwrap();
    stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect()
}

fn changes(version: &Json) -> Vec<&str> {
    version["changes"].as_array().unwrap().iter().map(|change| change.as_str().unwrap()).collect()
}

#[test]
fn a_stage_is_added_moved_and_removed_between_two_batches() {
    let scratch = Scratch::new();
    let file = File::new(&scratch);
    let live = Live::start(&scratch, &file.path, &FAST);
    live.wait_for_rows(1, 2000);

    file.write(&["parse", "enrich", "mask", "late", "validate"]);
    let expect = file.path.to_string_lossy().into_owned();
    let reload = ["--pipeline", "--expect", &expect, "--note", "a stage more"];
    let added = live.swap(&scratch, &reload).unwrap();
    let version = &added["version"];
    assert_eq!(stages(version), ["parse", "enrich", "mask", "late", "validate"]);
    assert!(changes(version)[0].starts_with("late: added after mask: validate "), "{version:#}");
    let checks: Vec<&str> =
        added["checks"].as_array().unwrap().iter().map(|c| c[0].as_str().unwrap()).collect();
    assert_eq!(checks, ["component", "columns", "guard", "golden", "shadow"]);
    // The plugin's own cases were run.
    assert_ne!(added["checks"][3][1], "0 cases");
    live.wait_for_rows(2, 2000);

    file.write(&["parse", "enrich", "validate", "mask", "late"]);
    let dry = live.swap(&scratch, &["--pipeline", "--dry-run"]).unwrap();
    assert!(dry["version"].is_null());
    let moved = live.swap(&scratch, &["--pipeline"]).unwrap();
    assert_eq!((&dry["to"], &dry["from"]), (&moved["to"], &added["to"]));
    assert_eq!(stages(&moved["version"]), ["parse", "enrich", "validate", "mask", "late"]);
    assert_eq!(changes(&moved["version"]), ["validate: moved, now after enrich"]);
    live.wait_for_rows(3, 2000);

    // Whoever looks at a stage that goes is told.
    let tap = ["tap", "late", "--admin", &live.admin];
    let mut tap =
        Process::spawn(scratch.command(&tap).stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut rows = BufReader::new(tap.stdout.take().unwrap());
    assert!(rows.read_line(&mut String::new()).unwrap() > 0);
    std::thread::spawn(move || rows.lines().map_while(Result::ok).count());
    let status = live.at.json("/v1/status").1;
    assert!(status.to_string().contains("\"stage\":\"late\""), "{status:#}");
    assert!(live.at.get("/metrics").1.contains("stage=\"late\""));
    file.write(&["parse", "enrich", "validate", "mask"]);
    let removed = live.swap(&scratch, &["--pipeline"]).unwrap();
    assert_eq!(stages(&removed["version"]), ["parse", "enrich", "validate", "mask"]);
    assert!(changes(&removed["version"])[0].starts_with("late: removed, it was validate "));
    let ended = tap.wait_with_output().unwrap();
    let said = talk(&ended, &scratch);
    assert_eq!(ended.status.code(), Some(2), "{said}");
    let wanted = "stage `late` is gone, the stages are now `parse`, `enrich`, `validate`, `mask`";
    assert!(said.contains(wanted), "{said}");
    live.wait_for_rows(4, 2000);
    let status = live.at.json("/v1/status").1;
    let shown: Vec<&str> = status["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| p["stage"].as_str().unwrap())
        .collect();
    assert_eq!(shown, ["parse", "enrich", "validate", "mask"]);
    let metrics = live.at.get("/metrics").1;
    let of_plugins = |line: &&str| line.starts_with("clickmill_plugin_");
    assert!(metrics.lines().filter(of_plugins).all(|line| !line.contains("late")), "{metrics}");

    let summary = live.end();
    assert_eq!(summary["plugin_set"], removed["to"]);
    let entries = scratch.query(
        "SELECT subject, old_plugin_set, new_plugin_set, detail \
         FROM clickstream_analytics.audit_log WHERE action = 'swap'",
    );
    for (swap, subject) in [(&added, "late"), (&moved, "validate"), (&removed, "late")] {
        let entry = entries.iter().find(|entry| entry["new_plugin_set"] == swap["to"]).unwrap();
        assert_eq!(entry["old_plugin_set"], swap["from"]);
        assert_eq!(entry["subject"], subject, "{entry:#}");
        let detail = entry["detail"].as_str().unwrap();
        assert!(detail.contains("pipeline file ") && detail.contains(" read again"), "{detail}");
        assert!(detail.contains(changes(&swap["version"])[0]), "{detail}");
    }
    let granted = "SELECT COUNT(*) FROM clickstream_analytics.audit_log \
                   WHERE action = 'grant' AND subject = 'late'";
    assert_eq!(scratch.number(granted), 1);
    // Which rows went through the stage that is gone?
    let of_late = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw AS clicks \
                   JOIN clickstream_analytics.plugin_sets AS sets ON sets.plugin_set = clicks.plugin_set \
                   WHERE sets.stage = 'late'";
    assert!(scratch.number(of_late) > 1000);
}

#[test]
fn what_cannot_be_taken_up_is_refused_by_name_and_what_ran_runs_on() {
    let scratch = Scratch::new();
    let file = File::new(&scratch);
    let live = Live::start(&scratch, &file.path, &FAST);
    live.wait_for_rows(1, 2000);
    let whole = file.text(&CLICKS);
    let more = file.text(&["parse", "enrich", "mask", "validate", "late"]);
    let edited = |from: &str, to: &str| {
        assert!(whole.contains(from), "{from}");
        whole.replace(from, to)
    };
    let renamed = edited("name = \"mask\"", "name = \"masks\"");
    let renamed = renamed.replace("[\"key\"]\n", "{ key = \"CLICKMILL_MASK_KEY\" }\n");
    let half = &more[..more.find("component").unwrap() + 12];
    for (what, text, wanted) in [
        ("a masking stage removed", file.text(&["parse", "enrich", "validate"]), "check `guard`"),
        ("it is told which", file.text(&["parse", "enrich", "validate"]), "stage `mask`: `"),
        ("a masking stage renamed", renamed, "stage `mask`: `"),
        ("another source", edited("bad = \"1%\"", "bad = \"2%\""), "has another `source` than"),
        (
            "two sections",
            edited("bad = \"1%\"", "bad = \"2%\"") + "\n[guard]\noff = true\n",
            "`source`, `guard`",
        ),
        ("another table", edited("analytics.clicks_raw", "analytics.other"), "has another `sink`"),
        ("half a file", half.to_owned(), "is not TOML: line "),
        (
            "a component that is not there",
            edited("plugins/enrich", "plugins/none"),
            "there is no `",
        ),
        (
            "a stage twice",
            whole.replace("name = \"validate\"", "name = \"mask\""),
            "is there twice",
        ),
        (
            "a secret that is not set",
            edited("secrets = [\"key\"]", "secrets = [\"key\", \"other\"]"),
            "`CLICKMILL_MASK_OTHER`, is not set",
        ),
        ("beyond a grant", edited("writes = [\"event_date\", ", "writes = ["), "check `columns`"),
        ("nothing", whole.clone(), "nothing would change"),
        ("a comment", format!("# a word\n{whole}"), "nothing would change"),
    ] {
        file.save(&text);
        let error = live.swap(&scratch, &["--pipeline"]).unwrap_err();
        assert!(error.contains(wanted), "{what}: {error}");
    }
    // Only the text that whoever asks has before them.
    file.save(&more);
    let other = scratch.write("other.toml", format!("# a word\n{more}"));
    let other = other.to_string_lossy().into_owned();
    let error = live.swap(&scratch, &["--pipeline", "--expect", &other]).unwrap_err();
    assert!(
        error.contains("has the digest ") && error.contains(Digest::of(more.as_bytes()).as_str()),
        "{error}"
    );
    // What is no file is not waited for.
    std::fs::remove_file(&file.path).unwrap();
    assert!(Command::new("mkfifo").arg(&file.path).status().unwrap().success());
    let error = live.swap(&scratch, &["--pipeline"]).unwrap_err();
    assert!(error.contains("a pipe or a device"), "{error}");
    std::fs::remove_file(&file.path).unwrap();
    let error = live.swap(&scratch, &["--pipeline"]).unwrap_err();
    assert!(error.contains("cannot read pipeline file"), "{error}");
    // What was swapped counts more than a file that has not changed.
    file.save(&whole);
    let swapped = live.swap(&scratch, &["--config", "mask.key_id=k2"]).unwrap();
    let error = live.swap(&scratch, &["--pipeline"]).unwrap_err();
    assert!(error.contains("what was swapped since counts more"), "{error}");
    let back = format!("plugin rollback --to {}", swapped["from"].as_str().unwrap());
    assert!(error.contains(&back), "{error}");
    assert_eq!(live.history().len(), 2);
    // A link is followed, as configurations that are mounted are links. A changed file counts more than a swap.
    std::fs::remove_file(&file.path).unwrap();
    let linked = scratch.write("linked.toml", &more);
    std::os::unix::fs::symlink(linked, &file.path).unwrap();
    let taken = live.swap(&scratch, &["--pipeline"]).unwrap();
    let told = changes(&taken["version"]);
    assert!(
        told[0] == "mask: config key_id" && told[1].starts_with("late: added after"),
        "{told:?}"
    );
    live.wait_for_rows(3, 1000);
    assert_eq!(live.end()["plugin_set"], taken["to"]);
    let refused = "SELECT COUNT(*) FROM clickstream_analytics.audit_log \
                   WHERE action = 'refuse' AND subject = 'pipeline file'";
    assert_eq!(scratch.number(refused), 17);
}

#[test]
fn stages_go_back_as_one_and_it_is_told_that_the_file_still_has_them() {
    let scratch = Scratch::new();
    let file = File::new(&scratch);
    let mut live = Live::start(&scratch, &file.path, &FAST);
    live.wait_for_rows(1, 1000);
    let all = ["parse", "enrich", "mask", "validate", "late"];
    file.write(&all);
    let taken = live.swap(&scratch, &["--pipeline"]).unwrap();
    let (first, second) = (taken["from"].clone(), taken["to"].clone());
    live.wait_for_rows(2, 1000);
    let back = |live: &Live, arguments: &[&str]| -> Json {
        let rollback = ["plugin", "rollback", "--json", "--admin", &live.admin];
        serde_json::from_str(&scratch.done(&[&rollback[..], arguments].concat())).unwrap()
    };
    let gone_back = back(&live, &["--note", "too early"]);
    assert_eq!((&gone_back["plugin_set"], &gone_back["file"]), (&first, &second));
    assert_eq!(stages(&gone_back), CLICKS);
    assert!(live.talk().contains("still has the stages that were taken back"), "{}", live.talk());
    // The earlier form of the file is known as long as the process lives, whatever the file says.
    let again = back(&live, &["--to", second.as_str().unwrap()]);
    assert_eq!((stages(&again).len(), &again["file"]), (5, &Json::Null));
    let last = back(&live, &["--to", first.as_str().unwrap()]);
    assert_eq!((stages(&last).len(), &last["file"]), (4, &second));
    let number = live.history().len() as u64;
    live.wait_for_rows(number, 1000);
    live.child.kill().unwrap();
    live.child.wait().unwrap();
    // A start runs the file as it is, and says that it was taken back.
    let live = Live::start(&scratch, &file.path, &FAST);
    assert_eq!(live.history()[0]["plugin_set"], second);
    assert!(live.talk().contains("were taken back while it ran"), "{}", live.talk());
    // Stages are the file's to say, and this process has read no other.
    let to = ["plugin", "rollback", "--admin", &live.admin, "--to", first.as_str().unwrap()];
    let refused = scratch.run(&to);
    let said = talk(&refused, &scratch);
    assert!(!refused.status.success(), "{said}");
    assert!(said.contains("has not had them since the start"), "{said}");
    file.write(&CLICKS);
    let taken = live.swap(&scratch, &["--pipeline"]).unwrap();
    assert_eq!(taken["to"], first);
    assert_eq!(live.end()["plugin_set"], first);
}

#[test]
fn a_canary_has_other_stages_than_what_runs_beside_it() {
    let scratch = Scratch::new();
    let file = File::new(&scratch);
    let live = Live::start(&scratch, &file.path, &FAST);
    live.wait_for_rows(1, 1000);
    file.write(&["parse", "enrich", "late", "mask", "validate"]);
    let canary = ["--pipeline", "--canary", "30%", "--canary-for", "2s"];
    let begun = live.swap(&scratch, &canary).unwrap();
    assert_eq!(begun["version"]["standing"], "canary");
    wait_until("the canary to take over", || live.history()[1]["standing"] == "current");
    live.wait_for_rows(2, 2000);
    assert_eq!(live.end()["plugin_set"], begun["to"]);
    let sets = "SELECT COUNT(DISTINCT plugin_set) FROM clickstream_analytics.clicks_raw";
    assert_eq!(scratch.number(sets), 2);
}

#[test]
fn a_watched_pipeline_file_is_taken_up_once_it_is_whole_and_a_restart_goes_on_with_it() {
    let scratch = Scratch::new();
    let file = File::new(&scratch);
    let watch = ["--watch", "--set", "swap.watch_interval_secs=0.1"];
    let watch = [&FAST[..], &watch].concat();
    let mut live = Live::start(&scratch, &file.path, &watch);
    live.wait_for_rows(1, 1000);
    let text = file.text(&["parse", "enrich", "mask", "validate", "late"]);
    std::fs::write(&file.path, &text[..text.find("component").unwrap() + 12]).unwrap();
    wait_until("the line of the fault", || live.talk().contains("is not TOML: line "));
    std::fs::write(&file.path, &text).unwrap();
    wait_until("the stages", || live.history().len() == 2);
    let history = live.history();
    assert_eq!((&history[1]["actor"], stages(&history[1]).len()), (&"watch".into(), 5));
    live.wait_for_rows(2, 1000);
    live.child.kill().unwrap();
    live.child.wait().unwrap();
    let live = Live::start(&scratch, &file.path, &watch);
    live.wait_for_rows(1, 1000);
    let again = live.history();
    assert_eq!((again.len(), &again[0]["plugin_set"]), (1, &history[1]["plugin_set"]));
    assert_eq!(live.end()["plugin_set"], history[1]["plugin_set"]);
}

/// As a ConfigMap is refreshed: the same text in a new file.
#[test]
fn a_watched_pipeline_file_whose_stages_were_taken_back_is_left_until_its_text_is_another() {
    let scratch = Scratch::new();
    let file = File::new(&scratch);
    let watch = ["--watch", "--set", "swap.watch_interval_secs=0.1"];
    let live = Live::start(&scratch, &file.path, &[&FAST[..], &watch].concat());
    live.wait_for_rows(1, 1000);
    let all = ["parse", "enrich", "mask", "validate", "late"];
    file.write(&all);
    wait_until("the stages", || live.history().len() == 2);
    live.wait_for_rows(2, 1000);
    scratch.done(&["plugin", "rollback", "--admin", &live.admin]);
    file.write(&all);
    wait_until("a word", || live.talk().contains("holds what was taken up before and is left"));
    assert_eq!(live.history().len(), 2, "{}", live.talk());
    file.save(&format!("{}\n# once more\n", file.text(&all)));
    wait_until("the stages again", || live.history().len() == 3);
    assert_eq!(stages(&live.history()[2]), all);
    live.end();
}

/// As where a new stage's plugin does not compile yet.
#[test]
fn a_watched_pipeline_file_that_was_refused_is_taken_up_once_its_component_is_mended() {
    let scratch = Scratch::new();
    let file = File::new(&scratch);
    let folder = scratch.path("late");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("late.wasm"), "no component").unwrap();
    let watch = ["--watch", "--set", "swap.watch_interval_secs=0.1"];
    let live = Live::start(&scratch, &file.path, &[&FAST[..], &watch].concat());
    live.wait_for_rows(1, 1000);
    let text = file.text(&["parse", "enrich", "mask", "validate", "late"]);
    let late = |folder: &str| format!("component = \"{folder}\"\nreads = [\"event_type\"]");
    let theirs = late(&root().join("plugins/validate").to_string_lossy());
    assert!(text.contains(&theirs), "{text}");
    file.save(&text.replace(&theirs, &late(&folder.to_string_lossy())));
    wait_until("the refusal", || live.talk().contains("a swap is refused"));
    assert_eq!(live.history().len(), 1);
    let beside = folder.join("late.new");
    std::fs::copy(component("plugins/validate"), &beside).unwrap();
    std::fs::rename(&beside, folder.join("late.wasm")).unwrap();
    wait_until("the stages", || live.history().len() == 2);
    assert_eq!(stages(&live.history()[1]), ["parse", "enrich", "mask", "validate", "late"]);
    live.wait_for_rows(2, 1000);
    live.end();
}

/// The file is edited while plugins are swapped, rolled back and the process is killed.
#[test]
fn rows_are_conserved_whatever_becomes_of_the_stages() {
    let scratch = Scratch::new();
    let file = File::new(&scratch);
    let lists: [&[&str]; 4] = [
        &["parse", "enrich", "mask", "validate", "late"],
        &["parse", "late", "enrich", "mask", "validate"],
        &["parse", "enrich", "validate", "mask"],
        &CLICKS,
    ];
    let mut taken = 0;
    for life in 0..3 {
        let mut live = Live::start(&scratch, &file.path, &FAST);
        for number in 1..=ROUNDS {
            file.write(lists[(number - 1) % lists.len()]);
            // Two at once, of which the second is checked against what the first has made.
            let key = format!("mask.key_id=k{life}x{number}");
            let (reloaded, swapped) = std::thread::scope(|scope| {
                let reload = scope.spawn(|| live.swap(&scratch, &["--pipeline"]));
                let swap = scope.spawn(|| live.swap(&scratch, &["--config", &key]));
                (reload.join().unwrap(), swap.join().unwrap())
            });
            taken += [&reloaded, &swapped].into_iter().filter(|done| done.is_ok()).count();
            for error in [reloaded.err(), swapped.err()].into_iter().flatten() {
                let known = ["nothing would change", "counts more", "while this was checked"];
                assert!(known.iter().any(|known| error.contains(known)), "{error}");
            }
            if number % 3 == 0 {
                scratch.run(&["plugin", "rollback", "--admin", &live.admin]);
            }
        }
        if life < 2 {
            live.child.kill().unwrap();
            live.child.wait().unwrap();
            continue;
        }
        live.wait_for_more_rows_than(5000);
        // The summary adds up, which `end` looks at.
        let summary = live.end();
        assert!(summary["rows_in"].as_u64() > Some(5000), "{summary:#}");
    }
    assert!(taken >= ROUNDS, "{taken} taken");
    let rows = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw";
    let sets = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw WHERE plugin_set IN \
                (SELECT plugin_set FROM clickstream_analytics.plugin_sets)";
    assert_eq!(scratch.number(rows), scratch.number(sets));
    let raw = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw \
               WHERE user_id IS NOT NULL AND user_id NOT LIKE 'k%'";
    assert_eq!(scratch.number(raw), 0);
}
