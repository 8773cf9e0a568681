//! What a fleet has decided, done here: a set of its is made with the stages of the own pipeline file, goes through the
//! own gate, and is taken up or taken back as any other.

use std::sync::Arc;
use std::time::Duration;

use super::error::FleetError;
use super::log::Log;
use super::objects::{Proposal, Rollback};
use super::place::Place;
use super::standing::Member;
use crate::context::Context;
use crate::swap::difference::rights;
use crate::swap::gate::{self, Candidate, Passed, SwapRefused};
use crate::swap::reload::{self, Reload};
use crate::swap::set_store::SetStore;
use crate::swap::{Request, Swaps};
use crate::versions::actor::{self, Actor};
use crate::versions::slot::{Base, Rollout};
use crate::versions::version::{Origin, VersionRecord};
use clickmill_config::Pipeline;
use clickmill_core::{Digest, lock};
use clickmill_sandbox::{ChangeError, Library};
use tokio::runtime::Handle;

/// A set that passed the gate, and what ran then.
pub(crate) struct Tried {
    base: Base,
    pub passed: Passed,
}

/// What a process begins with that is of a fleet: what is in effect there, and nothing else.
pub(crate) fn begin(
    pipeline: &Pipeline,
    file: &Library,
    forget_swaps: bool,
    runtime: &Handle,
) -> Result<Option<(Member, Library, Origin)>, FleetError> {
    let Some(fleet) = &pipeline.swap.fleet else { return Ok(None) };
    let place = Place::open(fleet, &pipeline.name, runtime)?;
    let mut log = Log::default();
    place.catch_up(&mut log)?;
    let state = log.state();
    let Some(set) = state.set else {
        let sets = opened(&place, file.digest())?;
        let origin = Origin { actor: actor::FILE.to_owned(), ..Origin::default() };
        return Ok(Some((Member::new(place, sets, state.effect), file.clone(), origin)));
    };
    let sets = opened(&place, &set)?;
    let library = made(&place, &sets, file, &set)?;
    if forget_swaps && library.digest() != file.digest() {
        let uri = place.uri().to_owned();
        return Err(FleetError::ForgetSwaps { uri, plugin_set: set });
    }
    let origin = match log.proposal(state.effect) {
        Some(Proposal { actor, note, .. }) => {
            Origin { actor: actor.clone(), note: note.clone(), changes: Vec::new() }
        }
        None => Origin { actor: actor::FILE.to_owned(), ..Origin::default() },
    };
    tracing::info!(plugin_set = %set, entry = state.effect, "going on with the plugin set of the fleet");
    Ok(Some((Member::new(place, sets, state.effect), library, origin)))
}

/// The sets of a fleet.
pub(crate) fn opened(place: &Place, plugin_set: &Digest) -> Result<SetStore, FleetError> {
    SetStore::open(place.uri(), place.runtime()).map_err(|source| FleetError::Set {
        plugin_set: plugin_set.clone(),
        source: Box::new(source),
    })
}

/// Keeps what a set is made of where all have it.
pub(crate) fn keep(sets: &SetStore, library: &Library) -> Result<(), FleetError> {
    sets.keep_once(library).map_err(|source| FleetError::Keep {
        plugin_set: library.digest().clone(),
        source: Box::new(source),
    })
}

/// A set that was committed, with the stages of a pipeline file.
pub(crate) fn made(
    place: &Place,
    sets: &SetStore,
    file: &Library,
    set: &Digest,
) -> Result<Library, FleetError> {
    if file.digest() == set {
        return Ok(file.clone());
    }
    let failed = |source| FleetError::Set { plugin_set: set.clone(), source: Box::new(source) };
    let kept = sets.set(set).map_err(failed)?;
    let library = sets.restore(file, &kept).map_err(failed)?;
    if library.digest() == set {
        return Ok(library);
    }
    let (uri, made) = (place.uri().to_owned(), library.digest().clone());
    let different = rights(&kept, &library.set());
    Err(FleetError::OtherSet { uri, plugin_set: set.clone(), made, different })
}

/// Has a set go through the gate.
pub(crate) fn try_on(
    context: &Context,
    member: &Member,
    set: &Digest,
) -> Result<Tried, SwapRefused> {
    let _one_at_a_time = lock(&context.swap_lock);
    let base = context.slot.base();
    let candidate = candidate(context, member, &base, set)?;
    let rules = &context.pipeline.swap.rules;
    let passed = gate::check(&context.slot, rules, &base.current, candidate)?;
    Ok(Tried { base, passed })
}

