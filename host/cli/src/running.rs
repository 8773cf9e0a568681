//! The pipelines that run on this machine: each process says where its admin interface is, in a file that
//! it keeps locked. The lock ends with the process, however that ends, so that what a killed one left is
//! told from what runs.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::place;

/// What a process says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Said {
    /// The pipeline's name.
    pub pipeline: String,
    /// Where its admin interface is.
    pub admin: SocketAddr,
    /// The process.
    pub process: u32,
}

/// A process that has said so. Its file is removed when it is dropped.
pub(super) struct Announced {
    path: PathBuf,
    _locked: File,
}

impl Drop for Announced {
    fn drop(&mut self) {
        // One that stays is removed by whoever looks next.
        let _ = fs::remove_file(&self.path);
    }
}

/// Says that a pipeline runs here. Where that can't be said, `top` has to be told the address.
pub(super) fn announce(pipeline: &str, admin: SocketAddr) -> Option<Announced> {
    let said = Said { pipeline: pipeline.to_owned(), admin, process: std::process::id() };
    let announced = announce_in(&folder(), &said);
    announced
        .inspect_err(|error| {
            tracing::warn!(%error, "`clickmill top` will not find this process by itself");
        })
        .ok()
}

/// The pipelines that run here now, in the order of their names.
pub(super) fn all() -> Vec<Said> {
    all_in(&folder()).unwrap_or_default()
}

fn folder() -> PathBuf {
    place::cache().join("running")
}

fn announce_in(folder: &Path, said: &Said) -> io::Result<Announced> {
    fs::create_dir_all(folder)?;
    let name = format!("{}-{}-{:08x}", said.process, said.admin.port(), rand::random::<u32>());
    let part = folder.join(format!("{name}.part"));
    let mut file = File::create_new(&part)?;
    // Locked before it has the name that others look at.
    file.try_lock()?;
    file.write_all(&serde_json::to_vec(said)?)?;
    let path = folder.join(format!("{name}.json"));
    fs::rename(&part, &path)?;
    Ok(Announced { path, _locked: file })
}

fn all_in(folder: &Path) -> io::Result<Vec<Said>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        // It may have ended meanwhile.
        let Ok(file) = File::open(&path) else { continue };
        match file.try_lock_shared() {
            // Nobody has it any more.
            Ok(()) => {
                let _ = fs::remove_file(&path);
            }
            Err(TryLockError::WouldBlock) => {
                all.extend(serde_json::from_reader::<_, Said>(&file).ok());
            }
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    all.sort_by(|a, b| (&a.pipeline, a.admin).cmp(&(&b.pipeline, b.admin)));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_run_are_found_and_what_others_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let said = |pipeline: &str, port: u16| Said {
            pipeline: pipeline.to_owned(),
            admin: SocketAddr::from(([127, 0, 0, 1], port)),
            process: 7,
        };
        let [one, other, gone] = [said("clicks", 2), said("clicks", 1), said("shop", 3)];
        let one_runs = announce_in(folder.path(), &one).unwrap();
        let _other_runs = announce_in(folder.path(), &other).unwrap();
        // As a process that was killed leaves it.
        let left = announce_in(folder.path(), &gone).unwrap();
        let text = fs::read(&left.path).unwrap();
        let path = left.path.clone();
        drop(left);
        fs::write(&path, text).unwrap();
        fs::write(folder.path().join("8-4-0.part"), "half").unwrap();
        assert_eq!(all_in(folder.path()).unwrap(), [other.clone(), one]);
        assert!(!path.exists());
        drop(one_runs);
        assert_eq!(all_in(folder.path()).unwrap(), [other]);
        assert!(all_in(&folder.path().join("none")).is_err());
    }
}
