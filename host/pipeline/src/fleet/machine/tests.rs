use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;

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
                world.canaries.entry(number).or_insert(replicas);
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

#[test]
fn all_say_ok_and_all_switch() {
    let mut world = World::default();
    let mut replicas = fleet(&mut world, 3);
    let log = world.log();
    assert!(world.propose(&log, set(1)));
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 1);
    assert_eq!(world.votes[&1].len(), 3);
}

#[test]
fn a_gate_that_takes_longer_than_the_deadline_is_a_vote_where_nobody_else_is_waited_for() {
    let mut world = World::default();
    let mut replicas = fleet(&mut world, 1);
    let log = world.log();
    world.propose(&log, set(1));
    replicas[0].look(&mut world);
    // It is tried on all that time.
    world.now += 2 * DEADLINE;
    replicas[0].act(&mut world);
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 1);
}

#[test]
fn one_refusal_leaves_all() {
    let mut world = World::default();
    let mut replicas = fleet(&mut world, 3);
    replicas[1].refuses = Some(set(1));
    let log = world.log();
    world.propose(&log, set(1));
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 0);
    assert!(replicas.iter().all(|replica| replica.is_alive));
    assert!(world.decisions[&1].why.contains("r1"), "{:?}", world.decisions);
}

#[test]
fn of_two_proposals_one_wins_and_the_other_is_told() {
    let mut world = World::default();
    let mut replicas = fleet(&mut world, 2);
    let log = world.log();
    assert!(world.propose(&log, set(1)));
    assert!(!world.propose(&log, set(2)));
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 1);
    // What follows something that is not in effect any more counts nowhere.
    let old = Proposal {
        after: 0,
        parent: set(0),
        plugin_set: set(3),
        actor: String::new(),
        note: String::new(),
        at: String::new(),
        canary: None,
    };
    world.enter(1, Entry::Proposal(old));
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 1);
    assert!(!world.decisions.contains_key(&2));
}

#[test]
fn one_rollback_is_everyones_and_ends_in_the_parent() {
    let mut world = World::default();
    let mut replicas = fleet(&mut world, 3);
    for wanted in [1, 2] {
        let log = world.log();
        assert!(world.propose(&log, set(wanted)));
        settle(&mut world, &mut replicas);
        run(&world, &replicas, wanted);
    }
    // Two at once: it goes back by one.
    replicas[0].give_up(&world);
    replicas[2].give_up(&world);
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 1);
    // One that starts does not take up what was given up.
    let late = Replica::start(&mut world, "late".to_owned(), None);
    assert_eq!(late.me.running, set(1));
    replicas.push(late);
    replicas[1].give_up(&world);
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 0);
    assert_eq!(world.entries.len(), 4);
}

#[test]
fn a_rollback_aborts_what_is_voted_on() {
    let mut world = World::default();
    let mut replicas = fleet(&mut world, 2);
    let log = world.log();
    world.propose(&log, set(1));
    settle(&mut world, &mut replicas);
    let log = world.log();
    world.propose(&log, set(2));
    replicas[0].give_up(&world);
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 0);
    assert!(!world.decisions[&2].commit);
}

#[test]
fn who_is_gone_is_not_waited_for_and_who_is_late_only_to_the_deadline() {
    let mut world = World::default();
    let mut replicas = fleet(&mut world, 3);
    replicas[2].is_alive = false;
    world.now += GONE;
    let log = world.log();
    world.propose(&log, set(1));
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 1);
    // It lives, and says nothing.
    let log = world.log();
    world.propose(&log, set(2));
    let entered = world.now;
    while world.state().open.is_some() {
        world.signs.insert("r2".to_owned(), world.now);
        for replica in &mut replicas[..2] {
            replica.look(&mut world);
            replica.act(&mut world);
        }
        world.now += 1;
        assert!(world.now <= entered + DEADLINE + 2);
    }
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 1);
    assert!(world.decisions[&2].why.contains("without a vote of r2"), "{:?}", world.decisions);
    // Stopped meanwhile, it follows when it goes on.
    replicas[2].is_alive = true;
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 1);
}

