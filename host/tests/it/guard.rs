//! No sensitive value leaves: by no column, no rejection, no log line, whatever the plugins do.

use std::path::{Path, PathBuf};

use serde_json::{Value as Json, json};

use crate::support::{Scratch, head, hostile_stage, parse_stage, plugins, root, summary};

const TABLE: &str = "test.events";
const LETTERS: &str = "test.dead_letter";
/// What may be said of these events nowhere, and cannot be a part of a digest.
const SENSITIVE: [&str; 4] = ["203.0.113.9", "grace", "u-4711", "491512345678"];

/// A pipeline of a table whose columns `ip`, `user_id` and `phone` are sensitive and masked.
/// `first` and `last` are stages before the others and behind them, `more` is for the whole file.
fn pipeline(scratch: &Scratch, first: &str, last: &str, more: &str) -> PathBuf {
    plugins();
    let tag = json!({"names": ["projects/p/locations/l/taxonomies/t/policyTags/x"]});
    let columns = json!([
        {"name": "id", "type": "STRING", "mode": "REQUIRED"},
        {"name": "ip", "type": "STRING", "policyTags": tag},
        {"name": "user_id", "type": "STRING", "policyTags": tag},
        {"name": "phone", "type": "STRING", "policyTags": tag},
        {"name": "note", "type": "STRING"},
        {"name": "unknown_fields", "type": "STRING"},
        {"name": "out", "type": "STRING"},
    ]);
    scratch.write("events.json", columns.to_string());
    let source = r#"kind = "storage", uri = "in.ndjson", format = "ndjson""#;
    let head = head("guarded", source, TABLE, "events.json");
    let parsed = r#"
        { name = "id", type = "text", required = true },
        { name = "ip", type = "text" },
        { name = "user_id", type = "text" },
        { name = "phone", type = "int64" },
        { name = "note", type = "text" },
    "#;
    let parse = parse_stage("json", "payload", parsed);
    let text = format!(
        r#"
        {head}
        {more}
        {first}
        {parse}
        [[plugin]]
        name = "mask"
        component = "{mask}"
        reads = ["ip", "user_id", "phone"]
        writes = ["ip", "user_id", "phone"]
        secrets = ["key"]
        [plugin.config]
        key_id = "k1"
        columns = {{ ip = "ip", user_id = "pseudonym", phone = "pseudonym" }}
        {last}
        "#,
        mask = root().join("plugins/mask").display()
    );
    scratch.write("events.toml", text)
}

/// Runs events through a pipeline: what was printed besides the summary.
fn run(scratch: &Scratch, pipeline: &Path, events: &[Json]) -> String {
    let lines: Vec<String> = events.iter().map(Json::to_string).collect();
    scratch.write("in.ndjson", lines.join("\n"));
    let output = scratch.load(pipeline, &[]).output().unwrap();
    assert_eq!(summary(&output)["rows_in"], events.len());
    String::from_utf8(output.stderr).unwrap()
}

/// Messages of the letters, in the order of their lines.
fn messages(scratch: &Scratch) -> Vec<String> {
    let sql = format!("SELECT errorMessage FROM {LETTERS} ORDER BY source_line");
    let letters = scratch.query(&sql);
    letters.iter().map(|letter| letter["errorMessage"].as_str().unwrap().to_owned()).collect()
}

#[track_caller]
fn says_nothing(text: &str) {
    for value in SENSITIVE {
        assert!(!text.to_lowercase().contains(value), "`{value}` is in: {text}");
    }
}

/// An event with all sensitive values.
fn event(id: &str, note: &str) -> Json {
    json!({
        "id": id, "ip": "203.0.113.9", "user_id": "grace@example.com", "phone": 491_512_345_678_u64,
        "note": note,
    })
}

#[test]
fn a_sensitive_value_is_stopped_by_whatever_column_it_leaves() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "", "", "");
    let with = |id: &str, key: &str, value: Json| {
        let mut event = event(id, "");
        event[key] = value;
        event
    };
    let holds = |column: &str, of: &str| {
        Some(format!("`{column}` holds the value of `{of}`, which is sensitive, as it came in"))
    };
    let cases = [
        (event("a", "blocked 203.0.113.9"), holds("note", "ip")),
        (event("b", "GRACE@EXAMPLE.COM"), holds("note", "user_id")),
        (event("c", "/login?mail=grace%40example.com"), holds("note", "user_id")),
        (event("d", "call 491512345678"), holds("note", "phone")),
        (with("e", "client", json!({"ip": "203.0.113.9"})), holds("unknown_fields", "ip")),
        (with("f", "client", json!([" grace@example.com "])), holds("unknown_fields", "user_id")),
        // Nothing of these is anybody's.
        (event("g", "served by 203.0.113.90"), None),
        (with("h", "user_id", json!("purchase")), None),
        (with("i", "ip", json!("118.0.0.0")), None),
        (json!({"id": "j", "note": "Chrome/118.0.0.0 purchase"}), None),
        (event("k", ""), None),
    ];
    let mut events: Vec<Json> = cases.iter().map(|(event, _)| event.clone()).collect();
    events[7]["note"] = json!("purchase");
    events[8]["note"] = json!("Chrome/118.0.0.0");
    says_nothing(&run(&scratch, &pipeline, &events));
    let wanted: Vec<String> = cases.iter().filter_map(|(_, told)| told.clone()).collect();
    assert_eq!(messages(&scratch), wanted);
    let rows = scratch.query(&format!("SELECT id FROM {TABLE} ORDER BY id"));
    assert_eq!(rows, ["g", "h", "i", "j", "k"].map(|id| json!({ "id": id })));
}

