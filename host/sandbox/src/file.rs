//! Files that anybody may have put there, read no further than is wanted.

use std::io::{self, ErrorKind, Read};
use std::path::Path;

use clickmill_core::file;

/// Reads a file of at most `max_bytes`.
///
/// # Errors
///
/// As of [`std::fs::read`], and where it is no file or a larger one.
pub(super) fn read(path: &Path, max_bytes: usize) -> io::Result<Vec<u8>> {
    let file = file::open(path)?;
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

/// Reads a file of text, within the same bounds.
///
/// # Errors
///
/// As of [`read`], and where it is not UTF-8.
pub(super) fn read_text(path: &Path, max_bytes: usize) -> io::Result<String> {
    let text = String::from_utf8(read(path, max_bytes)?);
    text.map_err(|error| io::Error::new(ErrorKind::InvalidData, error))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::process::Command;

    use super::*;

    #[test]
    fn what_is_no_file_or_a_large_one_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("small"), b"ten bytes.").expect("a file");
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
