//! Functions of text that work character by character, and bytes as text.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::cells::{Bytes, Int, Text};
use super::kind::Kind;
use super::scalar::{Cell, Form, Named, Wrong, map1, map2, map3};

const T: &[Kind] = &[Kind::Text];
const B: &[Kind] = &[Kind::Bytes];
const TT: &[Kind] = &[Kind::Text, Kind::Text];
const TTT: &[Kind] = &[Kind::Text, Kind::Text, Kind::Text];

/// Where INITCAP's words end, besides at white space.
const WORD_ENDS: &str = "[](){}/|\\<>!?@\"^#$&~_,.:;*%+-";

/// All of them.
pub(super) static ALL: &[Named] = &[
    Named(
        "ascii",
        &[Form::new(T, Kind::Int, |a, safe| {
            map1::<Text, i64>(a, safe, |text| match text.chars().next() {
                None => Ok(Some(0)),
                Some(first) if first.is_ascii() => Ok(Some(i64::from(u32::from(first)))),
                Some(first) => Err(Wrong::Value(format!("ASCII of `{first}`, which is not ASCII"))),
            })
        })],
    ),
    Named(
        "unicode",
        &[Form::new(T, Kind::Int, |a, safe| {
            map1::<Text, i64>(a, safe, |text| {
                Ok(Some(text.chars().next().map_or(0, |first| i64::from(u32::from(first)))))
            })
        })],
    ),
    Named(
        "chr",
        &[Form::new(&[Kind::Int], Kind::Text, |a, safe| {
            map1::<Int, String>(a, safe, |code| {
                match u32::try_from(code).ok().map(char::from_u32) {
                    Some(Some('\0')) => Ok(Some(String::new())),
                    Some(Some(character)) => Ok(Some(character.to_string())),
                    _ => {
                        Err(Wrong::Value(format!("CHR({code}): that is no code point of Unicode")))
                    }
                }
            })
        })],
    ),
    Named(
        "initcap",
        &[
            Form::new(T, Kind::Text, |a, safe| {
                map1::<Text, String>(a, safe, |text| {
                    Ok(Some(initcap(text, |c| c.is_whitespace() || WORD_ENDS.contains(c))))
                })
            }),
            Form::new(TT, Kind::Text, |a, safe| {
                map2::<Text, Text, String>(a, safe, |text, ends| {
                    Ok(Some(initcap(text, |c| ends.contains(c))))
                })
            }),
        ],
    ),
    Named(
        "translate",
        &[Form::new(TTT, Kind::Text, |a, safe| {
            map3::<Text, Text, Text, String>(a, safe, translate)
        })],
    ),
    Named(
        "to_hex",
        &[Form::new(B, Kind::Text, |a, safe| {
            map1::<Bytes, String>(a, safe, |bytes| {
                Ok(Some(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
            })
        })],
    ),
    Named(
        "from_hex",
        &[Form::new(T, Kind::Bytes, |a, safe| map1::<Text, Vec<u8>>(a, safe, from_hex))],
    ),
    Named(
        "from_base64",
        &[Form::new(T, Kind::Bytes, |a, safe| {
            map1::<Text, Vec<u8>>(a, safe, |text| match STANDARD.decode(text) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) => {
                    Err(Wrong::Value(format!("FROM_BASE64 of text that is not: {error}")))
                }
            })
        })],
    ),
];

fn initcap(text: &str, ends: impl Fn(char) -> bool) -> String {
    let mut begins = true;
    let mut result = String::with_capacity(text.len());
    for character in text.chars() {
        let is_end = ends(character);
        // `ß` is two large letters, and stays.
        match character.to_uppercase().count() {
            _ if is_end => result.push(character),
            1 if begins => result.extend(character.to_uppercase()),
            _ if begins => result.push(character),
            _ => result.extend(character.to_lowercase()),
        }
        begins = is_end;
    }
    result
}

fn translate(text: &str, from: &str, to: &str) -> Cell<String> {
    let from: Vec<char> = from.chars().collect();
    let to: Vec<char> = to.chars().collect();
    if let Some(twice) = (1..from.len()).find(|&at| from[..at].contains(&from[at])) {
        return Err(Wrong::Value(format!(
            "TRANSLATE: `{}` is a source character twice",
            from[twice]
        )));
    }
    let translated = |c: char| match from.iter().position(|&source| source == c) {
        Some(at) => to.get(at).copied(),
        None => Some(c),
    };
    Ok(Some(text.chars().filter_map(translated).collect()))
}

/// Of an odd number of digits, the first is a byte by itself.
fn from_hex(text: &str) -> Cell<Vec<u8>> {
    let digit = |c: char| match c.to_digit(16) {
        Some(digit) => Ok(digit as u8),
        None => Err(Wrong::Value(format!("FROM_HEX: `{c}` is no hexadecimal digit"))),
    };
    let mut digits: Vec<u8> = text.chars().map(digit).collect::<Result<_, _>>()?;
    if digits.len() % 2 == 1 {
        digits.insert(0, 0);
    }
    Ok(Some(digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()))
}
