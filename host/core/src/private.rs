//! Files and folders that only the user can read: what is in them came from visitors, or lets somebody in.
//! Where a system has no modes, they are made as the system makes them.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::path::Path;

/// Makes a folder and those above it that are not there yet, for the user alone (0700). One that is there
/// stays as it is: somebody chose its mode.
///
/// # Errors
///
/// As of [`fs::create_dir_all`].
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Options to open a file with, which make it for the user alone (0600) where it is not there yet.
#[must_use]
pub fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Whether others than the user may read a file or folder, or write to it. `false` where a system has no
/// modes.
///
/// # Errors
///
/// Where it can't be looked at.
pub fn is_open_to_others(path: &Path) -> io::Result<bool> {
    let metadata = fs::metadata(path)?;
    #[cfg(unix)]
    return Ok(std::os::unix::fs::MetadataExt::mode(&metadata) & 0o077 != 0);
    #[cfg(not(unix))]
    Ok(false)
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_made_is_for_the_user_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("a/b");
        create_dir_all(&folder).unwrap();
        create_dir_all(&folder).unwrap();
        let file = folder.join("c");
        drop(options().create(true).append(true).open(&file).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        let modes = [&scratch.path().join("a"), &folder, &file].map(|path| mode(path));
        assert_eq!(modes, [0o700, 0o700, 0o600]);
        assert!(!is_open_to_others(&file).unwrap());
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(is_open_to_others(&file).unwrap());
        assert!(is_open_to_others(&folder.join("none")).is_err());
    }
}
