use super::*;
use crate::testing::{engine, idle_plugin};

fn plugin(name: &str, component: &std::path::Path) -> Plugin {
    Plugin {
        name: name.to_owned(),
        component: component.to_owned(),
        reads: Grant::All,
        config: serde_json::Map::new(),
        writes: Grant::Only(Vec::new()),
        secrets: Vec::new(),
        lookups: Vec::new(),
        limits: clickmill_config::Limits::default(),
        instance: clickmill_config::InstanceLife::Fresh,
        watch: false,
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
    let blobs: std::collections::BTreeMap<String, Bytes> = library.blobs().into_iter().collect();
    let restored =
        Library::restore(&engine, &kept, |digest| Ok::<_, PluginError>(blobs[digest].clone()));
    assert_eq!(restored.unwrap().digest(), library.digest());
}
