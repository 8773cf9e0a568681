//! Which rows of a table may be there more than once, for the view that shows each message once: to number
//! all rows of a table for that is dear, and hardly any repeats another.
//!
//! Equal rows are of one message, so they were published at one moment. Files whose messages were
//! published at other times have none in common, and files of one session have none either, as long as its
//! window knew of all of them. So a row may be there twice where two files overlap in time and were not
//! compared with each other when they were written: files of two processes, files around a restart, the
//! file of a replay.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, ParquetMetaDataReader};
use parquet::file::statistics::Statistics;

use super::flushes::Flushes;
use super::reading::replaced;
use super::repeats::Repeats;
use super::{Warehouse, WarehouseError};
use clickmill_core::schema::provenance::PUBLISH_TIME;

/// What is read of a file's end at first: the metadata of most files.
const FOOTER_BYTES: u64 = 64 << 10;
/// Files that are asked at once.
const AT_ONCE: usize = 32;
/// More stretches of time are no use to a filter: those that are close become one.
const MOST_STRETCHES: usize = 16;

/// What a file says of the rows in it.
#[derive(Debug, Clone, PartialEq)]
pub struct FileFacts {
    repeats: Repeats,
    /// When its messages were published, the first and the last; `None` where it has none.
    published: Option<(i64, i64)>,
    /// Whether it has rows of which that is not known.
    is_unknown: bool,
}

/// Facts of one table that were read before, by the file's name and size: files never change.
pub type KnownFacts = HashMap<(Path, u64), FileFacts>;

/// A table's files, told apart by whether a row of theirs may be there twice.
#[derive(Debug, Default, PartialEq)]
pub struct PossibleDuplicates {
    /// Files whose rows are in no other file.
    pub unique: Vec<ObjectMeta>,
    /// The other files.
    pub suspected: Vec<ObjectMeta>,
    /// When rows of those that may be there twice were published: from and to, in microseconds since
    /// 1970-01-01T00:00:00Z. Rows of which that is not known may be there twice too.
    pub published: Vec<(i64, i64)>,
}

impl Warehouse {
    /// Tells a table's files apart, by what they say of their rows. What is known of the table's files is
    /// then of these and no others: files come and go for as long as a stream runs.
    pub async fn possible_duplicates(
        &self,
        files: Vec<ObjectMeta>,
        known: &mut KnownFacts,
    ) -> Result<PossibleDuplicates, WarehouseError> {
        let key = |file: &ObjectMeta| (file.location.clone(), file.size);
        let asked = files.iter().map(|file| {
            let known = known.get(&key(file)).cloned();
            async move {
                match known {
                    Some(facts) => Ok::<FileFacts, WarehouseError>(facts),
                    None => Ok(facts(&self.metadata(file).await?)),
                }
            }
        });
        let asked: Vec<_> = asked.collect();
        let facts: Vec<FileFacts> = stream::iter(asked).buffered(AT_ONCE).try_collect().await?;
        *known = files.iter().map(key).zip(facts.iter().cloned()).collect();
        Ok(tell_apart(files.into_iter().zip(facts).collect()))
    }

    /// What a Parquet file's end says.
    async fn metadata(&self, file: &ObjectMeta) -> Result<ParquetMetaData, WarehouseError> {
        let mut wanted = FOOTER_BYTES.min(file.size);
        loop {
            let end = self.end_of(&file.location, wanted).await?;
            let mut reader = ParquetMetaDataReader::new();
            match reader.try_parse_sized(&end, file.size) {
                Ok(()) => {
                    return reader.finish().map_err(|source| self.unread(&file.location, source));
                }
                Err(ParquetError::NeedMoreData(more)) => wanted = more as u64,
                Err(source) => return Err(self.unread(&file.location, source)),
            }
        }
    }

    async fn end_of(&self, path: &Path, bytes: u64) -> Result<Bytes, WarehouseError> {
        let get = async |path: &Path| {
            let range = Some(GetRange::Suffix(bytes));
            let options = GetOptions { range, ..GetOptions::default() };
            self.store.get_opts(path, options).await?.bytes().await
        };
        let got = match get(path).await {
            Err(object_store::Error::NotFound { .. }) => get(&replaced(path)).await,
            got => got,
        };
        got.map_err(|source| self.failed(format!("read `{path}`"), source))
    }
}

fn facts(metadata: &ParquetMetaData) -> FileFacts {
    let mut facts = FileFacts {
        repeats: Repeats::of(metadata.file_metadata()),
        published: None,
        is_unknown: false,
    };
    for group in metadata.row_groups() {
        let column =
            group.columns().iter().find(|column| column.column_path().parts() == [PUBLISH_TIME]);
        let rows = u64::try_from(group.num_rows()).unwrap_or(u64::MAX);
        let Some(Statistics::Int64(times)) = column.and_then(|column| column.statistics()) else {
            facts.is_unknown = true;
            if column.is_some() {
                facts.extend(i64::MIN, i64::MAX);
            }
            continue;
        };
        let nulls = times.null_count_opt();
        facts.is_unknown |= nulls != Some(0);
        match (times.min_opt(), times.max_opt()) {
            (Some(first), Some(last)) => facts.extend(*first, *last),
            // All of them are null.
            _ if nulls == Some(rows) => {}
            _ => facts.extend(i64::MIN, i64::MAX),
        }
    }
    facts
}

