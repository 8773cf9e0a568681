//! Links that open the page in a browser: each carries a code that works once, and gives that browser a
//! token of a reader. The code stands behind `#`, which browsers send to nobody.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Extension, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::gate::{Caller, Gate, LinkRefused};
use super::server::Ends;
use super::tokens::{LINK_LIFE, Role};
use super::wire::{LinkBody, OpenBody, SessionBody};

/// The path of a new link.
pub(super) fn path(gate: &Gate) -> String {
    format!("/#open={}", gate.tokens.link())
}

/// `POST /v1/links`
pub(super) async fn make(
    State(gate): State<Arc<Gate>>,
    Extension(caller): Extension<Caller>,
) -> Response {
    if caller.role == Role::Browser {
        let why = "a browser that a link let in makes no other: `clickmill dashboard --link` does";
        return gate.refuse(caller.peer, StatusCode::FORBIDDEN, why);
    }
    Json(LinkBody { path: path(&gate), works_secs: LINK_LIFE.as_secs() }).into_response()
}

/// `POST /v1/sessions`
pub(super) async fn open(
    State(gate): State<Arc<Gate>>,
    Extension(ends): Extension<Ends>,
    Json(body): Json<OpenBody>,
) -> Response {
    match gate.tokens.open(&body.code) {
        Some(token) => Json(SessionBody { token }).into_response(),
        None => {
            let why = "this link was opened before, or is too old";
            let mut answer = gate.refuse(ends.peer, StatusCode::UNAUTHORIZED, why);
            answer.extensions_mut().insert(LinkRefused);
            answer
        }
    }
}
