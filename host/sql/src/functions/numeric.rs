//! NUMERIC as GoogleSQL has it: exact, with nine digits after the point and 29 before it. What has more
//! digits is rounded, halves away from zero; what is too large is an error. Values are in units of 1e-9.

use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::{Decimal128Type, Float64Type, i256};
use datafusion::common::plan_err;
use datafusion::error::DataFusionError;
use datafusion::scalar::ScalarValue;

use super::cells::{Decimal, Float, Int, Numeric, Text};
use super::kind::Kind;
use super::scalar::{Answer, Cell, Form, Named, Wrong, map1, map2};

/// 1.
const ONE: i128 = 1_000_000_000;
/// Beyond this is none.
const BEYOND: i128 = 10_i128.pow(38);
/// Digits after the point.
const SCALE: i64 = 9;

const N: &[Kind] = &[Kind::Numeric];

/// Casts from it and to it that stand for themselves.
pub(super) static ALL: &[Named] = &[Named(
    "cast_numeric",
    &[
        Form::new(N, Kind::Numeric, |a, _| Ok(a[0].clone())),
        Form::new(&[Kind::Int], Kind::Numeric, |a, safe| {
            map1::<Int, Numeric>(a, safe, |x| checked(i128::from(x) * ONE))
        }),
        Form::new(&[Kind::Float], Kind::Numeric, |a, safe| {
            map1::<Float, Numeric>(a, safe, of_float)
        }),
        Form::new(&[Kind::Text], Kind::Numeric, |a, safe| {
            map1::<Text, Numeric>(a, safe, |text| match read(text) {
                Some((number, _)) => checked(number),
                None => Err(Wrong::no_number(text, "NUMERIC")),
            })
        }),
    ],
)];

/// A form of one NUMERIC.
macro_rules! form1 {
    ($name:ident $gives:ident $result:ty, $f:expr) => {
        pub(super) const $name: Form =
            Form::new(N, Kind::$gives, |a, safe| map1::<Decimal, $result>(a, safe, $f));
    };
}

/// A form of two.
macro_rules! form2 {
    ($name:ident, $f:expr) => {
        pub(super) const $name: Form =
            Form::new(&[Kind::Numeric, Kind::Numeric], Kind::Numeric, |a, safe| {
                map2::<Decimal, Decimal, Numeric>(a, safe, $f)
            });
    };
}

/// A form of one and a whole number.
macro_rules! form_digits {
    ($name:ident, $f:expr) => {
        pub(super) const $name: Form =
            Form::new(&[Kind::Numeric, Kind::Int], Kind::Numeric, |a, safe| {
                map2::<Decimal, Int, Numeric>(a, safe, $f)
            });
    };
}

form1!(AS_INT Int i64, whole);
form1!(AS_FLOAT Float f64, |x| Ok(Some(as_float(x))));
form1!(NEGATE Numeric Numeric, |x| checked(-x));
form1!(ABS Numeric Numeric, |x| checked(x.abs()));
form1!(SIGN Numeric Numeric, |x| checked(x.signum() * ONE));
form1!(ROUND Numeric Numeric, |x| checked(rounded(x, 0)));
form1!(TRUNC Numeric Numeric, |x| checked(cut(x, 0)));
form1!(FLOOR Numeric Numeric, |x| checked(x.div_euclid(ONE) * ONE));
form1!(CEIL Numeric Numeric, |x| checked(-((-x).div_euclid(ONE) * ONE)));
form2!(ADD, add);
form2!(SUBTRACT, subtract);
form2!(MULTIPLY, multiply);
form2!(DIVIDE, divide);
form2!(DIV, |x, y| match y {
    0 => by_zero("DIV"),
    y => checked((x / y).saturating_mul(ONE)),
});
form2!(MOD, |x, y| match y {
    0 => by_zero("MOD"),
    y => checked(x % y),
});
form_digits!(ROUND_AT, |x, digits| checked(rounded(x, digits)));
form_digits!(TRUNC_AT, |x, digits| checked(cut(x, digits)));

