//! Finds tokens by their own looks: JSON web tokens (`eyJ….….…`), what follows `bearer`, and the user
//! and password of a URL (`https://user:password@host`).

use super::assigned::blanks;
use super::signs::Signs;
use super::span::{Mark, Span};
use super::value::token_length;
use super::view::View;

pub(super) fn find(text: View<'_>, signs: Signs, spans: &mut Vec<Span>) {
    if signs.intersects(Signs::JWT) {
        jwts(text.bytes(), Mark::Token, spans);
    }
    if signs.intersects(Signs::BEARER) {
        bearers(text, spans);
    }
    if signs.intersects(Signs::AT) {
        user_infos(text, spans);
    }
}

/// JSON web tokens.
pub(super) fn jwts(text: &[u8], mark: Mark, spans: &mut Vec<Span>) {
    let mut done = 0;
    for start in memchr::memmem::find_iter(text, b"eyJ") {
        if start < done {
            continue;
        }
        let header = segment(&text[start..]);
        done = start + header;
        if header < 11 || text.get(start + header) != Some(&b'.') {
            continue;
        }
        // Without a key or a payload there are two dots: those of an encrypted one with its key agreed upon, or
        // of a signature alone.
        let dots = if text[start + header..].starts_with(b"..") { 2 } else { 1 };
        let second = segment(&text[start + header + dots..]);
        if second < 8 {
            continue;
        }
        let mut end = start + header + dots + second;
        while let [b'.', rest @ ..] = &text[end..]
            && let more @ 1.. = segment(rest)
        {
            end += 1 + more;
        }
        done = end;
        spans.push(Span { start: whole_start(text, start), end, mark });
    }
}

/// Where the token begins that this place is in the midst of.
fn whole_start(text: &[u8], at: usize) -> usize {
    at - text[..at].iter().rev().take_while(|b| is_segment(**b)).count()
}

fn bearers(view: View<'_>, spans: &mut Vec<Span>) {
    const WORD: &[u8] = b"bearer";
    let text = view.bytes();
    let mut done = 0;
    for at in memchr::memchr2_iter(b'b', b'B', text) {
        if at < done {
            continue;
        }
        let Some(word) = text.get(at..at + WORD.len()) else {
            return;
        };
        if !word.eq_ignore_ascii_case(WORD) {
            continue;
        }
        let space = at + WORD.len();
        let start = space + blanks(text, space);
        if start == space {
            continue;
        }
        let token = &text[start..start + token_length(view.rest(start), view.percent(space))];
        let is_long = token.len() >= 20 || token.len() >= 8 && token.iter().any(u8::is_ascii_digit);
        if is_long {
            done = start + token.len();
            spans.push(Span { start, end: start + token.len(), mark: Mark::Token });
        }
    }
}

fn user_infos(view: View<'_>, spans: &mut Vec<Span>) {
    let text = view.bytes();
    for scheme in memchr::memmem::find_iter(text, b"://") {
        let start = scheme + 3;
        // `%2F` in a password does not end it. The next slashes of this level do: else each scheme of
        // `:%2F%2F:%2F%2F` would be read to the end of the text.
        let percent = view.percent(scheme).max(view.percent(start - 1));
        let is_authority = |at: usize| !ends_authority(text[at]) || view.percent(at) > percent;
        let length = (start..text.len()).take_while(|at| is_authority(*at)).count();
        let mut user_info = memchr::memrchr(b'@', &text[start..start + length]).unwrap_or(0);
        if user_info == 0 && may_be_password(&text[start..start + length]) {
            let rest = start + length..text.len();
            let end =
                rest.take_while(|at| !ends_password(text[*at]) || view.percent(*at) > percent);
            let more = end.count();
            user_info = memchr::memrchr(b'@', &text[start..start + length + more]).unwrap_or(0);
        }
        if user_info > 0 {
            spans.push(Span { start, end: start + user_info, mark: Mark::Token });
        }
    }
}

fn segment(text: &[u8]) -> usize {
    text.iter().take_while(|b| is_segment(**b)).count()
}

fn is_segment(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// Whether an authority that ends here may go on, with a `#` or `?` in its password that nobody encoded: what
/// follows a name and a colon is no port.
fn may_be_password(authority: &[u8]) -> bool {
    let colon = memchr::memchr(b':', authority).filter(|at| *at > 0 && authority[0] != b'[');
    colon.is_some_and(|at| !authority[at + 1..].iter().all(u8::is_ascii_digit))
}

fn ends_password(byte: u8) -> bool {
    ends_authority(byte) && !matches!(byte, b'#' | b'?') || matches!(byte, b'&' | b'=')
}

fn ends_authority(byte: u8) -> bool {
    matches!(byte, b'/' | b'?' | b'#' | b'"' | b'\'' | b'<' | b'>') || byte.is_ascii_whitespace()
}

#[cfg(test)]
mod tests {
    use crate::tests::check_clean;

    #[test]
    fn tokens_become_a_mark() {
        let jwt = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P";
        check_clean(&[
            (jwt, "[token]"),
            (&format!("/cb?x={jwt}&y=1"), "/cb?x=[token]&y=1"),
            (&format!("/cb?u=%3Ft%3D{jwt}"), "/cb?u=%3Ft%3D[token]"),
            ("Bearer abcdef0123456789", "Bearer [token]"),
            ("sent bearer%20AbCdEfGhIjKlMnOpQrSt now", "sent bearer%20[token] now"),
            ("https://ada:secret@shop.example.com/a", "https://[token]@shop.example.com/a"),
            ("https://ada:se%2Fcret@shop.example.com/a", "https://[token]@shop.example.com/a"),
            (
                "?u=https%3A%2F%2Fada%3Ax%40shop.example.com%2Fa",
                "?u=https%3A%2F%2F[token]%40shop.example.com%2Fa",
            ),
            ("https:%2F%2Fada:x@shop.example.com/a", "https:%2F%2F[token]@shop.example.com/a"),
            ("https://key@sentry.example.com/1", "https://[token]@sentry.example.com/1"),
            (
                "postgres://app:p#x?y@db.example:5432/shop",
                "postgres://[token]@db.example:5432/shop",
            ),
        ]);
    }

    #[test]
    fn what_only_looks_like_a_token_stays() {
        for text in [
            "eyJ",
            "eyJust.a.word",
            "the bearer of news",
            "bearer authentication",
            "https://medium.com/@ada",
            "https://shop.example.com:8080#a@b",
            "https://shop.example.com:8080?a@b",
            "https://[::1]:80#a@b",
            "https://shop.example.com/beanies",
        ] {
            check_clean(&[(text, text)]);
        }
    }
}
