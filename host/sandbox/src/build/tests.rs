use std::fs;

use super::*;

#[test]
fn a_component_in_place_of_a_crate_is_taken_as_it_is() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("mask");
    fs::create_dir(&folder).unwrap();
    let before = state(&folder);
    fs::write(folder.join("mask.wasm"), "a component").unwrap();
    for freshness in [Freshness::Sources, Freshness::Rebuild] {
        let built = build(&folder, freshness, Install::Never);
        assert_eq!(built.unwrap(), folder.join("mask.wasm"));
        assert!(!is_crate(&folder));
    }
    // A pipeline that watches it notices another one.
    assert_ne!(state(&folder), before);
    // Where there are sources, they are what counts.
    for language in Language::ALL {
        let source = folder.join(language.file());
        fs::write(&source, "").unwrap();
        assert!(is_crate(&folder), "{language}");
        fs::remove_file(source).unwrap();
    }
    assert!(!is_crate(&folder));
}

#[test]
fn a_folder_without_a_plugin_says_what_one_has() {
    let scratch = tempfile::tempdir().unwrap();
    let [nothing, mask] = ["nothing", "mask"].map(|name| scratch.path().join(name));
    for folder in [&nothing, &mask] {
        fs::create_dir(folder).unwrap();
    }
    fs::write(mask.join("mask.wasm"), "a component").unwrap();
    let built = build_all(&[&nothing, &mask], Freshness::Sources, Install::Never);
    let [Err(error), Ok(component)] = built.as_slice() else { panic!("{built:?}") };
    assert_eq!(*component, mask.join("mask.wasm"));
    let told = error.to_string();
    for part in ["nothing` is no plugin", "no component", "`Cargo.toml` of Rust", "`go.mod` of Go"]
    {
        assert!(told.contains(part), "{told}");
    }
}
