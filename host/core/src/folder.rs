//! A folder on a disk, or a prefix in Cloud Storage, as an object store of its own. Names in the store are
//! relative to the folder, so the folder's own path may hold whatever a file system takes; what is put is
//! durable once it is told so.

use std::fmt;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    CopyMode, CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, RenameTargetMode, Result,
};

use super::store::{self, StoreError};
use super::{durable, file, private};

/// Opens what a path or URI names, and says where that is on a disk. It need not exist yet, and nothing is
/// asked of it.
pub fn open(uri: &str) -> std::result::Result<(Arc<dyn ObjectStore>, Option<PathBuf>), StoreError> {
    if store::is_local(uri) {
        let path = on_disk(uri)?;
        return Ok((Arc::new(Folder::new(path.clone())), Some(path)));
    }
    let (store, prefix) = store::open(uri)?;
    Ok((Arc::new(PrefixStore::new(store, prefix)), None))
}

/// Whether a URI names a place that [`open`] knows: a folder, or a bucket of Cloud Storage.
#[must_use]
pub fn is_known(uri: &str) -> bool {
    if store::is_local(uri) {
        on_disk(uri).is_ok()
    } else {
        !store::bucket_and_object(uri).0.is_empty()
    }
}

/// The absolute path of a URI on a disk. What comes before `://` is a scheme only where it looks like
/// one: paths may hold anything.
fn on_disk(uri: &str) -> std::result::Result<PathBuf, StoreError> {
    let is_scheme = |text: &str| {
        text.starts_with(|c: char| c.is_ascii_alphabetic())
            && text.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    };
    let path = match uri.split_once("://") {
        Some(("file", path)) => path,
        Some((scheme, _)) if is_scheme(scheme) => {
            return Err(StoreError::Uri { uri: uri.to_owned() });
        }
        Some(_) | None => uri,
    };
    store::absolute(uri, path)
}

/// Moves a damaged object out of everybody's way, to a name that ends in `.damaged`, and returns that
/// name. What is at fault is told by whoever noticed.
pub async fn set_aside(store: &dyn ObjectStore, path: &Path) -> Result<Path> {
    let mut number = 0_u32;
    loop {
        let ending = if number == 0 { String::new() } else { format!(".{number}") };
        let aside = Path::parse(format!("{path}{ending}.damaged"))?;
        match store.rename_if_not_exists(path, &aside).await {
            Err(Error::AlreadyExists { .. }) => number += 1,
            moved => return moved.map(|()| aside),
        }
    }
}

/// Where files are made: nothing there is ever read.
const STAGING: &str = "_staging";

/// A folder, which need not exist before something is put there.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// What reads it, once it is there.
    files: OnceLock<LocalFileSystem>,
    swept: OnceLock<()>,
}

impl Folder {
    /// A folder by its absolute path.
    fn new(path: PathBuf) -> Self {
        Self { path, files: OnceLock::new(), swept: OnceLock::new() }
    }

    fn files(&self) -> Result<&LocalFileSystem> {
        if let Some(files) = self.files.get() {
            return Ok(files);
        }
        let files = match LocalFileSystem::new_with_prefix(&self.path) {
            Ok(files) => files,
            Err(_) if !self.path.exists() => return Err(self.missing()),
            Err(error) => return Err(error),
        };
        Ok(self.files.get_or_init(|| files))
    }

    fn missing(&self) -> Error {
        let path = self.path.display().to_string();
        Error::NotFound { path, source: io::Error::from(ErrorKind::NotFound).into() }
    }

    fn on_disk(&self, location: &Path) -> PathBuf {
        self.path.join(location.as_ref())
    }

    /// The way of all that is written here: where it goes, and where it is made before. None leads over another
    /// user's link. What killed processes left where files are made is removed first.
    async fn way(&self, location: &Path) -> Result<Way> {
        let (folder, to) = (self.path.clone(), self.on_disk(location));
        let is_first = self.swept.set(()).is_ok();
        let way = on_thread(move || {
            private::check_way(&folder, &to)?;
            let staging = folder.join(STAGING);
            if private::link_of_another(&folder, &staging).is_some() {
                return Ok(Way { part: durable::part_of(&to), to });
            }
            if is_first {
                durable::sweep(&staging);
            }
            Ok(Way { part: durable::part_in(&staging), to })
        });
        way.await.map_err(|error| failed(location, error))
    }

    /// What is copied or moved from, which another user's link does not choose either.
    async fn source(&self, location: &Path) -> Result<PathBuf> {
        let (folder, path) = (self.path.clone(), self.on_disk(location));
        let checked = on_thread(move || {
            private::check_way(&folder, &path)?;
            file::check(&path).map(|()| path)
        });
        checked.await.map_err(|error| failed(location, error))
    }

