//! Runs a pipeline: over all objects of its source, one load each; over those that come, too; or over a
//! stream.

mod cut;
pub(crate) mod deliver;
mod judge;
mod letters;
pub(crate) mod load;
mod patience;
mod reorder;
pub(crate) mod stop;
pub(crate) mod stream;
pub(crate) mod transform;

use std::collections::HashSet;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::build::PreparedPipeline;
use super::context::Context;
use super::observe::status::Status;
use super::observe::summary::Summary;
use super::versions::fit::FitError;
use clickmill_audit as audit;
use clickmill_config::Source;
use clickmill_core::{Fault, causes};
use clickmill_dead_letter::TooManyRejected;
use clickmill_sink::SinkError;
use clickmill_source as source;
use clickmill_source::{Object, SourceError};
use clickmill_tables::ledger;
use crossbeam_channel::RecvTimeoutError;
use judge::Judge;
use load::{LoadError, Outcome, load};
use stop::{Ending, Stop};
use stream::StreamError;

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is nothing to read.
    #[error(transparent)]
    Source(Box<SourceError>),
    /// The pipeline can't run on this input.
    #[error("`{object}`")]
    Fit {
        /// The object.
        object: String,
        /// Why.
        source: FitError,
    },
    /// An object can't be loaded. Nothing of it is in the tables.
    #[error("`{object}` is not loaded")]
    Load {
        /// The object.
        object: String,
        /// Why.
        source: Box<LoadError>,
    },
    /// Too many records were refused. Nothing of the object is in the tables.
    #[error("`{object}` is not loaded: {found}; most frequent: {most_frequent}")]
    TooManyRejected {
        /// The object.
        object: String,
        /// How many.
        found: TooManyRejected,
        /// The commonest reason.
        most_frequent: String,
    },
    /// The tables failed.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A stream ended early.
    #[error(transparent)]
    Stream(Box<StreamError>),
    /// The run was told to end at once.
    #[error("interrupted: nothing of `{object}` is loaded, run again to load it")]
    Interrupted {
        /// The object in hand.
        object: String,
    },
}

impl RunError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Source(error) => error.fault(),
            Self::Fit { source, .. } => source.fault(),
            Self::Load { source, .. } => source.fault(),
            Self::TooManyRejected { found, .. } => found.fault(),
            Self::Sink(error) => error.fault(),
            Self::Stream(error) => error.fault(),
            Self::Interrupted { .. } => Fault::Run,
        }
    }
}

impl From<SourceError> for RunError {
    fn from(error: SourceError) -> Self {
        Self::Source(Box::new(error))
    }
}

/// Runs a pipeline to the end of its source, or until `stop` or `ending` says so.
pub fn run(
    prepared: &PreparedPipeline,
    ending: Ending,
    status: &Arc<Status>,
    stop: &Stop,
) -> Result<Summary, RunError> {
    let context = prepared.context();
    let ran = std::thread::scope(|scope| {
        let (_running, ended) = crossbeam_channel::bounded::<Infallible>(0);
        if let Some(time) = ending.after {
            scope.spawn(move || {
                if ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                    stop.ask();
                }
            });
        }
        run_to_end(context, ending, status, stop)
    });
    let (outcome, detail) = match &ran {
        Ok(summary) => (audit::Outcome::Done, summary.counts.summary_line()),
        Err(error) => (audit::Outcome::Failed, causes(error)),
    };
    context.end(outcome, detail);
    ran
}

fn run_to_end(
    context: &Context,
    ending: Ending,
    status: &Arc<Status>,
    stop: &Stop,
) -> Result<Summary, RunError> {
    let started = Instant::now();
    let mut summary = match &context.pipeline.source {
        source if source.is_stream() => {
            let ran = stream::run(context, ending, status, stop);
            ran.map_err(|error| RunError::Stream(Box::new(error)))?
        }
        Source::Storage { watch: Some(interval), .. } => {
            watch(context, *interval, ending, status, stop)?
        }
        _ => {
            let mut summary = Summary::default();
            let mut judge = Judge::new(&context.pipeline.dead_letter);
            let objects = context.runtime.block_on(source::list(&context.pipeline.source))?;
            load_all(context, objects, &mut judge, status, stop, &mut summary)?;
            summary
        }
    };
    summary.elapsed = started.elapsed();
    Ok(summary)
}

