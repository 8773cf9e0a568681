//! Columns that hold what is masked in another: the guard would stop their rows.

use crate::kind::Kind;
use crate::personal::{self, Treatment};
use crate::rows::Rows;
use crate::shape::Column;
use crate::value::Value;

/// So many records are looked at; fewer where each has so many columns that comparing them takes long.
const MAX_ROWS: usize = 5_000;
const LEAST_ROWS: usize = 20;
const MAX_COMPARED: usize = 200_000_000;
/// Shorter values stand in texts by chance, as the guard has it.
const LEAST_BYTES: usize = 6;
const LEAST_BYTES_ALONE: usize = 4;
/// A longer text is no identifier.
const IDENTIFIER_CHARS: usize = 64;

/// Records that were looked at.
pub(crate) enum Sample<'a> {
    /// Rows of delimited text.
    Rows(&'a Rows),
    /// Records, each with the number of its message, and what is around them in their messages.
    Messages { rows: &'a [(usize, &'a Value)], arounds: &'a [Value] },
}

impl<'a> Sample<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Rows(rows) => rows.len(),
            Self::Messages { rows, .. } => rows.len(),
        }
    }

    /// The texts of a row in a leaf.
    fn texts(&self, row: usize, leaf: &Leaf<'_>) -> Vec<&'a str> {
        let mut texts = Vec::new();
        match self {
            Self::Rows(rows) => texts.push(rows.field(row, leaf.at)),
            Self::Messages { rows, arounds } => {
                let (message, row) = rows[row];
                let from = if leaf.is_around { arounds.get(message) } else { Some(row) };
                from.into_iter().for_each(|value| lead(value, &leaf.keys, &mut texts));
            }
        }
        texts
    }
}

/// A column without fields: the keys that lead to its values.
struct Leaf<'a> {
    /// Which of the fields of a row has it.
    at: usize,
    keys: Vec<&'a str>,
    is_around: bool,
    path: String,
    is_sensitive: bool,
    is_cleaned: bool,
    is_text: bool,
}

/// Masks columns that hold a value of a sensitive one, until none does.
pub(crate) fn settle(columns: &mut [Column<'_>], sample: &Sample<'_>) {
    // Each round masks one column at least.
    loop {
        let leaves = leaves(columns);
        let found: Vec<(String, String)> = collisions(&leaves, sample)
            .into_iter()
            .map(|Collision { at, of, count }| {
                let why = format!(
                    "in {count} of the rows it holds the value of `{}`, which is masked: the guard would stop them",
                    leaves[of].path
                );
                (leaves[at].path.clone(), why)
            })
            .collect();
        drop(leaves);
        if found.is_empty() {
            return;
        }
        for (path, why) in found {
            let Some(column) = find(columns, &path) else { return };
            let is_short = column.kind == Kind::Text && column.seen.most_chars <= IDENTIFIER_CHARS;
            let treatment = if is_short { Treatment::Pseudonym } else { Treatment::Remove };
            column.treatment = Some((treatment, why));
        }
    }
}

fn leaves<'a>(columns: &[Column<'a>]) -> Vec<Leaf<'a>> {
    let mut all = Vec::new();
    for column in columns {
        collect(column, "", &[], column.is_around, &mut all);
    }
    all
}

fn collect<'a>(
    column: &Column<'a>,
    path: &str,
    keys: &[&'a str],
    is_around: bool,
    to: &mut Vec<Leaf<'a>>,
) {
    let path =
        if path.is_empty() { column.name.clone() } else { format!("{path}.{}", column.name) };
    let keys = [keys, &[column.key]].concat();
    if !column.fields.is_empty() {
        return column.fields.iter().for_each(|field| collect(field, &path, &keys, is_around, to));
    }
    let is_text = matches!(column.kind, Kind::Text | Kind::Json);
    let is_cleaned = matches!(column.treatment, Some((Treatment::Clean, _)));
    to.push(Leaf {
        at: column.at,
        keys,
        is_around,
        path,
        is_sensitive: column.is_sensitive(),
        is_cleaned,
        is_text,
    });
}

fn find<'c, 'a>(columns: &'c mut [Column<'a>], path: &str) -> Option<&'c mut Column<'a>> {
    let (first, rest) =
        path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let column = columns.iter_mut().find(|column| column.name == first)?;
    match rest {
        None => Some(column),
        Some(rest) => find(&mut column.fields, rest),
    }
}

/// A leaf that holds values of a sensitive one, and in how many rows.
struct Collision {
    at: usize,
    of: usize,
    count: u64,
}

fn collisions(leaves: &[Leaf<'_>], sample: &Sample<'_>) -> Vec<Collision> {
    let sensitive: Vec<usize> = (0..leaves.len()).filter(|at| leaves[*at].is_sensitive).collect();
    let others: Vec<usize> =
        (0..leaves.len()).filter(|at| leaves[*at].is_text && !leaves[*at].is_sensitive).collect();
    if sensitive.is_empty() || others.is_empty() {
        return Vec::new();
    }
    let mut counts = vec![(0_u64, 0_usize); leaves.len()];
    let rows = MAX_COMPARED / (others.len() * leaves.len());
    let rows = rows.clamp(LEAST_ROWS, MAX_ROWS);
    for row in 0..rows.min(sample.len()) {
        let texts = |at: usize| -> Vec<String> {
            let texts = sample.texts(row, &leaves[at]);
            texts.into_iter().map(str::to_ascii_lowercase).collect()
        };
        let raw: Vec<(usize, Vec<String>)> = sensitive.iter().map(|at| (*at, texts(*at))).collect();
        for other in &others {
            let held = texts(*other);
            let of = raw.iter().find(|(_, values)| {
                values.iter().any(|value| {
                    let value = value.trim();
                    let is_taken_out = || leaves[*other].is_cleaned && personal::is_email(value);
                    held.iter().any(|text| holds(text, value)) && !is_taken_out()
                })
            });
            if let Some((of, _)) = of {
                counts[*other] = (counts[*other].0 + 1, *of);
            }
        }
    }
    let found =
        others.into_iter().map(|at| Collision { at, of: counts[at].1, count: counts[at].0 });
    found.filter(|collision| collision.count > 0).collect()
}

/// All texts that keys lead to, through lists.
fn lead<'a>(value: &'a Value, keys: &[&str], to: &mut Vec<&'a str>) {
    match (value, keys) {
        (Value::List(elements), _) => elements.iter().for_each(|value| lead(value, keys, to)),
        (value, []) => value.texts(to),
        (value, [key, rest @ ..]) => {
            if let Some(value) = value.member(key) {
                lead(value, rest, to);
            }
        }
    }
}

/// Whether the guard would find a value in a text; both are in small letters.
fn holds(text: &str, value: &str) -> bool {
    let is_digits = value.bytes().all(|byte| byte.is_ascii_digit());
    let is_word = value.len() <= 16
        && value.bytes().all(|byte| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'-'));
    if is_word || value.len() < LEAST_BYTES_ALONE {
        return false;
    }
    if value.len() < LEAST_BYTES {
        return !is_digits && text.trim() == value;
    }
    let is_part = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    text.match_indices(value).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|before| text.as_bytes().get(before));
        !is_part(before) && !is_part(text.as_bytes().get(at + value.len()))
    })
}
