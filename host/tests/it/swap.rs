//! Plugins change while the pipeline runs: checked before, whole batches only, taken back where they are
//! worse.

use std::path::PathBuf;
use std::time::Duration;

use clickmill_sandbox::PluginSet;
use serde_json::Value as Json;

use crate::cloud::wait_until;
use crate::emulators::Storage;
use crate::live::{FAST, Live, clicks, hostile, lookup};
use crate::support::{Scratch, another, component, plugins, root, write_over};

#[test]
fn a_swap_counts_from_the_next_batch_and_every_row_says_which_plugins_made_it() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &FAST);
    live.wait_for_rows(1, 2000);
    // Two stages at once.
    let rules = r#"validate.rules=[{"required":{"columns":["event_type"]}}]"#;
    let swap = ["--config", "mask.key_id=k2", "--config", rules, "--note", "new key"];
    let swapped = live.swap(&scratch, &swap).unwrap();
    assert!(swapped["shadow"]["changed"]["user_id"].as_u64() > Some(0), "{swapped:#}");
    live.wait_for_rows(2, 2000);
    let history = live.history();
    assert_eq!(history[0]["standing"], "replaced");
    assert_eq!(history[1]["standing"], "current");
    assert_eq!(history[1]["note"], "new key");
    assert_eq!(history[1]["changes"][0], "mask: config key_id");
    assert_eq!(history[1]["changes"][1], "validate: config rules");
    live.end();
    let sql = "SELECT plugin_set, SUBSTR(user_id, 1, 2) AS made, COUNT(*) AS n \
               FROM clickstream_analytics.clicks_raw WHERE user_id IS NOT NULL GROUP BY 1, 2";
    let rows = scratch.query(sql);
    let of = |set: &Json| -> Vec<&str> {
        let of = rows.iter().filter(|row| row["plugin_set"] == *set);
        of.map(|row| row["made"].as_str().unwrap()).collect()
    };
    assert_eq!((of(&swapped["from"]), of(&swapped["to"])), (vec!["k1"], vec!["k2"]), "{rows:?}");
    // Which rows did mask with key k2 make?
    let sql = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw AS clicks \
               JOIN clickstream_analytics.plugin_sets AS sets ON sets.plugin_set = clicks.plugin_set \
               WHERE sets.stage = 'mask' AND sets.config LIKE '%\"k2\"%'";
    let all = "SELECT COUNT(*) FROM clickstream_analytics.clicks_raw WHERE plugin_set = ";
    let all = format!("{all}'{}'", swapped["to"].as_str().unwrap());
    assert_eq!(scratch.number(sql), scratch.number(&all));
}

#[test]
fn what_fails_a_check_leaves_the_old_plugins_running_and_says_why() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &FAST);
    live.wait_for_rows(1, 3000);
    let text = scratch.write("no.wasm", b"not wasm").to_string_lossy().into_owned();
    let golden = scratch.path("golden");
    std::fs::create_dir_all(golden.join("tests")).unwrap();
    std::fs::write(golden.join("mask.wasm"), another("plugins/mask")).unwrap();
    let case = r#"{"columns": {"ip": "STRING"}, "secrets": {"key": "0123456789abcdef0123456789abcdef"},
      "config": {"columns": {"ip": "ip"}},
      "cases": [{"name": "kept", "input": {"ip": "192.0.2.77"}, "output": {"ip": "192.0.2.77"}}]}"#;
    std::fs::write(golden.join("tests/wrong.json"), case).unwrap();
    let mut told = String::new();
    for (name, arguments) in [
        ("not a component", vec![format!("mask={text}")]),
        ("no such stage", vec!["--config".to_owned(), "mork.key_id=k2".to_owned()]),
        ("nothing changes", vec!["--config".to_owned(), "mask.key_id=k1".to_owned()]),
        (
            "configuration refused",
            vec!["--config".to_owned(), "mask.columns={\"ip\": \"eat\"}".to_owned()],
        ),
        (
            "beyond the grant",
            vec!["--config".to_owned(), "mask.columns={\"country\": \"pseudonym\"}".to_owned()],
        ),
        ("a golden case fails", vec![format!("mask={}", golden.join("mask.wasm").display())]),
        ("another contract", vec![format!("mask={}", of_another_contract(&scratch))]),
        ("another plugin", vec![format!("mask={}", component("plugins/enrich").display())]),
        (
            "all rows rejected",
            vec![
                "--config".to_owned(),
                r#"validate.rules=[{"range": {"column": "status_code", "min": 998, "max": 999}}]"#
                    .to_owned(),
            ],
        ),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let error = live.swap(&scratch, &arguments).unwrap_err();
        let error = error.replace(&*scratch.folder.path().to_string_lossy(), "<scratch>");
        told.push_str(&format!("# {name}\n{error}\n"));
    }
    let history = live.history();
    assert_eq!(history.len(), 1, "{history:?}");
    assert_eq!(live.end()["plugin_set"], history[0]["plugin_set"]);
    // How many rows were there is up to the moment.
    let told: String = told.lines().map(|line| format!("{}\n", without_numbers(line))).collect();
    let told = told.replace("99999", "9999");
    insta::assert_snapshot!(told);
    let refused = "SELECT COUNT(*) FROM clickstream_analytics.audit_log WHERE action = 'refuse'";
    assert_eq!(scratch.number(refused), 9);
}

