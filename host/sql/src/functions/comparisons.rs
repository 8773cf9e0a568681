//! Comparisons of FLOAT64 as IEEE has them, and the values that are beyond all others.

use super::cells::{Date, Day, Decimal, Float, Instant, Int, Numeric, Text, Time};
use super::kind::Kind;
use super::scalar::{Form, Named, map_all, map2};

const FF: &[Kind] = &[Kind::Float, Kind::Float];
const F: &[Kind] = &[Kind::Float];
const I: &[Kind] = &[Kind::Int];

/// All of them.
pub(super) static ALL: &[Named] = &[
    // IEEE's comparisons: nothing is equal to NaN, and both zeros are.
    Named(
        "equal",
        &[Form::new(FF, Kind::Bool, |a, safe| {
            map2::<Float, Float, bool>(a, safe, |x, y| Ok(Some(x == y)))
        })],
    ),
    Named(
        "not_equal",
        &[Form::new(FF, Kind::Bool, |a, safe| {
            map2::<Float, Float, bool>(a, safe, |x, y| Ok(Some(x != y)))
        })],
    ),
    Named(
        "less",
        &[Form::new(FF, Kind::Bool, |a, safe| {
            map2::<Float, Float, bool>(a, safe, |x, y| Ok(Some(x < y)))
        })],
    ),
    Named(
        "less_or_equal",
        &[Form::new(FF, Kind::Bool, |a, safe| {
            map2::<Float, Float, bool>(a, safe, |x, y| Ok(Some(x <= y)))
        })],
    ),
    Named(
        "greatest",
        &[
            Form {
                takes: I,
                repeats: true,
                gives: Kind::Int,
                body: |a, safe| map_all::<Int, i64>(a, safe, |all| Ok(all.max())),
            },
            Form {
                takes: F,
                repeats: true,
                gives: Kind::Float,
                body: |a, safe| {
                    map_all::<Float, f64>(a, safe, |all| Ok(extreme(all, |x, best| x > best)))
                },
            },
            Form {
                takes: &[Kind::Numeric],
                repeats: true,
                gives: Kind::Numeric,
                body: |a, safe| {
                    map_all::<Decimal, Numeric>(a, safe, |all| Ok(all.max().map(Numeric)))
                },
            },
            Form {
                takes: &[Kind::Text],
                repeats: true,
                gives: Kind::Text,
                body: |a, safe| {
                    map_all::<Text, String>(a, safe, |all| Ok(all.max().map(str::to_owned)))
                },
            },
            Form {
                takes: &[Kind::Date],
                repeats: true,
                gives: Kind::Date,
                body: |a, safe| map_all::<Date, Day>(a, safe, |all| Ok(all.max().map(Day))),
            },
            Form {
                takes: &[Kind::Time],
                repeats: true,
                gives: Kind::Time,
                body: |a, safe| map_all::<Time, Instant>(a, safe, |all| Ok(all.max().map(Instant))),
            },
        ],
    ),
    Named(
        "least",
        &[
            Form {
                takes: I,
                repeats: true,
                gives: Kind::Int,
                body: |a, safe| map_all::<Int, i64>(a, safe, |all| Ok(all.min())),
            },
            Form {
                takes: F,
                repeats: true,
                gives: Kind::Float,
                body: |a, safe| {
                    map_all::<Float, f64>(a, safe, |all| Ok(extreme(all, |x, best| x < best)))
                },
            },
            Form {
                takes: &[Kind::Numeric],
                repeats: true,
                gives: Kind::Numeric,
                body: |a, safe| {
                    map_all::<Decimal, Numeric>(a, safe, |all| Ok(all.min().map(Numeric)))
                },
            },
            Form {
                takes: &[Kind::Text],
                repeats: true,
                gives: Kind::Text,
                body: |a, safe| {
                    map_all::<Text, String>(a, safe, |all| Ok(all.min().map(str::to_owned)))
                },
            },
            Form {
                takes: &[Kind::Date],
                repeats: true,
                gives: Kind::Date,
                body: |a, safe| map_all::<Date, Day>(a, safe, |all| Ok(all.min().map(Day))),
            },
            Form {
                takes: &[Kind::Time],
                repeats: true,
                gives: Kind::Time,
                body: |a, safe| map_all::<Time, Instant>(a, safe, |all| Ok(all.min().map(Instant))),
            },
        ],
    ),
];

/// NaN if there is one, or the value that is beyond the others.
fn extreme(values: &mut dyn Iterator<Item = f64>, beyond: fn(f64, f64) -> bool) -> Option<f64> {
    values.reduce(|best, x| {
        if best.is_nan() {
            best
        } else if x.is_nan() || beyond(x, best) {
            x
        } else {
            best
        }
    })
}
