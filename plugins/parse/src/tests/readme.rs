//! The examples of the README: what it says they become, they become.

use clickmill_plugin::{Column, Output, Value as Cell, testing};
use serde_json::{Map, Value, json};

use super::run;

/// The blocks of a Markdown text, each with its language.
fn blocks(markdown: &str) -> Vec<(&str, String)> {
    let mut blocks = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            blocks.push((language, text.join("\n")));
        }
    }
    blocks
}

/// A value as the README shows it.
pub(super) fn shown(cell: &Cell) -> Value {
    match cell {
        Cell::Null => Value::Null,
        Cell::Boolean(value) => json!(value),
        Cell::Int64(value) | Cell::Time(value) | Cell::Timestamp(value) => json!(value),
        Cell::Float64(value) => json!(value),
        Cell::Decimal(value) => json!(value.to_string()),
        Cell::Date(value) => json!(value),
        Cell::Datetime(micros) => json!(datetime(*micros)),
        Cell::Text(text) | Cell::Json(text) => json!(text),
        Cell::Blob(bytes) => json!(bytes),
        Cell::List(cells) => cells.iter().map(shown).collect(),
        Cell::Record(fields) => {
            let fields = fields.iter().filter(|(_, cell)| *cell != Cell::Null);
            fields.map(|(name, cell)| (name.clone(), shown(cell))).collect::<Map<_, _>>().into()
        }
    }
}

/// Those of the README are all of one day.
fn datetime(micros: i64) -> String {
    const MAY_FIRST_2026: i64 = 1_777_593_600_000_000;
    let seconds = (micros - MAY_FIRST_2026) / 1_000_000;
    assert!((0..86_400).contains(&seconds), "{micros}");
    format!("2026-05-01T{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// What became of the messages, a line for each row.
pub(super) fn rows(output: &Output) -> Vec<Value> {
    let mut rows: Vec<Value> = testing::rows(&output.columns).iter().map(shown).collect();
    for rejection in &output.rejections {
        let mut refused = json!({"rejected": rejection.code});
        if let Some(column) = &rejection.column {
            refused["column"] = json!(column);
        }
        rows[rejection.row as usize] = refused;
    }
    for row in &output.dropped {
        rows[*row as usize] = json!({"dropped": true});
    }
    rows
}

#[test]
fn the_examples_become_what_the_readme_says() {
    let blocks = blocks(include_str!("../../README.md"));
    assert!(blocks.len() >= 18, "{}", blocks.len());
    for example in blocks.chunks(3) {
        let [(toml, config), (_, messages), (_, rows)] = example else {
            panic!("an example is a configuration, messages and rows: {example:?}")
        };
        assert_eq!(*toml, "toml");
        let config: Value = toml::from_str(config).expect("a configuration");
        let messages = Column::texts("payload", messages.lines().map(Some));
        let wanted: Vec<Value> =
            rows.lines().map(|line| serde_json::from_str(line).expect("a row is JSON")).collect();
        assert_eq!(self::rows(&run(&config, vec![messages])), wanted, "{config}");
    }
}
