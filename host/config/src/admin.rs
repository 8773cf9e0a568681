//! The admin interface: where it listens, and what a caller has to show.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::problem::{Problem, join, problem};

/// Where the admin interface listens unless the file says otherwise.
const LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7627);

/// The admin interface.
#[derive(Debug, Clone, PartialEq)]
pub struct Admin {
    /// Where it listens.
    pub listen: Listen,
    /// A port that another process has ends the run; otherwise a free one is taken.
    pub strict_port: bool,
    /// What a caller has to show.
    pub token: Option<Token>,
    /// Columns that readers of taps and dead letters see though they are sensitive or raw, such as
    /// `payload`; `*` is all of them.
    pub reveal: Vec<String>,
    /// How old the newest durable message may be before the pipeline counts as not ready.
    pub max_freshness: Option<Duration>,
}

/// Where the admin interface listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listen {
    /// At the usual address, since the file names none.
    Usual(SocketAddr),
    /// At this address.
    At(SocketAddr),
    /// Nowhere.
    Off,
}

/// Where the admin interface's token is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Token {
    /// In a file.
    File(PathBuf),
    /// In an environment variable.
    Variable(String),
}

#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAdmin {
    listen: Option<String>,
    strict_port: bool,
    token_file: Option<String>,
    token_env: Option<String>,
    reveal: Vec<String>,
    max_freshness_secs: Option<u64>,
}

pub(super) fn admin(raw: RawAdmin, folder: &Path, problems: &mut Vec<Problem>) -> Admin {
    let token = match (&raw.token_file, &raw.token_env) {
        (Some(_), Some(_)) => {
            let message = "is there beside `token_file`, wanted one of them".to_owned();
            problem(problems, "admin.token_env", message);
            None
        }
        (Some(file), None) => Some(Token::File(join(folder, file))),
        (None, variable) => variable.clone().map(Token::Variable),
    };
    let listen = match raw.listen.as_deref() {
        None => Listen::Usual(LISTEN),
        Some("off") => Listen::Off,
        Some(address) => match address.parse() {
            Ok(address) => Listen::At(address),
            Err(_) => {
                let message = format!("is `{address}`, wanted IP:PORT such as {LISTEN}, or `off`");
                problem(problems, "admin.listen", message);
                Listen::Off
            }
        },
    };
    if let Listen::At(address) = listen
        && !address.ip().is_loopback()
        && token.is_none()
    {
        let message = format!(
            "is {address}, which others reach: set `admin.token_file` or `admin.token_env` too"
        );
        problem(problems, "admin.listen", message);
    }
    let max_freshness = match raw.max_freshness_secs {
        Some(0) => {
            let message = "is 0, wanted at least 1".to_owned();
            problem(problems, "admin.max_freshness_secs", message);
            None
        }
        seconds => seconds.map(Duration::from_secs),
    };
    let RawAdmin { strict_port, reveal, .. } = raw;
    Admin { listen, strict_port, token, reveal, max_freshness }
}
