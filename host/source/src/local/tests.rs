use std::io::Write;

use super::*;

fn paths(folder: &Path, name: &str) -> Vec<String> {
    let given = format!("{}/{name}", folder.display());
    let files = list(&given).expect("a list").files;
    let root = fs::canonicalize(folder).expect("a folder");
    let relative =
        |file: Listed| file.path.strip_prefix(&root).expect("in the folder").display().to_string();
    files.into_iter().map(relative).collect()
}

fn folder(names: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for name in names {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
        fs::write(path, "x").expect("a file");
    }
    folder
}

#[test]
fn a_file_is_one_however_it_is_named() {
    let folder = folder(&["in/a.csv", "in/b.csv", "other/c.csv"]);
    let root = folder.path();
    std::os::unix::fs::symlink(root.join("in/a.csv"), root.join("in/z.csv")).expect("a link");
    std::os::unix::fs::symlink(root.join("in"), root.join("link")).expect("a link");
    // A circle.
    std::os::unix::fs::symlink(root, root.join("in/up")).expect("a link");
    for name in ["in/a.csv", "./in//a.csv", "other/../in/a.csv", "in/z.csv", "link/a.csv", "in/a*"]
    {
        assert_eq!(paths(root, name), ["in/a.csv"], "{name}");
    }
    for name in ["in/*.csv", "in/[ab].csv", "link/*.csv", "in/../link/?.csv"] {
        assert_eq!(paths(root, name), ["in/a.csv", "in/b.csv"], "{name}");
    }
    assert_eq!(paths(root, "in/"), ["in/a.csv", "in/b.csv", "other/c.csv"]);
    assert_eq!(paths(root, "other"), ["other/c.csv"]);
    assert_eq!(paths(root, "none.csv"), [""; 0]);
    assert_eq!(paths(root, "none/*.csv"), [""; 0]);
    assert_eq!(paths(root, "in/a.csv/"), [""; 0]);
}

#[test]
fn a_link_of_another_user_leads_to_what_is_theirs_and_to_nothing_else() {
    use std::os::unix::fs::{lchown, symlink};
    let folder = folder(&["in/a.csv", "home/key.csv", "home/more/b.csv", "theirs/c.csv"]);
    let root = folder.path();
    let links = [("key.csv", "home/key.csv"), ("more", "home/more"), ("c.csv", "theirs/c.csv")];
    for (name, to) in links {
        symlink(root.join(to), root.join("in").join(name)).expect("a link");
    }
    let all = ["home/key.csv", "home/more/b.csv", "in/a.csv", "theirs/c.csv"];
    assert_eq!(paths(root, "in/"), all, "one's own lead anywhere");
    // Others' are made by root alone.
    let give = |name: &str| lchown(root.join(name), Some(12_345), None);
    if give("theirs/c.csv").is_err() {
        return;
    }
    for (name, _) in links {
        give(&format!("in/{name}")).expect("root may");
    }
    assert_eq!(paths(root, "in/"), ["in/a.csv", "theirs/c.csv"]);
    assert_eq!(paths(root, "in/*.csv"), ["in/a.csv", "theirs/c.csv"]);
    let contents = list(&format!("{}/in/", root.display())).expect("a list");
    assert_eq!(contents.passed_over.len(), 2, "{:?}", contents.passed_over);
    assert_eq!(paths(root, "in/key.csv"), ["home/key.csv"], "whoever names it means it");
}

#[test]
fn an_exact_name_is_tried_before_it_is_a_pattern() {
    let folder = folder(&["x[1].csv", "x1.csv", "d[1]/a.csv", "d1/b.csv", "q?.csv", "qq.csv"]);
    assert_eq!(paths(folder.path(), "x[1].csv"), ["x[1].csv"]);
    assert_eq!(paths(folder.path(), "x[12].csv"), ["x1.csv"]);
    assert_eq!(paths(folder.path(), "d[1]/*.csv"), ["d[1]/a.csv"]);
    assert_eq!(paths(folder.path(), "d[1]/"), ["d[1]/a.csv"]);
    assert_eq!(paths(folder.path(), "d[12]/"), ["d1/b.csv"]);
    assert_eq!(paths(folder.path(), "q?.csv"), ["q?.csv"]);
    assert_eq!(paths(folder.path(), "**/a.csv"), ["d[1]/a.csv"]);
}

