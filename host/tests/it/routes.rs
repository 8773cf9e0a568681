//! Rows by a condition to several tables: all of a load or nothing, and each row where it belongs.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value as Json, json};

use crate::cloud::{Cloud, MANY_STREAMS, signal, spawn, summary, wait_until};
use crate::live::Live;
use crate::support::{Scratch, parse_stage, plugins, root};

/// Columns of a table: the record's, and where it came from.
fn schema(columns: &[(&str, &str, &str)]) -> String {
    let provenance = [
        ("source", "STRING", "REQUIRED"),
        ("source_line", "INTEGER", "NULLABLE"),
        ("plugin_set", "STRING", "REQUIRED"),
    ];
    let all = columns.iter().chain(&provenance);
    let all = all.map(|(name, kind, mode)| json!({ "name": name, "type": kind, "mode": mode }));
    Json::from(all.collect::<Vec<_>>()).to_string()
}

/// A pipeline over `input.ndjson`: purchases with their amounts to a table of their own, errors as copies to
/// another, the rest to `shop.events`. `sink` are more settings of the section.
pub(crate) fn pipeline(scratch: &Scratch, sink: &str) -> PathBuf {
    plugins();
    scratch.write(
        "events.json",
        schema(&[("kind", "STRING", "NULLABLE"), ("amount", "INTEGER", "NULLABLE")]),
    );
    scratch.write("purchases.json", schema(&[("amount", "INTEGER", "REQUIRED")]));
    scratch.write("errors.json", schema(&[("kind", "STRING", "NULLABLE")]));
    let parse = parse_stage(
        "json",
        "payload",
        r#"{ name = "kind", type = "text" }, { name = "amount", type = "int64" }"#,
    );
    let text = format!(
        r#"
name = "shop"

[source]
kind = "storage"
uri = "input.ndjson"

[sink]
table = "shop.events"
schema = "events.json"
{sink}

[[sink.route]]
table = "shop.errors"
schema = "errors.json"
where = "kind IN ('error', 'refused')"
copy = true

[[sink.route]]
table = "shop.purchases"
schema = "purchases.json"
where = "kind = 'purchase' OR kind = 'refused'"

[dead_letter]
table = "shop.dead_letter"
schema = "{}"
max_rejected_share = 1.0
{parse}"#,
        root().join("schemas/dead_letter.json").display(),
    );
    scratch.write("pipeline.toml", text)
}

/// The lines of a table, in its order.
fn lines(scratch: &Scratch, table: &str) -> Vec<u64> {
    let rows = scratch.query(&format!("SELECT source_line FROM shop.{table} ORDER BY source_line"));
    rows.iter().filter_map(|row| row["source_line"].as_u64()).collect()
}

/// Ten records, of which the seventh lacks the amount that its table wants.
const INPUT: &str = r#"{"kind":"view"}
{"kind":"purchase","amount":10}
{"kind":"error"}
{"amount":1}
{"kind":"refused","amount":2}
{"kind":"purchase","amount":30}
{"kind":"refused"}
{"kind":"view","amount":3}
no record
{"kind":"purchase"}
"#;

#[test]
fn each_row_is_where_its_conditions_say_or_a_dead_letter() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "");
    scratch.write("input.ndjson", INPUT);
    let summary = scratch.summary(&pipeline, &[]);
    // A copy is told from no condition: the error is in both tables, and counted once.
    assert_eq!(lines(&scratch, "events"), [1, 3, 4, 8]);
    assert_eq!(lines(&scratch, "errors"), [3, 5]);
    assert_eq!(lines(&scratch, "purchases"), [2, 5, 6]);
    assert_eq!(lines(&scratch, "dead_letter"), [7, 9, 10]);
    assert_eq!(summary["rows_out"], 7);
    assert_eq!(summary["rows_rejected"], 3);
    let routes =
        json!([{ "table": "shop.errors", "rows": 2 }, { "table": "shop.purchases", "rows": 3 }]);
    assert_eq!(summary["routes"], routes);
    // The ledger has one entry for all tables.
    assert_eq!(scratch.number("SELECT COUNT(*) FROM shop.load_ledger"), 1);
    assert_eq!(scratch.summary(&pipeline, &[])["objects_loaded"], 0);
    assert_eq!(scratch.number("SELECT SUM(amount) FROM shop.purchases"), 42);
    // And it is told how many rows each has.
    let id = scratch.query("SELECT load_id FROM shop.load_ledger")[0]["load_id"].clone();
    let file = pipeline.to_string_lossy();
    let shown = scratch.done(&["loads", "show", id.as_str().unwrap(), "--pipeline", &file]);
    for table in ["events", "errors", "purchases"] {
        let rows = lines(&scratch, table).len();
        assert!(shown.contains(&format!("{rows} in shop.{table}")), "{shown}");
    }
}

