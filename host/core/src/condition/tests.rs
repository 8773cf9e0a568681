use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
    RecordBatch, StringArray, StructArray, TimestampMicrosecondArray,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Int32Type};

use super::*;

fn rows() -> RecordBatch {
    let kinds: DictionaryArray<Int32Type> =
        [Some("purchase"), Some("view"), None, Some("it's")].into_iter().collect();
    let totals = Decimal128Array::from(vec![Some(1_500_000_000), Some(0), None, Some(-1)]);
    let countries: ArrayRef =
        Arc::new(StringArray::from(vec![Some("DE"), Some("FR"), None, Some("DE")]));
    let country = Arc::new(Field::new("country", DataType::Utf8, true));
    // The last row's record is null, whatever its field holds.
    let present = NullBuffer::from(vec![true, true, true, false]);
    let user = StructArray::new(vec![country].into(), vec![countries], Some(present));
    RecordBatch::try_from_iter_with_nullable([
        ("kind", Arc::new(kinds) as ArrayRef, true),
        ("n", Arc::new(Int64Array::from(vec![Some(1), Some(5), None, Some(-7)])), true),
        (
            "x",
            Arc::new(Float64Array::from(vec![Some(f64::NAN), Some(-0.0), None, Some(2.5)])),
            true,
        ),
        ("total", Arc::new(totals.with_precision_and_scale(38, 9).expect("a type")), true),
        (
            "fine",
            Arc::new(BooleanArray::from(vec![Some(true), Some(false), None, Some(true)])),
            true,
        ),
        (
            "at",
            Arc::new(
                TimestampMicrosecondArray::from(vec![Some(0), Some(1_000_000), None, Some(2)])
                    .with_timezone("UTC"),
            ),
            true,
        ),
        ("user", Arc::new(user), true),
        (
            "tags",
            Arc::new(arrow::array::ListArray::new_null(
                Arc::new(Field::new("item", DataType::Utf8, false)),
                4,
            )),
            true,
        ),
    ])
    .expect("rows")
}

fn fields() -> Vec<Field> {
    rows().schema().fields().iter().map(|field| field.as_ref().clone()).collect()
}

#[track_caller]
fn met(text: &str) -> Vec<usize> {
    let condition: Condition = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    let bound = condition.bind(&fields()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let met = bound.met(&rows()).expect("an answer");
    (0..met.len()).filter(|row| met.value(*row)).collect()
}

#[test]
fn rows_meet_what_sql_says_of_them() {
    for (text, wanted) in [
        ("kind = 'purchase'", &[0][..]),
        (r"kind = 'it\'s'", &[3]),
        ("kind = \"it's\"", &[3]),
        ("kind <> 'purchase'", &[1, 3]),
        ("kind != 'purchase'", &[1, 3]),
        ("kind IN ('purchase', 'view')", &[0, 1]),
        ("kind not in ('purchase', 'view')", &[3]),
        ("kind IS NULL", &[2]),
        ("kind IS NOT NULL", &[0, 1, 3]),
        ("n > 1", &[1]),
        ("n >= 1 AND n <= 5", &[0, 1]),
        ("n < -6", &[3]),
        ("n = +5", &[1]),
        // NaN is nothing's equal and above nothing, and there is one zero.
        ("x > 1", &[3]),
        ("x <> 1", &[0, 1, 3]),
        ("x = 0", &[1]),
        ("x >= 2.5e0", &[3]),
        ("total = 1.5", &[0]),
        ("total < 0", &[3]),
        ("total >= 0.000000000", &[0, 1]),
        ("fine", &[0, 3]),
        ("NOT fine", &[1]),
        ("fine = FALSE", &[1]),
        ("at >= '1970-01-01 00:00:01'", &[1]),
        ("at < '1970-01-01T00:00:01Z'", &[0, 3]),
        // Of a record that is null no field has a value.
        ("user.country = 'DE'", &[0]),
        ("user.country IS NULL", &[2, 3]),
        ("user IS NULL", &[3]),
        ("`user`.`country` = 'FR'", &[1]),
        // AND binds more strongly than OR, NOT more than both.
        ("fine OR n = 5 AND kind = 'x'", &[0, 3]),
        ("(fine OR n = 5) AND kind = 'view'", &[1]),
        ("NOT kind = 'view' AND fine", &[0, 3]),
        // Null is neither true nor false.
        ("n = 1 OR kind IS NULL", &[0, 2]),
        ("NOT (n = 1)", &[1, 3]),
        ("n = 1 AND NOT fine", &[]),
    ] {
        assert_eq!(met(text), wanted, "{text}");
    }
}

#[test]
fn what_is_no_condition_is_told_by_its_place() {
    for (text, at) in [
        ("", 1),
        ("   ", 4),
        ("kind =", 7),
        ("kind = purchase", 8),
        ("kind = 'purchase", 8),
        ("kind = 'a' 'b'", 12),
        ("kind = 'it''s'", 11),
        (r"kind = '\x'", 9),
        ("kind == 'a'", 7),
        ("kind LIKE 'a%'", 6),
        ("kind = NULL", 8),
        ("kind IS 'a'", 9),
        ("kind NOT 'a'", 10),
        ("kind IN 'a'", 9),
        ("kind IN ()", 10),
        ("kind IN ('a'", 13),
        ("kind = 'ü' AND", 15),
        ("kind = 'ü' ; DROP", 12),
        ("(kind = 'a'", 12),
        ("kind = 'a')", 11),
        ("n = 1.2.3", 5),
        ("n = - 1", 5),
        ("n = --1", 5),
        ("user. = 'a'", 7),
        ("NULL", 1),
        ("1 = n", 1),
    ] {
        let error = text.parse::<Condition>().expect_err(text);
        assert_eq!(error.at, at, "{text}: {error}");
    }
    let deep = format!("{}fine{}", "(".repeat(100), ")".repeat(100));
    assert!(deep.parse::<Condition>().is_err());
    let deep = format!("{}fine", "NOT ".repeat(1000));
    assert!(deep.parse::<Condition>().is_err());
    assert!(format!("kind = '{}'", "a".repeat(9000)).parse::<Condition>().is_err());
}

#[test]
fn what_does_not_fit_the_columns_is_told_before_any_row() {
    let bind = |text: &str| {
        let condition: Condition = text.parse().expect(text);
        condition.bind(&fields()).expect_err(text).to_string()
    };
    for (text, told) in [
        ("gone = 1", "there is no column `gone`"),
        ("user.gone = 'a'", "there is no column `user.gone`"),
        ("kind.of = 'a'", "there is no column `kind.of`"),
        ("user = 'a'", "column `user` is a record"),
        ("tags = 'a'", "column `tags` is a list"),
        ("tags IS NULL", "column `tags` is a list"),
        ("tags.a = 'a'", "column `tags.a` is in a list"),
        ("kind", "column `kind` is neither true nor false"),
        ("kind = 1", "`1` is not a value of column `kind`"),
        ("n = '1'", "`'1'` is not a value of column `n`"),
        ("n = 1.5", "`1.5` is not a value of column `n`"),
        ("n IN (1, 99999999999999999999)", "is not a value of column `n`"),
        ("total = 0.0000000001", "`0.0000000001` is not a value of column `total`"),
        ("fine = 'true'", "`'true'` is not a value of column `fine`"),
        ("fine > FALSE", "`FALSE` is not a value of column `fine`"),
        ("at > 'yesterday'", "`'yesterday'` is not a value of column `at`"),
    ] {
        let error = bind(text);
        assert!(error.contains(told), "{text}: {error}");
    }
}
