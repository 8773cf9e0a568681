//! Another plugin set for a running pipeline: checked off the hot path, taken up between two batches,
//! watched, and taken back where it is worse.
//!
//! A request that fails any check leaves what runs as it is, and says why. What is taken up is kept, so
//! that a restarted pipeline goes on with it, and anyone can make the same chain again.

mod gate;
mod set_store;

mod shadow;
pub(super) mod table;
pub(super) mod watch;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub use gate::{Check, Refused};
pub use set_store::{Keep, KeepError, RunningSet};
pub use shadow::Shadow;

use super::audit_sink::Trail;
use super::versions::slot::{Back, Happened, Rollout, Slot};
use super::versions::version::{Origin, Record, Standing};
use clickmill_audit::{Action, Event, Outcome};
use clickmill_config as config;
use clickmill_config::TableName;
use clickmill_core::causes;
use clickmill_sandbox::{Change, Engine, Golden};
use clickmill_sink::Tables;

/// Changes the plugin set of a running pipeline. Cheap to clone.
#[derive(Clone)]
pub struct Swaps(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub trail: Trail,
    pub pipeline: String,
    pub config: config::Swap,
    pub slot: Slot,
    pub engine: Engine,
    pub keep: Keep,
    pub tables: Tables,
    /// `plugin_sets`.
    pub sets: TableName,
    pub runtime: tokio::runtime::Handle,
    /// The set of the pipeline file.
    pub file: String,
    /// Held by a swap from its first check to its end: they come one after the other.
    pub one: Mutex<()>,
    pub outcomes: Outcomes,
}

/// What became of plugin sets, counted.
#[derive(Default)]
pub(super) struct Outcomes {
    taken: AtomicU64,
    refused: AtomicU64,
    rolled_back: AtomicU64,
}

/// What is asked for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Who asks.
    pub actor: String,
    /// What they say about it.
    pub note: String,
    /// What is to be different; all of it counts at once.
    pub changes: Vec<Change>,
    /// Golden cases, by stage.
    pub golden: Vec<(String, Golden)>,
    /// How it begins; as the pipeline file says where absent.
    pub rollout: Option<Rollout>,
    /// Only checked.
    pub dry_run: bool,
}

/// What became of a request.
#[derive(Debug, Clone)]
pub struct Swapped {
    /// The set that ran before.
    pub from: String,
    /// The new one.
    pub to: String,
    /// What was checked, in order.
    pub checks: Vec<Check>,
    /// What it changes on the last batches.
    pub shadow: Shadow,
    /// The new version, unless it was only checked.
    pub version: Option<Arc<Record>>,
}

impl Swaps {
    /// Checks a changed set and takes it up.
    pub fn swap(&self, request: Request) -> Result<Swapped, Refused> {
        let inner = &*self.0;
        let _one = inner.one.lock().unwrap_or_else(PoisonError::into_inner);
        let from = inner.slot.current();
        let passed = match gate::check(inner, &from, &request) {
            Ok(passed) => passed,
            Err(refused) => {
                inner.refuse(&request, &from.record, &refused);
                return Err(refused);
            }
        };
        let (from, to) = (from.library.digest().to_string(), passed.library.digest().to_string());
        let mut swapped =
            Swapped { from, to, checks: passed.checks, shadow: passed.shadow, version: None };
        if request.dry_run {
            return Ok(swapped);
        }
        let rollout = request.rollout.unwrap_or(match inner.config.canary_share {
            share if share < 1.0 => Rollout::Canary { share, time: inner.config.canary },
            _ => Rollout::All,
        });
        inner.publish(&passed.library)?;
        let (actor, note) = (request.actor.clone(), request.note.clone());
        let origin = Origin { actor, note, changes: passed.changes };
        let record = inner.slot.install(passed.library, passed.fitted, origin, rollout);
        tracing::info!(
            version = record.number,
            from = swapped.from,
            to = swapped.to,
            ?rollout,
            actor = record.origin.actor,
            "plugins swapped"
        );
        if rollout == Rollout::All {
            inner.remember(&record);
        }
        let begins = match rollout {
            Rollout::All => "all batches".to_owned(),
            Rollout::Canary { share, time } => {
                format!("{:.1} % of batches for {time:?}", share * 100.0)
            }
        };
        inner.outcomes.taken.fetch_add(1, Ordering::Relaxed);
        inner.trail.enter(Event {
            actor: record.origin.actor.clone(),
            action: Action::Swap,
            subject: stages(&request.changes),
            old_plugin_set: Some(swapped.from.clone()),
            new_plugin_set: Some(swapped.to.clone()),
            outcome: Outcome::Done,
            detail: told(&[&record.origin.changes.join("; "), &begins, &record.origin.note]),
        });
        swapped.version = Some(record);
        Ok(swapped)
    }

