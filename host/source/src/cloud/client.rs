//! Where Cloud Storage is, and how it is reached.

use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientConfigKey, ClientOptions};

const BASE_URL: &str = "https://storage.googleapis.com";

/// Where the service is: Google's, unless the environment or the key says otherwise.
pub(super) fn base_url(builder: &GoogleCloudStorageBuilder) -> String {
    let value = |key| builder.get_config_value(&key);
    let of_account = || {
        let key = value(GoogleConfigKey::ServiceAccountKey)
            .or_else(|| std::fs::read_to_string(value(GoogleConfigKey::ServiceAccount)?).ok())?;
        let key: serde_json::Value = serde_json::from_str(&key).ok()?;
        key["gcs_base_url"].as_str().map(str::to_owned)
    };
    let url = value(GoogleConfigKey::BaseUrl).or_else(of_account);
    url.map_or_else(|| BASE_URL.to_owned(), |url| url.trim_end_matches('/').to_owned())
}

/// How the service is reached: as the builder says, but without a limit to how long an answer may take to
/// its end: that depends on what is done with it.
pub(super) fn options(builder: &GoogleCloudStorageBuilder) -> ClientOptions {
    let kept = [
        ClientConfigKey::AllowHttp,
        ClientConfigKey::AllowInvalidCertificates,
        ClientConfigKey::ConnectTimeout,
        ClientConfigKey::Http1Only,
        ClientConfigKey::Http2Only,
        ClientConfigKey::ProxyUrl,
        ClientConfigKey::ProxyCaCertificate,
        ClientConfigKey::ProxyExcludes,
        ClientConfigKey::UserAgent,
    ];
    let mut options = ClientOptions::new();
    for key in kept {
        if let Some(value) = builder.get_config_value(&GoogleConfigKey::Client(key)) {
            options = options.with_config(key, value);
        }
    }
    options.with_timeout_disabled()
}
