//! The folder of compiled code. What is read from there is run as it is, outside of any sandbox, and no
//! signature covers it: it is used only where nobody but the user can have written to it.

use std::io;
use std::path::{Path, PathBuf};

use clickmill_core::private::{self, NotOurs};

/// Why compiled code is not kept in a folder.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// It can't be made.
    #[error("cannot make `{path}`", path = path.display())]
    Make {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What is in it may be somebody else's.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
}

/// The folder as it may be used: without links, and made for the user alone where it was not there.
///
/// # Errors
///
/// It can't be made, or others than the user can write to it, or to one above it.
pub fn usable(folder: &Path) -> Result<PathBuf, CacheError> {
    let made = private::create_dir_all(folder);
    made.map_err(|source| CacheError::Make { path: folder.to_owned(), source })?;
    Ok(private::ours(folder)?)
}
