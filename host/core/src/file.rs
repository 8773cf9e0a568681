//! Files that anybody may have put there: opened without waiting for a writer, and files only. Folders, pipes
//! and devices are none: some of them never end, and some never begin.

use std::fs::{self, File, FileType};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// With these a pipe is opened at once, or not at all.
pub(super) const AT_ONCE: i32 = OFlags::NONBLOCK.bits() as i32;

/// Opens a file to be read.
///
/// # Errors
///
/// As of [`File::open`], and where it is no file.
pub fn open(path: &Path) -> io::Result<File> {
    only(File::options().read(true).custom_flags(AT_ONCE).open(path)?)
}

/// Passes on what is a file.
///
/// # Errors
///
/// Where it is a folder, a pipe or a device.
pub fn only(file: File) -> io::Result<File> {
    let file_type = file.metadata()?.file_type();
    if file_type.is_file() { Ok(file) } else { Err(no_file(file_type)) }
}

/// Refuses a pipe or a device at a path that others are about to open. Nothing is said of what is not there.
pub(super) fn check(path: &Path) -> io::Result<()> {
    match fs::metadata(path).map(|metadata| metadata.file_type()) {
        Ok(file_type) if !file_type.is_file() && !file_type.is_dir() => Err(no_file(file_type)),
        Ok(_) | Err(_) => Ok(()),
    }
}

fn no_file(file_type: FileType) -> io::Error {
    let what = if file_type.is_dir() { "a folder" } else { "a pipe or a device" };
    io::Error::new(ErrorKind::InvalidInput, format!("it is {what}, wanted a file"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_no_file_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "text").expect("a file");
        std::os::unix::fs::symlink(at("file"), at("link")).expect("a link");
        assert!(Command::new("mkfifo").arg(at("pipe")).status().expect("it starts").success());
        std::os::unix::fs::symlink(at("pipe"), at("to pipe")).expect("a link");
        for name in ["file", "link"] {
            open(&at(name)).expect("a file");
            check(&at(name)).expect("a file");
        }
        for path in [at("pipe"), at("to pipe"), "/dev/zero".into()] {
            for refused in [open(&path).map(drop), check(&path)] {
                let error = refused.expect_err("it is refused").to_string();
                assert!(error.contains("a pipe or a device"), "{}: {error}", path.display());
            }
        }
        assert!(open(&at("")).expect_err("it is refused").to_string().contains("a folder"));
        check(&at("")).expect("it is for others to refuse");
        check(&at("none")).expect("it is for others to miss");
        assert_eq!(open(&at("none")).expect_err("none").kind(), ErrorKind::NotFound);
    }
}
