//! What can't work is said before anything is built, started or written, all of it at once, in the order of the
//! pipeline file.

use std::net::TcpListener;

use crate::live::{FAST, Live, clicks};
use crate::support::{Scratch, another, component, talk};

/// A module without anything in it.
const MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Whether these words come in this order.
#[track_caller]
fn in_order(told: &str, words: &[&str]) {
    let mut rest = told;
    for word in words {
        let at = rest
            .find(word)
            .unwrap_or_else(|| panic!("`{word}` is missing, or comes earlier: {told}"));
        rest = &rest[at + word.len()..];
    }
}

#[test]
fn all_that_keeps_a_pipeline_from_running_is_told_at_once() {
    let scratch = Scratch::new();
    let module = scratch.write("module.wasm", MODULE);
    let text = scratch.write("text.wasm", "no component");
    let pipeline = clicks();
    let sets = [
        format!("plugin.enrich.component={}", module.display()),
        format!("plugin.validate.component={}", text.display()),
        "dead_letter.seal={ key_env = \"SEAL_OF_TESTS\", key_id = \"s1\", old = [{ key_env = \"OLD_SEAL\", key_id = \"s0\" }] }".to_owned(),
        "trust.keys=[\"no key\"]".to_owned(),
        "admin.token_env=SHORT_TOKEN".to_owned(),
    ];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    for verb in ["run", "validate"] {
        let mut command =
            scratch.command(&[&[verb, &*pipeline.to_string_lossy()], &sets[..]].concat());
        command.env_remove("CLICKMILL_MASK_KEY").env("SHORT_TOKEN", "short");
        for variable in ["SEAL_OF_TESTS", "OLD_SEAL"] {
            command.env_remove(variable);
        }
        let output = command.output().unwrap();
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(2), "{verb}: {told}");
        in_order(
            &told,
            &[
                "7 things keep the pipeline from running",
                "secret `key`, environment variable `CLICKMILL_MASK_KEY`, is not set",
                "plugin `enrich`",
                "a module of WebAssembly",
                "plugin `validate`",
                "not WebAssembly",
                "`SEAL_OF_TESTS`",
                "`OLD_SEAL`",
                "trusted key 1",
                "the admin token from environment variable `SHORT_TOKEN` has 5 bytes",
            ],
        );
        assert!(!scratch.path("warehouse").exists(), "{verb} has begun: {told}");
    }
}

/// A load of objects has no admin interface of itself, so nobody shows a token there.
#[test]
fn only_what_a_run_needs_is_asked_for() {
    let scratch = Scratch::new();
    scratch.done(&["generate", "clicks", "--rows", "10", "--output", "clicks.ndjson"]);
    let pipeline = crate::support::root().join("host/pipelines/clicks.toml");
    crate::support::plugins();
    let mut command =
        scratch.load(&pipeline, &["source.uri=clicks.ndjson", "admin.token_env=SHORT_TOKEN"]);
    let output = command.env("SHORT_TOKEN", "short").output().unwrap();
    assert!(output.status.success(), "{}", talk(&output, &scratch));
}

#[test]
fn a_misspelt_column_is_told_before_a_table_is_made() {
    let scratch = Scratch::new();
    let set = ["source.rows=10", "plugin.validate.reads=[\"event_typ\"]"];
    let output = scratch.load(&clicks(), &set).output().unwrap();
    let told = talk(&output, &scratch);
    assert_eq!(output.status.code(), Some(2), "{told}");
    let said = "`reads` names `event_typ`, and there is no such column here, but `event_type`";
    assert!(told.contains("plugin `validate`") && told.contains(said), "{told}");
    // And before anything is built, by what `parse` is configured to make.
    let said = "`reads` names `event_typ`, which no stage before it is configured to make: did you mean `event_type`?";
    assert!(told.contains(said), "{told}");
    assert!(!scratch.path("warehouse").exists(), "something was made: {told}");
}

/// What is told of a project that can't be built, with other settings.
fn told_of_an_unbuilt_crate(set: &[&str]) -> String {
    let scratch = Scratch::new();
    scratch.done(&["plugin", "new", "ours"]);
    scratch.write("ours/Cargo.toml", "no manifest");
    let set: Vec<&str> = set.iter().flat_map(|set| ["--set", set]).collect();
    let output = scratch.run(&[&["validate", "ours/pipeline.toml"][..], &set].concat());
    let told = talk(&output, &scratch);
    assert_eq!(output.status.code(), Some(2), "{told}");
    told
}

