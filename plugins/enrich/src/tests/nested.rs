//! Sums and counts over lists, and names within them.

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

use serde_json::json;

fn run(config: serde_json::Value) -> Output {
    super::run(config, shop())
}

/// The rows of the output, a column each.
fn column(output: &Output, name: &str) -> Vec<Value> {
    let rows = testing::rows(&output.columns);
    let of = |row: Value| match row {
        Value::Record(fields) => {
            fields.into_iter().find(|(field, _)| field == name).map(|(_, value)| value)
        }
        _ => None,
    };
    rows.into_iter().map(|row| of(row).unwrap_or_else(|| panic!("no `{name}`"))).collect()
}

#[test]
fn lists_are_summed_and_counted_exactly() {
    let output = run(json!({"totals": [
        {"sum": "items.price", "times": "items.quantity", "to": "revenue"},
        {"sum": "items.quantity", "to": "pieces"},
        {"count": "items", "to": "items_count"},
        {"count": "mails", "to": "mails_count"},
        {"count": "items.tags", "to": "tags_count"},
    ]}));
    let exact = |text: &str| Value::Decimal(text.parse().expect("a number"));
    assert_eq!(column(&output, "revenue"), [exact("40.01"), exact("0"), exact("-5")]);
    for (name, counts) in [
        ("pieces", [5i64, 0, 1]),
        ("items_count", [2, 0, 1]),
        ("mails_count", [2, 0, 1]),
        ("tags_count", [2, 0, 1]),
    ] {
        assert_eq!(column(&output, name), counts.map(Value::Int64), "{name}");
    }
}

#[test]
fn a_sum_beyond_its_type_refuses_the_row() {
    let types = Needs::new().writes_list("n", DataType::Int64);
    let rows = [vec![i64::MAX, 1], vec![1, 2]].map(|n| Value::record([("n", Value::list(n))]));
    let config = json!({"totals": [{"sum": "n", "to": "s"}]});
    let output = super::run(config, testing::columns(&types.writes, rows));
    let told = "the sum of `n` is beyond what `s` can hold";
    assert_eq!(super::rejections(&output), [(0, "out_of_range", told)]);
    assert_eq!(column(&output, "s"), [Value::Null, Value::Int64(3)]);
}

#[test]
fn names_stand_beside_their_codes() {
    testing::lookup_table(
        "goods",
        &["code", "name"],
        &[&["hat", "Hat"], &["cap", "Cap"], &["bag", "Bag"]],
    );
    let output =
        run(json!({"names": [{"column": "items.name", "table": "goods", "to": "items.title"}]}));
    let titled = |titles: &[&str]| {
        Value::list(titles.iter().map(|title| Value::record([("title", *title)])))
    };
    let wanted = [titled(&["Hat", "Cap"]), titled(&[]), titled(&["Bag"])];
    assert_eq!(column(&output, "items"), wanted);
    testing::lookup_table("tags", &["code", "name"], &[&["new", "New"], &["red", "Red"]]);
    let output =
        run(json!({"names": [{"column": "items.tags", "table": "tags", "to": "items.labels"}]}));
    let told = "`items[0].tags[0]` `old` is not in lookup table `tags`";
    assert_eq!(super::rejections(&output), [(2, "unknown_code", told)]);
}

#[test]
fn what_is_told_of_a_record_may_stand_in_it() {
    let output = run(
        json!({"user_agent": {"column": "user.email", "device": "user.device", "browser": "", "os": "", "is_bot": ""}}),
    );
    let users = column(&output, "user");
    assert!(matches!(users[0], Value::Record(_)), "{users:?}");
    assert_eq!(users[1], Value::Null);
}

#[test]
fn what_has_no_place_is_a_problem() {
    let problems = super::problems(
        json!({
            "totals": [
                {"sum": "items.name", "to": "x"}, {"count": "id", "to": "y"},
                {"sum": "items.price", "times": "items.quantity", "to": "items.z"},
                {"to": "w"},
            ],
            "names": [{"column": "items.name", "table": "goods", "to": "name"}],
            "url": {"column": "items.name", "page_category": "nowhere.category", "product": ""},
        }),
        &shop(),
    );
    assert_eq!(
        problems,
        [
            "`url.column`: column `items.name` lies in the list `items`, wanted one value per row",
            "`names[0].to`: `name` is not in the record of `items.name`, which lies in a list",
            "`totals[0].sum`: column `items.name` is text, wanted decimal or int64 or float64",
            "`totals[1].count`: no list `id` is available here",
            "`totals[2].to`: column `items.z` would lie in a list, wanted one value per row",
            "`totals[3]`: give `count`, or `sum` and perhaps `times`",
            "column `nowhere.category` cannot be written: no field of `nowhere` is read",
        ]
    );
}
