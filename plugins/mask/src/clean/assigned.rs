//! What stands around a `=` or `:`: where the name before it ends, and where the value behind it lies.

use super::names::MAX_NAME;
use super::view::View;

/// More spaces between a name and the sign behind it than anyone writes.
const MAX_SPACES: usize = 8;

/// What the colours of a terminal are decoded to. One may be set right before or behind a sign. It is not what
/// they begin with: with a bracket behind it, this would be taken for another one.
pub(super) const COLOUR: u8 = 0x1A;

/// Whether there is a space at this place: behind or before a sign that is percent-encoded, a `+` that is
/// not is one.
#[inline]
pub(super) fn is_space(text: View<'_>, at: usize, sign: usize) -> bool {
    match text.bytes()[at] {
        b' ' | b'\t' | COLOUR => true,
        b'+' => text.percent(at) < text.percent(sign),
        0x80.. => is_blank(text.bytes(), at),
        _ => false,
    }
}

/// Whether there is a space or a tab at this place, or a part of a typographic space, of which a text without
/// other escapes is not decoded.
pub(super) fn is_blank(text: &[u8], at: usize) -> bool {
    const WIDE: [&[u8]; 3] = [b"\xC2\xA0", b"\xE1\x9A\x80", b"\xE3\x80\x80"];
    match text[at] {
        b' ' | b'\t' => true,
        0x80..0xC0 | 0xC2 | 0xE1..=0xE3 => {
            // It begins here, or up to two bytes before.
            let first = (at.saturating_sub(2)..=at).rev().find(|at| text[*at] >= 0xC0);
            first.is_some_and(|first| match &text[first..] {
                [0xE2, 0x80, 0x80..=0x8A | 0xAF, ..] | [0xE2, 0x81, 0x9F, ..] => true,
                rest => WIDE.iter().any(|wide| rest.starts_with(wide)),
            })
        }
        _ => false,
    }
}

/// Whether a text ends with a colour of a terminal whose first sign was cut off or is written as `^[`, and not
/// decoded: `^[[1;31m`.
pub(super) fn ends_with_colour(text: &[u8]) -> bool {
    const MAX_NUMBERS: usize = 16;
    let is_of_it = |byte: &&u8| byte.is_ascii_digit() || **byte == b';';
    let Some((b'm', before)) = text.split_last() else { return false };
    let length = before.iter().rev().take(MAX_NUMBERS).take_while(is_of_it).count();
    length > 0 && before[..before.len() - length].ends_with(b"[")
}

/// How many spaces and tabs there are from this place on, up to so many bytes; those of a form too.
pub(super) fn blanks(text: &[u8], start: usize) -> usize {
    /// More than anyone writes between two words.
    const MAX_BLANKS: usize = 32;
    let places = (start..text.len()).take(MAX_BLANKS);
    places.take_while(|at| matches!(text[*at], b'+' | COLOUR) || is_blank(text, *at)).count()
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
        [b'=', b'=', b'=', ..] | [b':', b':' | b' ' | b'\t', b'=', ..] => 3,
        [b'=', b'=' | b'>' | b'~', ..] | [b':', b'=', ..] | [b'-' | b'<', b'>', ..] => 2,
        _ => 1,
    };
    at + length
}

/// Where the name before a sign ends, and whether a sign is there that adds to what was, or compares with it:
/// `+=`, `?=`, `||=`, `!=`, `<>`.
pub(super) fn name_end(text: View<'_>, sign: usize) -> (usize, bool) {
    let bytes = text.bytes();
    let adds = match (&bytes[..sign], bytes[sign]) {
        ([.., b'?', b'?'] | [.., b'|', b'|'], b'=') => 2,
        ([.., b'?' | b'+' | b'!' | b'~'] | [.., b' ' | b'\t', b'.'], b'=') => 1,
        _ => 0,
    };
    // A `+` may be a space of a form.
    if adds > 0 && !is_space(text, sign - 1, sign) {
        return (without_spaces(text, sign - adds), true);
    }
    (without_spaces(text, sign), bytes[sign] == b'<')
}

/// Where the text before a sign ends, without spaces.
pub(super) fn without_spaces(text: View<'_>, sign: usize) -> usize {
    let places = (0..sign).rev().take(MAX_SPACES);
    sign - places.take_while(|at| is_space(text, *at, sign)).count()
}

/// The name before a sign, which ends at `end`, without the quote or bracket after it: empty where there is
/// none. It may be asked for `of_words`, with those before its last.
pub(super) fn name(view: View<'_>, end: usize, sign: usize, of_words: bool) -> &[u8] {
    let bytes = &view.bytes()[..end];
    let (text, bracketed) = match &bytes[..without_index(bytes)] {
        [before @ .., b'"' | b'\''] | [before @ .., b'"' | b'\'', b']'] => (before, false),
        [before @ .., b']'] => (before, true),
        text => (text, false),
    };
    let colours = text.iter().rev().take(MAX_NAME).take_while(|byte| **byte == COLOUR).count();
    let text = &text[..text.len() - colours];
    let is_of_it = |at: &usize| {
        let byte = text[*at];
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'-' | b'.')
            || !byte.is_ascii()
            || of_words && byte != COLOUR && is_space(view, *at, sign)
    };
    let length = (0..text.len()).rev().take(MAX_NAME).take_while(is_of_it).count();
    let (before, name) = text.split_at(text.len() - length);
    // `[phone]=` is our own mark, `user[phone]=`, `order[address][phone]=` and `[phone] =>` are names.
    let is_arrow = view.bytes()[sign..].starts_with(b"=>");
    if bracketed && !is_indexed(before) && !(is_arrow && before.ends_with(b"[")) {
        return b"";
    }
    name
}

/// Where the text ends without the index of a list behind a name: `[]`, `[0]`.
fn without_index(text: &[u8]) -> usize {
    let mut rest = text;
    while let [before @ .., b']'] = rest {
        let digits = before.iter().rev().take_while(|b| b.is_ascii_digit()).count();
        let Some((b'[', before)) = before[..before.len() - digits].split_last() else {
            break;
        };
        rest = before;
    }
    rest.len()
}

/// Whether the text ends with a name, any number of indices in brackets, and an opening bracket.
fn is_indexed(text: &[u8]) -> bool {
    let Some((b'[', mut text)) = text.split_last() else {
        return false;
    };
    while let Some((b']', before)) = text.split_last() {
        let length =
            before.iter().rev().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        let Some((b'[', before)) = before[..before.len() - length].split_last() else {
            return false;
        };
        text = before;
    }
    text.last().is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_')
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

/// Where the quote that begins at this place ends, or the text. Two in a row are one of the value, as SQL writes
/// it, but not where three begin it.
pub(super) fn quote_end(text: View<'_>, start: usize, quote: u8) -> usize {
    let (opening, bytes) = (text.level(start), text.bytes());
    let is_of_three = bytes[..start].ends_with(&[quote; 2]);
    let mut places = memchr::memchr_iter(quote, &bytes[start + 1..])
        .map(|at| start + 1 + at)
        .filter(|at| text.level(*at).closes(opening))
        .peekable();
    while let Some(at) = places.next() {
        let is_doubled = places
            .next_if(|next| !is_of_three && *next == at + 1 && text.level(*next) == text.level(at));
        if is_doubled.is_none() {
            return at;
        }
    }
    bytes.len()
}