#[test]
fn a_misspelt_grant_is_told_before_anything_is_built() {
    let writes = "plugin.ours.writes=[\"trafic_source\"]";
    let meant = "plugin `ours`: `writes` names `trafic_source`, which no later stage reads and the table lacks: did you mean `traffic_source`?";
    let unbuilt = "cannot build plugin `ours`";
    // Messages and lines have one column, and what is written may go nowhere on purpose.
    for source in [
        "source={ kind = \"generator\", data = \"clicks\", rate = 1 }",
        "source={ kind = \"storage\", uri = \"none.ndjson\", format = \"ndjson\" }",
    ] {
        let told = told_of_an_unbuilt_crate(&[source, "plugin.ours.reads=[\"paylod\"]", writes]);
        let first = "`reads` names `paylod`, which nobody gives: did you mean `payload`?";
        in_order(&told, &[meant, "columns are misspelt in the pipeline file", first]);
        assert!(!told.contains("cannot build"), "{told}");
        let told = told_of_an_unbuilt_crate(&[source, "plugin.ours.reads=[\"payload\"]", writes]);
        in_order(&told, &[meant, unbuilt]);
    }
}

#[test]
fn a_registry_that_is_away_is_told_before_anything_is_built() {
    // Nobody listens there any more.
    let away = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let scratch = Scratch::new();
    scratch.done(&["plugin", "new", "ours"]);
    scratch.write("ours/Cargo.toml", "no manifest");
    let pipeline = scratch.path("ours/pipeline.toml");
    let digest = "0".repeat(64);
    let stage = format!(
        "\n[[plugin]]\nname = \"theirs\"\ncomponent = \"oci://{away}/theirs:1@sha256:{digest}\"\n"
    );
    let text = std::fs::read_to_string(&pipeline).unwrap() + &stage;
    std::fs::write(&pipeline, text).unwrap();
    for verb in ["run", "validate"] {
        let output = scratch.run(&[verb, "ours/pipeline.toml"]);
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(3), "{verb}: {told}");
        in_order(&told, &["stage `theirs`", &format!("cannot reach the registry `{away}`")]);
        assert!(!told.contains("cannot build"), "{verb}: {told}");
    }
}

#[test]
fn a_swap_is_told_of_every_stage_that_cannot_be() {
    let scratch = Scratch::new();
    let live = Live::start(&scratch, &clicks(), &FAST);
    // The folder of a crate, which is not looked into: it has none.
    std::fs::create_dir(scratch.path("krate")).unwrap();
    let error = live.swap(&scratch, &["maks=krate", "--config", "valid.rules=[]"]).unwrap_err();
    assert!(
        error.contains("there is no stage `maks`, `valid` in this pipeline, only: parse"),
        "{error}"
    );
    scratch.write("module.wasm", MODULE);
    scratch.write("text.wasm", "no component");
    scratch.write("mask.wasm", another("plugins/mask"));
    let changes = ["enrich=module.wasm", "mask=mask.wasm", "validate=text.wasm"];
    let error = live.swap(&scratch, &changes).unwrap_err();
    in_order(&error, &["2 changes cannot be made", "`module.wasm`", "hint: ", "`text.wasm`"]);
    assert_eq!(live.history().len(), 1);
    live.end();
}

#[test]
fn whoever_waits_for_a_large_component_is_told_so() {
    let scratch = Scratch::new();
    let small = std::fs::read(component("plugins/mask")).unwrap();
    // A section of no meaning with four megabytes in it.
    let section = [&[0, 0x80, 0x80, 0x80, 0x02, 3][..], b"pad", &vec![0; (4 << 20) - 4]].concat();
    scratch.write("small.wasm", &small);
    scratch.write("large.wasm", [small, section].concat());
    let inspect = |file: &str| {
        let mut command = scratch.command(&["plugin", "inspect", "--json", file]);
        let output = command.env("CLICKMILL_CACHE", scratch.path("cache")).output().unwrap();
        let told = talk(&output, &scratch);
        assert!(output.status.success(), "{told}");
        told
    };
    let said = "compiling a large component";
    assert!(!inspect("small.wasm").contains(said));
    assert!(inspect("large.wasm").contains(said));
    // From now on it is not compiled.
    assert!(!inspect("large.wasm").contains(said));
}
