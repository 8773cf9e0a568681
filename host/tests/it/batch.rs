//! The batch pipeline as its user meets it.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use serde_json::{Value as Json, json};

use crate::support::{Scratch, plugins, root};

fn batch() -> PathBuf {
    root().join("host/pipelines/batch.toml")
}

/// The shop file the pipeline was made for, where the environment says it is. It is not part of the
/// project: `README.md` says where to get it.
const REAL_FILE: &str = "CLICKMILL_CLOTHING_CSV";

#[test]
fn real_file_loads_whole() {
    // On request only: its licence lets nobody ship it.
    let Some(file) = std::env::var_os(REAL_FILE) else { return };
    plugins();
    let scratch = Scratch::new();
    let set = format!("source.uri={}", PathBuf::from(file).display());
    let summary = scratch.summary(&batch(), &[&set]);
    assert_eq!(summary["rows_in"], 165_474);
    // One click of the file has a skirt's category and a trouser's model.
    assert_eq!(summary["rows_out"], 165_473);
    let letters = scratch
        .query("SELECT code, source_line, payloadString FROM clickstream_analytics.dead_letter");
    let letter = json!({"code": "model_category_mismatch", "source_line": 19_003, "payloadString": "2008;4;10;27;29;2766;2;A18;4;6;1;38;2;1"});
    assert_eq!(letters, [letter]);
    let table = "clickstream_analytics.clickstream_batch";
    let counts = scratch.query(&format!(
        "SELECT COUNT(DISTINCT session_id) AS sessions, COUNT(DISTINCT clothing_model) AS models, \
         COUNT(DISTINCT country) AS countries, CAST(MIN(event_date) AS STRING) AS first, CAST(MAX(event_date) AS STRING) AS last FROM {table}"
    ));
    assert_eq!(
        counts[0],
        json!({"sessions": 24_026, "models": 217, "countries": 47, "first": "2008-04-01", "last": "2008-08-13"})
    );
    let categories = scratch
        .query(&format!("SELECT category, COUNT(*) AS n FROM {table} GROUP BY 1 ORDER BY 1"));
    assert_eq!(
        categories,
        [
            json!({"category": "blouses", "n": 38_577}),
            json!({"category": "sale", "n": 38_747}),
            json!({"category": "skirts", "n": 38_407}),
            json!({"category": "trousers", "n": 49_742}),
        ]
    );
}

#[test]
fn each_kind_of_bad_record_is_refused_for_its_own_reason() {
    plugins();
    // What the generator spoils, and the code that must come of it.
    let kinds = [
        ("wrong_field_count", "wrong_field_count"),
        ("invalid_utf8", "invalid_utf8"),
        ("unbalanced_quote", "unbalanced_quote"),
        ("not_a_number", "not_a_number"),
        ("unknown_code", "unknown_code"),
        ("bad_date", "bad_date"),
        ("negative_price", "negative_price"),
        ("model_category_mismatch", "model_category_mismatch"),
    ];
    for (kind, code) in kinds {
        let scratch = Scratch::new();
        let bad = format!("{kind}=3%");
        scratch
            .done(&["generate", "shop", "--rows", "3000", "--bad", &bad, "--output", "shop.csv"]);
        let summary = scratch.summary(&batch(), &["source.uri=shop.csv"]);
        assert_eq!(summary["rows_in"], 3000, "{kind}");
        assert!(summary["rows_rejected"].as_u64() > Some(30), "{kind}: {summary:#}");
        let codes = scratch.query("SELECT DISTINCT code FROM clickstream_analytics.dead_letter");
        let codes: Vec<&str> = codes.iter().filter_map(|row| row["code"].as_str()).collect();
        let accepted: &[&str] = match kind {
            // A number that is no number may stand in an integer column.
            "not_a_number" => &["not_a_number", "not_an_integer"],
            _ => &[code],
        };
        assert!(codes.iter().all(|code| accepted.contains(code)), "{kind}: {codes:?}");
    }
}

#[test]
fn a_letter_is_shown_with_its_attributes_as_json_and_its_bytes_in_base64() {
    plugins();
    let scratch = Scratch::new();
    let bad = ["--rows", "3000", "--bad", "not_a_number=1%", "--output", "shop.csv"];
    scratch.done(&[&["generate", "shop"][..], &bad].concat());
    scratch.summary(&batch(), &["source.uri=shop.csv"]);
    let sql = "SELECT letter_id, TO_BASE64(payloadBytes) AS bytes, attributes FROM clickstream_analytics.dead_letter ORDER BY letter_id LIMIT 1";
    let letter = &scratch.query(sql)[0];
    assert_eq!(letter["attributes"][0]["key"], "clickmill.header", "{letter}");
    let (id, bytes) = (letter["letter_id"].as_str().unwrap(), letter["bytes"].as_str().unwrap());
    let shown = scratch.done(&["dead-letter", "show", id]);
    for (column, value) in
        [("attributes", &*letter["attributes"].to_string()), ("payloadBytes", bytes)]
    {
        assert!(shown.contains(&format!("{column:<14} {value}\n")), "{shown}");
    }
    let shown = scratch.done(&["dead-letter", "show", "--json", id]);
    let shown: Json = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["attributes"], &shown["payloadBytes"]),
        (&letter["attributes"], &letter["bytes"])
    );
}