/// Swaps to a version that is good for five seconds. Once it is rolled back and the one before works on:
/// the versions, and why.
#[track_caller]
fn turned(scratch: &Scratch, live: &Live, misdeed: &str) -> (Vec<Json>, String) {
    let bad_from = clickmill_core::Micros::now().get() + 5_000_000;
    let bad = format!("hostile.bad_from={bad_from}");
    let misdeed = format!("hostile.misdeed={misdeed}");
    live.swap(scratch, &["--config", &bad, "--config", &misdeed]).unwrap();
    wait_until("a rollback", || live.history()[1]["standing"] == "rolled back");
    let history = live.history();
    assert_eq!(history[0]["standing"], "current");
    let good_again = history[0]["rows"].as_u64().unwrap() + 2000;
    live.wait_for_rows(1, good_again);
    let reason = history[1]["reason"].as_str().unwrap().to_owned();
    (history, reason)
}

#[test]
fn a_version_that_turns_bad_is_rolled_back_by_itself() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &hostile(&scratch, ""), &[]);
    live.wait_for_rows(1, 3000);
    let (history, reason) = turned(&scratch, &live, "turn");
    assert!(reason.starts_with("it rejects "), "{reason}");
    assert!(live.talk().contains("plugins rolled back"), "{}", live.talk());
    let summary = live.end();
    assert_eq!(summary["plugin_set"], history[0]["plugin_set"]);
    // It was good first, and what it rejected is kept.
    let of_bad = format!("plugin_set = '{}'", history[1]["plugin_set"].as_str().unwrap());
    assert!(scratch.number(&format!("SELECT COUNT(*) FROM test.out WHERE {of_bad}")) > 0);
    let letters = format!("SELECT COUNT(*) FROM test.dead_letter WHERE {of_bad}");
    assert_eq!(scratch.number(&letters), summary["rows_rejected"].as_u64().unwrap());
    let audit = scratch.query("SELECT actor, detail FROM test.audit_log WHERE action = 'rollback'");
    assert_eq!(audit.len(), 1);
    assert_eq!(audit[0]["actor"], "clickmill");
}

#[test]
fn a_version_that_loses_rows_is_refused_and_one_that_begins_to_is_rolled_back() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &hostile(&scratch, ""), &[]);
    live.wait_for_rows(1, 3000);
    // On the last batches it shows.
    let error = live.swap(&scratch, &["--config", "hostile.misdeed=drop_all"]).unwrap_err();
    assert!(error.contains("check `shadow`"), "{error}");
    assert!(error.contains("it drops 100.0 % of rows on purpose"), "{error}");
    assert!(error.contains("more are dropped on purpose: no table and no letter has"), "{error}");
    // On those that come.
    let (history, reason) = turned(&scratch, &live, "turn_drop");
    assert!(reason.starts_with("it drops "), "{reason}");
    let summary = live.end();
    assert_eq!(summary["plugin_set"], history[0]["plugin_set"]);
    let detail = "SELECT detail FROM test.audit_log WHERE action = 'rollback'";
    assert_eq!(scratch.query(detail)[0]["detail"], reason);
}

