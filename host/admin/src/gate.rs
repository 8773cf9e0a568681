//! Who may come in: with a token, those who show it; without one, requests to the loopback address.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::{AdminError, answer_error};
use clickmill_config::Token;

/// Lets in who may come in.
pub(super) struct Gate {
    /// Digest of the token, which is compared by digest: in the same time, whatever is shown.
    token: Option<blake3::Hash>,
}

impl Gate {
    /// A gate that asks for a token, where there is one.
    pub fn new(token: Option<&Token>) -> Result<Arc<Self>, AdminError> {
        let token = token.map(read).transpose()?;
        Ok(Arc::new(Self { token: token.map(|token| blake3::hash(token.as_bytes())) }))
    }

    /// As a layer around what is guarded.
    pub async fn pass(State(gate): State<Arc<Self>>, request: Request, next: Next) -> Response {
        match gate.lets_in(request.headers()) {
            Ok(()) => next.run(request).await,
            Err((status, error)) => answer_error(status, error.to_owned(), None),
        }
    }

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
