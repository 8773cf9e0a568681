//! What the crates' dependencies cannot say: within a crate no files use each other, few crates know the
//! heavy libraries, and one prints.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use imports::{Imports, circles, tokens};

use crate::readme::tracked;
use crate::support::{files, root};

/// The folders of the workspace's crates.
fn crates() -> Vec<String> {
    let manifest: toml::Table = read_manifest(&root());
    let members = manifest["workspace"]["members"].as_array().unwrap();
    members.iter().map(|member| member.as_str().unwrap().to_owned()).collect()
}

fn read_manifest(folder: &Path) -> toml::Table {
    std::fs::read_to_string(folder.join("Cargo.toml")).unwrap().parse().unwrap()
}

#[test]
fn no_files_of_a_crate_use_each_other() {
    let sources = crates().into_iter().map(|folder| folder + "/src");
    let found = sources.chain(["host/tests/it".to_owned()]).flat_map(|folder| {
        let edges = Imports::read(&root().join(&folder)).edges();
        assert!(!edges.is_empty() || root().join(&folder).join("lib.rs").is_file(), "{folder}");
        circles(&edges).into_iter().map(move |circle| (folder.clone(), circle))
    });
    assert_eq!(found.collect::<Vec<_>>(), [], "files use each other");
}

#[test]
fn no_modules_of_the_pipeline_use_each_other() {
    let modules = ["exec", "fleet", "observe", "replay", "run", "swap", "versions"];
    let module = |file: &String| {
        let (module, _) = file.split_once(['/', '.']).expect("files end in `.rs`");
        modules.contains(&module).then(|| module.to_owned())
    };
    let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (from, to) in Imports::read(&root().join("host/pipeline/src")).edges() {
        let Some(from) = module(&from) else { continue };
        let others = to.iter().filter_map(module).filter(|to| *to != from).collect::<Vec<_>>();
        edges.entry(from).or_default().extend(others);
    }
    assert_eq!(edges.len(), modules.len());
    assert_eq!(circles(&edges), BTreeSet::new());
}

#[test]
fn circles_are_found_through_groups_and_what_is_handed_on() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, code: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, code).unwrap();
    };
    write("lib.rs", "mod far; mod low; mod room; pub use room::{Deep, Room};\npub struct Root;");
    // Used through the root and the room, which hand it on: this is a use of `room/deep.rs`.
    write("low.rs", "use std::fmt; use crate::{Root, room::{Deep as D}};\n// use super::room;");
    write(
        "room.rs",
        "mod deep; mod far; mod side;\npub use {deep::Deep, far::Far}; pub struct Room;\n\
        fn f() { side::g(\"crate::low::x\"); }",
    );
    // Used by a name that a `use` has given to the room.
    write("far.rs", "pub struct Near; fn f() -> room::Far { todo() } use crate::room;");
    write("room/far.rs", "use crate::far::Near; pub struct Far(Near);");
    write("room/deep.rs", "pub struct Deep; fn f() -> super::super::low::L { todo() }");
    write("room/side.rs", "use super::Room;\n#[cfg(test)] mod tests { use crate::low; }");
    let circle =
        |files: &[&str]| -> Vec<String> { files.iter().map(|file| (*file).to_owned()).collect() };
    let wanted: BTreeSet<Vec<String>> =
        [&["far.rs", "room/far.rs"], &["low.rs", "room/deep.rs"], &["room.rs", "room/side.rs"]]
            .map(|files| circle(files))
            .into();
    assert_eq!(circles(&Imports::read(folder.path()).edges()), wanted);
}

/// The host's crates, in the order of the code map in host/README.md.
fn code_map() -> Vec<String> {
    let text = std::fs::read_to_string(root().join("host/README.md")).unwrap();
    let lines = text.lines().skip_while(|line| !line.starts_with("| crate |")).skip(2);
    let names = lines.map_while(|line| line.strip_prefix("| `")?.split('`').next());
    names.map(str::to_owned).collect()
}

/// The crates of the host that one of them uses, by their folders.
fn used_by(name: &str) -> BTreeSet<String> {
    let manifest = read_manifest(&root().join("host").join(name));
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
    let named = dependencies.into_iter().flat_map(toml::Table::keys);
    let ours = named.filter_map(|name| name.strip_prefix("clickmill-"));
    ours.map(|name| name.replace('-', "_")).collect()
}

#[test]
fn a_crate_uses_only_those_above_it_in_the_code_map() {
    let map = code_map();
    let crates =
        crates().into_iter().filter_map(|folder| Some(folder.strip_prefix("host/")?.to_owned()));
    let crates: BTreeSet<String> = crates.filter(|name| !name.starts_with("tests/")).collect();
    assert_eq!(map.iter().cloned().collect::<BTreeSet<_>>(), crates);
    for (at, name) in map.iter().enumerate() {
        let above: BTreeSet<String> = map[..at].iter().cloned().collect();
        let below: Vec<String> = used_by(name).difference(&above).cloned().collect();
        assert_eq!(below, [""; 0], "`{name}` uses them");
    }
}

