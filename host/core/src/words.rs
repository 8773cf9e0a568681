//! Words of texts: whether a value stands in a text, however it is written there; and the values of any
//! column as texts, in which they may be looked for.

mod escapes;

use std::borrow::Cow;
use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

use escapes::ends_with_escape;

/// Positions that are looked at together: what the compiler makes a few instructions of.
const MANY: usize = 64;
const SOME: usize = 16;
/// The longest value that is compared anew at each place.
const MAX_SHORT: usize = 64;

/// Whether a value stands in a text as a word of its own: with no letter or digit of ASCII right before
/// or behind it, but for those of escapes (`\x1b[31m`, `\x22`, `%22`). Large and small letters of ASCII are the
/// same. An empty value stands nowhere.
pub fn stands(value: &[u8], text: &[u8]) -> bool {
    position(value, text, |at| is_word(text, at..at + value.len())).is_some()
}

/// Whether a part of a text is a word of its own, as of [`stands`].
pub fn is_word(text: &[u8], part: Range<usize>) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let before = text.get(..part.start).unwrap_or_default();
    let behind = text.get(part.end..).unwrap_or_default();
    let ends = !is_part(behind.first())
        || text.get(part).is_some_and(|value| !is_part(without_rest(value, behind).first()));
    ends && (!is_part(before.last()) || ends_with_escape(before))
}

/// What is behind a number or a time where it is written longer than [`texts`] writes it: with zeros at the end of its
/// fraction, or `Z`. The point is one, so that this is no address.
fn without_rest<'t>(value: &[u8], behind: &'t [u8]) -> &'t [u8] {
    let is_number = |byte: &u8| byte.is_ascii_digit() || b"+-.:T".contains(byte);
    if !value.iter().all(is_number) {
        return behind;
    }
    let points = value.iter().filter(|byte| **byte == b'.').count();
    let zeros = behind.iter().take_while(|byte| points == 1 && **byte == b'0').count();
    match &behind[zeros..] {
        [b'Z', rest @ ..] if value.contains(&b':') => rest,
        rest => rest,
    }
}

/// Where a value is in a text first. Large and small letters of ASCII are the same.
pub fn find(value: &[u8], text: &[u8]) -> Option<usize> {
    position(value, text, |_| true)
}

/// Where a value is in a text first, of the places that fit.
///
/// A searcher is worth building for many uses of one value. Here values are as many as texts, and both
/// are short: three bytes of the value are looked for, at many places at once. A visitor may send long ones.
fn position(value: &[u8], text: &[u8], fits: impl Fn(usize) -> bool) -> Option<usize> {
    let last = value.len().checked_sub(1)?;
    let places = text.len().checked_sub(last)?;
    if value.len() > MAX_SHORT {
        find(&value[..MAX_SHORT], text)?;
        return position_of_long(value, text, fits);
    }
    let bytes = [0, last / 2, last].map(|at| fold(value[at]));
    let texts = [0, last / 2, last].map(|at| &text[at..at + places]);
    let is_here = |at: &usize| {
        fold(texts[0][*at]) == bytes[0]
            && text[*at..=*at + last].eq_ignore_ascii_case(value)
            && fits(*at)
    };
    let some = |at: usize| {
        let may_be = any::<SOME>(texts, at, bytes);
        may_be.then(|| (at..at + SOME).find(is_here)).flatten()
    };
    let mut at = 0;
    while at + MANY <= places {
        if any::<MANY>(texts, at, bytes)
            && let Some(found) = (at..at + MANY).step_by(SOME).find_map(some)
        {
            return Some(found);
        }
        at += MANY;
    }
    while at + SOME <= places {
        if let Some(found) = some(at) {
            return Some(found);
        }
        at += SOME;
    }
    match places.checked_sub(SOME) {
        _ if at == places => None,
        // Some of these were looked at before.
        Some(at) => some(at),
        None => (at..places).find(is_here),
    }
}

/// The same in a time that does not grow with the product of both lengths, whatever is in them: no byte of
/// the text is gone back to (Knuth, Morris, Pratt).
fn position_of_long(value: &[u8], text: &[u8], fits: impl Fn(usize) -> bool) -> Option<usize> {
    // How long the longest beginning of the value is that the bytes up to each of its places end with.
    let mut borders = vec![0; value.len()];
    let step = |borders: &[usize], mut same: usize, byte: u8| {
        while same > 0 && (same == value.len() || !value[same].eq_ignore_ascii_case(&byte)) {
            same = borders[same - 1];
        }
        same + usize::from(value[same].eq_ignore_ascii_case(&byte))
    };
    for at in 1..value.len() {
        borders[at] = step(&borders, borders[at - 1], value[at]);
    }
    let mut same = 0;
    (0..text.len()).find_map(|at| {
        same = step(&borders, same, text[at]);
        let begin = (same == value.len()).then(|| at + 1 - value.len())?;
        fits(begin).then_some(begin)
    })
}

