//! Finds e-mail addresses: `name@host.tld` in any script, the name also quoted (`"ada b"@example.com`), the
//! host also an address in brackets.
//!
//! The host needs a dot and a last label of two letters or more, so `react@18.2.0` is none; after a
//! percent-encoded `@` a bare host name (`user%40host`) will do. `logo@2x.png` is none either. The host ends
//! before a sign behind its first dot, such as a dash or a quote as they are printed; the name
//! reaches back to whatever cannot be in one, but for such signs at its beginning. Of the signs that the
//! standard allows in names, those that delimit something in URLs and JSON (`/`, `=`, `?`, `&`, `#`, `{`,
//! `|`, `}` and the backtick) end it.

use super::span::{Mark, Span};
use super::view::View;

/// The longest quoted name that is looked at: the standard allows 64 bytes.
const MAX_QUOTED: usize = 66;

pub(super) fn find(text: View<'_>, spans: &mut Vec<Span>) {
    let bytes = text.bytes();
    for at in memchr::memchr_iter(b'@', bytes) {
        let start = name_start(text, at);
        if start < at
            && let Some(end) = host_end(bytes, at + 1, text.percent(at) > 0)
        {
            let start = without_quote(bytes, start, end);
            spans.push(Span { start, end, mark: Mark::Email });
        }
    }
}

fn name_start(text: View<'_>, at: usize) -> usize {
    let before = &text.bytes()[..at];
    if before.ends_with(b"\"")
        && let Some(start) = quoted_start(text, at - 1)
    {
        return start;
    }
    // Behind `%40`, a `+` that is not encoded is a space in a form. Within a name it is taken for part of it.
    if before.ends_with(b"+") && text.percent(at - 1) < text.percent(at) {
        return at;
    }
    let start = at - before.iter().rev().take_while(|b| is_name(**b)).count();
    let start = start + before[start..].iter().take_while(|b| **b == b'+').count();
    start + signs(&before[start..])
}

/// How many bytes of this name are signs before it: `“ada`. One of signs alone is a name.
fn signs(name: &[u8]) -> usize {
    let mut at = 0;
    while let Some(sign) = first_char(&name[at..]).filter(|char| is_sign(*char)) {
        at += sign.len_utf8();
    }
    if at < name.len() { at } else { 0 }
}

/// The character that the text begins with, if it is none of ASCII.
fn first_char(text: &[u8]) -> Option<char> {
    if text.first()?.is_ascii() {
        return None;
    }
    let longest = &text[..text.len().min(char::MAX.len_utf8())];
    longest.utf8_chunks().next()?.valid().chars().next()
}

/// Whether this is a sign that is printed around words: a quote, a dash, an arrow, a picture. What may be in the
/// name of a host, such as a Catalan `·`, is none.
fn is_sign(char: char) -> bool {
    let is_in_a_block = matches!(
        char,
        '\u{a0}'..='\u{ac}'
            | '\u{ae}'..='\u{b6}'
            | '\u{b8}'..='\u{bf}'
            | '\u{60c}'
            | '\u{61b}'
            | '\u{61f}'
            | '\u{964}'
            | '\u{2010}'..='\u{205e}'
            | '\u{20a0}'..='\u{20cf}'
            | '\u{2100}'..='\u{2bff}'
            | '\u{3000}'..='\u{303f}'
            | '\u{1f000}'..='\u{1faff}'
    );
    is_in_a_block && !char.is_alphanumeric()
}

/// Where the name begins, without the quote before it that also stands behind the host: `'ada@example.com'`.
fn without_quote(text: &[u8], start: usize, end: usize) -> usize {
    let is_quoted = text[start] == b'\'' && text.get(end) == Some(&b'\'');
    start + usize::from(is_quoted)
}

/// Where the quoted name begins that ends with the quote at this place. The quote of a JSON text in front
/// of `@` is none: the quote before it ends a word, or there is nothing but signs of JSON in between.
fn quoted_start(text: View<'_>, closing: usize) -> Option<usize> {
    let first = closing.saturating_sub(MAX_QUOTED);
    let level = text.level(closing);
    let start = (first..closing)
        .rev()
        .find(|at| text.bytes()[*at] == b'"' && text.level(*at).closes(level))?;
    let (before, name) = (&text.bytes()[..start], &text.bytes()[start + 1..closing]);
    let ends_word = last_char(before).is_some_and(char::is_alphanumeric);
    let is_json =
        |b: &u8| matches!(b, b',' | b':' | b'[' | b']' | b'{' | b'}') || b.is_ascii_whitespace();
    (!ends_word && !name.iter().all(is_json) && !name.contains(&b'\n')).then_some(start)
}

