//! What becomes of rows.

use clickmill_plugin::{Column, Text, Values, testing};
use serde_json::json;

use super::{countries, rejections, run, texts};
use crate::Enrich;

#[test]
fn a_null_user_agent_gives_nulls() {
    let agents = [Some("curl/8.5.0"), None, Some("curl/8.5.0")];
    let output = run(json!({"user_agent": {}}), vec![Column::texts("user_agent", agents)]);
    assert_eq!(texts(&output, "device"), [Some("bot"), None, Some("bot")]);
    assert_eq!(texts(&output, "browser"), [Some("curl"), None, Some("curl")]);
    assert_eq!(texts(&output, "os"), [Some("other"), None, Some("other")]);
    let is_bot = output.columns.iter().find(|column| column.name == "is_bot");
    let is_bot = is_bot.expect("announced");
    assert_eq!([0, 1, 2].map(|row| is_bot.boolean(row)), [Some(true), None, Some(true)]);
}

#[test]
fn a_url_gives_category_and_product() {
    let cases = [
        ("https://shop.example", Some("home"), None),
        ("https://shop.example/?utm=1", Some("home"), None),
        ("https://shop.example?utm=1", Some("home"), None),
        ("https://shop.example/#top", Some("home"), None),
        ("/", Some("home"), None),
        ("/search?q=/cart", Some("search"), None),
        ("//shop.example/Cart/", Some("cart"), None),
        ("https://shop.example/cartoons", Some("other"), None),
        ("https://shop.example/category/shoes?page=2", Some("category"), None),
        ("https://shop.example:8080/product/P-17?ref=a#b", Some("product"), Some("P-17")),
        ("https://shop.example/products/a%20b%2Fc/reviews", Some("product"), Some("a b/c")),
        ("https://shop.example/p/?pid=&pid=x+y", Some("product"), Some("x y")),
        ("https://shop.example/cart?pid=9", Some("cart"), Some("9")),
        ("https://shop.example/product/%FF", Some("product"), None),
        ("https://shop.example/product/%0A", Some("product"), None),
        ("https://shop.example/product/\n", Some("product"), None),
        ("https://shop.example/product/100%", Some("product"), Some("100%")),
        ("android-app://com.example/checkout/pay", Some("checkout"), None),
        ("https://", None, None),
        ("https:///product/1", None, None),
        ("https://a b/product/1", None, None),
        ("1ttp://shop.example/", None, None),
        ("shop.example/product/1", None, None),
        ("", None, None),
    ];
    let urls = cases.map(|case| Some(case.0));
    let config = json!({"url": {"product_param": "pid"}});
    let output = run(config, vec![Column::texts("url", urls)]);
    assert_eq!(texts(&output, "page_category"), cases.map(|case| case.1));
    assert_eq!(texts(&output, "product_id"), cases.map(|case| case.2));
    assert_eq!(output.rejections, []);
}

#[test]
fn a_product_that_is_there_already_is_kept() {
    let url = Some("/product/new");
    let cases: [(Option<&str>, Option<&str>, Option<&str>); 6] = [
        (Some("old"), url, Some("old")),
        (None, url, Some("new")),
        (None, Some("/cart"), None),
        (Some(""), url, Some("")),
        (None, None, None),
        (None, url, Some("new")),
    ];
    for rows in 0..=cases.len() {
        let columns = vec![
            Column::texts("url", cases[..rows].iter().map(|case| case.1)),
            Column::texts("product_id", cases[..rows].iter().map(|case| case.0)),
        ];
        let output = run(json!({"url": {}}), columns);
        let expected: Vec<_> = cases[..rows].iter().map(|case| case.2).collect();
        assert_eq!(texts(&output, "product_id"), expected);
    }
}

