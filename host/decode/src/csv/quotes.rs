//! Where the quotes of a record are. The parser takes them anywhere; RFC 4180 does not.

use memchr::memchr;

/// Where the quotes of a record are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Quotes {
    /// Around whole fields, as RFC 4180 wants them, or within fields that do not begin with one.
    Closed,
    /// Around the beginning of a field.
    Loose,
    /// One is behind a backslash, which may escape it or be a field's last character: nobody has said.
    Escaped,
    /// One is not closed.
    Open,
}

impl Quotes {
    /// Those of a record, where nothing but a quote stands for a quote.
    pub(super) fn of(record: &[u8], delimiter: u8, quote: u8) -> Self {
        let mut found = Self::Closed;
        let mut rest = record;
        loop {
            if let Some(mut quoted) = rest.strip_prefix(&[quote]) {
                loop {
                    let Some(end) = memchr(quote, quoted) else { return Self::Open };
                    quoted = &quoted[end + 1..];
                    match quoted.strip_prefix(&[quote]) {
                        Some(after) => quoted = after,
                        None => break,
                    }
                }
                if quoted.first().is_some_and(|byte| *byte != delimiter) {
                    found = Self::Loose;
                }
                rest = quoted;
            }
            match memchr(delimiter, rest) {
                None => return found,
                Some(end) => rest = &rest[end + 1..],
            }
        }
    }
}

/// Where a backslash stands before a quote last.
pub(super) fn last_escaped(text: &[u8], quote: u8) -> Option<usize> {
    text.windows(2).rposition(|pair| pair == [b'\\', quote])
}

/// Whether a backslash stands before a quote.
pub(super) fn is_escaped(text: &[u8], quote: u8) -> bool {
    last_escaped(text, quote).is_some()
}
