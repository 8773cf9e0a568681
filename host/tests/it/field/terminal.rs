//! What is printed, where the other end is closed or a terminal.

use std::process::{Output, Stdio};

use serde_json::Value as Json;

use super::stock;
use crate::support::{Scratch, not_run, on_a_terminal, root};

/// Runs a command whose standard output and standard error nobody reads.
fn into_closed_pipes(scratch: &Scratch, arguments: &[&str]) -> Output {
    let mut command = scratch.command(arguments);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let errors = child.stderr.take();
    let output = child.wait_with_output().unwrap();
    let mut stderr = Vec::new();
    std::io::Read::read_to_end(&mut errors.unwrap(), &mut stderr).unwrap();
    Output { stderr, ..output }
}

fn with_letter(record: &str) -> (Scratch, String) {
    let scratch = Scratch::new();
    let pipeline = stock(&scratch, super::TABLE, &[]);
    scratch.write("in.csv", format!("id,label,price\n{record}\n7,seven,7\n"));
    scratch.summary(&pipeline, &[]);
    let letters = scratch.query(&format!("SELECT letter_id FROM {}", super::LETTERS));
    let letter = letters[0]["letter_id"].as_str().unwrap()[..8].to_owned();
    (scratch, letter)
}

#[test]
fn output_that_nobody_reads_ends_quietly_whatever_the_verb() {
    let (scratch, letter) = with_letter("x,bad,1");
    let keys = scratch.path("key").to_string_lossy().into_owned();
    for arguments in [
        &["dead-letter", "show", &letter][..],
        &["dead-letter", "show", &letter, "--json"],
        &["dead-letter", "list"],
        &["dead-letter", "explain", "stock.toml", &letter],
        &["dead-letter", "replay", "stock.toml", "--dry-run"],
        &["query", "SELECT 1 AS one"],
        &["query", "--json", "SELECT 1 AS one"],
        &["validate", "stock.toml"],
        &["run", "--json", "stock.toml"],
        &["audit", "verify"],
        &["audit", "list"],
        &["permissions", "stock.toml"],
        &["plugin", "inspect", &root().join("plugins/parse").to_string_lossy()],
        &["plugin", "keygen", "--output", &keys],
        &["generate", "shop", "--rows", "100000"],
    ] {
        let output = into_closed_pipes(&scratch, arguments);
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!told.contains("panicked"), "{arguments:?}: {told}");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
    }
    // Standard error too.
    let mut command = scratch.command(&["run", "stock.toml"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// What a command says to a terminal, and its exit code. `None` where there is no Python to make one.
fn told_on_a_terminal(scratch: &Scratch, arguments: &[&str]) -> Option<(Option<i32>, String)> {
    let mut command = on_a_terminal(&scratch.command(arguments));
    let Ok(output) = command.stdin(Stdio::null()).output() else {
        not_run("escapes on a terminal", "python3 is missing");
        return None;
    };
    let said = String::from_utf8_lossy(&output.stdout).replace("\r\n", "\n");
    Some((output.status.code(), said))
}

/// Names of files and of stages, lines of the log, arguments: whatever an error quotes.
#[test]
fn errors_and_log_lines_command_no_terminal_either() {
    let scratch = Scratch::new();
    let odd = "odd\u{1b}]0;t\u{7}\u{9b}2J\u{202e}";
    let file = format!("{odd}.toml");
    for (arguments, code) in [
        (&["run", &file][..], 2),
        (&["plugin", "inspect", odd], 2),
        (&["plugin", odd], 2),
        (&["query", "SELECT 1", "--no-such-option", odd], 2),
    ] {
        let Some((found, said)) = told_on_a_terminal(&scratch, arguments) else { return };
        assert_eq!(found, Some(code), "{arguments:?}: {said:?}");
        let obeyed = |c: char| c.is_control() && c != '\n' && c != '\t' || c == '\u{202e}';
        assert!(!said.contains(obeyed), "{arguments:?}: {said:?}");
    }
    let Some((_, said)) = told_on_a_terminal(&scratch, &["run", &file]) else { return };
    assert!(said.contains("odd\\u001b]0;t\\u0007\\u009b2J\\u202e.toml"), "{said:?}");
}

/// A value that looks like lines of ours.
#[test]
fn a_value_begins_no_line_of_what_is_shown() {
    let record = "\"x\ncode           forged\",bad,1";
    let (scratch, letter) = with_letter(record);
    let shown = scratch.done(&["dead-letter", "show", &letter]);
    assert!(shown.contains("\n    code           forged"), "{shown}");
    assert!(!shown.contains("\ncode           forged"), "{shown}");
}

#[test]
fn what_a_terminal_would_obey_is_shown_escaped_there_and_only_there() {
    let (scratch, letter) = with_letter("x,\u{1b}[2J\u{1b}]0;t\u{7},1");
    let show = ["dead-letter", "show", &letter];
    assert!(scratch.done(&show).contains("x,\u{1b}[2J\u{1b}]0;t\u{7},1"));
    let query = ["query", "SELECT payloadString FROM clickstream_analytics.dead_letter"];
    let as_json = [&show[..], &["--json"]].concat();
    for arguments in [&show[..], &as_json, &query, &[&query[..], &["--json"]].concat()] {
        let Some((code, said)) = told_on_a_terminal(&scratch, arguments) else { return };
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        assert!(!said.contains('\u{1b}') && !said.contains('\u{7}'), "{arguments:?}: {said:?}");
        assert!(said.contains("\\u001b[2J"), "{arguments:?}: {said}");
        if arguments.contains(&"--json") {
            let found: Json = serde_json::from_str(said.trim()).expect("JSON still");
            assert_eq!(found["payloadString"], "x,\u{1b}[2J\u{1b}]0;t\u{7},1");
        }
    }
}
