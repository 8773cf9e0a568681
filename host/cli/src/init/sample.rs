//! What was looked at.

use clickmill_infer::Records;

/// Fields, or values of JSON, that are looked at, at most: each takes memory, however short it is.
pub(super) const MAX_VALUES: usize = 4_000_000;

/// How many values a JSON text has, at most.
pub(super) fn values(text: &str) -> usize {
    1 + text.bytes().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count()
}

/// Records that were looked at, and how they are read.
pub(super) struct Sample {
    pub records: Records,
    /// Lines of the section `source`.
    pub source: Vec<String>,
    /// Whether there are no more.
    pub is_all: bool,
    pub largest: usize,
    /// How many could not be decoded.
    pub malformed: usize,
    /// Which of them was the first, and why.
    pub first_malformed: String,
}
