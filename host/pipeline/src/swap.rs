//! Another plugin set for a running pipeline: checked off the hot path, taken up between two batches,
//! watched, and taken back where it is worse.
//!
//! A request that fails any check leaves what runs as it is, and says why. What is taken up is kept, so
//! that a restarted pipeline goes on with it, and anyone can make the same chain again.

pub(crate) mod difference;
pub(crate) mod gate;
pub(crate) mod reload;
mod sensitive;
pub(crate) mod set_store;
pub(crate) mod shadow;
pub(crate) mod table;
pub(crate) mod watch;

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::context::Context;
use super::observe::running::Running;
use super::versions::actor::Actor;
use super::versions::reading::Reading;
use super::versions::slot::{Base, RollbackTarget, Rollout};
use super::versions::version::{Origin, Standing, VersionRecord};
use clickmill_audit::{Action, Event, Outcome};
use clickmill_config as config;
use clickmill_core::{Digest, causes, lock};
use clickmill_sandbox::{Change, ChangeError, Golden, PluginSet};
use gate::{Candidate, Check, Passed, SwapRefused};
use reload::Reload;
use shadow::Shadow;

/// Changes the plugin set of a running pipeline. Cheap to clone.
#[derive(Clone)]
pub struct Swaps(pub(crate) Arc<Context>);

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Who asks.
    pub actor: Actor,
    /// What they say about it.
    pub note: String,
    /// The pipeline file is read again, in place of changes.
    pub reload: Option<Reload>,
    /// What is to be different; all of it counts at once.
    pub changes: Vec<Change>,
    /// Golden cases, by stage.
    pub golden: Vec<(String, Golden)>,
    /// How it begins; as the pipeline file says where absent.
    pub rollout: Option<Rollout>,
    /// Only checked.
    pub dry_run: bool,
}

impl Request {
    /// What it is about: the stages that are to change, or the pipeline file.
    pub(crate) fn subject(&self) -> String {
        match self.reload {
            Some(_) => "pipeline file".to_owned(),
            None => stages(&self.changes),
        }
    }
}

/// What became of a request.
#[derive(Debug, Clone)]
pub struct Swapped {
    /// The set that ran before.
    pub from: Digest,
    /// The new one.
    pub to: Digest,
    /// What was checked, in order.
    pub checks: Vec<Check>,
    /// What it changes on the last batches.
    pub shadow: Shadow,
    /// The new version, unless it was only checked.
    pub version: Option<Arc<VersionRecord>>,
}

impl Swaps {
    /// The swaps of a running pipeline.
    pub fn of(running: &Running) -> Self {
        Self(running.context().clone())
    }

    /// Checks a changed set and takes it up. One that was checked while what runs has changed is refused.
    pub fn swap(&self, request: &Request) -> Result<Swapped, SwapRefused> {
        let _one_at_a_time = lock(&self.0.swap_lock);
        self.try_swap(request).inspect_err(|refused| self.refuse(request, refused))
    }

    fn try_swap(&self, request: &Request) -> Result<Swapped, SwapRefused> {
        let context = &*self.0;
        self.alone("clickmill fleet swap")?;
        let base = context.slot.base();
        let from = &base.current;
        let (candidate, file) = match &request.reload {
            Some(asked) => {
                let (candidate, file) = reload::candidate(context, from, asked)?;
                (candidate, Some(file))
            }
            None => {
                let library = from.library.with(request.changes.clone())?;
                let (reading, golden) = (from.reading.clone(), request.golden.clone());
                (Candidate { library, reading, golden }, None)
            }
        };
        let passed = gate::check(&context.slot, &context.pipeline.swap.rules, from, candidate)?;
        if request.dry_run {
            let (from, to) = (from.library.digest().clone(), passed.library.digest().clone());
            let (checks, shadow) = (passed.checks, passed.shadow);
            return Ok(Swapped { from, to, checks, shadow, version: None });
        }
        let read = file.map(|file| format!("pipeline file {file} read again"));
        self.take(request, &base, passed, read.unwrap_or_default())
    }

