//! A hostile guest costs its guilty rows and nothing else, and the operator reads why.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value as Json;

use crate::cloud::{ended, summary};
use crate::support::{Scratch, component, head, hostile_stage, talk, write_over};

/// What a guest may do wrong while it works, each of which must cost exactly the guilty row.
const MISDEEDS: [&str; 53] = [
    "spin",
    "allocate",
    "recurse",
    "panic",
    "abort",
    "forge_pointer",
    "fault",
    "huge_fault",
    "huge_output",
    "huge_message",
    "log_flood",
    "unannounced_column",
    "missing_column",
    "column_twice",
    "wrong_type",
    "wrong_length",
    "text_of_no_rows",
    "falling_offsets",
    "offsets_beyond_bytes",
    "offsets_of_host_addresses",
    "gigabytes",
    "grow_beyond",
    "slow_death",
    "not_utf8",
    "cut_character",
    "bad_boolean",
    "short_validity",
    "reject_no_row",
    "reject_twice",
    "reject_and_drop",
    "drop_no_row",
    "bad_code",
    "empty_code",
    "host_code",
    "foreign_lookup",
    "lookup_flood",
    "lookup_names",
    "lookup_fields",
    "log_long",
    "log_and_trap",
    "unreadable_names",
    "grow_nothing",
    "long_column",
    "foreign_column",
    "parent_of_nobody",
    "parent_without_fields",
    "offsets_of_no_list",
    "record_for_a_text",
    "beyond_dictionary",
    "unannounced_rows",
    "lost_rows",
    "rows_of_nobody",
    "too_many_rows",
];

/// What a guest may do wrong when it is configured, each of which must keep the pipeline from starting.
const BAD_STARTS: [&str; 15] = [
    "refuse_config",
    "panic_in_configure",
    "read_more",
    "write_more",
    "write_provenance",
    "lookup_more",
    "write_twice",
    "spin_in_configure",
    "ask_names_in_configure",
    "many_reads",
    "many_writes",
    "endless_writes",
    "many_lookups",
    "wide_name",
    "long_problem",
];

/// What a guest may do wrong when it is asked what it is.
const BAD_NAMES: [&str; 8] =
    ["spin", "panic", "ask names", "long name", "endless", "escapes", "turned", "secrets"];

/// What a guest may do wrong with lists, records and the values in them.
const NESTED_MISDEEDS: [&str; 13] = [
    "lists_from_one",
    "lists_beyond",
    "lists_of_one_more",
    "no_lists",
    "null_element",
    "value_in_null",
    "too_many_digits",
    "half_a_decimal",
    "beyond_the_day",
    "no_json",
    "field_before_its_record",
    "field_of_another",
    "record_without_its_field",
];

const NESTED_SCHEMA: &str = r#"[
  {"name": "out", "type": "STRING"},
  {"name": "flag", "type": "BOOLEAN"},
  {"name": "items", "type": "RECORD", "mode": "REPEATED", "fields": [
    {"name": "price", "type": "NUMERIC"},
    {"name": "tags", "type": "STRING", "mode": "REPEATED"}
  ]},
  {"name": "user", "type": "RECORD", "fields": [{"name": "id", "type": "STRING"}]},
  {"name": "at", "type": "TIME"},
  {"name": "doc", "type": "JSON"},
  {"name": "source_line", "type": "INTEGER"},
  {"name": "record_index", "type": "INTEGER"}
]"#;

const SCHEMA: &str = r#"[
  {"name": "out", "type": "STRING", "mode": "REQUIRED"},
  {"name": "flag", "type": "BOOLEAN", "mode": "REQUIRED"},
  {"name": "source_line", "type": "INTEGER", "mode": "REQUIRED"},
  {"name": "record_index", "type": "INTEGER"}
]"#;

/// A pipeline of the hostile guest alone.
pub(crate) fn pipeline(scratch: &Scratch, misdeed: &str, extra: &str) -> PathBuf {
    scratch.write("out.json", SCHEMA);
    let source = r#"kind = "storage", uri = "input.ndjson""#;
    let head = head("hostile", source, "test.out", "out.json");
    let stage = hostile_stage(misdeed);
    let limits = "limits = { max_output_bytes = 8_388_608 }\n";
    scratch.write("pipeline.toml", format!("{head}{extra}\n{stage}{limits}"))
}