#[test]
fn what_meets_no_condition_is_a_letter_where_the_file_says_so_and_is_replayed() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "unrouted = \"reject\"");
    scratch.write("input.ndjson", INPUT);
    let summary = scratch.summary(&pipeline, &[]);
    assert_eq!(lines(&scratch, "events"), [0_u64; 0]);
    // The error is in the table of copies, and so it has met a condition.
    assert_eq!(lines(&scratch, "errors"), [3, 5]);
    assert_eq!(summary["rows_out"], 4);
    let letters =
        "SELECT COUNT(*) FROM shop.dead_letter WHERE code = 'no_route' AND stage = 'sink'";
    assert_eq!(scratch.number(letters), 3);
    let file = pipeline.to_string_lossy();
    scratch.done(&[
        "dead-letter",
        "replay",
        &file,
        "--set",
        "sink.unrouted=table",
        "--where",
        "code = 'no_route'",
    ]);
    assert_eq!(lines(&scratch, "events"), [1, 4, 8]);
    assert_eq!(lines(&scratch, "errors"), [3, 5]);
    assert_eq!(lines(&scratch, "purchases"), [2, 5, 6]);
}

#[test]
fn killed_at_any_moment_a_load_is_in_all_of_its_tables_or_in_none() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "");
    let kinds = ["view", "purchase", "error", "refused"];
    let record = |n: usize| format!("{{\"kind\":\"{}\",\"amount\":{n}}}\n", kinds[n % 4]);
    scratch.write("input.ndjson", (0..200_000).map(record).collect::<String>());
    let run = ["run", &*pipeline.to_string_lossy()];
    let content = || {
        let of = |table: &str| {
            scratch.query(&format!(
                "SELECT COUNT(*) AS n, COUNT(DISTINCT source_line) AS lines, SUM(source_line) AS sum FROM shop.{table}"
            ))
        };
        ["events", "errors", "purchases"].map(of)
    };
    // The first run may compile the plugins: how long a run takes is told by the second.
    scratch.done(&run);
    let wanted = content();
    let wanted_counts: Vec<u64> = wanted.iter().filter_map(|rows| rows[0]["n"].as_u64()).collect();
    assert_eq!(wanted_counts, [100_000, 100_000, 100_000]);
    std::fs::remove_dir_all(scratch.path("warehouse")).unwrap();
    let whole = Instant::now();
    scratch.done(&run);
    let whole = whole.elapsed();
    let mut killed = 0;
    for round in 0..12_u32 {
        std::fs::remove_dir_all(scratch.path("warehouse")).unwrap();
        let mut child = scratch.command(&run).stderr(Stdio::null()).spawn().unwrap();
        // The second half, where it commits, more often than the first.
        std::thread::sleep(whole * (round + 12) / 24 + Duration::from_millis(u64::from(round % 3)));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        scratch.done(&run);
        assert_eq!(content(), wanted, "after kill {round}");
        assert_eq!(scratch.number("SELECT COUNT(*) FROM shop.load_ledger"), 1);
    }
    assert!(killed >= 3, "only {killed} of 12 runs were killed before they ended");
}

