//! Rows by a condition to several tables in BigQuery: of a load all of them or none, whatever it is killed
//! between, and of a stream each in one.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::cloud::{Cloud, MANY_STREAMS, signal, spawn, summary, wait_until};
use crate::cloud_loads::Loads;
use crate::support::{Process, root};

const TABLES: [&str; 3] = ["clickstream_batch", "skirts", "sale"];

/// Routes of a pipeline, as `--set` takes them.
fn routes(schema: &str, routes: &[(&str, &str)]) -> String {
    let schema = root().join("schemas").join(schema);
    let route = |(table, condition): &(&str, &str)| {
        format!(
            "{{table=\"clickstream_analytics.{table}\",schema=\"{}\",where=\"{condition}\"}}",
            schema.display()
        )
    };
    let routes: Vec<String> = routes.iter().map(route).collect();
    format!("sink.route=[{}]", routes.join(","))
}

fn shop() -> String {
    let by = [("skirts", "category = 'skirts'"), ("sale", "category IN ('sale')")];
    routes("clickstream_batch.json", &by)
}

/// Sets the routes, and one object as the source.
fn of(object: &str) -> Vec<String> {
    ["--set".to_owned(), shop(), "--set".to_owned(), format!("source.uri=gs://lake/{object}")]
        .into()
}

fn run(loads: &Loads, object: &str, more: &[&str]) -> Json {
    let set = of(object);
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    loads.run(&[&set[..], more].concat())
}

/// How many rows an object has in each table, each once and where it belongs.
#[track_caller]
fn there(loads: &Loads, object: &str) -> [u64; 3] {
    let conditions =
        ["category NOT IN ('skirts', 'sale')", "category = 'skirts'", "category = 'sale'"];
    let mut at = 0;
    TABLES.map(|table| {
        let count = |what: &str, condition: &str| {
            loads.bigquery.number(&format!(
                "SELECT {what} FROM clickstream_analytics.{table} WHERE STRPOS(source, '{object}') > 0 AND {condition}"
            ))
        };
        let rows = count("COUNT(*)", "TRUE");
        assert_eq!(rows, count("COUNT(DISTINCT source_line)", conditions[at]), "{table}");
        at += 1;
        rows
    })
}

/// Has a load killed while the commit of one table is held up.
fn kill_at_commit(loads: &Loads, object: &str, table: &str) {
    let before = loads.bigquery.met("uncommitted");
    loads.bigquery.order(&json!({ "kind": "uncommitted", "table": table }));
    let set = of(object);
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let mut command = loads.command(&set);
    let mut run = Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));
    wait_until("a commit", || loads.bigquery.met("uncommitted") > before);
    run.kill().unwrap();
    run.wait().unwrap();
    loads.bigquery.take_back();
}

#[test]
fn a_load_into_bigquery_is_in_all_of_its_tables_whatever_it_is_killed_between() {
    let loads = Loads::start();
    loads.put("whole.csv", 3000, 61);
    let summary = run(&loads, "whole.csv", &[]);
    let [own, skirts, sale] = there(&loads, "whole.csv");
    assert_eq!(summary["rows_out"], 3000);
    assert_eq!(own + skirts + sale, 3000);
    assert!(own > 0 && skirts > 0 && sale > 0, "{own}, {skirts}, {sale}");
    let told = json!([
        { "table": "clickstream_analytics.skirts", "rows": skirts },
        { "table": "clickstream_analytics.sale", "rows": sale },
    ]);
    assert_eq!(summary["routes"], told);
    assert_eq!(run(&loads, "whole.csv", &[])["objects_loaded"], 0);
    assert_eq!(loads.entries("committed"), 1);
    // Before any table has rows, between two, and before the last.
    for (round, table) in TABLES.into_iter().enumerate() {
        let object = format!("killed{round}.csv");
        loads.put(&object, 1000, round as u64);
        kill_at_commit(&loads, &object, table);
        assert_eq!(loads.entries("committed"), round as u64 + 1, "{table}");
        if round == 1 {
            // The routes are gone from the file: what was decided for is as it was.
            loads.run(&["--set", &format!("source.uri=gs://lake/{object}")]);
        } else {
            run(&loads, &object, &[]);
        }
        assert_eq!(there(&loads, &object).iter().sum::<u64>(), 1000, "{table}");
        assert_eq!(loads.entries("committed"), round as u64 + 2, "{table}");
    }
    // At spread moments.
    for round in 0..8_u64 {
        let object = format!("spread{round}.csv");
        loads.put(&object, 1000, 100 + round);
        let set = of(&object);
        let set: Vec<&str> = set.iter().map(String::as_str).collect();
        let mut command = loads.command(&set);
        let mut child = Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));
        std::thread::sleep(Duration::from_millis(150 + round * 131));
        child.kill().unwrap();
        child.wait().unwrap();
        run(&loads, &object, &[]);
        assert_eq!(there(&loads, &object).iter().sum::<u64>(), 1000, "kill {round}");
    }
}

