//! Replays of records that are several rows, or are in several tables: whole after any kill, and each row once.

use std::process::Stdio;
use std::time::{Duration, Instant};

use clickmill_config::{Place, TableName};
use clickmill_core::Micros;
use clickmill_core::schema::TableSchema;
use clickmill_sink::{Key, Kinds, Record, Tables, Wanted};
use clickmill_warehouse::Warehouse;
use serde_json::{Value as Json, json};

use crate::routes;
use crate::support::{Scratch, head, parse_stage, plugins, root};

#[test]
fn killed_at_any_moment_a_replay_into_several_tables_is_whole_after_the_next() {
    let scratch = Scratch::new();
    let pipeline = routes::pipeline(&scratch, "");
    let kinds = ["view", "purchase", "error", "refused"];
    let record = |n: usize| format!("{{\"kind\":\"{}\",\"amount\":{n}}}\n", kinds[n % 4]);
    scratch.write("input.ndjson", (0..30_000).map(record).collect::<String>());
    let content = || {
        ["events", "errors", "purchases"].map(|table| {
            scratch.query(&format!(
                "SELECT COUNT(*) AS n, COUNT(DISTINCT source_line) AS lines, SUM(source_line) AS sum FROM shop.{table}"
            ))
        })
    };
    let loaded = scratch.summary(&pipeline, &[]);
    assert_eq!(loaded["rows_out"], 30_000);
    let wanted = content();

    // The same file where every record lacks a column that is required: letters, and no rows.
    let text = std::fs::read_to_string(&pipeline).unwrap();
    let amount = r#"{ name = "amount", type = "int64" }"#;
    let strict = text.replace(
        amount,
        &format!("{amount}, {{ name = \"gone\", type = \"text\", required = true }}"),
    );
    assert_ne!(strict, text);
    let strict = scratch.write("strict.toml", strict);
    let replay = ["dead-letter", "replay", &*pipeline.to_string_lossy(), "--json"];
    let refuse_all = || {
        std::fs::remove_dir_all(scratch.path("warehouse")).unwrap();
        assert_eq!(scratch.summary(&strict, &[])["rows_rejected"], 30_000);
    };
    refuse_all();
    let whole = Instant::now();
    scratch.done(&replay);
    let whole = whole.elapsed();
    assert_eq!(content(), wanted);

    let mut killed = 0;
    for round in 0..8_u32 {
        refuse_all();
        let mut command = scratch.command(&replay);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * (round + 4) / 12 + Duration::from_millis(u64::from(round % 3)));
        child.kill().unwrap();
        killed += u32::from(!child.wait().unwrap().success());
        let done: Json = serde_json::from_str(&scratch.done(&replay)).unwrap();
        assert!(done["rejected"].as_array().is_none_or(Vec::is_empty), "{done}");
        assert_eq!(content(), wanted, "after kill {round}");
        // Nothing is left to replay, and what the killed run had staged is gone.
        let again: Json = serde_json::from_str(&scratch.done(&replay)).unwrap();
        assert_eq!(again["letters"], 0, "{again}");
        assert!(!scratch.has_staged(), "after kill {round}");
    }
    assert!(killed >= 3, "only {killed} of 8 replays were killed before they ended");
}

/// Messages of events with an amount each, a row each; those below zero are refused by `validate`.
fn events(scratch: &Scratch, messages: &[&[i64]]) -> String {
    plugins();
    let message = |amounts: &&[i64]| {
        let events: Vec<String> =
            amounts.iter().map(|amount| format!("{{\"amount\":{amount}}}")).collect();
        format!("{{\"events\":[{}]}}\n", events.join(","))
    };
    scratch.write("input.ndjson", messages.iter().map(message).collect::<String>());
    scratch.write(
        "events.json",
        r#"[{"name":"amount","type":"INTEGER"},{"name":"source","type":"STRING","mode":"REQUIRED"},
            {"name":"source_line","type":"INTEGER"},{"name":"record_index","type":"INTEGER"},
            {"name":"plugin_set","type":"STRING","mode":"REQUIRED"}]"#,
    );
    let parse = parse_stage("json", "payload", r#"{ name = "amount", type = "int64" }"#);
    let parse = parse.replace("format = \"json\"", "format = \"json\", explode = \"events\"");
    assert!(parse.contains("explode"), "{parse}");
    let source = r#"kind = "storage", uri = "input.ndjson""#;
    let head = head("shop", source, "shop.events", "events.json");
    let validate = format!(
        r#"
[[plugin]]
name = "validate"
component = "{}"
reads = ["amount"]

[plugin.config]
rules = [{{ range = {{ column = "amount", min = 0 }}, code = "below_zero" }}]
"#,
        root().join("plugins/validate").display(),
    );
    scratch.write("pipeline.toml", head + &parse + &validate).to_string_lossy().into_owned()
}

const LAX: &str = "plugin.validate.config.rules=[{range={column=\"amount\",min=-100}}]";

