//! Numbers as text, straight into bytes: `write!` costs a good part of a generated record.
//!
//! Appends to a buffer; knows no format but digits.

/// Text as it stands.
pub(super) fn push_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Decimal, no padding.
pub(super) fn push_number(out: &mut Vec<u8>, mut n: u64) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (n % 10) as u8;
        n /= 10;
        if n == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

/// Decimal with a minus where due.
pub(super) fn push_signed(out: &mut Vec<u8>, n: i64) {
    if n < 0 {
        out.push(b'-');
    }
    push_number(out, n.unsigned_abs());
}

/// Decimal, padded with zeros to `width`; longer numbers stay whole.
pub(super) fn push_padded(out: &mut Vec<u8>, n: u64, width: u32) {
    let mut bound = 10;
    for _ in 1..width {
        if n < bound {
            out.push(b'0');
        }
        bound *= 10;
    }
    push_number(out, n);
}

/// The lowest `digits` hexadecimal digits of `n`, most significant first.
pub(super) fn push_hex(out: &mut Vec<u8>, n: u64, digits: u32) {
    for digit in (0..digits).rev() {
        out.push(b"0123456789abcdef"[(n >> (4 * digit)) as usize & 15]);
    }
}

/// A count of cents as units with two decimals.
pub(super) fn push_cents(out: &mut Vec<u8>, cents: u64) {
    push_number(out, cents / 100);
    out.push(b'.');
    push_padded(out, cents % 100, 2);
}

/// A count of parts, ten to the power of `decimals` to the unit, without zeros at the end.
pub(super) fn push_decimal(out: &mut Vec<u8>, parts: u64, decimals: u32) {
    let unit = 10_u64.pow(decimals);
    push_number(out, parts / unit);
    let (mut rest, mut width) = (parts % unit, decimals);
    while width > 0 && rest % 10 == 0 {
        rest /= 10;
        width -= 1;
    }
    if width > 0 {
        out.push(b'.');
        push_padded(out, rest, width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_are_exact_and_have_no_zeros_at_the_end() {
        for (parts, decimals, text) in
            [(0, 4, "0"), (29_850, 4, "2.985"), (100, 2, "1"), (5, 6, "0.000005"), (7, 0, "7")]
        {
            let mut out = Vec::new();
            push_decimal(&mut out, parts, decimals);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }

    #[test]
    fn numbers_read_as_the_standard_library_writes_them() {
        for n in [0, 7, 10, 99, 100, 12_345, u64::MAX] {
            let mut out = Vec::new();
            push_number(&mut out, n);
            out.push(b' ');
            push_signed(&mut out, (n as i64).wrapping_neg());
            out.push(b' ');
            push_padded(&mut out, n, 4);
            out.push(b' ');
            push_hex(&mut out, n, 16);
            out.push(b' ');
            push_cents(&mut out, n);
            let negative = (n as i64).wrapping_neg();
            let expected = format!("{n} {negative} {n:04} {n:016x} {}.{:02}", n / 100, n % 100);
            assert_eq!(String::from_utf8_lossy(&out), expected);
        }
    }
}
