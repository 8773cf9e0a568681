//! What the ledger was asked last, so that it need not be asked for each load by itself.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

/// For how long what the ledger said is taken for true, where it only saves work.
const FRESH: Duration = Duration::from_secs(10);
/// How many of the loads that are next are asked for once more: more than are begun before that is old too.
const NEXT: usize = 1000;
/// So many bytes of ids go into one question, of 15,000 loads. BigQuery takes a request of 10 MB with its
/// parameters, of which a text is one, however long. But of each load two rows may come back, and all of an
/// answer is in memory at once.
const MOST_BYTES: usize = 512 << 10;

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
                    ahead.filter(|id| self.open.contains_key(*id)).take(NEXT).cloned().collect(),
                )
            }
            None => Known::Ask(vec![load_id.to_owned()]),
        }
    }
}

/// The loads of one question after the other.
pub(super) fn questions(load_ids: &[String]) -> impl Iterator<Item = &[String]> {
    pages(load_ids, MOST_BYTES)
}

/// Ids by so many bytes at most, with what parts one from the next; at least one.
fn pages(load_ids: &[String], most: usize) -> impl Iterator<Item = &[String]> {
    let mut left = load_ids;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = left.iter().take_while(|id| {
            bytes += id.len() + 1;
            bytes <= most
        });
        let count = fit.count().max(1).min(left.len());
        let (page, rest) = left.split_at(count);
        left = rest;
        (!page.is_empty()).then_some(page)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_thousand_loads_are_one_question_and_more_are_cut_by_their_bytes() {
        let ids = |count| (0..count).map(|id| format!("{id:032x}")).collect::<Vec<String>>();
        let cut = |count, most| {
            let ids = ids(count);
            let pages: Vec<&[String]> = pages(&ids, most).collect();
            assert_eq!(pages.concat(), ids, "each is asked for once");
            pages.iter().map(|page| page.len()).collect::<Vec<usize>>()
        };
        assert_eq!(cut(10_000, MOST_BYTES), [10_000]);
        assert_eq!(cut(0, MOST_BYTES), [0; 0]);
        assert_eq!(cut(10, 3 * 33), [3, 3, 3, 1]);
        assert_eq!(cut(6, 4 * 33 - 1), [3, 3]);
        // One that is longer than a question may be is asked for all the same.
        assert_eq!(cut(2, 10), [1, 1]);
        assert!(questions(&ids(100_000)).count() < 10);
    }

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
    fn of_what_is_still_ahead_only_what_is_next_is_asked_for_once_more() {
        let ids: Vec<String> = (0..3 * NEXT).map(|id| id.to_string()).collect();
        let mut asked = Asked::default();
        asked.expect(ids.clone());
        asked.learn(&ids[..1001], &HashSet::from(["1000".to_owned()]));
        let ask = |id: &str| match asked.known_if(id, |_| false) {
            Known::Ask(ids) => ids,
            Known::Loaded(_) => Vec::new(),
        };
        assert_eq!(ask("999").len(), NEXT);
        assert_eq!(ask("999")[..2], ["999", "1001"]);
        assert_eq!(ask("2999"), ["2999"]);
        assert_eq!(ask("1000"), [""; 0]);
    }
}
