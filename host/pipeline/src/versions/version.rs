//! A plugin set as it runs: its chain fitted to the columns that come in, and what became of the rows
//! that it was given.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use arrow::datatypes::SchemaRef;

use super::fit::Fitted;
use super::reading::Reading;
use clickmill_core::{Counted, Micros, Window, lock};
use clickmill_sandbox::{Chain, Library, PluginSet, StageCounts};

/// A plugin set that runs or has run. While somebody holds it, its components stay loaded.
pub(crate) struct Version {
    pub record: Arc<VersionRecord>,
    pub library: Library,
    /// The stages of the pipeline file from which it came about: what each of its stages may do.
    pub reading: Arc<Reading>,
    fitted: Mutex<Option<Arc<Fitted>>>,
}

/// What is known of a version, also when it is gone.
#[derive(Debug)]
pub struct VersionRecord {
    /// Counts versions since the start, from 1.
    pub number: u64,
    /// What it is made of.
    pub set: PluginSet,
    /// How it came about.
    pub origin: Origin,
    /// Since when it has been there.
    pub since: Micros,
    standing: Mutex<Standing>,
    tally: Mutex<Tally>,
}

/// How a version came about.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Origin {
    /// Who asked for it.
    pub actor: String,
    /// What they said about it.
    pub note: String,
    /// What is different from the version before, a line each.
    pub changes: Vec<String>,
}

/// Where a version stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// It gets some of the batches.
    Canary,
    /// It gets all batches, or all but a canary's.
    Current,
    /// Another took its place.
    Replaced {
        /// When.
        until: Micros,
    },
    /// It broke a rule, or was rolled back by hand.
    RolledBack {
        /// When.
        until: Micros,
        /// Why.
        reason: String,
    },
}

/// Rows by what became of them, and what they cost.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Rates {
    /// Batches that the rows were in.
    pub batches: u64,
    /// Rows that the chain was given, and those that it made of them beside.
    pub rows: u64,
    /// Rows that a plugin or the table's schema refused.
    pub rejected: u64,
    /// Rows dropped on purpose.
    pub filtered: u64,
    /// Calls that ended in a fault.
    pub faults: u64,
    /// Fuel used.
    pub fuel: u64,
    /// The same, by stage.
    pub fuel_by_stage: BTreeMap<String, u64>,
    /// Good rows by table: the pipeline's own, then those of its routes in their order, a copy in each that has
    /// one. Empty where there are no routes.
    pub routed: Vec<u64>,
}

/// What a version has done.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Batches.
    pub batches: u64,
    /// All rows.
    pub all: Rates,
    /// What each stage did, in order.
    pub stages: Vec<StageCounts>,
    window: Window<Rates>,
}

impl Version {
    pub(crate) fn new(
        number: u64,
        library: Library,
        reading: Arc<Reading>,
        origin: Origin,
        standing: Standing,
    ) -> Self {
        let record = VersionRecord {
            number,
            set: library.set(),
            origin,
            since: Micros::now(),
            standing: Mutex::new(standing),
            tally: Mutex::default(),
        };
        Self { record: Arc::new(record), library, reading, fitted: Mutex::default() }
    }

    /// The chain that fits these columns, where there is one.
    pub(crate) fn fitted(&self, columns: &SchemaRef) -> Option<Arc<Fitted>> {
        let fitted = lock(&self.fitted);
        fitted.as_ref().filter(|fitted| fitted.columns == *columns).cloned()
    }

    /// The columns that it was fitted to last.
    pub(crate) fn columns(&self) -> Option<SchemaRef> {
        lock(&self.fitted).as_ref().map(|fitted| fitted.columns.clone())
    }

    pub(crate) fn set_fitted(&self, fitted: Fitted) -> Arc<Fitted> {
        let fitted = Arc::new(fitted);
        *lock(&self.fitted) = Some(fitted.clone());
        fitted
    }
}

impl VersionRecord {
    /// Where it stands.
    pub fn standing(&self) -> Standing {
        lock(&self.standing).clone()
    }

    pub(crate) fn stand(&self, standing: Standing) {
        *lock(&self.standing) = standing;
    }

    /// Whether it was rolled back.
    pub fn was_rolled_back(&self) -> bool {
        matches!(self.standing(), Standing::RolledBack { .. })
    }

