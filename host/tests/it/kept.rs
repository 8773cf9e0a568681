//! What is kept on a disk: plugin sets that somebody has edited, compiled code that somebody may have written,
//! and who may read the rest.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Output;

use clickmill_sandbox::{Grant, InstanceLife, PluginSet};
use serde_json::{Value as Json, json};

use crate::live::{FAST, Live, clicks, lookup};
use crate::support::{Scratch, after, component, plugins, root, talk};

/// What a pipeline has kept that was swapped once and ended.
struct Kept {
    scratch: Scratch,
    /// The set of the pipeline file.
    file: Json,
    /// The set of the swap, which a start goes on with.
    swapped: String,
    /// What was kept of it.
    whole: Vec<u8>,
    /// What a start is told to go on with.
    running: Vec<u8>,
}

impl Kept {
    fn new() -> Self {
        let scratch = Scratch::new();
        let live = Live::start(&scratch, &clicks(), &FAST);
        live.wait_for_rows(1, 500);
        let swapped = live.swap(&scratch, &["--config", "mask.key_id=k2"]).unwrap();
        live.wait_for_rows(2, 3000);
        live.end();
        let (file, swapped) = (swapped["from"].clone(), swapped["to"].as_str().unwrap().to_owned());
        let (whole, running) = (Vec::new(), Vec::new());
        let mut kept = Self { scratch, file, swapped, whole, running };
        kept.whole = fs::read(kept.set()).unwrap();
        kept.running = fs::read(kept.remembered()).unwrap();
        kept
    }

    fn state(&self, name: &str) -> PathBuf {
        self.scratch.path("warehouse/_state").join(name)
    }

    fn set(&self) -> PathBuf {
        self.state(&format!("sets/{}.json", self.swapped))
    }

    fn remembered(&self) -> PathBuf {
        self.state("running/clicks-stream.json")
    }

    /// Starts the pipeline, which is to go on with what is kept.
    #[track_caller]
    fn start(&self) -> Live {
        fs::write(self.remembered(), &self.running).unwrap();
        Live::start(&self.scratch, &clicks(), &FAST)
    }
}

type Edit = fn(&mut Json);

/// What somebody may do to a kept set with an editor. `mask` is the third stage.
const EDITS: [(&str, Edit); 9] = [
    ("a stage is gone", |set| drop(set["stages"].as_array_mut().unwrap().remove(2))),
    ("a stage is there twice", |set| {
        let stage = set["stages"][1].clone();
        set["stages"].as_array_mut().unwrap().push(stage);
    }),
    ("stages in another order", |set| set["stages"].as_array_mut().unwrap().swap(1, 2)),
    ("it may read more", |set| set["stages"][1]["reads"] = json!(["*"])),
    ("it may write more", |set| set["stages"][3]["writes"] = json!(["*"])),
    ("it may use more", |set| {
        set["stages"][2]["limits"]["max_fuel_per_record"] = json!(1_u64 << 40)
    }),
    ("it gets another secret", |set| set["stages"][2]["secrets"] = json!([["key", "HOME"]])),
    ("another component", |set| {
        set["stages"][2]["component"] = set["stages"][1]["component"].clone();
    }),
    ("another configuration", |set| set["stages"][2]["config"]["key_id"] = json!("k7")),
];

#[test]
fn no_edit_of_a_kept_set_takes_effect_at_a_restart_or_a_rollback_and_each_is_told() {
    let kept = Kept::new();
    for (what, edit) in EDITS {
        let mut edited: Json = serde_json::from_slice(&kept.whole).unwrap();
        edit(&mut edited);
        fs::write(kept.set(), edited.to_string()).unwrap();
        let live = kept.start();
        assert_eq!(live.history()[0]["plugin_set"], kept.file, "{what}");
        let told = live.talk();
        assert!(told.contains("is lost: the pipeline file counts"), "{what}: {told}");
        assert!(told.contains("was changed"), "{what}: {told}");
        fs::write(kept.set(), edited.to_string()).unwrap();
        let back = ["plugin", "rollback", "--admin", &live.admin, "--to", &kept.swapped[..8]];
        let back = kept.scratch.run(&back);
        let told = talk(&back, &kept.scratch);
        assert!(!back.status.success() && told.contains("was changed"), "{what}: {told}");
        assert_eq!(live.end()["plugin_set"], kept.file, "{what}");
    }
    // As it was kept it is gone on with.
    fs::write(kept.set(), &kept.whole).unwrap();
    assert_eq!(kept.start().end()["plugin_set"], kept.swapped.as_str());
}

