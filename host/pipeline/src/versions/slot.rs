//! The plugin set that runs, and the one that takes its place: workers ask before each batch, so a
//! change comes between batches and never inside one.
//!
//! A new set gets all batches at once, or some of them for a while. As long as it is on probation it is
//! compared with the set before it; where it breaks a rule, the set before it runs again from the next batch
//! on. The worker that counts the decisive batch does this itself: it waits for no person.

mod change;
mod running;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use arrow::datatypes::SchemaRef;

use super::actor::{self, Actor};
use super::fit::{FitError, Fitted, Target};
use super::reading::Reading;
use super::recent::Recent;
use super::rules::{Compared, breach};
use super::version::{Origin, Rates, Standing, Version, VersionRecord};
use super::workers::Workers;
use clickmill_config as config;
use clickmill_core::lock;
use clickmill_sandbox::{Library, StageCounts};
pub(crate) use running::Base;
use running::Versions;

/// Readings of the pipeline file that are remembered, with their components, to be gone back to.
const MAX_READINGS: usize = 8;

/// Holds the plugin set that runs.
pub(crate) struct Slot {
    target: Target,
    config: config::Swap,
    running: RwLock<Versions>,
    /// Counts changes of `running`, so that workers know when to look for what they need no more.
    generation: AtomicU64,
    /// Objects that a version was picked for.
    objects: AtomicU64,
    history: Mutex<Vec<Arc<VersionRecord>>>,
    /// Those from which versions came about, the newest last.
    readings: Mutex<Vec<Arc<Reading>>>,
    recent: Recent,
    workers: Workers,
    events: crossbeam_channel::Sender<SlotEvent>,
}

/// What the slot did by itself, or was told to.
#[derive(Debug, Clone)]
pub(crate) enum SlotEvent {
    /// A canary took over.
    Promoted { from: Arc<VersionRecord>, to: Arc<VersionRecord> },
    /// A version was taken back.
    RolledBack { from: Arc<VersionRecord>, to: Arc<VersionRecord>, actor: Actor, reason: String },
}

/// What a version that is taken back makes way for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum RollbackTarget {
    /// The one before it.
    Before,
    /// The last that has proven itself.
    Proven,
}

/// How a new version begins.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rollout {
    /// With all batches.
    All,
    /// With a share of them, for a while.
    Canary {
        /// The share: 0.05 is every twentieth batch.
        share: f64,
        /// For how long.
        time: Duration,
    },
    /// With all of them, as a canary, until it is told to take over or is taken back.
    Trial,
}

impl Slot {
    /// A slot that runs `library`, which has the stages of `reading`, and where what it does by itself is told.
    pub(crate) fn new(
        target: Target,
        config: config::Swap,
        library: Library,
        reading: Reading,
        origin: Origin,
    ) -> (Self, crossbeam_channel::Receiver<SlotEvent>) {
        let reading = Arc::new(reading);
        let readings = Mutex::new(vec![reading.clone()]);
        let version = Arc::new(Version::new(1, library, reading, origin, Standing::Current));
        let (events, happened) = crossbeam_channel::unbounded();
        let slot = Self {
            target,
            history: Mutex::new(vec![version.record.clone()]),
            readings,
            running: RwLock::new(Versions { current: version, canary: None, probation: None }),
            generation: AtomicU64::new(0),
            objects: AtomicU64::new(0),
            recent: Recent::new(config.shadow_batches),
            workers: Workers::default(),
            config,
            events,
        };
        (slot, happened)
    }

    /// The version that runs.
    pub(crate) fn current(&self) -> Arc<Version> {
        self.read().current.clone()
    }

    /// What runs at this moment.
    pub(crate) fn base(&self) -> Base {
        self.read().base()
    }

    /// Whether what ran then still runs, and nothing else.
    pub(crate) fn stands(&self, base: &Base) -> bool {
        self.read().is(base)
    }

    /// The version for the next object.
    pub(crate) fn pick_for_object(&self) -> Arc<Version> {
        self.pick(self.objects.fetch_add(1, Ordering::Relaxed))
    }

    /// The version for a batch, which has a number of its own.
    pub(crate) fn pick(&self, number: u64) -> Arc<Version> {
        let running = self.read();
        let now = Instant::now();
        if running.probation.as_ref().is_some_and(|probation| now >= probation.until) {
            drop(running);
            self.end_probation(now);
            return self.current();
        }
        match &running.canary {
            // Spread evenly: the share of batches up to this one grows by one, or does not.
            Some(canary) if steps(number + 1, canary.share) > steps(number, canary.share) => {
                canary.version.clone()
            }
            _ => running.current.clone(),
        }
    }

    /// What every version has to fit.
    pub(crate) fn target(&self) -> &Target {
        &self.target
    }

