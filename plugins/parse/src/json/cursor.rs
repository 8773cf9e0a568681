//! The grammar of RFC 8259, to the letter: a position in a message, and what may follow there.
//!
//! Nothing here knows what is wanted of the message, and nothing recurses: the guest's stack is small.
//! The text is UTF-8 (the host guarantees it), so only the grammar is checked.

use std::ops::Range;

use super::containers::{Containers, NONE};
use super::value::{Kind, hex};

/// Why a message cannot be read.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Stop {
    /// Not JSON: what was wanted at the byte where the cursor stands.
    Syntax(&'static str),
    /// There is no message.
    Null,
    /// JSON, but not an object.
    NotAnObject,
    /// Nested too deep.
    TooDeep,
    /// A key twice in one object: the object's node, and where the key stands.
    Duplicate(u16, Range<usize>),
    /// A key that nobody takes: the object's node, and where the key stands.
    Unknown(u16, Range<usize>),
}

/// A position in a message, which ends where the text does. Methods that answer `None` have said why in `stop`.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a [u8],
    /// The text and what follows it, so that words can be read across its end.
    pub(super) beyond: &'a [u8],
    pub(super) at: usize,
    pub(super) stop: Stop,
}

impl<'a> Cursor<'a> {
    /// A message within a text.
    pub(super) fn new(text: &'a [u8], message: Range<usize>) -> Self {
        Self { text: &text[..message.end], beyond: text, at: message.start, stop: Stop::Syntax("") }
    }

    /// The byte here. At the end it is 0, which no rule takes.
    #[inline]
    pub(super) fn peek(&self) -> u8 {
        self.text.get(self.at).copied().unwrap_or(0)
    }

    #[cold]
    pub(super) fn fail<T>(&mut self, stop: Stop) -> Option<T> {
        self.stop = stop;
        None
    }

    #[cold]
    pub(super) fn want<T>(&mut self, wanted: &'static str) -> Option<T> {
        self.fail(Stop::Syntax(wanted))
    }

    #[inline]
    pub(super) fn white_space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    /// Passes a colon and the white space around it.
    #[inline]
    pub(super) fn colon(&mut self) -> Option<()> {
        self.white_space();
        if self.peek() != b':' {
            return self.want("`:`");
        }
        self.at += 1;
        self.white_space();
        Some(())
    }

    /// Passes a string without escapes, if one is here: what most values are.
    #[inline]
    pub(super) fn plain_string(&mut self) -> Option<Kind> {
        if self.peek() != b'"' {
            return None;
        }
        let end = self.plain_end(self.at + 1);
        if self.text.get(end) != Some(&b'"') {
            return None;
        }
        self.at = end + 1;
        Some(Kind::String)
    }

    /// Passes any value. `depth` is how many containers are open around it; those within it are looked up in
    /// `containers` or recorded there.
    ///
    /// Where it stands is for the caller to note: handing more than the kind back costs a trip through
    /// memory, which is a tenth of all the time spent here.
    #[inline]
    pub(super) fn value(
        &mut self,
        depth: u32,
        max_depth: u32,
        containers: &mut Containers,
    ) -> Option<Kind> {
        match self.peek() {
            b'{' => self.container(depth, max_depth, containers).map(|()| Kind::Object),
            b'[' => self.container(depth, max_depth, containers).map(|()| Kind::Array),
            _ => self.scalar(),
        }
    }

    /// Passes a string, number, boolean or null.
    #[inline]
    fn scalar(&mut self) -> Option<Kind> {
        match self.peek() {
            b'"' => {
                self.at += 1;
                let escaped = self.string()?;
                Some(if escaped { Kind::Escaped } else { Kind::String })
            }
            b'0'..=b'9' | b'-' => self.number(),
            b't' => self.word(b"true", Kind::True),
            b'f' => self.word(b"false", Kind::False),
            b'n' => self.word(b"null", Kind::Null),
            _ => self.want("a value"),
        }
    }

