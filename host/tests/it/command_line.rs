//! The command line: its help, its exit codes, and the README's own commands.

use std::fmt::Write;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;

use crate::support::{Scratch, after, root, talk};

#[test]
fn help_says_what_each_verb_does_with_examples() {
    let scratch = Scratch::new();
    let mut told = String::new();
    for verb in [
        &["--help"][..],
        &["init", "--help"],
        &["run", "--help"],
        &["exec", "--help"],
        &["validate", "--help"],
        &["schema", "--help"],
        &["demo", "--help"],
        &["generate", "--help"],
        &["query", "--help"],
        &["dead-letter", "list", "--help"],
        &["dead-letter", "show", "--help"],
        &["dead-letter", "replay", "--help"],
        &["dead-letter", "explain", "--help"],
        &["loads", "list", "--help"],
        &["loads", "show", "--help"],
        &["loads", "retry", "--help"],
        &["plugin", "new", "--help"],
        &["plugin", "build", "--help"],
        &["plugin", "inspect", "--help"],
        &["plugin", "test", "--help"],
        &["plugin", "bench", "--help"],
        &["plugin", "profile", "--help"],
        &["plugin", "push", "--help"],
        &["plugin", "pull", "--help"],
        &["plugin", "copy", "--help"],
        &["plugin", "list", "--help"],
        &["plugin", "lock", "--help"],
        &["plugin", "swap", "--help"],
        &["plugin", "rollback", "--help"],
        &["plugin", "history", "--help"],
        &["plugin", "keygen", "--help"],
        &["plugin", "sign", "--help"],
        &["fleet", "status", "--help"],
        &["fleet", "swap", "--help"],
        &["fleet", "rollback", "--help"],
        &["audit", "verify", "--help"],
        &["audit", "list", "--help"],
        &["warehouse", "compact", "--help"],
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_clickmill"));
        let output = command
            .args(verb)
            .env("COLUMNS", "100")
            .env_remove("CLICKMILL_WAREHOUSE")
            .output()
            .unwrap();
        assert!(output.status.success());
        writeln!(
            told,
            "$ clickmill {}\n{}",
            verb.join(" "),
            String::from_utf8_lossy(&output.stdout)
        )
        .unwrap();
    }
    drop(scratch);
    insta::assert_snapshot!(told);
}

#[test]
fn errors_name_the_thing_and_the_exit_code_says_whose_fault_it_is() {
    let scratch = Scratch::new();
    scratch.write("file", "a file, not a folder");
    let mut told = String::new();
    for (arguments, code) in [
        (&["run", "nowhere.toml"][..], 2),
        (&["query", "SELECT 1 FROM nowhere.table"], 2),
        (&["query", "SELEKT"], 2),
        (&["dead-letter", "show", "xyz"], 2),
        (&["loads", "show", "xyz"], 2),
        (&["loads", "retry", "nowhere.toml"], 2),
        (&["generate", "shop", "--bad", "bad_ip=1%"], 2),
        (&["plugin", "build", "nowhere"], 2),
        (&["plugin", "inspect", "file"], 2),
        (&["plugin", "test", "nowhere"], 2),
        (&["plugin", "swap", "--admin", "127.0.0.1:9"], 2),
        (&["plugin", "swap", "mask"], 2),
        (&["plugin", "swap", "mask=file", "--admin", "127.0.0.1:9"], 3),
        (&["plugin", "history", "--admin", "127.0.0.1:9"], 3),
        (&["plugin", "sign", "file", "--key", "nowhere.key"], 2),
        (&["dead-letter", "replay", "nowhere.toml"], 2),
        (&["audit", "verify", "nobody"], 2),
        (&["warehouse", "compact", "--table", "no.table"], 2),
        (&["generate", "shop", "--output", "no/such/folder/file"], 3),
    ] {
        let output = scratch.run(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", talk(&output, &scratch));
        writeln!(told, "$ clickmill {}\n{}", arguments.join(" "), talk(&output, &scratch)).unwrap();
    }
    insta::assert_snapshot!(told);
}

#[test]
fn where_nothing_was_loaded_no_load_is_listed() {
    let scratch = Scratch::new();
    assert_eq!(scratch.done(&["loads", "list", "--json"]), "");
    let shown = scratch.run(&["loads", "show", "abcdef"]);
    let told = talk(&shown, &scratch);
    assert_eq!(shown.status.code(), Some(2), "{told}");
    assert!(told.contains("no load begins with `abcdef`"), "{told}");
}

#[test]
fn an_engine_that_says_nothing_is_not_waited_for() {
    let scratch = Scratch::new();
    scratch.write("silent", "#!/bin/sh\nexec sleep 600\n");
    let silent = scratch.path("silent");
    std::fs::set_permissions(&silent, Permissions::from_mode(0o755)).unwrap();
    let asked = scratch.command(&["query", "SELECT 1"]).env("CLICKMILL_SQL", &silent).output();
    let asked = asked.unwrap();
    let told = talk(&asked, &scratch);
    assert_eq!(asked.status.code(), Some(3), "{told}");
    assert!(told.contains("it has said nothing for 30 s"), "{told}");
}

/// As with `ulimit -u` and a container's limit of processes, which say nothing to root: no system has room for stacks
/// of such a size.
#[test]
fn where_there_are_no_more_threads_it_is_the_environment_that_is_told() {
    let scratch = Scratch::new();
    scratch.done(&["generate", "shop", "--rows", "1000", "--output", "shop.csv"]);
    let pipeline = root().join("host/pipelines/batch.toml").to_string_lossy().into_owned();
    let run = ["run", &*pipeline, "--set", "source.uri=shop.csv"];
    for arguments in [&run[..], &["query", "SELECT 1"]] {
        let command = &mut scratch.command(arguments);
        let output = command.env("RUST_MIN_STACK", (1_u64 << 46).to_string()).output().unwrap();
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {told}");
        assert!(told.contains("gives this process no more threads"), "{arguments:?}: {told}");
    }
}

#[test]
fn where_the_folder_that_it_runs_in_is_gone_that_is_told() {
    let scratch = Scratch::new();
    let pipeline = root().join("host/pipelines/batch.toml").to_string_lossy().into_owned();
    let command = scratch.command(&["validate", &pipeline, "--set", "source.uri=shop.csv"]);
    let output = after("mkdir gone && cd gone && rmdir ../gone", &command).output().unwrap();
    let told = talk(&output, &scratch);
    assert!(!output.status.success(), "{told}");
    assert!(told.contains("the folder that this runs in cannot be found"), "{told}");
}

#[test]
fn a_file_in_place_of_a_warehouse_is_told() {
    let scratch = Scratch::new();
    scratch.write("warehouse", "no folder");
    let asked = scratch.run(&["query", "SELECT 1"]);
    let told = talk(&asked, &scratch);
    assert!(!asked.status.success(), "{told}");
    assert!(told.contains("it is a file, wanted a folder"), "{told}");
}

#[test]
fn a_query_has_as_much_memory_as_whoever_asks_may_have() {
    let scratch = Scratch::new();
    scratch.done(&["generate", "shop", "--rows", "1000", "--output", "shop.csv"]);
    scratch.summary(&root().join("host/pipelines/batch.toml"), &["source.uri=shop.csv"]);
    let table = "clickstream_analytics.clickstream_batch";
    let query = format!("SELECT country, COUNT(*) AS n FROM {table} GROUP BY country");
    let asked = scratch.command(&["query", &query]);
    let asked = after("ulimit -d 250000", &asked).output().unwrap();
    assert!(asked.status.success(), "{}", talk(&asked, &scratch));
}

#[test]
fn a_token_that_will_not_do_is_the_configurations_fault() {
    let scratch = Scratch::new();
    for (token, said) in [
        (["--token-env", "SHORT_TOKEN"], "has 5 bytes, wanted at least 16"),
        (["--token-file", "nowhere"], "cannot read the admin token from `nowhere`"),
    ] {
        let dashboard = ["dashboard", "--listen", "127.0.0.1:0"];
        let mut command = scratch.command(&[&dashboard[..], &token].concat());
        let output = command.env("SHORT_TOKEN", "short").output().unwrap();
        let told = talk(&output, &scratch);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains(said), "{told}");
    }
}