    /// Takes up what passed, as long as what ran then still runs. `how` it came about goes into the audit log.
    pub(crate) fn take(
        &self,
        request: &Request,
        base: &Base,
        passed: Passed,
        how: String,
    ) -> Result<Swapped, SwapRefused> {
        let context = &*self.0;
        if !context.slot.stands(base) {
            return Err(SwapRefused::Overtaken { entered: None });
        }
        let set = base.current.record.set.clone();
        let (from, to) = (base.current.library.digest().clone(), passed.library.digest().clone());
        let (checks, shadow) = (passed.checks, passed.shadow);
        let mut swapped = Swapped { from, to, checks, shadow, version: None };
        let rollout = rollout(request, &context.pipeline.swap);
        let begins = match rollout {
            Rollout::All => "all batches".to_owned(),
            Rollout::Canary { share, time } => {
                format!("{:.1} % of batches for {time:?}", share * 100.0)
            }
            Rollout::Trial => "all batches, on trial".to_owned(),
        };
        let changes = gate::lines(&passed.changes);
        let parts = [how.as_str(), &changes.join("; "), &begins, &request.note];
        let detail = request.actor.detail(&parts);
        let event = |action, subject, detail| Event {
            subject,
            old_plugin_set: Some(swapped.from.to_string()),
            new_plugin_set: Some(swapped.to.to_string()),
            ..Event::new(&request.actor.name, action, detail)
        };
        // Without an entry it does not count.
        context.publish(&passed.library)?;
        let none_is_entered = lock(&context.entering);
        let mut subject = stages(&request.changes);
        if request.changes.is_empty() {
            for (stage, grant) in difference::grants(&set, &passed.library.set()) {
                let grant =
                    event(Action::Grant, stage.to_string(), request.actor.detail(&[&grant]));
                context.audit.enter(grant).map_err(SwapRefused::Audit)?;
            }
            let mut named: Vec<&str> = passed.changes.iter().map(|(stage, _)| &**stage).collect();
            named.dedup();
            subject = named.join(", ");
        }
        let swap = event(Action::Swap, subject, detail);
        context.audit.enter(swap).map_err(SwapRefused::Audit)?;
        let (actor, note) = (request.actor.name.clone(), request.note.clone());
        let origin = Origin { actor, note, changes };
        let put = (passed.library, passed.reading);
        let installed = context.slot.install(base, put, passed.fitted, origin, rollout);
        drop(none_is_entered);
        let Some(record) = installed else {
            return Err(SwapRefused::Overtaken { entered: Some(swapped.to) });
        };
        tracing::info!(
            version = record.number,
            from = %swapped.from,
            to = %swapped.to,
            changes = record.origin.changes.join("; "),
            ?rollout,
            actor = record.origin.actor,
            "plugins swapped"
        );
        if rollout == Rollout::All {
            context.took_over();
        }
        context.outcomes.taken.fetch_add(1, Ordering::Relaxed);
        swapped.version = Some(record);
        Ok(swapped)
    }

    /// Of a fleet no process changes its set alone.
    fn alone(&self, instead: &'static str) -> Result<(), SwapRefused> {
        match &self.0.pipeline.swap.fleet {
            Some(fleet) => Err(SwapRefused::InFleet { fleet: fleet.clone(), instead }),
            None => Ok(()),
        }
    }

    /// Takes the current version back, or the canary: the set before it runs again. `to` names a set
    /// that ran at any time, by how its digest begins. It waits for no swap that is checked meanwhile, of
    /// which nothing comes then, and for no table.
    pub fn roll_back(
        &self,
        to: Option<&str>,
        actor: &Actor,
        note: &str,
    ) -> Result<Arc<VersionRecord>, SwapRefused> {
        // One step back is everyone's, as soon as the others see it.
        let first = self.0.fleet.as_ref().is_some_and(|member| member.standing().entry == 0)
            && self.0.slot.canary().is_none();
        if to.is_some() || first {
            self.alone("clickmill fleet rollback")?;
        }
        let back = self.back(to, actor, note);
        if let Err(SwapRefused::NothingBefore) = back {
            // What ran before this process began is in the fleet's log.
            self.alone("clickmill fleet rollback")?;
        }
        back
    }

    /// The same, whoever else has to.
    pub(crate) fn back(
        &self,
        to: Option<&str>,
        actor: &Actor,
        note: &str,
    ) -> Result<Arc<VersionRecord>, SwapRefused> {
        loop {
            match self.go_back(to, actor, note) {
                // Whatever ran meanwhile, this is what is to run.
                Err(SwapRefused::Overtaken { .. }) if to.is_some() => {}
                done => return done,
            }
        }
    }

