//! The plugins of a running pipeline: looked at, swapped, rolled back.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Map, Value};
use tokio::sync::Semaphore;

use super::gate::Caller;
use super::wire::fleet::{FleetBody, ReplicaBody};
use super::wire::{
    ChangeBody, ReloadBody, RollbackBody, RolledBackBody, SwapBody, SwappedBody, VersionBody,
};
use super::{answer_error, entered};
use clickmill_core::{Fault, causes, store};
use clickmill_pipeline::{Actor, Membership, Reload, Request, Running, SwapRefused, Swaps};
use clickmill_sandbox::{Change, FetchError, Golden, LookupFile, NewComponent, PluginSet};

/// Swaps that are checked or wait, at most. Each holds a thread, and a rollback wants one too.
const MAX_SWAPS: usize = 4;
/// Stages that the pipeline file may have beyond those of the start, for the size of a request.
const MORE_STAGES: usize = 8;
/// What surrounds the components of a request, at most.
const BESIDE_COMPONENTS: usize = 1 << 20;

/// What readers look at.
pub(super) fn shown(running: Running) -> Router {
    Router::new()
        .route("/v1/plugins", get(list))
        .route("/v1/plugins/history", get(history))
        .with_state(running.clone())
        .merge(
            Router::new()
                .route("/v1/fleet", get(fleet))
                .with_state((running, Arc::new(Semaphore::new(1)))),
        )
}

/// What operators do. A request may be as large as a component for each stage: they are in it as base64.
pub(super) fn changed(running: Running) -> Router {
    let stages = running.versions().0.set.stages.len() + MORE_STAGES;
    let most = most_bytes(running.max_component_bytes(), stages);
    Router::new()
        .route("/v1/plugins/swap", post(swap))
        .route("/v1/plugins/reload", post(reload))
        .with_state((running.clone(), Arc::new(Semaphore::new(MAX_SWAPS))))
        .merge(Router::new().route("/v1/plugins/rollback", post(rollback)).with_state(running))
        .layer(DefaultBodyLimit::max(most))
}

fn most_bytes(of_component: usize, stages: usize) -> usize {
    // Four characters for three bytes.
    let components = of_component.div_ceil(3).saturating_mul(4).saturating_mul(stages);
    components.saturating_add(BESIDE_COMPONENTS)
}

async fn list(State(running): State<Running>) -> Json<Vec<VersionBody>> {
    let (current, canary) = running.versions();
    Json([Some(current), canary].into_iter().flatten().map(|record| (&*record).into()).collect())
}

async fn history(State(running): State<Running>) -> Json<Vec<VersionBody>> {
    Json(running.history().iter().map(|record| (&**record).into()).collect())
}

/// The replicas of the fleet, where the process is of one.
async fn fleet(State((running, turn)): State<(Running, Arc<Semaphore>)>) -> Response {
    // The fleet's store is waited for, for minutes where it is away: by one thread, and the others hold none.
    let turn = turn.acquire_owned().await;
    let looked = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let member = Membership::of(&running)?;
        let replicas = member.replicas();
        Some((member, replicas))
    });
    match looked.await {
        Ok(Some((member, Ok(replicas)))) => {
            let replicas = replicas.iter().map(ReplicaBody::from).collect();
            Json(FleetBody::of(member.name().to_owned(), member.standing(), replicas))
                .into_response()
        }
        Ok(Some((_, Err(error)))) => {
            answer_error(StatusCode::SERVICE_UNAVAILABLE, causes(&error), None)
        }
        Ok(None) => {
            let error = "this process is of no fleet: the pipeline file has no `swap.fleet`";
            answer_error(StatusCode::NOT_FOUND, error.to_owned(), None)
        }
        Err(error) => answer_error(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), None),
    }
}