#[test]
fn a_version_that_sends_rows_to_other_tables_is_refused_and_one_that_begins_to_is_rolled_back() {
    let scratch = Scratch::new();
    let pipeline = hostile(&scratch, "");
    let schema = scratch.path("out.json");
    let routes = format!(
        "sink.route=[{{table=\"test.flagged\",schema=\"{}\",where=\"flag\"}}]",
        schema.display()
    );
    let live = Live::start(&scratch, &pipeline, &["--set", &routes]);
    live.wait_for_rows(1, 3000);
    // On the last batches it shows.
    let turned_flag = ["--config", "hostile.misdeed=turn_flag", "--config", "hostile.bad_from=0"];
    let error = live.swap(&scratch, &turned_flag).unwrap_err();
    assert!(error.contains("check `shadow`"), "{error}");
    let told = "it sends 100.0 % of the good rows to the pipeline's own table, the set before sent 0.0 %; 10.0 % more or fewer are allowed";
    assert!(error.contains(told), "{error}");
    // On those that come.
    let (history, reason) = turned(&scratch, &live, "turn_flag");
    assert!(reason.starts_with("it sends "), "{reason}");
    let summary = live.end();
    assert_eq!(summary["plugin_set"], history[0]["plugin_set"]);
    let of_bad = format!("plugin_set = '{}'", history[1]["plugin_set"].as_str().unwrap());
    assert!(scratch.number(&format!("SELECT COUNT(*) FROM test.out WHERE {of_bad}")) > 0);
}

/// A set that faults costs as much as it may for each batch: where one says enough, the others are not tried.
#[test]
fn a_gate_ends_with_the_batches_that_say_enough() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &hostile(&scratch, "swap = { shadow_batches = 8 }"), &[]);
    live.wait_for_rows(1, 6000);
    let error = live.swap(&scratch, &["--config", "hostile.misdeed=fault_all"]).unwrap_err();
    let shown = "it is worse than what runs: it faults";
    assert!(error.contains("check `shadow`") && error.contains(shown), "{error}");
    let (_, rows) = error.split_once("on the last ").unwrap();
    let rows: usize = rows.split_once(" rows").unwrap().0.parse().unwrap();
    // Those of one batch that is kept, of some 6000 in all.
    assert!((1..=2048).contains(&rows), "{error}");
    live.end();
}

#[test]
fn a_canary_that_loses_rows_never_gets_more() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &hostile(&scratch, "swap = { shadow_batches = 0 }"), &[]);
    live.wait_for_rows(1, 3000);
    let canary = ["--canary", "10%", "--canary-for", "1h", "--config", "hostile.misdeed=drop_all"];
    live.swap(&scratch, &canary).unwrap();
    wait_until("a rollback", || live.history()[1]["standing"] == "rolled back");
    let history = live.history();
    assert_eq!(history[0]["standing"], "current");
    assert!(history[1]["reason"].as_str().unwrap().starts_with("it drops 100.0 % "), "{history:?}");
    live.end();
}

#[test]
fn what_a_pipeline_allows_is_dropped_and_changed_in_as_many_rows() {
    let scratch = Scratch::new();
    let rules = "swap = { max_filtered_increase = 1.0, max_changed_share = 0.5 }";
    let live = Live::start(&scratch, &hostile(&scratch, rules), &[]);
    live.wait_for_rows(1, 3000);
    let tag = ["--config", "hostile.misdeed=tag", "--config", "hostile.tag=other"];
    let error = live.swap(&scratch, &tag).unwrap_err();
    assert!(error.contains("it gives 100.0 % of the good rows other values"), "{error}");
    assert!(error.contains("50.0 % are allowed"), "{error}");
    // Nobody told otherwise of rows that are dropped, and those that are left are as they were.
    let dropping = ["--config", "hostile.misdeed=turn_drop", "--config", "hostile.bad_from=0"];
    let swapped = live.swap(&scratch, &dropping).unwrap();
    assert!(swapped["shadow"]["newly_dropped"].as_u64() > Some(0), "{swapped:#}");
    assert_eq!(swapped["shadow"]["changed_rows"], 0);
    live.wait_for_rows(2, 3000);
    assert_eq!(live.history()[1]["standing"], "current");
    live.end();
}

