//! Rules on fields of records, elements of lists and lists as a whole.

use clickmill_plugin::prelude::*;
use clickmill_plugin::testing;

/// Three orders: of two items, of none, and of one.
fn shop() -> Vec<Column> {
    let types = Needs::new()
        .writes("id", DataType::Text)
        .writes("user", DataType::Record)
        .writes("user.email", DataType::Text)
        .writes("user.ip", DataType::Text)
        .writes_list("items", DataType::Record)
        .writes("items.name", DataType::Text)
        .writes("items.price", DataType::Decimal)
        .writes("items.quantity", DataType::Int64)
        .writes_list("items.tags", DataType::Text)
        .writes_list("mails", DataType::Text);
    let item = |name: &str, price: &str, quantity: i64, tags: &[&str]| {
        Value::record([
            ("name", Value::from(name)),
            ("price", Value::Decimal(price.parse().expect("a number"))),
            ("quantity", quantity.into()),
            ("tags", Value::list(tags.iter().copied())),
        ])
    };
    let order = |id: &str, user: Value, items: Vec<Value>, mails: &[&str]| {
        Value::record([
            ("id", Value::from(id)),
            ("user", user),
            ("items", Value::List(items)),
            ("mails", Value::list(mails.iter().copied())),
        ])
    };
    let user = |email: Option<&str>, ip: &str| {
        Value::record([("email", Value::from(email)), ("ip", ip.into())])
    };
    let hat = item("hat", "19.99", 2, &["new", "red"]);
    let cap = item("cap", "0.01", 3, &[]);
    let bag = item("bag", "-5", 1, &["old"]);
    testing::columns(
        &types.writes,
        [
            order("a", user(Some("x@y.pl"), "1.2.3.4"), vec![hat, cap], &["a@b.pl", ""]),
            order("b", Value::Null, vec![], &[]),
            order("c", user(None, "nonsense"), vec![bag], &["me at c@d.pl"]),
        ],
    )
}

/// The rows that break a rule: the place of the first value that does, and all that is told.
fn broken(rules: &str) -> Vec<(u32, String, String)> {
    let output = testing::run::<crate::Validate>(&super::rule(rules), shop());
    let output = output.expect("the configuration is accepted");
    let told = |rejection: Rejection| {
        (rejection.row, rejection.column.unwrap_or_default(), rejection.message)
    };
    output.rejections.into_iter().map(told).collect()
}

fn check(rules: &str, wanted: &[(u32, &str, &str)]) {
    let broken = broken(rules);
    let broken: Vec<(u32, &str, &str)> =
        broken.iter().map(|(row, place, told)| (*row, place.as_str(), told.as_str())).collect();
    assert_eq!(broken, wanted, "{rules}");
}

#[test]
fn one_element_that_breaks_a_rule_refuses_its_row() {
    check(
        r#"{"range": {"column": "items.price", "min": 0}}"#,
        &[(2, "items[0].price", "`items[0].price` is `-5`, wanted at least 0")],
    );
    check(
        r#"{"enum": {"column": "items.tags", "values": ["new", "old"]}}"#,
        &[(0, "items[0].tags[1]", "`items[0].tags[1]` is `red`, wanted one of: new, old")],
    );
    check(
        r#"{"compare": {"left": "items.price", "op": "gt", "right": "items.quantity"}}"#,
        &[
            (
                0,
                "items[1].price",
                "`items[1].price` is `0.01`, wanted it to be greater than `items[1].quantity`, which is `3`",
            ),
            (
                2,
                "items[0].price",
                "`items[0].price` is `-5`, wanted it to be greater than `items[0].quantity`, which is `1`",
            ),
        ],
    );
}

#[test]
fn limits_of_decimals_are_exact() {
    for (max, breaks) in [(r#""19.99""#, 0), (r#""19.989999999""#, 1), ("19.99", 0), ("19.98", 1)] {
        let rule = format!(r#"{{"range": {{"column": "items.price", "max": {max}}}}}"#);
        assert_eq!(broken(&rule).len(), breaks, "{max}");
    }
}

#[test]
fn a_field_of_a_null_record_is_null_and_a_list_may_be_required() {
    check(
        r#"{"required": {"columns": ["user.email", "items"]}}"#,
        &[
            (1, "user.email", "`user.email` is missing; `items` is empty"),
            (2, "user.email", "`user.email` is missing"),
        ],
    );
    check(r#"{"required": {"columns": ["user"]}}"#, &[(1, "user", "`user` is missing")]);
    check(
        r#"{"elements": {"column": "items.tags", "min": 1}}"#,
        &[(0, "items[1].tags", "`items[1].tags` has 0 elements, wanted at least 1")],
    );
    check(
        r#"{"elements": {"column": "mails", "max": 1}}"#,
        &[(0, "mails", "`mails` has 2 elements, wanted at most 1")],
    );
}

#[test]
fn when_is_asked_of_the_same_element_or_of_the_row() {
    check(
        r#"{"range": {"column": "items.price", "min": 1}, "when": {"column": "items.quantity", "values": [3]}}"#,
        &[(
            0,
            "items[1].price",
            "`items[1].price` is `0.01`, wanted at least 1 (where `items.quantity` is `3`)",
        )],
    );
    check(
        r#"{"range": {"column": "items.price", "min": 1}, "when": {"column": "id", "values": ["c"]}}"#,
        &[(2, "items[0].price", "`items[0].price` is `-5`, wanted at least 1 (where `id` is `c`)")],
    );
}

#[test]
fn what_is_below_a_sensitive_column_is_not_told() {
    let config =
        r#"{"rules": [{"range": {"column": "items.price", "min": 0}}], "sensitive": ["items"]}"#;
    let output = testing::run::<crate::Validate>(config, shop()).expect("it is accepted");
    let told = "`items[0].price` is (not told), wanted at least 0";
    assert_eq!(output.rejections[0].message, told);
}

#[test]
fn columns_of_two_lists_are_a_problem() {
    let rules = r#"{"compare": {"left": "id", "op": "gt", "right": "items.name"}},
        {"required": {"columns": ["id"]}, "when": {"column": "items.quantity", "values": [1]}},
        {"elements": {"column": "id", "min": 1}}, {"range": {"column": "items.price", "min": "x"}},
        {"range": {"column": "items.quantity", "min": "1", "max": 2}}"#;
    let problems = testing::configure::<crate::Validate>(&super::rule(rules), &shop());
    assert_eq!(
        problems.expect_err("problems"),
        [
            "rule 1 (`compare`): `id` lies in no list and `items.name` in the list `items`: wanted them in the same",
            "rule 2 (`required`): `when` is about `items.quantity`, which lies in the list `items`, and `id` lies in no list",
            "rule 3 (`elements`): column `id` is no list",
            "rule 4 (`range`): `x` is no number of at most 29 digits before the point and 9 after it",
            "rule 5 (`range`): the limit \"1\" is a text, wanted a number: only a decimal column takes texts",
        ]
    );
}
