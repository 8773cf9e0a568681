//! The questions of `sql/`, answered by the warehouse and by BigQuery: the answers are those that were
//! worked out by hand in `analytics/expected`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clickmill_config::TableName;
use clickmill_core::Micros;
use clickmill_core::schema::TableSchema;
use clickmill_warehouse::Warehouse;
use serde_json::{Value as Json, json};

use crate::emulators::{BigQuery, PROJECT, request};
use crate::support::{Scratch, root};

const DATASET: &str = "clickstream_analytics";
const TABLES: [&str; 7] = [
    "clicks_raw",
    "clickstream_batch",
    "shop_events_raw",
    "shop_purchases_raw",
    "dead_letter",
    "dead_letter_attempts",
    "plugin_sets",
];

/// A question with the answer that is wanted.
struct Case {
    name: String,
    sql: String,
    parameters: Vec<String>,
    columns: Vec<String>,
    rows: Vec<Vec<Json>>,
}

fn fixtures() -> PathBuf {
    root().join("host/tests/it/analytics")
}

fn schema(table: &str) -> TableSchema {
    TableSchema::read(&root().join(format!("schemas/{table}.json"))).unwrap()
}

fn rows(table: &str) -> Vec<Json> {
    let text = fs::read_to_string(fixtures().join(format!("{table}.ndjson"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The SQL files, by their path within `sql/`.
fn questions() -> BTreeSet<String> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let sql = root().join("sql");
    let mut found = Vec::new();
    walk(&sql, &mut found);
    let files = found.iter().filter(|path| path.extension().is_some_and(|ending| ending == "sql"));
    files.map(|path| path.strip_prefix(&sql).unwrap().to_string_lossy().into_owned()).collect()
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file in questions() {
        let name = file.strip_suffix(".sql").unwrap().replace('/', "__");
        let path = fixtures().join(format!("expected/{name}.json"));
        let text = fs::read_to_string(&path).unwrap_or_else(|_| panic!("{file} has no {path:?}"));
        let expected: Json = serde_json::from_str(&text).unwrap();
        let expected = expected.as_array().cloned().unwrap_or_else(|| vec![expected]);
        let text = fs::read_to_string(root().join("sql").join(&file)).unwrap();
        for (number, expected) in expected.iter().enumerate() {
            let parameters = expected["parameters"].as_object().cloned().unwrap_or_default();
            let list = |value: &Json| value.as_array().cloned().unwrap();
            cases.push(Case {
                name: format!("{file} #{}", number + 1),
                sql: expected["query"].as_str().map_or(text.clone(), str::to_owned),
                parameters: parameters.iter().map(|(name, value)| parameter(name, value)).collect(),
                columns: serde_json::from_value(expected["columns"].clone()).unwrap(),
                rows: list(&expected["rows"]).iter().map(list).collect(),
            });
        }
    }
    cases
}

/// A parameter as the command line takes it.
fn parameter(name: &str, value: &Json) -> String {
    let kind = match name {
        "from" | "to" | "now" => "TIMESTAMP",
        "bucket_secs" => "INT64",
        _ => "STRING",
    };
    match value {
        Json::Null => format!("{name}:{kind}:NULL"),
        Json::String(text) => format!("{name}:{kind}:{text}"),
        other => format!("{name}:{kind}:{other}"),
    }
}

/// Asks each question in a process of its own, and compares.
fn check(ask: impl Fn(&[&str]) -> std::process::Output) {
    let mut wrong = String::new();
    let cases = cases();
    for case in &cases {
        let mut arguments = vec!["query", "--json", case.sql.as_str()];
        for parameter in &case.parameters {
            arguments.extend(["--parameter", parameter]);
        }
        let output = ask(&arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            wrong.push_str(&format!("{}: {errors}\n", case.name));
            continue;
        }
        let text = String::from_utf8_lossy(&output.stdout);
        let found: Vec<Json> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let found: Vec<Vec<Json>> = found
            .iter()
            .map(|row| case.columns.iter().map(|name| row[name].clone()).collect())
            .collect();
        if !same(&found, &case.rows) {
            let lines = |rows: &[Vec<Json>]| {
                rows.iter().map(|row| format!("  {}\n", json!(row))).collect::<String>()
            };
            wrong.push_str(&format!(
                "{}\nfound\n{}wanted\n{}",
                case.name,
                lines(&found),
                lines(&case.rows)
            ));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(cases.len() >= 100, "{} cases", cases.len());
}

fn same(found: &[Vec<Json>], wanted: &[Vec<Json>]) -> bool {
    let values = |rows: &[Vec<Json>]| rows.iter().flatten().cloned().collect::<Vec<_>>();
    let (left, right) = (values(found), values(wanted));
    let moment =
        |value: &Json| value.as_str().filter(|text| text.contains('T'))?.parse::<Micros>().ok();
    let equal = |a: &Json, b: &Json| match (a.as_f64(), b.as_f64()) {
        // 100 and 100.0 are one number; sums of fractions differ in their last digits.
        (Some(a), Some(b)) => (a - b).abs() <= 1e-9 * a.abs().max(1.0),
        // So are .5 and .500000 one moment.
        _ => a == b || moment(a).is_some_and(|at| Some(at) == moment(b)),
    };
    found.len() == wanted.len()
        && left.len() == right.len()
        && left.iter().zip(&right).all(|(a, b)| equal(a, b))
}

#[test]
fn the_warehouse_answers_every_question_as_worked_out_by_hand() {
    let scratch = Scratch::new();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let warehouse = Warehouse::open(&scratch.warehouse()).unwrap();
    for table in TABLES {
        let name = TableName { dataset: DATASET.to_owned(), table: table.to_owned() };
        let schema = schema(table);
        let mut reader = arrow::json::ReaderBuilder::new(schema.arrow()).build_decoder().unwrap();
        let rows: Vec<Json> = rows(table).into_iter().map(with_hexadecimal_bytes).collect();
        reader.serialize(&rows).unwrap();
        let batch = reader.flush().unwrap().unwrap();
        runtime.block_on(async {
            warehouse.ensure_table(&name, &schema).await.unwrap();
            warehouse.enter(&name, "fixture", &batch).await.unwrap();
        });
    }
    check(|arguments| scratch.run(arguments));
}

/// Arrow reads bytes in hexadecimal, BigQuery in base64.
fn with_hexadecimal_bytes(mut row: Json) -> Json {
    if let Some(bytes) = row["payloadBytes"].as_str() {
        let bytes = STANDARD.decode(bytes).unwrap();
        row["payloadBytes"] =
            bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
    }
    row
}

#[test]
fn bigquery_answers_every_question_as_worked_out_by_hand() {
    let scratch = Scratch::new();
    let bigquery = BigQuery::start();
    let run = |arguments: &[&str]| {
        let mut command = scratch.command(arguments);
        command
            .env("CLICKSTREAM_BUCKET", "lake")
            .env("BIGQUERY_EMULATOR_HOST", &bigquery.rest)
            .env("BIGQUERY_STORAGE_EMULATOR_HOST", &bigquery.grpc);
        command.output().unwrap()
    };
    let stream = root().join("host/pipelines/stream_gcp.toml").to_string_lossy().into_owned();
    let batch = root().join("host/pipelines/batch_gcp.toml").to_string_lossy().into_owned();
    let shop = root().join("host/pipelines/shop_events_gcp.toml").to_string_lossy().into_owned();
    for pipeline in [&stream, &batch, &shop] {
        let made = run(&["tables", "apply", pipeline]);
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    }
    for table in TABLES {
        let rows: Vec<Json> = rows(table).iter().map(|row| json!({ "json": row })).collect();
        let path =
            format!("/bigquery/v2/projects/{PROJECT}/datasets/{DATASET}/tables/{table}/insertAll");
        let answer =
            request(&bigquery.rest, "POST", &path, Some(&json!({ "rows": rows }))).unwrap();
        let refused = answer["insertErrors"].as_array().is_some_and(|errors| !errors.is_empty());
        assert!(!refused && answer["error"].is_null(), "{answer:#}");
    }
    check(|arguments| run(&[arguments, &["--pipeline", &stream]].concat()));
}
