//! What registries are asked over the wire: manifests and what they name, lists of tags and of what refers to
//! something, and the same the other way.

use std::collections::BTreeMap;

use bytes::Bytes;
use reqwest::header::{HeaderMap, LINK};
use reqwest::{Method, StatusCode};

use super::error::{RegistryError, wrong};
use super::http::{Ask, Http, at, body, is_same, location};
use super::node::{
    Descriptor, FILES, INDEX, Index, MANIFEST, MAX_MANIFEST_BYTES, Manifest, Node, SIGNATURE,
    sha256,
};
use clickmill_core::causes;
use clickmill_core::oci::{Reference, is_digest, is_tag};

/// What registries say where they have done what the specification's later versions ask for.
const SUBJECT: &str = "oci-subject";
const CONTENT_DIGEST: &str = "docker-content-digest";
/// Manifests that refer to a component and are looked at, at most.
const MAX_REFERRERS: usize = 64;
/// Pages of tags, and tags, that are listed at most.
const MAX_PAGES: usize = 100;
const MAX_TAGS: usize = 10_000;
/// How the tags begin under which those that refer to something are listed where the registry has no other way.
const FALLBACK: &str = "sha256-";

/// A component and those that refer to it.
pub(crate) struct Artifact {
    pub component: Node,
    pub files: Option<Node>,
    pub signatures: Vec<Node>,
}

/// What registries are asked with.
pub(crate) struct Remote(Http);

impl Remote {
    pub(crate) fn new() -> Result<Self, RegistryError> {
        Http::new().map(Self)
    }

    /// The tags of a repository, each with its digest; none of what is no single manifest.
    pub(crate) async fn tags(
        &self,
        repository: &Reference,
    ) -> Result<BTreeMap<String, Option<String>>, RegistryError> {
        let mut tags = BTreeMap::new();
        for tag in self.names_of_tags(repository).await? {
            let tagged = format!("oci://{}/{}:{tag}", repository.host(), repository.repository());
            let tagged: Reference =
                tagged.parse().map_err(|error| wrong(repository, format!("{error}")))?;
            let digest = match self.resolved(&tagged).await {
                Ok(resolved) => resolved.digest().map(str::to_owned),
                Err(RegistryError::Wrong { .. } | RegistryError::NotFound { .. }) => None,
                Err(error) => return Err(error),
            };
            tags.insert(tag, digest);
        }
        Ok(tags)
    }

    async fn names_of_tags(&self, of: &Reference) -> Result<Vec<String>, RegistryError> {
        let first = at(of, "tags/list?n=1000")?;
        let (mut url, mut names, what) = (first.clone(), Vec::new(), format!("list `{of}`"));
        for _ in 0..MAX_PAGES {
            let ask = Ask::get(of, &what, url, "");
            let response = self.0.expect(&ask, StatusCode::OK).await?;
            let next = next_page(response.headers());
            let next = next.and_then(|next| first.join(&next).ok());
            let page = body(response, of, "a list of tags", MAX_MANIFEST_BYTES).await?;
            let page: serde_json::Value = serde_json::from_slice(&page)
                .map_err(|_| wrong(of, "the registry's list of tags is not JSON"))?;
            let tags = page["tags"].as_array().into_iter().flatten();
            let tags = tags.filter_map(|tag| tag.as_str());
            let tags = tags.filter(|tag| is_tag(tag) && !tag.starts_with(FALLBACK));
            names.extend(tags.map(str::to_owned));
            if names.len() > MAX_TAGS {
                return Err(wrong(of, format!("it has more than {MAX_TAGS} tags")));
            }
            match next.filter(|next| is_same(next, &first) && next.path() == first.path()) {
                Some(next) => url = next,
                None => break,
            }
        }
        Ok(names)
    }

    /// The same with the digest that its tag has now.
    pub(crate) async fn resolved(&self, reference: &Reference) -> Result<Reference, RegistryError> {
        let name =
            reference.tag().ok_or_else(|| wrong(reference, "it has neither tag nor digest"))?;
        let (bytes, said) = self.bytes_of_manifest(reference, name).await?;
        Manifest::read(&reference.to_string(), &bytes)?;
        let digest = sha256(&bytes);
        if said.as_ref().is_some_and(|said| is_digest(said) && *said != digest) {
            let said = said.unwrap_or_default();
            return Err(wrong(
                reference,
                format!("the registry says that it is `{said}`, and its digest is `{digest}`"),
            ));
        }
        reference.at(&digest).ok_or_else(|| wrong(reference, "it has no digest"))
    }

    /// The bytes of a manifest by its tag or digest, and the digest that the registry says it has.
    async fn bytes_of_manifest(
        &self,
        of: &Reference,
        name: &str,
    ) -> Result<(Bytes, Option<String>), RegistryError> {
        let what = format!("read `{of}`");
        let ask = Ask::get(of, &what, at(of, &format!("manifests/{name}"))?, MANIFEST);
        let response = self.0.expect(&ask, StatusCode::OK).await?;
        let said = header(response.headers(), CONTENT_DIGEST);
        let bytes = body(response, of, "its manifest", MAX_MANIFEST_BYTES).await?;
        Ok((bytes, said))
    }

