//! Requests to a registry, and no further than is wanted: bodies are bounded, redirects are followed to where they
//! may lead, and credentials go to the registry that they are for.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, LOCATION, WWW_AUTHENTICATE};
use reqwest::{Client, ClientBuilder, Method, Response, StatusCode, Url, redirect};
use serde::Deserialize;

use super::challenge::{self, Challenge};
use super::credentials::{self, Credentials, Secret};
use super::error::{RegistryError, wrong};
use clickmill_core::lock;
use clickmill_core::oci::{Reference, is_loopback};

/// How long a registry may take to take a connection, and to say more; and an answer as a whole.
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);
const WHOLE: Duration = Duration::from_secs(600);
const MAX_REDIRECTS: usize = 5;
/// Bytes that are read of an error, and of a token's answer; characters that are told of an error.
const MAX_SAID_BYTES: u64 = 4 << 10;
const MAX_TOKEN_BYTES: u64 = 64 << 10;
const MAX_SAID_CHARS: usize = 300;
/// What is shown where there are no credentials, for messages.
const NOTHING: &str = "no credentials";
/// How this program calls itself where it exchanges an identity token.
const CLIENT: &str = "clickmill";
const FORM: &str = "application/x-www-form-urlencoded";

/// What requests are made with.
pub(crate) struct Http {
    tls: Client,
    /// For this machine: no proxy is to see it.
    plain: Client,
    /// What each registry was shown last, by what it is asked for.
    shown: Mutex<HashMap<(String, String), Shown>>,
}

#[derive(Clone)]
struct Shown {
    header: String,
    from: &'static str,
}

/// A request.
pub(crate) struct Ask<'a> {
    /// The repository that it is about.
    pub of: &'a Reference,
    /// What it is to do, for messages: "read the tags of …".
    pub what: &'a str,
    pub method: Method,
    pub url: Url,
    pub accept: &'static str,
    /// What is sent, and its media type.
    pub body: Option<(Bytes, String)>,
}

impl<'a> Ask<'a> {
    /// One that reads.
    pub(crate) fn get(of: &'a Reference, what: &'a str, url: Url, accept: &'static str) -> Self {
        Self { of, what, method: Method::GET, url, accept, body: None }
    }
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

impl Http {
    pub(crate) fn new() -> Result<Self, RegistryError> {
        clickmill_core::tls::choose();
        let builder = || -> ClientBuilder {
            Client::builder()
                .redirect(redirect::Policy::none())
                .referer(false)
                .user_agent(CLIENT)
                .connect_timeout(CONNECT)
                .read_timeout(SILENCE)
                .timeout(WHOLE)
        };
        let tls = builder().https_only(true).build().map_err(RegistryError::Client)?;
        let plain = builder().no_proxy().build().map_err(RegistryError::Client)?;
        Ok(Self { tls, plain, shown: Mutex::default() })
    }

    /// Sends a request, with credentials where the registry wants any. The answer may be an error.
    pub(crate) async fn send(&self, ask: &Ask<'_>) -> Result<Response, RegistryError> {
        let home = base(ask.of)?;
        let (mut url, mut is_authorized, mut redirects) = (ask.url.clone(), false, 0);
        loop {
            let is_home = is_same(&home, &url);
            let mut request = self.client(&url).request(ask.method.clone(), url.clone());
            if !ask.accept.is_empty() {
                request = request.header(ACCEPT, ask.accept);
            }
            if let Some((body, media_type)) = &ask.body {
                request = request.header(CONTENT_TYPE, media_type).body(body.clone());
            }
            if let Some(shown) = self.shown(ask).filter(|_| is_home) {
                request = request.header(AUTHORIZATION, shown.header);
            }
            let response = request.send().await.map_err(|error| unreachable(ask.of, error))?;
            let status = response.status();
            if status == StatusCode::UNAUTHORIZED && is_home && !is_authorized {
                is_authorized = true;
                if self.authorize(ask, &home, &response).await? {
                    continue;
                }
            } else if reads(ask) && is_redirect(status) {
                redirects += 1;
                if redirects > MAX_REDIRECTS {
                    return Err(wrong(ask.of, "the registry redirects again and again"));
                }
                url = location(ask.of, &url, &response)?;
                continue;
            }
            return Ok(response);
        }
    }

    /// Sends a request that has to be answered with this status.
    pub(crate) async fn expect(
        &self,
        ask: &Ask<'_>,
        wanted: StatusCode,
    ) -> Result<Response, RegistryError> {
        let response = self.send(ask).await?;
        if response.status() == wanted {
            Ok(response)
        } else {
            Err(self.refused(ask, response).await)
        }
    }

