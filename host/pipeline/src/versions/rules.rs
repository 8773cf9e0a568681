//! What a new plugin set may do worse than the one before it.

use std::fmt;

use crate::versions::version::Rates;
use clickmill_config::Rules;

/// A rule that a new set breaks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Breach {
    /// It rejects more.
    Rejected {
        /// The share of rows that the set before rejected.
        before: f64,
        /// Its own.
        now: f64,
        /// How much more is allowed.
        allowed: f64,
    },
    /// It drops more on purpose.
    Filtered {
        /// The share of rows that the set before dropped.
        before: f64,
        /// Its own.
        now: f64,
        /// How much more is allowed.
        allowed: f64,
    },
    /// It gives more of the rows other values than the set before gives them.
    Changed {
        /// Their share of the rows that are good to both.
        share: f64,
        /// What is allowed.
        allowed: f64,
    },
    /// It sends more of the good rows to other tables than the set before sends them to.
    Rerouted {
        /// Their share of the rows that are good to both.
        share: f64,
        /// What is allowed.
        allowed: f64,
    },
    /// It sends another share of the good rows to a table.
    Routed {
        /// The table: 0 is the pipeline's own, then come those of its routes.
        table: usize,
        /// The share of its good rows that the set before sent there.
        before: f64,
        /// Its own.
        now: f64,
        /// How much more, or less, is allowed.
        allowed: f64,
    },
    /// It faults more.
    Faults {
        /// Faults per row of the set before.
        before: f64,
        /// Its own.
        now: f64,
        /// How much more is allowed.
        allowed: f64,
    },
    /// It uses more fuel.
    Fuel {
        /// Fuel per row of the set before.
        before: f64,
        /// Its own.
        now: f64,
        /// How many times as much is allowed.
        allowed: f64,
    },
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |share: f64| share * 100.0;
        match *self {
            Self::Rejected { before, now, allowed } => write!(
                f,
                "it rejects {:.1} % of rows, the set before rejected {:.1} %; {:.1} % more are allowed",
                percent(now),
                percent(before),
                percent(allowed)
            ),
            Self::Filtered { before, now, allowed } => write!(
                f,
                "it drops {:.1} % of rows on purpose, the set before dropped {:.1} %; {:.1} % more are allowed",
                percent(now),
                percent(before),
                percent(allowed)
            ),
            Self::Changed { share, allowed } => write!(
                f,
                "it gives {:.1} % of the good rows other values; {:.1} % are allowed",
                percent(share),
                percent(allowed)
            ),
            Self::Rerouted { share, allowed } => write!(
                f,
                "it sends {:.1} % of the good rows to other tables; {:.1} % are allowed",
                percent(share),
                percent(allowed)
            ),
            Self::Routed { table, before, now, allowed } => {
                let table = match table.checked_sub(1) {
                    Some(route) => format!("the table of `sink.route[{route}]`"),
                    None => "the pipeline's own table".to_owned(),
                };
                write!(
                    f,
                    "it sends {:.1} % of the good rows to {table}, the set before sent {:.1} %; {:.1} % more or fewer are allowed",
                    percent(now),
                    percent(before),
                    percent(allowed)
                )
            }
            Self::Faults { before, now, allowed } => write!(
                f,
                "it faults {:.2} times in a hundred rows, the set before {:.2} times; {:.2} more are allowed",
                percent(now),
                percent(before),
                percent(allowed)
            ),
            Self::Fuel { before, now, allowed } => write!(
                f,
                "it uses {now:.0} fuel a row, the set before used {before:.0}; {allowed} times as much is allowed"
            ),
        }
    }
}

/// Which rows two sets are compared by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Compared {
    /// Both were given the same rows: all that is different is the sets' doing.
    OnTheSame,
    /// Each was given rows of its own, of which some happen to be worse than others.
    OnOthers,
}

/// Standard errors by which a share may be beyond what is allowed: a set that does as the one before it is looked at
/// after every batch of its probation, and by chance is never so far off.
const STANDARD_ERRORS: f64 = 3.0;

impl Compared {
    /// How far a share of so many rows may be beyond one that is allowed by chance, where it is compared with
    /// one that was seen before. Shares come with the rows that they are of.
    fn margin(self, before: (f64, u64), allowed: (f64, u64)) -> f64 {
        if self == Self::OnTheSame {
            return 0.0;
        }
        let variance = |(share, rows): (f64, u64)| {
            let share = share.clamp(0.0, 1.0);
            share * (1.0 - share) / rows.max(1) as f64
        };
        STANDARD_ERRORS * (variance(before) + variance(allowed)).sqrt()
    }

