//! Where the quotes of a record are. The parser takes them anywhere; RFC 4180 does not.

use memchr::memchr;

use super::lines::BYTE_ORDER_MARK;

/// Where the quotes of a record are.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Quotes {
    /// Around whole fields, as RFC 4180 wants them, or nowhere.
    Closed,
    /// Around the beginning of a field.
    Loose,
    /// One is not closed.
    Open,
}

impl Quotes {
    /// Those of a record.
    pub(super) fn of(record: &[u8], delimiter: u8, quote: u8) -> Self {
        let mut found = Self::Closed;
        // The parser passes over the mark, wherever a record begins with one.
        let mut rest = record.strip_prefix(BYTE_ORDER_MARK).unwrap_or(record);
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
