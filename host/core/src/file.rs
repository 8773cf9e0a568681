//! Files that anybody may have put there: opened without waiting for a writer, and files only. Folders, pipes
//! and devices are none: some of them never end, and some never begin.

use std::fs::{self, File, FileType};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// With these a pipe is opened at once, or not at all.
pub(super) const AT_ONCE: i32 = OFlags::NONBLOCK.bits() as i32;
/// With these a link is not followed either.
pub(super) const NO_LINK: i32 = AT_ONCE | OFlags::NOFOLLOW.bits() as i32;

/// The most that a file may have that is read as a text: whoever may write it may write anything.
const MAX_TEXT_BYTES: usize = 16 << 20;

/// Opens a file to be read.
///
/// # Errors
///
/// As of [`File::open`], and where it is no file.
pub fn open(path: &Path) -> io::Result<File> {
    only(File::options().read(true).custom_flags(AT_ONCE).open(path)?)
}

/// Reads a file of at most `max_bytes`: anybody may have put it there.
///
/// # Errors
///
/// As of [`std::fs::read`], and where it is no file or a larger one.
pub fn read(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    let metadata = file.metadata()?;
    let too_large = |bytes: u64| {
        let error = format!("it has {bytes} bytes or more, wanted at most {max_bytes}");
        Err(io::Error::new(ErrorKind::FileTooLarge, error))
    };
    if metadata.len() > max_bytes as u64 {
        return too_large(metadata.len());
    }
    let mut bytes = Vec::with_capacity(metadata.len() as usize);
    // It may grow meanwhile, and files of the kernel have no length.
    file.take((max_bytes as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() > max_bytes {
        return too_large(bytes.len() as u64);
    }
    Ok(bytes)
}

/// Reads a file of text, within the same bounds, without the byte order mark that some editors put before it.
///
/// # Errors
///
/// As of [`read`], and where it is not UTF-8.
pub fn read_text(path: &Path, max_bytes: usize) -> io::Result<String> {
    let text = String::from_utf8(read(path, max_bytes)?);
    let mut text = text.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
    if text.starts_with('\u{feff}') {
        text.drain(..'\u{feff}'.len_utf8());
    }
    Ok(text)
}

/// The text of a file, such as those that a pipeline file names. A running pipeline reads them again, and is
/// neither to wait for a pipe nor to read what never ends.
///
/// # Errors
///
/// As of [`read_text`]; it may have 16 MiB.
pub fn text(path: &Path) -> io::Result<String> {
    read_text(path, MAX_TEXT_BYTES)
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
    fn a_byte_order_mark_is_no_part_of_a_text() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("text.json");
        for (written, read) in
            [("\u{feff}{}", "{}"), ("{}\u{feff}", "{}\u{feff}"), ("\u{feff}", "")]
        {
            fs::write(&path, written).expect("a file");
            assert_eq!(text(&path).expect("a text"), read);
        }
    }

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

    #[test]
    fn a_text_is_that_of_a_file_which_ends() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("text");
        fs::write(&path, "Grüße").expect("a file");
        assert_eq!(text(&path).expect("a text"), "Grüße");
        fs::write(&path, b"\xff").expect("a file");
        assert_eq!(text(&path).expect_err("no text").kind(), ErrorKind::InvalidData);
        File::create(&path).and_then(|file| file.set_len(MAX_TEXT_BYTES as u64)).expect("a file");
        assert_eq!(text(&path).expect("a text").len(), MAX_TEXT_BYTES);
        File::create(&path)
            .and_then(|file| file.set_len(MAX_TEXT_BYTES as u64 + 1))
            .expect("a file");
        assert_eq!(text(&path).expect_err("too much").kind(), ErrorKind::FileTooLarge);
        assert!(text(Path::new("/dev/zero")).is_err());
    }

    #[test]
    fn what_is_no_file_or_a_large_one_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("small"), b"ten bytes.").expect("a file");
        File::create(at("sparse")).and_then(|file| file.set_len(1 << 40)).expect("a file");
        assert!(Command::new("mkfifo").arg(at("pipe")).status().expect("it starts").success());
        std::os::unix::fs::symlink(at("loop"), at("loop")).expect("a link");
        std::os::unix::fs::symlink(at("small"), at("link")).expect("a link");
        assert_eq!(read(&at("small"), 10).expect("it is read"), b"ten bytes.");
        assert_eq!(read(&at("link"), usize::MAX).expect("it is read"), b"ten bytes.");
        for (path, words) in [
            (at("small"), "10 bytes or more, wanted at most 9"),
            (at("sparse"), "1099511627776 bytes or more, wanted at most 9"),
            (at("pipe"), "a pipe or a device"),
            ("/dev/zero".into(), "a pipe or a device"),
            (at(""), "a folder"),
            (at("loop"), "symbolic links"),
            (at("none"), "No such file"),
        ] {
            let error = read(&path, 9).expect_err("it is refused").to_string();
            assert!(error.contains(words), "{}: {error}", path.display());
        }
    }
}
