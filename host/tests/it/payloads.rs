//! The bytes that a record came as, where it is several rows and where it is no text; and rows of records and
//! lists as BigQuery's emulator has them, beside the warehouse.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use regex::Regex;
use serde_json::{Value as Json, json};

use crate::cloud::{Cloud, signal, spawn, summary, wait_until};
use crate::emulators::{BigQuery, PROJECT, request};
use crate::support::{Scratch, plugins, root};

const LETTERS: &str = "clickstream_analytics.dead_letter";
const ROWS: &str = "clickstream_analytics.shop_events_raw";

fn file(name: &str) -> String {
    root().join("host/pipelines").join(name).to_string_lossy().into_owned()
}

/// A message of events, of which those with a price below zero are refused.
fn message(session: &str, prices: &[&str]) -> String {
    let event = |(number, price): (usize, &&str)| {
        format!(
            r#"{{"event_id": "{session}-{number}", "event_timestamp": "2026-01-05T08:00:00Z", "event_type": "checkout", "items": [{{"product_id": "P1", "price": {price}, "quantity": 1}}]}}"#
        )
    };
    let events: Vec<String> = prices.iter().enumerate().map(event).collect();
    let user = r#""context": {"user": {"id": "u0000001"}}"#;
    format!(r#"{{"session_id": "{session}", {user}, "events": [{}]}}"#, events.join(", "))
}

/// Three of four are refused.
const MOST: [&str; 4] = ["-1", "-2", "3", "-4"];

/// Runs shop events from the subscription.
fn stream(cloud: &Cloud, pipeline: &str, more: &[&str]) -> Command {
    let subscription = format!("source.subscription={}", cloud.subscription);
    let spool = format!("dead_letter.spool={}", cloud.scratch.path("spool").display());
    let run = ["run", "--json", pipeline, "--set", &subscription, "--set", &spool];
    cloud.command(&[&run[..], &["--set", "source.streams=1"], more].concat())
}

/// The pipeline from the subscription with the warehouse in place of BigQuery.
fn to_warehouse(cloud: &Cloud) -> String {
    let text = fs::read_to_string(file("shop_events_gcp.toml")).expect("the pipeline");
    let service = "kind = \"bigquery\"\nproject = \"${GOOGLE_CLOUD_PROJECT}\"\n";
    assert!(text.contains(service));
    let text = text.replace(service, "").replace("../../", &format!("{}/", root().display()));
    cloud.scratch.write("to_warehouse.toml", text).to_string_lossy().into_owned()
}

fn apply_tables(cloud: &Cloud) {
    let apply = ["tables", "apply", &*file("shop_events_gcp.toml")];
    let output = cloud.command(&apply).output().expect("the binary starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Place and bytes of each letter, as BigQuery has them.
fn letters(cloud: &Cloud, of: &str) -> Vec<Vec<String>> {
    let sql = format!(
        "SELECT IFNULL(record_index, 0), BYTE_LENGTH(payloadBytes) FROM {LETTERS} WHERE {of} ORDER BY 1"
    );
    let text = |row: Vec<Option<String>>| row.into_iter().flatten().collect();
    cloud.bigquery.query(&sql).into_iter().map(text).collect()
}

#[test]
fn the_bytes_of_a_record_are_in_one_of_its_letters_in_the_warehouse() {
    plugins();
    let scratch = Scratch::new();
    let message = message("a", &MOST);
    scratch.write("events.ndjson", format!("{message}\n"));
    let settings = ["source.uri=events.ndjson", "dead_letter.max_rejected_share=1.0"];
    let summary = scratch.summary(Path::new(&file("shop_events.toml")), &settings);
    assert_eq!((&summary["rows_out"], &summary["rows_rejected"]), (&json!(1), &json!(3)));
    let found = scratch.query(&format!(
        "SELECT record_index, BYTE_LENGTH(payloadBytes) AS bytes FROM {LETTERS} ORDER BY record_index"
    ));
    let letter = |place: u64, bytes: usize| json!({ "record_index": place, "bytes": bytes });
    assert_eq!(found, [letter(0, message.len()), letter(1, 0), letter(3, 0)]);
    let named = format!(
        "SELECT COUNT(*) FROM {LETTERS} AS letters, UNNEST(letters.attributes) AS attribute WHERE attribute.key = 'clickmill.payload_with'"
    );
    assert_eq!(scratch.number(&named), 2);
}

#[test]
fn the_bytes_of_a_record_are_in_one_of_its_letters_in_bigquery_and_in_the_spool() {
    let test = "the_bytes_of_a_record_are_in_one_of_its_letters_in_bigquery_and_in_the_spool";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    apply_tables(&cloud);
    let streaming = spawn(stream(&cloud, &file("shop_events_gcp.toml"), &[]));
    let first = message("first", &MOST);
    cloud.publish_these(&[(first.as_bytes(), json!({}))]);
    let all = || cloud.bigquery.number(&format!("SELECT COUNT(*) FROM {LETTERS}"));
    wait_until("the first letters", || all() == 3);
    let wanted = |bytes: usize| {
        [(0, bytes), (1, 0), (3, 0)]
            .map(|(place, bytes)| vec![place.to_string(), bytes.to_string()])
    };
    assert_eq!(letters(&cloud, "TRUE"), wanted(first.len()));
    // The same while their table is away.
    let path = format!(
        "/bigquery/v2/projects/{PROJECT}/datasets/clickstream_analytics/tables/dead_letter"
    );
    let _ = request(&cloud.bigquery.rest, "DELETE", &path, None);
    let second = message("the-second-session", &MOST);
    cloud.publish_these(&[(second.as_bytes(), json!({}))]);
    let spool = cloud.scratch.path("spool/shop-events-gcp");
    let spooled = || -> Vec<u8> {
        let files = fs::read_dir(&spool).into_iter().flatten().flatten();
        let files = files.map(|file| file.path());
        let letters = files.filter(|path| path.extension().is_some_and(|ending| ending == "arrow"));
        letters.flat_map(|path| fs::read(path).unwrap_or_default()).collect()
    };
    wait_until("letters in the spool", || !spooled().is_empty());
    let bytes = spooled();
    let times = bytes.windows(second.len()).filter(|part| *part == second.as_bytes()).count();
    assert_eq!(times, 2, "as text and as bytes, of one letter of three");
    apply_tables(&cloud);
    wait_until("an empty spool", || spooled().is_empty());
    signal(&streaming, "-INT");
    let summary = summary(&streaming.wait_with_output().unwrap());
    assert_eq!((&summary["rows_out"], &summary["rows_rejected"]), (&json!(2), &json!(6)));
    // Those of the first went with their table.
    assert_eq!(letters(&cloud, "TRUE"), wanted(second.len()));
}

fn gzip(text: &str) -> Vec<u8> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).expect("written");
    gzip.finish().expect("finished")
}

#[test]
fn messages_of_raw_gzip_are_rows_and_letters_with_their_exact_bytes() {
    let test = "messages_of_raw_gzip_are_rows_and_letters_with_their_exact_bytes";
    for to_bigquery in [true, false] {
        let Some(cloud) = Cloud::start(test, &json!({})) else { return };
        let pipeline =
            if to_bigquery { file("shop_events_gcp.toml") } else { to_warehouse(&cloud) };
        let good = gzip(&message("good", &["1", "2.50"]));
        let bad = gzip(&message("bad", &["-1"]));
        let cut = gzip(&message("cut", &["1"]))[..20].to_vec();
        for payload in [&good, &bad, &cut] {
            cloud.publish_these(&[(payload.as_slice(), json!({}))]);
        }
        let packed = "plugin.parse.config.packed=[\"gzip\"]";
        let set = ["--set", "source.payload=bytes", "--set", packed, "--stop-when-idle", "3s"];
        let summary = summary(&stream(&cloud, &pipeline, &set).output().expect("it starts"));
        assert_eq!(
            (&summary["rows_in"], &summary["rows_out"]),
            (&json!(3), &json!(2)),
            "{summary:#}"
        );
        let ask = |sql: &str| -> Vec<String> {
            if to_bigquery {
                let rows = cloud.bigquery.query(sql);
                return rows.into_iter().filter_map(|mut row| row.remove(0)).collect();
            }
            let text = |row: &Json| row["value"].as_str().expect("a text").to_owned();
            cloud.scratch.query(sql).iter().map(text).collect()
        };
        assert_eq!(ask(&format!("SELECT session_id AS value FROM {ROWS}")), ["good", "good"]);
        let mut found = ask(&format!("SELECT TO_HEX(payloadBytes) AS value FROM {LETTERS}"));
        found.sort();
        let hex =
            |bytes: &Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut wanted = [&bad, &cut].map(hex);
        wanted.sort();
        assert_eq!(found, wanted, "{to_bigquery}");
    }
}

#[test]
fn records_and_lists_are_in_bigquerys_emulator_what_they_are_in_the_warehouse() {
    plugins();
    let (scratch, bigquery) = (Scratch::new(), BigQuery::start());
    let column =
        |name: &str, kind: &str, mode: &str| json!({ "name": name, "type": kind, "mode": mode });
    let record = |name: &str, mode: &str, fields: Json| json!({ "name": name, "type": "RECORD", "mode": mode, "fields": fields });
    let inner =
        json!([column("n", "NUMERIC", "NULLABLE"), column("numbers", "INTEGER", "REPEATED")]);
    let item = json!([
        column("sku", "STRING", "REQUIRED"),
        column("price", "NUMERIC", "NULLABLE"),
        column("tags", "STRING", "REPEATED"),
        record("within", "NULLABLE", inner.clone()),
    ]);
    let schema = json!([
        column("id", "INTEGER", "REQUIRED"),
        record("one", "NULLABLE", inner),
        record("items", "REPEATED", item),
        column("source", "STRING", "REQUIRED"),
        column("plugin_set", "STRING", "REQUIRED"),
    ]);
    scratch.write("nested.json", schema.to_string());
    let item = |n: usize| json!({ "sku": format!("s{n}"), "price": n, "tags": vec!["a"; n % 3], "within": { "numbers": [n] } });
    let items = |count: usize| (0..count).map(item).collect::<Vec<Json>>();
    let most = "99999999999999999999999999999.999999999";
    let rows = [
        json!({ "id": 1, "one": { "n": most, "numbers": [1, 2, 3] }, "items": items(1000) }),
        json!({ "id": 2, "one": { "n": format!("-{most}"), "numbers": [] }, "items": [] }),
        json!({ "id": 3, "one": null, "items": [{ "sku": "größe 😀", "price": null, "tags": [] }] }),
        json!({ "id": 4 }),
        json!({ "id": 5, "one": {}, "items": [{ "sku": "x", "price": "0.000000001", "within": null }] }),
        // No row: an item has no number.
        json!({ "id": 6, "items": [{ "price": 1 }] }),
    ];
    // More than a request holds, below.
    let more = (0..100).map(|n| json!({ "id": 100 + n, "items": items(100) }));
    let lines: Vec<String> =
        rows.iter().cloned().chain(more).map(|row| format!("{row}\n")).collect();
    scratch.write("rows.ndjson", lines.concat());
    let text = format!(
        r#"
name = "nested"

[source]
kind = "storage"
uri = "rows.ndjson"
format = "ndjson"

[[plugin]]
name = "parse"
component = "{root}/plugins/parse"
reads = ["payload"]
writes = ["*"]
limits = {{ max_fuel_per_record = 50_000_000 }}

[plugin.config]
format = "json"
columns = {{ schema = "nested.json" }}

[sink]
table = "clickstream_analytics.nested"
schema = "nested.json"

[dead_letter]
table = "clickstream_analytics.dead_letter"
schema = "{root}/schemas/dead_letter.json"
max_rejected_share = 1.0
"#,
        root = root().display()
    );
    let pipeline = scratch.write("nested.toml", text);
    let file = pipeline.to_string_lossy().into_owned();
    let local = scratch.summary(&pipeline, &[]);
    let project = format!("sink.project={PROJECT}");
    let service = ["--set", "sink.kind=bigquery", "--set", &project];
    let run = |arguments: &[&str]| {
        let mut command = scratch.command(arguments);
        command
            .env("BIGQUERY_EMULATOR_HOST", &bigquery.rest)
            .env("BIGQUERY_STORAGE_EMULATOR_HOST", &bigquery.grpc);
        command.output().expect("the binary starts")
    };
    bigquery.order(&json!({ "kind": "too_large", "table": "nested", "bytes": 200_000 }));
    let remote = summary(&run(&[&["run", "--json", &file][..], &service].concat()));
    for summary in [&local, &remote] {
        assert_eq!((&summary["rows_out"], &summary["rows_rejected"]), (&json!(105), &json!(1)));
    }
    assert!(bigquery.met("too_large") > 0, "all of it went in one request");
    // Numbers are compared as they are written: as floats they would not be exact.
    let number = Regex::new(r":(-?[0-9]+\.[0-9]+)([,}])").expect("a pattern");
    // The emulator adds elements up as floats, which shows with the least of numbers.
    for sql in [
        "SELECT id, one.n AS n FROM clickstream_analytics.nested WHERE id < 100 ORDER BY id",
        "SELECT id, ARRAY_LENGTH(items) AS items, ARRAY_LENGTH(one.numbers) AS numbers FROM clickstream_analytics.nested WHERE id <= 2 ORDER BY id",
        "SELECT nested.id, COUNT(*) AS items, SUM(item.price) AS price, IFNULL(SUM(ARRAY_LENGTH(item.tags)), 0) AS tags, COUNT(item.price * 2) AS priced FROM clickstream_analytics.nested AS nested, UNNEST(nested.items) AS item WHERE nested.id <> 5 GROUP BY nested.id ORDER BY 1",
        "SELECT nested.id, item.sku AS sku FROM clickstream_analytics.nested AS nested, UNNEST(nested.items) AS item WHERE nested.id IN (3, 5) ORDER BY 1",
    ] {
        let found = |more: &[&str]| {
            let output = run(&[&["query", "--json", sql][..], more].concat());
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(output.status.success(), "{sql}: {errors}");
            let text = String::from_utf8(output.stdout).expect("text");
            let text = number.replace_all(&text, ":\"$1\"$2").into_owned();
            let rows = text.lines().map(|line| serde_json::from_str::<Json>(line).expect("JSON"));
            rows.map(|row| shown(&row)).collect::<Vec<_>>()
        };
        let here = found(&[]);
        assert!(!here.is_empty(), "{sql}");
        let of = [&["--pipeline", &file][..], &service].concat();
        assert_eq!(found(&of), here, "{sql}");
    }
}

/// The values of a row as text, numbers without zeros at their end.
fn shown(row: &Json) -> Vec<String> {
    let value = |value: &Json| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        match text.split_once('.') {
            Some((_, rest)) if rest.bytes().all(|byte| byte.is_ascii_digit()) => {
                text.trim_end_matches('0').trim_end_matches('.').to_owned()
            }
            _ => text,
        }
    };
    row.as_object().expect("a row").values().map(value).collect()
}
