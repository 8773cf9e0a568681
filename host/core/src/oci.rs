//! References to what registries hold: `oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]`.

use std::fmt;
use std::str::FromStr;

/// How a reference begins.
const SCHEME: &str = "oci://";
/// How a digest begins. Registries know others too; this one is what all of them have.
const SHA256: &str = "sha256:";
/// Hexadecimal digits of such a digest.
const DIGITS: usize = 64;
/// Characters of a repository's name, and of a tag, as the specification bounds them.
const MAX_REPOSITORY: usize = 255;
const MAX_TAG: usize = 128;
/// Characters of a host with its port.
const MAX_HOST: usize = 255;
/// So much is shown of what is no reference.
const SHOWN_CHARS: usize = 200;

/// Where a registry holds something. Every part is of the characters that it may have, so that none leads out of
/// a URL's path or a folder.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

/// A text that is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a reference to a registry: {what}, wanted `oci://HOST/REPOSITORY:TAG` or `oci://HOST/REPOSITORY@sha256:DIGEST`"
)]
pub struct NotAReference {
    text: String,
    what: &'static str,
}

impl Reference {
    /// Whether a text is meant for one.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// The registry: a host, with its port where that is another than usual.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository in the registry.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The last part of the repository's name.
    pub fn name(&self) -> &str {
        self.repository.rsplit('/').next().unwrap_or_default()
    }

    /// The tag, which may be another thing's tomorrow.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// `sha256:…`, which is one thing's forever.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The same with a digest. `None` where it is none.
    pub fn at(&self, digest: &str) -> Option<Self> {
        is_digest(digest).then(|| Self { digest: Some(digest.to_owned()), ..self.clone() })
    }

    /// The same without its digest.
    pub fn tagged(&self) -> Self {
        Self { digest: None, ..self.clone() }
    }

    /// Whether the registry is on this machine: only those are spoken to without TLS.
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

/// Whether a host, perhaps with a port, is this machine.
pub fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => address,
        None => host.split(':').next().unwrap_or_default(),
    };
    let is_address = |address: std::net::IpAddr| address.is_loopback();
    name == "localhost" || name.parse().is_ok_and(is_address)
}

/// Whether a text is `sha256:` and the digits of a digest.
pub fn is_digest(text: &str) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.strip_prefix(SHA256)
        .is_some_and(|digits| digits.len() == DIGITS && digits.bytes().all(digit))
}

/// Whether a text is a tag.
pub fn is_tag(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let mut bytes = text.bytes();
    text.len() <= MAX_TAG
        && bytes.next().is_some_and(plain)
        && bytes.all(|byte| plain(byte) || byte == b'.' || byte == b'-')
}

/// Whether a text is a repository's name: parts between `/`, of lower-case letters and digits, within which single
/// or double `_`, single `.`, and any number of `-` may stand.
fn is_repository(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_part = |part: &str| {
        let between = part.split(|c: char| word(u8::try_from(c).unwrap_or_default()));
        let fine =
            |gap: &str| matches!(gap, "" | "." | "_" | "__") || gap.bytes().all(|b| b == b'-');
        let ends = |byte: Option<u8>| byte.is_some_and(word);
        ends(part.bytes().next()) && ends(part.bytes().last()) && between.into_iter().all(fine)
    };
    text.len() <= MAX_REPOSITORY && text.split('/').all(is_part)
}

/// Whether a text is a host with perhaps a port. A name without a dot would be a part of a repository to others.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            let is_address = address.parse::<std::net::Ipv6Addr>().is_ok();
            (if is_address { "localhost" } else { "" }, rest.strip_prefix(':'))
        }
        None => match text.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (text, None),
        },
    };
    let is_label = |label: &str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty()
            && label.bytes().all(plain)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let is_known = name == "localhost" || name.contains('.') || port.is_some();
    text.len() <= MAX_HOST
        && is_known
        && name.split('.').all(is_label)
        && port.is_none_or(|port| port.parse::<u16>().is_ok_and(|number| number > 0))
}

