//! Batches: columns by path, and where a value of a nested column stands.

use std::fmt::Write;
use std::ops::Range;

use crate::{Batch, Column, ColumnSpec, Output, Values, same};

impl Batch {
    /// The column of that path (`price`, `items.price`), if it was granted and exists.
    #[inline]
    pub fn column(&self, path: &str) -> Option<&Column> {
        self.index(path).map(|at| &self.columns[at])
    }

    /// The place of the column of that path among the batch's columns.
    #[inline]
    pub fn index(&self, path: &str) -> Option<usize> {
        index(&self.columns, path)
    }

    /// Takes the column of that path out of the batch, to change it in place. Fields of a record that is
    /// taken out are found no more.
    pub fn take(&mut self, path: &str) -> Option<Column> {
        self.index(path).map(|at| self.take_at(at))
    }

    /// The same, by its place among the batch's columns.
    ///
    /// # Panics
    ///
    /// Where there is none.
    pub fn take_at(&mut self, at: usize) -> Column {
        // Others name their records by place, so no place may change: what is left has no name.
        let hollow = Column::new("", Values::Records, None);
        std::mem::replace(&mut self.columns[at], hollow)
    }

    /// The columns by path and type.
    pub fn specs(&self) -> Vec<ColumnSpec> {
        specs(&self.columns)
    }

    /// Where the values of a column stand, by its path.
    pub fn places(&self, path: &str) -> Option<Places<'_>> {
        self.index(path).map(|at| self.places_of(at))
    }

    /// Where the values of a column stand, by its place among the batch's columns.
    pub fn places_of(&self, at: usize) -> Places<'_> {
        let mut steps = Vec::new();
        let mut next = Some(at);
        while let Some(column) = next.and_then(|at| self.columns.get(at)) {
            steps.push((column.name.as_str(), column.offsets.as_deref()));
            next = column.parent.map(|parent| parent as usize);
        }
        steps.reverse();
        Places { rows: self.rows as usize, steps }
    }
}

/// The place of the column of that path among columns.
#[inline]
pub(crate) fn index(columns: &[Column], path: &str) -> Option<usize> {
    let mut parent = None;
    let mut found = None;
    for name in path.split('.') {
        let at = columns
            .iter()
            .position(|c| same(c.name.as_bytes(), name.as_bytes()) && c.parent == parent)?;
        parent = Some(at as u32);
        found = Some(at);
    }
    found
}

/// The columns by path and type.
pub(crate) fn specs(columns: &[Column]) -> Vec<ColumnSpec> {
    let mut specs: Vec<ColumnSpec> = Vec::with_capacity(columns.len());
    for column in columns {
        let path = match column.parent.and_then(|parent| specs.get(parent as usize)) {
            Some(record) => format!("{}.{}", record.path, column.name),
            None => column.name.clone(),
        };
        let data_type = column.values.data_type();
        specs.push(ColumnSpec { path, data_type, repeated: column.offsets.is_some() });
    }
    specs
}

/// Where the values of a column stand: its rows, and its elements of lists.
#[derive(Debug, Clone)]
pub struct Places<'a> {
    rows: usize,
    /// The column's records and the column itself, each with its lists where it is repeated.
    steps: Vec<(&'a str, Option<&'a [u32]>)>,
}

impl Places<'_> {
    /// Whether there is one value per row.
    pub fn by_row(&self) -> bool {
        self.steps.iter().all(|(_, offsets)| offsets.is_none())
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.rows_values(0..self.rows).end
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The row that a value belongs to.
    pub fn row(&self, value: usize) -> usize {
        let lists = self.steps.iter().rev().filter_map(|(_, offsets)| *offsets);
        lists.fold(value, |value, offsets| list_of(offsets, value))
    }

    /// The values of a row.
    pub fn values(&self, row: usize) -> Range<usize> {
        self.rows_values(row..row + 1)
    }

    fn rows_values(&self, rows: Range<usize>) -> Range<usize> {
        let lists = self.steps.iter().filter_map(|(_, offsets)| *offsets);
        lists
            .fold(rows, |range, offsets| offsets[range.start] as usize..offsets[range.end] as usize)
    }

    /// A value by its path, for people: elements of lists by their number, as in `items[3].price`.
    pub fn shown(&self, mut value: usize) -> String {
        let mut shown: Vec<String> = Vec::with_capacity(self.steps.len());
        for (name, offsets) in self.steps.iter().rev() {
            let mut step = (*name).to_owned();
            if let Some(offsets) = offsets {
                let list = list_of(offsets, value);
                // Writing to a `String` never fails.
                let _ = write!(step, "[{}]", value - offsets[list] as usize);
                value = list;
            }
            shown.push(step);
        }
        shown.reverse();
        shown.join(".")
    }
}

/// The list that an element is in: some before it may be empty.
fn list_of(offsets: &[u32], element: usize) -> usize {
    offsets.partition_point(|offset| *offset as usize <= element).saturating_sub(1)
}

