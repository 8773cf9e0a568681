//! A checked rule, and how it runs over a batch.

use std::cmp::Ordering;

use clickmill_plugin::Places;
use clickmill_plugin::prelude::*;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::config::{Action, Operator};
use crate::pattern::Pattern;
use crate::starts;
use crate::words::{Allowed, TextMap, others_of, others_of_texts};

/// A rule whose columns exist and have the right types.
#[derive(Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) code: String,
    pub(crate) action: Action,
    pub(crate) when: Option<When>,
    /// The columns of the check: those of `required`, two of `compare` and `starts`, else one.
    pub(crate) columns: Vec<ColumnSpec>,
    /// For each of them the column whose values it is asked of: itself, or the record that a list is a field
    /// of. None: it is asked of rows.
    pub(crate) levels: Vec<Option<String>>,
    pub(crate) check: Check,
}

/// The rows that a rule is for.
#[derive(Serialize, Deserialize)]
pub(crate) struct When {
    pub(crate) column: ColumnSpec,
    /// Whether it lies in the list that the check's columns lie in. Else it has one value per row.
    pub(crate) in_list: bool,
    pub(crate) allowed: Allowed,
}

/// What must hold.
#[derive(Serialize, Deserialize)]
pub(crate) enum Check {
    Required,
    OneOf {
        allowed: Allowed,
        /// The values, for the message.
        listed: String,
    },
    Int64Range {
        min: i64,
        max: i64,
        bounds: String,
    },
    Float64Range {
        min: f64,
        max: f64,
        bounds: String,
    },
    DecimalRange {
        min: Decimal,
        max: Decimal,
        bounds: String,
    },
    Pattern(Pattern),
    /// In characters.
    Length {
        min: usize,
        max: usize,
        bounds: String,
    },
    /// Of a list.
    Elements {
        min: usize,
        max: usize,
        bounds: String,
    },
    /// In microseconds.
    Window {
        past: Option<i64>,
        future: Option<i64>,
    },
    Compare(Operator),
    Starts {
        prefixes: TextMap<ByteBuf>,
        strict: bool,
    },
}

pub(crate) const DAY: i64 = 86_400 * 1_000_000;

impl Rule {
    /// The columns it reads.
    pub(crate) fn reads(&self) -> impl Iterator<Item = &ColumnSpec> {
        self.columns.iter().chain(self.when.as_ref().map(|when| &when.column))
    }

    /// Its columns that it wants value by value, should they be dictionaries: what they hold is compared with
    /// another column.
    pub(crate) fn plain(&self) -> impl Iterator<Item = &str> {
        let count = match &self.check {
            Check::Compare(_) => 2,
            Check::Starts { .. } => 1,
            _ => 0,
        };
        self.columns.iter().take(count).map(|column| column.path.as_str())
    }

    /// The column at fault.
    pub(crate) fn column(&self, part: usize) -> &ColumnSpec {
        &self.columns[part]
    }

    /// Calls `fail` for each value that breaks the rule, in no particular order, with its row and the column
    /// at fault. Values are those of the column's level.
    pub(crate) fn run(
        &self,
        batch: &Batch,
        mut fail: impl FnMut(usize, usize, usize),
    ) -> Result<(), Fault> {
        let find = |spec: &ColumnSpec| {
            let missing = || Fault { message: format!("the batch has no column `{}`", spec.path) };
            batch.column(&spec.path).ok_or_else(missing)
        };
        let columns = self.columns.iter().map(find).collect::<Result<Vec<_>, _>>()?;
        let when = match &self.when {
            Some(when) => Some((when, find(&when.column)?)),
            None => None,
        };
        let places: Vec<Option<Places<'_>>> =
            self.levels.iter().map(|level| batch.places(level.as_ref()?)).collect();
        let counts: Vec<usize> = match self.check {
            Check::Required => {
                self.columns.iter().map(|c| batch.places(&c.path).map_or(0, |p| p.len())).collect()
            }
            _ => Vec::new(),
        };
        self.check.run(&columns, &counts, batch.ingest_time, &mut |value, part| {
            let row = places[part].as_ref().map_or(value, |places| places.row(value));
            let is_meant = when.is_none_or(|(when, column)| {
                when.allowed.has(column, if when.in_list { value } else { row })
            });
            if is_meant {
                fail(value, row, part);
            }
        });
        Ok(())
    }

