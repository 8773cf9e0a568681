//! Fields of records and elements of lists.

use super::*;

/// A record with a sensitive field and another, and a list of such records.
fn nested() -> Guard {
    let text = r#"[
        {"name": "user", "type": "RECORD", "fields": [
            {"name": "email", "type": "STRING", "policyTags": {"names": ["t"]}},
            {"name": "city", "type": "STRING"}
        ]},
        {"name": "items", "type": "RECORD", "mode": "REPEATED", "fields": [
            {"name": "sku", "type": "STRING"},
            {"name": "buyer", "type": "STRING", "policyTags": {"names": ["t"]}}
        ]}
    ]"#;
    let schema = TableSchema::parse(text, Path::new("t.json")).expect("a schema");
    let config = config::Guard::default();
    Guard::of([&schema], &config, &Format::Ndjson { max_record_bytes: 1024 })
}

#[test]
fn fields_of_records_and_elements_of_lists_are_looked_at_as_columns_are() {
    let guard = nested();
    assert_eq!(guard.columns().collect::<Vec<_>>(), ["user", "items"]);
    let user = |email: &str, city: &str| record([("email", &[email]), ("city", &[city])]);
    let items =
        |skus: &[&str], buyers: &[&str]| one_list(record([("sku", skus), ("buyer", buyers)]));
    let of = |record: &str, raw: &[(&str, ArrayRef)], columns: [(&str, ArrayRef); 2]| {
        let of_strings = RecordBatch::try_from_iter(columns).expect("a batch");
        let block = Bytes::from(record.to_owned());
        let origins = Origins {
            source: "t.ndjson@1".into(),
            header: None,
            positions: Positions::Lines(vec![1]),
            places: None,
            ranges: std::iter::once(0..block.len()).collect(),
            block,
        };
        let batch = Batch { columns: of_strings, origins, ingest_time: Micros::default() };
        let raw = raw.iter().map(|(name, column)| RawColumn::new(*name, column.clone()));
        let raw: Vec<RawColumn> = raw.collect();
        let (_, stopped) = guard.stop(batch, &raw, &Digest::of(b"")).expect("a batch");
        stopped.into_iter().next().map(|letter| letter.reason.message)
    };
    let came_in = r#"{"user": {"email": "ada@example.com"}, "items": [{"buyer": "u-4711"}]}"#;
    let masked = || ("user", user("k1:5f", "Bern"));
    let bought = || ("items", items(&["a-1", "b-2"], &["k1:6a", "k1:7b"]));
    assert_eq!(of(came_in, &[], [masked(), bought()]), None);
    let told = of(came_in, &[], [("user", user("ada@example.com", "Bern")), bought()]);
    let wanted = "`user.email` is sensitive, and leaves the plugins as it came in";
    assert_eq!(told.as_deref(), Some(wanted));
    // The second element of two.
    let second = ("items", items(&["a-1", "b-2"], &["k1:6a", "u-4711"]));
    let wanted = "`items.buyer` is sensitive, and leaves the plugins as it came in";
    assert_eq!(of(came_in, &[], [masked(), second]).as_deref(), Some(wanted));
    let raw = [
        ("user", user("ada@example.com", "Bern")),
        ("items", items(&["a-1", "b-2"], &["u-4711", "u-4712"])),
    ];
    let elsewhere = ("items", items(&["a-1", "of ada@example.com"], &["k1:6a", "k1:7b"]));
    let wanted = "`items.sku` holds the value of `user.email`, which is sensitive, as it came in";
    assert_eq!(of("", &raw, [masked(), elsewhere]).as_deref(), Some(wanted));
    let elsewhere = ("user", user("k1:5f", "Bern u-4712"));
    let wanted = "`user.city` holds the value of `items.buyer`, which is sensitive, as it came in";
    assert_eq!(of("", &raw, [elsewhere, bought()]).as_deref(), Some(wanted));
    // Two elements that follow each other are not one text.
    let apart = ("items", items(&["u-47", "12"], &["k1:6a", "k1:7b"]));
    assert_eq!(of("", &raw, [masked(), apart]), None);
}

