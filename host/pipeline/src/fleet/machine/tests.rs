mod any_order;
mod canaries;
mod proposals;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::fleet::log::State;
use crate::fleet::objects::{Canary, Decision, Entry, Proposal, Rollback};

/// Moments that a proposal is voted on.
const DEADLINE: u64 = 10;
/// Moments that a canary takes.
const TIME: u64 = 4;
/// Moments without a sign of life.
const GONE: u64 = 3;

fn set(number: u8) -> Digest {
    Digest::of(&[number]).short()
}

/// What lies in the place, and the time.
#[derive(Default)]
struct World {
    entries: Vec<Entry>,
    decisions: BTreeMap<u64, Decision>,
    votes: BTreeMap<u64, BTreeMap<String, Vote>>,
    canaries: BTreeMap<u64, BTreeSet<String>>,
    verdicts: BTreeMap<u64, BTreeMap<String, Vote>>,
    /// When each replica gave its last sign of life.
    signs: BTreeMap<String, u64>,
    /// When each proposal was entered.
    entered: BTreeMap<u64, u64>,
    /// Who tries a proposal out cannot be written down.
    names_nobody: bool,
    now: u64,
}

impl World {
    fn log(&self) -> Log {
        let mut log = Log::default();
        self.entries.iter().for_each(|entry| log.push(entry.clone()));
        self.decisions.iter().for_each(|(number, decided)| log.decide(*number, decided.clone()));
        log
    }

    fn state(&self) -> State {
        self.log().state()
    }

    /// Creates the entry that comes after `last`. Whether it was there already.
    fn enter(&mut self, last: u64, entry: Entry) -> bool {
        if self.entries.len() as u64 != last {
            return false;
        }
        self.entries.push(entry);
        self.entered.insert(last + 1, self.now);
        true
    }

    fn decide(&mut self, number: u64, commit: bool, why: String) {
        let (by, at) = (String::new(), String::new());
        self.decisions.entry(number).or_insert(Decision { commit, by, why, at });
    }

    /// A set in place of what is in effect, as somebody sees it who looked at `log`.
    fn propose(&mut self, log: &Log, plugin_set: Digest) -> bool {
        self.propose_to(log, plugin_set, None)
    }

    /// Likewise, to be tried out by so many of the replicas first.
    fn propose_to(&mut self, log: &Log, plugin_set: Digest, replicas: Option<f64>) -> bool {
        let state = log.state();
        if state.open.is_some() {
            return false;
        }
        let parent = state.set.unwrap_or_else(|| set(0));
        let proposal = Proposal {
            after: state.effect,
            parent,
            plugin_set,
            actor: "ada".to_owned(),
            note: String::new(),
            at: String::new(),
            canary: replicas.map(|replicas| Canary::of_replicas(replicas, TIME as f64)),
        };
        self.enter(log.last(), Entry::Proposal(proposal))
    }
}

/// What a replica saw, and when.
struct Look {
    log: Log,
    votes: BTreeMap<String, Vote>,
    live: BTreeSet<String>,
    canaries: Option<BTreeSet<String>>,
    verdicts: BTreeMap<String, Vote>,
    at: u64,
}

struct Replica {
    me: Me,
    is_alive: bool,
    /// The set that its gate refuses.
    refuses: Option<Digest>,
    looked: Option<Look>,
    open: Option<(u64, u64)>,
    /// Since when it knows who tries that out.
    named: Option<u64>,
    /// Since when it tries something out.
    trial: Option<u64>,
}

impl Replica {
    /// One that starts: with what is in effect.
    fn start(world: &mut World, name: String, refuses: Option<Digest>) -> Self {
        let state = world.state();
        let running = state.set.unwrap_or_else(|| set(0));
        let is_alive = refuses.as_ref() != Some(&running);
        world.signs.insert(name.clone(), world.now);
        let me = Me { name, running, follows: state.effect, gave_up: None, trial: None };
        Self { me, is_alive, refuses, looked: None, open: None, named: None, trial: None }
    }

    fn look(&mut self, world: &mut World) {
        world.signs.insert(self.me.name.clone(), world.now);
        let log = world.log();
        let open = log.state().open;
        if self.open.map(|(number, _)| number) != open {
            self.open = open.map(|number| (number, world.now));
            self.named = None;
        }
        let canaries = open.and_then(|open| world.canaries.get(&open).cloned());
        if canaries.is_some() {
            self.named.get_or_insert(world.now);
        }
        let verdicts = open.and_then(|open| world.verdicts.get(&open).cloned()).unwrap_or_default();
        let votes = open.and_then(|open| world.votes.get(&open).cloned()).unwrap_or_default();
        let heard = world.signs.iter().filter(|(_, at)| world.now - **at < GONE);
        let live = heard.map(|(name, _)| name.clone()).collect();
        self.looked = Some(Look { log, votes, live, canaries, verdicts, at: world.now });
    }

