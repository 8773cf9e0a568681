//! The plugin as the host sees it.

mod nested;
mod problems;
mod properties;

use clickmill_plugin::prelude::*;
use clickmill_plugin::testing;

use crate::Validate;
use crate::rule::{Check, Rule};

const DAY: i64 = 86_400 * 1_000_000;
const NOW: i64 = 20_000 * DAY + DAY / 2;

fn run(config: &str, columns: Vec<Column>) -> Output {
    testing::run_at::<Validate>(config, columns, NOW).expect("the configuration is accepted")
}

fn rule(rule: &str) -> String {
    format!(r#"{{"rules": [{rule}]}}"#)
}

/// Runs one rule, and compares the rows that break it and what the first of them is told.
fn check_rule(text: &str, columns: Vec<Column>, rows: &[u32], code: &str, message: &str) {
    let output = run(&rule(text), columns);
    let found: Vec<u32> = output.rejections.iter().map(|rejection| rejection.row).collect();
    assert_eq!(found, rows, "{text}");
    assert_eq!(output.rejections[0].message, message, "{text}");
    assert!(output.rejections.iter().all(|rejection| rejection.code == code), "{text}");
    assert!(output.columns.is_empty());
}

#[test]
fn required_refuses_nulls_and_names_the_column() {
    check_rule(
        r#"{"required": {"columns": ["a", "b"]}}"#,
        vec![
            Column::texts("a", [Some("x"), None, Some(""), None]),
            Column::int64s("b", [Some(1), Some(1), None, None]),
        ],
        &[1, 2, 3],
        "required",
        "`a` is missing",
    );
}

#[test]
fn enum_refuses_other_values_and_passes_nulls() {
    check_rule(
        r#"{"enum": {"column": "a", "values": ["x", "longer than eight bytes"]}}"#,
        vec![Column::texts(
            "a",
            [Some("x"), None, Some("longer than eight bytes"), Some("X"), Some("X"), Some("")],
        )],
        &[3, 4, 5],
        "not_allowed",
        "`a` is `X`, wanted one of: x, longer than eight bytes",
    );
    check_rule(
        r#"{"enum": {"column": "a", "values": [1,2,3,4,5,6,7,8,9,10,11,12,13]}}"#,
        vec![Column::int64s("a", [Some(1), None, Some(0), Some(13), Some(-1)])],
        &[2, 4],
        "not_allowed",
        "`a` is `0`, wanted one of: 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12 … (13 in all)",
    );
}

#[test]
fn range_includes_its_limits_and_passes_nulls() {
    let numbers = [Some(-1), Some(0), Some(10), Some(11), None, Some(i64::MIN), Some(i64::MAX)];
    let ints = || vec![Column::int64s("n", numbers)];
    check_rule(
        r#"{"range": {"column": "n", "min": 0, "max": 10}}"#,
        ints(),
        &[0, 3, 5, 6],
        "out_of_range",
        "`n` is `-1`, wanted 0 to 10",
    );
    check_rule(
        r#"{"range": {"column": "n", "min": -0.5}}"#,
        ints(),
        &[0, 5],
        "out_of_range",
        "`n` is `-1`, wanted at least -0.5",
    );
    check_rule(
        r#"{"range": {"column": "n", "max": 10.5}}"#,
        ints(),
        &[3, 6],
        "out_of_range",
        "`n` is `11`, wanted at most 10.5",
    );
    let floats = [Some(-0.1), Some(0.0), Some(f64::NAN), None, Some(f64::INFINITY)];
    let floats = || vec![Column::float64s("n", floats)];
    check_rule(
        r#"{"range": {"column": "n", "min": 0}}"#,
        floats(),
        &[0, 2],
        "out_of_range",
        "`n` is `-0.1`, wanted at least 0",
    );
    check_rule(
        r#"{"range": {"column": "n", "max": 1e308}}"#,
        floats(),
        &[2, 4],
        "out_of_range",
        "`n` is `NaN`, wanted at most 1e+308",
    );
}

#[test]
fn regex_is_searched_for() {
    check_rule(
        r#"{"regex": {"column": "a", "pattern": "^[a-c]\\d+$"}}"#,
        vec![Column::texts(
            "a",
            [Some("a1"), None, Some("a1 "), Some("d1"), Some("c22"), Some("a\u{664}")],
        )],
        &[2, 3, 5],
        "no_match",
        "`a` is `a1 `, wanted a match of `^[a-c]\\d+$`",
    );
    let output = run(
        &rule(
            r#"{"regex": {"column": "a", "pattern": "b"}}, {"regex": {"column": "a", "pattern": "^(?u:.){3}$"}}"#,
        ),
        vec![Column::texts("a", [Some("abc"), Some("übü")])],
    );
    assert_eq!(output, Output::new(vec![]));
}

#[test]
fn length_counts_characters() {
    check_rule(
        r#"{"length": {"column": "a", "min": 2, "max": 3}}"#,
        vec![Column::texts(
            "a",
            [Some("ab"), Some("a"), Some("üüü"), Some("üüüü"), Some("😀"), None, Some("😀😀😀")],
        )],
        &[1, 3, 4],
        "bad_length",
        "`a` has 1 character, wanted 2 to 3",
    );
}

#[test]
fn window_is_relative_to_when_a_row_was_taken_in() {
    let times = [NOW, NOW - DAY, NOW - DAY - 1, NOW + 60_000_000, NOW + 60_000_001];
    let mut times: Vec<Option<i64>> = times.into_iter().map(Some).collect();
    times.extend([None, Some(i64::MIN), Some(i64::MAX)]);
    check_rule(
        r#"{"window": {"column": "t", "past_days": 1, "future_secs": 60}}"#,
        vec![Column::timestamps("t", times.clone())],
        &[2, 4, 6, 7],
        "out_of_window",
        "`t` is `2024-10-03T11:59:59.999999Z`, wanted 1 day before to 60 s after 2024-10-04T12:00:00Z, when it was taken in",
    );
    check_rule(
        r#"{"window": {"column": "t", "past_secs": 86400}}"#,
        vec![Column::timestamps("t", times)],
        &[2, 6],
        "out_of_window",
        "`t` is `2024-10-03T11:59:59.999999Z`, wanted at most 1 day before 2024-10-04T12:00:00Z, when it was taken in",
    );
    check_rule(
        r#"{"window": {"column": "d", "past_days": 1, "future_secs": 60}}"#,
        vec![Column::dates("d", [Some(20_000), Some(19_999), Some(19_998), Some(20_001), None])],
        &[2, 3],
        "out_of_window",
        "`d` is `2024-10-02`, wanted 1 day before to 60 s after 2024-10-04T12:00:00Z, when it was taken in",
    );
}

#[test]
fn compare_passes_nulls_and_mixes_numbers() {
    let ints = Column::int64s("a", [Some(1), Some(2), Some(3), None, Some(5), Some(0)]);
    let floats =
        Column::float64s("b", [Some(1.5), Some(2.0), Some(2.5), Some(0.0), None, Some(f64::NAN)]);
    let columns = || vec![ints.clone(), floats.clone()];
    let cases: [(&str, &[u32]); 6] = [
        ("eq", &[0, 2, 5]),
        ("ne", &[1]),
        ("lt", &[1, 2, 5]),
        ("le", &[2, 5]),
        ("gt", &[0, 1, 5]),
        ("ge", &[0, 5]),
    ];
    for (op, rows) in cases {
        for (left, right, op) in [("a", "b", op), ("b", "a", flipped(op))] {
            let config = rule(&format!(
                r#"{{"compare": {{"left": "{left}", "op": "{op}", "right": "{right}"}}}}"#
            ));
            let found: Vec<u32> =
                run(&config, columns()).rejections.iter().map(|r| r.row).collect();
            assert_eq!(found, rows, "{left} {op} {right}");
        }
    }
    check_rule(
        r#"{"compare": {"left": "a", "op": "le", "right": "b"}}"#,
        vec![
            Column::texts("a", [Some("a"), Some("b")]),
            Column::texts("b", [Some("a"), Some("a")]),
        ],
        &[1],
        "inconsistent",
        "`a` is `b`, wanted it to be at most `b`, which is `a`",
    );
}

fn flipped(op: &str) -> &str {
    match op {
        "lt" => "gt",
        "le" => "ge",
        "gt" => "lt",
        "ge" => "le",
        other => other,
    }
}

#[test]
fn starts_wants_the_prefix_of_the_other_columns_value() {
    let columns = || {
        vec![
            Column::texts(
                "model",
                [Some("A1"), Some("B1"), Some("C1"), Some("P1"), None, Some("A1")],
            ),
            Column::texts(
                "category",
                [
                    Some("trousers"),
                    Some("trousers"),
                    Some("blouses"),
                    Some("new"),
                    Some("trousers"),
                    None,
                ],
            ),
            Column::int64s("code", [Some(1), Some(1), Some(3), Some(4), Some(1), None]),
        ]
    };
    let prefixes = r#"{"trousers": "A", "blouses": "C"}"#;
    check_rule(
        &format!(
            r#"{{"starts": {{"column": "model", "by": "category", "prefixes": {prefixes}}}}}"#
        ),
        columns(),
        &[1],
        "wrong_prefix",
        "`model` is `B1`, wanted it to start with `A` where `category` is `trousers`",
    );
    check_rule(
        &format!(
            r#"{{"starts": {{"column": "model", "by": "category", "prefixes": {prefixes}, "strict": true}}}}"#
        ),
        columns(),
        &[1, 3],
        "wrong_prefix",
        "`model` is `B1`, wanted it to start with `A` where `category` is `trousers`",
    );
    check_rule(
        r#"{"starts": {"column": "model", "by": "code", "prefixes": {"1": "A", "4": "P"}}}"#,
        columns(),
        &[1],
        "wrong_prefix",
        "`model` is `B1`, wanted it to start with `A` where `code` is `1`",
    );
}

#[test]
fn when_limits_a_rule_to_some_rows() {
    check_rule(
        r#"{"required": {"columns": ["price"]}, "code": "no_price", "when": {"column": "type", "values": ["purchase"]}}"#,
        vec![
            Column::int64s("price", [None, Some(1), None, None]),
            Column::texts("type", [Some("purchase"), Some("purchase"), Some("view"), None]),
        ],
        &[0],
        "no_price",
        "`price` is missing (where `type` is `purchase`)",
    );
}

#[test]
fn the_first_broken_rule_decides_and_the_message_names_all() {
    let config = rule(
        r#"{"enum": {"column": "bot", "values": ["no"]}, "action": "drop"},
           {"range": {"column": "n", "min": 0}},
           {"required": {"columns": ["n", "t"]}, "code": "lost"},
           {"length": {"column": "bot", "max": 3}, "action": "drop"},
           {"length": {"column": "t", "max": 1}}"#,
    );
    let output = run(
        &config,
        vec![
            Column::texts("bot", [Some("no"), Some("yes"), Some("no"), Some("no")]),
            Column::int64s("n", [Some(-1), Some(-1), None, Some(1)]),
            Column::texts("t", [Some("ab"), Some("ab"), None, Some("a")]),
        ],
    );
    let rejection = |row, code: &str, message: &str, column: &str| Rejection {
        row,
        code: code.to_owned(),
        message: message.to_owned(),
        column: Some(column.to_owned()),
    };
    assert_eq!(
        output.rejections,
        [
            rejection(
                0,
                "out_of_range",
                "`n` is `-1`, wanted at least 0; `t` has 2 characters, wanted at most 1",
                "n"
            ),
            rejection(2, "lost", "`n` is missing; `t` is missing", "n"),
        ]
    );
    assert_eq!(output.dropped, [1]);
}

#[test]
fn values_of_sensitive_columns_are_not_told() {
    let config = r#"{"sensitive": ["a", "b"], "rules": [
        {"enum": {"column": "a", "values": ["x"]}}, {"regex": {"column": "a", "pattern": "x"}},
        {"compare": {"left": "c", "op": "eq", "right": "a"}},
        {"starts": {"column": "c", "by": "b", "prefixes": {"7": "secret7"}}},
        {"enum": {"column": "c", "values": ["x"]}, "when": {"column": "b", "values": [7]}}]}"#;
    let columns = vec![
        Column::texts("a", [Some("secret")]),
        Column::int64s("b", [Some(7)]),
        Column::texts("c", [Some("open")]),
    ];
    let output = run(config, columns);
    let message = &output.rejections[0].message;
    assert_eq!(message.matches("(not told)").count(), 5, "{message}");
    assert_eq!(message.matches("`open`").count(), 3, "{message}");
    assert!(!message.contains("secret") && !message.contains('7'), "{message}");
}

