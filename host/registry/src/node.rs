//! Manifests, and what they name: of which media types, how much of it, and under which names. What a registry gives
//! is held against them before anybody else sees it.

use std::collections::BTreeMap;
use std::fmt::Write;

use bytes::Bytes;
use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::error::{RegistryError, wrong};
use clickmill_core::oci::is_digest;

pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// A component, and the description of one, as the CNCF's layout for Wasm has them.
const WASM: &str = "application/wasm";
const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The two things that refer to a component: its signature, and the files that belong to it.
pub(crate) const SIGNATURE: &str = "application/vnd.clickmill.minisig";
pub(crate) const FILES: &str = "application/vnd.clickmill.files.v1";
const TESTS: &str = "application/vnd.clickmill.tests.v1+json";
const LOOKUP: &str = "application/vnd.clickmill.lookup.v1";
const SCHEMA: &str = "application/schema+json";
const MARKDOWN: &str = "text/markdown";
/// The description of what needs none.
const EMPTY: (&str, &[u8]) = ("application/vnd.oci.empty.v1+json", b"{}");

const TITLE: &str = "org.opencontainers.image.title";
/// Of a component: the digest of the files that belong to it.
const OF_FILES: &str = "com.clickmill.files";

/// Bytes of a manifest or a list of them, and of a description.
pub(crate) const MAX_MANIFEST_BYTES: u64 = 4 << 20;
const MAX_CONFIG_BYTES: u64 = 1 << 20;
/// Bytes of a signature.
pub(crate) const MAX_SIGNATURE_BYTES: u64 = 32 << 10;
/// How many files belong to a component, and their bytes together.
const MAX_FILES: usize = 256;
const MAX_FILES_BYTES: u64 = 64 << 20;
const MAX_NAME_BYTES: usize = 128;

/// The names of files that lie beside a component, and of the folder of its golden cases.
pub(crate) const README: &str = "README.md";
pub(crate) const CONFIG_SCHEMA: &str = "config.schema.json";
const TESTS_FOLDER: &str = "tests";
/// The name of a signature, beside `plugin.wasm`, as minisign gives it.
pub(crate) const SIGNATURE_FILE: &str = "plugin.wasm.minisig";

