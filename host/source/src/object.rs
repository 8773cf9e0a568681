//! Objects: something with a name, an identity and bytes, which are decompressed as they are read.

use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use futures::future::BoxFuture;
use tokio::runtime::Handle;

use super::gzip::Gzip;
use super::interrupt::{Interrupt, ThreadReader};
use super::names::{NotSeen, PassedOver};
use super::{SourceError, cloud, local};
use clickmill_config::Generated;
use clickmill_core::{Micros, store};
use clickmill_generator::{BadShares, Generator, Kind, Options};

/// Bytes read from a file at once.
const READ_BYTES: usize = 256 << 10;
/// So much may be compressed within what is compressed: a `.gz` that was sent with gzip's encoding is
/// stored as gzip of gzip.
const COMPRESSIONS: usize = 2;
/// An object that ends within so many bytes may hold nothing but line ends.
const PEEK_BYTES: u64 = 64;
/// What text may begin with, and be nothing yet: byte order marks.
const MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];

/// Something to read records from.
#[derive(Debug, Clone)]
pub struct Object {
    /// Its name: a URI, `stdin`, or what the generator was asked for.
    pub uri: String,
    /// Tells one content under this name from another. Of what has no content to go back to, each run's
    /// is another.
    pub generation: String,
    /// Its size in bytes as stored, where it is known.
    pub size: Option<u64>,
    origin: Origin,
}

#[derive(Debug, Clone)]
enum Origin {
    File(local::Listed),
    Cloud(cloud::Listed),
    Stdin,
    Generator(Options),
}

/// What a source holds at one moment.
#[derive(Debug, Default)]
pub struct Listing {
    /// What there is to load.
    pub objects: Vec<Object>,
    /// What holds nothing, or is not data.
    pub passed_over: Vec<PassedOver>,
    /// What can't be looked at.
    pub not_seen: Vec<NotSeen>,
}

impl Listing {
    pub(super) fn of(object: Object) -> Self {
        Self { objects: vec![object], ..Self::default() }
    }
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

impl Object {
    /// Standard input.
    pub fn stdin() -> Self {
        let generation = run_of_its_own();
        Self { uri: "stdin".to_owned(), generation, size: None, origin: Origin::Stdin }
    }

    /// The generator.
    pub fn generator(generated: &Generated) -> Result<Self, SourceError> {
        let options = generator_options(generated)?;
        let Generated { data, rows, seed, bad } = generated;
        let uri = format!("generator:{data}?rows={rows}&seed={seed}&bad={bad}");
        Ok(Self {
            uri,
            generation: run_of_its_own(),
            size: None,
            origin: Origin::Generator(options),
        })
    }

    fn file(listed: local::Listed) -> Self {
        let (generation, size) = if listed.is_regular {
            (listed.version.generation(), Some(listed.version.size))
        } else {
            (run_of_its_own(), None)
        };
        Self { uri: local::uri(&listed.path), generation, size, origin: Origin::File(listed) }
    }

    fn cloud(listed: cloud::Listed) -> Self {
        let (uri, generation, size) = (listed.uri(), listed.generation(), listed.size());
        Self { uri, generation, size, origin: Origin::Cloud(listed) }
    }

    /// `uri@generation`, as rows and the ledger have it.
    pub fn name(&self) -> String {
        format!("{}@{}", self.uri, self.generation)
    }

    /// Other names by which it may be in the ledger: earlier versions took the entity tag of a listed object for its
    /// generation, and a path as it was given for a file's name; and of hard links another may have been the first.
    pub fn earlier_names(&self) -> Vec<String> {
        let named = |uri: &str, generation: &str| format!("{uri}@{generation}");
        let mut names: Vec<String> = match &self.origin {
            Origin::Cloud(listed) => {
                listed.e_tag().map(|tag| named(&self.uri, tag)).into_iter().collect()
            }
            Origin::File(listed) => {
                let others = listed.others.iter();
                others.map(|path| named(&local::uri(path), &self.generation)).collect()
            }
            Origin::Stdin | Origin::Generator(_) => Vec::new(),
        };
        names.retain(|name| *name != self.name());
        names
    }

    /// Whether the same bytes may be met again under its name: not those of standard input, the generator
    /// or a pipe.
    pub fn stays(&self) -> bool {
        match &self.origin {
            Origin::File(listed) => listed.is_regular,
            Origin::Cloud(_) => true,
            Origin::Stdin | Origin::Generator(_) => false,
        }
    }

    /// Whether its bytes can be read but once: those of standard input or a pipe.
    pub fn is_read_once(&self) -> bool {
        match &self.origin {
            Origin::File(listed) => !listed.is_regular,
            Origin::Stdin => true,
            Origin::Cloud(_) | Origin::Generator(_) => false,
        }
    }

    /// When it was written last, where it may be in the writing: a file. An object in Cloud Storage
    /// appears whole.
    pub fn may_grow(&self) -> Option<SystemTime> {
        match &self.origin {
            Origin::File(listed) if listed.is_regular => Some(listed.version.modified),
            _ => None,
        }
    }

