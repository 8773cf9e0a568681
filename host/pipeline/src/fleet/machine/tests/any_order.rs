//! Whatever happens, and in whatever order.

use proptest::prelude::*;

use super::*;

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
