//! What the ledger was asked last, so that it need not be asked for each load by itself.

use std::collections::HashSet;
use std::time::{Duration, Instant};

/// For how long what the ledger said is taken for true, where it only saves work.
const FRESH: Duration = Duration::from_secs(10);

/// What the ledger was asked last.
#[derive(Debug, Default)]
pub(super) struct Asked {
    at: Option<Instant>,
    /// Loads that had not happened.
    open: Vec<String>,
    /// Of those that were open once: loads that have happened since.
    loaded: HashSet<String>,
}

/// What is known of a load without asking.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Whether it has happened.
    Loaded(bool),
    /// Nothing. These are to be asked for, this one among them.
    Ask(Vec<String>),
}

impl Asked {
    /// The ledger has said which of some loads have happened.
    pub(super) fn learn(&mut self, load_ids: &[String], loaded: &HashSet<String>) {
        let open = load_ids.iter().filter(|id| !loaded.contains(*id)).cloned().collect();
        let were_open = std::mem::replace(&mut self.open, open);
        self.loaded.extend(were_open.into_iter().filter(|id| loaded.contains(id)));
        self.at = Some(Instant::now());
    }

    /// What is known of a load.
    pub(super) fn known(&self, load_id: &str) -> Known {
        if self.loaded.contains(load_id) {
            return Known::Loaded(true);
        }
        let was_open = self.open.iter().any(|open| open == load_id);
        match (was_open, self.at) {
            (true, Some(at)) if at.elapsed() < FRESH => Known::Loaded(false),
            (true, _) => Known::Ask(self.open.clone()),
            (false, _) => Known::Ask(vec![load_id.to_owned()]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_does_for_all_that_were_asked_for() {
        let ids = ["a", "b", "c"].map(str::to_owned);
        let mut asked = Asked::default();
        assert_eq!(asked.known("a"), Known::Ask(vec!["a".to_owned()]));
        asked.learn(&ids, &HashSet::from(["a".to_owned()]));
        assert_eq!(asked.known("b"), Known::Loaded(false));
        // It was loaded before anybody began: nobody asks for it.
        assert_eq!(asked.known("a"), Known::Ask(vec!["a".to_owned()]));
        asked.learn(&ids[1..], &HashSet::from(["b".to_owned()]));
        assert_eq!(asked.known("b"), Known::Loaded(true));
        assert_eq!(asked.known("c"), Known::Loaded(false));
    }
}
