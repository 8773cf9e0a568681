use super::*;

/// Characters that URLs, patterns, shells or logs give a meaning, and other alphabets.
const NAMES: [&str; 15] = [
    "a b",
    "100%",
    "%20",
    "a#1",
    "what?",
    "*",
    "[a-z]",
    "{a,b}",
    "it's",
    "\"quoted\"",
    "back\\slash",
    "line\nfeed",
    "tab\t~|<>^`",
    "żółw-Ωmega-東京-🦆",
    "x:y://z",
];

#[tokio::test]
async fn a_folder_of_any_name_is_a_store() {
    let scratch = tempfile::tempdir().expect("a folder");
    for name in NAMES {
        let folder = scratch.path().join(name).join(name.replace('/', ""));
        let uri = folder.to_str().expect("text");
        let (store, disk) = open(uri).expect("a store");
        assert_eq!(disk.as_deref(), Some(&*std::path::absolute(&folder).expect("a path")));
        let path = Path::from("a/b=1/c.parquet");
        assert!(matches!(store.get(&path).await, Err(Error::NotFound { .. })));
        assert!(store.list_with_delimiter(None).await.expect("listed").objects.is_empty());
        store.put(&path, "one".into()).await.expect("put");
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let again = store.put_opts(&path, "two".into(), create).await;
        assert!(matches!(again, Err(Error::AlreadyExists { .. })));
        let listed = store.list_with_delimiter(Some(&Path::from("a/b=1"))).await;
        assert_eq!(listed.expect("listed").objects[0].location, path, "{name}");
        let read = std::fs::read_to_string(folder.join("a/b=1/c.parquet"));
        assert_eq!(read.expect("a file"), "one", "{name}");
        for ending in ["", ".1"] {
            let aside = set_aside(&*store, &path).await.expect("set aside");
            assert_eq!(aside.to_string(), format!("{path}{ending}.damaged"));
            store.put(&path, "two".into()).await.expect("put");
        }
    }
}

#[tokio::test]
async fn what_has_the_name_of_a_file_and_is_none_was_not_created_by_another() {
    let scratch = tempfile::tempdir().expect("a folder");
    let (store, _) = open(scratch.path().to_str().expect("text")).expect("a store");
    store.put(&Path::from("file"), "bytes".into()).await.expect("put");
    std::fs::create_dir(scratch.path().join("folder")).expect("made");
    std::os::unix::fs::symlink("nowhere", scratch.path().join("link")).expect("a link");
    for name in ["folder", "link"] {
        let path = Path::from(name);
        let create = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let refused = [
            store.put_opts(&path, "bytes".into(), create).await.map(drop),
            store.copy_if_not_exists(&Path::from("file"), &path).await,
        ];
        for error in refused.map(|refused| refused.expect_err("it is in the way")) {
            assert!(matches!(error, Error::Generic { .. }), "{error}");
            assert!(error.to_string().contains("is in the way, and is not a file"), "{error}");
        }
    }
}

#[tokio::test]
async fn nothing_of_ours_is_read_or_removed_behind_a_link_of_another_user() {
    use std::os::unix::fs::{lchown, symlink};
    let scratch = tempfile::tempdir().expect("a folder");
    let [shared, others] = ["shared", "others"].map(|name| scratch.path().join(name));
    for folder in [&shared, &others] {
        std::fs::create_dir(folder).expect("made");
    }
    for name in ["file", "half.part"] {
        std::fs::write(others.join(name), "bytes").expect("written");
    }
    let [link, staging] = ["log", STAGING].map(|name| shared.join(name));
    let of = |user| {
        for link in [&link, &staging] {
            lchown(link, Some(user), None)?;
        }
        Ok::<(), io::Error>(())
    };
    for link in [&link, &staging] {
        symlink(&others, link).expect("a link");
    }
    // Others' links are made by root alone.
    if of(12_345).is_err() {
        return;
    }
    let open = || open(shared.to_str().expect("text")).expect("a store").0;
    let (store, file) = (open(), Path::from("log/file"));
    let (own, new) = (Path::from("own"), Path::from("log/deep/new"));
    std::fs::write(shared.join("own"), "bytes").expect("written");
    let refused = [
        store.get(&file).await.map(drop).expect_err("it is not read"),
        store.delete(&file).await.expect_err("it is not removed"),
        store.put(&new, "bytes".into()).await.map(drop).expect_err("it is not written"),
        store.copy(&own, &new).await.expect_err("it is not copied there"),
        store.rename(&own, &new).await.expect_err("it is not moved there"),
    ];
    for error in refused.map(|error| error.to_string()) {
        assert!(error.contains("is a link of another user"), "{error}");
    }
    // Nor is it made there before, where the files of others come and go unseen.
    let touched = || std::fs::metadata(&others).expect("there").modified().expect("a time");
    let before = touched();
    store.put(&Path::from("own"), "bytes".into()).await.expect("put");
    assert_eq!(touched(), before);
    for moved in [store.rename(&file, &own).await, store.copy(&file, &own).await] {
        let error = moved.expect_err("it is not taken from there").to_string();
        assert!(error.contains("is a link of another user"), "{error}");
    }
    assert!(others.join("file").exists() && others.join("half.part").exists());
    // What is theirs is read.
    lchown(others.join("file"), Some(12_345), None).expect("root may");
    assert_eq!(store.get(&file).await.expect("read").meta.size, 5);
    // One's own leads where one wants.
    of(rustix::process::geteuid().as_raw()).expect("root may");
    let store = open();
    store.delete(&file).await.expect("removed");
    store.put(&Path::from("own"), "bytes".into()).await.expect("put");
    assert!(!others.join("file").exists() && !others.join("half.part").exists());
}

#[tokio::test]
async fn a_store_whose_folder_is_a_link_of_another_user_is_not_written_to() {
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};
    let scratch = tempfile::tempdir().expect("a folder");
    let [shared, others] = ["shared", "others"].map(|name| scratch.path().join(name));
    for folder in [&shared, &others] {
        std::fs::create_dir(folder).expect("made");
    }
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).expect("set");
    std::fs::write(others.join("file"), "bytes").expect("written");
    let link = shared.join("_state");
    symlink(&others, &link).expect("a link");
    // Others' links are made by root alone.
    if lchown(&link, Some(12_345), None).is_err() {
        return;
    }
    let (store, _) = open(link.to_str().expect("text")).expect("a store");
    let (file, new) = (Path::from("file"), Path::from("deep/new"));
    let refused = [
        store.get(&file).await.map(drop).expect_err("it is not read"),
        store.delete(&file).await.expect_err("it is not removed"),
        store.put(&new, "bytes".into()).await.map(drop).expect_err("it is not written"),
    ];
    for error in refused.map(|error| error.to_string()) {
        assert!(error.contains("_state` is a link of another user"), "{error}");
    }
    let left = std::fs::read_dir(&others).expect("there").count();
    assert_eq!((left, others.join("file").exists()), (1, true));
}

#[test]
fn a_scheme_that_nobody_knows_is_told() {
    for uri in ["s3://bucket/x", "https://example.org/"] {
        assert!(matches!(open(uri), Err(StoreError::Uri { .. })));
    }
}