    /// What it has done.
    pub fn tally(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// What became of its last rows.
    pub fn lately(&self) -> Rates {
        lock(&self.tally).lately()
    }

    /// Counts a batch. `window_rows` is how many rows count as the last ones.
    pub(crate) fn count(&self, seen: Rates, stages: &[StageCounts], window_rows: u64) {
        let mut tally = lock(&self.tally);
        tally.batches += 1;
        tally.all.add(&seen);
        tally.stages.resize(stages.len(), StageCounts::default());
        tally.stages.iter_mut().zip(stages).for_each(|(sum, one)| sum.add(one));
        tally.window.push(seen, window_rows);
    }
}

impl Tally {
    /// What became of the last rows.
    pub fn lately(&self) -> Rates {
        self.window.sum()
    }
}

impl Counted for Rates {
    fn rows(&self) -> u64 {
        self.rows
    }

    fn add(&mut self, other: &Self) {
        self.batches += other.batches;
        self.rows += other.rows;
        self.rejected += other.rejected;
        self.filtered += other.filtered;
        self.faults += other.faults;
        self.fuel += other.fuel;
        for (stage, fuel) in &other.fuel_by_stage {
            *self.fuel_by_stage.entry(stage.clone()).or_default() += fuel;
        }
        self.routed.resize(self.routed.len().max(other.routed.len()), 0);
        self.routed.iter_mut().zip(&other.routed).for_each(|(sum, one)| *sum += one);
    }

    fn take_off(&mut self, other: &Self) {
        self.batches -= other.batches;
        self.rows -= other.rows;
        self.rejected -= other.rejected;
        self.filtered -= other.filtered;
        self.faults -= other.faults;
        self.fuel -= other.fuel;
        for (stage, fuel) in &other.fuel_by_stage {
            *self.fuel_by_stage.entry(stage.clone()).or_default() -= fuel;
        }
        self.routed.iter_mut().zip(&other.routed).for_each(|(sum, one)| *sum -= one);
    }
}

impl Rates {
    /// What became of the `rows` of a batch in a chain, whose stages did `stages`; of the good ones `routed` by
    /// table.
    pub(crate) fn of(
        rows: u64,
        rejected: usize,
        filtered: u64,
        routed: Vec<u64>,
        (chain, stages): (&Chain, &[StageCounts]),
    ) -> Self {
        let names = chain.stage_names().map(str::to_owned);
        Self {
            batches: 1,
            rows,
            rejected: rejected as u64,
            filtered,
            faults: stages.iter().map(|stage| stage.faults).sum(),
            fuel: stages.iter().map(|stage| stage.fuel).sum(),
            fuel_by_stage: names.zip(stages.iter().map(|stage| stage.fuel)).collect(),
            routed,
        }
    }

    /// Fuel a row in the stages that `other` has too, by their names: what is added does work that nobody did before.
    pub(crate) fn fuel_in_stages_of(&self, other: &Self) -> f64 {
        let is_own = |stage: &str| !other.fuel_by_stage.contains_key(stage);
        let own = self.fuel_by_stage.iter().filter(|(stage, _)| is_own(stage));
        self.share(self.fuel - own.map(|(_, fuel)| fuel).sum::<u64>())
    }

    /// The same, if the rows were in batches of the size of `other`'s: no more than that. A part of the fuel is for
    /// the row and a part for its batch, each call being a start; which part is which is not known.
    pub(crate) fn fuel_in_batches_of(&self, other: &Self) -> f64 {
        let batches_per_row = |of: &Self| of.batches.max(1) as f64 / of.rows.max(1) as f64;
        let factor = batches_per_row(other) / batches_per_row(self);
        self.fuel_in_stages_of(other) * factor.max(1.0)
    }

    /// Whether another is of the same stages, by their names.
    pub(crate) fn has_stages_of(&self, other: &Self) -> bool {
        self.fuel_by_stage.keys().eq(other.fuel_by_stage.keys())
    }

    /// Rows that tables got, each once.
    pub fn good(&self) -> u64 {
        self.rows.saturating_sub(self.rejected).saturating_sub(self.filtered)
    }

    /// A count as a share of the rows.
    pub fn share(&self, of: u64) -> f64 {
        of as f64 / self.rows.max(1) as f64
    }
}
