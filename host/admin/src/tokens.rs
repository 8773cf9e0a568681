//! What a caller shows.

/// What somebody who is let in may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    /// Look: status, taps, tiles, letters.
    #[expect(dead_code, reason = "there is one token")]
    Reader,
    /// That, and change what runs.
    Operator,
}
