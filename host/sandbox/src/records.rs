//! Which record each row is of, once one became several: what has become of the records is counted by them.

use arrow::array::BooleanArray;
use arrow::error::ArrowError;

/// What has become of the records of a batch. Together they are the records that came in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RecordCounts {
    /// Records of which at least one row is good.
    pub with_rows: u64,
    /// Records of which no row is good, and at least one was refused.
    pub with_letters_only: u64,
    /// Records of which every row was dropped on purpose.
    pub filtered_whole: u64,
}

impl RecordCounts {
    /// Adds those of other records.
    pub fn add(&mut self, other: Self) {
        self.with_rows += other.with_rows;
        self.with_letters_only += other.with_letters_only;
        self.filtered_whole += other.filtered_whole;
    }
}

/// The records of a batch on its way.
#[derive(Clone)]
pub(super) struct Records {
    came_in: u64,
    /// What became of records while each was one row.
    whole: RecordCounts,
    many: Option<Many>,
}

/// Records of which some are several rows.
#[derive(Clone)]
struct Many {
    /// By row: its record.
    of: Vec<u32>,
    /// By record: whether a row of it was refused.
    refused: Vec<bool>,
    /// By record: whether a row of it was dropped.
    dropped: Vec<bool>,
}

impl Records {
    pub(crate) fn new(rows: usize) -> Self {
        Self { came_in: rows as u64, whole: RecordCounts::default(), many: None }
    }

    /// The record of a row, where some are several.
    pub(crate) fn of_rows(&self) -> Option<&[u32]> {
        self.many.as_ref().map(|many| many.of.as_slice())
    }

    /// The rows are now those that came of these.
    pub(crate) fn repeat(&mut self, rows: usize, came_from: &[u32]) {
        let many = self.many.get_or_insert_with(|| Many {
            of: (0..rows as u32).collect(),
            refused: vec![false; rows],
            dropped: vec![false; rows],
        });
        many.of = came_from.iter().map(|row| many.of[*row as usize]).collect();
    }

    /// Some rows are refused and some dropped: the others are kept.
    pub(crate) fn keep(
        &mut self,
        refused: impl ExactSizeIterator<Item = u32>,
        dropped: impl ExactSizeIterator<Item = u32>,
        keep: &BooleanArray,
    ) {
        let Some(Many { of, refused: some, dropped: others }) = &mut self.many else {
            self.whole.with_letters_only += refused.len() as u64;
            self.whole.filtered_whole += dropped.len() as u64;
            return;
        };
        refused.for_each(|row| some[of[row as usize] as usize] = true);
        dropped.for_each(|row| others[of[row as usize] as usize] = true);
        let mut kept = keep.values().iter();
        of.retain(|_| kept.next().unwrap_or(false));
    }

    /// What has become of them, where so many rows are left. The error is a record of which nothing is told.
    pub(crate) fn end(self, rows: usize) -> Result<RecordCounts, ArrowError> {
        let mut counts = self.whole;
        match self.many {
            None => counts.with_rows = rows as u64,
            Some(Many { of, refused, dropped }) => {
                let mut with_rows = vec![false; refused.len()];
                of.iter().for_each(|record| with_rows[*record as usize] = true);
                for (record, has_rows) in with_rows.into_iter().enumerate() {
                    match (has_rows, refused[record], dropped[record]) {
                        (true, ..) => counts.with_rows += 1,
                        (false, true, _) => counts.with_letters_only += 1,
                        (false, false, true) => counts.filtered_whole += 1,
                        (false, false, false) => {}
                    }
                }
            }
        }
        let RecordCounts { with_rows, with_letters_only, filtered_whole } = counts;
        let (told, came_in) = (with_rows + with_letters_only + filtered_whole, self.came_in);
        if told == came_in {
            return Ok(counts);
        }
        Err(ArrowError::ComputeError(format!(
            "{came_in} records came in, and {told} of them are accounted for"
        )))
    }
}

