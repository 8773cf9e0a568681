//! Machine code of functions, kept from one compilation to the next. Of a component in which little is new, such as
//! an interpreter with another script, most functions are compiled already.
//!
//! The compiler names each function by a digest of all that its code depends on, itself and its flags included.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::CacheStore;

use clickmill_core::durable::{self, Part};
use clickmill_core::{file, lock, private};

/// Bytes that are kept, at most: what was not used last goes first.
const MAX_BYTES: usize = 96 << 20;

/// The length of a name, and of the digest that the file ends with, of all before it.
const DIGEST_BYTES: usize = 32;

type Name = [u8; DIGEST_BYTES];

/// Code of functions, by name. Records of the file are a name, a length in four bytes, and so many bytes.
pub(super) struct Functions {
    file: PathBuf,
    /// The folder where it is written.
    parts: PathBuf,
    max_bytes: usize,
    /// The records that the file had.
    bytes: Vec<u8>,
    kept: HashMap<Name, Kept>,
    new: Mutex<New>,
}

/// Code that is to be added.
#[derive(Default)]
struct New {
    code: HashMap<Name, Vec<u8>>,
    /// Of its records.
    bytes: usize,
}

struct Kept {
    code: Range<usize>,
    is_used: AtomicBool,
}

impl Functions {
    /// What is kept in a cache folder. A file that is damaged, or none, has nothing.
    pub(super) fn open(cache: &Path) -> Self {
        // As deep as compiled code lies. A part of it would be cleared away from there as what the cache does not know.
        let file = cache.join("functions").join("1").join("kept");
        Self::of(file, cache.parent().unwrap_or(cache).to_owned(), MAX_BYTES)
    }

    fn of(file: PathBuf, parts: PathBuf, max_bytes: usize) -> Self {
        let bytes = read(&file, max_bytes).unwrap_or_default();
        let kept = records(&bytes).unwrap_or_default();
        Self { file, parts, max_bytes, bytes, kept, new: Mutex::default() }
    }

    /// Keeps what was compiled, and of what was there as much as there is room for.
    pub(super) fn save(&self) -> io::Result<()> {
        let new = lock(&self.new);
        if new.code.is_empty() {
            return Ok(());
        }
        private::create_dir_all(self.file.parent().unwrap_or(&self.file))?;
        let mut records: Vec<_> = self.kept.iter().collect();
        records.sort_by_key(|(_, kept)| !kept.is_used.load(Ordering::Relaxed));
        let mut left = self.max_bytes.saturating_sub(DIGEST_BYTES + new.bytes);
        let kept = records.into_iter().map_while(|(name, kept)| {
            let code = &self.bytes[kept.code.clone()];
            left = left.checked_sub(record_bytes(code))?;
            Some(record(name, code))
        });
        // Those of processes that were killed.
        durable::sweep(&self.parts);
        let mut part = Part::begin(durable::part_in(&self.parts))?;
        let mut digest = blake3::Hasher::new();
        let mut write = |bytes: &[u8]| {
            digest.update(bytes);
            part.write_all(bytes)
        };
        let new = new.code.iter().map(|(name, code)| record(name, code));
        for record in new.chain(kept) {
            write(&record)?;
        }
        part.write_all(digest.finalize().as_bytes())?;
        part.replace(&self.file)
    }
}

impl CacheStore for Functions {
    fn get(&self, name: &[u8]) -> Option<Cow<'_, [u8]>> {
        let Some(kept) = self.kept.get(name) else {
            // Nearly half of an interpreter's functions are the same as others of it.
            return lock(&self.new).code.get(name).cloned().map(Cow::Owned);
        };
        kept.is_used.store(true, Ordering::Relaxed);
        Some(Cow::Borrowed(&self.bytes[kept.code.clone()]))
    }

    fn insert(&self, name: &[u8], code: Vec<u8>) -> bool {
        let Ok(name) = name.try_into() else { return false };
        let mut new = lock(&self.new);
        let bytes = new.bytes + record_bytes(&code);
        let has_room = DIGEST_BYTES + bytes <= self.max_bytes;
        if has_room && new.code.insert(name, code).is_none() {
            new.bytes = bytes;
        }
        has_room
    }
}

