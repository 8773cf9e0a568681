//! CSV columns.

use clickmill_plugin::{Column, DataType, Output, testing};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{codes, problems, run, value};
use crate::Parse;

/// What becomes of one field in a column of that type: the value, or the code.
fn field(column: &Value, options: &Value, text: Option<&str>) -> Result<Value, String> {
    let mut config = json!({"format": "csv", "columns": [column]});
    for (key, option) in options.as_object().expect("options") {
        config[key] = option.clone();
    }
    let output = run(&config, vec![Column::texts("f", [text])]);
    match output.rejections.first() {
        Some(rejection) => Err(rejection.code.clone()),
        None => Ok(value(&output, "f", 0)),
    }
}

#[test]
fn what_a_null_row_holds_is_not_read() {
    let mut column = Column::texts("f", [Some("7"), Some("x"), Some("8")]);
    column.validity = Some(vec![0b101]);
    for column_type in ["int64", "text"] {
        let config = json!({"format": "csv", "columns": [{"name": "f", "type": column_type}]});
        let output = run(&config, vec![column.clone()]);
        assert!(output.rejections.is_empty());
        assert_eq!(value(&output, "f", 1), Value::Null);
    }
}

#[test]
fn fields_become_values_of_the_columns_type_or_reject_the_row() {
    let usual: &[(&str, &str, Result<Value, &str>)] = &[
        ("int64", "42", Ok(json!(42))),
        ("int64", " -007\t", Ok(json!(-7))),
        ("int64", "", Ok(Value::Null)),
        ("int64", "  ", Ok(Value::Null)),
        ("int64", "12.0", Err("not_an_integer")),
        ("int64", "9223372036854775808", Err("not_an_integer")),
        ("float64", " 1.5e3 ", Ok(json!(1500.0))),
        ("float64", "NaN", Err("not_a_number")),
        ("float64", "1e999", Err("not_a_number")),
        ("float64", "1,5", Err("not_a_number")),
        ("boolean", "TRUE", Ok(json!(true))),
        ("boolean", "no", Ok(json!(false))),
        ("boolean", "2", Err("not_a_boolean")),
        ("date", "2008-04-01", Ok(json!(13_970))),
        ("date", "2008-04-31", Err("not_a_date")),
        ("timestamp", "1970-01-01 00:00:01", Ok(json!(1_000_000))),
        ("timestamp", "1700000000", Ok(json!(1_700_000_000_000_000i64))),
        ("timestamp", "yesterday", Err("not_a_timestamp")),
        ("text", " a ", Ok(json!(" a "))),
        ("text", "", Ok(Value::Null)),
    ];
    for (column_type, text, wanted) in usual {
        let column = json!({"name": "f", "type": column_type});
        let wanted = wanted.clone().map_err(str::to_owned);
        assert_eq!(field(&column, &json!({}), Some(text)), wanted, "{column_type} {text:?}");
        assert_eq!(field(&column, &json!({}), None), Ok(Value::Null), "{column_type} null");
    }
}

#[test]
fn empty_fields_are_values_where_they_are_not_null() {
    let options = json!({"empty_is_null": false});
    assert_eq!(field(&json!({"name": "f", "type": "text"}), &options, Some("")), Ok(json!("")));
    assert_eq!(
        field(&json!({"name": "f", "type": "int64"}), &options, Some("")),
        Err("not_an_integer".to_owned())
    );
}

#[test]
fn what_is_unreadable_is_null_and_counted_where_the_setting_says_so() {
    let config = json!({"format": "csv", "columns": [
        {"name": "n", "type": "int64", "unreadable": "null"}, {"name": "m", "type": "int64"},
    ]});
    let column = |name: &str| Column::texts(name, [Some("1"), Some("x"), Some(""), None]);
    testing::take_log();
    let output = run(&config, vec![column("n"), column("m")]);
    assert_eq!(codes(&output), [(1, "not_an_integer")]);
    assert_eq!(testing::take_log(), [""; 0]);
    let output = run(&config, vec![column("n"), Column::texts("m", [None::<&str>; 4])]);
    assert_eq!(codes(&output), []);
    assert_eq!([0, 1, 2, 3].map(|row| output.columns[0].int64(row)), [Some(1), None, None, None]);
    assert_eq!(testing::take_log(), ["unreadable: 1 n"]);
}

