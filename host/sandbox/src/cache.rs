//! The folder of compiled code. What is read from there is run as it is, outside of any sandbox, and no
//! signature covers it: it is used only where nobody but the user can have written to it.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clickmill_core::causes;
use clickmill_core::private::{self, NotOurs};

/// Why compiled code is not kept in a folder.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It can't be made.
    #[error("cannot make `{path}`", path = path.display())]
    Make {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is in it may be somebody else's.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    /// Something in it can't be looked at.
    #[error("cannot look at what is in `{path}`", path = path.display())]
    Look {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The folder of compiled code that a process uses.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    /// Removed when this is dropped.
    _of_this_process: Option<tempfile::TempDir>,
}

impl Folder {
    /// The folder that is named, where it is [`usable`]; else one for this process alone, whose name nobody can
    /// guess, so that nothing is kept. That is said: at `warn` where a folder is named.
    ///
    /// # Errors
    ///
    /// There is no place for a folder of this process either.
    pub(crate) fn open(named: Option<&Path>) -> Result<Self, CacheError> {
        match named.map(|folder| (folder, usable(folder))) {
            Some((_, Ok(path))) => return Ok(Self { path, _of_this_process: None }),
            Some((folder, Err(error))) => {
                let (folder, error) = (folder.display(), causes(&error));
                tracing::warn!(
                    %folder,
                    error,
                    "compiled plugins are not kept: wanted a folder that only you can write to; remove it, and it is made so"
                );
            }
            None => tracing::info!(
                "compiled plugins are not kept: no folder of the user's own is named for them"
            ),
        }
        let made = tempfile::TempDir::new();
        let made =
            made.map_err(|source| CacheError::Make { path: std::env::temp_dir(), source })?;
        Ok(Self { path: private::ours(made.path())?, _of_this_process: Some(made) })
    }

    /// Where it is: an absolute path without links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The folder of compiled code in there. It is cleared of whatever else is in it, old or unknown.
const CODE: &str = "compiled";

/// Where compiled code may be kept in a folder: in one of its own, without links. Both are made for the user
/// alone where they were not there.
///
/// # Errors
///
/// They can't be made, or others than the user can write to them or to one above, or something of others is in
/// there.
fn usable(folder: &Path) -> Result<PathBuf, CacheError> {
    let folder = ours(&ours(folder)?.join(CODE))?;
    let looked = fs::metadata(&folder).and_then(|metadata| {
        // Where nobody else gets in any more it does not matter what is open in it, which is up to the umask.
        let is_shut = metadata.mode() & 0o077 == 0;
        others(&folder, metadata.uid(), is_shut)
    });
    match looked.map_err(|source| CacheError::Look { path: folder.clone(), source })? {
        Some(path) => Err(NotOurs::Writable { folder: path.display().to_string() }.into()),
        None => Ok(folder),
    }
}

/// A folder, made where it was not there, that nobody else can write to.
fn ours(folder: &Path) -> Result<PathBuf, CacheError> {
    let made = private::create_dir_all(folder);
    made.map_err(|source| CacheError::Make { path: folder.to_owned(), source })?;
    Ok(private::ours(folder)?)
}

/// Something below a folder that another than the user, or root, has made or may have written.
fn others(folder: &Path, user: u32, is_shut: bool) -> io::Result<Option<PathBuf>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        // It may be gone meanwhile.
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        let is_ours = [user, 0].contains(&metadata.uid()) && !metadata.is_symlink();
        let is_open = !is_shut && metadata.mode() & 0o022 != 0;
        if !is_ours || is_open {
            return Ok(Some(path));
        }
        if metadata.is_dir()
            && let Some(path) = others(&path, user, is_shut)?
        {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_folder_that_others_may_look_into_is_used_where_nothing_in_it_is_open_to_them() {
        let scratch = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode: u32| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let cache = scratch.path().join("cache");
        let folder = usable(&cache).unwrap();
        let below = folder.join("modules");
        let entry = below.join("entry");
        fs::create_dir(&below).unwrap();
        fs::write(&entry, "code").unwrap();
        let [mut whole, mut shut] = [Vec::new(), Vec::new()];
        for (folder_mode, into) in [(0o755, &mut whole), (0o700, &mut shut)] {
            set(&folder, folder_mode);
            for (below_mode, entry_mode) in [(0o755, 0o644), (0o775, 0o644), (0o755, 0o666)] {
                set(&below, below_mode);
                set(&entry, entry_mode);
                into.push(usable(&cache).is_ok());
            }
        }
        assert_eq!((whole, shut), (vec![true, false, false], vec![true; 3]));
        // What others have put there while they could stays theirs, though the folder is shut since.
        std::os::unix::fs::symlink(&entry, below.join("link")).unwrap();
        for folder_mode in [0o755, 0o700] {
            set(&folder, folder_mode);
            set(&below, 0o755);
            set(&entry, 0o644);
            assert!(matches!(usable(&cache), Err(CacheError::NotOurs(NotOurs::Writable { .. }))));
        }
        fs::remove_file(below.join("link")).unwrap();
        assert!(usable(&cache).is_ok());
        // Only root can give a file away.
        if std::os::unix::fs::chown(&entry, Some(12_345), None).is_ok() {
            assert!(matches!(usable(&cache), Err(CacheError::NotOurs(NotOurs::Writable { .. }))));
        }
    }

    #[test]
    fn without_a_usable_folder_a_process_has_one_of_its_own_and_leaves_none() {
        let scratch = tempfile::tempdir().unwrap();
        let open = scratch.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
        for named in [None, Some(&*open)] {
            let folder = Folder::open(named).unwrap();
            let path = folder.path().to_owned();
            assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o700);
            assert!(!path.starts_with(scratch.path()));
            drop(folder);
            assert!(!path.exists());
        }
        let named = scratch.path().join("named");
        private::create_dir_all(&named).unwrap();
        let beside = named.join("beside");
        fs::write(&beside, "something else").unwrap();
        let folder = Folder::open(Some(&named)).unwrap();
        // It is cleared of what is unknown, so it is a folder by itself.
        assert_eq!(folder.path(), fs::canonicalize(&named).unwrap().join(CODE));
        drop(folder);
        assert!(named.join(CODE).exists() && beside.exists());
    }
}
