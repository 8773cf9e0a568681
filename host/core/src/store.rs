//! Object stores by URI: a disk or Cloud Storage, for those who read there and those who write there.

use std::sync::Arc;

use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore};

/// The environment variable that names a Cloud Storage emulator.
const EMULATOR_VARIABLE: &str = "STORAGE_EMULATOR_HOST";

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
    !uri.starts_with("gs://")
}

/// The store that a path or URI names, and the path in it. Nothing is asked of the store yet.
pub fn open(uri: &str) -> Result<(Arc<dyn ObjectStore>, Path), StoreError> {
    let failed = |source| StoreError::Store { uri: uri.to_owned(), source };
    if !is_local(uri) {
        let mut builder = GoogleCloudStorageBuilder::from_env().with_url(uri);
        if let Ok(endpoint) = std::env::var(EMULATOR_VARIABLE) {
            // What Google's own clients do with this variable: that endpoint, no credentials.
            let account = serde_json::json!({
                "gcs_base_url": endpoint, "disable_oauth": true,
                "client_email": "", "private_key": "", "private_key_id": "",
            });
            builder = builder
                .with_service_account_key(account.to_string())
                .with_client_options(ClientOptions::new().with_allow_http(true));
        }
        let store = builder.build().map_err(failed)?;
        let path = uri.trim_start_matches("gs://").split_once('/').map_or("", |(_, path)| path);
        return Ok((Arc::new(store), Path::parse(path).map_err(|error| failed(error.into()))?));
    }
    let unknown = || StoreError::Uri { uri: uri.to_owned() };
    let path = match uri.split_once("://") {
        Some(("file", path)) => path,
        Some(_) => return Err(unknown()),
        None => uri,
    };
    let path = std::path::absolute(path).map_err(|_| unknown())?;
    let path = Path::from_absolute_path(path).map_err(|error| failed(error.into()))?;
    Ok((Arc::new(LocalFileSystem::new()), path))
}