#[test]
fn it_reads_each_column_of_its_rules_once_and_writes_none() {
    let columns = [
        Column::texts("a", [Some("")]),
        Column::int64s("b", [Some(7)]),
        Column::texts("c", [Some("")]),
    ];
    let config = rule(
        r#"{"required": {"columns": ["a"]}}, {"length": {"column": "a", "max": 3}, "when": {"column": "b", "values": [1]}}"#,
    );
    let needs = testing::configure::<Validate>(&config, &columns).expect("accepted");
    assert_eq!(needs, Needs::new().reads("a", DataType::Text).reads("b", DataType::Int64));
}

#[test]
fn the_schema_describes_every_kind_of_rule() {
    let schema = schemars::schema_for!(crate::Config).as_value().to_string();
    for word in [
        "required", "enum", "range", "regex", "length", "window", "compare", "starts", "when",
        "action",
    ] {
        assert!(schema.contains(&format!("\"{word}\":")), "{word}");
    }
}

/// Limits and values of each kind, read as they are written.
#[test]
fn rules_that_were_accepted_are_the_same_when_they_are_read_again() {
    let config = r#"{"sensitive": ["t"], "rules": [
        {"required": {"columns": ["t", "n"]}, "code": "gone"},
        {"enum": {"column": "n", "values": [1, -2]}, "action": "drop", "when": {"column": "t", "values": ["a"]}},
        {"range": {"column": "n", "min": -9223372036854775808, "max": 1e3}},
        {"range": {"column": "d", "min": "0.01", "max": 18446744073709551615}},
        {"regex": {"column": "t", "pattern": "^a\\d$"}},
        {"length": {"column": "t", "min": 1}},
        {"compare": {"left": "n", "op": "le", "right": "d"}},
        {"starts": {"column": "t", "by": "n", "prefixes": {"1": "a", "-2": "\""}, "strict": true}}]}"#;
    let available = [("t", DataType::Text), ("n", DataType::Int64), ("d", DataType::Decimal)]
        .map(|(path, data_type)| ColumnSpec { path: path.to_owned(), data_type, repeated: false });
    let first = serde_json::from_str(config).expect("it is JSON");
    let first = Validate::configure(first, &available).unwrap_or_else(|e| panic!("{e:?}"));
    let again = Validate::restore(config, &first.prepare(), &available);
    let again = again.unwrap_or_else(|e| panic!("{e:?}"));
    assert_eq!(again.needs(), first.needs());
    assert_eq!(again.prepare(), first.prepare());
    assert_eq!(again.sensitive, first.sensitive);
    for (again, first) in again.rules.iter().zip(&first.rules) {
        assert_eq!(again.code, first.code);
        assert_eq!(again.action, first.action);
        let bounds = |rule: &Rule| match &rule.check {
            Check::Int64Range { bounds, .. }
            | Check::DecimalRange { bounds, .. }
            | Check::Length { bounds, .. }
            | Check::OneOf { listed: bounds, .. } => bounds.clone(),
            _ => String::new(),
        };
        assert_eq!(bounds(again), bounds(first));
    }
    assert_eq!(again.rules.len(), first.rules.len());
    for prepared in [&b""[..], b"\0", b"\x01\x01"] {
        assert!(Validate::restore(config, prepared, &available).is_err(), "{prepared:?}");
    }
}
