//! The folder of a warehouse on a disk, to which others may write too: nothing is made, moved, removed or read in it
//! but by a way from here, which leads over no link of another user. What is read is a file, and theirs or ours.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::time::SystemTime;

use object_store::path::Path;

use clickmill_core::{durable, file, private};

/// The most that a file of ours may have which is read as a whole. Anybody may have put it there.
pub(super) const MAX_SMALL_BYTES: u64 = 16 << 20;

/// The folder.
#[derive(Debug, Clone)]
pub(super) struct Disk(PathBuf);

impl Disk {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Its path however it was named.
    pub(super) fn address(&self) -> PathBuf {
        fs::canonicalize(&self.0).unwrap_or_else(|_| self.0.clone())
    }

    /// Where it has what the store calls `path`: to see what is there.
    pub(super) fn at(&self, path: &Path) -> PathBuf {
        self.0.join(path.as_ref())
    }

    /// Where something is made, moved or removed. A link that has this name itself is not to be followed.
    ///
    /// # Errors
    ///
    /// The way leads over another user's link.
    pub(super) fn way(&self, path: &Path) -> io::Result<PathBuf> {
        self.check_way(self.at(path))
    }

    /// The same of a path on the disk, whose names may be none of the store's.
    pub(super) fn check_way(&self, on_disk: PathBuf) -> io::Result<PathBuf> {
        private::check_way(&self.0, &on_disk).map(|()| on_disk)
    }

    /// The folders in one that a dataset or a table can be called, by name. What else lies there, such as
    /// `lost+found`, is none of ours.
    pub(super) fn folders(&self, path: &Path) -> io::Result<Vec<Path>> {
        let entries = match fs::read_dir(self.at(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        // As BigQuery takes them: letters and digits of any alphabet, `_`, `-` and blanks. A store writes some as `%C3`.
        let is_of_name = |c: char| !c.is_ascii() || c.is_ascii_alphanumeric() || "_- %".contains(c);
        let mut folders = Vec::new();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let name = name.to_str().filter(|name| name.chars().all(is_of_name));
            let named = name.and_then(|name| Path::parse(format!("{path}/{name}")).ok());
            folders.extend(named.filter(|_| entry.path().is_dir()));
        }
        folders.sort();
        Ok(folders)
    }

    /// Opens a file to be read.
    ///
    /// # Errors
    ///
    /// It can't be opened, is a pipe or a device, or lies behind another user's link and is not theirs: of these two
    /// the system knows no error.
    pub(super) fn open(&self, path: &Path) -> io::Result<File> {
        let on_disk = self.at(path);
        private::check_read(&self.0, &on_disk).and_then(|()| file::open(&on_disk))
    }

    /// Reads a small file.
    ///
    /// # Errors
    ///
    /// As of [`Self::open`], and where it is none.
    pub(super) fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let on_disk = self.at(path);
        private::check_read(&self.0, &on_disk)
            .and_then(|()| file::read(&on_disk, MAX_SMALL_BYTES as usize))
    }

    /// Opens a file that is to be locked, and makes it where it is not there.
    pub(super) fn to_lock(&self, path: &Path) -> io::Result<File> {
        self.way(path).and_then(|on_disk| durable::to_lock(&on_disk))
    }

    /// Moves a file that is replaced, as of now.
    pub(super) fn retire(&self, from: &Path, to: &Path, now: SystemTime) -> io::Result<()> {
        let (from, to) = (self.way(from)?, self.way(to)?);
        // A link is moved as it is.
        if !fs::symlink_metadata(&from)?.is_symlink() {
            file::open(&from)?.set_modified(now)?;
        }
        // Nothing rests on this: after a loss of power the file is moved again.
        to.parent().map_or(Ok(()), durable::folders)?;
        fs::rename(&from, &to)
    }

    /// Says how old a file is that was made here. Nothing but the time of a look back rests on it.
    pub(super) fn date_back(&self, path: &Path, to: SystemTime) {
        let Ok(on_disk) = self.way(path) else { return };
        if !fs::symlink_metadata(&on_disk).is_ok_and(|found| found.is_symlink()) {
            let _ = file::open(&on_disk).and_then(|file| file.set_modified(to));
        }
    }

    /// Removes a folder with all that is in it. What can't be removed is in nobody's way.
    pub(super) fn remove_folder(&self, path: &Path) {
        let _ = self.way(path).and_then(fs::remove_dir_all);
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{lchown, symlink};

    use super::*;

    #[test]
    fn nothing_is_made_moved_or_removed_behind_a_link_of_another_user() {
        let scratch = tempfile::tempdir().unwrap();
        let now = SystemTime::now();
        for link in ["d", "d/t", "d/t/load_date=1", "_log", "_log/d", "_replaced/d/t", "_staging"] {
            let [folder, victim] = ["shared", "victim"].map(|name| scratch.path().join(name));
            fs::create_dir_all(victim.join("deep")).unwrap();
            fs::write(victim.join("deep/file"), "kept").unwrap();
            let disk = Disk::new(folder.clone());
            let (link, own) = (Path::from(link), Path::from("own"));
            let on_disk = disk.at(&link);
            fs::create_dir_all(on_disk.parent().unwrap()).unwrap();
            fs::write(disk.at(&own), "own").unwrap();
            symlink(&victim, &on_disk).unwrap();
            // Others' links are made by root alone.
            if lchown(&on_disk, Some(12_345), None).is_err() {
                return;
            }
            let [deep, file] =
                ["deep", "deep/file"].map(|name| Path::from(format!("{link}/{name}")));
            let new = Path::from(format!("{link}/deep/new"));
            let refused = [
                disk.way(&new).map(drop),
                disk.to_lock(&new).map(drop),
                disk.open(&file).map(drop),
                disk.read(&file).map(drop),
                disk.retire(&own, &new, now),
                disk.retire(&file, &own, now),
            ];
            for error in refused.map(Result::unwrap_err) {
                assert!(error.to_string().contains("is a link of another user"), "{error}");
            }
            disk.remove_folder(&deep);
            disk.date_back(&file, SystemTime::UNIX_EPOCH);
            let left = fs::metadata(victim.join("deep/file")).unwrap();
            assert_ne!(left.modified().unwrap(), SystemTime::UNIX_EPOCH, "{link}");
            assert_eq!(fs::read_dir(victim.join("deep")).unwrap().count(), 1, "{link}");
            fs::remove_dir_all(folder).unwrap();
        }
    }

    #[test]
    fn nothing_is_made_where_a_link_leads_that_is_to_be_locked() {
        let scratch = tempfile::tempdir().unwrap();
        let disk = Disk::new(scratch.path().to_owned());
        symlink(scratch.path().join("victim"), scratch.path().join("lock")).unwrap();
        let error = disk.to_lock(&Path::from("lock")).unwrap_err();
        assert!(error.to_string().ends_with("lock` is a link, wanted a file"), "{error}");
        assert!(!scratch.path().join("victim").exists());
    }
}
