//! The objects of a source, one load each. An object that can't be loaded is logged, counted and entered
//! beside the ledger, and the others go on. A failure of the tables themselves ends the run, unless it is to
//! wait for them.
//!
//! Any number of runs share the objects. An object that another run has claimed is passed over, and looked at
//! again once there is nothing else to do: by then it is loaded, or it is nobody's, or it is waited for. A run
//! that meets another goes on in an order of its own, so that they do not go after the same objects one after
//! the other; alone it keeps the order of the listing. How objects are claimed is told in
//! `clickmill_warehouse::claim` for a disk, and else in [`super::claim`].

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::backoff::Backoff;
use super::error::RunError;
use super::judge::Judge;
use super::load::{Outcome, TURN, load};
use super::load_error::LoadError;
use super::stop::Stop;
use super::waiting::Waiting;
use super::{claim, load_failures};
use crate::context::Context;
use crate::observe::status::Status;
use crate::observe::summary::{FailedObject, Summary};
use clickmill_sink::SinkError;
use clickmill_source::{Listing, NotSeen, Object, SourceError};
use clickmill_tables::ledger;

/// How often an object is taken up again in one run that is written anew while it is read.
const SUCCESSORS: u32 = 3;

/// Objects of other runs are looked at again after this at the latest, however long a lease is.
const LONGEST_LOOK: Duration = Duration::from_secs(10);

/// How often tables are tried again that fail and may be well later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TableRetries {
    /// Not at all: the run ends.
    None,
    /// Until the run is told to stop.
    UntilStopped,
}

/// An object that could not be loaded, by its name with its generation.
pub(super) struct Failed {
    pub name: String,
    pub object: FailedObject,
}

/// What became of objects.
#[derive(Default)]
pub(super) struct Done {
    /// Those that are loaded, by now or before, and those with nothing in them: by name with generation.
    pub over: Vec<String>,
    pub failed: Vec<Failed>,
}

/// Loads objects.
pub(super) struct Loader<'a> {
    pub context: &'a Context,
    pub status: &'a Status,
    pub stop: &'a Stop,
    pub retries: TableRetries,
    pub judge: Judge,
    pub summary: Summary,
}

/// What became of an object's turn.
enum Turn {
    Over,
    /// Another run has loaded it.
    OverByAnother,
    /// Another run is at it.
    Claimed,
    /// The run was told to stop.
    Stopped,
}

/// Loads what was listed, and ends.
pub(super) fn load_all(
    context: &Context,
    listing: Listing,
    status: &Status,
    stop: &Stop,
) -> Result<Summary, RunError> {
    let mut loader = Loader::new(context, status, stop, TableRetries::None);
    loader.summary.passed_over = listing.passed_over;
    // Of a single one the run's own error tells.
    let is_one_of_many = listing.objects.len() + listing.not_seen.len() > 1;
    let tell = |failed: &Failed| {
        if is_one_of_many {
            let (object, error) = (&failed.object.object, failed.object.causes.join(": "));
            tracing::warn!(object, error, "an object is not loaded, going on with the others");
        }
    };
    let not_seen = listing.not_seen.iter().map(|NotSeen { uri, error }| {
        let object = FailedObject::new(uri, error, error.fault());
        Failed { name: uri.clone(), object }
    });
    let enter =
        |failed: &Failed| load_failures::enter(context, &failed.name, &failed.name, &failed.object);
    let not_seen: Vec<Failed> = not_seen.inspect(tell).inspect(enter).collect();
    let done = loader.load(listing.objects, tell)?;
    let failed = not_seen.into_iter().chain(done.failed);
    loader.summary.failed = failed.map(|failed| failed.object).collect();
    Ok(loader.summary)
}

impl<'a> Loader<'a> {
    pub(super) fn new(
        context: &'a Context,
        status: &'a Status,
        stop: &'a Stop,
        retries: TableRetries,
    ) -> Self {
        let judge = Judge::new(&context.pipeline.dead_letter);
        Self { context, status, stop, retries, judge, summary: Summary::default() }
    }

