//! Runs a pipeline: over all objects of its source, one load each; over those that come, too; or over a
//! stream.

mod backoff;
mod claim;
mod copies;
mod cut;
pub(crate) mod deliver;
mod error;
mod interrupted;
pub(crate) mod judge;
mod letters;
pub(crate) mod line;
pub(crate) mod load;
pub(crate) mod load_error;
mod load_failures;
mod objects;
pub(crate) mod open;
mod places;
mod reorder;
pub(crate) mod stop;
pub(crate) mod stream;
pub(crate) mod transform;
mod waiting;
mod watch;
pub(crate) mod withheld;

use std::collections::HashSet;
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
use places::Places;
use stop::{Ending, Stop};

/// Runs a pipeline to the end of its source, or until `stop` or `ending` says so.
pub fn run(
    prepared: &PreparedPipeline,
    ending: Ending,
    status: &Arc<Status>,
    stop: &Stop,
) -> Result<Summary, RunError> {
    let context = prepared.context();
    prepared.join();
    recorded(context, || {
        std::thread::scope(|scope| {
            let (_running, ended) = crossbeam_channel::bounded::<Infallible>(0);
            let (cannot_follow, failed) = crossbeam_channel::bounded(1);
            if let Some(member) = &context.fleet {
                let ended = ended.clone();
                scope.spawn(move || {
                    crossbeam_channel::select! {
                        recv(member.failed()) -> why => {
                            let _ = why.map(|why| cannot_follow.send(why));
                            stop.ask();
                        }
                        recv(ended) -> _ => {}
                    }
                });
            }
            if let Some(time) = ending.after {
                scope.spawn(move || {
                    if ended.recv_timeout(time) == Err(RecvTimeoutError::Timeout) {
                        stop.ask();
                    }
                });
            }
            let ran = run_to_end(context, ending, status, stop)?;
            failed.try_recv().map_or(Ok(ran), |why| Err(RunError::Fleet(why)))
        })
    })
}

/// Loads objects by their names, whatever the source holds beside them. Where nobody has `chosen` them, only those
/// that the source names: who may enter a failure into the table may not have any file read. `places` of them could not
/// be looked at.
pub fn run_objects(
    prepared: &PreparedPipeline,
    uris: &[String],
    places: &[String],
    chosen: bool,
    status: &Arc<Status>,
    stop: &Stop,
) -> Result<Summary, RunError> {
    let context = prepared.context();
    recorded(context, || {
        let started = Instant::now();
        let (mut listing, mut gone) = (Listing::default(), Vec::new());
        let mut left = 0;
        let mut known = Places::remembered(context);
        known.add(places);
        known.look([], stop);
        let named_by_source = if chosen { None } else { Some(named_by_source(context, stop)?) };
        let is_named = |uri: &str| named_by_source.as_ref().is_none_or(|all| all.contains(uri));
        for uri in uris {
            let found = context.runtime.block_on(stop.or(source::find(uri)));
            let found = found.map(|found| match named(found?, uri)? {
                _ if !is_named(uri) => Err(SourceError::NotNamed { uri: uri.clone() }),
                found => Ok(found),
            });
            match found {
                Some(Ok(found)) => {
                    listing.objects.extend(found.objects);
                    listing.passed_over.extend(found.passed_over);
                }
                Some(Err(SourceError::Nothing { .. })) if known.is_over(uri) => {
                    let object = uri;
                    tracing::info!(
                        object,
                        "it can be looked at by now, or is gone: the next run loads what is in it"
                    );
                }
                // The others go on.
                Some(Err(error)) => gone.push(FailedObject::new(uri, &error, error.fault())),
                None => left += 1,
            }
        }
        let mut summary = objects::load_all(context, listing, status, stop)?;
        summary.failed.extend(gone);
        summary.left += left;
        summary.cut_short = summary.left > 0;
        summary.elapsed = started.elapsed();
        Ok(summary)
    })
}

/// The names of what the source holds now; of none where it is told to stop first.
fn named_by_source(context: &Context, stop: &Stop) -> Result<HashSet<String>, RunError> {
    let listed = context.runtime.block_on(stop.or(source::list(&context.pipeline.source)));
    match listed {
        Some(Ok(Listing { objects, passed_over, not_seen })) => {
            let objects = objects.into_iter().map(|object| object.uri);
            let passed_over = passed_over.into_iter().map(|passed_over| passed_over.uri);
            Ok(objects.chain(passed_over).chain(not_seen.into_iter().map(|n| n.uri)).collect())
        }
        None | Some(Err(SourceError::Nothing { .. })) => Ok(HashSet::new()),
        Some(Err(error)) => Err(error.into()),
    }
}

/// What was found of the object of this very name: one that is gone may be a pattern that others match. A
/// pipe that has taken a file's place is not that file.
pub(crate) fn named(found: Listing, uri: &str) -> Result<Listing, SourceError> {
    let Listing { mut objects, mut passed_over, not_seen } = found;
    objects.retain(|object| object.uri == uri && object.stays());
    passed_over.retain(|passed_over| passed_over.uri == uri);
    if !objects.is_empty() || !passed_over.is_empty() {
        return Ok(Listing { objects, passed_over, not_seen: Vec::new() });
    }
    let not_seen = not_seen.into_iter().find(|not_seen| not_seen.uri == uri);
    Err(not_seen.map_or(SourceError::Nothing { uri: uri.to_owned() }, |not_seen| not_seen.error))
}

/// Runs something, and enters into the audit log how it ended.
fn recorded(
    context: &Context,
    run: impl FnOnce() -> Result<Summary, RunError>,
) -> Result<Summary, RunError> {
    let ran = run().map(|mut summary| {
        let tables = context.rows_by_table(&summary.counts);
        summary.routes = tables.skip(1).map(|(table, rows)| (table.clone(), rows)).collect();
        summary
    });
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
        source => match context.runtime.block_on(stop.or(source::list(source))) {
            Some(listing) => {
                let not_seen = listing.iter().flat_map(|listing| &listing.not_seen);
                Places::remembered(context).look(not_seen.map(|not_seen| &not_seen.uri), stop);
                let summary = objects::load_all(context, listing?, status, stop)?;
                Summary { cut_short: summary.left > 0, ..summary }
            }
            None => {
                tracing::warn!("stopped before the source was listed: nothing is loaded");
                Summary { cut_short: true, ..Summary::default() }
            }
        },
    };
    summary.elapsed = started.elapsed();
    Ok(summary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_object_of_this_very_name_is_taken_up_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let root = std::fs::canonicalize(folder.path()).expect("a folder");
        for (name, text) in [("x1.csv", "a"), ("a.csv", "a"), ("empty.csv", "")] {
            std::fs::write(root.join(name), text).expect("a file");
        }
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let find =
            |uri: &str| runtime.block_on(source::find(uri)).and_then(|found| named(found, uri));
        let uri = |name: &str| format!("file://{}/{name}", root.display());
        assert_eq!(find(&uri("a.csv")).expect("it is there").objects.len(), 1);
        assert_eq!(find(&uri("empty.csv")).expect("it is there").passed_over.len(), 1);
        // Others match it as a pattern; a device has no content to go back to.
        for gone in [uri("x[1].csv"), uri("none.csv"), "file:///dev/null".to_owned()] {
            let error = find(&gone).expect_err("it is gone");
            assert!(matches!(error, SourceError::Nothing { .. }), "{gone}: {error}");
        }
    }
}
