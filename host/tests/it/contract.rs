//! The contract's text and its version go together, and the version before it is spoken too.

use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator as _};

use crate::live::Live;
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
    // The SDKs have copies, since a plugin is built without what lies above it.
    let [rust, c, go] =
        ["sdk", "sdk-c", "sdk-go"].map(|sdk| format!("plugins/{sdk}/wit/plugin.wit"));
    for (file, wanted) in
        [("wit/plugin.wit", now), (&rust, now), (&c, now), (&go, now), (&kept, before)]
    {
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

/// No plugin compiles what makes them. With `UPDATE_BINDINGS=1` they are made anew, after the contract was changed or
/// another version of `wit-bindgen` was taken.
#[test]
fn the_bindings_of_the_sdk_are_made_of_its_contract() {
    let sdk = root().join("plugins/sdk");
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_path(sdk.join("wit")).expect("the contract");
    let world = resolve.select_world(&[package], Some("plugin")).expect("the world of plugins");
    let derived = ["PartialEq", "Clone", "serde::Serialize", "serde::Deserialize"];
    let options = wit_bindgen_rust::Opts {
        format: true,
        pub_export_macro: true,
        default_bindings_module: Some("clickmill_plugin::bindings".to_owned()),
        additional_derive_attributes: derived.map(str::to_owned).to_vec(),
        ..wit_bindgen_rust::Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, world, &mut files).expect("bindings");
    let (_, made) = files.iter().next().expect("a file");
    let path = sdk.join("src/bindings.rs");
    if std::env::var_os("UPDATE_BINDINGS").is_some() {
        std::fs::write(&path, made).unwrap();
    }
    let kept = std::fs::read(&path).unwrap_or_default();
    assert!(kept == made, "`{}` is not of the contract: UPDATE_BINDINGS=1", path.display());
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
        let same = "SELECT COUNT(*) FROM test.out AS made WHERE out = before AND bytes > 0";
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

/// The stage of a stream, as a guest of either contract: each writes columns of its own.
#[test]
fn a_live_stream_swaps_from_the_contract_before_to_this_one_and_back() {
    let (old, now) = (component("host/tests/guest_0_1"), component("host/tests/hostile"));
    let scratch = Scratch::new();
    let provenance = r#",
  {"name": "message_id", "type": "STRING", "mode": "REQUIRED"},
  {"name": "plugin_set", "type": "STRING", "mode": "REQUIRED"}
]"#;
    let columns = SCHEMA.trim_end().trim_end_matches(']').trim_end();
    scratch.write("out.json", format!("{columns}{provenance}"));
    let source = r#"kind = "generator", data = "clicks", rate = 5000"#;
    // Their cost says nothing of what is tested.
    let rules = "batch = { max_rows = 500 }\nswap = { max_fuel_ratio = 1000000.0 }\n";
    let stage = format!(
        "\n[[plugin]]\nname = \"guest\"\ncomponent = \"{}\"\nreads = [\"payload\"]\n\
         writes = [\"before\", \"bytes\", \"out\", \"flag\"]\nconfig = {{ misdeed = \"none\" }}\n",
        old.display()
    );
    let head = head("either", source, "test.out", "out.json");
    let pipeline = scratch.write("pipeline.toml", head + rules + &stage);
    let live = Live::start(&scratch, &pipeline, &[]);
    live.wait_for_rows(1, 2000);
    let mut sets = Vec::new();
    for (version, component) in [(2, &now), (3, &old)] {
        let swapped = live.swap(&scratch, &[&format!("guest={}", component.display())]).unwrap();
        sets.push((swapped["from"].clone(), swapped["to"].clone()));
        live.wait_for_rows(version, 2000);
    }
    let summary = live.end();
    assert_eq!(summary["rows_in"], summary["rows_out"], "{summary:#}");
    let [(first, second), (from, back)] = &sets[..] else { panic!("two swaps") };
    assert_eq!((second, first), (from, back), "the set before is the same again");
    let rows = |set: &serde_json::Value, made: &str| {
        let set = set.as_str().unwrap();
        scratch.number(&format!(
            "SELECT COUNT(*) FROM test.out AS made WHERE plugin_set = '{set}' AND {made}"
        ))
    };
    let (by_old, by_new) =
        ("before IS NOT NULL AND out IS NULL", "out IS NOT NULL AND before IS NULL");
    assert!(rows(first, by_old) >= 4000 && rows(second, by_new) >= 2000);
    assert_eq!(
        rows(first, by_old) + rows(second, by_new),
        scratch.number("SELECT COUNT(*) FROM test.out")
    );
}
