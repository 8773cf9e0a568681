//! What was looked at.

use clickmill_infer::Records;

/// Records that were looked at, and how they are read.
pub(super) struct Sample {
    pub records: Records,
    /// Lines of the section `source`.
    pub source: Vec<String>,
    /// Whether there are no more.
    pub is_all: bool,
    pub largest: usize,
    /// How many could not be decoded.
    pub malformed: u64,
}
