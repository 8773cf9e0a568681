//! Plugin sets, kept: components and lookup tables by their digest, what each set is made of, and which
//! set a pipeline runs since its last swap. On a disk or in Cloud Storage.
//!
//! More people may write there than may change the pipeline. What is read is compared with the digest that
//! was asked for, and set aside where it is something else. Of a set that is as it was kept come components,
//! configurations and lookup tables; what a stage may do is the pipeline file's to say.
//!
//! ```text
//! <state>/blobs/<digest>            components and lookup tables
//! <state>/sets/<plugin set>.json    what a set is made of
//! <state>/running/<pipeline>.json   the set since the last swap, and that of the pipeline file then
//! <state>/not_seen/<pipeline>/<table>.json  places of its source that could not be looked at
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use serde::{Deserialize, Serialize};

use super::difference;
use crate::threads::AT_ONCE;
use clickmill_core::store::StoreError;
use clickmill_core::{Digest, Fault, folder};
use clickmill_sandbox::{Library, PluginError, PluginSet};

/// The largest component or lookup table that is read: a request for a swap has no more.
const MAX_KEPT_BYTES: u64 = 512 << 20;

/// So large a component waits for no other's disk or network. Larger ones are read and sent one after the other, for
/// the memory and for slow lines.
const SMALL_BYTES: usize = 4 << 20;

/// The most that says what a set is made of, or what runs.
const MAX_SAID_BYTES: u64 = 16 << 20;

/// Where plugin sets are kept.
#[derive(Debug, Clone)]
pub struct SetStore {
    store: Arc<dyn ObjectStore>,
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
    /// Content does not have the digest that it is kept under.
    #[error("`{digest}` in `{uri}` was changed: its digest is not that")]
    Changed {
        /// What it is kept under.
        digest: String,
        /// The store.
        uri: String,
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
    /// Whether it is what was kept that is at fault, not the store: trying again does not help.
    pub(crate) fn is_lost(&self) -> bool {
        match self {
            Self::Changed { .. } | Self::NoSet { .. } => true,
            Self::Store { source, .. } => matches!(source, object_store::Error::NotFound { .. }),
            Self::Open(_) | Self::Ambiguous { .. } | Self::Plugin(_) => false,
        }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Open(_)
            | Self::Store { .. }
            | Self::Changed { .. }
            | Self::NoSet { .. }
            | Self::Ambiguous { .. } => Fault::Environment,
            Self::Plugin(error) => error.fault(),
        }
    }
}