/// A text for a message, without what may be a password.
fn shown(text: &str) -> String {
    let (user, rest) = text.split_once('@').unwrap_or(("", text));
    let is_user = text.contains('@') && !user.trim_start_matches(SCHEME).contains('/');
    let text = if is_user { format!("{SCHEME}…@{rest}") } else { text.to_owned() };
    text.chars().take(SHOWN_CHARS).collect()
}

impl FromStr for Reference {
    type Err = NotAReference;

    fn from_str(text: &str) -> Result<Self, NotAReference> {
        let wrong = |what| NotAReference { text: shown(text), what };
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| wrong("it does not begin so"))?;
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        if digest.is_some_and(|digest| !is_digest(digest)) {
            return Err(wrong("what follows `@` is not a digest"));
        }
        let (host, rest) = rest.split_once('/').ok_or_else(|| wrong("it has no repository"))?;
        if !is_host(host) {
            return Err(wrong("its host is none"));
        }
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (rest, None),
        };
        if !is_repository(repository) {
            return Err(wrong("its repository's name may not be so"));
        }
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(wrong("its tag may not be so"));
        }
        let [tag, digest] = [tag, digest].map(|part| part.map(str::to_owned));
        let (host, repository) = (host.to_ascii_lowercase(), repository.to_owned());
        Ok(Self { host, repository, tag, digest })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.host, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_has_a_host_a_repository_and_a_tag_or_a_digest() {
        let digest = format!("sha256:{}", "0a".repeat(32));
        for (text, host, repository, tag, is_loopback) in [
            ("oci://localhost:5000/mask:1.2.0", "localhost:5000", "mask", Some("1.2.0"), true),
            ("oci://127.0.0.1:5000/a/mask", "127.0.0.1:5000", "a/mask", None, true),
            ("oci://[::1]:5000/mask", "[::1]:5000", "mask", None, true),
            (
                "oci://europe-docker.pkg.dev/p/r/mask:v1",
                "europe-docker.pkg.dev",
                "p/r/mask",
                Some("v1"),
                false,
            ),
            ("oci://127.0.0.1.example/mask", "127.0.0.1.example", "mask", None, false),
            ("oci://registry:5000/a__b/c--d.e_f", "registry:5000", "a__b/c--d.e_f", None, false),
        ] {
            let read: Reference = text.parse().unwrap();
            assert_eq!((read.host(), read.repository(), read.tag()), (host, repository, tag));
            assert_eq!((read.is_loopback(), read.to_string().as_str()), (is_loopback, text));
            let pinned = read.at(&digest).unwrap();
            assert_eq!(pinned.to_string().parse(), Ok(pinned.clone()));
            assert_eq!(pinned.digest(), Some(digest.as_str()));
        }
    }

    #[test]
    fn what_could_lead_elsewhere_is_no_reference() {
        let long = "a".repeat(300);
        for text in [
            "mask",
            "https://localhost/mask",
            "oci://mask",
            "oci://mask/mask",
            "oci:///mask",
            "oci://localhost/",
            "oci://localhost/../mask",
            "oci://localhost/a//b",
            "oci://localhost/a/../b",
            "oci://localhost/A",
            "oci://localhost/a___b",
            "oci://localhost/a..b",
            "oci://localhost/a%2f",
            "oci://localhost/a?b",
            "oci://localhost/mask:",
            "oci://localhost/mask:-1",
            "oci://localhost/mask:a/b",
            "oci://localhost/mask@",
            "oci://localhost/mask@sha256:00",
            "oci://localhost/mask@sha512:00",
            "oci://localhost/mask\n",
            "oci://user@localhost/mask",
            "oci://user:secret@localhost/mask",
            "oci://localhost:0/mask",
            "oci://localhost:99999/mask",
            "oci://-a.example/mask",
            "oci://[::1/mask",
            "oci://[x]:5000/mask",
            "oci://ä.example/mask",
            &format!("oci://localhost/{long}"),
            &format!("oci://localhost/mask:{long}"),
        ] {
            let error = text.parse::<Reference>().expect_err(text).to_string();
            assert!(error.len() < 500 && !error.contains("secret"), "{error}");
        }
        let upper = format!("oci://localhost/mask@sha256:{}", "0A".repeat(32));
        assert!(upper.parse::<Reference>().is_err());
    }
}
