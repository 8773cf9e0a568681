//! A folder that is made whole or not at all, where there is nothing yet.

use std::fs::{self, File};
use std::io::{ErrorKind, Result, Write};
use std::path::Path;

use super::Failure;

/// The schema of the dead-letter table, which a folder with a pipeline has.
pub(super) const DEAD_LETTER: &str = include_str!("../../../schemas/dead_letter.json");

/// Writes files, each by its path in the folder, into one that is not there yet. `instead` says what to do where it
/// is.
pub(super) fn make<'a>(
    folder: &Path,
    files: impl IntoIterator<Item = (&'a str, &'a str)>,
    instead: &str,
) -> std::result::Result<(), Failure> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    let aside = folder.with_file_name(format!(".{name}.{}", std::process::id()));
    fs::create_dir(&aside).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::unwritable(folder, error)
            .hint("the folder that it is to lie in has to be there"),
        _ => Failure::unwritable(folder, error),
    })?;
    let written = files.into_iter().try_for_each(|(name, text)| {
        let path = aside.join(name);
        write(&path, text).map_err(|error| Failure::unwritable(&path, error))
    });
    let moved = written.and_then(|()| {
        // An empty folder would be taken for none.
        if folder.symlink_metadata().is_ok() {
            return Err(is_there(folder, instead));
        }
        fs::rename(&aside, folder).map_err(|error| Failure::unwritable(folder, error))
    });
    moved.inspect_err(|_| drop(fs::remove_dir_all(&aside)))
}

/// That the folder is there already.
pub(super) fn is_there(folder: &Path, instead: &str) -> Failure {
    let hint = format!("nothing is written over: {instead}, or move it away");
    Failure::bad_input(format!("`{}` is there already", folder.display())).hint(hint)
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    File::create_new(path)?.write_all(text.as_bytes())
}
