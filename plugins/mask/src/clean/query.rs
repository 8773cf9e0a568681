//! Shortens a URL's query to the parameters that may stay.

/// Whether there is a query or a fragment.
pub(super) fn has_query(url: &[u8]) -> bool {
    memchr::memchr2(b'?', b'#', url).is_some()
}

/// Adds the URL to `out` with those parameters only whose names are in `keep`, and without a fragment
/// that has a `=` in it. Says whether anything went.
pub(super) fn shorten(url: &[u8], keep: &[String], out: &mut Vec<u8>) -> bool {
    let (before, fragment) = split(url, b'#');
    let (path, query) = split(before, b'?');
    out.extend_from_slice(path);
    let mut separator = b'?';
    for param in query.unwrap_or_default().split(|b| *b == b'&') {
        let (name, _) = split(param, b'=');
        if !param.is_empty() && keep.iter().any(|keep| keep.as_bytes() == name) {
            out.push(separator);
            out.extend_from_slice(param);
            separator = b'&';
        }
    }
    if let Some(fragment) = fragment
        && !fragment.contains(&b'=')
    {
        out.push(b'#');
        out.extend_from_slice(fragment);
    }
    out.len() != url.len()
}

fn split(text: &[u8], at: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(at, text) {
        Some(found) => (&text[..found], Some(&text[found + 1..])),
        None => (text, None),
    }
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn only_the_kept_parameters_stay() {
        let keep = ["page".to_owned(), "utm_source".to_owned()];
        let cases = [
            ("/a?page=2&name=ada&utm_source=mail#top", Some("/a?page=2&utm_source=mail#top")),
            ("/a?name=ada", Some("/a")),
            ("/a?pages=2", Some("/a")),
            ("/a?page=2", None),
            ("/a?page", None),
            ("/a?", Some("/a")),
            ("/a#id_token=x", Some("/a")),
            ("/a#/b/c", None),
            ("/a", None),
            ("", None),
        ];
        for (url, expected) in cases {
            let mut out = Vec::new();
            let changed = shorten(url.as_bytes(), &keep, &mut out);
            assert_eq!(changed, expected.is_some(), "{url}");
            assert_eq!(String::from_utf8_lossy(&out), expected.unwrap_or(url), "{url}");
        }
    }
}
