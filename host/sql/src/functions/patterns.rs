//! Functions of regular expressions.

use std::cell::RefCell;

use regex::{Captures, Regex};

use super::cells::{Int, Text};
use super::kind::Kind;
use super::re2::from_re2;
use super::scalar::{Cell, Form, Named, Wrong, map2, map3, map4};
use super::text::{LONGEST, bounded, position};

const TT: &[Kind] = &[Kind::Text, Kind::Text];
const TTI: &[Kind] = &[Kind::Text, Kind::Text, Kind::Int];
const TTII: &[Kind] = &[Kind::Text, Kind::Text, Kind::Int, Kind::Int];

/// All of them.
pub(super) static ALL: &[Named] = &[
    Named(
        "regexp_contains",
        &[Form::new(TT, Kind::Bool, |a, safe| {
            let patterns = Patterns::default();
            map2::<Text, Text, bool>(a, safe, |text, pattern| {
                Ok(Some(patterns.get(pattern)?.is_match(text)))
            })
        })],
    ),
    Named(
        "regexp_extract",
        &[
            Form::new(TT, Kind::Text, |a, safe| {
                let patterns = Patterns::default();
                map2::<Text, Text, String>(a, safe, |text, pattern| {
                    extract(&patterns.get(pattern)?, text, pattern, 1, 1)
                })
            }),
            Form::new(TTI, Kind::Text, |a, safe| {
                let patterns = Patterns::default();
                map3::<Text, Text, Int, String>(a, safe, |text, pattern, from| {
                    extract(&patterns.get(pattern)?, text, pattern, from, 1)
                })
            }),
            Form::new(TTII, Kind::Text, |a, safe| {
                let patterns = Patterns::default();
                map4::<Text, Text, Int, Int, String>(a, safe, |text, pattern, from, nth| {
                    extract(&patterns.get(pattern)?, text, pattern, from, nth)
                })
            }),
        ],
    ),
    Named(
        "regexp_extract_all",
        &[Form::new(TT, Kind::Texts, |a, safe| {
            let patterns = Patterns::default();
            map2::<Text, Text, Vec<String>>(a, safe, |text, pattern| {
                let pattern = patterns.get(pattern)?;
                let group = one_group(&pattern)?;
                // A group that took no part is an empty text here.
                let found = matches(&pattern, text).map(|found| found.get(group));
                Ok(Some(found.map(|found| found.map_or("", |f| f.as_str()).to_owned()).collect()))
            })
        })],
    ),
    Named(
        "regexp_instr",
        &[
            Form::new(TT, Kind::Int, |a, safe| {
                let patterns = Patterns::default();
                map2::<Text, Text, i64>(a, safe, |text, pattern| {
                    instr(&patterns.get(pattern)?, text, pattern, 1, 1)
                })
            }),
            Form::new(TTI, Kind::Int, |a, safe| {
                let patterns = Patterns::default();
                map3::<Text, Text, Int, i64>(a, safe, |text, pattern, from| {
                    instr(&patterns.get(pattern)?, text, pattern, from, 1)
                })
            }),
            Form::new(TTII, Kind::Int, |a, safe| {
                let patterns = Patterns::default();
                map4::<Text, Text, Int, Int, i64>(a, safe, |text, pattern, from, nth| {
                    instr(&patterns.get(pattern)?, text, pattern, from, nth)
                })
            }),
        ],
    ),
    Named(
        "regexp_replace",
        &[Form::new(&[Kind::Text; 3], Kind::Text, |a, safe| {
            let patterns = Patterns::default();
            map3::<Text, Text, Text, String>(a, safe, |text, pattern, by| {
                let pattern = patterns.get(pattern)?;
                let by = replacement(by, pattern.captures_len())?;
                bounded("REGEXP_REPLACE", added(&pattern, text, &by))?;
                Ok(Some(pattern.replace_all(text, by.as_str()).into_owned()))
            })
        })],
    ),
];

/// The last pattern: nearly always all rows have the same.
#[derive(Default)]
struct Patterns(RefCell<Option<(String, Regex)>>);

impl Patterns {
    fn get(&self, pattern: &str) -> Result<Regex, Wrong> {
        let mut last = self.0.borrow_mut();
        if let Some((known, regex)) = &*last
            && known == pattern
        {
            return Ok(regex.clone());
        }
        let regex = Regex::new(&from_re2(pattern)?).map_err(|error| {
            Wrong::Here(format!("`{pattern}` is no regular expression: {error}"))
        })?;
        *last = Some((pattern.to_owned(), regex.clone()));
        Ok(regex)
    }
}