#[test]
fn what_null_rows_hold_is_never_seen() {
    let text = |bytes: &str| Text { offsets: vec![0, 3, 6, 9], bytes: bytes.as_bytes().to_vec() };
    let column = |name: &str, bytes, validity| {
        Column::new(name, Values::Texts(text(bytes)), Some(vec![validity]))
    };
    let columns = vec![column("url", "/p//p//p/", 0b001), column("product_id", "???two???", 0b010)];
    let output = run(json!({"url": {}}), columns);
    assert_eq!(texts(&output, "product_id"), [None, Some("two"), None]);
    assert_eq!(texts(&output, "page_category"), [Some("product"), None, None]);

    let columns = vec![
        Column::texts("url", [Some("/p/1"), Some("/p/2"), Some("/p/3")]),
        column("product_id", "???two???", 0b010),
    ];
    let output = run(json!({"url": {}}), columns);
    assert_eq!(texts(&output, "product_id"), [Some("1"), Some("two"), Some("3")]);
}

#[test]
fn rules_of_the_pipeline_replace_the_defaults() {
    let config = json!({"url": {"product": "", "other": "rest", "rules": [
        {"prefix": "/shop/item/", "category": "item"},
        {"prefix": "/shop", "category": "shop"},
    ]}});
    let urls = [Some("/shop/item/7"), Some("/shop/items"), Some("/"), Some("x")];
    let output = run(config, vec![Column::texts("url", urls)]);
    let expected = [Some("item"), Some("shop"), Some("rest"), None];
    assert_eq!(texts(&output, "page_category"), expected);
    assert_eq!(output.columns.len(), 1);
}

#[test]
fn days_come_from_timestamps_or_parts() {
    let at = [Some(1_218_153_599_999_999), Some(1_218_153_600_000_000), None];
    let config = json!({"event_date": {"timestamp": "at", "to": "day"}});
    let output = run(config, vec![Column::timestamps("at", at)]);
    assert_eq!(output.columns[0], Column::dates("day", [Some(14_098), Some(14_099), None]));

    let columns = vec![
        Column::int64s("year", [Some(2008), Some(2008), Some(2009), Some(2008), None]),
        Column::int64s("month", [Some(8), Some(2), Some(2), Some(2), Some(2)]),
        Column::int64s("day", [Some(8), Some(29), Some(29), None, Some(1)]),
    ];
    let config = json!({"event_date": {"year": "year", "month": "month", "day": "day"}});
    let output = run(config, columns);
    let days = [Some(14_099), Some(13_938), None, None, None];
    assert_eq!(output.columns[0], Column::dates("event_date", days));
    assert_eq!(
        rejections(&output),
        [
            (2, "bad_date", "`year` 2009, `month` 2, `day` 29 is not a day of the calendar"),
            (3, "bad_date", "`day` is missing"),
            (4, "bad_date", "`year` is missing"),
        ]
    );
}

#[test]
fn codes_become_names_and_unknown_ones_what_is_configured() {
    countries();
    let long = "ß".repeat(100);
    let code_columns = [
        // A small range, a large one, and text.
        (Column::int64s("c", [Some(29), None, Some(9), Some(-1), Some(29)]), "-1", "Poland"),
        (
            Column::int64s("c", [Some(29), None, Some(9), Some(i64::MAX), Some(29)]),
            "9223372036854775807",
            "Poland",
        ),
        (
            Column::texts("c", [Some("PL"), None, Some("9"), Some(&long), Some("PL")]),
            &long,
            "Polska",
        ),
    ];
    for (column, unknown, poland) in code_columns {
        for (how, fourth) in [("reject", None), ("null", None), ("keep", Some(unknown))] {
            let config = json!({"names": [
                {"column": "c", "table": "countries", "to": "country", "unknown": how},
            ]});
            let output = run(config, vec![column.clone()]);
            assert_eq!(
                texts(&output, "country"),
                [Some(poland), None, Some("Czech Republic"), fourth, Some(poland)],
            );
            let shown = if unknown == long {
                format!("`{}`…", "ß".repeat(64))
            } else {
                format!("`{unknown}`")
            };
            let message = format!("`c` {shown} is not in lookup table `countries`");
            match how {
                "reject" => assert_eq!(rejections(&output), [(3, "unknown_code", &*message)]),
                _ => assert_eq!(output.rejections, []),
            }
        }
    }
}

