//! Finds secrets and phone numbers by the name they are given: `name=value` in a URL's query or
//! fragment, percent-encoded too, and `name: value` or `"name": "value"` in text.
//!
//! - A password, passphrase or secret is replaced whatever it is.
//! - The value of a name like `access_token`, `apiKey`, `auth`, `session`, `sid` or `signature` is
//!   replaced where it is 16 or more characters of hex, base64 or the like with a digit or a capital in
//!   it, so `key=price` and `session=42` stay.
//! - The value of a name like `phone`, `tel` or `mobile_number` is replaced where it has 5 digits or
//!   more and nothing that is not in phone numbers.

use super::span::{Mark, Span, percent_decoded};
use super::token::{space_length, token_length};

/// What a parameter of some name holds.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Holds {
    Secret,
    Token,
    Phone,
}

/// The longest name that is looked at: longer ones are cut at their beginning.
const MAX_NAME: usize = 32;

pub(super) fn find(text: &[u8], mut found: impl FnMut(Span)) {
    // What lies in a value that is replaced is not looked at, so a text is never walked twice.
    let mut done = 0;
    for at in memchr::memchr3_iter(b'=', b':', b'%', text) {
        if at < done {
            continue;
        }
        let sign = match &text[at..] {
            [b'=', ..] => 1,
            [b':', next, ..] if *next != b'/' => 1,
            [b'%', b'3', b'D' | b'd', ..] => 3,
            _ => continue,
        };
        if !may_tell(&text[..at]) {
            continue;
        }
        let Some(holds) = classify(name(&text[..at])) else {
            continue;
        };
        let (start, quote) = value_start(text, at + sign, text[at] == b':');
        let value = match quote {
            Some(quote) => {
                let end = memchr::memchr(quote, &text[start..]).unwrap_or(text.len() - start);
                &text[start..start + end]
            }
            None => &text[start..],
        };
        let length = match holds {
            Holds::Secret if quote.is_some() => value.len(),
            Holds::Secret => secret_length(value),
            Holds::Token => long_token_length(value),
            Holds::Phone => phone_length(value),
        };
        if length > 0 {
            let mark = if holds == Holds::Phone { Mark::Phone } else { Mark::Token };
            done = start + length;
            found(Span { start, end: done, mark });
        }
    }
}

/// Whether the name that ends the text can be one of those that [`classify`] knows: its last two letters
/// already rule most out.
fn may_tell(text: &[u8]) -> bool {
    let [.., a, b] = text else {
        return false;
    };
    if !b.is_ascii_alphabetic() || *b == b'D' {
        // A quote, a bracket (also `%5D`), a number: the name ends before it.
        return true;
    }
    matches!(
        &[a | 0x20, b | 0x20],
        b"al"
            | b"ax"
            | b"dn"
            | b"el"
            | b"en"
            | b"er"
            | b"et"
            | b"ey"
            | b"id"
            | b"ig"
            | b"le"
            | b"ll"
            | b"ls"
            | b"ne"
            | b"on"
            | b"rd"
            | b"re"
            | b"se"
            | b"ss"
            | b"th"
            | b"wd"
            | b"wt"
    )
}

