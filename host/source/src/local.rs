//! Files: listed by path or pattern, and read, unless they change meanwhile.
//!
//! A file is known by the path that leads to it without `.`, `..`, doubled slashes and symbolic links,
//! so that it is one object however it was named. Of several such paths, which hard links are, the first counts
//! that is listed. Its generation is the time of its last change and its size: there is no better telling of one
//! content from another.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, btree_map};
use std::fs::{self, File, Metadata, ReadDir};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::SourceError;
use super::names::{self, EMPTY, NotSeen, PassedOver, Selection, Verdict};
use clickmill_core::private;
use clickmill_core::store;

/// A file as it was listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub path: PathBuf,
    /// Other absolute paths of it that were given or found.
    pub others: Vec<PathBuf>,
    pub version: Version,
    /// Neither a pipe nor a device, which have no content to go back to.
    pub is_regular: bool,
}

/// What tells one content of a file from another.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Version {
    pub modified: SystemTime,
    pub size: u64,
    inode: (u64, u64),
}

impl Version {
    fn of(metadata: &Metadata) -> io::Result<Self> {
        let inode = (metadata.dev(), metadata.ino());
        Ok(Self { modified: metadata.modified()?, size: metadata.len(), inode })
    }

    /// Its time in microseconds since 1970, and its size.
    pub(super) fn generation(&self) -> String {
        let micros = match self.modified.duration_since(UNIX_EPOCH) {
            Ok(since) => since.as_micros() as i64,
            Err(before) => -(before.duration().as_micros() as i64),
        };
        format!("{micros}-{}", self.size)
    }
}

/// What there is of a path or pattern.
#[derive(Debug)]
pub(super) struct Contents {
    /// In the order of their names. There may be none.
    pub files: Vec<Listed>,
    pub passed_over: Vec<PassedOver>,
    pub not_seen: Vec<NotSeen>,
}

/// What there is of a path or pattern. Nothing may be there.
pub(super) fn list(uri: &str) -> Result<Contents, SourceError> {
    list_by(uri, read)
}

/// Whether what is there can be looked at, or nothing is there. What has a name that is not UTF-8 is not found by what
/// is told of that.
pub(super) fn is_seen(uri: &str) -> bool {
    if uri.contains(char::REPLACEMENT_CHARACTER) {
        return false;
    }
    let path = store::local(uri).and_then(|given| store::absolute(uri, given));
    path.is_ok_and(|path| match look(&path) {
        Ok(Some(metadata)) if metadata.is_dir() => read(&path).is_ok(),
        Ok(_) => true,
        Err(_) => false,
    })
}

fn read(folder: &Path) -> io::Result<ReadDir> {
    fs::read_dir(folder)
}

/// Lists by a way to read folders.
fn list_by(uri: &str, read: fn(&Path) -> io::Result<ReadDir>) -> Result<Contents, SourceError> {
    let failed = |source| SourceError::Folder { uri: uri.to_owned(), source };
    let given = store::local(uri)?;
    let path = store::absolute(uri, given)?;
    let mut found = Found::new(read);
    // An exact name comes before what it may mean as a pattern.
    match look(&path).map_err(failed)? {
        Some(metadata) if metadata.is_dir() => {
            found.walk(&path, "", &Selection::all(), &mut Vec::new()).map_err(failed)?;
        }
        // A file is no folder, whatever the name ends in.
        Some(metadata) if !given.ends_with('/') => {
            found.add(&path, &metadata).map_err(failed)?;
        }
        _ if names::is_pattern(given) => {
            let (folder, mut pattern) = split(&path).map_err(failed)?;
            if given.ends_with('/') {
                pattern.push_str("/**");
            }
            let selection = Selection::matching(&pattern, uri)?;
            if look(&folder).map_err(failed)?.is_some() {
                found.walk(&folder, "", &selection, &mut Vec::new()).map_err(failed)?;
            }
        }
        _ => {}
    }
    let Found { files, passed_over, not_seen, .. } = found;
    Ok(Contents { files: by_first_names(files.into_values()), passed_over, not_seen })
}