pub(super) fn add(x: i128, y: i128) -> Cell<Numeric> {
    checked(x.saturating_add(y))
}

pub(super) fn subtract(x: i128, y: i128) -> Cell<Numeric> {
    checked(x.saturating_sub(y))
}

pub(super) fn multiply(x: i128, y: i128) -> Cell<Numeric> {
    // Nearly always it fits.
    if let Some(product) = x.checked_mul(y)
        && let Some(product) = product.checked_add(product.signum() * (ONE / 2))
    {
        return checked(product / ONE);
    }
    quotient(wide(x).wrapping_mul(wide(y)), ONE, (x < 0) != (y < 0))
}

pub(super) fn divide(x: i128, y: i128) -> Cell<Numeric> {
    let negative = (x < 0) != (y < 0);
    match x.checked_mul(ONE) {
        _ if y == 0 => by_zero("/"),
        Some(x) => {
            let up = i128::from((x % y).unsigned_abs() * 2 >= y.unsigned_abs());
            checked(x / y + if negative { -up } else { up })
        }
        None => quotient(wide(x).wrapping_mul(wide(ONE)), y, negative),
    }
}

/// The same with a literal, which is a FLOAT64 by its type and a NUMERIC beside one.
pub(super) fn by_literal(
    args: &[ArrayRef],
    safe: bool,
    f: fn(i128, i128) -> Cell<Numeric>,
) -> Answer {
    let literals = args[1].as_primitive::<Float64Type>();
    let literal = if literals.is_empty() { 0 } else { of_literal(literals.value(0))? };
    map1::<Decimal, Numeric>(&args[..1], safe, |x| f(x, literal))
}

/// The NUMERIC that a literal stands for beside one.
fn of_literal(literal: f64) -> Result<i128, DataFusionError> {
    // The shortest digits that give this number: those that were written.
    match read(&literal.to_string()) {
        Some((number, true)) => Ok(number),
        _ => plan_err!("`{literal}` is not exactly a NUMERIC: CAST it AS NUMERIC or AS FLOAT64"),
    }
}

/// Refuses the text of a literal whose digits do not all fit, which CAST would round.
pub(crate) fn exact_numeric(text: &str) -> Result<(), DataFusionError> {
    match read(text) {
        Some((_, true)) => Ok(()),
        Some(_) => plan_err!(
            "NUMERIC '{text}' has more than nine digits after the point: CAST('{text}' AS NUMERIC) rounds it"
        ),
        None => plan_err!("`{text}` is no NUMERIC"),
    }
}

/// A literal beside a NUMERIC as a value of a plan.
pub(crate) fn numeric_literal(literal: f64) -> Result<ScalarValue, DataFusionError> {
    Ok(ScalarValue::Decimal128(Some(of_literal(literal)?), 38, 9))
}

/// Numbers of which some are NUMERIC, as FLOAT64.
pub(super) fn as_floats(args: &[ArrayRef]) -> Result<Vec<ArrayRef>, DataFusionError> {
    let of = |column: &ArrayRef| match column.as_primitive_opt::<Decimal128Type>() {
        Some(_) => {
            map1::<Decimal, f64>(std::slice::from_ref(column), false, |x| Ok(Some(as_float(x))))
        }
        None => Ok(column.clone()),
    };
    args.iter().map(of).collect()
}

fn checked(result: i128) -> Cell<Numeric> {
    if result.unsigned_abs() < BEYOND.unsigned_abs() {
        Ok(Some(Numeric(result)))
    } else {
        Err(Wrong::Value("NUMERIC overflow: more than 29 digits before the point".to_owned()))
    }
}

fn by_zero<T>(what: &str) -> Cell<T> {
    Err(Wrong::Value(format!(
        "division by zero in {what} of NUMERIC; SAFE_DIVIDE or SAFE. gives NULL"
    )))
}

/// Without its sign.
fn wide(x: i128) -> i256 {
    i256::from_i128(x.abs())
}

