//! The encoding of text, by its bytes.

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE, WINDOWS_1250, WINDOWS_1252};

use super::found::Refused;

/// Text has at most one zero byte in so many.
const LEAST_PER_ZERO: usize = 100;
/// Of text in an encoding of one byte a letter, at most one line in so many is UTF-8 by chance, as far as it is not
/// ASCII.
const LEAST_PER_CHANCE: usize = 10;
/// Text has at most one control character in so many, but for a few.
const LEAST_PER_CONTROL: usize = 32;
const FEW_CONTROLS: usize = 2;
/// Of a table at most one line in so many is of another width.
const LEAST_PER_RAGGED: usize = 10;

const UTF_8_MARK: &[u8] = b"\xef\xbb\xbf";

/// The encoding of bytes where it is not UTF-8, or why they are no text.
pub(super) fn encoding(bytes: &[u8], is_whole: bool) -> Result<Option<&'static Encoding>, Refused> {
    // Marks of four bytes begin as those of two do.
    if bytes.starts_with(b"\xff\xfe\0\0") {
        return Err(utf_32("UTF-32LE"));
    }
    if bytes.starts_with(b"\0\0\xfe\xff") {
        return Err(utf_32("UTF-32BE"));
    }
    if bytes.starts_with(UTF_8_MARK) {
        return Ok(None);
    }
    if bytes.starts_with(b"\xff\xfe") {
        return Ok(Some(UTF_16LE));
    }
    if bytes.starts_with(b"\xfe\xff") {
        return Ok(Some(UTF_16BE));
    }
    if has_only_characters(bytes, u32::from_le_bytes) {
        return Err(utf_32("UTF-32LE"));
    }
    if has_only_characters(bytes, u32::from_be_bytes) {
        return Err(utf_32("UTF-32BE"));
    }
    let zeros = |first: usize| bytes.iter().skip(first).step_by(2).filter(|b| **b == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    // One in a while is a slip of who wrote the file: a value has it, as each reads it.
    if (even + odd) * LEAST_PER_ZERO > bytes.len() && !is_table(bytes) {
        // Of ASCII in UTF-16 every second byte is zero.
        let many = bytes.len() / 4;
        return match (even, odd) {
            (0, odd) if odd > many => Ok(Some(UTF_16LE)),
            (even, 0) if even > many => Ok(Some(UTF_16BE)),
            _ => Err(no_text()),
        };
    }
    Ok((!is_utf_8(bytes, is_whole)).then(|| of_one_byte(bytes)))
}

fn no_text() -> Refused {
    ("is not text".to_owned(), "only delimited text and JSON lines are read".to_owned())
}

fn utf_32(name: &str) -> Refused {
    let hint = format!("`iconv -f {name} -t UTF-8 FILE > DATA` writes it as UTF-8, which is read");
    (format!("is {name}, which is not read"), hint)
}

/// Whether all is characters of four bytes each, of planes that are in use.
fn has_only_characters(bytes: &[u8], number: fn([u8; 4]) -> u32) -> bool {
    let (characters, rest) = bytes.as_chunks::<4>();
    !characters.is_empty()
        && rest.is_empty()
        && characters.iter().all(|four| (1..0x4_0000).contains(&number(*four)))
}

/// Whether it is UTF-8, some bad bytes in it or not: records that have them become dead letters, while in another
/// encoding all letters would be wrong.
fn is_utf_8(bytes: &[u8], is_whole: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => return true,
        // Only the end is cut.
        Err(error) if error.error_len().is_none() && !is_whole => return true,
        Err(_) => {}
    }
    let (mut letters, mut strays) = (0, 0);
    let (mut good_lines, mut bad_lines) = (0, 0);
    for line in lines_beyond_ascii(bytes) {
        let in_line = strays_of(line);
        let valid = line.utf8_chunks().flat_map(|chunk| chunk.valid().chars());
        letters += valid.filter(|letter| !letter.is_ascii()).count();
        strays += in_line;
        good_lines += usize::from(in_line == 0);
        bad_lines += usize::from(in_line > 0);
    }
    letters >= strays || good_lines * LEAST_PER_CHANCE > bad_lines
}

fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| matches!(byte, b'\n' | b'\r'))
}

fn lines_beyond_ascii(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines(bytes).filter(|line| !line.is_ascii())
}

