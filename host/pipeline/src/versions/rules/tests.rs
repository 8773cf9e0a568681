use std::collections::BTreeMap;

use proptest::prelude::*;

use super::Compared::{OnOthers, OnTheSame};
use super::*;
use clickmill_core::Counted;

const RULES: Rules = Rules {
    window_rows: 1000,
    min_rows: 100,
    max_rejected_increase: 0.02,
    max_filtered_increase: 0.02,
    max_changed_share: 0.5,
    max_routed_change: 0.1,
    max_fault_increase: 0.001,
    max_fuel_ratio: 3.0,
};

fn rates(rows: u64, rejected: u64, faults: u64, fuel: u64) -> Rates {
    Rates { batches: rows.div_ceil(100), rows, rejected, faults, fuel, ..Rates::default() }
}

#[test]
fn smaller_batches_are_no_fault_of_a_set() {
    // A start of 1000 for each batch, and 10 a row.
    let of = |batches, rows| Rates { batches, ..rates(rows, 0, 0, 1000 * batches + 10 * rows) };
    let (large, small) = (of(10, 10_000), of(1000, 10_000));
    for compared in [OnTheSame, OnOthers] {
        assert_eq!(breach(&RULES, &large, &small, compared), None);
        assert_eq!(breach(&RULES, &small, &large, compared), None);
        // In batches of one size each row counts.
        for rates in [&large, &small] {
            let dear = Rates { fuel: 3 * rates.fuel + 1, ..rates.clone() };
            assert!(breach(&RULES, rates, &dear, compared).is_some());
        }
    }
}

#[test]
fn a_rule_is_broken_beyond_what_is_allowed_and_with_enough_rows() {
    let before = rates(1000, 10, 0, 1000);
    let said =
        |now: Rates| breach(&RULES, &before, &now, OnTheSame).map(|breach| breach.to_string());
    assert_eq!(said(rates(1000, 30, 1, 3000)), None);
    assert_eq!(said(rates(99, 99, 99, 1 << 40)), None);
    assert_eq!(
        said(rates(1000, 31, 0, 1000)).as_deref(),
        Some("it rejects 3.1 % of rows, the set before rejected 1.0 %; 2.0 % more are allowed")
    );
    assert_eq!(
        said(rates(1000, 10, 2, 1000)).as_deref(),
        Some(
            "it faults 0.20 times in a hundred rows, the set before 0.00 times; 0.10 more are allowed"
        )
    );
    assert_eq!(
        said(rates(100, 1, 0, 301)).as_deref(),
        Some("it uses 3 fuel a row, the set before used 1; 3 times as much is allowed")
    );
}

/// What it costs to have more stages is the file's to say; what those cost that were there is the new set's doing.
#[test]
fn fuel_is_compared_of_the_stages_that_both_sets_have() {
    let of = |stages: &[(&str, u64)]| Rates {
        fuel_by_stage: stages.iter().map(|(stage, fuel)| ((*stage).to_owned(), *fuel)).collect(),
        ..rates(1000, 0, 0, stages.iter().map(|(_, fuel)| fuel).sum())
    };
    let before = of(&[("parse", 10_000), ("enrich", 40_000)]);
    for compared in [OnTheSame, OnOthers] {
        let said = |now: &[(&str, u64)]| {
            breach(&RULES, &before, &of(now), compared).map(|breach| breach.to_string())
        };
        // Added, removed, moved, and under another name.
        assert_eq!(said(&[("parse", 10_000), ("enrich", 40_000), ("shout", 1 << 40)]), None);
        assert_eq!(said(&[("enrich", 40_000), ("parse", 10_000)]), None);
        assert_eq!(said(&[("parse", 30_000)]), None);
        assert_eq!(said(&[("enriched", 1 << 40)]), None);
        let told = "it uses 151 fuel a row, the set before used 50; 3 times as much is allowed";
        assert_eq!(said(&[("parse", 10_000), ("enrich", 141_000)]).as_deref(), Some(told));
        // Neither hides behind one that is gone nor in one that is new.
        let told = "it uses 31 fuel a row in the stages that both have, the set before used 10; 3 times as much is allowed";
        assert_eq!(said(&[("parse", 31_000), ("shout", 1)]).as_deref(), Some(told));
    }
}

#[test]
fn the_fuel_of_a_stage_that_is_taken_off_was_added() {
    let of = |fuel| Rates {
        fuel_by_stage: BTreeMap::from([("mask".to_owned(), fuel)]),
        ..rates(100, 0, 0, fuel)
    };
    let mut sum = of(7);
    sum.add(&of(5));
    assert_eq!(sum.fuel_by_stage["mask"], 12);
    sum.take_off(&of(7));
    assert_eq!(sum, of(5));
}

