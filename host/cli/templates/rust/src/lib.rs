//! The first of some columns that says something, in one spelling.
//!
//! White space at both ends is taken away, within it becomes one blank, and letters become small ones. A value that
//! is too long to be believed refuses its row. A row in which no column says anything gets a null.

use std::collections::BTreeMap;

use clickmill_plugin::prelude::*;

/// The columns that a value is looked for in, one after the other.
const READS: &[&str] = &[{{reads}}];
/// The column that it is written to.
const WRITES: &str = "{{writes}}";

/// The configuration, as a pipeline file has it. These comments are its documentation:
/// `clickmill plugin inspect` prints them.
#[derive(serde::Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// The longest value that is believed, in characters. A row with a longer one is refused.
    max_chars: usize,
    /// Values in small letters, each with the one that is written in its place.
    spellings: BTreeMap<String, String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_chars: 100,
            spellings: BTreeMap::new(),
        }
    }
}

struct FirstValue(Config);

impl RowPlugin for FirstValue {
    type Config = Config;

    /// Looks at the configuration, before any row. What is wrong with it is told all at once.
    fn configure(config: Config, _available: &[ColumnSpec]) -> Result<Self, Problems> {
        let mut problems = Problems::new();
        if config.max_chars == 0 {
            problems.push("`max_chars` is 0, wanted at least 1".to_owned());
        }
        for spelling in config.spellings.keys() {
            if *spelling != in_one_spelling(spelling) {
                problems.push(format!("`spellings` has `{spelling}`, which no value is"));
            }
        }
        if problems.is_empty() {
            Ok(Self(config))
        } else {
            Err(problems)
        }
    }

    /// The columns, with their types. The pipeline file grants no others.
    fn needs(&self) -> Needs {
        let needs = Needs::new().writes(WRITES, DataType::Text);
        READS
            .iter()
            .fold(needs, |needs, column| needs.reads(*column, DataType::Text))
    }

    /// Transforms one row, or refuses it: then it is a dead letter, and the others go on.
    fn row(&self, row: &mut Row<'_>) -> Result<(), Refusal> {
        let Self(config) = self;
        let mut found = None;
        for column in READS {
            let value = in_one_spelling(row.text(column).unwrap_or_default());
            let chars = value.chars().count();
            if chars > config.max_chars {
                let message = format!(
                    "has {chars} characters, wanted {} at most",
                    config.max_chars
                );
                return Err(reject("too_long", message).column(*column));
            }
            if !value.is_empty() {
                found = Some(config.spellings.get(&value).cloned().unwrap_or(value));
                break;
            }
        }
        row.set(WRITES, found);
        Ok(())
    }
}

fn in_one_spelling(value: &str) -> String {
    let words: Vec<&str> = value.split_whitespace().collect();
    words.join(" ").to_lowercase()
}

clickmill_plugin::export!(FirstValue);

#[cfg(test)]
mod tests {
    use clickmill_plugin::testing;

    use super::*;

    const CONFIG: &str = r#"{"max_chars": 12, "spellings": {"fb": "facebook"}}"#;

    /// Runs the plugin over one row, in which the last column has this value and those before it have none.
    fn run(value: &str) -> Output {
        let last = READS.len() - 1;
        let column =
            |(at, name): (usize, &&str)| Column::texts(name, [(at == last).then_some(value)]);
        let columns = READS.iter().enumerate().map(column).collect();
        testing::run::<FirstValue>(CONFIG, columns).unwrap()
    }

    #[test]
    fn values_are_in_one_spelling() {
        for (value, wanted) in [
            ("  News \t Letter ", Some("news letter")),
            ("FB", Some("facebook")),
            ("", None),
            ("   ", None),
        ] {
            assert_eq!(run(value).columns[0].text(0), wanted, "{value:?}");
        }
    }

    #[test]
    fn what_is_too_long_is_refused() {
        assert!(run(&"a".repeat(12)).rejections.is_empty());
        let output = run(&"a".repeat(13));
        assert_eq!(output.rejections[0].code, "too_long");
        assert_eq!(
            output.rejections[0].column.as_deref(),
            READS.last().copied()
        );
    }

    #[test]
    fn a_configuration_is_checked_whole() {
        let config = r#"{"max_chars": 0, "spellings": {"FB": "facebook"}}"#;
        let problems = testing::configure::<FirstValue>(config, &[]).unwrap_err();
        assert_eq!(problems.len(), 2, "{problems:?}");
    }
}
