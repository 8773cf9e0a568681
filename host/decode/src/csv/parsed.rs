//! A record as it was parsed.

use super::quotes::Quotes;

/// Where the parser stopped.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Stop {
    /// After the first byte of the line end that closes the record.
    LineEnd,
    /// At the end of the input, which closes the record too.
    Input,
    /// At the end of the block, which does not.
    Block,
    /// Within a record of more bytes or fields than there is room for, or one without any.
    Full,
}

/// A record as it was parsed. Its fields, and where each ends, are where they were asked for.
pub(super) struct Parsed {
    pub stop: Stop,
    /// Bytes up to there.
    pub read: usize,
    /// Fields.
    pub count: usize,
    /// How its quotes are, where that is known.
    pub quotes: Option<Quotes>,
}

impl Parsed {
    /// Whether it is a record in order, of at least so many fields, and behind the last line end that is escaped
    /// something follows.
    pub(super) fn is_one_of(&self, width: usize, input: &[u8]) -> bool {
        let is_cut = self.stop == Stop::Input && matches!(input, [.., b'\r' | b'\n']);
        self.stop != Stop::Full
            && self.count >= width
            && self.quotes == Some(Quotes::Closed)
            && !is_cut
    }
}