impl fmt::Debug for Functions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Functions").field("file", &self.file).finish_non_exhaustive()
    }
}

fn record_bytes(code: &[u8]) -> usize {
    DIGEST_BYTES + size_of::<u32>() + code.len()
}

fn record(name: &Name, code: &[u8]) -> Vec<u8> {
    [name, &(code.len() as u32).to_le_bytes()[..], code].concat()
}

/// The records of the file, if it is whole and no larger.
fn read(file: &Path, max_bytes: usize) -> Option<Vec<u8>> {
    let mut bytes = file::read(file, max_bytes).ok()?;
    let (records, digest) = bytes.split_last_chunk::<DIGEST_BYTES>()?;
    (blake3::hash(records) == *digest).then_some(())?;
    bytes.truncate(bytes.len() - DIGEST_BYTES);
    Some(bytes)
}

fn records(bytes: &[u8]) -> Option<HashMap<Name, Kept>> {
    let mut kept = HashMap::new();
    let mut at = 0;
    while at < bytes.len() {
        let (name, rest) = bytes[at..].split_first_chunk::<DIGEST_BYTES>()?;
        let (length, rest) = rest.split_first_chunk()?;
        let start = bytes.len() - rest.len();
        at = start.checked_add(u32::from_le_bytes(*length) as usize)?;
        bytes.get(start..at)?;
        kept.insert(*name, Kept { code: start..at, is_used: AtomicBool::new(false) });
    }
    Some(kept)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn name(of: u8) -> Name {
        [of; DIGEST_BYTES]
    }

    #[test]
    fn what_was_compiled_is_there_the_next_time_and_what_was_not_used_goes_first() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("a/b/kept");
        // Room for three.
        let room = DIGEST_BYTES + 3 * record_bytes(&[0; 100]);
        let parts = scratch.path();
        let open = || Functions::of(file.clone(), parts.to_owned(), room);
        let has = |functions: &Functions| {
            (0..8).filter(|of| functions.get(&name(*of)).is_some()).collect::<Vec<_>>()
        };
        let first = open();
        assert!(has(&first).is_empty());
        assert!((0..3).all(|of| first.insert(&name(of), vec![of; 100])));
        assert_eq!(has(&first), [0, 1, 2], "a function that comes again is compiled again");
        assert!(!first.insert(&name(3), vec![3; 100]) && !first.insert(b"short", Vec::new()));
        first.save().unwrap();
        // As a process leaves one that is killed while it writes.
        let part = durable::part_in(parts);
        fs::write(&part, "half").unwrap();
        let second = open();
        assert_eq!(second.get(&name(1)).as_deref(), Some(&[1; 100][..]));
        assert!(second.insert(&name(4), vec![4; 100]) && second.insert(&name(5), vec![5; 100]));
        second.save().unwrap();
        assert!(!part.exists());
        let third = open();
        assert_eq!(has(&third), [1, 4, 5]);
        // Nothing is new.
        fs::remove_file(&file).unwrap();
        third.save().unwrap();
        assert!(!file.exists());
    }

    #[test]
    fn a_file_that_is_not_as_it_was_written_has_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let file = scratch.path().join("kept");
        let open = |max_bytes| Functions::of(file.clone(), scratch.path().to_owned(), max_bytes);
        let functions = open(MAX_BYTES);
        assert!(functions.insert(&name(1), vec![7; 50]));
        functions.save().unwrap();
        let whole = fs::read(&file).unwrap();
        assert!(open(MAX_BYTES).get(&name(1)).is_some());
        assert!(open(whole.len() - 1).get(&name(1)).is_none());
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            for bytes in [&damaged[..], &whole[..at]] {
                fs::write(&file, bytes).unwrap();
                assert!(open(MAX_BYTES).get(&name(1)).is_none(), "{at}");
            }
        }
        // Of records that end beyond the file, with a digest that is right.
        let records = &whole[..whole.len() - DIGEST_BYTES];
        let records = [records, &name(2)[..], &u32::MAX.to_le_bytes()].concat();
        fs::write(&file, [&records[..], blake3::hash(&records).as_bytes()].concat()).unwrap();
        assert!(open(MAX_BYTES).get(&name(1)).is_none());
    }
}
