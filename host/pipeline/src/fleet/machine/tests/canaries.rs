//! What some replicas try out before all.

use super::*;

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
fn canaries_that_cannot_be_named_block_nobody() {
    let mut world = World { names_nobody: true, ..World::default() };
    let mut replicas = fleet(&mut world, 3);
    let log = world.log();
    assert!(world.propose_to(&log, set(1), Some(1.0)));
    let entered = world.now;
    while world.state().open.is_some() {
        step(&mut world, &mut replicas);
        assert!(world.now <= entered + 2 * DEADLINE + 2);
    }
    assert!(world.decisions[&1].why.contains("could not be written"), "{:?}", world.decisions);
    run(&world, &replicas, 0);
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
