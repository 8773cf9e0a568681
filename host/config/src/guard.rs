//! How sensitive columns are guarded.

use std::collections::BTreeMap;

use regex::Regex;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Sink;
use super::problem::{Problem, problem};
use clickmill_core::near;

/// How sensitive columns are guarded.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// They are not.
    pub off: bool,
    /// Columns whose values may stay as they came in where they have this form: that of masked ones.
    pub allow: Vec<(String, Regex)>,
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Guard")]
pub(super) struct RawGuard {
    /// Columns with policy tags are not compared with what came in.
    off: bool,
    /// Regular expressions, by column. Of a column with a policy tag: forms in which a value may stay as it came
    /// in, those of masked ones. Of another: forms of values that may hold a sensitive value.
    allow: BTreeMap<String, String>,
}

/// Checks that the columns of `allow` are of the pipeline's tables: the guard looks at no others, so that a
/// misspelt one would allow nothing.
pub(super) fn check(guard: &Guard, sink: &Sink, problems: &mut Vec<Problem>) {
    let schemas = sink.tables().flat_map(|(_, schema)| schema.all_columns());
    let leaves = schemas.filter(|(_, column)| column.fields.is_empty());
    let names: Vec<String> = leaves.map(|(path, _)| path.to_string()).collect();
    for (column, _) in guard.allow.iter().filter(|(column, _)| !names.contains(column)) {
        let near = near(column, names.iter().map(String::as_str));
        let near = near.map(|near| format!(", where `{near}` is one")).unwrap_or_default();
        let message = format!("is not a column of a table of this pipeline{near}");
        problem(problems, &format!("guard.allow.{column}"), message);
    }
}

pub(super) fn guard(raw: RawGuard, problems: &mut Vec<Problem>) -> Guard {
    let form = |(column, form): (String, String)| match Regex::new(&form) {
        Ok(form) => Some((column, form)),
        Err(error) => {
            let message = format!("is `{form}`, wanted a regular expression: {error}");
            problem(problems, &format!("guard.allow.{column}"), message);
            None
        }
    };
    Guard { off: raw.off, allow: raw.allow.into_iter().filter_map(form).collect() }
}
