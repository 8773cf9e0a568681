//! A set that some replicas try out before the others take it up: who they are, as it is seen, and what this process
//! runs as one of them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use super::error::FleetError;
use super::follow::{self, Tried};
use super::machine;
use super::objects::{Decision, Proposal, Vote};
use super::place::Place;
use super::standing::Member;
use crate::context::Context;
use crate::swap::gate::SwapRefused;
use crate::versions::slot::RollbackTarget;
use crate::versions::version::{Standing, VersionRecord};

/// The replicas that try the open proposal out, as they are seen.
#[derive(Default)]
pub(crate) struct Canaries {
    /// Who they are, and since when that is seen.
    named: Option<(BTreeSet<String>, Instant)>,
    verdicts: BTreeMap<String, Vote>,
}

impl Canaries {
    /// Looks for what is new.
    pub(crate) fn look(&mut self, place: &Place, number: u64) -> Result<(), FleetError> {
        if self.named.is_none() {
            self.named = place.canaries(number)?.map(|replicas| (replicas, Instant::now()));
        }
        match self.named {
            Some(_) => place.verdicts(number, &mut self.verdicts),
            None => Ok(()),
        }
    }

    /// What is known of them, once they are named.
    pub(crate) fn seen(&self) -> Option<machine::Canaries<'_>> {
        let (replicas, since) = self.named.as_ref()?;
        let waited = since.elapsed();
        Some(machine::Canaries { replicas, verdicts: &self.verdicts, waited })
    }
}

/// A proposal that this process tries out, with all its batches. Where the rules of probation say no, what ran before
/// runs again from the next batch on.
pub(crate) struct Trial {
    number: u64,
    record: Arc<VersionRecord>,
    since: Instant,
}

impl Trial {
    /// Begins with a proposal that was voted for.
    pub(crate) fn begin(
        context: &Arc<Context>,
        member: &Member,
        (number, proposal): (u64, &Proposal),
        tried: Option<Tried>,
    ) -> Result<Self, SwapRefused> {
        let record = follow::try_out(context, member, (number, proposal), tried)?;
        Ok(Self { number, record, since: Instant::now() })
    }

    /// Whether it is a proposal's.
    pub(crate) fn is_of(&self, number: u64) -> bool {
        self.number == number
    }

    /// How far it is.
    pub(crate) fn state(&self) -> machine::Trial {
        let gave_up = gave_up(&self.record);
        machine::Trial { number: self.number, ran: self.since.elapsed(), gave_up }
    }

    /// What is said of it in the end.
    pub(crate) fn verdict(&self) -> Vote {
        let done = self.record.tally().all;
        let (batches, rows, rejected, faults) =
            (done.batches, done.rows, done.rejected, done.faults);
        let why = match rows {
            0 => machine::NO_ROWS.to_owned(),
            _ => format!("{batches} batches, {rows} rows, {rejected} rejected, {faults} faults"),
        };
        Vote { ok: true, why }
    }

    /// It is committed: once that is entered, what ran beside it is let go, and it is on probation as after any swap.
    /// Where it was given up at that very moment, that stands, and is everyone's.
    pub(crate) fn stay(&self, context: &Context) -> Result<Arc<VersionRecord>, SwapRefused> {
        let promoted = context.promote(|slot| slot.beside(&self.record));
        promoted.map_err(SwapRefused::Audit)?;
        context.tell_events();
        Ok(self.record.clone())
    }

    /// It came to nothing: it gets no more batches.
    pub(crate) fn leave(self, context: &Context, decision: Option<&Decision>) {
        let (by, why) = decision.map_or(("fleet", "the fleet goes on without it"), |decision| {
            (decision.by.as_str(), decision.why.as_str())
        });
        let actor = follow::of_fleet(by, &format!("entry {} of the fleet", self.number));
        context.slot.roll_back(&self.record, RollbackTarget::Before, &actor, why);
        context.tell_events();
    }
}

/// Why a version was taken back by this process.
pub(crate) fn gave_up(record: &VersionRecord) -> Option<String> {
    match record.standing() {
        Standing::RolledBack { reason, .. } => Some(reason),
        Standing::Canary | Standing::Current | Standing::Replaced { .. } => None,
    }
}