#[test]
fn white_space_matters_where_it_is_not_trimmed() {
    let options = json!({"trim": false});
    let column = json!({"name": "f", "type": "int64"});
    assert_eq!(field(&column, &options, Some("1 ")), Err("not_an_integer".to_owned()));
    assert_eq!(field(&column, &options, Some("1")), Ok(json!(1)));
}

#[test]
fn required_fields_reject_rows_without_them() {
    for column_type in ["text", "int64", "float64", "boolean", "date", "timestamp"] {
        let column = json!({"name": "f", "type": column_type, "required": true});
        for options in [json!({}), json!({"empty_is_null": false})] {
            for text in [None, Some("")] {
                let got = field(&column, &options, text);
                assert_eq!(got, Err("required".to_owned()), "{column_type} {text:?}");
            }
        }
    }
}

#[test]
fn a_columns_own_spellings_of_true_and_false_go_first() {
    let column = json!({"name": "f", "type": "boolean", "true": ["1", "ON"], "false": ["2", "y"]});
    for (text, wanted) in [("1", true), ("2", false), ("on", true), ("Y", false), ("yes", true)] {
        assert_eq!(field(&column, &json!({}), Some(text)), Ok(json!(wanted)), "{text}");
    }
}

#[test]
fn a_row_is_rejected_once_for_the_first_column_at_fault() {
    let config = json!({"format": "csv", "columns": [
        {"name": "a", "type": "int64", "from": "A"},
        {"name": "b", "type": "float64", "from": "B"},
        {"name": "c", "type": "text", "from": "C", "required": true},
    ]});
    let output = run(
        &config,
        vec![
            Column::texts("C", [Some("ok"), Some(""), Some(""), Some("ok")]),
            Column::texts("A", [Some("1"), Some("2"), Some("x"), Some("4")]),
            Column::texts("B", [Some("x"), Some("2.5"), Some("y"), Some("4.5")]),
        ],
    );
    assert_eq!(codes(&output), [(0, "not_a_number"), (1, "required"), (2, "not_an_integer")]);
    assert_eq!(output.rejections[0].message, "`a` is `x`, wanted an integer of 64 bits");
    assert_eq!(output.rejections[0].column.as_deref(), Some("a"));
    assert_eq!(value(&output, "a", 3), json!(4));
    assert_eq!(value(&output, "b", 3), json!(4.5));
    assert_eq!(value(&output, "c", 3), json!("ok"));
    assert_eq!(value(&output, "b", 1), json!(2.5));
}

#[test]
fn a_field_may_feed_several_columns() {
    let config = json!({"format": "csv", "columns": [
        {"name": "spelled", "type": "text", "from": "n"},
        {"name": "n", "type": "int64"},
        {"name": "again", "type": "text", "from": "n"},
    ]});
    let output = run(&config, vec![Column::texts("n", [Some("01"), None])]);
    assert_eq!(value(&output, "spelled", 0), json!("01"));
    assert_eq!(value(&output, "n", 0), json!(1));
    assert_eq!(value(&output, "again", 0), json!("01"));
    assert_eq!(value(&output, "again", 1), Value::Null);
}

#[test]
fn nulls_and_empties_are_null_in_columns_of_any_length() {
    let config = json!({"format": "csv", "columns": [
        {"name": "t", "type": "text"}, {"name": "n", "type": "int64", "from": "t"},
    ]});
    for rows in 1..40 {
        let of = |row: usize| match row % 5 {
            1 => None,
            3 => Some(""),
            _ => Some("7"),
        };
        let output = run(&config, vec![Column::texts("t", (0..rows).map(of))]);
        let bytes = rows.div_ceil(8);
        for row in 0..rows {
            let wanted = of(row).filter(|text| !text.is_empty());
            assert_eq!(output.columns[0].text(row), wanted);
            assert_eq!(output.columns[1].int64(row), wanted.map(|_| 7));
        }
        for column in &output.columns {
            let bits = column.validity.as_ref();
            assert_eq!(bits.is_some(), rows > 1);
            assert!(bits.is_none_or(|bits| bits.len() == bytes));
            // Bits that no row has are 0, as in the SDK's own columns.
            assert!(bits.is_none_or(|bits| rows % 8 == 0 || bits[bytes - 1] >> (rows % 8) == 0));
        }
    }
}