/// What is divided has no sign; `negative` is that of the quotient.
fn quotient(x: i256, y: i128, negative: bool) -> Cell<Numeric> {
    let y = wide(y);
    // An odd divisor has no halves.
    let half = y.wrapping_div(i256::from_i128(2));
    let size = x.wrapping_add(half).wrapping_div(y).to_i128().unwrap_or(BEYOND);
    checked(if negative { -size.min(BEYOND) } else { size.min(BEYOND) })
}

/// What a digit at this place is worth; `None` where no NUMERIC has one.
fn place(digits: i64) -> Option<i128> {
    let power = SCALE.saturating_sub(digits).max(0);
    u32::try_from(power).ok().filter(|power| *power <= 38).map(|power| 10_i128.pow(power))
}

/// Rounded at the nth digit after the point, or before it where n is negative.
fn rounded(x: i128, digits: i64) -> i128 {
    match place(digits) {
        Some(unit) => (x + x.signum() * (unit / 2)) / unit * unit,
        None => 0,
    }
}

fn cut(x: i128, digits: i64) -> i128 {
    place(digits).map_or(0, |unit| x / unit * unit)
}

fn whole(x: i128) -> Cell<i64> {
    match i64::try_from(rounded(x, 0) / ONE) {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Wrong::Value(format!("{} is no INT64", as_float(x)))),
    }
}

/// The closest FLOAT64.
fn as_float(x: i128) -> f64 {
    if x.unsigned_abs() < 1 << 53 {
        // Both are exact: the quotient is rounded once.
        return x as f64 / ONE as f64;
    }
    let (sign, size) = (if x < 0 { "-" } else { "" }, x.unsigned_abs());
    let one = ONE.unsigned_abs();
    let text = format!("{sign}{}.{:09}", size / one, size % one);
    text.parse().unwrap_or(f64::NAN)
}

/// Exact until it is rounded, once.
fn of_float(x: f64) -> Cell<Numeric> {
    let none = || Err(Wrong::Value(format!("{x} is no NUMERIC")));
    if !x.is_finite() {
        return none();
    }
    let bits = x.to_bits();
    let exponent = ((bits >> 52) & 0x7ff) as i32;
    let fraction = i128::from(bits & ((1 << 52) - 1));
    let (mantissa, power) = match exponent {
        0 => (fraction, -1074),
        _ => (fraction | (1 << 52), exponent - 1075),
    };
    // Less than 2^83.
    let scaled = mantissa * ONE;
    let size = match power {
        45.. => return none(),
        0..45 => scaled << power,
        -126..0 => (scaled + (1 << (-power - 1))) >> -power,
        _ => 0,
    };
    checked(if x < 0.0 { -size } else { size }).or_else(|_| none())
}

