//! Decodes what writers of URLs, JSON and HTML escape, and what is a sign of ASCII in another script.
//!
//! - `%XX`, encoded any number of times (`%2540`), and `%uXXXX`.
//! - `\uXXXX`, `\u{XX}`, `\UXXXXXXXX`, `\xXX`, `\x{XX}`, `\/`, `\n`, `\r`, `\t` and quotes, behind any number of backslashes.
//! - `&#64;`, `&#x40;` and the names of signs and letters (`&commat;`), with any number of `amp;`.
//! - What sets the colours of a terminal, `\x1b[31m`: it is one sign, so that its `m` is no letter before a word.
//! - Full-width letters and digits (`＠`), Arabic, Persian and Devanagari digits, typographic spaces and
//!   hyphens; what is not seen (zero-width spaces, direction marks) goes.
//! - Dashes, between digits, an en dash between letters too. Elsewhere they stand between words
//!   (`call me—415-555-0132`), and stay what they are: that is no hyphen of a number.
//!
//! Not base64, quoted-printable or `+` for a space: whether that is meant cannot be told from the text,
//! and the finders take `+` for a space where it makes sense.

mod references;

use super::assigned::COLOUR;
use super::view::{Decoded, Level, View};
use references::reference;

/// What an escape stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Escape {
    /// How many bytes the escape takes.
    length: usize,
    bytes: [u8; 4],
    /// How many of them.
    count: usize,
    level: Level,
}

impl Escape {
    fn byte(length: usize, byte: u8, level: Level) -> Self {
        Self { length, bytes: [byte, 0, 0, 0], count: 1, level }
    }

    fn char(length: usize, code: u32, level: Level) -> Self {
        let mut bytes = [0; 4];
        // Half of a surrogate pair is no character, and nothing of it is looked at.
        let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        let count = char.encode_utf8(&mut bytes).len();
        Self { length, bytes, count, level }
    }

    /// Whether without decoding it something may be missed. Letters of other scripts are in names.
    /// Spaces, slashes and dots are in what is found, but nothing is found by them alone; where they are
    /// written at length, which is rare, they are looked at all the same.
    fn tells(&self) -> bool {
        let byte = self.bytes[0];
        self.length > 3
            || byte == COLOUR
            || byte.is_ascii_alphanumeric()
            || byte >= 0xC0
            || matches!(
                byte,
                b'@' | b'=' | b'<' | b':' | b'+' | b'(' | b'%' | b'&' | b'\\' | b'"' | b'[' | b']'
            )
    }
}

/// Makes `out` the text with its escapes decoded once. Says whether there are any.
pub(super) fn decode(text: View<'_>, out: &mut Decoded) -> bool {
    out.clear();
    let bytes = text.bytes();
    let mut copied = 0;
    each(bytes, |at, escape| {
        out.copy(text, copied..at);
        out.push(text, at, &escape.bytes[..escape.count], escape.level);
        copied = at + escape.length;
        true
    });
    if copied == 0 {
        return false;
    }
    out.copy(text, copied..bytes.len());
    out.end(text);
    true
}

/// Whether there is an escape without decoding which something may be missed.
pub(super) fn any_tells(text: &[u8]) -> bool {
    let mut found = false;
    each(text, |at, escape| {
        // A space or a tab between a word and a number: `Phone%20`.
        let is_before_number = || {
            matches!(escape.bytes[0], b' ' | b'\t')
                && text.get(at + escape.length).is_some_and(u8::is_ascii_digit)
        };
        // A tab between a name and its sign, or behind that: `key:\t`.
        let is_at_sign = || {
            let is_other = |byte: &&u8| **byte != b' ';
            let before = text[..at].iter().rev().find(is_other);
            let after = text[at + escape.length..].iter().find(is_other);
            before.into_iter().chain(after).any(|sign| matches!(sign, b'=' | b':'))
        };
        let is_tab = escape.bytes[0] == b'\t';
        found = escape.tells() || is_before_number() || is_tab && is_at_sign();
        !found
    });
    found
}