/// Runs a pipeline, which loads what there is, and returns its summary and its log.
#[track_caller]
fn loaded(scratch: &Scratch, pipeline: &Path, set: &[&str]) -> (Json, String) {
    let output = ended(scratch, scratch.load(pipeline, set));
    (summary(&output), String::from_utf8(output.stderr).unwrap())
}

/// Refused rows by code.
fn codes(summary: &Json) -> BTreeMap<String, u64> {
    let reasons = summary["rejected_by"].as_array().unwrap().iter();
    let reason = |r: &Json| (r["code"].as_str().unwrap().to_owned(), r["rows"].as_u64().unwrap());
    reasons.map(reason).collect()
}

#[test]
fn each_misdeed_costs_the_guilty_row_and_says_why() {
    let mut told = String::new();
    for misdeed in MISDEEDS {
        let scratch = Scratch::new();
        let pipeline = pipeline(&scratch, misdeed, "");
        let line =
            |n: usize| if n == 11 { "\"guilty\"\n".to_owned() } else { format!("\"good {n}\"\n") };
        scratch.write("input.ndjson", (1..=20).map(line).collect::<String>());
        let (summary, _) = loaded(&scratch, &pipeline, &[]);
        assert_eq!(summary["rows_out"], 19, "{misdeed}: {summary:#}");
        assert_eq!(summary["rows_rejected"], 1, "{misdeed}");
        let good = scratch.number(
            "SELECT COUNT(DISTINCT out) FROM test.out AS made WHERE out LIKE '%good%' AND flag",
        );
        assert_eq!(good, 19, "{misdeed}");
        let letter = &scratch
            .query("SELECT code, errorMessage, payloadString, source_line FROM test.dead_letter")
            [0];
        assert_eq!(letter["payloadString"], "\"guilty\"", "{misdeed}");
        assert_eq!(letter["source_line"], 11, "{misdeed}");
        let text = |key: &str| letter[key].as_str().unwrap_or_default().to_owned();
        let message = text("errorMessage");
        assert!(message.len() < 1200, "{misdeed}: {} bytes", message.len());
        let shown: String = message.chars().take(160).collect();
        writeln!(told, "{misdeed}: {}: {shown}", text("code")).unwrap();
    }
    insta::assert_snapshot!(told);
}

/// The same of nested columns.
#[test]
fn each_misdeed_with_nested_columns_costs_the_guilty_row_and_says_why() {
    let mut told = String::new();
    for misdeed in NESTED_MISDEEDS {
        let scratch = Scratch::new();
        let pipeline = pipeline(&scratch, misdeed, "");
        scratch.write("out.json", NESTED_SCHEMA);
        let text = std::fs::read_to_string(&pipeline).unwrap();
        let text = text.replace(r#"writes = ["out", "flag"]"#, r#"writes = ["*"]"#);
        let nested =
            text.replace(&format!("\"{misdeed}\" }}"), &format!("\"{misdeed}\", nested = true }}"));
        assert_ne!(nested, text);
        std::fs::write(&pipeline, nested).unwrap();
        let line = |n: usize| if n == 11 { "\"guilty\"\n" } else { "\"good\"\n" };
        scratch.write("input.ndjson", (1..=20).map(line).collect::<String>());
        let (summary, _) = loaded(&scratch, &pipeline, &[]);
        assert_eq!(summary["rows_out"], 19, "{misdeed}: {summary:#}");
        assert_eq!(summary["rows_rejected"], 1, "{misdeed}");
        let letter =
            &scratch.query("SELECT code, errorMessage, source_line FROM test.dead_letter")[0];
        assert_eq!(letter["source_line"], 11, "{misdeed}");
        let message = letter["errorMessage"].as_str().unwrap();
        let told_of = message.split_once("answered nonsense: ").map_or(message, |(_, told)| told);
        writeln!(told, "{misdeed}: {}: {told_of}", letter["code"].as_str().unwrap()).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn what_a_guest_keeps_is_gone_with_the_batch() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "remember", "batch = { max_rows = 3 }\nworkers = 2");
    let lines = (0..300).map(|n| format!("\"visitor {n}\"\n"));
    scratch.write("input.ndjson", lines.collect::<String>());
    assert_eq!(scratch.summary(&pipeline, &[])["rows_out"], 300);
    let told = scratch.query("SELECT DISTINCT out FROM test.out AS made");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["out"], "nothing");
}

