//! Reads JSON as RFC 8259 has it, and hands out the texts and numbers in it with what their keys say. A
//! value is JSON where all of it is; else it is text.

use super::escape;
use super::names::{self, Holds};
use super::pair::{self, Part};
use super::view::{Decoded, Level, View};

/// A text or a number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scalar {
    /// A text lies between quotes, which are not of it.
    pub start: usize,
    pub end: usize,
    pub is_text: bool,
    /// What its key says that it holds; in a list, that of the list. All that is in a secret is one.
    pub holds: Option<Holds>,
}

/// An object or a list that is open.
struct Open {
    is_object: bool,
    /// Whether it is a list of which each text may be a name: `"loc": ["body", "password"]`.
    is_of_names: bool,
    /// What its key says.
    own: Option<Holds>,
    /// What a name in it says of the value beside it.
    told: Option<Holds>,
    /// The value that a name may follow.
    value: Option<Scalar>,
}

impl Open {
    fn new(is_object: bool, own: Option<Holds>) -> Self {
        Self { is_object, is_of_names: false, own, told: None, value: None }
    }

    /// What the value of a key holds.
    fn holds(&self, (holds, part): (Option<Holds>, Option<Part>)) -> Option<Holds> {
        let told = self.told.filter(|_| part == Some(Part::Value));
        holds.or(told).or(self.own)
    }

    /// Takes note of a scalar. Where it names a value that was there before, that is handed out again.
    fn note(&mut self, text: &[u8], part: Option<Part>, scalar: Scalar) -> Option<Scalar> {
        let part = part?;
        match part {
            Part::Value => {
                self.value = Some(scalar);
                None
            }
            Part::Name | Part::Type if scalar.is_text => {
                let holds = pair::holds(&text[scalar.start..scalar.end], part)?;
                // Of several names that of a password counts. So a value is handed out again twice at most.
                let is_news =
                    self.told.is_none_or(|told| !told.is_password() && holds.is_password());
                if !is_news {
                    return None;
                }
                self.told = Some(holds);
                let value = self.value.filter(|value| value.holds.is_none())?;
                Some(Scalar { holds: self.told, ..value })
            }
            Part::Name | Part::Type => None,
        }
    }
}

/// Whether a text can be a JSON object, list or text. A number alone is taken for text.
pub(super) fn may_be(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    matches!(text, [b'{', .., b'}'] | [b'[', .., b']'] | [b'"', .., b'"'])
}