#[test]
fn a_row_is_refused_once_for_its_first_problem() {
    countries();
    let columns = vec![
        Column::int64s("year", [Some(2008), Some(0)]),
        Column::int64s("month", [Some(8), Some(8)]),
        Column::int64s("day", [Some(8), Some(8)]),
        Column::int64s("a", [Some(1), Some(1)]),
        Column::int64s("b", [Some(2), Some(2)]),
    ];
    let config = json!({
        "event_date": {"year": "year", "month": "month", "day": "day"},
        "names": [
            {"column": "a", "table": "countries", "to": "a"},
            {"column": "b", "table": "countries", "to": "b"},
        ],
    });
    let output = run(config, columns);
    let columns: Vec<_> = output.rejections.iter().map(|r| r.column.as_deref()).collect();
    let mut rows: Vec<_> = output.rejections.iter().map(|r| (r.row, r.code.as_str())).collect();
    rows.sort_unstable();
    assert_eq!(rows, [(0, "unknown_code"), (1, "bad_date")]);
    assert_eq!(columns, [Some("day"), Some("a")]);
}

#[test]
fn a_missing_table_is_a_fault() {
    let config = json!({"names": [{"column": "c", "table": "nowhere", "to": "n"}]});
    let columns = || vec![Column::int64s("c", [Some(1)])];
    let fault = testing::run::<Enrich>(&config.to_string(), columns()).expect_err("a fault");
    assert!(fault[0].contains("no lookup table `nowhere`"), "{fault:?}");
    // Of codes that are all null nothing is asked.
    run(config, vec![Column::int64s("c", [None])]);
}

#[test]
fn names_of_any_length_are_written_in_full() {
    let names: Vec<String> = [0, 1, 15, 16, 17, 31, 32, 33, 100].map(|len| "n".repeat(len)).into();
    for longest in 0..names.len() {
        let rows: Vec<[&str; 2]> = (0..=longest)
            .map(|at| [["0", "1", "2", "3", "4", "5", "6", "7", "8"][at], names[at].as_str()])
            .collect();
        let rows: Vec<&[&str]> = rows.iter().map(|row| &row[..]).collect();
        testing::lookup_table("names", &["code", "name"], &rows);
        let config = json!({"names": [{"column": "c", "table": "names", "to": "n"}]});
        let codes = (0..50).map(|row| (row % 7 != 3).then_some(row % (longest as i64 + 1)));
        let output = run(config, vec![Column::int64s("c", codes.clone())]);
        let expected: Vec<_> = codes.map(|code| code.map(|code| &*names[code as usize])).collect();
        assert_eq!(texts(&output, "n"), expected);
    }
}

#[test]
fn few_texts_of_many_rows_are_a_dictionary() {
    countries();
    // The last two codes have one name in another table.
    testing::lookup_table("sizes", &["code", "name"], &[&["9", "small"], &["29", "small"]]);
    let codes = || (0..96).map(|row| [Some(9), Some(29), None][row % 3]);
    let names = |table| json!({"names": [{"column": "c", "table": table, "to": "n"}]});
    for (table, texts_of, distinct) in [
        ("countries", [Some("Czech Republic"), Some("Poland"), None], 3),
        ("sizes", [Some("small"), Some("small"), None], 2),
    ] {
        let output = run(names(table), vec![Column::int64s("c", codes())]);
        let Values::Dictionary(dictionary) = &output.columns[0].values else {
            panic!("{:?} is no dictionary", output.columns[0]);
        };
        // The nulls have one too, which nobody reads.
        assert_eq!(dictionary.values.offsets.len() - 1, distinct, "{table}");
        let expected: Vec<_> = (0..96).map(|row| texts_of[row % 3]).collect();
        assert_eq!(texts(&output, "n"), expected, "{table}");
    }
    let output = run(names("countries"), vec![Column::int64s("c", codes().take(40))]);
    assert!(matches!(output.columns[0].values, Values::Texts(_)), "too few rows");
    let all_there = (0..96).map(|row| Some([9, 29][row % 2]));
    let output = run(names("countries"), vec![Column::int64s("c", all_there)]);
    assert_eq!(output.columns[0].validity, None);
}
