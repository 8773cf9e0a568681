use std::path::Path;

use arrow::array::{ArrayRef, StringArray};
use arrow::datatypes::{DataType, Field};
use bytes::Bytes;

use super::rows::HIDDEN;
use super::*;
use clickmill_config::{self as config, Format};
use clickmill_core::Micros;
use clickmill_core::batch::{Origins, Positions};
use clickmill_core::schema::TableSchema;
use clickmill_guard::Guard;

#[tokio::test]
async fn a_row_that_the_guard_will_stop_is_shown_after_no_stage() {
    let schema = r#"[
        {"name": "ip", "type": "STRING", "policyTags": {"names": ["t"]}},
        {"name": "note", "type": "STRING"}
    ]"#;
    let schema = TableSchema::parse(schema, Path::new("t.json")).expect("a schema");
    let format = Format::Ndjson { max_record_bytes: 1024 };
    let guard = Guard::of([&schema], &config::Guard::default(), &format);
    let stages = vec![("parse", vec!["ip", "note"]), ("mask", vec!["ip"])];
    let writes = StageWrites { stages, open: ["note"].into(), guard: &guard };
    let texts = |values: [&str; 2]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let raw = texts(["203.0.113.9", "203.0.113.7"]);
    let before = [RawColumn::new("ip", raw.clone())];
    for (stage, ips, before) in
        [("parse", raw, &before[..0]), ("mask", texts(["203.0.113.0"; 2]), &before[..])]
    {
        // What `parse` has made `ip` of is no column of the table.
        let columns = [
            ("Client IP", texts(["203.0.113.9", "203.0.113.7"])),
            ("ip", ips),
            ("note", texts(["from 203.0.113.9", "none"])),
        ];
        let columns = RecordBatch::try_from_iter(columns).expect("a batch");
        let origins = Origins {
            source: "t@1".into(),
            header: None,
            positions: Positions::Lines(vec![1, 2]),
            places: None,
            block: Bytes::new(),
            ranges: vec![0..0; 2],
        };
        let batch = Batch { columns, origins, ingest_time: Micros::default() };
        for (reveal, first) in [(vec![], "none"), (vec!["ip".to_owned()], "from 203.0.113.9")] {
            let (taps, stage_of_tap) = (Taps::default(), Some(stage.to_owned()));
            let tap = Tap { stage: stage_of_tap, rejected: false, condition: None, reveal };
            let mut shown = taps.open(tap).expect("room for a tap");
            taps.pass(&writes, stage, &batch, before);
            let line = shown.next().await.expect("a row");
            let row: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            assert_eq!(row["note"], first, "{line}");
            assert_eq!(row["Client IP"], HIDDEN, "{line}");
        }
    }
}