/// How many of its bytes are not UTF-8.
fn strays_of(line: &[u8]) -> usize {
    line.utf8_chunks().map(|chunk| chunk.invalid().len()).sum()
}

/// How many of its lines are not UTF-8, and how many there are, blank ones aside.
pub(super) fn bad_lines(bytes: &[u8]) -> (usize, usize) {
    let bad = lines_beyond_ascii(bytes).filter(|line| strays_of(line) > 0).count();
    (bad, lines(bytes).filter(|line| !line.trim_ascii().is_empty()).count())
}

/// The encoding of Windows in central Europe or in the west.
fn of_one_byte(bytes: &[u8]) -> &'static Encoding {
    // Bytes that are signs in western text and letters in that of central Europe.
    let is_letter =
        |at: usize| bytes.get(at).is_some_and(|b| b.is_ascii_alphabetic() || *b >= 0xc0);
    let high = bytes.iter().filter(|b| **b >= 0x80).count();
    let central = bytes.iter().enumerate().filter(|(at, b)| {
        matches!(
            b,
            0xa3 | 0xaf | 0x8c | 0x8f | 0xb9 | 0xb3 | 0xbf | 0x9c | 0x9f | 0xbe | 0x9e | 0x9a
        ) && (is_letter(at + 1) || is_letter(at.wrapping_sub(1)))
    });
    if central.count() * 4 >= high { WINDOWS_1250 } else { WINDOWS_1252 }
}

/// Whether bytes are a table by their lines, whatever its fields hold: the first line is text, and the others have as
/// many delimiters as that one has.
fn is_table(bytes: &[u8]) -> bool {
    // A loss of power leaves lines of nothing but zeros.
    let mut lines = lines(bytes).filter(|line| line.iter().any(|b| *b != 0));
    let is_text = |line: &&[u8]| line.iter().all(|b| !b.is_ascii_control() || *b == b'\t');
    let Some(first) = lines.next().filter(is_text) else { return false };
    let others: Vec<&[u8]> = lines.collect();
    b",;\t|".iter().any(|delimiter| {
        let width = |line: &[u8]| line.iter().filter(|b| *b == delimiter).count();
        let ragged = others.iter().filter(|line| width(line) != width(first)).count();
        width(first) > 0 && !others.is_empty() && ragged * LEAST_PER_RAGGED <= others.len()
    })
}