/// Calls `act` for each escape, until it returns false.
fn each(text: &[u8], mut act: impl FnMut(usize, &Escape) -> bool) {
    let mut at = 0;
    while let Some(next) = text[at..].iter().position(|b| BEGINS[usize::from(*b)]) {
        at += next;
        match escape(text, at) {
            Ok(escape) => {
                if !act(at, &escape) {
                    return;
                }
                at += escape.length;
            }
            Err(length) => at += length,
        }
    }
}

/// Begins what a terminal obeys.
const ESC: u8 = 0x1B;

/// The first bytes of what [`sign`] knows.
const SIGNS: [u8; 6] = [0xC2, 0xD9, 0xDB, 0xE0, 0xE2, 0xEF];

/// Whether an escape may begin with a byte.
static BEGINS: [bool; 256] = {
    let mut begins = [false; 256];
    let mut at = 0;
    while at < 256 {
        begins[at] = matches!(at as u8, b'%' | b'\\' | b'&' | ESC);
        at += 1;
    }
    let mut at = 0;
    while at < SIGNS.len() {
        begins[SIGNS[at] as usize] = true;
        at += 1;
    }
    begins
};

/// The escape that begins at a place of the text, or how many bytes begin none.
fn escape(text: &[u8], at: usize) -> Result<Escape, usize> {
    let (before, text) = text.split_at(at);
    match text {
        [b'%', rest @ ..] => percent(rest).ok_or(1),
        [b'\\', ..] => backslash(text),
        [b'&', rest @ ..] => entity(rest).ok_or(1),
        [ESC, rest @ ..] => {
            control(rest).map(|length| Escape::byte(1 + length, COLOUR, Level::default())).ok_or(1)
        }
        [0xE2, 0x80, dash @ 0x93..=0x95, rest @ ..] => {
            let is_hyphen = joins(before, rest, *dash == 0x93);
            is_hyphen.then(|| Escape::byte(3, b'-', Level::default())).ok_or(3)
        }
        _ => sign(text).ok_or(1),
    }
}

/// Whether a dash between these texts is a hyphen: with digits on both sides, and a space at most on either. A
/// short one is taken for it between letters too.
fn joins(before: &[u8], after: &[u8], is_short: bool) -> bool {
    let letters = (before.last(), after.first());
    let are_letters =
        matches!(letters, (Some(a), Some(b)) if a.is_ascii_alphabetic() && b.is_ascii_alphabetic());
    let (before, after) = match (before, after) {
        // Spaces of a form.
        ([before @ .., b'+'], [b'+', after @ ..]) => (before, after),
        _ => {
            (before.strip_suffix(b" ").unwrap_or(before), after.strip_prefix(b" ").unwrap_or(after))
        }
    };
    let ends_number = matches!(
        before,
        [.., b'0'..=b'9' | b')']
            | [.., 0xD9, 0xA0..=0xA9]
            | [.., 0xDB, 0xB0..=0xB9]
            | [.., 0xE0, 0xA5, 0xA6..=0xAF]
            | [.., 0xEF, 0xBC, 0x90..=0x99]
    );
    let begins_number = match after {
        [b'0'..=b'9' | b'(', ..] => true,
        after => sign(after).is_some_and(|sign| sign.bytes[0].is_ascii_digit()),
    };
    is_short && are_letters || ends_number && begins_number
}

/// How long the rest of a control sequence of a terminal (ECMA-48) is, behind its first sign.
fn control(text: &[u8]) -> Option<usize> {
    /// More than any has: the colours of the sign and of what is behind it, each of three numbers.
    const MAX_PARAMETERS: usize = 48;
    let parameters = text.strip_prefix(b"[")?;
    let is_parameter = |byte: &&u8| matches!(byte, b'0'..=b'?');
    let count = parameters.iter().take(MAX_PARAMETERS).take_while(is_parameter).count();
    // Those that programs write: without a number, another letter begins a word behind what was cut off.
    let is_end = match parameters.get(count)? {
        b'm' | b'K' | b'J' | b'H' => true,
        b'A'..=b'G' | b'd' | b'f' | b'h' | b'l' | b'n' | b'r' | b's' | b'u' => count > 0,
        _ => false,
    };
    is_end.then_some(count + 2)
}

