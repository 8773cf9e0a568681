//! Parts of texts. What has a part that is in no text is in none of them: many values are told apart from
//! what a text has without looking for each.

/// Places for each part. So few of those that are not there share a place with one that is.
const PLACES_PER_PART: usize = 8;
const MIN_PLACES: usize = 1 << 10;
const MAX_PLACES: usize = 1 << 27;

/// The parts of a text, `N` bytes each, in their order, large letters of ASCII as small ones.
pub fn parts<const N: usize>(text: &[u8]) -> impl Iterator<Item = [u8; N]> {
    text.array_windows().map(|part: &[u8; N]| part.map(|byte| byte.to_ascii_lowercase()))
}

/// The parts of some texts, at most eight bytes each: a bit for each, which others may share. The longer they are,
/// the fewer does a text have by chance.
#[derive(Debug)]
pub struct Parts<const N: usize> {
    bits: Vec<u64>,
    shift: u32,
}

impl<const N: usize> Parts<N> {
    /// Those of these texts.
    pub fn of<'a, T>(texts: T) -> Self
    where
        T: IntoIterator<Item = &'a [u8], IntoIter: Clone>,
    {
        let texts = texts.into_iter();
        let bytes: usize = texts.clone().map(<[u8]>::len).sum();
        let places = bytes.saturating_mul(PLACES_PER_PART).clamp(MIN_PLACES, MAX_PLACES);
        let places = places.next_power_of_two();
        let mut all = Self { bits: vec![0; places / 64], shift: 64 - places.ilog2() };
        for part in texts.flat_map(parts) {
            let place = all.place(part);
            all.bits[place / 64] |= 1 << (place % 64);
        }
        all
    }

    /// Whether one of the texts may have a part.
    pub fn may_have(&self, part: [u8; N]) -> bool {
        let place = self.place(part);
        self.bits[place / 64] >> (place % 64) & 1 == 1
    }

    /// Whether a value may be in one of the texts, as far as its parts tell. A shorter one than a part may.
    pub fn may_hold(&self, value: &[u8]) -> bool {
        parts(value).all(|part| self.may_have(part))
    }

    fn place(&self, part: [u8; N]) -> usize {
        let number = part.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> self.shift) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<const N: usize>() {
        let texts = ["Ada Lovelace, u-4711".as_bytes(), b"abc", "zo\u{eb}".as_bytes()];
        let all = Parts::<N>::of(texts);
        for there in ["u-4711", "ADA LOVELACE", "abc", "zo\u{eb}", "x", ""] {
            assert!(all.may_hold(there.as_bytes()), "{there}");
        }
        let numbers = (0..1000).map(|n| format!("k1:{n:08x}"));
        let held = numbers.filter(|value| all.may_hold(value.as_bytes())).count();
        assert!(held < 10, "{held} of 1000");
    }

    #[test]
    fn what_is_in_a_text_may_be_there_and_most_else_may_not() {
        check::<4>();
        check::<6>();
        check::<8>();
    }
}