/// Why text is none, where it has many characters that no text has.
pub(super) fn controls(text: &str) -> Result<(), Refused> {
    let is_control = |c: &char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}');
    let all: Vec<char> = text.chars().filter(is_control).collect();
    let is_few = all.len() <= FEW_CONTROLS || all.len() * LEAST_PER_CONTROL <= text.chars().count();
    if is_few || is_table(text.as_bytes()) {
        return Ok(());
    }
    // As Hive writes fields.
    let is_separator = |c: &char| matches!(c, '\u{1}'..='\u{8}' | '\u{1c}'..='\u{1f}');
    match all.first().filter(|_| all.iter().all(is_separator)).map(|c| u32::from(*c)) {
        Some(one) => Err((
            format!("is delimited by the control character {one:#04x}, which `init` does not tell"),
            format!("`tr '\\{one:03o}' '\\t' < FILE > DATA.tsv` writes tabs in its place"),
        )),
        None => Err(no_text()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], wanted: &str) {
        let told = match encoding(bytes, true) {
            Ok(encoding) => encoding.map_or("UTF-8", Encoding::name).to_owned(),
            Err((what, _)) => what,
        };
        assert_eq!(told, wanted, "{}", bytes[..bytes.len().min(80)].escape_ascii());
    }

    fn table(row: &[u8], times: usize, others: &[u8]) -> Vec<u8> {
        [b"id,city\n", row.repeat(times).as_slice(), others].concat()
    }

    #[test]
    fn some_bad_bytes_make_no_other_encoding_of_utf_8() {
        let polish = "7,Łódź\n".as_bytes();
        check(&table(polish, 10_000, b"8,Ren\xe9\n"), "UTF-8");
        check(&table(polish, 10, b"8,Ren\xe9\n9,\xff\xfe\xfd\n"), "UTF-8");
        check(&table(polish, 1, b"8,Ren\xe9\n"), "UTF-8");
        // One record of many bad bytes is one.
        check(&table(polish, 100, &[b"8,", [0xe9_u8; 5000].as_slice(), b"\n"].concat()), "UTF-8");
        check(&table(polish, 100, &b"8,K\xf6ln\n".repeat(300)), "UTF-8");
        // A line that is all there is.
        check(&[b"[", "\"Łódź\",".repeat(9).as_bytes(), b"\"\xe9\"]"].concat(), "UTF-8");
        // The mark says so, whatever is behind it.
        check(b"\xef\xbb\xbfid,city\n1,Ren\xe9\n", "UTF-8");
        check(b"id,city\n1,a\n", "UTF-8");
    }

    #[test]
    fn bytes_that_are_utf_8_by_chance_make_none_of_another_encoding() {
        check(b"id,city\n1,Ren\xe9\n", "windows-1252");
        check(b"id,city\n1,Ren\xe9", "windows-1252");
        check(&table(b"1,Bonn\n", 10_000, b"8,K\xf6ln\n"), "windows-1252");
        // `ÓŁ` is a letter of UTF-8 too.
        let company = b"1,SP\xd3\xa3KA Z OGRANICZON\xa5 ODPOWIEDZIALNO\x8cCI\xa5\n";
        check(&table(company, 100, b""), "windows-1250");
        check(&table(b"1,voil\xe0 \xe9t\xe9\n", 100, b"2,\xab Ren\xe9\xa0\xbb\n"), "windows-1252");
    }

    #[test]
    fn a_cut_end_is_no_bad_byte() {
        let bytes = &"id,city\n1,Ł".as_bytes()[..11];
        assert!(encoding(bytes, false).is_ok_and(|encoding| encoding.is_none()));
    }

    #[test]
    fn four_bytes_a_character_are_named() {
        let wide = |turn: fn(u32) -> [u8; 4], text: &str| -> Vec<u8> {
            text.chars().flat_map(|c| turn(u32::from(c))).collect()
        };
        for mark in ["\u{feff}", ""] {
            let text = format!("{mark}id,city\n1,Łódź\n2,\u{1f600}\n");
            check(&wide(u32::to_le_bytes, &text), "is UTF-32LE, which is not read");
            check(&wide(u32::to_be_bytes, &text), "is UTF-32BE, which is not read");
        }
        let two: Vec<u8> = "1\n2\n3\n4\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
        check(&two, "UTF-16LE");
        check(&[b"\xff\xfe", two.as_slice()].concat(), "UTF-16LE");
        check(b"a\0\0b\0", "is not text");
    }

    #[test]
    fn a_table_is_text_whatever_its_fields_hold() {
        let zeros = [b"id,name\n1,a\0b\n", [0_u8; 70].as_slice(), b"\n".as_slice()].concat();
        for bytes in [
            b"id,name\n1,a\0\0\0b\n2,b\n".as_slice(),
            b"id\tname\r\n1\t\0\0\0\0\r\n2\tb\r\n",
            &zeros,
            b"id;name;x\n\0\0\0;\x07\x07\x07;\x1b[2J\n",
        ] {
            check(bytes, "UTF-8");
            assert!(controls(&String::from_utf8_lossy(bytes)).is_ok(), "{}", bytes.escape_ascii());
        }
        assert!(controls("id,name,at,price\nx,\u{1b}[2J\u{1b}]0;t\u{7},,1\n").is_ok());
        for bytes in [b"P6\n2 2\n255\n\0\0\0\xff\n\0\0".as_slice(), b"a\0b\0,\n1,\0\0\0\n"] {
            check(bytes, "is not text");
        }
    }

    #[test]
    fn text_has_few_control_characters() {
        assert!(controls("id,a\n1,\u{1}\u{2}\n").is_ok());
        assert!(controls("id\tname\r\n1\t\u{c}\r\n").is_ok());
        let coloured = "2026-01-05 10:00:00 \u{1b}[31mERROR\u{1b}[0m something went wrong with the order of a client\n";
        assert!(controls(&coloured.repeat(50)).is_ok());
        let binary: String = (0..=255_u8).map(char::from).cycle().take(5000).collect();
        assert_eq!(controls(&binary), Err(no_text()));
        let (what, hint) = controls(&"1\u{1}a\u{1}b\n".repeat(9)).expect_err("no delimiter");
        assert!(what.contains("0x01"), "{what}");
        assert!(hint.contains(r"tr '\001' '\t'"), "{hint}");
        let nested = controls(&"1\u{1}a\u{2}b\n".repeat(9)).expect_err("no delimiter");
        assert!(nested.0.contains("0x01"), "{nested:?}");
    }
}