fn percent(mut text: &[u8]) -> Option<Escape> {
    let mut level = Level { percent: 1, slashes: 0 };
    if let [b'u' | b'U', rest @ ..] = text {
        return Some(Escape::char(6, hex(rest, 4)?, level));
    }
    let mut length = 3;
    while let [b'2', b'5', rest @ ..] = text
        && hex(rest, 2).is_some()
    {
        text = rest;
        length += 2;
        level = level.deeper(Level { percent: 1, slashes: 0 });
    }
    Some(Escape::byte(length, hex(text, 2)? as u8, level))
}

fn backslash(text: &[u8]) -> Result<Escape, usize> {
    let slashes = text.iter().take_while(|b| **b == b'\\').count();
    let rest = &text[slashes..];
    let quote = Level { percent: 0, slashes: u8::try_from(slashes).unwrap_or(u8::MAX) };
    let escape = match rest {
        [b'u' | b'x', b'{', digits @ ..] => braced(slashes + 3, digits),
        [b'u', digits @ ..] => {
            hex(digits, 4).map(|code| Escape::char(slashes + 5, code, Level::default()))
        }
        [b'U', digits @ ..] => {
            hex(digits, 8).map(|code| Escape::char(slashes + 9, code, Level::default()))
        }
        [b'x', digits @ ..] => {
            hex(digits, 2).map(|code| Escape::char(slashes + 3, code, Level::default()))
        }
        [b'e', control @ ..] => escaped_control(slashes + 1, control),
        [b'0', b'3', b'3', control @ ..] => escaped_control(slashes + 3, control),
        [b'n' | b'r', ..] => Some(Escape::byte(slashes + 1, b'\n', Level::default())),
        [b't', ..] => Some(Escape::byte(slashes + 1, b'\t', Level::default())),
        [b'/', ..] => Some(Escape::byte(slashes + 1, b'/', Level::default())),
        [byte @ (b'"' | b'\''), ..] => Some(Escape::byte(slashes + 1, *byte, quote)),
        _ => None,
    };
    escape.ok_or(slashes)
}

/// A control sequence whose first sign is written as `\e` or `\033`.
fn escaped_control(before: usize, text: &[u8]) -> Option<Escape> {
    control(text).map(|length| Escape::byte(before + length, COLOUR, Level::default()))
}

/// What JavaScript, Rust, Swift, Ruby, PHP and Perl write in braces, `\u{40}`, from its first digit on.
fn braced(before: usize, text: &[u8]) -> Option<Escape> {
    const MAX_DIGITS: usize = 6;
    let count = text.iter().take(MAX_DIGITS).take_while(|byte| byte.is_ascii_hexdigit()).count();
    let is_closed = count > 0 && text.get(count) == Some(&b'}');
    let code = hex(text, count).filter(|_| is_closed)?;
    Some(Escape::char(before + count, code, Level::default()))
}

fn entity(text: &[u8]) -> Option<Escape> {
    let mut rest = text;
    while let [b'a', b'm', b'p', b';', after @ ..] = rest {
        rest = after;
    }
    let amps = text.len() - rest.len();
    if let Some((code, length)) = reference(rest) {
        return Some(Escape::char(1 + amps + length, code, Level::default()));
    }
    (amps > 0).then(|| Escape::byte(1 + amps, b'&', Level::default()))
}

