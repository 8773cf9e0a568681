use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, Int64Array, RecordBatch};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::Field;
use bytes::Bytes;

use super::*;
use clickmill_core::Micros;
use clickmill_core::batch::{Origins, Position, Positions};

fn guarded(name: &str, networks: bool) -> Guarded {
    let path = clickmill_core::path::Path::of(name);
    Guarded { name: name.to_owned(), path, form: None, networks }
}

/// A guard of a table whose columns `ip`, `user_id` and `phone` are sensitive, all written twice.
fn guard(allow: &[(&str, &str)]) -> Guard {
    let column = |(name, kind, tag): (&str, &str, bool)| {
        let tags = if tag { r#", "policyTags": {"names": ["t"]}"# } else { "" };
        format!(r#"{{"name": "{name}", "type": "{kind}", "mode": "NULLABLE"{tags}}}"#)
    };
    let columns = [
        ("ip", "STRING", true),
        ("user_id", "STRING", true),
        ("phone", "INTEGER", true),
        ("url", "STRING", false),
        ("note", "STRING", false),
        ("raw", "BYTES", false),
    ];
    let columns = columns.map(column).join(",");
    let schema =
        TableSchema::parse(&format!("[{columns}]"), Path::new("t.json")).expect("a schema");
    let allow = allow
        .iter()
        .map(|(name, form)| ((*name).to_owned(), Regex::new(form).expect("a regular expression")));
    let config = config::Guard { off: false, allow: allow.collect() };
    let guard = Guard::of([&schema], &config, &Format::Ndjson { max_record_bytes: 1024 });
    let twice = ["ip", "user_id", "phone"].repeat(2);
    guard.over(&Schema::empty(), twice.into_iter().map(clickmill_core::path::Path::of))
}

fn text(value: &str) -> ArrayRef {
    Arc::new(StringArray::from(vec![value]))
}

/// A row that is of a record.
fn batch(record: &str, columns: &[(&str, ArrayRef)]) -> Batch {
    let columns = RecordBatch::try_from_iter(columns.iter().cloned()).expect("a batch");
    let block = Bytes::from(record.to_owned());
    let ranges = std::iter::once(0..block.len()).collect();
    let positions = Positions::Lines(vec![1]);
    let origins = Origins {
        source: "t.ndjson@1".into(),
        header: None,
        positions,
        places: None,
        block,
        ranges,
    };
    Batch { columns, origins, ingest_time: Micros::default() }
}

/// What becomes of a row: the message of its letter, where it is stopped.
fn of_row(
    guard: &Guard,
    record: &str,
    raw: &[(&str, ArrayRef)],
    columns: &[(&str, ArrayRef)],
) -> Option<String> {
    let batch = batch(record, columns);
    let columns = raw.iter().map(|(name, column)| RawColumn::new(*name, column.clone()));
    let columns: Vec<RawColumn> = columns.collect();
    let (batch, mut stopped) = guard.stop(batch, &columns, &Digest::of(b"")).expect("a batch");
    assert_eq!(batch.rows() + stopped.len(), 1);
    let stopped = stopped.pop()?;
    assert_eq!((stopped.reason.code.as_str(), &*stopped.stage), (CODE, stage::GUARD));
    for (_, column) in raw {
        let value = texts(column).expect("texts").expect("values");
        assert!(!stopped.reason.message.contains(value.value(0)), "{}", stopped.reason.message);
    }
    Some(stopped.reason.message)
}

/// Whether a raw value of `user_id` is found in a text.
fn finds(value: &str, held: &str) -> bool {
    let columns = [("user_id", text("k1:5f")), ("url", text(held))];
    let told = of_row(&guard(&[]), "", &[("user_id", text(value))], &columns);
    let wanted = "`url` holds the value of `user_id`, which is sensitive, as it came in";
    told.is_some_and(|told| {
        assert_eq!(told, wanted);
        true
    })
}

#[test]
fn a_raw_value_is_found_in_any_text_of_its_row_however_it_is_written() {
    for (value, held) in [
        ("u-4711", "u-4711"),
        ("u-4711", "blocked U-4711."),
        (" u-4711\t", "/users/u-4711?tab=1"),
        ("203.0.113.9", "x=203.0.113.9:443"),
        ("2001:db8::8a2e:370:7334", "[2001:DB8::8A2E:370:7334]"),
        ("ada@example.com", "?mail=ada%40example.com"),
        ("ada@example.com", "?next=%2Flogin%3Fmail%3Dada%2540example.com"),
        ("a/b-4711", "?u=a%2525252525252Fb-4711"),
        ("00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000001"),
        ("Zoë König", r#"{"name":"Zo\u00eb K\u00f6nig"}"#),
        ("a/b-4711", r#"{"user":"a\/b-4711"}"#),
        (r#"say "x""#, r#"{"json":"{\"user\":\"say \\\"x\\\"\"}"}"#),
        ("Ada Lovelace", "Dear Ada Lovelace,"),
        ("u-12", " U-12"),
        ("Ann Lee", "Ann Lee"),
        ("u-4711", r"\u0075-\u0034\u0037\u0031\u0031"),
        ("u-4711", "%75%2d%34%37%31%31"),
        ("+49 151 2345678", "call +49 151 2345678"),
        ("+49 151 2345678", "?tel=%2B49+151+2345678"),
        ("Ada Lovelace", "?name=Ada+Lovelace"),
        ("Ada Lovelace", "?next=%2Fhi%3Fname%3Dada%2Blovelace"),
    ] {
        assert!(finds(value, held), "{value} in {held}");
    }
    let bytes: ArrayRef = Arc::new(BinaryArray::from_iter_values([b"\xff\x00u-4711"]));
    let columns = [("user_id", text("k1:5f")), ("raw", bytes)];
    assert!(of_row(&guard(&[]), "", &[("user_id", text("u-4711"))], &columns).is_some());
}

#[test]
fn numbers_are_found_too() {
    let number = |value: i64| -> ArrayRef { Arc::new(Int64Array::from(vec![value])) };
    let guard = guard(&[]);
    let columns = [("phone", text("k1:5f")), ("note", text("call 491512345678"))];
    let told = of_row(&guard, "", &[("phone", number(491_512_345_678))], &columns);
    assert_eq!(
        told.as_deref(),
        Some("`note` holds the value of `phone`, which is sensitive, as it came in")
    );
    // Nobody has masked it.
    let record = r#"{"phone":491512345678,"age":34}"#;
    let told = of_row(&guard, record, &[], &[("phone", number(491_512_345_678))]);
    assert_eq!(told.as_deref(), Some("`phone` is sensitive, and leaves the plugins as it came in"));
    // As short as an age, it is in the record by chance.
    assert_eq!(of_row(&guard, record, &[], &[("phone", number(34))]), None);
}

#[test]
fn what_stands_anywhere_by_chance_and_what_tells_nobody_apart_passes() {
    for (value, held) in [
        ("", ""),
        ("de", "de"),
        ("u-1", "u-1"),
        ("u-12", "u-12 and u-13"),
        ("24026", "24026"),
        ("purchase", "purchase"),
        ("add_to_cart", "add_to_cart"),
        ("undefined", "undefined is not a function"),
        ("(not set)", "(not set)"),
        ("u-4711", "u-47110"),
        ("203.0.113.9", "203.0.113.90"),
        ("118.0.0.0", "Chrome/118.0.0.0"),
        ("0.0.0.0", "0.0.0.0"),
        ("2001:db8:85a3::", "2001:db8:85a3::"),
        ("127.0.0.1", "http://127.0.0.1:8080/"),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.1"),
        ("u-4711", "100%"),
        ("00000000-0000-0000-0000-000000000000", "00000000-0000-0000-0000-000000000000"),
        ("000000000", "id=000000000"),
        ("u-4711", r"C:\u-47"),
        ("ada@example.com", "?mail=%5Bemail%5D"),
    ] {
        assert!(!finds(value, held), "{value} in {held}");
    }
}

#[test]
fn a_plain_word_is_looked_for_in_its_own_column() {
    let columns = [("user_id", text("shop/adalovelace")), ("url", text("/adalovelace"))];
    let told = of_row(&guard(&[]), "", &[("user_id", text("adalovelace"))], &columns);
    assert_eq!(
        told.as_deref(),
        Some("`user_id` is sensitive, and leaves the plugins as it came in")
    );
}

#[test]
fn one_sensitive_column_may_not_hold_the_value_of_another() {
    let raw = [("ip", text("203.0.113.9")), ("user_id", text("u-4711"))];
    let columns = [("ip", text("u-4711")), ("user_id", text("k1:5f"))];
    let told = of_row(&guard(&[]), "", &raw, &columns);
    assert_eq!(
        told.as_deref(),
        Some("`ip` holds the value of `user_id`, which is sensitive, as it came in")
    );
}

#[test]
fn values_of_a_form_that_may_stay_stay_and_columns_not_of_the_table_are_not_looked_at() {
    let raw = [("user_id", text("AS64500"))];
    let columns = [("user_id", text("AS64500")), ("url", text("/AS64500/u-4711"))];
    let record = r#"{"user_id":"AS64500"}"#;
    assert!(of_row(&guard(&[]), record, &raw, &columns).is_some());
    assert_eq!(of_row(&guard(&[("user_id", r"^AS\d+$")]), record, &raw, &columns), None);
    // A column of which the values may hold what came in.
    let raw = [("user_id", text("u-4711"))];
    let columns = [("user_id", text("k1:5f")), ("url", text("/AS64500/u-4711"))];
    assert!(of_row(&guard(&[("url", "^/AS[0-9]+$")]), "", &raw, &columns).is_some());
    assert_eq!(of_row(&guard(&[("url", "^/AS[0-9]+/")]), "", &raw, &columns), None);
    let payload = [("user_id", text("k1:5f")), ("payload", text("u-4711"))];
    assert_eq!(of_row(&guard(&[]), "", &raw, &payload), None);
}

#[test]
fn values_and_texts_of_any_length_are_looked_for() {
    let long = |end: &str| format!("{}{end}", "a-".repeat(200_000));
    assert!(finds(&long("1"), &long("1")));
    assert!(finds(&long("1"), &long(&format!("{}!", long("1")))));
    assert!(!finds(&long("1"), &long("b-2%")));
}

#[test]
fn nulls_and_rows_of_a_slice_are_each_looked_at_by_themselves() {
    let texts =
        |values: &[Option<&str>]| -> ArrayRef { Arc::new(StringArray::from(values.to_vec())) };
    let users = texts(&[Some("u-0000"), Some("u-1111"), None, Some("u-3333")]).slice(1, 3);
    let urls = texts(&[Some("u-0000"), Some("u-3333"), Some("u-1111"), None]).slice(1, 3);
    let columns = RecordBatch::try_from_iter([("url", urls)]).expect("a batch");
    let origins = Origins {
        source: "t@1".into(),
        header: None,
        positions: Positions::Lines(vec![1, 2, 3]),
        places: None,
        block: Bytes::new(),
        ranges: vec![0..0; 3],
    };
    let batch = Batch { columns, origins, ingest_time: Micros::default() };
    let raw = [RawColumn::new("user_id", users)];
    let (batch, stopped) = guard(&[]).stop(batch, &raw, &Digest::of(b"")).expect("a batch");
    // A value of another row is not one of this row.
    assert_eq!((batch.rows(), stopped.len()), (3, 0));
}

#[test]
fn rows_of_one_record_are_each_looked_for_in_it_and_no_other() {
    let records = [r#"{"user_id":"u\u002d4711"}"#, r#"{"user_id":"u-0815"}"#];
    let [first, second] = records.map(str::len);
    let values = ["k1:5f", "u-4711", "u-4711", "u-0815", "u-0815", "u-4711"];
    let users: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let columns = RecordBatch::try_from_iter([("user_id", users)]).expect("a batch");
    let (first, second) = (0..first, first..first + second);
    let origins = Origins {
        source: "t@1".into(),
        header: None,
        positions: Positions::Lines(vec![1, 1, 1, 1, 2, 2]),
        places: Some(vec![0, 1, 2, 3, 0, 1]),
        block: Bytes::from(records.concat()),
        ranges: [vec![first; 4], vec![second; 2]].concat(),
    };
    let batch = Batch { columns, origins, ingest_time: Micros::default() };
    let (batch, stopped) = guard(&[]).stop(batch, &[], &Digest::of(b"")).expect("a batch");
    let stopped: Vec<_> = stopped.iter().map(clickmill_core::batch::Rejected::key).collect();
    let wanted = [(1, 1), (1, 2), (2, 0)].map(|(line, place)| (Position::Line(line), place));
    assert_eq!(stopped, wanted);
    assert_eq!(batch.rows(), 3);
}

#[test]
fn the_decoder_is_the_first_that_writes_a_column_that_comes_in() {
    let columns = ["ip", "user_id"].map(|name| guarded(name, false));
    let guard = Guard { columns: columns.to_vec(), ..Guard::default() };
    let csv = ["id", "ip", "user_id"].map(|name| Field::new(name, DataType::Utf8, false));
    let csv = Schema::new(csv.to_vec());
    let json = Schema::new(vec![Field::new("payload", DataType::Utf8, false)]);
    // Who writes, and whether networks pass in `ip`. In `user_id`, which no stage writes again, never.
    for (decoded, writes, wanted) in [
        (&csv, &[][..], false),
        (&csv, &["id"], false),
        (&csv, &["ip"], true),
        (&csv, &["ip", "ip"], true),
        (&json, &[], false),
        (&json, &["ip", "user_id"], false),
        (&json, &["ip", "user_id", "ip"], true),
    ] {
        let over =
            guard.over(decoded, writes.iter().map(|name| clickmill_core::path::Path::of(name)));
        let networks: Vec<bool> = over.columns.iter().map(|column| column.networks).collect();
        assert_eq!(networks, [wanted, false], "{writes:?} over {decoded}");
    }
}

#[test]
fn networks_pass_where_a_later_stage_has_written_the_column_and_addresses_never_do() {
    let networks =
        ["0.0.0.0", "203.0.113.0", "10.0.0.0", "::", "2001:db8:85a3::", "::ffff:192.0.2.0"];
    for value in networks {
        assert!(guarded("ip", true).allows(value), "{value}");
        assert!(!guarded("ip", false).allows(value), "{value}");
    }
    let others = [
        "203.0.113.9",
        "0.0.0.1",
        "::1",
        "2001:db8:85a3:1::",
        "2001:db8:85a3::1",
        "2002:c000:239::",
        "::ffff:192.0.2.1",
        "203.0.113.0:80",
        "203.0.113.0/24",
        "203.0.113",
        " 203.0.113.0",
        "203.0.113.000",
        "u-0",
        "",
        "0",
        "120.0.0.0 ",
    ];
    for value in others {
        assert!(!guarded("ip", true).allows(value), "{value}");
    }
}

#[test]
fn texts_that_come_as_a_dictionary_are_looked_through_too() {
    let note = |value: &str| -> ArrayRef {
        let texts: arrow::array::DictionaryArray<arrow::datatypes::Int32Type> =
            [value].into_iter().collect();
        Arc::new(texts)
    };
    let raw = [("user_id", text("maria-47110"))];
    let of = |value: &str| of_row(&guard(&[]), "{}", &raw, &[("note", note(value))]);
    assert!(of("seen with maria-47110 there").is_some_and(|told| told.contains("`note`")));
    assert_eq!(of("seen with somebody there"), None);
    // The table's own are written out for it; what is not of the table is left as it is.
    let came = batch("{}", &[("note", note("a")), ("other", note("b"))]);
    let (batch, _) = guard(&[]).stop(came, &[], &Digest::of(b"")).expect("a batch");
    let is_plain = |name: &str| {
        let column = batch.columns.column_by_name(name).expect("a column");
        *column.data_type() == DataType::Utf8
    };
    assert_eq!([is_plain("note"), is_plain("other")], [true, false]);
    assert_eq!(batch.columns.column(0).to_data(), text("a").to_data());
}

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

fn record(columns: [(&str, &[&str]); 2]) -> ArrayRef {
    let columns = columns.map(|(name, values)| {
        let field = Arc::new(Field::new(name, DataType::Utf8, true));
        (field, Arc::new(StringArray::from(values.to_vec())) as ArrayRef)
    });
    Arc::new(arrow::array::StructArray::from(columns.to_vec()))
}

/// Lists of so many of them.
fn lists(values: ArrayRef, lengths: &[usize]) -> ArrayRef {
    let item = Arc::new(Field::new("item", values.data_type().clone(), true));
    let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
    Arc::new(arrow::array::ListArray::new(item, offsets, values, None))
}

/// All of them in one row.
fn one_list(values: ArrayRef) -> ArrayRef {
    let length = values.len();
    lists(values, &[length])
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

const DIGITS: [char; 9] = ['0', '2', '3', '4', '5', '6', '7', '8', '9'];

/// Where each were looked for in all of the record, or of the text beside it, this would take hours.
#[test]
fn of_very_many_values_most_are_told_apart_and_too_many_are_stopped() {
    let schema = r#"[
        {"name": "users", "type": "STRING", "mode": "REPEATED", "policyTags": {"names": ["t"]}},
        {"name": "note", "type": "STRING"}
    ]"#;
    let schema = TableSchema::parse(schema, Path::new("t.json")).expect("a schema");
    let format = Format::Ndjson { max_record_bytes: 1024 };
    let guard = Guard::of([&schema], &config::Guard::default(), &format);
    let users =
        |values: &[&str]| lists(Arc::new(StringArray::from(values.to_vec())), &[values.len()]);
    let of = |record: &str, raw: &[&str], now: &[&str], note: &str| {
        let batch = batch(record, &[("users", users(now)), ("note", text(note))]);
        let raw = [RawColumn::new("users", users(raw))];
        let (_, stopped) = guard.stop(batch, &raw, &Digest::of(b"")).expect("a batch");
        stopped.into_iter().next().map(|letter| letter.reason.message)
    };
    let masked: Vec<String> = (0..50_000).map(|n| format!("k1:{n:08x}")).collect();
    let masked: Vec<String> = masked.iter().map(|value| value.replace(DIGITS, "g")).collect();
    let masked: Vec<&str> = masked.iter().map(String::as_str).collect();
    let came: Vec<String> = (0..100_000).map(|n| format!("u-{n}")).collect();
    let came: Vec<&str> = came.iter().map(String::as_str).collect();
    let record = came.join(" ");
    assert_eq!(of(&record, &came, &masked, "all is well"), None);
    // The last of them all.
    let (last, note) = ([&masked[..], &["u-99999"]].concat(), "of u-99999");
    let wanted = "`users` is sensitive, and leaves the plugins as it came in";
    assert_eq!(of(&record, &came, &last, "").as_deref(), Some(wanted));
    let wanted = "`note` holds the value of `users`, which is sensitive, as it came in";
    assert_eq!(of(&record, &came, &masked, note).as_deref(), Some(wanted));
    // All parts of one word: each may be in it, and none is a word of its own.
    let word: String = came.concat().replace('-', "x");
    let parts: Vec<&str> = (1..word.len() - 9).map(|at| &word[at..at + 8]).collect();
    let wanted = "`users` is sensitive, and has more values than are looked for";
    assert_eq!(of(&word, &[], &parts, "").as_deref(), Some(wanted));
    // The same one often is looked for once: be it short, a mere word, or a part of another.
    for often in ["xy", "anonymous", &word[1..9]] {
        let often = vec![often; 100_000];
        assert_eq!(of(&word, &[], &often, ""), None);
        assert_eq!(of("", &often, &[], &word), None);
    }
    assert_eq!(of("", &parts, &[], &word).as_deref(), Some(wanted));
}

/// The record of a row, what `user_id` was and is, and a text beside it.
type Row<'a> = (&'a str, &'a [&'a str], &'a str, &'a str);

/// What is known of a row, its record and its texts is not taken for what is known of the next.
#[test]
fn a_row_is_stopped_beside_others_as_it_is_alone() {
    let many: Vec<String> = (0..40).map(|n| format!("visitor-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let rows: [Row<'_>; 9] = [
        (r#"{"user_id":"u-4711"}"#, &["u-4711"], "k1:5f", "/u-4711"),
        (r#"{"user_id":"u-4711"}"#, &["u-4711"], "k1:5f", "/u-4712"),
        (r#"{"user_id":"u-4711"}"#, &["u-4711"], "u-4711", ""),
        (r#"{"user_id":"zo\u00EB-4711"}"#, &["12"], "zoë-4711", "12"),
        ("{}", &["12"], "zoë-4711", "u-4711 zoë-4711"),
        (r#"{"id":12}"#, &["12"], "k1:5f", "12"),
        ("{}", &many, "k1:5f", "/visitor-39 u-4711"),
        ("{}", &many, "k1:5f", "/visitor-40"),
        ("{}", &["visitor-39"], "k1:5f", "/visitor%2d39"),
    ];
    let guard = guard(&[]);
    let stopped = |rows: &[&Row<'_>]| -> Vec<bool> {
        let column = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
        let raw = column(rows.iter().flat_map(|row| row.1.iter().copied()).collect());
        let raw = lists(raw, &rows.iter().map(|row| row.1.len()).collect::<Vec<_>>());
        let columns = [
            ("user_id", column(rows.iter().map(|row| row.2).collect())),
            ("url", column(rows.iter().map(|row| row.3).collect())),
        ];
        let mut batch = batch("", &columns);
        let (mut block, mut ranges) = (String::new(), Vec::new());
        for (record, ..) in rows {
            block.push('\n');
            ranges.push(block.len()..block.len() + record.len());
            block.push_str(record);
        }
        let lines = Positions::Lines((0..rows.len() as u64).collect());
        batch.origins = Origins { block: block.into(), ranges, positions: lines, ..batch.origins };
        let raw = [RawColumn::new("user_id", raw)];
        let (_, stopped) = guard.stop(batch, &raw, &Digest::of(b"")).expect("a batch");
        let is_stopped =
            |row| stopped.iter().any(|stopped| stopped.position == Position::Line(row));
        (0..rows.len() as u64).map(is_stopped).collect()
    };
    let alone: Vec<bool> = rows.iter().flat_map(|row| stopped(&[row])).collect();
    assert_eq!(alone, [true, false, true, true, false, false, true, false, true]);
    for step in [1, 2, 4, 5, 7, 8] {
        let order: Vec<usize> = (0..rows.len()).map(|at| at * step % rows.len()).collect();
        let together = stopped(&order.iter().map(|at| &rows[*at]).collect::<Vec<_>>());
        let wanted: Vec<bool> = order.iter().map(|at| alone[*at]).collect();
        assert_eq!(together, wanted, "{order:?}");
    }
}

#[test]
fn numbers_of_few_digits_are_looked_for_where_one_of_them_has_more() {
    let finds = |numbers: &[i64], at: usize, held: &str| {
        let texts = |of: &str| Arc::new(StringArray::from(vec![of; numbers.len()])) as ArrayRef;
        let columns = [("phone", texts("k1:5f")), ("url", texts(held))];
        let mut batch = batch("", &columns);
        batch.origins.ranges = vec![0..0; numbers.len()];
        batch.origins.positions = Positions::Lines((0..numbers.len() as u64).collect());
        // Then it was masked, twice.
        let raw: [ArrayRef; 2] = [Arc::new(Int64Array::from(numbers.to_vec())), texts("k0:77aa")];
        let raw = raw.map(|column| RawColumn::new("phone", column));
        let (_, stopped) = guard(&[]).stop(batch, &raw, &Digest::of(b"")).expect("a batch");
        let at = Position::Line(at as u64);
        assert!(stopped.iter().all(|stopped| stopped.position == at), "{stopped:?}");
        !stopped.is_empty()
    };
    assert!(!finds(&[0, 99_999], 1, "/99999?0"));
    assert!(finds(&[1, 100_000], 1, "/100000?1"));
    assert!(finds(&[99_999, -12_345], 1, "/-12345?99999"));
    assert!(!finds(&[4711], 0, "/k0:77aa"));
    assert!(!finds(&[471_100], 0, "/k0:77aa"));
}
