//! Object stores by URI: a disk or Cloud Storage, for those who read there and those who write there.

use std::fmt;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Component, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    ClientOptions, CopyMode, CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result as Got,
};

/// The environment variable that names a Cloud Storage emulator.
const EMULATOR_VARIABLE: &str = "STORAGE_EMULATOR_HOST";
/// How the URI of an object in Cloud Storage begins.
const CLOUD: &str = "gs://";

/// Why a URI leads nowhere.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It names no store that is known.
    #[error("`{uri}` is neither a path nor a `gs://bucket/object` URI")]
    Uri {
        /// What was given.
        uri: String,
    },
    /// It begins at the folder that the process runs in, which is gone.
    #[error("`{uri}` begins at the folder that this runs in, which cannot be found")]
    NoFolder {
        /// What was given.
        uri: String,
        /// Why.
        source: io::Error,
    },
    /// The store can't be used.
    #[error("cannot use the store of `{uri}`")]
    Store {
        /// What was given.
        uri: String,
        /// Why.
        source: object_store::Error,
    },
}

/// Whether a URI is a path on a disk.
pub fn is_local(uri: &str) -> bool {
    !uri.starts_with(CLOUD)
}

/// Bucket and object of a `gs://` URI, as they stand there.
pub fn bucket_and_object(uri: &str) -> (&str, &str) {
    let rest = uri.strip_prefix(CLOUD).unwrap_or(uri);
    rest.split_once('/').unwrap_or((rest, ""))
}

/// What a bucket is reached with: the environment's settings and credentials, or an emulator.
pub fn cloud(bucket: &str) -> GoogleCloudStorageBuilder {
    let builder = GoogleCloudStorageBuilder::from_env().with_bucket_name(bucket);
    let Ok(endpoint) = std::env::var(EMULATOR_VARIABLE) else { return builder };
    // What Google's own clients do with this variable: that endpoint, no credentials.
    let account = serde_json::json!({
        "gcs_base_url": endpoint, "disable_oauth": true,
        "client_email": "", "private_key": "", "private_key_id": "",
    });
    builder
        .with_service_account_key(account.to_string())
        .with_client_options(ClientOptions::new().with_allow_http(true))
}

/// The store that a path or URI names, and the path in it. Nothing is asked of the store yet.
pub fn open(uri: &str) -> Result<(Arc<dyn ObjectStore>, Path), StoreError> {
    let failed = |source| StoreError::Store { uri: uri.to_owned(), source };
    if !is_local(uri) {
        let (bucket, path) = bucket_and_object(uri);
        if bucket.is_empty() {
            return Err(StoreError::Uri { uri: uri.to_owned() });
        }
        let store = cloud(bucket).build().map(Cloud).map_err(failed)?;
        return Ok((Arc::new(store), Path::parse(path).map_err(|error| failed(error.into()))?));
    }
    let path = local(uri)?;
    let path = without_parents(absolute(uri, path)?);
    let path = Path::from_absolute_path(path).map_err(|error| failed(error.into()))?;
    Ok((Arc::new(LocalFileSystem::new()), path))
}

/// The absolute path of the path that a URI names.
///
/// # Errors
///
/// The path is empty, or begins at the folder that the process runs in and that is gone.
pub fn absolute(uri: &str, path: &str) -> Result<PathBuf, StoreError> {
    let uri = || uri.to_owned();
    std::path::absolute(path).map_err(|source| match path {
        "" => StoreError::Uri { uri: uri() },
        _ => StoreError::NoFolder { uri: uri(), source },
    })
}

/// An absolute path without `..`, which an object's has none of: as the disk has it, which knows links, or where it is
/// not there yet by its names.
fn without_parents(path: PathBuf) -> PathBuf {
    if !path.components().any(|part| part == Component::ParentDir) {
        return path;
    }
    fs::canonicalize(&path).unwrap_or_else(|_| {
        let mut plain = PathBuf::new();
        for part in path.components() {
            if part == Component::ParentDir {
                plain.pop();
            } else {
                plain.push(part);
            }
        }
        plain
    })
}

/// A bucket that copies as it is asked to: object_store 0.13.2 takes each mode of copying there for the other (its
/// issue 712; 0.14 does not).
#[derive(Debug)]
struct Cloud(GoogleCloudStorage);

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Cloud {
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Got<()> {
        let mode = match options.mode {
            CopyMode::Overwrite => CopyMode::Create,
            CopyMode::Create => CopyMode::Overwrite,
        };
        self.0.copy_opts(from, to, CopyOptions { mode, ..options }).await
    }

    async fn put_opts(&self, to: &Path, bytes: PutPayload, options: PutOptions) -> Got<PutResult> {
        self.0.put_opts(to, bytes, options).await
    }

    async fn put_multipart_opts(
        &self,
        to: &Path,
        options: PutMultipartOptions,
    ) -> Got<Box<dyn MultipartUpload>> {
        self.0.put_multipart_opts(to, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Got<GetResult> {
        self.0.get_opts(path, options).await
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Got<Vec<Bytes>> {
        self.0.get_ranges(path, ranges).await
    }

    fn delete_stream(&self, paths: BoxStream<'static, Got<Path>>) -> BoxStream<'static, Got<Path>> {
        self.0.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Got<ObjectMeta>> {
        self.0.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Got<ObjectMeta>> {
        self.0.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Got<ListResult> {
        self.0.list_with_delimiter(prefix).await
    }
}

/// The path on a disk that a path or a `file://` URI names.
pub fn local(uri: &str) -> Result<&str, StoreError> {
    match uri.split_once("://") {
        Some(("file", path)) => Ok(path),
        Some(_) => Err(StoreError::Uri { uri: uri.to_owned() }),
        None => Ok(uri),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_on_a_disk_may_lead_up() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = fs::canonicalize(scratch.path()).expect("a path");
        for made in ["in/deep", "in/plugins"] {
            fs::create_dir_all(folder.join(made)).expect("a folder");
        }
        std::os::unix::fs::symlink(folder.join("in/deep"), folder.join("link")).expect("a link");
        for (given, wanted) in [
            ("in/plugins", "in/plugins"),
            ("in/deep/../plugins", "in/plugins"),
            ("link/../plugins", "in/plugins"),
            ("in/../later", "later"),
            ("none/../later", "later"),
        ] {
            let (_, path) = open(&folder.join(given).to_string_lossy()).expect(given);
            let wanted = Path::from_absolute_path(folder.join(wanted)).expect("a path");
            assert_eq!(path, wanted, "{given}");
        }
    }
}
