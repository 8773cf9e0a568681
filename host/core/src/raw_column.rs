//! A sensitive column as it was before a stage wrote it anew.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray};

use crate::leaves::{Leaf, leaves};

/// A sensitive column as it was. Its values are those of the rows that there were then, once each, however many rows
/// have come of them: a record of a megabyte may become a thousand rows.
#[derive(Debug, Clone)]
pub struct RawColumn {
    /// The column's name.
    pub name: String,
    column: ArrayRef,
    /// By row of the batch: the row of the column. The same, where absent.
    rows: Option<Arc<[u32]>>,
}

impl RawColumn {
    /// A column, of which each value is that of one row of the batch.
    pub fn new(name: impl Into<String>, column: ArrayRef) -> Self {
        Self { name: name.into(), column, rows: None }
    }

    /// The values below it, by the rows of the batch.
    pub fn leaves(&self) -> impl Iterator<Item = Leaf> {
        let leaves = leaves(&self.name, &self.column).into_iter();
        leaves.map(|leaf| match &self.rows {
            Some(rows) => leaf.of_rows(rows.clone()),
            None => leaf,
        })
    }

    /// The rows of the batch are now those that came of these.
    pub fn repeat(&mut self, came_from: &[u32]) {
        self.rows = Some(came_from.iter().map(|row| self.row(*row)).collect());
    }

    /// Only these rows are left of the batch.
    pub fn keep(&mut self, keep: &BooleanArray) {
        self.rows = Some(keep.values().set_indices_u32().map(|row| self.row(row)).collect());
    }

    fn row(&self, row: u32) -> u32 {
        self.rows.as_ref().map_or(row, |rows| rows[row as usize])
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, AsArray, StringArray};

    use super::*;

    #[test]
    fn rows_that_came_of_one_share_its_value() {
        let values: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c"]));
        let mut raw = RawColumn::new("ip", values.clone());
        let said = |raw: &RawColumn, rows: usize| {
            let leaf = raw.leaves().next().expect("a leaf");
            assert_eq!(leaf.rows(), rows);
            let texts = leaf.values.as_string::<i32>();
            assert_eq!(texts.values().as_ptr(), values.as_string::<i32>().values().as_ptr());
            assert_eq!(texts.len(), 3);
            (0..rows).flat_map(|row| leaf.of_row(row)).map(|at| texts.value(at)).collect::<String>()
        };
        assert_eq!(said(&raw, 3), "abc");
        raw.keep(&BooleanArray::from(vec![true, false, true]));
        assert_eq!(said(&raw, 2), "ac");
        raw.repeat(&[0, 0, 1, 1, 1]);
        assert_eq!(said(&raw, 5), "aaccc");
        raw.keep(&BooleanArray::from(vec![false, true, false, false, true]));
        assert_eq!(said(&raw, 2), "ac");
        raw.repeat(&[0, 1, 1]);
        assert_eq!(said(&raw, 3), "acc");
    }
}