    /// What an answer means that was not wanted.
    pub(crate) async fn refused(&self, ask: &Ask<'_>, response: Response) -> RegistryError {
        let (host, status) = (ask.of.host().to_owned(), response.status());
        if status == StatusCode::NOT_FOUND {
            return RegistryError::NotFound { host, what: ask.of.to_string() };
        }
        let (what, said) = (ask.what.to_owned(), said(response).await);
        let status = status.as_u16();
        if matches!(status, 401 | 403) {
            let with = self.shown(ask).map_or(NOTHING, |shown| shown.from);
            return RegistryError::Denied { host, what, with, status, said };
        }
        RegistryError::Answer { host, what, status, said }
    }

    fn client(&self, url: &Url) -> &Client {
        if is_here(url) { &self.plain } else { &self.tls }
    }

    fn shown(&self, ask: &Ask<'_>) -> Option<Shown> {
        lock(&self.shown).get(&key(ask)).cloned()
    }

    /// Gets what the registry asks for. False where there is nothing that could be shown.
    async fn authorize(
        &self,
        ask: &Ask<'_>,
        home: &Url,
        response: &Response,
    ) -> Result<bool, RegistryError> {
        let headers = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let Some(challenge) = challenge::read(headers.filter_map(|value| value.to_str().ok()))
        else {
            return Ok(false);
        };
        let found = credentials::of(ask.of.host()).await?;
        let shown = match (challenge, found) {
            (Challenge::Basic, None) => return Ok(false),
            (Challenge::Basic, Some(Credentials { secret: Secret::Basic(header), from })) => {
                Shown { header, from }
            }
            (Challenge::Basic, Some(Credentials { secret: Secret::Identity(_), from })) => {
                let what = format!(
                    "{from} are an identity token, and the registry wants a name and a password"
                );
                return Err(RegistryError::Credentials { host: ask.of.host().to_owned(), what });
            }
            (Challenge::Bearer { realm, service }, found) => {
                let url = leads(ask.of, home, &realm)?;
                if found.is_some() && !may_know(home, &url) {
                    let server = url.host_str().unwrap_or_default();
                    return Err(wrong(
                        ask.of,
                        format!(
                            "the registry wants credentials to be shown to `{server}`, which is none of its own"
                        ),
                    ));
                }
                self.token(ask, url, service.as_deref(), found).await?
            }
        };
        lock(&self.shown).insert(key(ask), shown);
        Ok(true)
    }