/// The character that the text ends with.
fn last_char(text: &[u8]) -> Option<char> {
    let start = text.iter().rposition(|b| !matches!(b, 0x80..=0xBF))?;
    std::str::from_utf8(&text[start..]).ok()?.chars().next()
}

fn host_end(text: &[u8], start: usize, bare_host_will_do: bool) -> Option<usize> {
    if let [b'[', rest @ ..] = &text[start..] {
        return literal_length(rest).map(|length| start + 1 + length);
    }
    let length = text[start..].iter().take_while(|b| is_host(**b)).count();
    let host = &text[start..start + length];
    let dot = host.iter().position(|b| *b == b'.').unwrap_or(length);
    // A last label in letters of ASCII may have text behind it in others: `example.com年2024`.
    let last = host.iter().rposition(|b| *b == b'.').unwrap_or(length);
    let others = host[last..].iter().position(|b| !b.is_ascii()).map(|at| last + at);
    let ends = [Some(before_sign(host, dot)), Some(length), others];
    let mut hosts = ends.into_iter().flatten().map(|end| &host[..end]);
    hosts.find_map(|host| host_length(host, bare_host_will_do)).map(|length| start + length)
}

/// Where the first sign is in a host, from a place on, or where it ends.
fn before_sign(host: &[u8], from: usize) -> usize {
    let is_sign = |at: &usize| first_char(&host[*at..]).is_some_and(is_sign);
    (from..host.len()).find(is_sign).unwrap_or(host.len())
}

/// The length of the host that this is, but for what cannot be at its end.
fn host_length(host: &[u8], bare_host_will_do: bool) -> Option<usize> {
    let host = &host[..host.iter().rposition(|b| !matches!(b, b'.' | b'-' | b'_'))? + 1];
    let mut labels = host.rsplit(|b| *b == b'.');
    let last = labels.next()?;
    // `xn--p1ai` and the like.
    let is_punycode = last.len() > 4 && last[..4].eq_ignore_ascii_case(b"xn--");
    // `example.com-2024`
    let last_word = last.split(|b| matches!(b, b'-' | b'_')).next()?;
    let is_word =
        last_word.len() >= 2 && last_word.iter().all(|b| b.is_ascii_alphabetic() || !b.is_ascii());
    let first = host.split(|b| *b == b'.').next()?;
    let is_density = first.len() == 2 && first[0].is_ascii_digit() && first[1] == b'x';
    let dotted =
        labels.next().is_some() && !first.is_empty() && (is_word || is_punycode) && !is_density;
    let bare = bare_host_will_do && last.len() == host.len() && is_word;
    (dotted || bare).then_some(host.len())
}

/// The length of an address and the bracket behind it: `192.0.2.1]`, `IPv6:2001:db8::1]`.
fn literal_length(text: &[u8]) -> Option<usize> {
    /// The longest address of IPv6, with its prefix.
    const MAX: usize = 50;
    let length = text.iter().take(MAX).position(|b| *b == b']')?;
    let is_address = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    let address = match &text[..length] {
        [b'I' | b'i', b'P' | b'p', b'v' | b'V', b'6', address @ ..] => address,
        address => address,
    };
    (address.iter().any(u8::is_ascii_digit) && address.iter().all(is_address)).then_some(length + 1)
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'.' | b'_' | b'+' | b'-' | b'\'' | b'~' | b'!' | b'$' | b'%' | b'*' | b'^'
        )
        || !byte.is_ascii()
}

fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_') || !byte.is_ascii()
}

#[cfg(test)]
mod tests {
    use crate::tests::check_clean;