async fn swap(
    State((running, places)): State<(Running, Arc<Semaphore>)>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<SwapBody>, JsonRejection>,
) -> Response {
    let body = match body {
        Ok(Json(body)) => body,
        Err(error) => return answer_unread(&error),
    };
    tracing::info!(peer = %caller.peer, role = ?caller.role, body.dry_run, "a swap is asked for");
    let rollout = body.rollout();
    let actor = match Actor::claimed(&body.actor, entered::told(&caller)) {
        Ok(actor) => actor,
        Err(error) => return answer_error(StatusCode::BAD_REQUEST, error.to_string(), None),
    };
    let mut request = Request {
        actor,
        note: entered::noted(&body.note),
        rollout,
        dry_run: body.dry_run,
        ..Default::default()
    };
    let present = running.versions().0;
    let asked = asked(body.changes, &present.set, running.max_component_bytes()).await;
    match asked {
        Ok((changes, golden)) => (request.changes, request.golden) = (changes, golden),
        Err(error) => return answer_error(StatusCode::BAD_REQUEST, error, None),
    }
    let swaps = Swaps::of(&running);
    swapped(swaps, request, places).await
}

async fn reload(
    State((running, places)): State<(Running, Arc<Semaphore>)>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<ReloadBody>, JsonRejection>,
) -> Response {
    let body = match body {
        Ok(Json(body)) => body,
        Err(error) => return answer_unread(&error),
    };
    tracing::info!(peer = %caller.peer, role = ?caller.role, body.dry_run, "a reload is asked for");
    let actor = match Actor::claimed(&body.actor, entered::told(&caller)) {
        Ok(actor) => actor,
        Err(error) => return answer_error(StatusCode::BAD_REQUEST, error.to_string(), None),
    };
    let request = Request {
        actor,
        note: entered::noted(&body.note),
        rollout: body.rollout(),
        dry_run: body.dry_run,
        reload: Some(Reload { expected: body.expected }),
        ..Default::default()
    };
    swapped(Swaps::of(&running), request, places).await
}

/// Changes as they are asked for, of stages of the set that runs, and their golden cases, by stage. A component in Cloud
/// Storage is read, of at most `max_bytes`.
///
/// # Errors
///
/// In words, what is not as it has to be.
pub async fn asked(
    bodies: BTreeMap<String, ChangeBody>,
    present: &PluginSet,
    max_bytes: usize,
) -> Result<(Vec<Change>, Vec<(String, Golden)>), String> {
    let (mut changes, mut golden) = (Vec::new(), Vec::new());
    for (stage, mut change) in bodies {
        let stages = present.stages.iter();
        let config = stages.filter(|made| *made.stage == *stage).map(|made| &made.config).next();
        if let Some(key) = config.and_then(|config| taken_from_nowhere(&change.written, config)) {
            return Err(format!(
                "`{stage}.{key}=null` takes away a key that is not there: for the text, write `'{stage}.{key}=\"null\"'`"
            ));
        }
        change.config.extend(read(std::mem::take(&mut change.written), config));
        golden.extend(change.golden.iter().map(|cases| (stage.clone(), cases.clone())));
        changes.push(fetched(stage, change, max_bytes).await?);
    }
    Ok((changes, golden))
}

/// Swaps, where not too many do.
async fn swapped(swaps: Swaps, request: Request, places: Arc<Semaphore>) -> Response {
    let Ok(place) = places.try_acquire_owned() else {
        let error = format!("{MAX_SWAPS} swaps are checked or wait already: ask again in a moment");
        return answer_error(StatusCode::SERVICE_UNAVAILABLE, error, None);
    };
    // Compiling and trying on takes a while, also where nobody waits for it any more.
    let swap = move || {
        let swapped = swaps.swap(&request).map_err(Box::new);
        drop(place);
        swapped
    };
    let done = tokio::task::spawn_blocking(swap).await;
    match done {
        Ok(Ok(swapped)) => Json(SwappedBody::from(&swapped)).into_response(),
        Ok(Err(refused)) => answer_refused(&refused),
        Err(error) => answer_error(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), None),
    }
}

async fn rollback(
    State(running): State<Running>,
    Extension(caller): Extension<Caller>,
    body: Result<Json<RollbackBody>, JsonRejection>,
) -> Response {
    let body = match body {
        Ok(Json(body)) => body,
        Err(error) => return answer_unread(&error),
    };
    tracing::info!(peer = %caller.peer, role = ?caller.role, "a rollback is asked for");
    let swaps = Swaps::of(&running);
    let RollbackBody { actor, note, to } = body;
    let note = entered::noted(&note);
    let actor = match Actor::claimed(&actor, entered::told(&caller)) {
        Ok(actor) => actor,
        Err(error) => return answer_error(StatusCode::BAD_REQUEST, error.to_string(), None),
    };
    let roll_back = move || swaps.roll_back(to.as_deref(), &actor, &note).map_err(Box::new);
    let done = tokio::task::spawn_blocking(roll_back).await;
    match done {
        Ok(Ok(record)) => {
            let version = VersionBody::from(&*record);
            Json(RolledBackBody { version, file: running.taken_back() }).into_response()
        }
        Ok(Err(refused)) => answer_refused(&refused),
        Err(error) => answer_error(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), None),
    }
}