/// Signs of other scripts that stand for one of ASCII, or for nothing.
fn sign(text: &[u8]) -> Option<Escape> {
    let ascii = |byte| Some(Escape::byte(3, byte, Level::default()));
    let unseen = |length| Some(Escape { length, bytes: [0; 4], count: 0, level: Level::default() });
    match text {
        [0xC2, 0xA0, ..] => Some(Escape::byte(2, b' ', Level::default())),
        [0xC2, 0xAD, ..] => unseen(2),
        [0xD9, byte @ 0xA0..=0xA9, ..] => Some(Escape::byte(2, byte - 0x70, Level::default())),
        [0xDB, byte @ 0xB0..=0xB9, ..] => Some(Escape::byte(2, byte - 0x80, Level::default())),
        [0xE0, 0xA5, byte @ 0xA6..=0xAF, ..] => ascii(byte - 0x76),
        [0xE2, 0x80, 0x80..=0x8A | 0xAF, ..] => ascii(b' '),
        [0xE2, 0x80, 0x90..=0x92, ..] | [0xE2, 0x88, 0x92, ..] => ascii(b'-'),
        [0xE2, 0x80, 0x8B..=0x8F | 0xAA..=0xAE, ..]
        | [0xE2, 0x81, 0xA0 | 0xA6..=0xA9, ..]
        | [0xEF, 0xB8, 0x80..=0x8F, ..]
        | [0xEF, 0xBB, 0xBF, ..] => unseen(3),
        [0xEF, 0xBC, byte @ 0x81..=0xBF, ..] => ascii(byte - 0x60),
        [0xEF, 0xBD, byte @ 0x80..=0x9E, ..] => ascii(byte - 0x20),
        _ => None,
    }
}

/// The number that so many hexadecimal digits at the beginning of a text write.
pub(super) fn hex(text: &[u8], digits: usize) -> Option<u32> {
    text.get(..digits)?
        .iter()
        .try_fold(0, |code, byte| Some(code << 4 | char::from(*byte).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_once_each_and_know_where_they_stand() {
        let cases = [
            ("a%40b", "a@b"),
            ("a%2540b%25252Fc", "a@b/c"),
            ("%u0040%U002B", "@+"),
            (r"a\u0040b\x40c\\\u0040", "a@b@c@"),
            (r"a\u{40}b\\x{40}c\U00000040\u{1F600}", "a@b@c@\u{1f600}"),
            (r"\u{} \u{4g} \u{0000040} \U0000004", r"\u{} \u{4g} \u{0000040} \U0000004"),
            (r#"\"a\/b\\\"\n"#, "\"a/b\"\n"),
            ("&#64;&#x40;&commat;&amp;#64;&amp;amp;b", "@@@@&b"),
            ("a&#64b&amp;#64;&lpar;&eacute;&thinsp;&ndash;", "a@b@(\u{e9}\u{2009}\u{2013}"),
            ("1\u{2013}2 \u{2014} 3\u{2015}(4) \u{2014} 5", "1-2 - 3-(4) - 5"),
            (
                "a\u{2013}b a\u{2014}b\u{2013}1\u{2014}+1\u{fe0f}",
                "a-b a\u{2014}b\u{2013}1\u{2014}+1",
            ),
            ("\u{661}\u{2013}\u{662}", "1-2"),
            ("\x1b[1;31ma\x1b[0m \x1b[Kb", "\x1aa\x1a \x1ab"),
            (r"\033[0ma\e[38;5;9mb\\e[mc", "\x1aa\x1ab\x1ac"),
            ("\x1b[ \x1b[12\u{fc} \x1b1m \\033 \\e[", "\x1b[ \x1b[12\u{fc} \x1b1m \\033 \\e["),
            ("\u{ff21}\u{ff20}\u{ff42}\u{ff0e}\u{a0}1\u{2011}2\u{200b}3", "A@b. 1-23"),
            (
                "100% \\a &b &c; %zz %4 &#x; \\u12 \u{20ac}",
                "100% \\a &b &c; %zz %4 &#x; \\u12 \u{20ac}",
            ),
        ];
        for (text, expected) in cases {
            let mut decoded = Decoded::default();
            let view = View::of(text.as_bytes());
            assert_eq!(decode(view, &mut decoded), text != expected, "{text}");
            if text != expected {
                assert_eq!(String::from_utf8_lossy(decoded.view().bytes()), expected, "{text}");
            }
        }
        let mut decoded = Decoded::default();
        decode(View::of(b"a%2540\\\"b"), &mut decoded);
        let view = decoded.view();
        assert_eq!((0..=4).map(|at| view.source(at)).collect::<Vec<_>>(), [0, 1, 6, 8, 9]);
        assert_eq!((view.percent(1), view.level(2).slashes, view.percent(3)), (2, 1, 0));
    }
}