    /// How many faults a row there may be, by chance too, where so many are `allowed`, and `seen` is known of the set
    /// before. They are too rare for the margin of a share; the root of such a rate has one standard error, whatever
    /// the rate is: one half over the root of the rows. And they come in heaps: a batch is split until the row at
    /// fault stands alone, and each call with that row in it ends in a fault.
    fn most_faults(self, seen: Option<&Rates>, now: &Rates, allowed: f64) -> f64 {
        if self == Self::OnTheSame {
            return allowed;
        }
        let variance = |of: &Rates| {
            let rows = of.rows.max(1) as f64;
            let calls_with_a_row = 1.0 + (rows / of.batches.max(1) as f64).max(1.0).log2();
            calls_with_a_row / (4.0 * rows)
        };
        let error = (seen.map_or(0.0, variance) + variance(now)).sqrt();
        (allowed.sqrt() + STANDARD_ERRORS * error).powi(2)
    }
}

/// The first rule that `now` breaks, compared with what ran `before`. With fewer than `min_rows` rows on
/// either side nothing is said.
pub(crate) fn breach(
    rules: &Rules,
    before: &Rates,
    now: &Rates,
    compared: Compared,
) -> Option<Breach> {
    if now.rows < rules.min_rows {
        return None;
    }
    // A set that has seen nothing says nothing about what is usual, but faults are never usual.
    let known = before.rows >= rules.min_rows;
    let rejected = (before.share(before.rejected), now.share(now.rejected));
    let filtered = (before.share(before.filtered), now.share(now.filtered));
    let faults = (before.share(before.faults), now.share(now.faults));
    // What comes in smaller batches costs more a row, whoever makes it.
    let fuel = (before.fuel_in_batches_of(now), now.share(now.fuel));
    let seen = known.then_some(before);
    if faults.1 > compared.most_faults(seen, now, faults.0 + rules.max_fault_increase) {
        let (before, now) = faults;
        return Some(Breach::Faults { before, now, allowed: rules.max_fault_increase });
    }
    let beyond = |(share, of_now): (f64, f64), allowed: f64| {
        let margin = compared.margin((share, before.rows), (share + allowed, now.rows));
        of_now > share + allowed + margin
    };
    if known && beyond(rejected, rules.max_rejected_increase) {
        let (before, now) = rejected;
        return Some(Breach::Rejected { before, now, allowed: rules.max_rejected_increase });
    }
    // Rejected rows are kept as letters; of those that are dropped nothing is left.
    if known && beyond(filtered, rules.max_filtered_increase) {
        let (before, now) = filtered;
        return Some(Breach::Filtered { before, now, allowed: rules.max_filtered_increase });
    }
    if let Some(breach) = other_routes(rules, before, now, compared) {
        return Some(breach);
    }
    if known && before.fuel > 0 && fuel.1 > fuel.0 * rules.max_fuel_ratio {
        let (before, now) = fuel;
        return Some(Breach::Fuel { before, now, allowed: rules.max_fuel_ratio });
    }
    None
}

/// Whether a table gets another share of the good rows than is allowed. Without routes there is one table.
fn other_routes(rules: &Rules, before: &Rates, now: &Rates, compared: Compared) -> Option<Breach> {
    let (rows, rows_now) = (before.good(), now.good());
    if rows.min(rows_now) < rules.min_rows {
        return None;
    }
    let allowed = rules.max_routed_change;
    let mut tables = before.routed.iter().zip(&now.routed).enumerate();
    tables.find_map(|(table, (before, now))| {
        let (before, now) = (*before as f64 / rows as f64, *now as f64 / rows_now as f64);
        let limit = if now > before { before + allowed } else { before - allowed };
        let margin = compared.margin((before, rows), (limit, rows_now));
        ((now - before).abs() > allowed + margin).then_some(Breach::Routed {
            table,
            before,
            now,
            allowed,
        })
    })
}

/// Whether more of the rows that are good to both sets go to other tables than is allowed.
pub(crate) fn reroutes_too_much(rules: &Rules, good_to_both: u64, rerouted: u64) -> Option<Breach> {
    let allowed = rules.max_routed_change;
    let share = share_beyond(rules, good_to_both, rerouted, allowed)?;
    Some(Breach::Rerouted { share, allowed })
}

/// Whether more of the rows that are good to both sets have other values than is allowed.
pub(crate) fn changes_too_much(rules: &Rules, good_to_both: u64, changed: u64) -> Option<Breach> {
    let allowed = rules.max_changed_share;
    let share = share_beyond(rules, good_to_both, changed, allowed)?;
    Some(Breach::Changed { share, allowed })
}

/// The share of the rows that are good to both sets, where it is beyond what is allowed. Too few rows say nothing.
fn share_beyond(rules: &Rules, good_to_both: u64, rows: u64, allowed: f64) -> Option<f64> {
    let share = rows as f64 / good_to_both.max(1) as f64;
    (good_to_both >= rules.min_rows && share > allowed).then_some(share)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Compared::{OnOthers, OnTheSame};
    use super::*;

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
        let of = |own: u64, first: u64| Rates {
            routed: vec![own, first, 300],
            ..rates(1000, 100, 0, 0)
        };
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
        let said = |good, changed| {
            changes_too_much(&RULES, good, changed).map(|breach| breach.to_string())
        };
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
            assert_eq!(
                broken(&before, of(rows, faults), OnOthers),
                is_broken,
                "{faults} of {rows}"
            );
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
}