impl FileFacts {
    fn extend(&mut self, first: i64, last: i64) {
        let (from, to) = self.published.unwrap_or((first, last));
        self.published = Some((from.min(first), to.max(last)));
    }
}

fn tell_apart(files: Vec<(ObjectMeta, FileFacts)>) -> PossibleDuplicates {
    // What files that are known to have no row in common cover of time.
    let mut groups: HashMap<String, Vec<(i64, i64)>> = HashMap::new();
    let mut doubtful: Vec<(i64, i64)> = Vec::new();
    let twice = loaded_twice(&files);
    // Rows of which it is not known when they were published may be those of any load.
    let is_any_unknown =
        files.iter().any(|(_, facts)| facts.repeats != Repeats::Never && facts.is_unknown);
    for (at, (file, facts)) in files.iter().enumerate() {
        let Some(published) = facts.published else { continue };
        let session = Flushes::of(&file.location).map(|flushes| flushes.session);
        match (facts.repeats, session) {
            (Repeats::Never, _) if twice.contains(name(file)) => doubtful.push(published),
            (Repeats::Never, _) => {}
            (Repeats::NotInSession, Some(session)) => {
                groups.entry(session).or_default().push(published);
            }
            (Repeats::NotInSession | Repeats::Maybe, _) => {
                // It may hold a row twice by itself.
                doubtful.push(published);
                groups.insert(format!(" {at}"), vec![published]);
            }
        }
    }
    let covered = groups.into_values().flat_map(joined);
    // Where more than one group is, in the order of time: beginnings before ends.
    let mut edges: Vec<(i64, i32)> = covered.flat_map(|(from, to)| [(from, 1), (to, -1)]).collect();
    edges.sort_unstable_by_key(|(at, step)| (*at, -step));
    let (mut depth, mut since) = (0, 0);
    for (at, step) in edges {
        depth += step;
        match (depth, step) {
            (2, 1) => since = at,
            (1, -1) => doubtful.push((since, at)),
            _ => {}
        }
    }
    let published = few(joined(doubtful));
    let meets = |(from, to): (i64, i64)| {
        let after = published.partition_point(|(_, end)| *end < from);
        published.get(after).is_some_and(|(start, _)| *start <= to)
    };
    let mut found = PossibleDuplicates::default();
    for (file, facts) in files {
        let is_doubtful = if facts.repeats == Repeats::Never && !twice.contains(name(&file)) {
            facts.is_unknown && is_any_unknown
        } else {
            facts.is_unknown || facts.published.is_some_and(meets)
        };
        if is_doubtful { found.suspected.push(file) } else { found.unique.push(file) }
    }
    found.published = published;
    found
}

/// Names of loads' files that are in more than one folder, which two runs at one object may have made.
fn loaded_twice(files: &[(ObjectMeta, FileFacts)]) -> HashSet<String> {
    let mut names = HashSet::new();
    let loaded = files.iter().filter(|(_, facts)| facts.repeats == Repeats::Never);
    let twice = loaded.map(|(file, _)| name(file)).filter(|name| !names.insert(*name));
    twice.map(str::to_owned).collect()
}

fn name(file: &ObjectMeta) -> &str {
    file.location.filename().unwrap_or_default()
}

/// Stretches that do not meet, in their order.
fn joined(mut stretches: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    stretches.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (from, to) in stretches {
        match joined.last_mut() {
            Some((_, end)) if from <= *end => *end = to.max(*end),
            _ => joined.push((from, to)),
        }
    }
    joined
}

