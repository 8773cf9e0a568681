//! Rows of a delivery that go to several tables, one after the other: which of them are refused, and which
//! were there already.

use std::collections::{BTreeMap, BTreeSet};

use arrow::error::ArrowError;

use clickmill_core::batch::{Origins, Rejected, RowKey};
use clickmill_sink::Appended;
use clickmill_tables::Rows;

/// What tables say of the rows that go to them.
#[derive(Debug, Default)]
pub(super) struct Copies {
    /// Where the rows came from that went to each table.
    went: Vec<Vec<Origins>>,
    /// Those that were in it already.
    there: Vec<Vec<RowKey>>,
    refused: BTreeSet<RowKey>,
}

impl Copies {
    /// The rows of the next table: without those that a table before it has refused. Returns how many those
    /// are.
    pub(super) fn next(&mut self, rows: &mut Vec<Rows>) -> Result<u64, ArrowError> {
        let mut left_out = 0;
        if !self.refused.is_empty() {
            for rows in rows.iter_mut() {
                left_out += rows.leave_out_where(|key| self.refused.contains(key))? as u64;
            }
            rows.retain(|rows| rows.rows.num_rows() > 0);
        }
        self.went.push(rows.iter().map(|rows| rows.origins.clone()).collect());
        self.there.push(Vec::new());
        Ok(left_out)
    }

    /// What became of them.
    pub(super) fn appended(&mut self, appended: &Appended) {
        self.refused.extend(appended.refused.iter().map(Rejected::key));
        if let Some(there) = self.there.last_mut() {
            there.extend_from_slice(&appended.repeated);
        }
    }

    /// How many rows were in all of their tables already. Of a message that comes twice, each delivery is
    /// one.
    pub(super) fn repeated(&self) -> u64 {
        // By row and table: how often it went there, and how often it was there.
        let mut counts: BTreeMap<RowKey, Vec<(u64, u64)>> = BTreeMap::new();
        for (table, there) in self.there.iter().enumerate() {
            for key in there {
                let none = || vec![(0, 0); self.there.len()];
                counts.entry(key.clone()).or_insert_with(none)[table].1 += 1;
            }
        }
        if counts.is_empty() {
            return 0;
        }
        for (table, went) in self.went.iter().enumerate() {
            for (origins, row) in
                went.iter().flat_map(|of| (0..of.ranges.len()).map(move |r| (of, r)))
            {
                if let Some(counts) = counts.get_mut(&origins.key(row)) {
                    counts[table].0 += 1;
                }
            }
        }
        let repeated = |tables: &Vec<(u64, u64)>| {
            let most = |of: fn(&(u64, u64)) -> u64| tables.iter().map(of).max().unwrap_or(0);
            most(|(went, _)| *went) - most(|(went, there)| went - there)
        };
        counts.values().map(repeated).sum()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array, RecordBatch};
    use bytes::Bytes;

    use super::*;
    use clickmill_core::batch::{Position, Positions, Reason, Rejector};
    use clickmill_core::{Digest, Micros, stage};

    /// Lines of the rows that go to a table, and of those that it had.
    type Table<'a> = (&'a [u64], &'a [u64]);

    /// Rows of these lines.
    fn rows(lines: &[u64]) -> Rows {
        let numbers: Int64Array = lines.iter().map(|line| Some(*line as i64)).collect();
        Rows {
            rows: RecordBatch::try_from_iter([("n", Arc::new(numbers) as ArrayRef)])
                .expect("a batch"),
            origins: Origins {
                source: "s".into(),
                header: None,
                positions: Positions::Lines(lines.to_vec()),
                places: None,
                block: Bytes::new(),
                ranges: vec![0..0; lines.len()],
            },
            ingest_time: Micros::default(),
            plugin_set: Digest::default(),
        }
    }

    fn lines(rows: &[Rows]) -> Vec<u64> {
        let of = |rows: &Rows| match &rows.origins.positions {
            Positions::Lines(lines) => lines.clone(),
            Positions::Messages(_) => Vec::new(),
        };
        rows.iter().flat_map(of).collect()
    }

    #[test]
    fn a_row_is_repeated_once_all_of_its_tables_had_it() {
        let cases: [(&[Table<'_>], u64); 7] = [
            (&[(&[1, 2], &[]), (&[2], &[])], 0),
            (&[(&[1, 2], &[1]), (&[2], &[])], 1),
            // A kill came between the two tables.
            (&[(&[1, 2], &[1, 2]), (&[2], &[])], 1),
            (&[(&[1, 2], &[2]), (&[2], &[2])], 1),
            (&[(&[1, 2], &[1, 2]), (&[2], &[2])], 2),
            // A message that comes twice at once, new or not.
            (&[(&[1, 1], &[1]), (&[1, 1], &[1])], 1),
            (&[(&[1, 1], &[1, 1]), (&[1, 1], &[1, 1])], 2),
        ];
        for (tables, repeated) in cases {
            let mut copies = Copies::default();
            for (went, there) in tables {
                copies.next(&mut vec![rows(went)]).expect("rows");
                let there = there.iter().map(|line| (Position::Line(*line), 0)).collect();
                copies.appended(&Appended { refused: Vec::new(), repeated: there });
            }
            assert_eq!(copies.repeated(), repeated, "{tables:?}");
        }
    }

    #[test]
    fn what_a_table_refuses_goes_to_none_after_it() {
        let mut copies = Copies::default();
        let mut own = vec![rows(&[1, 2]), rows(&[3])];
        assert_eq!(copies.next(&mut own).expect("rows"), 0);
        let by = Rejector::host(stage::SINK, &Digest::default(), Micros::default());
        let reason =
            Reason { code: "refused_by_table".to_owned(), message: String::new(), column: None };
        let refused =
            [(0, 1), (1, 0)].map(|(at, row)| own[at].origins.reject(row, &by, reason.clone()));
        copies.appended(&Appended { refused: refused.into(), repeated: Vec::new() });
        let mut other = vec![rows(&[2]), rows(&[3, 4])];
        assert_eq!(copies.next(&mut other).expect("rows"), 2);
        assert_eq!(lines(&other), [4]);
        assert_eq!(other.len(), 1, "what is left is not empty");
        assert_eq!(copies.repeated(), 0);
    }
}
