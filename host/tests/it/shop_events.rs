//! Events with lists in them, several to a message: from files and messages to the warehouse and to BigQuery,
//! counted record by record by a script that knows the messages and nothing of the host.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value as Json, json};

use crate::cloud::{Cloud, summary};
use crate::support::{Scratch, plugins, root};

const TABLE: &str = "clickstream_analytics.shop_events_raw";

fn pipeline() -> String {
    root().join("host/pipelines/shop_events.toml").to_string_lossy().into_owned()
}

/// What is to become of the messages in a file.
fn wanted(file: &Path) -> Json {
    let script = root().join("host/tests/it/shop_events/count.py");
    let output = Command::new("python3").arg(script).arg(file).output().expect("python3 starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("what it counted")
}

/// A value as text; a number without zeros at its end.
fn shown(value: &Json) -> String {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match text.split_once('.') {
        Some((_, rest)) if rest.bytes().all(|byte| byte.is_ascii_digit()) => {
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        _ => text,
    }
}

fn length(list: &Json) -> usize {
    list.as_array().map(Vec::len).expect("a list")
}

/// Lists of values, in no order.
fn set(lists: impl IntoIterator<Item = Vec<Json>>) -> BTreeSet<Vec<String>> {
    lists.into_iter().map(|list| list.iter().map(shown).collect()).collect()
}

/// The lists that were counted, the values of these places.
fn places(counted: &Json, places: &[usize]) -> BTreeSet<Vec<String>> {
    let lists = counted.as_array().expect("a list").iter();
    set(lists.map(|list| places.iter().map(|at| list[*at].clone()).collect()))
}

/// The values of rows, by the names of their columns.
fn columns(rows: &[Json], names: &[&str]) -> BTreeSet<Vec<String>> {
    set(rows.iter().map(|row| names.iter().map(|name| row[*name].clone()).collect()))
}

#[test]
fn every_event_of_a_file_is_a_row_or_a_letter_and_money_is_exact() {
    plugins();
    let scratch = Scratch::new();
    let generate = ["generate", "events", "--rows", "3000", "--bad", "10%", "--seed", "7"];
    scratch.done(&[&generate[..], &["--output", "events.ndjson"]].concat());
    let wanted = wanted(&scratch.path("events.ndjson"));
    let summary = scratch.summary(
        Path::new(&pipeline()),
        &["source.uri=events.ndjson", "dead_letter.max_rejected_share=1.0", "batch.max_rows=700"],
    );
    assert_eq!(summary["rows_in"], 3000, "{summary:#}");
    assert_eq!(summary["rows_out"], length(&wanted["rows"]), "{summary:#}");
    assert_eq!(summary["rows_rejected"], length(&wanted["letters"]), "{summary:#}");
    assert!(length(&wanted["rows"]) > 6000 && length(&wanted["letters"]) > 250);
    // No call wanted more fuel than it had: else batches are split, and read several times.
    let plugins = summary["plugins"].as_array().expect("plugins");
    assert!(plugins.iter().all(|plugin| plugin["faults"] == 0), "{summary:#}");

    // By record and place, each sum to the last digit.
    let names = ["source_line", "place", "session_id", "event_id"];
    let totals = ["items_count", "pieces", "items_price", "items_revenue"];
    let rows = scratch.query(&format!(
        "SELECT source_line, COALESCE(record_index, 0) AS place, session_id, event_id, {} FROM {TABLE}",
        totals.join(", ")
    ));
    assert_eq!(rows.len(), length(&wanted["rows"]));
    let found = columns(&rows, &[&names[..], &totals].concat());
    assert_eq!(found, places(&wanted["rows"], &[0, 1, 2, 3, 4, 5, 6, 7]));
    let letters = scratch.query(
        "SELECT source_line, COALESCE(record_index, 0) AS place, `column` FROM clickstream_analytics.dead_letter",
    );
    assert_eq!(letters.len(), length(&wanted["letters"]));
    assert_eq!(columns(&letters, &["source_line", "place"]), places(&wanted["letters"], &[0, 1]));
    // A letter of one event names the place in it that is at fault.
    let named: BTreeSet<_> = places(&wanted["letters"], &[0, 1, 2]);
    let named: BTreeSet<_> = named.into_iter().filter(|list| list[2] != "null").collect();
    let found = columns(&letters, &["source_line", "place", "column"]);
    assert_eq!(named.difference(&found).collect::<Vec<_>>(), [&[""; 0]; 0]);
    assert!(named.iter().any(|list| list[2].starts_with("items[")), "{named:?}");

    // The same by the items: UNNEST by hand, and the view.
    let sums = "COUNT(*) AS items, SUM(item.quantity) AS pieces, SUM(item.price) AS price, SUM(item.revenue) AS revenue";
    for from in [
        format!("{TABLE} AS events, UNNEST(events.items) AS item"),
        "clickstream_analytics.shop_items AS item".to_owned(),
    ] {
        let found = scratch.query(&format!("SELECT {sums} FROM {from}"));
        let found: Vec<String> =
            ["items", "pieces", "price", "revenue"].map(|name| shown(&found[0][name])).into();
        let counted: Vec<String> =
            wanted["items"].as_array().expect("a list").iter().map(shown).collect();
        assert_eq!(found, counted, "{from}");
    }
    // Purchases are in a table of their own too, whole and once.
    let purchases = "event_type = 'purchase'";
    let sums = "COUNT(*) AS n, SUM(items_revenue) AS revenue, SUM(record_index) AS places";
    let of = |from: &str| scratch.query(&format!("SELECT {sums} FROM {from}"));
    let wanted = of(&format!("{TABLE} WHERE {purchases}"));
    assert!(wanted[0]["n"].as_u64() > Some(0), "{wanted:?}");
    assert_eq!(of("clickstream_analytics.shop_purchases_raw"), wanted);
    assert_eq!(of("clickstream_analytics.shop_purchases"), wanted);
    let routes =
        json!([{ "table": "clickstream_analytics.shop_purchases_raw", "rows": wanted[0]["n"] }]);
    assert_eq!(summary["routes"], routes);
    // Money times pieces is exact in a query as in a plugin, and so is what is taken off.
    let differs = format!(
        "SELECT COUNT(*) FROM (SELECT MAX(events.items_price) AS price, SUM(item.price * item.quantity) AS sum, MAX(events.items_revenue) AS revenue, SUM(item.revenue) AS told FROM {TABLE} AS events, UNNEST(events.items) AS item GROUP BY events.source_line, events.record_index) WHERE price <> sum OR told <> revenue"
    );
    assert_eq!(scratch.number(&differs), 0);
    let average = scratch.query(&format!(
        "SELECT ROUND(AVG(items_revenue), 2) = ROUND(SUM(items_revenue) / COUNT(items_revenue), 2) AS same, SUM(items_revenue) * 1.19 > SUM(items_revenue) AS more FROM {TABLE} WHERE {purchases}"
    ));
    assert_eq!(average, [json!({ "same": true, "more": true })]);
    // What is nested is masked too.
    let clear = format!(
        "SELECT COUNT(*) FROM {TABLE} WHERE NOT STARTS_WITH(visitor.id, 'k1_') OR STRPOS(visitor.email, '@') > 0 OR STRPOS(page.url, '@') > 0"
    );
    assert_eq!(scratch.number(&clear), 0);
    let clear = format!(
        "SELECT COUNT(*) FROM {TABLE} AS events, UNNEST(events.params) AS param WHERE STRPOS(param.value.string_value, '@') > 0"
    );
    assert_eq!(scratch.number(&clear), 0);
}

/// A message of events, each of which costs what its items are said to cost.
fn message(session: &str, events: &[&[&str]]) -> String {
    let event = |(number, prices): (usize, &&[&str])| {
        let item = |price: &&str| {
            format!(r#"{{"product_id": "P1", "price": {price}, "quantity": 1, "revenue": "0.10"}}"#)
        };
        let items: Vec<String> = prices.iter().map(item).collect();
        format!(
            r#"{{"event_id": "{session}-{number}", "event_timestamp": "2026-01-05T08:00:00Z", "event_type": "checkout", "items": [{}]}}"#,
            items.join(", ")
        )
    };
    let events: Vec<String> = events.iter().enumerate().map(event).collect();
    format!(
        "{{\"session_id\": \"{session}\", \"context\": {{\"user\": {{\"id\": \"u0000001\"}}}}, \"events\": [{}]}}\n",
        events.join(", ")
    )
}

#[test]
fn letters_name_the_element_at_fault_and_one_of_several_rows_is_replayed() {
    plugins();
    let scratch = Scratch::new();
    let messages = [
        message("a", &[&["1"], &["1", "2", "3", "\"cheap\""], &["0.1234567891"]]),
        message("b", &[&["1"], &["19.90", "-0.01"], &["2"]]),
        message("c", &[&["-1"], &["1"], &["1", "1", "-2"]]),
    ];
    scratch.write("events.ndjson", messages.concat());
    let settings = ["source.uri=events.ndjson", "dead_letter.max_rejected_share=1.0"];
    let summary = scratch.summary(Path::new(&pipeline()), &settings);
    assert_eq!((&summary["rows_out"], &summary["rows_rejected"]), (&json!(4), &json!(5)));
    let letters = scratch.query(
        "SELECT source_line, record_index, stage, code, `column` FROM clickstream_analytics.dead_letter ORDER BY source_line, record_index",
    );
    let told: Vec<[Json; 4]> = letters
        .iter()
        .map(|letter| {
            ["source_line", "record_index", "stage", "column"].map(|key| letter[key].clone())
        })
        .collect();
    let letter = |line: u64, place: u64, stage: &str, column: &str| {
        [json!(line), json!(place), json!(stage), json!(column)]
    };
    let all = [
        letter(1, 1, "parse", "items[3].price"),
        letter(1, 2, "parse", "items[0].price"),
        letter(2, 1, "validate", "items[1].price"),
        letter(3, 0, "validate", "items[0].price"),
        letter(3, 2, "validate", "items[2].price"),
    ];
    assert_eq!(told, all, "{letters:#?}");

    // With a rule that lets them pass, those three become the rows that are missing, and no others.
    let rows = || {
        let rows = scratch.query(&format!(
            "SELECT session_id, COALESCE(record_index, 0) AS place FROM {TABLE} ORDER BY 1, 2"
        ));
        let row = |row: &Json| format!("{}{}", shown(&row["session_id"]), row["place"]);
        rows.iter().map(row).collect::<Vec<_>>()
    };
    assert_eq!(rows(), ["a0", "b0", "b2", "c1"]);
    let lax = r#"plugin.validate.config.rules=[{range={column="items.price",min=-100}}]"#;
    let pipeline = pipeline();
    let replay = |more: &[&str]| -> Json {
        let replay = ["dead-letter", "replay", &*pipeline, "--json", "--set", lax];
        serde_json::from_str(&scratch.done(&[&replay[..], more].concat())).expect("what it did")
    };
    let one = replay(&["--where", "source_line = 2"]);
    assert_eq!(one["resolved"], 1, "{one:#}");
    assert_eq!(rows(), ["a0", "b0", "b1", "b2", "c1"]);
    let others = replay(&["--where", "code = 'negative_price'"]);
    assert_eq!(others["resolved"], 2, "{others:#}");
    assert_eq!(rows(), ["a0", "b0", "b1", "b2", "c0", "c1", "c2"]);
    let again = replay(&["--where", "code = 'negative_price'"]);
    assert_eq!((&again["letters"], &again["resolved"]), (&json!(0), &json!(0)), "{again:#}");
    assert_eq!(rows().len(), 7);
}

#[test]
fn what_is_beyond_the_limit_of_a_batch_is_a_letter_that_names_it_and_is_replayed() {
    plugins();
    let scratch = Scratch::new();
    let generate = ["generate", "events", "--rows", "250", "--seed", "9"];
    scratch.done(&[&generate[..], &["--output", "events.ndjson"]].concat());
    let limit = "plugin.parse.limits.max_output_bytes=200000";
    let settings = ["source.uri=events.ndjson", "dead_letter.max_rejected_share=1.0", limit];
    let summary = scratch.summary(Path::new(&pipeline()), &settings);
    let letters = summary["rows_rejected"].as_u64().expect("a count");
    assert!(summary["rows_out"].as_u64() > Some(0) && letters > 0, "{summary:#}");
    let told = scratch
        .query("SELECT DISTINCT code, errorMessage AS told FROM clickstream_analytics.dead_letter");
    assert!(told.iter().all(|letter| letter["code"] == "plugin_output_too_large"), "{told:#?}");
    // Where a row has a value such as 0000, that is taken out of the words of its letter.
    let names_it = |letter: &Json| {
        let wanted = "limit 200000 bytes for a batch, which its `max_output_bytes` raises";
        letter["told"].as_str().is_some_and(|told| told.contains(wanted))
    };
    assert!(told.iter().any(names_it), "{told:#?}");
    // With the limit that is usual the same messages are rows.
    let pipeline = pipeline();
    let replay = ["dead-letter", "replay", &*pipeline, "--json"];
    let done: Json = serde_json::from_str(&scratch.done(&replay)).expect("what it did");
    assert_eq!(done["resolved"], letters, "{done:#}");
    let lines = format!("SELECT COUNT(DISTINCT source_line) FROM {TABLE}");
    assert_eq!(scratch.number(&lines), 250);
}

#[test]
fn nested_values_of_a_table_are_json_whatever_they_hold() {
    plugins();
    let scratch = Scratch::new();
    let message = r#"{"session_id": "a", "context": {"user": {"id": "u0000001"}}, "events": [{"event_id": "a-0", "event_timestamp": "2026-01-05T08:00:00Z", "event_type": "checkout", "tags": ["x", "y"], "params": [{"key": "k", "value": {"int_value": 7}}], "items": [{"product_id": "P1", "price": 19.90, "quantity": 1, "options": {"sizes": [40, null]}}, {"product_id": "P2", "price": "12345678901234567890.123456789", "quantity": 1}]}]}"#;
    scratch.write("events.ndjson", message);
    scratch.summary(Path::new(&pipeline()), &["source.uri=events.ndjson"]);
    let item = |product: &str, price: Json, options: Json| {
        json!({
            "product_id": product, "name": null, "brand": null, "category": null, "variant": null,
            "price": price, "quantity": 1, "discount": null, "revenue": null, "options": options,
        })
    };
    let exact = json!("12345678901234567890.123456789");
    let items =
        [item("P1", json!(19.9), json!({ "sizes": [40, null] })), item("P2", exact, Json::Null)];
    let value = json!({ "string_value": null, "int_value": 7, "double_value": null });
    let wanted = json!({
        "items": items, "params": [{ "key": "k", "value": value }], "tags": ["x", "y"],
    });
    assert_eq!(scratch.query(&format!("SELECT items, params, tags FROM {TABLE}")), [wanted]);
}

/// The message itself is in none of its rows: it is there once, however many they are.
#[test]
fn messages_of_a_hundred_events_are_rows_with_the_limits_that_are_usual() {
    plugins();
    let scratch = Scratch::new();
    let event: &[&str] = &["19.90"];
    let of = |number| message(&format!("s{number}"), &[event; 100]);
    let messages: String = (0..150).map(of).collect();
    // A batch of them, with the message in each row, is beyond `max_output_bytes`.
    assert!(messages.len() > 2 << 20, "{}", messages.len());
    scratch.write("events.ndjson", messages);
    let summary = scratch.summary(Path::new(&pipeline()), &["source.uri=events.ndjson"]);
    assert_eq!((&summary["rows_out"], &summary["rows_rejected"]), (&json!(15_000), &json!(0)));
    for plugin in summary["plugins"].as_array().unwrap() {
        assert_eq!(plugin["faults"], 0, "{plugin:#}");
    }
}

/// A message of nearly a megabyte is read with the limits that hold for one of a hundred bytes.
#[test]
fn a_large_message_is_read_at_once() {
    plugins();
    let scratch = Scratch::new();
    let item = r#"{"product_id":"P1","name":"hat","price":19.90,"quantity":1,"options":{"sizes":[40,42]}}"#;
    let items = vec![item; 9000].join(",");
    let event = format!(
        r#"{{"event_id":"e","event_timestamp":"2026-01-05T10:00:00Z","event_type":"product_view","items":[{items}]}}"#
    );
    let message = format!(r#"{{"session_id":"large","events":[{event}]}}"#);
    assert!((700_000..1_000_000).contains(&message.len()), "{}", message.len());
    scratch.write("events.ndjson", format!("{message}\n"));
    let summary = scratch.summary(Path::new(&pipeline()), &["source.uri=events.ndjson"]);
    assert_eq!((&summary["rows_out"], &summary["rows_rejected"]), (&json!(1), &json!(0)));
    for plugin in summary["plugins"].as_array().unwrap() {
        assert_eq!(plugin["faults"], 0, "{plugin:#}");
    }
    let sums = "SELECT items_count, items_price FROM clickstream_analytics.shop_events_raw";
    assert_eq!(scratch.query(sums), [json!({"items_count": 9000, "items_price": 179_100})]);
}

/// The pipeline from the subscription to BigQuery, or with its `[sink]` left out to the warehouse.
fn from_pubsub(cloud: &Cloud, to_bigquery: bool) -> String {
    let file = root().join("host/pipelines/shop_events_gcp.toml");
    if to_bigquery {
        return file.to_string_lossy().into_owned();
    }
    let text = fs::read_to_string(file).expect("the pipeline");
    let service = "kind = \"bigquery\"\nproject = \"${GOOGLE_CLOUD_PROJECT}\"\n";
    assert!(text.contains(service));
    let text = text.replace(service, "");
    let text = text.replace("../../", &format!("{}/", root().display()));
    let file = cloud.scratch.write("to_warehouse.toml", text);
    file.to_string_lossy().into_owned()
}

/// Publishes messages, some of them bad, and runs the stream until no more come. Returns what is wanted of the
/// messages, and the summary.
fn stream(cloud: &Cloud, pipeline: &str) -> (Json, Json) {
    let generate = ["generate", "events", "--count", "1500", "--bad", "5%", "--seed", "12"];
    // Or it would begin with the moment, and the file with another.
    let start = ["--start", "2026-06-01T00:00:00Z"];
    let generate = [&generate[..], &start].concat();
    let file = cloud.scratch.path("events.ndjson");
    let output = file.to_string_lossy().into_owned();
    cloud.scratch.done(&[&generate[..], &["--output", &output]].concat());
    let published = cloud.command(&[&generate[..], &["--publish", &cloud.topic]].concat()).output();
    let published = published.expect("the binary starts");
    assert!(published.status.success(), "{}", String::from_utf8_lossy(&published.stderr));
    let subscription = format!("source.subscription={}", cloud.subscription);
    let spool = format!("dead_letter.spool={}", cloud.scratch.path("spool").display());
    let run = ["run", "--json", pipeline, "--stop-when-idle", "3s", "--set", &subscription];
    let output =
        cloud.command(&[&run[..], &["--set", &spool, "--set", "source.streams=1"]].concat());
    let output = { output }.output().expect("the binary starts");
    (wanted(&file), summary(&output))
}

#[test]
fn messages_of_several_events_reach_the_warehouse_exactly() {
    let test = "messages_of_several_events_reach_the_warehouse_exactly";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    let (wanted, summary) = stream(&cloud, &from_pubsub(&cloud, false));
    assert_eq!(summary["rows_in"], 1500, "{summary:#}");
    let rows = cloud.scratch.query(&format!(
        "SELECT session_id, COALESCE(record_index, 0) AS place, event_id, items_count, pieces, items_price, items_revenue FROM {TABLE}"
    ));
    let names = [
        "session_id",
        "place",
        "event_id",
        "items_count",
        "pieces",
        "items_price",
        "items_revenue",
    ];
    assert_eq!(columns(&rows, &names), places(&wanted["rows"], &[2, 1, 3, 4, 5, 6, 7]));
    assert_eq!(summary["rows_out"], rows.len(), "each once");
    assert_eq!(summary["rows_rejected"], length(&wanted["letters"]));
    // A message that came twice would be there twice, and once in the view.
    let viewed = cloud.scratch.number("SELECT COUNT(*) FROM clickstream_analytics.shop_events");
    assert_eq!(viewed, rows.len() as u64);
}

/// The emulator keeps its tables in DuckDB, so this holds for records, lists and NUMERIC as that has them; what
/// the service makes of JSON and of policy tags on nested fields it does not show.
#[test]
fn messages_of_several_events_reach_bigquery_exactly() {
    let test = "messages_of_several_events_reach_bigquery_exactly";
    let Some(cloud) = Cloud::start(test, &json!({})) else { return };
    let (wanted, summary) = stream(&cloud, &from_pubsub(&cloud, true));
    assert_eq!(summary["rows_in"], 1500, "{summary:#}");
    let rows = cloud.bigquery.query(&format!(
        "SELECT session_id, COALESCE(record_index, 0), event_id, items_count, pieces, items_price, items_revenue FROM {TABLE}"
    ));
    let found = set(rows.iter().map(|row| row.iter().map(|value| json!(value)).collect()));
    assert_eq!(found, places(&wanted["rows"], &[2, 1, 3, 4, 5, 6, 7]));
    assert_eq!(summary["rows_out"], rows.len(), "each once");
    assert_eq!(summary["rows_rejected"], length(&wanted["letters"]));
    let items = cloud.bigquery.query(&format!(
        "SELECT COUNT(*), SUM(item.quantity), SUM(item.price), SUM(item.revenue) FROM {TABLE} AS events, UNNEST(events.items) AS item"
    ));
    let items: Vec<String> = items[0].iter().map(|value| shown(&json!(value))).collect();
    let counted: Vec<String> =
        wanted["items"].as_array().expect("a list").iter().map(shown).collect();
    assert_eq!(items, counted);
}