#[test]
fn a_trap_on_every_thousandth_row_costs_those_rows() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "panic", "");
    let line = |n: usize| match n % 1000 {
        999 => "\"guilty\"\n".to_owned(),
        _ => format!("\"good {n}\"\n"),
    };
    scratch.write("input.ndjson", (0..20_000).map(line).collect::<String>());
    let summary = scratch.summary(&pipeline, &[]);
    assert_eq!(summary["rows_out"], 19_980);
    assert_eq!(summary["rows_rejected"], 20);
}

#[test]
fn a_guest_that_asks_for_more_does_not_start() {
    let mut told = String::new();
    for misdeed in BAD_STARTS {
        let scratch = Scratch::new();
        let pipeline = pipeline(&scratch, misdeed, "");
        scratch.write("input.ndjson", "\"good\"\n");
        let output = ended(&scratch, scratch.load(&pipeline, &[]));
        assert_eq!(output.status.code(), Some(2), "{misdeed}");
        let says: String = errors(&output, &scratch).chars().take(400).collect();
        writeln!(told, "{misdeed}:\n{says}").unwrap();
    }
    insta::assert_snapshot!(told);
}

/// What a command says beside its log.
fn errors(output: &Output, scratch: &Scratch) -> String {
    let talk = talk(output, scratch);
    talk.lines().filter(|line| !line.starts_with('{')).flat_map(|line| [line, "\n"]).collect()
}

/// Ten thousand problems are a hundred lines.
#[test]
fn problems_of_a_configuration_are_told_up_to_a_number() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "many_problems", "");
    scratch.write("input.ndjson", "\"good\"\n");
    let output = ended(&scratch, scratch.load(&pipeline, &[]));
    assert_eq!(output.status.code(), Some(2));
    let says = talk(&output, &scratch);
    assert_eq!(says.matches("one of many").count(), 100, "{says}");
    assert!(says.contains("and 9900 more"), "{says}");
}

#[test]
fn a_column_that_is_read_twice_is_there_once() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "read_twice", "");
    scratch.write("input.ndjson", "\"good\"\n");
    assert_eq!(loaded(&scratch, &pipeline, &[]).0["rows_out"], 1);
}

/// Nobody configures `describe`, so the word that it acts on is written into the component itself.
#[test]
fn a_guest_that_misbehaves_when_it_is_asked_what_it_is_is_refused() {
    let mut told = String::new();
    let whole = std::fs::read(component("host/tests/hostile")).unwrap();
    let marker = b"describe:as it ought";
    for does in BAD_NAMES {
        let scratch = Scratch::new();
        let mut bytes = whole.clone();
        let word = format!("{:width$}", format!("describe:{does}"), width = marker.len());
        assert_eq!(write_over(&mut bytes, marker, word.as_bytes()), 1);
        let evil = scratch.write("evil.wasm", bytes);
        let output =
            ended(&scratch, scratch.command(&["plugin", "inspect", &evil.to_string_lossy()]));
        assert_eq!(output.status.code(), Some(2), "{does}");
        assert!(output.stdout.is_empty(), "{does}");
        let says: String = talk(&output, &scratch).chars().take(400).collect();
        let hostile = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
        assert!(!says.contains(hostile), "{does}: {says:?}");
        writeln!(told, "{does}:\n{says}").unwrap();
    }
    insta::assert_snapshot!(told);
}

/// Where each of many rows makes the guest use all it may, the batch costs a multiple of that: the rest is
/// not tried. No row is lost, and all can be replayed.
#[test]
fn a_batch_of_guilty_rows_costs_a_multiple_of_what_it_may_use() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "spin", "");
    let rows = (0..600).map(|n| format!("\"guilty {n}\"\n"));
    scratch.write("input.ndjson", rows.collect::<String>());
    let limits = "plugin.hostile.limits";
    let set = [
        &*format!("{limits}.max_fuel_per_record=20000"),
        &format!("{limits}.max_fuel_per_kib=0"),
        &format!("{limits}.max_fuel_per_batch=1000000"),
    ];
    let (summary, _) = loaded(&scratch, &pipeline, &set);
    let found = codes(&summary);
    assert_eq!(found.keys().collect::<Vec<_>>(), ["plugin_batch_given_up", "plugin_out_of_fuel"]);
    assert!(found.values().all(|rows| *rows > 50), "{found:?}");
    assert_eq!(found.values().sum::<u64>(), 600);
    let letters = "SELECT COUNT(DISTINCT payloadString) FROM test.dead_letter";
    assert_eq!(scratch.number(letters), 600);
    let given_up =
        "SELECT DISTINCT errorMessage FROM test.dead_letter WHERE code = 'plugin_batch_given_up'";
    let told = scratch.query(given_up);
    assert_eq!(told.len(), 1, "{told:?}");
    insta::assert_snapshot!(told[0]["errorMessage"].as_str().unwrap());
    // The verdicts hang on fuel, so they are the same again.
    let again = Scratch::new();
    let pipeline = self::pipeline(&again, "spin", "");
    std::fs::copy(scratch.path("input.ndjson"), again.path("input.ndjson")).unwrap();
    assert_eq!(codes(&loaded(&again, &pipeline, &set).0), found);
}

