//! How much of a value is replaced under a telling name.
//!
//! - A secret: all of it, but for `true`, `false` and `null`.
//! - A phrase: the same, with the words that follow on its line, but for a name and its sign.
//! - `pass` and `pw`: the same, but for a number of up to three digits: `pass=3 of 4`, `pw=100px`.
//! - A token: 8 or more characters of hex, base64 or the like with digits and letters, or as a long token.
//! - A long token: 16 or more such characters with a digit or a capital, so `key=price` and `session=42`
//!   stay.
//! - Behind `Basic`: the base64 of anything with a colon in it.
//! - A one-time code: 3 to 16 letters and digits, a digit among them, or as a token.
//! - `code`: six digits, or as a long token.
//! - A phone number: 5 digits or more.

use super::assigned::{COLOUR, blanks};
use super::names::{Holds, MAX_NAME};
use super::phone::extension;
use super::span::Mark;
use super::view::View;

/// The most digits of a count: no password that anyone may choose is as short.
const MAX_COUNT: usize = 3;

/// The schemes of `Authorization` that send one token, and what services call theirs.
#[rustfmt::skip]
const SCHEMES: &[&[u8]] = &[
    b"bearer", b"basic", b"token", b"apikey", b"api-key", b"negotiate", b"ntlm", b"kerberos", b"dpop", b"jwt",
    b"oauth", b"zoho-oauthtoken", b"ssws", b"splunk", b"geniekey", b"bot", b"key",
];

impl Holds {
    /// What stands in the place of the value, where any may be replaced.
    pub(super) fn mark(self) -> Option<Mark> {
        match self {
            Self::Version => None,
            Self::Phone => Some(Mark::Phone),
            _ => Some(Mark::Token),
        }
    }
}

/// How many bytes from the beginning of a value are replaced: 0 if none. It may be followed by something
/// else in the same text, or by a delimiter that is percent-encoded no more often than this.
pub(super) fn length(value: View<'_>, holds: Holds, percent: u8) -> usize {
    match holds {
        Holds::Secret | Holds::Pass => secret(value, percent, holds),
        Holds::Phrase => phrase(value, percent, holds),
        Holds::Token => token(value, percent, |token| is_short(token) || is_long(token)),
        Holds::LongToken => token(value, percent, is_long),
        Holds::OneTimeCode => grouped_code(value.bytes())
            .unwrap_or_else(|| token(value, percent, |token| is_code(token) || is_short(token))),
        Holds::Code => token(value, percent, |token| is_six_digits(token) || is_long(token)),
        Holds::Phone => phone(value.bytes()),
        Holds::Version => 0,
    }
}

/// Whether a text that is all there is under a password's name is one.
pub(super) fn is_password(text: &[u8], holds: Holds) -> bool {
    let is_none = holds == Holds::Pass && (is_count(text) || is_literal(text));
    !text.is_empty() && !is_none
}

/// Whether this is a short number, of something or as a part of it (in a form `3+of+4`), or a width.
fn is_count(text: &[u8]) -> bool {
    let is_of_it = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'.' | b'/');
    let length = text.iter().take_while(is_of_it).count();
    let (number, unit) = text.split_at(length);
    let digits = number.iter().filter(|byte| byte.is_ascii_digit()).count();
    (1..=MAX_COUNT).contains(&digits)
        && (matches!(unit, b"" | b"%" | b"px") || unit.starts_with(b"+of+"))
}

/// Whether a number, as JSON writes it, is replaced.
pub(super) fn is_number_of(number: &[u8], holds: Holds) -> bool {
    let digits = number.iter().filter(|b| b.is_ascii_digit()).count();
    match holds {
        Holds::Secret | Holds::Phrase => true,
        Holds::Pass => digits > MAX_COUNT,
        Holds::Token | Holds::LongToken | Holds::Code => digits >= 16,
        Holds::OneTimeCode => digits >= 3,
        Holds::Phone => digits >= 5,
        Holds::Version => false,
    }
}

/// How long the list is that a text begins with, of characters or bytes: `[Z, x, 9]`.
fn list(text: &[u8]) -> usize {
    const MAX_LIST: usize = 256;
    if text.first() != Some(&b'[') {
        return 0;
    }
    let is_of_it =
        |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b' ' | b',' | b'-' | b'_' | b'.' | b'*');
    let length = 1 + text[1..].iter().take(MAX_LIST).take_while(is_of_it).count();
    if text.get(length) == Some(&b']') { length + 1 } else { 0 }
}

/// The length of a one-time code in groups of as many digits each: `493 817`.
fn grouped_code(text: &[u8]) -> Option<usize> {
    const DIGITS: std::ops::RangeInclusive<usize> = 6..=9;
    let digits = |text: &[u8]| text.iter().take(5).take_while(|b| b.is_ascii_digit()).count();
    let group = digits(text);
    let (mut end, mut all) = (group, group);
    while all <= *DIGITS.end()
        && let [b' ' | b'+', rest @ ..] = &text[end..]
        && digits(rest) == group
        && group > 0
    {
        end += 1 + group;
        all += group;
    }
    let goes_on = text.get(end).is_some_and(u8::is_ascii_alphanumeric);
    (group < 5 && end > group && DIGITS.contains(&all) && !goes_on).then_some(end)
}

