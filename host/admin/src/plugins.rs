//! The plugins of a running pipeline: looked at, swapped, rolled back.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::answer_error;
use super::wire::{ChangeBody, RollbackBody, SwapBody, SwappedBody, VersionBody};
use clickmill_core::{Fault, causes, store};
use clickmill_pipeline::{Running, SwapRefused, Swaps};
use clickmill_sandbox::{Change, LookupFile, NewComponent};

pub(super) async fn list(State(running): State<Running>) -> Json<Vec<VersionBody>> {
    let (current, canary) = running.versions();
    Json([Some(current), canary].into_iter().flatten().map(|record| (&*record).into()).collect())
}

pub(super) async fn history(State(running): State<Running>) -> Json<Vec<VersionBody>> {
    Json(running.history().iter().map(|record| (&**record).into()).collect())
}

pub(super) async fn swap(State(running): State<Running>, Json(body): Json<SwapBody>) -> Response {
    let rollout = body.rollout();
    let mut request = clickmill_pipeline::Request {
        actor: body.actor,
        note: body.note,
        rollout,
        dry_run: body.dry_run,
        ..Default::default()
    };
    for (stage, change) in body.changes {
        for golden in &change.golden {
            request.golden.push((stage.clone(), golden.clone()));
        }
        match fetched(stage, change).await {
            Ok(change) => request.changes.push(change),
            Err(error) => return answer_error(StatusCode::BAD_REQUEST, error, None),
        }
    }
    let swaps = Swaps::of(&running);
    // Compiling and trying on takes a while.
    let done = tokio::task::spawn_blocking(move || swaps.swap(request).map_err(Box::new)).await;
    match done {
        Ok(Ok(swapped)) => Json(SwappedBody::from(&swapped)).into_response(),
        Ok(Err(refused)) => answer_refused(&refused),
        Err(error) => answer_error(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), None),
    }
}

pub(super) async fn rollback(
    State(running): State<Running>,
    Json(body): Json<RollbackBody>,
) -> Response {
    let swaps = Swaps::of(&running);
    let RollbackBody { actor, note, to } = body;
    let roll_back = move || swaps.roll_back(to.as_deref(), &actor, &note).map_err(Box::new);
    let done = tokio::task::spawn_blocking(roll_back).await;
    match done {
        Ok(Ok(record)) => Json(VersionBody::from(&*record)).into_response(),
        Ok(Err(refused)) => answer_refused(&refused),
        Err(error) => answer_error(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), None),
    }
}

/// The change that a body asks for. A component in Cloud Storage is read.
async fn fetched(stage: String, body: ChangeBody) -> Result<Change, String> {
    let component = match (body.component, body.uri) {
        (Some(_), Some(_)) => {
            return Err(format!("stage `{stage}` has a component and a URI, wanted one of them"));
        }
        (Some(file), None) => {
            Some(NewComponent { path: file.name, bytes: file.base64, signature: body.signature })
        }
        (None, Some(uri)) if !uri.starts_with("gs://") => {
            return Err(format!("`{uri}` is not `gs://bucket/object`: send the component itself"));
        }
        (None, Some(uri)) => {
            let (store, path) = store::open(&uri).map_err(|error| causes(&error))?;
            let failed =
                |error: object_store::Error| format!("cannot read `{uri}`: {}", causes(&error));
            let got = NewComponent::get(&*store, &path, (&uri).into()).await;
            Some(got.map_err(failed)?)
        }
        (None, None) => None,
    };
    let lookups = body.lookups.into_iter();
    let lookups = lookups.map(|(table, file)| LookupFile::new(table, file.name, file.base64));
    Ok(Change { stage, component, config: body.config, lookups: lookups.collect() })
}

fn answer_refused(refused: &SwapRefused) -> Response {
    let status = match refused.fault() {
        Fault::Input | Fault::Run => StatusCode::CONFLICT,
        Fault::Environment => StatusCode::SERVICE_UNAVAILABLE,
        Fault::Bug => StatusCode::INTERNAL_SERVER_ERROR,
    };
    answer_error(status, causes(refused), Some(refused.check().to_owned()))
}