    /// A value of a column at fault, as people are told of it: its path, with the numbers of elements.
    pub(crate) fn shown(&self, batch: &Batch, part: usize, value: usize) -> String {
        let path = &self.columns[part].path;
        match &self.levels[part] {
            None => path.clone(),
            Some(level) => {
                let places = batch.places(level);
                let shown = places.map_or_else(|| level.clone(), |places| places.shown(value));
                // What lies below its level is a field of it.
                format!("{shown}{}", path.strip_prefix(level.as_str()).unwrap_or_default())
            }
        }
    }
}

impl Check {
    fn run(
        &self,
        columns: &[&Column],
        counts: &[usize],
        ingest_time: i64,
        fail: &mut dyn FnMut(usize, usize),
    ) {
        if let Self::Required = self {
            for (part, (column, count)) in columns.iter().zip(counts).enumerate() {
                match &column.offsets {
                    Some(offsets) => lengths(offsets, 1, usize::MAX, |list| fail(list, part)),
                    None => nulls(column, *count, |value| fail(value, part)),
                }
            }
            return;
        }
        if let (Self::Elements { min, max, .. }, [column]) = (self, columns) {
            if let Some(offsets) = &column.offsets {
                lengths(offsets, *min, *max, |list| fail(list, 0));
            }
            return;
        }
        let Some((column, others)) = columns.split_first() else {
            return;
        };
        // Values are looked at first: whether a row is null matters only where its value will not do.
        let mut fail = |row: usize| {
            if column.is_valid(row) {
                fail(row, 0);
            }
        };
        match (self, &column.values) {
            (Self::OneOf { allowed, .. }, _) => allowed.others(column, fail),
            (Self::Int64Range { min, max, .. }, Values::Int64s(values)) => {
                each(values, |value| (*min..=*max).contains(value), fail);
            }
            (Self::Float64Range { min, max, .. }, Values::Float64s(values)) => {
                each(values, |value| (*min..=*max).contains(value), fail);
            }
            (Self::DecimalRange { min, max, .. }, Values::Decimals(_)) => {
                for row in 0..column.len() {
                    if column.decimal(row).is_some_and(|value| !(*min..=*max).contains(&value)) {
                        fail(row);
                    }
                }
            }
            (Self::Pattern(pattern), Values::Texts(text)) => {
                others_of_texts(text, |value| pattern.is_match(value), fail);
            }
            (Self::Pattern(pattern), Values::Dictionary(texts)) => {
                others_of(texts, |value| pattern.is_match(value), fail);
            }
            (Self::Length { min, max, .. }, Values::Texts(text)) => {
                for row in 0..column.len() {
                    if !has_length(text.get(row), *min, *max) {
                        fail(row);
                    }
                }
            }
            (Self::Length { min, max, .. }, Values::Dictionary(texts)) => {
                others_of(texts, |value| has_length(value, *min, *max), fail);
            }
            (Self::Window { past, future }, Values::Timestamps(values)) => {
                let first = past.map_or(i64::MIN, |past| ingest_time.saturating_sub(past));
                let last = future.map_or(i64::MAX, |future| ingest_time.saturating_add(future));
                each(values, |value| (first..=last).contains(value), fail);
            }
            (Self::Window { past, future }, Values::Dates(values)) => {
                // The days of the window's two ends.
                let day = |time: i64| time.div_euclid(DAY);
                let first = past.map_or(i64::MIN, |past| day(ingest_time.saturating_sub(past)));
                let last =
                    future.map_or(i64::MAX, |future| day(ingest_time.saturating_add(future)));
                each(values, |value| (first..=last).contains(&i64::from(*value)), fail);
            }
            (Self::Compare(op), _) => {
                if let Some(right) = others.first() {
                    compare(*op, column, right, fail);
                }
            }
            (Self::Starts { prefixes, strict }, Values::Texts(text)) => {
                if let Some(by) = others.first() {
                    starts::others(text, by, prefixes, *strict, fail);
                }
            }
            _ => {}
        }
    }
}

/// Calls `other` for each list that has fewer or more elements.
fn lengths(offsets: &[u32], min: usize, max: usize, mut other: impl FnMut(usize)) {
    for (list, ends) in offsets.windows(2).enumerate() {
        if !(min..=max).contains(&((ends[1] - ends[0]) as usize)) {
            other(list);
        }
    }
}

