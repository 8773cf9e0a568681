use std::collections::BTreeSet;
use std::fs;

use super::*;

fn new(folder: &Path) -> New {
    New { folder: folder.to_owned(), language: Language::Rust, reads: Vec::new(), writes: None }
}

fn error(new: &New) -> String {
    match new.project() {
        Ok(project) => panic!("`{}` is a name", project.name),
        Err(failure) => failure.to_string(),
    }
}

#[test]
fn a_name_is_one_of_a_crate_and_of_a_stage() {
    for name in ["a", "traffic-source", "plugins/shout_2", "/tmp/x/city", "./city", "city/"] {
        assert!(new(Path::new(name)).project().is_ok(), "{name}");
    }
    for name in [".", "..", "a/.."] {
        let told = error(&new(Path::new(name)));
        assert!(told.contains(&format!("`{name}` is no name of a folder to make")), "{told}");
    }
    let long = "a".repeat(65);
    for name in
        ["", ".", "..", "a/..", "/", "Shout", "2shout", "-a", "_a", "shöut", "a b", "a.b", &long]
    {
        assert!(error(&new(Path::new(name))).contains("a plugin and a stage"), "{name}");
    }
    for (name, why) in [
        ("decode", "the host has a stage"),
        ("sink", "the host has a stage"),
        ("dead-letter", "the table of dead letters"),
        ("dead_letter", "the table of dead letters"),
        ("fn", "a word of Rust's own"),
        ("std", "a word of Rust's own"),
        ("proc-macro", "a word of Rust's own"),
        ("serde", "it is built with"),
        ("clickmill-plugin", "it is built with"),
        ("wit-bindgen", "it is built with"),
        ("clickmill_plugin", "it is built with"),
        ("wit_bindgen", "it is built with"),
    ] {
        let told = error(&new(Path::new(name)));
        assert!(told.contains(why) && told.contains(&format!("`{name}`")), "{told}");
    }
}

/// Whatever is a word of one language or a module that comes with it is a name in the others.
#[test]
fn names_of_other_languages_are_names() {
    let named = |language, name: &str| New { language, ..new(Path::new(name)) };
    for language in [Language::Python, Language::JavaScript, Language::Go, Language::C] {
        for name in ["test", "std", "core", "json", "async", "class", "main", "serde", "internal"] {
            let new = named(language, name);
            let project = new.project().unwrap_or_else(|failure| panic!("{failure}"));
            // Node would take all files in a folder `test` for tests, where none are named.
            let files = project.files().into_iter().filter(|(path, _)| !path.starts_with("sdk/"));
            for (path, text) in files {
                let names_none = |line: &str| {
                    line.contains("node --test") && !line.contains("node --test *.test.js")
                };
                assert!(!text.lines().any(names_none), "{path}");
            }
        }
    }
    let told = error(&named(Language::JavaScript, "node_modules"));
    assert!(told.contains("npm keeps packages"), "{told}");
}

/// What an interpreter takes for a row is beyond the limit by default where it does a little more.
#[test]
fn pipeline_files_are_alike_but_for_the_fuel_that_languages_want() {
    let pipeline = |language| {
        let new = New { language, ..new(Path::new("city")) };
        let project = new.project().unwrap_or_else(|failure| panic!("{failure}"));
        let file = project.files().into_iter().find(|(path, _)| path == "pipeline.toml");
        file.map(|(_, text)| text).unwrap()
    };
    let by_default = pipeline(Language::Rust);
    assert_eq!(pipeline(Language::C), by_default);
    for language in [Language::Python, Language::JavaScript, Language::Go] {
        let own = pipeline(language);
        let (head, limits) = own.split_once("[plugin.limits]\n").unwrap();
        let (limits, tail) = limits.split_once("[sink]\n").unwrap();
        assert!(limits.ends_with("\nmax_fuel_per_record = 2_000_000\n\n"), "{limits}");
        assert_eq!(format!("{head}[sink]\n{tail}"), by_default, "{language}");
    }
}