/// Says why a request is none.
fn answer_unread(error: &JsonRejection) -> Response {
    let said = error.body_text();
    let said = match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => format!(
            "{said}: a component may have as much as `swap.max_component_bytes` says, and so may what comes with it"
        ),
        _ => said,
    };
    answer_error(error.status(), said, None)
}

/// Values as they are meant that were written on a command line, for the keys of a stage that has `config`.
pub(super) fn read(
    written: BTreeMap<String, String>,
    config: Option<&Map<String, Value>>,
) -> impl Iterator<Item = (String, Value)> {
    written.into_iter().map(move |(key, text)| {
        let has_text = config.and_then(|config| config.get(&key)).is_some_and(Value::is_string);
        let value = match serde_json::from_str(&text) {
            Ok(Value::Number(_) | Value::Bool(_)) if has_text => Value::String(text),
            Ok(value) => value,
            Err(_) => Value::String(text),
        };
        (key, value)
    })
}

/// A key that is to be taken away and is not there: its value may be meant to be the text `null`.
fn taken_from_nowhere<'a>(
    written: &'a BTreeMap<String, String>,
    config: &Map<String, Value>,
) -> Option<&'a str> {
    let taken = written.iter().filter(|(_, text)| text.trim() == "null");
    taken.map(|(key, _)| key.as_str()).find(|key| !config.contains_key(*key))
}

/// The change that a body asks for. A component in Cloud Storage is read, of at most `max_bytes`.
pub(super) async fn fetched(
    stage: String,
    body: ChangeBody,
    max_bytes: usize,
) -> Result<Change, String> {
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
            let failed = |error: FetchError| format!("cannot read `{uri}`: {}", causes(&error));
            let got = NewComponent::get(&*store, &path, (&uri).into(), max_bytes).await;
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_may_have_a_component_for_each_stage() {
        let component = vec![7; 1000];
        let text = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, component);
        assert!(most_bytes(1000, 4) >= 4 * text.len() + BESIDE_COMPONENTS);
        assert!(most_bytes(1000, 4) < 4 * text.len() + BESIDE_COMPONENTS + 100);
        assert_eq!(most_bytes(usize::MAX, 2), usize::MAX);
    }

    #[test]
    fn what_is_written_for_a_key_that_has_text_is_text() {
        let config = json!({ "key_id": "k1", "limit": 5, "strict": true, "columns": {} });
        let config = config.as_object().expect("an object");
        for (key, text, wanted) in [
            ("key_id", "2", json!("2")),
            ("key_id", "2.0", json!("2.0")),
            ("key_id", "true", json!("true")),
            ("key_id", "k2", json!("k2")),
            ("key_id", "\"k2\"", json!("k2")),
            ("key_id", "\"2\"", json!("2")),
            ("key_id", "null", json!(null)),
            ("limit", "2", json!(2)),
            ("limit", "two", json!("two")),
            ("strict", "false", json!(false)),
            ("columns", "{\"ip\": \"ip\"}", json!({ "ip": "ip" })),
            ("new", "2", json!(2)),
        ] {
            let written = BTreeMap::from([(key.to_owned(), text.to_owned())]);
            let found: Vec<_> = read(written, Some(config)).collect();
            assert_eq!(found, [(key.to_owned(), wanted)], "{key}={text}");
        }
        for (key, text, wanted) in [
            ("unreadable", "null", Some("unreadable")),
            ("unreadable", "\"null\"", None),
            ("key_id", "null", None),
        ] {
            let written = BTreeMap::from([(key.to_owned(), text.to_owned())]);
            assert_eq!(taken_from_nowhere(&written, config), wanted, "{key}={text}");
        }
        let written = BTreeMap::from([("key_id".to_owned(), "2".to_owned())]);
        assert_eq!(read(written, None).next(), Some(("key_id".to_owned(), json!(2))));
    }
}
