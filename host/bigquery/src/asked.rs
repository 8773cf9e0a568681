//! What the ledger was asked last, so that it need not be asked for each load by itself.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// For how long what the ledger said is taken for true, where it only saves work.
const FRESH: Duration = Duration::from_secs(10);
/// How many loads the ledger is asked for at once.
pub(super) const PAGE: usize = 1000;

/// What the ledger was asked last.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Loads that are to be begun, in this order.
    ahead: Vec<String>,
    /// Of those, the ones that have not happened.
    open: HashMap<String, Open>,
    /// Of those, the ones that have happened since.
    loaded: HashSet<String>,
}

/// A load that has not happened.
#[derive(Debug)]
struct Open {
    /// Its place among those that are to be begun.
    at: usize,
    /// When the ledger said so.
    said: Instant,
}

/// What is known of a load without asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Whether it has happened.
    Loaded(bool),
    /// Nothing. These are to be asked for, this one first.
    Ask(Vec<String>),
}

impl Asked {
    /// The ledger has just said that these have not happened, which are to be begun in this order.
    pub(super) fn expect(&mut self, load_ids: Vec<String>) {
        let said = Instant::now();
        let open = load_ids.iter().enumerate().map(|(at, id)| (id.clone(), Open { at, said }));
        *self = Self { open: open.collect(), ahead: load_ids, loaded: HashSet::new() };
    }

    /// The ledger has said which of some loads have happened.
    pub(super) fn learn(&mut self, load_ids: &[String], loaded: &HashSet<String>) {
        for id in load_ids {
            if !loaded.contains(id) {
                self.open.entry(id.clone()).and_modify(|open| open.said = Instant::now());
            } else if self.open.remove(id).is_some() {
                self.loaded.insert(id.clone());
            }
        }
    }

    /// What is known of a load.
    pub(super) fn known(&self, load_id: &str) -> Known {
        self.known_if(load_id, |open| open.said.elapsed() < FRESH)
    }

    fn known_if(&self, load_id: &str, is_fresh: impl Fn(&Open) -> bool) -> Known {
        if self.loaded.contains(load_id) {
            return Known::Loaded(true);
        }
        match self.open.get(load_id) {
            Some(open) if is_fresh(open) => Known::Loaded(false),
            // What is behind it was begun before.
            Some(open) => {
                let ahead = self.ahead[open.at..].iter();
                Known::Ask(
                    ahead.filter(|id| self.open.contains_key(*id)).take(PAGE).cloned().collect(),
                )
            }
            None => Known::Ask(vec![load_id.to_owned()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_does_for_all_that_were_asked_for() {
        let ids = ["b", "c", "d"].map(str::to_owned);
        let mut asked = Asked::default();
        assert_eq!(asked.known("b"), Known::Ask(vec!["b".to_owned()]));
        asked.expect(ids.to_vec());
        assert_eq!(asked.known("b"), Known::Loaded(false));
        // It was loaded before anybody began: nobody asks for it.
        assert_eq!(asked.known("a"), Known::Ask(vec!["a".to_owned()]));
        asked.learn(&ids, &HashSet::from(["b".to_owned()]));
        assert_eq!(asked.known("b"), Known::Loaded(true));
        assert_eq!(asked.known("c"), Known::Loaded(false));
        // Another answer takes nothing away from this one.
        asked.learn(&["a".to_owned()], &HashSet::new());
        assert_eq!(asked.known("c"), Known::Loaded(false));
    }

    #[test]
    fn what_is_still_ahead_is_asked_for_a_page_at_a_time() {
        let ids: Vec<String> = (0..3 * PAGE).map(|id| id.to_string()).collect();
        let mut asked = Asked::default();
        asked.expect(ids.clone());
        asked.learn(&ids[..1001], &HashSet::from(["1000".to_owned()]));
        let ask = |id: &str| match asked.known_if(id, |_| false) {
            Known::Ask(ids) => ids,
            Known::Loaded(_) => Vec::new(),
        };
        assert_eq!(ask("999").len(), PAGE);
        assert_eq!(ask("999")[..2], ["999", "1001"]);
        assert_eq!(ask("2999"), ["2999"]);
        assert_eq!(ask("1000"), [""; 0]);
    }
}
