//! Objects that cannot be loaded, as the table beside the ledger has them.

use crate::context::Context;
use crate::observe::summary::FailedObject;
use clickmill_core::{Fault, Micros, causes};
use clickmill_sink::SinkError;
use clickmill_tables::{failures, ledger};

/// Enters a failure beside the ledger, of an object by its URI and its name with generation; what cannot be looked at
/// has none. Where that fails too, it is told, and nothing more: the object will be met again.
pub(super) fn enter(context: &Context, object: &str, name: &str, failed: &FailedObject) {
    let error = (failed.fault, failed.causes.join(": "));
    if let Err(error) = try_enter(context, object, name, Some(error)) {
        let error = causes(&error);
        tracing::warn!(error, object, "that it is not loaded can't be entered");
    }
}

/// Enters that a place was looked at that could not be. Where that fails it is entered the next time.
pub(super) fn enter_seen(context: &Context, place: &str) -> bool {
    let entered = try_enter(context, place, place, None);
    if let Err(error) = &entered {
        tracing::warn!(error = causes(error), place, "that it was looked at can't be entered");
    }
    entered.is_ok()
}

fn try_enter(
    context: &Context,
    object: &str,
    name: &str,
    error: Option<(Fault, String)>,
) -> Result<(), EnterError> {
    let pipeline = &context.pipeline;
    let target = &pipeline.sink.table;
    let mut failure = failures::Failure {
        load_id: ledger::load_id(target, name),
        pipeline: pipeline.name.clone(),
        table: target.clone(),
        object: object.to_owned(),
        source: name.to_owned(),
        error,
        failed_at: Micros::now(),
        times_seen: 0,
    };
    let table = failure.table.beside(failures::TABLE);
    let is_entered = |id: &str| {
        context.runtime.block_on(context.tables.is_entered(&table, id, (failures::ID, id)))
    };
    if object == name {
        while is_entered(&failure.id_of_end())? {
            failure.times_seen += 1;
        }
    }
    let row = failure.row(&failures::schema()?)?;
    let id = failure.id();
    let key = Some((failures::ID, id.as_str()));
    let entering = context.tables.enter(&table, &id, key, &row);
    Ok(context.runtime.block_on(entering)?)
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
