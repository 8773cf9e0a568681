//! The plugin as the host sees it.

mod corpus;
mod json;
mod leftovers;
mod nested;
mod properties;
mod writings;

use clickmill_plugin::prelude::*;
use clickmill_plugin::testing;

use crate::Mask;
use crate::clean::{Cleaner, Scratch};
use crate::config::{Clean, Kind};

const EVERY_KIND: &[Kind] =
    &[Kind::Email, Kind::Phone, Kind::Token, Kind::Ip, Kind::Iban, Kind::Card, Kind::ApiKey];
const KEY: &str = r#""key": "a key for tests only, 42""#;

/// Cleans each text of the usual kinds and compares.
pub(crate) fn check_clean(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(clean(text), *expected, "{text}");
    }
}

/// Cleans each text of one kind and compares.
pub(crate) fn check_clean_of(kind: Kind, cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(clean_of(&[kind], text), *expected, "{text}");
    }
}

fn clean(text: &str) -> String {
    clean_of(&Kind::usual(), text)
}

pub(crate) fn clean_of(kinds: &[Kind], text: &str) -> String {
    let cleaner = Cleaner::new(Clean { kinds: kinds.to_vec(), keep_params: None });
    match cleaner.clean(text.as_bytes(), &mut Scratch::default()) {
        Some(cleaned) => String::from_utf8(cleaned.to_vec()).expect("cleaned text is UTF-8"),
        None => text.to_owned(),
    }
}

fn run(config: &str, columns: Vec<Column>) -> Output {
    testing::run::<Mask>(config, columns).expect("the configuration is accepted")
}

fn problems(config: &str, columns: &[Column]) -> Problems {
    testing::configure::<Mask>(config, columns).expect_err("the configuration has problems")
}

fn texts(column: &Column) -> Vec<Option<&str>> {
    (0..column.len()).map(|row| column.text(row)).collect()
}

