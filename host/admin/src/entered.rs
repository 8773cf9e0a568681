//! What callers do that goes into the audit log: who asks for a change, as the server knows them; values
//! that are shown; tokens and links that are none.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::answer_error;
use super::gate::{Caller, LinkRefused, TokenRefused, unknown};
use super::server::Ends;
use super::tokens::Role;
use clickmill_audit::{Action, Event, MAX_NAME_BYTES, one_line};
use clickmill_core::causes;
use clickmill_pipeline::AuditSink;

/// The most bytes of a query that an entry tells, and of a note.
const MAX_ASKED_BYTES: usize = 2000;

/// Requests that show values which are raw, or masked in the table, and those values.
#[derive(Clone)]
pub(super) struct Reveals {
    pub audit: Arc<AuditSink>,
    /// Each with a path and the columns that it shows.
    pub shown: Arc<[(&'static str, String)]>,
}

/// What is revealed by taps, whose columns `reveal` names, and by the list of dead letters.
pub(super) fn shown(reveal: &[String], letters: bool) -> Arc<[(&'static str, String)]> {
    let taps = (!reveal.is_empty()).then(|| ("/v1/tap", reveal.join(", ")));
    let letters = letters.then(|| ("/v1/dead-letters", "payload".to_owned()));
    taps.into_iter().chain(letters).collect()
}

/// As the server knows who calls.
pub(super) fn told(caller: &Caller) -> String {
    let Caller { peer, role } = caller;
    format!("from {peer} as {}", name(*role))
}

/// A note as it is kept.
pub(super) fn noted(note: &str) -> String {
    one_line(note, MAX_ASKED_BYTES)
}

/// As a layer within that of the token: what would reveal values is entered first, and answered only then.
pub(super) async fn reveals(
    State(Reveals { audit, shown }): State<Reveals>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    let columns = shown.iter().find(|(shown, _)| *shown == path).map(|(_, columns)| columns);
    if let Some(columns) = columns {
        let Some(caller) = request.extensions().get::<Caller>() else {
            return unknown();
        };
        let asked = request.uri().path_and_query().map_or(path, |asked| asked.as_str());
        let who = format!("{} {}", caller.peer.ip(), name(caller.role));
        let asked = one_line(asked, MAX_ASKED_BYTES);
        let detail = format!("{}; {asked}, and what they ask of it within a minute", told(caller));
        let event = Event {
            subject: one_line(columns, MAX_NAME_BYTES),
            ..Event::new("unknown", Action::Reveal, detail)
        };
        // It waits for the disk.
        let entered = tokio::task::spawn_blocking(move || audit.reveal(&who, event)).await;
        let entered = entered.map_err(|error| error.to_string());
        if let Err(error) = entered.and_then(|entered| entered.map_err(|error| causes(&error))) {
            let error = format!(
                "this shows values of `{columns}`, and cannot be entered into the audit log: {error}"
            );
            return answer_error(StatusCode::SERVICE_UNAVAILABLE, error, None);
        }
    }
    next.run(request).await
}

/// As a layer around that of the token, and around what opens links: a token that is none is entered, a reader's for
/// what operators do, and a link that lets nobody in.
pub(super) async fn denials(
    State(audit): State<Arc<AuditSink>>,
    request: Request,
    next: Next,
) -> Response {
    // Who shows nothing has not tried to be somebody: the page does so, and whoever looks around.
    let tried = request.headers().contains_key(header::AUTHORIZATION);
    let ends = request.extensions().get::<Ends>().copied();
    let answer = next.run(request).await;
    let refused = answer.extensions();
    if let (Some(ends), Some(TokenRefused)) = (ends.filter(|_| tried), refused.get()) {
        audit.deny("token", ends.peer);
    }
    // It may have been made for somebody who was slower.
    if let (Some(ends), Some(LinkRefused)) = (ends, refused.get()) {
        audit.deny("link", ends.peer);
    }
    answer
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Browser | Role::Reader => "reader",
        Role::Operator => "operator",
    }
}
