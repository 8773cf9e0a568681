//! Files that outlive a loss of power: their bytes and then their names are on the disk before anyone
//! relies on them. Whatever an acknowledgement or the word "loaded" rests on is written here. All of it
//! blocks. What is made is for the user and whom [`private::UMASK_VARIABLE`] names.
//!
//! A loss of power can leave a file of any length, also none, that was *not* written here: by another
//! program, or on a disk that does not keep what it has confirmed. Who reads such a file sets it aside
//! ([`super::folder::set_aside`]) and says so.

use std::ffi::OsString;
use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::{file, private};

/// The extension of a file in the making.
const PART: &str = "part";
/// How often, and how long each time, one who sweeps is waited for: between its two calls is nothing.
const SWEPT_WAITS: u32 = 1000;
const SWEPT_WAIT: Duration = Duration::from_millis(1);

/// Makes a file's bytes durable or, of a folder, the names in it.
pub fn sync(path: &Path) -> io::Result<()> {
    File::options().read(true).custom_flags(file::AT_ONCE).open(path)?.sync_all()
}

/// Makes a file's name durable, once its bytes are.
pub fn sync_name(path: &Path) -> io::Result<()> {
    sync(parent(path))
}

/// Makes a folder and those above it where they are missing, each with a durable name.
pub fn folders(path: &Path) -> io::Result<()> {
    make(path, private::create_table_dir)
}

/// The same, for the user alone; those above it may be for others too. Another user's link leads to none of them.
pub fn private_folder(path: &Path) -> io::Result<()> {
    private::check_folder(path)?;
    make(path, private::create_dir)
}

fn make(path: &Path, create: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    folders(parent(path))?;
    match create(path) {
        Ok(()) => sync_name(path),
        // Another has made it just now, and may not have come to the sync yet.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => sync_name(path),
        // What is in the way is not what was to be made.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let why = format!("`{}` is not a folder", path.display());
            Err(io::Error::new(ErrorKind::NotADirectory, why))
        }
        Err(error) => Err(error),
    }
}

/// Makes a file that appears whole or not at all, in place of one that is there. It is made beside it
/// first, under a name of its own that ends in `.part`; of that nothing stays where this fails: a full
/// disk gets its space back.
pub fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_by(part_of(path), path, bytes)
}

/// The same, made under the name `part`, on the same file system.
pub fn write_by(part: PathBuf, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut part = Part::begin(part)?;
    part.write_all(bytes)?;
    part.replace(path)
}

/// Makes a file that was not there, whole or not at all; where it was, the error is
/// [`io::ErrorKind::AlreadyExists`].
pub fn create(path: &Path, bytes: &[u8]) -> io::Result<()> {
    create_by(part_of(path), path, bytes)
}

/// The same, made under the name `part`, on the same file system.
pub fn create_by(part: PathBuf, path: &Path, bytes: &[u8]) -> io::Result<()> {
    // Most names that are taken have been for long: no bytes are written and made durable for them.
    if fs::symlink_metadata(path).is_ok() {
        sync_name(path)?;
        return Err(ErrorKind::AlreadyExists.into());
    }
    let mut part = Part::begin(part)?;
    part.write_all(bytes)?;
    part.publish(path)
}

/// A file in the making. Dropped, it is gone. It is locked meanwhile, so that [`sweep`] leaves it alone
/// and takes those of killed processes.
#[derive(Debug)]
pub struct Part {
    path: PathBuf,
    file: File,
}

impl Part {
    /// Begins a file under a name that is not taken.
    pub fn begin(path: PathBuf) -> io::Result<Self> {
        folders(parent(&path))?;
        loop {
            let made = private::table_options().write(true).create_new(true).open(&path);
            let file = made.map_err(|error| match error.kind() {
                // It is not what was to be made.
                ErrorKind::AlreadyExists => {
                    io::Error::other(format!("`{}` is in the way", path.display()))
                }
                _ => error,
            })?;
            if let Some(part) = Self::lock(path.clone(), file)? {
                return Ok(part);
            }
        }
    }

