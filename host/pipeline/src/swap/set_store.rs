//! Plugin sets, kept: components and lookup tables by their digest, what each set is made of, and which
//! set a pipeline runs since its last swap. On a disk or in Cloud Storage.
//!
//! ```text
//! <state>/blobs/<digest>            components and lookup tables
//! <state>/sets/<plugin set>.json    what a set is made of
//! <state>/running/<pipeline>.json   the set since the last swap, and that of the pipeline file then
//! ```

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};

use clickmill_core::store::{self, StoreError};
use clickmill_core::{Digest, Fault};
use clickmill_sandbox::{Engine, Library, PluginError, PluginSet};

/// Where plugin sets are kept.
#[derive(Debug, Clone)]
pub struct SetStore {
    store: Arc<dyn ObjectStore>,
    root: Path,
    uri: String,
    runtime: tokio::runtime::Handle,
}

/// Why a plugin set can't be kept or made again.
#[derive(Debug, thiserror::Error)]
pub enum SetStoreError {
    /// The URI names no store.
    #[error("cannot open `swap.state`")]
    Open(#[source] StoreError),
    /// The store failed.
    #[error("cannot {what} in `{uri}`")]
    Store {
        /// What was tried.
        what: String,
        /// The store.
        uri: String,
        /// Why it failed.
        source: object_store::Error,
    },
    /// A file is not what it is to be.
    #[error("`{path}` in `{uri}` is not what clickmill writes there")]
    Parse {
        /// The file.
        path: Path,
        /// The store.
        uri: String,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Content does not have the digest that it is kept under.
    #[error("`{digest}` in `{uri}` was changed: its digest is `{found}`")]
    Changed {
        /// What it is kept under.
        digest: Digest,
        /// The store.
        uri: String,
        /// What it is.
        found: Digest,
    },
    /// No such set was ever kept.
    #[error("there is no plugin set that begins with `{digest}` in `{uri}`")]
    NoSet {
        /// What was asked for.
        digest: String,
        /// The store.
        uri: String,
    },
    /// More than one set begins like that.
    #[error("more than one plugin set begins with `{digest}`: {found}", found = found.join(", "))]
    Ambiguous {
        /// What was asked for.
        digest: String,
        /// Those that do.
        found: Vec<String>,
    },
    /// The components can't be loaded any more.
    #[error(transparent)]
    Plugin(Box<PluginError>),
}

impl From<PluginError> for SetStoreError {
    fn from(error: PluginError) -> Self {
        Self::Plugin(Box::new(error))
    }
}

impl SetStoreError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Open(_)
            | Self::Store { .. }
            | Self::Parse { .. }
            | Self::Changed { .. }
            | Self::NoSet { .. }
            | Self::Ambiguous { .. }
            | Self::Plugin(_) => Fault::Environment,
        }
    }
}

/// What a pipeline runs since its last swap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningSet {
    /// The set of the pipeline file at the swap: a changed file counts more than an earlier swap.
    pub file: Digest,
    /// The set that the swap made.
    pub running: Digest,
    /// Who made it, for the history.
    pub actor: String,
    /// What they said about it.
    pub note: String,
}

impl SetStore {
    /// Opens a store. Nothing is asked of it yet.
    pub fn open(uri: &str, runtime: &tokio::runtime::Handle) -> Result<Self, SetStoreError> {
        let (store, root) = store::open(uri).map_err(SetStoreError::Open)?;
        Ok(Self { store, root, uri: uri.to_owned(), runtime: runtime.clone() })
    }

    /// Keeps what a library is made of. What is there already is left.
    pub fn keep(&self, library: &Library) -> Result<PluginSet, SetStoreError> {
        let set = library.set();
        self.runtime.block_on(async {
            for (digest, bytes) in library.blobs() {
                self.create(&self.path("blobs", &digest), bytes).await?;
            }
            let json = serde_json::to_vec_pretty(&set).expect("texts and numbers are JSON");
            self.create(&self.path("sets", &format!("{}.json", set.digest)), json.into()).await
        })?;
        Ok(set)
    }

