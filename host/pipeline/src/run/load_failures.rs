//! Objects that cannot be loaded, as the table beside the ledger has them.

use crate::context::Context;
use crate::observe::summary::FailedObject;
use clickmill_core::{Micros, causes};
use clickmill_sink::SinkError;
use clickmill_tables::{failures, ledger};

/// Enters a failure beside the ledger, of an object by its URI and its name with generation; what cannot be looked at
/// has none. Where that fails too, it is told, and nothing more: the object will be met again.
pub(super) fn enter(context: &Context, object: &str, name: &str, failed: &FailedObject) {
    let pipeline = &context.pipeline;
    let target = &pipeline.sink.table;
    let failure = failures::Failure {
        load_id: ledger::load_id(target, name),
        pipeline: pipeline.name.clone(),
        table: target.clone(),
        object: object.to_owned(),
        source: name.to_owned(),
        fault: failed.fault,
        error: failed.causes.join(": "),
        failed_at: Micros::now(),
    };
    if let Err(error) = try_enter(context, &failure) {
        let error = causes(&error);
        tracing::warn!(error, object, "that it is not loaded can't be entered");
    }
}

fn try_enter(context: &Context, failure: &failures::Failure) -> Result<(), EnterError> {
    let row = failure.row(&failures::schema()?)?;
    let id = failure.id();
    let table = failure.table.beside(failures::TABLE);
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
