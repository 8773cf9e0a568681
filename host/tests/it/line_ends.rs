//! One shop file, whichever way its lines end: the same rows, the same dead letters, the same lines.

use std::fs;

use serde_json::Value as Json;

use crate::support::{Scratch, plugins, root};

const TABLE: &str = "clickstream_analytics.clickstream_batch";
const LETTERS: &str = "clickstream_analytics.dead_letter";
/// More than the decoder reads at once.
const ROWS: usize = 60_000;

/// What a file becomes, with an LF for every line end within a record.
struct Outcome {
    /// Rows in, out and rejected.
    counts: [Json; 3],
    rows: String,
    letters: String,
    /// Letters, and those that a replay without rules resolves.
    replayed: [Json; 2],
    rows_after_replay: String,
}

#[test]
fn a_shop_file_is_the_same_table_whichever_way_its_lines_end() {
    plugins();
    let scratch = Scratch::new();
    let rows = ROWS.to_string();
    scratch.done(&[
        "generate", "shop", "--rows", &rows, "--seed", "6", "--bad", "8%", "--output", "made.csv",
    ]);
    let made = fs::read(scratch.path("made.csv")).unwrap();
    assert!(made.len() > 2 << 20, "{} bytes", made.len());
    let made = made.strip_suffix(b"\r\n").unwrap();
    let mut lines: Vec<&[u8]> = made
        .split(|byte| *byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .collect();
    // On lines 11 to 14: a blank one, one whose quote never closes, and a model over two.
    let more = [
        &b""[..],
        b"2008;4;1;1;29;1;1;\"A1;5;5;1;28;2;1",
        b"2008;4;1;2;29;1;1;\"A",
        b"1\";5;5;1;28;2;1",
    ];
    lines.splice(10..10, more);

    let wanted = outcome(&written(&lines, &["\n"]));
    assert_eq!(wanted.counts[0], ROWS + 2);
    assert!(
        wanted.letters.contains(r#""source_line":12,"stage":"decode","code":"unbalanced_quote""#)
    );
    assert!(wanted.letters.contains(r#""source_line":13,"stage":"validate","code":"bad_model""#));
    assert!(wanted.rows_after_replay.contains(r#""clothing_model":"A\n1""#));
    for ends in [&["\r\n"][..], &["\r"], &["\r", "\n", "\r\n"]] {
        let found = outcome(&written(&lines, ends));
        assert_eq!(found.counts, wanted.counts, "{ends:?}");
        assert_eq!(found.replayed, wanted.replayed, "{ends:?}");
        let texts = [
            (&found.letters, &wanted.letters),
            (&found.rows, &wanted.rows),
            (&found.rows_after_replay, &wanted.rows_after_replay),
        ];
        for (found, wanted) in texts {
            // The first line that differs tells more than all of them.
            let differ = found.lines().zip(wanted.lines()).find(|(found, wanted)| found != wanted);
            assert_eq!(differ, None, "{ends:?}");
            assert_eq!(found.len(), wanted.len(), "{ends:?}");
        }
    }
}

/// The lines with `ends` after them, in turn.
fn written(lines: &[&[u8]], ends: &[&str]) -> Vec<u8> {
    let mut written = Vec::new();
    for (line, end) in lines.iter().zip(ends.iter().cycle()) {
        written.extend_from_slice(line);
        // After a blank line an LF alone would be one line end with the CR before it.
        let half = *end == "\n" && written.last() == Some(&b'\r');
        let end = if half { "\r\n" } else { *end };
        written.extend_from_slice(end.as_bytes());
    }
    written
}

fn outcome(file: &[u8]) -> Outcome {
    let scratch = Scratch::new();
    scratch.write("shop.csv", file);
    let pipeline = root().join("host/pipelines/batch.toml");
    let summary = scratch.summary(&pipeline, &["source.uri=shop.csv"]);
    let rows = format!(
        "SELECT source_line, event_date, session_id, click_order, country, category, clothing_model, \
         colour, location, photography, price, price_above_average, page \
         FROM {TABLE} ORDER BY source_line"
    );
    let query = |sql: &str| with_lf(&scratch.done(&["query", "--json", sql]));
    let before = query(&rows);
    let letters = query(&format!(
        "SELECT source_line, stage, code, errorMessage, payloadString, \
         CASE WHEN payloadString IS NULL THEN payloadBytes END AS odd_bytes \
         FROM {LETTERS} ORDER BY source_line"
    ));
    let pipeline = pipeline.to_string_lossy().into_owned();
    let replayed = scratch.done(&[
        "dead-letter",
        "replay",
        &pipeline,
        "--json",
        "--set",
        r#"plugin.validate.config.rules=[{required={columns=["price"]}}]"#,
    ]);
    let replayed: Json = serde_json::from_str(&replayed).unwrap();
    let count = |key: &str| summary[key].clone();
    Outcome {
        counts: [count("rows_in"), count("rows_out"), count("rows_rejected")],
        rows: before,
        letters,
        replayed: [replayed["letters"].clone(), replayed["resolved"].clone()],
        rows_after_replay: query(&rows),
    }
}

/// JSON with an LF for every line end in its texts, and in what messages quote of them.
fn with_lf(json: &str) -> String {
    json.replace(r"\\r\\n", r"\\n").replace(r"\r\n", r"\n").replace(r"\r", r"\n")
}
