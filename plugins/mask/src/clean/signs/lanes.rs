//! Sixteen bytes side by side: in a component one of Wasm's vectors, elsewhere, for tests, an array.

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use std::arch::wasm32 as wasm;

/// How many bytes lie side by side.
pub(super) const LANES: usize = 16;

/// Sixteen bytes.
#[derive(Clone, Copy)]
pub(super) struct Lanes(Vector);

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
type Vector = wasm::v128;

#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
impl Lanes {
    #[inline(always)]
    pub(super) fn of(bytes: &[u8; LANES]) -> Self {
        let [low, high] = [0, 8].map(|at| {
            let word = bytes[at..].first_chunk().copied().unwrap_or_default();
            u64::from_le_bytes(word)
        });
        Self(wasm::u64x2(low, high))
    }

    #[inline(always)]
    pub(super) fn all(byte: u8) -> Self {
        Self(wasm::u8x16_splat(byte))
    }

    #[inline(always)]
    pub(super) fn and(self, other: Self) -> Self {
        Self(wasm::v128_and(self.0, other.0))
    }

    #[inline(always)]
    pub(super) fn or(self, other: Self) -> Self {
        Self(wasm::v128_or(self.0, other.0))
    }

    /// All bits where a lane is a byte, none elsewhere.
    #[inline(always)]
    pub(super) fn is(self, byte: u8) -> Self {
        Self(wasm::i8x16_eq(self.0, wasm::u8x16_splat(byte)))
    }

    /// All bits where a lane is less than a number, none elsewhere.
    #[inline(always)]
    pub(super) fn is_below(self, number: u8) -> Self {
        Self(wasm::u8x16_lt(self.0, wasm::u8x16_splat(number)))
    }

    #[inline(always)]
    pub(super) fn not(self) -> Self {
        Self(wasm::v128_not(self.0))
    }

    /// Each lane plus a number, without what is carried.
    #[inline(always)]
    pub(super) fn plus(self, number: u8) -> Self {
        Self(wasm::i8x16_add(self.0, wasm::u8x16_splat(number)))
    }

    /// Each lane's bits one higher.
    #[inline(always)]
    pub(super) fn twice(self) -> Self {
        Self(wasm::i8x16_add(self.0, self.0))
    }

    /// The upper four bits of each lane, as a number.
    #[inline(always)]
    pub(super) fn upper(self) -> Self {
        Self(wasm::u8x16_shr(self.0, 4))
    }

    /// For each lane that lane of a table, 0 where there is none.
    #[inline(always)]
    pub(super) fn of_table(self, table: Self) -> Self {
        Self(wasm::i8x16_swizzle(table.0, self.0))
    }

    /// The lanes one further on, the last one of those before in front.
    #[inline(always)]
    pub(super) fn behind(self, before: Self) -> Self {
        Self(wasm::i8x16_shuffle::<15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30>(
            before.0, self.0,
        ))
    }

    /// The bits that any lane has.
    #[inline(always)]
    pub(super) fn any(self) -> u8 {
        let word = wasm::u64x2_extract_lane::<0>(self.0) | wasm::u64x2_extract_lane::<1>(self.0);
        let half = word | word >> 32;
        let quarter = half | half >> 16;
        (quarter | quarter >> 8) as u8
    }
}

#[cfg(not(target_arch = "wasm32"))]
type Vector = [u8; LANES];

#[cfg(not(target_arch = "wasm32"))]
impl Lanes {
    pub(super) fn of(bytes: &[u8; LANES]) -> Self {
        Self(*bytes)
    }

    pub(super) fn all(byte: u8) -> Self {
        Self([byte; LANES])
    }

    pub(super) fn and(self, other: Self) -> Self {
        self.with(other, |a, b| a & b)
    }

    pub(super) fn or(self, other: Self) -> Self {
        self.with(other, |a, b| a | b)
    }

    pub(super) fn is(self, byte: u8) -> Self {
        Self(self.0.map(|lane| if lane == byte { 0xFF } else { 0 }))
    }

    pub(super) fn is_below(self, number: u8) -> Self {
        Self(self.0.map(|lane| if lane < number { 0xFF } else { 0 }))
    }

    pub(super) fn not(self) -> Self {
        Self(self.0.map(|lane| !lane))
    }

    pub(super) fn plus(self, number: u8) -> Self {
        Self(self.0.map(|lane| lane.wrapping_add(number)))
    }

    pub(super) fn twice(self) -> Self {
        Self(self.0.map(|lane| lane << 1))
    }

    pub(super) fn upper(self) -> Self {
        Self(self.0.map(|lane| lane >> 4))
    }

    pub(super) fn of_table(self, table: Self) -> Self {
        Self(self.0.map(|lane| table.0.get(usize::from(lane)).copied().unwrap_or(0)))
    }

    pub(super) fn behind(self, before: Self) -> Self {
        let mut behind = self.0;
        behind.rotate_right(1);
        behind[0] = before.0[LANES - 1];
        Self(behind)
    }

    pub(super) fn any(self) -> u8 {
        self.0.iter().fold(0, |any, lane| any | lane)
    }

    fn with(self, other: Self, of: impl Fn(u8, u8) -> u8) -> Self {
        let mut lanes = self.0;
        lanes.iter_mut().zip(other.0).for_each(|(lane, other)| *lane = of(*lane, other));
        Self(lanes)
    }
}
