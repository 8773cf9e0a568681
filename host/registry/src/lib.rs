//! What OCI registries hold: components, each with its signature and the files that belong to it, pushed, pulled,
//! copied, listed, and kept by digest.
//!
//! Bytes come in and go out: this crate knows neither what is in a component nor who runs it. The layout is the
//! CNCF's for Wasm, one layer `application/wasm`, so that other tools take it too. Two more manifests refer to it:
//! the signature, and the files (golden cases, README, JSON Schema of the configuration), whose digest is an
//! annotation of the component's manifest, so that its digest fixes them too.
//!
//! A registry is a hostile neighbour: what it gives is bounded, and held against the digest that was asked for,
//! before it is kept. What is kept is held against it again.

mod cache;
mod challenge;
mod credentials;
mod error;
mod http;
mod node;
mod remote;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use tokio::runtime::Runtime;

pub use cache::Pulled;
pub use error::RegistryError;
pub use node::Content;

use cache::Cache;
use clickmill_core::oci::Reference;
use node::Node;
use remote::{Artifact, Remote, tag_of};

/// How long a registry may take to give a component with all that belongs to it, or a list. Each answer has as long,
/// and one that trickles is no reason for a start to wait for days.
const WHOLE: Duration = Duration::from_secs(600);

/// What is asked of registries. It has threads and connections of its own, and waits: not to be used within a
/// runtime.
pub struct Registry {
    remote: Remote,
    cache: Option<Cache>,
    runtime: Runtime,
}

impl Registry {
    /// Nothing is asked yet. What is pulled is kept in that folder.
    ///
    /// # Errors
    ///
    /// Where there is nothing to make requests with.
    pub fn new(cache: Option<PathBuf>) -> Result<Self, RegistryError> {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().map_err(RegistryError::Runtime)?;
        Ok(Self { remote: Remote::new()?, cache: cache.map(Cache::of), runtime })
    }

    /// The same with the digest that its tag has now. One that has a digest is as it is.
    ///
    /// # Errors
    ///
    /// Where the registry cannot be asked, or has no such tag.
    pub fn resolve(&self, reference: &Reference) -> Result<Reference, RegistryError> {
        if reference.digest().is_some() {
            return Ok(reference.clone());
        }
        self.runtime.block_on(in_time(WHOLE, reference, self.remote.resolved(reference)))
    }

    /// Pushes a component with what belongs to it, and returns the reference with its digest. The tag comes last:
    /// who finds it finds all of it.
    ///
    /// # Errors
    ///
    /// Where the registry does not take it, or there is no tag.
    pub fn push(&self, content: &Content, to: &Reference) -> Result<Reference, RegistryError> {
        let (component, referrers) = Node::pack(content)?;
        self.runtime.block_on(self.remote.put(&component, &referrers, to))
    }

    /// A component of at most so many bytes with what belongs to it, in a folder of the cache. Nothing is asked of
    /// the registry where all of it is there, and its signature is one that `accepts` takes. Of several the first
    /// that it takes is kept.
    ///
    /// # Errors
    ///
    /// Where the registry cannot be asked, has no such thing, or gives something else.
    pub fn pull(
        &self,
        reference: &Reference,
        max_bytes: usize,
        accepts: &dyn Fn(&[u8], Option<&str>) -> bool,
    ) -> Result<Pulled, RegistryError> {
        let cache = self.cache.as_ref().ok_or(RegistryError::NoCache)?;
        let reference = self.resolve(reference)?;
        let kept = cache.read(&reference)?;
        let is_whole = |kept: &(Pulled, Bytes)| {
            !kept.0.lacks_files && accepts(&kept.1, kept.0.signature.as_deref())
        };
        if let Some((pulled, _)) = kept.as_ref().filter(|kept| is_whole(kept)) {
            return Ok(pulled.clone());
        }
        let get = self.remote.get(&reference, max_bytes);
        let got = self.runtime.block_on(in_time(WHOLE, &reference, get));
        let artifact = match (got, &kept) {
            (Ok(artifact), _) => artifact,
            // The component is there. Of its signature others say what is wrong with it.
            (Err(error), Some((pulled, _))) => {
                let error = clickmill_core::causes(&error);
                tracing::warn!(%reference, error, "a signature, or files that belong to it, cannot be looked for");
                return Ok(pulled.clone());
            }
            (Err(error), None) => return Err(error),
        };
        let component = &artifact.component.blobs[1];
        let texts: Vec<String> = artifact.signatures.iter().map(text).collect();
        let taken = texts.iter().find(|text| accepts(component, Some(text)));
        // One that is kept is taken elsewhere, perhaps: it gives way to one that is taken here.
        let is_signed = kept.is_some_and(|(pulled, _)| pulled.signature.is_some());
        let signature = taken.or(texts.first().filter(|_| !is_signed));
        cache.write(&reference, &artifact.component, artifact.files.as_ref(), signature)
    }

    /// Copies a component with all that refers to it, as it is: it keeps its digest. Returns the reference with it.
    ///
    /// # Errors
    ///
    /// As of pull and push.
    pub fn copy(
        &self,
        from: &Reference,
        to: &Reference,
        max_bytes: usize,
    ) -> Result<Reference, RegistryError> {
        tag_of(to)?;
        let from = self.resolve(from)?;
        self.runtime.block_on(async {
            let get = self.remote.get(&from, max_bytes);
            let Artifact { component, files, signatures } = in_time(WHOLE, &from, get).await?;
            let referrers: Vec<Node> = files.into_iter().chain(signatures).collect();
            self.remote.put(&component, &referrers, to).await
        })
    }

    /// The tags of a repository, each with the digest that it has now; none of what is no single manifest.
    ///
    /// # Errors
    ///
    /// Where the registry cannot be asked, or has no such repository.
    pub fn tags(
        &self,
        repository: &Reference,
    ) -> Result<BTreeMap<String, Option<String>>, RegistryError> {
        self.runtime.block_on(in_time(WHOLE, repository, self.remote.tags(repository)))
    }
}

/// An answer that comes in time.
async fn in_time<T>(
    time: Duration,
    of: &Reference,
    asked: impl Future<Output = Result<T, RegistryError>>,
) -> Result<T, RegistryError> {
    let late = |_| Err(RegistryError::Late { host: of.host().to_owned(), secs: time.as_secs() });
    tokio::time::timeout(time, asked).await.unwrap_or_else(late)
}

fn text(signature: &Node) -> String {
    String::from_utf8_lossy(signature.blobs.get(1).map_or(&[][..], |text| text)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_that_never_ends_is_left() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().build().unwrap();
        let reference: Reference = "oci://localhost/mask:1".parse().unwrap();
        let never = std::future::pending::<Result<(), _>>();
        let got = runtime.block_on(in_time(Duration::ZERO, &reference, never));
        assert!(matches!(got, Err(RegistryError::Late { .. })));
    }
}
