//! What takes the place of what runs.

use std::sync::Arc;
use std::time::Instant;

use super::super::actor::Actor;
use super::super::fit::Fitted;
use super::super::reading::Reading;
use super::super::version::{Origin, Standing, Version, VersionRecord};
use super::running::{Canary, Probation, Versions};
use super::{Base, RollbackTarget, Rollout, Slot, SlotEvent};
use clickmill_core::{Micros, lock};
use clickmill_sandbox::Library;

/// Versions that are remembered.
const MAX_HISTORY: usize = 1000;
/// Versions that have not proven themselves yet, with their components, to be gone back to one by one.
const MAX_UNPROVEN: usize = 8;

/// How a version takes the place of another.
enum Beginning {
    Swap(Rollout),
    /// In place of what is taken back.
    Rollback,
}

impl Slot {
    /// Takes a version up, as long as what runs is what it was checked against: whatever was taken up or taken
    /// back meanwhile stands, and this is `None`. Only one that was fitted to the columns that come in, where
    /// those are known.
    pub(crate) fn install(
        &self,
        base: &Base,
        put: (Library, Arc<Reading>),
        fitted: Option<Fitted>,
        origin: Origin,
        rollout: Rollout,
    ) -> Option<Arc<VersionRecord>> {
        self.put(base, put, fitted, origin, Beginning::Swap(rollout))
    }

    /// Takes an earlier set up, as [`Self::install`] does, and what runs back. The set is on no probation:
    /// compared with what was taken back it might lose, and that would return.
    pub(crate) fn go_back(
        &self,
        base: &Base,
        put: (Library, Arc<Reading>),
        fitted: Option<Fitted>,
        origin: Origin,
    ) -> Option<Arc<VersionRecord>> {
        self.put(base, put, fitted, origin, Beginning::Rollback)
    }

    fn put(
        &self,
        base: &Base,
        (library, reading): (Library, Arc<Reading>),
        fitted: Option<Fitted>,
        origin: Origin,
        beginning: Beginning,
    ) -> Option<Arc<VersionRecord>> {
        let mut running = self.write();
        if !running.is(base) {
            return None;
        }
        let mut history = lock(&self.history);
        let standing = match beginning {
            Beginning::Swap(Rollout::Canary { .. } | Rollout::Trial) => Standing::Canary,
            Beginning::Swap(Rollout::All) | Beginning::Rollback => Standing::Current,
        };
        let number = history.last().map_or(1, |last| last.number + 1);
        self.remember(&reading);
        let version = Arc::new(Version::new(number, library, reading, origin, standing));
        if let Some(fitted) = fitted {
            version.set_fitted(fitted);
        }
        history.push(version.record.clone());
        if history.len() > MAX_HISTORY {
            history.remove(0);
        }
        let record = version.record.clone();
        // A canary that is not through yet gives way: it is none to go back to.
        if let Some(canary) = running.canary.take() {
            let reason = "another took its place before it got all batches".to_owned();
            canary.version.record.stand(Standing::RolledBack { until: Micros::now(), reason });
        }
        match beginning {
            Beginning::Swap(Rollout::All) => self.take_over(&mut running, version),
            Beginning::Rollback => {
                let reason = record.origin.note.clone();
                let before = std::mem::replace(&mut running.current, version);
                before.record.stand(Standing::RolledBack { until: Micros::now(), reason });
                running.probation = None;
            }
            Beginning::Swap(Rollout::Canary { share, time }) => {
                let until = Some(Instant::now() + time);
                running.canary = Some(Canary { version, share, until });
            }
            Beginning::Swap(Rollout::Trial) => {
                running.canary = Some(Canary { version, share: 1.0, until: None });
            }
        }
        self.changed();
        Some(record)
    }

    /// Takes a version back: a canary gets no more batches; in place of the current version an earlier
    /// one is back. `false` where that is gone, or the version does not run.
    pub(crate) fn roll_back(
        &self,
        version: &Arc<VersionRecord>,
        back: RollbackTarget,
        actor: &Actor,
        reason: &str,
    ) -> bool {
        let mut running = self.write();
        let is = |other: &Version| Arc::ptr_eq(version, &other.record);
        let to = if running.canary.as_ref().is_some_and(|canary| is(&canary.version)) {
            running.canary = None;
            running.current.record.clone()
        } else if is(&running.current) {
            let Some(probation) = running.probation.take() else { return false };
            let Probation { proven, mut since, rates, until } = probation;
            let before = if back == RollbackTarget::Before { since.pop() } else { None };
            let next = before.clone().unwrap_or_else(|| proven.clone());
            next.record.stand(Standing::Current);
            if before.is_some() {
                // It has still to prove itself.
                running.probation = Some(Probation { proven, since, rates, until });
            }
            running.current = next;
            running.current.record.clone()
        } else {
            return false;
        };
        let (until, reason) = (Micros::now(), reason.to_owned());
        version.stand(Standing::RolledBack { until, reason: reason.clone() });
        let (from, actor) = (version.clone(), actor.clone());
        // The receiver lives as long as the slot: both are the context's.
        let _ = self.events.send(SlotEvent::RolledBack { from, to, actor, reason });
        self.changed();
        true
    }

    /// Has the canary take over: it gets all batches, for good. `false` where there is none, or where something
    /// else runs by now.
    pub(crate) fn promote(&self, base: &Base) -> bool {
        let mut running = self.write();
        if !running.is(base) {
            return false;
        }
        let Some(Canary { version, .. }) = running.canary.take() else { return false };
        let (from, to) = (running.current.record.clone(), version.record.clone());
        to.stand(Standing::Current);
        self.take_over(&mut running, version);
        let _ = self.events.send(SlotEvent::Promoted { from, to });
        self.changed();
        true
    }

    fn take_over(&self, running: &mut Versions, version: Arc<Version>) {
        let before = std::mem::replace(&mut running.current, version);
        before.record.stand(Standing::Replaced { until: Micros::now() });
        let until = Instant::now() + self.config.probation;
        let rates = before.record.lately();
        running.probation = Some(match running.probation.take() {
            Some(Probation { proven, mut since, rates: earlier, .. })
                if rates.rows < self.config.rules.min_rows =>
            {
                since.push(before);
                since.drain(..since.len().saturating_sub(MAX_UNPROVEN));
                Probation { proven, since, rates: earlier, until }
            }
            _ => Probation { proven: before, since: Vec::new(), rates, until },
        });
    }
}
