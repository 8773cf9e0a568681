//! What was pulled, by its digest: a folder for each, as packages have plugins. A folder that is not what its digest
//! says is as good as none.

use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::error::{RegistryError, file, wrong};
use super::node::{
    MAX_MANIFEST_BYTES, MAX_SIGNATURE_BYTES, Manifest, Node, SIGNATURE_FILE, sha256,
};
use clickmill_core::oci::Reference;
use clickmill_core::{causes, durable, file as files, private};

/// The names of what is in such a folder, beside the files that belong to the component.
const COMPONENT: &str = "plugin.wasm";
const MANIFEST: &str = "manifest.json";
const FILES: &str = "files.json";

/// How often a damaged folder is moved away, of which others may put another there meanwhile.
const MAX_TRIES: usize = 10;

/// Where folders are kept.
pub(crate) struct Cache {
    root: PathBuf,
}

/// A component that was pulled, with what belongs to it.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// What it is, with its digest.
    pub reference: Reference,
    /// The folder that has all of it.
    pub folder: PathBuf,
    /// The component's file. Its signature is beside it, under the name that minisign gives it.
    pub component: PathBuf,
    /// Its signature, which nobody has looked at.
    pub signature: Option<String>,
    /// The names of the files that belong to it, within the folder: `README.md`, `config.schema.json`, `tests/…`.
    pub files: Vec<String>,
    /// Its manifest names files, and the registry had none of that digest.
    pub(crate) lacks_files: bool,
}

impl Cache {
    pub(crate) fn of(folder: PathBuf) -> Self {
        Self { root: folder.join("registry") }
    }

    fn folder(&self, reference: &Reference) -> PathBuf {
        // Digits only: a reference has no other digest.
        let digest = reference.digest().unwrap_or_default();
        self.root.join(digest.trim_start_matches("sha256:"))
    }

    /// What is kept of a digest, and the component.
    pub(crate) fn read(
        &self,
        reference: &Reference,
    ) -> Result<Option<(Pulled, Bytes)>, RegistryError> {
        let folder = self.folder(reference);
        if !folder.exists() {
            return Ok(None);
        }
        private::ours(&self.root)?;
        match read(reference, &folder) {
            Ok(read) => Ok(Some(read)),
            Err(error) => {
                let (folder, error) = (folder.display().to_string(), causes(&error));
                tracing::warn!(folder, error, "what was pulled is damaged: it is pulled again");
                Ok(None)
            }
        }
    }

    pub(crate) fn write(
        &self,
        reference: &Reference,
        component: &Node,
        belonging: Option<&Node>,
        signature: Option<&String>,
    ) -> Result<Pulled, RegistryError> {
        private::create_dir_all(&self.root).map_err(file(&self.root))?;
        private::ours(&self.root)?;
        let folder = self.folder(reference);
        let kept = self.read(reference)?;
        let is_whole = |kept: &Pulled| !kept.lacks_files || belonging.is_none();
        if !kept.as_ref().is_some_and(|(kept, _)| is_whole(kept)) {
            let part = tempfile::Builder::new().prefix(".part-").tempdir_in(&self.root);
            let part = part.map_err(file(&self.root))?;
            let write = |name: &str, bytes: &[u8]| {
                let path = part.path().join(name);
                if let Some(parent) = path.parent() {
                    private::create_dir_all(parent).map_err(file(parent))?;
                }
                durable::write(&path, bytes).map_err(file(&path))
            };
            write(MANIFEST, &component.bytes)?;
            write(COMPONENT, &component.blobs[1])?;
            if let Some(belonging) = belonging {
                write(FILES, &belonging.bytes)?;
                for (layer, bytes) in belonging.layers() {
                    // Each name was looked at.
                    write(layer.title().unwrap_or_default(), bytes)?;
                }
            }
            if let Some(text) = kept.and_then(|(kept, _)| kept.signature) {
                write(SIGNATURE_FILE, text.as_bytes())?;
            }
            // What is left of it goes with it.
            let is_fine = || {
                self.read(reference).is_ok_and(|kept| kept.is_some_and(|(kept, _)| is_whole(&kept)))
            };
            take_place(part.path(), &folder, is_fine).map_err(file(&folder))?;
        }
        if let Some(signature) = signature {
            let path = folder.join(SIGNATURE_FILE);
            durable::write(&path, signature.as_bytes()).map_err(file(&path))?;
        }
        read(reference, &folder).map(|(pulled, _)| pulled)
    }
}

