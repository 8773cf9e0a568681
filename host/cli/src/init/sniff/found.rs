//! What is found of an object.

use clickmill_config::Format;

/// Records may be as large while they are looked at.
pub(super) const MAX_RECORD_BYTES: usize = 16 << 20;

/// What an object is.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// How it is decoded.
    pub format: Format,
    /// Lines of the section `source` that say so.
    pub lines: Vec<String>,
    /// What to tell of it at once, each the rest of a sentence that begins with its name.
    pub told: Vec<String>,
}

/// What is wrong, and what to do about it.
pub(super) type Refused = (String, String);
