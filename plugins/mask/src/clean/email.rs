//! Finds e-mail addresses: `name@host.tld` in any script, the `@` also percent-encoded (`%40`, or
//! `%2540` where a URL lies in a URL).
//!
//! The host needs a dot and a last label of two letters or more, so `react@18.2.0` is none; after a
//! percent-encoded `@` a bare host name (`user%40host`) will do. `logo@2x.png` is none either. The name
//! reaches back to whatever cannot be in one, percent-encoded delimiters included.

use super::span::{Mark, Span, percent_decoded};

pub(super) fn find(text: &[u8], spans: &mut Vec<Span>) {
    for at in memchr::memchr2_iter(b'@', b'%', text) {
        let sign = at_sign(&text[at..]);
        if sign == 0 {
            continue;
        }
        let start = name_start(text, at);
        let end = host_end(text, at + sign, sign > 1);
        if let Some(end) = end
            && start < at
        {
            spans.push(Span { start, end, mark: Mark::Email });
        }
    }
}

/// How many bytes of the text's beginning are an `@`.
fn at_sign(text: &[u8]) -> usize {
    match text {
        [b'@', ..] => 1,
        [b'%', b'4', b'0', ..] => 3,
        [b'%', b'2', b'5', b'4', b'0', ..] => 5,
        _ => 0,
    }
}

fn name_start(text: &[u8], at: usize) -> usize {
    let mut start = at;
    while start > 0 {
        // `%2B` and the like are part of a name, `%3D` and the like end it.
        if start >= 3
            && let Some(decoded) = percent_decoded(text, start - 3)
        {
            if !is_name(decoded) {
                break;
            }
            start -= 3;
        } else if is_name(text[start - 1]) {
            start -= 1;
        } else {
            break;
        }
    }
    start
}

fn host_end(text: &[u8], start: usize, bare_host_will_do: bool) -> Option<usize> {
    let length = text[start..].iter().take_while(|b| is_host(**b)).count();
    let host = text[start..start + length].trim_ascii_end();
    let host = &host[..host.iter().rposition(|b| !matches!(b, b'.' | b'-'))? + 1];
    let mut labels = host.rsplit(|b| *b == b'.');
    let last = labels.next()?;
    let is_word = last.len() >= 2 && last.iter().all(|b| b.is_ascii_alphabetic() || !b.is_ascii());
    // `xn--p1ai` and the like.
    let is_punycode = last.len() > 4 && last[..4].eq_ignore_ascii_case(b"xn--");
    let first = host.split(|b| *b == b'.').next()?;
    let is_density = first.len() == 2 && first[0].is_ascii_digit() && first[1] == b'x';
    let dotted =
        labels.next().is_some() && !first.is_empty() && (is_word || is_punycode) && !is_density;
    let bare = bare_host_will_do && last.len() == host.len() && is_word;
    (dotted || bare).then_some(start + host.len())
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'.' | b'_' | b'+' | b'-' | b'\'' | b'~')
        || !byte.is_ascii()
}

fn is_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || !byte.is_ascii()
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
            "%40",
            "%4",
        ] {
            check_clean(&[(text, text)]);
        }
    }
}