#[test]
fn a_letter_is_not_explained_by_a_set_that_was_edited() {
    let kept = Kept::new();
    let sql = format!(
        "SELECT letter_id FROM clickstream_analytics.dead_letter WHERE plugin_set = '{}' LIMIT 1",
        kept.swapped
    );
    let letters = kept.scratch.query(&sql);
    let letter = letters[0]["letter_id"].as_str().unwrap();
    let pipeline = clicks().to_string_lossy().into_owned();
    let explain = ["dead-letter", "explain", &pipeline, letter];
    kept.scratch.done(&explain);
    for (what, edit) in EDITS {
        let mut edited: Json = serde_json::from_slice(&kept.whole).unwrap();
        edit(&mut edited);
        fs::write(kept.set(), edited.to_string()).unwrap();
        // The run that looks is to begin with the pipeline file, which the letter's set is not.
        let output =
            kept.scratch.run(&[&explain[..], &["--set", "plugin.mask.config.key_id=k9"]].concat());
        let told = talk(&output, &kept.scratch);
        assert!(!output.status.success() && told.contains("was changed"), "{what}: {told}");
    }
}

/// Whoever writes there may write what fits together, and name it as what runs.
#[test]
fn a_set_that_somebody_made_up_gets_what_the_pipeline_file_grants_and_no_more() {
    let kept = Kept::new();
    let mut made_up: PluginSet = serde_json::from_slice(&kept.whole).unwrap();
    made_up.stages.retain(|stage| stage.stage != *"mask");
    for stage in &mut made_up.stages {
        (stage.reads, stage.writes) = (Grant::All, Grant::All);
        stage.limits.max_fuel_per_record *= 1000;
        stage.secrets = vec![("key".to_owned(), "HOME".to_owned())];
        stage.instance = InstanceLife::Reuse;
    }
    made_up.digest = made_up.digest_v0();
    let digest = made_up.digest.to_string();
    let path = kept.state(&format!("sets/{digest}.json"));
    fs::write(path, serde_json::to_vec(&made_up).unwrap()).unwrap();
    let running = String::from_utf8(kept.running.clone()).unwrap();
    let kept = Kept { running: running.replace(&kept.swapped, &digest).into(), ..kept };
    let live = kept.start();
    live.wait_for_rows(1, 1000);
    let told = live.talk();
    assert!(told.contains("the pipeline file's count") && told.contains("mask: new"), "{told}");
    // With the stages, grants and limits of the file it is the file's set.
    assert_eq!(live.end()["plugin_set"], kept.file);
    let raw = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw \
               WHERE user_id IS NOT NULL AND SUBSTR(user_id, 1, 2) NOT IN ('k1', 'k2')";
    assert_eq!(kept.scratch.number(raw), 0);
}

/// A set that was kept may be named by whoever may write there. What ran last the audit log knows, which lies
/// elsewhere.
#[test]
fn a_genuine_set_that_is_none_that_ran_last_is_told() {
    let kept = Kept::new();
    let another = "none that this host's audit log names last";
    let live = kept.start();
    live.wait_for_rows(1, 500);
    assert!(!live.talk().contains(another), "{}", live.talk());
    live.swap(&kept.scratch, &["--config", "mask.key_id=k3"]).unwrap();
    live.end();
    // It is told to go on with the swap before that.
    let live = kept.start();
    live.wait_for_rows(1, 500);
    assert!(live.talk().contains(another), "{}", live.talk());
    assert_eq!(live.end()["plugin_set"], kept.swapped.as_str());
}

