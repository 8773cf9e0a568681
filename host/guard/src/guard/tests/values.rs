//! Which values are found, and which pass.

use super::*;

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
        ("Jürgen.Müller.77", "by JÜRGEN.MÜLLER.77 ok"),
        ("Jürgen.Müller.77", "?u=J%C3%9CRGEN.M%C3%9CLLER.77"),
        ("ŻÓŁĆ JAŹNI", "?u=żółć+jaźni"),
        ("Жанна Жукова", r#"{"name":"ЖАННА ЖУКОВА"}"#),
        ("Жора", "жора"),
        ("ΆΝΝΑ ΠΑΠΑ", "άννα παπα"),
        ("u-4711-ada", "\u{1b}[31mu-4711-ada\u{1b}[0m has no rights"),
        ("203.0.113.57", "at \u{1b}[33m203.0.113.57\u{1b}[0m"),
        ("203.0.113.57", "at ^[[33m203.0.113.57^[[0m, \u{1b}(B203.0.113.57"),
        ("u-4711-ada", "/p?x=%1B%5B31mu-4711-ada"),
        ("u-4711-ada", r#"{"m":"\u001b[1;31mu-4711-ada\u001b[0m"}"#),
        ("u-4711-ada", r#"{"m":"{\"m\":\"\\u001b[31mu-4711-ada\"}"}"#),
        ("u-4711-ada", r"\e[31mu-4711-ada\e[0m"),
        ("u-4711-ada", r"\033[31mu-4711-ada\033[0m"),
        ("u-4711-ada", r"user=\x22u-4711-ada\x22"),
        ("u-4711-ada", r#"{"m":"user=\\x22u-4711-ada\\x22"}"#),
        ("u-4711-ada", r"one\nu-4711-ada\ttwo"),
        ("u-4711-ada", r"\0u-4711-ada"),
        ("u-4711-ada", "user=%u0022u-4711-ada"),
        ("u-4711-ada", "user=&quot;u-4711-ada&quot; &#34u-4711-ada&#34"),
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
fn numbers_with_fractions_and_times_are_found_however_long_they_are_written() {
    let decimal = |value: i128| -> ArrayRef {
        let values = Decimal128Array::from(vec![value * 10_i128.pow(7)]);
        Arc::new(values.with_precision_and_scale(38, 9).expect("a scale"))
    };
    let time = |micros: i64| -> ArrayRef {
        Arc::new(TimestampMicrosecondArray::from(vec![micros]).with_timezone("+00:00"))
    };
    let float = |value: f64| -> ArrayRef { Arc::new(Float64Array::from(vec![value])) };
    let guard = guard(&[]);
    for (value, written) in [
        (decimal(1_234_567), &["12345.67", "12345.6700", "\"12345.67\""][..]),
        (decimal(12_345_678_901_200), &["123456789012", "123456789012.0"]),
        (float(1_234_567.0), &["1234567", "1234567.0", "1234567.00"]),
        (float(52.123_456), &["52.123456", "52.1234560"]),
        (time(1_767_607_200_500_000), &["2026-01-05T10:00:00.5Z", "2026-01-05T10:00:00.500000Z"]),
        (time(1_767_607_200_000_000), &["2026-01-05T10:00:00Z", "2026-01-05T10:00:00+00:00"]),
    ] {
        for written in written {
            let record = format!(r#"{{"phone":{written},"n":1}}"#);
            let told = of_row(&guard, &record, &[], &[("phone", value.clone())]);
            assert!(told.is_some(), "{written} leaves as it came in");
            let note = text(&format!("says {written}, blocked"));
            let columns = [("phone", text("k1:5f")), ("note", note)];
            let told = of_row(&guard, "", &[("phone", value.clone())], &columns);
            assert!(told.is_some(), "{written} is in another column");
        }
    }
    let record = r#"{"phone":112345.67,"n":12345.675,"m":"12345.67x"}"#;
    assert_eq!(of_row(&guard, record, &[], &[("phone", decimal(1_234_567))]), None);
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
