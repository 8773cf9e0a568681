//! Who may come in: no web page of another origin; with a token, those who show it; without one, requests
//! to the loopback address.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;

use super::server::Ends;
use super::tokens::Role;
use super::{AdminError, answer_error};
use clickmill_config::Token;

/// Who asks: goes with each request that is let in.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The address that asks.
    pub peer: SocketAddr,
    /// What they may do.
    pub role: Role,
}

/// Lets in who may come in.
pub(super) struct Gate {
    /// Digest of the token, which is compared by digest: in the same time, whatever is shown.
    token: Option<blake3::Hash>,
}

impl Gate {
    /// A gate that asks for a token, where there is one.
    pub(crate) fn new(token: Option<&Token>) -> Result<Arc<Self>, AdminError> {
        let token = token.map(read).transpose()?;
        Ok(Arc::new(Self { token: token.map(|token| blake3::hash(token.as_bytes())) }))
    }

    /// As a layer around what is guarded.
    pub(crate) async fn pass(
        State(gate): State<Arc<Self>>,
        mut request: Request,
        next: Next,
    ) -> Response {
        match gate.lets_in(request.headers()) {
            Ok(()) => {
                if let Some(Ends { peer }) = request.extensions().get::<Ends>().copied() {
                    request.extensions_mut().insert(Caller { peer, role: Role::Operator });
                }
                next.run(request).await
            }
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
            return if loopback || host == "localhost" {
                Ok(())
            } else {
                Err((
                    StatusCode::FORBIDDEN,
                    "without a token only requests to the loopback address are answered",
                ))
            };
        };
        let shown = text(header::AUTHORIZATION).and_then(|text| text.strip_prefix("Bearer "));
        if shown.is_some_and(|shown| blake3::hash(shown.trim().as_bytes()) == token) {
            Ok(())
        } else {
            Err((
                StatusCode::UNAUTHORIZED,
                "wanted the header `Authorization: Bearer TOKEN` with this pipeline's token",
            ))
        }
    }
}

/// As a layer around all that is served. Refuses what pages of other origins ask for, and has browsers
/// keep the answers from them.
pub(super) async fn own_pages(request: Request, next: Next) -> Response {
    let mut answer = match is_own(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => answer_error(StatusCode::FORBIDDEN, error.to_owned(), None),
    };
    let headers = answer.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = HeaderValue::from_static("same-origin");
    headers.insert("cross-origin-resource-policy", policy);
    // Of the moment, and perhaps behind a token. The page's files say themselves how they are kept.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// Whether nothing says that a page of another origin asks: a page can neither set nor leave out the
/// headers that do. Programs have none of them.
fn is_own(headers: &HeaderMap) -> Result<(), &'static str> {
    // `none` is a reader who has typed the address, or followed a bookmark.
    let is_ours = |site: &HeaderValue| site == "same-origin" || site == "none";
    if !headers.get_all("sec-fetch-site").iter().all(is_ours) {
        return Err(
            "a web page of another origin asks, and none of them is answered: type the address into the browser, or ask with a program such as curl",
        );
    }
    // Old browsers know no `Sec-Fetch-Site`, and none sends it over plain HTTP beyond loopback.
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_here = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| is_at(origin, host));
    if !headers.get_all(header::ORIGIN).iter().all(is_here) {
        return Err(
            "a web page of another origin asks (its `Origin` is not the `Host` asked), and none of them is answered: type the address into the browser, or ask with a program such as curl; a proxy on the way has to hand on `Host` as it is",
        );
    }
    Ok(())
}