/// What is to run: made with the stages that run, or with those that the pipeline file has by now.
fn candidate(
    context: &Context,
    member: &Member,
    base: &Base,
    set: &Digest,
) -> Result<Candidate, SwapRefused> {
    let kept = member.sets.set(set)?;
    let reading = &base.current.reading;
    if reading.has_stages_of(&kept) {
        let library = member.sets.restore(&reading.library, &kept)?;
        if library.digest() == set {
            return Ok(Candidate { library, reading: reading.clone(), golden: Vec::new() });
        }
    }
    let (reading, _) = reload::read(context, &Reload::default())?;
    let library = if reading.library.digest() == set {
        reading.library.clone()
    } else {
        member.sets.restore(&reading.library, &kept)?
    };
    if library.digest() != set {
        let (plugin_set, made) = (set.clone(), library.digest().clone());
        let different = rights(&kept, &library.set());
        return Err(SwapRefused::OtherSet { plugin_set, made, different });
    }
    let golden = reload::golden(&reading.plugins, &reading.library, &base.current.library)?;
    Ok(Candidate { library, reading: Arc::new(reading), golden })
}

/// Takes the set of a proposal up that was committed; what was tried before is not tried again, as long as what ran
/// then still runs.
pub(crate) fn take_up(
    context: &Arc<Context>,
    member: &Member,
    (entry, proposal): (u64, &Proposal),
    tried: Option<Tried>,
) -> Result<Arc<VersionRecord>, SwapRefused> {
    let current = context.slot.current();
    if current.record.set.digest == proposal.plugin_set {
        return Ok(current.record.clone());
    }
    let rollout = match proposal.canary {
        Some(canary) if canary.share < 1.0 => {
            let time = Duration::from_secs_f64(canary.secs);
            Rollout::Canary { share: canary.share, time }
        }
        Some(_) | None => Rollout::All,
    };
    take(context, member, (entry, proposal), tried, rollout)
}

/// Takes the set of a proposal up that is still open, until that is decided.
pub(crate) fn try_out(
    context: &Arc<Context>,
    member: &Member,
    proposal: (u64, &Proposal),
    tried: Option<Tried>,
) -> Result<Arc<VersionRecord>, SwapRefused> {
    take(context, member, proposal, tried, Rollout::Trial)
}

fn take(
    context: &Arc<Context>,
    member: &Member,
    (entry, proposal): (u64, &Proposal),
    tried: Option<Tried>,
    rollout: Rollout,
) -> Result<Arc<VersionRecord>, SwapRefused> {
    let tried = match tried.filter(|tried| context.slot.stands(&tried.base)) {
        Some(tried) => tried,
        None => try_on(context, member, &proposal.plugin_set)?,
    };
    let request = Request { rollout: Some(rollout), ..request(entry, proposal) };
    let how = format!("replica {}", member.name);
    let _one_at_a_time = lock(&context.swap_lock);
    let swapped = Swaps(context.clone()).take(&request, &tried.base, tried.passed, how)?;
    Ok(swapped.version.unwrap_or_else(|| context.slot.current().record.clone()))
}

/// Goes back to the set that was in effect before. Where the stages of the pipeline file make another of it, that runs
/// in place of what was taken back, and is none to go on with.
pub(crate) fn go_back(
    context: &Arc<Context>,
    member: &Member,
    set: &Digest,
    rollback: Option<&Rollback>,
) -> Result<Arc<VersionRecord>, SwapRefused> {
    let current = context.slot.current();
    if current.record.set.digest == *set && context.slot.canary().is_none() {
        return Ok(current.record.clone());
    }
    // Another replica may have run it, and not this one.
    if context.sets.set(set).is_err() {
        let kept = member.sets.set(set)?;
        let library = member.sets.restore(&current.reading.library, &kept)?;
        context.sets.keep(&library)?;
    }
    let (name, reason) = match rollback {
        Some(rollback) => (rollback.actor.as_str(), rollback.reason.as_str()),
        None => ("fleet", "the fleet went back"),
    };
    let back =
        Swaps(context.clone()).back(Some(set), &of_fleet(name, "a rollback of the fleet"), reason);
    let made = context.slot.current().record.set.clone();
    match back {
        Ok(_) | Err(SwapRefused::Change(ChangeError::Nothing { .. })) if made.digest != *set => {
            let different = rights(&context.sets.set(set)?, &made);
            Err(SwapRefused::OtherSet { plugin_set: set.clone(), made: made.digest, different })
        }
        back => back,
    }
}

/// A proposal as something that is asked of this process.
pub(crate) fn request(entry: u64, proposal: &Proposal) -> Request {
    let actor = of_fleet(&proposal.actor, &format!("entry {entry} of the fleet"));
    Request { actor, note: proposal.note.clone(), ..Request::default() }
}

/// Whoever wrote to the fleet's place, as they call themselves.
pub(crate) fn of_fleet(name: &str, what: &str) -> Actor {
    let claimed = Actor::claimed(name, what.to_owned());
    claimed.unwrap_or_else(|_| Actor { name: "fleet".to_owned(), caller: Some(what.to_owned()) })
}
