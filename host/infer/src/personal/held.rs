//! What of a person's stands within a text, whatever is around it and however deep in escapes it is written.

use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// So many layers of escapes are looked through, as `mask` does.
const LAYERS: usize = 8;

/// A text without its escapes: those of URLs, of JSON by number (`\u0040`) and of HTML by number (`&#64;`).
pub(super) fn unescaped(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for _ in 0..LAYERS {
        if !text.contains(['%', '\\', '&']) {
            break;
        }
        let outer = without_a_layer(&text);
        if outer == *text {
            break;
        }
        text = Cow::Owned(outer);
    }
    text
}

fn without_a_layer(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = match escape(rest) {
            // A byte, of which several may be a character.
            Some((code, length)) if first == '%' => {
                bytes.push(code as u8);
                length
            }
            Some((code, length)) => {
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                length
            }
            None => {
                bytes.extend_from_slice(&rest.as_bytes()[..first.len_utf8()]);
                first.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What the escape with which a text begins stands for, and its length.
fn escape(text: &str) -> Option<(u32, usize)> {
    const MOST_DIGITS: usize = 7;
    let number = |digits: &str, radix: u32| {
        let is_number = digits.chars().all(|c| c.is_digit(radix));
        is_number.then(|| u32::from_str_radix(digits, radix).ok()).flatten()
    };
    let of_hex = |sign: &str, count: usize| {
        let digits = text.strip_prefix(sign)?.get(..count)?;
        Some((number(digits, 16)?, sign.len() + count))
    };
    let by_number = || {
        let rest = text.strip_prefix("&#")?;
        let (digits, radix) = match rest.strip_prefix(['x', 'X']) {
            Some(digits) => (digits, 16),
            None => (rest, 10),
        };
        let count = digits.bytes().take(MOST_DIGITS + 1).position(|byte| byte == b';')?;
        let length = text.len() - digits.len() + count + 1;
        Some((number(&digits[..count], radix)?, length))
    };
    of_hex("%", 2).or_else(|| of_hex("\\u", 4)).or_else(by_number)
}

/// Whether an e-mail address stands in a text: something before an `@`, and a host behind it.
pub(super) fn has_email(text: &str) -> bool {
    text.match_indices('@').any(|(at, _)| {
        let is_of_host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
        let is_between = |c: char| c.is_whitespace() || "/<>,;:()[]{}\"?&=|@".contains(c);
        let host = &text[at + 1..];
        let host = &host[..host.find(|c| !is_of_host(c)).unwrap_or(host.len())];
        text[..at].chars().next_back().is_some_and(|c| !is_between(c))
            && host.trim_matches(['.', '-']).contains('.')
    })
}

/// Whether an address of the network stands in a text, alone or with a port.
pub(super) fn has_ip(text: &str) -> bool {
    let is_of_ip = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | ':');
    let is_v6 = |text: &str| {
        text.contains(|c: char| c.is_ascii_digit()) && text.parse::<Ipv6Addr>().is_ok()
    };
    text.split(|c| !is_of_ip(c)).any(|word| {
        let word = word.trim_matches('.');
        let mut parts = word.split(':').map(|part| part.trim_matches('.'));
        // Behind a name, as `ip:2001:db8::6` has it, and before the end of a clause.
        let mut ends = std::iter::once(word)
            .chain(word.match_indices(':').map(|(at, _)| &word[at + 1..]))
            .flat_map(|end| [Some(end), end.strip_suffix(':')])
            .flatten();
        parts.any(|part| part.parse::<Ipv4Addr>().is_ok()) || ends.any(is_v6)
    })
}

/// Whether the number of a phone stands in a text, with a `+` and its country.
pub(super) fn has_phone(text: &str) -> bool {
    const LEAST: usize = 8;
    const MOST: usize = 15;
    text.split('+').skip(1).any(|rest| {
        let number = rest.trim_start_matches([' ', '(']);
        let digits = |is_between: &[u8]| {
            let number = number.bytes();
            let number =
                number.take_while(|byte| byte.is_ascii_digit() || is_between.contains(byte));
            number.filter(u8::is_ascii_digit).count()
        };
        // No code of a country begins with a zero, as the offset of a time does.
        number.starts_with(|c: char| matches!(c, '1'..='9'))
            && digits(b"") <= MOST
            && digits(b" -().") >= LEAST
    })
}