impl Output {
    /// Columns, nothing refused and nothing dropped.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { came_from: None, columns, rejections: Vec::new(), dropped: Vec::new() }
    }

    /// Adds a column under its path. The records that it is a field of are those of `batch`, and are added
    /// too where they are not there yet. A value whose record is null has no place, and is null. A path that
    /// begins with a record which neither has is the plugin's mistake, and a panic.
    #[track_caller]
    pub fn put(&mut self, path: &str, mut column: Column, batch: &Batch) {
        let mut parent = None;
        let mut name = path;
        let mut end = 0;
        while let Some((record, rest)) = name.split_once('.') {
            end += record.len();
            parent = Some(self.record(&path[..end], record, parent, batch));
            end += 1;
            name = rest;
        }
        column.parent = parent;
        if let Some(record) = parent.map(|parent| &self.columns[parent as usize])
            && column.offsets.is_none()
        {
            match (&mut column.validity, &record.validity) {
                (_, None) => {}
                (none @ None, Some(there)) => *none = Some(there.clone()),
                (Some(bits), Some(there)) => {
                    bits.iter_mut().zip(there).for_each(|(bits, there)| *bits &= there);
                }
            }
        }
        if column.name != name {
            name.clone_into(&mut column.name);
        }
        self.columns.push(column);
    }

    /// The place of a record among the columns, to which it is added where it is not there.
    #[track_caller]
    fn record(&mut self, path: &str, name: &str, parent: Option<u32>, batch: &Batch) -> u32 {
        let there = self.columns.iter().position(|c| c.parent == parent && c.name == name);
        if let Some(at) = there {
            return at as u32;
        }
        let Some(given) = batch.column(path) else {
            panic!("there is no record `{path}` to write a field of");
        };
        let record = Column { parent, ..given.clone() };
        self.columns.push(record);
        (self.columns.len() - 1) as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let lists = |offsets: &[u32]| Some(offsets.to_vec());
        let mut items = Column::new("items", Values::Records, None);
        items.offsets = lists(&[0, 2, 2, 3]);
        let mut tags = Column::texts("tags", ["a", "b", "c", "d"].map(Some));
        tags.parent = Some(1);
        tags.offsets = lists(&[0, 0, 3, 4]);
        let flat = Column::int64s("n", [Some(1), None, Some(3)]);
        Batch { rows: 3, ingest_time: 0, columns: vec![flat, items, tags] }
    }

    #[test]
    fn values_of_lists_in_lists_know_their_row_and_place() {
        let batch = batch();
        let places = batch.places("items.tags").expect("it is there");
        assert_eq!(places.len(), 4);
        assert!(!places.by_row());
        let shown: Vec<String> = (0..4).map(|value| places.shown(value)).collect();
        assert_eq!(
            shown,
            ["items[1].tags[0]", "items[1].tags[1]", "items[1].tags[2]", "items[0].tags[0]"]
        );
        assert_eq!((0..4).map(|value| places.row(value)).collect::<Vec<_>>(), [0, 0, 0, 2]);
        let of_rows: Vec<_> = (0..3).map(|row| places.values(row)).collect();
        assert_eq!(of_rows, [0..3, 3..3, 3..4]);
        assert!(batch.places("n").expect("it is there").by_row());
        assert!(batch.places("tags").is_none());
    }

    #[test]
    fn a_column_that_is_taken_moves_no_other() {
        let mut batch = batch();
        assert_eq!(batch.take("n").map(|column| column.len()), Some(3));
        assert_eq!(batch.column("n"), None);
        assert_eq!(batch.column("items.tags").map(Column::len), Some(4));
        assert_eq!(batch.specs()[2].path, "items.tags");
    }

    #[test]
    fn what_a_null_record_would_hold_is_null() {
        let user = Column::new("user", Values::Records, Some(vec![0b01]));
        let batch = Batch { rows: 2, ingest_time: 0, columns: vec![user] };
        let mut output = Output::new(Vec::new());
        output.put("user.n", Column::int64s("n", [Some(1), Some(2)]), &batch);
        output.put("user.m", Column::int64s("m", [None, Some(2)]), &batch);
        let of = |at: usize| [output.columns[at].int64(0), output.columns[at].int64(1)];
        assert_eq!((of(1), of(2)), ([Some(1), None], [None, None]));
    }

    #[test]
    fn a_field_brings_its_records_into_the_output_once() {
        let mut batch = batch();
        let mut output = Output::new(Vec::new());
        let tags = batch.take("items.tags").expect("it is there");
        output.put("items.tags", tags.clone(), &batch);
        output.put("items.more", tags, &batch);
        let names: Vec<_> = output.columns.iter().map(|c| (c.name.as_str(), c.parent)).collect();
        assert_eq!(names, [("items", None), ("tags", Some(0)), ("more", Some(0))]);
        assert_eq!(output.columns[0].offsets, Some(vec![0, 2, 2, 3]));
    }
}
