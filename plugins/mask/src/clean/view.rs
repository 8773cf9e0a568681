//! A text as it is meant: the finders see it decoded, what they find is replaced where it is written.

use std::ops::Range;

/// Where a byte of a decoded text comes from.
#[derive(Debug, Clone, Copy)]
struct Origin {
    /// Where it, or the escape that stands for it, begins in the value.
    start: u32,
    level: Level,
}

/// How deep an escape lies. What stands at a deeper level than its surroundings belongs to a value there
/// and delimits nothing: `&` ends a parameter, `%26` is part of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Level {
    /// How many times percent-encoded.
    pub percent: u8,
    /// For a quote, how many backslashes are before it.
    pub slashes: u8,
}

impl Level {
    /// Deeper ones count as this deep: nobody writes them, and time stays linear.
    const MAX: u8 = 7;

    pub(super) fn deeper(self, by: Self) -> Self {
        Self {
            percent: self.percent.saturating_add(by.percent).min(Self::MAX),
            slashes: self.slashes.saturating_add(by.slashes).min(Self::MAX),
        }
    }

    /// Whether a quote of this level ends what one of another level began.
    pub(super) fn closes(self, opening: Self) -> bool {
        self.percent <= opening.percent && self.slashes <= opening.slashes
    }
}

/// A text, or a part of one, that knows where it stands in the value.
#[derive(Debug, Clone, Copy)]
pub(super) struct View<'a> {
    bytes: &'a [u8],
    /// One for each byte, and one for the end. None where the text is part of the value as it is.
    origins: &'a [Origin],
    /// Where the text begins in the value, if it is part of it as it is.
    base: usize,
}

impl<'a> View<'a> {
    /// A whole value.
    pub(super) fn of(value: &'a [u8]) -> Self {
        Self { bytes: value, origins: &[], base: 0 }
    }

    pub(super) fn bytes(self) -> &'a [u8] {
        self.bytes
    }

    pub(super) fn slice(self, range: Range<usize>) -> Self {
        let origins = match self.origins {
            [] => &[],
            origins => &origins[range.start..=range.end],
        };
        Self { bytes: &self.bytes[range.clone()], origins, base: self.base + range.start }
    }

    pub(super) fn rest(self, start: usize) -> Self {
        self.slice(start..self.bytes.len())
    }

    /// Where the byte at this place, or the end, is written in the value.
    pub(super) fn source(self, at: usize) -> usize {
        self.origins.get(at).map_or(self.base + at, |origin| origin.start as usize)
    }

    pub(super) fn level(self, at: usize) -> Level {
        self.origins.get(at).map_or_else(Level::default, |origin| origin.level)
    }

    /// How many times the byte at this place is percent-encoded.
    pub(super) fn percent(self, at: usize) -> u8 {
        self.level(at).percent
    }
}

/// A text that was decoded.
#[derive(Debug, Default)]
pub(super) struct Decoded {
    bytes: Vec<u8>,
    origins: Vec<Origin>,
}

impl Decoded {
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.origins.clear();
    }

    /// Adds a part of a text as it is.
    pub(super) fn copy(&mut self, from: View<'_>, range: Range<usize>) {
        self.bytes.extend_from_slice(&from.bytes[range.clone()]);
        match from.origins {
            [] => {
                let starts = range.map(|at| (from.base + at) as u32);
                let level = Level::default();
                self.origins.extend(starts.map(|start| Origin { start, level }));
            }
            origins => self.origins.extend_from_slice(&origins[range]),
        }
    }

    /// Adds what an escape at a place of a text stands for, which is that much deeper than the escape.
    pub(super) fn push(&mut self, from: View<'_>, at: usize, decoded: &[u8], deeper: Level) {
        self.bytes.extend_from_slice(decoded);
        let level = from.level(at).deeper(deeper);
        let origin = Origin { start: from.source(at) as u32, level };
        self.origins.extend(decoded.iter().map(|_| origin));
    }

    /// Adds the end of a text: the last that is added.
    pub(super) fn end(&mut self, from: View<'_>) {
        let start = from.source(from.bytes.len()) as u32;
        self.origins.push(Origin { start, level: Level::default() });
    }

    pub(super) fn view(&self) -> View<'_> {
        View { bytes: &self.bytes, origins: &self.origins, base: 0 }
    }
}
