//! Which of a stream's small files are merged into which: by blocks of flushes, which double as hours and
//! days do. Pure: what is there comes in, and what is to be made goes out.
//!
//! A block is sixteen flushes, or 256, and so on, from a number that its length divides. It is merged once
//! the flush after it is known to be there, and all of it was listed after that. Two blocks are one within
//! the other or have nothing in common; so whoever merges at the same time, and whatever they have seen, no
//! two files that hold all of their flushes overlap in part, and no row is in two files of which neither
//! replaces the other. A block over midnight is merged in two parts, one for each folder. Of a session that
//! is over, all of a folder is merged, or where that is much, what begins in each block of 4096.

use std::collections::BTreeMap;
use std::ops::Range;

use object_store::ObjectMeta;
use object_store::path::Path;

use super::flushes::Flushes;

/// Lengths of blocks. At fifty flushes a second they are 0.3 s, 5 s, 82 s, 22 min and 6 hours; at two, 8 s, 2 min,
/// half an hour, 9 hours and 6 days.
const BLOCKS: [u64; 5] = [1 << 4, 1 << 8, 1 << 12, 1 << 16, 1 << 20];
/// What much of a session that is over is cut by.
const CUT: u64 = 1 << 12;
/// Files of so many bytes together are not small.
pub(super) const LARGE_BYTES: u64 = 128 << 20;

/// Files of one folder that become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Merge {
    /// The files, in the order of their rows.
    pub from: Vec<ObjectMeta>,
    /// The file that they become.
    pub to: Path,
}

/// A file of a session.
struct Part<'a> {
    first: u64,
    last: u64,
    folder: Path,
    file: &'a ObjectMeta,
}

/// How far a session is settled: no file of these flushes is added any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// Those before this one.
    Before(u64),
    /// All: it is over.
    All,
}

/// What is to be merged now. `files` are those that hold each row once, listed *after* it was found out
/// how far their sessions are settled, which is what `settled` says: none of what is settled is missing.
pub(super) fn plan(files: &[ObjectMeta], settled: &dyn Fn(&str) -> Settled) -> Vec<Merge> {
    let mut sessions: BTreeMap<String, Vec<Part<'_>>> = BTreeMap::new();
    for file in files {
        let Some(flushes) = Flushes::of(&file.location) else { continue };
        // The log is packed by who writes it, and what is replaced is on its way out.
        let is_in_table = !file.location.as_ref().starts_with('_');
        let Some(folder) = file.location.parent().filter(|_| is_in_table) else { continue };
        let Flushes { session, first, last } = flushes;
        sessions.entry(session).or_default().push(Part { first, last, folder, file });
    }
    let mut merges = Vec::new();
    for (session, mut parts) in sessions {
        parts.sort_by(|a, b| {
            (a.first, a.last, &a.file.location).cmp(&(b.first, b.last, &b.file.location))
        });
        merges.extend(of_session(&session, &parts, settled(&session)));
    }
    merges
}

fn of_session(session: &str, parts: &[Part<'_>], settled: Settled) -> Vec<Merge> {
    let mut merging =
        Merging { session, parts, taken: vec![false; parts.len()], merges: Vec::new() };
    if settled == Settled::All {
        merging.runs(0..parts.len());
        merging.blocks(CUT, |_, _| true);
    }
    // How far what begins before a part reaches.
    let mut end = None;
    let before: Vec<Option<u64>> = parts
        .iter()
        .map(|part| {
            let before = end;
            end = end.max(Some(part.last));
            before
        })
        .collect();
    for length in BLOCKS.into_iter().rev() {
        merging.blocks(length, |parts_of, block| {
            let (start, stop) = (block * length, (block + 1) * length - 1);
            let of = &parts[parts_of.clone()];
            before[parts_of.start].is_none_or(|last| last < start)
                && of.iter().all(|part| part.last <= stop)
                && (settled == Settled::All
                    || matches!(settled, Settled::Before(next) if stop < next))
                && is_whole(of, start, stop)
        });
    }
    merging.merges
}

/// Whether files hold all flushes from a first to a last one.
fn is_whole(parts: &[Part<'_>], first: u64, last: u64) -> bool {
    let mut next = first;
    for part in parts {
        if part.first > next {
            return false;
        }
        next = next.max(part.last + 1);
    }
    next > last
}

/// A plan in the making.
struct Merging<'a> {
    session: &'a str,
    /// In the order of their flushes.
    parts: &'a [Part<'a>],
    /// Which of them are merged already.
    taken: Vec<bool>,
    merges: Vec<Merge>,
}

impl Merging<'_> {
    /// Merges the blocks of a length that are fit for it.
    fn blocks(&mut self, length: u64, is_fit: impl Fn(&Range<usize>, u64) -> bool) {
        let mut at = 0;
        while at < self.parts.len() {
            let block = self.parts[at].first / length;
            let count = self.parts[at..].partition_point(|part| part.first / length == block);
            let of = at..at + count;
            at = of.end;
            if is_fit(&of, block) {
                self.runs(of);
            }
        }
    }

    /// Merges what of these parts lies together in one folder and is small enough, unless it is one file
    /// already.
    fn runs(&mut self, of: Range<usize>) {
        let mut at = of.start;
        while at < of.end {
            let folder = &self.parts[at].folder;
            let count =
                self.parts[at..of.end].iter().take_while(|part| part.folder == *folder).count();
            let range = at..at + count;
            at = range.end;
            let run = &self.parts[range.clone()];
            let last = run.iter().map(|part| part.last).max();
            let (first, last) = (run[0].first, last.unwrap_or_default());
            let bytes: u64 = run.iter().map(|part| part.file.size).sum();
            let others = self.parts[..range.start].iter().chain(&self.parts[range.end..]);
            let is_fit = run.len() > 1
                && bytes <= LARGE_BYTES
                && !self.taken[range.clone()].contains(&true)
                && is_whole(run, first, last)
                && others.into_iter().all(|other| other.last < first || last < other.first);
            if is_fit {
                self.taken[range.clone()].fill(true);
                let flushes = Flushes { session: self.session.to_owned(), first, last };
                let from = run.iter().map(|part| part.file.clone()).collect();
                self.merges.push(Merge { from, to: flushes.merged_in(folder) });
            }
        }
    }
}

#[cfg(test)]
mod tests;