#[test]
fn what_another_process_has_remembered_meanwhile_is_told() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &FAST);
    live.wait_for_rows(1, 500);
    live.swap(&scratch, &["--config", "mask.key_id=k2"]).unwrap();
    let another = "another process of this pipeline has remembered what it runs";
    live.swap(&scratch, &["--config", "mask.key_id=k3"]).unwrap();
    assert!(!live.talk().contains(another), "{}", live.talk());
    let remembered = scratch.path("warehouse/_state/running/clicks-stream.json");
    let mut theirs: Json = serde_json::from_slice(&fs::read(&remembered).unwrap()).unwrap();
    theirs["actor"] = json!("somebody on another machine");
    fs::write(&remembered, theirs.to_string()).unwrap();
    live.swap(&scratch, &["--config", "mask.key_id=k4"]).unwrap();
    assert!(live.talk().contains(another), "{}", live.talk());
    live.end();
}

#[test]
fn content_that_was_exchanged_under_its_digest_is_not_taken_up() {
    let scratch = Scratch::new();
    let pipeline = lookup(&scratch);
    let live = Live::start(&scratch, &pipeline, &[]);
    let new = scratch.write("new.csv", "key,word\nkey,new\n");
    let lookup = format!("hostile.words={}", new.display());
    let swapped = live.swap(&scratch, &["--lookup", &lookup]).unwrap();
    live.end();
    let state = scratch.path("warehouse/_state");
    let running = fs::read(state.join("running/hostile-live.json")).unwrap();
    for blob in [fs::read(&new).unwrap(), fs::read(component("host/tests/hostile")).unwrap()] {
        let path = state.join("blobs").join(clickmill_core::Digest::of(&blob).as_str());
        // Of the same kind, so that it would be taken.
        let other = if blob.starts_with(b"key") {
            b"key,word\nkey,bad\n".to_vec()
        } else {
            [&blob[..], &[0, 2, 1, b'x']].concat()
        };
        fs::write(&path, other).unwrap();
        fs::write(state.join("running/hostile-live.json"), &running).unwrap();
        let live = Live::start(&scratch, &pipeline, &[]);
        let told = live.talk();
        assert!(told.contains("was changed"), "{told}");
        assert_eq!(live.end()["plugin_set"], swapped["from"]);
        fs::write(&path, &blob).unwrap();
    }
}

/// Compiled code is run as it is: in a folder that others may write to it would be theirs.
#[test]
fn compiled_code_is_kept_only_where_nobody_else_can_write() {
    let scratch = Scratch::new();
    let mask = component("plugins/mask").to_string_lossy().into_owned();
    let inspect = |cache: Option<&Path>| -> String {
        let mut command = scratch.command(&["plugin", "inspect", &mask]);
        match cache {
            Some(folder) => command.env("CLICKMILL_CACHE", folder),
            None => command
                .env_remove("CLICKMILL_CACHE")
                .env_remove("XDG_CACHE_HOME")
                .env_remove("HOME")
                .env("TMPDIR", scratch.folder.path()),
        };
        let output = command.output().unwrap();
        let told = talk(&output, &scratch);
        assert!(output.status.success(), "{told}");
        told
    };
    let names = |folder: &Path| fs::read_dir(folder).unwrap().count();
    let set = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    };
    let ours = scratch.path("above/ours");
    assert!(!inspect(Some(&ours)).contains("not kept"));
    assert_eq!((mode(&ours), names(&ours) > 0), (0o700, true));
    // Open to others itself, or in a folder in which others may exchange it.
    let open = scratch.path("open");
    fs::create_dir(&open).unwrap();
    let link = scratch.path("link");
    std::os::unix::fs::symlink(&open, &link).unwrap();
    set(&open, 0o777);
    for folder in [&open, &link] {
        let told = inspect(Some(folder));
        assert!(told.contains("not kept") && told.contains("others may write to"), "{told}");
        assert_eq!(names(&open), 0);
    }
    set(&scratch.path("above"), 0o770);
    let before = names(&ours);
    assert!(inspect(Some(&ours)).contains("others may write to"));
    assert_eq!(names(&ours), before);
    set(&scratch.path("above"), 0o700);
    // Where nothing says where the user's caches are, none is made among everybody's files.
    let told = inspect(None);
    assert!(told.contains("not kept"), "{told}");
    assert!(!scratch.path("clickmill").exists());
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