#[tokio::test]
async fn a_record_with_a_sensitive_field_is_hidden_whole_and_another_is_shown() {
    use arrow::array::StructArray;

    let schema = r#"[
        {"name": "visitor", "type": "RECORD", "fields": [
            {"name": "country", "type": "STRING"},
            {"name": "ip", "type": "STRING", "policyTags": {"names": ["t"]}}
        ]},
        {"name": "page", "type": "RECORD", "fields": [{"name": "path", "type": "STRING"}]},
        {"name": "later", "type": "RECORD", "fields": [{"name": "path", "type": "STRING"}]}
    ]"#;
    let schema = TableSchema::parse(schema, Path::new("t.json")).expect("a schema");
    let format = Format::Ndjson { max_record_bytes: 1024 };
    let guard = Guard::of([&schema], &config::Guard::default(), &format);
    let open = schema.columns.iter().filter(|column| !column.is_sensitive());
    let open = open.map(|column| column.name.as_str()).collect();
    let stages = vec![("parse", vec!["visitor", "page", "later"]), ("mask", vec!["later"])];
    let writes = StageWrites { stages, open, guard: &guard };
    let record = |fields: &[(&str, &str)]| -> ArrayRef {
        let field = |(name, text): &(&str, &str)| {
            let values: ArrayRef = Arc::new(StringArray::from(vec![*text]));
            (Arc::new(Field::new(*name, DataType::Utf8, true)), values)
        };
        Arc::new(StructArray::from(fields.iter().map(field).collect::<Vec<_>>()))
    };
    let columns = RecordBatch::try_from_iter([
        ("visitor", record(&[("country", "PL"), ("ip", "203.0.113.9")])),
        ("page", record(&[("path", "/shoes")])),
        ("later", record(&[("path", "/reset/secret")])),
    ]);
    let origins = Origins {
        source: "t@1".into(),
        header: None,
        positions: Positions::Lines(vec![1]),
        places: None,
        block: Bytes::new(),
        ranges: vec![0..0; 1],
    };
    let columns = columns.expect("a batch");
    let batch = Batch { columns, origins, ingest_time: Micros::default() };
    for (reveal, visitor) in [
        (vec![], serde_json::json!(HIDDEN)),
        (vec!["visitor".to_owned()], {
            serde_json::json!({ "country": "PL", "ip": "203.0.113.9" })
        }),
    ] {
        let (taps, stage) = (Taps::default(), Some("parse".to_owned()));
        let tap = Tap { stage, rejected: false, condition: None, reveal };
        let mut shown = taps.open(tap).expect("room for a tap");
        taps.pass(&writes, "parse", &batch, &[]);
        let line = shown.next().await.expect("a row");
        let row: serde_json::Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(row["visitor"], visitor, "{line}");
        assert_eq!(row["page"]["path"], "/shoes", "{line}");
        assert_eq!(row["later"], HIDDEN, "a later stage writes it: {line}");
    }
}

/// Lists of so many records of these columns.
fn lists(columns: &[(&str, ArrayRef)], lengths: &[usize]) -> ArrayRef {
    let fields = columns.iter().map(|(name, column)| {
        (Arc::new(Field::new(*name, column.data_type().clone(), true)), column.clone())
    });
    let records: ArrayRef = Arc::new(arrow::array::StructArray::from(fields.collect::<Vec<_>>()));
    let item = Arc::new(Field::new("item", records.data_type().clone(), false));
    let offsets = arrow::buffer::OffsetBuffer::from_lengths(lengths.iter().copied());
    Arc::new(arrow::array::ListArray::new(item, offsets, records, None))
}

