//! Which components are taken: who may sign them, for what, since when, and which not any more.

use std::path::Path;

use schemars::JsonSchema;
use serde::Deserialize;

use super::problem::{Problem, join, problem};
use clickmill_core::{Digest, Micros, file};

/// Digits of a component's digest.
const DIGEST_DIGITS: usize = 64;

/// Which components are taken.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Trust {
    /// Public keys, of which one has to have signed each component; none where anybody may. `RW…`, or the
    /// text of a `.pub` file.
    pub keys: Vec<String>,
    /// Whether a signature has to name the stage and the component's version.
    pub bind: bool,
    /// What was signed before that is not taken.
    pub not_before: Option<Micros>,
    /// Digests of components that are not taken, whoever signed them.
    pub revoked: Vec<Digest>,
    /// Whether what a registry holds may be named by a tag alone, which may be another thing's tomorrow.
    pub allow_tags: bool,
}

#[derive(Deserialize, Default, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Trust")]
pub(super) struct RawTrust {
    /// Public keys, `RW…` or files `*.pub`, of which one has to have signed each component. Then nothing
    /// unsigned is taken, and no crate is built.
    keys: Vec<String>,
    /// The signed comment has to name the stage and the component's version.
    bind: bool,
    /// What was signed before that moment is not taken: `2026-11-01T00:00:00Z`.
    // TOML has moments of its own; they are texts here.
    #[schemars(with = "Option<String>")]
    not_before: Option<toml::Value>,
    /// Digests of components that are not taken, whoever signed them.
    #[schemars(inner(regex(pattern = "^[0-9a-f]{64}$")))]
    revoked: Vec<String>,
    /// What a registry holds may be named by a tag alone, which may be another thing's tomorrow.
    allow_tags: bool,
}

pub(super) fn trust(raw: RawTrust, folder: &Path, problems: &mut Vec<Problem>) -> Trust {
    let RawTrust { keys, bind, not_before, revoked, allow_tags } = raw;
    if keys.is_empty() {
        for (key, is_there) in [("bind", bind), ("not_before", not_before.is_some())] {
            if is_there {
                let message = "says what signatures have to be: list who may sign in `trust.keys`";
                problem(problems, &format!("trust.{key}"), message.to_owned());
            }
        }
    }
    let not_before = not_before.and_then(|value| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let moment = text.parse::<Micros>();
        moment
            .map_err(|error| problem(problems, "trust.not_before", format!("is {value}, {error}")))
            .ok()
    });
    let digest = |(at, text): (usize, String)| match text.parse::<Digest>() {
        Ok(digest) if digest.len() == DIGEST_DIGITS => Some(digest),
        Ok(_) | Err(_) => {
            let message = format!(
                "is `{text}`, wanted a component's digest, {DIGEST_DIGITS} digits, as `plugin inspect` shows it"
            );
            problem(problems, &format!("trust.revoked[{at}]"), message);
            None
        }
    };
    let revoked = revoked.into_iter().enumerate().filter_map(digest).collect();
    let text = |(at, key): (usize, String)| {
        if !key.ends_with(".pub") {
            return Some(key);
        }
        let path = join(folder, &key);
        match file::text(&path) {
            Ok(text) => Some(text),
            Err(error) => {
                let message = format!("cannot read `{}`: {error}", path.display());
                problem(problems, &format!("trust.keys[{at}]"), message);
                None
            }
        }
    };
    let keys = keys.into_iter().enumerate().filter_map(text).collect();
    Trust { keys, bind, not_before, revoked, allow_tags }
}