fn secret(value: View<'_>, percent: u8, holds: Holds) -> usize {
    let bytes = value.bytes();
    let length = word(value, percent);
    // Of `null,7` the first says that there is none.
    let first =
        bytes[..length].split(|byte| matches!(byte, b',' | b';')).next().unwrap_or_default();
    // `has_password=true`, and an object that is cut off: `password: {"rule": "x`.
    if is_literal(first) || first == b"{" || !is_password(first, holds) { 0 } else { length }
}

/// The length of what has no space in it.
fn word(value: View<'_>, percent: u8) -> usize {
    let bytes = value.bytes();
    let ends = |at: usize, byte: u8| {
        value.percent(at) <= percent
            && match byte {
                b',' | b';' | b'"' | b'\'' => !goes_on(bytes, at),
                b'&' | b'#' | b'<' | b'>' | b'}' | COLOUR => true,
                _ => byte.is_ascii_whitespace(),
            }
    };
    let mut rest = bytes.iter().enumerate().skip(list(bytes));
    rest.find(|(at, b)| ends(*at, **b)).map_or(bytes.len(), |(at, _)| at)
}

/// Whether a value goes on behind a sign at this place that may end it: right behind it there is more, and no
/// other name.
fn goes_on(text: &[u8], at: usize) -> bool {
    let (before, rest) = (&text[..at], &text[at + 1..]);
    let is_quote = matches!(text[at], b'"' | b'\'');
    let begins = |byte: &u8| match *byte {
        b'"' | b'\'' | b',' | b';' | b'&' | b'#' | b'<' | b'>' | b'{' | b'}' | b'[' | b']'
        | b')' | b'\\' | COLOUR => false,
        byte if is_quote => byte.is_ascii_alphanumeric() || !byte.is_ascii(),
        byte => !byte.is_ascii_whitespace(),
    };
    // `{"rule": "x` is an object.
    !matches!(before, [] | [.., b'{']) && rest.first().is_some_and(begins) && !begins_name(rest)
}

/// Whether a text begins with what looks like a name and its sign.
fn begins_name(text: &[u8]) -> bool {
    let is_of_it = |byte: &&u8| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'[' | b']' | b'$')
    };
    let length = text.iter().take(MAX_NAME).take_while(is_of_it).count();
    let blanks = text[length..].iter().take(2).take_while(|byte| **byte == b' ').count();
    length > 0 && matches!(text.get(length + blanks), Some(b'=' | b':'))
}

/// The length of a secret of several words: to the end of the line, of what is around it, or before a name.
fn phrase(value: View<'_>, percent: u8, holds: Holds) -> usize {
    let bytes = value.bytes();
    let mut end = secret(value, percent, holds);
    while end > 0 {
        let is_between = |b: &&u8| matches!(b, b' ' | b'\t' | b',' | b';');
        let between = bytes[end..].iter().take_while(is_between).count();
        let next = end + between;
        let length = if between > 0 { word(value.rest(next), percent) } else { 0 };
        if length == 0 || begins_name(&bytes[next..]) {
            break;
        }
        end = next + length;
    }
    end
}

/// The length of a token, a scheme before it (`Basic …`) included.
fn token(value: View<'_>, percent: u8, is_wanted: fn(&[u8]) -> bool) -> usize {
    let bytes = value.bytes();
    let first = bytes.first().map_or(0, u8::to_ascii_lowercase);
    let begins = |scheme: &&&[u8]| {
        first == scheme[0]
            && bytes.get(..scheme.len()).is_some_and(|v| v.eq_ignore_ascii_case(scheme))
    };
    let scheme = SCHEMES.iter().find(begins).map_or(0, |scheme| scheme.len());
    let blanks = if scheme > 0 { blanks(bytes, scheme) } else { 0 };
    let start = if blanks > 0 { scheme + blanks } else { 0 };
    let mut token = &bytes[start..start + token_length(value.rest(start), percent)];
    while let [before @ .., b'.' | b'/'] = token {
        token = before;
    }
    let is_basic = start > 0 && bytes[..scheme].eq_ignore_ascii_case(b"basic");
    let is_wanted = is_wanted(token) || is_basic && is_user_and_password(token);
    if is_wanted { start + token.len() } else { 0 }
}

/// Whether this is the base64 of a user, a colon and a password.
fn is_user_and_password(token: &[u8]) -> bool {
    let sextet = |byte: &u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let mut bits = 0_u32;
    let decoded = token.iter().map_while(sextet).enumerate().filter_map(|(at, sextet)| {
        bits = bits << 6 | u32::from(sextet);
        // Of four, the first has none of its own to end.
        (at % 4 != 0).then(|| (bits >> (6 - at % 4 * 2)) as u8)
    });
    // No user has a sign of control in it.
    decoded.take_while(|byte| *byte >= b' ').any(|byte| byte == b':')
}

