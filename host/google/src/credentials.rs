//! Application Default Credentials, which are waited for no longer than an answer is.
//!
//! Google's library asks a machine's metadata server for as long as that says nothing, and each client waits with it.

use std::time::Duration;

use google_cloud_auth::credentials::{
    AccessTokenCredentials, Builder, CacheableResource, Credentials, CredentialsProvider,
};
use google_cloud_gax::error::CredentialsError;
use http::{Extensions, HeaderMap};
use tokio::time::timeout;

/// Less than a try of a request takes, which would end first now and then, and say nothing of credentials.
const PATIENCE: Duration = Duration::from_secs(12);
/// The longest name of a host.
const MAX_HOST_BYTES: usize = 253;

/// The credentials; `None` where there are none, of which each client tells by itself.
pub fn credentials() -> Option<Credentials> {
    clickmill_core::tls::choose();
    Builder::default().build().ok().map(|credentials| Credentials::from(Bounded(credentials)))
}

/// A token by them.
pub(crate) async fn access_token() -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
    clickmill_core::tls::choose();
    let credentials: AccessTokenCredentials =
        Builder::default().build_access_token_credentials()?;
    let token = timeout(PATIENCE, credentials.access_token()).await.map_err(|_| late())??;
    Ok(token.token)
}

#[derive(Debug)]
struct Bounded(Credentials);

impl CredentialsProvider for Bounded {
    async fn headers(
        &self,
        extensions: Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        timeout(PATIENCE, self.0.headers(extensions)).await.unwrap_or_else(|_| Err(late()))
    }

    /// The domain of the services; none where what answers gives none.
    async fn universe_domain(&self) -> Option<String> {
        let domain = timeout(PATIENCE, self.0.universe_domain()).await.ok().flatten()?;
        let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
        (domain.len() <= MAX_HOST_BYTES && domain.bytes().all(is_part)).then_some(domain)
    }
}

fn late() -> CredentialsError {
    let seconds = PATIENCE.as_secs();
    let what = format!(
        "no credentials within {seconds} s: whoever gives them out, such as the machine's metadata server, says nothing"
    );
    // It is tried again, and what is told in the end is of the request.
    tracing::warn!("{what}");
    CredentialsError::from_msg(true, what)
}
