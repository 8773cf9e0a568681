//! What a component was made of, kept beside it. Times alone do not tell: a source that is put back from a copy or an
//! archive is as old as it was, and one that is gone has none.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use super::encode::write;
use super::error::BuildError;
use clickmill_core::Digest;

/// Sources by their path from a folder, each with the digest of its content. `None` where one cannot be read: no
/// component is of that.
pub(super) fn made_of(folder: &Path, sources: &[PathBuf]) -> Option<String> {
    // However the folder was named.
    let folder = fs::canonicalize(folder).ok()?;
    let sources = sources.iter().map(fs::canonicalize);
    let mut sources: Vec<PathBuf> = sources.collect::<Result<_, _>>().ok()?;
    sources.sort();
    sources.dedup();
    let mut told = String::new();
    for path in sources {
        let digest = Digest::of(&fs::read(&path).ok()?);
        let path = path.strip_prefix(&folder).unwrap_or(&path);
        // A name may have a line end in it.
        writeln!(told, "{digest} {path:?}").ok()?;
    }
    Some(told)
}

/// Files by name, each with when it was changed last, and its length: what tells at once that one is another.
pub(super) fn seen(mut files: Vec<PathBuf>) -> String {
    files.sort();
    files.dedup();
    let told = |path: PathBuf| {
        let found = fs::metadata(&path).ok().map(|meta| (meta.modified().ok(), meta.len()));
        format!("{path:?} {found:?}\n")
    };
    files.into_iter().map(told).collect()
}

/// What the last component was made of, as far as it is known.
pub(super) fn kept(component: &Path) -> Option<String> {
    Some(both(component)?.1)
}

/// Whether the component that is there was made of this. Another clickmill, such as one of an earlier commit, may have
/// put its own in its place.
pub(super) fn is_of(component: &Path, made_of: &str) -> bool {
    let is_it = |digest| fs::read(component).is_ok_and(|bytes| Digest::of(&bytes) == digest);
    both(component).is_some_and(|(digest, kept)| kept == made_of && digest.is_some_and(is_it))
}

/// The digest of a component, if it was kept, and what it was made of.
fn both(component: &Path) -> Option<(Option<Digest>, String)> {
    let kept = fs::read_to_string(beside(component)).ok()?;
    let digest = kept.lines().next().and_then(|line| line.parse().ok());
    let made_of = match digest {
        Some(_) => kept.split_once('\n')?.1.to_owned(),
        // As earlier versions of clickmill keep it.
        None => kept,
    };
    Some((digest, made_of))
}

/// Keeps what the component, which has these bytes, was made of. It is written last: a component without is of nobody
/// knows what.
pub(super) fn keep(path: &Path, component: &[u8], made_of: Option<&str>) -> Result<(), BuildError> {
    let Some(made_of) = made_of else { return Ok(()) };
    write(&beside(path), format!("{}\n{made_of}", Digest::of(component)).as_bytes())
}

/// Before a component is written: what is kept is of the one before.
pub(super) fn forget(component: &Path) -> Result<(), BuildError> {
    let path = beside(component);
    match fs::remove_file(&path) {
        Err(source) if path.exists() => Err(BuildError::File { path, source }),
        _ => Ok(()),
    }
}

fn beside(component: &Path) -> PathBuf {
    component.with_extension("sources")
}
