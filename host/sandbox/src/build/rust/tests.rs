use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Reads crates that are built below a folder of the test's own, whatever others build.
fn crates(scratch: &Path, folders: &[&PathBuf]) -> Vec<Result<Crate, BuildError>> {
    let target = scratch.join("target");
    folders.iter().map(|folder| Crate::built_below(folder, &target)).collect()
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
    let crates = crates(scratch.path(), &[&two, &nothing, &one]);
    let made = build_by(crates, Freshness::Rebuild, |krate| match &*krate.name {
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
fn only_what_is_stale_is_compiled_and_of_a_workspace_the_first_alone_where_nothing_was() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("Cargo.lock"), "").unwrap();
    let folders = ["stale-a", "stale-b", "stale-c"].map(|name| krate(scratch.path(), name));
    let (asked, alone) = (Mutex::new(Vec::new()), AtomicBool::new(true));
    let compiler = |krate: &Crate| {
        let is_first = krate.name == "stale-a";
        // What the first leaves is there before another begins, and the others begin with it.
        let of_first = krate.built_in().join("release/deps/of-all");
        assert!(!alone.load(Ordering::SeqCst) || is_first || of_first.is_file());
        lock(&asked).push(krate.name.clone());
        let compiled = compiled(krate);
        if is_first {
            for lock in ["release", "wasm32-unknown-unknown/release"] {
                let folder = krate.built_in().join(lock);
                fs::create_dir_all(&folder).unwrap();
                fs::write(folder.join(".cargo-lock"), "").unwrap();
            }
            fs::create_dir_all(of_first.parent().unwrap()).unwrap();
            fs::write(of_first, "").unwrap();
        }
        compiled
    };
    let build = |freshness| {
        let made = build_by(crates(scratch.path(), &folders.each_ref()), freshness, compiler);
        assert!(made.iter().all(Result::is_ok), "{made:?}");
        let mut asked = std::mem::take(&mut *lock(&asked));
        asked.sort();
        asked
    };
    assert_eq!(build(Freshness::Rebuild), ["stale-a", "stale-b", "stale-c"]);
    alone.store(false, Ordering::SeqCst);
    assert!(build(Freshness::Sources).is_empty());
    let later = std::time::SystemTime::now() + std::time::Duration::from_secs(60);
    let source = fs::File::options().append(true).open(folders[1].join("src/lib.rs")).unwrap();
    source.set_modified(later).unwrap();
    assert_eq!(build(Freshness::Sources), ["stale-b"]);
    assert_eq!(build(Freshness::Rebuild).len(), 3);
}
