//! Arithmetic and mathematics as GoogleSQL has them: what overflows is an error, and no function gives NaN
//! or an infinity that was not among its arguments.

use arrow::array::ArrayRef;

use super::calendar::checked_day;
use super::cells::{Date, Day, Float, Int};
use super::kind::Kind;
use super::numeric::{self, as_floats, by_literal};
use super::rounding::{at_digit, rounded, truncated};
use super::scalar::{Answer, Cell, Form, Named, Wrong, map1, map2};

const F: &[Kind] = &[Kind::Float];
const FF: &[Kind] = &[Kind::Float, Kind::Float];
const I: &[Kind] = &[Kind::Int];
const II: &[Kind] = &[Kind::Int, Kind::Int];
const NF: &[Kind] = &[Kind::Numeric, Kind::Float];
const FN: &[Kind] = &[Kind::Float, Kind::Numeric];
const FI: &[Kind] = &[Kind::Float, Kind::Int];

/// All of them.
pub(super) static ALL: &[Named] = &[
    Named(
        "add",
        &[
            Form::new(II, Kind::Int, |a, safe| {
                map2::<Int, Int, i64>(a, safe, |x, y| whole(x.checked_add(y), x, '+', y))
            }),
            numeric::ADD,
            Form::new(FF, Kind::Float, add),
            Form::new(NF, Kind::Float, |a, safe| add(&as_floats(a)?, safe)),
            Form::new(FN, Kind::Float, |a, safe| add(&as_floats(a)?, safe)),
            Form::new(&[Kind::Date, Kind::Int], Kind::Date, |a, safe| {
                map2::<Date, Int, Day>(a, safe, |day, by| later(day, Some(by)))
            }),
            Form::new(&[Kind::Int, Kind::Date], Kind::Date, |a, safe| {
                map2::<Int, Date, Day>(a, safe, |by, day| later(day, Some(by)))
            }),
        ],
    ),
    Named(
        "subtract",
        &[
            Form::new(II, Kind::Int, |a, safe| {
                map2::<Int, Int, i64>(a, safe, |x, y| whole(x.checked_sub(y), x, '-', y))
            }),
            numeric::SUBTRACT,
            Form::new(FF, Kind::Float, subtract),
            Form::new(NF, Kind::Float, |a, safe| subtract(&as_floats(a)?, safe)),
            Form::new(FN, Kind::Float, |a, safe| subtract(&as_floats(a)?, safe)),
            Form::new(&[Kind::Date, Kind::Int], Kind::Date, |a, safe| {
                map2::<Date, Int, Day>(a, safe, |day, by| later(day, by.checked_neg()))
            }),
        ],
    ),
    Named(
        "multiply",
        &[
            Form::new(II, Kind::Int, |a, safe| {
                map2::<Int, Int, i64>(a, safe, |x, y| whole(x.checked_mul(y), x, '*', y))
            }),
            numeric::MULTIPLY,
            Form::new(FF, Kind::Float, multiply),
            Form::new(NF, Kind::Float, |a, safe| multiply(&as_floats(a)?, safe)),
            Form::new(FN, Kind::Float, |a, safe| multiply(&as_floats(a)?, safe)),
        ],
    ),
    Named(
        "divide",
        // The quotient of two INT64 is a FLOAT64.
        &[
            Form::new(FF, Kind::Float, divide),
            numeric::DIVIDE,
            Form::new(NF, Kind::Float, |a, safe| divide(&as_floats(a)?, safe)),
            Form::new(FN, Kind::Float, |a, safe| divide(&as_floats(a)?, safe)),
        ],
    ),
    // With a literal of FLOAT64 behind the operator, or before it: beside a NUMERIC it is one.
    Named(
        "add_literal",
        &[
            Form::new(FF, Kind::Float, add),
            Form::new(NF, Kind::Numeric, |a, safe| by_literal(a, safe, numeric::add)),
        ],
    ),
    Named(
        "subtract_literal",
        &[
            Form::new(FF, Kind::Float, subtract),
            Form::new(NF, Kind::Numeric, |a, safe| by_literal(a, safe, numeric::subtract)),
        ],
    ),
    Named(
        "literal_subtract",
        &[
            Form::new(FF, Kind::Float, |a, safe| subtract(&swapped(a), safe)),
            Form::new(NF, Kind::Numeric, |a, safe| {
                by_literal(a, safe, |x, literal| numeric::subtract(literal, x))
            }),
        ],
    ),
    Named(
        "multiply_literal",
        &[
            Form::new(FF, Kind::Float, multiply),
            Form::new(NF, Kind::Numeric, |a, safe| by_literal(a, safe, numeric::multiply)),
        ],
    ),
    Named(
        "divide_literal",
        &[
            Form::new(FF, Kind::Float, divide),
            Form::new(NF, Kind::Numeric, |a, safe| by_literal(a, safe, numeric::divide)),
        ],
    ),
    Named(
        "literal_divide",
        &[
            Form::new(FF, Kind::Float, |a, safe| divide(&swapped(a), safe)),
            Form::new(NF, Kind::Numeric, |a, safe| {
                by_literal(a, safe, |x, literal| numeric::divide(literal, x))
            }),
        ],
    ),
    Named(
        "ieee_divide",
        &[Form::new(FF, Kind::Float, |a, safe| {
            map2::<Float, Float, f64>(a, safe, |x, y| Ok(Some(x / y)))
        })],
    ),
    Named(
        "negate",
        &[
            Form::new(I, Kind::Int, |a, safe| {
                map1::<Int, i64>(a, safe, |x| whole(x.checked_neg(), 0, '-', x))
            }),
            Form::new(F, Kind::Float, |a, safe| map1::<Float, f64>(a, safe, |x| Ok(Some(-x)))),
            numeric::NEGATE,
        ],
    ),
    Named(
        "div",
        &[
            Form::new(II, Kind::Int, |a, safe| {
                map2::<Int, Int, i64>(a, safe, |x, y| match y {
                    0 => by_zero(x, "DIV"),
                    y => whole(x.checked_div(y), x, '/', y),
                })
            }),
            numeric::DIV,
        ],
    ),
    Named(
        "mod",
        &[
            Form::new(II, Kind::Int, |a, safe| {
                map2::<Int, Int, i64>(a, safe, |x, y| match y {
                    0 => by_zero(x, "MOD"),
                    // The one that overflows has no remainder.
                    y => Ok(Some(x.wrapping_rem(y))),
                })
            }),
            numeric::MOD,
        ],
    ),
    Named(
        "abs",
        &[
            Form::new(I, Kind::Int, |a, safe| {
                map1::<Int, i64>(a, safe, |x| whole(x.checked_abs(), 0, '-', x))
            }),
            Form::new(F, Kind::Float, |a, safe| map1::<Float, f64>(a, safe, |x| Ok(Some(x.abs())))),
            numeric::ABS,
        ],
    ),
    Named(
        "sign",
        &[
            Form::new(I, Kind::Int, |a, safe| map1::<Int, i64>(a, safe, |x| Ok(Some(x.signum())))),
            Form::new(F, Kind::Float, |a, safe| {
                // `signum` of a zero is one.
                map1::<Float, f64>(a, safe, |x| Ok(Some(if x == 0.0 { 0.0 } else { x.signum() })))
            }),
            numeric::SIGN,
        ],
    ),
    Named(
        "sqrt",
        &[Form::new(F, Kind::Float, |a, safe| {
            map1::<Float, f64>(a, safe, |x| {
                if x < 0.0 { outside("SQRT", x) } else { Ok(Some(x.sqrt())) }
            })
        })],
    ),
    Named(
        "exp",
        &[Form::new(F, Kind::Float, |a, safe| {
            map1::<Float, f64>(a, safe, |x| finite(x.exp(), &[x], "EXP"))
        })],
    ),
    Named("ln", &[Form::new(F, Kind::Float, |a, safe| map1::<Float, f64>(a, safe, ln))]),
    Named(
        "log10",
        &[Form::new(F, Kind::Float, |a, safe| {
            map1::<Float, f64>(a, safe, |x| {
                if x <= 0.0 { outside("LOG10", x) } else { Ok(Some(x.log10())) }
            })
        })],
    ),
    Named(
        "log",
        &[
            Form::new(F, Kind::Float, |a, safe| map1::<Float, f64>(a, safe, ln)),
            Form::new(FF, Kind::Float, |a, safe| map2::<Float, Float, f64>(a, safe, log)),
        ],
    ),
    Named("pow", &[Form::new(FF, Kind::Float, |a, safe| map2::<Float, Float, f64>(a, safe, pow))]),
    Named(
        "round",
        &[
            Form::new(F, Kind::Float, |a, safe| {
                map1::<Float, f64>(a, safe, |x| Ok(Some(x.round())))
            }),
            Form::new(FI, Kind::Float, |a, safe| {
                map2::<Float, Int, f64>(a, safe, |x, n| {
                    finite(at_digit(x, n, rounded), &[x], "ROUND")
                })
            }),
            numeric::ROUND,
            numeric::ROUND_AT,
        ],
    ),
    Named(
        "trunc",
        &[
            Form::new(F, Kind::Float, |a, safe| {
                map1::<Float, f64>(a, safe, |x| Ok(Some(x.trunc())))
            }),
            Form::new(FI, Kind::Float, |a, safe| {
                map2::<Float, Int, f64>(a, safe, |x, n| Ok(Some(at_digit(x, n, truncated))))
            }),
            numeric::TRUNC,
            numeric::TRUNC_AT,
        ],
    ),
    Named(
        "ceil",
        &[
            Form::new(F, Kind::Float, |a, safe| {
                map1::<Float, f64>(a, safe, |x| Ok(Some(x.ceil())))
            }),
            numeric::CEIL,
        ],
    ),
    Named(
        "floor",
        &[
            Form::new(F, Kind::Float, |a, safe| {
                map1::<Float, f64>(a, safe, |x| Ok(Some(x.floor())))
            }),
            numeric::FLOOR,
        ],
    ),
    Named(
        "is_nan",
        &[Form::new(F, Kind::Bool, |a, safe| {
            map1::<Float, bool>(a, safe, |x| Ok(Some(x.is_nan())))
        })],
    ),
    Named(
        "is_inf",
        &[Form::new(F, Kind::Bool, |a, safe| {
            map1::<Float, bool>(a, safe, |x| Ok(Some(x.is_infinite())))
        })],
    ),
    Named(
        "bit_not",
        &[Form::new(I, Kind::Int, |a, safe| map1::<Int, i64>(a, safe, |x| Ok(Some(!x))))],
    ),
    Named(
        "bit_count",
        &[Form::new(I, Kind::Int, |a, safe| {
            map1::<Int, i64>(a, safe, |x| Ok(Some(i64::from(x.count_ones()))))
        })],
    ),
];

