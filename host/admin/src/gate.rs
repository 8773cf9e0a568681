//! Who may come in: whoever names a host of ours, is no web page of another origin, and shows a token that
//! allows it.
//!
//! A page can be made to come from any name that leads here, and then to the browser it is ours: so hosts
//! are a list. Every local process and every neighbour of the machine reaches loopback: so a token is
//! wanted there too.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::server::{Ends, Known};
use super::tokens::{Role, Tokens};
use super::{AdminError, answer_error, busy};
use clickmill_config as config;
use clickmill_core::lock;

/// How often refusals are told at most: others decide how many there are.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Who asks: goes with each request that a token has let in.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    /// The address that asks.
    pub peer: SocketAddr,
    /// What they may do.
    pub role: Role,
}

/// Lets in who may come in.
pub(super) struct Gate {
    pub(super) tokens: Tokens,
    hosts: Vec<String>,
    refusals: Mutex<Refusals>,
}

/// Refusals that were not told yet.
#[derive(Default)]
struct Refusals {
    told: Option<Instant>,
    untold: u64,
}

/// What a route wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// A host of ours, and nothing else.
    Host,
    /// The token of a reader, unless both who asks and what they call us are of this machine.
    ReaderFromElsewhere,
    /// A token.
    Token(Role),
}

/// The gate before a route.
#[derive(Clone)]
pub(super) struct RouteGate {
    pub gate: Arc<Gate>,
    pub wanted: Wanted,
}

/// Why somebody is not let in.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    status: StatusCode,
    why: &'static str,
}

/// Of an answer: the token that was shown is none, or one that may not do this.
#[derive(Debug, Clone, Copy)]
pub(super) struct TokenRefused;

/// Of an answer: the code that was shown is no link's, or that of one which is too old or was opened before.
#[derive(Debug, Clone, Copy)]
pub(super) struct LinkRefused;

const OTHER_PAGE: Refused = Refused {
    status: StatusCode::FORBIDDEN,
    why: "a web page of another origin asks, and none of them is answered: type the address into the browser, or ask with a program such as curl",
};
/// Old browsers know no `Sec-Fetch-Site`, and none sends it over plain HTTP beyond loopback.
const OTHER_ORIGIN: Refused = Refused {
    status: StatusCode::FORBIDDEN,
    why: "a web page of another origin asks (its `Origin` is not the `Host` asked), and none of them is answered: type the address into the browser, or ask with a program such as curl; a proxy on the way has to hand on `Host` as it is",
};
const OTHER_HOST: Refused = Refused {
    status: StatusCode::FORBIDDEN,
    why: "this is not known by the `Host` that is asked for, and any web page can have a name that leads here: use the address that is listened on, or list the name in `admin.hosts` of the pipeline file (`--host` of `clickmill dashboard`)",
};
const OTHER_TARGET: Refused = Refused {
    status: StatusCode::BAD_REQUEST,
    why: "the target of the request names another host than its `Host` does, as if this were a proxy, which it is not: ask for a path",
};
const NO_TOKEN: Refused = Refused {
    status: StatusCode::UNAUTHORIZED,
    why: "wanted the header `Authorization: Bearer TOKEN` with a token of this process",
};
const READERS_ONLY: Refused = Refused {
    status: StatusCode::FORBIDDEN,
    why: "this wants an operator's token, and the one shown is a reader's: it lets look, and change nothing",
};

impl Gate {
    /// A gate, and the operator's token that it has made for those on this machine.
    pub(super) fn new(config: &config::Admin) -> Result<(Arc<Self>, String), AdminError> {
        let (tokens, made) = Tokens::new(config)?;
        let hosts = config.hosts.clone();
        Ok((Arc::new(Self { tokens, hosts, refusals: Mutex::default() }), made))
    }

    /// Notes that somebody was not let in.
    fn note(&self, peer: SocketAddr, why: &str) {
        let mut refusals = lock(&self.refusals);
        let is_due = refusals.told.is_none_or(|told| told.elapsed() >= TELL_EVERY);
        if is_due {
            let before = std::mem::take(&mut refusals.untold);
            refusals.told = Some(Instant::now());
            drop(refusals);
            tracing::warn!(%peer, why, before, "somebody was not let in to the admin interface");
        } else {
            refusals.untold += 1;
        }
    }

    /// Answers somebody who is not let in, whoever asked for whatever: the one place where that is known.
    pub(super) fn refuse(
        &self,
        peer: SocketAddr,
        status: StatusCode,
        why: &'static str,
    ) -> Response {
        self.note(peer, why);
        answer_error(status, why.to_owned(), None)
    }

    fn answer(&self, peer: SocketAddr, refused: &Refused) -> Response {
        let mut answer = self.refuse(peer, refused.status, refused.why);
        if [&NO_TOKEN, &READERS_ONLY].contains(&refused) {
            answer.extensions_mut().insert(TokenRefused);
        }
        if refused.status == StatusCode::UNAUTHORIZED {
            let wanted = HeaderValue::from_static("Bearer");
            answer.headers_mut().insert(header::WWW_AUTHENTICATE, wanted);
        }
        answer
    }

