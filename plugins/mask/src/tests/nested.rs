//! Fields of records and elements of lists.

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

fn run(columns: &str, more: &str) -> Output {
    let config = format!(r#"{{{}, {more}"columns": {{{columns}}}}}"#, super::KEY);
    testing::run::<crate::Mask>(&config, shop()).expect("the configuration is accepted")
}

/// The values of a column of the output, by its path.
fn values<'o>(output: &'o Output, path: &str) -> Vec<Option<&'o str>> {
    let mut parent = None;
    for name in path.split('.') {
        let at = output.columns.iter().position(|c| c.name == name && c.parent == parent);
        parent = Some(at.unwrap_or_else(|| panic!("no `{path}`")) as u32);
    }
    let column = &output.columns[parent.unwrap_or_default() as usize];
    (0..column.len()).map(|at| column.text(at)).collect()
}

#[test]
fn each_value_is_treated_where_it_stands() {
    let output = run(
        r#""user.email": "pseudonym", "user.ip": "ip", "mails": "clean", "items.tags": "pseudonym""#,
        "",
    );
    let emails = values(&output, "user.email");
    assert!(emails[0].is_some_and(|email| email.starts_with("k1_")), "{emails:?}");
    assert_eq!(emails[1..], [None, None]);
    assert_eq!(values(&output, "mails"), [Some("[email]"), Some(""), Some("me at [email]")]);
    assert_eq!(values(&output, "items.tags").len(), 3);
    assert_eq!(values(&output, "user.ip"), [Some("1.2.3.0"), None, None]);
    let [refused] = &output.rejections[..] else { panic!("{:?}", output.rejections) };
    assert_eq!((refused.row, refused.column.as_deref()), (2, Some("user.ip")));
}

#[test]
fn a_nested_value_has_the_pseudonym_that_it_has_elsewhere() {
    let output = run(r#""hash": {"pseudonym": {"from": "user.email"}}"#, "");
    let hashes = values(&output, "hash");
    let flat = Column::texts("email", [Some("x@y.pl")]);
    let config = format!(r#"{{{}, "columns": {{"email": "pseudonym"}}}}"#, super::KEY);
    let flat = testing::run::<crate::Mask>(&config, vec![flat]).expect("it runs");
    assert_eq!(hashes, [flat.columns[0].text(0), None, None]);
}

#[test]
fn elements_are_never_null_and_a_list_that_is_removed_is_empty() {
    testing::take_log();
    let output = run(
        r#""items.tags": "ip", "mails": "remove", "items.price": "remove""#,
        r#""unreadable": "null", "#,
    );
    assert_eq!(values(&output, "items.tags"), [Some(""); 3]);
    assert_eq!(testing::take_log(), ["unreadable: 3 items.tags"]);
    let rows = testing::rows(&output.columns);
    let Value::Record(first) = &rows[0] else { panic!("{rows:?}") };
    assert!(first.contains(&("mails".to_owned(), Value::List(Vec::new()))), "{first:?}");
    let output = run(r#""items.tags": "ip""#, "");
    let places: Vec<_> = output.rejections.iter().map(|r| (r.row, r.column.as_deref())).collect();
    assert_eq!(places, [(0, Some("items[0].tags[0]")), (2, Some("items[0].tags[0]"))]);
}

#[test]
fn what_has_no_place_is_a_problem() {
    let columns = r#""user": "remove", "tag": {"pseudonym": {"from": "items.tags"}},
        "items.x": {"pseudonym": {"from": "id"}}, "items.price": "ip""#;
    let config = format!(r#"{{{}, "columns": {{{columns}}}}}"#, super::KEY);
    let problems = testing::configure::<crate::Mask>(&config, &shop()).expect_err("problems");
    assert_eq!(
        problems,
        [
            "column `items.price`: `items.price` is decimal, wanted text",
            "column `items.x`: `id` is not in the same record, where its pseudonym is to stand",
            "column `tag`: `items.tags` is not in the same record, where its pseudonym is to stand",
            "column `user`: `user` is a record: name its fields, such as `user.id`",
        ]
    );
}
