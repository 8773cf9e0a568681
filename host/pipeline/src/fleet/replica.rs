//! A process of a fleet, on threads of its own beside the run: it gives signs of life, looks at the log, votes, decides
//! and follows. Nothing here is waited for by a batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::canary::{Canaries, Trial, gave_up};
use super::error::FleetError;
use super::follow::{self, Tried};
use super::log::Log;
use super::machine::{self, Me, Seen, Step};
use super::objects::{self, Decision, Entry, Life, Proposal, Rollback, Vote};
use super::place::Sign;
use super::standing::{GONE_AFTER, Member, Standing};
use crate::context::Context;
use crate::swap::Swaps;
use crate::swap::gate::Passed;
use crate::threads::Threads;
use crate::versions::version::VersionRecord;
use clickmill_core::{Digest, Micros, causes};

/// While a proposal is open it is looked so much more often.
const OFTENER: u32 = 5;
/// Old signs of life of its own that a replica removes with each new one.
const SIGNS_REMOVED: u64 = 4;
/// How long nothing was heard of a replica whose last sign of life is removed.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// Has a process take part in its fleet, if it is of one, as long as its pipeline is there.
pub(crate) fn join(context: &Arc<Context>, threads: &Threads) {
    let Some(member) = &context.fleet else { return };
    let (alive, member) = (context.clone(), member.clone());
    let since = Micros::now().to_the_second();
    let signs = member.clone();
    threads.spawn("fleet signs", move |end| {
        let interval = alive.pipeline.swap.fleet_interval;
        // A sign that failed may be there all the same, and so may one whose removal failed: none below `oldest` is.
        let (mut oldest, mut number, mut is_told) = (1, 0, false);
        loop {
            number += 1;
            match signs.place.live(&signs.name, number, life(&alive, &signs, &since)) {
                Ok(()) => {
                    is_told = false;
                    // Few at a time: the next sign is due. The one before it stays, for who has listed it and
                    // not read it yet, and for who lists a folder while files come and go.
                    let last = (number - 1).min(oldest + SIGNS_REMOVED);
                    while oldest < last {
                        if let Err(error) = signs.place.forget(&signs.name, oldest) {
                            tracing::debug!(error = causes(&error), "an old sign of life stays");
                            break;
                        }
                        oldest += 1;
                    }
                }
                Err(error) if !std::mem::replace(&mut is_told, true) => {
                    tracing::warn!(error = causes(&error), "no sign of life reaches the fleet");
                }
                Err(_) => {}
            }
            if end.comes_within(interval) {
                // Whoever ends is not waited for.
                while oldest <= number && signs.place.forget(&signs.name, oldest).is_ok() {
                    oldest += 1;
                }
                return;
            }
        }
    });
    let mut replica = Replica::new(context.clone(), member);
    threads.spawn("fleet", move |end| while !end.comes_within(replica.turn()) {});
}

fn life(context: &Context, member: &Member, since: &str) -> Life {
    let standing = member.standing();
    Life {
        plugin_set: context.slot.current().record.set.digest.clone(),
        canary: context.slot.canary().map(|canary| canary.set.digest.clone()),
        entry: standing.entry,
        since: since.to_owned(),
        // It follows with a share of its batches alone.
        problem: standing.problem.or_else(|| context.held_back()),
    }
}

/// What a replica knows.
struct Replica {
    context: Arc<Context>,
    member: Arc<Member>,
    log: Log,
    /// The entry that it has followed, and the version that runs since.
    follows: (u64, Arc<VersionRecord>),
    /// The proposal that is open, since when it is seen, the votes, who tries it out, and the set as it was tried on.
    open: Option<Open>,
    /// The proposal that was open before, as it was tried on: where it was committed it is not tried again.
    tried: Option<(u64, Tried)>,
    /// What is tried out beside what it follows.
    trial: Option<Trial>,
    sightings: Sightings,
    /// Since when it does not follow what was decided.
    behind: Option<Instant>,
    /// Since when the log cannot be seen.
    blind: Option<Instant>,
    /// What it began with is kept where all have it, to go back to.
    is_kept: bool,
}

struct Open {
    number: u64,
    since: Instant,
    votes: BTreeMap<String, Vote>,
    canaries: Canaries,
    tried: Option<Tried>,
}

impl Replica {
    fn new(context: Arc<Context>, member: Arc<Member>) -> Self {
        let follows = (member.began_with, context.slot.current().record.clone());
        Self {
            context,
            member,
            log: Log::default(),
            follows,
            open: None,
            tried: None,
            trial: None,
            sightings: Sightings::default(),
            behind: None,
            blind: None,
            is_kept: false,
        }
    }

