//! The plugin as the host sees it, and properties that hold for any input.

mod corpus;
mod json;
mod writings;

use clickmill_plugin::prelude::*;
use clickmill_plugin::testing;
use proptest::prelude::*;

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
    assert_eq!(testing::take_log(), ["info: unreadable 3 a", "info: unreadable 3 b"]);
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

/// Cleaning must not take a time that grows with the square of a text's length: where a finder walked
/// to the end of such a text at each of its signs, this would take minutes.
#[test]
fn long_hostile_texts_are_cleaned_in_linear_time() {
    for piece in [
        "password=",
        "token=",
        "token%3d",
        "tel:",
        "tel:'",
        "eyJ",
        "eyJaaaaaaaaaaaaa.",
        "bearer+",
        "bearer ",
        "://",
        "@",
        "a@",
        "a@a.de",
        "%40",
        "%25",
        "[a]",
        "1 ",
        "030 1234567 ",
        "+49 30 123456-",
        "(0",
        "1-",
        "\"key\":\"",
        "\"key\":\\\"",
        "password:%2527 password:%27 ",
        "\"@",
        "\\",
        "\\\"",
        "&amp;",
        "amp;",
        "&#37;26",
        "%255C",
        "[\"",
        "[1,",
        "{\"a\":",
        "::",
        "1.",
        "1::",
        "xoxb-",
        "AKIA",
        "-----BEGIN ",
        "-----BEGIN PRIVATE KEY",
        "DE89 3704 ",
        "4111 1111 ",
        "4111",
        "\u{a0}1",
        "deadbeef",
        "AIza-",
        "SG.-",
        "sk-",
        ":%2F%2F@",
        "token=%2574oken=",
    ] {
        let text = piece.repeat(300_000 / piece.len());
        clean(&text);
        clean_of(EVERY_KIND, &text);
        clean_of(EVERY_KIND, &format!("[\"{}\"]", text.replace(['\\', '"'], "%22")));
    }
}

/// Texts made of pieces that the finders look at, joined without care.
fn mixed_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z]{1,6}@[a-z]{1,6}\\.(de|com)",
        "[+(]?[0-9]{1,5}",
        "[0-9]{1,4}",
        Just("030 1234567".to_owned()),
        "[-+@%=:/?&#.,;_ ()\\[\\]\"']{1,2}",
        "(token|password|key|tel|phone|bearer|eyJ|%40|%2540|%20|%2B|%3D|%26|%28|://|ü|[a-zA-Z0-9]{16})",
        "(\\\\u0040|\\\\u002B|\\\\/|\\\\\"|\\\\|&amp;|&#64;|%22|%5C|%7B|%7D|[{}]|\u{a0}|\u{200b}|otp|code)",
        "(192\\.0\\.2\\.[0-9]{1,2}|2001:db8::[0-9a-f]{1,4}|DE89 3704 0044 0532 0130 00|4111 1111 1111 1111)",
        "[a-zA-Z]{1,4}",
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

fn address() -> impl Strategy<Value = (String, String)> {
    (
        "[a-z0-9]([a-z0-9._+-]{0,10}[a-z0-9])?",
        prop_oneof![Just("@"), Just("%40")],
        "([a-z][a-z0-9-]{0,8}[a-z0-9]\\.){1,2}[a-z]{2,6}",
    )
        .prop_map(|(name, at, host)| (format!("{name}{at}{host}"), host))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn pseudonyms_are_equal_exactly_where_the_values_are(
        values in prop::collection::vec(prop::option::of("[ab0]{1,9}|.{1,20}"), 1..60),
    ) {
        let values: Vec<Option<&str>> = values.iter().map(Option::as_deref).collect();
        let found = pseudonyms(r#""pseudonym""#, &values);
        for (a, b) in values.iter().zip(&found) {
            prop_assert_eq!(a.is_some(), b.is_some());
            for (c, d) in values.iter().zip(&found) {
                prop_assert_eq!(a == c, b == d);
            }
        }
    }

    #[test]
    fn no_address_is_left_in_a_cleaned_text(
        (address, host) in address(),
        before in "(|.* |/[a-z]+\\?[a-z]+=|[a-z]+: |<|\\(|%3D)",
        after in "(| .*|&[a-z]+=[a-z0-9]+|>|\\)|,|/|\\?)",
    ) {
        let text = format!("{before}{address}{after}");
        let cleaned = clean(&text);
        prop_assert!(cleaned.contains("[email]") || cleaned.contains("[token]"), "{} -> {}", text, cleaned);
        let with_host = ["@", &host].concat();
        prop_assert!(!cleaned.contains(&address) && !cleaned.contains(&with_host));
    }

    #[test]
    fn no_international_number_is_left_in_a_cleaned_text(
        number in "(\\+|%2B)[1-9][0-9]{1,2}( |-|%20)?[0-9]{2,4}( |-|\\.|%20)?[0-9]{4,6}",
        before in "(|.* |/[a-z]+\\?[a-z]+=|[a-z]+: |\\()",
        after in "(| [a-z ]*|&[a-z]+=[a-z0-9]+|\\)|,)",
    ) {
        let cleaned = clean(&[before, number.clone(), after].concat());
        prop_assert!(cleaned.contains("[phone]") && !cleaned.contains(&number), "{} -> {}", number, cleaned);
    }

    #[test]
    fn no_long_token_is_left_in_a_cleaned_text(
        name in "(token|access_token|refreshToken|api_key|key|auth|session|sessionId|sid|password)",
        token in "[A-Za-z0-9_-]{15,40}[0-9]",
        sign in "(=|: |%3D)",
        before in "(|.* |/[a-z]+\\?[a-z]+=[0-9]&|#|%26)",
        after in "(| .*|&[a-z]+=[a-z0-9]+|#x|\"|%26)",
    ) {
        let cleaned = clean(&[&before, &name, &sign, &token, &after].map(String::as_str).concat());
        prop_assert!(cleaned.contains("[token]") && !cleaned.contains(&token), "{}", cleaned);
    }

    #[test]
    fn cleaning_twice_changes_nothing_more(text in mixed_text()) {
        let once = clean(&text);
        prop_assert_eq!(clean(&once), once);
        let once = clean_of(EVERY_KIND, &text);
        prop_assert_eq!(clean_of(EVERY_KIND, &once), once);
    }

    #[test]
    fn any_text_is_cleaned_without_a_panic(text in any::<String>(), mixed in mixed_text()) {
        clean_of(EVERY_KIND, &text);
        clean_of(EVERY_KIND, &format!("{mixed}{text}{mixed}"));
    }

    #[test]
    fn cleaning_a_column_is_cleaning_each_value(
        values in prop::collection::vec(prop::option::of(prop_oneof![mixed_text(), "[a-z]{0,5}"]), 1..30),
    ) {
        let config = r#"{"columns": {"t": "clean"}}"#;
        let output = run(config, vec![Column::texts("t", values.iter().map(Option::as_deref))]);
        let expected = values.iter().map(|value| value.as_deref().map(clean));
        prop_assert_eq!(&output.columns[0], &Column::texts("t", expected));
    }

    #[test]
    fn truncating_an_address_twice_changes_nothing_more(v4 in any::<u32>(), v6 in any::<u128>(), text in ".{0,20}") {
        let v4 = std::net::Ipv4Addr::from(v4).to_string();
        let v6 = std::net::Ipv6Addr::from(v6).to_string();
        for text in [v4, v6, text] {
            if let Some(once) = crate::ip::truncate(&text) {
                prop_assert_eq!(crate::ip::truncate(&once.to_string()), Some(once));
            }
        }
    }
}