/// A large record may use more than a small one, by its bytes, and no more than that.
#[test]
fn a_guest_that_spins_on_a_large_record_is_ended_too() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "spin", "");
    let large = format!("\"guilty {}\"", "x".repeat(900_000));
    scratch.write("input.ndjson", format!("\"good\"\n{large}\n"));
    let (summary, _) = loaded(&scratch, &pipeline, &[]);
    assert_eq!(codes(&summary), BTreeMap::from([("plugin_out_of_fuel".to_owned(), 1)]));
    assert_eq!(summary["rows_out"], 1);
    // Two offsets and the text.
    let kib = (8 + large.len() as u64) / 1024;
    let told = format!(
        "limit {} for a batch of 1, which its `max_fuel_per_kib` under `[plugin.limits]` raises, 500000 now",
        10_200_000 + 500_000 * kib
    );
    let letter = scratch.query("SELECT errorMessage FROM test.dead_letter");
    assert!(letter[0]["errorMessage"].as_str().unwrap().ends_with(&told), "{letter:?}, {told}");
}

/// The lines that a guest may write for a batch are not as many again for each piece of it, and those that
/// are not written are counted.
#[test]
fn a_guest_that_talks_and_traps_is_heard_so_often() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "log_and_trap", "workers = 1");
    scratch.write("input.ndjson", "\"guilty\"\n".repeat(200));
    let (summary, log) = loaded(&scratch, &pipeline, &[]);
    assert_eq!(codes(&summary), BTreeMap::from([("plugin_trap".to_owned(), 200)]));
    assert_eq!(log.matches("before the end").count(), 16, "{log}");
    assert_eq!(log.matches("log lines beyond").count(), 1, "{log}");
    // Sixteen lines and the panic's, of each call.
    let plugin = &summary["plugins"][0];
    let said = 17 * plugin["faults"].as_u64().unwrap();
    assert_eq!(plugin["log_lines_unwritten"].as_u64().unwrap(), said - 16);
}

/// A panic is told with its fault, and the lines before it as what they are.
#[test]
fn an_error_that_a_guest_logs_is_told_in_its_place() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "log_errors", "workers = 1");
    for (record, rows_out) in [("guilty", 1), ("guilty of too much", 0)] {
        scratch.write("input.ndjson", format!("\"{record}\"\n"));
        let table = format!("sink.table=\"test.t{rows_out}\"");
        let (summary, log) = loaded(&scratch, &pipeline, &[&table]);
        assert_eq!(summary["rows_out"], rows_out);
        let lines = log.lines().filter(|line| line.contains("plugin says"));
        let told: Vec<(bool, bool)> =
            lines.map(|line| (line.contains("ERROR"), line.contains("it failed"))).collect();
        assert_eq!(told, [(true, true), (false, false), (true, true)], "{log}");
    }
    let letter = &scratch.query("SELECT errorMessage FROM test.dead_letter")[0];
    assert!(letter["errorMessage"].as_str().unwrap().contains("that was too much"), "{letter}");
}

/// Fuel says nothing about what takes time and hardly any fuel; the clock behind it does.
#[test]
fn a_guest_that_makes_its_fuel_last_is_ended_by_the_clock() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "grow_nothing", "");
    scratch.write("input.ndjson", "\"good 1\"\n\"guilty\"\n\"good 2\"\n\"good 3\"\n");
    let limits = "plugin.hostile.limits";
    let set = [
        &*format!("{limits}.max_fuel_per_batch=1000000000000000"),
        &format!("{limits}.max_call_secs=1"),
    ];
    let (summary, _) = loaded(&scratch, &pipeline, &set);
    assert_eq!(summary["rows_out"], 3);
    assert_eq!(codes(&summary), BTreeMap::from([("plugin_timed_out".to_owned(), 1)]));
    let plugin = &summary["plugins"][0];
    assert_eq!((plugin["timeouts"].as_u64(), plugin["faults"].as_u64()), (Some(3), Some(3)));
    let letter = &scratch.query("SELECT errorMessage, payloadString FROM test.dead_letter")[0];
    assert_eq!(letter["payloadString"], "\"guilty\"");
    insta::assert_snapshot!(letter["errorMessage"].as_str().unwrap());
}

