//! Who may sign components.

use std::path::Path;

use serde::Deserialize;

use super::problem::{Problem, join, problem};

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawTrust {
    keys: Vec<String>,
}

/// The texts of public keys: `RW…`, or the files that hold them.
pub(super) fn trust(raw: RawTrust, folder: &Path, problems: &mut Vec<Problem>) -> Vec<String> {
    let text = |(at, key): (usize, String)| {
        if !key.ends_with(".pub") {
            return Some(key);
        }
        let path = join(folder, &key);
        match std::fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", path.display());
                problem(problems, &format!("trust.keys[{at}]"), message);
                None
            }
        }
    };
    raw.keys.into_iter().enumerate().filter_map(text).collect()
}
