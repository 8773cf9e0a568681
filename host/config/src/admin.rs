//! The admin interface: where it listens, and what a caller has to show.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use super::problem::{Problem, join, problem};
use super::raw::VARIABLE;

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
    /// What an operator may show, beside what the process makes for those on its machine: whoever shows it may
    /// do everything.
    pub token: Option<Token>,
    /// What a reader may show: whoever shows it may look, and change nothing.
    pub reader_token: Option<Token>,
    /// Host names by which it is reached, beside loopback and the address that it listens on; in small
    /// letters, without ports.
    pub hosts: Vec<String>,
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

#[derive(Deserialize, Default, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(rename = "Admin")]
pub(super) struct RawAdmin {
    /// IP:PORT, or `off`. Where another process has that port, a free one is taken and told.
    #[schemars(regex(pattern = r"^(off|.+:\d{1,5})$"), extend("default" = LISTEN.to_string()))]
    listen: Option<String>,
    /// A port that another process has ends the run.
    strict_port: bool,
    /// The file of an operator's token, for those who are not on this machine. Any address but loopback needs
    /// a token.
    token_file: Option<String>,
    /// In place of `token_file`: the environment variable that holds the token.
    #[schemars(regex(pattern = VARIABLE))]
    token_env: Option<String>,
    /// The file of a reader's token: whoever shows it looks, and changes nothing.
    reader_token_file: Option<String>,
    /// In place of `reader_token_file`: the environment variable that holds the token.
    #[schemars(regex(pattern = VARIABLE))]
    reader_token_env: Option<String>,
    /// Names that lead here, beside loopback and the address that is listened on, such as `clicks.example.com`,
    /// without ports. Any other is answered 403.
    #[schemars(inner(regex(pattern = r"^([A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]+)$")))]
    hosts: Vec<String>,
    /// Columns that taps and the dead-letter browser show though they are sensitive, raw, such as `payload`, or
    /// none of the table's; `*` is all of them.
    reveal: Vec<String>,
    /// Older than that, the newest durable event makes `GET /readyz` answer 503.
    #[schemars(range(min = 1))]
    max_freshness_secs: Option<u64>,
}

pub(super) fn admin(raw: RawAdmin, folder: &Path, problems: &mut Vec<Problem>) -> Admin {
    let mut token =
        |key: &str, file: Option<&String>, variable: Option<&String>| match (file, variable) {
            (Some(_), Some(_)) => {
                let message = format!("is there beside `{key}_file`, wanted one of them");
                problem(problems, &format!("admin.{key}_env"), message);
                None
            }
            (Some(file), None) => Some(Token::File(join(folder, file))),
            (None, variable) => variable.cloned().map(Token::Variable),
        };
    let operators = token("token", raw.token_file.as_ref(), raw.token_env.as_ref());
    let readers =
        token("reader_token", raw.reader_token_file.as_ref(), raw.reader_token_env.as_ref());
    for name in raw.hosts.iter().filter(|name| !is_host(name)) {
        let message =
            format!("has `{name}`, wanted names such as `clicks.example.com`, without ports");
        problem(problems, "admin.hosts", message);
    }
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
        && operators.is_none()
        && readers.is_none()
    {
        let message = format!(
            "is {address}, which others reach: set `admin.token_file` or `admin.token_env` too, or those of `reader_token`"
        );
        problem(problems, "admin.listen", message);
    }
    let max_freshness = raw.max_freshness_secs.map(Duration::from_secs);
    let RawAdmin { strict_port, reveal, hosts, .. } = raw;
    let hosts = hosts.iter().map(|name| name.to_ascii_lowercase()).collect();
    Admin {
        listen,
        strict_port,
        token: operators,
        reader_token: readers,
        hosts,
        reveal,
        max_freshness,
    }
}

/// Whether a text may be the host that a request names: a name or an address.
#[must_use]
pub fn is_host(text: &str) -> bool {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    !text.is_empty()
        && text.len() <= 253
        && (text.chars().all(is_name) || text.parse::<std::net::IpAddr>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Admin, Vec<String>) {
        let mut problems = Vec::new();
        let raw = toml::from_str(text).expect("a section");
        let read = admin(raw, Path::new("/etc/clickmill"), &mut problems);
        (read, problems.iter().map(|problem| problem.path.clone()).collect())
    }

    #[test]
    fn beyond_loopback_somebody_has_to_have_a_token() {
        for (more, fits) in [
            ("", false),
            ("token_file = \"t\"", true),
            ("token_env = \"T\"", true),
            ("reader_token_file = \"t\"", true),
            ("reader_token_env = \"T\"", true),
        ] {
            let (_, problems) = read(&format!("listen = \"0.0.0.0:7627\"\n{more}"));
            assert_eq!(problems.is_empty(), fits, "{more}: {problems:?}");
            let (_, problems) = read(&format!("listen = \"127.0.0.1:7627\"\n{more}"));
            assert!(problems.is_empty(), "{problems:?}");
        }
        let (_, problems) = read("token_file = \"t\"\ntoken_env = \"T\"");
        assert_eq!(problems, ["admin.token_env"]);
        let (_, problems) = read("reader_token_file = \"t\"\nreader_token_env = \"T\"");
        assert_eq!(problems, ["admin.reader_token_env"]);
    }

    #[test]
    fn hosts_are_names_without_ports_whatever_their_letters() {
        let (read_as, problems) =
            read("hosts = [\"Clicks.Example.com\", \"10.0.0.7\", \"fd00::7\"]");
        assert!(problems.is_empty(), "{problems:?}");
        assert_eq!(read_as.hosts, ["clicks.example.com", "10.0.0.7", "fd00::7"]);
        for name in ["", "a:7627", "http://a", "a b", "*", "*.example.com", "[fd00::7]", "a/b"] {
            let (_, problems) = read(&format!("hosts = [\"{name}\"]"));
            assert_eq!(problems, ["admin.hosts"], "{name}");
        }
    }
}
