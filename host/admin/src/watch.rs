//! A running pipeline, watched: health, metrics, counters, and rows as they pass.

use std::convert::Infallible;
use std::sync::atomic::Ordering;

use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures::stream;
use serde::Deserialize;

use super::answer_error;
use super::wire::{SeriesBody, StatusBody};
use clickmill_core::{causes, stage};
use clickmill_pipeline::{Running, Tap};
use clickmill_query::QueryError;
use clickmill_telemetry::metrics;

/// Whether it does its work: anybody may ask.
pub(super) fn health(running: Running) -> Router {
    Router::new().route("/readyz", get(ready)).with_state(running)
}

/// Its numbers.
pub(super) fn metrics() -> Router {
    Router::new().route("/metrics", get(measured))
}

/// What readers look at.
pub(super) fn watched(running: Running, reveal: Vec<String>) -> Router {
    Router::new()
        .route("/v1/status", get(status))
        .route("/v1/series", get(series))
        .with_state(running.clone())
        .merge(Router::new().route("/v1/tap", get(tap)).with_state((running, reveal)))
}

async fn ready(State(running): State<Running>) -> Response {
    let problems = running.problems(&running.status().snapshot());
    if problems.is_empty() {
        "ready\n".into_response()
    } else {
        // Anybody may ask: no names, of tables or places, and nothing that a plugin says.
        let states: String = problems.into_iter().map(|problem| problem.state + "\n").collect();
        (StatusCode::SERVICE_UNAVAILABLE, states).into_response()
    }
}

async fn measured() -> Response {
    match metrics::text() {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
            .into_response(),
        Err(error) => answer_error(StatusCode::INTERNAL_SERVER_ERROR, causes(&error), None),
    }
}

async fn status(State(running): State<Running>) -> Json<StatusBody> {
    Json(StatusBody::of(&running))
}

async fn series(State(running): State<Running>) -> Json<SeriesBody> {
    Json(SeriesBody::of(&running.series()))
}

/// What `GET /v1/tap` is asked.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TapQuery {
    stage: Option<String>,
    #[serde(rename = "where")]
    condition: Option<String>,
    #[serde(default)]
    rejected: bool,
}

async fn tap(
    State((running, reveal)): State<(Running, Vec<String>)>,
    Query(asked): Query<TapQuery>,
) -> Response {
    let bad = |error| answer_error(StatusCode::BAD_REQUEST, error, None);
    let (current, _) = running.versions();
    let stages: Vec<&str> = current.set.stages.iter().map(|made| made.stage.as_str()).collect();
    if let Some(stage) = &asked.stage
        && !stages.contains(&stage.as_str())
        // Others than plugins refuse rows too.
        && !(asked.rejected && stage::ALL.contains(&stage.as_str()))
    {
        let stages = stages.join("`, `");
        return bad(format!("there is no stage `{stage}`, wanted one of `{stages}`"));
    }
    let TapQuery { stage, condition, rejected } = asked;
    if condition.is_some()
        && let Err(error) = clickmill_query::without_waiting()
    {
        return answer_error(StatusCode::SERVICE_UNAVAILABLE, causes(&error), None);
    }
    if let Some(condition) = &condition
        && let Err(error) = running.check(condition).await
    {
        let status = match error {
            QueryError::Engine(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        return answer_error(status, causes(&error), None);
    }
    let taken = match running.tap(Tap { stage, rejected, condition, reveal }) {
        Ok(taken) => taken,
        Err(error) => return answer_error(StatusCode::TOO_MANY_REQUESTS, error.to_string(), None),
    };
    let lines = stream::unfold(taken, |mut taken| async {
        let line = taken.next().await?;
        // What was missed before this line.
        let missed = taken.missed.swap(0, Ordering::Relaxed);
        let line = match missed {
            0 => line,
            missed => format!("{}\n{line}", serde_json::json!({ "missed": missed })),
        };
        Some((Ok::<_, Infallible>(Bytes::from(line)), taken))
    });
    ([(header::CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response()
}