#[test]
fn a_canary_gets_its_share_and_then_all() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &hostile(&scratch, ""), &[]);
    live.wait_for_rows(1, 1000);
    let canary =
        ["--canary", "20%", "--canary-for", "3s", "--config", "hostile.misdeed=still_none"];
    let swapped = live.swap(&scratch, &canary).unwrap();
    assert_eq!(swapped["version"]["standing"], "canary");
    let before = live.history()[0]["rows"].as_u64().unwrap();
    wait_until("the canary to take over", || live.history()[1]["standing"] == "current");
    let history = live.history();
    let rows = |at: usize| history[at]["rows"].as_u64().unwrap() as f64;
    let share = rows(1) / (rows(0) - before as f64 + rows(1));
    assert!((0.1..0.35).contains(&share), "{share}: {history:?}");
    live.wait_for_rows(2, rows(1) as u64 + 2000);
    live.end();
}

#[test]
fn a_canary_that_is_worse_never_gets_more() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &hostile(&scratch, "swap = { shadow_batches = 0 }"), &[]);
    live.wait_for_rows(1, 3000);
    let bad = ["--config", "hostile.misdeed=turn", "--config", "hostile.bad_from=0"];
    live.swap(&scratch, &[&bad[..], &["--canary", "10%", "--canary-for", "1h"]].concat()).unwrap();
    wait_until("a rollback", || live.history()[1]["standing"] == "rolled back");
    assert_eq!(live.history()[0]["standing"], "current");
    live.end();
}

#[test]
fn a_rollback_by_hand_goes_one_back_or_to_any_set_that_ran() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &FAST);
    live.wait_for_rows(1, 1000);
    let second = live.swap(&scratch, &["--config", "mask.key_id=k2"]).unwrap();
    let third = live.swap(&scratch, &["--config", "mask.key_id=k3"]).unwrap();
    let back = |arguments: &[&str]| -> Json {
        let rollback = ["plugin", "rollback", "--json", "--admin", &live.admin];
        serde_json::from_str(&scratch.done(&[&rollback[..], arguments].concat())).unwrap()
    };
    assert_eq!(back(&["--note", "too early"])["plugin_set"], second["to"]);
    let first = second["from"].as_str().unwrap();
    assert_eq!(back(&["--to", &first[..8]])["plugin_set"], first);
    let third = third["to"].as_str().unwrap();
    assert_eq!(back(&["--to", third])["plugin_set"], third);
    let history = live.history();
    live.wait_for_rows(history.len() as u64, 1000);
    // Beside a canary it does not run alone.
    let canary = ["--canary", "10%", "--canary-for", "1h", "--config", "mask.key_id=k4"];
    live.swap(&scratch, &canary).unwrap();
    assert_eq!(back(&["--to", third])["plugin_set"], third);
    assert_eq!(live.history().last().unwrap()["standing"], "rolled back");
    assert_eq!(live.end()["plugin_set"], third);
}

#[test]
fn each_rollback_goes_one_further_back_and_to_none_that_was_taken_back() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &["--set", "swap.probation_secs=1"]);
    let swaps = ["mask.key_id=k2", "mask.key_id=k3", "mask.key_id=k4"].map(|key| {
        let swapped = live.swap(&scratch, &["--config", key]).unwrap();
        // While one is on probation, going back from the one before it goes to what has proven itself.
        std::thread::sleep(Duration::from_millis(1500));
        swapped["from"].clone()
    });
    let rollback = ["plugin", "rollback", "--json", "--admin", &live.admin];
    for before in swaps.iter().rev() {
        let back: Json = serde_json::from_str(&scratch.done(&rollback)).unwrap();
        assert_eq!(back["plugin_set"], *before);
    }
    let refused = scratch.command(&rollback).output().unwrap();
    let told = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{told}");
    assert!(told.contains("there is no version before the one that runs"), "{told}");
    live.end();
}

/// Puts a file where a folder was, so that nothing can be read or written there. Returns what undoes it.
fn block(scratch: &Scratch, folder: &str) -> impl FnOnce() + use<> {
    let (folder, aside) = (scratch.path(folder), scratch.path("aside"));
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, "").unwrap();
    move || {
        std::fs::remove_file(&folder).unwrap();
        std::fs::rename(&aside, &folder).unwrap();
    }
}

