//! Seals what is a visitor's in dead letters: payload, message and attributes. The table outlives them.
//!
//! Comes in: the contents and the id of a letter. Goes out: bytes that only the key opens, for that letter
//! only (AES-256-GCM). This knows no table, and keeps no keys but those it was made with.
//!
//! Sealed bytes are: the version (one byte, 2), the nonce (12 bytes), the ciphertext, the tag (16 bytes).
//! Authenticated with them are the version, the key's id and the letter's id. Version 1 sealed the payload
//! alone, and is opened still.

mod contents;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

use clickmill_core::Fault;

pub use contents::Contents;

const VERSION: u8 = 2;
/// Of the payload alone.
const FIRST_VERSION: u8 = 1;
const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;
/// What nothing at all is sealed into.
const LEAST_BYTES: usize = 1 + NONCE_LEN + TAG_BYTES;

/// A key, ready to seal and to open.
///
/// Nonces are random, and two letters with the same nonce would give away what their payloads differ in,
/// and let others be forged. One key may therefore seal no more than 2^32 letters: up to there, two
/// nonces of 96 bits are the same with a chance below 2^-32 (NIST SP 800-38D, 8.3). Nothing counts them
/// here: keys are to be replaced long before, each under an id of its own, by which a letter finds the
/// key that opens it among [`SealKeys`].
pub struct Seal {
    key: LessSafeKey,
    key_id: String,
}

/// The keys of a pipeline: one seals, and each opens what it has sealed.
#[derive(Debug)]
pub struct SealKeys {
    /// The key that seals.
    pub current: Seal,
    /// Those that have sealed before it.
    pub old: Vec<Seal>,
}

/// What is in a sealed letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// All that may be a visitor's.
    Whole(Contents),
    /// The payload: an earlier version has left the rest as it was.
    Payload(Vec<u8>),
}

/// Why a letter is not sealed, or not opened. The key is in none of the texts.
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
    /// It is larger than the cipher allows: 64 GiB.
    #[error("cannot seal letter `{letter_id}`: its {bytes} bytes are too large")]
    TooLarge {
        /// The letter.
        letter_id: String,
        /// Its size.
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
        "cannot open letter `{letter_id}`: its payload is sealed in version {got}, known are {FIRST_VERSION} and {VERSION}"
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
    /// What was opened is nothing that was ever sealed: a bug in clickmill.
    #[error("cannot read letter `{letter_id}`, which key `{key_id}` has opened")]
    Contents {
        /// The letter.
        letter_id: String,
        /// The key.
        key_id: String,
    },
}

impl SealError {
    /// Whose fault it is: a key that is another than the letters', or letters that were changed.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Contents { .. } => Fault::Bug,
            _ => Fault::Input,
        }
    }
}

impl SealKeys {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Seal> {
        std::iter::once(&self.current).chain(&self.old)
    }

    /// The key of an id.
    pub fn find(&self, key_id: &str) -> Option<&Seal> {
        self.iter().find(|seal| seal.key_id == key_id)
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

    /// Seals what is a visitor's in a letter.
    pub fn seal(&self, contents: &Contents, letter_id: &str) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new()
            .fill(&mut nonce)
            .map_err(|_| SealError::Random { letter_id: letter_id.to_owned() })?;
        let contents = contents.to_bytes();
        let mut sealed = Vec::with_capacity(LEAST_BYTES + contents.len());
        sealed.push(VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(&contents);
        let nonce = Nonce::assume_unique_for_key(nonce);
        let aad = self.associated(VERSION, letter_id);
        let tag =
            self.key.seal_in_place_separate_tag(nonce, aad, &mut sealed[1 + NONCE_LEN..]).map_err(
                |_| SealError::TooLarge { letter_id: letter_id.to_owned(), bytes: contents.len() },
            )?;
        sealed.extend_from_slice(tag.as_ref());
        Ok(sealed)
    }

    /// Opens a letter that this key sealed.
    pub fn open(&self, sealed: &[u8], letter_id: &str) -> Result<Opened, SealError> {
        let letter = || letter_id.to_owned();
        if sealed.len() < LEAST_BYTES {
            return Err(SealError::TooShort { letter_id: letter(), got: sealed.len() });
        }
        let (version, rest) = (sealed[0], &sealed[1..]);
        if ![FIRST_VERSION, VERSION].contains(&version) {
            return Err(SealError::Version { letter_id: letter(), got: version });
        }
        let (nonce, ciphertext) = rest.split_at(NONCE_LEN);
        let key_id = || self.key_id.clone();
        let refused = |_| SealError::Refused { letter_id: letter(), key_id: key_id() };
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(refused)?;
        let mut opened = ciphertext.to_vec();
        let aad = self.associated(version, letter_id);
        let length = self.key.open_in_place(nonce, aad, &mut opened).map_err(refused)?.len();
        opened.truncate(length);
        if version == FIRST_VERSION {
            return Ok(Opened::Payload(opened));
        }
        let contents = Contents::from_bytes(&opened);
        let contents = contents
            .ok_or_else(|| SealError::Contents { letter_id: letter(), key_id: key_id() })?;
        Ok(Opened::Whole(contents))
    }

    /// What is authenticated with a letter's contents: moved to another letter or given another key's id, it no
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
mod tests;
