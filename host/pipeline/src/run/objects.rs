//! The objects of a source, one load each. An object that can't be loaded is logged, counted and entered
//! beside the ledger, and the others go on. A failure of the tables themselves ends the run, unless it is to
//! wait for them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use super::error::RunError;
use super::judge::Judge;
use super::load::{LoadError, Outcome, load};
use super::stop::Stop;
use crate::context::Context;
use crate::observe::status::Status;
use crate::observe::summary::{FailedObject, Summary};
use clickmill_core::{Micros, causes};
use clickmill_sink::SinkError;
use clickmill_source::{Listing, NotSeen, Object, SourceError};
use clickmill_tables::{failures, ledger};

/// How often an object is taken up again in one run that is written anew while it is read.
const SUCCESSORS: u32 = 3;
/// The first wait for tables that fail; each is twice the one before it, up to the longest.
const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

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
    let not_seen: Vec<Failed> = not_seen.inspect(tell).collect();
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
        let mut waiting = VecDeque::new();
        for object in objects {
            if loaded.contains(&object.name()) {
                self.summary.skipped.push(object.uri.clone());
                done.over.push(object.name());
            } else {
                self.status.expect_bytes(object.size.unwrap_or(0));
                waiting.push_back((object, 0));
            }
        }
        while let Some((object, successors)) = waiting.pop_front() {
            let left = 1 + waiting.len() as u64;
            if self.stop.after_object() {
                self.summary.left += left;
                break;
            }
            self.status.reading(&object.uri);
            let error = match self.load_one(&object)? {
                Ok(true) => {
                    done.over.push(object.name());
                    continue;
                }
                Ok(false) => {
                    self.summary.left += left;
                    break;
                }
                Err(error) => error,
            };
            self.status.fail_load();
            if error.changed()
                && successors < SUCCESSORS
                && let Some(successor) = self.successor(&object)
            {
                waiting.push_back((successor, successors + 1));
                continue;
            }
            let failed = Failed {
                name: object.name(),
                object: FailedObject::new(&object.uri, &error.0, error.0.fault()),
            };
            tell(&failed);
            // What has changed, is gone or comes only once will not be met again: there is nothing to
            // remember.
            if !error.changed() && object.stays() {
                self.enter(&object, &failed.object);
            }
            done.failed.push(failed);
        }
        Ok(done)
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

    /// Loads an object. Returns whether the run is to go on, or why the object can't be loaded.
    fn load_one(&mut self, object: &Object) -> Result<Result<bool, NotLoaded>, RunError> {
        let load_id = ledger::load_id(&self.context.pipeline.sink.table, &object.name());
        let (context, status, stop) = (self.context, self.status, self.stop);
        let mut backoff = Backoff::default();
        let outcome = loop {
            match load(context, object, &load_id, &mut self.judge, status, stop) {
                Ok(outcome) => break outcome,
                Err(LoadError::Sink(error)) if self.waits_for(&error) => {
                    if !backoff.wait(&error, context, status, stop) {
                        return Ok(Ok(false));
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
            Outcome::LoadedAlready => self.summary.skipped.push(object.uri.clone()),
            Outcome::Nothing => {
                let why = "holds nothing but a byte order mark or line ends";
                let uri = object.uri.clone();
                self.summary.passed_over.push(clickmill_source::PassedOver { uri, why });
            }
            Outcome::Left => return Ok(Ok(false)),
            Outcome::Interrupted => {
                return Err(RunError::Interrupted { object: object.uri.clone() });
            }
            Outcome::TooManyRejected { found, counts } => {
                let (object, most_frequent) = (object.uri.clone(), counts.most_frequent());
                let error = RunError::TooManyRejected { object, found, most_frequent };
                return Ok(Err(NotLoaded(error)));
            }
        }
        Ok(Ok(true))
    }

    /// Enters a failure beside the ledger. Where that fails too, it is told, and nothing more: the object
    /// will be met again.
    fn enter(&self, object: &Object, failed: &FailedObject) {
        let pipeline = &self.context.pipeline;
        let target = &pipeline.sink.table;
        let failure = failures::Failure {
            load_id: ledger::load_id(target, &object.name()),
            pipeline: pipeline.name.clone(),
            table: target.clone(),
            object: object.uri.clone(),
            source: object.name(),
            fault: failed.fault,
            error: failed.causes.join(": "),
            failed_at: Micros::now(),
        };
        if let Err(error) = self.try_enter(&failure) {
            let error = causes(&error);
            tracing::warn!(error, object = object.uri, "that it is not loaded can't be entered");
        }
    }

    fn try_enter(&self, failure: &failures::Failure) -> Result<(), EnterError> {
        let row = failure.row(&failures::schema()?)?;
        let id = failure.id();
        let table = failure.table.beside(failures::TABLE);
        let key = Some((failures::ID, id.as_str()));
        let entering = self.context.tables.enter(&table, &id, key, &row);
        Ok(self.context.runtime.block_on(entering)?)
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
    /// Whether the object is another by now, or gone.
    fn changed(&self) -> bool {
        let source = match &self.0 {
            RunError::Load { source, .. } => source.of_source(),
            _ => None,
        };
        matches!(source, Some(SourceError::Changed { .. } | SourceError::Gone { .. }))
    }
}

/// Why a failure is not entered.
#[derive(Debug, thiserror::Error)]
enum EnterError {
    #[error(transparent)]
    Schema(#[from] clickmill_core::schema::SchemaError),
    #[error(transparent)]
    Row(#[from] arrow::error::ArrowError),
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// The wait before the next try of tables that fail.
#[derive(Default)]
struct Backoff(Option<Duration>);

impl Backoff {
    /// Waits, and says so the first time. `false` where told to stop.
    fn wait(&mut self, error: &SinkError, context: &Context, status: &Status, stop: &Stop) -> bool {
        status.retry();
        let wait = match self.0 {
            None => {
                tracing::warn!(
                    error = causes(error),
                    "the tables fail, trying again until they do not"
                );
                FIRST_WAIT
            }
            Some(last) => (last * 2).min(LONGEST_WAIT),
        };
        self.0 = Some(wait);
        stop.pause(&context.runtime, wait);
        !stop.after_object()
    }
}
