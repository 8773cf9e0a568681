//! What a replica does next. A function of what is seen and of the replica itself: no time, no input or output.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::log::Log;
use super::objects::Vote;
use clickmill_core::Digest;

/// A replica.
#[derive(Debug, Clone)]
pub(crate) struct Me {
    pub name: String,
    /// The set that it runs.
    pub running: Digest,
    /// The entry whose set that is; 0 where it is the one before all entries.
    pub follows: u64,
    /// Why it has gone back from the set of that entry by itself.
    pub gave_up: Option<String>,
}

/// What it sees.
pub(crate) struct Seen<'a> {
    pub log: &'a Log,
    /// On the proposal that is open.
    pub votes: &'a BTreeMap<String, Vote>,
    /// Replicas that are waited for.
    pub live: &'a BTreeSet<String>,
    /// How long the open proposal has been seen.
    pub waited: Duration,
}

/// What is done next.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Nothing, until something is seen.
    Rest,
    /// The set of this entry is taken up, or what was before the first.
    Follow { entry: u64, set: Digest },
    /// Proposal `number` is tried on, and voted on.
    Try { number: u64, set: Digest },
    /// Proposal `number` is refused without a look.
    Refuse { number: u64, why: String },
    /// Proposal `number` is decided.
    Decide { number: u64, commit: bool, why: String },
    /// The set in effect is taken back everywhere.
    RollBack { of: u64, why: String },
}

/// What a replica does next, that gives a proposal so much time.
pub(crate) fn next(me: &Me, seen: &Seen<'_>, deadline: Duration) -> Step {
    let state = seen.log.state();
    if state.effect != me.follows {
        return match state.set {
            Some(set) => Step::Follow { entry: state.effect, set },
            // No log comes to that.
            None => Step::Rest,
        };
    }
    if let Some(why) = &me.gave_up {
        if state.effect == 0 {
            // There is nothing that all could go back to: what was before the first runs here again.
            return state.set.map_or(Step::Rest, |set| Step::Follow { entry: 0, set });
        }
        return match state.open {
            Some(number) => {
                let why = format!("{} goes back from what runs: {why}", me.name);
                Step::Decide { number, commit: false, why }
            }
            None => Step::RollBack { of: state.effect, why: why.clone() },
        };
    }
    let Some((number, proposal)) =
        state.open.and_then(|number| Some((number, seen.log.proposal(number)?)))
    else {
        return Step::Rest;
    };
    if let Some((name, vote)) = seen.votes.iter().find(|(_, vote)| !vote.ok) {
        let why = format!("{name} refuses it: {}", vote.why);
        return Step::Decide { number, commit: false, why };
    }
    let missing = seen.live.iter().filter(|name| !seen.votes.contains_key(*name));
    let missing: Vec<&str> = missing.map(String::as_str).collect();
    if missing.is_empty() && seen.votes.contains_key(&me.name) {
        let why = format!("{} replicas said ok", seen.votes.len());
        return Step::Decide { number, commit: true, why };
    }
    if seen.waited >= deadline {
        let names = missing.iter().take(10).copied().collect::<Vec<_>>().join(", ");
        let why = format!("the deadline of {deadline:?} is over without a vote of {names}");
        return Step::Decide { number, commit: false, why };
    }
    if !seen.votes.contains_key(&me.name) {
        return if proposal.parent == me.running {
            Step::Try { number, set: proposal.plugin_set.clone() }
        } else {
            let why = format!(
                "it runs plugin set {}, and what is proposed is to follow {}",
                me.running, proposal.parent
            );
            Step::Refuse { number, why }
        };
    }
    Step::Rest
}

#[cfg(test)]
mod tests;