#[test]
fn what_cannot_be_routed_is_told_before_anything_is_loaded() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "");
    scratch.write("input.ndjson", INPUT);
    let text = std::fs::read_to_string(&pipeline).unwrap();
    for (from, to, told) in [
        ("kind = 'purchase'", "kind = purchase", "at character 8"),
        ("kind = 'purchase'", "gone = 'purchase'", "there is no column `gone`"),
        ("kind = 'purchase'", "amount = 'purchase'", "is not a value of column `amount`"),
        ("\"shop.errors\"", "\"shop.events\"", "another table of this pipeline"),
    ] {
        scratch.write("bad.toml", text.replace(from, to));
        let bad = scratch.path("bad.toml");
        let output = scratch.run(&["run", &bad.to_string_lossy()]);
        assert_eq!(output.status.code(), Some(2), "{told}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(told), "{said}");
    }
    // Nothing of it is anywhere: the object is loaded by the first file that fits.
    assert_eq!(scratch.summary(&pipeline, &[])["rows_out"], 7);
    assert_eq!(lines(&scratch, "events"), [1, 3, 4, 8]);
}

/// A pipeline file of the project with routes of its events, for a scratch folder. Views of products are
/// copies, or in that table alone.
fn routed_stream(scratch: &Scratch, copies: bool) -> PathBuf {
    plugins();
    let text = std::fs::read_to_string(root().join("host/pipelines/stream.toml")).unwrap();
    let text = text.replace("\"../../", &format!("\"{}/", root().display()));
    let schema = root().join("schemas/clicks_raw.json");
    let routes: String = [("views", "event_type = 'product_view'", copies), ("bots", "is_bot", false)]
        .map(|(table, condition, copy)| {
            format!(
                "\n[[sink.route]]\ntable = \"clickstream_analytics.{table}\"\nschema = \"{}\"\nwhere = \"{condition}\"\ncopy = {copy}\n",
                schema.display()
            )
        })
        .concat();
    let with_routes = text.replace("\n[dead_letter]\n", &format!("{routes}\n[dead_letter]\n"));
    assert_ne!(with_routes, text, "the section after the sink is another now");
    scratch.write("stream.toml", with_routes)
}

const STREAM_TABLES: [&str; 3] = ["clicks_raw", "views", "bots"];

/// How many messages are in a table, which has each once.
#[track_caller]
fn messages(scratch: &Scratch, table: &str) -> u64 {
    let sql = format!(
        "SELECT COUNT(*) - COUNT(DISTINCT message_id) AS twice FROM clickstream_analytics.{table}"
    );
    assert_eq!(scratch.number(&sql), 0, "{table}");
    scratch.number(&format!("SELECT COUNT(*) AS n FROM clickstream_analytics.{table}"))
}

#[test]
fn a_streams_rows_go_to_their_tables_and_each_to_one() {
    let scratch = Scratch::new();
    let stream = routed_stream(&scratch, false);
    let summary = scratch.summary(&stream, &["source.rows=6000", "source.rate=20000"]);
    assert_eq!(summary["rows_in"], 6000);
    let [own, views, bots] = STREAM_TABLES.map(|table| messages(&scratch, table));
    assert_eq!(summary["rows_out"], own + views + bots);
    assert!(views > 0 && bots > 0 && own > 0, "{own}, {views}, {bots}");
    let routes = json!([
        { "table": "clickstream_analytics.views", "rows": views },
        { "table": "clickstream_analytics.bots", "rows": bots },
    ]);
    assert_eq!(summary["routes"], routes);
    for (table, condition) in [
        ("clicks_raw", "event_type = 'product_view' OR is_bot"),
        ("views", "event_type <> 'product_view'"),
        ("bots", "NOT is_bot OR event_type = 'product_view'"),
    ] {
        let sql =
            format!("SELECT COUNT(*) AS n FROM clickstream_analytics.{table} WHERE {condition}");
        assert_eq!(scratch.number(&sql), 0, "{table} has rows of another");
    }
}

