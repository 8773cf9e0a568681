//! `clickmill plugin new`: a project in any folder, which is built, tested and run with nothing but the binary
//! and the language's own tools. That the way goes as its README says is in `readme.rs`.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use clickmill_core::build_tool;

use crate::support::{Scratch, conserved, files, on_path, plugins, root, succeeds, talk};

/// Where projects are built: in one place, so that what they are made of is compiled once.
pub(crate) fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme/target")
}

/// A call of cargo that downloads nothing.
fn cargo(arguments: &[&str], manifest: &Path) -> Command {
    let mut cargo = build_tool("cargo");
    cargo.args(arguments).args(["--locked", "--offline", "--manifest-path"]).arg(manifest);
    cargo.env("CARGO_TARGET_DIR", target());
    cargo
}

#[test]
fn a_project_with_columns_of_ones_own_is_built_tested_and_run() {
    // All that is downloaded to build plugins is there afterwards.
    plugins();
    for (name, reads, writes) in [
        ("in-place", &["city"][..], "city"),
        ("first_place", &["city", "region", "country"], "place"),
    ] {
        let scratch = Scratch::new();
        let clickmill = |arguments: &[&str]| {
            let mut command = scratch.command(arguments);
            command.env("CARGO_TARGET_DIR", target()).env("CARGO_NET_OFFLINE", "true");
            command
        };
        let made = ["plugin", "new", name, "--reads", &reads.join(","), "--writes", writes];
        assert_eq!(succeeds(clickmill(&made)).trim(), name);
        let folder = scratch.path(name);

        let tested = succeeds(cargo(&["test"], &folder.join("Cargo.toml")));
        assert!(tested.contains("ok. 3 passed"), "{tested}");

        let output = clickmill(&["plugin", "test", name]).output().unwrap();
        let told = talk(&output, &scratch);
        assert!(output.status.success(), "{told}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "5 golden cases pass\n");
        let next = format!("next: clickmill run {name}/pipeline.toml --watch");
        assert!(told.contains(&next), "{told}");

        let pipeline = format!("{name}/pipeline.toml");
        let ended = ["run", "--json", &pipeline, "--set", "source.watch=false"];
        let summary: serde_json::Value =
            serde_json::from_str(&succeeds(clickmill(&ended))).unwrap();
        conserved(&summary);
        assert_eq!(summary["rows_in"], 60, "{summary:#}");
        let rejected = summary["rows_rejected"].as_u64().unwrap();
        assert!((1..30).contains(&rejected), "{summary:#}");

        let table = name.replace('-', "_");
        let rows =
            scratch.query(&format!("SELECT DISTINCT {writes} FROM clickstream_analytics.{table}"));
        let values: Vec<&str> = rows.iter().filter_map(|row| row[writes].as_str()).collect();
        for wanted in ["google", "facebook", "newsletter", "spring sale", "partner"] {
            assert!(values.contains(&wanted), "{values:?}");
        }
        assert_eq!(values.len(), 5, "{values:?}");
        let letters = format!(
            "SELECT COUNT(*) FROM clickstream_analytics.dead_letter WHERE stage = '{name}' AND code = 'too_long'"
        );
        assert_eq!(scratch.number(&letters), rejected);

        // What was refused is replayed with what refuses it mended.
        let path = folder.join("pipeline.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let mended = text.replace("max_chars = 100", "max_chars = 1000");
        assert_ne!(text, mended);
        std::fs::write(&path, mended).unwrap();
        succeeds(clickmill(&["dead-letter", "replay", &pipeline]));
        let rows = format!("SELECT COUNT(*) FROM clickstream_analytics.{table}");
        assert_eq!(scratch.number(&rows), 60);
    }
}

#[test]
fn what_cannot_be_made_is_told_and_what_is_there_is_left() {
    let scratch = Scratch::new();
    scratch.write("here", "mine");
    let refused = |arguments: &[&str], parts: &[&str]| {
        let output = scratch.run(&[&["plugin", "new"], arguments].concat());
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {told}");
        for part in parts {
            assert!(told.contains(part), "{part}: {told}");
        }
    };
    refused(&["city", "--language", "ruby"], &["ruby", "rust"]);
    refused(&["here"], &["`here` is there already", "nothing is written over"]);
    refused(&["fn"], &["`fn`", "a word of Rust's own"]);
    refused(&["City"], &["`City`", "a name begins with a letter and has a-z"]);
    refused(&["city", "--reads", "a"], &["--writes"]);
    refused(
        &["city", "--reads", "a,items.price", "--writes", "b"],
        &["`--reads` has `items.price`"],
    );
    assert!(!scratch.path("city").exists());
    assert_eq!(std::fs::read_to_string(scratch.path("here")).unwrap(), "mine");
}

/// On machines with less and less of Rust on them.
#[test]
fn without_the_tools_of_the_language_it_is_told_what_to_install() {
    let scratch = Scratch::new();
    let tools = scratch.path("tools");
    std::fs::create_dir(&tools).unwrap();
    let clickmill = |arguments: &[&str]| {
        let output = scratch.command(arguments).env("PATH", &tools).output().unwrap();
        (output.status.code(), talk(&output, &scratch))
    };
    let installer = "https://sh.rustup.rs | sh -s -- --target wasm32-unknown-unknown";
    let (code, told) = clickmill(&["plugin", "new", "city"]);
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("so first: ") && told.contains(installer), "{told}");
    assert!(told.contains("next: clickmill plugin test city"), "{told}");
    let check = |line: &str| {
        let (code, told) = clickmill(&["plugin", "test", "city"]);
        assert_eq!(code, Some(3), "{told}");
        let what = "no Rust toolchain here can build `city`";
        assert!(told.contains(what) && told.contains(line), "{told}");
    };
    check(installer);
    // A compiler without cargo, which knows the target.
    symlink(on_path("rustc").expect("rustc is there"), tools.join("rustc")).unwrap();
    check(installer);
    scratch.program("tools/rustup", "#!/bin/sh\n");
    check("rustup target add wasm32-unknown-unknown");
}

#[test]
fn the_sdk_comes_along_as_it_is() {
    let scratch = Scratch::new();
    scratch.done(&["plugin", "new", "city"]);
    let read = |folder: &Path| -> BTreeMap<PathBuf, Vec<u8>> {
        let files = files(folder).into_iter();
        let bytes = |path: PathBuf| {
            let bytes = std::fs::read(&path).unwrap();
            (path.strip_prefix(folder).unwrap().to_owned(), bytes)
        };
        files.map(bytes).collect()
    };
    let (sdk, copy) = (read(&root().join("plugins/sdk")), read(&scratch.path("city/sdk")));
    assert_eq!(sdk.keys().collect::<Vec<_>>(), copy.keys().collect::<Vec<_>>());
    assert!(sdk == copy, "build clickmill again");
}

fn toml(path: &str) -> toml::Table {
    std::fs::read_to_string(root().join(path)).unwrap().parse().unwrap()
}

/// The SDK inherits nothing, so that it is built without the workspace.
#[test]
fn the_sdk_says_what_the_workspace_says() {
    let (workspace, sdk) = (toml("Cargo.toml"), toml("plugins/sdk/Cargo.toml"));
    let workspace = workspace["workspace"].as_table().unwrap();
    for key in ["version", "edition", "rust-version", "license"] {
        assert_eq!(sdk["package"][key], workspace["package"][key], "{key}");
    }
    let mut lints = workspace["lints"].clone();
    // Two files of it may have what nothing else has: `src/memory.rs` and `src/bindings.rs`.
    lints["rust"]["unsafe_code"] = "deny".into();
    assert_eq!(sdk["lints"], lints);
    for (name, wanted) in sdk["dependencies"].as_table().unwrap() {
        assert_eq!(*wanted, workspace["dependencies"][name], "{name}");
    }
}

/// Whoever has built the workspace has what a project is made of, and it is what was tested.
#[test]
fn a_projects_lock_file_names_the_crates_of_this_one() {
    let packages =
        |path: &str| -> Vec<toml::Value> { toml(path)["package"].as_array().unwrap().clone() };
    let ours = packages("Cargo.lock");
    for package in packages("host/cli/templates/rust/Cargo.lock") {
        if package.get("checksum").is_none() {
            // The project itself and the SDK.
            continue;
        }
        let same = |other: &&toml::Value| {
            ["name", "version", "checksum"].iter().all(|key| other.get(key) == package.get(key))
        };
        assert!(
            ours.iter().any(|other| same(&other)),
            "Cargo.lock has another version than host/cli/templates/rust/Cargo.lock: {package}"
        );
    }
}

#[test]
fn the_sdk_can_be_packaged() {
    let mut package = cargo(&["package", "--allow-dirty"], &root().join("plugins/sdk/Cargo.toml"));
    package.arg("--quiet");
    succeeds(package);
}
