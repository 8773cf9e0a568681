//! The contract's text and its version go together, and the version before it is spoken too.

use crate::support::{Scratch, component, head, hostile_stage, root, talk};

const SCHEMA: &str = r#"[
  {"name": "out", "type": "STRING"},
  {"name": "flag", "type": "BOOLEAN"},
  {"name": "before", "type": "STRING"},
  {"name": "bytes", "type": "INTEGER"}
]"#;

/// Digests of the contract's text by version. A change of the text adds a line here, with the new
/// version; a line once written stays.
const VERSIONS: [(&str, &str); 2] = [
    ("0.1.0", "789e3c8ccbeb85db80b63f52bbe5135b0168c418fa0b6da0c3ec87b4eeec0c59"),
    ("0.2.0", "5903b90620e15e8e842a47afc4a78cd2ac2b097790db0e69ce4964cd43faeeca"),
];

#[test]
fn changing_the_contract_changes_its_version() {
    let [before, now] = VERSIONS.map(|(version, _)| version);
    let kept = format!("wit/deps/clickmill-plugin-{before}/plugin.wit");
    for (file, wanted) in [("wit/plugin.wit", now), (&kept, before)] {
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let line = text.lines().find(|line| line.starts_with("package ")).unwrap();
        let version = line.trim_start_matches("package clickmill:plugin@").trim_end_matches(';');
        assert_eq!(version, wanted, "{file}");
        let (_, digest) =
            VERSIONS.iter().find(|(known, _)| *known == version).expect("a known version");
        let got = blake3::hash(text.as_bytes()).to_hex();
        assert_eq!(got.as_str(), *digest, "{file} changed: give it a new version");
    }
    assert_eq!(clickmill_sandbox::CONTRACT, format!("clickmill:plugin@{now}"));
}

/// A guest of each contract, whichever comes first.
#[test]
fn guests_of_both_contracts_run_in_one_chain() {
    let old = component("host/tests/guest_0_1");
    for old_is_first in [true, false] {
        let scratch = Scratch::new();
        scratch.write("out.json", SCHEMA);
        let source = r#"kind = "storage", uri = "input.ndjson""#;
        let head = head("both", source, "test.out", "out.json");
        let before = format!(
            "\n[[plugin]]\nname = \"before\"\ncomponent = \"{}\"\nreads = [\"payload\"]\nwrites = [\"before\", \"bytes\"]\n",
            old.display()
        );
        let now = hostile_stage("reject");
        let stages = if old_is_first { before + &now } else { now + &before };
        let pipeline = scratch.write("pipeline.toml", head + &stages);
        scratch.write("input.ndjson", "\"one\"\n\"guilty\"\n\"three\"\n");
        let summary = scratch.summary(&pipeline, &[]);
        assert_eq!(summary["rows_out"], 2, "{summary:#}");
        assert_eq!(summary["rows_rejected"], 1, "{summary:#}");
        let same = "SELECT COUNT(*) FROM test.out WHERE out = before AND bytes > 0";
        assert_eq!(scratch.number(same), 2);
    }
}

#[test]
fn the_contract_that_a_component_was_built_for_is_told() {
    let scratch = Scratch::new();
    for (folder, version) in [("host/tests/guest_0_1", "0.1.0"), ("host/tests/hostile", "0.2.0")] {
        let guest = component(folder);
        let output = scratch.run(&["plugin", "inspect", &guest.to_string_lossy(), "--json"]);
        assert!(output.status.success(), "{}", talk(&output, &scratch));
        let described: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(described["contract"], format!("clickmill:plugin@{version}"));
    }
}
