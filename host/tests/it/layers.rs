//! Imports run one way: a module uses those below it, never those above.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::root;

/// Modules by floor, the lowest first. A module may use any on a lower floor, and none on its own.
const FLOORS: [&[&str]; 7] = [
    &["tls"],
    &["telemetry", "batch", "google", "schema", "store"],
    &["config"],
    &["access", "audit", "source", "decode", "plugin", "sink", "dead_letter"],
    &["dashboard", "pipeline"],
    &["admin"],
    &["cli"],
];

fn floor(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

#[test]
fn no_module_uses_one_above_or_beside_it() {
    let src = root().join("host/src");
    let mut uses: BTreeMap<String, String> = BTreeMap::new();
    for entry in std::fs::read_dir(&src).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        if module != "lib" && module != "main" {
            assert!(floor(&module).is_some(), "module `{module}` has no floor");
            read(&path, uses.entry(module).or_default());
        }
    }
    for (module, text) in &uses {
        for (other, _) in uses.iter().filter(|(other, _)| *other != module) {
            let used = text.contains(&format!("crate::{other}::"))
                || text.contains(&format!("crate::{{{other}"));
            if used {
                assert!(
                    floor(other) < floor(module),
                    "`{module}` uses `{other}`, which is not below it"
                );
            }
        }
    }
}

/// Appends the code of a file, or of all files under a folder, without its tests.
fn read(path: &Path, text: &mut String) {
    if path.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            read(&entry.unwrap().path(), text);
        }
    } else if path.file_stem().is_some_and(|stem| stem != "tests") {
        let code = std::fs::read_to_string(path).unwrap();
        text.push_str(code.split("#[cfg(test)]").next().unwrap());
    }
}

#[test]
fn only_the_plugin_module_names_wasmtime_and_only_the_command_line_prints() {
    let src = root().join("host/src");
    for entry in std::fs::read_dir(&src).unwrap() {
        let path = entry.unwrap().path();
        let module = path.file_stem().unwrap().to_string_lossy().into_owned();
        let mut text = String::new();
        read(&path, &mut text);
        if module != "plugin" {
            assert!(!text.contains("wasmtime::"), "`{module}` names wasmtime");
        }
        if module != "cli" {
            assert!(!text.contains("println!("), "`{module}` prints");
        }
    }
}
