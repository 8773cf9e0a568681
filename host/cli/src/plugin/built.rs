//! Plugin crates, built.

use std::path::{Path, PathBuf};

use crate::Failure;
use clickmill_sandbox::build::{self, Freshness, Install};

/// The component of a plugin crate. Nothing is installed for it.
pub(crate) fn built(folder: &Path) -> Result<PathBuf, Failure> {
    Ok(build::build(folder, Freshness::Sources, Install::Never)?)
}

/// The component that a path names, a file or the crate of a folder, which is built; and the folder that has its
/// golden cases in `tests`.
pub(super) fn with_folder(plugin: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    if plugin.is_dir() {
        return Ok((built(plugin)?, plugin.to_owned()));
    }
    Ok((plugin.to_owned(), plugin.parent().map(Path::to_owned).unwrap_or_default()))
}
