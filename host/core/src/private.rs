//! Files and folders that only the user can read: what is in them came from visitors, lets somebody in, or
//! decides what runs. Tables, which are data for other programs too, may be made for others, by
//! [`UMASK_VARIABLE`].

use std::fs::{self, DirBuilder, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::file::{AT_ONCE, NO_LINK};

/// The environment variable that lets others read the tables that are made on a disk: an octal number, as
/// of `umask`. `027` lets the group read them. Whatever it says, nobody else may write.
pub const UMASK_VARIABLE: &str = "CLICKMILL_UMASK";

/// Nobody else may read or write.
const USER_ALONE: u32 = 0o077;
/// Nobody else may write.
const USER_WRITES: u32 = 0o022;
/// In such a folder nobody renames or removes what is another's.
const STICKY: u32 = 0o1000;

/// Makes a folder and those above it that are not there yet, for the user alone (0700). One that is there
/// stays as it is: somebody chose its mode.
///
/// # Errors
///
/// As of [`fs::create_dir_all`].
pub fn create_dir_all(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}

/// Makes a folder for the user alone (0700), in one that is there.
///
/// # Errors
///
/// As of [`fs::create_dir`].
pub(crate) fn create_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(path)
}

/// Options to open a file with, which make it for the user alone (0600) where it is not there yet.
#[must_use]
pub fn options() -> OpenOptions {
    of_mode(0o600)
}

/// Makes a folder of tables, for the user and whom [`UMASK_VARIABLE`] names.
///
/// # Errors
///
/// As of [`fs::create_dir`].
pub(crate) fn create_table_dir(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o777 & !umask().unwrap_or(USER_ALONE)).create(path)
}

/// Options to open a file of tables with, which make it for the user and whom [`UMASK_VARIABLE`] names.
#[must_use]
pub fn table_options() -> OpenOptions {
    of_mode(0o666 & !umask().unwrap_or(USER_ALONE))
}

/// What [`UMASK_VARIABLE`] says.
///
/// # Errors
///
/// The value, where it is no octal number up to 777. Tables are for the user alone then.
pub fn umask() -> Result<u32, String> {
    let Some(value) = std::env::var_os(UMASK_VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(USER_ALONE);
    };
    let value = value.to_string_lossy().into_owned();
    let is_octal = value.len() <= 4 && value.bytes().all(|digit| matches!(digit, b'0'..=b'7'));
    match u32::from_str_radix(&value, 8) {
        Ok(mask) if is_octal && mask <= 0o777 => Ok(mask | USER_WRITES),
        _ => Err(value),
    }
}

/// Whether others than the user may read a file or folder, or write to it.
///
/// # Errors
///
/// Where it can't be looked at.
pub fn is_open_to_others(path: &Path) -> io::Result<bool> {
    Ok(fs::metadata(path)?.mode() & USER_ALONE != 0)
}

/// Whether others, by their bits of a mode such as `0o002`, may write to a file or folder. Of a folder like
/// `/tmp`, in which nobody may exchange what is another's, they may not.
#[must_use]
pub fn may_write(others: u32, metadata: &Metadata) -> bool {
    let sticks = metadata.is_dir() && metadata.mode() & STICKY != 0;
    metadata.mode() & others != 0 && !sticks
}

/// The link over which a path below a folder leads that is another user's, neither ours nor root's: whoever may write
/// to the folder may have put it there, so that we read or remove what it leads to. The folder itself may be such a
/// link too, or lie behind one.
#[must_use]
pub fn link_of_another(folder: &Path, path: &Path) -> Option<PathBuf> {
    let mut below = path.ancestors().take_while(|above| *above != folder);
    let below = below.find(|above| leads_for_another(above)).map(Path::to_owned);
    below.or_else(|| link_to(folder))
}

