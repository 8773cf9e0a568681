//! The names of a stream's files: which flushes of which session each holds, and which of the files hold
//! what others hold too.
//!
//! ```text
//! <session>-<flush>-<digest>.parquet               in the log: one flush
//! live-<session>-<flush>-<flush>-<digest>.parquet  in a table: one flush
//! live-<session>-<first>-<last>.parquet            in a table: those of these flushes that were in the log
//! live-<session>-<first>-<last>-all.parquet        in a table: all of these flushes
//! ```
//!
//! Flushes of a session are numbered from 0, and the next one begins once this one is durable. So a file
//! of all flushes from a first to a last one replaces every file of the table within that range, and a
//! reader who sees both leaves the others out: nothing else says so, and nothing needs to.

use std::collections::{HashMap, HashSet};

use object_store::ObjectMeta;
use object_store::path::Path;

/// Where logs are.
pub(super) const LOG: &str = "_log";
/// How the names of a stream's files in a table begin.
const PREFIX: &str = "live-";
/// How the names of files of all flushes of their range end.
const ALL: &str = "all";

/// Flushes of a session, a run of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flushes {
    pub session: String,
    pub first: u64,
    pub last: u64,
}

/// What a file holds of its range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holds {
    /// One flush.
    One,
    /// What was in the log.
    Logged,
    /// All of it.
    All,
}

impl Flushes {
    /// The next flush of a new session. That its name begins with `s` says that its process holds a claim
    /// by that name, where there are claims.
    pub(crate) fn begin() -> Self {
        let session = format!("s{:015x}", rand::random::<u64>() >> 4);
        Self { session, first: 0, last: 0 }
    }

    /// The flush after it.
    pub(crate) fn advance(&mut self) {
        self.last += 1;
        self.first = self.last;
    }

    /// What a file holds, by its name.
    pub(super) fn of(path: &Path) -> Option<Self> {
        Some(Self::named(path)?.0)
    }

    /// What a file holds, by its name, and whether it is all of it.
    pub(super) fn named(path: &Path) -> Option<(Self, Holds)> {
        let name = path.filename()?.strip_suffix(".parquet")?;
        let in_table = !is_logged(path);
        // Other tools' files of a table may be called `part-00000-…`.
        let name = if in_table { name.strip_prefix(PREFIX)? } else { name };
        let mut parts = name.split('-');
        let session = parts.next()?.to_owned();
        let first = parts.next()?.parse().ok()?;
        let last = if in_table { parts.next()?.parse().ok()? } else { first };
        let holds = match parts.next() {
            Some(ALL) => Holds::All,
            Some(_) => Holds::One,
            None => Holds::Logged,
        };
        (first <= last).then_some((Self { session, first, last }, holds))
    }

    /// The file of a table that one flush is.
    pub(crate) fn in_table(&self, day: &Path, bytes: &[u8]) -> Path {
        self.file_in(day, &format!("-{}", digest(bytes)))
    }

    /// The file of a table that flushes of the log are packed into.
    pub(super) fn packed_in(&self, day: &Path) -> Path {
        self.file_in(day, "")
    }

    /// The file of a table that all of these flushes are merged into.
    pub(super) fn merged_in(&self, day: &Path) -> Path {
        self.file_in(day, &format!("-{ALL}"))
    }

    fn file_in(&self, day: &Path, ending: &str) -> Path {
        let Self { session, first, last } = self;
        day.clone().join(format!("{PREFIX}{session}-{first}-{last}{ending}.parquet"))
    }

    pub(super) fn in_log(&self, folder: &Path, bytes: &[u8]) -> Path {
        folder.clone().join(format!("{}-{}-{}.parquet", self.session, self.first, digest(bytes)))
    }
}

fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex()[..16].to_owned()
}

/// Whether a file is in a log.
pub(super) fn is_logged(path: &Path) -> bool {
    path.parts().next().is_some_and(|folder| folder.as_ref() == LOG)
}

/// Whether a stream has written a file of a table.
pub(super) fn is_live(path: &Path) -> bool {
    path.filename().is_some_and(|name| name.starts_with(PREFIX))
}

/// Which flushes some files of a table hold.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Ranges of which all is held, by session; none within another, in their order.
    all: HashMap<String, Vec<(u64, u64)>>,
    /// Ranges that were in the log at first.
    any: HashMap<String, Vec<(u64, u64)>>,
}

impl Held {
    pub(super) fn by<'a>(files: impl Iterator<Item = &'a Path>) -> Self {
        let mut held = Self::default();
        for (flushes, holds) in files.filter_map(Flushes::named) {
            let Flushes { session, first, last } = flushes;
            if holds == Holds::All {
                held.all.entry(session.clone()).or_default().push((first, last));
            }
            held.any.entry(session).or_default().push((first, last));
        }
        for ranges in held.all.values_mut().chain(held.any.values_mut()) {
            // The longest of those that begin together comes first.
            ranges.sort_unstable_by_key(|(first, last)| (*first, std::cmp::Reverse(*last)));
            let mut end = None;
            ranges.retain(|(_, last)| {
                let is_within = end.is_some_and(|end| *last <= end);
                end = end.max(Some(*last));
                !is_within
            });
        }
        held
    }

    /// Whether another file holds all that this one of the table does.
    pub(super) fn replaces(&self, path: &Path) -> bool {
        let Some((flushes, holds)) = Flushes::named(path) else { return false };
        let Some((first, last)) = within(&self.all, &flushes) else { return false };
        holds != Holds::All || (first, last) != (flushes.first, flushes.last)
    }

    /// Whether a flush of the log is in the table.
    pub(super) fn has(&self, flush: &Flushes) -> bool {
        within(&self.any, flush).is_some()
    }
}

