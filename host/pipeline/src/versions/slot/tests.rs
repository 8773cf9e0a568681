use super::*;
use clickmill_sandbox::{Engine, Secrets};

const HOUR: Duration = Duration::from_secs(3600);

/// A slot that is watched for an hour, and what is put into it: libraries without plugins.
fn slot() -> (Slot, Library) {
    let target = Target::of_columns(r#"[{ "name": "payload", "type": "STRING" }]"#);
    let config = config::Swap {
        watch: None,
        watch_interval: HOUR,
        state: None,
        fleet: None,
        fleet_interval: Duration::from_secs(5),
        fleet_deadline: Duration::from_secs(120),
        fleet_canary_replicas: 0.0,
        components: config::ComponentLimits::default(),
        shadow_batches: 0,
        canary_share: 1.0,
        canary: HOUR,
        probation: HOUR,
        rules: config::Rules {
            window_rows: 1000,
            min_rows: 100,
            max_rejected_increase: 0.02,
            max_filtered_increase: 0.02,
            max_changed_share: 1.0,
            max_routed_change: 0.1,
            max_fault_increase: 0.001,
            max_fuel_ratio: 3.0,
        },
    };
    let library = Library::load(&Engine::without_cache().unwrap(), &[]).unwrap();
    let (slot, _) =
        Slot::new(target, config, library.clone(), reading(&library), Origin::default());
    (slot, library)
}

/// What the library is without any swap.
fn reading(library: &Library) -> Reading {
    Reading { plugins: Vec::new(), library: library.clone(), secrets: Secrets::new() }
}

/// A library to put in, with the stages that run.
fn stages(slot: &Slot, library: &Library) -> (Library, Arc<Reading>) {
    (library.clone(), slot.current().reading.clone())
}

/// Puts a library in the place of what runs.
#[track_caller]
fn swap(slot: &Slot, library: &Library, rollout: Rollout) -> Arc<VersionRecord> {
    let swapped =
        slot.install(&slot.base(), stages(slot, library), None, Origin::default(), rollout);
    swapped.unwrap()
}

/// Counts a thousand rows of what runs, so many of them rejected.
fn count(slot: &Slot, rejected: u64) {
    let seen = Rates { batches: 1, rows: 1000, rejected, ..Rates::default() };
    slot.count(&slot.current(), seen, &[]);
}

#[test]
fn what_was_taken_back_by_hand_does_not_come_back_by_itself() {
    let (slot, library) = slot();
    count(&slot, 100);
    // It lets everything through, as a set does that no longer looks.
    let bad = swap(&slot, &library, Rollout::All);
    count(&slot, 0);
    let origin = Origin { note: "it lets everything through".to_owned(), ..Origin::default() };
    let good = slot.go_back(&slot.base(), stages(&slot, &library), None, origin).unwrap();
    count(&slot, 100);
    assert_eq!(slot.current().record.number, good.number);
    let Standing::RolledBack { reason, .. } = bad.standing() else { panic!("{bad:?}") };
    assert_eq!(reason, "it lets everything through");
    // What is swapped in after it is held to what it does.
    let next = swap(&slot, &library, Rollout::All);
    count(&slot, 500);
    assert!(next.was_rolled_back());
    assert_eq!(slot.current().record.number, good.number);
}

#[test]
fn nothing_is_put_in_the_place_of_what_no_longer_runs() {
    let (slot, library) = slot();
    let base = slot.base();
    assert!(slot.stands(&base));
    let canary = swap(&slot, &library, Rollout::Canary { share: 0.5, time: HOUR });
    assert!(!slot.stands(&base));
    let (first, origin) = (slot.base(), Origin::default());
    let taken_up = slot.install(&base, stages(&slot, &library), None, origin.clone(), Rollout::All);
    assert!(taken_up.is_none());
    assert!(slot.go_back(&base, stages(&slot, &library), None, origin).is_none());
    let by = Actor::host(actor::HOST);
    assert!(slot.roll_back(&canary, RollbackTarget::Before, &by, "no"));
    assert!(!slot.stands(&first) && slot.stands(&base));
}

#[test]
fn what_is_on_trial_gets_all_batches_until_it_is_told() {
    let (slot, library) = slot();
    let by = Actor::host(actor::HOST);
    count(&slot, 0);
    let trial = swap(&slot, &library, Rollout::Trial);
    assert_eq!(trial.standing(), Standing::Canary);
    assert!((0..100).all(|number| Arc::ptr_eq(&slot.pick(number).record, &trial)));
    assert_ne!(slot.current().record.number, trial.number);
    // It has no time of its own.
    assert!(slot.due().is_none());
    let base = slot.beside(&trial).unwrap();
    assert!(slot.promote(&base));
    assert_eq!(trial.standing(), Standing::Current);
    assert!(Arc::ptr_eq(&slot.current().record, &trial) && slot.canary().is_none());
    assert!(slot.beside(&trial).is_none() && !slot.promote(&base));
    // It has still to prove itself.
    assert!(slot.roll_back(&trial, RollbackTarget::Before, &by, "no"));
    let next = swap(&slot, &library, Rollout::Trial);
    let base = slot.beside(&next).unwrap();
    assert!(slot.roll_back(&next, RollbackTarget::Before, &by, "no"));
    assert!(!slot.promote(&base) && next.was_rolled_back());
    // What is worse than what ran before is taken back by whoever counts it.
    let bad = swap(&slot, &library, Rollout::Trial);
    let seen = Rates { batches: 1, rows: 1000, rejected: 900, ..Rates::default() };
    slot.count(&slot.pick(0), seen, &[]);
    assert!(bad.was_rolled_back() && slot.canary().is_none());
}

#[test]
fn what_is_tried_beside_a_set_that_has_seen_few_rows_is_compared_with_the_one_before() {
    let (slot, library) = slot();
    count(&slot, 0);
    let new = swap(&slot, &library, Rollout::All);
    let bad = swap(&slot, &library, Rollout::Trial);
    let seen = Rates { batches: 1, rows: 1000, rejected: 900, ..Rates::default() };
    slot.count(&slot.pick(0), seen, &[]);
    assert!(bad.was_rolled_back() && !new.was_rolled_back());
}

#[test]
fn a_canary_of_objects_gets_its_share_and_then_all() {
    let (slot, library) = slot();
    let canary = swap(&slot, &library, Rollout::Canary { share: 0.25, time: HOUR });
    let picked = (0..100).map(|_| slot.pick_for_object().record.number);
    assert_eq!(picked.filter(|number| *number == canary.number).count(), 25);
    let next = swap(&slot, &library, Rollout::Canary { share: 0.25, time: Duration::ZERO });
    assert!(canary.was_rolled_back());
    // Its time is over, and it goes on until that is entered.
    let due = slot.due().unwrap();
    let picked = (0..100).filter(|_| slot.pick_for_object().record.number == next.number);
    assert_eq!((picked.count(), next.standing()), (25, Standing::Canary));
    assert!(slot.promote(&due));
    assert_eq!(slot.pick_for_object().record.number, next.number);
    assert_eq!(slot.current().record.number, next.number);
}

#[test]
fn a_canary_takes_over_from_what_it_was_entered_to_follow_or_not_at_all() {
    let (slot, library) = slot();
    let by = Actor::host(actor::HOST);
    let new = swap(&slot, &library, Rollout::All);
    let canary = swap(&slot, &library, Rollout::Canary { share: 0.5, time: Duration::ZERO });
    let due = slot.due().unwrap();
    assert!(slot.roll_back(&new, RollbackTarget::Before, &by, "no"));
    assert!(!slot.promote(&due));
    assert_eq!(canary.standing(), Standing::Canary);
    // Nor does it where it is told to stay.
    assert!(slot.due().is_some());
    slot.hold();
    assert!(slot.due().is_none() && slot.canary().is_some());
}

#[test]
fn a_version_goes_back_to_the_reading_of_the_file_that_it_ran_with() {
    let (slot, library) = slot();
    let first = slot.current().reading.clone();
    let read_again = Arc::new(reading(&library));
    let put = (library.clone(), read_again.clone());
    let origin = Origin::default();
    let version = slot.install(&slot.base(), put, None, origin.clone(), Rollout::All).unwrap();
    assert!(Arc::ptr_eq(&slot.current().reading, &read_again));
    assert!(slot.roll_back(&version, RollbackTarget::Before, &Actor::default(), "worse"));
    assert!(Arc::ptr_eq(&slot.current().reading, &first));
    for _ in 0..2 * MAX_READINGS {
        let put = (library.clone(), Arc::new(reading(&library)));
        slot.install(&slot.base(), put, None, origin.clone(), Rollout::All).unwrap();
    }
    let readings = slot.readings();
    assert_eq!(readings.len(), MAX_READINGS);
    assert!(Arc::ptr_eq(&readings[0], &slot.current().reading));
    // One that was forgotten is the file's again.
    slot.reads_as(&first);
    let readings = slot.readings();
    assert_eq!(readings.len(), MAX_READINGS);
    assert!(Arc::ptr_eq(&readings[0], &first));
}

#[test]
fn versions_that_have_not_proven_themselves_are_gone_back_to_one_by_one() {
    let (slot, library) = slot();
    let by = Actor::host(actor::HOST);
    let back = || {
        let current = slot.current().record.clone();
        let is_back = slot.roll_back(&current, RollbackTarget::Before, &by, "no");
        is_back.then(|| slot.current().record.number)
    };
    for _ in 0..4 {
        swap(&slot, &library, Rollout::All);
    }
    assert_eq!(
        [back(), back(), back(), back(), back()],
        [Some(4), Some(3), Some(2), Some(1), None]
    );
    // Of very many the first are gone, but never the one that has proven itself.
    for _ in 0..20 {
        swap(&slot, &library, Rollout::All);
    }
    let all: Vec<u64> = std::iter::from_fn(back).collect();
    assert_eq!(all, [24, 23, 22, 21, 20, 19, 18, 17, 1]);
    // What rejects more goes back to that at once.
    for _ in 0..3 {
        swap(&slot, &library, Rollout::All);
    }
    let seen = Rates { batches: 1, rows: 1000, rejected: 1000, faults: 1000, ..Rates::default() };
    slot.count(&slot.current(), seen, &[]);
    assert_eq!(slot.current().record.number, 1);
}