/// Codes are labels of metrics: those of one stage are so many, whatever it names.
#[test]
fn a_code_for_each_row_is_so_many_reasons() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "many_codes", "");
    let rows = (0..500).map(|n| format!("\"guilty {n}\"\n"));
    let rows = [rows.collect::<String>().as_bytes(), b"\xff\n"].concat();
    scratch.write("input.ndjson", rows);
    let (summary, _) = loaded(&scratch, &pipeline, &[]);
    let mut found = codes(&summary);
    assert_eq!(found.remove("invalid_utf8"), Some(1), "{found:?}");
    assert_eq!(found["(other)"], 450, "{found:?}");
    assert!(found.keys().filter(|code| code.starts_with("guilty_")).count() == 50, "{found:?}");
    assert_eq!(scratch.number("SELECT COUNT(DISTINCT code) FROM test.dead_letter"), 501);
}

#[test]
fn a_reused_instance_is_replaced_after_a_fault() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "panic", "batch = { max_rows = 2 }\nworkers = 1");
    let text = std::fs::read_to_string(&pipeline).unwrap() + "instance = \"reuse\"\n";
    std::fs::write(&pipeline, text).unwrap();
    let line = |n: usize| {
        if n.is_multiple_of(5) { "\"guilty\"\n".to_owned() } else { format!("\"good {n}\"\n") }
    };
    scratch.write("input.ndjson", (1..=50).map(line).collect::<String>());
    let summary = scratch.summary(&pipeline, &[]);
    assert_eq!(summary["rows_out"], 40);
    assert_eq!(summary["rows_rejected"], 10);
}

#[test]
fn a_chain_that_ruins_most_rows_ends_the_run_and_leaves_nothing() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "reject", "");
    scratch.write("input.ndjson", "\"guilty\"\n".repeat(90) + &"\"good\"\n".repeat(10));
    let pipeline = pipeline.to_string_lossy();
    let run = ["run", &*pipeline, "--set", "dead_letter.max_rejected_share=0.5"];
    let output = scratch.run(&run);
    assert_eq!(output.status.code(), Some(1));
    // Beside its log, which has the head of the audit log.
    let told = talk(&output, &scratch);
    let told: Vec<&str> = told.lines().filter(|line| !line.starts_with('{')).collect();
    insta::assert_snapshot!(told.join("\n").replace(char::is_numeric, "9"));
    assert_eq!(scratch.number("SELECT COUNT(*) FROM test.out"), 0);
    assert_eq!(scratch.number("SELECT COUNT(*) FROM test.dead_letter"), 0);
    // Told that it is fine, the same input loads.
    let summary: Json = scratch.summary(std::path::Path::new(&*pipeline), &[]);
    assert_eq!(summary["rows_rejected"], 90);
}

#[test]
fn a_component_built_for_another_world_runs_in_an_empty_one() {
    let scratch = Scratch::new();
    // The lookups of the contract, under a name of WASI: an interface that no plugin is given.
    let mut bytes = std::fs::read(component("host/tests/hostile")).unwrap();
    let (ours, theirs) = (b"clickmill:plugin/lookup@0.2.0", b"wasi:http/outgoing-what@0.2.0");
    assert!(write_over(&mut bytes, ours, theirs) > 0);
    let wasi = scratch.write("wasi.wasm", bytes);
    let pipeline = pipeline(&scratch, "foreign_lookup", "");
    scratch.write("input.ndjson", "\"good\"\n\"guilty\"\n");
    let component = format!("plugin.hostile.component={}", wasi.display());
    let pipeline = pipeline.to_string_lossy().into_owned();
    let output = scratch.run(&["run", &pipeline, "--set", &component]);
    let told = talk(&output, &scratch);
    assert!(output.status.success(), "{told}");
    assert!(
        told.contains("no plugin is given this") && told.contains("wasi:http/outgoing-what"),
        "{told}"
    );
    // It is told where it calls it; the other row passes.
    let letter = &scratch.query("SELECT code, errorMessage FROM test.dead_letter")[0];
    assert_eq!(letter["code"], "plugin_trap");
    insta::assert_snapshot!(letter["errorMessage"].as_str().unwrap());
    assert_eq!(scratch.number("SELECT COUNT(*) FROM test.out"), 1);
}