    /// Locks a file that was made just now. `None` where it was swept between the two.
    fn lock(path: PathBuf, file: File) -> io::Result<Option<Self>> {
        for _ in 0..SWEPT_WAITS {
            let locked = file.try_lock();
            // Without a name it is no use to anyone, whoever has the lock.
            if file.metadata()?.nlink() == 0 {
                return Ok(None);
            }
            // A file system without locks has nobody who sweeps.
            let Err(TryLockError::WouldBlock) = locked else {
                return Ok(Some(Self { path, file }));
            };
            // Who sweeps has it, and is about to take its name away.
            std::thread::sleep(SWEPT_WAIT);
        }
        let why = format!("`{}` is locked by another process", path.display());
        Err(io::Error::new(ErrorKind::WouldBlock, why))
    }

    /// Gives it its name, where that is not taken yet; where it is, the error is
    /// [`io::ErrorKind::AlreadyExists`].
    pub fn publish(self, to: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        link(&self.path, to)
    }

    /// Gives it its name, in place of what has it.
    pub fn replace(self, to: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        folders(parent(to))?;
        fs::rename(&self.path, to)?;
        sync_name(to)
    }
}

impl Write for Part {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Published it has another name, and replaced it has this one no more.
        remove(&self.path);
    }
}

/// Opens a file that is to be locked, and makes it where it is not there. Nothing is made where a link leads that has
/// its name.
pub fn to_lock(path: &Path) -> io::Result<File> {
    folders(parent(path))?;
    let mut options = private::table_options();
    options.write(true).create(true).truncate(false).custom_flags(file::NO_LINK);
    options.open(path).map_err(|error| {
        if fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
            return io::Error::other(format!("`{}` is a link, wanted a file", path.display()));
        }
        error
    })
}

/// Moves a file to a name that is not taken yet; where it is, the error is
/// [`io::ErrorKind::AlreadyExists`] and the file stays.
pub fn publish(from: &Path, to: &Path) -> io::Result<()> {
    sync(from)?;
    link(from, to)?;
    // Two names of one file are no harm where this fails.
    remove(from);
    Ok(())
}

/// Gives a file, whose bytes are durable, a second name that is not taken yet.
pub fn link(from: &Path, to: &Path) -> io::Result<()> {
    folders(parent(to))?;
    match fs::hard_link(from, to) {
        Ok(()) => sync_name(to),
        // Whoever gave the name may have been killed before it was durable.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            sync_name(to)?;
            Err(error)
        }
        Err(error) => Err(error),
    }
}

/// Removes the parts in a folder that no process is writing any more.
pub fn sweep(folder: &Path) {
    // What can't be read or removed is in nobody's way.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let is_part = path.extension().is_some_and(|extension| extension == PART);
        if is_part
            && let Ok(file) = file::open(&path)
            && file.try_lock().is_ok()
            // Swept by another since it was opened, its name may be a living one's by now.
            && file.metadata().is_ok_and(|metadata| metadata.nlink() > 0)
        {
            remove(&path);
        }
    }
}

/// A name in a folder that nobody else makes a file under.
pub fn part_in(folder: &Path) -> PathBuf {
    folder.join(unique()).with_extension(PART)
}

/// The same, beside a file.
pub(crate) fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(OsString::from(format!(".{}.{PART}", unique())));
    PathBuf::from(name)
}

/// A word that no other part has, in this process or another.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let moment = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let moment = moment.map_or(0, |since| since.as_nanos());
    format!("{:x}-{moment:x}-{number:x}", std::process::id())
}

/// Removes what is in nobody's way where it stays.
fn remove(path: &Path) {
    let _ = fs::remove_file(path);
}

