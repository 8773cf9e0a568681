//! Plugin crates, built.

use std::path::{Path, PathBuf};

use crate::Failure;
use clickmill_sandbox::build::{self, Freshness, Install};

/// The component of a plugin crate. Nothing is installed for it.
pub(crate) fn built(folder: &Path) -> Result<PathBuf, Failure> {
    Ok(build::build(folder, Freshness::Sources, Install::Never)?)
}