fn pseudonyms(options: &str, values: &[Option<&str>]) -> Vec<Option<String>> {
    let config = format!(r#"{{{KEY}, "columns": {{"id": {options}}}}}"#);
    let output = run(&config, vec![Column::texts("id", values.iter().copied())]);
    texts(&output.columns[0]).into_iter().map(|text| text.map(str::to_owned)).collect()
}

#[test]
fn pseudonyms_of_a_key_never_change() {
    let found = pseudonyms(r#""pseudonym""#, &[Some("user-1"), None, Some("")]);
    let expected = [Some("k1_28708953f12a4ee210fdbf39a0b3089c".to_owned()), None, None];
    assert_eq!(found, expected);
}

#[test]
fn an_integer_has_the_pseudonym_of_its_decimal_text() {
    let config = format!(
        r#"{{{KEY}, "columns": {{"number": "pseudonym", "text": "pseudonym", "copy": {{"pseudonym": {{"from": "number"}}}}}}}}"#
    );
    let numbers = [Some(42), Some(-7), None, Some(i64::MIN), Some(42)];
    let output = run(
        &config,
        vec![
            Column::int64s("number", numbers),
            Column::texts("text", numbers.map(|number| number.map(|n| n.to_string()))),
        ],
    );
    let names: Vec<&str> = output.columns.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, ["copy", "number", "text"]);
    assert_eq!(texts(&output.columns[0]), texts(&output.columns[2]));
    assert_eq!(texts(&output.columns[1]), texts(&output.columns[2]));
}

#[test]
fn a_domain_a_key_and_a_key_id_each_make_other_pseudonyms() {
    let shared = pseudonyms(r#""pseudonym""#, &[Some("7")]);
    let empty = pseudonyms(r#"{"pseudonym": {"domain": ""}}"#, &[Some("7")]);
    let session = pseudonyms(r#"{"pseudonym": {"domain": "session"}}"#, &[Some("7")]);
    assert_eq!(shared, empty);
    assert_ne!(shared, session);

    let column = || vec![Column::texts("id", [Some("7")])];
    let other = run(
        r#"{"key": "another key for tests", "key_id": "k2", "columns": {"id": "pseudonym"}}"#,
        column(),
    );
    let other = other.columns[0].text(0).expect("not null").to_owned();
    assert!(other.starts_with("k2_") && other.len() == 35, "{other}");
    assert_ne!(shared[0].as_deref().map(|text| &text[3..]), Some(&other[3..]));
}

#[test]
fn without_a_key_pseudonyms_are_refused_and_the_rest_is_fine() {
    let columns =
        || vec![Column::texts("id", [Some("7")]), Column::texts("ip", [Some("192.0.2.1")])];
    let problems = testing::configure::<Mask>(r#"{"columns": {"id": "pseudonym"}}"#, &columns());
    assert_eq!(
        problems,
        Err(vec!["column `id`: no pseudonym without the secret `key`".to_owned()])
    );
    run(r#"{"columns": {"ip": "ip"}}"#, columns());
}

#[test]
fn bad_addresses_are_refused_once_and_not_told() {
    let config = r#"{"columns": {"a": "ip", "b": "ip"}}"#;
    let columns = vec![
        Column::texts("a", [Some("192.0.2.1"), Some("secret"), None, Some("192.0.2.1")]),
        Column::texts("b", [Some("x"), Some("secret"), None, Some("2001:db8::1")]),
    ];
    let output = run(config, columns);
    assert_eq!(texts(&output.columns[0]), [Some("192.0.2.0"), None, None, Some("192.0.2.0")]);
    let refused: Vec<_> =
        output.rejections.iter().map(|r| (r.row, r.code.as_str(), r.column.as_deref())).collect();
    assert_eq!(refused, [(0, "bad_ip", Some("b")), (1, "bad_ip", Some("a"))]);
    assert!(output.rejections.iter().all(|r| !r.message.contains("secret")));
}

#[test]
fn what_is_no_address_is_null_and_counted_where_the_setting_says_so() {
    let addresses = [
        Some("192.0.2.1:443"),
        Some("192.0.2.1, 10.0.0.1"),
        Some("unknown"),
        Some(""),
        None,
        Some("192.0.2.1"),
    ];
    let columns = || vec![Column::texts("a", addresses), Column::texts("b", addresses)];
    let wanted = [None, None, None, None, None, Some("192.0.2.0")];
    testing::take_log();
    let output = run(r#"{"unreadable": "null", "columns": {"a": "ip", "b": "ip"}}"#, columns());
    assert!(output.rejections.is_empty());
    assert_eq!(texts(&output.columns[0]), wanted);
    assert_eq!(texts(&output.columns[1]), wanted);
    assert_eq!(testing::take_log(), ["unreadable: 3 a", "unreadable: 3 b"]);
    // The column's own setting goes before, and what is in a refused row is not counted.
    for config in [
        r#"{"columns": {"a": {"ip": {"unreadable": "null"}}, "b": "ip"}}"#,
        r#"{"unreadable": "null", "columns": {"a": "ip", "b": {"ip": {"unreadable": "reject"}}}}"#,
    ] {
        let output = run(config, columns());
        assert_eq!(output.rejections.iter().map(|r| r.row).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(testing::take_log(), [""; 0]);
    }
}

#[test]
fn a_removed_column_is_null_and_a_kept_one_is_not_asked_for() {
    let config = r#"{"columns": {"name": "remove", "age": "remove", "country": "keep"}}"#;
    let columns = vec![
        Column::texts("name", [Some("Ada"); 9]),
        Column::int64s("age", [Some(36); 9]),
        Column::texts("country", [Some("GB"); 9]),
    ];
    let needs = testing::configure::<Mask>(config, &columns).expect("accepted");
    assert_eq!(needs.reads.len(), 2);
    let output = run(config, columns);
    assert_eq!(
        output.columns,
        [Column::int64s("age", [None; 9]), Column::texts("name", [None::<&str>; 9]),]
    );
}

#[test]
fn only_the_configured_kinds_are_cleaned() {
    let text = "ada@example.com +4930123456 token=0123456789abcdef";
    let cases = [
        (r#"["email"]"#, "[email] +4930123456 token=0123456789abcdef"),
        (r#"["phone"]"#, "ada@example.com [phone] token=0123456789abcdef"),
        (r#"["token"]"#, "ada@example.com +4930123456 token=[token]"),
        (r#"{"kinds": ["email", "token"]}"#, "[email] +4930123456 token=[token]"),
        (r#"{}"#, "[email] [phone] token=[token]"),
        (r#"["ip", "iban", "card", "api_key"]"#, text),
        (r#"[]"#, text),
    ];
    for (options, expected) in cases {
        let config = format!(r#"{{"columns": {{"t": {{"clean": {options}}}}}}}"#);
        let output = run(&config, vec![Column::texts("t", [Some(text)])]);
        assert_eq!(output.columns[0].text(0), Some(expected), "{options}");
    }
}

#[test]
fn kept_parameters_are_cleaned_too() {
    let config = r#"{"columns": {"url": {"clean": {"keep_params": ["q"]}}}}"#;
    let urls =
        [Some("/s?q=ada@example.com&n=1"), Some("/s?q=a&n=1"), Some("/s?q=a"), Some("/s"), None];
    let output = run(config, vec![Column::texts("url", urls)]);
    let expected = [Some("/s?q=[email]"), Some("/s?q=a"), Some("/s?q=a"), Some("/s"), None];
    assert_eq!(output.columns, [Column::texts("url", expected)]);
}

#[test]
fn all_problems_are_told_at_once_with_their_column() {
    let columns = [Column::texts("url", [Some("")]), Column::float64s("price", [Some(1.0)])];
    let config = r#"{"key": "a key for tests only, 42", "key_id": "K-1", "columns": {
        "a": "pseudonym", "b": "psuedonym", "c": {"ip": {"port": 1}}, "d": {"clean": ["mail"]}, "e": 3,
        "f": {"pseudonym": {"domian": "x"}}, "g": {"hash": {}}, "price": "clean", "url": "clean"}}"#;
    assert_eq!(
        problems(config, &columns),
        [
            "`key_id` is `K-1`, wanted 1 to 8 of `a-z` and `0-9`",
            "column `a`: there is no column `a` here, or it is not granted: there are `url`, `price`",
            "column `b`: no treatment is called `psuedonym`: wanted `pseudonym`, `ip`, `clean`, `remove` or `keep`",
            "column `c`: `ip`: unknown field `port`, expected `unreadable`",
            "column `d`: `clean`: unknown variant `mail`, expected one of `email`, `phone`, `token`, `ip`, `iban`, `card`, `api_key`",
            "column `e`: `3` is no treatment: wanted `pseudonym`, `ip`, `clean`, `remove` or `keep`",
            "column `f`: `pseudonym`: unknown field `domian`, expected `domain` or `from`",
            "column `g`: no treatment is called `hash`: wanted `pseudonym`, `ip`, `clean`, `remove` or `keep`",
            "column `price`: `price` is float64, wanted text",
        ]
    );
    assert_eq!(
        problems(r#"{"columns": {}}"#, &columns),
        ["`columns` names no column, so nothing is masked"]
    );
}

#[test]
fn the_schema_describes_every_treatment() {
    let schema = schemars::schema_for!(crate::Config).as_value().to_string();
    for word in [
        "pseudonym",
        "ip",
        "clean",
        "remove",
        "keep",
        "domain",
        "from",
        "keep_params",
        "email",
        "api_key",
    ] {
        assert!(schema.contains(&format!("\"{word}\"")), "{word}");
    }
}
