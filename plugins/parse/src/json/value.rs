//! Values within a message: what and where they are, and their content with escapes resolved.

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// There is none.
    Absent,
    Null,
    True,
    False,
    /// A number without fraction and exponent.
    Integer,
    /// Another number.
    Decimal,
    /// A string that stands for itself.
    String,
    /// A string with escapes.
    Escaped,
    Object,
    Array,
    /// What stands in the place of an object that leads to it, without the quotes of a string.
    Misplaced,
}

/// Where a value stands in the text, quotes included, and what it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: Kind,
}

impl Span {
    pub(super) const ABSENT: Self = Self { start: 0, end: 0, kind: Kind::Absent };

    /// The same as what stands in the place of an object.
    pub(super) fn misplaced(&self) -> Self {
        let (start, end) = (self.start + self.quote(), self.end - self.quote());
        Self { start, end, kind: Kind::Misplaced }
    }

    /// Its bytes, with the quotes of a string.
    #[inline]
    pub(super) fn spelled<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.start as usize..self.end as usize]
    }

    /// Its bytes, without the quotes of a string.
    #[inline]
    pub(super) fn content<'a>(&self, text: &'a [u8]) -> &'a [u8] {
        &text[self.content_start()..(self.end - self.quote()) as usize]
    }

    /// Whether it is an empty text, in whatever place.
    #[inline]
    pub(super) fn is_empty(&self, text: &[u8]) -> bool {
        matches!(self.kind, Kind::String | Kind::Misplaced) && self.content(text).is_empty()
    }

    /// Where its content starts.
    #[inline]
    pub(super) fn content_start(&self) -> usize {
        (self.start + self.quote()) as usize
    }

    #[inline]
    fn quote(&self) -> u32 {
        u32::from(matches!(self.kind, Kind::String | Kind::Escaped))
    }
}

/// Writes out a string that [`Cursor::string`](super::cursor::Cursor::string) has passed, its escapes resolved.
pub(super) fn unescape(mut string: &[u8], out: &mut Vec<u8>) {
    while let Some(at) = memchr::memchr(b'\\', string) {
        out.extend_from_slice(&string[..at]);
        let (character, length) = escaped(&string[at..]);
        out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        string = string.get(at + length..).unwrap_or_default();
    }
    out.extend_from_slice(string);
}

/// The character that an escape stands for, and how many bytes it takes.
fn escaped(escape: &[u8]) -> (char, usize) {
    let code =
        |at: usize| escape.get(at..).and_then(<[u8]>::first_chunk).and_then(hex).unwrap_or(0);
    match escape.get(1) {
        Some(b'b') => ('\u{8}', 2),
        Some(b'f') => ('\u{c}', 2),
        Some(b'n') => ('\n', 2),
        Some(b'r') => ('\r', 2),
        Some(b't') => ('\t', 2),
        Some(b'u') => match code(2) {
            high @ 0xd800..0xdc00 => {
                let low = code(8).wrapping_sub(0xdc00);
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low & 0x3ff);
                (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 12)
            }
            code => (char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), 6),
        },
        Some(&byte) => (char::from(byte), 2),
        None => (char::REPLACEMENT_CHARACTER, 1),
    }
}

pub(super) fn hex(digits: &[u8; 4]) -> Option<u32> {
    digits.iter().try_fold(0, |code, &digit| Some(code << 4 | char::from(digit).to_digit(16)?))
}
