//! How sensitive columns are guarded.

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;

use super::problem::{Problem, problem};

/// How sensitive columns are guarded.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    /// They are not.
    pub off: bool,
    /// Columns whose values may stay as they came in where they have this form: that of masked ones.
    pub allow: Vec<(String, Regex)>,
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawGuard {
    off: bool,
    allow: BTreeMap<String, String>,
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