/// The link of another user by which a folder itself is reached, and which lies where others may write. Elsewhere it
/// was not put there for us to find.
fn link_to(folder: &Path) -> Option<PathBuf> {
    let is_open = |link: &&Path| {
        let above = link.parent().map(fs::metadata);
        let Some(Ok(above)) = above else { return false };
        is_of_another(&above) || above.mode() & USER_WRITES != 0
    };
    let whole = std::path::absolute(folder).ok()?;
    let mut links = whole.ancestors().filter(|above| leads_for_another(above));
    links.find(is_open).map(Path::to_owned)
}

fn leads_for_another(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| is_link_of_another(&found))
}

/// Refuses to write or remove what lies behind another user's link: `path` is a name below `folder`, and what it
/// names itself is not followed.
///
/// # Errors
///
/// There is such a link.
pub fn check_way(folder: &Path, path: &Path) -> io::Result<()> {
    let link = path.parent().and_then(|above| link_of_another(folder, above));
    link.map_or(Ok(()), |link| Err(of_another(&link)))
}

/// Refuses a folder that another user's link leads to from where others may write.
pub(crate) fn check_folder(folder: &Path) -> io::Result<()> {
    link_to(folder).map_or(Ok(()), |link| Err(of_another(&link)))
}

/// Whether a file below a folder may be read: another user's link leads to what is theirs, and to nothing that only we
/// may read.
///
/// # Errors
///
/// There is such a link, and what it leads to is not theirs.
pub fn check_read(folder: &Path, path: &Path) -> io::Result<()> {
    let Some(link) = link_of_another(folder, path) else { return Ok(()) };
    let is_theirs = fs::symlink_metadata(&link)?.uid() == fs::metadata(path)?.uid();
    if is_theirs { Ok(()) } else { Err(of_another(&link)) }
}

/// How a file is opened that is written to where it is: another user's link is not followed, even if it was put there
/// just now.
///
/// # Errors
///
/// There is such a link at `path`, or on the way to it from `folder`.
pub fn writing(folder: &Path, path: &Path) -> io::Result<OpenOptions> {
    if let Some(link) = link_of_another(folder, path) {
        return Err(of_another(&link));
    }
    let mut options = options();
    options.write(true);
    // Our own may lead elsewhere.
    if !fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink()) {
        options.custom_flags(NO_LINK);
    }
    Ok(options)
}

fn of_another(link: &Path) -> io::Error {
    let why = format!("`{}` is a link of another user", link.display());
    io::Error::new(io::ErrorKind::PermissionDenied, why)
}

/// Whether this is a link of another user, neither ours nor root's.
#[must_use]
pub fn is_link_of_another(found: &Metadata) -> bool {
    found.is_symlink() && is_of_another(found)
}

fn is_of_another(found: &Metadata) -> bool {
    ![0, rustix::process::geteuid().as_raw()].contains(&found.uid())
}

/// Why what is in a folder may be somebody else's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// It belongs to another user.
    #[error("`{folder}` belongs to another user")]
    Owner {
        /// The folder, or one above it.
        folder: String,
    },
    /// Others may exchange what is in it.
    #[error("others may write to `{folder}`")]
    Writable {
        /// The folder, or one above it.
        folder: String,
    },
    /// It can't be looked at.
    #[error("cannot look at `{folder}`: {why}")]
    Unseen {
        /// The folder, or one above it.
        folder: String,
        /// Why.
        why: String,
    },
}

/// Makes sure that nobody else can exchange a folder, which has to be there, or put anything into it: it is
/// the user's, those above it are the user's or root's, and nobody else may write to any of them, but for
/// folders like `/tmp`, in which nobody may exchange what is another's. Returns the folder's path without
/// links, by which it stays that folder.
///
/// # Errors
///
/// Which folder is not so.
pub fn ours(folder: &Path) -> Result<PathBuf, NotOurs> {
    let path = fs::canonicalize(folder).map_err(|error| unseen(folder, &error))?;
    let user = rustix::process::geteuid().as_raw();
    for (above, folder) in path.ancestors().enumerate() {
        let metadata = fs::symlink_metadata(folder).map_err(|error| unseen(folder, &error))?;
        let named = || folder.display().to_string();
        if metadata.uid() != user && (above == 0 || metadata.uid() != 0) {
            return Err(NotOurs::Owner { folder: named() });
        }
        // Into the folder itself they may not put anything either.
        let open = above == 0 && metadata.mode() & USER_WRITES != 0;
        if open || may_write(USER_WRITES, &metadata) {
            return Err(NotOurs::Writable { folder: named() });
        }
    }
    Ok(path)
}