/// Whether all of the bytes are at one place, each in its text, of the `N` places from `at` on.
fn any<const N: usize>(texts: [&[u8]; 3], at: usize, bytes: [u8; 3]) -> bool {
    let chunks = texts.map(|text| text.get(at..).and_then(<[u8]>::first_chunk::<N>));
    let [Some(a), Some(b), Some(c)] = chunks else { return false };
    let is_here = |a: u8, b: u8, c: u8| {
        u8::from(fold(a) == bytes[0])
            & u8::from(fold(b) == bytes[1])
            & u8::from(fold(c) == bytes[2])
    };
    let places = a.iter().zip(b).zip(c);
    places.fold(0, |any, ((a, b), c)| any | is_here(*a, *b, *c)) != 0
}

/// The same for a large letter and a small one. Other bytes may be the same too.
fn fold(byte: u8) -> u8 {
    byte | 0x20
}

/// Whether a value is a mere word, such as `anonymous`, `add_to_cart` or `(not set)`: many say it, and of
/// many. Longer ones are taken for names.
pub fn is_plain(value: &str) -> bool {
    const MAX_BYTES: usize = 16;
    let inner = value.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    let is_letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_' || byte == b'-';
    value.len() <= MAX_BYTES
        && match inner {
            Some(inner) => inner.bytes().all(|byte| is_letter(byte) || byte == b' '),
            None => value.bytes().all(is_letter),
        }
}

/// Whether a text has digits. Those of escapes count, so that what is in them counts too.
pub fn has_digits(text: &[u8]) -> bool {
    /// Bytes that are looked at before it is known.
    const CHUNK: usize = 1024;
    // The least of many bytes takes a few instructions, whether any is a digit takes some for each.
    let least = |text: &[u8]| text.iter().map(|byte| byte.wrapping_sub(b'0')).fold(10, u8::min);
    text.chunks(CHUNK).any(|text| least(text) < 10)
}

/// Whether a text may have escapes of JSON or of URLs.
pub fn may_have_escapes(text: &[u8]) -> bool {
    memchr::memchr2(b'\\', b'%', text).is_some()
}

/// A text with escapes of JSON and of URLs resolved, once and once more: an address in an address, JSON in
/// JSON, eight deep at most.
pub fn resolved(text: &[u8]) -> Vec<Vec<u8>> {
    const MAX_NESTED: usize = 8;
    let mut all: Vec<Vec<u8>> = Vec::new();
    for _ in 0..MAX_NESTED {
        let text = all.last().map_or(text, Vec::as_slice);
        if !may_have_escapes(text) {
            break;
        }
        let plain: Vec<u8> = percent_encoding::percent_decode(&unescaped(text)).collect();
        // What is left are no escapes.
        if plain == text {
            break;
        }
        all.push(plain);
    }
    all
}

/// A text with what a backslash stands before resolved, as in JSON; borrowed where there is none.
pub fn unescaped(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\\', text).is_none() {
        return Cow::Borrowed(text);
    }
    let mut plain = Vec::with_capacity(text.len());
    // The halves of a character beyond 16 bits come one after the other.
    let mut units: Vec<u16> = Vec::new();
    let mut rest = text;
    loop {
        if let [b'\\', b'u', hex @ ..] = rest
            && let Some(unit) = hex.first_chunk().and_then(unit)
        {
            units.push(unit);
            rest = &hex[4..];
            continue;
        }
        for character in char::decode_utf16(units.drain(..)) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        let (byte, length) = match *rest {
            [] => return Cow::Owned(plain),
            [b'\\', b'n', ..] => (b'\n', 2),
            [b'\\', b'r', ..] => (b'\r', 2),
            [b'\\', b't', ..] => (b'\t', 2),
            [b'\\', b'b', ..] => (8, 2),
            [b'\\', b'f', ..] => (12, 2),
            [b'\\', byte, ..] => (byte, 2),
            [byte, ..] => (byte, 1),
        };
        plain.push(byte);
        rest = &rest[length..];
    }
}

fn unit(digits: &[u8; 4]) -> Option<u16> {
    digits.iter().try_fold(0, |unit, digit| {
        Some(unit << 4 | u16::try_from(char::from(*digit).to_digit(16)?).ok()?)
    })
}

