//! Signatures of components: ed25519 in minisign's format, so that the `minisign` tool makes and checks
//! them too.
//!
//! Comes in: a component's bytes, the text of its signature, the public keys that are trusted. Goes out:
//! the id of the key that signed, or why the component is not trusted. This reads and writes no file,
//! and asks nobody for a password.

use std::ffi::OsString;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use minisign::{ErrorKind, KeyPair, PError, PublicKey, SecretKey, SecretKeyBox, SignatureBox};

use clickmill_core::Fault;

/// Bytes of a public key: algorithm, key id, key.
const PUBLIC_KEY_BYTES: usize = 2 + 8 + 32;
/// Bytes of a secret key: three algorithms, salt, two limits, key id, key, checksum.
const SECRET_KEY_BYTES: usize = 6 + 32 + 16 + 8 + 64 + CHECKSUM_BYTES;
const CHECKSUM_BYTES: usize = 32;
/// Bytes of a signature of content: algorithm, key id, signature.
const SIGNATURE_BYTES: usize = 2 + 8 + COMMENT_SIGNATURE_BYTES;
const COMMENT_SIGNATURE_BYTES: usize = 64;
/// The `minisign` tool reads lines of 8191 bytes; that leaves room for what precedes the comment.
const MAX_COMMENT_BYTES: usize = 8000;
/// Bytes of a signature's file, at most: two comments, and little else.
pub(crate) const MAX_BYTES: usize = 32 << 10;
/// So much of a malformed key is shown. Of a secret key that is the names of algorithms.
const SHOWN_CHARS: usize = 8;

/// Public keys that are trusted to sign components.
#[derive(Debug, Clone, Default)]
pub struct Keys(Vec<PublicKey>);

/// What a signature that fits says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signed {
    /// The id of the key that signed.
    pub key_id: String,
    /// The line of text that it signed along, the trusted comment.
    pub comment: String,
}

/// Why a text is no public key. `at` is its place in the list, from 0.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// It is something else.
    #[error("trusted key {number}, `{start}…`, is not a public key of minisign, wanted `RW…`, as in a `.pub` file", number = at + 1)]
    Malformed {
        /// Its place in the list.
        at: usize,
        /// How it begins.
        start: String,
    },
    /// It is a secret key, which is shown to nobody.
    #[error("trusted key {number} is a secret key, wanted the public one, as in a `.pub` file", number = at + 1)]
    Secret {
        /// Its place in the list.
        at: usize,
    },
}

/// Why a component is not trusted.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum SignatureError {
    /// Nobody signed it.
    #[error("it has no signature")]
    Missing,
    /// It is signed, but by somebody else.
    #[error("it is signed by the key `{key_id}`, which is not trusted{list}", list = trusted(keys))]
    UnknownKey {
        /// The key that signed.
        key_id: String,
        /// The keys that are trusted.
        keys: Vec<String>,
    },
    /// The signature is not of this content.
    #[error(
        "the signature by the key `{key_id}` does not fit: the component or the signature was changed after signing"
    )]
    Changed {
        /// The key that the signature names.
        key_id: String,
    },
    /// The signature can't be read.
    #[error("the signature is malformed: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
}

/// Why there is no signature, or no key pair.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    /// The secret key is something else.
    #[error("the secret key is malformed, wanted the text of a secret key file of minisign")]
    SecretKey,
    /// The secret key was changed.
    #[error("the secret key is damaged: its parts do not fit together")]
    Damaged,
    /// The secret key needs a password.
    #[error("the secret key is protected by a password, and none is given")]
    NoPassword,
    /// The secret key needs another password.
    #[error("the password does not open the secret key")]
    WrongPassword,
    /// The comment is more than a line of text.
    #[error("the comment has the character {character:?}, wanted a line of plain text")]
    CommentCharacter {
        /// The first that may not be there.
        character: char,
    },
    /// The comment is too long.
    #[error("the comment is too long: limit {MAX_COMMENT_BYTES} bytes, got {bytes}")]
    CommentLength {
        /// Its length.
        bytes: usize,
    },
    /// The library failed: there are no random numbers, or no memory to derive a key in.
    #[error("cannot {what}")]
    Failed {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: PError,
    },
}

impl KeyError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Malformed { .. } | Self::Secret { .. } => Fault::Input,
        }
    }
}

