//! The folder of compiled code. What is read from there is run as it is, outside of any sandbox, and no
//! signature covers it: it is used only where nobody but the user can have written to it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clickmill_core::causes;
use clickmill_core::private::{self, NotOurs};
use clickmill_mapped::Mapped;

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
    /// Compiled code that is mapped, where it is kept at all.
    mapped: Option<Mapped>,
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
        match named.map(|folder| (folder, usable(folder, CODE))) {
            Some((folder, Ok(path))) => {
                let mapped = usable(folder, MAPPED).ok();
                let mapped = mapped.map(|folder| Mapped::new(folder, MAX_KEPT_BYTES));
                return Ok(Self { path, mapped, _of_this_process: None });
            }
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
        // By default it would be as open as the umask leaves it.
        let user_alone = Permissions::from_mode(0o700);
        let made = tempfile::Builder::new().permissions(user_alone).tempdir();
        let made =
            made.map_err(|source| CacheError::Make { path: std::env::temp_dir(), source })?;
        let path = private::ours(made.path())?;
        Ok(Self { path, mapped: None, _of_this_process: Some(made) })
    }

    /// Compiled code that is mapped, where it is kept.
    pub(crate) fn mapped(&self) -> Option<&Mapped> {
        self.mapped.as_ref()
    }

    /// Where it is: an absolute path without links.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The folder of compiled code in there. It is cleared of whatever else is in it, old or unknown.
const CODE: &str = "compiled";
/// The folder of what is mapped in there, as the engine's own cache does not have it: unpacked.
const MAPPED: &str = "mapped";

/// Where compiled code lies in that folder, below a folder of its compiler.
const MODULES: &str = "modules";

/// Bytes of compiled code that are kept, at most. Where there are more, …
pub(super) const MAX_KEPT_BYTES: u64 = 512 << 20;
/// … what was used last is kept up to this part of it, in hundredths.
const KEPT_PART: u64 = 70;

/// Compiled code of one component, with what the cache notes of it beside.
struct Entry {
    bytes: u64,
    used: SystemTime,
    files: Vec<PathBuf>,
}

/// Removes the compiled code that was not used for the longest time, where there are more than so many bytes of
/// it. Whoever writes it is gone right after that, and clears nothing. `before` is called before the first file
/// goes.
///
/// # Errors
///
/// The folder can't be read, or a file not be removed.
pub(super) fn sweep(
    folder: &Path,
    max_bytes: u64,
    before: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let mut entries = entries(&folder.join(MODULES))?;
    if entries.iter().map(|entry| entry.bytes).sum::<u64>() <= max_bytes {
        return Ok(());
    }
    before()?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.used));
    let (mut kept, mut removed) = (0, 0);
    for entry in entries {
        // The last one is somebody's who waits for it.
        if kept == 0 || kept + entry.bytes <= max_bytes / 100 * KEPT_PART {
            kept += entry.bytes;
            continue;
        }
        removed += entry.bytes;
        for file in entry.files {
            gone(fs::remove_file(file))?;
        }
    }
    tracing::info!(removed, kept, "compiled plugins that were not used for long are removed");
    Ok(())
}

/// What is kept of all compilers.
fn entries(modules: &Path) -> io::Result<Vec<Entry>> {
    let mut entries: HashMap<(PathBuf, Option<OsString>), Entry> = HashMap::new();
    let Some(compilers) = gone(fs::read_dir(modules))? else { return Ok(Vec::new()) };
    for compiler in compilers {
        let compiler = compiler?.path();
        let Some(files) = gone(fs::read_dir(&compiler))? else { continue };
        for file in files {
            let file = file?.path();
            let Some(metadata) = gone(fs::symlink_metadata(&file))? else { continue };
            let (bytes, used) = (metadata.len(), metadata.modified()?);
            // What is noted of an entry is written anew with each use, under its name with an ending.
            let entry = entries.entry((compiler.clone(), file.file_stem().map(Into::into)));
            let entry = entry.or_insert(Entry { bytes: 0, used, files: Vec::new() });
            entry.bytes += bytes;
            entry.used = entry.used.max(used);
            entry.files.push(file);
        }
    }
    Ok(entries.into_values().collect())
}

