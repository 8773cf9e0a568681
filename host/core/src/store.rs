//! Object stores by URI: a disk or Cloud Storage, for those who read there and those who write there.

use std::sync::Arc;

use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore};

/// The environment variable that names a Cloud Storage emulator.
const EMULATOR_VARIABLE: &str = "STORAGE_EMULATOR_HOST";
/// How the URI of an object in Cloud Storage begins.
const CLOUD: &str = "gs://";

/// Why a URI leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It names no store that is known.
    #[error("`{uri}` is neither a path nor a `gs://bucket/object` URI")]
    Uri {
        /// What was given.
        uri: String,
    },
    /// The store can't be used.
    #[error("cannot use the store of `{uri}`")]
    Store {
        /// What was given.
        uri: String,
        /// Why.
        source: object_store::Error,
    },
}

/// Whether a URI is a path on a disk.
pub fn is_local(uri: &str) -> bool {
    !uri.starts_with(CLOUD)
}

/// Bucket and object of a `gs://` URI, as they stand there.
pub fn bucket_and_object(uri: &str) -> (&str, &str) {
    let rest = uri.strip_prefix(CLOUD).unwrap_or(uri);
    rest.split_once('/').unwrap_or((rest, ""))
}

/// What a bucket is reached with: the environment's settings and credentials, or an emulator.
pub fn cloud(bucket: &str) -> GoogleCloudStorageBuilder {
    let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
    let Ok(endpoint) = std::env::var(EMULATOR_VARIABLE) else { return builder };
    // What Google's own clients do with this variable: that endpoint, no credentials.
    let account = serde_json::json!({
        "gcs_base_url": endpoint, "disable_oauth": true,
        "client_email": "", "private_key": "", "private_key_id": "",
    });
    builder
        .with_service_account_key(account.to_string())
        .with_client_options(ClientOptions::new().with_allow_http(true))
}

/// The store that a path or URI names, and the path in it. Nothing is asked of the store yet.
pub fn open(uri: &str) -> Result<(Arc<dyn ObjectStore>, Path), StoreError> {
    let failed = |source| StoreError::Store { uri: uri.to_owned(), source };
    if !is_local(uri) {
        let (bucket, path) = bucket_and_object(uri);
        let store = cloud(bucket).build().map_err(failed)?;
        return Ok((Arc::new(store), Path::parse(path).map_err(|error| failed(error.into()))?));
    }
    let path = local(uri)?;
    let path = std::path::absolute(path).map_err(|_| StoreError::Uri { uri: uri.to_owned() })?;
    let path = Path::from_absolute_path(path).map_err(|error| failed(error.into()))?;
    Ok((Arc::new(LocalFileSystem::new()), path))
}

/// The path on a disk that a path or a `file://` URI names.
pub fn local(uri: &str) -> Result<&str, StoreError> {
    match uri.split_once("://") {
        Some(("file", path)) => Ok(path),
        Some(_) => Err(StoreError::Uri { uri: uri.to_owned() }),
        None => Ok(uri),
    }
}
