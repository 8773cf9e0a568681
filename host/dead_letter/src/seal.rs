//! Seals the payloads of dead letters: a payload may be a visitor's data, and the table outlives it.
//!
//! Comes in: a payload and the id of its letter. Goes out: bytes that only the key opens, for that
//! letter only (AES-256-GCM). This knows no table, and keeps no key but the one it was made with.
//!
//! Sealed bytes are: the version (one byte, 1), the nonce (12 bytes), the ciphertext, the tag (16 bytes).
//! Authenticated with them are the version, the key's id and the letter's id.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use clickmill_core::Fault;

const VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// What an empty payload is sealed into.
const LEAST_BYTES: usize = 1 + NONCE_LEN + TAG_BYTES;

/// A key, ready to seal and to open.
///
/// Nonces are random, and two letters with the same nonce would give away what their payloads differ in,
/// and let others be forged. One key may therefore seal no more than 2^32 letters: up to there, two
/// nonces of 96 bits are the same with a chance below 2^-32 (NIST SP 800-38D, 8.3). Nothing counts them
/// here: keys are to be replaced long before, each under an id of its own, by which a letter finds the
/// key that opens it.
pub struct Seal {
    key: LessSafeKey,
    key_id: String,
}

/// Why a payload is not sealed, or not opened. The key is in none of the texts.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SealError {
    /// The key is something else.
    #[error(
        "key `{key_id}` is neither hexadecimal nor base64, wanted {KEY_BYTES} bytes of it, as `openssl rand -hex 32` makes them"
    )]
    KeyText {
        /// The key's id.
        key_id: String,
    },
    /// The key is too short or too long.
    #[error(
        "key `{key_id}` has {got} bytes, wanted {KEY_BYTES}, as `openssl rand -hex 32` makes them"
    )]
    KeyLength {
        /// The key's id.
        key_id: String,
        /// Its length.
        got: usize,
    },
    /// The system gives no random numbers.
    #[error("cannot seal letter `{letter_id}`: the system gives no random numbers")]
    Random {
        /// The letter.
        letter_id: String,
    },
    /// The payload is larger than the cipher allows: 64 GiB.
    #[error("cannot seal letter `{letter_id}`: its payload of {bytes} bytes is too large")]
    TooLarge {
        /// The letter.
        letter_id: String,
        /// The payload's size.
        bytes: usize,
    },
    /// The sealed bytes were cut off, or never were any.
    #[error(
        "cannot open letter `{letter_id}`: its payload is too short to be sealed, at least {LEAST_BYTES} bytes, got {got}"
    )]
    TooShort {
        /// The letter.
        letter_id: String,
        /// Their length.
        got: usize,
    },
    /// Something else sealed it.
    #[error(
        "cannot open letter `{letter_id}`: its payload is sealed in version {got}, known is {VERSION}"
    )]
    Version {
        /// The letter.
        letter_id: String,
        /// The version.
        got: u8,
    },
    /// The key does not open it.
    #[error(
        "cannot open letter `{letter_id}` with key `{key_id}`: sealed with another key, for another letter, or changed since, which can't be told apart"
    )]
    Refused {
        /// The letter.
        letter_id: String,
        /// The key that was tried.
        key_id: String,
    },
}

impl SealError {
    /// Whose fault it is: a key that is another than the letters', or letters that were changed.
    pub fn fault(&self) -> Fault {
        Fault::Input
    }
}

impl Seal {
    /// A key of 32 bytes, as 64 hexadecimal digits or as base64, and the id that it goes by.
    pub fn new(key_text: &str, key_id: &str) -> Result<Self, SealError> {
        let key_id = key_id.to_owned();
        let Some(bytes) = key_bytes(key_text.trim()) else {
            return Err(SealError::KeyText { key_id });
        };
        let Ok(key) = UnboundKey::new(&AES_256_GCM, &bytes) else {
            return Err(SealError::KeyLength { key_id, got: bytes.len() });
        };
        Ok(Self { key: LessSafeKey::new(key), key_id })
    }

