//! What a text ends with that stands for another sign: its last letter is none of the word that follows.

/// No escape is longer, but for one that nobody writes.
const MAX_BYTES: usize = 48;

/// Begins what a terminal obeys.
const ESC: u8 = 0x1B;

/// What stands for it, in small letters: as it is, as programs, URLs and HTML escape it, and as terminals show it.
#[rustfmt::skip]
const ESCS: &[&[u8]] = &[
    &[ESC], b"\\x1b", b"\\x{1b}", b"\\u001b", b"\\u{1b}", b"\\e", b"\\33", b"\\033", b"%1b", b"%u001b",
    b"&#27;", b"&#27", b"&#x1b;", b"&#x1b", b"^[", "\u{241b}".as_bytes(),
];

/// Whether a text ends with an escape: what a terminal obeys, or what a program, a URL or HTML writes for a
/// sign. That of a letter or a digit does not count, as it is one of a word.
pub(super) fn ends_with_escape(text: &[u8]) -> bool {
    let text = &text[text.len().saturating_sub(MAX_BYTES)..];
    ends_with_control(text) || ends_with_sign(text)
}

/// Whether a text ends with what a terminal obeys (ECMA-48), such as `\x1b[31m` and `\x1b(B`. Colours are so
/// too where what they begin with was cut off, `[31m`; anything else may be of an identifier.
fn ends_with_control(text: &[u8]) -> bool {
    let Some((last, before)) = text.split_last() else { return false };
    let without = |text: &[u8], is_of_it: fn(&u8) -> bool| {
        text.iter().rposition(|byte| !is_of_it(byte)).map_or(0, |at| at + 1)
    };
    let before = &before[..without(before, |byte| matches!(byte, b' '..=b'/'))];
    let begins = |text: &[u8]| {
        let ends_with = |esc: &[u8]| {
            let last = text.len().checked_sub(esc.len()).map(|at| &text[at..]);
            last.is_some_and(|last| last.eq_ignore_ascii_case(esc))
        };
        ESCS.iter().any(|esc| ends_with(esc))
    };
    let sequence = &before[..without(before, |byte| matches!(byte, b'0'..=b'?'))];
    match sequence {
        // The first two in one sign.
        [.., 0xC2, 0x9B] => true,
        [rest @ .., b'['] => begins(rest) || *last == b'm' && sequence.len() < before.len(),
        _ => begins(before),
    }
}

/// Whether a text ends with what stands for a sign: `\n`, `\x22`, `\042`, `\u0022`, `%22`, `%u0022`, `&#34`.
fn ends_with_sign(text: &[u8]) -> bool {
    let Some(begin) = text.iter().rposition(|byte| matches!(byte, b'\\' | b'%' | b'&')) else {
        return false;
    };
    let (digits, lengths, radix) = match &text[begin..] {
        [b'\\', b'a' | b'b' | b'e' | b'f' | b'n' | b'r' | b't' | b'v'] => return true,
        [b'\\', b'x', digits @ ..] => (digits, 2..=2, 16),
        [b'\\' | b'%', b'u', digits @ ..] => (digits, 4..=4, 16),
        [b'\\', b'U', digits @ ..] => (digits, 8..=8, 16),
        [b'\\', digits @ ..] => (digits, 1..=3, 8),
        [b'%', digits @ ..] => (digits, 2..=2, 16),
        [b'&', b'#', b'x' | b'X', digits @ ..] => (digits, 1..=6, 16),
        [b'&', b'#', digits @ ..] => (digits, 1..=7, 10),
        _ => return false,
    };
    let code = digits.iter().try_fold(0_u32, |code, digit| {
        code.checked_mul(radix)?.checked_add(char::from(*digit).to_digit(radix)?)
    });
    let sign = code.filter(|_| lengths.contains(&digits.len())).and_then(char::from_u32);
    sign.is_some_and(|sign| !sign.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::ends_with_escape;

    #[test]
    fn what_stands_for_another_sign_is_an_escape() {
        #[rustfmt::skip]
        let texts = [
            "\x1b[31m", "\x1b[m", "\x1b[1;38;5;9m", "\x1b[K", "\x1b[2J", "\x1b[?25h", "\x1b[0 q",
            "\x1b(B", "\x1bM", "\u{9b}31m", "\u{241b}[31m", "^[[31m", "^[[K", r"\e[31m", r"\e[K",
            r"\x1b[K", r"\u001b[31m", r"\u{1b}[K", r"\033[K", r"\33[1m", "%1B[K", "&#27;[K",
            "&#x1B;[K", "#033[31m", "[31m", "a [0m", r"\n", r"\t", r"\r", r"\0", r"\x22", r"\042",
            r"\u0022", r"\U00000022", "%22", "%0a", "%u0022", "&#34", "&#x22", r"a\\n",
        ];
        for text in texts {
            assert!(ends_with_escape(text.as_bytes()), "{}", text.escape_debug());
        }
    }

    #[test]
    fn letters_and_what_is_written_for_them_are_none() {
        #[rustfmt::skip]
        let texts = [
            "", "m", "31m", "[m", "[K", "[3a", "[a-m", "a[i", "abc", "\\", "%", "&", r"\d",
            r"\x41", r"\u0041", "%41", "%4", "%zz", "&#65", "&#", "&a", r"\101", r"\9", r"\x+2",
            "1b", "27;a", r"\nx", "1x", "a1bc", "%u004",
        ];
        for text in texts {
            assert!(!ends_with_escape(text.as_bytes()), "{}", text.escape_debug());
        }
    }
}
