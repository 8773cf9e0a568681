//! The admin interface: HTTP on loopback, by which a running pipeline is watched and its plugins are
//! looked at, swapped and rolled back. It serves the dashboard too. `wire` has what it is asked and
//! answers.
//!
//! | request | answer |
//! |---|---|
//! | `GET /healthz` | 200 while the process runs; needs no token |
//! | `GET /readyz` | 200 while the pipeline does its work, 503 with the reasons; needs no token |
//! | `GET /metrics` | metrics in Prometheus' text format; needs no token |
//! | `GET /v1/status` | counters, queues, plugins |
//! | `GET /v1/series` | rates of the last hour |
//! | `GET /v1/tap?stage&where&rejected` | rows as they pass, a JSON object a line |
//! | `GET /v1/plugins` | the version that runs, and the canary beside it |
//! | `GET /v1/plugins/history` | all versions since the start |
//! | `POST /v1/plugins/swap` | 200 taken up, 409 refused, with the check that failed |
//! | `POST /v1/plugins/rollback` | the version that runs now |
//!
//! Where a token is configured, requests carry `Authorization: Bearer …`. Without one only loopback is
//! listened on, and requests have to name it as their host, so that no web page reaches it by a name of
//! its own. What a page of another origin asks for is refused, be it of those that need no token: browsers
//! say so, in `Sec-Fetch-Site` and `Origin`. Programs send neither, and are answered.

mod entered;
mod gate;
mod plugins;
mod server;
mod tokens;
mod watch;
pub mod wire;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use tokio::net::TcpListener;

use clickmill_config as config;
use clickmill_config::Listen;
use clickmill_dashboard as dashboard;
use clickmill_dashboard::Dashboard;
use clickmill_pipeline::{AuditSink, Running};
use entered::Reveals;
use gate::Gate;
use wire::ErrorBody;

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
    /// Another process listens there.
    #[error(
        "cannot listen on `{address}` for the admin interface: another process has the port, and `admin.strict_port` allows no other"
    )]
    Taken {
        /// The address.
        address: SocketAddr,
        /// What the system says.
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

/// Starts listening, at a free port where another process has the one that is asked for. Returns the
/// address, or `None` where the interface is switched off. Without a running pipeline it is the dashboard
/// alone, and `audit` is the log of the pipeline whose tables it shows; one that shows no pipeline's has
/// nothing to enter.
pub async fn start(
    config: &config::Admin,
    dashboard: Dashboard,
    running: Option<Running>,
    audit: Option<Arc<AuditSink>>,
) -> Result<Option<SocketAddr>, AdminError> {
    let gate = Gate::new(config.token.as_ref())?;
    let failed = |address, source| AdminError::Listen { address, source };
    let asked = match config.listen {
        Listen::Off => return Ok(None),
        Listen::At(address) | Listen::Usual(address) => address,
    };
    let listener = match TcpListener::bind(asked).await {
        Err(source) if source.kind() == ErrorKind::AddrInUse && config.strict_port => {
            return Err(AdminError::Taken { address: asked, source });
        }
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let any = SocketAddr::new(asked.ip(), 0);
            let listener = TcpListener::bind(any).await.map_err(|error| failed(any, error))?;
            let address = listener.local_addr().map_err(|error| failed(any, error))?;
            tracing::warn!(
                taken = %asked,
                %address,
                "another process has the port of the admin interface, which takes a free one"
            );
            listener
        }
        bound => bound.map_err(|error| failed(asked, error))?,
    };
    let address = listener.local_addr().map_err(|error| failed(asked, error))?;
    let open = dashboard::page().route("/healthz", get(|| async { "ok\n" }));
    let audit = running.as_ref().map(|running| running.audit().clone()).or(audit);
    let shown = entered::shown(&config.reveal, dashboard.reveals_payload);
    let guarded = dashboard::router(dashboard);
    let (open, guarded) = match running {
        Some(running) => (
            open.merge(watch::open(running.clone())),
            guarded.merge(pipeline(running, config.reveal.clone())),
        ),
        None => (open, guarded),
    };
    let enters = |router: Router, audit: &Arc<AuditSink>| {
        let reveals = Reveals { audit: audit.clone(), shown };
        router.layer(middleware::from_fn_with_state(reveals, entered::reveals))
    };
    let guarded = match &audit {
        Some(audit) => enters(guarded, audit),
        None => guarded,
    };
    let guarded = guarded.layer(middleware::from_fn_with_state(gate, Gate::pass));
    let guarded = match audit {
        Some(audit) => guarded.layer(middleware::from_fn_with_state(audit, entered::denials)),
        None => guarded,
    };
    let router = open.merge(guarded).fallback(nothing);
    // Outermost: what is added to either of them later is behind it too.
    let router = router.layer(middleware::from_fn(gate::own_pages));
    let router = router.layer(middleware::from_fn(server::told));
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move {
        // Ends with the process.
        if let Err(error) = axum::serve(listener, service).await {
            tracing::error!(%error, "the admin interface ended");
        }
    });
    Ok(Some(address))
}

/// What a running pipeline adds.
fn pipeline(running: Running, reveal: Vec<String>) -> Router {
    Router::new()
        .route("/v1/plugins", get(plugins::list))
        .route("/v1/plugins/history", get(plugins::history))
        .route("/v1/plugins/swap", post(plugins::swap))
        .route("/v1/plugins/rollback", post(plugins::rollback))
        .layer(DefaultBodyLimit::max(MAX_REQUEST_BYTES))
        .with_state(running.clone())
        .merge(watch::guarded(running, reveal))
}

async fn nothing() -> Response {
    let error = "not found; pipeline endpoints are served only by the process running the pipeline";
    answer_error(StatusCode::NOT_FOUND, error.to_owned(), None)
}

fn answer_error(status: StatusCode, error: String, check: Option<String>) -> Response {
    (status, Json(ErrorBody { error, check })).into_response()
}