/// What a pipeline runs since its last swap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunningSet {
    /// The set of the pipeline file at the swap: a changed file counts more than an earlier swap.
    pub file: Digest,
    /// The plugin set that the pipeline file had when it was read last, where it was taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken_back: Option<Digest>,
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
        let (store, _) = folder::open(uri).map_err(SetStoreError::Open)?;
        Ok(Self { store, uri: uri.to_owned(), runtime: runtime.clone() })
    }

    /// Keeps what a library is made of. What is there already is left.
    pub fn keep(&self, library: &Library) -> Result<PluginSet, SetStoreError> {
        let set = library.set();
        self.runtime.block_on(self.keep_all(&set, library.blobs()))?;
        Ok(set)
    }

    /// Keeps a set behind what it is made of: where it is there, so was that, and what is as it was kept is not
    /// sent again.
    async fn keep_all(
        &self,
        set: &PluginSet,
        blobs: BTreeMap<Digest, Bytes>,
    ) -> Result<(), SetStoreError> {
        // Signed anew it is the same set.
        let is_this = |there: &[u8]| {
            let there = serde_json::from_slice::<PluginSet>(there);
            there.is_ok_and(|there| there.digest == set.digest && there.is_whole())
        };
        let path = self.path("sets", &format!("{}.json", set.digest));
        let kept = self.get(&path, MAX_KEPT_BYTES).await?;
        let is_kept = kept.is_some_and(|there| is_this(&there));
        let keep = |(digest, bytes): (Digest, Bytes)| async move {
            let blob = self.path("blobs", &digest);
            if is_kept && self.get(&blob, MAX_KEPT_BYTES).await?.as_ref() == Some(&bytes) {
                return Ok(());
            }
            self.create(&blob, bytes, |_| false).await
        };
        let (small, large): (Vec<_>, Vec<_>) =
            blobs.into_iter().partition(|(_, bytes)| bytes.len() <= SMALL_BYTES);
        for (blobs, at_once) in [(small, AT_ONCE), (large, 1)] {
            stream::iter(blobs).map(keep).buffered(at_once).try_collect::<()>().await?;
        }
        let json = serde_json::to_vec_pretty(set).expect("texts and numbers are JSON");
        self.create(&path, json.into(), is_this).await
    }

    /// Keeps what a library is made of, where that is not there yet.
    pub(crate) fn keep_once(&self, library: &Library) -> Result<(), SetStoreError> {
        // What a set is made of is there before it is.
        match self.whole(library.digest())? {
            Some(_) => Ok(()),
            None => self.keep(library).map(drop),
        }
    }

    /// What the set is made of whose digest begins with `digest`.
    pub fn set(&self, digest: &str) -> Result<PluginSet, SetStoreError> {
        // Whole digests are what rows and records have: no need to look through all sets.
        if let Some(set) = self.whole(digest)? {
            return Ok(set);
        }
        let found = self.runtime.block_on(async {
            let folder = Path::from("sets");
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
            [one] => self.whole(one)?.ok_or(SetStoreError::NoSet { digest, uri }),
            _ => Err(SetStoreError::Ambiguous { digest, found }),
        }
    }

    /// The set of a whole digest, where it was kept. One that was changed since is set aside.
    fn whole(&self, digest: &str) -> Result<Option<PluginSet>, SetStoreError> {
        let path = self.path("sets", &format!("{digest}.json"));
        let Some(set) = self.parse::<PluginSet>(&path)? else { return Ok(None) };
        if set.digest == *digest && set.is_whole() {
            return Ok(Some(set));
        }
        self.runtime.block_on(self.set_aside(&path, "its digest is another"))?;
        Err(SetStoreError::Changed { digest: digest.to_owned(), uri: self.uri.clone() })
    }

    /// Makes a set again, with the stages of `file` and what those may do. What is different of that in the
    /// set is told, and does not count.
    pub fn restore(&self, file: &Library, set: &PluginSet) -> Result<Library, SetStoreError> {
        let restored = file.restore(set, |digest| {
            let path = self.path("blobs", digest);
            let bytes = self.runtime.block_on(self.get(&path, MAX_KEPT_BYTES))?;
            let source = object_store::Error::NotFound {
                path: path.to_string(),
                source: "it was never kept".into(),
            };
            let bytes = bytes.ok_or_else(|| self.failed(format!("read `{path}`"), source))?;
            if Digest::of(&bytes) == *digest {
                Ok(bytes)
            } else {
                // The next who keeps it keeps it whole.
                self.runtime.block_on(self.set_aside(&path, "its digest is another"))?;
                Err(SetStoreError::Changed { digest: digest.to_string(), uri: self.uri.clone() })
            }
        })?;
        let not_taken = difference::rights(set, &restored.set());
        if !not_taken.is_empty() {
            tracing::warn!(
                plugin_set = %set.digest,
                different = not_taken.join("; "),
                "the kept plugin set had other stages, grants, limits or secrets: the pipeline file's count"
            );
        }
        Ok(restored)
    }

    /// What a pipeline runs since its last swap.
    pub fn running(&self, pipeline: &str) -> Result<Option<RunningSet>, SetStoreError> {
        self.parse(&self.path("running", &format!("{pipeline}.json")))
    }

    /// Remembers what a pipeline runs.
    pub fn set_running(&self, pipeline: &str, running: &RunningSet) -> Result<(), SetStoreError> {
        self.say(&self.path("running", &format!("{pipeline}.json")), running)
    }

    /// Places that a pipeline could not look at, as far as it is about this table.
    pub(crate) fn not_seen(
        &self,
        pipeline: &str,
        table: &str,
    ) -> Result<BTreeSet<String>, SetStoreError> {
        Ok(self.parse(&self.not_seen_path(pipeline, table))?.unwrap_or_default())
    }

    /// Remembers them.
    pub(crate) fn set_not_seen(
        &self,
        pipeline: &str,
        table: &str,
        places: &BTreeSet<String>,
    ) -> Result<(), SetStoreError> {
        self.say(&self.not_seen_path(pipeline, table), places)
    }

    fn not_seen_path(&self, pipeline: &str, table: &str) -> Path {
        self.path("not_seen", pipeline).join(format!("{table}.json"))
    }

    /// Writes a file that says something, in place of one that is there.
    fn say(&self, path: &Path, what: &impl Serialize) -> Result<(), SetStoreError> {
        let json = serde_json::to_vec_pretty(what).expect("texts and numbers are JSON");
        let put = self.runtime.block_on(self.store.put(path, PutPayload::from(json)));
        put.map(drop).map_err(|source| self.failed(format!("write `{path}`"), source))
    }

    fn path(&self, folder: &str, name: &str) -> Path {
        Path::from(folder).join(name)
    }

    /// Keeps bytes. What is there already is left where it is the same, and replaced where it is `as_good`;
    /// else it is damaged.
    async fn create(
        &self,
        path: &Path,
        bytes: Bytes,
        as_good: impl Fn(&[u8]) -> bool,
    ) -> Result<(), SetStoreError> {
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(path, bytes.clone().into(), create).await {
            Ok(_) => return Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {}
            Err(source) => return Err(self.failed(format!("write `{path}`"), source)),
        }
        match self.get(path, MAX_KEPT_BYTES).await? {
            None => return Ok(()),
            Some(there) if there == bytes => return Ok(()),
            Some(there) if as_good(&there) => {}
            Some(_) => self.set_aside(path, "it does not hold what was kept").await?,
        }
        let put = self.store.put(path, bytes.into()).await;
        put.map(drop).map_err(|source| self.failed(format!("write `{path}`"), source))
    }

    /// Moves a damaged file away and says so.
    async fn set_aside(&self, path: &Path, why: &str) -> Result<(), SetStoreError> {
        let aside = folder::set_aside(&*self.store, path).await;
        let aside = aside.map_err(|source| self.failed(format!("set `{path}` aside"), source))?;
        let (file, aside, state) = (path.as_ref(), aside.as_ref(), &self.uri);
        tracing::warn!(file, aside, state, why, "a damaged file is set aside");
        Ok(())
    }

    async fn get(&self, path: &Path, most: u64) -> Result<Option<Bytes>, SetStoreError> {
        let failed = |source| self.failed(format!("read `{path}`"), source);
        match self.store.get(path).await {
            Ok(got) if got.meta.size > most => {
                let bytes = got.meta.size;
                let error = format!("it has {bytes} bytes, wanted at most {most}");
                Err(failed(object_store::Error::Generic { store: "state", source: error.into() }))
            }
            Ok(got) => got.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(source) => Err(failed(source)),
        }
    }

    /// What a file says. One that says nothing is set aside: it is as if it was never written.
    fn parse<T: serde::de::DeserializeOwned>(
        &self,
        path: &Path,
    ) -> Result<Option<T>, SetStoreError> {
        self.runtime.block_on(async {
            let Some(bytes) = self.get(path, MAX_SAID_BYTES).await? else { return Ok(None) };
            match serde_json::from_slice(&bytes) {
                Ok(parsed) => Ok(Some(parsed)),
                Err(error) => {
                    self.set_aside(path, &error.to_string()).await?;
                    Ok(None)
                }
            }
        })
    }

    fn failed(&self, what: String, source: object_store::Error) -> SetStoreError {
        SetStoreError::Store { what, uri: self.uri.clone(), source }
    }
}

#[cfg(test)]
mod tests;
