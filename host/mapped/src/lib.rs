//! Compiled components in files, which are mapped into memory where they are wanted. The engine's own cache has them
//! compressed: what is unpacked from there and copied is in memory that the kernel has to clear first, which takes
//! most of the time of a start.
//!
//! What is in such a file is run as it is, outside of any sandbox. So it is the only crate that takes code from a disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use wasmtime::Engine;
use wasmtime::component::Component;

/// Files of one folder.
#[derive(Debug)]
pub struct Mapped {
    folder: PathBuf,
    max_bytes: u64,
}

impl Mapped {
    /// Those of a folder to which nobody but the user can write. It keeps so many bytes, of what was used last.
    #[must_use]
    pub fn new(folder: PathBuf, max_bytes: u64) -> Self {
        Self { folder, max_bytes }
    }

    /// The component that was kept by this name; `None` where there is none, or none that the engine can map, such as
    /// from a disk of which nothing may be run.
    #[must_use]
    pub fn open(&self, engine: &Engine, name: &str) -> Option<Component> {
        let path = self.folder.join(name);
        let file = File::open(&path).ok()?;
        // SAFETY: `keep` has written it, whole, since nobody else can write there. The engine refuses what another
        // version has compiled, or one with other settings. A file of this name is never written to again: it is
        // there or it is gone, and as long as it is mapped it stays.
        #[expect(unsafe_code, reason = "the engine has no other way to map a file")]
        let component = unsafe { Component::deserialize_file(engine, &path) };
        match component {
            Ok(component) => {
                // What was not used for long goes first.
                let _ = file.set_modified(SystemTime::now());
                Some(component)
            }
            Err(error) => {
                tracing::debug!(%error, name, "compiled code is not mapped");
                None
            }
        }
    }

    /// Keeps a component by a name, unless there is one by it.
    ///
    /// # Errors
    ///
    /// It cannot be written.
    pub fn keep(&self, component: &Component, name: &str) -> io::Result<()> {
        let path = self.folder.join(name);
        if path.exists() {
            return Ok(());
        }
        let code = component.serialize().map_err(io::Error::other)?;
        self.clear(code.len() as u64)?;
        let mut file = tempfile::NamedTempFile::new_in(&self.folder)?;
        file.write_all(&code)?;
        // After a loss of power it is whole, or not there.
        file.as_file().sync_all()?;
        file.persist(&path).map(drop).map_err(|error| error.error)
    }

    /// Makes room for so many bytes.
    fn clear(&self, wanted: u64) -> io::Result<()> {
        let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            // It may be gone meanwhile.
            let Ok(metadata) = entry.metadata() else { continue };
            files.push((metadata.modified()?, metadata.len(), entry.path()));
        }
        files.sort_unstable_by(|one, other| other.cmp(one));
        let mut kept = wanted;
        for (_, bytes, path) in files {
            kept = kept.saturating_add(bytes);
            if kept > self.max_bytes {
                remove(&path)?;
            }
        }
        Ok(())
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn component(engine: &Engine) -> Component {
        // The smallest one, which has nothing.
        Component::from_binary(engine, b"\0asm\x0d\0\x01\0").unwrap()
    }

    #[test]
    fn what_is_kept_is_found_by_its_name_by_the_same_engine() {
        let scratch = tempfile::tempdir().unwrap();
        let mapped = Mapped::new(scratch.path().to_owned(), 1 << 20);
        let engine = Engine::default();
        assert!(mapped.open(&engine, "a").is_none());
        mapped.keep(&component(&engine), "a").unwrap();
        assert!(mapped.open(&engine, "a").is_some() && mapped.open(&engine, "b").is_none());
        let other = Engine::new(wasmtime::Config::new().consume_fuel(true)).unwrap();
        assert!(mapped.open(&other, "a").is_none());
        // It is nobody's to mend: it would be written at each start.
        for damaged in [&b""[..], b"no code"] {
            fs::write(scratch.path().join("a"), damaged).unwrap();
            assert!(mapped.open(&engine, "a").is_none());
            mapped.keep(&component(&engine), "a").unwrap();
            assert_eq!(fs::read(scratch.path().join("a")).unwrap(), damaged);
        }
    }

    #[test]
    fn what_was_used_last_stays() {
        let scratch = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let component = component(&engine);
        let bytes = component.serialize().unwrap().len() as u64;
        let mapped = Mapped::new(scratch.path().to_owned(), 3 * bytes);
        let is_there = |name: &str| scratch.path().join(name).exists();
        for (at, name) in ["a", "b", "c"].into_iter().enumerate() {
            mapped.keep(&component, name).unwrap();
            let before = SystemTime::UNIX_EPOCH + Duration::from_secs(at as u64);
            File::open(scratch.path().join(name)).unwrap().set_modified(before).unwrap();
        }
        assert!(mapped.open(&engine, "a").is_some());
        mapped.keep(&component, "d").unwrap();
        assert_eq!(["a", "b", "c", "d"].map(is_there), [true, false, true, true]);
    }
}
