//! What a replica does next. A function of what is seen and of the replica itself: no time, no input or output.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::log::Log;
use super::objects::{MAX_REPLICAS, Vote};
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
    /// What it tries out beside that.
    pub trial: Option<Trial>,
}

/// A proposal that a replica tries out, as one of its canaries.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    pub number: u64,
    /// How long it has run.
    pub ran: Duration,
    /// Why it has gone back from it by itself.
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
    /// Who tries it out, once they are named.
    pub canaries: Option<Canaries<'a>>,
}

/// The replicas that try the open proposal out.
pub(crate) struct Canaries<'a> {
    pub replicas: &'a BTreeSet<String>,
    /// What they say of it.
    pub verdicts: &'a BTreeMap<String, Vote>,
    /// How long it has been seen that they are named.
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
    /// It is named who tries proposal `number` out, before the others take it up.
    Name { number: u64, replicas: BTreeSet<String> },
    /// Proposal `number` is tried out here.
    Begin { number: u64 },
    /// Proposal `number` has been tried out here, and nothing speaks against it.
    Conclude { number: u64 },
    /// Proposal `number` has been tried out here, and was not good.
    GiveUp { number: u64, why: String },
    /// What is tried out came to nothing: it makes way for what runs beside it.
    Leave { number: u64 },
    /// Proposal `number` is decided.
    Decide { number: u64, commit: bool, why: String },
    /// The set in effect is taken back everywhere.
    RollBack { of: u64, why: String },
}

/// What a replica does next, that gives a proposal so much time.
pub(crate) fn next(me: &Me, seen: &Seen<'_>, deadline: Duration) -> Step {
    let state = seen.log.state();
    if let Some(trial) = &me.trial
        && ![state.open, Some(state.effect)].contains(&Some(trial.number))
    {
        return Step::Leave { number: trial.number };
    }
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
    let missing: Vec<&str> = seen
        .live
        .iter()
        .map(String::as_str)
        .filter(|name| !seen.votes.contains_key(*name))
        .collect();
    let all_said_ok = missing.is_empty() && seen.votes.contains_key(&me.name);
    match (proposal.trial(), &seen.canaries) {
        (Some((_, time)), Some(canaries)) => {
            if let Some(step) = tried_out(me, number, time, canaries, all_said_ok, deadline) {
                return step;
            }
        }
        // The last vote may come with the deadline.
        (Some((replicas, _)), None) if all_said_ok && seen.waited < 2 * deadline => {
            return Step::Name { number, replicas: first(seen.live, replicas) };
        }
        (Some(_), None) if all_said_ok => {
            let why = format!(
                "the deadline of {deadline:?} is over, and who tries it out could not be written down"
            );
            return Step::Decide { number, commit: false, why };
        }
        (None, _) if all_said_ok => {
            let why = format!("{} replicas said ok", seen.votes.len());
            return Step::Decide { number, commit: true, why };
        }
        _ if seen.waited >= deadline => {
            let why =
                format!("the deadline of {deadline:?} is over without a vote of {}", ten(&missing));
            return Step::Decide { number, commit: false, why };
        }
        _ => {}
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

/// What a replica says that had nothing to try a proposal out on.
pub(crate) const NO_ROWS: &str = "no rows came in that time: it has tried nothing";

/// Why a proposal comes to nothing that a replica has tried out and given up.
pub(crate) fn given_up(replica: &str, why: &str) -> String {
    format!("{replica} gives it up: {why}")
}

/// What is done next of a proposal that some replicas try out; `None` where nothing is, but to vote.
fn tried_out(
    me: &Me,
    number: u64,
    time: Duration,
    canaries: &Canaries<'_>,
    all_said_ok: bool,
    deadline: Duration,
) -> Option<Step> {
    let Canaries { replicas, verdicts, waited } = canaries;
    let decide = |commit, why| Some(Step::Decide { number, commit, why });
    if replicas.is_empty() {
        return decide(false, "what was written of who tries it out cannot be read".to_owned());
    }
    let against =
        |(name, verdict): (&String, &Vote)| (!verdict.ok).then(|| given_up(name, &verdict.why));
    if let Some(why) = verdicts.iter().find_map(against) {
        return decide(false, why);
    }
    match me.trial.as_ref().filter(|trial| trial.number == number) {
        Some(Trial { gave_up: Some(why), .. }) => {
            return Some(Step::GiveUp { number, why: why.clone() });
        }
        Some(trial) if trial.ran >= time && !verdicts.contains_key(&me.name) => {
            return Some(Step::Conclude { number });
        }
        None if replicas.contains(&me.name) => return Some(Step::Begin { number }),
        Some(_) | None => {}
    }
    let missing = replicas.iter().map(String::as_str).filter(|name| !verdicts.contains_key(*name));
    let missing: Vec<&str> = missing.collect();
    if missing.is_empty() && all_said_ok {
        let mut why = format!("{} replicas have tried it out", replicas.len());
        let is_in_vain =
            |name: &&String| verdicts.get(*name).is_some_and(|verdict| verdict.why == NO_ROWS);
        let in_vain = replicas.iter().filter(is_in_vain).count();
        if in_vain > 0 {
            why += &format!(", {in_vain} of them without a row");
        }
        return decide(true, why);
    }
    if *waited >= time + deadline {
        let why = format!("{time:?} of the canary and the deadline of {deadline:?} are over");
        return decide(
            false,
            match missing.as_slice() {
                [] => format!("{why} without the vote of one that has come since"),
                missing => format!("{why} without a word of {}", ten(missing)),
            },
        );
    }
    None
}

/// The first replicas by name, so many of them: a share below 1, else their number. At least one.
fn first(live: &BTreeSet<String>, replicas: f64) -> BTreeSet<String> {
    // As floats multiply, 7 % of 100 are a little more than 7.
    let share = || (live.len() as f64 * replicas - 1e-9).ceil();
    let wanted = if replicas < 1.0 { share() } else { replicas };
    let wanted = (wanted as usize).clamp(1, MAX_REPLICAS);
    live.iter().take(wanted).cloned().collect()
}

/// Names for a line.
fn ten(names: &[&str]) -> String {
    names.iter().take(10).copied().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