    /// Fits a version to the columns that come in; what fits already is not fitted again.
    pub(crate) fn fit(
        &self,
        version: &Version,
        columns: &SchemaRef,
    ) -> Result<Arc<Fitted>, FitError> {
        if let Some(fitted) = version.fitted(columns) {
            return Ok(fitted);
        }
        let fitted = self.target.fit(&version.library, columns, &version.reading.secrets)?;
        Ok(version.set_fitted(fitted))
    }

    /// The columns that came in last, where any did or are known to come.
    pub(crate) fn columns(&self) -> Option<SchemaRef> {
        self.current().columns().or_else(|| self.target.columns.clone())
    }

    /// The last batches that came in.
    pub(crate) fn recent(&self) -> &Recent {
        &self.recent
    }

    /// The workers that ask it.
    pub(crate) fn workers(&self) -> &Workers {
        &self.workers
    }

    /// Counts what became of a batch, and rolls the version back where it breaks a rule by now.
    pub(crate) fn count(&self, version: &Version, seen: Rates, stages: &[StageCounts]) {
        let rules = &self.config.rules;
        version.record.count(seen, stages, rules.window_rows);
        let broken = {
            let running = self.read();
            let is = |other: &Version| Arc::ptr_eq(&version.record, &other.record);
            let before = match (&running.canary, &running.probation) {
                (Some(canary), probation) if is(&canary.version) => {
                    let rates = running.current.record.lately();
                    match probation {
                        // Beside one on trial it sees no more.
                        Some(probation) if rates.rows < rules.min_rows => probation.rates.clone(),
                        _ => rates,
                    }
                }
                (_, Some(probation)) if is(&running.current) => probation.rates.clone(),
                _ => return,
            };
            breach(rules, &before, &version.record.lately(), Compared::OnOthers)
        };
        if let Some(breach) = broken {
            self.roll_back(
                &version.record,
                RollbackTarget::Proven,
                &Actor::host(actor::HOST),
                &breach.to_string(),
            );
        }
    }

    /// What runs, where the time of its canary is over: that is to take over.
    pub(crate) fn due(&self) -> Option<Base> {
        let running = self.read();
        let is_due = running.canary.as_ref().is_some_and(|canary| canary.is_due(Instant::now()));
        is_due.then(|| running.base())
    }

    /// What runs, where this version is its canary.
    pub(crate) fn beside(&self, version: &Arc<VersionRecord>) -> Option<Base> {
        let base = self.base();
        base.canary().is_some_and(|canary| Arc::ptr_eq(version, canary)).then_some(base)
    }

    /// Has the canary stay one, also once its time is over.
    pub(crate) fn hold(&self) {
        if let Some(canary) = &mut self.write().canary {
            canary.until = None;
        }
    }

    /// All versions since the start, the first one first.
    pub(crate) fn history(&self) -> Vec<Arc<VersionRecord>> {
        lock(&self.history).clone()
    }

    /// The readings of the pipeline file from which versions came about, the newest first.
    pub(crate) fn readings(&self) -> Vec<Arc<Reading>> {
        lock(&self.readings).iter().rev().cloned().collect()
    }

    /// That the pipeline file was read once more, and says what this reading says.
    pub(crate) fn reads_as(&self, reading: &Arc<Reading>) {
        let mut readings = lock(&self.readings);
        readings.retain(|known| !Arc::ptr_eq(known, reading));
        remember(&mut readings, reading);
    }

    fn remember(&self, reading: &Arc<Reading>) {
        let mut readings = lock(&self.readings);
        if readings.iter().all(|known| !Arc::ptr_eq(known, reading)) {
            remember(&mut readings, reading);
        }
    }

    /// The canary, where there is one.
    pub(crate) fn canary(&self) -> Option<Arc<VersionRecord>> {
        self.read().canary_record()
    }

    /// Changes with every change of what runs.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether a version may still be picked.
    pub(crate) fn runs(&self, version: &Arc<Version>) -> bool {
        let running = self.read();
        let canary = running.canary.as_ref().map(|canary| &canary.version);
        Arc::ptr_eq(version, &running.current) || canary.is_some_and(|c| Arc::ptr_eq(version, c))
    }

    /// After probation the version before is let go.
    fn end_probation(&self, now: Instant) {
        let mut running = self.write();
        running.probation.take_if(|probation| now >= probation.until);
        self.changed();
    }

    fn changed(&self) {
        self.generation.fetch_add(1, Ordering::Release);
    }

    fn read(&self) -> RwLockReadGuard<'_, Versions> {
        self.running.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Versions> {
        self.running.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Adds the newest, and forgets the oldest.
fn remember(readings: &mut Vec<Arc<Reading>>, reading: &Arc<Reading>) {
    readings.push(reading.clone());
    let over = readings.len().saturating_sub(MAX_READINGS);
    readings.drain(..over);
}

fn steps(batches: u64, share: f64) -> u64 {
    (batches as f64 * share) as u64
}

#[cfg(test)]
mod tests;