    /// The manifest of a digest, which it is held against.
    async fn manifest(
        &self,
        of: &Reference,
        digest: &str,
    ) -> Result<(Bytes, Manifest), RegistryError> {
        let (bytes, _) = self.bytes_of_manifest(of, digest).await?;
        let got = sha256(&bytes);
        if got != digest {
            return Err(wrong(of, format!("what came for `{digest}` has the digest `{got}`")));
        }
        let manifest = Manifest::read(&of.to_string(), &bytes)?;
        Ok((bytes, manifest))
    }

    /// A manifest, which was looked at, with all that it names.
    async fn node(
        &self,
        of: &Reference,
        (bytes, manifest): (Bytes, Manifest),
    ) -> Result<Node, RegistryError> {
        let (what, name, mut blobs) = (format!("read `{of}`"), of.to_string(), Vec::new());
        for named in std::iter::once(&manifest.config).chain(&manifest.layers) {
            let url = at(of, &format!("blobs/{}", named.digest))?;
            let ask = Ask::get(of, &what, url, "");
            let response = self.0.expect(&ask, StatusCode::OK).await?;
            let blob = body(response, of, &format!("`{}`", named.digest), named.size).await?;
            named.check(&name, &blob)?;
            blobs.push(blob);
        }
        Ok(Node { bytes, manifest, blobs })
    }

    /// A component with its signatures and the files that its manifest names.
    pub(crate) async fn get(
        &self,
        of: &Reference,
        max_bytes: usize,
    ) -> Result<Artifact, RegistryError> {
        let (name, digest) = (of.to_string(), of.digest().unwrap_or_default());
        let read = self.manifest(of, digest).await?;
        read.1.check_component(&name, max_bytes as u64)?;
        let component = self.node(of, read).await?;
        let (mut files, mut signatures) = (None, Vec::new());
        let referrers = self.referrers(of, digest).await?;
        // Others' are not looked at, however many there are.
        let ours = referrers.manifests.into_iter().filter(|referrer| {
            let kind = referrer.artifact_type.as_deref();
            [Some(SIGNATURE), Some(FILES)].contains(&kind) && is_digest(&referrer.digest)
        });
        for referrer in ours.take(MAX_REFERRERS) {
            let is_of = |kind: &str| referrer.artifact_type.as_deref() == Some(kind);
            let Some(read) = or_left(of, self.manifest(of, &referrer.digest).await)? else {
                continue;
            };
            let refers = |subject: &Descriptor| subject.digest == digest;
            if !read.1.subject.as_ref().is_some_and(refers) {
                continue;
            }
            if is_of(SIGNATURE) {
                signatures.extend(or_left(of, self.signature(of, read).await)?);
            } else if files.is_none() && component.manifest.of_files() == Some(&read.1.files()) {
                read.1.check_files(&name)?;
                files = Some(self.node(of, read).await?);
            }
        }
        if files.is_none() && component.manifest.of_files().is_some() {
            tracing::warn!(
                reference = name,
                "the files that belong to it are not there: its golden cases, README and schema"
            );
        }
        Ok(Artifact { component, files, signatures })
    }

    /// A signature, whose manifest was read.
    async fn signature(
        &self,
        of: &Reference,
        read: (Bytes, Manifest),
    ) -> Result<Node, RegistryError> {
        read.1.check_signature(&of.to_string())?;
        self.node(of, read).await
    }

    /// What refers to a manifest: by the interface for that, else by the tag that stands in for it.
    async fn referrers(&self, of: &Reference, digest: &str) -> Result<Index, RegistryError> {
        let what = format!("list what refers to `{of}`");
        let (interface, tag) =
            (format!("referrers/{digest}"), format!("manifests/{}", fallback(digest)));
        for (path, is_interface) in [(interface, true), (tag, false)] {
            let ask = Ask::get(of, &what, at(of, &path)?, INDEX);
            let response = self.0.send(&ask).await?;
            let is_elsewhere = !is_same(response.url(), &ask.url);
            match response.status().as_u16() {
                // It leads to a page for people, as GitHub's does: it knows no such interface.
                _ if is_interface && is_elsewhere => {}
                200 => {
                    let what = "the list of what refers to it";
                    let bytes = body(response, of, what, MAX_MANIFEST_BYTES).await?;
                    match serde_json::from_slice(&bytes) {
                        Ok(index) => return Ok(index),
                        // Such a page of its own.
                        Err(_) if is_interface => {}
                        Err(_) => return Err(wrong(of, format!("{what} is malformed"))),
                    }
                }
                // It knows no such interface, or has no such tag.
                400 | 404 | 405 | 406 | 501 => {}
                _ => return Err(self.0.refused(&ask, response).await),
            }
        }
        Ok(Index::default())
    }