#[test]
fn a_rollback_waits_for_no_table() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &FAST);
    live.wait_for_rows(1, 1000);
    let earlier = live.swap(&scratch, &["--config", "mask.key_id=k2"]).unwrap();
    live.end();
    let live = Live::start(&scratch, &clicks(), &[&FAST[..], &["--forget-swaps"]].concat());
    live.wait_for_rows(1, 1000);
    live.swap(&scratch, &["--config", "mask.key_id=k3"]).unwrap();
    let earlier = earlier["to"].as_str().unwrap();
    let table = "warehouse/clickstream_analytics/plugin_sets";
    // As if its entry had failed then.
    std::fs::remove_file(scratch.path(&format!("{table}/{earlier}.parquet"))).unwrap();
    let unblock = block(&scratch, table);
    let swap = ["plugin", "swap", "--admin", &live.admin, "--config", "mask.key_id=k4"];
    assert_eq!(scratch.run(&swap).status.code(), Some(3));
    for to in [live.history()[0]["plugin_set"].as_str().unwrap(), earlier] {
        let rollback = ["plugin", "rollback", "--json", "--admin", &live.admin, "--to", to];
        let back: Json = serde_json::from_str(&scratch.done(&rollback)).unwrap();
        assert_eq!(back["plugin_set"], to);
        live.wait_for_rows(back["number"].as_u64().unwrap(), 1000);
    }
    unblock();
    let rows = format!(
        "SELECT COUNT(*) FROM clickstream_analytics.plugin_sets WHERE plugin_set = '{earlier}'"
    );
    wait_until("the set's rows", || scratch.number(&rows) > 0);
    assert_eq!(live.end()["plugin_set"], earlier);
}

#[test]
fn what_was_taken_back_does_not_come_back_at_a_restart_though_its_store_was_away() {
    let scratch = Scratch::new();
    let mut live = Live::start(&scratch, &clicks(), &FAST);
    live.wait_for_rows(1, 1000);
    let swapped = live.swap(&scratch, &["--config", "mask.key_id=k2"]).unwrap();
    let unblock = block(&scratch, "warehouse/_state/running");
    scratch.done(&["plugin", "rollback", "--json", "--admin", &live.admin]);
    wait_until("an error", || live.talk().contains("what runs is not remembered yet"));
    unblock();
    let running = scratch.path("warehouse/_state/running/clicks-stream.json");
    let first = swapped["from"].as_str().unwrap();
    wait_until("what runs to be remembered", || {
        let running: Json = serde_json::from_slice(&std::fs::read(&running).unwrap()).unwrap();
        running["running"] == first
    });
    live.child.kill().unwrap();
    live.child.wait().unwrap();
    assert_eq!(Live::start(&scratch, &clicks(), &FAST).end()["plugin_set"], first);
}

#[test]
fn a_restart_goes_on_with_the_last_swap_unless_the_file_has_changed() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &FAST);
    let swapped = live.swap(&scratch, &["--config", "mask.key_id=k2"]).unwrap();
    let mut live = live;
    live.child.kill().unwrap();
    live.child.wait().unwrap();
    let again = Live::start(&scratch, &clicks(), &FAST);
    assert_eq!(again.history()[0]["plugin_set"], swapped["to"]);
    assert_eq!(again.end()["plugin_set"], swapped["to"]);
    let other = ["--set", "plugin.mask.config.key_id=k9"];
    let changed = Live::start(&scratch, &clicks(), &[&FAST[..], &other].concat());
    assert!(changed.talk().contains("it counts, not the swap"), "{}", changed.talk());
    assert_ne!(changed.end()["plugin_set"], swapped["to"]);
    let file = Live::start(&scratch, &clicks(), &[&FAST[..], &["--forget-swaps"]].concat());
    assert_eq!(file.end()["plugin_set"], swapped["from"]);
}

