//! The values below a column, whatever lists and records they are in: each field by its path, with the rows
//! that its values are of.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::DataType;

use crate::path::Path;

/// A column of values, which are no records and no lists.
#[derive(Debug, Clone)]
pub struct Leaf {
    /// Its path.
    pub path: Path,
    /// Its values: one per row, or those of all rows one after the other.
    pub values: ArrayRef,
    /// Where it is in a list, where each row's values begin, and at the end where the last one's end.
    begins: Option<Vec<usize>>,
    /// By row, the row whose values are also its own. Each has its own, where absent.
    rows: Option<Arc<[u32]>>,
}

impl Leaf {
    /// The same values, of rows that have those of these rows.
    pub fn of_rows(self, rows: Arc<[u32]>) -> Self {
        Self { rows: Some(rows), ..self }
    }

    /// The numbers of a row's values.
    pub fn of_row(&self, row: usize) -> Range<usize> {
        let row = self.rows.as_ref().map_or(row, |rows| rows[row] as usize);
        match &self.begins {
            Some(begins) => begins[row]..begins[row + 1],
            None => row..row + 1,
        }
    }

    /// Whether a row has one value, rather than a list of them.
    pub fn is_single(&self) -> bool {
        self.begins.is_none()
    }

    /// How many rows.
    pub fn rows(&self) -> usize {
        match (&self.rows, &self.begins) {
            (Some(rows), _) => rows.len(),
            (None, Some(begins)) => begins.len() - 1,
            (None, None) => self.values.len(),
        }
    }
}

/// The values below a column of this name.
pub fn leaves(name: &str, column: &ArrayRef) -> Vec<Leaf> {
    let mut found = Vec::new();
    walk(Path::of(name), column, None, &mut found);
    found
}

fn walk(path: Path, column: &ArrayRef, begins: Option<Vec<usize>>, found: &mut Vec<Leaf>) {
    match column.data_type() {
        DataType::List(_) => {
            let lists = column.as_list::<i32>();
            let ends = lists.value_offsets();
            let begins = match begins {
                Some(begins) => begins.into_iter().map(|at| ends[at] as usize).collect(),
                None => ends.iter().map(|at| *at as usize).collect(),
            };
            walk(path, lists.values(), Some(begins), found);
        }
        DataType::Struct(fields) => {
            for (field, values) in fields.iter().zip(column.as_struct().columns()) {
                walk(path.field(field.name()), values, begins.clone(), found);
            }
        }
        _ => found.push(Leaf { path, values: column.clone(), begins, rows: None }),
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{ListArray, StringArray, StructArray};
    use arrow::buffer::OffsetBuffer;
    use arrow::datatypes::{Field, Fields};

    use super::*;

    fn field(name: &str, array: &ArrayRef) -> Arc<Field> {
        Arc::new(Field::new(name, array.data_type().clone(), true))
    }

    fn list(values: ArrayRef, lengths: &[usize]) -> ArrayRef {
        let offsets = OffsetBuffer::from_lengths(lengths.iter().copied());
        Arc::new(ListArray::new(field("item", &values), offsets, values, None))
    }

    #[test]
    fn values_are_found_by_their_paths_and_rows() {
        let tags = list(Arc::new(StringArray::from(vec!["p", "q", "r", "s"])), &[2, 0, 1, 1]);
        let sku: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "c", "d"]));
        let fields: Fields = [field("sku", &sku), field("tags", &tags)].into_iter().collect();
        let items = list(Arc::new(StructArray::new(fields, vec![sku, tags], None)), &[1, 0, 2, 1]);
        // The rows after the first.
        let found = leaves("items", &items.slice(1, 3));
        let said: Vec<(String, Vec<Range<usize>>)> = found
            .iter()
            .map(|leaf| {
                (leaf.path.to_string(), (0..leaf.rows()).map(|row| leaf.of_row(row)).collect())
            })
            .collect();
        let wanted = [
            ("items.sku".to_owned(), vec![1..1, 1..3, 3..4]),
            ("items.tags".to_owned(), vec![2..2, 2..3, 3..4]),
        ];
        assert_eq!(said, wanted);
        let flat: ArrayRef = Arc::new(StringArray::from(vec!["x", "y"]));
        let found = leaves("flat", &flat);
        assert!(found[0].is_single());
        assert_eq!((found.len(), found[0].of_row(1)), (1, 1..2));
    }
}
