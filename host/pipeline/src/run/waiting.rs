//! Objects that a run has yet to load.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};

use clickmill_source::Object;

/// After so many objects that other runs have, the ledger is asked what else they have loaded.
const MET: u32 = 8;
/// Of how many objects the ledger tells in an answer, as a store in a page of a listing. To ask for all that are
/// left is not to cost more than it spares.
const TOLD_AT_ONCE: usize = 1000;

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

    /// Whether so many objects of other runs were met that the ledger is to be asked what else they have loaded.
    pub(super) fn has_met_enough(&self) -> bool {
        self.met as usize >= (self.ahead.len() / TOLD_AT_ONCE).max(MET as usize)
    }

    /// Another run is at the same objects: from now on they are taken in an order of this run's own.
    pub(super) fn meet_another(&mut self) {
        self.met = self.met.saturating_add(1);
        if !std::mem::replace(&mut self.is_shared, true) {
            let order = RandomState::new();
            let objects = self.ahead.make_contiguous();
            objects.sort_by_cached_key(|(object, _)| order.hash_one(&object.uri));
            // What was asked for ahead of its turn, in the order before, says nothing of what comes next now.
            self.met = u32::MAX;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// How many answers of the ledger so many runs want that share so many objects, turn by turn.
    fn answers(runs: usize, objects: usize) -> usize {
        let object = |at: usize| {
            let mut object = Object::stdin();
            object.uri = at.to_string();
            (object, 0)
        };
        let all = || (0..objects).map(object).collect();
        let mut runs: Vec<Waiting> =
            (0..runs).map(|_| Waiting { ahead: all(), ..Waiting::default() }).collect();
        let (mut loaded, mut answers) = (HashSet::new(), 0);
        while runs.iter().any(|run| !run.ahead.is_empty()) {
            for run in &mut runs {
                if run.has_met_enough() {
                    answers += 1 + run.ahead.len() / TOLD_AT_ONCE;
                    run.met = 0;
                    run.ahead.retain(|(object, _)| !loaded.contains(&object.uri));
                }
                let Some((object, _)) = run.ahead.pop_front() else { continue };
                if !loaded.insert(object.uri) {
                    run.meet_another();
                }
            }
        }
        assert_eq!(loaded.len(), objects);
        answers
    }

    #[test]
    fn runs_that_share_more_objects_do_not_ask_the_ledger_more_often_for_each() {
        let (few, many) = (answers(4, 8_000), answers(4, 64_000));
        assert!(few < 8_000 / 18, "{few}");
        assert!(many < 64_000 / 18, "{many}");
    }
}
