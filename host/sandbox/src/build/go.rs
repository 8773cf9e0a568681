//! Plugins in Go.

use super::asked::Install;
use super::encode::Made;
use super::error::BuildError;
use super::project::Project;

/// The line that installs the tools, where they are not here.
pub(super) fn missing() -> Option<String> {
    None
}

/// Builds a plugin.
pub(super) fn build(project: &Project, _install: Install) -> Result<Made, BuildError> {
    let (path, language) = (project.given.clone(), project.language);
    Err(BuildError::NotBuilt { path, language })
}
