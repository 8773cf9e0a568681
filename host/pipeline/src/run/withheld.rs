//! Rows of an object, or of a replay, that one of several tables refuses: they are to be in none.
//!
//! BigQuery may say what it does not take only when all rows were sent, and rows of a stream cannot be taken
//! out of it again. So where a row may go to several tables:
//!
//! 1. All rows are sent, to a stream of each table that nobody sees. What a table refuses is remembered.
//! 2. Where that is anything, the load is given up, and made again without those rows, which are letters now.
//!    Rows that were refused before are not sent, so each time it is other rows, and the last time none.
//! 3. The load that refuses nothing is committed, as any other.
//!
//! Killed at any of these steps, nothing of the load is visible, and it is made anew. What is remembered is
//! gone then, and found again. What can be read but once, as standard input, is not loaded where a table
//! refuses any of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::error::ArrowError;

use clickmill_config::Sink;
use clickmill_core::Fault;
use clickmill_core::batch::{Rejected, RowKey};
use clickmill_sink::{Load, SinkError};
use clickmill_source::Object;
use clickmill_tables::{Routed, name_table};

/// So often at most a load is made. Whether a table takes a row lies in the row, so that the second time
/// there is nothing more to refuse.
const MOST_TIMES: usize = 5;

/// A row: those of a replay are of several sources.
type Key = (Arc<str>, RowKey);

/// Rows that are in none of their tables, since one of them refuses them.
#[derive(Debug, Default)]
pub(crate) struct Withheld {
    rows: BTreeMap<Key, Rejected>,
    times: usize,
}

/// The tables refuse other rows each time.
#[derive(Debug, thiserror::Error)]
#[error("the tables refused other rows each of {times} times that they were sent", times = MOST_TIMES)]
struct NoEnd;

/// What is read but once cannot be loaded again.
#[derive(Debug, thiserror::Error)]
#[error(
    "a table refuses {rows} rows that may go to others too, and `{object}` cannot be read once more, without them: load it from a file"
)]
struct ReadOnce {
    rows: usize,
    object: String,
}

/// Fails where a load cannot be made again, since its object is read but once: nothing of it is loaded.
pub(super) fn check_read_again(
    object: &Object,
    refused: &[Vec<Rejected>],
) -> Result<(), SinkError> {
    let rows: usize = refused.iter().map(Vec::len).sum();
    if rows == 0 || !object.is_read_once() {
        return Ok(());
    }
    Err(SinkError::load(Fault::Input, ReadOnce { rows, object: object.uri.clone() }))
}

impl Withheld {
    /// Adds what the tables have refused now; the load is to be made again.
    pub(crate) fn add(&mut self, refused: Vec<Rejected>) -> Result<(), SinkError> {
        self.times += 1;
        if self.times == MOST_TIMES {
            return Err(SinkError::load(Fault::Environment, NoEnd));
        }
        tracing::info!(
            rows = refused.len(),
            "a table refuses rows that may go to others too: the load is made again without them"
        );
        self.rows.extend(refused.into_iter().map(|row| (key_of(&row), row)));
        Ok(())
    }

    /// Leaves these rows out of all tables, and returns them.
    pub(crate) fn take_out(&self, rows: &mut Routed) -> Result<Vec<Rejected>, ArrowError> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        let origins = rows.origins();
        let key = |row| (origins.source.clone(), origins.key(row));
        let withheld = |row| Some((row, self.rows.get(&key(row))?.clone()));
        let (out, refused): (Vec<usize>, Vec<Rejected>) =
            (0..rows.count()).filter_map(withheld).unzip();
        if !out.is_empty() {
            rows.leave_out(&out)?;
        }
        Ok(refused)
    }
}

/// Rows that the tables of a sink have refused, by table, each once. Where there are several, a letter says
/// which of them it was.
pub(crate) fn refused_once(
    load: &mut dyn Load,
    sink: &Sink,
) -> Result<Vec<Vec<Rejected>>, SinkError> {
    let mut refused = load.refused()?;
    each_once(&mut refused);
    if !sink.routes.is_empty() {
        for ((table, _), refused) in sink.tables().zip(&mut refused) {
            refused.iter_mut().for_each(|row| name_table(row, table));
        }
    }
    Ok(refused)
}

fn each_once(refused: &mut [Vec<Rejected>]) {
    let mut known = BTreeSet::new();
    for refused in refused {
        refused.retain(|row| known.insert(key_of(row)));
    }
}

fn key_of(row: &Rejected) -> Key {
    (row.source.clone(), row.key())
}

#[cfg(test)]
mod tests {
    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use bytes::Bytes;

    use super::*;
    use clickmill_core::batch::{Origins, Positions, Reason, Rejector};
    use clickmill_core::{Digest, Micros, stage};
    use clickmill_tables::Rows;

    /// A row of the second line of an object.
    fn row(source: &str) -> Routed {
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![1]));
        let row = Rows {
            rows: RecordBatch::try_from_iter([("n", numbers)]).expect("a batch"),
            origins: Origins {
                source: source.into(),
                header: None,
                positions: Positions::Lines(vec![2]),
                places: None,
                block: Bytes::new(),
                ranges: std::iter::once(0..0).collect(),
            },
            ingest_time: Micros::default(),
            plugin_set: Digest::default(),
        };
        row.into()
    }

    fn refused(source: &str) -> Rejected {
        let by = Rejector::host(stage::SINK, &Digest::default(), Micros::default());
        let reason =
            Reason { code: "refused_by_table".to_owned(), message: String::new(), column: None };
        row(source).origins().reject(0, &by, reason)
    }

    #[test]
    fn rows_of_one_line_of_several_objects_are_not_taken_for_one() {
        let mut by_table = [vec![refused("a@1"), refused("b@1")], vec![refused("a@1")]];
        each_once(&mut by_table);
        assert_eq!(by_table.map(|refused| refused.len()), [2, 0]);
        let mut withheld = Withheld::default();
        withheld.add(vec![refused("a@1")]).expect("once more");
        let taken_out = ["a@1", "b@1"].map(|source| {
            let mut rows = row(source);
            (withheld.take_out(&mut rows).expect("rows").len(), rows.count())
        });
        assert_eq!(taken_out, [(1, 0), (0, 1)]);
    }

    #[test]
    fn what_is_read_but_once_is_not_loaded_again() {
        let stdin = Object::stdin();
        check_read_again(&stdin, &[Vec::new(), Vec::new()]).expect("nothing is refused");
        let refused = [Vec::new(), vec![refused("a@1")]];
        let error = check_read_again(&stdin, &refused).expect_err("it is gone");
        assert!(error.is_of_load() && error.to_string().contains("`stdin`"), "{error}");
    }

    #[test]
    fn a_load_is_not_made_again_for_ever() {
        let mut withheld = Withheld::default();
        for _ in 1..MOST_TIMES {
            withheld.add(Vec::new()).expect("once more");
        }
        let error = withheld.add(Vec::new()).expect_err("the end");
        assert!(error.is_of_load(), "{error}");
    }
}
