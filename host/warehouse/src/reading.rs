//! Some files of a warehouse as an object store, for the SQL engine: it lists what a table has at one
//! moment, and finds what has been moved since.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::{self, BoxStream};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::Warehouse;

/// Where files are for a while that were replaced by one that holds more, under their own names.
pub(super) const REPLACED: &str = "_replaced";

/// Where a file of a table is once it is replaced.
pub(super) fn replaced(path: &Path) -> Path {
    path.parts().fold(Path::from(REPLACED), |path, part| path.join(part))
}

/// Files, to be read and nothing else.
#[derive(Debug)]
struct Reading {
    store: Arc<dyn ObjectStore>,
    files: Vec<ObjectMeta>,
}

impl Warehouse {
    /// A store that holds these files, by their names in the warehouse.
    pub fn reading(&self, files: Vec<ObjectMeta>) -> Arc<dyn ObjectStore> {
        Arc::new(Reading { store: self.store.clone(), files })
    }
}

impl Reading {
    fn refused(&self, operation: &str) -> Error {
        let (operation, implementer) = (operation.to_owned(), self.to_string());
        Error::NotImplemented { operation, implementer }
    }
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} files of a warehouse", self.files.len())
    }
}

#[async_trait]
impl ObjectStore for Reading {
    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(self.refused("`put_opts`"))
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(self.refused("`put_multipart_opts`"))
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        match self.store.get_opts(path, options.clone()).await {
            Err(Error::NotFound { .. }) => self.store.get_opts(&replaced(path), options).await,
            got => got,
        }
    }

    async fn get_ranges(&self, path: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.store.get_ranges(path, ranges).await {
            Err(Error::NotFound { .. }) => self.store.get_ranges(&replaced(path), ranges).await,
            got => got,
        }
    }

    fn delete_stream(
        &self,
        _: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let refused = self.refused("`delete_stream`");
        stream::once(async { Err(refused) }).boxed()
    }

    fn list(&self, _: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        stream::iter(self.files.clone()).map(Ok).boxed()
    }

    async fn list_with_delimiter(&self, _: Option<&Path>) -> Result<ListResult> {
        Err(self.refused("`list_with_delimiter`"))
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(self.refused("`copy_opts`"))
    }
}
