//! Functions of text, by characters, and of bytes.

use arrow::array::{ArrayRef, AsArray};

use super::cells::{Bytes, Int, Text, Texts};
use super::kind::Kind;
use super::scalar::{Cell, Form, Named, Wrong, map_all, map1, map2, map3, map4};

const T: &[Kind] = &[Kind::Text];
const B: &[Kind] = &[Kind::Bytes];
const TT: &[Kind] = &[Kind::Text, Kind::Text];
const TI: &[Kind] = &[Kind::Text, Kind::Int];
const TII: &[Kind] = &[Kind::Text, Kind::Int, Kind::Int];
const TIT: &[Kind] = &[Kind::Text, Kind::Int, Kind::Text];
const TTT: &[Kind] = &[Kind::Text, Kind::Text, Kind::Text];

/// What padding and repeating may make, and replacing may add, in bytes: as much as a cell of GoogleSQL's own engine.
pub(super) const LONGEST: usize = 1 << 20;

/// All of them.
pub(super) static ALL: &[Named] = &[
    Named(
        "concat",
        &[Form {
            takes: T,
            repeats: true,
            gives: Kind::Text,
            body: |a, safe| map_all::<Text, String>(a, safe, |all| Ok(Some(all.collect()))),
        }],
    ),
    Named(
        "upper",
        &[Form::new(T, Kind::Text, |a, safe| {
            map1::<Text, String>(a, safe, |text| Ok(Some(text.to_uppercase())))
        })],
    ),
    Named(
        "lower",
        &[Form::new(T, Kind::Text, |a, safe| {
            map1::<Text, String>(a, safe, |text| Ok(Some(text.to_lowercase())))
        })],
    ),
    Named(
        "length",
        &[
            Form::new(T, Kind::Int, |a, safe| {
                map1::<Text, i64>(a, safe, |text| Ok(Some(text.chars().count() as i64)))
            }),
            Form::new(B, Kind::Int, |a, safe| {
                map1::<Bytes, i64>(a, safe, |bytes| Ok(Some(bytes.len() as i64)))
            }),
        ],
    ),
    Named(
        "char_length",
        &[Form::new(T, Kind::Int, |a, safe| {
            map1::<Text, i64>(a, safe, |text| Ok(Some(text.chars().count() as i64)))
        })],
    ),
    Named(
        "byte_length",
        &[
            Form::new(T, Kind::Int, |a, safe| {
                map1::<Text, i64>(a, safe, |text| Ok(Some(text.len() as i64)))
            }),
            Form::new(B, Kind::Int, |a, safe| {
                map1::<Bytes, i64>(a, safe, |bytes| Ok(Some(bytes.len() as i64)))
            }),
        ],
    ),
    Named(
        "substr",
        &[
            Form::new(TI, Kind::Text, |a, safe| {
                map2::<Text, Int, String>(a, safe, |text, from| substr(text, from, i64::MAX))
            }),
            Form::new(TII, Kind::Text, |a, safe| map3::<Text, Int, Int, String>(a, safe, substr)),
        ],
    ),
    Named(
        "left",
        &[Form::new(TI, Kind::Text, |a, safe| {
            map2::<Text, Int, String>(a, safe, |text, length| {
                let length = not_negative("LEFT", "length", length)?;
                Ok(Some(text.chars().take(length).collect()))
            })
        })],
    ),
    Named(
        "right",
        &[Form::new(TI, Kind::Text, |a, safe| {
            map2::<Text, Int, String>(a, safe, |text, length| {
                let length = not_negative("RIGHT", "length", length)?;
                let skipped = text.chars().count().saturating_sub(length);
                Ok(Some(text.chars().skip(skipped).collect()))
            })
        })],
    ),
    Named(
        "strpos",
        &[Form::new(TT, Kind::Int, |a, safe| {
            map2::<Text, Text, i64>(a, safe, |text, part| {
                Ok(Some(text.find(part).map_or(0, |at| position(text, at))))
            })
        })],
    ),
    Named(
        "instr",
        &[
            Form::new(TT, Kind::Int, |a, safe| {
                map2::<Text, Text, i64>(a, safe, |text, part| instr(text, part, 1, 1))
            }),
            Form::new(&[Kind::Text, Kind::Text, Kind::Int], Kind::Int, |a, safe| {
                map3::<Text, Text, Int, i64>(a, safe, |text, part, from| instr(text, part, from, 1))
            }),
            Form::new(&[Kind::Text, Kind::Text, Kind::Int, Kind::Int], Kind::Int, |a, safe| {
                map4::<Text, Text, Int, Int, i64>(a, safe, instr)
            }),
        ],
    ),
    Named(
        "replace",
        &[Form::new(TTT, Kind::Text, |a, safe| {
            map3::<Text, Text, Text, String>(a, safe, |text, from, to| {
                if from.is_empty() {
                    return Ok(Some(text.to_owned()));
                }
                let more = to.len().saturating_sub(from.len());
                if more > 0 {
                    bounded("REPLACE", text.matches(from).count().checked_mul(more))?;
                }
                Ok(Some(text.replace(from, to)))
            })
        })],
    ),
    Named(
        "reverse",
        &[Form::new(T, Kind::Text, |a, safe| {
            map1::<Text, String>(a, safe, |text| Ok(Some(text.chars().rev().collect())))
        })],
    ),
    Named(
        "repeat",
        &[Form::new(TI, Kind::Text, |a, safe| {
            map2::<Text, Int, String>(a, safe, |text, times| {
                let times = not_negative("REPEAT", "repetitions", times)?;
                bounded("REPEAT", text.len().checked_mul(times))?;
                Ok(Some(text.repeat(times)))
            })
        })],
    ),
    Named(
        "lpad",
        &[
            Form::new(TI, Kind::Text, |a, safe| {
                map2::<Text, Int, String>(a, safe, |text, length| {
                    pad("LPAD", text, length, " ", true)
                })
            }),
            Form::new(TIT, Kind::Text, |a, safe| {
                map3::<Text, Int, Text, String>(a, safe, |text, length, by| {
                    pad("LPAD", text, length, by, true)
                })
            }),
        ],
    ),
    Named(
        "rpad",
        &[
            Form::new(TI, Kind::Text, |a, safe| {
                map2::<Text, Int, String>(a, safe, |text, length| {
                    pad("RPAD", text, length, " ", false)
                })
            }),
            Form::new(TIT, Kind::Text, |a, safe| {
                map3::<Text, Int, Text, String>(a, safe, |text, length, by| {
                    pad("RPAD", text, length, by, false)
                })
            }),
        ],
    ),
    Named(
        "trim",
        &[
            Form::new(T, Kind::Text, |a, safe| {
                map1::<Text, String>(a, safe, |text| Ok(Some(text.trim().to_owned())))
            }),
            Form::new(TT, Kind::Text, |a, safe| {
                map2::<Text, Text, String>(a, safe, |text, of| {
                    Ok(Some(text.trim_matches(|c| of.contains(c)).to_owned()))
                })
            }),
        ],
    ),
    Named(
        "ltrim",
        &[
            Form::new(T, Kind::Text, |a, safe| {
                map1::<Text, String>(a, safe, |text| Ok(Some(text.trim_start().to_owned())))
            }),
            Form::new(TT, Kind::Text, |a, safe| {
                map2::<Text, Text, String>(a, safe, |text, of| {
                    Ok(Some(text.trim_start_matches(|c| of.contains(c)).to_owned()))
                })
            }),
        ],
    ),
    Named(
        "rtrim",
        &[
            Form::new(T, Kind::Text, |a, safe| {
                map1::<Text, String>(a, safe, |text| Ok(Some(text.trim_end().to_owned())))
            }),
            Form::new(TT, Kind::Text, |a, safe| {
                map2::<Text, Text, String>(a, safe, |text, of| {
                    Ok(Some(text.trim_end_matches(|c| of.contains(c)).to_owned()))
                })
            }),
        ],
    ),
    Named(
        "starts_with",
        &[Form::new(TT, Kind::Bool, |a, safe| {
            map2::<Text, Text, bool>(a, safe, |text, part| Ok(Some(text.starts_with(part))))
        })],
    ),
    Named(
        "ends_with",
        &[Form::new(TT, Kind::Bool, |a, safe| {
            map2::<Text, Text, bool>(a, safe, |text, part| Ok(Some(text.ends_with(part))))
        })],
    ),
    Named(
        "split",
        &[
            Form::new(T, Kind::Texts, |a, safe| {
                map1::<Text, Vec<String>>(a, safe, |text| split(text, ","))
            }),
            Form::new(TT, Kind::Texts, |a, safe| map2::<Text, Text, Vec<String>>(a, safe, split)),
        ],
    ),
    Named(
        "array_to_string",
        &[
            Form::new(&[Kind::Texts, Kind::Text], Kind::Text, |a, safe| {
                map2::<Texts, Text, String>(a, safe, |texts, between| joined(&texts, between, None))
            }),
            Form::new(&[Kind::Texts, Kind::Text, Kind::Text], Kind::Text, |a, safe| {
                map3::<Texts, Text, Text, String>(a, safe, |texts, between, null| {
                    joined(&texts, between, Some(null))
                })
            }),
        ],
    ),
];