/// Whether an origin is the server that a request was sent to. Browsers leave out the port that the
/// scheme implies; a proxy may name it.
fn is_at(origin: &str, host: &str) -> bool {
    let (port, authority) = match origin.split_once("://") {
        Some(("http", authority)) => (":80", authority),
        Some(("https", authority)) => (":443", authority),
        // A browser's extension; or `null`, which any page can be.
        _ => return false,
    };
    let [origin, host] = [authority, host].map(|at| at.strip_suffix(port).unwrap_or(at));
    !origin.is_empty() && origin.eq_ignore_ascii_case(host)
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
    if text.len() < 16 { Err(AdminError::TokenShort { from, bytes: text.len() }) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderName;

    use super::*;

    /// Headers, one a line.
    fn headers(sent: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in sent.lines().filter_map(|line| line.split_once(": ")) {
            let name: HeaderName = name.parse().unwrap();
            let value: HeaderValue = value.parse().unwrap();
            headers.append(name, value);
        }
        headers
    }

    #[test]
    fn a_page_of_another_origin_is_told_by_either_header() {
        for (sent, own) in [
            // Programs.
            ("", true),
            ("host: 127.0.0.1:7627", true),
            ("host: metrics.example", true),
            // What browsers say of the page.
            ("sec-fetch-site: same-origin", true),
            ("sec-fetch-site: none", true),
            ("sec-fetch-site: same-site", false),
            ("sec-fetch-site: cross-site", false),
            ("sec-fetch-site: of-tomorrow", false),
            ("sec-fetch-site: ", false),
            ("sec-fetch-site: same-origin\nsec-fetch-site: cross-site", false),
            // Where the page is from.
            ("host: 127.0.0.1:7627\norigin: http://127.0.0.1:7627", true),
            ("host: localhost:7627\norigin: http://LocalHost:7627", true),
            ("host: [::1]:7627\norigin: http://[::1]:7627", true),
            ("host: ops.example\norigin: https://ops.example", true),
            ("host: ops.example:443\norigin: https://ops.example", true),
            ("host: 127.0.0.1\norigin: http://127.0.0.1:80", true),
            ("host: ops.example:80\norigin: https://ops.example", false),
            ("host: 127.0.0.1:7627\norigin: http://127.0.0.1:7628", false),
            ("host: 127.0.0.1:7627\norigin: http://127.0.0.1", false),
            ("host: 127.0.0.1:7627\norigin: http://localhost:7627", false),
            ("host: 127.0.0.1:7627\norigin: https://attacker.example", false),
            ("host: 127.0.0.1:7627\norigin: http://127.0.0.1:7627.attacker.example", false),
            ("host: 127.0.0.1:7627\norigin: http://attacker.example/127.0.0.1:7627", false),
            ("host: 127.0.0.1:7627\norigin: chrome-extension://127.0.0.1:7627", false),
            ("host: 127.0.0.1:7627\norigin: 127.0.0.1:7627", false),
            ("host: 127.0.0.1:7627\norigin: null", false),
            ("host: null\norigin: null", false),
            ("host: 127.0.0.1:7627\norigin: ", false),
            ("origin: http://127.0.0.1:7627", false),
            ("host: \norigin: http://", false),
            ("host: \norigin: http://:80", false),
            ("host: here\norigin: http://here\norigin: http://there", false),
            // One of them is enough.
            ("sec-fetch-site: cross-site\nhost: here\norigin: http://here", false),
            ("sec-fetch-site: same-origin\nhost: here\norigin: http://there", false),
            ("sec-fetch-site: same-origin\nhost: here\norigin: http://here", true),
        ] {
            assert_eq!(is_own(&headers(sent)).is_ok(), own, "{sent:?}");
        }
        let mut unreadable = headers("host: here");
        unreadable.insert(header::ORIGIN, HeaderValue::from_bytes(b"http://here\xff").unwrap());
        assert!(is_own(&unreadable).is_err());
    }

    #[test]
    fn without_a_token_requests_name_loopback() {
        let gate = Gate::new(None).unwrap();
        for (host, passes) in [
            ("127.0.0.1:7627", true),
            ("127.0.0.1", true),
            ("localhost:7627", true),
            ("localhost", true),
            ("[::1]:7627", true),
            ("attacker.example:7627", false),
            ("localhost.attacker.example", false),
            ("192.0.2.1:7627", false),
            ("0.0.0.0:7627", false),
            ("", false),
        ] {
            let let_in = gate.lets_in(&headers(&format!("host: {host}")));
            assert_eq!(let_in.is_ok(), passes, "{host:?}");
        }
        assert!(gate.lets_in(&HeaderMap::new()).is_err());
    }
}
