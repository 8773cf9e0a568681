//! Tests of the whole plugin, with the SDK in the host's place.

mod conformance;
mod csv;
mod json;
mod messages;
mod nested;
mod readme;

use clickmill_plugin::{Column, Output, Values, testing};
use serde_json::{Value, json};

use crate::Parse;

/// Runs the plugin, which must accept the configuration.
fn run(config: &Value, columns: Vec<Column>) -> Output {
    testing::run::<Parse>(&config.to_string(), columns).expect("the configuration is accepted")
}

/// What is wrong with a configuration.
fn problems(config: &Value, columns: &[Column]) -> Vec<String> {
    match testing::configure::<Parse>(&config.to_string(), columns) {
        Ok(_) => Vec::new(),
        Err(problems) => problems,
    }
}

/// The codes of the refused rows, by row.
fn codes(output: &Output) -> Vec<(u32, &str)> {
    let mut codes: Vec<(u32, &str)> =
        output.rejections.iter().map(|r| (r.row, r.code.as_str())).collect();
    codes.sort_unstable();
    codes
}

/// The value of a row as JSON: days and microseconds are numbers.
fn value(output: &Output, column: &str, row: usize) -> Value {
    let column = output.columns.iter().find(|c| c.name == column).expect("the column is written");
    match &column.values {
        Values::Booleans(_) => json!(column.boolean(row)),
        Values::Int64s(_) => json!(column.int64(row)),
        Values::Float64s(_) => json!(column.float64(row)),
        Values::Dates(_) => json!(column.date(row)),
        Values::Timestamps(_) => json!(column.timestamp(row)),
        Values::Decimals(_) => json!(column.decimal(row).map(|decimal| decimal.to_string())),
        Values::Times(_) => json!(column.time(row)),
        Values::Datetimes(_) => json!(column.datetime(row)),
        Values::Jsons(_) => json!(column.json(row)),
        Values::Texts(_) | Values::Dictionary(_) => json!(column.text(row)),
        Values::Blobs(_) => json!(column.bytes(row)),
        Values::Records => panic!("a record has no value of its own"),
    }
}

#[test]
fn problems_are_all_told_at_once_with_their_places() {
    let config = json!({
        "format": "csv", "unknown": "keep", "unknown_column": "a", "max_depth": 0,
        "columns": [
            {"name": "a", "type": "int64"},
            {"name": "a", "type": "text", "from": "b", "true": ["x"]},
            {"name": "", "type": "boolean", "from": "c", "true": ["On", ""], "false": ["oN"]},
        ],
    });
    let columns = [Column::texts("a", [Some("1")]), Column::int64s("b", [Some(1)])];
    assert_eq!(
        problems(&config, &columns),
        [
            "`max_depth` is 0, wanted at least 1",
            "`columns[1].name` is `a`, which another column has",
            "`columns[1]` (`a`) has spellings of true or false, which only a boolean takes",
            "`columns[2].name` is empty",
            "`columns[2]` (``) has an empty spelling of true or false, which means null",
            "`columns[2]` (``) spells both true and false `On`",
            "`unknown_column` is `a`, which is the name of a column",
            "`columns[1].from` is `b`, which is of type DataType::Int64, wanted a text column",
            "`columns[2].from` is `c`, which is not available: `a`, `b`",
        ]
    );
}

#[test]
fn unknown_settings_and_types_are_refused() {
    let columns = [Column::texts("payload", [Some("{}")])];
    for (config, told) in [
        (json!({"format": "xml", "columns": []}), "unknown variant `xml`"),
        (json!({"format": "json", "columns": [], "colums": []}), "unknown field `colums`"),
        (json!({"format": "json", "columns": [{"name": "a", "type": "float"}]}), "`float`"),
        (json!({"format": "json", "columns": [{"name": "a", "type": "text", "x": 1}]}), "`x`"),
        (json!({"format": "json"}), "missing field `columns`"),
        (json!({"format": "json", "columns": []}), "`columns` is empty"),
    ] {
        let problems = problems(&config, &columns).join("\n");
        assert!(problems.contains(told), "{config}: {problems}");
    }
}
