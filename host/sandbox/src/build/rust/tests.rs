use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use clickmill_core::lock;

/// What an empty crate compiles to.
const EMPTY_MODULE: &[u8] = b"\0asm\x01\0\0\0";

fn krate(folder: &Path, name: &str) -> PathBuf {
    let folder = folder.join(name);
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("Cargo.toml"), format!("[package]\nname = \"{name}\"\n")).unwrap();
    fs::write(folder.join("src/lib.rs"), "").unwrap();
    folder
}

/// Leaves what cargo leaves beside a module.
fn compiled(krate: &Crate) -> Result<Vec<u8>, BuildError> {
    let module = krate.module();
    fs::create_dir_all(module.parent().unwrap()).unwrap();
    let source = krate.folder.join("src/lib.rs");
    fs::write(module.with_extension("d"), format!("module: {}\n", source.display())).unwrap();
    Ok(EMPTY_MODULE.to_vec())
}

#[test]
fn each_folder_has_its_own_answer_in_the_order_of_the_folders() {
    let scratch = tempfile::tempdir().unwrap();
    let one = krate(scratch.path(), "answers-one");
    let two = krate(scratch.path(), "answers-two");
    let nothing = scratch.path().join("nothing");
    fs::create_dir_all(&nothing).unwrap();
    let made = build_by(&[&two, &nothing, &one], Freshness::Rebuild, |krate| match &*krate.name {
        "answers-two" => Err(BuildError::Compile { path: krate.folder.clone() }),
        _ => compiled(krate),
    });
    let [Err(no_rust), Err(no_crate), Ok(component)] = made.as_slice() else { panic!("{made:?}") };
    assert!(matches!(no_rust, BuildError::Compile { path } if *path == two));
    assert!(matches!(no_crate, BuildError::NotACrate { path, .. } if *path == nothing));
    assert!(component.ends_with("components/answers-one.wasm"));
    assert!(fs::read(component).unwrap().starts_with(b"\0asm\x0d"), "a component");
}

#[test]
fn only_what_is_stale_is_compiled_and_one_crate_of_a_workspace_at_a_time() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("Cargo.lock"), "").unwrap();
    let folders = ["stale-a", "stale-b", "stale-c"].map(|name| krate(scratch.path(), name));
    let (asked, at_once) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let compiler = |krate: &Crate| {
        assert_eq!(at_once.fetch_add(1, Ordering::SeqCst), 0);
        lock(&asked).push(krate.name.clone());
        let compiled = compiled(krate);
        at_once.fetch_sub(1, Ordering::SeqCst);
        compiled
    };
    let build = |freshness| {
        let made = build_by(&folders, freshness, compiler);
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        std::mem::take(&mut *lock(&asked))
    };
    assert_eq!(build(Freshness::Rebuild), ["stale-a", "stale-b", "stale-c"]);
    assert!(build(Freshness::Sources).is_empty());
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let source = fs::File::options().append(true).open(folders[1].join("src/lib.rs")).unwrap();
    source.set_modified(later).unwrap();
    assert_eq!(build(Freshness::Sources), ["stale-b"]);
    assert_eq!(build(Freshness::Rebuild).len(), 3);
}