#[test]
fn what_was_before_the_first_is_not_gone_back_from() {
    let mut world = World::default();
    let mut replicas = fleet(&mut world, 2);
    let log = world.log();
    world.propose(&log, set(1));
    settle(&mut world, &mut replicas);
    replicas[0].give_up(&world);
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 0);
    // By hand, to a set that ran here once.
    replicas[1].me.running = set(1);
    replicas[1].me.gave_up = Some("ada said so".to_owned());
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 0);
    assert_eq!(world.entries.len(), 2);
}

#[test]
fn a_replica_that_runs_another_set_refuses() {
    let mut world = World::default();
    let mut replicas = fleet(&mut world, 2);
    replicas[1].me.running = set(9);
    let log = world.log();
    world.propose(&log, set(1));
    settle(&mut world, &mut replicas);
    assert!(!world.decisions[&1].commit);
}

/// Three replicas, some of which try set 1 out, as far as that they do so.
fn that_tries(world: &mut World, replicas: f64) -> Vec<Replica> {
    let mut fleet = fleet(world, 3);
    let log = world.log();
    assert!(world.propose_to(&log, set(1), Some(replicas)));
    while !fleet.iter().any(|replica| replica.trial.is_some()) {
        step(world, &mut fleet);
    }
    step(world, &mut fleet);
    fleet
}

fn names(replicas: &[Replica], is: impl Fn(&Replica) -> bool) -> String {
    let names = replicas.iter().filter(|replica| is(replica)).map(|replica| &*replica.me.name);
    names.collect::<Vec<_>>().join(" ")
}

#[test]
fn some_replicas_try_it_out_and_then_all_switch() {
    for (wanted, canaries) in [(1.0, "r0"), (2.0, "r0 r1"), (0.5, "r0 r1"), (9.0, "r0 r1 r2")] {
        let mut world = World::default();
        let mut replicas = that_tries(&mut world, wanted);
        assert_eq!(names(&replicas, |replica| replica.trial.is_some()), canaries);
        assert!(replicas.iter().all(|replica| replica.me.running == set(0)));
        // One that starts meanwhile runs what is in effect, and votes as all do.
        let late = Replica::start(&mut world, "a".to_owned(), None);
        assert_eq!(late.me.running, set(0));
        replicas.push(late);
        settle(&mut world, &mut replicas);
        run(&world, &replicas, 1);
        assert_eq!(world.votes[&1].len(), 4);
    }
}

#[test]
fn how_many_canaries_saw_no_rows_is_told() {
    let mut world = World::default();
    let mut replicas = that_tries(&mut world, 2.0);
    let verdict = |name: &str| (name.to_owned(), Vote { ok: true, why: NO_ROWS.to_owned() });
    // The third is none of them.
    world.verdicts.insert(1, ["r0", "r2"].map(verdict).into());
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 1);
    let wanted = "2 replicas have tried it out, 1 of them without a row";
    assert_eq!(world.decisions[&1].why, wanted);
}

#[test]
fn a_share_of_a_large_fleet_is_tried_out_by_as_many_as_it_says() {
    let live: BTreeSet<String> = (0..1000).map(|number| format!("r{number:03}")).collect();
    for (replicas, wanted, count) in [
        (1000, 0.5, 500),
        (1000, 0.999, 999),
        (1000, 0.0001, 1),
        (1000, 1000.0, 1000),
        // As floats multiply, these are a little more than 7 and 55.
        (100, 0.07, 7),
        (100, 0.55, 55),
        (100, 0.0701, 8),
    ] {
        let live = live.iter().take(replicas).cloned().collect();
        let named = first(&live, wanted);
        assert_eq!(named.len(), count, "{wanted} of {replicas}");
        assert!(named.iter().eq(live.iter().take(count)), "{wanted} of {replicas}");
    }
}

#[test]
fn a_canary_that_gives_up_is_everyones_and_none_switches() {
    let mut world = World::default();
    let mut replicas = that_tries(&mut world, 2.0);
    replicas[1].give_up(&world);
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 0);
    assert!(world.decisions[&1].why.starts_with("r1 gives it up"), "{:?}", world.decisions);
    // Who wants it taken back is too late.
    assert_eq!(world.log().gone_already(), Some(1));
    // What is proposed next is tried out anew.
    let log = world.log();
    assert!(world.propose_to(&log, set(1), Some(2.0)));
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 1);
    assert_eq!(world.log().gone_already(), None);
}

