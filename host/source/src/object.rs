//! Objects: listed by path, URI or glob pattern; opened as decompressed bytes.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path as FilePath;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::TryStreamExt;
use object_store::{GetOptions, GetResultPayload, ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio_util::io::{StreamReader, SyncIoBridge};

use super::gzip::Gzip;
use clickmill_config::Generated;
use clickmill_core::store::{self, StoreError};
use clickmill_core::{Fault, Micros};
use clickmill_generator::{BadShares, Generator, Kind, Options};

/// Bytes read from a file at once.
const READ_BYTES: usize = 256 << 10;

/// Something to read records from.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its name: a URI, `stdin`, or what the generator was asked for.
    pub uri: String,
    /// Tells one content under this name from another. What has nothing that would, standard input and
    /// the generator, has one of its own in each run.
    pub generation: String,
    /// Its size in bytes as stored, where it is known.
    pub size: Option<u64>,
    origin: Origin,
}

#[derive(Debug, Clone)]
enum Origin {
    Store(Arc<dyn ObjectStore>, Box<ObjectMeta>),
    Stdin,
    Generator(Options),
}

/// How many stored bytes of an object have been read.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// Counts bytes.
    pub fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    /// So far.
    pub fn bytes(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why there is nothing to read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The URI leads nowhere.
    #[error(transparent)]
    Address(#[from] StoreError),
    /// Invalid glob pattern.
    #[error("`{uri}` is not a glob pattern")]
    Pattern {
        /// What was given.
        uri: String,
        /// Why.
        source: glob::PatternError,
    },
    /// The store does not answer.
    #[error("cannot list `{uri}`")]
    Store {
        /// What was given.
        uri: String,
        /// Why.
        source: object_store::Error,
    },
    /// Nothing is there.
    #[error("there is no object `{uri}`")]
    Nothing {
        /// What was given.
        uri: String,
    },
    /// The object can't be opened.
    #[error("cannot open `{uri}`")]
    Open {
        /// The object.
        uri: String,
        /// Why.
        source: io::Error,
    },
    /// A client can't be made: no credentials, say.
    #[error("cannot connect to `{what}`")]
    Client {
        /// The subscription or topic.
        what: String,
        /// Why.
        source: google_cloud_gax::client_builder::Error,
    },
    /// The subscription can't be pulled from.
    #[error("cannot pull from `{what}`")]
    Pull {
        /// The subscription.
        what: String,
        /// Why.
        source: google_cloud_gax::error::Error,
    },
    /// A topic or subscription can't be created.
    #[error("cannot create `{what}`")]
    Create {
        /// Which.
        what: String,
        /// Why.
        source: google_cloud_gax::error::Error,
    },
    /// A topic takes no messages.
    #[error("cannot publish to `{topic}`")]
    Publish {
        /// The topic.
        topic: String,
        /// Why.
        source: Box<google_cloud_pubsub::error::PublishError>,
    },
    /// There is no such subscription.
    #[error(
        "there is no subscription `{name}`: create it, or name its topic in `source.create_from_topic`"
    )]
    NoSubscription {
        /// Its name.
        name: String,
    },
    /// The generator can't make that.
    #[error("the generator cannot make `{what}`")]
    Generator {
        /// What it was asked for.
        what: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl SourceError {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        match self {
            Self::Store { .. }
            | Self::Open { .. }
            | Self::Client { .. }
            | Self::Create { .. }
            | Self::Publish { .. }
            | Self::Pull { .. } => Fault::Environment,
            Self::Address(_)
            | Self::Pattern { .. }
            | Self::Nothing { .. }
            | Self::NoSubscription { .. }
            | Self::Generator { .. } => Fault::Input,
        }
    }
}

impl Object {
    /// Standard input.
    pub fn stdin() -> Self {
        let (uri, generation) = ("stdin".to_owned(), run_of_its_own());
        Self { uri, generation, size: None, origin: Origin::Stdin }
    }

    /// The generator.
    pub fn generator(generated: &Generated) -> Result<Self, SourceError> {
        let options = generator_options(generated)?;
        let Generated { data, rows, seed, bad } = generated;
        let uri = format!("generator:{data}?rows={rows}&seed={seed}&bad={bad}");
        let generation = run_of_its_own();
        Ok(Self { uri, generation, size: None, origin: Origin::Generator(options) })
    }

    /// `uri@generation`, as rows and the ledger have it.
    pub fn name(&self) -> String {
        format!("{}@{}", self.uri, self.generation)
    }