impl SignatureError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Missing
            | Self::UnknownKey { .. }
            | Self::Changed { .. }
            | Self::Malformed { .. } => Fault::Input,
        }
    }
}

impl SigningError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::SecretKey
            | Self::Damaged
            | Self::NoPassword
            | Self::WrongPassword
            | Self::CommentCharacter { .. }
            | Self::CommentLength { .. } => Fault::Input,
            Self::Failed { .. } => Fault::Environment,
        }
    }
}

impl Keys {
    /// Keys from lines of base64 (`RW…`), or from texts of `.pub` files.
    ///
    /// # Errors
    ///
    /// A line is no key.
    pub fn parse(texts: &[String]) -> Result<Self, KeyError> {
        let keys = texts.iter().enumerate().map(|(at, text)| public_key(at, text));
        keys.collect::<Result<_, _>>().map(Self)
    }

    /// Whether nobody is trusted by name.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that one of the keys signed the component, and returns which one, and what it signed along. A
    /// legacy signature, which signs the content and not its hash, is as good.
    ///
    /// # Errors
    ///
    /// None of the keys has signed it, or what it signs along says otherwise.
    pub fn check(&self, component: &[u8], signature: &str) -> Result<Signed, SignatureError> {
        if signature.trim().is_empty() {
            return Err(SignatureError::Missing);
        }
        let signature = parse(signature)?;
        let key_id = hex(signature.keynum());
        // A key id is a random number that anyone may copy: it finds the key, and proves nothing.
        let mut keys = self.0.iter().filter(|key| key.keynum() == signature.keynum()).peekable();
        if keys.peek().is_none() {
            let keys = self.0.iter().map(|key| hex(key.keynum())).collect();
            return Err(SignatureError::UnknownKey { key_id, keys });
        }
        let fits = |key: &PublicKey| {
            let (quiet, output, allow_legacy) = (true, false, true);
            let component = Cursor::new(component);
            minisign::verify(key, &signature, component, quiet, output, allow_legacy).is_ok()
        };
        if !keys.any(fits) {
            return Err(SignatureError::Changed { key_id });
        }
        let comment = signature.trusted_comment();
        let comment =
            comment.map_err(|_| SignatureError::Malformed { what: "it has no comment" })?;
        Ok(Signed { key_id, comment })
    }
}

/// What a signature says of itself, which nobody has checked.
///
/// # Errors
///
/// It has not the form of a signature.
pub fn claimed(signature: &str) -> Result<Signed, SignatureError> {
    let signature = parse(signature)?;
    let comment = signature.trusted_comment();
    let comment = comment.map_err(|_| SignatureError::Malformed { what: "it has no comment" })?;
    Ok(Signed { key_id: hex(signature.keynum()), comment })
}

/// Where the signature of a file is: `mask.wasm.minisig` beside `mask.wasm`.
pub fn beside(path: &Path) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(".minisig");
    name.into()
}

/// Signs a component, with the text of a secret key file. The comment is signed too; blanks around it
/// are dropped. The password of a key that has none is ignored.
///
/// # Errors
///
/// The key file is none, or its password is another.
pub fn sign(
    secret_key: &str,
    password: Option<String>,
    component: &[u8],
    trusted_comment: &str,
) -> Result<String, SigningError> {
    let comment = trusted_comment.trim();
    if let Some(character) = comment.chars().find(|c| c.is_control() && *c != '\t') {
        return Err(SigningError::CommentCharacter { character });
    }
    if comment.len() > MAX_COMMENT_BYTES {
        return Err(SigningError::CommentLength { bytes: comment.len() });
    }
    let secret_key = open(secret_key, password)?;
    let public_key = PublicKey::from_secret_key(&secret_key).map_err(|_| SigningError::Damaged)?;
    let about = format!("signature by clickmill with the key {}", hex(public_key.keynum()));
    let component = Cursor::new(component);
    // Given the public key, it checks what it has signed: the halves of a damaged key do not fit.
    minisign::sign(Some(&public_key), &secret_key, component, Some(comment), Some(&about))
        .map(SignatureBox::into_string)
        .map_err(|error| match error.kind() {
            ErrorKind::Verify => SigningError::Damaged,
            _ => SigningError::Failed { what: "sign the component", source: error },
        })
}

