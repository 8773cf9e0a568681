//! What a fleet's log comes to: which set is in effect, and which proposal is open. Of the same objects everybody
//! makes the same.

use std::collections::BTreeMap;

use super::objects::{Decision, Entry, Proposal};
use clickmill_core::Digest;

/// Entries from the first on, without a gap, and what was decided of them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    entries: BTreeMap<u64, Entry>,
    decisions: BTreeMap<u64, Decision>,
}

/// What a log comes to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The proposal that is in effect; 0 where none is.
    pub effect: u64,
    /// The set that is in effect; `None` where nothing was ever committed, so that the pipeline file counts.
    pub set: Option<Digest>,
    /// The proposal that is voted on.
    pub open: Option<u64>,
}

impl Log {
    /// The number of the last entry; 0 where there is none.
    pub(crate) fn last(&self) -> u64 {
        self.entries.last_key_value().map_or(0, |(number, _)| *number)
    }

    /// Adds the entry that comes next.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.insert(self.last() + 1, entry);
    }

    /// Adds what was decided of a proposal.
    pub(crate) fn decide(&mut self, number: u64, decision: Decision) {
        self.decisions.entry(number).or_insert(decision);
    }

    pub(crate) fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.get(&number)
    }

    pub(crate) fn proposal(&self, number: u64) -> Option<&Proposal> {
        match self.entries.get(&number)? {
            Entry::Proposal(proposal) => Some(proposal),
            Entry::Rollback(_) => None,
        }
    }

    pub(crate) fn decision(&self, number: u64) -> Option<&Decision> {
        self.decisions.get(&number)
    }

    /// The last rollback, where it is what put the present set into effect.
    pub(crate) fn rollback(&self) -> Option<&super::objects::Rollback> {
        match self.entries.last_key_value()? {
            (_, Entry::Rollback(rollback)) => Some(rollback),
            (_, Entry::Proposal(_)) => None,
        }
    }

    /// The entry that somebody may want to take back and that has gone already, by the last one: a canary that came to
    /// nothing, or what a replica has given up for all.
    pub(crate) fn gone_already(&self) -> Option<u64> {
        let (number, entry) = self.entries.last_key_value()?;
        match entry {
            Entry::Proposal(proposal) => {
                let decision = self.decisions.get(number);
                let is_gone =
                    proposal.trial().is_some() && decision.is_some_and(|decision| !decision.commit);
                is_gone.then_some(*number)
            }
            Entry::Rollback(rollback) => rollback.is_of_replica().then_some(rollback.of),
        }
    }

    /// What it comes to.
    pub(crate) fn state(&self) -> State {
        let mut state = State::default();
        for (number, entry) in &self.entries {
            match entry {
                Entry::Proposal(proposal)
                    if proposal.after == state.effect && state.runs(proposal) =>
                {
                    match self.decisions.get(number) {
                        Some(decision) if decision.commit => {
                            state.effect = *number;
                            state.set = Some(proposal.plugin_set.clone());
                        }
                        Some(_) => {}
                        None => {
                            state.open = Some(*number);
                            return state;
                        }
                    }
                }
                Entry::Rollback(rollback) if rollback.of == state.effect => {
                    if let Some(proposal) = self.proposal(rollback.of) {
                        state.effect = proposal.after;
                        state.set = Some(proposal.parent.clone());
                    }
                }
                // It follows what was in effect and is not any more.
                Entry::Proposal(_) | Entry::Rollback(_) => {}
            }
        }
        state
    }
}

impl State {
    /// Whether a proposal names what is in effect as its parent.
    fn runs(&self, proposal: &Proposal) -> bool {
        self.set.as_ref().is_none_or(|set| *set == proposal.parent)
    }
}