fn unseen(folder: &Path, error: &io::Error) -> NotOurs {
    NotOurs::Unseen { folder: folder.display().to_string(), why: error.to_string() }
}

fn of_mode(mode: u32) -> OpenOptions {
    let mut options = OpenOptions::new();
    // A pipe that is there in its place is not waited for.
    options.mode(mode).custom_flags(AT_ONCE);
    options
}

#[cfg(test)]
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

    #[test]
    fn a_folder_is_ours_where_nobody_else_may_write_to_it_or_exchange_it() {
        let scratch = tempfile::tempdir().unwrap();
        let set = |path: &Path, mode: u32| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        let (above, folder) = (scratch.path().join("a"), scratch.path().join("a/b"));
        create_dir_all(&folder).unwrap();
        // By what it is, not by what it is called.
        let link = scratch.path().join("link");
        std::os::unix::fs::symlink(&folder, &link).unwrap();
        let whole = fs::canonicalize(&folder).unwrap();
        assert_eq!(ours(&folder), Ok(whole.clone()));
        assert_eq!(ours(&link), Ok(whole.clone()));
        let open = |path: &Path| {
            let folder = fs::canonicalize(path).unwrap().display().to_string();
            Err(NotOurs::Writable { folder })
        };
        for mode in [0o720, 0o702, 0o777, 0o1777] {
            set(&folder, mode);
            assert_eq!(ours(&folder), open(&folder), "{mode:o}");
        }
        set(&folder, 0o755);
        assert_eq!(ours(&folder), Ok(whole.clone()));
        for mode in [0o770, 0o777] {
            set(&above, mode);
            assert_eq!(ours(&folder), open(&above), "{mode:o}");
        }
        // As `/tmp` is.
        set(&above, 0o1777);
        assert_eq!(ours(&folder), Ok(whole));
        assert!(matches!(ours(&folder.join("none")), Err(NotOurs::Unseen { .. })));
        // Root's, and ours only where we are root.
        let etc = ours(Path::new("/etc"));
        let is_root = rustix::process::geteuid().is_root();
        assert_eq!(etc.is_ok(), is_root, "{etc:?}");
    }

    #[test]
    fn a_folder_that_another_user_leads_to_elsewhere_is_not_written_to() {
        use std::os::unix::fs::{chown, lchown, symlink};
        let scratch = tempfile::tempdir().unwrap();
        let [shared, victim] = ["shared", "victim"].map(|name| scratch.path().join(name));
        for folder in [&shared, &victim] {
            fs::create_dir(folder).unwrap();
        }
        fs::create_dir(victim.join("deep")).unwrap();
        let top = shared.join("top");
        symlink(&victim, &top).unwrap();
        // Others' links are made by root alone.
        if lchown(&top, Some(12_345), None).is_err() {
            return;
        }
        let modes =
            [(0, 0o755, true), (0, 0o777, false), (0, 0o1777, false), (12_345, 0o755, false)];
        for (owner, mode, passes) in modes {
            chown(&shared, Some(owner), None).unwrap();
            fs::set_permissions(&shared, fs::Permissions::from_mode(mode)).unwrap();
            for folder in [top.clone(), top.join("deep")] {
                let file = folder.join("file");
                let case = format!("{owner} {mode:o} {}", file.display());
                assert_eq!(check_way(&folder, &file).is_ok(), passes, "{case}");
                assert_eq!(writing(&folder, &file).is_ok(), passes, "{case}");
                assert_eq!(check_folder(&file).is_ok(), passes, "{case}");
            }
        }
        // One's own leads where one wants.
        lchown(&top, Some(rustix::process::geteuid().as_raw()), None).unwrap();
        check_way(&top, &top.join("file")).unwrap();
    }
}
