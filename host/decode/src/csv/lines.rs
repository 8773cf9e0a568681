//! Line ends of delimited text. LF, CRLF and CR each end a line, in one object as they come.

use memchr::{memchr2, memchr2_iter};

pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Where the first line of `bytes` ends; `None` where it goes on beyond them.
pub(super) fn first_end(bytes: &[u8]) -> Option<usize> {
    memchr2(b'\r', b'\n', bytes)
}

/// How many lines end in `bytes`.
pub(super) fn count_ends(bytes: &[u8]) -> u64 {
    // The LF of a CRLF ends no line of its own.
    let counts = |at: &usize| bytes[*at] == b'\r' || *at == 0 || bytes[*at - 1] != b'\r';
    memchr2_iter(b'\r', b'\n', bytes).filter(counts).count() as u64
}
