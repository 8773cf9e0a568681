//! What a file says of repeated rows: whether another file of its table may have a row of the same key. The
//! writer of the file notes it in the metadata of the Parquet file, where it knows. A file without the note
//! may hold any repeats.

use std::collections::VecDeque;

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{max, min};
use arrow::datatypes::{DataType, TimeUnit, TimestampMicrosecondType};
use parquet::file::metadata::FileMetaData;

use super::file::TableFile;
use super::window::MOST_KEYS;
use clickmill_core::schema::provenance::PUBLISH_TIME;

/// The key by which a file says it.
pub(super) const KEY: &str = "clickmill.repeats";
/// Its rows are in no other file, since their places in an object are in none.
const NONE: &str = "none";
/// No row is in the file twice, nor in another of its session.
const NONE_IN_SESSION: &str = "none in session";

/// What is known of a file's rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repeats {
    /// None comes again, in this file or another.
    Never,
    /// None comes again in this file or another of the same session.
    NotInSession,
    /// Nothing.
    Maybe,
}

impl Repeats {
    /// What a file says.
    pub fn of(metadata: &FileMetaData) -> Self {
        let said = metadata.key_value_metadata().into_iter().flatten();
        let mut said = said.filter(|said| said.key == KEY).filter_map(|said| said.value.as_deref());
        match said.next_back() {
            Some(NONE) => Self::Never,
            Some(NONE_IN_SESSION) => Self::NotInSession,
            Some(_) | None => Self::Maybe,
        }
    }

    /// What is known of files of one session together.
    pub(super) fn of_all(parts: &[Self]) -> Self {
        parts.iter().copied().max().unwrap_or(Self::Maybe)
    }

    /// Says it in a file in the making.
    pub(super) fn say(self, file: &mut TableFile) {
        if let Some(value) = self.said() {
            file.say(KEY, value);
        }
    }

    /// The metadata that says it.
    pub(super) fn said(self) -> Option<&'static str> {
        match self {
            Self::Never => Some(NONE),
            Self::NotInSession => Some(NONE_IN_SESSION),
            Self::Maybe => None,
        }
    }
}

/// When the messages of some rows were published: microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Default)]
pub(super) struct Times {
    first: Option<i64>,
    last: Option<i64>,
    /// Rows of which that is not known, or which have no key.
    unknown: usize,
}

impl Times {
    /// Adds rows, of which so many have no key.
    pub(super) fn add(&mut self, rows: &RecordBatch, keyless: usize) {
        let times = rows.column_by_name(PUBLISH_TIME).filter(|times| {
            matches!(times.data_type(), DataType::Timestamp(TimeUnit::Microsecond, _))
        });
        let Some(times) = times else {
            self.unknown += rows.num_rows();
            return;
        };
        let times = times.as_primitive::<TimestampMicrosecondType>();
        self.unknown += keyless.max(times.null_count());
        self.first = self.first.into_iter().chain(min(times)).min();
        self.last = self.last.max(max(times));
    }
}

/// Which of a session's rows the window still has the keys of: those that were published after the last
/// one it has forgotten. A row is compared with them when it is written.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Keys of a flush, and when the last of its messages was published.
    flushes: VecDeque<(usize, i64)>,
    keys: usize,
    forgotten: Option<i64>,
}

impl Known {
    /// What is known of rows that are not in the window.
    pub(super) fn repeats(&self, times: &Times) -> Repeats {
        let is_known = times.unknown == 0 && times.first.is_some() && times.first > self.forgotten;
        if is_known { Repeats::NotInSession } else { Repeats::Maybe }
    }

    /// Adds a flush of so many keys.
    pub(super) fn add(&mut self, times: &Times, keys: usize) {
        self.flushes.push_back((keys, times.last.unwrap_or(i64::MAX)));
        self.keys += keys;
        while self.keys > MOST_KEYS
            && let Some((keys, last)) = self.flushes.pop_front()
        {
            self.keys -= keys;
            self.forgotten = self.forgotten.max(Some(last));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(first: i64, last: i64) -> Times {
        Times { first: Some(first), last: Some(last), unknown: 0 }
    }

    #[test]
    fn a_row_is_known_to_be_new_as_long_as_the_window_has_what_it_might_repeat() {
        let mut known = Known::default();
        assert_eq!(known.repeats(&times(0, 9)), Repeats::NotInSession);
        known.add(&times(0, 9), MOST_KEYS - 1);
        known.add(&times(10, 19), 1);
        assert_eq!(known.repeats(&times(5, 5)), Repeats::NotInSession);
        // The first flush is forgotten in part.
        known.add(&times(20, 29), 1);
        assert_eq!(known.repeats(&times(9, 30)), Repeats::Maybe);
        assert_eq!(known.repeats(&times(10, 30)), Repeats::NotInSession);
        assert_eq!(known.repeats(&Times { unknown: 1, ..times(10, 30) }), Repeats::Maybe);
        // A session that forgets nothing yet knows of rows without a time no more than of others.
        assert_eq!(Known::default().repeats(&Times::default()), Repeats::Maybe);
    }
}