    /// Takes the current version back, or the canary: the set before it runs again. `to` names a set
    /// that ran at any time, by how its digest begins.
    pub fn roll_back(
        &self,
        to: Option<&str>,
        actor: &str,
        note: &str,
    ) -> Result<Arc<Record>, Refused> {
        let inner = &*self.0;
        let _one = inner.one.lock().unwrap_or_else(PoisonError::into_inner);
        let current = inner.slot.current();
        let reason = match note {
            "" => format!("{actor} said so"),
            note => note.to_owned(),
        };
        let running = inner.slot.canary().unwrap_or_else(|| current.record.clone());
        if to.is_none() && inner.slot.roll_back(&running, Back::Before, actor, &reason) {
            return Ok(inner.slot.current().record.clone());
        }
        let to = match to {
            Some(digest) => inner.keep.set(digest)?,
            None => inner.before(&current.record).ok_or(Refused::NothingBefore)?,
        };
        let library = inner.keep.restore(&inner.engine, &to)?;
        if library.digest() == current.library.digest() {
            let plugin_set = to.digest;
            return Err(clickmill_sandbox::ChangeError::Nothing { plugin_set }.into());
        }
        let fitted = gate::fit(inner, &library)?;
        inner.publish(&library)?;
        let changes = gate::changes(&current.record.set, &to);
        let origin = Origin { actor: actor.to_owned(), note: reason.clone(), changes };
        let record = inner.slot.install(library, fitted, origin, Rollout::All);
        current.record.stand(Standing::RolledBack { until: record.since, reason });
        inner.remember(&record);
        inner.rolled_back(&current.record, &record, actor, note);
        Ok(record)
    }

    /// All versions since the start, the first one first.
    pub fn history(&self) -> Vec<Arc<Record>> {
        self.0.slot.history()
    }

    /// How many sets were taken up, refused and rolled back since the start.
    pub fn outcomes(&self) -> [(&'static str, u64); 3] {
        let Outcomes { taken, refused, rolled_back } = &self.0.outcomes;
        [("taken", taken), ("refused", refused), ("rolled_back", rolled_back)]
            .map(|(outcome, count)| (outcome, count.load(Ordering::Relaxed)))
    }

    /// The version that runs, and the canary beside it.
    pub fn running(&self) -> (Arc<Record>, Option<Arc<Record>>) {
        (self.0.slot.current().record.clone(), self.0.slot.canary())
    }

    /// Tells of what the slot does by itself, until there is no slot any more.
    pub(super) fn listen(&self, happened: crossbeam_channel::Receiver<Happened>) {
        let swaps = Arc::downgrade(&self.0);
        std::thread::spawn(move || {
            for happened in happened {
                let Some(inner) = swaps.upgrade() else { return };
                match happened {
                    Happened::Promoted { from, to } => {
                        tracing::info!(
                            version = to.number,
                            from = from.set.digest,
                            to = to.set.digest,
                            "the canary took over"
                        );
                        inner.remember(&to);
                        inner.trail.enter(Event {
                            actor: "clickmill".to_owned(),
                            action: Action::Promote,
                            subject: String::new(),
                            old_plugin_set: Some(from.set.digest.clone()),
                            new_plugin_set: Some(to.set.digest.clone()),
                            outcome: Outcome::Done,
                            detail: "the canary took over".to_owned(),
                        });
                    }
                    Happened::RolledBack { from, to, actor, reason } => {
                        tracing::warn!(
                            version = from.number,
                            from = from.set.digest,
                            to = to.set.digest,
                            actor,
                            reason,
                            "plugins rolled back"
                        );
                        inner.remember(&to);
                        inner.rolled_back(&from, &to, &actor, &reason);
                    }
                }
            }
        });
    }
}

fn stages(changes: &[Change]) -> String {
    changes.iter().map(|change| change.stage.as_str()).collect::<Vec<_>>().join(", ")
}

/// The parts that say something.
fn told(parts: &[&str]) -> String {
    let parts = parts.iter().filter(|part| !part.is_empty()).copied();
    parts.collect::<Vec<_>>().join("; ")
}

impl Inner {
    /// Enters the start, and what it may do that it might not before.
    pub fn begin(&self, actor: &str) {
        let record = self.slot.current().record.clone();
        let event = |action, subject: &str, old: Option<String>, detail: String| Event {
            actor: actor.to_owned(),
            action,
            subject: subject.to_owned(),
            old_plugin_set: old,
            new_plugin_set: Some(record.set.digest.clone()),
            outcome: Outcome::Done,
            detail,
        };
        let last = self.keep.running(&self.pipeline).ok().flatten();
        let last = last.and_then(|last| self.keep.set(&last.running).ok());
        for (stage, change) in last.iter().flat_map(|last| gate::grants(last, &record.set)) {
            let old = last.as_ref().map(|last| last.digest.clone());
            self.trail.enter(event(Action::Grant, &stage, old, change));
        }
        let stages = record.set.stages.iter();
        let stages = stages.map(|made| format!("{} {} {}", made.stage, made.plugin, made.version));
        let detail = stages.collect::<Vec<_>>().join("; ");
        self.trail.enter(event(Action::Start, "", last.map(|last| last.digest), detail));
        self.remember(&record);
    }

