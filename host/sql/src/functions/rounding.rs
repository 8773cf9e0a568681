//! FLOAT64 at a digit, rounded and cut off.

/// The most digits of which ten to their number is a FLOAT64 to the last bit.
const EXACT_DIGITS: i32 = 22;
/// From here on a FLOAT64 has no digits after the point.
const WHOLE: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;

/// Makes a whole number of `x` at the nth digit after the point, or before it where n is negative. What is made
/// whole is given as the nearest FLOAT64 and the rest that the exact number has beside it: 2.675 is less than
/// that, and `2.675 * 100` is not.
pub(super) fn at_digit(x: f64, n: i64, whole: fn(f64, f64) -> f64) -> f64 {
    // Beyond this many digits there is nothing to round, or nothing left.
    let digits = n.clamp(-400, 400) as i32;
    let factor = 10f64.powi(digits.abs());
    let exact = digits.abs() <= EXACT_DIGITS;
    match (digits >= 0, factor.is_finite()) {
        (true, true) if (x * factor).abs() < WHOLE => {
            let near = x * factor;
            let rest = if exact { x.mul_add(factor, -near) } else { 0.0 };
            whole(near, rest) / factor
        }
        (true, _) => x,
        (false, true) if (x / factor).abs() < WHOLE => {
            let near = x / factor;
            let rest = if exact { (-near).mul_add(factor, x) / factor } else { 0.0 };
            whole(near, rest) * factor
        }
        (false, true) => x,
        (false, false) if x.is_finite() => 0.0,
        (false, false) => x,
    }
}

/// The nearest whole number, of two the one that is further from zero.
pub(super) fn rounded(near: f64, rest: f64) -> f64 {
    let (near, rest, sign) = (near.abs(), rest * near.signum(), near.signum());
    let nearest = if near.fract() == 0.5 && rest < 0.0 {
        near.trunc()
    } else if near.fract() == 0.0 && rest == 0.5 {
        near + 1.0
    } else {
        near.round()
    };
    nearest.copysign(sign)
}

/// The whole number that is nearest on the way to zero.
pub(super) fn truncated(near: f64, rest: f64) -> f64 {
    let (near, rest, sign) = (near.abs(), rest * near.signum(), near.signum());
    let behind = near > 0.0 && near.fract() == 0.0 && rest < 0.0;
    (if behind { near - 1.0 } else { near.trunc() }).copysign(sign)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_rounded_as_they_are_and_not_as_their_product_is() {
        for (x, n, wanted) in [
            (2.675, 2, 2.67),
            (-2.675, 2, -2.67),
            (1.005, 2, 1.0),
            (1.235, 2, 1.24),
            (0.125, 2, 0.13),
            (-0.125, 2, -0.13),
            (0.285, 2, 0.28),
            (8.345, 2, 8.35),
            (1e300, 2, 1e300),
            (123.45, 0, 123.0),
            (0.5, 0, 1.0),
            (0.49999999999999994, 0, 0.0),
            (25.0, -1, 30.0),
            (24.999999999999996, -1, 20.0),
            (-150.0, -2, -200.0),
            (f64::INFINITY, 2, f64::INFINITY),
            (f64::INFINITY, -2, f64::INFINITY),
        ] {
            assert_eq!(at_digit(x, n, rounded), wanted, "ROUND({x}, {n})");
        }
        assert!(
            at_digit(f64::NAN, 2, rounded).is_nan() && at_digit(f64::NAN, -2, rounded).is_nan()
        );
        for (x, n, wanted) in [
            (2.3, 1, 2.2),
            (-2.3, 1, -2.2),
            (0.29, 2, 0.28),
            (1.5, 1, 1.5),
            (1.239, 2, 1.23),
            (128.9, -1, 120.0),
            (0.7, 0, 0.0),
        ] {
            assert_eq!(at_digit(x, n, truncated), wanted, "TRUNC({x}, {n})");
        }
    }

    /// The digits of a FLOAT64 are finite, and written out here all of them.
    #[test]
    fn rounding_is_that_of_all_digits() {
        let mut random = 88_172_645_463_325_252_u64;
        for _ in 0..2_000 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let (thousands, n) = ((random >> 20) % 1_000_000, (random % 5) as usize);
            let x = thousands as f64 / 1000.0;
            let all = format!("{x:.1074}");
            let (whole, fraction) = all.split_once('.').expect("a point");
            let up = fraction.as_bytes()[n] >= b'5';
            let cut: u64 = format!("{whole}{}", &fraction[..n]).parse().expect("digits");
            let divisor = 10f64.powi(n as i32);
            let at = n as i64;
            assert_eq!(
                at_digit(x, at, rounded),
                (cut + u64::from(up)) as f64 / divisor,
                "{x}, {n}"
            );
            assert_eq!(at_digit(x, at, truncated), cut as f64 / divisor, "{x}, {n}");
        }
    }
}
