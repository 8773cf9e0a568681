//! The admin interface: HTTP on loopback, by which a running pipeline is watched and its plugins are
//! looked at, swapped and rolled back. It serves the dashboard too. `wire` has what it is asked and
//! answers.
//!
//! | request | answer | for |
//! |---|---|---|
//! | `GET /healthz` | 200 while the process runs | anybody |
//! | `GET /readyz` | 200 while the pipeline does its work, 503 with the reasons | anybody |
//! | `GET /metrics` | metrics in Prometheus' text format | anybody on this machine, readers elsewhere |
//! | `POST /v1/sessions` | a reader's token for the code of a link, once | whoever has the code |
//! | `POST /v1/links` | a link that opens the page in a browser, once | readers, but for those by a link |
//! | `GET /v1/status` | counters, queues, plugins | readers |
//! | `GET /v1/series` | rates of the last hour | readers |
//! | `GET /v1/tap?stage&where&rejected` | rows as they pass, a JSON object a line | readers |
//! | `GET /v1/plugins` | the version that runs, and the canary beside it | readers |
//! | `GET /v1/plugins/history` | all versions since the start | readers |
//! | `GET /v1/fleet` | what the replicas of the fleet run, 404 where the process is of none | readers |
//! | `POST /v1/plugins/swap` | 200 taken up, 409 refused, with the check that failed, 503 where many wait | operators |
//! | `POST /v1/plugins/reload` | the same of the process's own pipeline file, read again for its stages | operators |
//! | `POST /v1/plugins/rollback` | the version that runs now | operators |
//!
//! Readers and operators show a token, `Authorization: Bearer …`: one that the pipeline file names, or the
//! operator's that each process makes at its start ([`Interface::token`]); a browser gets a reader's by a
//! link. Requests have to name a host of ours, but for `/healthz` and `/readyz`, so that no web page
//! reaches the interface by a name of its own. What a page of another origin asks for is refused on every
//! route: browsers say so, in `Sec-Fetch-Site` and `Origin`. Programs send neither, and are answered.
//!
//! It has threads of its own, few connections and a deadline for each request: whoever asks much or
//! slowly holds up nobody but those who ask too.

mod entered;
pub mod fuzz;
mod gate;
mod links;
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
use tokio::runtime::{Builder, Runtime};

use clickmill_config as config;
use clickmill_config::Listen;
use clickmill_core::Fault;
use clickmill_dashboard as dashboard;
use clickmill_dashboard::Dashboard;
use clickmill_pipeline::{AuditSink, Running};
use entered::Reveals;
use gate::{Gate, RouteGate, Wanted};
pub use plugins::asked;
use tokens::Role;
pub use tokens::look;
use wire::ErrorBody;

/// The most that a request may have that wants no token.
const MAX_ANONYMOUS_BYTES: usize = 4 << 10;
/// Threads that answer. What takes long is done on others.
const THREADS: usize = 2;
/// Threads for what takes long: swaps, and waiting for the SQL engine.
const LONG_THREADS: usize = 16;

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
    /// Its threads can't be started.
    #[error("cannot start the threads of the admin interface")]
    Threads(#[source] std::io::Error),
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
    /// Readers would be operators.
    #[error(
        "the operator's and the reader's admin token are the same, wanted two: who shows the reader's may look, and change nothing"
    )]
    TokensSame,
}

impl AdminError {
    /// Whose fault it is: tokens are named by the configuration.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Listen { .. } | Self::Taken { .. } | Self::Threads(_) => Fault::Environment,
            Self::TokenFile { .. } | Self::TokenShort { .. } | Self::TokensSame => Fault::Input,
        }
    }
}

/// The admin interface. It ends when this is dropped.
pub struct Interface {
    address: SocketAddr,
    token: String,
    gate: Arc<Gate>,
    /// `None` only while it is dropped.
    runtime: Option<Runtime>,
}

impl Interface {
    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The operator's token that this process has made: for those on this machine who are the same user.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A new link that opens the page in one browser, from the first slash on. It works once, for ten
    /// minutes.
    pub fn link(&self) -> String {
        links::path(&self.gate)
    }
}

impl Drop for Interface {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Nobody waits for those who still ask.
            runtime.shutdown_background();
        }
    }
}

