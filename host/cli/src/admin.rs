//! Asks the admin interface of a running pipeline.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Exit, Failure, running};
use clickmill_admin::wire::ErrorBody;

/// Where a pipeline's admin interface is, unless its file says otherwise or the port is taken.
pub(super) const USUAL: &str = "127.0.0.1:7627";

/// Compiling and trying on may take that long.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The most that an answer may have.
const MAX_ANSWER_BYTES: u64 = 64 << 20;

/// Which pipeline, and what it wants to be shown
#[derive(Debug, Args)]
pub(super) struct Admin {
    /// Address of the running pipeline's admin interface, as it says at its start
    #[arg(
        long = "admin",
        value_name = "HOST:PORT",
        env = "CLICKMILL_ADMIN",
        default_value = USUAL
    )]
    address: String,

    /// File with a token of the pipeline; else the environment variable CLICKMILL_ADMIN_TOKEN; else that of a
    /// pipeline that you run on this machine is found by itself
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
}

impl Admin {
    /// The admin interface at an address.
    pub(crate) fn at(address: String, token_file: Option<PathBuf>) -> Self {
        Self { address, token_file }
    }

    /// Its address.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Asks for something.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        let target = self.target()?;
        self.answer(target.shown(agent().get(target.url(path))).call())
    }

    /// Asks for something to be done.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> Result<T, Failure> {
        let target = self.target()?;
        self.answer(target.shown(agent().post(target.url(path))).send_json(body))
    }

    /// Asks for lines that come one by one, for as long as somebody reads.
    pub(crate) fn stream(
        &self,
        path: &str,
        query: &[(&'static str, String)],
    ) -> Result<impl std::io::Read + use<>, Failure> {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(TIMEOUT))
            .proxy(None);
        let agent: ureq::Agent = config.build().into();
        let query = query.iter().map(|(key, value)| (*key, value.as_str()));
        let target = self.target()?;
        let request = agent.get(target.url(path)).query_pairs(query);
        let answer = target.shown(request).call().map_err(|error| self.unreachable(error))?;
        if answer.status().is_success() {
            Ok(answer.into_body().into_reader())
        } else {
            Err(refused(answer))
        }
    }

    /// Where to ask, and what to show there.
    fn target(&self) -> Result<Target, Failure> {
        let named = match &self.token_file {
            Some(path) => Some(std::fs::read_to_string(path).map_err(|error| {
                let what = format!("cannot read the token from `{}`", path.display());
                Failure::new(Exit::BadInput, anyhow::Error::new(error).context(what))
            })?),
            None => std::env::var("CLICKMILL_ADMIN_TOKEN").ok().filter(|token| !token.is_empty()),
        };
        let found = named.is_none().then(|| running::token_at(&self.address)).flatten();
        let (address, token) = match found {
            Some((address, token)) => (address.to_string(), Some(token)),
            None => (self.address.clone(), named),
        };
        let bearer = token.map(|token| format!("Bearer {}", token.trim()));
        Ok(Target { address: reachable(&address), bearer })
    }

    fn answer<T: DeserializeOwned>(
        &self,
        answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<T, Failure> {
        let mut answer = answer.map_err(|error| self.unreachable(error))?;
        if answer.status().is_success() {
            let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES);
            body.read_json().map_err(|error| Failure::new(Exit::Failed, error))
        } else {
            Err(refused(answer))
        }
    }

    fn unreachable(&self, error: ureq::Error) -> Failure {
        let what = format!("cannot reach the admin interface at `{}`", self.address);
        Failure::new(Exit::Environment, anyhow::Error::new(error).context(what))
            .hint("a running pipeline says its address at the start; --admin HOST:PORT names it")
    }
}

/// Where to ask, and what to show there.
struct Target {
    address: String,
    bearer: Option<String>,
}

impl Target {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    fn shown<B>(&self, request: ureq::RequestBuilder<B>) -> ureq::RequestBuilder<B> {
        match &self.bearer {
            Some(bearer) => request.header("authorization", bearer),
            None => request,
        }
    }
}

/// An address as one asks it: what listens everywhere does so on loopback.
pub(super) fn reachable(address: &str) -> String {
    let Ok(mut address) = address.parse::<SocketAddr>() else { return address.to_owned() };
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address.to_string()
}

/// Turns an error response into a [`Failure`].
fn refused(mut answer: ureq::http::Response<ureq::Body>) -> Failure {
    let status = answer.status();
    let body = answer.body_mut().with_config().limit(MAX_ANSWER_BYTES);
    let text = body.read_to_string().unwrap_or_default();
    let error: ErrorBody =
        serde_json::from_str(&text).unwrap_or(ErrorBody { error: text, check: None });
    let exit = match status.as_u16() {
        409 | 400 | 413 | 422 | 415 => Exit::BadInput,
        401 | 403 | 503 => Exit::Environment,
        _ => Exit::Failed,
    };
    let failure = match error.check {
        Some(check) => anyhow::anyhow!(
            "refused at check `{check}`, what ran before still runs: {}",
            error.error
        ),
        None => anyhow::anyhow!("{}", error.error.trim()),
    };
    let failure = Failure::new(exit, failure);
    if status.as_u16() == 401 {
        return failure.hint(
            "a pipeline that you run on this machine is let in to by itself; of any other, name a file with its token by --token-file, or put the token into CLICKMILL_ADMIN_TOKEN",
        );
    }
    failure
}

fn agent() -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        // It is a process beside this one: a proxy would not find it.
        .proxy(None);
    config.build().into()
}
