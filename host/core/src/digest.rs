//! Digests: what content and plugin sets are known by.

use std::fmt;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Hexadecimal digits of a whole digest.
const DIGITS: usize = 64;
/// Those of one that is cut short: 128 bits, which no two things share by accident.
const SHORT_DIGITS: usize = 32;

/// A BLAKE3 digest in lower-case hexadecimal digits: 64 of a whole one, 32 of one that is cut short, none
/// ([`Digest::default`]) where nothing was digested. A clone costs no copy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(Arc<str>);

/// A text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a digest: wanted at most {DIGITS} of the digits 0-9 and a-f")]
pub struct NotADigest(String);

impl Digest {
    /// The whole digest of content.
    pub fn of(content: &[u8]) -> Self {
        blake3::hash(content).into()
    }

    /// Its first 32 digits.
    pub fn short(&self) -> Self {
        Self(self.0[..self.0.len().min(SHORT_DIGITS)].into())
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self("".into())
    }
}

impl From<blake3::Hash> for Digest {
    fn from(hash: blake3::Hash) -> Self {
        Self(hash.to_hex().as_str().into())
    }
}

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        if text.len() > DIGITS || !text.bytes().all(digit) {
            return Err(NotADigest(text.chars().take(2 * DIGITS).collect()));
        }
        Ok(Self(text.into()))
    }
}

impl TryFrom<String> for Digest {
    type Error = NotADigest;

    fn try_from(text: String) -> Result<Self, NotADigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.as_str().to_owned()
    }
}

impl Deref for Digest {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for Digest {
    fn eq(&self, text: &str) -> bool {
        *self.0 == *text
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_the_hexadecimal_of_blake3_and_may_be_cut_short() {
        let digest = Digest::of(b"");
        let whole = "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(digest.as_str(), whole);
        assert_eq!(digest.short().as_str(), "af1349b9f5f9a1a6a0404dea36dcc949");
        assert_eq!(digest.short().short(), digest.short());
        assert_eq!(Digest::default().short(), Digest::default());
    }

    #[test]
    fn only_digits_are_read_as_a_digest() {
        let digest = Digest::of(b"clicks");
        assert_eq!(digest.parse(), Ok(digest.clone()));
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{digest}\""));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        for wrong in ["g", "AF", "../blobs", "ß", &"0".repeat(65)] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
            assert!(serde_json::from_value::<Digest>(wrong.into()).is_err(), "{wrong}");
        }
    }
}
