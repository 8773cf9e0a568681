//! A hostile guest costs its guilty rows and nothing else, and the operator reads why.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::Value as Json;

use crate::support::{Scratch, component, talk};

/// What a guest may do wrong while it works, each of which must cost exactly the guilty row.
const MISDEEDS: [&str; 35] = [
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
    "foreign_lookup",
    "lookup_flood",
];

/// What a guest may do wrong when it is configured, each of which must keep the pipeline from starting.
const BAD_STARTS: [&str; 6] = [
    "refuse_config",
    "panic_in_configure",
    "read_more",
    "write_more",
    "write_provenance",
    "lookup_more",
];

const SCHEMA: &str = r#"[
  {"name": "out", "type": "STRING", "mode": "REQUIRED"},
  {"name": "flag", "type": "BOOLEAN", "mode": "REQUIRED"},
  {"name": "source_line", "type": "INTEGER", "mode": "REQUIRED"}
]"#;

/// A pipeline of the hostile guest alone.
pub(crate) fn pipeline(scratch: &Scratch, misdeed: &str, extra: &str) -> PathBuf {
    let component = component("host/tests/hostile");
    let schemas = crate::support::root().join("schemas");
    scratch.write("out.json", SCHEMA);
    let text = format!(
        r#"
name = "hostile"
source = {{ kind = "storage", uri = "input.ndjson" }}
sink = {{ table = "test.out", schema = "out.json" }}
dead_letter = {{ table = "test.dead_letter", schema = "{schemas}/dead_letter.json", max_rejected_share = 1.0 }}
{extra}
[[plugin]]
name = "hostile"
component = "{component}"
reads = ["payload"]
writes = ["out", "flag"]
config = {{ misdeed = "{misdeed}" }}
limits = {{ max_output_bytes = 8_388_608 }}
"#,
        schemas = schemas.display(),
        component = component.display(),
    );
    scratch.write("pipeline.toml", text)
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
        let summary = scratch.summary(&pipeline, &[]);
        assert_eq!(summary["rows_out"], 19, "{misdeed}: {summary:#}");
        assert_eq!(summary["rows_rejected"], 1, "{misdeed}");
        let good = scratch
            .number("SELECT COUNT(DISTINCT out) FROM test.out WHERE out LIKE '%good%' AND flag");
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

#[test]
fn what_a_guest_keeps_is_gone_with_the_batch() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "remember", "batch = { max_rows = 3 }\nworkers = 2");
    let lines = (0..300).map(|n| format!("\"visitor {n}\"\n"));
    scratch.write("input.ndjson", lines.collect::<String>());
    assert_eq!(scratch.summary(&pipeline, &[])["rows_out"], 300);
    let told = scratch.query("SELECT DISTINCT out FROM test.out");
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
        let output = scratch.run(&["run", &pipeline.to_string_lossy()]);
        assert_eq!(output.status.code(), Some(2), "{misdeed}");
        writeln!(told, "{misdeed}:\n{}", talk(&output, &scratch)).unwrap();
    }
    insta::assert_snapshot!(told);
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
    let (ours, theirs) = (b"clickmill:plugin/lookup@0.1.0", b"wasi:http/outgoing-what@0.2.0");
    let places: Vec<usize> =
        (0..bytes.len() - ours.len()).filter(|at| bytes[*at..].starts_with(ours)).collect();
    assert!(!places.is_empty());
    for at in places {
        bytes[at..at + ours.len()].copy_from_slice(theirs);
    }
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
