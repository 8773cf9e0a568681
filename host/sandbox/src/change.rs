//! What is to be different about a stage.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use object_store::{GetOptions, ObjectStore};

use super::component;
use super::error::PluginError;
use super::lookup::LookupFile;
use super::signature::MAX_BYTES as MAX_SIGNATURE_BYTES;

/// What is to be different about a stage.
#[derive(Debug, Clone, Default)]
pub struct Change {
    /// The stage.
    pub stage: String,
    /// Its new component.
    pub component: Option<NewComponent>,
    /// Keys of its configuration that get another value; null takes a key away.
    pub config: serde_json::Map<String, serde_json::Value>,
    /// Lookup tables that get other content.
    pub lookups: Vec<LookupFile>,
}

/// A component that a stage is to get.
#[derive(Debug, Clone)]
pub struct NewComponent {
    /// Where it came from, for messages.
    pub path: PathBuf,
    /// The component.
    pub bytes: Bytes,
    /// The signature that came with it, in minisign's format.
    pub signature: Option<String>,
}

impl NewComponent {
    /// Reads a component file of at most `max_bytes`, and the signature beside it.
    ///
    /// # Errors
    ///
    /// Where it can't be read, is larger, or is no file.
    pub fn read(path: &Path, max_bytes: usize) -> Result<Self, PluginError> {
        let bytes = component::read(path, max_bytes)?;
        Ok(Self { path: path.to_owned(), bytes, signature: component::read_signature(path) })
    }

    /// Reads a component of at most `max_bytes` from a store, and the signature beside it. `path` is for
    /// messages.
    ///
    /// # Errors
    ///
    /// Where either can't be read, or is larger.
    pub async fn get(
        store: &dyn ObjectStore,
        object: &object_store::path::Path,
        path: PathBuf,
        max_bytes: usize,
    ) -> Result<Self, FetchError> {
        let bytes = fetch(store, object, max_bytes).await?;
        let beside = object_store::path::Path::from(format!("{object}.minisig"));
        let signature = match fetch(store, &beside, MAX_SIGNATURE_BYTES).await {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            Err(FetchError::Store(object_store::Error::NotFound { .. })) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { path, bytes, signature })
    }
}

/// Why a component can't be had from a store.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The store does not give it.
    #[error(transparent)]
    Store(#[from] object_store::Error),
    /// It is larger than is allowed.
    #[error("it has {bytes} bytes, wanted at most {limit}")]
    TooLarge {
        /// What it has.
        bytes: u64,
        /// What it may have.
        limit: usize,
    },
}

/// Reads an object, of which nothing is asked for beyond `max_bytes`.
async fn fetch(
    store: &dyn ObjectStore,
    object: &object_store::path::Path,
    max_bytes: usize,
) -> Result<Bytes, FetchError> {
    let limit = max_bytes as u64;
    let options = GetOptions::default().with_range(Some(0..limit + 1));
    let got = store.get_opts(object, options).await?;
    if got.meta.size > limit {
        return Err(FetchError::TooLarge { bytes: got.meta.size, limit: max_bytes });
    }
    Ok(got.bytes().await?)
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;
    use object_store::{ObjectStoreExt, PutPayload};

    use super::*;

    #[tokio::test]
    async fn a_component_is_not_fetched_where_it_is_too_large() {
        let store = InMemory::new();
        let at = |name: &str| object_store::path::Path::from(name);
        let put = async |name: &str, bytes: Vec<u8>| {
            store.put(&at(name), PutPayload::from(bytes)).await.expect("it is kept");
        };
        put("a.wasm", vec![7; 100]).await;
        put("a.wasm.minisig", b"signed".to_vec()).await;
        let get =
            async |name: &str, max| NewComponent::get(&store, &at(name), name.into(), max).await;
        let got = get("a.wasm", 100).await.expect("it is there");
        assert_eq!((got.bytes.len(), got.signature.as_deref()), (100, Some("signed")));
        let error = get("a.wasm", 99).await.expect_err("it is too large").to_string();
        assert!(error.contains("100 bytes, wanted at most 99"), "{error}");
        put("a.wasm.minisig", vec![7; 100_000]).await;
        let error = get("a.wasm", 100).await.expect_err("its signature is too large").to_string();
        assert!(error.contains("100000 bytes"), "{error}");
        let error = get("b.wasm", 100).await.expect_err("there is none");
        assert!(matches!(error, FetchError::Store(object_store::Error::NotFound { .. })));
    }
}