    /// Passes the rest of a string, its opening quote being passed. Whether it has escapes.
    #[inline]
    pub(super) fn string(&mut self) -> Option<bool> {
        let mut escaped = false;
        loop {
            self.at = self.plain_end(self.at);
            match self.text.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Some(escaped);
                }
                Some(b'\\') => {
                    self.escape()?;
                    escaped = true;
                }
                Some(_) => return self.want("no control character in a string"),
                None => return self.want("`\"`"),
            }
        }
    }

    /// Where the plain part of a string ends that starts at `at`: at a quote, a backslash, a control
    /// character or the end.
    ///
    /// Strings are mostly shorter than what `memchr` needs to win, and it does not look for control
    /// characters. Vector instructions were tried: they take less fuel, and more time.
    #[inline]
    fn plain_end(&self, mut at: usize) -> usize {
        let end = self.text.len();
        while at < end {
            let Some(chunk) = self.beyond.get(at..).and_then(<[u8]>::first_chunk) else {
                return at + self.text[at..].iter().take_while(|byte| is_plain(**byte)).count();
            };
            let chunk = u128::from_le_bytes(*chunk);
            let first = match (specials(chunk as u64), specials((chunk >> 64) as u64)) {
                (0, 0) => 128,
                (0, high) => 64 + high.trailing_zeros(),
                (low, _) => low.trailing_zeros(),
            };
            at += first as usize / 8;
            if first < 128 {
                return at.min(end);
            }
        }
        end
    }

    fn escape(&mut self) -> Option<()> {
        self.at += 1;
        match self.peek() {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => self.at += 1,
            b'u' => {
                self.at += 1;
                match self.four_hex_digits()? {
                    0xd800..0xdc00 => {
                        if self.text.get(self.at..self.at + 2) != Some(b"\\u") {
                            return self.want("the other half of a surrogate pair");
                        }
                        self.at += 2;
                        if !(0xdc00..0xe000).contains(&self.four_hex_digits()?) {
                            self.at -= 4;
                            return self.want("the other half of a surrogate pair");
                        }
                    }
                    0xdc00..0xe000 => {
                        self.at -= 4;
                        return self.want("no lone half of a surrogate pair");
                    }
                    _ => {}
                }
            }
            _ => return self.want("an escape"),
        }
        Some(())
    }

    fn four_hex_digits(&mut self) -> Option<u32> {
        match self.text.get(self.at..).and_then(<[u8]>::first_chunk).and_then(hex) {
            Some(code) => {
                self.at += 4;
                Some(code)
            }
            None => self.want("four hexadecimal digits"),
        }
    }

    #[inline]
    fn number(&mut self) -> Option<Kind> {
        if self.peek() == b'-' {
            self.at += 1;
        }
        match self.peek() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return self.want("a digit"),
        }
        let mut kind = Kind::Integer;
        if self.peek() == b'.' {
            kind = Kind::Decimal;
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            kind = Kind::Decimal;
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.some_digits()?;
        }
        Some(kind)
    }

    #[inline]
    fn some_digits(&mut self) -> Option<()> {
        if !self.peek().is_ascii_digit() {
            return self.want("a digit");
        }
        self.digits();
        Some(())
    }

    #[inline]
    fn digits(&mut self) {
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
    }

    #[inline]
    fn word(&mut self, word: &'static [u8], kind: Kind) -> Option<Kind> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            return Some(kind);
        }
        self.want("a value")
    }

    /// Passes an object or array.
    fn container(&mut self, depth: u32, max_depth: u32, containers: &mut Containers) -> Option<()> {
        if let Some(end) = containers.end(self.at) {
            self.at = end;
            return Some(());
        }
        // The innermost that is open, how it began, and how many are.
        let (mut number, mut began, mut open) = (NONE, 0, 0);
        loop {
            let opens = self.peek();
            if matches!(opens, b'{' | b'[') {
                if open >= max_depth - depth {
                    return self.fail(Stop::TooDeep);
                }
                open += 1;
                number = containers.open(self.at, number);
                began = opens;
                self.at += 1;
                self.white_space();
                // '{' + 2 is '}', '[' + 2 is ']'.
                if self.peek() != opens + 2 {
                    if opens == b'{' {
                        self.any_key("a key in quotes or `}`")?;
                    }
                    continue;
                }
            } else {
                if self.plain_string().is_none() {
                    self.scalar()?;
                }
                self.white_space();
            }
            // A value has ended, or nothing is in one: so may containers.
            loop {
                let object = began == b'{';
                match self.peek() {
                    b',' => {
                        self.at += 1;
                        self.white_space();
                        if object {
                            self.any_key("a key in quotes")?;
                        }
                        break;
                    }
                    ends if ends == began + 2 => {
                        self.at += 1;
                        number = containers.close(number, self.at);
                        open -= 1;
                        let Some(start) = containers.start(number) else { return Some(()) };
                        began = self.text[start];
                        self.white_space();
                    }
                    _ if object => return self.want("`,` or `}`"),
                    _ => return self.want("`,` or `]`"),
                }
            }
        }
    }

    fn any_key(&mut self, wanted: &'static str) -> Option<()> {
        if self.peek() != b'"' {
            return self.want(wanted);
        }
        self.at += 1;
        let end = self.plain_end(self.at);
        if self.text.get(end..end + 2) == Some(b"\":") {
            self.at = end + 2;
            self.white_space();
            return Some(());
        }
        self.string()?;
        self.colon()
    }
}

/// Marks the top bit of the bytes of a word that are not plain. Only the lowest mark is sure: beyond it a
/// borrow may have gone through.
#[inline]
fn specials(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let quotes = (word ^ (ONES * b'"' as u64)).wrapping_sub(ONES);
    let backslashes = (word ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    let controls = word.wrapping_sub(ONES * 0x20);
    // What falls below zero has its top bit set; bytes beyond ASCII had it before.
    (quotes | backslashes | controls) & !word & TOPS
}

#[inline]
fn is_plain(byte: u8) -> bool {
    byte >= 0x20 && byte != b'"' && byte != b'\\'
}