/// `sha256:…` of content.
pub(crate) fn sha256(content: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in digest(&SHA256, content).as_ref() {
        // A text takes all that is written to it.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What a manifest names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub media_type: String,
    pub digest: String,
    pub size: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Manifest {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub artifact_type: Option<String>,
    pub config: Descriptor,
    pub layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// A list of manifests.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Index {
    schema_version: u32,
    #[serde(default)]
    media_type: Option<String>,
    pub manifests: Vec<Descriptor>,
}

impl Default for Index {
    fn default() -> Self {
        Self { schema_version: 2, media_type: Some(INDEX.to_owned()), manifests: Vec::new() }
    }
}

/// A manifest as it was read or made, with what it names: the description first, then the layers.
#[derive(Debug, Clone)]
pub(crate) struct Node {
    pub bytes: Bytes,
    pub manifest: Manifest,
    pub blobs: Vec<Bytes>,
}

/// What a component is pushed with.
#[derive(Debug, Default)]
pub struct Content {
    /// The component.
    pub component: Bytes,
    /// What it says of itself.
    pub name: String,
    /// What it says of itself.
    pub version: String,
    /// What it says of itself.
    pub description: String,
    /// The contract that it was built for.
    pub contract: String,
    /// What it imports.
    pub imports: Vec<String>,
    /// Its signature, in minisign's format.
    pub signature: Option<String>,
    /// `README.md`, `config.schema.json`, and `tests/…`.
    pub files: Vec<(String, Bytes)>,
}

impl Descriptor {
    fn of(media_type: &str, content: &[u8]) -> Self {
        Self {
            media_type: media_type.to_owned(),
            digest: sha256(content),
            size: content.len() as u64,
            artifact_type: None,
            annotations: BTreeMap::new(),
        }
    }

    /// A file, by its name.
    fn named(name: &str, media_type: &str, content: &[u8]) -> Self {
        let mut descriptor = Self::of(media_type, content);
        descriptor.annotations.insert(TITLE.to_owned(), name.to_owned());
        descriptor
    }

    pub(crate) fn title(&self) -> Option<&str> {
        self.annotations.get(TITLE).map(String::as_str)
    }

    /// Whether content is what is named.
    pub(crate) fn check(&self, of: &str, content: &[u8]) -> Result<(), RegistryError> {
        let (wanted, got) = (&self.digest, sha256(content));
        if content.len() as u64 != self.size {
            let (size, bytes) = (self.size, content.len());
            return Err(wrong(
                of,
                format!("`{wanted}` has {bytes} bytes, its manifest says {size}"),
            ));
        }
        if got != *wanted {
            return Err(wrong(of, format!("what came for `{wanted}` has the digest `{got}`")));
        }
        Ok(())
    }
}

impl Manifest {
    fn new(artifact_type: Option<&str>, config: Descriptor, layers: Vec<Descriptor>) -> Self {
        Self {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            artifact_type: artifact_type.map(str::to_owned),
            config,
            layers,
            subject: None,
            annotations: BTreeMap::new(),
        }
    }

    /// Reads a manifest, and looks at nothing that it names.
    pub(crate) fn read(of: &str, bytes: &[u8]) -> Result<Self, RegistryError> {
        let said: serde_json::Value =
            serde_json::from_slice(bytes).map_err(|_| wrong(of, "its manifest is not JSON"))?;
        let media_type = said["mediaType"].as_str().unwrap_or(MANIFEST);
        if media_type != MANIFEST {
            let media_type: String = media_type.chars().take(MAX_NAME_BYTES).collect();
            return Err(wrong(
                of,
                format!("it is of the media type `{media_type}`, wanted `{MANIFEST}`"),
            ));
        }
        let manifest: Self = serde_json::from_value(said)
            .map_err(|error| wrong(of, format!("its manifest is malformed: {error}")))?;
        let named = std::iter::once(&manifest.config).chain(&manifest.layers);
        match named.chain(&manifest.subject).find(|named| !is_digest(&named.digest)) {
            Some(_) => Err(wrong(of, "its manifest names a digest that is none of SHA-256")),
            None => Ok(manifest),
        }
    }

    /// Whether it is that of a component of at most so many bytes.
    pub(crate) fn check_component(&self, of: &str, max_bytes: u64) -> Result<(), RegistryError> {
        let [layer] = &self.layers[..] else {
            let layers = self.layers.len();
            return Err(wrong(of, format!("it has {layers} layers, wanted one, `{WASM}`")));
        };
        of_type(of, "its layer", layer, WASM)?;
        of_type(of, "its description", &self.config, WASM_CONFIG)?;
        at_most(of, "the component", layer.size, max_bytes)?;
        at_most(of, "its description", self.config.size, MAX_CONFIG_BYTES)
    }

    /// Whether it is that of a signature.
    pub(crate) fn check_signature(&self, of: &str) -> Result<(), RegistryError> {
        let [layer] = &self.layers[..] else {
            return Err(wrong(of, "a signature of it has not one layer"));
        };
        of_type(of, "its signature", layer, SIGNATURE)?;
        at_most(of, "its signature", layer.size, MAX_SIGNATURE_BYTES)?;
        at_most(of, "a description", self.config.size, MAX_CONFIG_BYTES)
    }

    /// Whether it is that of files which belong to a component: each under a name of its own, and of the kind that
    /// the name says.
    pub(crate) fn check_files(&self, of: &str) -> Result<(), RegistryError> {
        if self.layers.len() > MAX_FILES {
            let files = self.layers.len();
            return Err(wrong(
                of,
                format!("{files} files belong to it, wanted at most {MAX_FILES}"),
            ));
        }
        let mut names = Vec::new();
        for layer in &self.layers {
            let name = layer.title().unwrap_or_default();
            let media_type = type_of(name).ok_or_else(|| {
                let name: String = name.chars().take(MAX_NAME_BYTES).collect();
                wrong(of, format!("a file that belongs to it is named `{name}`"))
            })?;
            of_type(of, &format!("`{name}`"), layer, media_type)?;
            if names.contains(&name) {
                return Err(wrong(of, format!("two files that belong to it are named `{name}`")));
            }
            names.push(name);
        }
        let bytes = self.layers.iter().fold(0, |sum: u64, layer| sum.saturating_add(layer.size));
        at_most(of, "what belongs to it", bytes, MAX_FILES_BYTES)?;
        at_most(of, "a description", self.config.size, MAX_CONFIG_BYTES)
    }

    /// The digest of the files that belong to this component, where any do.
    pub(crate) fn of_files(&self) -> Option<&str> {
        self.annotations.get(OF_FILES).map(String::as_str)
    }

    /// The digest of these files: of their names, sizes and digests.
    pub(crate) fn files(&self) -> String {
        let line = |layer: &Descriptor| {
            format!("{} {} {}\n", layer.digest, layer.size, layer.title().unwrap_or_default())
        };
        sha256(self.layers.iter().map(line).collect::<String>().as_bytes())
    }
}

impl Node {
    fn new(manifest: Manifest, blobs: Vec<Bytes>) -> Self {
        let bytes = serde_json::to_vec(&manifest).expect("texts and numbers are JSON").into();
        Self { bytes, manifest, blobs }
    }

    pub(crate) fn digest(&self) -> String {
        sha256(&self.bytes)
    }

    /// As a list of manifests names it.
    pub(crate) fn descriptor(&self) -> Descriptor {
        let artifact_type = self.manifest.artifact_type.clone();
        Descriptor { artifact_type, ..Descriptor::of(MANIFEST, &self.bytes) }
    }

    /// The layers with their content.
    pub(crate) fn layers(&self) -> impl Iterator<Item = (&Descriptor, &Bytes)> {
        self.manifest.layers.iter().zip(self.blobs.iter().skip(1))
    }

    /// All that has to be there before the manifest.
    pub(crate) fn named(&self) -> impl Iterator<Item = (&Descriptor, &Bytes)> {
        std::iter::once(&self.manifest.config).chain(&self.manifest.layers).zip(&self.blobs)
    }

    /// Content as a component's manifest, and those that refer to it. The same content makes the same manifests.
    pub(crate) fn pack(content: &Content) -> Result<(Self, Vec<Self>), RegistryError> {
        let of = &content.name;
        let mut layers = Vec::new();
        let mut sorted: Vec<&(String, Bytes)> = content.files.iter().collect();
        sorted.sort();
        for (name, bytes) in &sorted {
            let media_type = type_of(name).ok_or_else(|| {
                wrong(of, format!("`{name}` has a name that may not be pushed: wanted at most {MAX_NAME_BYTES} letters, digits, `.`, `_` and `-`, and one of `.json`, `.csv` and `.tsv` at its end"))
            })?;
            layers.push(Descriptor::named(name, media_type, bytes));
        }
        let config = json!({
            // Not the time of the push: the digest is the content's.
            "created": "1970-01-01T00:00:00Z",
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [sha256(&content.component)],
            "component": {
                "exports": [content.contract], "imports": content.imports, "target": null,
            },
        });
        let config = Bytes::from(config.to_string());
        let layer = Descriptor::of(WASM, &content.component);
        let mut manifest = Manifest::new(None, Descriptor::of(WASM_CONFIG, &config), vec![layer]);
        for (key, value) in [
            (TITLE, &content.name),
            ("org.opencontainers.image.version", &content.version),
            ("org.opencontainers.image.description", &content.description),
        ] {
            if !value.is_empty() {
                manifest.annotations.insert(key.to_owned(), value.clone());
            }
        }
        let empty = || (Descriptor::of(EMPTY.0, EMPTY.1), Bytes::from_static(EMPTY.1));
        let mut referrers = Vec::new();
        if !layers.is_empty() {
            let (config, bytes) = empty();
            let files = Manifest::new(Some(FILES), config, layers);
            files.check_files(of)?;
            manifest.annotations.insert(OF_FILES.to_owned(), files.files());
            let contents = sorted.iter().map(|(_, bytes)| bytes.clone());
            referrers.push((files, std::iter::once(bytes).chain(contents).collect::<Vec<_>>()));
        }
        if let Some(signature) = &content.signature {
            let (config, bytes) = empty();
            let text = Bytes::from(signature.clone());
            let layer = Descriptor::named(SIGNATURE_FILE, SIGNATURE, &text);
            let signature = Manifest::new(Some(SIGNATURE), config, vec![layer]);
            signature.check_signature(of)?;
            referrers.push((signature, vec![bytes, text]));
        }
        let component = Self::new(manifest, vec![config, content.component.clone()]);
        let subject = component.descriptor();
        let refer = |(manifest, blobs): (Manifest, Vec<Bytes>)| {
            Self::new(Manifest { subject: Some(subject.clone()), ..manifest }, blobs)
        };
        let referrers = referrers.into_iter().map(refer).collect();
        Ok((component, referrers))
    }
}

/// The media type of a file that may belong to a component; `None` of one that may not.
pub(crate) fn type_of(name: &str) -> Option<&'static str> {
    match name.split_once('/') {
        None if name == README => Some(MARKDOWN),
        None if name == CONFIG_SCHEMA => Some(SCHEMA),
        Some((TESTS_FOLDER, file)) => {
            let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            if file.len() > MAX_NAME_BYTES || file.starts_with('.') || !file.bytes().all(plain) {
                return None;
            }
            match file.rsplit_once('.')?.1 {
                "json" => Some(TESTS),
                "csv" | "tsv" => Some(LOOKUP),
                _ => None,
            }
        }
        _ => None,
    }
}

fn of_type(of: &str, what: &str, named: &Descriptor, wanted: &str) -> Result<(), RegistryError> {
    if named.media_type == wanted {
        return Ok(());
    }
    let media_type: String = named.media_type.chars().take(MAX_NAME_BYTES).collect();
    Err(wrong(of, format!("{what} is of the media type `{media_type}`, wanted `{wanted}`")))
}

fn at_most(of: &str, what: &str, bytes: u64, max: u64) -> Result<(), RegistryError> {
    if bytes <= max {
        return Ok(());
    }
    Err(wrong(of, format!("{what} has {bytes} bytes, wanted at most {max}")))
}

#[cfg(test)]
mod tests;
