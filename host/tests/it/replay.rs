//! Dead letters are replayed: from their own bytes, once, through other plugins.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::cloud::Cloud;
use crate::live::{Live, clicks};
use crate::support::{Scratch, component, conserved, plugins, root, talk};

const TABLE: &str = "clickstream_analytics.clickstream_batch";
/// Hardly a rule: what only a rule refused passes.
const NO_RULES: [&str; 2] =
    ["--set", r#"plugin.validate.config.rules=[{required={columns=["price"]}}]"#];

/// A loaded shop file with many letters.
fn loaded(scratch: &Scratch) -> (String, Json) {
    plugins();
    let file = scratch.path("clothing.csv").to_string_lossy().into_owned();
    scratch.done(&[
        "generate", "shop", "--rows", "30000", "--bad", "20%", "--seed", "5", "--output", &file,
    ]);
    let pipeline = root().join("host/pipelines/batch.toml");
    let source = format!("source.uri={file}");
    let summary = scratch.summary(&pipeline, &[&source, "dead_letter.max_rejected_share=1.0"]);
    (pipeline.to_string_lossy().into_owned(), summary)
}

fn replay(scratch: &Scratch, pipeline: &str, arguments: &[&str]) -> Json {
    let replay = ["dead-letter", "replay", pipeline, "--json"];
    serde_json::from_str(&scratch.done(&[&replay[..], arguments].concat())).unwrap()
}

#[test]
fn letters_pass_through_mended_plugins_and_are_resolved() {
    let scratch = Scratch::new();
    let (pipeline, summary) = loaded(&scratch);
    let letters = summary["rows_rejected"].as_u64().unwrap();
    // The same plugins say the same.
    let dry = replay(&scratch, &pipeline, &["--dry-run"]);
    assert_eq!((&dry["letters"], &dry["resolved"]), (&letters.into(), &0.into()));
    let told = |json: &Json| -> Vec<(String, u64)> {
        let list = json.as_array().unwrap().iter();
        let mut told: Vec<(String, u64)> = list
            .map(|one| {
                let count = one["letters"].as_u64().or(one["rows"].as_u64()).unwrap();
                (format!("{} {}", one["stage"], one["code"]), count)
            })
            .collect();
        told.sort();
        told
    };
    assert_eq!(told(&dry["rejected"]), told(&summary["rejected_by"]));
    // So does the same plugin by name.
    let validate = format!("validate={}", component("plugins/validate").display());
    let renamed = scratch.run(&["dead-letter", "replay", &pipeline, "--plugin", &validate]);
    assert!(String::from_utf8_lossy(&renamed.stderr).contains("nothing would change"));
    // A dry run says what a real one does, and changes nothing.
    let dry = replay(&scratch, &pipeline, &[&NO_RULES[..], &["--dry-run"]].concat());
    let resolved = dry["resolved"].as_u64().unwrap();
    assert!(resolved > 0 && resolved < letters, "{dry:#}");
    let rows = summary["rows_out"].as_u64().unwrap();
    assert_eq!(scratch.number(&format!("SELECT COUNT(*) FROM {TABLE}")), rows);
    let done = replay(&scratch, &pipeline, &NO_RULES);
    assert_eq!(done["resolved"], resolved);
    let once = format!("SELECT COUNT(*) FROM {TABLE}");
    assert_eq!(scratch.number(&once), rows + resolved);
    let made = format!("{once} WHERE plugin_set = '{}'", done["plugin_set"].as_str().unwrap());
    assert_eq!(scratch.number(&made), resolved);
    // Resolved letters are left out, of the others each attempt is counted.
    let again = replay(&scratch, &pipeline, &NO_RULES);
    assert_eq!((&again["letters"], &again["resolved"]), (&(letters - resolved).into(), &0.into()));
    assert_eq!(scratch.number(&once), rows + resolved);
    let view = "SELECT COUNT(*) FROM clickstream_analytics.dead_letters WHERE";
    assert_eq!(
        scratch.number(&format!("{view} resolved_at IS NOT NULL AND attempts = 2")),
        resolved
    );
    let open = scratch.number(&format!("{view} resolved_at IS NULL AND attempts = 3"));
    assert_eq!(open, letters - resolved);
    let audit = "SELECT COUNT(*) FROM clickstream_analytics.audit_log WHERE action = 'replay'";
    // Each when it begins and when it ends.
    assert_eq!(scratch.number(audit), 4);
    scratch.done(&["audit", "verify"]);
}

/// Two pipelines that refuse the same record have letters of one id.
#[test]
fn what_a_pipeline_resolves_stays_open_for_another() {
    let scratch = Scratch::new();
    let (pipeline, summary) = loaded(&scratch);
    let letters = summary["rows_rejected"].as_u64().unwrap();
    let second = ["--set", "name=second", "--set", "sink.table=clickstream_analytics.second"];
    let source = format!("source.uri={}", scratch.path("clothing.csv").display());
    let run = ["run", &pipeline, "--set", &source, "--set", "dead_letter.max_rejected_share=1.0"];
    scratch.done(&[&run[..], &second].concat());
    let open = "SELECT COUNT(*) FROM clickstream_analytics.dead_letters WHERE resolved_at IS NULL";
    assert_eq!(scratch.number(open), 2 * letters);
    let resolved = replay(&scratch, &pipeline, &NO_RULES)["resolved"].as_u64().unwrap();
    assert!(resolved > 0);
    assert_eq!(scratch.number(open), 2 * letters - resolved);
    let done = replay(&scratch, &pipeline, &[&NO_RULES[..], &second].concat());
    assert_eq!((&done["letters"], &done["resolved"]), (&letters.into(), &resolved.into()));
    assert_eq!(scratch.number(open), 2 * (letters - resolved));
    let one = scratch.query("SELECT letter_id FROM clickstream_analytics.dead_letter LIMIT 1");
    let shown = scratch.done(&["dead-letter", "show", one[0]["letter_id"].as_str().unwrap()]);
    assert!(shown.contains("clothing_batch\n") && shown.contains("second\n"), "{shown}");
}

/// The same records have letters of the same ids, whichever table they were to go to.
#[test]
fn what_is_resolved_for_one_table_stays_open_for_another_of_the_same_pipeline() {
    let scratch = Scratch::new();
    let (pipeline, summary) = loaded(&scratch);
    let letters = &summary["rows_rejected"];
    let resolved = replay(&scratch, &pipeline, &NO_RULES)["resolved"].clone();
    assert!(resolved.as_u64() > Some(0));
    // All is loaded again, into a new table.
    let other = ["--set", "sink.table=clickstream_analytics.other"];
    let source = format!("source.uri={}", scratch.path("clothing.csv").display());
    let run = ["run", &pipeline, "--set", &source, "--set", "dead_letter.max_rejected_share=1.0"];
    scratch.done(&[&run[..], &other].concat());
    let into_other = [&NO_RULES[..], &other].concat();
    let done = replay(&scratch, &pipeline, &into_other);
    assert_eq!((&done["letters"], &done["resolved"]), (letters, &resolved));
    let rows = |table: &str| scratch.number(&format!("SELECT COUNT(*) FROM {table}"));
    assert_eq!(rows("clickstream_analytics.other"), rows(TABLE));
    // In each it is resolved once.
    let again = [replay(&scratch, &pipeline, &into_other), replay(&scratch, &pipeline, &NO_RULES)];
    assert!(again.iter().all(|again| again["resolved"] == 0), "{again:?}");
}

#[test]
fn a_condition_stays_within_its_parentheses() {
    let scratch = Scratch::new();
    let (pipeline, _) = loaded(&scratch);
    let replay = ["dead-letter", "replay", &pipeline, "--dry-run"];
    let verbs = [&["dead-letter", "list"][..], &replay];
    // Each would take in letters of other pipelines, those that are resolved, or a page again and again.
    for condition in ["TRUE) OR (TRUE", "TRUE) --", "TRUE /*", "TRUE; SELECT 1", "code = ')"] {
        for verb in verbs {
            let output = scratch.run(&[verb, &["--where", condition]].concat());
            let told = talk(&output, &scratch);
            assert_eq!(output.status.code(), Some(2), "{verb:?}: {told}");
            assert!(told.contains("is not one condition in SQL: "), "{verb:?}: {told}");
        }
    }
    // What is quoted is text.
    for verb in verbs {
        scratch
            .done(&[verb, &["--where", "errorMessage <> ') -- ;' AND (code <> \"(\")"]].concat());
    }
}

#[test]
fn a_replay_killed_at_any_moment_and_repeated_writes_each_row_once() {
    let scratch = Scratch::new();
    let (pipeline, summary) = loaded(&scratch);
    let replay_it = [&["dead-letter", "replay", &pipeline, "--json"][..], &NO_RULES].concat();
    for kill in 0..20_u64 {
        let mut command = scratch.command(&replay_it);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(30 + (kill * 67) % 500));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    scratch.done(&replay_it);
    let letters =
        "SELECT COUNT(*) FROM clickstream_analytics.dead_letters WHERE resolved_at IS NOT NULL";
    let resolved = scratch.number(letters);
    assert!(resolved > 0);
    let rows = scratch.number(&format!("SELECT COUNT(*) FROM {TABLE}"));
    assert_eq!(rows, summary["rows_out"].as_u64().unwrap() + resolved);
    let sql = format!(
        "SELECT COUNT(*) FROM (SELECT DISTINCT source, source_line FROM {TABLE}) AS places"
    );
    assert_eq!(scratch.number(&sql), rows);
}

#[test]
fn a_condition_that_asks_for_the_time_has_no_row_written_twice() {
    let scratch = Scratch::new();
    let (pipeline, _) = loaded(&scratch);
    replay(&scratch, &pipeline, &NO_RULES);
    let rows = format!("SELECT COUNT(*) FROM {TABLE}");
    let before = scratch.number(&rows);
    // The rows are there, and the letters open. More than a page of them meets the condition, others each time.
    let attempts = scratch.path("warehouse/clickstream_analytics/dead_letter_attempts");
    std::fs::remove_dir_all(attempts).unwrap();
    let now = "MOD(UNIX_MICROS(CURRENT_TIMESTAMP()) + source_line * 7919, 1000) < 950";
    let done = replay(&scratch, &pipeline, &[&NO_RULES[..], &["--where", now]].concat());
    assert!(done["letters"].as_u64() > Some(5000), "{done:#}");
    assert_eq!((&done["there_before"], scratch.number(&rows)), (&done["resolved"], before));
}

#[test]
fn the_whole_day_reject_seen_plugin_fixed_swapped_rejects_replayed() {
    let scratch = Scratch::new();
    let stream = clicks();
    let fast =
        ["--set", "source.rate=5000", "--set", "source.bad=0%", "--set", "batch.max_rows=500"];
    // A rule that refuses what is right.
    let wrong = r#"plugin.validate.config.rules=[{enum={column="country",values=["PL"]},code="unknown_country"}]"#;
    let live = Live::start(&scratch, &stream, &[&fast[..], &["--set", wrong]].concat());
    live.wait_for_rows(1, 5000);
    let list =
        scratch.done(&["dead-letter", "list", "--where", "code = 'unknown_country'", "--json"]);
    let letter: Json = serde_json::from_str(list.lines().next().unwrap()).unwrap();
    let pipeline = stream.to_string_lossy().into_owned();
    let explain =
        ["dead-letter", "explain", &pipeline, letter["letter"].as_str().unwrap(), "--set", wrong];
    let told = scratch.done(&explain);
    for part in [
        "after decode",
        "after parse",
        "after mask",
        "no row any more",
        "rejected by validate as unknown_country",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    live.swap(
        &scratch,
        &[
            "--config",
            r#"validate.rules=[{"required":{"columns":["event_type"]}}]"#,
            "--note",
            "all countries",
        ],
    )
    .unwrap();
    live.wait_for_rows(2, 1000);
    let done = replay(&scratch, &pipeline, &["--set", wrong]);
    assert_eq!(done["plugin_set"], live.history()[1]["plugin_set"]);
    assert_eq!(done["resolved"], done["letters"]);
    let resolved = done["resolved"].as_u64().unwrap();
    assert!(resolved > 1000, "{done:#}");
    let summary = live.end();
    conserved(&summary);
    let rows = summary["rows_out"].as_u64().unwrap() + resolved;
    let count = |what: &str| {
        scratch.number(&format!("SELECT COUNT({what}) FROM clickstream_analytics.clicks_raw"))
    };
    assert_eq!((count("*"), count("DISTINCT message_id")), (rows, rows));
    scratch.done(&["audit", "verify"]);
}

#[test]
fn what_a_record_says_is_not_taken_for_what_is_said_of_its_letter() {
    let scratch = Scratch::new();
    plugins();
    let event = json!({
        "event_id": "e1",
        "event_type": "nonsense",
        "event_timestamp": "2026-11-25T10:00:00Z",
        "session_id": "s1",
        "user_agent": "Mozilla\nit passes\nrejected by nobody as fine: and so on",
    });
    scratch.write("clicks.ndjson", format!("{event}\n"));
    let pipeline = root().join("host/pipelines/clicks.toml");
    let source = format!("source.uri={}", scratch.path("clicks.ndjson").display());
    scratch.summary(&pipeline, &[&source, "dead_letter.max_rejected_share=1.0"]);
    let id = "SELECT letter_id FROM clickstream_analytics.dead_letter";
    let id = scratch.query(id).remove(0)["letter_id"].as_str().unwrap().to_owned();
    let told = scratch.done(&["dead-letter", "explain", &pipeline.to_string_lossy(), &id]);
    assert!(told.contains("and so on"), "{told}");
    let refused = told.lines().filter(|line| line.starts_with("rejected by "));
    let refused: Vec<&str> = refused.collect();
    assert_eq!(refused.len(), 2, "{told}");
    assert!(refused.iter().all(|line| line.contains("unknown_event_type")), "{told}");
    assert!(!told.lines().any(|line| line == "it passes"), "{told}");
}

#[test]
fn letters_in_bigquery_are_replayed_once_too() {
    let test = "letters_in_bigquery_are_replayed_once_too";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    let wrong = r#"plugin.validate.config.rules=[{enum={column="country",values=["PL"]},code="unknown_country"}]"#;
    cloud.publish(&["--count", "3000", "--bad", "5%", "--seed", "11"]);
    let summary = cloud.drain("3s", &["--set", wrong]);
    let rejected = summary["rows_rejected"].as_u64().unwrap();
    // How many are from elsewhere depends on the hour.
    assert!(rejected > 500, "{summary:#}");
    let pipeline = root().join("host/pipelines/stream_gcp.toml").to_string_lossy().into_owned();
    let replay = |arguments: &[&str]| -> Json {
        let replay = ["dead-letter", "replay", &pipeline, "--json"];
        let output = cloud.command(&[&replay[..], arguments].concat()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let dry = replay(&["--dry-run"]);
    assert_eq!(dry["letters"], rejected);
    let done = replay(&["--where", "code = 'unknown_country'"]);
    let resolved = done["resolved"].as_u64().unwrap();
    // Some have other faults too, which the rule hid.
    let left = done["letters"].as_u64().unwrap() - resolved;
    assert!(resolved > 500, "{done:#}");
    assert_eq!(replay(&["--where", "code = 'unknown_country'"])["letters"], left);
    let count =
        |sql: &str| cloud.bigquery.number(&sql.replace("FROM ", "FROM clickstream_analytics."));
    let rows = summary["rows_out"].as_u64().unwrap() + resolved;
    assert_eq!(count("SELECT COUNT(*) FROM clicks_raw"), rows);
    assert_eq!(count("SELECT COUNT(DISTINCT message_id) FROM clicks_raw"), rows);
    cloud.apply_tables();
    let open = "SELECT COUNT(*) FROM dead_letters WHERE resolved_at IS NULL";
    assert_eq!(count(open), rejected - resolved);
    // Each set once, however often it was taken up, and every change.
    assert_eq!(count("SELECT COUNT(*) FROM plugin_sets"), 8);
    assert_eq!(count("SELECT COUNT(*) FROM audit_log WHERE action = 'replay'"), 4);
}

const SEAL: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

#[test]
fn sealed_letters_say_nothing_and_are_opened_for_a_replay() {
    let scratch = Scratch::new();
    let (pipeline, _) = loaded(&scratch);
    let file = scratch.path("clothing.csv").to_string_lossy().into_owned();
    let other = Scratch::new();
    let sealed = ["--set", "dead_letter.seal={key_env=\"SEAL\",key_id=\"s1\"}"];
    let source = format!("source.uri={file}");
    let run = ["run", &pipeline, "--set", &source, "--set", "dead_letter.max_rejected_share=1.0"];
    let command = |arguments: &[&str], key: &str| {
        other.command(&[arguments, &sealed].concat()).env("SEAL", key).output().unwrap()
    };
    let output = command(&run, SEAL);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let letters = "FROM clickstream_analytics.dead_letter";
    let shown = format!(
        "SELECT COUNT(payloadString) AS shown, COUNT(*) AS letters, \
         COUNT(DISTINCT errorMessage) AS told, MIN(sealed_with) AS key {letters}"
    );
    let row = other.query(&shown).remove(0);
    assert_eq!((&row["shown"], &row["told"], &row["key"]), (&0.into(), &1.into(), &"s1".into()));
    for letter in other.query(&format!("SELECT errorMessage, attributes {letters} LIMIT 50")) {
        let told = letter["errorMessage"].as_str().unwrap();
        assert!(told.contains("clickmill dead-letter explain"), "{told}");
        let attributes = letter.get("attributes").and_then(Json::as_array);
        assert!(attributes.is_none_or(Vec::is_empty), "{letter}");
    }
    let replay = [&["dead-letter", "replay", &pipeline, "--json"][..], &NO_RULES].concat();
    let wrong = command(&replay, &SEAL.replace('0', "f"));
    let talk = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert_eq!(wrong.status.code(), Some(2), "{talk}");
    assert!(talk.contains("cannot open letter"), "{talk}");
    let output = command(&replay, SEAL);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let done: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert!(done["resolved"].as_u64() > Some(0));
    // What is told of those that are refused again is no more.
    let told = "SELECT DISTINCT errorMessage AS told FROM clickstream_analytics.dead_letter_attempts \
                WHERE outcome = 'rejected'";
    let told = other.query(told);
    assert_eq!(told.len(), 1, "{told:?}");
    let audit = "SELECT COUNT(*) FROM clickstream_analytics.audit_log WHERE action = 'unseal'";
    assert!(other.number(audit) > 0);
    // Of several letters whose ids begin alike none is shown, so none is opened.
    let alike = "SELECT SUBSTR(letter_id, 1, 1) AS begin, COUNT(*) AS letters \
                 FROM clickstream_analytics.dead_letters WHERE resolved_at IS NULL \
                 GROUP BY 1 ORDER BY letters DESC LIMIT 1";
    let alike = other.query(alike).remove(0);
    assert!(alike["letters"].as_u64() > Some(1), "{alike}");
    let opened = || {
        let entries = other.done(&["audit", "list", "--limit", "1000", "--json"]);
        entries.lines().filter(|entry| entry.contains("\"unseal\"")).count()
    };
    let before = opened();
    let begin = alike["begin"].as_str().unwrap();
    let output = command(&["dead-letter", "explain", &pipeline, begin], SEAL);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("wanted one that is not resolved"), "{told}");
    assert_eq!(opened(), before);
    // Whoever has the key is told why.
    let open = "SELECT letter_id FROM clickstream_analytics.dead_letters \
                WHERE stage = 'parse' AND resolved_at IS NULL LIMIT 1";
    let id = other.query(open).remove(0)["letter_id"].as_str().unwrap().to_owned();
    let output = command(&["dead-letter", "explain", &pipeline, &id], SEAL);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("rejected by parse as "), "{told}");
    assert!(!told.contains("sealed with the record"), "{told}");
}

#[test]
fn letters_that_an_old_key_sealed_are_opened_with_it() {
    let scratch = Scratch::new();
    let (pipeline, _) = loaded(&scratch);
    let source = format!("source.uri={}", scratch.path("clothing.csv").display());
    let other = Scratch::new();
    let new = SEAL.replace("1f", "2f");
    let command = |arguments: &[&str], seal: &str| {
        let seal = format!("dead_letter.seal={seal}");
        let mut command = other.command(&[arguments, &["--set", seal.as_str()]].concat());
        let output = command.env("OLD", SEAL).env("NEW", &new).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned(), output.stdout)
    };
    let run = ["run", &pipeline, "--set", &source, "--set", "dead_letter.max_rejected_share=1.0"];
    let (code, talk, _) = command(&run, r#"{key_env="OLD",key_id="s1"}"#);
    assert_eq!(code, Some(0), "{talk}");
    let replay = [&["dead-letter", "replay", &pipeline, "--json"][..], &NO_RULES].concat();
    let (code, talk, _) = command(&replay, r#"{key_env="NEW",key_id="s2"}"#);
    assert_eq!(code, Some(2), "{talk}");
    for part in ["sealed with key `s1`", "names `s2`", "`dead_letter.seal`"] {
        assert!(talk.contains(part), "{part}: {talk}");
    }
    let both = r#"{key_env="NEW",key_id="s2",old=[{key_env="OLD",key_id="s1"}]}"#;
    let (code, talk, told) = command(&replay, both);
    assert_eq!(code, Some(0), "{talk}");
    let done: Json = serde_json::from_slice(&told).unwrap();
    assert!(done["resolved"].as_u64() > Some(0), "{done:#}");
    // New letters have the new key.
    let again = [&run[..], &["--set", "sink.table=clickstream_analytics.once_more"]].concat();
    let (code, talk, _) = command(&again, both);
    assert_eq!(code, Some(0), "{talk}");
    let keys =
        "SELECT DISTINCT sealed_with AS key FROM clickstream_analytics.dead_letter ORDER BY 1";
    assert_eq!(other.query(keys), [json!({"key": "s1"}), json!({"key": "s2"})]);
}
