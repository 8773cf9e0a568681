//! Secrets of plugins: which stage is granted which, with what value, and what a value has to be like.
//!
//! A plugin's `process` gets the values. Whatever else is asked of it (`configure`, golden cases, the run on
//! the last batches before a swap) gets made-up ones, so that nobody learns anything of a secret by asking.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;

use super::redactor::Redactor;
use clickmill_config::Plugin;
use clickmill_core::list;

/// The fewest bytes of a secret: what is shorter can be guessed.
pub const MIN_SECRET_BYTES: usize = 16;

/// Bytes of a made-up value, each of them two digits.
const MADE_UP_BYTES: usize = 32;

/// Where made-up values come from. Any change makes other outputs of golden cases.
const CONTEXT: &str = "clickmill sandbox 2026-11 made-up secret v1";

/// The secrets that stages are granted, with their values, by stage and name. What is not here, no plugin
/// gets. `Debug` says names and no values.
#[derive(Clone, Default)]
pub struct Secrets {
    values: BTreeMap<(String, String), String>,
    pub(super) redactor: Redactor,
}

/// Secrets are missing, can be guessed, or stand where they do not belong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the pipeline's secrets are not in order:{list}", list = list(problems))]
pub struct SecretsError {
    /// Every problem: the stage, the secret, its environment variable and what to do. Never a value.
    pub problems: Vec<String>,
}

impl Secrets {
    /// None.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// These and one more: secret `name` of stage `stage`.
    #[must_use]
    pub fn with(mut self, stage: &str, name: &str, value: &str) -> Self {
        self.values.insert((stage.to_owned(), name.to_owned()), value.to_owned());
        Self::of(self.values)
    }

    fn of(values: BTreeMap<(String, String), String>) -> Self {
        let named = values.iter().map(|((_, name), value)| (name.as_str(), value.as_str()));
        let redactor = Redactor::new(named);
        Self { values, redactor }
    }

    /// The secrets that the stages are granted, read: those of `given` are taken from there, the others
    /// from the environment.
    ///
    /// # Errors
    ///
    /// A secret is not set, is no UTF-8, has fewer than [`MIN_SECRET_BYTES`], begins or ends in white space,
    /// or stands in the configuration of a stage.
    pub fn read(
        plugins: &[Plugin],
        given: &Self,
        environment: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, SecretsError> {
        let mut problems = Vec::new();
        let mut values = BTreeMap::new();
        for plugin in plugins {
            for (name, variable) in &plugin.secrets {
                let value = given.get(&plugin.name, name).map(OsString::from);
                let value = value.or_else(|| environment(variable)).map(OsString::into_string);
                let wrong = match value {
                    Some(Ok(value)) => match wrong(&value, MIN_SECRET_BYTES) {
                        None => {
                            values.insert((plugin.name.to_string(), name.clone()), value);
                            continue;
                        }
                        Some(wrong) => wrong,
                    },
                    Some(Err(_)) => "is not UTF-8".to_owned(),
                    None => format!(
                        "is not set: give it {MIN_SECRET_BYTES} bytes or more, such as those of `openssl rand -hex 32`"
                    ),
                };
                let stage = &plugin.name;
                problems.push(format!(
                    "stage `{stage}`: secret `{name}`, environment variable `{variable}`, {wrong}"
                ));
            }
        }
        let secrets = Self::of(values);
        for plugin in plugins {
            let held = secrets.held_by(plugin);
            problems.extend(held.map(|problem| format!("stage `{}`: {problem}", plugin.name)));
        }
        if problems.is_empty() { Ok(secrets) } else { Err(SecretsError { problems }) }
    }

    /// The value of a secret.
    pub(super) fn get(&self, stage: &str, name: &str) -> Option<&str> {
        self.values.get(&(stage.to_owned(), name.to_owned())).map(String::as_str)
    }

    /// Where the configuration of a stage holds a secret, of whatever stage, and what to do about it.
    pub(super) fn held_by(&self, plugin: &Plugin) -> impl Iterator<Item = String> {
        let found = self.redactor.find_in(&plugin.config).into_iter();
        found.map(|(place, name)| format!("{place} holds secret `{name}`: take it out"))
    }

    /// The names of a stage's secrets.
    pub(super) fn names(&self, stage: &str) -> impl Iterator<Item = &str> {
        let of_stage = self.values.keys().filter(move |(of, _)| of == stage);
        of_stage.map(|(_, name)| name.as_str())
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.values.keys()).finish()
    }
}

/// What is wrong with a value, which is not told. A plugin may want more bytes than are wanted of any.
pub(super) fn wrong(value: &str, min_bytes: usize) -> Option<String> {
    let (bytes, wanted) = (value.trim().len(), min_bytes.max(MIN_SECRET_BYTES));
    if bytes < wanted {
        Some(format!("has {bytes} bytes, wanted at least {wanted}"))
    } else if bytes < value.len() {
        let wanted = "take it away, as `$(cat FILE)` does with line ends";
        Some(format!("begins or ends in white space, which gets lost on the way: {wanted}"))
    } else {
        None
    }
}

/// A value for a secret of this name, the same on every machine: 64 hexadecimal digits, or as many as are
/// wanted of it.
pub(super) fn made_up(name: &str, min_bytes: usize) -> String {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(name.as_bytes());
    let mut bytes = vec![0; min_bytes.div_ceil(2).max(MADE_UP_BYTES)];
    hasher.finalize_xof().fill(&mut bytes);
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
