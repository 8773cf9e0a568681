//! The admin interface: HTTP on loopback, by which a running pipeline's plugins are looked at, swapped
//! and rolled back. `wire` has what it is asked and answers.
//!
//! | request | answer |
//! |---|---|
//! | `GET /healthz` | 200 while the process runs; needs no token |
//! | `GET /v1/plugins` | the version that runs, and the canary beside it |
//! | `GET /v1/plugins/history` | all versions since the start |
//! | `POST /v1/plugins/swap` | 200 taken up, 409 refused, with the check that failed |
//! | `POST /v1/plugins/rollback` | the version that runs now |
//!
//! Where a token is configured, requests carry `Authorization: Bearer …`. Without one only loopback is
//! listened on, and requests have to name it as their host, so that no web page reaches it by a name of
//! its own.

pub mod wire;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;

use crate::config::{self, Listen, Token};
use crate::pipeline::{Refused, Swaps};
use crate::plugin::{Change, LookupFile, NewComponent};
use crate::store;
use crate::telemetry::causes;
use wire::{ChangeBody, ErrorBody, RollbackBody, SwapBody, SwappedBody, VersionBody};

/// What surrounds the components in a request, at most.
const MAX_REQUEST_BYTES: usize = 512 << 20;

/// Why the admin interface does not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address can't be listened on.
    #[error("cannot listen on `{address}` for the admin interface")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The token's file can't be read.
    #[error("cannot read the admin token from `{path}`", path = path.display())]
    TokenFile {
        /// The file.
        path: std::path::PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The token is too short to be one.
    #[error(
        "the admin token from {from} has {bytes} bytes, wanted at least 16, as `openssl rand -hex 32` makes them"
    )]
    TokenShort {
        /// Where it is from.
        from: String,
        /// How long it is.
        bytes: usize,
    },
}

/// What requests are answered by.
struct Admin {
    swaps: Swaps,
    /// Digest of the token, which is compared by digest: in the same time, whatever is shown.
    token: Option<blake3::Hash>,
}

/// Starts listening. Returns the address, or `None` where the interface is switched off.
pub async fn start(
    config: &config::Admin,
    swaps: &Swaps,
) -> Result<Option<SocketAddr>, AdminError> {
    let token = match &config.token {
        Some(token) => Some(blake3::hash(read(token)?.as_bytes())),
        None => None,
    };
    let failed = |address, source| AdminError::Listen { address, source };
    let listener = match config.listen {
        Listen::Off => return Ok(None),
        Listen::At(address) => {
            TcpListener::bind(address).await.map_err(|error| failed(address, error))?
        }
        Listen::Usual(address) => match TcpListener::bind(address).await {
            Ok(listener) => listener,
            Err(_) => {
                let any = SocketAddr::new(address.ip(), 0);
                TcpListener::bind(any).await.map_err(|error| failed(any, error))?
            }
        },
    };
    let address = listener.local_addr();
    let admin = Arc::new(Admin { swaps: swaps.clone(), token });
    let router = Router::new()
        .route("/v1/plugins", get(plugins))
        .route("/v1/plugins/history", get(history))
        .route("/v1/plugins/swap", post(swap))
        .route("/v1/plugins/rollback", post(rollback))
        .layer(middleware::from_fn_with_state(admin.clone(), guard))
        .route("/healthz", get(|| async { "ok\n" }))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(admin);
    tokio::spawn(async move {
        // Ends with the process.
        if let Err(error) = axum::serve(listener, router).await {
            tracing::error!(%error, "the admin interface ended");
        }
    });
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    address.map(Some).map_err(|error| failed(any, error))
}

fn read(token: &Token) -> Result<String, AdminError> {
    let (text, from) = match token {
        Token::File(path) => {
            let failed = |source| AdminError::TokenFile { path: path.clone(), source };
            let text = std::fs::read_to_string(path).map_err(failed)?;
            (text, format!("`{}`", path.display()))
        }
        Token::Variable(name) => {
            (std::env::var(name).unwrap_or_default(), format!("environment variable `{name}`"))
        }
    };
    let text = text.trim().to_owned();
    match text.len() < 16 {
        true => Err(AdminError::TokenShort { from, bytes: text.len() }),
        false => Ok(text),
    }
}

/// Lets in who may come in.
async fn guard(State(admin): State<Arc<Admin>>, request: Request, next: Next) -> Response {
    match admin.lets_in(request.headers()) {
        Ok(()) => next.run(request).await,
        Err((status, error)) => answer_error(status, error.to_owned(), None),
    }
}

impl Admin {
    fn lets_in(&self, headers: &HeaderMap) -> Result<(), (StatusCode, &'static str)> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let Some(token) = self.token else {
            let host = text(header::HOST).unwrap_or_default();
            let host = host.rsplit_once(':').map_or(host, |(host, _)| host);
            let host = host.trim_start_matches('[').trim_end_matches(']');
            let loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
            return match loopback || host == "localhost" {
                true => Ok(()),
                false => Err((
                    StatusCode::FORBIDDEN,
                    "without a token only requests to the loopback address are answered",
                )),
            };
        };
        let shown = text(header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
        match shown.is_some_and(|shown| blake3::hash(shown.trim().as_bytes()) == token) {
            true => Ok(()),
            false => Err((
                StatusCode::UNAUTHORIZED,
                "wanted the header `Authorization: Bearer TOKEN` with this pipeline's token",
            )),
        }
    }
}

async fn plugins(State(admin): State<Arc<Admin>>) -> Json<Vec<VersionBody>> {
    let (current, canary) = admin.swaps.running();
    Json([Some(current), canary].into_iter().flatten().map(|record| (&*record).into()).collect())
}

async fn history(State(admin): State<Arc<Admin>>) -> Json<Vec<VersionBody>> {
    Json(admin.swaps.history().iter().map(|record| (&**record).into()).collect())
}

async fn swap(State(admin): State<Arc<Admin>>, Json(body): Json<SwapBody>) -> Response {
    let rollout = body.rollout();
    let mut request = crate::pipeline::Request {
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
    let swaps = admin.swaps.clone();
    // Compiling and trying on takes a while.
    let done = tokio::task::spawn_blocking(move || swaps.swap(request)).await;
    match done {
        Ok(Ok(swapped)) => Json(SwappedBody::from(&swapped)).into_response(),
        Ok(Err(refused)) => answer_refused(&refused),
        Err(error) => answer_error(StatusCode::INTERNAL_SERVER_ERROR, error.to_string(), None),
    }
}

async fn rollback(State(admin): State<Arc<Admin>>, Json(body): Json<RollbackBody>) -> Response {
    let swaps = admin.swaps.clone();
    let RollbackBody { actor, note, to } = body;
    let done =
        tokio::task::spawn_blocking(move || swaps.roll_back(to.as_deref(), &actor, &note)).await;
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
            return Err(format!("`{uri}` is no `gs://bucket/object`: send the component itself"));
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

fn answer_refused(refused: &Refused) -> Response {
    let check = refused.check();
    let status = match check {
        "environment" => StatusCode::SERVICE_UNAVAILABLE,
        _ => StatusCode::CONFLICT,
    };
    answer_error(status, causes(refused), Some(check.to_owned()))
}

fn answer_error(status: StatusCode, error: String, check: Option<String>) -> Response {
    (status, Json(ErrorBody { error, check })).into_response()
}