/// The name that ends the text, without the quote or bracket after it: empty where there is none.
fn name(text: &[u8]) -> &[u8] {
    let (text, bracketed) = match text {
        [before @ .., b'"' | b'\''] | [before @ .., b'%', b'5', b'D' | b'd'] => (before, false),
        [before @ .., b']'] => (before, true),
        _ => (text, false),
    };
    let length = text
        .iter()
        .rev()
        .take(MAX_NAME)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
        .count();
    let (before, name) = text.split_at(text.len() - length);
    // `[phone]=` is our own mark, `user[phone]=` and `order[address][phone]=` are names.
    if bracketed && !is_indexed(before) {
        return b"";
    }
    // `%26token`: the digits belong to what stands before the name.
    if before.ends_with(b"%") && percent_decoded(text, before.len() - 1).is_some() {
        return &name[2..];
    }
    name
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

fn classify(name: &[u8]) -> Option<Holds> {
    // `phone2` is one more phone.
    let digits = name.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let name = &name[..name.len() - digits];
    let mut squeezed = [0; MAX_NAME];
    let mut length = 0;
    let mut last_word = 0;
    for byte in name.iter().take(MAX_NAME) {
        if byte.is_ascii_alphanumeric() {
            squeezed[length] = byte.to_ascii_lowercase();
            length += 1;
        } else {
            last_word = length;
        }
    }
    let word = &squeezed[last_word..length];
    let name = &squeezed[..length];
    let ends = |endings: &[&[u8]]| endings.iter().any(|ending| name.ends_with(ending));
    if matches!(word, b"pass" | b"pwd") || ends(&[b"password", b"passwd", b"passphrase", b"secret"])
    {
        return Some(Holds::Secret);
    }
    if matches!(word, b"key" | b"auth" | b"session" | b"sid" | b"sig" | b"jwt")
        || ends(&[
            b"token",
            b"apikey",
            b"accesskey",
            b"sessionid",
            b"sessid",
            b"signature",
            b"authorization",
            b"credential",
            b"credentials",
        ])
    {
        return Some(Holds::Token);
    }
    if matches!(word, b"tel" | b"cell" | b"fax")
        || ends(&[b"phone", b"phonenumber", b"mobile", b"mobilenumber", b"msisdn"])
    {
        return Some(Holds::Phone);
    }
    None
}

/// Where the value begins, and the quote that ends it.
fn value_start(text: &[u8], mut start: usize, in_text: bool) -> (usize, Option<u8>) {
    if in_text {
        start += text[start..].iter().take_while(|b| **b == b' ').count();
    }
    match text.get(start) {
        Some(quote @ (b'"' | b'\'')) => (start + 1, Some(*quote)),
        _ => (start, None),
    }
}

fn secret_length(value: &[u8]) -> usize {
    let ends = |at: usize| {
        matches!(value[at], b'&' | b'#' | b';' | b',' | b'"' | b'\'' | b'<' | b'>' | b'}')
            || value[at].is_ascii_whitespace()
            || percent_decoded(value, at) == Some(b'&')
    };
    (0..value.len()).find(|at| ends(*at)).unwrap_or(value.len())
}

/// The length of a long token, a scheme before it (`Basic …`) included.
fn long_token_length(value: &[u8]) -> usize {
    let scheme = [b"bearer".as_slice(), b"basic"]
        .into_iter()
        .find(|scheme| value.get(..scheme.len()).is_some_and(|v| v.eq_ignore_ascii_case(scheme)))
        .map_or(0, <[u8]>::len);
    let start = match space_length(&value[scheme..]) {
        space if scheme > 0 && space > 0 => scheme + space,
        _ => 0,
    };
    let mut token = &value[start..start + token_length(&value[start..])];
    // `%26` ends a parameter within an encoded URL.
    if let Some(end) = memchr::memmem::find(token, b"%26") {
        token = &token[..end];
    }
    while let [before @ .., b'.' | b'/'] = token {
        token = before;
    }
    let telling = token.iter().any(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
    if token.len() >= 16 && telling { start + token.len() } else { 0 }
}

fn phone_length(value: &[u8]) -> usize {
    let (mut at, mut end, mut digits) = (0, 0, 0);
    while at < value.len() {
        let (byte, length) = match percent_decoded(value, at) {
            Some(decoded) => (decoded, 3),
            None => (value[at], 1),
        };
        match byte {
            b'0'..=b'9' => {
                digits += 1;
                end = at + length;
            }
            b'+' | b'(' | b')' | b' ' | b'-' | b'.' | b'/' => {}
            // More than a phone number: a word, an address, a name.
            _ if byte.is_ascii_alphabetic() || byte == b'@' => return 0,
            _ => break,
        }
        at += length;
    }
    if digits >= 5 { end } else { 0 }
}

#[cfg(test)]
mod tests {
    use crate::tests::check_clean;

    #[test]
    fn values_of_telling_names_become_a_mark() {
        check_clean(&[
            ("/a?token=0123456789abcdef&b=1", "/a?token=[token]&b=1"),
            ("/a?access_token=AbCdEfGhIjKlMnOp#x", "/a?access_token=[token]#x"),
            ("/a#apiKey=0123456789abcdef", "/a#apiKey=[token]"),
            ("/a;jsessionid=0123456789ABCDEF", "/a;jsessionid=[token]"),
            ("/a?PHPSESSID=0123456789abcdef", "/a?PHPSESSID=[token]"),
            ("/a?u=%2Fb%3Ftoken%3D0123456789abcdef%26c%3D1", "/a?u=%2Fb%3Ftoken%3D[token]%26c%3D1"),
            ("/a?u=%2Fb%3Fc%3D1%26sid%3D0123456789abcdef", "/a?u=%2Fb%3Fc%3D1%26sid%3D[token]"),
            ("?user=ada&password=x&b=1", "?user=ada&password=[token]&b=1"),
            ("user[password]=hunter2", "user[password]=[token]"),
            ("order[to][phone]=1234567", "order[to][phone]=[phone]"),
            ("user%5Bpassword%5D=hunter2", "user%5Bpassword%5D=[token]"),
            (r#"{"password": "a b", "n": 1}"#, r#"{"password": "[token]", "n": 1}"#),
            ("failed: token: 0123456789abcdef.", "failed: token: [token]."),
            ("Authorization: Basic YWRhOnNlY3JldA==", "Authorization: [token]"),
            ("?phone=1234567&a=b", "?phone=[phone]&a=b"),
            ("?tel=%2B49%2030%20123456", "?tel=[phone]"),
            ("tel:030123456", "tel:[phone]"),
            ("?phone2=1234567", "?phone2=[phone]"),
            ("?mobile_number=0171+123456", "?mobile_number=[phone]"),
            ("?password=[token]", "?password=[token]"),
        ]);
    }

    #[test]
    fn values_of_other_names_and_short_ones_stay() {
        for text in [
            "/a?key=price&session=42&sid=7",
            "/a?sort_key=summer-dresses-sale",
            "/a?monkey=0123456789abcdef",
            "/a?event_id=0f8fad5b-d9cb-469f-a165-70867728950e",
            "/a?product=0123456789abcdef",
            "/a?mobile=true&phone=",
            "/a?phone=pixel-8000-pro",
            "/a?page=2&sort=price&ts=1700000000000",
            "at 10:20:30",
            "https://shop.example.com:8080/",
            "token: expired",
            "[phone]=1234567",
            "[email][phone]=1234567",
            "=0123456789abcdef",
        ] {
            check_clean(&[(text, text)]);
        }
    }
}