#[test]
fn a_column_may_hold_what_came_in_where_the_pipeline_file_says_so() {
    let scratch = Scratch::new();
    let allow = r"guard = { allow = { note = '^blocked \S+$' } }";
    let pipeline = pipeline(&scratch, "", "", allow);
    run(&scratch, &pipeline, &[event("a", "blocked 203.0.113.9"), event("b", "at 203.0.113.9")]);
    assert_eq!(
        messages(&scratch),
        ["`note` holds the value of `ip`, which is sensitive, as it came in"]
    );
    assert_eq!(scratch.query(&format!("SELECT id FROM {TABLE}")), [json!({"id": "a"})]);
}

#[test]
fn a_plugin_that_copies_what_it_reads_into_another_column_is_stopped() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "", &hostile_stage(""), "");
    // Words that anything may say are not stopped.
    let plain = json!({"id": "b", "user_id": "anonymous", "ip": "127.0.0.1"});
    run(&scratch, &pipeline, &[event("a", ""), plain]);
    let told = messages(&scratch);
    assert_eq!(told, ["`out` holds the value of `ip`, which is sensitive, as it came in"]);
    assert_eq!(scratch.query(&format!("SELECT id FROM {TABLE}")), [json!({"id": "b"})]);
}

#[test]
fn a_rejection_and_a_line_say_no_value_before_the_columns_are_there_and_after() {
    for misdeed in ["tell", "tell_and_fail"] {
        for is_first in [true, false] {
            let scratch = Scratch::new();
            let stage = hostile_stage(misdeed);
            let pipeline = if is_first {
                pipeline(&scratch, &stage, "", "")
            } else {
                pipeline(&scratch, "", &stage, "")
            };
            let told = run(&scratch, &pipeline, &[event("a", "guilty"), json!({"id": "b"})]);
            says_nothing(&told);
            let told = messages(&scratch);
            let [told] = &told[..] else { panic!("{misdeed}: {told:?}") };
            says_nothing(told);
            assert!(told.contains("seen"), "{told}");
            let column = scratch.query(&format!("SELECT * FROM {LETTERS}")).remove(0);
            assert_eq!(column.get("column").unwrap_or(&Json::Null), &Json::Null);
            assert_eq!(scratch.query(&format!("SELECT id FROM {TABLE}")), [json!({"id": "b"})]);
        }
    }
}

#[test]
fn what_parse_cannot_read_is_not_quoted() {
    let scratch = Scratch::new();
    let pipeline = pipeline(&scratch, "", "", "");
    let mut event = event("a", "");
    event["phone"] = json!("grace@example.com");
    says_nothing(&run(&scratch, &pipeline, &[event]));
    let wanted = "`phone` is `[17 characters]`, wanted an integer of 64 bits";
    assert_eq!(messages(&scratch), [wanted]);
}

/// A made-up click.
fn click(scratch: &Scratch) -> Json {
    let record = scratch.done(&["generate", "clicks", "--rows", "1"]);
    serde_json::from_str(record.trim()).unwrap()
}

/// What the record says too, such as "like" and ":00:00", cannot be told from what is quoted of it.
#[test]
fn what_parse_wanted_stays_readable_beside_what_a_browser_says() {
    plugins();
    let scratch = Scratch::new();
    let mut event = click(&scratch);
    event["user_agent"] = json!("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit (KHTML, like Gecko)");
    event["event_timestamp"] = json!("2008-04-01T12:00:00 lunch");
    scratch.write("in.ndjson", event.to_string());
    let pipeline = root().join("host/pipelines/clicks.toml");
    let set = ["source.uri=in.ndjson", "dead_letter.max_rejected_share=1"];
    assert_eq!(scratch.summary(&pipeline, &set)["rows_rejected"], 1);
    let sql = "SELECT errorMessage FROM clickstream_analytics.dead_letter";
    let wanted = "`event_timestamp` is `[25 characters]`, wanted a timestamp (YYYY-MM-DDThh:mm:ssZ), in years 1 to 9999";
    assert_eq!(scratch.query(sql), [json!({"errorMessage": wanted})]);
}

/// Whoever sends them, and however many: they are cleaned, and no row of another is given up.
#[test]
fn texts_that_are_dear_to_clean_take_no_rows_along() {
    plugins();
    let scratch = Scratch::new();
    let mut event = click(&scratch);
    let plain = event.to_string();
    let dear = ["+49", "value=", "name=session value=", "val:épassword=-<", "value=password=]&lt;"];
    let mut lines = Vec::new();
    for text in dear {
        event["error_message"] = json!(text.repeat(20_000 / text.len()));
        lines.extend(std::iter::repeat_n(event.to_string(), 40));
        lines.extend(std::iter::repeat_n(plain.clone(), 20));
    }
    scratch.write("in.ndjson", lines.join("\n"));
    let pipeline = root().join("host/pipelines/clicks.toml");
    let ran = scratch.summary(&pipeline, &["source.uri=in.ndjson"]);
    assert_eq!(ran["rows_out"], lines.len(), "{ran:#}");
    let sql = "SELECT COUNT(*) AS cleaned FROM clickstream_analytics.clicks_raw WHERE error_message LIKE '%[phone]%'";
    assert_eq!(scratch.query(sql), [json!({"cleaned": 40})]);
}