#[test]
fn needs_are_the_fields_read_and_the_columns_written() {
    let config = json!({"format": "csv", "unknown": "keep", "columns": [
        {"name": "price", "type": "float64", "from": "p"},
        {"name": "spelled", "type": "text", "from": "p"},
    ]});
    let input = [
        Column::texts("p", [Some("1")]),
        Column::texts("q", [Some("1")]),
        Column::int64s("typed_already", [Some(1)]),
    ];
    let needs = testing::configure::<Parse>(&config.to_string(), &input).expect("accepted");
    let reads: Vec<&str> = needs.reads.iter().map(|read| read.path.as_str()).collect();
    assert_eq!(reads, ["p", "q"]);
    let writes: Vec<(&str, DataType)> =
        needs.writes.iter().map(|write| (write.path.as_str(), write.data_type)).collect();
    assert_eq!(
        writes,
        [
            ("price", DataType::Float64),
            ("spelled", DataType::Text),
            ("unknown_fields", DataType::Text)
        ]
    );
}

#[test]
fn fields_that_nobody_takes_are_kept_as_json_or_refused_at_the_start() {
    let mut config = json!({"format": "csv", "unknown": "keep", "unknown_column": "rest",
        "columns": [{"name": "a", "type": "text"}]});
    let input = vec![
        Column::texts("a", [Some("1"), Some("2"), Some("3")]),
        Column::texts("b\"", [Some("x\n\"é"), Some(""), None]),
        Column::texts("c", [Some("1"), Some("2"), None]),
    ];
    let output = run(&config, input.clone());
    assert_eq!(value(&output, "rest", 0), json!(r#"{"b\"":"x\n\"é","c":"1"}"#));
    assert_eq!(value(&output, "rest", 1), json!(r#"{"c":"2"}"#));
    assert_eq!(value(&output, "rest", 2), Value::Null);

    // A header's name may have a dot, wherever it stands, and is no path.
    let texts = |name: &str| Column::texts(name, [Some("1"), Some("2"), Some("3")]);
    let dotted = ["x.y", "a", "user.name", "c"].map(texts).to_vec();
    // Tables of other columns are configured anew.
    let mut of_dotted = config.clone();
    of_dotted["trim"] = json!(true);
    let output = run(&of_dotted, dotted);
    assert_eq!(value(&output, "rest", 2), json!(r#"{"x.y":"3","user.name":"3","c":"3"}"#));

    config["unknown"] = json!("refuse");
    assert_eq!(
        problems(&config, &input),
        [
            "column `b\"` is in the input but not in `columns`, and `unknown` is `refuse`",
            "column `c` is in the input but not in `columns`, and `unknown` is `refuse`"
        ]
    );
}

proptest! {
    /// Columns of single bytes, and texts that come again in the next row.
    #[test]
    fn what_a_field_becomes_does_not_depend_on_the_rows_around_it(
        texts in prop_oneof![
            prop::collection::vec("[0-9ty \\-]", 30..60),
            prop::collection::vec("|7|x|2008|200x|2008-04-0[12]|1[.]5|true| 12 ", 1..60),
            prop::collection::vec("2008-04-0[123]|2008-04-3[01]", 1..60),
        ],
        column_type in prop::sample::select(
            vec!["boolean", "int64", "float64", "decimal", "date", "timestamp"],
        ),
    ) {
        let config = json!({"format": "csv", "columns": [{"name": "f", "type": column_type}]});
        let read = |texts: &[String]| run(&config, vec![Column::texts("f", texts.iter().map(Some))]);
        let told = |output: &Output, row: usize| {
            let rejection = output.rejections.iter().find(|told| told.row as usize == row);
            rejection.map(|told| (told.code.clone(), told.message.clone()))
        };
        let together = read(&texts);
        for (row, text) in texts.iter().enumerate() {
            let alone = read(std::slice::from_ref(text));
            prop_assert_eq!(value(&together, "f", row), value(&alone, "f", 0), "{:?}", text);
            prop_assert_eq!(told(&together, row), told(&alone, 0), "{:?}", text);
        }
    }
}