#[test]
fn a_row_that_is_refused_beside_the_one_that_is_replayed_gets_no_second_letter() {
    let scratch = Scratch::new();
    let pipeline = events(&scratch, &[&[-1, 5, -2], &[-3, -4, -500]]);
    let loaded = scratch.summary(pipeline.as_ref(), &[]);
    assert_eq!((&loaded["rows_out"], &loaded["rows_rejected"]), (&1.into(), &5.into()));
    let letters = || scratch.number("SELECT COUNT(*) FROM shop.dead_letter");
    let amounts = || {
        let rows = scratch.query("SELECT amount FROM shop.events ORDER BY amount");
        rows.iter().filter_map(|row| row["amount"].as_i64()).collect::<Vec<_>>()
    };
    // Each of these looks at one letter; the other rows of its record come along.
    for place in ["record_index = 2", "record_index = 1", "record_index = 0"] {
        let replay = ["dead-letter", "replay", &pipeline, "--where", place, "--set", LAX];
        for _ in 0..2 {
            scratch.done(&replay);
            assert_eq!(letters(), 5, "{place}");
        }
    }
    assert_eq!(amounts(), [-4, -3, -2, -1, 5]);
    let open = "SELECT COUNT(*) FROM shop.dead_letters WHERE resolved_at IS NULL";
    assert_eq!(scratch.number(open), 1);
}

#[test]
fn a_sealed_letter_that_has_the_bytes_of_another_is_entered_as_opened_too() {
    let scratch = Scratch::new();
    let pipeline = events(&scratch, &[&[-1, 5, -2]]);
    let seal = "dead_letter.seal={key_env=\"SEAL\",key_id=\"s1\"}";
    let sealed = |arguments: &[&str]| {
        let mut command = scratch.command(&[arguments, &["--set", seal]].concat());
        let output = command.env("SEAL", "0123456789abcdef".repeat(4)).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    sealed(&["run", &pipeline]);
    let ids = scratch.query("SELECT letter_id FROM shop.dead_letter ORDER BY record_index");
    let ids: Vec<&str> = ids.iter().filter_map(|row| row["letter_id"].as_str()).collect();
    assert_eq!(ids.len(), 2);
    let only = format!("letter_id = '{}'", ids[1]);
    sealed(&["dead-letter", "replay", &pipeline, "--where", &only, "--set", LAX]);
    assert_eq!(scratch.number("SELECT COUNT(*) FROM shop.events WHERE amount = -2"), 1);
    let entries = scratch.done(&["audit", "list", "--limit", "100", "--json"]);
    let opened = entries.lines().find(|entry| entry.contains("\"unseal\"")).expect("an entry");
    for id in ids {
        assert!(opened.contains(id), "{id} in {opened}");
    }
}

/// A table of these rows.
async fn table(warehouse: &Warehouse, name: &str, rows: &[Json]) -> (TableName, TableSchema) {
    let columns = r#"[{"name":"letter_id","type":"STRING"},{"name":"pipeline","type":"STRING"},
        {"name":"message_id","type":"STRING"},{"name":"source","type":"STRING"},
        {"name":"source_line","type":"INTEGER"},{"name":"record_index","type":"INTEGER"}]"#;
    let schema = TableSchema::parse(columns, "columns.json".as_ref()).unwrap();
    let table = TableName { dataset: "shop".to_owned(), table: name.to_owned() };
    let mut reader = arrow::json::ReaderBuilder::new(schema.arrow()).build_decoder().unwrap();
    reader.serialize(rows).unwrap();
    let rows = reader.flush().unwrap().unwrap();
    warehouse.ensure_table(&table, &schema).await.unwrap();
    warehouse.enter(&table, "rows", &rows).await.unwrap();
    (table, schema)
}

#[test]
fn letters_ask_for_their_own_rows_and_for_no_others_of_their_records() {
    let scratch = Scratch::new();
    // A message and a line of many rows, of which a tenth has letters.
    let records = || {
        let message = (0..100).map(|place| json!({ "message_id": "m", "record_index": place }));
        message.chain(
            (0..100).map(|place| json!({ "source": "f", "source_line": 7, "record_index": place })),
        )
    };
    let letters = records().enumerate().filter(|(at, _)| at % 10 == 3).map(|(at, mut letter)| {
        (letter["letter_id"], letter["pipeline"]) = (format!("{at:03}").into(), "p".into());
        letter
    });
    let letters: Vec<Json> = letters.collect();
    let rows: Vec<Json> = records().collect();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let warehouse = Warehouse::open(&scratch.warehouse()).unwrap();
        let (rows, schema) = table(&warehouse, "events", &rows).await;
        let (letters, letter_schema) = table(&warehouse, "dead_letter", &letters).await;
        let wanted = Wanted {
            table: &letters,
            schema: &letter_schema,
            attempts: letters.beside("dead_letter_attempts"),
            pipeline: "p",
            into: &rows,
            condition: "TRUE",
            after: "",
            limit: 1000,
        };
        let tables = Tables::open(&Place::Warehouse, &scratch.warehouse()).await.unwrap();
        for kinds in [(true, false), (false, true), (true, true)] {
            let (messages, lines) = kinds;
            let kinds = Kinds { messages, lines };
            let found = tables.rows_of_letters(&rows, &schema, &wanted, kinds).await;
            let (asked, there) = found.unwrap();
            assert_eq!(asked.len(), 20);
            let message = Record::Message("m".to_owned(), Micros::default());
            for (is_asked, record) in
                [(messages, message), (lines, Record::Line("f".to_owned(), 7))]
            {
                let has = |place: &u64| there.has(&Key { record: record.clone(), place: *place });
                let found: Vec<u64> = (0..100).filter(has).collect();
                let own: Vec<u64> = (3..100).step_by(10).filter(|_| is_asked).collect();
                assert_eq!(found, own, "{record:?}");
            }
        }
    });
}