#[test]
fn columns_are_names_of_columns_that_plugins_may_have() {
    let with = |reads: &[&str], writes: &str| New {
        reads: reads.iter().map(|name| (*name).to_owned()).collect(),
        writes: Some(writes.to_owned()),
        ..new(Path::new("city"))
    };
    for (reads, writes) in [(&["a"][..], "a"), (&["a", "B_2", "_c"], "a"), (&["a", "b"], "c")] {
        assert!(with(reads, writes).project().is_ok(), "{reads:?}, {writes}");
    }
    let long = "a".repeat(301);
    for column in ["", " a", "a b", "a-b", "2a", "items.price", "é", "a\"", "{{name}}", &long] {
        assert!(error(&with(&[column], "c")).contains("`--reads` has"), "{column}");
        assert!(error(&with(&["a"], column)).contains("`--writes` has"), "{column}");
    }
    assert!(error(&with(&["a"], "c,d")).contains("further columns to write"));
    assert!(error(&with(&["a", "A"], "c")).contains("`A` twice"));
    assert!(error(&with(&["b", "A"], "a")).contains("which BigQuery takes for the same column"));
    for filled in ["plugin_set", "Source"] {
        assert!(error(&with(&[filled], "c")).contains("fills in itself"), "{filled}");
        assert!(error(&with(&["a"], filled)).contains("fills in itself"), "{filled}");
    }
}

#[test]
fn nothing_in_braces_is_left_and_each_file_is_there_once() {
    let project = new(Path::new("city")).project().unwrap_or_else(|failure| panic!("{failure}"));
    let files = project.files();
    for (path, text) in &files {
        let left = text.match_indices("{{").find(|(at, _)| {
            text[at + 2..].starts_with(|c: char| c.is_ascii_lowercase())
                && !path.starts_with("sdk/")
        });
        assert_eq!(left, None, "{path}");
    }
    let paths: BTreeSet<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths.len(), files.len());
    for path in [
        "Cargo.lock",
        ".gitignore",
        ".github/workflows/ci.yml",
        "sdk/src/lib.rs",
        "sdk/wit/plugin.wit",
    ] {
        assert!(paths.contains(path), "{path}: {paths:?}");
    }
}

#[test]
fn what_is_there_is_left_as_it_is() {
    let scratch = tempfile::tempdir().unwrap();
    let project = new(Path::new("city")).project().unwrap_or_else(|failure| panic!("{failure}"));
    let folder = scratch.path().join("city");
    assert!(make(&folder, &project).is_ok());
    let read = || fs::read_to_string(folder.join("src/lib.rs")).unwrap();
    fs::write(folder.join("src/lib.rs"), "mine").unwrap();
    let told = make(&folder, &project).unwrap_err().to_string();
    assert!(told.contains("is there already"), "{told}");
    assert_eq!(read(), "mine");
    // A file, a folder without anything in it, and a link that leads nowhere are there too.
    let (file, empty, link) = ("file", "empty", "link");
    fs::write(scratch.path().join(file), "mine").unwrap();
    fs::create_dir(scratch.path().join(empty)).unwrap();
    std::os::unix::fs::symlink("nowhere", scratch.path().join(link)).unwrap();
    for name in [file, empty, link] {
        let told = make(&scratch.path().join(name), &project).unwrap_err().to_string();
        assert!(told.contains("is there already"), "{told}");
    }
    // By a name of a folder the link would be followed, by whoever does not look.
    assert!(make(&scratch.path().join("link/"), &project).is_err());
    assert!(!scratch.path().join("nowhere").exists());
    let told = make(&scratch.path().join("no/such/city"), &project).unwrap_err().to_string();
    assert!(told.contains("has to be there"), "{told}");
    // Nor is a link followed that lies where the folder is made first.
    let elsewhere = scratch.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let aside = scratch.path().join(format!(".town.{}", std::process::id()));
    std::os::unix::fs::symlink(&elsewhere, &aside).unwrap();
    assert!(make(&scratch.path().join("town"), &project).is_err());
    assert!(aside.is_symlink() && fs::read_dir(&elsewhere).unwrap().next().is_none());
    assert!(!scratch.path().join("town").exists());
}
