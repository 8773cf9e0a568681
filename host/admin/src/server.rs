//! Connections.

use std::net::SocketAddr;

use axum::extract::{ConnectInfo, Request};
use axum::middleware::Next;
use axum::response::Response;

/// Both ends of a connection.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ends {
    /// Who has connected.
    pub peer: SocketAddr,
}

/// As a layer around all that is served: says who has connected.
pub(super) async fn told(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    mut request: Request,
    next: Next,
) -> Response {
    request.extensions_mut().insert(Ends { peer });
    next.run(request).await
}