    /// Does what comes next of what it saw, however long ago that was.
    fn act(&mut self, world: &mut World) {
        let Some(look) = self.looked.take() else { return };
        let waited = self.open.map_or(0, |(_, since)| look.at - since);
        let seen = Seen {
            log: &look.log,
            votes: &look.votes,
            live: &look.live,
            waited: Duration::from_secs(waited),
            canaries: look.canaries.as_ref().map(|replicas| Canaries {
                replicas,
                verdicts: &look.verdicts,
                waited: Duration::from_secs(look.at - self.named.unwrap_or(look.at)),
            }),
        };
        if let (Some(trial), Some(since)) = (&mut self.me.trial, self.trial) {
            trial.ran = Duration::from_secs(world.now - since);
        }
        match next(&self.me, &seen, Duration::from_secs(DEADLINE)) {
            Step::Rest => {}
            Step::Follow { entry, set } => {
                if self.refuses.as_ref() == Some(&set) {
                    // It ends rather than run another.
                    self.is_alive = false;
                    return;
                }
                self.me.follows = entry;
                self.me.gave_up = None;
                if let Some(trial) = self.me.trial.take_if(|trial| trial.number == entry) {
                    self.trial = None;
                    if trial.gave_up.is_some() {
                        // It had gone back just before: that is everyone's.
                        self.me.gave_up = trial.gave_up;
                        return;
                    }
                }
                assert!(self.me.trial.is_none());
                self.me.running = set;
            }
            Step::Name { number, replicas } => {
                assert!(!replicas.is_empty() && replicas.is_subset(&look.live));
                if !world.names_nobody {
                    world.canaries.entry(number).or_insert(replicas);
                }
            }
            Step::Begin { number } => {
                assert!(world.canaries[&number].contains(&self.me.name));
                self.me.trial = Some(Trial { number, ran: Duration::ZERO, gave_up: None });
                self.trial = Some(world.now);
            }
            Step::Conclude { number } => {
                let verdicts = world.verdicts.entry(number).or_default();
                let verdict = Vote { ok: true, why: String::new() };
                verdicts.entry(self.me.name.clone()).or_insert(verdict);
            }
            Step::GiveUp { number, why } => {
                let verdicts = world.verdicts.entry(number).or_default();
                let verdict = Vote { ok: false, why: why.clone() };
                verdicts.entry(self.me.name.clone()).or_insert(verdict);
                world.decide(number, false, given_up(&self.me.name, &why));
            }
            Step::Leave { number } => {
                assert_eq!(self.me.trial.as_ref().map(|trial| trial.number), Some(number));
                (self.me.trial, self.trial) = (None, None);
            }
            Step::Try { number, set } => {
                let ok = self.refuses.as_ref() != Some(&set);
                self.vote(world, number, ok);
            }
            Step::Refuse { number, .. } => self.vote(world, number, false),
            Step::Decide { number, commit, why } => {
                if commit {
                    for name in &look.live {
                        assert!(look.votes.get(name).is_some_and(|vote| vote.ok), "{name}");
                    }
                    assert!(look.votes.values().all(|vote| vote.ok));
                    assert!(look.votes.contains_key(&self.me.name));
                    let canaries = look.canaries.iter().flatten();
                    canaries.for_each(|name| assert!(look.verdicts.contains_key(name), "{name}"));
                    let canary = look.log.proposal(number).and_then(|proposal| proposal.canary);
                    assert_eq!(canary.is_some(), look.canaries.is_some());
                }
                world.decide(number, commit, why);
            }
            Step::RollBack { of, why } => {
                let rollback = Rollback::by_replica(&self.me.name, of, why, String::new());
                let entry = Entry::Rollback(rollback);
                world.enter(look.log.last(), entry);
            }
        }
    }

    fn vote(&self, world: &mut World, number: u64, ok: bool) {
        let votes = world.votes.entry(number).or_default();
        votes.entry(self.me.name.clone()).or_insert(Vote { ok, why: String::new() });
    }

    /// The rules of probation say no: its own slot goes back at once.
    fn give_up(&mut self, world: &World) {
        if let Some(trial) = &mut self.me.trial {
            trial.gave_up = Some("it rejects more".to_owned());
            return;
        }
        let log = world.log();
        if let Some(proposal) = log.proposal(self.me.follows)
            && self.me.gave_up.is_none()
        {
            self.me.running = proposal.parent.clone();
            self.me.gave_up = Some("it rejects more".to_owned());
        }
    }
}

/// Everybody who is alive looks and acts once.
fn step(world: &mut World, replicas: &mut [Replica]) {
    for replica in replicas.iter_mut().filter(|replica| replica.is_alive) {
        replica.look(world);
        replica.act(world);
    }
    world.now += 1;
}

/// Everybody who is alive looks and acts until nothing changes any more.
fn settle(world: &mut World, replicas: &mut [Replica]) {
    for _ in 0..80 {
        step(world, replicas);
    }
}

fn agree(world: &World, replicas: &[Replica]) {
    let state = world.state();
    let wanted = state.set.clone().unwrap_or_else(|| set(0));
    let mut alive = replicas.iter().filter(|replica| replica.is_alive).peekable();
    // Where nobody is left, nobody decides.
    if alive.peek().is_some() {
        assert_eq!(state.open, None);
    }
    for Replica { me, .. } in alive {
        assert_eq!((&me.running, me.follows), (&wanted, state.effect), "{}", me.name);
        assert_eq!(me.gave_up, None, "{}", me.name);
        assert!(me.trial.is_none(), "{}", me.name);
    }
}

fn fleet(world: &mut World, count: u8) -> Vec<Replica> {
    (0..count).map(|n| Replica::start(world, format!("r{n}"), None)).collect()
}

fn run(world: &World, replicas: &[Replica], wanted: u8) {
    agree(world, replicas);
    assert_eq!(world.state().set.unwrap_or_else(|| set(0)), set(wanted));
}
