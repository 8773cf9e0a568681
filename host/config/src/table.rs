//! A table as the pipeline file names it: its name and its schema.

use std::path::Path;

use super::TableName;
use super::problem::{Problem, join, problem};
use clickmill_core::causes;
use clickmill_core::schema::TableSchema;

/// Checks the table of a section.
pub(super) fn table(
    section: &str,
    table: &str,
    schema: &str,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<(TableName, TableSchema)> {
    let word = |text: &str| {
        !text.is_empty()
            && text.len() <= 1024
            && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let name = match table.split_once('.') {
        Some((dataset, _)) if dataset.starts_with('_') => {
            let message = format!(
                "is `{table}`: a warehouse has folders of its own whose names begin with `_`, wanted a dataset whose name does not"
            );
            problem(problems, &format!("{section}.table"), message);
            None
        }
        Some((dataset, table)) if word(dataset) && word(table) => {
            Some(TableName { dataset: dataset.to_owned(), table: table.to_owned() })
        }
        _ => {
            let message =
                format!("is `{table}`, wanted `dataset.table` of letters, digits and `_`");
            problem(problems, &format!("{section}.table"), message);
            None
        }
    };
    let schema = match TableSchema::read(&join(folder, schema)) {
        Ok(schema) => Some(schema),
        Err(error) => {
            problem(problems, &format!("{section}.schema"), causes(&error));
            None
        }
    };
    Some((name?, schema?))
}
