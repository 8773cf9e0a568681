//! Pseudonyms: `<key_id>_<32 hex digits>`, the first 16 bytes of a keyed BLAKE3 of the value.
//!
//! The secret's text, of any length, becomes a 32-byte root key by BLAKE3's key derivation, and the
//! keyed hash of a domain's name with the root key is the domain's key: so no text of a key and a
//! domain can be mistaken for another pair. Two different values have the same pseudonym with a chance
//! of about 2^-128.
//!
//! Why BLAKE3 and not HMAC-SHA-256: in Wasm a 16-byte value costs 90 ns with it and 505 ns with HMAC
//! (node 20, median of 7 runs of 300,000 values, making the value and the hex not counted; HMAC with the
//! padded key hashed beforehand). BLAKE3's `wasm32_simd` feature takes a quarter off the fuel of the shop's
//! rows, and hardly any time.
//!
//! Values repeat, for a session's clicks lie together. A small table remembers where in the output the
//! pseudonym of a value stands already, and a hit is copied: with six clicks a session a row costs 48 ns
//! in Wasm, without repeats 147 ns (36-byte ids).

use clickmill_plugin::{Column, Texts, Values, same};

/// Where the key derivation is for. Any change makes other pseudonyms of all values.
const CONTEXT: &str = "clickmill mask 2026-11 pseudonym root key v1";

const HEX_DIGITS: usize = 32;

/// The root key.
pub(crate) struct Key([u8; 32]);

/// The pseudonyms of one domain.
pub(crate) struct Pseudonyms {
    key: [u8; 32],
    prefix: Prefix,
}

impl Key {
    /// The root key of a secret, which the host has found to be long enough.
    pub(crate) fn new(secret: &str) -> Self {
        Self(blake3::derive_key(CONTEXT, secret.as_bytes()))
    }

    /// The pseudonyms of a domain.
    pub(crate) fn pseudonyms(&self, key_id: &str, domain: &str) -> Pseudonyms {
        Pseudonyms {
            key: *blake3::keyed_hash(&self.0, domain.as_bytes()).as_bytes(),
            prefix: Prefix::new(key_id),
        }
    }
}

impl Pseudonyms {
    /// The column of the pseudonyms of a text or int64 column. Null stays null, and an empty text becomes
    /// it; of another type of column, which `configure` has refused, all would be null.
    pub(crate) fn column(&self, name: &str, source: &Column) -> Column {
        let rows = source.len();
        let mut texts = Texts::with_capacity(
            rows,
            rows * (self.prefix.len + HEX_DIGITS) + self.prefix.padded.len(),
        );
        let mut memo = Memo::new(rows);
        let mut decimal = Decimal::default();
        match &source.values {
            Values::Texts(text) => {
                for row in 0..rows {
                    let value = text.get(row);
                    if source.is_valid(row) && !value.is_empty() {
                        let seen =
                            memo.find(hash(value), row, &mut texts, |r| same(text.get(r), value));
                        self.push(seen, &mut texts, || self.hex(value));
                    } else {
                        texts.push_null();
                    }
                }
            }
            Values::Int64s(numbers) => {
                for row in 0..rows {
                    if source.is_valid(row) {
                        let value = numbers[row];
                        let seen = memo
                            .find(mix(0, value as u64), row, &mut texts, |r| numbers[r] == value);
                        self.push(seen, &mut texts, || self.hex(decimal.write(value)));
                    } else {
                        texts.push_null();
                    }
                }
            }
            _ => (0..rows).for_each(|_| texts.push_null()),
        }
        texts.finish(name)
    }

    /// Adds the pseudonym of a value: from where it stands in the output already, or else what is made now.
    fn push(
        &self,
        seen: Option<usize>,
        texts: &mut Texts,
        make: impl FnOnce() -> [u8; HEX_DIGITS],
    ) {
        let out = texts.buffer();
        let there = seen.and_then(|at| out[at + self.prefix.len..].first_chunk().copied());
        let hex = there.unwrap_or_else(make);
        // Both are of known length: in a component a copy of another is a call.
        let start = out.len();
        out.extend_from_slice(&self.prefix.padded);
        out.truncate(start + self.prefix.len);
        out.extend_from_slice(&hex);
        texts.end_row();
    }

    fn hex(&self, value: &[u8]) -> [u8; HEX_DIGITS] {
        let hash = blake3::keyed_hash(&self.key, value);
        let mut hex = [0; HEX_DIGITS];
        for (pair, byte) in hex.chunks_exact_mut(2).zip(hash.as_bytes()) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        hex
    }
}

/// What pseudonyms begin with.
struct Prefix {
    padded: [u8; 16],
    len: usize,
}

impl Prefix {
    /// A key's id has at most eight bytes: a longer one is refused, and no pseudonym made with it.
    fn new(key_id: &str) -> Self {
        let mut padded = [0; 16];
        let text = format!("{key_id}_");
        let len = text.len().min(padded.len());
        padded[..len].copy_from_slice(&text.as_bytes()[..len]);
        Self { padded, len }
    }
}

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// Which row last had a value of a hash, and where its pseudonym begins in the output. A collision only
/// costs hashing the value once more.
struct Memo {
    slots: Vec<(u32, u32)>,
}

impl Memo {
    const EMPTY: u32 = u32::MAX;

    fn new(rows: usize) -> Self {
        // 16,384 slots of 8 bytes: cheap to clear, and more than the rows of a usual batch.
        let slots = (rows * 2).next_power_of_two().clamp(16, 16_384);
        Self { slots: vec![(Self::EMPTY, 0); slots] }
    }

    /// Where the pseudonym of this row's value begins in the output, if it is there. Where it is not,
    /// remembers that it will be at the output's end.
    fn find(
        &mut self,
        hash: u64,
        row: usize,
        texts: &mut Texts,
        same: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        // The high bits of the last multiplication are the good ones.
        let slot = (hash >> 32) as usize & (self.slots.len() - 1);
        let (seen, at) = self.slots[slot];
        if seen != Self::EMPTY && same(seen as usize) {
            return Some(at as usize);
        }
        self.slots[slot] = (row as u32, texts.buffer().len() as u32);
        None
    }
}

/// A quick hash, for the memo alone.
fn hash(value: &[u8]) -> u64 {
    let (words, rest) = value.as_chunks::<8>();
    let mut hash = value.len() as u64;
    for word in words {
        hash = mix(hash, u64::from_le_bytes(*word));
    }
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    mix(hash, u64::from_le_bytes(last))
}

#[inline]
fn mix(hash: u64, word: u64) -> u64 {
    (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Room for an integer's decimal text.
#[derive(Default)]
struct Decimal([u8; 20]);

impl Decimal {
    fn write(&mut self, value: i64) -> &[u8] {
        let mut at = self.0.len();
        let mut rest = value.unsigned_abs();
        loop {
            at -= 1;
            self.0[at] = b'0' + (rest % 10) as u8;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        if value < 0 {
            at -= 1;
            self.0[at] = b'-';
        }
        &self.0[at..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimal_text_is_that_of_the_standard_library() {
        for value in [0, 7, -7, 42, 1_700_000_000_000, i64::MAX, i64::MIN] {
            assert_eq!(Decimal::default().write(value), value.to_string().as_bytes());
        }
    }
}