fn add(a: &[ArrayRef], safe: bool) -> Answer {
    map2::<Float, Float, f64>(a, safe, |x, y| finite(x + y, &[x, y], "+"))
}

fn subtract(a: &[ArrayRef], safe: bool) -> Answer {
    map2::<Float, Float, f64>(a, safe, |x, y| finite(x - y, &[x, y], "-"))
}

fn multiply(a: &[ArrayRef], safe: bool) -> Answer {
    map2::<Float, Float, f64>(a, safe, |x, y| finite(x * y, &[x, y], "*"))
}

fn divide(a: &[ArrayRef], safe: bool) -> Answer {
    map2::<Float, Float, f64>(a, safe, |x, y| {
        if y == 0.0 { by_zero(x, "/") } else { finite(x / y, &[x, y], "/") }
    })
}

/// Both arguments, the second first.
fn swapped(a: &[ArrayRef]) -> Vec<ArrayRef> {
    a.iter().rev().cloned().collect()
}

/// A day and so many days more.
fn later(day: i32, by: Option<i64>) -> Cell<Day> {
    let day = by.and_then(|by| i64::from(day).checked_add(by));
    checked_day(day).map(|day| Some(Day(day)))
}

fn whole(result: Option<i64>, x: i64, sign: char, y: i64) -> Cell<i64> {
    match result {
        Some(result) => Ok(Some(result)),
        None => Err(Wrong::Value(format!("INT64 overflow: {x} {sign} {y}"))),
    }
}