#[test]
fn rows_that_are_dropped_count_like_those_that_are_rejected() {
    let of = |rows, filtered| Rates { filtered, ..rates(rows, 0, 0, 0) };
    let before = of(1000, 300);
    assert_eq!(breach(&RULES, &before, &of(1000, 320), OnTheSame), None);
    for compared in [OnTheSame, OnOthers] {
        assert_eq!(breach(&RULES, &before, &of(99, 99), compared), None);
        assert_eq!(breach(&RULES, &Rates::default(), &of(1000, 1000), compared), None);
        let broken = breach(&RULES, &before, &of(1000, 1000), compared);
        assert_eq!(
            broken.map(|breach| breach.to_string()).as_deref(),
            Some(
                "it drops 100.0 % of rows on purpose, the set before dropped 30.0 %; 2.0 % more are allowed"
            )
        );
    }
}

#[test]
fn a_table_may_get_another_share_of_the_good_rows_within_bounds() {
    // Of a thousand rows, a hundred are refused.
    let of =
        |own: u64, first: u64| Rates { routed: vec![own, first, 300], ..rates(1000, 100, 0, 0) };
    let before = of(600, 300);
    let said = |now: Rates, compared| {
        breach(&RULES, &before, &now, compared).map(|breach| breach.to_string())
    };
    for compared in [OnTheSame, OnOthers] {
        assert_eq!(said(of(515, 385), compared), None);
        let told = "it sends 100.0 % of the good rows to the pipeline's own table, the set before sent 66.7 %; 10.0 % more or fewer are allowed";
        assert_eq!(said(of(900, 0), compared).as_deref(), Some(told));
        // Copies are in both, so that only one table has fewer.
        let told = "it sends 3.3 % of the good rows to the table of `sink.route[0]`, the set before sent 33.3 %; 10.0 % more or fewer are allowed";
        assert_eq!(said(of(600, 30), compared).as_deref(), Some(told));
    }
    // Beyond what is allowed, but not beyond chance.
    assert!(said(of(508, 392), OnTheSame).is_some());
    assert_eq!(said(of(508, 392), OnOthers), None);
    // Too few good rows say nothing, nor does a set without routes.
    let few = Rates { routed: vec![99, 0, 0], ..rates(1000, 901, 0, 0) };
    assert_eq!(other_routes(&RULES, &before, &few, OnTheSame), None);
    assert_eq!(said(rates(1000, 100, 0, 0), OnTheSame), None);
    assert_eq!(reroutes_too_much(&RULES, 1000, 100), None);
    assert_eq!(
        reroutes_too_much(&RULES, 1000, 101).map(|breach| breach.to_string()).as_deref(),
        Some("it sends 10.1 % of the good rows to other tables; 10.0 % are allowed")
    );
}

#[test]
fn other_values_are_allowed_in_a_share_of_the_rows() {
    let said =
        |good, changed| changes_too_much(&RULES, good, changed).map(|breach| breach.to_string());
    assert_eq!((said(1000, 500), said(99, 99), said(0, 0)), (None, None, None));
    assert_eq!(
        said(1000, 501).as_deref(),
        Some("it gives 50.1 % of the good rows other values; 50.0 % are allowed")
    );
    let any = Rules { max_changed_share: 1.0, ..RULES };
    assert_eq!(changes_too_much(&any, 1000, 1000), None);
}

#[test]
fn of_a_set_that_saw_nothing_only_faults_are_held_against_the_next() {
    let nothing = Rates::default();
    for compared in [OnTheSame, OnOthers] {
        assert_eq!(breach(&RULES, &nothing, &rates(1000, 900, 0, 1 << 40), compared), None);
        assert!(breach(&RULES, &nothing, &rates(1000, 0, 500, 0), compared).is_some());
    }
}

#[test]
fn a_row_that_faults_by_chance_takes_no_set_back_and_many_do() {
    // In batches of 500 a row that faults ends ten calls.
    let of = |rows, faults| Rates { batches: rows / 500, ..rates(rows, 0, faults, 0) };
    let broken = |before: &Rates, now: Rates, compared| {
        matches!(breach(&RULES, before, &now, compared), Some(Breach::Faults { .. }))
    };
    // One row in ten thousand did before: that it is among the first of a canary is chance.
    let before = of(10_000, 10);
    for (rows, faults, is_broken) in [
        (500, 10, false),
        (500, 20, false),
        (500, 250, true),
        (10_000, 30, false),
        (10_000, 300, true),
    ] {
        assert_eq!(broken(&before, of(rows, faults), OnOthers), is_broken, "{faults} of {rows}");
    }
    // Of the same rows it is the set's doing.
    assert!(broken(&of(500, 0), of(500, 10), OnTheSame));
    assert!(!broken(&of(500, 10), of(500, 10), OnTheSame));
    // A set that saw few rows says nothing about what is usual.
    assert!(broken(&of(50, 0), of(500, 50), OnOthers));
}