/// Not too many stretches: over the smallest gaps they become one.
fn few(mut stretches: Vec<(i64, i64)>) -> Vec<(i64, i64)> {
    if stretches.len() > MOST_STRETCHES {
        let mut gaps: Vec<i64> =
            stretches.windows(2).map(|pair| pair[1].0.saturating_sub(pair[0].1)).collect();
        gaps.sort_unstable();
        let close = gaps[stretches.len() - 1 - MOST_STRETCHES];
        stretches.dedup_by(|next, before| {
            let is_close = next.0.saturating_sub(before.1) <= close;
            if is_close {
                before.1 = next.1;
            }
            is_close
        });
    }
    stretches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, repeats: Repeats, published: (i64, i64)) -> (ObjectMeta, FileFacts) {
        let meta = ObjectMeta {
            location: Path::from(format!("d/t/{name}.parquet")),
            last_modified: Default::default(),
            size: 1,
            e_tag: None,
            version: None,
        };
        (meta, FileFacts { repeats, published: Some(published), is_unknown: false })
    }

    fn names(files: &[ObjectMeta]) -> Vec<String> {
        let name = |file: &ObjectMeta| file.location.filename().unwrap().replace(".parquet", "");
        files.iter().map(name).collect()
    }

    #[tokio::test]
    async fn what_is_known_is_of_files_that_are_there() {
        let folder = tempfile::tempdir().unwrap();
        let warehouse = Warehouse::open(&folder.path().to_string_lossy()).unwrap();
        let mut known = KnownFacts::new();
        let (gone, facts) = file("gone", Repeats::Maybe, (0, 9));
        let (there, _) = file("there", Repeats::Maybe, (0, 9));
        for file in [gone, there.clone()] {
            known.insert((file.location, file.size), facts.clone());
        }
        warehouse.possible_duplicates(vec![there.clone()], &mut known).await.unwrap();
        assert_eq!(known.into_keys().collect::<Vec<_>>(), [(there.location, there.size)]);
    }

    #[test]
    fn rows_are_in_doubt_where_files_overlap_that_were_not_compared() {
        use Repeats::{Maybe, Never, NotInSession};
        let found = tell_apart(vec![
            // A session, whose files overlap …
            file("live-a-0-0-d", NotInSession, (0, 10)),
            file("live-a-1-1-d", NotInSession, (5, 20)),
            file("live-a-2-2-d", NotInSession, (30, 40)),
            // … and one that begins before it ends, and ends after.
            file("live-b-0-0-d", NotInSession, (18, 25)),
            file("live-b-1-1-d", NotInSession, (26, 29)),
            file("load", Never, (0, 100)),
            file("replay", Maybe, (50, 50)),
        ]);
        assert_eq!(names(&found.unique), ["live-a-0-0-d", "live-a-2-2-d", "live-b-1-1-d", "load"]);
        assert_eq!(names(&found.suspected), ["live-a-1-1-d", "live-b-0-0-d", "replay"]);
        assert_eq!(found.published, [(18, 20), (50, 50)]);
        let mut unknown = file("other", Maybe, (0, 0));
        (unknown.1.published, unknown.1.is_unknown) = (None, true);
        assert_eq!(names(&tell_apart(vec![unknown]).suspected), ["other"]);
    }

    #[test]
    fn loads_are_in_doubt_where_others_have_rows_without_a_time() {
        let unknown = |name: &str, repeats| {
            let (file, facts) = file(name, repeats, (0, 0));
            (file, FileFacts { published: None, is_unknown: true, ..facts })
        };
        let load = || unknown("load", Repeats::Never);
        assert_eq!(names(&tell_apart(vec![load()]).unique), ["load"]);
        let timed = file("timed", Repeats::Never, (0, 9));
        let found = tell_apart(vec![load(), timed, unknown("replay", Repeats::Maybe)]);
        assert_eq!(names(&found.suspected), ["load", "replay"]);
        assert_eq!(names(&found.unique), ["timed"]);
    }

    #[test]
    fn an_object_that_two_runs_have_loaded_is_in_doubt() {
        let load = |day: &str, published| {
            let (mut meta, facts) = file("x", Repeats::Never, published);
            meta.location = Path::from(format!("d/t/{day}/load.parquet"));
            (meta, facts)
        };
        let other = file("other", Repeats::Never, (0, 9));
        let found = tell_apart(vec![load("a", (0, 9)), other, load("b", (0, 9))]);
        assert_eq!(
            (names(&found.suspected), found.published),
            (vec!["load".to_owned(); 2], vec![(0, 9)])
        );
        assert_eq!(names(&found.unique), ["other"]);
        let (first, mut second) = (load("a", (0, 9)), load("b", (0, 9)));
        (second.1.published, second.1.is_unknown) = (None, true);
        assert_eq!(tell_apart(vec![first, second]).suspected.len(), 2);
    }

    #[test]
    fn one_moment_that_two_sessions_share_is_in_doubt() {
        let found = tell_apart(vec![
            file("live-a-0-0-d", Repeats::NotInSession, (0, 10)),
            file("live-b-0-0-d", Repeats::NotInSession, (10, 20)),
        ]);
        assert_eq!((found.suspected.len(), found.published), (2, vec![(10, 10)]));
    }

    #[test]
    fn many_stretches_become_few_and_lose_nothing() {
        let many: Vec<(i64, i64)> = (0..100).map(|n| (n * n, n * n + 1)).collect();
        let few = few(joined(many.clone()));
        assert!(few.len() <= MOST_STRETCHES, "{few:?}");
        for (from, to) in many {
            assert!(few.iter().any(|(start, end)| *start <= from && to <= *end));
        }
    }
}