/// The rows of the batch that, with those that came of the rows before them, make their record more than so
/// many. `of` is the record of each row of the batch.
pub(super) fn beyond(of: &[u32], came_from: &[u32], most: usize) -> Vec<bool> {
    let mut made = vec![0_usize; of.len()];
    for row in came_from {
        made[*row as usize] += 1;
    }
    let (mut record, mut rows) = (None, 0);
    let is_beyond = of.iter().zip(made).map(|(of, made)| {
        // The rows of a record lie side by side.
        if record != Some(*of) {
            (record, rows) = (Some(*of), 0);
        }
        let is_beyond = made > 1 && rows + made > most;
        rows += if is_beyond { 1 } else { made };
        is_beyond
    });
    is_beyond.collect()
}

/// The places of rows in their records, once each came of one of these. `before` are the places of those,
/// and `stage` says how many stages before this one make several rows of one.
pub(super) fn places(before: Option<&[u64]>, came_from: &[u32], stage: u32) -> Vec<u64> {
    /// The place has so many numbers for each such stage.
    const ROWS_OF_A_STAGE: u64 = 10_000;
    let step = ROWS_OF_A_STAGE.saturating_pow(stage);
    let (mut row_before, mut number) = (None, 0);
    let place = |row: &u32| {
        number = if row_before == Some(*row) { number + 1 } else { 0 };
        row_before = Some(*row);
        before.map_or(0, |before| before[*row as usize]) + number * step
    };
    came_from.iter().map(place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_stable_whatever_becomes_of_other_rows() {
        let first = places(None, &[0, 1, 1, 1, 2], 0);
        assert_eq!(first, [0, 0, 1, 2, 0]);
        // The second of the three is gone; of the third come two.
        let second = places(Some(&[0, 0, 2, 0]), &[0, 1, 2, 2, 3, 3, 3], 1);
        assert_eq!(second, [0, 0, 2, 10_002, 0, 10_000, 20_000]);
        assert_eq!(places(Some(&[7]), &[0, 0], 3), [7, 1_000_000_000_007]);
    }

    #[test]
    fn a_row_that_makes_its_record_too_many_rows_is_found() {
        // Two records, of three and two rows.
        let of = [0, 0, 0, 1, 1];
        let came_from = [0, 0, 1, 1, 2, 3, 4, 4, 4, 4, 4];
        assert_eq!(beyond(&of, &came_from, 5), [false, false, false, false, true]);
        assert_eq!(beyond(&of, &came_from, 3), [false, true, false, false, true]);
        assert_eq!(beyond(&of, &came_from, 6), [false; 5]);
    }

    #[test]
    fn every_record_is_counted_once_whatever_its_rows_become() {
        let mut records = Records::new(5);
        let keep = |rows: &[bool]| BooleanArray::from(rows.to_vec());
        records.keep([4].into_iter(), [].into_iter(), &keep(&[true, true, true, true, false]));
        // Of four that are left come two of the first, one of the second, two of the others.
        records.repeat(4, &[0, 0, 1, 2, 2, 3, 3]);
        let rows = [true, false, false, false, false, false, false];
        records.keep([1, 3].into_iter(), [2, 4, 5, 6].into_iter(), &keep(&rows));
        assert_eq!(records.of_rows(), Some(&[0][..]));
        let counts = RecordCounts { with_rows: 1, with_letters_only: 2, filtered_whole: 2 };
        assert_eq!(records.end(1).ok(), Some(counts));
    }

    #[test]
    fn a_record_of_which_nothing_is_told_is_an_error() {
        assert!(Records::new(2).end(1).is_err());
        let mut records = Records::new(1);
        records.repeat(1, &[0, 0]);
        let none = BooleanArray::from(vec![false, false]);
        records.keep([].into_iter(), [].into_iter(), &none);
        assert!(records.end(0).is_err());
    }
}
