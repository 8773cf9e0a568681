//! Files that outlive a loss of power: their bytes and then their names are on the disk before anyone
//! relies on them. All of it blocks.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Makes a file's bytes durable or, of a folder, the names in it.
pub fn sync(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Makes a file's name durable, once its bytes are.
pub fn sync_name(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    sync(folder.unwrap_or(Path::new(".")))
}

/// Makes a file that appears whole or not at all. It is made under its name with the extension `part`
/// first, of which nothing stays where this fails: a full disk gets its space back.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let part = path.with_extension("part");
    let written = File::create(&part)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&part, path));
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written.and_then(|()| sync_name(path))
}

/// Makes a file that was not there; where it was, the error is [`io::ErrorKind::AlreadyExists`].
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).and_then(|()| sync_name(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_whole_or_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = || {
            let entries = fs::read_dir(folder.path()).expect("a folder");
            let names = entries.map(|entry| entry.expect("an entry").file_name());
            names.filter_map(|name| name.into_string().ok()).collect::<Vec<_>>()
        };
        let path = folder.path().join("a.json");
        write(&path, b"one").expect("written");
        write(&path, b"two").expect("written again");
        assert_eq!(fs::read(&path).expect("a file"), b"two");
        let again = create(&path, b"three").expect_err("there already");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(names(), ["a.json"]);
        // A folder is in its place.
        let taken = folder.path().join("b");
        fs::create_dir_all(taken.join("c")).expect("folders");
        write(&taken, b"one").expect_err("a folder");
        assert!(!names().contains(&"b.part".to_owned()));
    }
}