    /// A token of the server that gives them out for the registry, as Docker asks for it: by name and password, or
    /// by an identity token, as OAuth 2.0 has it of refresh tokens (RFC 6749, section 6).
    async fn token(
        &self,
        ask: &Ask<'_>,
        mut url: Url,
        service: Option<&str>,
        found: Option<Credentials>,
    ) -> Result<Shown, RegistryError> {
        let scope = scope(ask);
        let about = service.map(|service| ("service", service)).into_iter();
        let about = about.chain([("scope", &*scope)]);
        let from = found.as_ref().map_or(NOTHING, |found| found.from);
        let request = match found.map(|found| found.secret) {
            Some(Secret::Identity(token)) => {
                // Not in the address, which others write down.
                let mut form = url.clone();
                form.set_query(None);
                form.query_pairs_mut().extend_pairs(about).extend_pairs([
                    ("grant_type", "refresh_token"),
                    ("client_id", CLIENT),
                    ("refresh_token", &*token),
                ]);
                let form = form.query().unwrap_or_default().to_owned();
                self.client(&url).post(url).header(CONTENT_TYPE, FORM).body(form)
            }
            by_name => {
                url.query_pairs_mut().extend_pairs(about);
                let request = self.client(&url).get(url);
                match by_name {
                    Some(Secret::Basic(header)) => request.header(AUTHORIZATION, header),
                    _ => request,
                }
            }
        };
        let response = request.send().await.map_err(|error| unreachable(ask.of, error))?;
        if !response.status().is_success() {
            let (host, status) = (ask.of.host().to_owned(), response.status().as_u16());
            let (what, said) = (ask.what.to_owned(), said(response).await);
            return Err(RegistryError::Denied { host, what, with: from, status, said });
        }
        let answer = body(response, ask.of, "the answer with a token", MAX_TOKEN_BYTES).await?;
        let token = serde_json::from_slice::<Token>(&answer).ok();
        let token = token.and_then(|answer| answer.token.or(answer.access_token));
        let fine =
            |token: &String| !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let token = token.filter(fine);
        let token = token.ok_or_else(|| wrong(ask.of, "the registry gives no token"))?;
        Ok(Shown { header: format!("Bearer {token}"), from })
    }
}

fn reads(ask: &Ask<'_>) -> bool {
    [Method::GET, Method::HEAD].contains(&ask.method)
}

/// What a token is good for: nothing more than is asked for.
fn scope(ask: &Ask<'_>) -> String {
    let actions = if reads(ask) { "pull" } else { "pull,push" };
    format!("repository:{}:{actions}", ask.of.repository())
}

fn key(ask: &Ask<'_>) -> (String, String) {
    (ask.of.host().to_owned(), scope(ask))
}

/// Where a registry's interface begins.
pub(crate) fn base(of: &Reference) -> Result<Url, RegistryError> {
    let scheme = if of.is_loopback() { "http" } else { "https" };
    let host = match of.host() {
        "docker.io" | "index.docker.io" => "registry-1.docker.io",
        host => host,
    };
    let url = Url::parse(&format!("{scheme}://{host}/v2/"));
    url.map_err(|error| wrong(of, format!("its host is none: {error}")))
}

/// Where something of a repository is.
pub(crate) fn at(of: &Reference, path: &str) -> Result<Url, RegistryError> {
    let url = base(of)?.join(&format!("{}/{path}", of.repository()));
    url.map_err(|error| wrong(of, format!("it makes no URL: {error}")))
}

/// Where an answer leads to.
pub(crate) fn location(
    of: &Reference,
    from: &Url,
    response: &Response,
) -> Result<Url, RegistryError> {
    let to = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    leads(of, from, to.ok_or_else(|| wrong(of, "the registry redirects to nowhere"))?)
}

/// The URL that a registry leads to: by TLS, and to this machine from a registry of this machine only.
fn leads(of: &Reference, from: &Url, to: &str) -> Result<Url, RegistryError> {
    let url = from.join(to).ok().filter(|url| {
        let is_plain = url.scheme() == "http" && is_here(url) && of.is_loopback();
        let is_safe = url.scheme() == "https" && (!is_here(url) || of.is_loopback());
        (is_plain || is_safe) && url.username().is_empty() && url.password().is_none()
    });
    url.ok_or_else(|| {
        wrong(
            of,
            "the registry leads elsewhere than to an `https://` address, which is not followed",
        )
    })
}

fn is_here(url: &Url) -> bool {
    url.host_str().is_some_and(is_loopback)
}

pub(crate) fn is_same(one: &Url, other: &Url) -> bool {
    let of = |url: &Url| (url.scheme().to_owned(), url.port_or_known_default());
    of(one) == of(other) && one.host_str() == other.host_str()
}

/// Whether credentials for a registry may be shown to the server that gives out its tokens: itself, or one of the
/// same domain, as `auth.docker.io` is for `registry-1.docker.io`.
fn may_know(registry: &Url, server: &Url) -> bool {
    if is_same(registry, server) {
        return true;
    }
    let of = |url: &Url| {
        let host = url.host_str().unwrap_or_default().to_owned();
        let is_name = host.parse::<std::net::IpAddr>().is_err() && !host.starts_with('[');
        let usual = url.scheme() == "https" && url.port_or_known_default() == Some(443);
        (is_name && usual).then_some(host)
    };
    let (Some(registry), Some(server)) = (of(registry), of(server)) else { return false };
    let below = |name: &str, domain: &str| {
        domain.contains('.') && name.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
    };
    let domain = |name: &str| {
        let domain = name.split_once('.').map(|(_, domain)| domain.to_owned());
        domain.filter(|domain| domain.contains('.'))
    };
    let are_beside = domain(&registry).is_some() && domain(&registry) == domain(&server);
    are_beside || below(&registry, &server) || below(&server, &registry)
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// A body of at most so many bytes.
pub(crate) async fn body(
    mut response: Response,
    of: &Reference,
    what: &str,
    max: u64,
) -> Result<Bytes, RegistryError> {
    let too_large =
        |bytes: u64| wrong(of, format!("{what} has {bytes} bytes or more, wanted at most {max}"));
    if let Some(bytes) = response.content_length().filter(|bytes| *bytes > max) {
        return Err(too_large(bytes));
    }
    let mut all = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(of, error))? {
        let bytes = (all.len() + chunk.len()) as u64;
        if bytes > max {
            return Err(too_large(bytes));
        }
        all.extend_from_slice(&chunk);
    }
    Ok(all.freeze())
}

/// What an error says, as much as may be told: `: …`, or nothing.
async fn said(mut response: Response) -> String {
    let mut bytes = Vec::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        bytes.extend_from_slice(&chunk);
        if bytes.len() as u64 > MAX_SAID_BYTES {
            break;
        }
    }
    let text = match serde_json::from_slice::<serde_json::Value>(&bytes) {
        Ok(said) => {
            let first = &said["errors"][0];
            let parts = [&first["code"], &first["message"]];
            parts.iter().filter_map(|part| part.as_str()).collect::<Vec<_>>().join(", ")
        }
        // A page for people.
        Err(_) => String::new(),
    };
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    let text: String = text.chars().take(MAX_SAID_CHARS).map(plain).collect();
    if text.is_empty() { text } else { format!(", {text}") }
}

/// Where something is may have a signature in it, which is nobody else's business.
fn unreachable(of: &Reference, error: reqwest::Error) -> RegistryError {
    RegistryError::Unreachable { host: of.host().to_owned(), source: error.without_url() }
}

#[cfg(test)]
mod tests;
