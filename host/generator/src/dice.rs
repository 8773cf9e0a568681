//! Seeded chance: uniform draws, weighted choices, long-tailed values.
//!
//! In: a seed and a purpose. Out: the same numbers on every machine. For that nothing here
//! calls the platform's `exp` or `ln`, whose last bits differ between systems: curves are
//! summed up from plain arithmetic, which IEEE 754 fixes to the bit. And ranges are computed
//! here, not by `rand`, so a new `rand` cannot change files already made. Not for secrets:
//! small ranges carry a bias of up to 2^-32 times their size.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub(super) struct Dice(ChaCha8Rng);

impl Dice {
    /// A stream of its own per `purpose`, so that drawing more for one thing moves no other.
    pub(super) fn new(seed: u64, purpose: &[u8; 8]) -> Self {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(purpose);
        Self(ChaCha8Rng::from_seed(key))
    }

    pub(super) fn u32(&mut self) -> u32 {
        self.0.next_u32()
    }

    pub(super) fn u64(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// 0 up to and without `n`; 0 if `n` is 0.
    pub(super) fn below(&mut self, n: u32) -> u32 {
        ((u64::from(self.u32()) * u64::from(n)) >> 32) as u32
    }

    /// As [`below`](Self::below), for ranges that may be larger than 32 bits.
    pub(super) fn below_u64(&mut self, n: u64) -> u64 {
        ((u128::from(self.u64()) * u128::from(n)) >> 64) as u64
    }

    /// True `n` times in a thousand.
    pub(super) fn per_mille(&mut self, n: u32) -> bool {
        self.below(1000) < n
    }

    pub(super) fn pick<T: Copy, const N: usize>(&mut self, of: &[T; N]) -> T {
        const { assert!(N > 0) };
        of[self.below(N as u32) as usize]
    }
}

/// Spreads a number over all 64 bits, one to one (the finisher of SplitMix64): lets whoever has
/// a number (user, product) have fixed traits without anything being stored per number.
pub(super) fn mix(n: u64) -> u64 {
    let n = n.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

/// A choice among up to 65,536 items by weight: one draw, one look-up.
pub(super) struct Weighted(Box<[u16]>);

impl Weighted {
    /// Shares are rounded to 1/16,384; an item below half of that is never chosen.
    const SLOTS: u32 = 1 << 14;

    pub(super) fn new(weights: impl IntoIterator<Item = f64>) -> Self {
        let weights: Vec<f64> = weights.into_iter().collect();
        let step = weights.iter().sum::<f64>() / f64::from(Self::SLOTS);
        let last = weights.len().saturating_sub(1);
        let (mut item, mut upto) = (0, weights.first().copied().unwrap_or(0.0));
        let slots = (0..Self::SLOTS).map(|slot| {
            while item < last && upto <= (f64::from(slot) + 0.5) * step {
                item += 1;
                upto += weights[item];
            }
            item as u16
        });
        Self(slots.collect())
    }

    pub(super) fn draw(&self, dice: &mut Dice) -> usize {
        self.at(dice.u32())
    }

    /// The item at `point` of 2^32 on the line on which items lie in order, as wide as they weigh.
    pub(super) fn at(&self, point: u32) -> usize {
        usize::from(self.0[(point >> (32 - Self::SLOTS.trailing_zeros())) as usize])
    }
}

/// Values along a curve, each equally likely.
pub(super) struct Curve(Box<[f32]>);

impl Curve {
    const POINTS: u32 = 1 << 12;

    /// Mean 1; largest value about 9.
    pub(super) fn exponential() -> Self {
        Self(quantiles(|x| exp(-x), 0.0, 12.0, |x| x))
    }

    /// `sigma` is the spread of the logarithm; largest value is the median times e^(3.7 sigma).
    pub(super) fn log_normal(median: f64, sigma: f64) -> Self {
        Self(quantiles(|x| exp(-x * x / 2.0), -6.0, 6.0, |x| median * exp(sigma * x)))
    }

    pub(super) fn draw(&self, dice: &mut Dice) -> f64 {
        f64::from(self.0[dice.below(Self::POINTS) as usize])
    }
}

/// Walks under `density` and notes, through `value`, where each equal part of its area has its
/// middle.
fn quantiles(
    density: impl Fn(f64) -> f64,
    from: f64,
    to: f64,
    value: impl Fn(f64) -> f64,
) -> Box<[f32]> {
    const STEPS: u32 = 1 << 13;
    let width = (to - from) / f64::from(STEPS);
    let area = |step: u32| density(from + (f64::from(step) + 0.5) * width);
    let part = (0..STEPS).map(area).sum::<f64>() / f64::from(Curve::POINTS);

    let (mut step, mut before, mut here) = (0, 0.0, area(0));
    (0..Curve::POINTS)
        .map(|point| {
            let wanted = (f64::from(point) + 0.5) * part;
            while before + here < wanted && step + 1 < STEPS {
                before += here;
                step += 1;
                here = area(step);
            }
            let within = (wanted - before) / here;
            value(from + (f64::from(step) + within) * width) as f32
        })
        .collect()
}

/// e^x from multiplications alone: a short series near 0, then squared back up.
fn exp(x: f64) -> f64 {
    let near = x / 1024.0;
    let series = (1..=8).rev().fold(1.0, |sum, n| 1.0 + sum * near / f64::from(n));
    (0..10).fold(series, |power, _| power * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close() {
        for x in [-20.0, -3.5, 0.0, 0.1, 1.0, 4.4] {
            let (ours, real) = (exp(x), f64::exp(x));
            assert!((ours - real).abs() <= real * 1e-9, "{x}: {ours} {real}");
        }
    }

    #[test]
    fn curves_have_their_mean_and_median() {
        let mean = |c: &Curve| c.0.iter().map(|v| f64::from(*v)).sum::<f64>() / 4096.0;
        let exponential = Curve::exponential();
        assert!((mean(&exponential) - 1.0).abs() < 0.01);
        let log_normal = Curve::log_normal(100.0, 0.5);
        assert!((f64::from(log_normal.0[2048]) - 100.0).abs() < 0.5);
        assert!((mean(&log_normal) - 100.0 * (0.125_f64).exp()).abs() < 1.0);
    }

    #[test]
    fn weighted_gives_each_its_share_and_takes_anything() {
        let mut seen = [0; 3];
        let table = Weighted::new([1.0, 0.0, 3.0]);
        let mut dice = Dice::new(1, b"testtest");
        (0..40_000).for_each(|_| seen[table.draw(&mut dice)] += 1);
        assert!((9_500..10_500).contains(&seen[0]) && seen[1] == 0, "{seen:?}");
        assert_eq!(Weighted::new([]).at(u32::MAX), 0);
        assert_eq!(Weighted::new([0.0, 0.0]).at(u32::MAX), 1);
    }

    /// Pinned, so that a new version of a dependency cannot quietly change generated files.
    #[test]
    fn draws_are_the_same_on_every_machine() {
        let mut dice = Dice::new(42, b"testtest");
        let drawn = [dice.u64(), dice.below(1000).into(), dice.below_u64(1 << 40)];
        assert_eq!(drawn, [9_379_337_395_487_828_932, 351, 917_060_271_415]);
        let curve = Curve::log_normal(120.0, 0.9);
        let bits = curve.0.iter().fold(0, |hash, v| mix(hash ^ u64::from(v.to_bits())));
        assert_eq!(bits, 16_403_072_970_606_154_892);
        assert_eq!([dice.below(0), dice.below_u64(0) as u32], [0, 0]);
    }
}
