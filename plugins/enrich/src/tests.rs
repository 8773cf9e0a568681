//! The plugin as the host sees it.

use clickmill_plugin::{Column, DataType, Needs, Output, testing};
use serde_json::json;

use super::Enrich;

mod any;
mod nested;
mod rows;

fn run(config: serde_json::Value, columns: Vec<Column>) -> Output {
    match testing::run::<Enrich>(&config.to_string(), columns) {
        Ok(output) => output,
        Err(problems) => panic!("{problems:?}"),
    }
}

fn problems(config: serde_json::Value, columns: &[Column]) -> Vec<String> {
    testing::configure::<Enrich>(&config.to_string(), columns).expect_err("a problem")
}

fn texts<'o>(output: &'o Output, name: &str) -> Vec<Option<&'o str>> {
    let column = output.columns.iter().find(|column| column.name == name);
    let column = column.unwrap_or_else(|| panic!("no `{name}`"));
    (0..column.len()).map(|row| column.text(row)).collect()
}

/// Row, code and message of each rejection.
fn rejections(output: &Output) -> Vec<(u32, &str, &str)> {
    output.rejections.iter().map(|r| (r.row, r.code.as_str(), r.message.as_str())).collect()
}

fn countries() {
    testing::lookup_table(
        "countries",
        &["code", "name", "iso"],
        &[&["9", "Czech Republic", "CZ"], &["29", "Poland", "PL"], &["PL", "Polska", "PL"]],
    );
}

#[test]
fn nothing_but_what_is_configured_is_read_and_written() {
    let columns = [
        Column::texts("user_agent", [Some("curl/8")]),
        Column::texts("url", [Some("/")]),
        Column::texts("product_id", [None::<&str>]),
        Column::int64s("country_code", [Some(9)]),
        Column::timestamps("at", [Some(0)]),
        Column::texts("ip", [Some("::1")]),
    ];
    let (text, date) = (DataType::Text, DataType::Date);
    let cases = [
        (
            json!({"user_agent": {"device": null, "os": "", "browser": "program"}}),
            Needs::new()
                .reads("user_agent", text)
                .writes("program", text)
                .writes("is_bot", DataType::Boolean),
        ),
        (
            json!({"url": {}}),
            Needs::new()
                .reads("url", text)
                .reads("product_id", text)
                .writes("page_category", text)
                .writes("product_id", text),
        ),
        (
            json!({"url": {"product": "sku", "page_category": null}}),
            Needs::new().reads("url", text).writes("sku", text),
        ),
        (
            json!({"event_date": {"timestamp": "at"}}),
            Needs::new().reads("at", DataType::Timestamp).writes("event_date", date),
        ),
        (
            json!({"names": [
                {"column": "country_code", "table": "countries", "to": "country_code"},
                {"column": "country_code", "table": "countries", "to": "iso", "field": "iso"},
            ]}),
            Needs::new()
                .reads("country_code", DataType::Int64)
                .writes("country_code", text)
                .writes("iso", text)
                .lookup("countries"),
        ),
    ];
    for (config, needs) in cases {
        let found = testing::configure::<Enrich>(&config.to_string(), &columns);
        assert_eq!(found, Ok(needs), "{config}");
    }
}

#[test]
fn every_problem_is_told_with_its_place() {
    let columns = [
        Column::float64s("country_code", [Some(9.0)]),
        Column::texts("url", [Some("/")]),
        Column::int64s("product_id", [Some(1)]),
    ];
    let config = json!({
        "user_agent": {"device": "is_bot"},
        "url": {"product_prefixes": ["p"]},
        "event_date": {"year": "url", "month": "url"},
        "names": [{"column": "country_code", "table": "", "to": "browser"}],
    });
    let available =
        "available: `country_code` (float64), `url` (text), `product_id` (int64)".to_owned();
    assert_eq!(
        problems(config, &columns),
        [
            &format!("`user_agent.column`: no column `user_agent` to read; {available}"),
            "`user_agent.is_bot`: column `is_bot` is written already",
            "`url.product`: column `product_id` is int64, wanted text",
            "`url.product_prefixes[0]`: `p` does not begin with `/`",
            "`event_date`: give `timestamp`, or `year`, `month` and `day`",
            "`names[0].column`: column `country_code` is float64, wanted int64 or text",
            "`names[0].to`: column `browser` is written already",
            "`names[0].table`: the lookup table has no name",
        ]
    );
    let nothing = "nothing to do: configure `user_agent`, `url`, `event_date`, `names` or `totals`";
    assert_eq!(problems(json!({}), &columns), [nothing]);
    assert!(problems(json!({"name": []}), &columns)[0].contains("unknown field `name`"));
}
