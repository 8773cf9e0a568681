//! A bound on how long values are looked for in a text: an event, or a plugin, may send millions of values
//! together with megabytes of text.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashSet;

use clickmill_core::parts::Parts;

/// So many values are looked for as they come. Of more, most are told apart by their parts first.
const FEW: usize = 16;
/// Of those that their parts do not tell apart, so many different ones are looked for in the texts of a record, or
/// of a row. The others would mostly be there.
const MAX_DIFFERENT: usize = 128;

/// How long the parts are by which a value is told apart that is as long: numbers have shorter ones in common with
/// many a text.
const SHORT: usize = 4;
const MIDDLE: usize = 6;
const LONG: usize = 8;

/// What is known of a value that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Known {
    /// It is not there.
    Absent,
    /// It may be there: look.
    Unknown,
    /// There are too many to look for.
    TooMany,
}

/// How much was looked for in some texts.
#[derive(Debug, Default)]
pub(super) struct Search {
    values: Cell<usize>,
    /// Those of the values beyond the first few that were not there.
    absent: RefCell<HashSet<Box<str>>>,
    short: OnceCell<Parts<SHORT>>,
    middle: OnceCell<Parts<MIDDLE>>,
    long: OnceCell<Parts<LONG>>,
}

impl Search {
    /// Begins anew, in other texts.
    pub(super) fn begin(&mut self) {
        if self.are_many() {
            *self = Self::default();
        } else {
            self.values.set(0);
        }
    }

    /// Whether so many values were looked for that what is cheaper than to look comes first.
    pub(super) fn are_many(&self) -> bool {
        self.values.get() >= FEW
    }

    /// What is known of a value, in any of its spellings, before it is looked for. `key` is the value with all else
    /// that counts. `texts` are all spellings of what it is looked for in.
    pub(super) fn known<T: AsRef<[u8]>>(
        &self,
        key: &str,
        spelled: &[&str],
        texts: impl FnOnce() -> Vec<T>,
    ) -> Known {
        if !self.are_many() {
            self.values.set(self.values.get() + 1);
            return Known::Unknown;
        }
        let may_be_there = match spelled.iter().map(|value| value.len()).min() {
            Some(LONG..) => may_hold(&self.long, spelled, texts),
            Some(MIDDLE..) => may_hold(&self.middle, spelled, texts),
            Some(SHORT..) => may_hold(&self.short, spelled, texts),
            _ => true,
        };
        if !may_be_there || self.absent.borrow().contains(key) {
            return Known::Absent;
        }
        if self.values.get() >= FEW + MAX_DIFFERENT {
            return Known::TooMany;
        }
        self.values.set(self.values.get() + 1);
        Known::Unknown
    }

    /// A value was looked for, and is not there.
    pub(super) fn was_absent(&self, key: &str) {
        if self.are_many() {
            self.absent.borrow_mut().insert(key.into());
        }
    }
}

/// Whether the texts may hold a value in one of its spellings. Their parts are found once.
fn may_hold<const N: usize, T: AsRef<[u8]>>(
    known: &OnceCell<Parts<N>>,
    spelled: &[&str],
    texts: impl FnOnce() -> Vec<T>,
) -> bool {
    let parts = known.get_or_init(|| Parts::of(texts().iter().map(T::as_ref)));
    spelled.iter().any(|value| parts.may_hold(value.as_bytes()))
}
