//! Finds what a form of several parts (`multipart/form-data`) sends under a telling name: behind
//! `form-data; name="password"` and an empty line, up to the next boundary.

use std::ops::Range;

use super::assigned::without_spaces;
use super::names::{self, Holds, MAX_NAME};
use super::value;
use super::view::View;

/// Longer lines are none of what is said of a part. It bounds the time.
const MAX_LINE: usize = 256;

/// More than is said of a part.
const MAX_LINES: usize = 4;

/// What the part holds whose name is behind the sign at this place, and where its value lies.
pub(super) fn find(text: View<'_>, sign: usize) -> Option<(Holds, Range<usize>)> {
    let bytes = text.bytes();
    let before = bytes[..sign].strip_suffix(b"name")?;
    if !bytes[..without_spaces(text, before.len())].ends_with(b"form-data;") {
        return None;
    }
    let name = bytes[sign + 1..].strip_prefix(b"\"")?;
    let length = name.iter().take(2 * MAX_NAME).position(|byte| *byte == b'"')?;
    let name = &name[..length];
    let holds = if names::may_tell(name) { names::holds(name)? } else { return None };
    holds.mark()?;
    let start = value_start(bytes, sign + length + 3)?;
    let length = if holds.is_password() {
        let end = memchr::memmem::find(&bytes[start..], b"\n--");
        let value = &bytes[start..end.map_or(bytes.len(), |end| start + end)];
        let value = value.trim_ascii_end();
        if value::is_password(value, holds) { value.len() } else { 0 }
    } else {
        value::length(text.rest(start), holds, text.percent(sign))
    };
    (length > 0).then_some((holds, start..start + length))
}

/// Where the value begins, behind the lines that are said of it.
fn value_start(text: &[u8], mut at: usize) -> Option<usize> {
    for _ in 0..MAX_LINES {
        at += text[at..].iter().take(MAX_LINE).position(|byte| matches!(byte, b'\r' | b'\n'))?;
        // Where a line break is written as an escape, it is two.
        at += text[at..].iter().take(MAX_LINES).take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let is_said = text[at..].get(..8).is_some_and(|b| b.eq_ignore_ascii_case(b"content-"));
        if !is_said {
            return Some(at).filter(|at| !text[*at..].starts_with(b"--"));
        }
    }
    None
}
