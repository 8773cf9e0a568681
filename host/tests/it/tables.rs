//! Tables in BigQuery: made, checked before a run, and given what they lack.

use std::fmt::Write;

use serde_json::{Value as Json, json};

use crate::cloud::ended;
use crate::emulators::{BigQuery, PROJECT, Storage, request};
use crate::support::{Scratch, plugins, root, talk};

const DATASET: &str = "clickstream_analytics";

fn batch() -> String {
    root().join("host/pipelines/batch_gcp.toml").to_string_lossy().into_owned()
}

fn command(
    scratch: &Scratch,
    bigquery: &BigQuery,
    storage: &Storage,
    arguments: &[&str],
) -> std::process::Command {
    let mut command = scratch.command(arguments);
    command
        .env("CLICKSTREAM_BUCKET", "lake")
        .env("STORAGE_EMULATOR_HOST", format!("http://{}", storage.address))
        .env("BIGQUERY_EMULATOR_HOST", &bigquery.rest)
        .env("BIGQUERY_STORAGE_EMULATOR_HOST", &bigquery.grpc);
    command
}

fn create(bigquery: &BigQuery, table: &str, fields: &Json) {
    let dataset = json!({ "datasetReference": { "projectId": PROJECT, "datasetId": DATASET } });
    let path = format!("/bigquery/v2/projects/{PROJECT}/datasets");
    request(&bigquery.rest, "POST", &path, Some(&dataset)).expect("an answer");
    let table = json!({
        "tableReference": { "projectId": PROJECT, "datasetId": DATASET, "tableId": table },
        "schema": { "fields": fields },
    });
    let path = format!("{path}/{DATASET}/tables");
    let made = request(&bigquery.rest, "POST", &path, Some(&table)).expect("an answer");
    assert!(made["error"].is_null(), "{made:#}");
}

