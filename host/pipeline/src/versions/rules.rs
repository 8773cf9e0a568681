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
        /// Whether the sets have the same stages: else the fuel is that of stages that both have.
        same_stages: bool,
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
            Self::Fuel { before, now, allowed, same_stages } => write!(
                f,
                "it uses {now:.0} fuel a row{}, the set before used {before:.0}; {allowed} times as much is allowed",
                if same_stages { "" } else { " in the stages that both have" }
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
    let fuel = (before.fuel_in_batches_of(now), now.fuel_in_stages_of(before));
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
    if known && fuel.0 > 0.0 && fuel.1 > fuel.0 * rules.max_fuel_ratio {
        let same_stages = before.has_stages_of(now);
        let (before, now) = fuel;
        return Some(Breach::Fuel { before, now, allowed: rules.max_fuel_ratio, same_stages });
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
mod tests;