/// They take most of the time of a build: each is compiled while the others are.
#[test]
fn no_heavy_library_waits_for_another() {
    let doors: [&[&str]; 3] = [&["sandbox"], &["sql"], &["bigquery", "google", "source"]];
    for door in doors {
        let mut waited_for: BTreeSet<String> = door.iter().flat_map(|name| used_by(name)).collect();
        // Those above it are looked at after it.
        for name in code_map().iter().rev() {
            if waited_for.contains(name) {
                waited_for.extend(used_by(name));
            }
        }
        assert!(waited_for.contains("core"), "{door:?} uses nothing");
        let others = doors.iter().filter(|other| **other != door).flat_map(|other| other.iter());
        let others: Vec<_> = others.filter(|name| waited_for.contains(**name)).collect();
        assert_eq!(others, [&""; 0], "{door:?} waits for them");
    }
}

#[test]
fn heavy_libraries_are_behind_one_door_each() {
    for (library, allowed) in [
        ("wasmtime", &["host/mapped", "host/sandbox"][..]),
        ("datafusion", &["host/sql"]),
        ("google-cloud-", &["host/bigquery", "host/google", "host/source"]),
    ] {
        for folder in crates() {
            let manifest = read_manifest(&root().join(&folder));
            let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
            let mut named = dependencies.into_iter().flat_map(toml::Table::keys);
            if !allowed.contains(&folder.as_str()) {
                let found = named.find(|name| name.starts_with(library));
                assert_eq!(found, None, "`{folder}` names it");
            }
        }
    }
}

/// But for allocators, compiled code that is mapped, exports that a crate generates of itself, and what misbehaves
/// on purpose.
#[test]
fn unsafe_code_is_forbidden_in_every_crate_and_in_new_plugins() {
    let new = "host/cli/templates/rust".to_owned();
    for folder in crates().into_iter().chain([new]) {
        let manifest = read_manifest(&root().join(&folder));
        let lints = &manifest["lints"];
        let of_workspace = lints.get("workspace").and_then(toml::Value::as_bool);
        let own = lints.get("rust").and_then(|lints| lints.get("unsafe_code"));
        let own = own.and_then(toml::Value::as_str);
        let wanted = match folder.as_str() {
            "host/tests/hostile" => (None, None),
            "host/allocator"
            | "host/mapped"
            | "host/tests/guest_0_1"
            | "host/tests/guest_0_2"
            | "plugins/sdk" => (None, Some("deny")),
            "host/cli/templates/rust" => (None, Some("forbid")),
            _ => (Some(true), None),
        };
        assert_eq!((of_workspace, own), wanted, "{folder}");
    }
    let workspace = read_manifest(&root());
    let level = &workspace["workspace"]["lints"]["rust"]["unsafe_code"];
    assert_eq!(level.as_str(), Some("forbid"));
}

/// Blank lines, comments and tests count for nothing, and neither do the bindings of the SDK, which another test
/// holds to be generated. The SDK in C is one file, to be compiled as it is.
#[test]
fn no_file_has_more_than_400_lines_of_code() {
    let mut languages = BTreeSet::new();
    for name in tracked() {
        let language = name.extension().and_then(OsStr::to_str).unwrap_or_default();
        let comment = match language {
            "go" | "js" | "rs" => "//",
            "py" => "#",
            _ => continue,
        };
        if name.iter().any(|part| part == "tests") || name.ends_with("tests.rs") {
            continue;
        }
        if name == Path::new("plugins/sdk/src/bindings.rs") {
            continue;
        }
        let text = std::fs::read_to_string(root().join(&name)).unwrap();
        let (text, _) = text.split_once("\n#[cfg(test)]\nmod tests {").unwrap_or((&text, ""));
        let lines = text.lines().map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with(comment)).count();
        assert!(lines <= 400, "`{}` has {lines} lines of code", name.display());
        languages.insert(language.to_owned());
    }
    assert_eq!(languages.len(), 4, "{languages:?}");
}

#[test]
fn only_the_command_line_and_the_sql_executable_print() {
    // The SDK prints what a plugin logs in its own tests.
    for folder in crates().into_iter().filter(|folder| folder.starts_with("host/")) {
        for path in code(&root().join(&folder).join("src")) {
            let tokens = tokens(&std::fs::read_to_string(&path).unwrap());
            let prints = tokens.windows(2).any(|pair| {
                ["print", "println", "eprint", "eprintln"].contains(&pair[0].as_str())
                    && pair[1] == "!"
            });
            let allowed = folder == "host/cli" || path.ends_with("host/sql/src/main.rs");
            assert!(allowed || !prints, "`{}` prints", path.display());
        }
    }
}

/// Otherwise something would reach a terminal without having been looked at.
#[test]
fn of_the_command_line_one_file_writes_to_the_standard_streams() {
    for path in code(&root().join("host/cli/src")) {
        let tokens = tokens(&std::fs::read_to_string(&path).unwrap());
        let written = tokens.windows(5).find(|tokens| {
            ["stdout", "stderr"].contains(&tokens[0].as_str())
                && tokens[1..3] == ["(", ")"]
                && tokens[4] != "is_terminal"
        });
        // By its full name a macro is that of the standard library.
        let print = ["print", "println", "eprint", "eprintln"];
        let printed = tokens.windows(3).find(|tokens| {
            tokens[0] == "::" && print.contains(&tokens[1].as_str()) && tokens[2] == "!"
                || ["print", "eprint"].contains(&tokens[0].as_str()) && tokens[1] == "!"
        });
        let allowed = path.ends_with("host/cli/src/print.rs");
        assert!(allowed || (written, printed) == (None, None), "`{}` writes", path.display());
    }
}

/// The files with code in a folder.
fn code(folder: &Path) -> Vec<PathBuf> {
    let mut found = files(folder);
    found.retain(|path| path.extension().is_some_and(|e| e == "rs"));
    found
}