/// A new key pair: the text of the public key's file, and of the secret key's file, protected by the
/// password if there is one.
///
/// # Errors
///
/// The system gives no random bytes.
pub fn generate(password: Option<String>) -> Result<(String, String), SigningError> {
    let pair = match password {
        // Without a password the library would ask the terminal for one.
        Some(password) => KeyPair::generate_encrypted_keypair(Some(password)),
        None => KeyPair::generate_unencrypted_keypair(),
    };
    let texts = pair.and_then(|KeyPair { pk, sk }| {
        let about = format!("minisign secret key {}", hex(pk.keynum()));
        Ok((pk.to_box()?.to_string(), sk.to_box(Some(&about))?.to_string()))
    });
    texts.map_err(|source| SigningError::Failed { what: "make a key pair", source })
}

fn public_key(at: usize, text: &str) -> Result<PublicKey, KeyError> {
    let is_key = |line: &&str| !line.is_empty() && !line.starts_with("untrusted comment:");
    let lines: Vec<&str> = text.lines().map(str::trim).filter(is_key).collect();
    let start = || lines.first().map_or("", |line| line).chars().take(SHOWN_CHARS).collect();
    let malformed = || KeyError::Malformed { at, start: start() };
    let [line] = lines[..] else { return Err(malformed()) };
    let bytes = STANDARD.decode(line).map_err(|_| malformed())?;
    match (bytes.len(), bytes.starts_with(b"Ed")) {
        (PUBLIC_KEY_BYTES, true) => PublicKey::from_bytes(&bytes).map_err(|_| malformed()),
        (SECRET_KEY_BYTES, true) => Err(KeyError::Secret { at }),
        _ => Err(malformed()),
    }
}

fn parse(text: &str) -> Result<SignatureBox, SignatureError> {
    let malformed = |what| SignatureError::Malformed { what };
    let lines: Vec<&str> = text.lines().take(4).collect();
    let [_, of_content, _, of_comment] = lines[..] else {
        return Err(malformed("it has fewer than four lines, perhaps it was cut off"));
    };
    // The library takes a signature for whole, and panics where it is not.
    if !is_base64(of_content, SIGNATURE_BYTES) {
        return Err(malformed("its second line is not a whole signature"));
    }
    if !is_base64(of_comment, COMMENT_SIGNATURE_BYTES) {
        return Err(malformed("its fourth line is not a whole signature"));
    }
    SignatureBox::from_string(text).map_err(|_| malformed("it is not in minisign's format"))
}

fn is_base64(line: &str, bytes: usize) -> bool {
    STANDARD.decode(line.trim()).is_ok_and(|decoded| decoded.len() == bytes)
}

fn open(text: &str, password: Option<String>) -> Result<SecretKey, SigningError> {
    let line = text.lines().nth(1).unwrap_or_default().trim();
    let bytes = STANDARD.decode(line).map_err(|_| SigningError::SecretKey)?;
    if bytes.len() != SECRET_KEY_BYTES || !bytes.starts_with(b"Ed") {
        return Err(SigningError::SecretKey);
    }
    let boxed = SecretKeyBox::from(format!("untrusted comment: \n{line}\n"));
    match &bytes[2..4] {
        // The `minisign` tool gives a key without a password no checksum, and wants none.
        b"\0\0" if bytes.ends_with(&[0; CHECKSUM_BYTES]) => SecretKey::from_bytes(&bytes),
        b"\0\0" => boxed.into_unencrypted_secret_key(),
        b"Sc" => {
            let password = password.ok_or(SigningError::NoPassword)?;
            return boxed.into_secret_key(Some(password)).map_err(|source| match source.kind() {
                ErrorKind::Verify => SigningError::WrongPassword,
                _ => SigningError::Failed { what: "open the secret key", source },
            });
        }
        _ => return Err(SigningError::SecretKey),
    }
    .map_err(|_| SigningError::Damaged)
}

/// A key id as the `minisign` tool prints it.
fn hex(key_id: &[u8]) -> String {
    key_id.iter().rev().map(|byte| format!("{byte:02X}")).collect()
}

fn trusted(keys: &[String]) -> String {
    match keys {
        [] => ": no key is".to_owned(),
        keys => format!(": `{}` is", keys.join("`, `")),
    }
}

#[cfg(test)]
mod tests;