    /// Looks, and does what comes next. Returns how long to wait for the next look.
    fn turn(&mut self) -> Duration {
        let interval = self.context.pipeline.swap.fleet_interval;
        let looked = self.look();
        let problem = match looked.and_then(|live| self.act(&live)) {
            Ok(done) => {
                self.blind = None;
                match done {
                    Done::Something => return Duration::ZERO,
                    Done::Nothing => None,
                    Done::Behind(why) => Some(why),
                }
            }
            Err(error) => {
                let why = causes(&error);
                if self.blind.is_none() {
                    tracing::warn!(
                        error = why,
                        "the fleet cannot be looked at: what runs here goes on"
                    );
                }
                let since = *self.blind.get_or_insert_with(Instant::now);
                (since.elapsed() >= interval * GONE_AFTER).then_some(why)
            }
        };
        let open = self.open.as_ref();
        // Votes are waited for, and not the time of a canary.
        let is_voted = open.is_some_and(|open| open.canaries.seen().is_none());
        let open = open.map(|open| open.number);
        self.member.stands(Standing { entry: self.follows.0, open, problem });
        if is_voted { interval / OFTENER } else { interval }
    }

    /// What is new, and who is waited for.
    fn look(&mut self) -> Result<BTreeSet<String>, FleetError> {
        let place = &self.member.place;
        if !self.is_kept {
            let library = self.context.slot.current().library.clone();
            follow::keep(&self.member.sets, &library)?;
            self.is_kept = true;
        }
        place.catch_up(&mut self.log)?;
        let number = self.log.state().open;
        if self.open.as_ref().map(|open| open.number) != number {
            self.tried = self.open.take().and_then(|open| Some((open.number, open.tried?)));
            let since = Instant::now();
            self.open = number.map(|number| {
                let (votes, canaries) = (BTreeMap::new(), Canaries::default());
                Open { number, since, votes, canaries, tried: None }
            });
        }
        if let Some(open) = &mut self.open {
            place.votes(open.number, &mut open.votes)?;
            let trial = self.log.proposal(open.number).and_then(Proposal::trial);
            if trial.is_some() {
                open.canaries.look(place, open.number)?;
            }
        }
        let gone = self.context.pipeline.swap.fleet_interval * GONE_AFTER;
        let (mut live, forgotten) = self.sightings.see(place.signs()?, Instant::now(), gone);
        for name in forgotten.into_iter().filter(|name| *name != self.member.name) {
            place.forget_all(&name)?;
        }
        live.insert(self.member.name.clone());
        Ok(live)
    }

    fn act(&mut self, live: &BTreeSet<String>) -> Result<Done, FleetError> {
        let no_votes = BTreeMap::new();
        let me = self.me();
        let seen = Seen {
            log: &self.log,
            votes: self.open.as_ref().map_or(&no_votes, |open| &open.votes),
            live,
            waited: self.open.as_ref().map(|open| open.since.elapsed()).unwrap_or_default(),
            canaries: self.open.as_ref().and_then(|open| open.canaries.seen()),
        };
        let deadline = self.context.pipeline.swap.fleet_deadline;
        match machine::next(&me, &seen, deadline) {
            Step::Rest => {
                self.behind = None;
                return Ok(Done::Nothing);
            }
            Step::Follow { entry, set } => {
                let tried = self.tried.take().filter(|(number, _)| *number == entry);
                let tried = tried.map(|(_, tried)| tried);
                let trial = self.trial.as_ref().filter(|trial| trial.is_of(entry));
                let proposal = self.log.proposal(entry).filter(|_| entry > me.follows);
                let followed = match (trial, proposal) {
                    (Some(trial), _) => trial.stay(&self.context),
                    (None, Some(proposal)) => {
                        follow::take_up(&self.context, &self.member, (entry, proposal), tried)
                    }
                    (None, None) => {
                        let rollback = self.log.rollback();
                        follow::go_back(&self.context, &self.member, &set, rollback)
                    }
                };
                match followed {
                    Ok(record) => {
                        tracing::info!(entry, plugin_set = %set, "the fleet is followed");
                        self.follows = (entry, record);
                        self.trial.take_if(|trial| trial.is_of(entry));
                        self.behind = None;
                    }
                    Err(refused) => {
                        let why = format!(
                            "it cannot follow entry {entry} of the fleet, plugin set {set}: {}",
                            causes(&refused)
                        );
                        let since = *self.behind.get_or_insert_with(Instant::now);
                        tracing::error!(error = why, "another set runs here than in the fleet");
                        if since.elapsed() >= deadline {
                            self.member.fail(why.clone());
                        }
                        return Ok(Done::Behind(why));
                    }
                }
            }
            Step::Try { number, set } => self.try_on(number, &set)?,
            Step::Refuse { number, why } => self.refuse(number, why)?,
            Step::Name { number, replicas } => {
                let (by, at) = (me.name, Micros::now().to_the_second());
                self.member.place.name(number, objects::Canaries { replicas, by, at })?;
            }
            Step::Begin { number } => self.begin(number)?,
            Step::Conclude { number } => {
                if let Some(trial) = &self.trial {
                    self.member.place.conclude(number, &me.name, trial.verdict())?;
                }
            }
            Step::GiveUp { number, why } => {
                let verdict = Vote { ok: false, why: why.clone() };
                self.member.place.conclude(number, &me.name, verdict)?;
                self.decide(number, false, machine::given_up(&me.name, &why))?;
            }
            Step::Leave { number } => {
                if let Some(trial) = self.trial.take() {
                    trial.leave(&self.context, self.log.decision(number));
                }
            }
            Step::Decide { number, commit, why } => self.decide(number, commit, why)?,
            Step::RollBack { of, why } => {
                let at = Micros::now().to_the_second();
                let entry = Entry::Rollback(Rollback::by_replica(&me.name, of, why, at));
                self.member.place.enter(self.log.last() + 1, entry)?;
            }
        }
        Ok(Done::Something)
    }

