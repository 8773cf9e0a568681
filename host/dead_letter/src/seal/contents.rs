//! What is sealed of a letter, as bytes.
//!
//! The bytes are: the message, the number of attributes, the key and the value of each, then the payload.
//! A text has its length before it; lengths and the number are 32 bits, least byte first.

/// What is sealed of a letter: all that may be a visitor's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// The record's bytes.
    pub payload: Vec<u8>,
    /// What is wrong with it.
    pub message: String,
    /// What came with it, by key.
    pub attributes: Vec<(String, String)>,
}

impl Contents {
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let texts = self.attributes.iter().flat_map(|(key, value)| [key, value]);
        let mut bytes = Vec::with_capacity(self.payload.len() + self.message.len() + 64);
        put(&mut bytes, &self.message);
        bytes.extend_from_slice(&length(self.attributes.len()));
        texts.for_each(|text| put(&mut bytes, text));
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// `None` where the bytes are something else.
    pub(super) fn from_bytes(mut bytes: &[u8]) -> Option<Self> {
        let message = take(&mut bytes)?;
        let count = number(&mut bytes)?;
        let attributes = (0..count).map(|_| Some((take(&mut bytes)?, take(&mut bytes)?)));
        let attributes = attributes.collect::<Option<_>>()?;
        Some(Self { payload: bytes.to_vec(), message, attributes })
    }
}

fn put(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&length(text.len()));
    bytes.extend_from_slice(text.as_bytes());
}

/// No message has gigabytes of anything.
fn length(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

fn take(bytes: &mut &[u8]) -> Option<String> {
    let length = number(bytes)?;
    let (text, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    String::from_utf8(text.to_vec()).ok()
}

fn number(bytes: &mut &[u8]) -> Option<usize> {
    let (number, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    usize::try_from(u32::from_le_bytes(*number)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_together_comes_apart_again_and_nothing_else_does() {
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        for contents in [
            Contents::default(),
            Contents { payload: vec![0xff; 300], ..Contents::default() },
            Contents {
                payload: b"{}".to_vec(),
                message: "`ip` is no address".to_owned(),
                attributes: vec![pair("", ""), pair("user", "zoë"), pair("user", "")],
            },
        ] {
            let bytes = contents.to_bytes();
            assert_eq!(Contents::from_bytes(&bytes).as_ref(), Some(&contents));
            for end in 0..bytes.len() - contents.payload.len() {
                assert_eq!(Contents::from_bytes(&bytes[..end]), None, "{end} of {contents:?}");
            }
        }
        let lie = [[0; 4], [0xff; 4]].concat();
        assert_eq!(Contents::from_bytes(&lie), None);
        assert_eq!(Contents::from_bytes(&[1, 0, 0, 0, 0xff, 0, 0, 0, 0]), None, "not UTF-8");
    }
}