#[test]
fn values_two_lists_deep_are_looked_at_each_with_its_row() {
    let schema = r#"[{"name": "orders", "type": "RECORD", "mode": "REPEATED", "fields": [
        {"name": "note", "type": "STRING"},
        {"name": "items", "type": "RECORD", "mode": "REPEATED", "fields": [
            {"name": "sku", "type": "STRING"},
            {"name": "email", "type": "STRING", "policyTags": {"names": ["t"]}}
        ]}
    ]}]"#;
    let schema = TableSchema::parse(schema, Path::new("t.json")).expect("a schema");
    let format = Format::Ndjson { max_record_bytes: 1024 };
    let guard = Guard::of([&schema], &config::Guard::default(), &format);
    // Rows of two orders, of none, and of one; the second order has two items.
    let orders = |notes: [&str; 3], skus: [&str; 4], emails: [&str; 4]| {
        let items = lists(record([("sku", &skus), ("email", &emails)]), &[1, 2, 1]);
        let notes: ArrayRef = Arc::new(StringArray::from(notes.to_vec()));
        let columns = [("note", notes), ("items", items)].map(|(name, column)| {
            (Arc::new(Field::new(name, column.data_type().clone(), true)), column)
        });
        let orders: ArrayRef = Arc::new(arrow::array::StructArray::from(columns.to_vec()));
        lists(orders, &[2, 0, 1])
    };
    let records = [
        r#"{"orders": [{"items": [{"email": "ada@example.com"}]}, {"items": [{"email": "bob@example.com"}, {"email": "cyd@example.com"}]}]}"#,
        "{}",
        r#"{"orders": [{"items": [{"email": "dee@example.com"}]}]}"#,
    ];
    let ends = records.iter().scan(0, |end, record| {
        *end += record.len();
        Some(*end - record.len()..*end)
    });
    let origins = Origins {
        source: "t.ndjson@1".into(),
        header: None,
        positions: Positions::Lines(vec![1, 2, 3]),
        places: None,
        ranges: ends.collect(),
        block: Bytes::from(records.concat()),
    };
    let came = ["ada@example.com", "bob@example.com", "cyd@example.com", "dee@example.com"];
    let (notes, skus, masked) = (["", "", ""], ["a", "b", "c", "d"], ["k1:5f"; 4]);
    // Of which lines rows are stopped, and why, where the rows from one on come.
    let stopped = |now: &ArrayRef, from: usize| {
        let columns = RecordBatch::try_from_iter([("orders", now.clone())]).expect("a batch");
        let batch = Batch { columns, origins: origins.clone(), ingest_time: Micros::default() };
        let raw = orders(notes, skus, came).slice(from, 3 - from);
        let raw = [RawColumn::new("orders", raw)];
        let (_, stopped) =
            guard.stop(batch.slice(from..3), &raw, &Digest::of(b"")).expect("a batch");
        let told = stopped.into_iter().map(|letter| (letter.position, letter.reason.message));
        told.collect::<Vec<_>>()
    };
    let line = |line: u64, message: &str| vec![(Position::Line(line), message.to_owned())];
    let with = |at: usize| {
        let mut emails = masked;
        emails[at] = came[at];
        emails
    };
    assert_eq!(stopped(&orders(notes, skus, masked), 0), []);
    let own = "`orders.items.email` is sensitive, and leaves the plugins as it came in";
    for (at, of) in [(0, 1), (1, 1), (2, 1), (3, 3)] {
        assert_eq!(stopped(&orders(notes, skus, with(at)), 0), line(of, own), "{}", came[at]);
    }
    assert_eq!(stopped(&orders(notes, skus, with(3)), 2), line(3, own));
    let beside = |column: &str| {
        format!(
            "`{column}` holds the value of `orders.items.email`, which is sensitive, as it came in"
        )
    };
    let noted = orders(["for cyd@example.com", "", ""], skus, masked);
    assert_eq!(stopped(&noted, 0), line(1, &beside("orders.note")));
    let named = orders(notes, ["a", "b", "c", "dee@example.com"], masked);
    assert_eq!(stopped(&named, 0), line(3, &beside("orders.items.sku")));
    assert_eq!(stopped(&named, 1), line(3, &beside("orders.items.sku")));
    // It is the value of another row.
    let of_another = orders(["for dee@example.com", "", "for ada@example.com"], skus, masked);
    assert_eq!(stopped(&of_another, 0), []);
}

#[test]
fn networks_pass_in_the_field_that_was_written_again_and_in_none_beside_it() {
    let text = r#"[{"name": "user", "type": "RECORD", "fields": [
        {"name": "ip", "type": "STRING", "policyTags": {"names": ["t"]}},
        {"name": "proxy", "type": "STRING", "policyTags": {"names": ["t"]}}
    ]}]"#;
    let schema = TableSchema::parse(text, Path::new("t.json")).expect("a schema");
    let config = config::Guard::default();
    let guard = Guard::of([&schema], &config, &Format::Ndjson { max_record_bytes: 1024 });
    let payload = Schema::new(vec![Field::new("payload", DataType::Utf8, false)]);
    // What each stage writes, and whether networks pass in `user.ip` and in `user.proxy`.
    for (writes, wanted) in [
        (&["user"][..], [false, false]),
        (&["user", "user.ip"], [true, false]),
        (&["user", "user.ip", "user.proxy"], [true, true]),
        (&["user", "user"], [true, true]),
        (&["user.ip", "user.ip"], [true, false]),
    ] {
        let paths = writes.iter().map(|path| path.parse().expect("a path"));
        let over = guard.over(&payload, paths);
        let networks: Vec<bool> = over.columns.iter().map(|column| column.networks).collect();
        assert_eq!(networks, wanted, "{writes:?}");
    }
}
