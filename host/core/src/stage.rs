//! The names of stages. Dead letters, counters and taps name the host's own stages as they name plugins, so
//! no plugin may have one of their names.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Bytes to records.
pub const DECODE: &str = "decode";
/// Sensitive values are compared with what came in.
pub const GUARD: &str = "guard";
/// The table, and its schema.
pub const SINK: &str = "sink";

/// All of them.
pub const ALL: [&str; 3] = [DECODE, GUARD, SINK];

/// Most bytes of a name.
const MAX_BYTES: usize = 64;

/// The name of a stage: a plugin's in the pipeline file, or one of [`ALL`]. 1 to 64 of a-z, 0-9, `_` and
/// `-`. A clone costs no copy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StageName(Arc<str>);

/// A text that is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("is `{0}`, wanted 1 to {MAX_BYTES} of a-z, 0-9, `_` and `-`")]
pub struct NotAName(String);

/// Whether a text is a name as stages and pipelines have them.
pub fn check_name(text: &str) -> Result<(), NotAName> {
    let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_-".contains(c);
    if text.is_empty() || text.len() > MAX_BYTES || !text.chars().all(fine) {
        return Err(NotAName(text.to_owned()));
    }
    Ok(())
}

impl StageName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One of the host's own: one of [`ALL`].
    pub fn of_host(name: &'static str) -> Self {
        debug_assert!(ALL.contains(&name), "{name}");
        Self(name.into())
    }
}

impl FromStr for StageName {
    type Err = NotAName;

    fn from_str(text: &str) -> Result<Self, NotAName> {
        check_name(text).map(|()| Self(text.into()))
    }
}

impl TryFrom<String> for StageName {
    type Error = NotAName;

    fn try_from(text: String) -> Result<Self, NotAName> {
        text.parse()
    }
}

impl From<StageName> for String {
    fn from(name: StageName) -> Self {
        name.as_str().to_owned()
    }
}

impl Deref for StageName {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for StageName {
    fn eq(&self, text: &str) -> bool {
        *self.0 == *text
    }
}

impl fmt::Display for StageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<StageName> for Arc<str> {
    fn from(name: StageName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_checked_wherever_they_come_from() {
        for name in ["mask", "a", "0_-", &"z".repeat(MAX_BYTES)].into_iter().chain(ALL) {
            assert_eq!(name.parse::<StageName>().unwrap().as_str(), name);
            let read: StageName = serde_json::from_value(name.into()).unwrap();
            assert_eq!(serde_json::to_value(&read).unwrap(), name);
        }
        for wrong in ["", "Mask", "m.k", "mäsk", "a b", &"z".repeat(MAX_BYTES + 1)] {
            assert!(wrong.parse::<StageName>().is_err(), "{wrong}");
            assert!(serde_json::from_value::<StageName>(wrong.into()).is_err(), "{wrong}");
        }
    }
}