    /// Loads objects one by one, but for those already in the ledger. It is asked for all of them first, to
    /// know how much there is to do, and for each again when its turn comes: other runs may be at the same
    /// ones. `tell` says which can't be loaded.
    pub(super) fn load(
        &mut self,
        objects: Vec<Object>,
        tell: impl Fn(&Failed),
    ) -> Result<Done, RunError> {
        let mut done = Done::default();
        let Some(loaded) = self.loaded(&objects)? else {
            self.summary.left += objects.len() as u64;
            return Ok(done);
        };
        let mut waiting = Waiting::default();
        for object in objects {
            if loaded.contains(&object.name()) {
                self.summary.skipped.push(object.uri.clone());
                done.over.push(object.name());
            } else {
                self.status.expect_bytes(object.size.unwrap_or(0));
                waiting.ahead.push_back((object, 0));
            }
        }
        while self.come_next(&mut waiting, &mut done)? {
            let Some((object, successors)) = waiting.ahead.pop_front() else { continue };
            let left = 1 + waiting.len();
            if self.stop.after_object() {
                self.summary.left += left;
                break;
            }
            self.status.reading(&object.uri);
            let error = match self.load_one(&object)? {
                Ok(turn) => {
                    match turn {
                        Turn::Over => done.over.push(object.name()),
                        Turn::OverByAnother => {
                            self.skip(&object, &mut done);
                            waiting.meet_another();
                        }
                        Turn::Claimed => {
                            waiting.claimed.push((object, successors));
                            waiting.meet_another();
                        }
                        Turn::Stopped => {
                            self.summary.left += left;
                            break;
                        }
                    }
                    continue;
                }
                Err(error) => error,
            };
            self.status.fail_load();
            if error.changed()
                && successors < SUCCESSORS
                && let Some(successor) = self.successor(&object)
            {
                waiting.ahead.push_back((successor, successors + 1));
                continue;
            }
            let failed = Failed {
                name: object.name(),
                object: FailedObject::new(&object.uri, &error.0, error.0.fault()),
            };
            tell(&failed);
            // What is gone or comes only once will not be met again: there is nothing to remember. What has changed
            // is met again while its source is watched.
            let is_met_again = self.retries == TableRetries::UntilStopped;
            if object.stays() && !error.gone() && !(error.changed() && is_met_again) {
                load_failures::enter(self.context, &object.uri, &failed.name, &failed.object);
            }
            done.failed.push(failed);
        }
        Ok(done)
    }

    /// Looks after what other runs do: objects that they have loaded are left out, and where all that are left
    /// are theirs, those are waited for, or of a watched source met again in its next listing. Returns whether
    /// there is anything left to do.
    fn come_next(&mut self, waiting: &mut Waiting, done: &mut Done) -> Result<bool, RunError> {
        let is_waited_for = waiting.ahead.is_empty() && !waiting.claimed.is_empty();
        if is_waited_for && self.retries == TableRetries::UntilStopped && !self.stop.after_object()
        {
            // A watched source is listed again before long: what comes meanwhile waits for nobody.
            self.leave_out_loaded(waiting, done)?;
            for (object, _) in waiting.claimed.drain(..) {
                self.status.expect_less(object.size.unwrap_or(0));
            }
            return Ok(false);
        }
        if is_waited_for && waiting.is_told {
            // Nothing is in hand that would have to be finished.
            let lease = claim::lease(self.context);
            let turn = lease.map_or(TURN, |lease| (lease / 8).clamp(TURN, LONGEST_LOOK));
            self.stop.pause(&self.context.runtime, turn);
        }
        if (is_waited_for || waiting.has_met_enough()) && !self.stop.after_object() {
            self.leave_out_loaded(waiting, done)?;
        }
        if is_waited_for && !std::mem::replace(&mut waiting.is_told, true) {
            for (object, _) in &waiting.claimed {
                let object = &object.uri;
                tracing::info!(object, "another run is loading this object, waiting for it");
            }
        }
        if waiting.ahead.is_empty() {
            waiting.ahead.extend(waiting.claimed.drain(..));
        }
        Ok(!waiting.ahead.is_empty())
    }

    /// Asks the ledger which objects are loaded by now, and leaves them out.
    fn leave_out_loaded(&mut self, waiting: &mut Waiting, done: &mut Done) -> Result<(), RunError> {
        waiting.met = 0;
        let target = &self.context.pipeline.sink.table;
        let id = |object: &Object| ledger::load_id(target, &object.name());
        let all = waiting.ahead.iter().chain(&waiting.claimed);
        let ids: Vec<String> = all.map(|(object, _)| id(object)).collect();
        let Some(loaded) = self.in_ledger(&ids)? else { return Ok(()) };
        let is_open = |object: &Object| !loaded.contains(&id(object));
        let ahead = std::mem::take(&mut waiting.ahead).into_iter();
        let claimed = std::mem::take(&mut waiting.claimed).into_iter();
        let (ahead, over): (_, Vec<_>) = ahead.partition(|(object, _)| is_open(object));
        let (claimed, also_over): (_, Vec<_>) = claimed.partition(|(object, _)| is_open(object));
        (waiting.ahead, waiting.claimed) = (ahead.into(), claimed);
        // In the order of this run: what the tables ask for ahead of their turns is what comes next.
        let open = waiting.ahead.iter().chain(&waiting.claimed).map(|(object, _)| id(object));
        self.context.tables.expect_loads(open.collect());
        for (object, _) in over.into_iter().chain(also_over) {
            self.skip(&object, done);
        }
        Ok(())
    }

    /// Another run has loaded an object since this one began.
    fn skip(&mut self, object: &Object, done: &mut Done) {
        self.status.loaded_by_another(object.size.unwrap_or(0));
        self.summary.skipped.push(object.uri.clone());
        self.summary.loaded_by_others += 1;
        done.over.push(object.name());
    }

    /// What an object has become that was written anew since it was listed.
    fn successor(&self, object: &Object) -> Option<Object> {
        let successor = self.context.runtime.block_on(object.successor()).unwrap_or_default()?;
        tracing::info!(object = object.uri, "it was written anew meanwhile, taking that up");
        Some(successor)
    }

