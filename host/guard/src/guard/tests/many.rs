//! Many values in a record, and many rows.

use super::*;

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
