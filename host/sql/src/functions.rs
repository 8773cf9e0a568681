//! Functions of BigQuery that DataFusion has none for, or others by the same name: these take their place.

mod calendar;
mod casts;
mod cells;
mod characters;
mod comparisons;
mod extremes;
mod formats;
mod intervals;
mod json;
mod kind;
mod lists;
mod numbers;
mod numeric;
mod patterns;
mod re2;
mod rounding;
mod scalar;
mod text;
mod times;
mod to_text;

use datafusion::logical_expr::ScalarUDF;

pub(super) use extremes::{nullable, sorted};
pub(super) use kind::Kind;
pub(super) use numeric::{exact_numeric, numeric_literal};
use scalar::{Checked, Named};

/// All of them.
pub(super) fn all() -> impl Iterator<Item = ScalarUDF> {
    named().flat_map(Checked::both).chain(extremes::all()).chain(lists::all()).chain(to_text::all())
}

/// One that works on rows, by its name.
pub(super) fn by_name(name: &str) -> Option<ScalarUDF> {
    let named = named().find(|named| named.0 == name)?;
    Some(Checked::both(named)[0].clone())
}

fn named() -> impl Iterator<Item = &'static Named> {
    let themes = [
        numbers::ALL,
        numeric::ALL,
        comparisons::ALL,
        text::ALL,
        characters::ALL,
        patterns::ALL,
        casts::ALL,
        times::ALL,
        intervals::ALL,
        json::ALL,
    ];
    themes.into_iter().flatten()
}