/// What came of it, unless another process was faster and the file or folder is gone.
fn gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(done) => Ok(Some(done)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Where compiled code may be kept in a folder: in one of its own by this name, without links. Both are made for
/// the user alone where they were not there.
///
/// # Errors
///
/// They can't be made, or others than the user can write to them or to one above, or something of others is in
/// there.
fn usable(folder: &Path, name: &str) -> Result<PathBuf, CacheError> {
    let folder = ours(&ours(folder)?.join(name))?;
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
    use super::*;

    #[test]
    fn a_folder_that_others_may_look_into_is_used_where_nothing_in_it_is_open_to_them() {
        let scratch = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode: u32| {
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
        };
        let cache = scratch.path().join("cache");
        let folder = usable(&cache, CODE).unwrap();
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
                into.push(usable(&cache, CODE).is_ok());
            }
        }
        assert_eq!((whole, shut), (vec![true, false, false], vec![true; 3]));
        // What others have put there while they could stays theirs, though the folder is shut since.
        std::os::unix::fs::symlink(&entry, below.join("link")).unwrap();
        for folder_mode in [0o755, 0o700] {
            set(&folder, folder_mode);
            set(&below, 0o755);
            set(&entry, 0o644);
            assert!(matches!(
                usable(&cache, CODE),
                Err(CacheError::NotOurs(NotOurs::Writable { .. }))
            ));
        }
        fs::remove_file(below.join("link")).unwrap();
        assert!(usable(&cache, CODE).is_ok());
        // Only root can give a file away.
        if std::os::unix::fs::chown(&entry, Some(12_345), None).is_ok() {
            assert!(matches!(
                usable(&cache, CODE),
                Err(CacheError::NotOurs(NotOurs::Writable { .. }))
            ));
        }
    }

    /// Of entries that are used one after the other, the first ones go, with what is noted of them.
    #[test]
    fn what_was_not_used_for_the_longest_time_goes_first() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        assert!(sweep(folder, 0, || panic!("there is nothing to remove")).is_ok());
        let compilers = ["modules/one", "modules/two"].map(|name| folder.join(name));
        let write = |path: PathBuf, bytes: usize, second: u64| {
            let used = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(second);
            fs::write(&path, vec![0; bytes]).unwrap();
            fs::File::options().write(true).open(&path).unwrap().set_modified(used).unwrap();
        };
        for (at, compiler) in compilers.iter().enumerate() {
            fs::create_dir_all(compiler).unwrap();
            for entry in 0..4 {
                // `e0` of each was compiled first, and is used still.
                write(compiler.join(format!("e{entry}")), 100, entry);
                let used = if entry == 0 { 100 } else { 10 + 2 * entry + at as u64 };
                write(compiler.join(format!("e{entry}.stats")), 10, used);
            }
        }
        let left = || {
            let files = compilers.iter().flat_map(|compiler| fs::read_dir(compiler).unwrap());
            let names = files.map(|file| file.unwrap().path());
            let names = names.map(|path| path.strip_prefix(folder).unwrap().to_owned());
            names.collect::<std::collections::BTreeSet<PathBuf>>()
        };
        let all = left();
        assert!(sweep(folder, 880, || panic!("they are no more than that")).is_ok());
        assert_eq!(left(), all);
        // Nothing goes before it is known that it does.
        let refused = sweep(folder, 879, || Err(io::ErrorKind::PermissionDenied.into()));
        assert!(refused.is_err());
        assert_eq!(left(), all);
        let mut is_told = false;
        let swept = sweep(folder, 500, || {
            is_told = true;
            Ok(())
        });
        assert!(swept.is_ok() && is_told);
        let kept = ["one/e0", "one/e0.stats", "two/e0", "two/e0.stats", "two/e3", "two/e3.stats"];
        let kept = kept.map(|name| Path::new(MODULES).join(name));
        assert_eq!(left(), kept.into());
        // One that is larger than all may be is kept as long as it is the last.
        write(compilers[0].join("large"), 10_000, 1_000);
        assert!(sweep(folder, 500, || Ok(())).is_ok());
        assert_eq!(left(), [Path::new(MODULES).join("one/large")].into());
    }

    #[test]
    fn without_a_usable_folder_a_process_has_one_of_its_own_and_leaves_none() {
        let scratch = tempfile::tempdir().unwrap();
        let open = scratch.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o777)).unwrap();
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