/// Before digests of plugin sets had a version they were made in another way: what such a clickmill left
/// behind is taken up, not dropped.
#[test]
fn a_swap_made_by_an_earlier_version_is_gone_on_with() {
    let scratch = Scratch::new();
    let mut live = Live::start(&scratch, &clicks(), &FAST);
    let swapped = live.swap(&scratch, &["--config", "mask.key_id=k2"]).unwrap();
    live.child.kill().unwrap();
    live.child.wait().unwrap();
    let state = scratch.path("warehouse").join("_state");
    let earlier = |digest: &Json| {
        let path = |digest: &str| state.join(format!("sets/{digest}.json"));
        let kept = path(digest.as_str().unwrap());
        let mut set: PluginSet = serde_json::from_slice(&std::fs::read(&kept).unwrap()).unwrap();
        set.digest = set.digest_v0();
        std::fs::write(path(&set.digest), serde_json::to_vec(&set).unwrap()).unwrap();
        std::fs::remove_file(kept).unwrap();
        set.digest
    };
    let (file, running) = (earlier(&swapped["from"]), earlier(&swapped["to"]));
    let remembered = std::fs::read_dir(state.join("running")).unwrap().next().unwrap().unwrap();
    let text = std::fs::read(remembered.path()).unwrap();
    let mut last: Json = serde_json::from_slice(&text).unwrap();
    assert_eq!((&last["file"], &last["running"]), (&swapped["from"], &swapped["to"]));
    (last["file"], last["running"]) = (file.as_str().into(), running.as_str().into());
    std::fs::write(remembered.path(), last.to_string()).unwrap();
    let again = Live::start(&scratch, &clicks(), &FAST);
    assert_eq!(again.history()[0]["plugin_set"], swapped["to"]);
    assert_eq!(again.end()["plugin_set"], swapped["to"]);
}

/// A stream that takes up components of a folder, which is returned too, empty yet.
fn that_watches(scratch: &Scratch) -> (Live, PathBuf) {
    let folder = scratch.path("drop");
    std::fs::create_dir_all(&folder).unwrap();
    let watch = format!("swap.watch={}", folder.display());
    let fast = ["--set", &watch, "--set", "swap.watch_interval_secs=0.1"];
    let live = Live::start(scratch, &clicks(), &[&FAST[..], &fast].concat());
    live.wait_for_rows(1, 1000);
    (live, folder)
}

#[test]
fn a_watched_component_is_taken_up_when_it_changes() {
    let scratch = Scratch::new();
    let (live, folder) = that_watches(&scratch);
    // What lies deeper is left, however many there are.
    for below in ["one", "another"] {
        std::fs::create_dir(folder.join(below)).unwrap();
        let deeper = folder.join(below).join("mask.wasm");
        std::fs::write(deeper, another("plugins/mask")).unwrap();
    }
    // It was looked at by then.
    live.wait_for_rows(1, live.history()[0]["rows"].as_u64().unwrap() + 20_000);
    assert_eq!(live.history().len(), 1);
    // A plugin of another stage does not read what this one is to write.
    std::fs::copy(component("plugins/enrich"), folder.join("mask.wasm")).unwrap();
    wait_until("a refusal", || live.talk().contains("a swap is refused"));
    std::fs::write(scratch.path("mask.new"), another("plugins/mask")).unwrap();
    std::fs::rename(scratch.path("mask.new"), folder.join("mask.wasm")).unwrap();
    wait_until("a swap", || live.history().len() == 2);
    assert_eq!(live.history()[1]["actor"], "watch");
    // Both are told with the stage.
    for (line, field) in [("a swap is refused", "subject"), ("plugins swapped", "changes")] {
        let is_it =
            |told: &str| told.contains(line) && told.contains(field) && told.contains("mask");
        wait_until("the stage", || live.talk().lines().any(is_it));
    }
    live.wait_for_rows(2, 1000);
    live.end();
}

/// As a volume does that is mounted anew, and a copy over itself.
#[test]
fn a_watched_component_that_was_taken_back_comes_again_with_other_bytes_only() {
    let scratch = Scratch::new();
    let (live, folder) = that_watches(&scratch);
    let put = |bytes: &[u8]| {
        std::fs::write(scratch.path("mask.new"), bytes).unwrap();
        std::fs::rename(scratch.path("mask.new"), folder.join("mask.wasm")).unwrap();
    };
    let (first, second) =
        (std::fs::read(component("plugins/mask")).unwrap(), another("plugins/mask"));
    put(&second);
    wait_until("a swap", || live.history().len() == 2);
    live.wait_for_rows(2, 1000);
    scratch.done(&["plugin", "rollback", "--admin", &live.admin]);
    put(&second);
    wait_until("a word", || live.talk().contains("holds what was taken up before and is left"));
    assert_eq!(live.history().len(), 2, "{}", live.talk());
    // Whoever puts the first there means the second by the next.
    put(&first);
    std::thread::sleep(std::time::Duration::from_millis(500));
    put(&second);
    wait_until("another swap", || live.history().len() == 3);
    assert_eq!(live.history()[2]["actor"], "watch");
    live.end();
}

