//! What is proposed, voted on, taken back, and who is waited for.

use super::*;

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