    /// Opens it. Compression (gzip, zstd) is told by content. `runtime` does the reading of remote
    /// objects; the reader blocks, so it belongs on a thread of its own.
    pub fn open(
        &self,
        runtime: &tokio::runtime::Handle,
        progress: &Progress,
    ) -> Result<Box<dyn Read + Send>, SourceError> {
        let failed = |source| SourceError::Open { uri: self.uri.clone(), source };
        let stored: Box<dyn Read + Send> = match &self.origin {
            Origin::Stdin => Box::new(io::stdin()),
            Origin::Generator(options) => Box::new(Generator::new(options)),
            Origin::Store(store, meta) => {
                // Of an object that changes while it is read, one version is read or none.
                let options = GetOptions {
                    if_match: meta.e_tag.clone(),
                    version: meta.version.clone(),
                    ..GetOptions::default()
                };
                let got = runtime
                    .block_on(store.get_opts(&meta.location, options))
                    .map_err(|error| failed(io::Error::other(error)))?;
                match got.payload {
                    GetResultPayload::File(file, _) => Box::new(file),
                    GetResultPayload::Stream(stream) => {
                        let reader = StreamReader::new(stream.map_err(io::Error::other));
                        Box::new(SyncIoBridge::new_with_handle(reader, runtime.clone()))
                    }
                }
            }
        };
        let counted = Counted { inner: stored, progress: progress.clone() };
        decompressed(BufReader::with_capacity(READ_BYTES, counted)).map_err(failed)
    }
}

/// What no other run is called.
pub(super) fn run_of_its_own() -> String {
    format!("{:x}-{:08x}", Micros::now().get(), rand::random::<u32>())
}

/// What the generator is to make.
pub(super) fn generator_options(generated: &Generated) -> Result<Options, SourceError> {
    let Generated { data, rows, seed, bad } = generated;
    let failed = |source: Box<dyn std::error::Error + Send + Sync>| SourceError::Generator {
        what: format!("{data} with {bad} bad"),
        source,
    };
    let kind: Kind = data.parse().map_err(|error| failed(Box::new(error)))?;
    let mut options = Options::new(kind, *rows, *seed);
    options.bad = bad.parse::<BadShares>().map_err(|error| failed(error.into()))?;
    options.bad.check(kind).map_err(|error| failed(error.into()))?;
    Ok(options)
}

struct Counted {
    inner: Box<dyn Read + Send>,
    progress: Progress,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.progress.add(got as u64);
        Ok(got)
    }
}

fn decompressed(mut input: BufReader<Counted>) -> io::Result<Box<dyn Read + Send>> {
    let start = input.fill_buf()?;
    Ok(if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(Gzip::new(input))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::Decoder::with_buffer(input)?)
    } else {
        Box::new(input)
    })
}

pub(super) async fn list(uri: &str) -> Result<Vec<Object>, SourceError> {
    let failed = |source| SourceError::Store { uri: uri.to_owned(), source };
    let local = store::is_local(uri);
    let pattern_at = uri.find(['*', '?', '[']);
    // A name that ends as a folder's stands for all that the folder holds.
    let all;
    let (uri, pattern_at) = match uri.strip_suffix('/') {
        Some(folder) => {
            all = format!("{folder}/**");
            (all.as_str(), all.find(['*', '?', '[']))
        }
        None => (uri, pattern_at),
    };
    // A file may be named like a pattern.
    let literal = pattern_at.is_none() || (local && FilePath::new(uri).is_file());
    let mut found: Vec<(Arc<dyn ObjectStore>, ObjectMeta)> = Vec::new();
    if literal {
        let (store, path) = store::open(uri)?;
        match store.head(&path).await {
            Ok(meta) => found.push((store, meta)),
            Err(object_store::Error::NotFound { .. }) => {}
            Err(error) => return Err(failed(error)),
        }
    } else {
        let folder = &uri[..uri[..pattern_at.unwrap_or(0)].rfind('/').map_or(0, |slash| slash + 1)];
        let (store, prefix) = store::open(if folder.is_empty() { "." } else { folder })?;
        let relative = uri[folder.len()..].to_owned();
        let pattern = if prefix.as_ref().is_empty() {
            relative
        } else {
            format!("{}/{relative}", glob::Pattern::escape(prefix.as_ref()))
        };
        let pattern = glob::Pattern::new(&pattern)
            .map_err(|source| SourceError::Pattern { uri: uri.to_owned(), source })?;
        let options = glob::MatchOptions { require_literal_separator: true, ..Default::default() };
        let listed: Vec<ObjectMeta> =
            store.list(Some(&prefix)).try_collect().await.map_err(failed)?;
        let matching =
            listed.into_iter().filter(|m| pattern.matches_with(m.location.as_ref(), options));
        found.extend(matching.map(|meta| (store.clone(), meta)));
    }
    if found.is_empty() {
        return Err(SourceError::Nothing { uri: uri.to_owned() });
    }
    found.sort_by(|(_, a), (_, b)| a.location.cmp(&b.location));
    let scheme = if local {
        "file:///".to_owned()
    } else {
        uri.split('/').take(3).map(|part| format!("{part}/")).collect()
    };
    Ok(found
        .into_iter()
        .map(|(store, meta)| Object {
            uri: format!("{scheme}{}", meta.location),
            generation: generation(&meta, local),
            size: Some(meta.size),
            origin: Origin::Store(store, Box::new(meta)),
        })
        .collect())
}

/// Cloud Storage numbers the generations of an object; a file has its time and size.
fn generation(meta: &ObjectMeta, local: bool) -> String {
    let told = if local { None } else { meta.version.clone().or_else(|| meta.e_tag.clone()) };
    let told = told.map(|tag| tag.trim_matches('"').to_owned());
    told.unwrap_or_else(|| format!("{}-{}", meta.last_modified.timestamp_micros(), meta.size))
}
