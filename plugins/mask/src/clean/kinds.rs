//! A set of kinds of data.

use super::span::Mark;
use crate::config::Kind;

/// Which kinds are cleaned.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kinds(u8);

impl Kinds {
    pub(super) fn of(kinds: &[Kind]) -> Self {
        Self(kinds.iter().fold(0, |set, kind| set | bit(*kind)))
    }

    pub(super) fn contain(self, kind: Kind) -> bool {
        self.0 & bit(kind) != 0
    }

    pub(super) fn any_of(self, kinds: &[Kind]) -> bool {
        kinds.iter().any(|kind| self.contain(*kind))
    }

    /// Whether one of them is what a telling name announces by this mark.
    pub(super) fn contain_named(self, mark: Mark) -> bool {
        self.contain(if mark == Mark::Phone { Kind::Phone } else { Kind::Token })
    }

    pub(super) fn without(self, kind: Kind) -> Self {
        Self(self.0 & !bit(kind))
    }

    pub(super) fn is_empty(self) -> bool {
        self.0 == 0
    }
}

fn bit(kind: Kind) -> u8 {
    1 << kind as u8
}
