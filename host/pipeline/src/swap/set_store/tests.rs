use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    PutMultipartOptions, PutResult, Result,
};

use super::*;

/// A store that counts what is sent to it.
#[derive(Debug, Default)]
struct Counting {
    store: InMemory,
    sent: AtomicUsize,
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a store that counts")
    }
}

#[async_trait]
impl ObjectStore for Counting {
    async fn put_opts(
        &self,
        path: &Path,
        bytes: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.sent.fetch_add(1, Ordering::Relaxed);
        self.store.put_opts(path, bytes, options).await
    }

    async fn put_multipart_opts(
        &self,
        path: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.store.put_multipart_opts(path, options).await
    }

    async fn get_opts(&self, path: &Path, options: GetOptions) -> Result<GetResult> {
        self.store.get_opts(path, options).await
    }

    fn delete_stream(
        &self,
        paths: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.store.delete_stream(paths)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.store.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.store.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.store.copy_opts(from, to, options).await
    }
}

#[test]
fn what_is_kept_already_is_not_sent_again() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let counting = Arc::new(Counting::default());
    let store: Arc<dyn ObjectStore> = counting.clone();
    let store = SetStore { store, uri: "gs://state".to_owned(), runtime: runtime.handle().clone() };
    let mut set = PluginSet { digest: Digest::of(b""), stages: Vec::new() };
    set.digest = set.digest_v0();
    let bytes = [Bytes::from_static(b"component"), Bytes::from_static(b"table")];
    let blobs = BTreeMap::from(bytes.map(|bytes| (Digest::of(&bytes), bytes)));
    let keep = || {
        let before = counting.sent.load(Ordering::Relaxed);
        runtime.block_on(store.keep_all(&set, blobs.clone())).expect("kept");
        counting.sent.load(Ordering::Relaxed) - before
    };
    let (digest, blob) = blobs.first_key_value().expect("a blob");
    let path = store.path("blobs", digest);
    let there = || runtime.block_on(store.get(&path, MAX_KEPT_BYTES)).expect("read");
    assert_eq!(keep(), 3);
    // The set alone.
    assert_eq!(keep(), 1);
    // What was changed or is lost is kept once more.
    runtime.block_on(counting.store.put(&path, "another".into())).expect("put");
    keep();
    assert_eq!(there().as_ref(), Some(blob));
    runtime.block_on(counting.store.delete(&path)).expect("deleted");
    assert_eq!(keep(), 2);
    assert_eq!(there().as_ref(), Some(blob));
}
