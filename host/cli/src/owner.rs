//! Whose files and folders are: what strangers may write is not believed, and what they may read holds no
//! secret.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::geteuid;

use clickmill_core::private::may_write;

/// Everybody may write. Who is of a file's group, its owner has chosen.
const EVERYBODY: u32 = 0o002;
/// Others than the owner may do something.
const OTHERS: u32 = 0o077;

/// Why what a path leads to may be a stranger's: it belongs to another user than us and root, or everybody
/// may write to it, in a folder such as `/tmp` to what is their own only. `None` where it is not so.
pub(super) fn stranger(path: &Path) -> io::Result<Option<String>> {
    let us = geteuid().as_raw();
    // Whoever has a link says where it leads.
    let link = belongs_to_another(&fs::symlink_metadata(path)?, us);
    Ok(link.or(stranger_by(&fs::metadata(path)?, us)))
}

fn stranger_by(metadata: &Metadata, us: u32) -> Option<String> {
    let by_all = may_write(EVERYBODY, metadata).then(|| "may be written by everybody".to_owned());
    belongs_to_another(metadata, us).or(by_all)
}

fn belongs_to_another(metadata: &Metadata, us: u32) -> Option<String> {
    let owner = metadata.uid();
    (owner != us && owner != 0).then(|| format!("belongs to user {owner}"))
}

/// Fails, with what to do, unless a folder is ours alone: no other user can look into it, or replace it.
pub(super) fn check_is_ours_alone(folder: &Path) -> io::Result<()> {
    check_is_alone(folder, geteuid().as_raw())
}

fn check_is_alone(folder: &Path, us: u32) -> io::Result<()> {
    let refuse = |path: &Path, why: &str| {
        let path = path.display();
        Err(io::Error::other(format!(
            "`{path}` {why}, so it is not used for tokens: name another place by XDG_RUNTIME_DIR or CLICKMILL_CACHE"
        )))
    };
    // Of a link the other end may be exchanged.
    let metadata = fs::symlink_metadata(folder)?;
    if !metadata.is_dir() {
        return refuse(folder, "is not a folder");
    }
    if metadata.uid() != us {
        return refuse(folder, &format!("belongs to user {}", metadata.uid()));
    }
    if metadata.mode() & OTHERS != 0 {
        return refuse(folder, "is open to others");
    }
    for above in fs::canonicalize(folder)?.ancestors().skip(1) {
        if may_write(EVERYBODY, &fs::metadata(above)?) {
            return refuse(above, "may be written by everybody");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_folder_is_ours_alone_where_nobody_else_gets_in() {
        let scratch = tempfile::tempdir().unwrap();
        let above = scratch.path().join("above");
        let folder = above.join("folder");
        fs::create_dir_all(&folder).unwrap();
        let why = |us: u32| check_is_alone(&folder, us).err().map(|error| error.to_string());
        let us = geteuid().as_raw();
        for mode in [0o700, 0o500] {
            set(&folder, mode);
            assert_eq!(why(us), None, "{mode:o}");
        }
        for mode in [0o755, 0o750, 0o710, 0o701, 0o777, 0o1777] {
            set(&folder, mode);
            assert!(why(us).unwrap().contains("open to others"), "{mode:o}");
        }
        set(&folder, 0o700);
        assert!(why(us + 1).unwrap().contains("belongs to user"));
        // Whoever may write above it may put another in its place, unless that is like `/tmp`.
        set(&above, 0o777);
        assert!(why(us).unwrap().contains("may be written by everybody"));
        set(&above, 0o1777);
        assert_eq!(why(us), None);
        set(&above, 0o700);
        let link = scratch.path().join("link");
        symlink(&folder, &link).unwrap();
        assert!(check_is_alone(&link, us).is_err());
        assert!(check_is_alone(&above.join("none"), us).is_err());
    }

    #[test]
    fn what_another_user_has_or_everybody_may_write_may_be_a_strangers() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("tile.sql");
        fs::write(&file, "SELECT 1").unwrap();
        set(&file, 0o644);
        let metadata = fs::metadata(&file).unwrap();
        let us = metadata.uid();
        assert_eq!(stranger_by(&metadata, us), None);
        let of_another = stranger_by(&metadata, us + 1);
        // What is root's is believed by everybody.
        assert_eq!(of_another.is_some(), us != 0, "{of_another:?}");
        set(&file, 0o666);
        let metadata = fs::metadata(&file).unwrap();
        assert!(stranger_by(&metadata, us).unwrap().contains("everybody"));
        assert!(stranger(&scratch.path().join("none")).is_err());
    }
}