    /// The id of the key, to be kept with what it seals.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Seals the payload of a letter: 29 bytes more than it has.
    pub fn seal(&self, payload: &[u8], letter_id: &str) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| SealError::Random { letter_id: letter_id.to_owned() })?;
        let mut sealed = Vec::with_capacity(LEAST_BYTES + payload.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(payload);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = self.associated(VERSION, letter_id);
        let tag =
            self.key.seal_in_place_separate_tag(nonce, aad, &mut sealed[1 + NONCE_LEN..]).map_err(
                |_| SealError::TooLarge { letter_id: letter_id.to_owned(), bytes: payload.len() },
            )?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// The payload of a letter that this key sealed.
    pub fn open(&self, sealed: &[u8], letter_id: &str) -> Result<Vec<u8>, SealError> {
        let letter = || letter_id.to_owned();
        if sealed.len() < LEAST_BYTES {
            return Err(SealError::TooShort { letter_id: letter(), got: sealed.len() });
        }
        let (version, rest) = (sealed[0], &sealed[1..]);
        if version != VERSION {
            return Err(SealError::Version { letter_id: letter(), got: version });
        }
        let (nonce, ciphertext) = rest.split_at(NONCE_LEN);
        let refused = |_| SealError::Refused { letter_id: letter(), key_id: self.key_id.clone() };
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(refused)?;
        let mut payload = ciphertext.to_vec();
        let aad = self.associated(version, letter_id);
        let length = self.key.open_in_place(nonce, aad, &mut payload).map_err(refused)?.len();
        payload.truncate(length);
        Ok(payload)
    }

    /// What is authenticated with a payload: moved to another letter or given another key's id, it no
    /// longer opens.
    fn associated(&self, version: u8, letter_id: &str) -> Aad<Vec<u8>> {
        let mut bytes = vec![version];
        // With its length before it, the end of one id can't pass for the start of the other.
        bytes.extend_from_slice(&(self.key_id.len() as u64).to_le_bytes());
        bytes.extend_from_slice(self.key_id.as_bytes());
        bytes.extend_from_slice(letter_id.as_bytes());
        Aad::from(bytes)
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

/// Hexadecimal digits are base64 too: an even number of nothing but digits is hexadecimal.
fn key_bytes(text: &str) -> Option<Vec<u8>> {
    hex(text.as_bytes()).or_else(|| STANDARD_NO_PAD.decode(text.trim_end_matches('=')).ok())
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    pairs.iter().map(|[high, low]| Some((digit(*high)? << 4 | digit(*low)?) as u8)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
    const KEY_BASE64: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const LETTER: &str = "0a1b2c3d";
    const PAYLOAD: &[u8] = b"{\"ip\":\"203.0.113.7\"}";

    fn seal(key: &str, key_id: &str) -> Seal {
        Seal::new(key, key_id).expect("a key")
    }

    fn sealed(seal: &Seal) -> Vec<u8> {
        seal.seal(PAYLOAD, LETTER).expect("sealed")
    }

    #[track_caller]
    fn refused(opened: Result<Vec<u8>, SealError>) {
        let refused = SealError::Refused { letter_id: LETTER.to_owned(), key_id: "k1".to_owned() };
        assert_eq!(opened, Err(refused));
    }

    #[test]
    fn what_is_sealed_opens() {
        let seal = seal(KEY, "k1");
        for payload in [&b""[..], PAYLOAD, &[0xff; 100_000]] {
            let sealed = seal.seal(payload, LETTER).expect("sealed");
            assert_eq!(sealed.len(), payload.len() + LEAST_BYTES);
            assert_eq!(seal.open(&sealed, LETTER).as_deref(), Ok(payload));
        }
        let sealed = sealed(&seal);
        assert!(!sealed.windows(4).any(|bytes| PAYLOAD.windows(4).any(|part| part == bytes)));
    }

    #[test]
    fn a_key_is_the_same_in_every_writing() {
        let sealed = sealed(&seal(KEY, "k1"));
        let base64 = [KEY_BASE64, KEY_BASE64.trim_end_matches('=')];
        for key in [&KEY.to_uppercase(), &format!("{KEY}\n"), base64[0], base64[1]] {
            assert_eq!(seal(key, "k1").open(&sealed, LETTER).as_deref(), Ok(PAYLOAD));
        }
    }

    #[test]
    fn a_bad_key_says_what_is_wanted_and_not_what_it_is() {
        #[track_caller]
        fn check(key: &str, expected: &str) {
            let error = Seal::new(key, "k1").expect_err("refused").to_string();
            assert_eq!(error, expected);
        }
        let length = |got: usize| {
            format!("key `k1` has {got} bytes, wanted 32, as `openssl rand -hex 32` makes them")
        };
        check("", &length(0));
        check(&KEY[..32], &length(16));
        check(&KEY.repeat(2), &length(64));
        check("c2VjcmV0IQ==", &length(7));
        check(
            "not a key!",
            "key `k1` is neither hexadecimal nor base64, wanted 32 bytes of it, as `openssl rand -hex 32` makes them",
        );
    }

    #[test]
    fn a_payload_opens_for_its_letter_only() {
        let key = seal(KEY, "k1");
        let moved = key.seal(PAYLOAD, "0a1b2c3e").expect("sealed");
        refused(key.open(&moved, LETTER));
        // The ends of the ids are part of what is sealed.
        let shifted = seal(KEY, "k10").seal(PAYLOAD, &LETTER[1..]).expect("sealed");
        refused(key.open(&shifted, LETTER));
    }

    #[test]
    fn a_changed_byte_is_noticed_wherever_it_is() {
        let seal = seal(KEY, "k1");
        let sealed = sealed(&seal);
        for at in 1..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            refused(seal.open(&changed, LETTER));
        }
        let mut other = sealed;
        other[0] = 2;
        let error = seal.open(&other, LETTER).expect_err("refused").to_string();
        assert_eq!(
            error,
            "cannot open letter `0a1b2c3d`: its payload is sealed in version 2, known is 1"
        );
    }

    #[test]
    fn another_key_opens_nothing() {
        let sealed = sealed(&seal(&KEY.replace("1f", "2f"), "k1"));
        refused(seal(KEY, "k1").open(&sealed, LETTER));
        let error = seal(KEY, "k1").open(&sealed, LETTER).expect_err("refused").to_string();
        assert_eq!(
            error,
            "cannot open letter `0a1b2c3d` with key `k1`: sealed with another key, for another letter, or changed since, which can't be told apart"
        );
    }

    #[test]
    fn a_key_under_another_id_opens_nothing() {
        refused(seal(KEY, "k1").open(&sealed(&seal(KEY, "k2")), LETTER));
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let seal = seal(KEY, "k1");
        let sealed = sealed(&seal);
        for length in LEAST_BYTES..sealed.len() {
            refused(seal.open(&sealed[..length], LETTER));
        }
        for length in 0..LEAST_BYTES {
            let error = seal.open(&sealed[..length], LETTER).expect_err("refused");
            assert!(matches!(error, SealError::TooShort { got, .. } if got == length), "{error}");
        }
    }

    #[test]
    fn no_two_letters_have_the_same_nonce() {
        let seal = seal(KEY, "k1");
        let nonce = || sealed(&seal)[1..1 + NONCE_LEN].to_vec();
        let nonces: std::collections::HashSet<_> = (0..1000).map(|_| nonce()).collect();
        assert_eq!(nonces.len(), 1000);
    }

    #[test]
    fn the_key_is_not_printed() {
        assert_eq!(format!("{:?}", seal(KEY, "k1")), "Seal { key_id: \"k1\", .. }");
    }
}