/// How many bytes of the text's beginning can be of a token, base64's padding included. Where a URL has to
/// encode signs that are in none, as in `s%3A0123`, they are of the token all the same.
pub(super) fn token_length(text: View<'_>, percent: u8) -> usize {
    let bytes = text.bytes();
    let is_of_it = |at: usize, byte: u8| {
        is_token(byte)
            || text.percent(at) > percent
                && !byte.is_ascii_whitespace()
                && !matches!(byte, b'"' | b'\'' | b'<' | b'>')
    };
    let length = bytes.iter().enumerate().take_while(|(at, b)| is_of_it(*at, **b)).count();
    length + bytes[length..].iter().take(2).take_while(|b| **b == b'=').count()
}

/// Whether this is no password, but says whether there is one.
pub(super) fn is_literal(text: &[u8]) -> bool {
    [b"null".as_slice(), b"nil", b"none", b"undefined", b"true", b"false"]
        .iter()
        .any(|literal| text.eq_ignore_ascii_case(literal))
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'~' | b'+' | b'/' | b'%')
}

fn has_digit(token: &[u8]) -> bool {
    token.iter().any(u8::is_ascii_digit)
}

fn is_long(token: &[u8]) -> bool {
    token.len() >= 16 && (has_digit(token) || token.iter().any(u8::is_ascii_uppercase))
}

fn is_short(token: &[u8]) -> bool {
    token.len() >= 8 && has_digit(token) && token.iter().any(u8::is_ascii_alphabetic)
}

fn is_code(token: &[u8]) -> bool {
    (3..=16).contains(&token.len())
        && has_digit(token)
        && token.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-')
}

fn is_six_digits(token: &[u8]) -> bool {
    token.len() == 6 && token.iter().all(u8::is_ascii_digit)
}

fn phone(value: &[u8]) -> usize {
    let (mut end, mut digits) = (0, 0);
    // Where a number ends behind which a word may begin that is none of it: `030 123456 (2nd)`.
    let mut before = 0;
    for (at, byte) in value.iter().enumerate() {
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = at + 1;
            }
            // In a form, a `+` is a space.
            b' ' | b'(' | b'+' => before = if digits >= 5 { end } else { 0 },
            b')' | b'-' | b'.' | b'/' => {}
            // More than a phone number: an address, a word, a name.
            b'@' => return 0,
            _ if byte.is_ascii_alphabetic() => {
                let more = extension(&value[end..]);
                return if digits >= 5 && more > 0 { end + more } else { before };
            }
            _ => break,
        }
    }
    if digits >= 5 { end } else { 0 }
}

#[cfg(test)]
mod tests {
    use crate::tests::check_clean;

    #[test]
    fn users_with_passwords_are_found_however_short() {
        check_clean(&[
            ("Authorization: Basic cm9vdDpyb290", "Authorization: [token]"),
            ("Authorization: basic cm9vdDo=, x", "Authorization: [token], x"),
            ("Proxy-Authorization: Basic Og==", "Proxy-Authorization: [token]"),
            ("Authorization%3A%20Basic%20dXNlcjpwYXNz", "Authorization%3A%20[token]"),
            ("?authorization=Basic+dXNlcjpwYXNz&a=b", "?authorization=[token]&a=b"),
            ("Authorization: Basic asO8ZTp4", "Authorization: [token]"),
            ("Authorization: Basic authentication", "Authorization: Basic authentication"),
            ("Authorization: Basic required", "Authorization: Basic required"),
            ("Authorization: Basic", "Authorization: Basic"),
        ]);
    }

    #[test]
    fn what_is_said_of_a_phone_number_behind_it_does_not_keep_it() {
        check_clean(&[
            ("tel=01701234567 (retry)", "tel=[phone] (retry)"),
            ("tel=01701234567(2nd)", "tel=[phone](2nd)"),
            ("phone=6012345678+mobile&a=b", "phone=[phone]+mobile&a=b"),
            ("phone=6012345678+(mobile)", "phone=[phone]+(mobile)"),
            (r#"{"phone":"01701234567 (home)"}"#, r#"{"phone":"[phone] (home)"}"#),
            ("tel=01701234567 (2nd)", "tel=[phone] (2nd)"),
            (r#"{"tel":"01701234567 -home"}"#, r#"{"tel":"[phone] -home"}"#),
            ("phone=4155552671x12&a=b", "phone=[phone]&a=b"),
            (r#"{"phone":"4155552671 ext. 12"}"#, r#"{"phone":"[phone]"}"#),
            ("tel=01701234567x", "tel=01701234567x"),
            ("tel=12345-shop", "tel=12345-shop"),
            ("tel=12345.example", "tel=12345.example"),
        ]);
    }
}
