//! What all rooms of a pipeline share: the checked file, the plugin sets, the tables, the audit log, and
//! whoever looks at its rows. What is done with them is elsewhere; here is only what several rooms do:
//! plugin sets are published and remembered, and what the slot did is told.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use arrow::error::ArrowError;
use crossbeam_channel::Receiver;
use tokio::runtime::Handle;

use super::audit_sink::AuditSink;
use super::observe::tap::Taps;
use super::swap::difference::grants;
use super::swap::set_store::{RunningSet, SetStore, SetStoreError};
use super::swap::table;
use super::versions::slot::{Slot, SlotEvent};
use super::versions::version::VersionRecord;
use clickmill_audit::{Action, Event, Outcome};
use clickmill_config::Pipeline;
use clickmill_core::schema::SchemaError;
use clickmill_core::{Digest, Fault, Micros, causes, lock};
use clickmill_dead_letter::Writer;
use clickmill_sandbox::Library;
use clickmill_sink::{SinkError, Tables};

/// Batches of a stream between cutter and delivery, per worker: one in hand, one ready on each side, one
/// on its way to the table.
const BATCHES_PER_WORKER: usize = 6;

/// Everything a pipeline runs with.
pub(crate) struct Context {
    pub pipeline: Pipeline,
    /// Who runs it, for the audit log.
    pub actor: String,
    pub tables: Tables,
    /// For input and output. A handle: the runtime itself would be dropped by one of its own tasks.
    pub runtime: Handle,
    pub slot: Slot,
    pub taps: Taps,
    /// Where plugin sets are kept.
    pub sets: SetStore,
    pub audit: AuditSink,
    /// Makes dead letters.
    pub letters: Arc<Writer>,
    /// The plugin set of the pipeline file.
    pub file: Digest,
    /// Held by a swap from its first check to its end: they come one after the other.
    pub swap_lock: Mutex<()>,
    pub outcomes: Outcomes,
    /// What the slot did and nobody has told yet.
    pub events: Mutex<Receiver<SlotEvent>>,
}

/// What became of plugin sets, counted since the start.
#[derive(Default)]
pub(crate) struct Outcomes {
    pub taken: AtomicU64,
    pub refused: AtomicU64,
    pub rolled_back: AtomicU64,
}

/// Why a plugin set is not published.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It can't be kept.
    #[error(transparent)]
    Store(#[from] SetStoreError),
    /// It can't be entered into its table.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// The table of plugin sets has a broken schema: a bug in clickmill.
    #[error(transparent)]
    Schema(#[from] SchemaError),
    /// Rows can't be made: a bug in clickmill.
    #[error("cannot make rows")]
    Rows(#[from] ArrowError),
}

impl PublishError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Store(_) | Self::Sink(_) => Fault::Environment,
            Self::Schema(_) | Self::Rows(_) => Fault::Bug,
        }
    }
}

impl Context {
    /// The most batches that are between source and table at once.
    pub(crate) fn most_batches(&self) -> usize {
        self.pipeline.workers * BATCHES_PER_WORKER
    }

    /// Enters the start, and what it may do that it might not before.
    pub(crate) fn begin(&self) {
        let record = self.slot.current().record.clone();
        let event = |action, subject: &str, old: Option<String>, detail: String| Event {
            actor: self.actor.clone(),
            action,
            subject: subject.to_owned(),
            old_plugin_set: old,
            new_plugin_set: Some(record.set.digest.to_string()),
            outcome: Outcome::Done,
            detail,
        };
        let last = self.sets.running(&self.pipeline.name).ok().flatten();
        let last = last.and_then(|last| self.sets.set(&last.running).ok());
        for (stage, change) in last.iter().flat_map(|last| grants(last, &record.set)) {
            let old = last.as_ref().map(|last| last.digest.to_string());
            self.audit.enter(event(Action::Grant, &stage, old, change));
        }
        let stages = record.set.stages.iter();
        let stages = stages.map(|made| format!("{} {} {}", made.stage, made.plugin, made.version));
        let detail = stages.collect::<Vec<_>>().join("; ");
        self.audit.enter(event(Action::Start, "", last.map(|last| last.digest.into()), detail));
        self.remember(&record);
    }

    /// Enters the end, after what the slot did last.
    pub(crate) fn end(&self, outcome: Outcome, detail: String) {
        self.tell_events();
        self.audit.enter(Event {
            actor: self.actor.clone(),
            action: Action::Stop,
            subject: String::new(),
            old_plugin_set: Some(self.slot.current().record.set.digest.to_string()),
            new_plugin_set: None,
            outcome,
            detail,
        });
    }

    /// Keeps what a set is made of, and enters it into the table, before the first row names it.
    pub(crate) fn publish(&self, library: &Library) -> Result<(), PublishError> {
        let set = self.sets.keep(library)?;
        let schema = table::schema()?;
        let rows = table::rows(&set, &self.pipeline.name, Micros::now(), &schema)?;
        let key = Some(("plugin_set", set.digest.as_str()));
        let table = self.pipeline.sink.table.beside(table::TABLE);
        self.runtime.block_on(self.tables.enter(&table, &set.digest, key, &rows))?;
        Ok(())
    }

    /// Remembers what runs, for the next start.
    pub(crate) fn remember(&self, record: &VersionRecord) {
        let running = RunningSet {
            file: self.file.clone(),
            running: record.set.digest.clone(),
            actor: record.origin.actor.clone(),
            note: record.origin.note.clone(),
        };
        if let Err(error) = self.sets.set_running(&self.pipeline.name, &running) {
            let error = causes(&error);
            tracing::warn!(
                error,
                "the swap is not remembered: after a restart the pipeline file counts"
            );
        }
    }

    /// Tells what the slot did since this was called last. Whoever calls it knows afterwards that all of
    /// it is told, also where another thread was at it.
    pub(crate) fn tell_events(&self) {
        let events = lock(&self.events);
        for event in events.try_iter() {
            self.tell(event);
        }
    }

    fn tell(&self, event: SlotEvent) {
        match event {
            SlotEvent::Promoted { from, to } => {
                tracing::info!(
                    version = to.number,
                    from = %from.set.digest,
                    to = %to.set.digest,
                    "the canary took over"
                );
                self.remember(&to);
                self.audit.enter(Event {
                    actor: "clickmill".to_owned(),
                    action: Action::Promote,
                    subject: String::new(),
                    old_plugin_set: Some(from.set.digest.to_string()),
                    new_plugin_set: Some(to.set.digest.to_string()),
                    outcome: Outcome::Done,
                    detail: "the canary took over".to_owned(),
                });
            }
            SlotEvent::RolledBack { from, to, actor, reason } => {
                tracing::warn!(
                    version = from.number,
                    from = %from.set.digest,
                    to = %to.set.digest,
                    actor,
                    reason,
                    "plugins rolled back"
                );
                self.remember(&to);
                self.rolled_back(&from, &to, &actor, &reason);
            }
        }
    }

    /// Counts and enters a roll back.
    pub(crate) fn rolled_back(
        &self,
        from: &VersionRecord,
        to: &VersionRecord,
        actor: &str,
        reason: &str,
    ) {
        self.outcomes.rolled_back.fetch_add(1, Ordering::Relaxed);
        self.audit.enter(Event {
            actor: actor.to_owned(),
            action: Action::Rollback,
            subject: String::new(),
            old_plugin_set: Some(from.set.digest.to_string()),
            new_plugin_set: Some(to.set.digest.to_string()),
            outcome: Outcome::Done,
            detail: reason.to_owned(),
        });
    }
}
