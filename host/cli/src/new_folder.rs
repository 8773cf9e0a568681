//! A folder that is made whole or not at all, where there is nothing yet.

use std::fs::{self, File};
use std::io::{ErrorKind, Result, Write};
use std::path::Path;

use clickmill_core::schema::provenance;

use super::Failure;

/// The schema of the dead-letter table, which a folder with a pipeline has.
pub(super) const DEAD_LETTER: &str = include_str!("../../../schemas/dead_letter.json");

/// What the host fills in of a table: name, type, and what it is.
pub(super) const FILLED_IN: [(&str, &str, &str); 7] = [
    (
        provenance::SOURCE,
        "STRING",
        "Where the row was read from, as uri@generation; filled by the host",
    ),
    (
        provenance::SOURCE_LINE,
        "INTEGER",
        "Line of the object on which the row begins, from 1; filled by the host",
    ),
    (
        provenance::PLUGIN_SET,
        "STRING",
        "Digest of the plugins and configurations that made the row; filled by the host",
    ),
    (provenance::INGESTED_AT, "TIMESTAMP", "When the host took the row in; filled by the host"),
    (
        provenance::MESSAGE_ID,
        "STRING",
        "The topic's number for the message the row is, the same on every delivery; filled by the host",
    ),
    (provenance::PUBLISH_TIME, "TIMESTAMP", "When the message was published; filled by the host"),
    (
        provenance::RECORD_INDEX,
        "INTEGER",
        "Place of the row among the rows that were made of its record, from 0; null is 0; filled by the host",
    ),
];

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
