//! Whether a chain is unbroken, and whether two copies of it are the same.

use std::collections::HashMap;

use super::{Entry, NO_HASH, ReadError};

/// What an unbroken chain holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// How many entries.
    pub entries: u64,
    /// When the first was written, in microseconds since 1970-01-01T00:00:00Z.
    pub first_time: Option<i64>,
    /// When the last was written, in the same form.
    pub last_time: Option<i64>,
    /// The last one's hash, [`NO_HASH`] where there is none.
    pub last_hash: String,
}

/// Why entries of a table are not the chains that were written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unchained {
    /// An entry's hash does not fit its content.
    #[error(
        "entry {sequence} was changed in the table: its content has hash `{expected}`, it says `{found}`"
    )]
    Changed {
        /// The entry.
        sequence: u64,
        /// The hash of its content.
        expected: String,
        /// The hash it has.
        found: String,
    },
    /// The entry before is nowhere.
    #[error(
        "entry {sequence} with hash `{hash}` follows one with hash `{previous}`, which the table does not have"
    )]
    Missing {
        /// The entry.
        sequence: u64,
        /// Its hash.
        hash: String,
        /// The hash of the entry before.
        previous: String,
    },
    /// Two entries follow the same one.
    #[error(
        "entry {sequence} is in the table with hash `{hash}` and, after the same entry, with `{other}`"
    )]
    Forked {
        /// Their number.
        sequence: u64,
        /// The hash of one.
        hash: String,
        /// The hash of the other.
        other: String,
    },
    /// Hashes follow each other, numbers don't.
    #[error("entry {sequence} in the table follows entry {before}")]
    Misnumbered {
        /// The entry.
        sequence: u64,
        /// The one before.
        before: u64,
    },
}

/// Where a chain is broken first, and how. Lines count from 1.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// An entry's hash does not fit its content.
    #[error(
        "line {line}: entry {sequence} was changed: its content has hash `{expected}`, it says `{found}`"
    )]
    Changed {
        /// The line.
        line: u64,
        /// The entry.
        sequence: u64,
        /// The hash of its content.
        expected: String,
        /// The hash it has.
        found: String,
    },
    /// An entry is nowhere.
    #[error("line {line}: wanted entry {expected}, which is missing, found entry {found}")]
    Missing {
        /// The line where it should be.
        line: u64,
        /// Its number.
        expected: u64,
        /// The number of the entry that is there.
        found: u64,
    },
    /// An entry is further down than it should be.
    #[error(
        "line {line}: wanted entry {expected}, which is on line {moved_to}, found entry {found}"
    )]
    Reordered {
        /// The line where it should be.
        line: u64,
        /// Its number.
        expected: u64,
        /// The number of the entry that is there.
        found: u64,
        /// The line where it is.
        moved_to: u64,
    },
    /// An entry's number was there before.
    #[error("line {line}: wanted entry {expected}, found entry {sequence} a second time")]
    Twice {
        /// The line.
        line: u64,
        /// The entry.
        sequence: u64,
        /// The number that should follow.
        expected: u64,
    },
    /// Numbers follow each other, hashes don't: the entry before is not the one that was there.
    #[error(
        "line {line}: entry {sequence} follows an entry with hash `{found}`, but the one before has `{expected}`"
    )]
    Unlinked {
        /// The line.
        line: u64,
        /// The entry.
        sequence: u64,
        /// The hash of the entry before.
        expected: String,
        /// The hash that this entry has for it.
        found: String,
    },
    /// An entry is of another pipeline.
    #[error("line {line}: entry {sequence} is of pipeline `{found}`, wanted `{expected}`")]
    OtherPipeline {
        /// The line.
        line: u64,
        /// The entry.
        sequence: u64,
        /// The pipeline whose chain it is.
        expected: String,
        /// The pipeline that the entry names.
        found: String,
    },
    /// A line is no entry.
    #[error(transparent)]
    Unreadable(#[from] ReadError),
}

/// How the table's copy differs from the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Difference {
    /// An entry has another value.
    #[error("entry {sequence} has {field} `{file}` in the file, `{table}` in the table")]
    Changed {
        /// The entry.
        sequence: u64,
        /// The first field that differs.
        field: &'static str,
        /// What the file has; empty for null.
        file: String,
        /// What the table has; empty for null.
        table: String,
    },
    /// The file has an entry that the table should have too.
    #[error("entry {sequence} is not in the table, which has entry {later}")]
    NotInTable {
        /// The entry.
        sequence: u64,
        /// The next one in the table.
        later: u64,
    },
    /// The table has an entry where another one should be.
    #[error("entry {sequence} is in the table a second time, or out of order")]
    Disordered {
        /// The entry.
        sequence: u64,
    },
    /// The table has other chains, and not this one.
    #[error(
        "no entry of the file is in the table, which has {others} of the pipeline: the file was written anew, or its entries have not been carried over yet"
    )]
    Unknown {
        /// How many entries the table has.
        others: usize,
    },
    /// The table goes on where the file ends.
    #[error(
        "the file ends with entry {last}, the table goes on with entry {sequence}: the file's end was cut off"
    )]
    CutOff {
        /// The last entry of the file, 0 where there is none.
        last: u64,
        /// The first that it lacks.
        sequence: u64,
    },
}