    /// Enters the end.
    pub fn end(&self, actor: &str, outcome: Outcome, detail: String) {
        self.trail.enter(Event {
            actor: actor.to_owned(),
            action: Action::Stop,
            subject: String::new(),
            old_plugin_set: Some(self.slot.current().record.set.digest.clone()),
            new_plugin_set: None,
            outcome,
            detail,
        });
    }

    fn refuse(&self, request: &Request, running: &Record, refused: &Refused) {
        tracing::warn!(
            actor = request.actor,
            check = refused.check(),
            error = causes(refused),
            "a swap is refused, what ran before still runs"
        );
        self.outcomes.refused.fetch_add(1, Ordering::Relaxed);
        self.trail.enter(Event {
            actor: request.actor.clone(),
            action: Action::Refuse,
            subject: stages(&request.changes),
            old_plugin_set: Some(running.set.digest.clone()),
            new_plugin_set: None,
            outcome: Outcome::Refused,
            detail: format!("{}: {}", refused.check(), causes(refused)),
        });
    }

    fn rolled_back(&self, from: &Record, to: &Record, actor: &str, reason: &str) {
        self.outcomes.rolled_back.fetch_add(1, Ordering::Relaxed);
        self.trail.enter(Event {
            actor: actor.to_owned(),
            action: Action::Rollback,
            subject: String::new(),
            old_plugin_set: Some(from.set.digest.clone()),
            new_plugin_set: Some(to.set.digest.clone()),
            outcome: Outcome::Done,
            detail: reason.to_owned(),
        });
    }

    /// Keeps what a set is made of, and enters it into the table, before the first row names it.
    pub fn publish(&self, library: &clickmill_sandbox::Library) -> Result<(), Refused> {
        let set = self.keep.keep(library)?;
        let schema = table::schema()?;
        let rows = table::rows(&set, &self.pipeline, clickmill_core::batch::micros_now(), &schema)?;
        let key = Some(("plugin_set", set.digest.as_str()));
        self.runtime.block_on(self.tables.enter(&self.sets, &set.digest, key, &rows))?;
        Ok(())
    }

    /// Remembers what runs, for the next start.
    pub fn remember(&self, record: &Record) {
        let running = RunningSet {
            file: self.file.clone(),
            running: record.set.digest.clone(),
            actor: record.origin.actor.clone(),
            note: record.origin.note.clone(),
        };
        if let Err(error) = self.keep.set_running(&self.pipeline, &running) {
            let error = causes(&error);
            tracing::warn!(
                error,
                "the swap is not remembered: after a restart the pipeline file counts"
            );
        }
    }

    /// The last set that ran before a version, was not taken back and is another.
    fn before(&self, version: &Record) -> Option<clickmill_sandbox::PluginSet> {
        let history = self.slot.history();
        let earlier = history.iter().rev().skip_while(|record| record.number >= version.number);
        let fine = |record: &&Arc<Record>| {
            matches!(record.standing(), Standing::Replaced { .. })
                && record.set.digest != version.set.digest
        };
        earlier.into_iter().find(fine).map(|record| record.set.clone())
    }
}
