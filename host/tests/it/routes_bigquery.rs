//! Rows by a condition to several tables in BigQuery: of a load all of them or none, whatever it is killed
//! between, and of a stream each in one, or in several where a route takes copies.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::cloud::{Cloud, MANY_STREAMS, signal, spawn, summary, wait_until};
use crate::cloud_loads::Loads;
use crate::routes::messages_together;
use crate::support::{Process, root, succeeds};

const TABLES: [&str; 3] = ["clickstream_batch", "skirts", "sale"];

/// Routes of a pipeline, as `--set` takes them: tables, conditions, and whether they take copies.
fn routes(schema: &str, routes: &[(&str, &str, bool)]) -> String {
    let schema = root().join("schemas").join(schema);
    let route = |(table, condition, copy): &(&str, &str, bool)| {
        format!(
            "{{table=\"clickstream_analytics.{table}\",schema=\"{}\",where=\"{condition}\",copy={copy}}}",
            schema.display()
        )
    };
    let routes: Vec<String> = routes.iter().map(route).collect();
    format!("sink.route=[{}]", routes.join(","))
}

fn shop() -> String {
    let by = [("skirts", "category = 'skirts'", false), ("sale", "category IN ('sale')", false)];
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
fn a_row_that_one_of_its_tables_refuses_is_in_none_and_is_replayed_into_all() {
    let loads = Loads::start();
    loads.put("copies.csv", 2000, 66);
    loads.bigquery.refuse("skirts", "top left");
    let by = [("skirts", "category = 'skirts'", true), ("sale", "category IN ('sale')", false)];
    let by = routes("clickstream_batch.json", &by);
    let set = ["--set", &by, "--set", "source.uri=gs://lake/copies.csv"];
    let more = ["--set", "dead_letter.max_rejected_share=1.0", "--set", "batch.max_rows=300"];
    let summary = loads.run(&[set, more].concat());
    let count = |what: &str| {
        loads.bigquery.number(&format!("SELECT COUNT(*) FROM clickstream_analytics.{what}"))
    };
    let in_both = "clickstream_batch WHERE category = 'skirts'";
    let refused = summary["rows_rejected"].as_u64().unwrap();
    assert!(refused > 0, "{summary:#}");
    let rejected = json!([{ "stage": "sink", "code": "refused_by_table", "rows": refused }]);
    assert_eq!(summary["rejected_by"], rejected);
    // Each row once, and the copies beside that.
    let (own, skirts, sale) = (count("clickstream_batch"), count("skirts"), count("sale"));
    assert_eq!(own + sale + refused, 2000);
    assert_eq!(summary["rows_out"], own + sale);
    assert!(skirts > 0 && sale > 0, "{summary:#}");
    assert_eq!(skirts, count(in_both));
    assert_eq!(summary["routes"][0]["rows"], skirts);
    let lines = "SELECT source_line FROM clickstream_analytics.dead_letter";
    for table in ["clickstream_batch", "skirts", "sale"] {
        assert_eq!(count(&format!("{table} WHERE source_line IN ({lines})")), 0, "{table}");
    }
    // The letter says which table it was.
    let named = "dead_letter WHERE STRPOS(errorMessage, 'clickstream_analytics.skirts') > 0";
    assert_eq!(count(named), refused);
    assert_eq!(loads.entries("committed"), 1);
    assert_eq!(loads.run(&set)["objects_loaded"], 0);
    let pipeline = Loads::pipeline();
    let replay = ["dead-letter", "replay", &*pipeline, "--json", "--set", &by];
    let replay = || -> Json { serde_json::from_str(&succeeds(loads.verb(&replay))).unwrap() };
    // As long as one table refuses it, it is in none.
    let again = replay();
    assert_eq!((&again["letters"], &again["resolved"]), (&refused.into(), &0.into()), "{again}");
    assert_eq!((count("clickstream_batch"), count("skirts")), (own, skirts));
    loads.bigquery.refuse("no_table", "nothing");
    let done = replay();
    assert_eq!(done["resolved"], refused, "{done}");
    assert_eq!(count("clickstream_batch"), own + refused);
    assert_eq!(count("skirts"), skirts + refused);
    assert_eq!(count(in_both), skirts + refused);
    assert_eq!(replay()["letters"], 0);
}

#[test]
fn of_a_streams_row_that_a_later_table_refuses_a_replay_writes_what_lacks() {
    let test = "of_a_streams_row_that_a_later_table_refuses_a_replay_writes_what_lacks";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    let by = routes("clicks_raw.json", &[("views_raw", "event_type = 'product_view'", true)]);
    cloud.bigquery.refuse("views_raw", "product/P00");
    cloud.publish(&["--count", "3000", "--seed", "67"]);
    let summary = cloud.drain("3s", &["--set", &by]);
    let refused = summary["rows_rejected"].as_u64().unwrap();
    assert!(refused > 0, "{summary:#}");
    let rejected = json!([{ "stage": "sink", "code": "refused_by_table", "rows": refused }]);
    assert_eq!(summary["rejected_by"], rejected);
    let count = |what: &str, of: &str| {
        cloud.bigquery.number(&format!("SELECT COUNT({what}) FROM clickstream_analytics.{of}"))
    };
    let messages = |of: &str| count("DISTINCT message_id", of);
    let in_both = "clicks_raw WHERE event_type = 'product_view'";
    // The table before it keeps the row, which counts as rejected; its letter says which table lacks it.
    assert_eq!(messages("clicks_raw"), 3000);
    assert_eq!(messages("views_raw") + refused, messages(in_both));
    assert_eq!(summary["rows_out"], 3000 - refused);
    assert_eq!(summary["routes"][0]["rows"], messages("views_raw"));
    let named = "dead_letter WHERE STRPOS(errorMessage, 'clickstream_analytics.views_raw') > 0";
    assert_eq!(messages(named), refused);
    let pipeline = root().join("host/pipelines/stream_gcp.toml").to_string_lossy().into_owned();
    let replay = ["dead-letter", "replay", &*pipeline, "--json", "--set", &by];
    let replay = || -> Json { serde_json::from_str(&succeeds(cloud.command(&replay))).unwrap() };
    let rows = count("*", "clicks_raw");
    assert_eq!(replay()["resolved"], 0);
    cloud.bigquery.refuse("no_table", "nothing");
    let done = replay();
    assert_eq!((&done["letters"], &done["resolved"]), (&refused.into(), &refused.into()), "{done}");
    assert_eq!(messages("views_raw"), messages(in_both));
    assert_eq!(count("*", "clicks_raw"), rows, "it has them already");
    assert_eq!(replay()["letters"], 0);
}

#[test]
fn a_streams_messages_are_in_their_tables_and_once_in_the_views_of_each() {
    let test = "a_streams_messages_are_in_their_tables_and_once_in_the_views_of_each";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    let by = [("views_raw", "event_type = 'product_view'", true), ("bots_raw", "is_bot", false)];
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
    let messages = |tables: &[&str]| cloud.bigquery.number(&messages_together(tables));
    let tables = ["clicks_raw", "bots_raw", "views_raw", "dead_letter"];
    wait_until("all messages", || messages(&tables) >= 8000);
    signal(&child, "-INT");
    summary(&child.wait_with_output().unwrap());
    // A message is a row or a letter, and without the copies in one table.
    let in_one = tables.map(|table| messages(&[table]));
    assert_eq!(in_one[0] + in_one[1] + in_one[3], 8000);
    assert_eq!(messages(&tables), 8000);
    let count = |sql: &str| cloud.bigquery.number(&format!("SELECT {sql}"));
    for (view, belongs) in [
        ("clicks", "NOT IFNULL(is_bot, FALSE)"),
        ("views", "event_type = 'product_view'"),
        ("bots", "is_bot"),
    ] {
        let from = format!("FROM clickstream_analytics.{view}");
        let rows = count(&format!("COUNT(*) {from}"));
        assert!(rows > 0, "{view}");
        assert_eq!(rows, count(&format!("COUNT(DISTINCT message_id) {from}")), "{view}");
        assert_eq!(rows, count(&format!("COUNT(*) {from} WHERE {belongs}")), "{view}");
    }
    // Every view of a product has its copy, whatever the kills came between.
    let products = |view: &str| {
        count(&format!(
            "COUNT(*) FROM clickstream_analytics.{view} WHERE event_type = 'product_view'"
        ))
    };
    assert_eq!(products("views"), products("clicks") + products("bots"));
}