fn parent(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).expect("a folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = names.filter_map(|name| name.into_string().ok()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_appears_whole_or_leaves_nothing() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.json");
        write(&path, b"one").expect("written");
        write(&path, b"two").expect("written again");
        assert_eq!(fs::read(&path).expect("a file"), b"two");
        let again = create(&path, b"three").expect_err("there already");
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&path).expect("a file"), b"two");
        assert_eq!(names(folder.path()), ["a.json"]);
        // A folder is in its place.
        let taken = folder.path().join("b");
        fs::create_dir_all(taken.join("c")).expect("folders");
        write(&taken, b"one").expect_err("a folder");
        create(&taken, b"one").expect_err("a folder");
        // A file is where a folder should be: that is no file that was there already.
        let below = create(&path.join("c/d"), b"one").expect_err("no folder");
        assert_eq!(below.kind(), io::ErrorKind::NotADirectory);
        assert_eq!(names(folder.path()), ["a.json", "b"]);
    }

    #[test]
    fn for_a_name_that_is_taken_nothing_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, parts) = (folder.path().join("a"), folder.path().join("parts"));
        create_by(parts.join("1.part"), &path, b"one").expect("written");
        fs::remove_dir(&parts).expect("an empty folder");
        let again = create_by(parts.join("2.part"), &path, b"two").expect_err("there already");
        assert_eq!(again.kind(), ErrorKind::AlreadyExists);
        assert_eq!(names(folder.path()), ["a"]);
        assert_eq!(fs::read(&path).expect("a file"), b"one");
    }

    #[test]
    fn what_is_made_is_for_the_user_alone() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a/b/c.json");
        write(&path, b"one").expect("written");
        private_folder(&folder.path().join("a/d")).expect("made");
        for (made, wanted) in [("a", 0o700), ("a/b", 0o700), ("a/b/c.json", 0o600), ("a/d", 0o700)]
        {
            let mode = fs::metadata(folder.path().join(made)).expect("made").permissions().mode();
            assert_eq!(mode & 0o777, wanted, "{made}");
        }
    }

    #[test]
    fn of_many_that_create_one_name_one_does() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("new/folders/a.json");
        let made: Vec<u8> = std::thread::scope(|scope| {
            let all: Vec<_> = (0..16_u8)
                .map(|n| {
                    let path = &path;
                    scope.spawn(move || create(path, &[n; 4096]).is_ok().then_some(n))
                })
                .collect();
            all.into_iter().filter_map(|one| one.join().expect("no panic")).collect()
        });
        assert_eq!(made.len(), 1);
        assert_eq!(fs::read(&path).expect("a file"), [made[0]; 4096]);
        assert_eq!(names(parent(&path)), ["a.json"]);
    }

    #[test]
    fn parts_of_the_dead_are_swept_and_those_of_the_living_are_not() {
        let folder = tempfile::tempdir().expect("a folder");
        let living = folder.path().join("a.part");
        let part = Part::begin(living).expect("a part");
        fs::write(folder.path().join("b.part"), "half").expect("a file");
        fs::write(folder.path().join("c"), "whole").expect("a file");
        sweep(folder.path());
        assert_eq!(names(folder.path()), ["a.part", "c"]);
        drop(part);
        assert_eq!(names(folder.path()), ["c"]);
        let nowhere = folder.path().join("d");
        sweep(&nowhere);
        assert!(!nowhere.exists());
    }

    #[test]
    fn a_part_that_is_being_swept_is_not_begun() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("a.part");
        for is_swept in [true, false] {
            let file = File::create_new(&path).expect("a file");
            // Another is between its lock and the removal …
            let sweeping = File::open(&path).expect("the file");
            sweeping.lock().expect("a lock");
            let begun = std::thread::scope(|scope| {
                let begun = scope.spawn(|| Part::lock(path.clone(), file).expect("no error"));
                // … which it comes to, or is killed before.
                if is_swept {
                    remove(&path);
                }
                drop(sweeping);
                begun.join().expect("no panic")
            });
            assert_eq!(begun.is_none(), is_swept);
        }
    }

    #[test]
    fn no_folder_is_made_for_the_user_where_a_link_of_another_leads() {
        let scratch = tempfile::tempdir().expect("a folder");
        let [shared, victim] = ["shared", "victim"].map(|name| scratch.path().join(name));
        for folder in [&shared, &victim] {
            fs::create_dir(folder).expect("made");
        }
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o1777)).expect("set");
        let link = shared.join("data");
        std::os::unix::fs::symlink(&victim, &link).expect("a link");
        // Others' links are made by root alone.
        if std::os::unix::fs::lchown(&link, Some(12_345), None).is_err() {
            return;
        }
        let error = private_folder(&link.join("audit")).expect_err("it is another's");
        assert!(error.to_string().ends_with("data` is a link of another user"), "{error}");
        assert_eq!(names(&victim), [""; 0]);
    }
}
