//! What a registry answers that wants credentials: `WWW-Authenticate`, as RFC 9110 and the distribution
//! specification write it.

/// What it wants.
#[derive(Debug, PartialEq)]
pub(crate) enum Challenge {
    /// Name and secret with each request.
    Basic,
    /// A token, which a server of its own gives out.
    Bearer {
        /// Where.
        realm: String,
        /// For which service.
        service: Option<String>,
    },
}

/// Reads the values of the header: a token is preferred.
pub(crate) fn read<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Challenge> {
    let mut basic = None;
    for header in headers {
        let (scheme, rest) = header.trim().split_once(' ').unwrap_or((header.trim(), ""));
        if scheme.eq_ignore_ascii_case("basic") {
            basic = Some(Challenge::Basic);
        }
        if !scheme.eq_ignore_ascii_case("bearer") {
            continue;
        }
        let (mut realm, mut service) = (None, None);
        for (name, value) in parameters(rest) {
            match name.to_ascii_lowercase().as_str() {
                "realm" => realm = realm.or(Some(value)),
                "service" => service = service.or(Some(value)),
                _ => {}
            }
        }
        if let Some(realm) = realm {
            return Some(Challenge::Bearer { realm, service });
        }
    }
    basic
}

/// `name="value", name=value`: what is malformed ends it.
fn parameters(mut rest: &str) -> Vec<(&str, String)> {
    let mut found = Vec::new();
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([',', ' ', '\t']);
        let mut value = String::new();
        if let Some(quoted) = after.trim_start().strip_prefix('"') {
            let mut characters = quoted.char_indices();
            let end = loop {
                match characters.next() {
                    Some((at, '"')) => break at + 1,
                    Some((_, '\\')) => value.extend(characters.next().map(|(_, c)| c)),
                    Some((_, c)) => value.push(c),
                    None => return found,
                }
            };
            rest = &quoted[end..];
        } else {
            let end = after.find(',').unwrap_or(after.len());
            value.push_str(after[..end].trim());
            rest = &after[end..];
        }
        found.push((name, value));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read_as_registries_write_it() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        for (header, wanted) in [
            (
                r#"Bearer realm="https://a.example/token",service="a, b",scope="x""#,
                bearer("https://a.example/token", Some("a, b")),
            ),
            (
                r#"bearer  realm = "https://a.example/t\"x" , service=b"#,
                bearer("https://a.example/t\"x", Some("b")),
            ),
            (r#"Basic realm="a""#, Some(Challenge::Basic)),
            ("Basic", Some(Challenge::Basic)),
            ("Negotiate", None),
            ("Bearer", None),
            (r#"Bearer realm="open"#, None),
            ("", None),
        ] {
            assert_eq!(read([header].into_iter()), wanted, "{header}");
        }
        let both = ["Basic", r#"Bearer realm="r""#];
        assert_eq!(read(both.into_iter()), bearer("r", None));
    }
}