/// The group that is asked for: the only one, or all that matches.
fn one_group(pattern: &Regex) -> Result<usize, Wrong> {
    match pattern.captures_len() {
        1 => Ok(0),
        2 => Ok(1),
        more => {
            Err(Wrong::Value(format!("`{pattern}` has {} groups, wanted one at most", more - 1)))
        }
    }
}

/// What follows a position, in characters from 1; `None` behind the end.
fn following<'a>(
    text: &'a str,
    pattern: &str,
    from: i64,
    nth: i64,
) -> Result<Option<(&'a str, usize)>, Wrong> {
    if from < 1 || nth < 1 {
        return Err(Wrong::Value(format!(
            "position {from} and occurrence {nth}, wanted 1 or more"
        )));
    }
    // A class begins with it too, where it means all but these.
    let anchored = pattern.replace("[^", "[");
    if from > 1 && ["^", "\\b", "\\A"].iter().any(|anchor| anchored.contains(anchor)) {
        return Err(Wrong::Here(format!(
            "`{pattern}` looks at what stands before, which is not defined behind a position"
        )));
    }
    let mut starts = text.char_indices().map(|(at, _)| at);
    let start = match usize::try_from(from - 1) {
        Ok(0) => Some(0),
        Ok(skipped) => starts.nth(skipped),
        Err(_) => None,
    };
    Ok(start.map(|start| (&text[start..], start)))
}

fn extract(regex: &Regex, text: &str, pattern: &str, from: i64, nth: i64) -> Cell<String> {
    let group = one_group(regex)?;
    let Some((rest, _)) = following(text, pattern, from, nth)? else { return Ok(None) };
    let found = matches(regex, rest).nth(nth as usize - 1);
    Ok(found.and_then(|found| found.get(group)).map(|found| found.as_str().to_owned()))
}

/// What matches, one behind the other: an empty match may be right behind another, and at the end of a text where
/// nothing else is.
fn matches<'t>(regex: &Regex, text: &'t str) -> impl Iterator<Item = Captures<'t>> {
    let (mut at, mut is_over) = (0, false);
    std::iter::from_fn(move || {
        let found = if is_over { None } else { regex.captures_at(text, at) }?;
        let whole = found.get(0)?;
        at = whole.end();
        if whole.is_empty() {
            at += text[at..].chars().next().map_or(0, char::len_utf8);
        }
        is_over = at == text.len();
        Some(found)
    })
}

fn instr(regex: &Regex, text: &str, pattern: &str, from: i64, nth: i64) -> Cell<i64> {
    let group = one_group(regex)?;
    let Some((rest, start)) = following(text, pattern, from, nth)? else { return Ok(Some(0)) };
    if pattern.is_empty() || text.is_empty() {
        return Ok(Some(0));
    }
    let found = matches(regex, rest).nth(nth as usize - 1);
    let found = found.and_then(|found| found.get(group));
    if group == 0 && found.is_some_and(|found| found.is_empty()) {
        return Err(Wrong::Here(format!(
            "`{pattern}` matches an empty text, whose place is not said"
        )));
    }
    Ok(Some(found.map_or(0, |found| position(text, start + found.start()))))
}

/// A replacement with groups as `\1` in the words of the crate `regex`, which writes `${1}`.
fn replacement(by: &str, groups: usize) -> Result<String, Wrong> {
    let mut result = String::with_capacity(by.len());
    let mut rest = by.chars();
    while let Some(character) = rest.next() {
        match character {
            '$' => result.push_str("$$"),
            '\\' => match rest.next() {
                Some('\\') => result.push('\\'),
                Some(digit)
                    if digit.to_digit(10).is_some_and(|group| (group as usize) < groups) =>
                {
                    result.push_str(&format!("${{{digit}}}"));
                }
                _ => {
                    return Err(Wrong::Value(format!(
                        "`{by}`: a backslash wants a backslash or the number of a group behind it"
                    )));
                }
            },
            other => result.push(other),
        }
    }
    Ok(result)
}

/// How many bytes replacing adds at most: a group is no longer than what is replaced.
fn added(pattern: &Regex, text: &str, by: &str) -> Option<usize> {
    let groups = by.matches("${").count();
    let of_matches = |matches: usize| {
        let of_groups = groups.saturating_sub(1).checked_mul(text.len())?;
        matches.checked_mul(by.len())?.checked_add(of_groups)
    };
    match of_matches(text.len() + 1) {
        few @ Some(..=LONGEST) => few,
        // They are counted where that may matter alone.
        _ => of_matches(pattern.find_iter(text).count()),
    }
}
