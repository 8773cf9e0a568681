//! What all modules of a pipeline share: the checked file, the plugin sets, the tables, the audit log, and
//! whoever looks at its rows. What is done with them is elsewhere; here is only what several modules do:
//! plugin sets are published and remembered, and what the slot did is told.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use arrow::error::ArrowError;
use crossbeam_channel::Receiver;
use tokio::runtime::Handle;

use super::audit_sink::AuditSink;
use super::fleet::standing::Member;
use super::observe::summary::Counts;
use super::observe::tap::Taps;
use super::swap::difference::grants;
use super::swap::set_store::{RunningSet, SetStore, SetStoreError};
use super::swap::table;
use super::threads::{Threads, Wake};
use super::versions::actor::{self, Actor};
use super::versions::slot::{Base, Slot, SlotEvent};
use super::versions::version::VersionRecord;
use clickmill_audit::{Action, AuditError, Event, Host, Outcome};
use clickmill_config::{Pipeline, PipelineFile, TableName};
use clickmill_core::schema::SchemaError;
use clickmill_core::{Digest, Fault, Micros, causes, lock};
use clickmill_dead_letter::Writer;
use clickmill_sandbox::{Engine, Library, Secrets};
use clickmill_sink::{SinkError, Tables};

/// Batches of a stream between cutter and delivery, per worker: one in hand, one ready on each side, one
/// on its way to the table.
const BATCHES_PER_WORKER: usize = 6;

/// How often it is looked whether a canary's time is over.
const LOOK_AT_CANARY: Duration = Duration::from_secs(1);

/// Everything a pipeline runs with.
pub(crate) struct Context {
    pub pipeline: Pipeline,
    /// Who runs it, for the audit log.
    pub actor: String,
    pub tables: Tables,
    /// For input and output. A handle: the runtime itself would be dropped by one of its own tasks.
    pub runtime: Handle,
    pub engine: Engine,
    pub slot: Slot,
    pub taps: Taps,
    /// Where plugin sets are kept.
    pub sets: SetStore,
    /// The fleet that decides on the plugin set, where the process is of one.
    pub fleet: Option<Arc<Member>>,
    pub audit: Arc<AuditSink>,
    /// Makes dead letters.
    pub letters: Arc<Writer>,
    /// The pipeline file, where it can be read again.
    pub file: Option<PipelineFile>,
    /// Where components of registries are kept.
    pub cache: Option<PathBuf>,
    /// Values of secrets that do not come from the environment.
    pub secrets: Secrets,
    /// Held by a swap from its first check to its end: they come one after the other. Whoever takes a version
    /// back waits for none of them.
    pub swap_lock: Mutex<()>,
    /// Held while a swap, or a canary that takes over, is entered and counts: the last that is entered is what
    /// runs.
    pub entering: Mutex<()>,
    /// Held while it is written what runs.
    pub remembered: Mutex<Remembered>,
    /// Sets that run since a rollback, which waits for no table, and are not published yet.
    pub unpublished: Mutex<Vec<Library>>,
    /// Rung where something is unremembered or unpublished.
    pub to_catch_up: Wake,
    /// A canary whose time is over does not take over, since that cannot be entered.
    pub is_held_back: AtomicBool,
    pub outcomes: Outcomes,
    /// What the slot did and nobody has told yet.
    pub events: Mutex<Receiver<SlotEvent>>,
}

