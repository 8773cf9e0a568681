//! Cuts a url into path and query, over its bytes: the tables that full url parsing needs are far
//! larger than this plugin.

use std::borrow::Cow;

use crate::columns::equal;

/// Finds where the path begins, over the urls of a column: they mostly share scheme and host.
#[derive(Default)]
pub(super) struct Paths<'u> {
    /// Scheme and host of the last absolute url.
    origin: &'u [u8],
}

impl<'u> Paths<'u> {
    /// The url from its path on, `None` where it is not one. The path of an absolute url may be empty.
    pub(super) fn of(&mut self, url: &'u [u8]) -> Option<&'u [u8]> {
        if let Some((start, rest)) = url.split_at_checked(self.origin.len())
            && !start.is_empty()
            && segment_ends(rest.first())
            && equal(start, self.origin)
        {
            return Some(rest);
        }
        let rest = match url {
            [b'/', b'/', rest @ ..] => after_host(rest)?,
            [b'/', ..] => return Some(url),
            _ => after_host(after_scheme(url)?)?,
        };
        self.origin = &url[..url.len() - rest.len()];
        Some(rest)
    }
}

/// Whether a path, or a segment of it, ends before this byte.
pub(super) fn segment_ends(next: Option<&u8>) -> bool {
    matches!(next, None | Some(b'/' | b'?' | b'#'))
}

/// The first segment.
pub(super) fn segment(rest: &[u8]) -> &[u8] {
    &rest[..find(rest, |byte| segment_ends(Some(&byte)))]
}

/// The query of a url, given from its path on.
pub(super) fn query(rest: &[u8]) -> &[u8] {
    let rest = &rest[..find(rest, |byte| byte == b'#')];
    rest.get(find(rest, |byte| byte == b'?') + 1..).unwrap_or_default()
}

fn after_scheme(url: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = url.strip_prefix(b"https://") {
        return Some(rest);
    }
    let len =
        find(url, |byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'+' | b'-' | b'.'));
    let starts_well = url.first().is_some_and(u8::is_ascii_alphabetic);
    url[len..].strip_prefix(b"://").filter(|_| starts_well)
}

fn after_host(rest: &[u8]) -> Option<&[u8]> {
    let len = find(rest, |byte| matches!(byte, b'/' | b'?' | b'#') || byte <= b' ');
    let (host, rest) = rest.split_at(len);
    let ends_well = rest.first().is_none_or(|byte| *byte > b' ');
    (!host.is_empty() && ends_well).then_some(rest)
}

/// Where the first such byte is, or the length.
fn find(bytes: &[u8], is: impl Fn(u8) -> bool) -> usize {
    bytes.iter().position(|byte| is(*byte)).unwrap_or(bytes.len())
}

/// The first value of a query parameter that is not empty. A `+` is a space there.
pub(super) fn parameter<'q>(query: &'q [u8], name: &[u8]) -> Option<Cow<'q, [u8]>> {
    let value = query.split(|byte| *byte == b'&').find_map(|pair| {
        let value = pair.strip_prefix(name)?.strip_prefix(b"=")?;
        (!value.is_empty()).then_some(value)
    })?;
    Some(if value.contains(&b'+') {
        value
            .iter()
            .map(|byte| if *byte == b'+' { b' ' } else { *byte })
            .collect::<Vec<u8>>()
            .into()
    } else {
        value.into()
    })
}

/// Undoes percent-encoding. What is not UTF-8 then, or holds control characters, names nothing.
pub(super) fn decode(raw: Cow<'_, [u8]>) -> Option<Cow<'_, str>> {
    let decoded = match raw {
        raw if raw.contains(&b'%') => Cow::Owned(undo_percent(&raw)),
        raw => raw,
    };
    let decoded = match decoded {
        Cow::Borrowed(decoded) => Cow::Borrowed(std::str::from_utf8(decoded).ok()?),
        Cow::Owned(decoded) => Cow::Owned(String::from_utf8(decoded).ok()?),
    };
    (!decoded.chars().any(char::is_control)).then_some(decoded)
}

fn undo_percent(raw: &[u8]) -> Vec<u8> {
    let hex = |at: usize| char::from(*raw.get(at)?).to_digit(16);
    let mut decoded = Vec::with_capacity(raw.len());
    let mut at = 0;
    while let Some(byte) = raw.get(at) {
        match (byte, hex(at + 1), hex(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                decoded.push(*byte);
                at += 1;
            }
        }
    }
    decoded
}
