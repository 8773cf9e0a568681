//! Runs a pipeline over all objects of its source, one load each.

use std::time::{Instant, SystemTime};

use super::build::{BuildError, Built};
use super::load::{LoadError, Outcome, load};
use super::status::{Status, Stop, Summary};
use crate::dead_letter::{Hopeless, StopRule};
use crate::sink::warehouse::{WarehouseError, ledger};
use crate::source::{self, SourceError};

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is nothing to read.
    #[error(transparent)]
    Source(Box<SourceError>),
    /// The pipeline can't run on this input.
    #[error("`{object}`")]
    Build {
        /// The object.
        object: String,
        /// Why.
        source: Box<BuildError>,
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
    #[error("`{object}` is not loaded: {hopeless}; most frequent: {most_frequent}")]
    Hopeless {
        /// The object.
        object: String,
        /// How many.
        hopeless: Hopeless,
        /// The commonest reason.
        most_frequent: String,
    },
    /// The warehouse failed.
    #[error(transparent)]
    Warehouse(Box<WarehouseError>),
    /// The run was told to end at once.
    #[error("interrupted: nothing of `{object}` is loaded, run again to load it")]
    Interrupted {
        /// The object in hand.
        object: String,
    },
}

impl From<WarehouseError> for RunError {
    fn from(error: WarehouseError) -> Self {
        Self::Warehouse(Box::new(error))
    }
}

impl From<SourceError> for RunError {
    fn from(error: SourceError) -> Self {
        Self::Source(Box::new(error))
    }
}

/// Runs a pipeline to the end of its source, or until `stop` says so.
pub fn run(built: &Built, status: &Status, stop: &Stop) -> Result<Summary, RunError> {
    let started = Instant::now();
    let pipeline = &built.pipeline;
    let objects = built.runtime.block_on(source::list(&pipeline.source))?;
    let mut summary = Summary::default();
    let mut waiting = Vec::new();
    for object in objects {
        let load_id = match &object.generation {
            Some(_) => ledger::load_id(&pipeline.sink.table, &object.name()),
            // There is no telling whether this was loaded before: each run is a load of its own.
            None => {
                let once = format!("{} {} {}", object.uri, micros_now(), std::process::id());
                ledger::load_id(&pipeline.sink.table, &once)
            }
        };
        if built.runtime.block_on(built.warehouse.is_loaded(&load_id))? {
            summary.skipped.push(object.uri.clone());
        } else {
            status.expect_bytes(object.size.unwrap_or(0));
            waiting.push((object, load_id));
        }
    }
    let mut rule =
        StopRule::new(pipeline.dead_letter.max_rejected_share, pipeline.dead_letter.window_rows);
    let mut waiting = waiting.into_iter();
    while let Some((object, load_id)) = waiting.next() {
        if stop.after_object() {
            summary.left = 1 + waiting.len() as u64;
            break;
        }
        status.reading(&object.uri);
        let uri = object.uri.clone();
        let loaded = load(built, &object, &load_id, &mut rule, status, stop);
        match loaded.map_err(|error| failed(error, &uri))? {
            Outcome::Loaded { counts, plugin_set } => {
                summary.counts.add(counts);
                summary.loaded += 1;
                summary.plugin_set = Some(plugin_set.to_string());
            }
            Outcome::Interrupted => return Err(RunError::Interrupted { object: uri }),
            Outcome::Hopeless { hopeless, counts } => {
                let most = counts.rejected_by.iter().max_by_key(|(_, count)| **count);
                let most_frequent = most.map_or_else(String::new, |((stage, code), count)| {
                    format!("`{code}` at stage `{stage}`, {count} times")
                });
                return Err(RunError::Hopeless { object: uri, hopeless, most_frequent });
            }
        }
    }
    summary.elapsed = started.elapsed();
    Ok(summary)
}

fn failed(error: LoadError, object: &str) -> RunError {
    let object = object.to_owned();
    match error {
        LoadError::Build(source) => RunError::Build { object, source },
        error => RunError::Load { object, source: Box::new(error) },
    }
}

/// Now, in microseconds since 1970-01-01T00:00:00Z.
pub(super) fn micros_now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as i64)
}