/// Rows of a set of which so many were rejected, or dropped.
fn of(rows: u64, share: f64, is_dropped: bool) -> Rates {
    let worse = ((rows as f64 * share).round() as u64).min(rows);
    let (rejected, filtered) = if is_dropped { (0, worse) } else { (worse, 0) };
    Rates { filtered, ..rates(rows, rejected, 0, 0) }
}

proptest! {
    /// Rows that differ make shares that differ: by three of the standard deviations that sampling has, both
    /// ways, a set that does as the one before it is not taken back.
    #[test]
    fn chance_takes_no_set_back(
        share in 0.0..=1.0_f64,
        seen in 500..20_000_u64,
        window in 500..20_000_u64,
        (up, down) in (0.0..3.0_f64, 0.0..3.0_f64),
        is_dropped: bool,
    ) {
        // What both are off by together is what the difference of two samples is.
        prop_assume!(up.hypot(down) <= 3.0);
        let off = |rows: u64| (share * (1.0 - share) / rows as f64).sqrt();
        let now = of(seen, (share + up * off(seen)).min(1.0), is_dropped);
        let before = of(window, (share - down * off(window)).max(0.0), is_dropped);
        prop_assert_eq!(breach(&RULES, &before, &now, OnOthers), None);
    }

    /// So it is with rows that fault, which are rare: on the scale on which such counts have one standard error.
    #[test]
    fn chance_takes_no_set_back_for_its_faults(
        rate in 0.0..0.05_f64,
        (seen, seen_batches) in (500..20_000_u64, 1..500_u64),
        (window, window_batches) in (500..20_000_u64, 1..500_u64),
        (up, down) in (0.0..3.0_f64, 0.0..3.0_f64),
    ) {
        prop_assume!(up.hypot(down) <= 3.0);
        let of = |batches: u64, rows: u64, off: f64, round: fn(f64) -> f64| {
            let calls_with_a_row = 1.0 + (rows as f64 / batches as f64).max(1.0).log2();
            let share = (rate.sqrt() + off * (calls_with_a_row / (4.0 * rows as f64)).sqrt()).max(0.0);
            let faults = round(share.powi(2) * rows as f64) as u64;
            Rates { batches, ..rates(rows, 0, faults, 0) }
        };
        let now = of(seen_batches, seen, up, f64::floor);
        let before = of(window_batches, window, -down, f64::ceil);
        prop_assert_eq!(breach(&RULES, &before, &now, OnOthers), None);
    }

    /// And what faults by far more often is noticed with the first rows of which anything is said.
    #[test]
    fn what_faults_more_than_by_chance_is_taken_back(
        share in 0.15..=1.0_f64,
        seen in 500..20_000_u64,
        window in 500..20_000_u64,
        batches in 1..500_u64,
    ) {
        let faults = (seen as f64 * share) as u64;
        let now = Rates { batches, ..rates(seen, 0, faults, 0) };
        let before = Rates { batches, ..rates(window, 0, 0, 0) };
        let broken = breach(&RULES, &before, &now, OnOthers);
        prop_assert!(matches!(broken, Some(Breach::Faults { .. })), "{broken:?}");
    }

    /// The margin is none to hide behind: it shrinks with the rows, and is as large for one set as for another.
    #[test]
    fn what_is_worse_than_chance_is_taken_back(
        share in 0.0..=0.7_f64,
        seen in 500..20_000_u64,
        window in 500..20_000_u64,
        is_dropped: bool,
    ) {
        let most = STANDARD_ERRORS * (0.25 / seen as f64 + 0.25 / window as f64).sqrt();
        let more = RULES.max_rejected_increase + most + 2.0 / seen.min(window) as f64;
        let (before, now) = (of(window, share, is_dropped), of(seen, share + more, is_dropped));
        prop_assert!(breach(&RULES, &before, &now, OnOthers).is_some());
        // Of the same rows it is known without any margin.
        let more = RULES.max_rejected_increase + 2.0 / seen as f64;
        let (before, now) = (of(seen, share, is_dropped), of(seen, share + more, is_dropped));
        prop_assert!(breach(&RULES, &before, &now, OnTheSame).is_some());
    }
}