    /// What the set is made of whose digest begins with `digest`.
    pub fn set(&self, digest: &str) -> Result<PluginSet, SetStoreError> {
        // Whole digests are what rows and records have: no need to look through all sets.
        let path = |digest: &str| self.path("sets", &format!("{digest}.json"));
        if let Some(set) = self.parse(&path(digest))? {
            return Ok(set);
        }
        let found = self.runtime.block_on(async {
            use futures::TryStreamExt;
            let folder = self.root.clone().join("sets");
            let listed: Vec<_> = self
                .store
                .list(Some(&folder))
                .try_collect()
                .await
                .map_err(|source| self.failed(format!("list `{folder}`"), source))?;
            let names = listed.iter().filter_map(|file| file.location.filename());
            let sets = names.filter_map(|name| name.strip_suffix(".json"));
            let found = sets.filter(|set| set.starts_with(digest)).map(str::to_owned);
            Ok::<Vec<String>, SetStoreError>(found.collect())
        })?;
        let (digest, uri) = (digest.to_owned(), self.uri.clone());
        match found.as_slice() {
            [] => Err(SetStoreError::NoSet { digest, uri }),
            [one] => self.parse(&path(one))?.ok_or(SetStoreError::NoSet { digest, uri }),
            _ => Err(SetStoreError::Ambiguous { digest, found }),
        }
    }

    /// Makes a set again.
    pub fn restore(&self, engine: &Engine, set: &PluginSet) -> Result<Library, SetStoreError> {
        Library::restore(engine, set, |digest| {
            let path = self.path("blobs", digest);
            let bytes = self.runtime.block_on(self.get(&path))?;
            let source = object_store::Error::NotFound {
                path: path.to_string(),
                source: "it was never kept".into(),
            };
            let bytes = bytes.ok_or_else(|| self.failed(format!("read `{path}`"), source))?;
            let found = Digest::of(&bytes);
            if found == *digest {
                Ok(bytes)
            } else {
                let (digest, uri) = (digest.clone(), self.uri.clone());
                Err(SetStoreError::Changed { digest, uri, found })
            }
        })
    }

    /// What a pipeline runs since its last swap.
    pub fn running(&self, pipeline: &str) -> Result<Option<RunningSet>, SetStoreError> {
        self.parse(&self.path("running", &format!("{pipeline}.json")))
    }

    /// Remembers what a pipeline runs.
    pub fn set_running(&self, pipeline: &str, running: &RunningSet) -> Result<(), SetStoreError> {
        let path = self.path("running", &format!("{pipeline}.json"));
        let json = serde_json::to_vec_pretty(running).expect("texts and numbers are JSON");
        let put = self.runtime.block_on(self.store.put(&path, PutPayload::from(json)));
        put.map(drop).map_err(|source| self.failed(format!("write `{path}`"), source))
    }

    fn path(&self, folder: &str, name: &str) -> Path {
        self.root.clone().join(folder).join(name)
    }

    async fn create(&self, path: &Path, bytes: Bytes) -> Result<(), SetStoreError> {
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(path, PutPayload::from(bytes), create).await {
            Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(()),
            Err(source) => Err(self.failed(format!("write `{path}`"), source)),
        }
    }

    async fn get(&self, path: &Path) -> Result<Option<Bytes>, SetStoreError> {
        let failed = |source| self.failed(format!("read `{path}`"), source);
        match self.store.get(path).await {
            Ok(got) => got.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(source)),
        }
    }

    fn parse<T: serde::de::DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<T>, SetStoreError> {
        let Some(bytes) = self.runtime.block_on(self.get(path))? else { return Ok(None) };
        serde_json::from_slice(&bytes).map(Some).map_err(|source| SetStoreError::Parse {
            path: path.clone(),
            uri: self.uri.clone(),
            source,
        })
    }

    fn failed(&self, what: String, source: object_store::Error) -> SetStoreError {
        SetStoreError::Store { what, uri: self.uri.clone(), source }
    }
}