/// Hands out each scalar of a JSON text: `None` where it is not JSON, of which some may have been handed
/// out by then.
pub(super) fn walk(text: &[u8], mut found: impl FnMut(Scalar)) -> Option<()> {
    let mut reader = Reader { text, at: 0 };
    let mut open: Vec<Open> = Vec::new();
    // What the key of the value says.
    let (mut holds, mut part) = (None, None);
    'values: loop {
        match reader.next_sign()? {
            b'{' => {
                reader.at += 1;
                let own = holds.filter(|holds: &Holds| holds.is_password());
                let object = Open::new(true, own);
                if reader.next_sign()? != b'}' {
                    let key = reader.key()?;
                    (holds, part) = (object.holds(key), key.1);
                    open.push(object);
                    continue 'values;
                }
                open.push(object);
            }
            b'[' => {
                reader.at += 1;
                let is_in_object = open.last().is_some_and(|open| open.is_object);
                part = part.filter(|part| is_in_object && *part == Part::Name);
                open.push(Open { is_of_names: part.is_some(), ..Open::new(false, holds) });
                if reader.next_sign()? != b']' {
                    continue 'values;
                }
            }
            b'"' => {
                let (start, end) = reader.text()?;
                let scalar = Scalar { start, end, is_text: true, holds };
                found(scalar);
                // A name in a list is one of the object around it.
                let last = open.len().saturating_sub(1);
                let around =
                    last.saturating_sub(open.last().map_or(0, |open| open.is_of_names.into()));
                if let Some(named) =
                    open.get_mut(around).and_then(|open| open.note(text, part, scalar))
                {
                    found(named);
                }
            }
            b't' => reader.literal(b"true")?,
            b'f' => reader.literal(b"false")?,
            b'n' => reader.literal(b"null")?,
            _ => {
                let (start, end) = reader.number()?;
                let scalar = Scalar { start, end, is_text: false, holds };
                found(scalar);
                if let Some(open) = open.last_mut() {
                    open.note(text, part, scalar);
                }
            }
        }
        while let Some(container) = open.last() {
            match (reader.next_sign()?, container.is_object) {
                (b',', true) => {
                    reader.at += 1;
                    let key = reader.key()?;
                    (holds, part) = (container.holds(key), key.1);
                    continue 'values;
                }
                (b',', false) => {
                    reader.at += 1;
                    let name = Some(Part::Name).filter(|_| container.is_of_names);
                    (holds, part) = (container.own, name);
                    continue 'values;
                }
                (b'}', true) | (b']', false) => {
                    reader.at += 1;
                    open.pop();
                }
                _ => return None,
            }
        }
        return reader.next_sign().is_none().then_some(());
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    /// The byte behind the whitespace that follows: `None` at the end.
    fn next_sign(&mut self) -> Option<u8> {
        while let Some(byte) = self.text.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Reads a key and its colon: what it says of its value, and whether that is of a pair.
    fn key(&mut self) -> Option<(Option<Holds>, Option<Part>)> {
        self.next_sign()?;
        let (start, end) = self.text()?;
        if self.next_sign()? != b':' {
            return None;
        }
        self.at += 1;
        let key = &self.text[start..end];
        let name = |key: &[u8]| {
            (if names::may_tell(key) { names::holds(key) } else { None }, Part::of(key))
        };
        if !key.contains(&b'\\') {
            return Some(name(key));
        }
        let mut decoded = Decoded::default();
        decode(View::of(key), &mut decoded);
        Some(name(decoded.view().bytes()))
    }

    /// Reads a text, and says where it lies between its quotes.
    fn text(&mut self) -> Option<(usize, usize)> {
        if self.text.get(self.at) != Some(&b'"') {
            return None;
        }
        let start = self.at + 1;
        let mut at = start;
        loop {
            match self.text.get(at)? {
                b'"' => break,
                b'\\' => match self.text.get(at + 1)? {
                    b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                    b'u' if self.text.get(at + 2..at + 6)?.iter().all(u8::is_ascii_hexdigit) => {
                        at += 6;
                    }
                    _ => return None,
                },
                0..0x20 => return None,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        Some((start, at))
    }

    fn number(&mut self) -> Option<(usize, usize)> {
        let start = self.at;
        self.skip(b"-");
        // No digit may follow a leading zero.
        if !self.skip(b"0") {
            self.digits()?;
        }
        if self.skip(b".") {
            self.digits()?;
        }
        if self.skip(b"eE") {
            self.skip(b"+-");
            self.digits()?;
        }
        Some((start, self.at))
    }

    fn digits(&mut self) -> Option<()> {
        let digits = self.text[self.at..].iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += digits;
        (digits > 0).then_some(())
    }

    fn skip(&mut self, any: &[u8]) -> bool {
        let skips = self.text.get(self.at).is_some_and(|b| any.contains(b));
        self.at += usize::from(skips);
        skips
    }

    fn literal(&mut self, word: &[u8]) -> Option<()> {
        self.text[self.at..].starts_with(word).then(|| self.at += word.len())
    }
}

/// Makes `out` what a JSON text between its quotes stands for.
pub(super) fn decode(text: View<'_>, out: &mut Decoded) {
    out.clear();
    let bytes = text.bytes();
    let mut copied = 0;
    while let Some(found) = memchr::memchr(b'\\', &bytes[copied..]) {
        let at = copied + found;
        out.copy(text, copied..at);
        let mut char = [0; 4];
        let (decoded, length): (&[u8], usize) = match bytes.get(at + 1) {
            Some(b'b') => (b"\x08", 2),
            Some(b'f') => (b"\x0c", 2),
            Some(b'n') => (b"\n", 2),
            Some(b'r') => (b"\r", 2),
            Some(b't') => (b"\t", 2),
            Some(b'u') => {
                let code = escape::hex(&bytes[at + 2..], 4);
                // Halves of surrogate pairs are looked at as signs that are in nothing that is found.
                let code = code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
                (code.encode_utf8(&mut char).as_bytes(), 6)
            }
            // A quote, a slash, a backslash.
            _ => (bytes.get(at + 1..at + 2).unwrap_or_default(), 2),
        };
        out.push(text, at, decoded, Level::default());
        copied = (at + length).min(bytes.len());
    }
    out.copy(text, copied..bytes.len());
    out.end(text);
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use proptest::prelude::*;

    fn scalars(text: &str) -> Option<Vec<(&str, Option<Holds>)>> {
        let mut found = Vec::new();
        walk(text.as_bytes(), |scalar| {
            found.push((&text[scalar.start..scalar.end], scalar.holds));
        })?;
        Some(found)
    }

    #[test]
    fn keys_say_what_is_in_their_values() {
        let text = r#" {"a": [1, {"tel": [2, {"b": 3}]}], "p\u0061ssword": {"x": ["s", true], "n": 4}, "c": "d"} "#;
        let (phone, secret) = (Some(Holds::Phone), Some(Holds::Secret));
        let wanted =
            [("1", None), ("2", phone), ("3", None), ("s", secret), ("4", secret), ("d", None)];
        assert_eq!(scalars(text), Some(wanted.to_vec()));
    }

    #[test]
    fn what_is_json_to_others_is_json_here() {
        for text in [
            "{}",
            "[]",
            "[[],{}]",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "[",
            "]",
            "{]",
            "[}",
            "[1 2]",
            "[01]",
            "[-]",
            "[1.]",
            "[.5]",
            "[1e]",
            "[1e+5]",
            "[-0.5E-7]",
            "[true1]",
            "[nullx]",
            "[\"\\x\"]",
            "[\"\\u12\"]",
            "[\"a\nb\"]",
            "[\"a]",
            "{} {}",
            "{}x",
            "[\"\\\"\"]",
            "[NaN]",
            "[--1]",
        ] {
            let is_json = serde_json::from_str::<Value>(text).is_ok();
            assert_eq!(scalars(text).is_some(), is_json, "{text}");
        }
        let deep = "[".repeat(100_000);
        assert_eq!(walk(deep.as_bytes(), |_| ()), None);
    }

    proptest! {
        #[test]
        fn any_text_is_json_here_exactly_where_it_is_to_others(
            pieces in prop::collection::vec(r#"[{}\[\],: ]|"a"|"\\\\u00e9"|1|-2.5|true|null"#, 0..9),
        ) {
            let text = pieces.concat();
            prop_assert_eq!(scalars(&text).is_some(), serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
        }
    }
}
