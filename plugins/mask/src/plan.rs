//! From the configuration and the columns there are to the work on each column, or to everything that
//! is wrong with them.

use clickmill_plugin::prelude::*;

use crate::clean::Cleaner;
use crate::config::{Config, Treatment, Unreadable};
use crate::pseudonym::{Key, Pseudonyms};

/// The work on one column.
pub(crate) struct Task {
    /// The path of the column that is written.
    pub(crate) path: String,
    /// The column that is read.
    pub(crate) source: ColumnSpec,
    pub(crate) work: Work,
}

pub(crate) enum Work {
    Pseudonym(Pseudonyms),
    Ip(Unreadable),
    Clean(Cleaner),
    Remove,
}

impl Task {
    /// The column that is written.
    pub(crate) fn writes(&self) -> ColumnSpec {
        let data_type = match self.work {
            Work::Remove => self.source.data_type,
            Work::Pseudonym(_) | Work::Ip(_) | Work::Clean(_) => DataType::Text,
        };
        ColumnSpec { path: self.path.clone(), data_type, repeated: self.source.repeated }
    }
}

/// The tasks: pseudonyms first, for they may be made from columns that another task changes, and each
/// kind in the order of the names.
pub(crate) fn plan(config: Config, available: &[ColumnSpec]) -> Result<Vec<Task>, Problems> {
    let mut problems = Problems::new();
    let key = config.key.as_deref().map(Key::new);
    if !is_key_id(&config.key_id) {
        problems.push(format!("`key_id` is `{}`, wanted 1 to 8 of `a-z` and `0-9`", config.key_id));
    }
    if config.columns.is_empty() {
        problems.push("`columns` names no column, so nothing is masked".to_owned());
    }
    let mut tasks = Vec::with_capacity(config.columns.len());
    for (name, entry) in config.columns {
        let treatment = match entry.0 {
            Ok(Treatment::Keep) => continue,
            Ok(treatment) => treatment,
            Err(problem) => {
                problems.push(format!("column `{name}`: {problem}"));
                continue;
            }
        };
        let from = match &treatment {
            Treatment::Pseudonym(options) => options.from.as_deref().unwrap_or(&name),
            _ => &name,
        };
        match source(from, &name, wanted(&treatment), available) {
            Ok(source) => {
                let work = match treatment {
                    Treatment::Pseudonym(options) => match &key {
                        Some(key) => {
                            Work::Pseudonym(key.pseudonyms(&config.key_id, &options.domain))
                        }
                        None => {
                            problems.push(format!(
                                "column `{name}`: no pseudonym without the secret `key`"
                            ));
                            continue;
                        }
                    },
                    Treatment::Ip(options) => {
                        Work::Ip(options.unreadable.unwrap_or(config.unreadable))
                    }
                    Treatment::Clean(options) => Work::Clean(Cleaner::new(options)),
                    Treatment::Remove | Treatment::Keep => Work::Remove,
                };
                tasks.push(Task { path: name, source, work });
            }
            Err(problem) => problems.push(format!("column `{name}`: {problem}")),
        }
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    tasks.sort_by_key(|task| !matches!(task.work, Work::Pseudonym(_)));
    Ok(tasks)
}

fn is_key_id(text: &str) -> bool {
    (1..=8).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
}

/// The types a treatment works on: any where there are none.
fn wanted(treatment: &Treatment) -> &'static [DataType] {
    match treatment {
        Treatment::Pseudonym(_) => &[DataType::Text, DataType::Int64],
        Treatment::Ip(_) | Treatment::Clean(_) => &[DataType::Text],
        Treatment::Remove | Treatment::Keep => &[],
    }
}

/// The column that is read, where what is written can stand beside it.
fn source(
    name: &str,
    to: &str,
    wanted: &[DataType],
    available: &[ColumnSpec],
) -> Result<ColumnSpec, String> {
    let Some(found) = available.iter().find(|column| column.path == name) else {
        let names: Vec<String> = available.iter().map(|c| format!("`{}`", c.path)).collect();
        let there = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        return Err(format!(
            "there is no column `{name}` here, or it is not granted: there are {there}"
        ));
    };
    if !wanted.is_empty() && !wanted.contains(&found.data_type) {
        let types: Vec<&str> = wanted.iter().map(|t| t.name()).collect();
        let got = found.data_type.name();
        return Err(format!("`{name}` is {got}, wanted {}", types.join(" or ")));
    }
    if found.data_type == DataType::Record {
        return Err(format!("`{name}` is a record: name its fields, such as `{name}.id`"));
    }
    // Beside a column of its record there is a place for each value; without a record that is the row.
    let record = |path: &str| path.rsplit_once('.').map(|(record, _)| record.to_owned());
    let (of, to_record) = (found.record(), record(to));
    let in_list = of.is_some_and(|record| {
        let spec = ColumnSpec { path: record.to_owned(), ..found.clone() };
        spec.list(available).is_some()
    });
    if of != to_record.as_deref() && (to_record.is_some() || in_list) {
        return Err(format!("`{name}` is not in the same record, where its pseudonym is to stand"));
    }
    Ok(found.clone())
}