/// Loads what is there, and then what comes, until told to stop.
fn watch(
    context: &Context,
    interval: Duration,
    ending: Ending,
    status: &Status,
    stop: &Stop,
) -> Result<Summary, RunError> {
    let mut summary = Summary::default();
    let mut judge = Judge::new(&context.pipeline.dead_letter);
    let mut known: HashSet<String> = HashSet::new();
    let mut last_arrival = Instant::now();
    while !stop.after_object() {
        let mut objects = match context.runtime.block_on(source::list(&context.pipeline.source)) {
            Ok(objects) => objects,
            // There will be some.
            Err(SourceError::Nothing { .. }) => Vec::new(),
            Err(error @ SourceError::Store { .. }) => {
                tracing::warn!(error = causes(&error), "cannot list the source, trying again");
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
        objects.retain(|object| !known.contains(&object.name()));
        if !objects.is_empty() {
            known.extend(objects.iter().map(Object::name));
            load_all(context, objects, &mut judge, status, stop, &mut summary)?;
            last_arrival = Instant::now();
        }
        if ending.when_idle.is_some_and(|idle| last_arrival.elapsed() >= idle) {
            break;
        }
        let wait = ending.when_idle.map_or(interval, |idle| interval.min(idle));
        context.runtime.block_on(async {
            tokio::select! {
                () = stop.asked() => {}
                () = tokio::time::sleep(wait) => {}
            }
        });
    }
    Ok(summary)
}

/// Loads objects one by one, skipping those already in the ledger. It is asked for all of them first, to
/// know how much there is to do, and for each again when its turn comes: other runs may be at the same
/// ones.
fn load_all(
    context: &Context,
    objects: Vec<Object>,
    judge: &mut Judge,
    status: &Status,
    stop: &Stop,
    summary: &mut Summary,
) -> Result<(), RunError> {
    let target = &context.pipeline.sink.table;
    let load_id = |object: &Object| ledger::load_id(target, &object.name());
    let load_ids: Vec<_> = objects.iter().map(load_id).collect();
    let loaded = context.runtime.block_on(context.tables.loaded(&load_ids, target))?;
    let mut waiting = Vec::new();
    for (object, load_id) in objects.into_iter().zip(load_ids) {
        if loaded.contains(&load_id) {
            summary.skipped.push(object.uri.clone());
        } else {
            status.expect_bytes(object.size.unwrap_or(0));
            waiting.push((object, load_id));
        }
    }
    let mut waiting = waiting.into_iter();
    while let Some((object, load_id)) = waiting.next() {
        if stop.after_object() {
            summary.left += 1 + waiting.len() as u64;
            break;
        }
        status.reading(&object.uri);
        let uri = object.uri.clone();
        let loaded = load(context, &object, &load_id, judge, status, stop);
        match loaded.map_err(|error| failed(error, &uri))? {
            Outcome::Loaded { counts, plugin_set } => {
                summary.counts.add(counts);
                summary.loaded += 1;
                summary.plugin_set = Some(plugin_set);
            }
            Outcome::LoadedAlready => summary.skipped.push(uri),
            Outcome::Left => {
                summary.left += 1 + waiting.len() as u64;
                break;
            }
            Outcome::Interrupted => return Err(RunError::Interrupted { object: uri }),
            Outcome::TooManyRejected { found, counts } => {
                let most_frequent = counts.most_frequent();
                return Err(RunError::TooManyRejected { object: uri, found, most_frequent });
            }
        }
    }
    Ok(())
}

fn failed(error: LoadError, object: &str) -> RunError {
    let object = object.to_owned();
    match error {
        LoadError::Fit(source) => RunError::Fit { object, source },
        error => RunError::Load { object, source: Box::new(error) },
    }
}