/// A result that is infinite or no number only where an argument was.
fn finite(result: f64, of: &[f64], what: &str) -> Cell<f64> {
    if result.is_finite() || of.iter().any(|x| !x.is_finite()) {
        Ok(Some(result))
    } else {
        Err(Wrong::Value(format!("FLOAT64 overflow in {what} of {of:?}")))
    }
}

fn by_zero<T, X: std::fmt::Display>(x: X, what: &str) -> Cell<T> {
    Err(Wrong::Value(format!("division by zero: {x} {what} 0; SAFE_DIVIDE or SAFE. gives NULL")))
}

fn outside<T>(what: &str, x: f64) -> Cell<T> {
    Err(Wrong::Value(format!("{what} is not defined for {x}")))
}

fn ln(x: f64) -> Cell<f64> {
    if x <= 0.0 { outside("LN", x) } else { Ok(Some(x.ln())) }
}

/// The logarithm to a base.
fn log(x: f64, base: f64) -> Cell<f64> {
    if x == f64::NEG_INFINITY || base == f64::INFINITY {
        return Ok(Some(f64::NAN));
    }
    if x <= 0.0 || base <= 0.0 {
        return outside("LOG", x.min(base));
    }
    if base == 1.0 {
        outside("LOG to base", base)
    } else {
        Ok(Some(if base == 10.0 { x.log10() } else { x.ln() / base.ln() }))
    }
}

fn pow(x: f64, y: f64) -> Cell<f64> {
    if x.is_finite() && y.is_finite() && ((x < 0.0 && y.fract() != 0.0) || (x == 0.0 && y < 0.0)) {
        return Err(Wrong::Value(format!("POW is not defined for {x} and {y}")));
    }
    finite(x.powf(y), &[x, y], "POW")
}