#[test]
fn memory_of_queries_that_is_no_number_is_told() {
    let scratch = Scratch::new();
    for wrong in ["4GB", "0", "17592186044416"] {
        let mut asked = scratch.command(&["query", "SELECT 1"]);
        let asked = asked.env("CLICKMILL_SQL_MEMORY_MB", wrong).output().unwrap();
        let told = talk(&asked, &scratch);
        assert_eq!(asked.status.code(), Some(2), "{told}");
        assert!(told.contains(&format!("is `{wrong}`, wanted a number of MiB")), "{told}");
    }
}

#[test]
fn a_query_of_many_parts_is_answered() {
    let scratch = Scratch::new();
    let parts: Vec<String> = (0..200).map(|n| format!("SELECT {n} AS n")).collect();
    let query = format!("SELECT SUM(n) AS sum FROM ({})", parts.join(" UNION ALL "));
    assert_eq!(scratch.number(&query), 199 * 100);
}

#[test]
fn a_warehouse_without_tables_is_told() {
    let scratch = Scratch::new();
    for dry_run in [&[][..], &["--dry-run"]] {
        let output = scratch.run(&[&["warehouse", "compact", "no-such-folder"], dry_run].concat());
        let told = talk(&output, &scratch);
        assert!(output.status.success(), "{told}");
        assert!(told.contains("`no-such-folder` has no tables yet"), "{told}");
    }
}

#[test]
fn the_readmes_clickmill_commands_are_ones_that_exist() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let mut count = 0;
    // Every second piece is a block of code.
    let blocks = readme.split("\n```").skip(1).step_by(2);
    for line in blocks.flat_map(str::lines).filter_map(|line| line.strip_prefix("clickmill ")) {
        let verb: Vec<&str> = line
            .split_whitespace()
            .take_while(|word| {
                word.chars().all(|c| c.is_ascii_lowercase() || c == '-') && !word.starts_with('-')
            })
            .take(2)
            .collect();
        let help = |words: &[&str]| {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_clickmill"));
            command.args(words).arg("--help").output().unwrap().status.success()
        };
        assert!(help(&verb) || help(&verb[..1]), "{line}");
        count += 1;
    }
    assert!(count >= 4, "the README shows commands");
}

#[test]
fn rows_as_json_keep_exact_numbers_and_nested_values() {
    let scratch = Scratch::new();
    let sql = "SELECT NUMERIC '12345678901234567890.123456789' AS exact, NUMERIC '1.50' AS plain, \
               CAST(NULL AS STRING) AS nothing, [1, 2] AS list, 'z' AS a, FROM_BASE64('AP8=') AS bytes";
    let line = r#"{"exact":"12345678901234567890.123456789","plain":1.5,"list":[1,2],"a":"z","bytes":"AP8="}"#;
    assert_eq!(scratch.done(&["query", "--json", sql]).trim(), line);
}
