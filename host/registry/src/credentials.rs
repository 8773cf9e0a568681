//! What a registry is shown: the credentials that `docker login` has left, or those of a helper that Docker's
//! configuration names; of Google's registries else a token by Application Default Credentials; else none.

mod helper;

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::error::{RegistryError, file};

/// Bytes of Docker's configuration, at most.
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// What Google's registries take a token as the password of.
const TOKEN_USER: &str = "oauth2accesstoken";
/// What a helper has in the place of a name where the secret is an identity token.
const IDENTITY: &str = "<token>";
const FROM_HELPER: &str = "those of a helper of Docker's";
/// Where Docker keeps the credentials of its own registry.
const DOCKER_HUB: [&str; 3] = ["docker.io", "index.docker.io", "registry-1.docker.io"];

/// What one registry is shown. (Not `Debug`: it is shown to nobody else.)
pub(crate) struct Credentials {
    pub secret: Secret,
    /// Where it comes from, for messages.
    pub from: &'static str,
}

pub(crate) enum Secret {
    /// A name and a password, as the whole header: `Basic …`.
    Basic(String),
    /// An identity token, which the server that gives out tokens exchanges for one, and nobody else takes.
    Identity(String),
}

/// As much of Docker's `config.json` as is about credentials.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct DockerConfig {
    auths: BTreeMap<String, Auth>,
    cred_helpers: BTreeMap<String, String>,
    creds_store: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Auth {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
}

/// The credentials for a registry.
pub(crate) async fn of(host: &str) -> Result<Option<Credentials>, RegistryError> {
    let config = match config_path() {
        Some(path) => read(&path)?,
        None => DockerConfig::default(),
    };
    if let Some(found) = config.find(host)? {
        return Ok(Some(found));
    }
    if !is_google(host) {
        return Ok(None);
    }
    let token = clickmill_google::access_token().await.map_err(|error| {
        let what = format!(
            "Application Default Credentials give none ({error}); `gcloud auth application-default login` makes some"
        );
        RegistryError::Credentials { host: host.to_owned(), what }
    })?;
    Ok(Some(Credentials::new(TOKEN_USER, &token, "Application Default Credentials")))
}

/// Artifact Registry and Container Registry.
fn is_google(host: &str) -> bool {
    host == "gcr.io" || host.ends_with(".gcr.io") || host.ends_with(".pkg.dev")
}

fn config_path() -> Option<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let folder = variable("DOCKER_CONFIG").map(PathBuf::from);
    let folder = folder.or_else(|| variable("HOME").map(|home| Path::new(&home).join(".docker")));
    folder.map(|folder| folder.join("config.json"))
}

fn read(path: &Path) -> Result<DockerConfig, RegistryError> {
    let opened = match clickmill_core::file::open(path) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(DockerConfig::default());
        }
        opened => opened.map_err(file(path))?,
    };
    let mut text = String::new();
    opened.take(MAX_CONFIG_BYTES).read_to_string(&mut text).map_err(file(path))?;
    // What serde says could have a part of a password in it.
    let malformed = |_| io::Error::new(ErrorKind::InvalidData, "it is not Docker's configuration");
    serde_json::from_str(&text).map_err(malformed).map_err(file(path))
}

impl DockerConfig {
    fn find(&self, host: &str) -> Result<Option<Credentials>, RegistryError> {
        let failed = |what: String| RegistryError::Credentials { host: host.to_owned(), what };
        if let Some((key, helper)) = self.cred_helpers.iter().find(|(key, _)| is_of(key, host)) {
            return ask(helper, key).map_err(failed);
        }
        let known = self.auths.iter().find(|(key, _)| is_of(key, host));
        if let Some((_, auth)) = known
            && let Some(found) = auth.credentials().map_err(failed)?
        {
            return Ok(Some(found));
        }
        match &self.creds_store {
            Some(helper) => ask(helper, known.map_or(host, |(key, _)| key)).map_err(failed),
            None => Ok(None),
        }
    }
}

/// Whether a key of Docker's configuration, a host or a URL, is that of a registry.
fn is_of(key: &str, host: &str) -> bool {
    let key = key.split_once("://").map_or(key, |(_, rest)| rest);
    let key = key.split('/').next().unwrap_or_default();
    key.eq_ignore_ascii_case(host) || [key, host].iter().all(|name| DOCKER_HUB.contains(name))
}