/// Whether these entries, in the order of their lines, are the unbroken chain of a pipeline. Not told:
/// a chain that lacks its end, and one made anew from an entry on; see [`compare`].
pub fn verify(
    pipeline: &str,
    entries: impl IntoIterator<Item = Result<Entry, ReadError>>,
) -> Result<Verified, Broken> {
    let mut verified =
        Verified { entries: 0, first_time: None, last_time: None, last_hash: NO_HASH.to_owned() };
    let mut rest = entries.into_iter();
    while let Some(entry) = rest.next() {
        let entry = entry?;
        // Nothing is missing before it, so that the line is the number.
        let line = verified.entries + 1;
        let (sequence, expected) = (entry.sequence, line);
        let digest = entry.digest();
        if digest != entry.hash {
            let found = entry.hash;
            return Err(Broken::Changed { line, sequence, expected: digest, found });
        }
        if sequence != expected {
            if (1..expected).contains(&sequence) {
                return Err(Broken::Twice { line, sequence, expected });
            }
            let moved = rest
                .zip(line + 1..)
                .find(|(entry, _)| entry.as_ref().is_ok_and(|entry| entry.sequence == expected));
            return Err(match moved {
                Some((_, moved_to)) => {
                    Broken::Reordered { line, expected, found: sequence, moved_to }
                }
                None => Broken::Missing { line, expected, found: sequence },
            });
        }
        // The first may have been begun after an entry of another chain.
        if entry.previous != verified.last_hash && line > 1 {
            let (expected, found) = (verified.last_hash, entry.previous);
            return Err(Broken::Unlinked { line, sequence, expected, found });
        }
        if entry.pipeline != pipeline {
            let (expected, found) = (pipeline.to_owned(), entry.pipeline);
            return Err(Broken::OtherPipeline { line, sequence, expected, found });
        }
        verified.entries = line;
        verified.first_time.get_or_insert(entry.time);
        verified.last_time = Some(entry.time);
        verified.last_hash = entry.hash;
    }
    Ok(verified)
}

/// The chains of a pipeline that a table's entries make, each in its order, in the order in which they
/// were begun. `entries` are all that the table has of the pipeline, each once, in any order; `known` are
/// hashes of entries that a file has.
pub fn chains(entries: Vec<Entry>, known: &[Entry]) -> Result<Vec<Vec<Entry>>, Unchained> {
    for entry in &entries {
        let (sequence, expected, found) = (entry.sequence, entry.digest(), entry.hash.clone());
        if expected != found {
            return Err(Unchained::Changed { sequence, expected, found });
        }
    }
    let numbers: HashMap<&str, u64> =
        entries.iter().map(|entry| (entry.hash.as_str(), entry.sequence)).collect();
    let mut following: HashMap<&str, &Entry> = HashMap::new();
    let mut first = Vec::new();
    for entry in &entries {
        let Entry { sequence, hash, previous, .. } = entry;
        let before = numbers.get(previous.as_str());
        match (*sequence, before) {
            (1, Some(_)) => first.push(entry),
            (1, None) if previous == NO_HASH => first.push(entry),
            (1, None) if known.iter().any(|entry| entry.hash == *previous) => first.push(entry),
            (sequence, None) => {
                let (hash, previous) = (hash.clone(), previous.clone());
                return Err(Unchained::Missing { sequence, hash, previous });
            }
            (sequence, Some(before)) if sequence != before + 1 => {
                return Err(Unchained::Misnumbered { sequence, before: *before });
            }
            (sequence, Some(_)) => {
                if let Some(other) = following.insert(previous, entry) {
                    let (hash, other) = (hash.clone(), other.hash.clone());
                    return Err(Unchained::Forked { sequence, hash, other });
                }
            }
        }
    }
    first.sort_by_key(|entry| entry.time);
    let chain = |first: &Entry| {
        let next = |entry: &&Entry| following.get(entry.hash.as_str()).copied();
        std::iter::successors(Some(first), next).cloned().collect()
    };
    Ok(first.into_iter().map(chain).collect())
}

/// Whether the table's copy is what the file holds. `file` is a chain that [`verify()`] found unbroken,
/// `table` has the same pipeline's rows in the order of `sequence`. Entries go to the file first: the
/// table may lack the newest, and the table has to be read before the file.
pub fn compare(file: &[Entry], table: &[Entry]) -> Result<(), Difference> {
    for (at, copy) in table.iter().enumerate() {
        let Some(entry) = file.get(at) else {
            let last = file.last().map_or(0, |entry| entry.sequence);
            return Err(if copy.sequence > last {
                Difference::CutOff { last, sequence: copy.sequence }
            } else {
                Difference::Disordered { sequence: copy.sequence }
            });
        };
        if entry.sequence < copy.sequence {
            return Err(Difference::NotInTable { sequence: entry.sequence, later: copy.sequence });
        }
        if entry.sequence > copy.sequence {
            return Err(Difference::Disordered { sequence: copy.sequence });
        }
        if entry != copy {
            return Err(changed(entry, copy));
        }
    }
    Ok(())
}

/// The first field in which two entries of one number differ.
fn changed(file: &Entry, table: &Entry) -> Difference {
    let sequence = file.sequence;
    let mut fields = file.fields().into_iter().zip(table.fields());
    let differs = fields.find(|((_, file), (_, table))| file != table);
    let ((field, file), (_, table)) = differs.expect("entries that differ do so in a field");
    let [file, table] = [file, table].map(|value| value.unwrap_or_default().into_owned());
    Difference::Changed { sequence, field, file, table }
}