#[test]
fn hard_links_in_one_listing_are_one_object_by_the_first_of_their_names() {
    let folder = folder(&["in/b.csv", "in/other.csv", "in/sub/z.csv"]);
    let root = folder.path();
    for (of, name) in [("b", "a"), ("b", "sub/c"), ("sub/z", "d"), ("other", "../apart")] {
        let path = |name: &str| root.join(format!("in/{name}.csv"));
        fs::hard_link(path(of), path(name)).expect("a link");
    }
    std::os::unix::fs::symlink(root.join("apart.csv"), root.join("in/soft.csv")).expect("a link");
    let both = ["apart.csv", "in/a.csv", "in/d.csv"];
    assert_eq!(paths(root, "in/"), both);
    assert_eq!(paths(root, "in/**/*.csv"), both);
    assert_eq!(paths(root, "in/*.csv"), both);
    assert_eq!(paths(root, "in/[bo]*.csv"), ["in/b.csv", "in/other.csv"]);
    assert_eq!(paths(root, "in/sub/"), ["in/sub/c.csv", "in/sub/z.csv"]);
    // Whoever names one means it.
    assert_eq!(paths(root, "in/b.csv"), ["in/b.csv"]);
    // It may have been loaded before there was the first.
    let listed = list(&format!("{}/in/sub/?.csv", root.display())).expect("a list").files;
    assert!(listed.iter().all(|file| file.others.is_empty()), "{listed:?}");
    let listed = list(&format!("{}/in/[ab].csv", root.display())).expect("a list").files;
    let named: Vec<_> =
        listed.iter().flat_map(|file| file.others.iter().map(PathBuf::as_path)).collect();
    let root_of = fs::canonicalize(root).expect("a folder");
    assert_eq!(named, [&*root_of.join("in/b.csv")]);
    // The same bytes written at the same time are no link.
    let time = fs::metadata(root.join("in/b.csv")).and_then(|b| b.modified()).expect("a time");
    fs::write(root.join("in/copy.csv"), "x").expect("a file");
    let copy = fs::File::options().append(true).open(root.join("in/copy.csv")).expect("a file");
    copy.set_modified(time).expect("set");
    assert_eq!(paths(root, "in/[bc]*.csv"), ["in/b.csv", "in/copy.csv"]);
}

/// A file by the bytes of its name.
fn write_odd(folder: &Path, name: &[u8], text: &str) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    let path = folder.join(std::ffi::OsStr::from_bytes(name));
    fs::create_dir_all(path.parent().expect("a parent")).expect("folders");
    fs::write(&path, text).expect("a file");
    path
}

#[test]
fn a_file_whose_name_is_not_utf_8_is_not_seen_where_it_may_be_meant() {
    use clickmill_core::Fault;
    let folder = folder(&["a.csv"]);
    let root = folder.path();
    let odd = write_odd(root, b"Ren\xe9.csv", "x");
    write_odd(root, b"f\xe9/b.csv", "x");
    // Neither is data, whatever it is called.
    write_odd(root, b"_\xe9.csv", "x");
    write_odd(root, b"empty\xe9.csv", "");
    for (pattern, files, wanted, passed_over) in [
        ("", 1, 2, 2),
        ("*.csv", 1, 1, 2),
        ("Ren?.csv", 0, 1, 0),
        ("*/*.csv", 0, 1, 0),
        ("**/b.csv", 0, 1, 0),
        ("a*.csv", 1, 0, 0),
        ("*.ndjson", 0, 0, 0),
        ("g*/*.csv", 0, 0, 0),
    ] {
        let contents = list(&format!("{}/{pattern}", root.display())).expect("a list");
        assert_eq!(contents.files.len(), files, "{pattern}");
        assert_eq!(contents.not_seen.len(), wanted, "{pattern}: {:?}", contents.not_seen);
        assert_eq!(contents.passed_over.len(), passed_over, "{pattern}");
        for NotSeen { uri, error } in contents.not_seen {
            assert_eq!(error.fault(), Fault::Environment);
            let told = clickmill_core::causes(&error);
            assert_eq!(told, format!("cannot look at `{uri}`: its name is not UTF-8"));
        }
    }
    // By another name it can be told from others.
    std::os::unix::fs::symlink(&odd, root.join("link.csv")).expect("a link");
    for pattern in ["link.csv", "l*.csv"] {
        let contents = list(&format!("{}/{pattern}", root.display())).expect("a list");
        let [file] = &contents.files[..] else { panic!("{:?}", contents.files) };
        assert_eq!(file.path, root.join("link.csv"));
        let mut text = String::new();
        file.open().expect("open").read_to_string(&mut text).expect("whole");
        assert_eq!(text, "x");
    }
}