/// The texts of an array in one; its nulls are left out where nothing stands for them.
fn joined(texts: &ArrayRef, between: &str, null: Option<&str>) -> Cell<String> {
    let texts: Vec<&str> =
        texts.as_string::<i32>().iter().filter_map(|text| text.or(null)).collect();
    let bytes = texts.iter().map(|text| text.len() + between.len()).sum();
    bounded("ARRAY_TO_STRING", Some(bytes))?;
    Ok(Some(texts.join(between)))
}

fn not_negative(what: &str, name: &str, number: i64) -> Result<usize, Wrong> {
    usize::try_from(number)
        .map_err(|_| Wrong::Value(format!("{what}: {name} is {number}, wanted 0 or more")))
}

/// Refuses what would take too many bytes, before it takes them.
pub(super) fn bounded(what: &str, bytes: Option<usize>) -> Result<(), Wrong> {
    if bytes.is_some_and(|bytes| bytes <= LONGEST) {
        Ok(())
    } else {
        Err(Wrong::Here(format!("{what} would give more than {LONGEST} bytes")))
    }
}

/// The position of a byte, in characters from 1.
pub(super) fn position(text: &str, at: usize) -> i64 {
    text[..at].chars().count() as i64 + 1
}

fn substr(text: &str, from: i64, length: i64) -> Cell<String> {
    if length < 0 {
        return Err(Wrong::Value(format!("SUBSTR: length is {length}, wanted 0 or more")));
    }
    let skipped = match from {
        1.. => from - 1,
        0 => 0,
        _ => (text.chars().count() as i64).saturating_add(from).max(0),
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let skipped = usize::try_from(skipped).unwrap_or(usize::MAX);
    Ok(Some(text.chars().skip(skipped).take(length).collect()))
}

/// The position of the nth occurrence; from behind where the position is negative. They may overlap.
fn instr(text: &str, part: &str, from: i64, nth: i64) -> Cell<i64> {
    if from == 0 || nth < 1 || part.is_empty() {
        return Err(Wrong::Value(format!(
            "INSTR: position {from} and occurrence {nth} of `{part}`, wanted a position that is not 0, \
             an occurrence from 1, and some text"
        )));
    }
    let (text, part): (Vec<char>, Vec<char>) = (text.chars().collect(), part.chars().collect());
    let matches = |at: &usize| text[*at..].starts_with(&part);
    let length = text.len() as i64;
    let nth = nth as usize - 1;
    let found = if from > 0 {
        (from.min(length + 1) as usize - 1..text.len()).filter(matches).nth(nth)
    } else if from < -length {
        None
    } else {
        (0..=(length + from) as usize).rev().filter(matches).nth(nth)
    };
    Ok(Some(found.map_or(0, |at| at as i64 + 1)))
}

fn pad(what: &str, text: &str, length: i64, by: &str, before: bool) -> Cell<String> {
    let length = not_negative(what, "length", length)?;
    if by.is_empty() {
        return Err(Wrong::Value(format!("{what}: the pattern is empty")));
    }
    bounded(what, length.checked_mul(4))?;
    let has = text.chars().count();
    let pattern = by.chars().cycle().take(length.saturating_sub(has));
    Ok(Some(if before {
        pattern.chain(text.chars().take(length)).collect()
    } else {
        text.chars().take(length).chain(pattern).collect()
    }))
}

fn split(text: &str, by: &str) -> Cell<Vec<String>> {
    let characters = by.is_empty() && !text.is_empty();
    Ok(Some(if characters {
        text.chars().map(String::from).collect()
    } else if by.is_empty() {
        vec![String::new()]
    } else {
        text.split(by).map(str::to_owned).collect()
    }))
}