/// Moves a folder to where a damaged one may be. One that another process has made meanwhile is as good, and stays:
/// somebody reads it.
fn take_place(part: &Path, folder: &Path, is_fine: impl Fn() -> bool) -> io::Result<()> {
    let aside = part.with_extension("damaged");
    let mut tries = 0;
    loop {
        let error = match fs::rename(part, folder) {
            Err(error) if is_taken(&error) => error,
            moved => return moved,
        };
        if is_fine() {
            return Ok(());
        }
        tries += 1;
        if tries > MAX_TRIES {
            return Err(error);
        }
        match fs::rename(folder, &aside) {
            Ok(()) => fs::remove_dir_all(&aside)?,
            // Another has moved it.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

fn is_taken(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::DirectoryNotEmpty | ErrorKind::AlreadyExists)
}

fn read(reference: &Reference, folder: &Path) -> Result<(Pulled, Bytes), RegistryError> {
    let of = reference.to_string();
    let (manifest, digest) = (read_file(folder, MANIFEST, MAX_MANIFEST_BYTES)?, reference.digest());
    if digest != Some(&sha256(&manifest)) {
        return Err(wrong(&of, "its manifest has another digest"));
    }
    let manifest = Manifest::read(&of, &manifest)?;
    manifest.check_component(&of, u64::MAX)?;
    let layer = &manifest.layers[0];
    let component = read_file(folder, COMPONENT, layer.size)?;
    layer.check(&of, &component)?;
    let mut names = Vec::new();
    let has_files = folder.join(FILES).exists();
    if has_files {
        let belonging = read_file(folder, FILES, MAX_MANIFEST_BYTES)?;
        let belonging = Manifest::read(&of, &belonging)?;
        belonging.check_files(&of)?;
        if manifest.of_files() != Some(&belonging.files()) {
            return Err(wrong(&of, "the files that belong to it have another digest"));
        }
        for layer in &belonging.layers {
            let name = layer.title().unwrap_or_default();
            layer.check(&of, &read_file(folder, name, layer.size)?)?;
            names.push(name.to_owned());
        }
    }
    let signature = match read_file(folder, SIGNATURE_FILE, MAX_SIGNATURE_BYTES) {
        Ok(text) => Some(String::from_utf8_lossy(&text).into_owned()),
        Err(RegistryError::File { source, .. }) if source.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let lacks_files = !has_files && manifest.of_files().is_some();
    let pulled = Pulled {
        reference: reference.clone(),
        folder: folder.to_owned(),
        component: folder.join(COMPONENT),
        signature,
        files: names,
        lacks_files,
    };
    Ok((pulled, component.into()))
}

fn read_file(folder: &Path, name: &str, max: u64) -> Result<Vec<u8>, RegistryError> {
    let path = folder.join(name);
    let mut bytes = Vec::new();
    let read = files::open(&path).and_then(|opened| {
        // One more tells a larger file.
        opened.take(max.saturating_add(1)).read_to_end(&mut bytes)
    });
    read.map_err(file(path))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::node::Content;

    #[test]
    fn what_is_kept_is_read_whole_or_not_at_all() {
        let scratch = tempfile::tempdir().unwrap();
        let cache = Cache::of(scratch.path().to_owned());
        let content = Content {
            component: Bytes::from_static(b"\0asm"),
            files: vec![("tests/a.json".to_owned(), Bytes::from_static(b"{}"))],
            ..Content::default()
        };
        let (component, belonging) = Node::pack(&content).unwrap();
        let reference: Reference = "oci://localhost/mask:1".parse().unwrap();
        let reference = reference.at(&component.digest()).unwrap();
        assert!(cache.read(&reference).unwrap().is_none());
        let write = |signature: Option<&str>| {
            let signature = signature.map(str::to_owned);
            cache.write(&reference, &component, belonging.first(), signature.as_ref()).unwrap()
        };
        assert_eq!(write(None).signature, None);
        // It came later.
        let pulled = write(Some("signed"));
        assert_eq!(pulled.signature.as_deref(), Some("signed"));
        assert_eq!(pulled.files, ["tests/a.json"]);
        for name in [COMPONENT, MANIFEST, FILES, "tests/a.json"] {
            let path = pulled.folder.join(name);
            let was = fs::read(&path).unwrap();
            for other in [&b""[..], &[&b"x"[..], &was].concat()] {
                fs::write(&path, other).unwrap();
                assert!(cache.read(&reference).unwrap().is_none(), "{name}");
            }
            fs::remove_file(&path).unwrap();
            // The component alone is one, and is known for that.
            let left = cache.read(&reference).unwrap();
            assert_eq!(left.map(|(left, _)| left.lacks_files), (name == FILES).then_some(true));
            write(None);
            let (read, bytes) = cache.read(&reference).unwrap().unwrap();
            assert_eq!(read.signature.is_some(), name == FILES, "{name}");
            write(Some("signed"));
            assert_eq!((&bytes[..], read.files.len()), (&b"\0asm"[..], 1), "{name}");
        }
        // Nothing else is left of what was damaged.
        assert_eq!(fs::read_dir(&cache.root).unwrap().count(), 1);
        let others = fs::Permissions::from_mode(0o777);
        fs::set_permissions(&cache.root, others).unwrap();
        assert!(matches!(cache.read(&reference), Err(RegistryError::NotOurs(_))));
    }

    #[test]
    fn processes_that_pull_the_same_at_once_all_have_it() {
        let scratch = tempfile::tempdir().unwrap();
        let content = Content { component: Bytes::from_static(b"\0asm"), ..Content::default() };
        let (component, _) = Node::pack(&content).unwrap();
        let reference: Reference = "oci://localhost/mask:1".parse().unwrap();
        let reference = reference.at(&component.digest()).unwrap();
        for round in 0..20 {
            let cache = Cache::of(scratch.path().join(round.to_string()));
            std::thread::scope(|scope| {
                for _ in 0..8 {
                    scope.spawn(|| cache.write(&reference, &component, None, None).unwrap());
                }
            });
            // Of none a part is left.
            assert_eq!(fs::read_dir(&cache.root).unwrap().count(), 1);
        }
    }
}