#[test]
fn what_is_not_data_is_passed_over_and_told() {
    let folder = folder(&["a.csv", "_SUCCESS", ".a.csv.Xy12Zz", "_temporary/0/b.csv"]);
    fs::write(folder.path().join("empty.csv"), "").expect("a file");
    let given = format!("{}/", folder.path().display());
    let Contents { files, passed_over, .. } = list(&given).expect("a list");
    assert_eq!(files.len(), 1);
    assert_eq!(passed_over.len(), 4, "{passed_over:?}");
}

#[test]
fn a_folder_that_cannot_be_read_is_told_and_hides_no_other() {
    use clickmill_core::Fault;
    let names = ["a/1.csv", "shut-1/2.csv", "shut-2/3.csv", "y/4.csv", "z/5.csv", "_shut/6.csv"];
    let folder = folder(&names);
    // Nobody is kept out who runs as root.
    let read = |path: &Path| {
        if path.to_string_lossy().contains("shut") {
            return Err(io::Error::from(ErrorKind::PermissionDenied));
        }
        fs::read_dir(path)
    };
    for (pattern, wanted) in [("*/*.csv", 2), ("**/*.csv", 2), ("", 2), ("[ayz]/*.csv", 0)] {
        let given = format!("{}/{pattern}", folder.path().display());
        let Contents { files, not_seen, .. } = list_by(&given, read).expect("a list");
        assert_eq!(files.len(), 3, "{pattern}");
        assert_eq!(not_seen.len(), wanted, "{pattern}: {not_seen:?}");
        for NotSeen { error, .. } in not_seen {
            assert_eq!(error.fault(), Fault::Environment);
        }
    }
}

#[test]
fn a_place_is_seen_once_nothing_keeps_it_from_being_looked_at() {
    let folder = folder(&["a.csv", "b/c.csv"]);
    let place = |name: &str| super::uri(&folder.path().join(name));
    for seen in ["a.csv", "b", "gone", "gone/too"] {
        assert!(is_seen(&place(seen)), "{seen}");
    }
    let link = folder.path().join("loop");
    std::os::unix::fs::symlink(&link, &link).expect("a link");
    for not_seen in ["loop", "loop/in", "Ren\u{fffd}.csv"] {
        assert!(!is_seen(&place(not_seen)), "{not_seen}");
    }
    assert!(!is_seen("gs://lake/a.csv"));
}

#[test]
fn what_cannot_be_looked_at_is_told_where_it_may_be_meant() {
    let folder = folder(&["a.csv"]);
    // A link to itself: nobody can look at that.
    for name in ["loop.csv", "_loop.csv"] {
        let link = folder.path().join(name);
        std::os::unix::fs::symlink(&link, &link).expect("a link");
    }
    for (pattern, wanted) in [("*.csv", 1), ("", 1), ("a*", 0), ("*.ndjson", 0)] {
        let given = format!("{}/{pattern}", folder.path().display());
        let not_seen = list(&given).expect("a list").not_seen;
        assert_eq!(not_seen.len(), wanted, "{pattern}: {not_seen:?}");
    }
}

#[test]
fn a_file_that_changes_is_given_up_before_and_after_its_last_byte() {
    let folder = folder(&["a.csv"]);
    let path = folder.path().join("a.csv");
    let listed = || list(&path.display().to_string()).expect("a list").files.remove(0);
    let append = || {
        let file = fs::File::options().append(true).open(&path);
        file.expect("a file").write_all(b"more").expect("written");
    };
    let mut text = String::new();
    listed().open().expect("open").read_to_string(&mut text).expect("whole");
    assert_eq!(text, "x");
    let before = listed();
    append();
    assert!(matches!(before.open(), Err(SourceError::Changed { .. })));
    assert!(!before.is_unchanged().expect("it is there"));
    let mut reader = listed().open().expect("open");
    append();
    let error = reader.read_to_string(&mut text).expect_err("changed");
    assert!(matches!(SourceError::within(&error), Some(SourceError::Changed { .. })));
    // Of the same length, and later.
    let earlier = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::options()
        .write(true)
        .open(&path)
        .expect("a file")
        .set_modified(earlier)
        .expect("set");
    let mut reader = listed().open().expect("open");
    fs::write(&path, "y".repeat(9)).expect("written");
    assert!(reader.read_to_string(&mut text).is_err());
    let gone = listed();
    fs::remove_file(&path).expect("removed");
    assert!(matches!(gone.open(), Err(SourceError::Gone { .. })));
}
