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

/// The first rule that `now` breaks, compared with what ran `before`. With fewer than `min_rows` rows on
/// either side nothing is said.
pub(crate) fn breach(rules: &Rules, before: &Rates, now: &Rates) -> Option<Breach> {
    if now.rows < rules.min_rows {
        return None;
    }
    // A set that has seen nothing says nothing about what is usual, but faults are never usual.
    let known = before.rows >= rules.min_rows;
    let rejected = (before.share(before.rejected), now.share(now.rejected));
    let filtered = (before.share(before.filtered), now.share(now.filtered));
    let faults = (before.share(before.faults), now.share(now.faults));
    let fuel = (before.share(before.fuel), now.share(now.fuel));
    if faults.1 > faults.0 + rules.max_fault_increase {
        let (before, now) = faults;
        return Some(Breach::Faults { before, now, allowed: rules.max_fault_increase });
    }
    if known && rejected.1 > rejected.0 + rules.max_rejected_increase {
        let (before, now) = rejected;
        return Some(Breach::Rejected { before, now, allowed: rules.max_rejected_increase });
    }
    // Rejected rows are kept as letters; of those that are dropped nothing is left.
    if known && filtered.1 > filtered.0 + rules.max_filtered_increase {
        let (before, now) = filtered;
        return Some(Breach::Filtered { before, now, allowed: rules.max_filtered_increase });
    }
    if known && before.fuel > 0 && fuel.1 > fuel.0 * rules.max_fuel_ratio {
        let (before, now) = fuel;
        return Some(Breach::Fuel { before, now, allowed: rules.max_fuel_ratio });
    }
    None
}

/// Whether more of the rows that are good to both sets have other values than is allowed.
pub(crate) fn changes_too_much(rules: &Rules, good_to_both: u64, changed: u64) -> Option<Breach> {
    let share = changed as f64 / good_to_both.max(1) as f64;
    let (too_few, allowed) = (good_to_both < rules.min_rows, rules.max_changed_share);
    (!too_few && share > allowed).then_some(Breach::Changed { share, allowed })
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules {
        window_rows: 1000,
        min_rows: 100,
        max_rejected_increase: 0.02,
        max_filtered_increase: 0.02,
        max_changed_share: 0.5,
        max_fault_increase: 0.001,
        max_fuel_ratio: 3.0,
    };

    fn rates(rows: u64, rejected: u64, faults: u64, fuel: u64) -> Rates {
        Rates { rows, rejected, faults, fuel, filtered: 0 }
    }

    #[test]
    fn a_rule_is_broken_beyond_what_is_allowed_and_with_enough_rows() {
        let before = rates(1000, 10, 0, 1000);
        let said = |now: Rates| breach(&RULES, &before, &now).map(|breach| breach.to_string());
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
        assert_eq!(breach(&RULES, &before, &of(1000, 320)), None);
        assert_eq!(breach(&RULES, &before, &of(99, 99)), None);
        assert_eq!(breach(&RULES, &Rates::default(), &of(1000, 1000)), None);
        assert_eq!(
            breach(&RULES, &before, &of(1000, 1000)).map(|breach| breach.to_string()).as_deref(),
            Some(
                "it drops 100.0 % of rows on purpose, the set before dropped 30.0 %; 2.0 % more are allowed"
            )
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
        assert_eq!(breach(&RULES, &nothing, &rates(1000, 900, 0, 1 << 40)), None);
        assert!(breach(&RULES, &nothing, &rates(1000, 0, 500, 0)).is_some());
    }
}