/// Calls `null` for each of so many values that is.
fn nulls(column: &Column, rows: usize, mut null: impl FnMut(usize)) {
    let Some(bits) = &column.validity else {
        return;
    };
    for (at, byte) in bits.iter().enumerate().filter(|(_, byte)| **byte != 0xff) {
        for row in at * 8..rows.min(at * 8 + 8) {
            if byte >> (row % 8) & 1 == 0 {
                null(row);
            }
        }
    }
}

#[inline]
fn each<T>(values: &[T], keeps: impl Fn(&T) -> bool, mut fail: impl FnMut(usize)) {
    for (row, value) in values.iter().enumerate() {
        if !keeps(value) {
            fail(row);
        }
    }
}

/// Whether the text has that many characters. Its bytes mostly say so already: there are at most as many
/// characters and at least a quarter as many.
fn has_length(text: &[u8], min: usize, max: usize) -> bool {
    if text.len() <= max && text.len() / 4 >= min {
        return true;
    }
    (min..=max).contains(&characters(text))
}

/// How many characters the text has.
pub(crate) fn characters(text: &[u8]) -> usize {
    // All bytes but the second and further ones of a character.
    text.iter().filter(|byte| **byte as i8 >= -0x40).count()
}

fn compare(op: Operator, left: &Column, right: &Column, fail: impl FnMut(usize)) {
    match (&left.values, &right.values) {
        (Values::Int64s(l), Values::Int64s(r)) => {
            pairs(op, l, r, right, |l, r| Some(l.cmp(r)), fail)
        }
        (Values::Times(l), Values::Times(r))
        | (Values::Datetimes(l), Values::Datetimes(r))
        | (Values::Timestamps(l), Values::Timestamps(r)) => {
            pairs(op, l, r, right, |l, r| Some(l.cmp(r)), fail);
        }
        (Values::Dates(l), Values::Dates(r)) => pairs(op, l, r, right, |l, r| Some(l.cmp(r)), fail),
        (Values::Float64s(l), Values::Float64s(r)) => {
            pairs(op, l, r, right, f64::partial_cmp, fail)
        }
        (Values::Int64s(l), Values::Float64s(r)) => {
            pairs(op, l, r, right, |l, r| (*l as f64).partial_cmp(r), fail);
        }
        (Values::Float64s(l), Values::Int64s(r)) => {
            pairs(op, l, r, right, |l, r| l.partial_cmp(&(*r as f64)), fail);
        }
        (Values::Decimals(_) | Values::Int64s(_), Values::Decimals(_) | Values::Int64s(_)) => {
            let number = |column: &Column, row| {
                column.decimal(row).or_else(|| column.int64(row).map(Decimal::from))
            };
            let mut fail = fail;
            for row in 0..left.len() {
                let (Some(l), Some(r)) = (number(left, row), number(right, row)) else { continue };
                if !op.holds(Some(l.cmp(&r))) {
                    fail(row);
                }
            }
        }
        (Values::Texts(l), Values::Texts(r)) => {
            let mut fail = fail;
            for row in 0..left.len() {
                if !op.holds(Some(l.get(row).cmp(r.get(row)))) && right.is_valid(row) {
                    fail(row);
                }
            }
        }
        _ => {}
    }
}

#[inline]
fn pairs<L, R>(
    op: Operator,
    left: &[L],
    right: &[R],
    right_column: &Column,
    compare: impl Fn(&L, &R) -> Option<Ordering>,
    mut fail: impl FnMut(usize),
) {
    for (row, (l, r)) in left.iter().zip(right).enumerate() {
        if !op.holds(compare(l, r)) && right_column.is_valid(row) {
            fail(row);
        }
    }
}

impl Operator {
    #[inline]
    fn holds(self, ordering: Option<Ordering>) -> bool {
        match (self, ordering) {
            (Self::Ne, None) => true,
            (_, None) => false,
            (Self::Eq, Some(ordering)) => ordering.is_eq(),
            (Self::Ne, Some(ordering)) => ordering.is_ne(),
            (Self::Lt, Some(ordering)) => ordering.is_lt(),
            (Self::Le, Some(ordering)) => ordering.is_le(),
            (Self::Gt, Some(ordering)) => ordering.is_gt(),
            (Self::Ge, Some(ordering)) => ordering.is_ge(),
        }
    }
}
