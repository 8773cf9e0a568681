use super::*;
use crate::testing::{engine, idle_plugin};

fn plugin(name: &str, component: &std::path::Path) -> Plugin {
    Plugin {
        component: component.to_owned(),
        reads: Grant::All,
        ..Plugin::named(name.parse().unwrap())
    }
}

#[test]
fn a_set_is_known_by_the_digest_that_an_earlier_version_remembers() {
    let (folder, engine) = engine();
    let path = folder.path().join("idle.wasm");
    std::fs::write(&path, idle_plugin()).unwrap();
    let library = Library::load(&engine, &[plugin("one", &path), plugin("two", &path)]).unwrap();
    let set = library.set();
    assert_ne!(set.digest, set.digest_v0());
    assert!(library.is_set(&set.digest));
    assert!(library.is_set(&set.digest_v0()));
    let other = Library::load(&engine, &[plugin("one", &path)]).unwrap();
    assert!(!other.is_set(&set.digest));
    assert!(!other.is_set(&set.digest_v0()));
}

/// A set that an earlier version kept carries the digest of its own form: it is made again, and runs
/// under the digest of this one.
#[test]
fn a_set_that_an_earlier_version_kept_is_made_again() {
    let (folder, engine) = engine();
    let path = folder.path().join("idle.wasm");
    std::fs::write(&path, idle_plugin()).unwrap();
    let library = Library::load(&engine, &[plugin("one", &path)]).unwrap();
    let kept = PluginSet { digest: library.set().digest_v0(), ..library.set() };
    let blobs: std::collections::BTreeMap<Digest, Bytes> = library.blobs().into_iter().collect();
    let restored =
        Library::restore(&engine, &kept, |digest| Ok::<_, PluginError>(blobs[digest].clone()));
    assert_eq!(restored.unwrap().digest(), library.digest());
}

/// What an embedder does: a component's bytes, columns in, columns out; no file, no table.
#[test]
fn a_component_runs_without_a_pipeline() {
    use crate::chain::ChainWorker;
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use clickmill_core::Micros;
    use clickmill_core::batch::{Batch, Origins, Positions};

    let (_folder, engine) = engine();
    let component =
        NewComponent { path: "idle".into(), bytes: idle_plugin().into(), signature: None };
    let stage = (Plugin::named("idle".parse().unwrap()), component, Vec::new());
    let library = Library::from_components(&engine, [stage]).unwrap();
    let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let columns = RecordBatch::try_from_iter([("n", numbers)]).unwrap();
    let chain = library.configure(&columns.schema(), &Secrets::new()).unwrap();
    let origins = Origins {
        source: "test".into(),
        header: None,
        positions: Positions::Lines(vec![1, 2, 3]),
        block: Bytes::new(),
        ranges: vec![0..0; 3],
    };
    let batch = Batch { columns: columns.clone(), origins, ingest_time: Micros::default() };
    let processed = ChainWorker::new(&chain).run(batch).unwrap();
    assert_eq!(processed.batch.columns, columns);
    assert_eq!((processed.rejected.len(), processed.filtered), (0, 0));
}