#[test]
fn a_load_of_which_bigquery_has_dropped_a_part_is_told_and_not_doubled() {
    let loads = Loads::start();
    loads.put("half.csv", 1000, 62);
    kill_at_commit(&loads, "half.csv", "sale");
    loads.bigquery.order(&json!({ "kind": "expired", "table": "sale" }));
    let set = of("half.csv");
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    let output = loads.command(&set).output().unwrap();
    let talk = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{talk}");
    assert!(talk.contains("and not in `clickstream_analytics.sale`"), "{talk}");
    let [own, skirts, sale] = there(&loads, "half.csv");
    assert!(own > 0 && skirts > 0 && sale == 0, "{own}, {skirts}, {sale}");
    // What it says is done.
    for table in ["clickstream_batch", "skirts", "load_ledger"] {
        loads.bigquery.query(&format!(
            "DELETE FROM clickstream_analytics.{table} WHERE STRPOS(source, 'half.csv') > 0"
        ));
    }
    assert_eq!(run(&loads, "half.csv", &[])["objects_loaded"], 1);
    assert_eq!(there(&loads, "half.csv").iter().sum::<u64>(), 1000);
}

#[test]
fn a_row_that_the_table_of_a_route_refuses_is_a_letter_and_letters_are_replayed() {
    let loads = Loads::start();
    loads.put("refused.csv", 2000, 63);
    loads.bigquery.refuse("skirts", "top left");
    let any = ["--set", "dead_letter.max_rejected_share=1.0"];
    let summary = run(&loads, "refused.csv", &any);
    let refused = summary["rows_rejected"].as_u64().unwrap();
    assert!(refused > 0, "{summary:#}");
    let by = json!([{ "stage": "sink", "code": "refused_by_table", "rows": refused }]);
    assert_eq!(summary["rejected_by"], by);
    let [own, skirts, sale] = there(&loads, "refused.csv");
    assert_eq!(own + skirts + sale + refused, 2000);
    assert_eq!(summary["routes"][0]["rows"], skirts);
    assert_eq!(summary["rows_out"], own + skirts + sale);
    // What met no condition is a letter, and a row of the table once that takes it.
    loads.put("unrouted.csv", 500, 64);
    let reject = ["--set", "sink.unrouted=reject"];
    let summary = run(&loads, "unrouted.csv", &[&any[..], &reject].concat());
    let [own, skirts, sale] = there(&loads, "unrouted.csv");
    assert_eq!(own, 0);
    assert_eq!(summary["rows_rejected"], 500 - skirts - sale);
    // The table of skirts still refuses some.
    let by = summary["rejected_by"].as_array().unwrap().iter();
    let no_route = by.filter(|by| by["code"] == "no_route").map(|by| by["rows"].as_u64().unwrap());
    let no_route: u64 = no_route.sum();
    assert!(no_route > 0, "{summary:#}");
    let (pipeline, routes) = (Loads::pipeline(), shop());
    let replay =
        ["dead-letter", "replay", &pipeline, "--set", &routes, "--where", "code = 'no_route'"];
    let output = loads.verb(&replay).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(there(&loads, "unrouted.csv"), [no_route, skirts, sale]);
}

#[test]
fn a_streams_messages_are_in_one_of_its_tables_and_once_in_their_views() {
    let test = "a_streams_messages_are_in_one_of_its_tables_and_once_in_their_views";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    let by = [("views_raw", "event_type = 'product_view'"), ("bots_raw", "is_bot")];
    let routes = routes("clicks_raw.json", &by);
    let apply = || {
        let pipeline = root().join("host/pipelines/stream_gcp.toml");
        let apply = ["tables", "apply", &*pipeline.to_string_lossy(), "--set", &routes];
        let output = cloud.command(&apply).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let said = apply();
    for made in ["views_raw: created", "views: view created", "bots: view created"] {
        assert!(said.contains(made), "{said}");
    }
    cloud.publish(&["--count", "8000", "--bad", "2%", "--seed", "65"]);
    for kill in 0..4_u64 {
        let small = ["--set", &routes, "--set", "batch.max_rows=200"];
        let mut command = cloud.stream(&small);
        let mut child = Process::spawn(command.stdout(Stdio::null()).stderr(Stdio::null()));
        std::thread::sleep(Duration::from_millis(600 + (kill * 389) % 1100));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let child = spawn(cloud.stream(&["--set", &routes, "--set", MANY_STREAMS]));
    let tables = ["clicks_raw", "views_raw", "bots_raw", "dead_letter"];
    let messages = || -> u64 {
        let of = |table: &str| {
            let count = "SELECT COUNT(DISTINCT message_id) FROM clickstream_analytics";
            cloud.bigquery.number(&format!("{count}.{table}"))
        };
        tables.into_iter().map(of).sum()
    };
    wait_until("all messages", || messages() >= 8000);
    signal(&child, "-INT");
    summary(&child.wait_with_output().unwrap());
    // A message is in one table: the sum would be larger otherwise.
    assert_eq!(messages(), 8000);
    let count = |sql: &str| cloud.bigquery.number(&format!("SELECT {sql}"));
    for (view, belongs) in [
        ("clicks", "event_type <> 'product_view' AND NOT IFNULL(is_bot, FALSE)"),
        ("views", "event_type = 'product_view'"),
        ("bots", "is_bot AND event_type <> 'product_view'"),
    ] {
        let from = format!("FROM clickstream_analytics.{view}");
        let rows = count(&format!("COUNT(*) {from}"));
        assert!(rows > 0, "{view}");
        assert_eq!(rows, count(&format!("COUNT(DISTINCT message_id) {from}")), "{view}");
        assert_eq!(rows, count(&format!("COUNT(*) {from} WHERE {belongs}")), "{view}");
    }
}