    fn me(&self) -> Me {
        let (follows, record) = &self.follows;
        let running = self.context.slot.current().record.set.digest.clone();
        let (gave_up, trial) = (gave_up(record), self.trial.as_ref().map(Trial::state));
        Me { name: self.member.name.clone(), running, follows: *follows, gave_up, trial }
    }

    /// Tries a proposal out, that it has voted for. What it cannot do is not asked of the others.
    fn begin(&mut self, number: u64) -> Result<(), FleetError> {
        let Some(proposal) = self.log.proposal(number) else { return Ok(()) };
        let tried = self.open.as_mut().and_then(|open| open.tried.take());
        match Trial::begin(&self.context, &self.member, (number, proposal), tried) {
            Ok(trial) => {
                tracing::info!(entry = number, "a proposal of the fleet is tried out here");
                self.trial = Some(trial);
                Ok(())
            }
            Err(refused) => {
                let (name, why) = (&self.member.name, causes(&refused));
                self.decide(number, false, format!("{name} cannot try it out: {why}"))
            }
        }
    }

    /// Has a proposal go through the gate, and votes.
    fn try_on(&mut self, number: u64, set: &Digest) -> Result<(), FleetError> {
        let tried = follow::try_on(&self.context, &self.member, set);
        let ready = tried.and_then(|tried| {
            // All that can fail and can be done before is done before.
            self.context.publish(&tried.passed.library)?;
            Ok(tried)
        });
        match ready {
            Ok(tried) => {
                let vote = Vote { ok: true, why: found(&tried.passed) };
                self.member.place.vote(number, &self.member.name, vote)?;
                if let Some(open) = self.open.as_mut().filter(|open| open.number == number) {
                    open.tried = Some(tried);
                }
                Ok(())
            }
            Err(refused) => {
                if let Some(proposal) = self.log.proposal(number) {
                    let request = follow::request(number, proposal);
                    Swaps(self.context.clone()).refuse(&request, &refused);
                }
                self.refuse(number, format!("check `{}`: {}", refused.check(), causes(&refused)))
            }
        }
    }

    /// Votes against a proposal. That decides it.
    fn refuse(&self, number: u64, why: String) -> Result<(), FleetError> {
        let member = &self.member;
        member.place.vote(number, &member.name, Vote { ok: false, why: why.clone() })?;
        self.decide(number, false, format!("{} refuses it: {why}", member.name))
    }

    fn decide(&self, number: u64, commit: bool, why: String) -> Result<(), FleetError> {
        let (by, at) = (self.member.name.clone(), Micros::now().to_the_second());
        let decided = Decision { commit, by, why: why.clone(), at };
        if self.member.place.decide(number, decided)? {
            tracing::info!(entry = number, commit, why, "a proposal of the fleet is decided");
        }
        Ok(())
    }
}

/// What came of a look.
enum Done {
    Nothing,
    Something,
    /// It cannot follow what was decided, and why.
    Behind(String),
}

/// What the gate found, in a line.
fn found(passed: &Passed) -> String {
    let checks = passed.checks.iter().map(|check| format!("{}: {}", check.name, check.found));
    let mut found: Vec<String> = checks.collect();
    if passed.shadow.rows > 0 {
        found.push(format!("{} of them change", passed.shadow.changed_rows));
    }
    found.join("; ")
}

/// When signs of life were first seen, by the own clock.
#[derive(Debug, Default)]
struct Sightings {
    seen: BTreeMap<String, (u64, Instant)>,
}

impl Sightings {
    /// Who is live, and whose signs of life are to be removed.
    fn see(
        &mut self,
        signs: BTreeMap<String, Sign>,
        now: Instant,
        gone: Duration,
    ) -> (BTreeSet<String>, Vec<String>) {
        self.seen.retain(|name, _| signs.contains_key(name));
        let (mut live, mut forgotten) = (BTreeSet::new(), Vec::new());
        for (name, sign) in signs {
            let seen = self.seen.entry(name.clone()).or_insert((sign.number, now));
            // A lower one was left behind.
            if seen.0 < sign.number {
                *seen = (sign.number, now);
            }
            let silent = now.duration_since(seen.1);
            if silent < gone {
                live.insert(name);
            } else if silent >= FORGOTTEN_AFTER {
                forgotten.push(name);
            }
        }
        (live, forgotten)
    }
}

#[cfg(test)]
mod tests;