/// Reads `[+-]digits[.digits][e[+-]digits]`, and says whether all of its digits fit.
fn read(text: &str) -> Option<(i128, bool)> {
    let (negative, rest) = match text.strip_prefix(['+', '-']) {
        Some(rest) => (text.starts_with('-'), rest),
        None => (false, text),
    };
    let (number, exponent) = match rest.split_once(['e', 'E']) {
        Some((number, exponent)) => (number, exponent.parse::<i32>().ok()?),
        None => (rest, 0),
    };
    let (before, behind) = number.split_once('.').unwrap_or((number, ""));
    let digits = || before.bytes().chain(behind.bytes());
    if digits().next().is_none() || !digits().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    // The power of ten that the next digit stands for, in units of 1e-9.
    let mut power = before.len() as i64 - 1 + i64::from(exponent) + SCALE;
    let (mut size, mut is_whole) = (0_i128, true);
    for digit in digits().map(|digit| i128::from(digit - b'0')) {
        if power >= 0 {
            size = size.checked_mul(10)?.checked_add(digit)?;
        } else {
            is_whole &= digit == 0;
            size += i128::from(power == -1 && digit >= 5);
        }
        power -= 1;
    }
    while power >= 0 && size != 0 {
        size = size.checked_mul(10)?;
        power -= 1;
    }
    (size < BEYOND).then_some((if negative { -size } else { size }, is_whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(cell: Cell<Numeric>) -> Option<i128> {
        cell.ok().flatten().map(|numeric| numeric.0)
    }

    #[test]
    fn text_is_read_exactly_or_rounded_once() {
        for (text, wanted) in [
            ("0", Some((0, true))),
            ("-3.14", Some((-3_140_000_000, true))),
            ("1.23456e05", Some((123_456 * ONE, true))),
            ("-9.876e-3", Some((-9_876_000, true))),
            (".5", Some((ONE / 2, true))),
            ("5.", Some((5 * ONE, true))),
            ("0.0000000005", Some((1, false))),
            ("-0.0000000005", Some((-1, false))),
            ("0.00000000049", Some((0, false))),
            ("0.9999999995", Some((ONE, false))),
            ("0e99999999", Some((0, true))),
            ("1e28", Some((10_i128.pow(37), true))),
            ("99999999999999999999999999999.999999999", Some((BEYOND - 1, true))),
            ("99999999999999999999999999999.9999999995", None),
            ("1e29", None),
            ("1e2147483647", None),
            ("", None),
            (".", None),
            ("1e", None),
            ("1 ", None),
            ("+-1", None),
            ("inf", None),
            ("0x1", None),
            ("١", None),
        ] {
            assert_eq!(read(text), wanted, "`{text}`");
        }
    }

    #[test]
    fn a_float_becomes_the_nearest_numeric_halves_away_from_zero() {
        for (float, wanted) in [
            (1.5, Some(1_500_000_000)),
            (0.1, Some(100_000_000)),
            // Exactly 9765625e-10.
            (0.000_976_562_5, Some(976_563)),
            (-0.000_976_562_5, Some(-976_563)),
            (-0.0, Some(0)),
            (5e-324, Some(0)),
            (9_007_199_254_740_993.0, Some(9_007_199_254_740_992 * ONE)),
            (1e28, Some(9_999_999_999_999_999_583_119_736_832 * ONE)),
            (1e29, Some(99_999_999_999_999_991_433_150_857_216 * ONE)),
            (1.1e29, None),
            (f64::MAX, None),
            (f64::NAN, None),
            (f64::INFINITY, None),
        ] {
            assert_eq!(value(of_float(float)), wanted, "{float}");
        }
    }

    #[test]
    fn products_and_quotients_are_rounded_once_or_too_large() {
        let most = BEYOND - 1;
        assert_eq!(value(multiply(most, ONE)), Some(most));
        assert_eq!(value(multiply(-most, ONE)), Some(-most));
        assert_eq!(value(multiply(most, most)), None);
        assert_eq!(value(multiply(1, ONE / 2)), Some(1));
        assert_eq!(value(multiply(-1, ONE / 2)), Some(-1));
        assert_eq!(value(multiply(1, ONE / 2 - 1)), Some(0));
        assert_eq!(value(divide(ONE, 3 * ONE)), Some(333_333_333));
        assert_eq!(value(divide(2 * ONE, -3 * ONE)), Some(-666_666_667));
        assert_eq!(value(divide(1, 2 * ONE)), Some(1));
        assert_eq!(value(divide(most, 1)), None);
        assert_eq!(value(divide(most, most)), Some(ONE));
        assert_eq!(value(divide(ONE, 0)), None);
        assert_eq!(value(add(most, 1)), None);
        assert_eq!(value(subtract(-most, 1)), None);
        assert_eq!(value(checked(rounded(most, 0))), None);
        assert_eq!(cut(most, 0), most / ONE * ONE);
        assert_eq!(rounded(most, -30), 0);
        assert_eq!(rounded(1_235_000_000, 2), 1_240_000_000);
        assert_eq!(rounded(-2_500_000_000, 0), -3_000_000_000);
        assert_eq!(rounded(7, 40), 7);
    }

    #[test]
    fn the_closest_float_is_found_of_large_and_small_ones() {
        assert_eq!(as_float(1_190_000_000), 1.19);
        assert_eq!(as_float(-1), -1e-9);
        assert_eq!(
            as_float(123_456_789_012_345_678_901_234_567),
            123_456_789_012_345_678.901_234_567
        );
        assert_eq!(as_float(1 - BEYOND), -1e29);
    }
}