    /// Fails where it is known not to be what it was when it was listed.
    pub fn check_unchanged(&self) -> Result<(), SourceError> {
        let Origin::File(listed) = &self.origin else { return Ok(()) };
        let uri = || self.uri.clone();
        match listed.is_unchanged() {
            Ok(true) => Ok(()),
            Ok(false) if !listed.is_regular => Ok(()),
            Ok(false) => Err(SourceError::Changed { uri: uri() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(SourceError::Gone { uri: uri() })
            }
            Err(source) => Err(SourceError::Read { uri: uri(), source }),
        }
    }

    /// The whole object that has taken this one's place under its name, where there is one: in Cloud
    /// Storage. What takes a file's place may be in the writing.
    pub async fn successor(&self) -> Result<Option<Self>, SourceError> {
        let Origin::Cloud(listed) = &self.origin else { return Ok(None) };
        let now = listed.again().await?.map(Self::cloud);
        Ok(now.filter(|now| now.generation != self.generation && now.size != Some(0)))
    }

    /// Opens it; `None` where it is short and holds nothing but a byte order mark or line ends: of a longer
    /// one who decodes it says so. Compression (gzip, zstd) is told by content. The reader blocks, so it
    /// belongs on a thread of its own; `runtime` does the waiting, which `interrupt` ends. Its errors hold a
    /// [`SourceError`].
    pub fn open(
        &self,
        runtime: &Handle,
        progress: &Progress,
        interrupt: &Interrupt,
    ) -> Result<Option<Box<dyn Read + Send>>, SourceError> {
        let aside = |inner: Box<dyn Read + Send>| {
            Box::new(ThreadReader::start(&self.uri, inner, runtime, interrupt))
        };
        let stored: Box<dyn Read + Send> = match &self.origin {
            Origin::Stdin => aside(Box::new(io::stdin())),
            Origin::Generator(options) => Box::new(Generator::new(options)),
            Origin::File(listed) if listed.is_regular => Box::new(listed.open()?),
            Origin::File(listed) => aside(Box::new(listed.open()?)),
            Origin::Cloud(listed) => Box::new(listed.reader(runtime, interrupt)),
        };
        let stored = Named {
            inner: stored,
            progress: Some(progress.clone()),
            failed: |uri, source| SourceError::Read { uri, source },
            uri: self.uri.clone(),
        };
        let opened = self.decompressed(Box::new(stored)).and_then(peeked);
        opened.map_err(|error| match error.downcast::<SourceError>() {
            Ok(error) => error,
            Err(source) => SourceError::Read { uri: self.uri.clone(), source },
        })
    }

    fn decompressed(&self, mut input: Box<dyn Read + Send>) -> io::Result<Box<dyn Read + Send>> {
        for _ in 0..COMPRESSIONS {
            let mut buffered = BufReader::with_capacity(READ_BYTES, input);
            let start = buffered.fill_buf()?;
            let inner: Box<dyn Read + Send> = if start.starts_with(&[0x1f, 0x8b]) {
                Box::new(Gzip::new(buffered))
            } else if is_zstd(start) {
                Box::new(zstd::Decoder::with_buffer(buffered)?)
            } else {
                return Ok(Box::new(buffered));
            };
            input = Box::new(Named {
                inner,
                progress: None,
                failed: |uri, source| SourceError::Compression { uri, source },
                uri: self.uri.clone(),
            });
        }
        Ok(input)
    }
}

/// Whether bytes begin as zstd does: with a frame of data, or with one to be skipped, as what `pzstd` writes.
fn is_zstd(start: &[u8]) -> bool {
    matches!(start, [0x28, 0xb5, 0x2f, 0xfd, ..] | [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
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

/// A reader whose errors name the object, and say what they mean for it.
struct Named {
    inner: Box<dyn Read + Send>,
    progress: Option<Progress>,
    failed: fn(String, io::Error) -> SourceError,
    uri: String,
}

impl Read for Named {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let got = self.inner.read(buffer).map_err(|error| {
            let is_said = SourceError::within(&error).is_some();
            if is_said || error.kind() == io::ErrorKind::Interrupted {
                error
            } else {
                (self.failed)(self.uri.clone(), error).into()
            }
        })?;
        if let Some(progress) = &self.progress {
            progress.add(got as u64);
        }
        Ok(got)
    }
}

/// The reader with all its bytes, unless there is nothing in them.
fn peeked(mut input: Box<dyn Read + Send>) -> io::Result<Option<Box<dyn Read + Send>>> {
    let mut start = Vec::new();
    input.by_ref().take(PEEK_BYTES).read_to_end(&mut start)?;
    let mark = MARKS.iter().find_map(|mark| start.strip_prefix(*mark));
    let text = mark.unwrap_or(&start);
    let is_nothing = text.iter().all(|byte| matches!(byte, b'\r' | b'\n'));
    if is_nothing && (start.len() as u64) < PEEK_BYTES {
        return Ok(None);
    }
    Ok(Some(Box::new(Cursor::new(start).chain(input))))
}

pub(super) fn list<'a>(
    uri: &'a str,
    after: Option<&'a str>,
) -> BoxFuture<'a, Result<Listing, SourceError>> {
    Box::pin(async move {
        let listing = if store::is_local(uri) {
            let given = uri.to_owned();
            // A thread of its own, for which nobody waits who gives the listing up.
            let (to, listed) = tokio::sync::oneshot::channel();
            std::thread::spawn(move || to.send(local::list(&given)));
            let gone = |error| SourceError::Folder {
                uri: uri.to_owned(),
                source: io::Error::other(error),
            };
            let local::Contents { files, passed_over, not_seen } = listed.await.map_err(gone)??;
            let objects = files.into_iter().map(Object::file).collect();
            Listing { objects, passed_over, not_seen }
        } else {
            let (found, passed_over) = cloud::list(uri, after).await?;
            let objects = found.into_iter().map(Object::cloud).collect();
            Listing { objects, passed_over, not_seen: Vec::new() }
        };
        let Listing { objects, passed_over, not_seen } = &listing;
        if objects.is_empty() && passed_over.is_empty() && not_seen.is_empty() {
            return Err(SourceError::Nothing { uri: uri.to_owned() });
        }
        Ok(listing)
    })
}

#[cfg(test)]
mod tests;