#[test]
fn an_object_is_loaded_by_one_set_and_a_swap_counts_from_the_next_object() {
    let scratch = Scratch::new();
    plugins();
    let folder = scratch.path("in");
    std::fs::create_dir_all(&folder).unwrap();
    let put = |name: &str, seed: &str| {
        let rows = ["generate", "clicks", "--rows", "3000", "--seed", seed];
        let lines = scratch.done(&rows);
        std::fs::write(scratch.path(name), lines).unwrap();
        std::fs::rename(scratch.path(name), folder.join(name)).unwrap();
    };
    let pipeline = root().join("host/pipelines/clicks.toml");
    let source = format!("source.uri={}/*.ndjson", folder.display());
    let watch =
        ["--set", &source, "--set", "source.watch=true", "--set", "source.watch_interval_secs=1"];
    let live = Live::start(&scratch, &pipeline, &watch);
    // Before there was any object nothing is known of its columns.
    live.swap(&scratch, &["--config", "mask.key_id=k2"]).unwrap();
    put("a.ndjson", "1");
    live.wait_for_rows(2, 2000);
    wait_until("the object to be loaded", || {
        scratch
            .run(&["query", "SELECT 1 FROM clickstream_analytics.clicks_raw LIMIT 1"])
            .stdout
            .contains(&b'1')
    });
    let error =
        live.swap(&scratch, &["--config", "mask.columns={\"nowhere\": \"ip\"}"]).unwrap_err();
    assert!(error.contains("check `columns`"), "{error}");
    live.swap(&scratch, &["--config", "mask.key_id=k3"]).unwrap();
    put("b.ndjson", "2");
    live.wait_for_rows(3, 2000);
    live.end();
    let sql = "SELECT DISTINCT SUBSTR(user_id, 1, 2) AS key, REGEXP_EXTRACT(source, '([^/@]+)@[^/]*$') AS object \
               FROM clickstream_analytics.clicks_raw WHERE user_id IS NOT NULL ORDER BY 1";
    let found = scratch.query(sql);
    let found: Vec<_> = found
        .iter()
        .map(|row| (row["key"].as_str().unwrap(), row["object"].as_str().unwrap()))
        .collect();
    assert_eq!(found, [("k2", "a.ndjson"), ("k3", "b.ndjson")]);
}

#[test]
fn a_lookup_table_goes_through_the_same_door() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &lookup(&scratch), &[]);
    live.wait_for_rows(1, 1000);
    let broken = scratch.write("broken.csv", "key,word\nkey,one\nkey,two\n");
    let error = live.swap(&scratch, &["--lookup", &format!("hostile.words={}", broken.display())]);
    assert!(error.unwrap_err().contains("has key `key` twice"));
    let new = scratch.write("new.csv", "key,word\nkey,new\n");
    let lookup = format!("hostile.words={}", new.display());
    let swapped = live.swap(&scratch, &["--lookup", &lookup]).unwrap();
    assert_eq!(swapped["version"]["changes"][0], "hostile: lookup words");
    live.wait_for_rows(2, 1000);
    live.end();
    let words =
        scratch.query("SELECT DISTINCT plugin_set, out FROM test.out AS made ORDER BY out DESC");
    let words: Vec<&str> = words.iter().map(|row| row["out"].as_str().unwrap()).collect();
    assert_eq!(words, ["old", "new"]);
}

