//! What is to be different about a stage.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use object_store::{ObjectStore, ObjectStoreExt};

use super::component;
use super::error::PluginError;
use super::lookup::LookupFile;

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
    /// Reads a component file, and the signature beside it.
    pub fn read(path: &Path) -> Result<Self, PluginError> {
        let (bytes, signature) = (component::read(path)?, component::read_signature(path));
        Ok(Self { path: path.to_owned(), bytes, signature })
    }

    /// Reads a component of a store, and the signature beside it. `path` is for messages.
    pub async fn get(
        store: &dyn ObjectStore,
        object: &object_store::path::Path,
        path: PathBuf,
    ) -> Result<Self, object_store::Error> {
        let bytes = store.get(object).await?.bytes().await?;
        let beside = object_store::path::Path::from(format!("{object}.minisig"));
        let signature = match store.get(&beside).await {
            Ok(got) => Some(String::from_utf8_lossy(&got.bytes().await?).into_owned()),
            Err(object_store::Error::NotFound { .. }) => None,
            Err(error) => return Err(error),
        };
        Ok(Self { path, bytes, signature })
    }
}