/// The files, of hard links the first alone.
fn by_first_names(listed: impl Iterator<Item = Listed>) -> Vec<Listed> {
    let mut files: Vec<Listed> = Vec::new();
    // A file's number alone would do, were it what it should be on every file system.
    let mut places = HashMap::new();
    for file in listed {
        match places.entry(file.version.clone()) {
            Entry::Vacant(place) => {
                place.insert(files.len());
                files.push(file);
            }
            // It may have been loaded by that name, before there was another.
            Entry::Occupied(place) => {
                let first: &mut Listed = &mut files[*place.get()];
                first.others.extend(std::iter::once(file.path).chain(file.others));
            }
        }
    }
    files
}

/// The folder in which a pattern begins, and the pattern in it. A part that looks like a pattern is none
/// where there is a folder of that very name.
fn split(path: &Path) -> io::Result<(PathBuf, String)> {
    let mut folder = PathBuf::new();
    let mut pattern = Vec::new();
    for part in path.components() {
        let text = part.as_os_str().to_string_lossy();
        let deeper = folder.join(part);
        let is_folder =
            !names::is_pattern(&text) || look(&deeper)?.is_some_and(|metadata| metadata.is_dir());
        if pattern.is_empty() && is_folder {
            folder = deeper;
        } else {
            pattern.push(text.into_owned());
        }
    }
    Ok((folder, pattern.join("/")))
}