impl Auth {
    fn credentials(&self) -> Result<Option<Credentials>, String> {
        const FROM: &str = "those of Docker's configuration";
        if let Some(token) = self.identitytoken.as_ref().filter(|token| !token.is_empty()) {
            return Ok(Some(Credentials::identity(token, FROM)));
        }
        if let (Some(name), Some(password)) = (&self.username, &self.password) {
            return Ok(Some(Credentials::new(name, password, FROM)));
        }
        let Some(auth) = self.auth.as_ref().filter(|auth| !auth.is_empty()) else {
            return Ok(None);
        };
        let text = STANDARD.decode(auth.trim()).ok().and_then(|text| String::from_utf8(text).ok());
        let pair = text.as_deref().and_then(|text| text.split_once(':'));
        let (name, password) =
            pair.ok_or("`auth` of Docker's configuration is not a `NAME:PASSWORD` in base64")?;
        Ok(Some(Credentials::new(name, password.trim_end_matches('\0'), FROM)))
    }
}

/// Asks a helper for what it keeps of a registry.
fn ask(helper: &str, key: &str) -> Result<Option<Credentials>, String> {
    let found = helper::ask(helper, key)?;
    Ok(found.map(|(name, secret)| match &*name {
        IDENTITY => Credentials::identity(&secret, FROM_HELPER),
        _ => Credentials::new(&name, &secret, FROM_HELPER),
    }))
}

impl Credentials {
    fn new(name: &str, secret: &str, from: &'static str) -> Self {
        let basic = format!("Basic {}", STANDARD.encode(format!("{name}:{secret}")));
        Self { secret: Secret::Basic(basic), from }
    }

    fn identity(token: &str, from: &'static str) -> Self {
        Self { secret: Secret::Identity(token.to_owned()), from }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(config: &str, host: &str) -> Option<String> {
        let config: DockerConfig = serde_json::from_str(config).unwrap();
        config.find(host).unwrap().map(|found| match found.secret {
            Secret::Basic(header) => {
                let basic = header.strip_prefix("Basic ").unwrap();
                String::from_utf8(STANDARD.decode(basic).unwrap()).unwrap()
            }
            Secret::Identity(token) => format!("identity {token}"),
        })
    }

    #[test]
    fn credentials_are_those_of_the_registry_and_of_no_other() {
        let config = r#"{"auths": {
            "localhost:5000": {"auth": "YTpi"},
            "https://registry.example/v2/": {"username": "c", "password": "d:e"},
            "https://index.docker.io/v1/": {"auth": "ZjpnOmg="},
            "identity.example": {"auth": "YTo=", "identitytoken": "t"},
            "empty.example": {"identitytoken": ""}
        }, "HttpHeaders": {"X": "y"}}"#;
        for (host, wanted) in [
            ("localhost:5000", Some("a:b")),
            ("localhost:5001", None),
            ("localhost", None),
            ("registry.example", Some("c:d:e")),
            ("other.registry.example", None),
            ("docker.io", Some("f:g:h")),
            ("registry-1.docker.io", Some("f:g:h")),
            ("identity.example", Some("identity t")),
            ("empty.example", None),
        ] {
            assert_eq!(found(config, host).as_deref(), wanted, "{host}");
        }
    }

    #[test]
    fn what_is_malformed_is_told_without_what_stands_there() {
        for config in [
            r#"{"auths": {"localhost": {"auth": "c2VjcmV0"}}}"#,
            r#"{"auths": {"localhost": {"auth": "secret"}}}"#,
            r#"{"credHelpers": {"localhost": "../secret"}}"#,
        ] {
            let config: DockerConfig = serde_json::from_str(config).unwrap();
            let Err(error) = config.find("localhost") else { panic!("it is refused") };
            assert!(!error.to_string().contains("secret"), "{error}");
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config.json");
        std::fs::write(&path, r#"{"auths": "secret"}"#).unwrap();
        let Err(error) = read(&path) else { panic!("it is refused") };
        assert!(!clickmill_core::causes(&error).contains("secret"), "{error}");
        assert!(read(&folder.path().join("none")).unwrap().auths.is_empty());
        assert!(read(&path.join("none")).unwrap().auths.is_empty());
    }

    #[test]
    fn a_helper_that_is_not_installed_gives_nothing() {
        assert_eq!(found(r#"{"credsStore": "of-no-name"}"#, "localhost"), None);
        assert_eq!(found(r#"{"credHelpers": {"localhost": "of-no-name"}}"#, "localhost"), None);
    }

    #[test]
    fn a_token_of_google_goes_to_googles_registries_only() {
        for (host, wanted) in [
            ("europe-docker.pkg.dev", true),
            ("gcr.io", true),
            ("eu.gcr.io", true),
            ("europe-docker.pkg.dev.example", false),
            ("evilgcr.io", false),
            ("pkg.dev.example:443", false),
            ("europe-docker.pkg.dev:5000", false),
            ("localhost:5000", false),
        ] {
            assert_eq!(is_google(host), wanted, "{host}");
        }
    }
}