#[test]
fn compressed_objects_are_read_by_content_and_patterns_match_many() {
    plugins();
    let scratch = Scratch::new();
    let one = scratch.done(&["generate", "shop", "--rows", "700", "--seed", "1"]);
    let two = scratch.done(&["generate", "shop", "--rows", "800", "--seed", "2"]);
    fs::create_dir(scratch.path("in")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(one.as_bytes()).unwrap();
    scratch.write("in/one.csv", gzip.finish().unwrap());
    scratch.write("in/two.csv", zstd::encode_all(two.as_bytes(), 1).unwrap());
    scratch.write("in/other.txt", "not for us");
    let summary = scratch.summary(&batch(), &["source.uri=in/*.csv"]);
    assert_eq!(summary["objects_loaded"], 2);
    assert_eq!(summary["rows_out"], 1500);
}

#[test]
fn standard_input_and_the_generator_are_sources_too() {
    plugins();
    let scratch = Scratch::new();
    let summary = scratch
        .summary(&batch(), &["source={ kind = \"generator\", data = \"shop\", rows = 2500 }"]);
    assert_eq!(summary["rows_out"], 2500);
    let shop = scratch.done(&["generate", "shop", "--rows", "300"]);
    let file = scratch.write("shop.csv", shop);
    let batch = batch();
    let output = scratch
        .command(&["run", "--json", &batch.to_string_lossy(), "--set", "source.uri=-"])
        .stdin(fs::File::open(file).unwrap())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(
        scratch.number("SELECT COUNT(*) FROM clickstream_analytics.clickstream_batch"),
        2800
    );
}

#[test]
fn clicks_are_parsed_enriched_masked_and_validated() {
    plugins();
    let clicks = root().join("host/pipelines/clicks.toml");
    let scratch = Scratch::new();
    scratch.done(&[
        "generate",
        "clicks",
        "--rows",
        "20000",
        "--seed",
        "5",
        "--bad",
        "2%",
        "--output",
        "clicks.ndjson",
    ]);
    let summary = scratch.summary(&clicks, &["source.uri=clicks.ndjson"]);
    assert_eq!(summary["rows_in"], 20_000);
    let rejected = summary["rows_rejected"].as_u64().unwrap();
    assert!((300..=500).contains(&rejected), "{summary:#}");
    let table = "clickstream_analytics.clicks_raw";
    let raw = scratch.number(&format!(
        "SELECT COUNT(*) FROM {table} WHERE STRPOS(url, '@') > 0 OR STRPOS(url, '%40') > 0 OR SUBSTR(user_id, 1, 3) <> 'k1_' \
         OR (STRPOS(ip, '.') > 0 AND ip NOT LIKE '%.0')"
    ));
    assert_eq!(raw, 0, "nothing that was to be masked is in the table");
    let enriched = scratch.number(&format!(
        "SELECT COUNT(*) FROM {table} WHERE device IS NULL OR browser IS NULL OR is_bot IS NULL OR event_date <> CAST(event_timestamp AS DATE)"
    ));
    assert_eq!(enriched, 0);
}

#[test]
fn the_demo_runs_on_nothing_and_skips_what_it_has_loaded() {
    plugins();
    let scratch = Scratch::new();
    let output = scratch
        .command(&["demo", "--for", "3s"])
        .env_remove("CLICKMILL_MASK_KEY")
        .output()
        .unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{talk}");
    assert!(talk.contains("throwaway key"), "{talk}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("Poland"));
    assert_eq!(
        scratch.number("SELECT SUM(rows_in) FROM clickstream_analytics.load_ledger"),
        165_474
    );
    let rows = scratch.number("SELECT COUNT(*) FROM clickstream_analytics.clicks_raw");
    assert!(rows > 100, "live events follow: {rows}");
    let again = scratch.run(&["demo", "--for", "0s"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("it is loaded already"));
}

#[test]
fn without_a_key_a_run_that_masks_is_refused() {
    plugins();
    let scratch = Scratch::new();
    scratch.done(&["generate", "shop", "--rows", "10", "--output", "shop.csv"]);
    let batch = batch();
    let output = scratch
        .command(&["run", &batch.to_string_lossy(), "--set", "source.uri=shop.csv"])
        .env_remove("CLICKMILL_MASK_KEY")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let talk = String::from_utf8_lossy(&output.stderr);
    assert!(talk.contains("CLICKMILL_MASK_KEY"), "{talk}");
}

#[test]
fn validate_tells_a_fit_pipeline_from_one_that_goes_beyond_its_grants() {
    plugins();
    let scratch = Scratch::new();
    scratch.done(&["generate", "shop", "--rows", "10", "--output", "shop.csv"]);
    let batch = batch();
    let validate = ["validate", &*batch.to_string_lossy(), "--set", "source.uri=shop.csv"];
    assert!(scratch.done(&validate).ends_with("batch.toml: valid\n"));
    let mut cases = String::new();
    for set in [
        "plugin.mask.writes=[]",
        "plugin.enrich.lookups={}",
        "plugin.validate.config.rules=[{ range = { column = \"category\", min = 1 } }]",
    ] {
        let output = scratch.run(&[&validate[..], &["--set", set]].concat());
        assert_eq!(output.status.code(), Some(2), "{set}");
        cases.push_str(&format!("--set {set}\n{}\n", crate::support::talk(&output, &scratch)));
    }
    insta::assert_snapshot!(cases);
}