/// Starts listening, at a free port where another process has the one that is asked for. `None` where the
/// interface is switched off. Without a running pipeline it is the dashboard alone, and `audit` is the log of
/// the pipeline whose tables it shows; one that shows no pipeline's has nothing to enter. Blocks: it belongs on a
/// thread, not in a task.
///
/// # Errors
///
/// Where the address is not to be had, or a token that the configuration names.
pub fn start(
    config: &config::Admin,
    dashboard: Dashboard,
    running: Option<Running>,
    audit: Option<Arc<AuditSink>>,
) -> Result<Option<Interface>, AdminError> {
    let (gate, token) = Gate::new(config)?;
    let asked = match config.listen {
        Listen::Off => return Ok(None),
        Listen::At(address) | Listen::Usual(address) => address,
    };
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(THREADS).max_blocking_threads(LONG_THREADS);
    let runtime = runtime.thread_name("admin").enable_all().build().map_err(AdminError::Threads)?;
    let (listener, address) = runtime.block_on(listen(asked, config.strict_port))?;
    let spare = spare(&gate, running.clone());
    let router = router(&gate, dashboard, running, audit, config.reveal.clone());
    runtime.spawn(server::serve(listener, router, spare));
    Ok(Some(Interface { address, token, gate, runtime: Some(runtime) }))
}

async fn listen(asked: SocketAddr, strict: bool) -> Result<(TcpListener, SocketAddr), AdminError> {
    let failed = |address, source| AdminError::Listen { address, source };
    let listener = match TcpListener::bind(asked).await {
        Err(source) if source.kind() == ErrorKind::AddrInUse && strict => {
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
    Ok((listener, address))
}

/// All routes, each behind what it wants.
fn router(
    gate: &Arc<Gate>,
    dashboard: Dashboard,
    running: Option<Running>,
    audit: Option<Arc<AuditSink>>,
    reveal: Vec<String>,
) -> Router {
    let audit = running.as_ref().map(|running| running.audit().clone()).or(audit);
    let shown = entered::shown(&reveal, dashboard.reveals_payload);
    let in_time = |router: Router, patience| {
        router.layer(middleware::from_fn_with_state(patience, server::in_time))
    };
    let behind = |router: Router, wanted| {
        let door = RouteGate { gate: gate.clone(), wanted };
        router.layer(middleware::from_fn_with_state(door, RouteGate::pass))
    };
    let entering = |router: Router| match &audit {
        Some(audit) => {
            router.layer(middleware::from_fn_with_state(audit.clone(), entered::denials))
        }
        None => router,
    };
    let sessions = Router::new().route("/v1/sessions", post(links::open)).with_state(gate.clone());
    let page = dashboard::page()
        .merge(entering(sessions))
        .layer(DefaultBodyLimit::max(MAX_ANONYMOUS_BYTES))
        .fallback(nothing);
    let readers = dashboard::router(dashboard)
        .merge(Router::new().route("/v1/links", post(links::make)).with_state(gate.clone()));
    let health = health(running.clone());
    let (readers, more) = match running {
        Some(running) => (
            readers
                .merge(plugins::shown(running.clone()))
                .merge(watch::watched(running.clone(), reveal)),
            behind(watch::metrics(), Wanted::ReaderFromElsewhere)
                .merge(behind(plugins::changed(running), Wanted::Token(Role::Operator))),
        ),
        None => (readers, Router::new()),
    };
    let anybody = health.merge(behind(page, Wanted::Host));
    let readers = match &audit {
        Some(audit) => {
            let reveals = Reveals { audit: audit.clone(), shown };
            readers.layer(middleware::from_fn_with_state(reveals, entered::reveals))
        }
        None => readers,
    };
    let known = entering(behind(readers, Wanted::Token(Role::Browser)).merge(more));
    // Outermost: what is added to any of them later is behind it too.
    in_time(anybody, server::BRIEF_ANSWER)
        .merge(in_time(known, server::ANSWER))
        .layer(middleware::from_fn_with_state(gate.clone(), gate::own_pages))
}

/// Whether the process lives, and whether it works.
fn health(running: Option<Running>) -> Router {
    let health = Router::new().route("/healthz", get(|| async { "ok\n" }));
    match running {
        Some(running) => health.merge(watch::health(running)),
        None => health,
    }
}

/// What is answered where there is no room for more callers.
fn spare(gate: &Arc<Gate>, running: Option<Running>) -> Router {
    health(running)
        .fallback(busy)
        .layer(middleware::from_fn_with_state(gate.clone(), gate::own_pages))
}

async fn busy() -> Response {
    let error = "there are as many connections as there may be: ask again in a moment";
    answer_error(StatusCode::SERVICE_UNAVAILABLE, error.to_owned(), None)
}

async fn nothing() -> Response {
    let error = "not found; pipeline endpoints are served only by the process running the pipeline";
    answer_error(StatusCode::NOT_FOUND, error.to_owned(), None)
}

fn answer_error(status: StatusCode, error: String, check: Option<String>) -> Response {
    (status, Json(ErrorBody { error, check })).into_response()
}