/// Asks how many messages these tables have together.
pub(crate) fn messages_together(tables: &[&str]) -> String {
    let of = |table: &&str| format!("SELECT message_id FROM clickstream_analytics.{table}");
    let of = tables.iter().map(of).collect::<Vec<_>>().join(" UNION ALL ");
    format!("SELECT COUNT(DISTINCT message_id) FROM ({of}) AS messages")
}

fn messages_of(scratch: &Scratch, tables: &[&str]) -> u64 {
    scratch.number(&messages_together(tables))
}

/// Every view of a product is a copy of a row of another table, and there is no other.
#[track_caller]
fn views_are_copies(scratch: &Scratch) {
    let of = |table: &str, which: &str| {
        scratch.number(&format!(
            "SELECT COUNT(*) AS n FROM clickstream_analytics.{table} WHERE {which}"
        ))
    };
    let viewed = "event_type = 'product_view'";
    assert!(of("views", viewed) > 0);
    assert_eq!(of("views", viewed), of("clicks_raw", viewed) + of("bots", viewed));
    assert_eq!(of("views", "event_type <> 'product_view'"), 0);
    assert_eq!(messages_of(scratch, &STREAM_TABLES), messages_of(scratch, &["clicks_raw", "bots"]));
}

#[test]
fn a_streams_copies_are_beside_its_rows_and_counted_by_table() {
    let scratch = Scratch::new();
    let stream = routed_stream(&scratch, true);
    let summary = scratch.summary(&stream, &["source.rows=6000", "source.rate=20000"]);
    let [own, views, bots] = STREAM_TABLES.map(|table| messages(&scratch, table));
    views_are_copies(&scratch);
    // Records in are rows, each once in however many tables, letters, and what is filtered.
    assert_eq!(messages_of(&scratch, &STREAM_TABLES), own + bots);
    assert_eq!(summary["rows_out"], own + bots);
    let letters = messages_of(&scratch, &["dead_letter"]);
    assert_eq!(summary["rows_rejected"], letters);
    assert_eq!(6000, own + bots + letters + summary["rows_filtered"].as_u64().unwrap());
    let routes = json!([
        { "table": "clickstream_analytics.views", "rows": views },
        { "table": "clickstream_analytics.bots", "rows": bots },
    ]);
    assert_eq!(summary["routes"], routes);
}

#[test]
fn killed_between_tables_a_stream_loses_and_doubles_no_message() {
    let test = "killed_between_tables_a_stream_loses_and_doubles_no_message";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    let stream = routed_stream(&cloud.scratch, true);
    let subscription = format!("source.subscription={}", cloud.subscription);
    let run = |more: &[&str]| {
        let pipeline = stream.to_string_lossy();
        let mut command = cloud.command(&["run", "--json", &pipeline]);
        let source = ["source.kind=pubsub", &subscription, "source.ack_deadline_secs=10"];
        for set in source.iter().chain(more) {
            command.args(["--set", set]);
        }
        command
    };
    cloud.publish(&["--count", "12000", "--bad", "2%", "--seed", "31"]);
    for kill in 0..8_u64 {
        let mut child = run(&["batch.max_rows=200", "source.streams=1"]);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(300 + (kill * 389) % 1100));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let child = spawn(run(&[MANY_STREAMS]));
    let there = |tables: &[&str]| messages_of(&cloud.scratch, tables);
    let all = [&STREAM_TABLES[..], &["dead_letter"]].concat();
    wait_until("all messages", || there(&all) >= 12_000);
    signal(&child, "-INT");
    summary(&child.wait_with_output().unwrap());
    // A message is a row or a letter, without the copies in one table, and each table has each once.
    assert_eq!(there(&all), 12_000);
    let in_one = ["clicks_raw", "bots", "dead_letter"].map(|table| there(&[table]));
    assert_eq!(in_one.iter().sum::<u64>(), 12_000);
    for table in STREAM_TABLES {
        messages(&cloud.scratch, table);
    }
    views_are_copies(&cloud.scratch);
}

