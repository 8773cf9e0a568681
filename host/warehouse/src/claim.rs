//! Claims: of all processes, one at a time does a thing, such as loading an object. Whoever comes second
//! is told so, and may ask again.
//!
//! A claim on `x` is the lock of the file `_staging/x.lock`. The operating system gives it back however
//! the process ends, and keeps it for one that is only slow or stopped: nobody has to guess which it is.
//!
//! The file is removed with the claim, or a warehouse of a million objects would have as many of them.
//! So a name may come to stand for another file while somebody waits, and two processes could hold the
//! locks of two files of one name. They do not, step by step:
//!
//! 1. The file is opened, or created. Killed here, it stays, and the next one locks it. Another that
//!    does the same has the same file.
//! 2. It is locked. Another that tries is told that it is taken.
//! 3. The name is looked up once more. Does it lead to another file or nowhere, then the claim was given
//!    back between 1 and 2: the lock is worth nothing and is let go, the name is not touched. Does it
//!    lead to this file, then it does so until the holder removes it, since nobody else may: a claim.
//! 4. At the end the name is removed, and only then the lock given back. Killed between the two, the lock
//!    is gone too. Another that opened the file before finds out in 3; one that comes after creates a
//!    file of its own, and by then there is nothing left to be done under the claim.
//!
//! Machines that share a folder keep out of each other's way only where its file system's locks reach from
//! one to the other, as those of NFS do unless it is mounted with `local_lock`. In Cloud Storage there are
//! no locks: there are marks, which last for a while ([`super::marks`]), and what is right rests on
//! [`super::decision`].

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use object_store::path::Path as Name;

use super::{STAGING, Warehouse, WarehouseError};
use clickmill_core::durable;

/// A claim. It is given back when it is dropped, and when the process ends in whatever way.
#[derive(Debug)]
pub struct Claim {
    _held: Option<Held>,
}

impl Claim {
    /// A claim that keeps nobody away, where there are no locks.
    fn unlocked() -> Self {
        Self { _held: None }
    }
}

/// The locked file.
#[derive(Debug)]
struct Held {
    path: PathBuf,
    file: File,
}

impl Held {
    /// `None` while another holds it.
    fn take(path: PathBuf) -> io::Result<Option<Self>> {
        let file = durable::to_lock(&path)?;
        Self::lock(path, file)
    }

    /// Steps 2 and 3, with a file that was opened by this name.
    fn lock(path: PathBuf, file: File) -> io::Result<Option<Self>> {
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => {
                let why = format!("no lock, wanted a file system that has them: {error}");
                return Err(io::Error::new(error.kind(), why));
            }
        }
        // Given back just now: the next try has the file of that name.
        if !leads_to(&path, &file)? {
            return Ok(None);
        }
        Ok(Some(Self { path, file }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The lock is given back after this, with the file. Where somebody has cleared the folder by
        // hand, the name may be another's by now. A file that stays is taken by the next claim.
        if leads_to(&self.path, &self.file).unwrap_or(false) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Whether a name stands for this very file.
fn leads_to(path: &Path, file: &File) -> io::Result<bool> {
    let named = match fs::metadata(path) {
        Ok(named) => named,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // As long as the file is open its number is not given to another.
    let ours = file.metadata()?;
    Ok((named.dev(), named.ino()) == (ours.dev(), ours.ino()))
}

impl Warehouse {
    /// Claims what one process at a time may do, such as the load of this id. `None` while another has
    /// the claim. In Cloud Storage everybody is given one.
    pub fn claim(&self, id: &str) -> Result<Option<Claim>, WarehouseError> {
        let (Some(disk), Some(path)) = (&self.disk, self.claim_file(id)) else {
            return Ok(Some(Claim::unlocked()));
        };
        let held = disk.check_way(path.clone()).and_then(Held::take);
        let held = held.map_err(|source| {
            self.disk_failed(format!("lock `{}` to keep other runs off", path.display()), source)
        })?;
        Ok(held.map(|held| Claim { _held: Some(held) }))
    }

    /// The file of a claim, on a disk.
    pub(super) fn claim_file(&self, id: &str) -> Option<PathBuf> {
        self.on_disk(&Name::from(STAGING)).map(|folder| folder.join(format!("{id}.lock")))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::*;

    fn scratch() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("_staging").join("id.lock");
        (folder, path)
    }

    #[test]
    fn only_one_has_it_and_the_file_goes_with_it() {
        let (_folder, path) = scratch();
        let first = Held::take(path.clone()).unwrap().unwrap();
        assert!(Held::take(path.clone()).unwrap().is_none());
        drop(first);
        assert!(!path.exists());
        assert!(Held::take(path.clone()).unwrap().is_some());
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_a_killed_process_left_is_taken() {
        let (_folder, path) = scratch();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "").unwrap();
        drop(Held::take(path.clone()).unwrap().unwrap());
        assert!(!path.exists());
    }

    #[test]
    fn who_opened_the_file_before_it_was_given_back_does_not_have_the_claim() {
        let (_folder, path) = scratch();
        let first = Held::take(path.clone()).unwrap().unwrap();
        // Another is between opening and locking …
        let late = || fs::OpenOptions::new().write(true).open(&path).unwrap();
        let (one, other) = (late(), late());
        drop(first);
        // … while nobody claims it, or a third one does.
        assert!(Held::lock(path.clone(), one).unwrap().is_none());
        assert!(!path.exists());
        let third = Held::take(path.clone()).unwrap().unwrap();
        assert!(Held::lock(path.clone(), other).unwrap().is_none());
        assert!(Held::take(path.clone()).unwrap().is_none());
        drop(third);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_of_another_is_left_to_it() {
        let (_folder, path) = scratch();
        let first = Held::take(path.clone()).unwrap().unwrap();
        fs::remove_file(&path).unwrap();
        let second = Held::take(path.clone()).unwrap().unwrap();
        drop(first);
        assert!(path.exists());
        drop(second);
        assert!(!path.exists());
    }

    #[test]
    fn of_many_at_once_one_has_it() {
        let (_folder, path) = scratch();
        let (taken, inside) = (AtomicU32::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    let mut left = 200;
                    while left > 0 {
                        let Some(held) = Held::take(path.clone()).unwrap() else {
                            std::thread::yield_now();
                            continue;
                        };
                        assert!(!inside.swap(true, Ordering::SeqCst), "two have it");
                        taken.fetch_add(1, Ordering::SeqCst);
                        std::thread::yield_now();
                        inside.store(false, Ordering::SeqCst);
                        drop(held);
                        left -= 1;
                    }
                });
            }
        });
        assert_eq!(taken.load(Ordering::SeqCst), 8 * 200);
        assert!(!path.exists());
    }
}
