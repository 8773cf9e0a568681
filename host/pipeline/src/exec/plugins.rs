//! Plugins that change while a process of `exec` runs: what lies in `swap.watch`, and what the pipeline
//! file has watched. There is no audit log and no table, so what is taken up is told to the caller, and who
//! runs the process decides.

use std::path::Path;
use std::sync::Arc;

use crossbeam_channel::Receiver;
use tokio::runtime::Handle;

use super::executor::Executor;
use crate::swap::gate::{self, Candidate, SwapRefused};
use crate::swap::watch::{self, AtStart, Watched};
use crate::swap::{Request, rollout};
use crate::threads::Threads;
use crate::versions::slot::{Slot, SlotEvent};
use crate::versions::version::Origin;
use clickmill_config::{Pipeline, PipelineFile};
use clickmill_core::causes;
use clickmill_sandbox::Engine;

impl Watched for Arc<Executor> {
    fn pipeline(&self) -> &Pipeline {
        &self.pipeline
    }

    /// Stages stay those that it was started with.
    fn file(&self) -> Option<&PipelineFile> {
        None
    }

    /// So none of its stages is read again.
    fn cache(&self) -> Option<&Path> {
        None
    }

    fn runtime(&self) -> &Handle {
        &self.runtime
    }

    fn engine(&self) -> &Engine {
        &self.engine
    }

    fn slot(&self) -> &Slot {
        &self.slot
    }

    fn take(&self, request: &Request) -> Result<(), SwapRefused> {
        self.try_take(request).inspect_err(|refused| {
            let (subject, check, error) = (request.subject(), refused.check(), causes(refused));
            tracing::warn!(subject, check, error, "a swap is refused, what ran before still runs");
        })
    }
}

impl Executor {
    fn try_take(&self, request: &Request) -> Result<(), SwapRefused> {
        let config = &self.pipeline.swap;
        let base = self.slot.base();
        let from = &base.current;
        let library = from.library.with(request.changes.clone())?;
        let (reading, golden) = (from.reading.clone(), request.golden.clone());
        let candidate = Candidate { library, reading, golden };
        let passed = gate::check(&self.slot, &config.rules, from, candidate)?;
        let rollout = rollout(request, config);
        let (actor, note) = (request.actor.name.clone(), request.note.clone());
        let origin = Origin { actor, note, changes: gate::lines(&passed.changes) };
        let (from, to) = (from.library.digest(), passed.library.digest().clone());
        let set = (passed.library, passed.reading);
        let installed = self.slot.install(&base, set, passed.fitted, origin, rollout);
        let Some(record) = installed else {
            return Err(SwapRefused::Overtaken { entered: None });
        };
        let changes = record.origin.changes.join("; ");
        tracing::info!(%from, %to, changes, ?rollout, "plugins swapped");
        Ok(())
    }
}

/// Takes up what lies in `swap.watch`, and from now on what changes.
pub(super) fn watch(executor: &Arc<Executor>, threads: &Threads) {
    // A process that starts remembers no swap.
    watch::watch(executor.clone(), false, AtStart::IsTakenUp, threads);
}

/// Has a canary take over whose time is over: there is no log for that to be entered into. Tells what the slot did.
pub(super) fn settle(slot: &Slot, events: &Receiver<SlotEvent>) {
    if let Some(base) = slot.due() {
        slot.promote(&base);
    }
    events.try_iter().for_each(|event| tell(&event));
}

fn tell(event: &SlotEvent) {
    match event {
        SlotEvent::Promoted { from, to } => {
            tracing::info!(from = %from.set.digest, to = %to.set.digest, "the canary took over");
        }
        SlotEvent::RolledBack { from, to, reason, .. } => {
            let (from, to) = (&from.set.digest, &to.set.digest);
            tracing::warn!(%from, %to, reason, "plugins rolled back");
        }
    }
}
