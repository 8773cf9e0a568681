//! What stands around a `=` or `:`: where the name before it ends, and where the value behind it lies.

use super::view::View;

/// More spaces between a name and the sign behind it than anyone writes.
const MAX_SPACES: usize = 8;

/// What the colours of a terminal are decoded to. One may be set right before or behind a sign. It is not what
/// they begin with: with a bracket behind it, this would be taken for another one.
pub(super) const COLOUR: u8 = 0x1A;

/// Whether there is a space at this place: behind or before a sign that is percent-encoded, a `+` that is
/// not is one.
pub(super) fn is_space(text: View<'_>, at: usize, sign: usize) -> bool {
    let byte = text.bytes()[at];
    matches!(byte, b' ' | COLOUR) || byte == b'+' && text.percent(at) < text.percent(sign)
}

/// The places of signs, in order: of `=`, `:` and `<`, and of `->`.
pub(super) fn signs(text: &[u8]) -> impl Iterator<Item = usize> {
    let mut arrows =
        memchr::memchr_iter(b'>', text).filter(|at| text[..*at].ends_with(b"-")).map(|at| at - 1);
    let mut others = memchr::memchr3_iter(b'=', b':', b'<', text);
    let (mut arrow, mut other) = (arrows.next(), others.next());
    std::iter::from_fn(move || match (arrow, other) {
        (Some(at), other) if other.is_none_or(|other| at < other) => {
            arrow = arrows.next();
            Some(at)
        }
        (_, at) => {
            other = others.next();
            at
        }
    })
}

/// Where a sign ends, be it one of several characters: `:=`, `=>`, `==`.
pub(super) fn sign_end(text: View<'_>, at: usize) -> usize {
    let length = match &text.bytes()[at..] {
        [b'=', b'=', b'=', ..] | [b':', b':' | b' ', b'=', ..] => 3,
        [b'=', b'=' | b'>', ..] | [b':', b'=', ..] | [b'-', b'>', ..] => 2,
        _ => 1,
    };
    at + length
}

/// Where the name before a sign ends, and whether a sign is there that adds to what was: `+=`, `?=`, `||=`.
pub(super) fn name_end(text: View<'_>, sign: usize) -> (usize, bool) {
    let bytes = text.bytes();
    let adds = match (&bytes[..sign], bytes[sign]) {
        ([.., b'?', b'?'] | [.., b'|', b'|'], b'=') => 2,
        ([.., b'?' | b'+'] | [.., b' ', b'.'], b'=') => 1,
        _ => 0,
    };
    // A `+` may be a space of a form.
    if adds > 0 && !is_space(text, sign - 1, sign) {
        return (without_spaces(text, sign - adds), true);
    }
    (without_spaces(text, sign), false)
}

/// Where the text before a sign ends, without spaces.
pub(super) fn without_spaces(text: View<'_>, sign: usize) -> usize {
    let places = (0..sign).rev().take(MAX_SPACES);
    sign - places.take_while(|at| is_space(text, *at, sign)).count()
}

/// Where the value behind a sign begins: with its quote where it has one. Of a list, its first value.
pub(super) fn value_start(view: View<'_>, sign: usize, sign_end: usize, is_spaced: bool) -> usize {
    let text = view.bytes();
    let after_spaces = |start| {
        let places = start..text.len();
        let is_skipped = |at: &usize| text[*at] == COLOUR || is_spaced && is_space(view, *at, sign);
        start + places.take_while(is_skipped).count()
    };
    let start = after_spaces(sign_end);
    if text.get(start) == Some(&b'[') {
        let first = after_spaces(start + 1);
        // Not `[token]`.
        if text.get(first).is_some_and(|b| matches!(b, b'"' | b'\'' | b'-' | b'0'..=b'9')) {
            return first;
        }
    }
    start
}

/// Where the value begins behind a sign of a text whose value is named elsewhere, or is a name.
pub(super) fn value_start_of(text: View<'_>, sign: usize) -> usize {
    let is_spaced = text.bytes()[sign] == b':' || without_spaces(text, sign) < sign;
    value_start(text, sign, sign_end(text, sign), is_spaced)
}

/// Where such a value ends if it is in quotes, else where it begins.
pub(super) fn value_end(text: View<'_>, sign: usize) -> usize {
    let start = value_start_of(text, sign);
    match text.bytes().get(start) {
        Some(quote @ (b'"' | b'\'')) => quote_end(text, start, *quote),
        _ => start,
    }
}

/// Where the quote that begins at this place ends, or the text.
pub(super) fn quote_end(text: View<'_>, start: usize, quote: u8) -> usize {
    let opening = text.level(start);
    let after = &text.bytes()[start + 1..];
    memchr::memchr_iter(quote, after)
        .map(|at| start + 1 + at)
        .find(|at| text.level(*at).closes(opening))
        .unwrap_or(text.bytes().len())
}