/// The values of a column as texts; null where a value has no text, as bytes that are not UTF-8. `None` for
/// a column of truth values, which say nothing. Numbers and times are as short as they can be written.
pub fn texts(column: &ArrayRef) -> Result<Option<StringArray>, ArrowError> {
    let kind = column.data_type();
    if *kind == DataType::Boolean {
        return Ok(None);
    }
    let texts = cast(column, &DataType::Utf8)?;
    let texts = texts.as_string_opt::<i32>();
    let has_fractions = kind.is_floating()
        || kind.is_decimal()
        || matches!(kind, DataType::Timestamp(..) | DataType::Time64(_) | DataType::Time32(_));
    Ok(if has_fractions {
        texts.map(|texts| texts.iter().map(|text| text.map(shortest)).collect())
    } else {
        texts.cloned()
    })
}

/// A number or a time of UTC without what says nothing: `12.500000000`, `12.0`, `10:00:00.500Z`.
fn shortest(text: &str) -> &str {
    let text = text.strip_suffix('Z').unwrap_or(text);
    if !text.contains('.') || text.contains('e') {
        return text;
    }
    text.trim_end_matches('0').trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{
        BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int64Array,
        TimestampMicrosecondArray,
    };

    use super::*;

    #[test]
    fn numbers_and_times_stand_where_they_are_written_longer() {
        for (value, text, wanted) in [
            ("12345.67", "12345.67", true),
            ("12345.67", "salary: 12345.670", true),
            ("12345.67", "12345.6700,x", true),
            ("12345.67", "12345.671", false),
            ("12345.67", "12345.670a", false),
            ("1234567", "1234567.00", true),
            ("1234567", "12345670", false),
            ("203.0.113.1", "203.0.113.100", false),
            ("a.1", "a.10", false),
            ("2026-01-05T10:00:00.5", "at 2026-01-05T10:00:00.500Z", true),
            ("2026-01-05T10:00:00.5", "2026-01-05T10:00:00.500Zz", false),
            ("2026-01-05T10:00:00", "2026-01-05T10:00:00Z", true),
            ("2026-01-05T10:00:00", "2026-01-05T10:00:00+00:00", true),
            ("1234567", "1234567Z", false),
        ] {
            assert_eq!(stands(value.as_bytes(), text.as_bytes()), wanted, "{value} in {text}");
        }
    }

    #[test]
    fn digits_are_found_wherever_they_are() {
        assert!(!has_digits(b""));
        let others = (0..=u8::MAX).filter(|byte| !byte.is_ascii_digit());
        let mut text: Vec<u8> = others.cycle().take(2100).collect();
        assert!(!has_digits(&text));
        for at in 0..text.len() {
            let other = std::mem::replace(&mut text[at], b"0123456789"[at % 10]);
            assert!(has_digits(&text) && has_digits(&text[at..=at]), "{at}");
            text[at] = other;
        }
    }

    #[test]
    fn a_value_is_found_wherever_it_is() {
        // Over all borders of the parts that are looked at together.
        for length in 1..12 {
            let value = &b"Zebra-47110"[..length];
            for before in 0..200 {
                for after in [0, 1, 15, 63, 64, 130] {
                    let mut text = vec![b'z'; before];
                    text.extend_from_slice(&value.to_ascii_lowercase());
                    text.extend(vec![b'0'; after]);
                    let wanted = text
                        .to_ascii_uppercase()
                        .windows(length)
                        .position(|window| window == value.to_ascii_uppercase());
                    assert_eq!(find(value, &text), wanted, "{length} {before} {after}");
                }
            }
        }
        assert_eq!(find(b"", b"abc"), None);
        assert_eq!(find(b"abcd", b"abc"), None);
        assert_eq!(find(b"\x10", b"0"), None, "the bytes are the same but for a bit");
    }

    #[test]
    fn long_values_are_found_as_short_ones_are() {
        // Values that begin again within themselves, in texts that nearly hold them.
        let [a, b, mixed] = [&b"a-"[..], b"aab", b"Aa-aB"].map(|part| part.repeat(40));
        for value in [&a[..65], &a[..80], &b[..66], &b[1..], &mixed[..70], &mixed[..]] {
            for before in [&b""[..], b"-", b"x", b"a-", b"-a-", b"aabaa", &a[..], &b[..]] {
                for after in [&b""[..], b"-", b"x", b"-a-"] {
                    let text = [before, value, after, before, value].concat().to_ascii_uppercase();
                    let upper = value.to_ascii_uppercase();
                    let mut places = (0..=text.len() - value.len())
                        .filter(|at| text[*at..*at + value.len()] == upper);
                    assert_eq!(find(value, &text), places.clone().next());
                    let is_part = |at: Option<usize>| {
                        at.and_then(|at| text.get(at)).is_some_and(u8::is_ascii_alphanumeric)
                    };
                    let stands_there = places
                        .any(|at| !is_part(at.checked_sub(1)) && !is_part(Some(at + value.len())));
                    assert_eq!(stands(value, &text), stands_there);
                }
            }
            assert_eq!(find(value, &value[1..]), None);
        }
    }

    /// Where each place of the text were compared with the value anew, this would take hours.
    #[test]
    fn a_long_value_is_looked_for_in_linear_time() {
        let text = "a".repeat(4 << 20);
        let value = &text[..2 << 20];
        assert!(!stands(value.as_bytes(), text.as_bytes()), "it is part of a word everywhere");
        let nearly = format!("{}b{}", &value[..1 << 18], &value[..1 << 19]);
        assert_eq!(find(nearly.as_bytes(), text.as_bytes()), None);
    }

    #[test]
    fn a_value_stands_in_a_text_as_a_word() {
        let text = b"https://203.0.113.9/u-4711?next=U-47 x203.0.113.1";
        for (value, wanted) in [
            ("203.0.113.9", true),
            ("203.0.113.1", false),
            ("u-4711", true),
            ("U-4711", true),
            ("u-47", true),
            ("u-471", false),
            ("4711", true),
            ("", false),
        ] {
            assert_eq!(stands(value.as_bytes(), text), wanted, "{value}");
        }
        // The first place is none, the second is.
        assert!(stands(b"u-1", b"u-11 u-1"));
        // Behind an escape, at whatever place that is, but for one that stands for a letter.
        for text in ["\x1b[31mu-4711\x1b[0m", r"\x22u-4711\x22", "%22u-4711%22", r"\u0022U-4711"] {
            assert!(stands(b"u-4711", text.as_bytes()), "{text}");
            assert!(stands(b"u-4711", format!("au-4711 {text}").as_bytes()), "{text}");
        }
        assert!(!stands(b"u-4711", br"\x41u-4711 [mu-4711"));
    }

    #[test]
    fn escapes_are_resolved_as_deep_as_they_are_nested() {
        for depth in 1..=8 {
            let text = format!("a%{}2fb", "25".repeat(depth - 1));
            let texts = resolved(text.as_bytes());
            assert_eq!((texts.len(), texts.last().map(Vec::as_slice)), (depth, Some(&b"a/b"[..])));
        }
        let within = resolved(br#"{\"mail\": \"ada\\u0040example.com\"}"#);
        assert_eq!(within.last().map(Vec::as_slice), Some(&br#"{"mail": "ada@example.com"}"#[..]));
        assert!(resolved(b"100% of C:").is_empty());
        assert_eq!(resolved(b"100% of %41"), [b"100% of A"]);
    }

    #[test]
    fn words_that_many_say_are_plain() {
        for value in ["anonymous", "add_to_cart", "logged-out", "(not set)", "NULL", "purchase"] {
            assert!(is_plain(value), "{value}");
        }
        for value in [
            "u-4711",
            "ada@example.com",
            "203.0.113.9",
            "Ada Lovelace",
            "zoë",
            "::ffff",
            "adalovelacebyron1",
        ] {
            assert!(!is_plain(value), "{value}");
        }
        assert!(!is_plain("adalovelaceofbyron"), "as long as a name and a surname");
    }

    #[test]
    fn columns_of_all_types_have_texts() {
        let columns: [(ArrayRef, [Option<&str>; 2]); 8] = [
            (Arc::new(StringArray::from(vec![Some("a"), None])), [Some("a"), None]),
            (Arc::new(Int64Array::from(vec![Some(-4711), None])), [Some("-4711"), None]),
            (
                Arc::new(TimestampMicrosecondArray::from(vec![Some(0), None]).with_timezone("UTC")),
                [Some("1970-01-01T00:00:00"), None],
            ),
            (
                Arc::new(
                    TimestampMicrosecondArray::from(vec![500_000, 10]).with_timezone("+00:00"),
                ),
                [Some("1970-01-01T00:00:00.5"), Some("1970-01-01T00:00:00.00001")],
            ),
            (
                Arc::new(Float64Array::from(vec![1_234_567.0, -52.125])),
                [Some("1234567"), Some("-52.125")],
            ),
            (
                Arc::new(
                    Decimal128Array::from(vec![12_345_670_000_000, 100_000_000_000])
                        .with_precision_and_scale(38, 9)
                        .expect("a scale"),
                ),
                [Some("12345.67"), Some("100")],
            ),
            (Arc::new(Date32Array::from(vec![0, 1])), [Some("1970-01-01"), Some("1970-01-02")]),
            (Arc::new(BinaryArray::from_iter_values([&b"a"[..], b"\xff"])), [Some("a"), None]),
        ];
        for (column, wanted) in columns {
            let texts = texts(&column).expect("texts").expect("a column of values");
            assert_eq!(texts.iter().collect::<Vec<_>>(), wanted, "{}", column.data_type());
        }
        let truths: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
        assert_eq!(texts(&truths).expect("texts"), None);
    }
}