/// What is at a path, if anything.
fn look(path: &Path) -> io::Result<Option<Metadata>> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error)
            if matches!(
                error.kind(),
                // A name that is too long is nobody's.
                ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

struct Found {
    read: fn(&Path) -> io::Result<ReadDir>,
    /// By path, so that a file that several names lead to is there once.
    files: BTreeMap<PathBuf, Listed>,
    passed_over: Vec<PassedOver>,
    not_seen: Vec<NotSeen>,
}

impl Found {
    fn new(read: fn(&Path) -> io::Result<ReadDir>) -> Self {
        let files = BTreeMap::new();
        Self { read, files, passed_over: Vec::new(), not_seen: Vec::new() }
    }

    fn pass_over(&mut self, path: &Path, why: &'static str) {
        self.passed_over.push(PassedOver { uri: uri(path), why });
    }

    fn add(&mut self, named: &Path, metadata: &Metadata) -> io::Result<()> {
        let version = Version::of(metadata)?;
        if metadata.is_file() && version.size == 0 {
            self.pass_over(named, EMPTY);
            return Ok(());
        }
        // What a pipe's name leads to is no path.
        let real = if metadata.is_file() { fs::canonicalize(named)? } else { named.to_owned() };
        // What is not UTF-8 can be told from another by no URI. A link's own name may do.
        let (path, other) = match (real.to_str(), named.to_str()) {
            (Some(_), _) => (real, named.to_owned()),
            (None, Some(_)) => (named.to_owned(), real),
            (None, None) => return Err(io::Error::other("its name is not UTF-8")),
        };
        let others: Vec<PathBuf> = (path != other).then_some(other).into_iter().collect();
        let is_regular = metadata.is_file();
        match self.files.entry(path.clone()) {
            btree_map::Entry::Vacant(place) => {
                place.insert(Listed { path, others, version, is_regular });
            }
            btree_map::Entry::Occupied(place) => place.into_mut().others.extend(others),
        }
        Ok(())
    }

    /// Adds what a folder holds. `relative` is its name in the folder where the selection begins, and
    /// `within` are the folders that it is in.
    fn walk(
        &mut self,
        folder: &Path,
        relative: &str,
        selection: &Selection,
        within: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        let real = fs::canonicalize(folder)?;
        if within.contains(&real) {
            self.pass_over(folder, "leads back to a folder that it is in");
            return Ok(());
        }
        within.push(real);
        let held = self.hold(folder, relative, selection, within);
        within.pop();
        held
    }

    /// Adds what a folder holds that is the last of `within`.
    fn hold(
        &mut self,
        folder: &Path,
        relative: &str,
        selection: &Selection,
        within: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        for entry in (self.read)(folder)? {
            let path = entry?.path();
            // Near enough to tell whether it may be meant, where it is not UTF-8.
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let name = format!("{relative}{name}");
            match self.meet(&path, &name, selection, within) {
                // Removed meanwhile.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                // Nothing in it would be data.
                Err(_) if selection.hides(&name) => {
                    self.pass_over(&path, "is hidden, or beside the data, by its name");
                }
                // One that can't be looked at does not keep the others from being found.
                Err(source) => {
                    let uri = uri(&path);
                    let error = SourceError::Look { uri: uri.clone(), source };
                    self.not_seen.push(NotSeen { uri, error });
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Adds what is at a path, where it is meant.
    fn meet(
        &mut self,
        path: &Path,
        name: &str,
        selection: &Selection,
        within: &mut Vec<PathBuf>,
    ) -> io::Result<()> {
        let may_be_folder = within.len() < selection.depth && selection.may_hold(name);
        let metadata = match look(path) {
            Ok(Some(metadata)) => metadata,
            // Removed just now, or a link that leads nowhere.
            Ok(None) => return Ok(()),
            Err(_) if !may_be_folder && !selection.is_meant(name) => return Ok(()),
            Err(error) => return Err(error),
        };
        let is_folder = metadata.is_dir() && may_be_folder;
        let is_wanted = is_folder || (metadata.is_file() && selection.is_meant(name));
        if is_wanted && is_led_astray(path, &metadata)? {
            self.pass_over(path, "is a link of another user to what is not theirs");
            return Ok(());
        }
        if is_folder {
            return self.walk(path, &format!("{name}/"), selection, within);
        }
        // A pipe, a device: who means it names it.
        if metadata.is_file() {
            match selection.verdict(name, metadata.len()) {
                Verdict::Meant => self.add(path, &metadata)?,
                Verdict::NotMeant => {}
                Verdict::PassedOver(why) => self.pass_over(path, why),
            }
        }
        Ok(())
    }
}

/// Whether a name in a folder is a link of another user to what is not theirs: whoever may write to the folder could
/// have us load what they may not read. `found` is what it leads to.
fn is_led_astray(path: &Path, found: &Metadata) -> io::Result<bool> {
    let named = fs::symlink_metadata(path)?;
    if !named.is_symlink() && (named.dev(), named.ino()) != (found.dev(), found.ino()) {
        return Err(io::Error::other("another file took its place just now"));
    }
    Ok(private::is_link_of_another(&named) && named.uid() != found.uid())
}

/// The URI of an absolute path.
pub(super) fn uri(path: &Path) -> String {
    format!("file://{}", path.display())
}

impl Listed {
    /// Whether the file is what it was when it was listed.
    pub(super) fn is_unchanged(&self) -> io::Result<bool> {
        Ok(Version::of(&fs::metadata(&self.path)?)? == self.version)
    }

    /// Opens the file.
    pub(super) fn open(&self) -> Result<Reader, SourceError> {
        let uri = uri(&self.path);
        let file = File::open(&self.path).map_err(|source| match source.kind() {
            ErrorKind::NotFound => SourceError::Gone { uri: uri.clone() },
            _ => SourceError::Open { uri: uri.clone(), source },
        })?;
        let reader = Reader { uri, listed: self.clone(), file };
        match reader.is_unchanged() {
            Ok(true) => Ok(reader),
            Ok(false) => Err(SourceError::Changed { uri: reader.uri }),
            Err(source) => Err(SourceError::Open { uri: reader.uri, source }),
        }
    }
}

/// Reads a file to its end, at which it has to be what it was at the beginning.
pub(super) struct Reader {
    uri: String,
    listed: Listed,
    file: File,
}

impl Reader {
    fn is_unchanged(&self) -> io::Result<bool> {
        Ok(!self.listed.is_regular || Version::of(&self.file.metadata()?)? == self.listed.version)
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let failed = |source| SourceError::Read { uri: self.uri.clone(), source };
        let got = self.file.read(buffer);
        match got {
            Err(error) if error.kind() == ErrorKind::Interrupted => Err(error),
            Err(error) => Err(failed(error).into()),
            Ok(0) if !buffer.is_empty() && !self.is_unchanged().map_err(failed)? => {
                Err(SourceError::Changed { uri: self.uri.clone() }.into())
            }
            Ok(length) => Ok(length),
        }
    }
}

#[cfg(test)]
mod tests;