#[test]
fn components_in_cloud_storage_are_taken_up_by_name_and_by_generation() {
    let scratch = Scratch::new();
    let storage = Storage::start(None);
    let address = format!("http://{}", storage.address);
    let at_lake = [("STORAGE_EMULATOR_HOST", address.as_str())];
    let watch = ["--set", "swap.watch=gs://lake/plugins/", "--set", "swap.watch_interval_secs=0.2"];
    let live = Live::start_with(&scratch, &clicks(), &[&FAST[..], &watch].concat(), &at_lake);
    live.wait_for_rows(1, 1000);
    storage.put("elsewhere/mask.wasm", &another("plugins/mask"));
    live.swap(&scratch, &["mask=gs://lake/elsewhere/mask.wasm"]).unwrap();
    let error = live.swap(&scratch, &["mask=gs://lake/nowhere.wasm"]).unwrap_err();
    assert!(error.contains("cannot read `gs://lake/nowhere.wasm`"), "{error}");
    let mut third = another("plugins/mask");
    third.extend([0, 2, 1, b'x']);
    storage.put("plugins/mask.wasm", &third);
    wait_until("a swap", || live.history().len() == 3);
    // The same name, another generation.
    storage.put("plugins/mask.wasm", &std::fs::read(component("plugins/mask")).unwrap());
    wait_until("another", || live.history().len() == 4);
    let history = live.history();
    assert_eq!(history[3]["plugin_set"], history[0]["plugin_set"]);
    live.end();
}

#[test]
fn a_plugin_crate_is_rebuilt_on_save() {
    let scratch = Scratch::new();
    let krate = scratch.path("shout");
    std::fs::create_dir_all(krate.join("src")).unwrap();
    let sdk = root().join("plugins/sdk");
    let manifest = format!(
        "[package]\nname = \"shout\"\nversion = \"0.1.0\"\nedition = \"2024\"\n\n[workspace]\n\n\
         [dependencies]\nclickmill-plugin = {{ path = \"{}\" }}\nschemars = \"1\"\nserde = {{ version = \"1\", features = [\"derive\"] }}\n",
        sdk.display()
    );
    std::fs::write(krate.join("Cargo.toml"), manifest).unwrap();
    std::fs::copy(root().join("Cargo.lock"), krate.join("Cargo.lock")).unwrap();
    let source = |word: &str| include_str!("live/shout.rs").replace("WORD", word);
    std::fs::write(krate.join("src/lib.rs"), source("first")).unwrap();
    let schemas = root().join("schemas");
    scratch.write(
        "out.json",
        r#"[{"name": "out", "type": "STRING", "mode": "REQUIRED"},
            {"name": "message_id", "type": "STRING", "mode": "REQUIRED"}]"#,
    );
    let text = format!(
        "name = \"shout\"\n\
         source = {{ kind = \"generator\", data = \"clicks\", rate = 2000 }}\n\
         sink = {{ table = \"test.out\", schema = \"out.json\" }}\n\
         dead_letter = {{ table = \"test.dead_letter\", schema = \"{}/dead_letter.json\" }}\n\
         [[plugin]]\nname = \"shout\"\ncomponent = \"shout\"\nreads = [\"payload\"]\nwrites = [\"out\"]\n",
        schemas.display()
    );
    let pipeline = scratch.write("shout.toml", text);
    let live =
        Live::start(&scratch, &pipeline, &["--watch", "--set", "swap.watch_interval_secs=0.2"]);
    live.wait_for_rows(1, 500);
    std::fs::write(krate.join("src/lib.rs"), source("second")).unwrap();
    wait_until("a swap", || live.history().len() == 2);
    live.wait_for_rows(2, 500);
    live.end();
    let words = scratch.query("SELECT DISTINCT out FROM test.out AS made ORDER BY out");
    let words: Vec<&str> = words.iter().map(|row| row["out"].as_str().unwrap()).collect();
    assert_eq!(words, ["first", "second"]);
}

/// A line that tells of measurements, or of digests, without them.
fn without_numbers(line: &str) -> String {
    if line.contains("on the last") || line.contains("more are rejected") {
        return line.replace(|c: char| c.is_ascii_digit(), "9");
    }
    let is_digest = |part: &str| part.len() == 32 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let parts = line.split('`').map(|part| if is_digest(part) { "<digest>" } else { part });
    parts.collect::<Vec<_>>().join("`")
}

/// A component that was built for a contract of a later version.
fn of_another_contract(scratch: &Scratch) -> String {
    let mut bytes = std::fs::read(component("plugins/mask")).unwrap();
    let ours = [b"clickmill:plugin/log@0.1.0", b"clickmill:plugin/log@0.2.0"];
    let other = b"clickmill:plugin/log@0.9.0";
    assert!(ours.map(|ours| write_over(&mut bytes, ours, other)).iter().sum::<usize>() > 0);
    scratch.write("later.wasm", bytes).to_string_lossy().into_owned()
}
