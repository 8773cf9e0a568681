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
//! gone then, and found again.

use std::collections::{BTreeMap, BTreeSet};

use arrow::error::ArrowError;

use clickmill_config::Sink;
use clickmill_core::Fault;
use clickmill_core::batch::{Rejected, RowKey};
use clickmill_sink::{Load, SinkError};
use clickmill_tables::{Routed, name_table};

/// So often at most a load is made. Whether a table takes a row lies in the row, so that the second time
/// there is nothing more to refuse.
const MOST_TIMES: usize = 5;

/// Rows that are in none of their tables, since one of them refuses them.
#[derive(Debug, Default)]
pub(crate) struct Withheld {
    rows: BTreeMap<RowKey, Rejected>,
    times: usize,
}

/// The tables refuse other rows each time.
#[derive(Debug, thiserror::Error)]
#[error("the tables refused other rows each of {times} times that they were sent", times = MOST_TIMES)]
struct NoEnd;

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
        self.rows.extend(refused.into_iter().map(|row| (row.key(), row)));
        Ok(())
    }

    /// Leaves these rows out of all tables, and returns them.
    pub(crate) fn take_out(&self, rows: &mut Routed) -> Result<Vec<Rejected>, ArrowError> {
        if self.rows.is_empty() {
            return Ok(Vec::new());
        }
        let origins = rows.origins();
        let withheld = |row| Some((row, self.rows.get(&origins.key(row))?.clone()));
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
    let mut known = BTreeSet::new();
    for ((table, _), refused) in sink.tables().zip(&mut refused) {
        refused.retain(|row| known.insert(row.key()));
        if !sink.routes.is_empty() {
            refused.iter_mut().for_each(|row| name_table(row, table));
        }
    }
    Ok(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

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