    /// What reads an object. A pipe in its place would be waited for.
    async fn files_for(&self, location: &Path) -> Result<&LocalFileSystem> {
        let (folder, path) = (self.path.clone(), self.on_disk(location));
        let checked = on_thread(move || check_read(&folder, &path)).await;
        checked.map_err(|error| failed(location, error))?;
        self.files()
    }
}

/// Where a file goes, and where it is made before.
struct Way {
    part: PathBuf,
    to: PathBuf,
}

impl fmt::Display for Folder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path.display())
    }
}

/// Waits for the disk where that may be waited for.
async fn on_thread<T: Send + 'static>(
    what: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let done = tokio::task::spawn_blocking(what).await;
    done.unwrap_or_else(|error| Err(io::Error::other(error)))
}

/// Whether a file of a folder may be read.
fn check_read(folder: &std::path::Path, path: &std::path::Path) -> io::Result<()> {
    file::check(path)?;
    private::check_read(folder, path)
}

/// Why a file could not be made. What has its name and is none was not made by another: nobody would find there what
/// others are taken to have made.
fn no_file(path: &std::path::Path, error: io::Error) -> io::Error {
    let is_there = fs::symlink_metadata(path).is_ok() && !path.is_file();
    if error.kind() != ErrorKind::AlreadyExists || !is_there {
        return error;
    }
    io::Error::other(format!("`{}` is in the way, and is not a file", path.display()))
}

fn failed(location: &Path, error: io::Error) -> Error {
    let path = location.to_string();
    match error.kind() {
        ErrorKind::AlreadyExists => Error::AlreadyExists { path, source: error.into() },
        ErrorKind::NotFound => Error::NotFound { path, source: error.into() },
        _ => Error::Generic { store: "file system", source: error.into() },
    }
}

#[async_trait]
impl ObjectStore for Folder {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let Way { part, to } = self.way(location).await?;
        let bytes = Bytes::from(payload);
        let put = match options.mode {
            PutMode::Overwrite => on_thread(move || durable::write_by(part, &to, &bytes)).await,
            PutMode::Create => {
                on_thread(move || {
                    durable::create_by(part, &to, &bytes).map_err(|error| no_file(&to, error))
                })
                .await
            }
            PutMode::Update(_) => {
                let operation = "`put_opts` with mode `PutMode::Update`".to_owned();
                let implementer = self.to_string();
                return Err(Error::NotImplemented { operation, implementer });
            }
        };
        put.map_err(|error| failed(location, error))?;
        Ok(PutResult { e_tag: None, version: None })
    }

    async fn put_multipart_opts(
        &self,
        _location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        // A large file is written as a file, and published.
        let operation = "`put_multipart_opts`".to_owned();
        Err(Error::NotImplemented { operation, implementer: self.to_string() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.files_for(location).await?.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.files_for(location).await?.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let files = match self.files() {
            Ok(files) => files,
            Err(error) => return stream::once(async { Err(error) }).boxed(),
        };
        let folder = self.path.clone();
        let locations = locations.then(move |location| {
            let folder = folder.clone();
            async move {
                let location = location?;
                let path = folder.join(location.as_ref());
                let checked = on_thread(move || private::check_way(&folder, &path)).await;
                checked.map_err(|error| failed(&location, error))?;
                Ok::<_, Error>(location)
            }
        });
        files.delete_stream(locations.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.files() {
            Ok(files) => files.list(prefix),
            Err(Error::NotFound { .. }) => stream::empty().boxed(),
            Err(error) => stream::once(async { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        match self.files() {
            Ok(files) => files.list_with_delimiter(prefix).await,
            Err(Error::NotFound { .. }) => {
                Ok(ListResult { common_prefixes: Vec::new(), objects: Vec::new() })
            }
            Err(error) => Err(error),
        }
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let Way { part, to: target } = self.way(to).await?;
        let source = self.source(from).await?;
        let copied = match options.mode {
            CopyMode::Create => {
                on_thread(move || {
                    durable::link(&source, &target).map_err(|error| no_file(&target, error))
                })
                .await
            }
            CopyMode::Overwrite => {
                let folder = self.path.clone();
                on_thread(move || {
                    private::check_read(&folder, &source)?;
                    let mut bytes = Vec::new();
                    file::open(&source)?.read_to_end(&mut bytes)?;
                    durable::write_by(part, &target, &bytes)
                })
                .await
            }
        };
        copied.map_err(|error| failed(to, error))
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        let Way { to: target, .. } = self.way(to).await?;
        let source = self.source(from).await?;
        let moved = match options.target_mode {
            RenameTargetMode::Create => on_thread(move || durable::publish(&source, &target)).await,
            RenameTargetMode::Overwrite => {
                on_thread(move || {
                    if let Some(folder) = target.parent() {
                        durable::folders(folder)?;
                    }
                    fs::rename(&source, &target)?;
                    durable::sync_name(&target)
                })
                .await
            }
        };
        moved.map_err(|error| failed(to, error))
    }
}

#[cfg(test)]
mod tests;