    #[test]
    fn addresses_become_a_mark() {
        check_clean(&[
            ("ada@example.com", "[email]"),
            ("write to Ada.Byron+news@mail.example.co.uk, please", "write to [email], please"),
            ("/signup?email=ada%40example.com&next=/", "/signup?email=[email]&next=/"),
            ("/r?u=%2Fsignup%3Femail%3Dada%2540example.com", "/r?u=%2Fsignup%3Femail%3D[email]"),
            ("/login?user=ada%40host", "/login?user=[email]"),
            ("mailto:o'neil_7@example.org.", "mailto:[email]."),
            ("?to=ada%2Bnews@example.com", "?to=[email]"),
            ("ada@example.com,bob@example.com", "[email],[email]"),
            ("müller@exämple.de", "[email]"),
            ("a@xn--80ak6aa92e.xn--p1ai", "[email]"),
            ("(ada@example.com)", "([email])"),
            ("to \"ada byron\"@example.com now", "to [email] now"),
            ("?to=%22ada%20byron%22%40example.com&n=1", "?to=[email]&n=1"),
            ("ada@[192.0.2.57], ada@[IPv6:2001:db8::1]", "[email], [email]"),
            ("ada%40ex%C3%A4mple.de", "[email]"),
            ("ada@my_host.example.com-2024", "[email]"),
            ("a%252525252540example.com", "[email]"),
            ("&lt;ada&#64;example.com&gt;", "&lt;[email]&gt;"),
            ("ada\u{ff20}example\u{ff0e}com", "[email]"),
            (r"line\nada@example.com", r"line\n[email]"),
            ("'ada@example.com'", "'[email]'"),
            ("user%EF%BC%A0example.com", "[email]"),
            ("q=mail%3A+ada%40example.com", "q=mail%3A+[email]"),
            ("\u{ab}\"ada b\"@example.com\u{bb}", "\u{ab}[email]\u{bb}"),
            ("\u{201c}\"ada b\"@example.com", "\u{201c}[email]"),
            ("\u{1f4e7}\"ada b\"@example.com", "\u{1f4e7}[email]"),
            ("\u{3000}\"ada b\"@example.com", "\u{3000}[email]"),
            ("jos&eacute;.garc&iacute;a@example.es", "[email]"),
            ("m&uuml;ller@example.de", "[email]"),
            ("ada&#64example.com", "[email]"),
            ("/p?m=ada&#64example.com", "/p?m=[email]"),
            ("ada&commat;mail&ndash;server.example.com", "[email]"),
            ("x@y&shy;.io, y@&zwnj;z.io", "[email], [email]"),
        ]);
    }

    #[test]
    fn an_address_goes_whatever_signs_and_letters_are_around_it() {
        check_clean(&[
            ("ada@example.com\u{2013}2024", "[email]\u{2013}2024"),
            ("ada@example.com\u{20ac}5", "[email]\u{20ac}5"),
            ("ada@example.com\u{5e74}2024", "[email]\u{5e74}2024"),
            ("ada@\u{43f}\u{440}.\u{440}\u{444}\u{2014}1", "[email]\u{2014}1"),
            ("ada@example.com%E2%80%935", "[email]%E2%80%935"),
            ("ada@example.com&ndash;2024", "[email]&ndash;2024"),
            (r#"{"m":"ada@example.com\u20135"}"#, r#"{"m":"[email]\u20135"}"#),
            ("\u{201c}ada@example.com\u{201d}", "\u{201c}[email]\u{201d}"),
            ("\u{2192}ada@example.com\u{2026}", "\u{2192}[email]\u{2026}"),
            // These are of the address.
            ("\u{2026}@example.com", "[email]"),
            ("ada@i\u{2764}.ws", "[email]"),
            ("ada@mail.i\u{2764}.ws", "[email]"),
            ("ada@mail.col\u{b7}legi.cat", "[email]"),
            ("ada@b.verm\u{f6}gensberater", "[email]"),
        ]);
    }

    #[test]
    fn what_only_looks_like_an_address_stays() {
        for text in [
            "@ada",
            "ada@",
            "https://medium.com/@ada/post",
            "npm/react@18.2.0/index",
            "/img/logo@2x.png",
            "a @ b.com",
            "user@localhost",
            "100%@",
            "\"a\"@b",
            "ada@[email]",
            "%40",
            "%4",
            "q=follow+%40ada.example",
            "%7B%22m%22%3A%22%40media%20screen%22%7D",
            r#"{"m":"@ada.example","n"#,
            "\u{e9}\"b\"@example.com, \"",
        ] {
            check_clean(&[(text, text)]);
        }
    }
}