/// What is remembered of what runs, for the next start.
#[derive(Default)]
pub(crate) struct Remembered {
    /// What this process has written last.
    last: Option<RunningSet>,
    /// What runs now could not be written.
    is_behind: bool,
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
    /// Rows written to each table: the pipeline's own, then those of its routes in their order, copies too.
    pub(crate) fn rows_by_table<'a>(
        &'a self,
        counts: &'a Counts,
    ) -> impl Iterator<Item = (&'a TableName, u64)> {
        let rows = counts.rows_by_table.iter().copied().chain(std::iter::repeat(0));
        self.pipeline.sink.tables().map(|(table, _)| table).zip(rows)
    }

    /// The most batches that are between source and table at once.
    pub(crate) fn most_batches(&self) -> usize {
        self.pipeline.workers * BATCHES_PER_WORKER
    }

    /// Enters the start, and what it may do that it might not before. Without that it does not begin.
    pub(crate) fn begin(&self) -> Result<(), AuditError> {
        let current = self.slot.current();
        let record = current.record.clone();
        let event = |action, subject: &str, old: Option<String>, detail: String| Event {
            subject: subject.to_owned(),
            old_plugin_set: old,
            new_plugin_set: Some(record.set.digest.to_string()),
            ..Event::new(&self.actor, action, detail)
        };
        let (plugin_set, ran_last) = (record.set.digest.to_string(), self.audit.ran_last());
        if self.fleet.is_none()
            && record.set.digest != *current.reading.library.digest()
            && !ran_last.is_empty()
            && !ran_last.contains(&plugin_set)
        {
            tracing::warn!(
                plugin_set,
                audit_log = ran_last.join(", "),
                "the plugin set that is remembered is none that this host's audit log names last: another process has swapped, or somebody has written to `swap.state`"
            );
        }
        let last = self.sets.running(&self.pipeline.name).ok().flatten();
        let last = last.and_then(|last| self.sets.set(&last.running).ok());
        for (stage, change) in last.iter().flat_map(|last| grants(last, &record.set)) {
            let old = last.as_ref().map(|last| last.digest.to_string());
            self.audit.enter(event(Action::Grant, &stage, old, change))?;
        }
        let stages = record.set.stages.iter();
        let stages = stages.map(|made| format!("{} {} {}", made.stage, made.plugin, made.version));
        let detail = format!("{}; {}", Host::here(), stages.collect::<Vec<_>>().join("; "));
        self.audit.enter(event(Action::Start, "", last.map(|last| last.digest.into()), detail))?;
        self.audit.settle();
        self.audit.tell_head();
        self.remember();
        Ok(())
    }

    /// Enters the end, after what the slot did last.
    pub(crate) fn end(&self, outcome: Outcome, detail: String) {
        // Nothing that is compiled now would run any more.
        self.engine.stop();
        {
            let _none_is_entered = lock(&self.entering);
            self.slot.hold();
        }
        self.tell_events();
        self.remember_at_last();
        self.audit.end(Some(Event {
            old_plugin_set: Some(self.slot.current().record.set.digest.to_string()),
            outcome,
            ..Event::new(&self.actor, Action::Stop, detail)
        }));
        self.audit.tell_head();
    }

    /// Has the canary take over that `find` finds, once that is entered. Where it cannot be, the canary goes on with
    /// the batches that it gets. One that is taken back meanwhile stays so, and the entry of that comes after.
    pub(crate) fn promote(
        &self,
        find: impl FnOnce(&Slot) -> Option<Base>,
    ) -> Result<(), AuditError> {
        let _none_is_entered = lock(&self.entering);
        let Some(base) = find(&self.slot) else { return Ok(()) };
        let Some(canary) = base.canary() else { return Ok(()) };
        self.audit.enter(Event {
            old_plugin_set: Some(base.current.record.set.digest.to_string()),
            new_plugin_set: Some(canary.set.digest.to_string()),
            ..Event::new(actor::HOST, Action::Promote, "the canary takes over")
        })?;
        self.slot.promote(&base);
        Ok(())
    }

    /// Has canaries take over whose time is over, on a thread of its own: no batch waits for the log.
    pub(crate) fn keep_promoting(self: &Arc<Self>, threads: &Threads) {
        let context = self.clone();
        threads.spawn("canary", move |end| {
            while !end.comes_within(LOOK_AT_CANARY) {
                match context.promote(Slot::due) {
                    Ok(()) => context.is_held_back.store(false, Ordering::Relaxed),
                    Err(error) if !context.is_held_back.swap(true, Ordering::Relaxed) => {
                        let error = causes(&error);
                        tracing::error!(
                            error,
                            "the canary does not take over, which the audit log does not take: it goes on with its share of the batches, and this is tried again"
                        );
                    }
                    Err(_) => {}
                }
            }
        });
    }

    /// Why a canary whose time is over has not taken over.
    pub(crate) fn held_back(&self) -> Option<String> {
        self.is_held_back.load(Ordering::Relaxed).then(|| {
            "a canary whose time is over does not take over, since the audit log does not take that; the log says why"
                .to_owned()
        })
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

    /// Has a set published that runs already, as soon as that can be. Waits for nothing.
    pub(crate) fn publish_late(&self, library: Library) {
        {
            let mut unpublished = lock(&self.unpublished);
            if unpublished.iter().all(|waits| waits.digest() != library.digest()) {
                unpublished.push(library);
            }
        }
        self.to_catch_up.wake();
    }

    /// Publishes and remembers what could not be before, for as long as that takes, on a thread of its own.
    pub(crate) fn keep_up(self: &Arc<Self>, threads: &Threads) {
        let context = self.clone();
        threads.spawn("plugin sets", move |end| {
            let mut is_told = false;
            context.to_catch_up.work_until(end, || {
                context.remember_at_last();
                // Not locked meanwhile: whoever adds one does not wait.
                let next = || lock(&context.unpublished).first().cloned();
                while let Some(library) = next() {
                    if let Err(error) = context.publish(&library) {
                        if !std::mem::replace(&mut is_told, true) {
                            let (error, plugin_set) = (causes(&error), library.digest());
                            tracing::warn!(error, %plugin_set, "a set that runs again is not in its table yet: it is tried again");
                        }
                        break;
                    }
                    is_told = false;
                    lock(&context.unpublished).remove(0);
                }
            });
        });
    }

    /// What has to be done once another version gets all batches.
    pub(crate) fn took_over(&self) {
        self.end_taps();
        self.remember();
    }

    /// Ends taps on stages that are gone.
    pub(crate) fn end_taps(&self) {
        let current = self.slot.current();
        let stages: Vec<&str> = current.library.stage_names().collect();
        self.taps.end_gone(&stages);
    }

    /// The plugin set that the pipeline file was last read to have, where that was taken back: the next start
    /// runs the file as it is then.
    pub(crate) fn taken_back(&self) -> Option<Digest> {
        let newest = self.slot.readings().into_iter().next()?;
        let (current, canary) = (self.slot.current(), self.slot.canary());
        let is_back =
            canary.is_none() && newest.library.digest() != current.reading.library.digest();
        is_back.then(|| newest.library.digest().clone())
    }

    /// Remembers what runs at this moment, for the next start. Where that fails it is tried again: what was
    /// remembered before may be what was taken back since. Of a fleet its log says what the next start runs: by this
    /// letters are replayed, and it is told what the next start may do that this one might not.
    pub(crate) fn remember(&self) {
        let mut remembered = lock(&self.remembered);
        let current = self.slot.current();
        let record = &current.record;
        let running = RunningSet {
            file: current.reading.library.digest().clone(),
            taken_back: self.taken_back(),
            running: record.set.digest.clone(),
            actor: record.origin.actor.clone(),
            note: record.origin.note.clone(),
        };
        if self.fleet.is_none()
            && let Some(last) = &remembered.last
            && let Ok(Some(there)) = self.sets.running(&self.pipeline.name)
            && there != *last
            && there != running
        {
            tracing::warn!(
                plugin_set = %running.running,
                theirs = %there.running,
                actor = there.actor,
                "another process of this pipeline has remembered what it runs: the next start of either goes on with what runs here"
            );
        }
        let written = self.sets.set_running(&self.pipeline.name, &running);
        let was_told = std::mem::replace(&mut remembered.is_behind, written.is_err());
        if written.is_ok() {
            remembered.last = Some(running.clone());
        }
        let plugin_set = &running.running;
        match written {
            Err(error) if !was_told => {
                let error = causes(&error);
                tracing::error!(
                    error,
                    %plugin_set,
                    "what runs is not remembered yet: it is tried again, a start before that goes on with what was remembered last"
                );
            }
            Ok(()) if was_told => tracing::info!(%plugin_set, "what runs is remembered again"),
            Err(_) | Ok(()) => {}
        }
    }

    /// Remembers what runs, where that failed before.
    fn remember_at_last(&self) {
        let is_behind = lock(&self.remembered).is_behind;
        if is_behind {
            self.remember();
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
                self.took_over();
            }
            SlotEvent::RolledBack { from, to, actor, reason } => {
                tracing::warn!(
                    version = from.number,
                    from = %from.set.digest,
                    to = %to.set.digest,
                    actor = actor.name,
                    reason,
                    "plugins rolled back"
                );
                self.rolled_back(&from, &to, &actor, &reason);
                self.took_over();
            }
        }
    }

    /// Counts a rollback, and has it entered: it counts already, whatever becomes of the entry.
    pub(crate) fn rolled_back(
        &self,
        from: &VersionRecord,
        to: &VersionRecord,
        actor: &Actor,
        reason: &str,
    ) {
        self.outcomes.rolled_back.fetch_add(1, Ordering::Relaxed);
        let file = self.taken_back();
        if let Some(plugin_set) = &file {
            tracing::warn!(
                %plugin_set,
                "the pipeline file still has the stages that were taken back: a start runs them, so edit it back"
            );
        }
        let file = file.map(|set| format!("the pipeline file still has plugin set {set}"));
        let file = file.unwrap_or_default();
        self.audit.enter_late(Event {
            old_plugin_set: Some(from.set.digest.to_string()),
            new_plugin_set: Some(to.set.digest.to_string()),
            ..Event::new(&actor.name, Action::Rollback, actor.detail(&[reason, &file]))
        });
    }
}
