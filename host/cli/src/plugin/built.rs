//! Plugin crates, built.

use std::path::{Path, PathBuf};

use crate::{Exit, Failure};
use clickmill_sandbox::build::{self, Freshness};

/// The component of a plugin crate.
pub(crate) fn built(folder: &Path, freshness: Freshness) -> Result<PathBuf, Failure> {
    build::build(folder, freshness).map_err(|error| {
        let exit = match error {
            build::BuildError::NoToolchain { .. } => Exit::Environment,
            _ => Exit::BadInput,
        };
        Failure::new(exit, error)
    })
}