fn fields(schema: &str) -> Vec<Json> {
    let text = std::fs::read_to_string(root().join("schemas").join(schema)).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn missing_tables_are_made_from_the_schemas_with_all_that_bigquery_keeps() {
    plugins();
    let (bigquery, storage, scratch) = (BigQuery::start(), Storage::start(None), Scratch::new());
    let shop = scratch.done(&["generate", "shop", "--rows", "2000", "--bad", "negative_price=1%"]);
    storage.put("clothing.csv", shop.as_bytes());
    let run =
        || command(&scratch, &bigquery, &storage, &["run", "--json", &batch()]).output().unwrap();
    let summary = crate::cloud::summary(&run());
    assert_eq!(summary["rows_in"], 2000);
    let table = bigquery.table(DATASET, "clickstream_batch");
    assert_eq!(table["timePartitioning"]["field"], "event_date");
    assert_eq!(table["clustering"]["fields"], json!(["country", "category"]));
    assert_eq!(table["schema"]["fields"][0]["description"], "Day of the click");
    assert_eq!(table["schema"]["fields"][0]["mode"], "REQUIRED");
    let expiry = &bigquery.table(DATASET, "dead_letter")["timePartitioning"]["expirationMs"];
    assert_eq!(expiry.as_str(), Some("7776000000"));
    let rows = format!("SELECT COUNT(*) FROM {DATASET}.clickstream_batch");
    assert_eq!(Some(bigquery.number(&rows)), summary["rows_out"].as_u64());
    // Loaded once, whatever is run again.
    assert_eq!(crate::cloud::summary(&run())["objects_loaded"], 0);
    assert_eq!(Some(bigquery.number(&rows)), summary["rows_out"].as_u64());
}

#[test]
fn a_table_that_does_not_fit_is_told_before_anything_is_read() {
    plugins();
    let (bigquery, storage, scratch) = (BigQuery::start(), Storage::start(None), Scratch::new());
    let run = ["run", &*batch(), "--set", "sink.missing_tables=refuse"];
    let mut told = String::new();
    let mut tell = |what: &str, arguments: &[&str]| {
        let output = command(&scratch, &bigquery, &storage, arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{}", talk(&output, &scratch));
        writeln!(told, "{what}:\n{}", talk(&output, &scratch)).unwrap();
    };
    tell("no table", &run);
    let mut changed = fields("clickstream_batch.json");
    // price as text, no page, a column that nobody fills.
    changed.retain(|field| field["name"] != "page");
    for field in &mut changed {
        if field["name"] == "price" {
            field["type"] = json!("STRING");
        }
    }
    changed.push(json!({ "name": "tenant", "type": "STRING", "mode": "REQUIRED" }));
    create(&bigquery, "clickstream_batch", &json!(changed));
    tell("other columns", &run);
    insta::assert_snapshot!(told);
}

#[test]
fn tables_apply_adds_a_column_that_rows_then_have() {
    plugins();
    let (bigquery, storage, scratch) = (BigQuery::start(), Storage::start(None), Scratch::new());
    let mut old = fields("clickstream_batch.json");
    for field in &mut old {
        // What `ALTER TABLE` can add may be null.
        field["mode"] = json!("NULLABLE");
    }
    let new: Vec<Json> = old.clone();
    old.retain(|field| field["name"] != "photography");
    create(&bigquery, "clickstream_batch", &json!(old));
    let schema = scratch.write("clickstream_batch.json", json!(new).to_string());
    let set = format!("sink.schema={}", schema.display());
    let shop = scratch.done(&["generate", "shop", "--rows", "300"]);
    storage.put("clothing.csv", shop.as_bytes());
    let go = |verb: &[&str]| {
        command(&scratch, &bigquery, &storage, &[verb, &[&*batch(), "--set", &set]].concat())
            .output()
            .unwrap()
    };
    let refused = go(&["run"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(talk(&refused, &scratch).contains("`clickmill tables apply` adds it"));
    let planned = go(&["tables", "plan"]);
    let planned = String::from_utf8_lossy(&planned.stdout).into_owned();
    assert!(planned.contains("clickstream_batch: column `photography` to be added"), "{planned}");
    let applied = go(&["tables", "apply"]);
    assert!(applied.status.success(), "{}", talk(&applied, &scratch));
    assert!(go(&["run"]).status.success());
    let rows = format!("SELECT COUNT(photography) FROM {DATASET}.clickstream_batch");
    assert_eq!(bigquery.number(&rows), 300);
}

#[test]
fn tables_apply_gives_a_table_the_expiry_that_its_file_names() {
    plugins();
    let (bigquery, storage, scratch) = (BigQuery::start(), Storage::start(None), Scratch::new());
    let batch = batch();
    let go = |verb: &str, set: &[&str]| {
        let arguments = [&["tables", verb, &*batch][..], set].concat();
        let output = command(&scratch, &bigquery, &storage, &arguments).output().unwrap();
        assert!(output.status.success(), "{}", talk(&output, &scratch));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let expiry =
        |table: &str| bigquery.table(DATASET, table)["timePartitioning"]["expirationMs"].clone();
    go("apply", &[]);
    assert_eq!(expiry("dead_letter"), "7776000000");
    assert_eq!(expiry("clickstream_batch"), json!(null));
    // The same columns, with another file beside them.
    let columns = fields("dead_letter.json");
    let schema = scratch.write("letters.json", json!(columns).to_string());
    let by_day = json!({ "type": "DAY", "field": "timestamp", "expirationMs": "86400000" });
    scratch.write("letters.table.json", json!({ "timePartitioning": by_day }).to_string());
    let set = format!("dead_letter.schema={}", schema.display());
    let set = ["--set", &set];
    let planned = go("plan", &set);
    let said = format!("{DATASET}.dead_letter: to expire: partitions after a day");
    assert!(planned.contains(&said), "{planned}");
    assert_eq!(expiry("dead_letter"), "7776000000");
    let applied = go("apply", &set);
    assert!(applied.contains(&said.replace("to expire", "expires")), "{applied}");
    let table = bigquery.table(DATASET, "dead_letter");
    assert_eq!(table["timePartitioning"], by_day);
    assert_eq!(table["schema"]["fields"].as_array().unwrap().len(), columns.len());
    assert!(go("plan", &set).contains("dead_letter: as it is to be"));
    // What no file names is left as it is.
    scratch.write("letters.table.json", "{}");
    assert!(go("plan", &set).contains("dead_letter: as it is to be"));
}

/// A machine's metadata server may hang, and so would whoever waits for it.
#[test]
fn credentials_that_nobody_gives_out_are_not_waited_for() {
    let scratch = Scratch::new();
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = scratch.command(&["tables", "plan", &batch()]);
    command
        .env("CLICKSTREAM_BUCKET", "lake")
        .env("HOME", scratch.path("home"))
        .env_remove("GOOGLE_APPLICATION_CREDENTIALS")
        .env("GCE_METADATA_HOST", server.local_addr().unwrap().to_string());
    // It takes connections, and says nothing.
    std::thread::spawn(move || server.incoming().collect::<Vec<_>>());
    let output = ended(&scratch, command);
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{told}");
    assert!(told.contains("no credentials within 12 s") && told.contains("no answer in"), "{told}");
}