    fn go_back(
        &self,
        to: Option<&str>,
        actor: &Actor,
        note: &str,
    ) -> Result<Arc<VersionRecord>, SwapRefused> {
        let context = &*self.0;
        let base = context.slot.base();
        let current = &base.current;
        let reason = match note {
            "" => format!("asked for by {}", actor.name),
            note => note.to_owned(),
        };
        let take_back = |version: &Arc<VersionRecord>| {
            let is_back = context.slot.roll_back(version, RollbackTarget::Before, actor, &reason);
            is_back.then(|| {
                let record = context.slot.current().record.clone();
                // Who is told that it is back relies on that also after a restart.
                context.tell_events();
                record
            })
        };
        let running = context.slot.canary().unwrap_or_else(|| current.record.clone());
        if to.is_none()
            && let Some(record) = take_back(&running)
        {
            return Ok(record);
        }
        let to = match to {
            Some(digest) => context.sets.set(digest)?,
            None => self.before(&current.record).ok_or(SwapRefused::NothingBefore)?,
        };
        let reading = self.reading_of(&current.reading, &to)?;
        let library = context.sets.restore(&reading.library, &to)?;
        if library.digest() == current.library.digest() {
            // Beside a canary it does not run alone yet.
            if let Some(record) = context.slot.canary().and_then(|canary| take_back(&canary)) {
                return Ok(record);
            }
            let plugin_set = to.digest;
            return Err(ChangeError::Nothing { plugin_set }.into());
        }
        library.check_secrets(&reading.secrets).map_err(ChangeError::from)?;
        let fitted = gate::fit(&context.slot, &library, &reading.secrets)?;
        let changes = gate::lines(&difference::changes(&current.record.set, &library.set()));
        let origin = Origin { actor: actor.name.clone(), note: reason, changes };
        // What ran since the start was published before it did.
        let ran = context.slot.history();
        let is_published = ran.iter().any(|record| record.set.digest == *library.digest());
        let unpublished = (!is_published).then(|| library.clone());
        let installed = context.slot.go_back(&base, (library, reading), fitted, origin);
        let record = installed.ok_or(SwapRefused::Overtaken { entered: None })?;
        unpublished.into_iter().for_each(|library| context.publish_late(library));
        context.rolled_back(&current.record, &record, actor, &record.origin.note);
        context.took_over();
        Ok(record)
    }

    /// The stages of the pipeline file, as they were read, that a set is to run with: those that are just its
    /// own, else those of what runs. A kept set says of stages no more than their names.
    fn reading_of(
        &self,
        current: &Arc<Reading>,
        to: &PluginSet,
    ) -> Result<Arc<Reading>, SwapRefused> {
        let readings = self.0.slot.readings();
        let of_its_own = |reading: &&Arc<Reading>| {
            let own = reading.library.set();
            reading.has_stages_of(to) && difference::rights(to, &own).is_empty()
        };
        let alike = |reading: &&Arc<Reading>| reading.has_stages_of(to);
        let all = || std::iter::once(current).chain(&readings);
        let found = all().find(of_its_own).or_else(|| all().find(alike));
        found.cloned().ok_or_else(|| SwapRefused::OtherStages {
            plugin_set: to.digest.clone(),
            stages: to.stages.iter().map(|made| &*made.stage).collect::<Vec<&str>>().join(", "),
        })
    }

    /// Tells that a set is not taken up, and why.
    pub(crate) fn refuse(&self, request: &Request, refused: &SwapRefused) {
        let running = self.0.slot.current();
        let subject = request.subject();
        tracing::warn!(
            subject,
            actor = request.actor.name,
            check = refused.check(),
            error = causes(refused),
            "a swap is refused, what ran before still runs"
        );
        self.0.outcomes.refused.fetch_add(1, Ordering::Relaxed);
        let why = format!("{}: {}", refused.check(), causes(refused));
        self.0.audit.enter_late(Event {
            subject,
            old_plugin_set: Some(running.record.set.digest.to_string()),
            outcome: Outcome::Refused,
            ..Event::new(&request.actor.name, Action::Refuse, request.actor.detail(&[&why]))
        });
    }

    /// The last set that ran before a version, was not taken back, by then or since, and is another.
    fn before(&self, version: &VersionRecord) -> Option<PluginSet> {
        let history = self.0.slot.history();
        // Where going back had put it in again, a version of its own was taken back, and not the first one.
        let mut taken_back = HashSet::new();
        for record in history.iter().rev() {
            let digest = &record.set.digest;
            match record.standing() {
                Standing::RolledBack { .. } => drop(taken_back.insert(digest)),
                Standing::Replaced { .. }
                    if record.number < version.number
                        && *digest != version.set.digest
                        && !taken_back.contains(digest) =>
                {
                    return Some(record.set.clone());
                }
                _ => {}
            }
        }
        None
    }
}

/// How a set that passed begins: as it was asked for, or as the pipeline file says.
pub(crate) fn rollout(request: &Request, config: &config::Swap) -> Rollout {
    request.rollout.unwrap_or(match config.canary_share {
        share if share < 1.0 => Rollout::Canary { share, time: config.canary },
        _ => Rollout::All,
    })
}

fn stages(changes: &[Change]) -> String {
    changes.iter().map(|change| change.stage.as_str()).collect::<Vec<_>>().join(", ")
}