#[test]
fn a_running_stream_tells_the_rows_of_each_of_its_tables() {
    let scratch = Scratch::new();
    let live =
        Live::start(&scratch, &routed_stream(&scratch, false), &["--set", "source.rate=5000"]);
    live.wait_for_rows(1, 5000);
    let names = STREAM_TABLES.map(|table| format!("clickstream_analytics.{table}"));
    let (_, status) = live.at.get("/v1/status");
    let status: Json = serde_json::from_str(&status).unwrap();
    let tables = status["tables"].as_array().unwrap();
    let told: Vec<&str> = tables.iter().map(|table| table["table"].as_str().unwrap()).collect();
    assert_eq!(told, names);
    let rows: u64 = tables.iter().map(|table| table["rows"].as_u64().unwrap()).sum();
    assert_eq!(status["rows_out"], rows, "of a stream, each row is in one");
    let (_, metrics) = live.at.get("/metrics");
    for name in &names {
        let is_of = |line: &&str| {
            line.starts_with("clickmill_table_rows_total{")
                && line.contains(&format!("table=\"{name}\""))
        };
        let lines: Vec<&str> = metrics.lines().filter(is_of).collect();
        assert_eq!(lines.len(), 1, "{name} in\n{metrics}");
        let rows: f64 = lines[0].rsplit(' ').next().unwrap().parse().unwrap();
        assert!(rows > 0.0, "{}", lines[0]);
    }
    live.end();
}

#[test]
fn a_route_has_a_view_with_each_row_once_where_its_table_is_called_raw() {
    let scratch = Scratch::new();
    let stream = routed_stream(&scratch, false);
    let text = std::fs::read_to_string(&stream).unwrap();
    let text = text.replace("clickstream_analytics.views\"", "clickstream_analytics.views_raw\"");
    scratch.write("stream.toml", text);
    scratch.summary(&stream, &["source.rows=3000", "source.rate=20000"]);
    let number = |sql: &str| {
        scratch.number(&format!("SELECT COUNT(*) AS n FROM clickstream_analytics.{sql}"))
    };
    let rows = number("views_raw");
    assert!(rows > 0);
    assert_eq!(number("views"), rows);
    // A message that was appended twice, as one is that comes again after a kill.
    let folder = scratch.path("warehouse/clickstream_analytics/views_raw");
    let file = some_parquet(&folder).expect("a file of rows");
    std::fs::copy(
        &file,
        file.with_file_name(format!("again-{}", file.file_name().unwrap().to_string_lossy())),
    )
    .unwrap();
    assert!(number("views_raw") > rows);
    assert_eq!(number("views"), rows);
}

fn some_parquet(folder: &std::path::Path) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?.map(|entry| entry.unwrap().path());
    for path in entries {
        let found = if path.is_dir() {
            some_parquet(&path)
        } else {
            Some(path).filter(|path| path.extension().is_some_and(|ending| ending == "parquet"))
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

#[test]
fn a_tap_shows_what_any_of_the_tables_has_and_nothing_that_is_sensitive() {
    let scratch = Scratch::new();
    let stream = routed_stream(&scratch, false);
    let text = std::fs::read_to_string(root().join("schemas/clicks_raw.json")).unwrap();
    let mut columns: Vec<Json> = serde_json::from_str(&text).unwrap();
    columns.retain(|column| column["name"] != "browser");
    scratch.write("narrow.json", Json::from(columns).to_string());
    // The pipeline's own table has no browser, those of its routes have one.
    let own = format!("sink.schema={}", scratch.path("narrow.json").display());
    let live = Live::start(&scratch, &stream, &["--set", "source.rate=5000", "--set", &own]);
    let shown = scratch.done(&["tap", "--admin", &live.admin, "--limit", "50"]);
    let rows: Vec<Json> = shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let is_told = |row: &Json| row["browser"].as_str().is_some_and(|text| text != "(hidden)");
    assert!(rows.iter().any(is_told), "{shown}");
    let is_hidden = |row: &Json| row["user_id"].is_null() || row["user_id"] == "(hidden)";
    assert!(rows.iter().all(is_hidden), "{shown}");
    live.end();
}