#[tokio::test]
async fn what_is_sensitive_two_lists_deep_hides_its_column_and_rows_that_hold_its_values() {
    let schema = r#"[
        {"name": "note", "type": "STRING"},
        {"name": "orders", "type": "RECORD", "mode": "REPEATED", "fields": [
            {"name": "items", "type": "RECORD", "mode": "REPEATED", "fields": [
                {"name": "sku", "type": "STRING"},
                {"name": "email", "type": "STRING", "policyTags": {"names": ["t"]}}
            ]}
        ]}
    ]"#;
    let schema = TableSchema::parse(schema, Path::new("t.json")).expect("a schema");
    let format = Format::Ndjson { max_record_bytes: 1024 };
    let guard = Guard::of([&schema], &config::Guard::default(), &format);
    let open = schema.columns.iter().filter(|column| !column.is_sensitive());
    let open = open.map(|column| column.name.as_str()).collect();
    let stages = vec![("parse", vec!["note", "orders"]), ("mask", vec!["orders"])];
    let writes = StageWrites { stages, open, guard: &guard };
    let texts = |values: &[&str]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    // The first of two rows has two orders, the second of which has two items.
    let orders = |emails: [&str; 4]| {
        let items = [("sku", texts(&["a", "b", "c", "d"])), ("email", texts(&emails))];
        lists(&[("items", lists(&items, &[1, 2, 1]))], &[2, 1])
    };
    let came = orders(["ada@example.com", "bob@example.com", "cyd@example.com", "dee@example.com"]);
    let origins = Origins {
        source: "t@1".into(),
        header: None,
        positions: Positions::Lines(vec![1, 2]),
        places: None,
        block: Bytes::new(),
        ranges: vec![0..0; 2],
    };
    let raw = [RawColumn::new("orders", came.clone())];
    for (stage, orders, raw) in
        [("parse", came, &raw[..0]), ("mask", orders(["k1:5f"; 4]), &raw[..])]
    {
        let notes = texts(&["for cyd@example.com", "for cyd@example.com too"]);
        let columns = RecordBatch::try_from_iter([("note", notes), ("orders", orders)]);
        let columns = columns.expect("a batch");
        let origins = origins.clone();
        let batch = Batch { columns, origins, ingest_time: Micros::default() };
        for reveal in [vec![], vec!["orders".to_owned()]] {
            let (taps, is_revealed) = (Taps::default(), !reveal.is_empty());
            let stage_of_tap = Some(stage.to_owned());
            let tap = Tap { stage: stage_of_tap, rejected: false, condition: None, reveal };
            let mut shown = taps.open(tap).expect("room for a tap");
            taps.pass(&writes, stage, &batch, raw);
            let line = shown.next().await.expect("a row");
            let row: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            if is_revealed {
                assert_eq!(row["note"], "for cyd@example.com", "{line}");
                assert_eq!(row["orders"][1]["items"][1]["sku"], "c", "{line}");
                assert!(row["orders"][1]["items"][1]["email"].is_string(), "{line}");
            } else {
                assert_eq!(row["note"], "for cyd@example.com too", "of another row: {line}");
                assert_eq!(row["orders"], HIDDEN, "{line}");
            }
        }
    }
}

