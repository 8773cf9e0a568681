//! JSON messages: types, required values, nested paths, unknown and duplicate keys.

use clickmill_plugin::{Column, testing};
use serde_json::{Value, json};

use super::{codes, problems, run, value};

fn messages(texts: &[&str]) -> Vec<Column> {
    vec![Column::texts("payload", texts.iter().map(Some))]
}

fn config(columns: &Value, options: &Value) -> Value {
    let mut config = json!({"format": "json", "columns": columns});
    for (key, option) in options.as_object().expect("options") {
        config[key] = option.clone();
    }
    config
}

/// What becomes of a value in a column of that type: the value, or the code.
fn field(column_type: &str, text: &str) -> Result<Value, String> {
    let config = config(&json!([{"name": "f", "type": column_type}]), &json!({}));
    let output = run(&config, messages(&[&format!(r#"{{"f":{text}}}"#)]));
    match output.rejections.first() {
        Some(rejection) => Err(rejection.code.clone()),
        None => Ok(value(&output, "f", 0)),
    }
}

#[test]
fn values_become_values_of_the_columns_type_or_reject_the_row() {
    let cases: &[(&str, &str, Result<Value, &str>)] = &[
        ("int64", "12", Ok(json!(12))),
        ("int64", "-0", Ok(json!(0))),
        ("int64", "12.0", Ok(json!(12))),
        ("int64", "1e3", Ok(json!(1000))),
        ("int64", "9007199254740993.0", Ok(json!(9_007_199_254_740_993i64))),
        ("int64", r#""12""#, Ok(json!(12))),
        ("int64", r#""\u0031\u0032""#, Ok(json!(12))),
        ("int64", "12.5", Err("not_an_integer")),
        ("int64", "9223372036854775808", Err("not_an_integer")),
        ("int64", r#""""#, Ok(Value::Null)),
        ("int64", r#"" ""#, Err("not_an_integer")),
        ("int64", r#""x""#, Err("not_an_integer")),
        ("int64", "true", Err("wrong_type")),
        ("int64", "{}", Err("wrong_type")),
        ("int64", "[1]", Err("wrong_type")),
        ("float64", "1.5", Ok(json!(1.5))),
        ("float64", "1", Ok(json!(1.0))),
        ("float64", r#""-1.5e1""#, Ok(json!(-15.0))),
        ("float64", "1e400", Err("not_a_number")),
        ("float64", r#""NaN""#, Err("not_a_number")),
        ("float64", "false", Err("wrong_type")),
        ("boolean", "true", Ok(json!(true))),
        ("boolean", "false", Ok(json!(false))),
        ("boolean", "1", Ok(json!(true))),
        ("boolean", "0", Ok(json!(false))),
        ("boolean", r#""Yes""#, Ok(json!(true))),
        ("boolean", "2", Err("not_a_boolean")),
        ("boolean", "[]", Err("wrong_type")),
        ("date", r#""2008-04-01""#, Ok(json!(13_970))),
        ("date", r#""2008\/04\/01""#, Ok(json!(13_970))),
        ("date", "20080401", Ok(json!(13_970))),
        ("date", r#""soon""#, Err("not_a_date")),
        ("date", "true", Err("wrong_type")),
        ("timestamp", r#""1970-01-01T00:00:01Z""#, Ok(json!(1_000_000))),
        ("timestamp", "1700000000123", Ok(json!(1_700_000_000_123_000i64))),
        ("timestamp", "1.7e9", Ok(json!(1_700_000_000_000_000i64))),
        ("timestamp", r#""1700000000""#, Ok(json!(1_700_000_000_000_000i64))),
        ("timestamp", r#""soon""#, Err("not_a_timestamp")),
        ("timestamp", "{}", Err("wrong_type")),
        (
            "text",
            r#""a\n\"\\\/\b\f\r\t\u00e9\ud83d\ude00é""#,
            Ok(json!("a\n\"\\/\u{8}\u{c}\r\té😀é")),
        ),
        ("text", r#""""#, Ok(Value::Null)),
        ("text", r#"" ""#, Ok(json!(" "))),
        ("text", "1.50", Ok(json!("1.50"))),
        ("text", "-1e+5", Ok(json!("-1e+5"))),
        ("text", "true", Ok(json!("true"))),
        ("text", r#"{"a": [1, "\n"]}"#, Ok(json!(r#"{"a": [1, "\n"]}"#))),
        ("text", "[ ]", Ok(json!("[ ]"))),
    ];
    for (column_type, text, wanted) in cases {
        let wanted = wanted.clone().map_err(str::to_owned);
        assert_eq!(field(column_type, text), wanted, "{column_type} {text}");
        assert_eq!(field(column_type, "null"), Ok(Value::Null), "{column_type} null");
    }
}

#[test]
fn empty_texts_are_values_where_they_are_not_null() {
    let columns = json!([
        {"name": "t", "type": "text"}, {"name": "n", "type": "int64"},
        {"name": "deep", "type": "text", "from": "geo.country"},
    ]);
    let rows = [r#"{"t":""}"#, r#"{"n":""}"#, r#"{"geo":""}"#, r#"{"geo":{"country":""}}"#];
    let output = run(&config(&columns, &json!({"empty_is_null": false})), messages(&rows));
    assert_eq!(codes(&output), [(1, "not_an_integer"), (2, "wrong_type")]);
    assert_eq!(value(&output, "t", 0), json!(""));
    assert_eq!(value(&output, "deep", 3), json!(""));
    let output = run(&config(&columns, &json!({})), messages(&rows));
    assert_eq!(codes(&output), []);
    for (row, column) in [(0, "t"), (1, "n"), (2, "deep"), (3, "deep")] {
        assert_eq!(value(&output, column, row), Value::Null, "{column} of {row}");
    }
}

#[test]
fn an_empty_text_is_no_json_unless_texts_may_be_empty() {
    let columns = json!([
        {"name": "raw", "type": "json", "required": true},
        {"name": "of", "type": "record", "fields": [{"name": "raw", "type": "json"}]},
        {"name": "all", "type": "json", "repeated": true},
    ]);
    let rows = [r#"{"raw":""}"#, r#"{"raw":" ","of":{"raw":""},"all":["",1]}"#];
    let output = run(&config(&columns, &json!({})), messages(&rows));
    assert_eq!(codes(&output), [(0, "required")]);
    let made = super::readme::rows(&output).remove(1);
    assert_eq!(made, json!({"raw": r#"" ""#, "of": {}, "all": [r#""""#, "1"]}));
    let output = run(&config(&columns, &json!({"empty_is_null": false})), messages(&rows));
    assert_eq!(codes(&output), []);
    assert_eq!(value(&output, "raw", 0), json!(r#""""#));
}

#[test]
fn what_is_unreadable_is_null_and_counted_where_the_setting_says_so() {
    let columns = json!([
        {"name": "id", "type": "text", "required": true},
        {"name": "price", "type": "float64"},
        {"name": "at", "type": "timestamp", "unreadable": "reject"},
        {"name": "lat", "type": "float64", "from": "geo.lat"},
    ]);
    let rows = [
        r#"{"id":"1","price":"cheap","geo":"here"}"#,
        r#"{"id":"2","price":[1],"geo":{"lat":true}}"#,
        r#"{"id":"3","price":1.5,"at":"soon"}"#,
        r#"{"price":"cheap"}"#,
        r#"{"id":"5","price":"","geo":null}"#,
    ];
    testing::take_log();
    let output = run(&config(&columns, &json!({"unreadable": "null"})), messages(&rows));
    assert_eq!(codes(&output), [(2, "not_a_timestamp"), (3, "required")]);
    for (row, price) in [(0, Value::Null), (1, Value::Null), (2, json!(1.5)), (4, Value::Null)] {
        assert_eq!(value(&output, "price", row), price, "{row}");
        assert_eq!(value(&output, "lat", row), Value::Null, "{row}");
    }
    // Neither what is absent nor what is in a refused row.
    assert_eq!(testing::take_log(), ["unreadable: 2 lat", "unreadable: 2 price"]);
    let output = run(&config(&columns, &json!({})), messages(&rows));
    assert_eq!(codes(&output).len(), 4);
    assert_eq!(testing::take_log(), [""; 0]);
    let columns = json!([{"name": "id", "type": "text", "required": true, "unreadable": "null"}]);
    assert_eq!(
        problems(&config(&columns, &json!({})), &messages(&["{}"])),
        ["`columns[0]` (`id`) is required: what is unreadable cannot be null"]
    );
}

#[test]
fn a_byte_order_mark_before_a_message_is_no_part_of_it() {
    let config = config(&json!([{"name": "a", "type": "int64"}]), &json!({"unknown": "keep"}));
    let rows = ["\u{feff}{\"a\":1,\"b\":2}", "\u{feff}", "\u{feff}\u{feff}{}", "{\u{feff}}"];
    let output = run(&config, messages(&rows));
    assert_eq!(codes(&output), [(1, "not_json"), (2, "not_json"), (3, "not_json")]);
    assert_eq!(value(&output, "a", 0), json!(1));
    assert_eq!(value(&output, "unknown_fields", 0), json!(r#"{"b":2}"#));
    assert_eq!(output.rejections[0].message, "not JSON: byte 3 is the end, wanted a value");
}

#[test]
fn several_events_in_a_message_are_refused_and_the_reason_says_what_to_do() {
    let config = config(&json!([{"name": "a", "type": "int64"}]), &json!({}));
    let output = run(&config, messages(&[r#" [{"a":1},{"a":2}]"#, r#"{"a":1}{"a":2}"#, "7"]));
    assert_eq!(codes(&output), [(0, "not_an_object"), (1, "not_json"), (2, "not_an_object")]);
    let told = &output.rejections[0].message;
    assert!(told.starts_with("the message is an array, wanted a JSON object: "), "{told}");
    assert_eq!(output.rejections[2].message, "the message is `7`, wanted a JSON object");
}

#[test]
fn a_time_zone_s_name_is_refused_with_a_word_about_it() {
    let config = config(&json!([{"name": "at", "type": "timestamp"}]), &json!({}));
    let output = run(&config, messages(&[r#"{"at":"2026-04-01 10:00:00 Europe/Warsaw"}"#]));
    assert_eq!(codes(&output), [(0, "not_a_timestamp")]);
    let told = &output.rejections[0].message;
    assert!(told.ends_with("with an offset in place of a time zone's name"), "{told}");
}

#[test]
fn required_values_reject_rows_without_them() {
    for column_type in ["text", "int64", "float64", "boolean", "date", "timestamp"] {
        let config =
            config(&json!([{"name": "f", "type": column_type, "required": true}]), &json!({}));
        let output = run(&config, messages(&["{}", r#"{"f":null}"#, r#"{"f":""}"#]));
        assert_eq!(codes(&output), [(0, "required"), (1, "required"), (2, "required")]);
        let told: Vec<&str> = output.rejections.iter().map(|r| r.message.as_str()).collect();
        assert!(told[0].starts_with("`f` is missing, wanted "), "{told:?}");
        assert!(told[1].starts_with("`f` is `null`, wanted "), "{told:?}");
        assert!(told[2].starts_with("`f` is empty, wanted "), "{told:?}");
    }
}

#[test]
fn a_rejected_row_leaves_all_columns_of_equal_length_and_its_neighbours_whole() {
    let columns = json!([
        {"name": "a", "type": "int64"}, {"name": "b", "type": "float64", "required": true},
        {"name": "c", "type": "text"}, {"name": "d", "type": "boolean"},
    ]);
    let good = r#"{"d":true,"c":"x","b":1.5,"a":1}"#;
    let bad = [
        r#"{"a":1,"b":1.5,"c":"x","d":true"#,
        r#"{"a":"x","b":1.5,"c":"x","d":true}"#,
        r#"{"a":1,"c":"x","d":true}"#,
        r#"{"a":1,"b":1.5,"c":"x","d":7}"#,
        "[]",
    ];
    let rows: Vec<&str> = bad.iter().flat_map(|bad| [good, bad]).collect();
    let output = run(&config(&columns, &json!({"unknown": "keep"})), messages(&rows));
    assert_eq!(
        codes(&output),
        [
            (1, "not_json"),
            (3, "not_an_integer"),
            (5, "required"),
            (7, "not_a_boolean"),
            (9, "not_an_object")
        ]
    );
    for row in (0..rows.len()).step_by(2) {
        assert_eq!(value(&output, "a", row), json!(1));
        assert_eq!(value(&output, "b", row), json!(1.5));
        assert_eq!(value(&output, "c", row), json!("x"));
        assert_eq!(value(&output, "d", row), json!(true));
    }
}

#[test]
fn null_messages_are_rejected() {
    let config = config(&json!([{"name": "a", "type": "int64"}]), &json!({"payload": "m"}));
    let output = run(&config, vec![Column::texts("m", [None, Some(r#"{"a":1}"#)])]);
    assert_eq!(codes(&output), [(0, "not_json")]);
    let told = "the message is null, wanted a JSON object";
    assert_eq!(output.rejections[0].message, told);
    assert_eq!(value(&output, "a", 1), json!(1));
}

#[test]
fn messages_that_are_not_json_are_rejected_with_the_byte_and_what_was_wanted() {
    let config = config(&json!([{"name": "a", "type": "text"}]), &json!({}));
    for (message, told) in [
        ("", "not JSON: byte 0 is the end, wanted a value"),
        ("{", "not JSON: byte 1 is the end, wanted a key in quotes"),
        (r#"{"a" 1}"#, "not JSON: byte 5 is `1`, wanted `:`"),
        (r#"{"a":é}"#, "not JSON: byte 5 is `é`, wanted a value"),
        (r#"{"a":1,}"#, "not JSON: byte 7 is `}`, wanted a key in quotes"),
        (r#"{"a":1]"#, "not JSON: byte 6 is `]`, wanted `,` or `}`"),
        (r#"{"a":[1}"#, "not JSON: byte 7 is `}`, wanted `,` or `]`, in `a[0]`"),
        (r#"{"a":01}"#, "not JSON: byte 6 is `1`, wanted `,` or `}`"),
        (r#"{"a":1.}"#, "not JSON: byte 7 is `}`, wanted a digit"),
        (r#"{"a":"x}"#, "not JSON: byte 8 is the end, wanted `\"`"),
        ("{\"a\":\"\n\"}", "not JSON: byte 6 is `\\n`, wanted no control character in a string"),
        (r#"{"a":"\x"}"#, "not JSON: byte 7 is `x`, wanted an escape"),
        (r#"{"a":"\u12"}"#, "not JSON: byte 8 is `1`, wanted four hexadecimal digits"),
        (
            r#"{"a":"\ud800"}"#,
            "not JSON: byte 12 is `\"`, wanted the other half of a surrogate pair",
        ),
        (r#"{"a":1} x"#, "not JSON: byte 8 is `x`, wanted the end"),
    ] {
        let output = run(&config, messages(&[message]));
        assert_eq!(codes(&output), [(0, "not_json")], "{message}");
        assert_eq!(output.rejections[0].message, told, "{message}");
    }
}

#[test]
fn paths_lead_into_nested_objects() {
    let columns = json!([
        {"name": "country", "type": "text", "from": "geo.country"},
        {"name": "lat", "type": "float64", "from": "geo.point.lat"},
        {"name": "geo", "type": "text"},
        {"name": "dotted", "type": "int64", "from": r"geo\.country"},
    ]);
    let output = run(
        &config(&columns, &json!({})),
        messages(&[
            r#"{"geo": {"country":"DE", "point": {"lon":1, "lat":2.5}}, "geo.country": 7}"#,
            r#"{"geo": {"point": null}}"#,
            r#"{"geo": null}"#,
            "{}",
            r#"{"geo": "DE"}"#,
            r#"{"geo": {"point": [1, 2]}}"#,
        ]),
    );
    assert_eq!(value(&output, "country", 0), json!("DE"));
    assert_eq!(value(&output, "lat", 0), json!(2.5));
    assert_eq!(
        value(&output, "geo", 0),
        json!(r#"{"country":"DE", "point": {"lon":1, "lat":2.5}}"#)
    );
    assert_eq!(value(&output, "dotted", 0), json!(7));
    for row in 1..4 {
        assert_eq!(value(&output, "country", row), Value::Null);
    }
    assert_eq!(codes(&output), [(4, "wrong_type"), (5, "wrong_type")]);
    assert_eq!(output.rejections[0].message, "`country` is `DE`, wanted text");
}

#[test]
fn paths_are_checked_at_the_start() {
    let columns = json!([
        {"name": "a", "type": "text", "from": "a..b"},
        {"name": "b", "type": "text", "from": vec!["x"; 17].join(".")},
    ]);
    assert_eq!(
        problems(&config(&columns, &json!({"payload": "m"})), &messages(&["{}"])),
        [
            "`payload` is `m`, which is not available: `payload`",
            "`columns[0].from` is `a..b`, which has an empty key",
            "`columns[1].from` is 17 keys deep, wanted at most 16",
        ]
    );
}

#[test]
fn where_all_is_unknown_all_is_kept() {
    let rows = [r#"{"sku-1":5,"sku-2":{"n":[1]}}"#, "{}", "[]"];
    let output = run(&config(&json!([]), &json!({"unknown": "keep"})), messages(&rows));
    assert_eq!(output.columns.len(), 1);
    assert_eq!(value(&output, "unknown_fields", 0), json!(r#"{"sku-1":5,"sku-2":{"n":[1]}}"#));
    assert_eq!(value(&output, "unknown_fields", 1), Value::Null);
    assert_eq!(codes(&output), [(2, "not_an_object")]);
}

#[test]
fn unknown_keys_are_ignored_kept_or_refused() {
    let columns = json!([
        {"name": "a", "type": "int64"}, {"name": "c", "type": "text", "from": "geo.country"},
    ]);
    let rows = [
        r#"{"a":1, "x" : 1.50 ,"geo":{"city":"K\u00f6ln","country":"DE","n":{"k":[ 1 ]}},"y\"":null}"#,
        r#"{"geo":{"country":"DE"},"a":1}"#,
    ];
    let output = run(&config(&columns, &json!({})), messages(&rows));
    assert_eq!((codes(&output), output.columns.len()), (vec![], 2));

    let output = run(&config(&columns, &json!({"unknown": "keep"})), messages(&rows));
    assert_eq!(
        value(&output, "unknown_fields", 0),
        json!(r#"{"x":1.50,"geo":{"city":"K\u00f6ln","n":{"k":[ 1 ]}},"y\"":null}"#)
    );
    assert_eq!(value(&output, "unknown_fields", 1), Value::Null);

    let output = run(&config(&columns, &json!({"unknown": "refuse"})), messages(&rows));
    assert_eq!(codes(&output), [(0, "unknown_field")]);
    assert_eq!(output.rejections[0].message, "key `x` is unknown");
    let nested = messages(&[r#"{"geo":{"city":"K"}}"#]);
    let output = run(&config(&columns, &json!({"unknown": "refuse"})), nested);
    assert_eq!(output.rejections[0].message, "key `geo.city` is unknown");
}

#[test]
fn duplicate_keys_are_refused_or_the_first_or_last_counts() {
    let columns = json!([
        {"name": "a", "type": "int64"}, {"name": "b", "type": "int64", "from": "o.b"},
        {"name": "c", "type": "int64", "from": "o.c"},
    ]);
    let rows = [
        r#"{"a":1,"\u0061":2}"#,
        r#"{"a":null,"x":0,"a":2}"#,
        r#"{"o":{"b":1,"c":1,"y":1},"o":{"b":2,"z":2}}"#,
        r#"{"x":1,"\u0078":2,"w":3,"x":4}"#,
        r#"{"o":{"b":1,"b":2}}"#,
        r#"{"x":{"k":1,"k":2},"a":[{"k":1,"k":2}]}"#,
    ];
    let with = |duplicates: &str, unknown: &str| {
        let options = json!({"duplicates": duplicates, "unknown": unknown});
        run(&config(&columns, &options), messages(&rows))
    };
    let twice = "duplicate_field";
    let last = (5, "wrong_type");
    let output = with("refuse", "keep");
    assert_eq!(codes(&output), [(0, twice), (1, twice), (2, twice), (3, twice), (4, twice), last]);
    assert_eq!(output.rejections[3].message, r"key `\u0078` is there twice");
    assert_eq!(output.rejections[4].message, "key `o.b` is there twice");
    let output = with("refuse", "ignore");
    assert_eq!(codes(&output), [(0, twice), (1, twice), (2, twice), (4, twice), last]);

    let all = |output: &clickmill_plugin::Output| -> Vec<Value> {
        let columns = ["a", "b", "c", "unknown_fields"];
        (0..5).map(|row| columns.iter().map(|c| value(output, c, row)).collect()).collect()
    };
    assert_eq!(
        all(&with("last", "keep")),
        [
            json!([2, null, null, null]),
            json!([2, null, null, r#"{"x":0}"#]),
            json!([null, 2, null, r#"{"o":{"z":2}}"#]),
            json!([null, null, null, r#"{"w":3,"x":4}"#]),
            json!([null, 2, null, null]),
        ]
    );
    let gone = messages(&[r#"{"o":{"y":1},"o":{}}"#]);
    let options = json!({"duplicates": "last", "unknown": "keep"});
    let output = run(&config(&columns, &options), gone);
    assert_eq!(value(&output, "unknown_fields", 0), Value::Null);
    assert_eq!(
        all(&with("first", "keep")),
        [
            json!([1, null, null, null]),
            json!([null, null, null, r#"{"x":0}"#]),
            json!([null, 1, 1, r#"{"o":{"y":1}}"#]),
            json!([null, null, null, r#"{"x":1,"w":3}"#]),
            json!([null, 1, null, null]),
        ]
    );
}

#[test]
fn nesting_is_allowed_to_the_limit_and_not_deeper() {
    let columns = json!([
        {"name": "a", "type": "text"}, {"name": "b", "type": "text", "from": "o.b"},
    ]);
    let array = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    for limit in [1, 2, 3, 64] {
        let config = config(&columns, &json!({"max_depth": limit}));
        let inside = |depth: usize| {
            let nested = array(depth);
            let objects = format!("{}1{}", r#"{"a":"#.repeat(depth), "}".repeat(depth));
            vec![
                format!(r#"{{"a":{nested}}}"#),
                format!(r#"{{"x":{nested}}}"#),
                format!(r#"{{"a":{objects}}}"#),
                format!(r#"{{"a":[1,{{}},{}]}}"#, array(depth.saturating_sub(1))),
            ]
        };
        for message in inside(limit - 1) {
            // The last has an object within an array whatever the limit.
            if limit > 2 || !message.contains("{}") {
                assert_eq!(codes(&run(&config, messages(&[&message]))), [], "{limit} {message}");
            }
        }
        for message in inside(limit) {
            assert_eq!(codes(&run(&config, messages(&[&message]))), [(0, "too_deep")], "{message}");
        }
        let wanted: &[(u32, &str)] = if limit == 1 { &[(0, "too_deep")] } else { &[] };
        assert_eq!(codes(&run(&config, messages(&[r#"{"o":{"b":1}}"#]))), wanted);
    }
    let config = config(&columns, &json!({}));
    let bottomless = format!(r#"{{"a":{}"#, "[".repeat(1_000_000));
    assert_eq!(codes(&run(&config, messages(&[&bottomless, &"[".repeat(1_000_000)]))).len(), 2);
}

#[test]
fn messages_that_change_the_order_of_keys_are_read_alike() {
    let names: Vec<String> = (0..20).map(|n| format!("key_number_{n}")).collect();
    let columns: Vec<Value> =
        names.iter().map(|name| json!({"name": name, "type": "int64"})).collect();
    let rows: Vec<String> = (0..20)
        .map(|row| {
            let fields: Vec<String> = (0..20)
                .map(|n| (n * 7 + row) % 20)
                .filter(|n| n % 6 != row % 6)
                .map(|n| format!(r#""{}":{n}"#, names[n]))
                .collect();
            format!("{{{}}}", fields.join(", "))
        })
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let output = run(&config(&json!(columns), &json!({})), messages(&rows));
    for row in 0..20 {
        for (n, name) in names.iter().enumerate() {
            let wanted = (n % 6 != row % 6).then_some(n);
            assert_eq!(value(&output, name, row), json!(wanted));
        }
    }
}

#[test]
fn rows_of_a_large_batch_are_read_like_rows_of_a_small_one() {
    let columns = json!([
        {"name": "n", "type": "int64"}, {"name": "t", "type": "text"},
        {"name": "c", "type": "text", "from": "geo.c", "required": true},
    ]);
    let config = config(&columns, &json!({"unknown": "keep"}));
    let rows: Vec<String> = (0..300)
        .map(|row| match row % 7 {
            3 => format!(r#"{{"n":"{row}","t":null,"geo":{{"c":"","x":1}}}}"#),
            5 => format!(r#"{{"n":{row},"t":"#),
            _ => {
                let long = "é\\n".repeat(row % 50);
                format!(r#"{{"t":"{long}","geo":{{"c":"{row}"}},"x":{row},"n":{row}}}"#)
            }
        })
        .collect();
    let rows: Vec<&str> = rows.iter().map(String::as_str).collect();
    let all = run(&config, messages(&rows));
    let mut refused = 0;
    for (row, message) in rows.iter().enumerate() {
        let one = run(&config, messages(&[message]));
        for name in ["n", "t", "c", "unknown_fields"] {
            assert_eq!(value(&all, name, row), value(&one, name, 0), "{message}");
        }
        let found = all.rejections.iter().find(|r| r.row == row as u32);
        assert_eq!(
            found.map(|r| (&r.code, &r.message)),
            one.rejections.first().map(|r| (&r.code, &r.message))
        );
        refused += one.rejections.len();
    }
    assert_eq!((all.rejections.len(), refused), (86, 86));
}