    /// Puts a component and what refers to it. The tag comes last.
    pub(crate) async fn put(
        &self,
        component: &Node,
        referrers: &[Node],
        to: &Reference,
    ) -> Result<Reference, RegistryError> {
        let tag = tag_of(to)?;
        let digest = component.digest();
        self.put_node(to, component, &digest).await?;
        let mut unlisted = Vec::new();
        for node in referrers {
            if !self.put_node(to, node, &node.digest()).await? {
                unlisted.push(node.descriptor());
            }
        }
        if !unlisted.is_empty() {
            self.list(to, &digest, unlisted).await?;
        }
        self.put_manifest(to, &component.bytes, MANIFEST, tag).await?;
        to.at(&digest).ok_or_else(|| wrong(to, "it has no digest"))
    }

    /// Adds to the list that stands under a tag, where the registry keeps none.
    async fn list(
        &self,
        to: &Reference,
        digest: &str,
        unlisted: Vec<Descriptor>,
    ) -> Result<(), RegistryError> {
        let mut index = self.referrers(to, digest).await?;
        for one in unlisted {
            if !index.manifests.iter().any(|listed| listed.digest == one.digest) {
                index.manifests.push(one);
            }
        }
        let bytes: Bytes = serde_json::to_vec(&index).expect("texts and numbers are JSON").into();
        self.put_manifest(to, &bytes, INDEX, &fallback(digest)).await.map(drop)
    }

    /// Puts what a manifest names, and then itself. Returns whether the registry lists it by its subject.
    async fn put_node(
        &self,
        to: &Reference,
        node: &Node,
        name: &str,
    ) -> Result<bool, RegistryError> {
        for (named, blob) in node.named() {
            self.put_blob(to, named, blob).await?;
        }
        self.put_manifest(to, &node.bytes, MANIFEST, name).await
    }

    async fn put_manifest(
        &self,
        to: &Reference,
        bytes: &Bytes,
        media_type: &str,
        name: &str,
    ) -> Result<bool, RegistryError> {
        let what = format!("write `{to}`");
        let ask = Ask {
            of: to,
            what: &what,
            method: Method::PUT,
            url: at(to, &format!("manifests/{name}"))?,
            accept: "",
            body: Some((bytes.clone(), media_type.to_owned())),
        };
        let response = self.0.expect(&ask, StatusCode::CREATED).await?;
        Ok(header(response.headers(), SUBJECT).is_some())
    }

    async fn put_blob(
        &self,
        to: &Reference,
        named: &Descriptor,
        blob: &Bytes,
    ) -> Result<(), RegistryError> {
        let (what, digest) = (format!("write `{to}`"), &named.digest);
        let ask = |method, url, body| Ask { of: to, what: &what, method, url, accept: "", body };
        let is_there = ask(Method::HEAD, at(to, &format!("blobs/{digest}"))?, None);
        if self.0.send(&is_there).await?.status() == StatusCode::OK {
            return Ok(());
        }
        let begin = at(to, "blobs/uploads/")?;
        let none = (Bytes::new(), "application/octet-stream".to_owned());
        let begun = ask(Method::POST, begin.clone(), Some(none));
        let begun = self.0.expect(&begun, StatusCode::ACCEPTED).await?;
        let mut url = location(to, &begin, &begun)?;
        url.query_pairs_mut().append_pair("digest", digest);
        let whole = (blob.clone(), "application/octet-stream".to_owned());
        let put = ask(Method::PUT, url, Some(whole));
        self.0.expect(&put, StatusCode::CREATED).await.map(drop)
    }
}

/// What is pushed is found again by its tag only.
pub(crate) fn tag_of(to: &Reference) -> Result<&str, RegistryError> {
    match (to.tag(), to.digest()) {
        (Some(tag), None) => Ok(tag),
        _ => Err(wrong(
            to,
            "it is where to push to: wanted a tag, and no digest, `oci://HOST/REPOSITORY:TAG`",
        )),
    }
}

/// One of several that refer to something: where it is gone, or is not what it is to be, it is left, so that it
/// hides no other.
fn or_left<T>(of: &Reference, read: Result<T, RegistryError>) -> Result<Option<T>, RegistryError> {
    match read {
        Err(error @ (RegistryError::NotFound { .. } | RegistryError::Wrong { .. })) => {
            tracing::warn!(reference = %of, error = causes(&error), "what refers to it is left");
            Ok(None)
        }
        read => read.map(Some),
    }
}

fn fallback(digest: &str) -> String {
    digest.replace(':', "-")
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// `Link: <URL>; rel="next"`
fn next_page(headers: &HeaderMap) -> Option<String> {
    let link = headers.get(LINK)?.to_str().ok()?;
    let (url, rest) = link.trim().strip_prefix('<')?.split_once('>')?;
    rest.contains("next").then(|| url.to_owned())
}