#[tokio::test]
async fn rows_are_written_as_a_query_prints_them() {
    use arrow::array::{BinaryArray, Decimal128Array};
    use clickmill_core::schema::json_metadata;

    let schema = TableSchema::parse("[]", Path::new("t.json")).expect("a schema");
    let format = Format::Ndjson { max_record_bytes: 1024 };
    let guard = Guard::of([&schema], &config::Guard::default(), &format);
    let stages = vec![("parse", vec!["items", "raw", "options"])];
    let writes = StageWrites { stages, open: ["items", "raw", "options"].into(), guard: &guard };
    let price = Decimal128Array::from(vec![1_250_000_000, 99_999_999_999_999_999_999_000_000_001]);
    let price = price.with_precision_and_scale(38, 9).expect("a NUMERIC");
    let raw: ArrayRef = Arc::new(BinaryArray::from_iter_values([[0, 255]]));
    let options: ArrayRef = Arc::new(StringArray::from(vec![r#"{"gift": true}"#]));
    let items = lists(&[("price", Arc::new(price))], &[2]);
    let field = |name: &str, of: &ArrayRef| Field::new(name, of.data_type().clone(), true);
    let fields = vec![
        field("items", &items),
        field("raw", &raw),
        field("options", &options).with_metadata(json_metadata()),
    ];
    let schema = Arc::new(arrow::datatypes::Schema::new(fields));
    let columns = RecordBatch::try_new(schema, vec![items, raw, options]).expect("a batch");
    let origins = Origins {
        source: "t@1".into(),
        header: None,
        positions: Positions::Lines(vec![1]),
        places: None,
        block: Bytes::new(),
        ranges: vec![0..0; 1],
    };
    let batch = Batch { columns, origins, ingest_time: Micros::default() };
    let taps = Taps::default();
    let tap = Tap { stage: None, rejected: false, condition: None, reveal: Vec::new() };
    let mut shown = taps.open(tap).expect("room for a tap");
    taps.pass(&writes, "parse", &batch, &[]);
    let wanted = r#"{"items":[{"price":1.25},{"price":"99999999999999999999.000000001"}],"raw":"AP8=","options":{"gift":true}}"#;
    assert_eq!(shown.next().await.as_deref(), Some(format!("{wanted}\n").as_str()));
}

#[tokio::test]
async fn a_tap_on_a_stage_that_is_gone_ends_and_says_so() {
    let taps = Taps::default();
    let on = |stage: Option<&str>, rejected| {
        let stage = stage.map(str::to_owned);
        let tap = Tap { stage, rejected, condition: None, reveal: Vec::new() };
        taps.open(tap).expect("room for a tap")
    };
    let mut gone = on(Some("seen"), false);
    let _stay = [on(Some("mask"), false), on(None, false), on(Some("decode"), true)];
    taps.end_gone(&["parse", "mask"]);
    let line = gone.next().await.expect("a word");
    let wanted = "stage `seen` is gone, the stages are now `parse`, `mask`";
    assert_eq!(line, format!("{}\n", serde_json::json!({ "error": wanted })));
    assert!(gone.next().await.is_none());
    assert_eq!(lock(&taps.open).len(), 3);
    assert!(taps.any());
}

#[tokio::test]
async fn a_condition_that_is_too_long_is_not_read() {
    let long = "x".repeat(MAX_CONDITION_BYTES + 1);
    let error = Taps::default().check(&long).await.expect_err("it is refused").to_string();
    assert!(error.contains("wanted at most 8192") && error.len() < 200, "{error}");
}

#[tokio::test]
async fn a_reader_that_is_behind_holds_few_bytes_and_is_told_what_it_missed() {
    let (to, lines) = channel(MAX_BEHIND);
    let missed = Arc::<AtomicU64>::default();
    let writer = Writer {
        condition: None,
        engine: Engine::default(),
        to,
        room: Arc::new(Semaphore::new(MAX_BYTES_BEHIND)),
        missed: missed.clone(),
        why: Arc::default(),
    };
    let mut taken = TapStream { lines, missed };
    let quarter = || "x".repeat(MAX_BYTES_BEHIND / 4);
    assert!((0..6).all(|_| writer.send_line(quarter())));
    assert_eq!(taken.missed.swap(0, Ordering::Relaxed), 2);
    // What is taken makes room.
    assert_eq!(taken.next().await.map(|line| line.len()), Some(MAX_BYTES_BEHIND / 4));
    assert!(writer.send_line(quarter()) && writer.send_line(String::from("\n")));
    assert_eq!(taken.missed.swap(0, Ordering::Relaxed), 1);
    let before: Vec<_> = (0..4).map(|_| taken.lines.try_recv().is_ok()).collect();
    assert_eq!(before, [true; 4]);
    assert!(writer.send_line("x".repeat(MAX_BYTES_BEHIND + 1)));
    assert_eq!(taken.missed.load(Ordering::Relaxed), 1, "it never fits");
    assert!((0..2 * MAX_BEHIND).all(|_| writer.send_line(String::new())));
    assert_eq!(taken.missed.load(Ordering::Relaxed), 1 + MAX_BEHIND as u64);
    drop(taken);
    assert!(!writer.send_line(String::from("\n")));
}

#[test]
fn what_a_tap_that_is_behind_would_be_shown_is_counted_and_not_made() {
    let (to, _behind) = crossbeam_channel::bounded(1);
    let empty = RecordBatch::new_empty(Arc::new(arrow::datatypes::Schema::empty()));
    to.send(empty).expect("room for one");
    let tap = Tap { stage: None, rejected: false, condition: None, reveal: Vec::new() };
    let open = Open { tap, to, missed: Arc::default(), why: Arc::default() };
    assert!(open.show(|_| 7, |_| unreachable!("made for nobody")));
    assert!(open.show(|_| 0, |_| unreachable!("nobody wants it")));
    assert_eq!(open.missed.load(Ordering::Relaxed), 7);
}