/// All that is in a folder, with it.
fn all(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let below = entries.flat_map(|path| if path.is_dir() { all(&path) } else { vec![path] });
    std::iter::once(folder.to_owned()).chain(below).collect()
}

/// Runs the binary with a umask, and whatever of its environment is given.
fn with_umask(
    scratch: &Scratch,
    umask: &str,
    environment: &[(&str, &str)],
    arguments: &[&str],
) -> Output {
    let mut command = after(&format!("umask {umask}"), &scratch.command(arguments));
    command.envs(environment.iter().copied()).output().unwrap()
}

/// Loads an object with dead letters, streams, merges: all that makes files.
#[track_caller]
fn make_everything(scratch: &Scratch, environment: &[(&str, &str)]) {
    plugins();
    let pipeline =
        |name: &str| root().join("host/pipelines").join(name).to_string_lossy().into_owned();
    let (batch, stream) = (pipeline("batch.toml"), pipeline("stream.toml"));
    for arguments in [
        &["generate", "shop", "--rows", "500", "--bad", "5%", "--output", "shop.csv"][..],
        &["run", &batch, "--set", "source.uri=shop.csv"],
        &["run", &stream, "--set", "source.rows=1000", "--set", "source.rate=5000"],
        &["dead-letter", "replay", &stream],
        &["warehouse", "compact"],
    ] {
        let output = with_umask(scratch, "000", environment, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", talk(&output, scratch));
    }
}

#[test]
fn what_is_made_is_for_the_user_alone_whatever_the_umask() {
    let scratch = Scratch::new();
    make_everything(&scratch, &[]);
    let made = [all(&scratch.path("warehouse")), all(&scratch.path("clickmill-data"))].concat();
    assert!(made.iter().any(|path| path.ends_with("_state/running/clicks-stream.json")));
    assert!(made.iter().any(|path| path.ends_with("audit/clicks-stream.jsonl")));
    for path in made {
        assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
    }
    // What somebody has asked for has the rights that they have asked for.
    assert_eq!(mode(&scratch.path("shop.csv")), 0o666);
}

#[test]
fn what_is_begun_for_somebody_to_go_on_with_has_the_rights_that_they_give_their_files() {
    plugins();
    let scratch = Scratch::new();
    scratch.write("orders.csv", "id,price\n1,19.90\n2,7.50\n");
    for (umask, folders, files) in [("027", 0o750, 0o640), ("077", 0o700, 0o600)] {
        let (project, pipeline) = (format!("city-{umask}"), format!("orders-{umask}"));
        let new = ["plugin", "new", &project];
        let init = ["init", "orders.csv", "--output", &pipeline];
        for (arguments, folder) in [(&new[..], &project), (&init[..], &pipeline)] {
            let output = with_umask(&scratch, umask, &[], arguments);
            assert!(output.status.success(), "{arguments:?}: {}", talk(&output, &scratch));
            for path in all(&scratch.path(folder)) {
                let wanted = if path.is_dir() { folders } else { files };
                assert_eq!(mode(&path), wanted, "{}", path.display());
            }
        }
    }
}

#[test]
fn tables_may_be_made_for_others_to_read_and_nothing_else() {
    let scratch = Scratch::new();
    make_everything(&scratch, &[("CLICKMILL_UMASK", "007")]);
    for path in all(&scratch.path("warehouse")) {
        let wanted = if path.is_dir() { 0o750 } else { 0o640 };
        assert_eq!(mode(&path), wanted, "{}", path.display());
    }
    for folder in ["audit", "spool/clicks-stream"] {
        for path in all(&scratch.path("clickmill-data").join(folder)) {
            assert_eq!(mode(&path) & 0o077, 0, "{}", path.display());
        }
    }
    let wrong =
        with_umask(&scratch, "022", &[("CLICKMILL_UMASK", "u=rwx")], &["query", "SELECT 1"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(talk(&wrong, &scratch).contains("CLICKMILL_UMASK is `u=rwx`, wanted an octal number"));
}