    /// Whether a host is one that we are known by. `here` is the address that was reached.
    fn is_ours(&self, host: &str, here: IpAddr) -> bool {
        let is_here = |address: IpAddr| address.to_canonical() == here.to_canonical();
        is_loopback(host)
            || host.parse().is_ok_and(is_here)
            || self.hosts.iter().any(|name| name.eq_ignore_ascii_case(host))
    }

    /// What whoever asks may do, where they are let in; of a route that wants no token it is not looked at.
    pub(super) fn lets_in(
        &self,
        wanted: Wanted,
        headers: &HeaderMap,
        ends: Ends,
    ) -> Result<Option<Role>, &'static Refused> {
        let host = host(headers).ok_or(&OTHER_HOST)?;
        if !self.is_ours(host, ends.here.ip()) {
            return Err(&OTHER_HOST);
        }
        let least = match wanted {
            Wanted::Host => return Ok(None),
            Wanted::ReaderFromElsewhere
                if ends.peer.ip().to_canonical().is_loopback() && is_loopback(host) =>
            {
                return Ok(None);
            }
            Wanted::ReaderFromElsewhere => Role::Browser,
            Wanted::Token(least) => least,
        };
        let shown = text(headers, header::AUTHORIZATION);
        let shown = shown.and_then(|text| text.strip_prefix("Bearer "));
        let role = shown.and_then(|shown| self.tokens.role(shown)).ok_or(&NO_TOKEN)?;
        if role < least { Err(&READERS_ONLY) } else { Ok(Some(role)) }
    }
}

impl RouteGate {
    /// As a layer around routes that want the same.
    pub(super) async fn pass(
        State(door): State<Self>,
        mut request: Request,
        next: Next,
    ) -> Response {
        let Some(ends) = request.extensions().get::<Ends>().copied() else {
            return unknown();
        };
        match door.gate.lets_in(door.wanted, request.headers(), ends) {
            Ok(role) => {
                let caller = role.map(|role| Caller { peer: ends.peer, role });
                if let Some(caller) = caller {
                    let known = request.extensions().get::<Known>();
                    if !known.is_none_or(|known| known.set(caller.role)) {
                        return busy().await;
                    }
                    request.extensions_mut().insert(caller);
                }
                next.run(request).await
            }
            Err(refused) => door.gate.answer(ends.peer, refused),
        }
    }
}

/// As a layer around all that is served. Refuses what pages of other origins ask for and what names two hosts,
/// and has browsers keep the answers from them.
pub(super) async fn own_pages(
    State(gate): State<Arc<Gate>>,
    request: Request,
    next: Next,
) -> Response {
    let ends = request.extensions().get::<Ends>().copied();
    let asked = is_own(request.headers()).and_then(|()| of_host(request.uri(), request.headers()));
    let mut answer = match (asked, ends) {
        (Ok(()), _) => next.run(request).await,
        (Err(refused), Some(ends)) => gate.answer(ends.peer, refused),
        (Err(_), None) => unknown(),
    };
    let headers = answer.headers_mut();
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    let policy = HeaderValue::from_static("same-origin");
    headers.insert("cross-origin-resource-policy", policy);
    // Of the moment, and behind a token. The page's files say themselves how they are kept.
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    answer
}

/// The answer to a request of which it is not known who asks, which none is: it came by no connection, or
/// past the gate.
pub(super) fn unknown() -> Response {
    answer_error(
        StatusCode::INTERNAL_SERVER_ERROR,
        "the caller's address is not known".to_owned(),
        None,
    )
}

/// A header that is text.
pub(super) fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The one host that a request names, without its port.
fn host(headers: &HeaderMap) -> Option<&str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
    let host = host.to_str().ok()?;
    let (host, port) = match host.strip_prefix('[') {
        Some(address) => address.split_once(']')?,
        None => host.find(':').map_or((host, ""), |at| host.split_at(at)),
    };
    let is_port = port.is_empty()
        || port.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    is_port.then_some(host)
}

fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// Whether nothing says that a page of another origin asks: a page can neither set nor leave out the
/// headers that do. Programs have none of them.
pub(super) fn is_own(headers: &HeaderMap) -> Result<(), &'static Refused> {
    // `none` is a reader who has typed the address, or followed a bookmark.
    let is_ours = |site: &HeaderValue| site == "same-origin" || site == "none";
    if !headers.get_all("sec-fetch-site").iter().all(is_ours) {
        return Err(&OTHER_PAGE);
    }
    let host = text(headers, header::HOST).unwrap_or_default();
    let is_here = |origin: &HeaderValue| origin.to_str().is_ok_and(|origin| is_at(origin, host));
    if !headers.get_all(header::ORIGIN).iter().all(is_here) {
        return Err(&OTHER_ORIGIN);
    }
    Ok(())
}

/// Whether the target of a request, where it names a host too, names the one that `Host` does: that is the one
/// that is looked at.
fn of_host(target: &Uri, headers: &HeaderMap) -> Result<(), &'static Refused> {
    let host = text(headers, header::HOST).unwrap_or_default();
    let is_it = |named: &str| named.eq_ignore_ascii_case(host);
    let fits = target.authority().is_none_or(|authority| is_it(authority.as_str()));
    fits.then_some(()).ok_or(&OTHER_TARGET)
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

#[cfg(test)]
mod tests;
