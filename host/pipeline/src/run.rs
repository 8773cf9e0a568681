//! Runs a pipeline: over all objects of its source, one load each; over those that come, too; or over a
//! stream.

mod cut;
pub(crate) mod deliver;
mod error;
mod judge;
mod letters;
mod line;
pub(crate) mod load;
mod objects;
mod patience;
mod reorder;
pub(crate) mod stop;
pub(crate) mod stream;
pub(crate) mod transform;
mod watch;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use super::build::PreparedPipeline;
use super::context::Context;
use super::observe::status::Status;
use super::observe::summary::{FailedObject, Summary};
use clickmill_audit as audit;
use clickmill_config::Source;
use clickmill_core::causes;
use clickmill_source as source;
use clickmill_source::{Listing, SourceError};
use crossbeam_channel::RecvTimeoutError;
pub use error::RunError;
use stop::{Ending, Stop};

/// Runs a pipeline to the end of its source, or until `stop` or `ending` says so.
pub fn run(
    prepared: &PreparedPipeline,
    ending: Ending,
    status: &Arc<Status>,
    stop: &Stop,
) -> Result<Summary, RunError> {
    let context = prepared.context();
    recorded(context, || {
        std::thread::scope(|scope| {
            let (_running, ended) = crossbeam_channel::bounded::<Infallible>(0);
            if let Some(time) = ending.after {
                scope.spawn(move || {
                    if ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                        stop.ask();
                    }
                });
            }
            run_to_end(context, ending, status, stop)
        })
    })
}

/// Loads objects by their names, whatever the source holds beside them.
pub fn run_objects(
    prepared: &PreparedPipeline,
    uris: &[String],
    status: &Arc<Status>,
    stop: &Stop,
) -> Result<Summary, RunError> {
    let context = prepared.context();
    recorded(context, || {
        let started = Instant::now();
        let (mut listing, mut gone) = (Listing::default(), Vec::new());
        for uri in uris {
            match context.runtime.block_on(source::find(uri)) {
                Ok(found) => {
                    // A name that is gone may be a pattern that others match.
                    let named = found.objects.into_iter().filter(|object| object.uri == *uri);
                    listing.objects.extend(named);
                    listing.passed_over.extend(found.passed_over);
                }
                Err(error @ SourceError::Nothing { .. }) => {
                    gone.push(FailedObject::new(uri, &error, error.fault()));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let mut summary = objects::load_all(context, listing, status, stop)?;
        summary.failed.extend(gone);
        summary.elapsed = started.elapsed();
        Ok(summary)
    })
}

/// Runs something, and enters into the audit log how it ended.
fn recorded(
    context: &Context,
    run: impl FnOnce() -> Result<Summary, RunError>,
) -> Result<Summary, RunError> {
    let ran = run();
    let (outcome, detail) = match &ran {
        Ok(summary) if summary.failed.is_empty() => {
            (audit::Outcome::Done, summary.counts.summary_line())
        }
        Ok(summary) => {
            let (failed, line) = (summary.failed.len(), summary.counts.summary_line());
            (audit::Outcome::Failed, format!("{failed} objects are not loaded; {line}"))
        }
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
        Source::Storage { watch: Some(watch), .. } => {
            watch::watch(context, *watch, ending, status, stop)?
        }
        source => {
            let listing = context.runtime.block_on(source::list(source))?;
            objects::load_all(context, listing, status, stop)?
        }
    };
    summary.elapsed = started.elapsed();
    Ok(summary)
}