/// The range that a range is within.
fn within(ranges: &HashMap<String, Vec<(u64, u64)>>, of: &Flushes) -> Option<(u64, u64)> {
    let ranges = ranges.get(&of.session)?;
    // Both ends grow, since none is within another.
    let after = ranges.partition_point(|(first, _)| *first <= of.first);
    let found = ranges[..after].last().copied()?;
    (of.last <= found.1).then_some(found)
}

/// The files that hold each row of a table once, of those that were found in this order: the log, the
/// table, and what was replaced in it lately. What is gone from one by the time it is looked at is in
/// the next.
pub(super) fn once(
    logged: Vec<ObjectMeta>,
    in_table: Vec<ObjectMeta>,
    replaced: Vec<ObjectMeta>,
) -> Vec<ObjectMeta> {
    let mut names = HashSet::new();
    let mut files: Vec<ObjectMeta> = in_table;
    files.extend(replaced);
    // A file that was moved meanwhile, or published twice, is one.
    files.retain(|file| {
        file.location
            .filename()
            .is_some_and(|name| !is_live(&file.location) || names.insert(name.to_owned()))
    });
    let held = Held::by(files.iter().map(|file| &file.location));
    files.retain(|file| !held.replaces(&file.location));
    let waits =
        |file: &ObjectMeta| Flushes::of(&file.location).is_some_and(|flush| !held.has(&flush));
    files.extend(logged.into_iter().filter(waits));
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta(path: &str) -> ObjectMeta {
        let location = Path::from(path);
        ObjectMeta {
            location,
            last_modified: Default::default(),
            size: 1,
            e_tag: None,
            version: None,
        }
    }

    fn seen(logged: &[&str], in_table: &[&str], replaced: &[&str]) -> Vec<String> {
        let metas = |paths: &[&str]| paths.iter().map(|path| meta(path)).collect();
        let files = once(metas(logged), metas(in_table), metas(replaced));
        let mut files: Vec<String> = files.iter().map(|file| file.location.to_string()).collect();
        files.sort();
        files
    }

    #[test]
    fn a_file_of_all_flushes_replaces_those_within_and_no_others() {
        let table = [
            "t/a/live-x-0-0-d.parquet",
            "t/a/live-x-1-1-d.parquet",
            "t/a/live-x-0-1-all.parquet",
            "t/a/live-x-2-2-d.parquet",
            "t/a/live-y-0-0-d.parquet",
            "t/a/load.parquet",
        ];
        let wanted = [table[2], table[3], table[4], table[5]];
        let mut wanted: Vec<&str> = wanted.to_vec();
        wanted.sort();
        assert_eq!(seen(&[], &table, &[]), wanted);
        // A file that holds more replaces one that holds all of less.
        let wider = [
            "t/a/live-x-0-3-all.parquet",
            "t/a/live-x-0-1-all.parquet",
            "t/a/live-x-3-3-e.parquet",
        ];
        assert_eq!(seen(&[], &wider, &[table[0]]), [wider[0]]);
        // What is packed from the log replaces nothing of the table: a flush within may never have been
        // in the log.
        let packed = ["t/a/live-x-10-20.parquet", "t/a/live-x-15-15-d.parquet"];
        assert_eq!(
            seen(&["_log/x-12-d.parquet", "_log/x-21-d.parquet"], &packed, &[]),
            ["_log/x-21-d.parquet", packed[0], packed[1]]
        );
    }

    #[test]
    fn files_of_other_tools_are_no_flushes() {
        let table = [
            "t/a/part-00000-1f.parquet",
            "t/a/part-00001-1f.parquet",
            "t/b/part-0-9-all.parquet",
            "t/b/part-00000-all.parquet",
        ];
        assert_eq!(seen(&[], &table, &[]), table);
        assert_eq!(Flushes::of(&Path::from(table[0])), None);
    }

    #[test]
    fn what_is_found_twice_on_its_way_is_one() {
        // Moved between two listings, before the file that replaces it was there to be listed.
        let (here, gone) = ("t/a/live-x-0-0-d.parquet", "q/t/a/live-x-0-0-d.parquet");
        assert_eq!(seen(&[], &[here], &[gone]), [here]);
        assert_eq!(seen(&[], &[], &[gone]), [gone]);
        // Published again after midnight.
        assert_eq!(seen(&[], &[here, "t/b/live-x-0-0-d.parquet"], &[]), [here]);
        // Two tries of one flush, of other rows, are two.
        assert_eq!(seen(&[], &[here, "t/a/live-x-0-0-e.parquet"], &[]).len(), 2);
        assert_eq!(
            seen(&["_log/x-0-d.parquet"], &["t/a/live-x-0-0-all.parquet"], &[]),
            ["t/a/live-x-0-0-all.parquet"]
        );
    }
}