    /// Names of objects that are in the ledger, also by what earlier versions called them. `None` where told
    /// to stop meanwhile.
    fn loaded(&mut self, objects: &[Object]) -> Result<Option<HashSet<String>>, RunError> {
        let target = &self.context.pipeline.sink.table;
        let id = |name: &str| ledger::load_id(target, name);
        let current: Vec<(String, &Object)> =
            objects.iter().map(|object| (id(&object.name()), object)).collect();
        let ids: Vec<String> = current.iter().map(|(id, _)| id.clone()).collect();
        let Some(found) = self.in_ledger(&ids)? else { return Ok(None) };
        let (over, ahead): (Vec<_>, Vec<_>) =
            current.into_iter().partition(|(id, _)| found.contains(id));
        let mut loaded: HashSet<String> =
            over.into_iter().map(|(_, object)| object.name()).collect();
        // This version enters nothing under these: to ask once is enough.
        let mut earlier = HashMap::new();
        for (_, object) in &ahead {
            let names = object.earlier_names().into_iter();
            earlier.extend(names.map(|name| (id(&name), object.name())));
        }
        let ids: Vec<String> = earlier.keys().cloned().collect();
        let Some(found) = self.in_ledger(&ids)? else { return Ok(None) };
        loaded.extend(found.iter().filter_map(|id| earlier.remove(id)));
        let ahead = ahead.into_iter().filter(|(_, object)| !loaded.contains(&object.name()));
        self.context.tables.expect_loads(ahead.map(|(id, _)| id).collect());
        Ok(Some(loaded))
    }

    /// Which of these loads are in the ledger. `None` where told to stop meanwhile.
    fn in_ledger(&self, ids: &[String]) -> Result<Option<HashSet<String>>, RunError> {
        if ids.is_empty() {
            return Ok(Some(HashSet::new()));
        }
        let context = self.context;
        let target = &context.pipeline.sink.table;
        self.retried(|| context.runtime.block_on(context.tables.loaded(ids, target)))
    }

    /// Loads an object, or says why it can't be loaded.
    fn load_one(&mut self, object: &Object) -> Result<Result<Turn, NotLoaded>, RunError> {
        let load_id = ledger::load_id(&self.context.pipeline.sink.table, &object.name());
        let (context, status, stop) = (self.context, self.status, self.stop);
        let mut backoff = Backoff::default();
        let outcome = loop {
            match load(context, object, &load_id, &mut self.judge, status, stop) {
                Ok(outcome) => break outcome,
                Err(LoadError::Sink(error)) if self.waits_for(&error) => {
                    if !backoff.wait(&error, context, status, stop) {
                        return Ok(Ok(Turn::Stopped));
                    }
                }
                Err(error) => {
                    let spares_others = error.spares_others();
                    let error = RunError::of(&object.uri, error);
                    return if spares_others { Ok(Err(NotLoaded(error))) } else { Err(error) };
                }
            }
        };
        match outcome {
            Outcome::Loaded { counts, plugin_set } => {
                self.summary.counts.add(counts);
                self.summary.loaded += 1;
                self.summary.plugin_set = Some(plugin_set);
            }
            Outcome::LoadedAlready => return Ok(Ok(Turn::OverByAnother)),
            Outcome::Claimed => return Ok(Ok(Turn::Claimed)),
            Outcome::Nothing => {
                let why = "holds nothing but a byte order mark or line ends";
                let uri = object.uri.clone();
                self.summary.passed_over.push(clickmill_source::PassedOver { uri, why });
            }
            Outcome::Interrupted => {
                return Err(RunError::Interrupted { object: object.uri.clone() });
            }
            Outcome::TooManyRejected { found, counts } => {
                let (object, most_frequent) = (object.uri.clone(), counts.most_frequent());
                let error = RunError::TooManyRejected { object, found, most_frequent };
                return Ok(Err(NotLoaded(error)));
            }
        }
        Ok(Ok(Turn::Over))
    }

    fn waits_for(&self, error: &SinkError) -> bool {
        self.retries == TableRetries::UntilStopped && error.is_transient()
    }

    /// Asks the tables something, again and again where they are waited for. `None` where told to stop
    /// meanwhile.
    fn retried<T>(
        &self,
        mut ask: impl FnMut() -> Result<T, SinkError>,
    ) -> Result<Option<T>, RunError> {
        let mut backoff = Backoff::default();
        loop {
            match ask() {
                Ok(answer) => {
                    self.status.answer();
                    return Ok(Some(answer));
                }
                Err(error) if self.waits_for(&error) => {
                    if !backoff.wait(&error, self.context, self.status, self.stop) {
                        return Ok(None);
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Why an object is not loaded.
struct NotLoaded(RunError);

impl NotLoaded {
    fn of_source(&self) -> Option<&SourceError> {
        match &self.0 {
            RunError::Load { source, .. } => source.of_source(),
            _ => None,
        }
    }

    /// Whether the object is another by now, or gone.
    fn changed(&self) -> bool {
        self.gone() || matches!(self.of_source(), Some(SourceError::Changed { .. }))
    }

    fn gone(&self) -> bool {
        matches!(self.of_source(), Some(SourceError::Gone { .. }))
    }
}
