//! Google's services: where they are, and with what credentials they are asked.
//!
//! Application Default Credentials, unless an environment variable names an emulator: that endpoint, and
//! no credentials. The official clients read no such variable themselves. Cloud Storage is `store`'s.

mod credentials;

pub use credentials::credentials;
use futures::future::BoxFuture;
use google_cloud_auth::credentials::{Credentials, anonymous};
use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::{Code, StatusDetails};

/// A service with an emulator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// Pub/Sub.
    PubSub,
    /// BigQuery's REST interface.
    BigQuery,
    /// BigQuery's Storage Write interface, gRPC.
    BigQueryStorage,
}

/// An emulator's endpoint and the credentials that it wants: none.
pub struct Emulator {
    /// `http://host:port`.
    pub endpoint: String,
    /// Anonymous.
    pub credentials: Credentials,
}

impl Service {
    /// The environment variable that names an emulator.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::PubSub => "PUBSUB_EMULATOR_HOST",
            Self::BigQuery => "BIGQUERY_EMULATOR_HOST",
            Self::BigQueryStorage => "BIGQUERY_STORAGE_EMULATOR_HOST",
        }
    }

    /// The emulator, where the environment names one.
    pub fn emulator(self) -> Option<Emulator> {
        clickmill_core::tls::choose();
        let host = std::env::var(self.variable()).ok().filter(|host| !host.is_empty())?;
        let endpoint = if host.contains("://") { host } else { format!("http://{host}") };
        Some(Emulator { endpoint, credentials: anonymous::Builder::new().build() })
    }
}

/// A client's builder with endpoint and credentials. A macro, since the builders share no trait.
#[macro_export]
macro_rules! connected {
    ($builder:expr, $service:expr) => {{
        let builder = $builder;
        match $crate::Service::emulator($service) {
            Some(emulator) => {
                builder.with_endpoint(emulator.endpoint).with_credentials(emulator.credentials)
            }
            None => match $crate::credentials() {
                Some(credentials) => builder.with_credentials(credentials),
                None => builder,
            },
        }
    }};
}

/// A token by Application Default Credentials, for services that have no client of Google's: Artifact Registry's
/// registries.
///
/// # Errors
///
/// Why there are no credentials, or none can be had now. It says nothing of their content.
pub fn access_token() -> BoxFuture<'static, Result<String, Box<dyn std::error::Error + Send + Sync>>>
{
    Box::pin(credentials::access_token())
}

/// Whether the same request may succeed later.
pub fn is_transient(error: &Error) -> bool {
    if passes(error) {
        return true;
    }
    if let Some(status) = error.status() {
        return matches!(
            status.code,
            Code::Aborted
                | Code::Cancelled
                | Code::DeadlineExceeded
                | Code::Internal
                | Code::ResourceExhausted
                | Code::Unavailable
                | Code::Unknown
        );
    }
    if let Some(code) = error.http_status_code() {
        return code == 429 || code >= 500;
    }
    let unreachable = error.is_io() || error.is_timeout() || error.is_connect();
    unreachable
        || error.is_transport()
        || error.is_exhausted()
        || error.is_transient_and_before_rpc()
}

/// Whether the service says that there is no such thing.
pub fn is_not_found(error: &Error) -> bool {
    has_code(error, Code::NotFound, 404)
}

/// Whether the service says that there is one already.
pub fn is_already_there(error: &Error) -> bool {
    has_code(error, Code::AlreadyExists, 409)
}

/// Whether the service says that this is not allowed.
pub fn is_denied(error: &Error) -> bool {
    has_code(error, Code::PermissionDenied, 403) && !passes(error)
}

/// Whether the service does not accept the credentials, or there are none that could be sent; not where
/// those who give them out are away.
pub fn is_unauthenticated(error: &Error) -> bool {
    let none_to_send = error.is_authentication() && !error.is_transient_and_before_rpc();
    has_code(error, Code::Unauthenticated, 401) || none_to_send
}

/// Whether a reason that BigQuery gives beside a code, and of a job that failed, passes by itself. These
/// are the reasons that its client tries again for.
pub fn is_passing_reason(reason: &str) -> bool {
    matches!(
        reason,
        "backendError"
            | "internalError"
            | "jobBackendError"
            | "jobInternalError"
            | "jobRateLimitExceeded"
            | "rateLimitExceeded"
    )
}

/// Whether the service gives a reason beside its code for which this holds.
pub fn has_reason(error: &Error, holds: impl Fn(&str) -> bool) -> bool {
    let fits = |detail: &StatusDetails| matches!(detail, StatusDetails::ErrorInfo(info) if holds(&info.reason));
    error.status().is_some_and(|status| status.details.iter().any(fits))
}

/// Whether the reason passes, whatever the code is: of too many requests BigQuery's REST interface says
/// 403 or 400.
fn passes(error: &Error) -> bool {
    has_reason(error, is_passing_reason)
}

fn has_code(error: &Error, code: Code, http: u16) -> bool {
    error.status().is_some_and(|status| status.code == code)
        || error.http_status_code() == Some(http)
}

#[cfg(test)]
mod tests {
    use google_cloud_gax::error::CredentialsError;

    use super::*;

    #[test]
    fn credentials_that_cannot_be_sent_are_refused_and_those_that_come_late_are_an_outage() {
        let none = Error::authentication(CredentialsError::from_msg(false, "no such key"));
        assert!(is_unauthenticated(&none) && !is_transient(&none));
        let late = Error::authentication(CredentialsError::from_msg(true, "no answer"));
        assert!(!is_unauthenticated(&late) && is_transient(&late));
    }
}