#[test]
fn a_canary_that_gives_up_after_its_word_takes_all_back() {
    let mut world = World::default();
    let mut replicas = that_tries(&mut world, 1.0);
    while !world.decisions.contains_key(&1) {
        step(&mut world, &mut replicas[..2]);
    }
    // It is committed, and not followed by all yet.
    assert!(world.decisions[&1].commit);
    let late = replicas.iter_mut().find(|replica| replica.trial.is_some()).expect("a canary");
    late.give_up(&world);
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 0);
    assert_eq!((world.entries.len(), world.log().gone_already()), (2, Some(1)));
}

#[test]
fn a_canary_that_is_dead_or_late_blocks_nobody_beyond_the_deadline() {
    for is_dead in [true, false] {
        let mut world = World::default();
        let mut replicas = that_tries(&mut world, 1.0);
        let entered = world.now;
        if is_dead {
            replicas[0].is_alive = false;
        }
        while world.state().open.is_some() {
            if !is_dead {
                world.signs.insert("r0".to_owned(), world.now);
            }
            step(&mut world, &mut replicas[1..]);
            assert!(world.now <= entered + TIME + DEADLINE + 2);
        }
        assert!(world.decisions[&1].why.contains("without a word of r0"), "{:?}", world.decisions);
        // Stopped meanwhile, it goes back when it goes on.
        settle(&mut world, &mut replicas);
        run(&world, &replicas, 0);
    }
}

#[test]
fn what_nobody_can_read_of_who_tries_it_out_is_none() {
    let mut world = World::default();
    let mut replicas = fleet(&mut world, 2);
    let log = world.log();
    assert!(world.propose_to(&log, set(1), Some(1.0)));
    world.canaries.insert(1, BTreeSet::new());
    settle(&mut world, &mut replicas);
    run(&world, &replicas, 0);
    assert!(world.decisions[&1].why.contains("cannot be read"), "{:?}", world.decisions);
}

#[derive(Debug, Clone)]
enum Event {
    Look(usize),
    Act(usize),
    Kill(usize),
    Start(Option<u8>),
    GiveUp(usize),
    Read(usize),
    Propose(usize, u8, Option<u8>),
    Time,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..6_usize).prop_map(Event::Look),
        6 => (0..6_usize).prop_map(Event::Act),
        1 => (0..6_usize).prop_map(Event::Kill),
        1 => proptest::option::of(1..4_u8).prop_map(Event::Start),
        1 => (0..6_usize).prop_map(Event::GiveUp),
        1 => (0..2_usize).prop_map(Event::Read),
        1 => (0..2_usize, 1..4_u8, proptest::option::of(1..4_u8))
            .prop_map(|(who, set, replicas)| Event::Propose(who, set, replicas)),
        2 => Just(Event::Time),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whoever looks when, acts when and is killed when: once all is quiet all run one set, which is what the log says,
    /// and nothing is open.
    #[test]
    fn in_the_end_all_that_live_run_one_set(events in proptest::collection::vec(event(), 0..120)) {
        let mut world = World::default();
        let mut replicas = fleet(&mut world, 3);
        let mut operators = [Log::default(), Log::default()];
        for event in events {
            match event {
                Event::Look(n) => if let Some(replica) = replicas.get_mut(n).filter(|r| r.is_alive) {
                    replica.look(&mut world);
                },
                Event::Act(n) => if let Some(replica) = replicas.get_mut(n).filter(|r| r.is_alive) {
                    replica.act(&mut world);
                },
                Event::Kill(n) => if let Some(replica) = replicas.get_mut(n) {
                    replica.is_alive = false;
                },
                Event::Start(refuses) => if replicas.len() < 6 {
                    let name = format!("r{}", replicas.len());
                    replicas.push(Replica::start(&mut world, name, refuses.map(set)));
                },
                Event::GiveUp(n) => if let Some(replica) = replicas.get_mut(n).filter(|r| r.is_alive) {
                    replica.give_up(&world);
                },
                Event::Read(who) => operators[who] = world.log(),
                Event::Propose(who, number, replicas) => {
                    world.propose_to(&operators[who].clone(), set(number), replicas.map(f64::from));
                }
                Event::Time => world.now += 1,
            }
        }
        settle(&mut world, &mut replicas);
        agree(&world, &replicas);
    }
}
