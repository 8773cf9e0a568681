//! Objects that a run has yet to load.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use clickmill_source::Object;

/// Objects that are to be loaded.
#[derive(Default)]
pub(super) struct Waiting {
    /// Each with how often it was taken up again, since it was written anew.
    pub ahead: VecDeque<(Object, u32)>,
    /// Those that other runs have claimed.
    pub claimed: Vec<(Object, u32)>,
    /// How many objects of other runs were met since the ledger was asked.
    pub met: u32,
    /// Whether any was.
    is_shared: bool,
    /// Whether it was told which are waited for.
    pub is_told: bool,
}

impl Waiting {
    pub(super) fn len(&self) -> u64 {
        (self.ahead.len() + self.claimed.len()) as u64
    }

    /// Another run is at the same objects: from now on they are taken in an order of this run's own.
    pub(super) fn meet_another(&mut self) {
        self.met += 1;
        if !std::mem::replace(&mut self.is_shared, true) {
            let order = RandomState::new();
            let objects = self.ahead.make_contiguous();
            objects.sort_by_cached_key(|(object, _)| order.hash_one(&object.uri));
        }
    }
}
