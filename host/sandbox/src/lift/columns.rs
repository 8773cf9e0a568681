//! The columns of an answer, put together: a flat list of columns to arrays, a record with its fields.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, StructArray};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer};
use arrow::datatypes::Field;

use super::answer::cut;
use super::error::AnswerError;
use super::values::{Checked, check_lists};
use crate::boundary::{Column, DataType, Values};
use crate::kind::{Columns, ELEMENT, Node, marked};
use clickmill_core::path::MAX_NAME_BYTES;

/// The columns of an answer, each with what was announced of it.
pub(super) struct AnswerColumns<'a> {
    columns: Vec<Option<Column>>,
    nodes: Vec<&'a Node>,
    /// By column that is a record: its fields, in the announced order, by their places.
    fields: Vec<Vec<Option<usize>>>,
    /// The columns of the batch.
    top: Vec<Option<usize>>,
    /// Bytes by which texts would be more, were they written out.
    pub written_out: usize,
}

/// How many values a column is to have: one for each row, record or element.
#[derive(Clone, Copy)]
struct Expected {
    count: usize,
    /// Of what there are so many, in a word.
    of: &'static str,
}

impl<'a> AnswerColumns<'a> {
    /// Finds for each column what was announced of it.
    pub(super) fn new(columns: Vec<Column>, writes: &'a Columns) -> Result<Self, AnswerError> {
        let mut said = Self {
            nodes: Vec::with_capacity(columns.len()),
            fields: Vec::with_capacity(columns.len()),
            top: vec![None; writes.all.len()],
            columns: Vec::new(),
            written_out: 0,
        };
        for (at, column) in columns.iter().enumerate() {
            let level = match column.parent {
                None => writes,
                Some(parent) => match said.nodes.get(parent as usize) {
                    Some(node) if node.data_type == DataType::Record => &node.fields,
                    _ => {
                        let column = cut(column.name.as_str(), MAX_NAME_BYTES);
                        return Err(AnswerError::NoSuchParent { column, parent });
                    }
                },
            };
            let Some(place) = level.position(&column.name) else {
                return Err(AnswerError::NotAnnounced(path(&columns, at)));
            };
            let siblings = match column.parent {
                None => &mut said.top,
                Some(parent) => &mut said.fields[parent as usize],
            };
            if siblings[place].replace(at).is_some() {
                return Err(AnswerError::Twice(path(&columns, at)));
            }
            let node = &level.all[place];
            said.nodes.push(node);
            said.fields.push(vec![None; node.fields.all.len()]);
        }
        said.columns = columns.into_iter().map(Some).collect();
        Ok(said)
    }

    /// The column of the batch that was announced at this place, for so many rows. `given` is the record of
    /// which only fields are written.
    pub(super) fn column(
        &mut self,
        place: usize,
        node: &Node,
        rows: usize,
        given: Option<&ArrayRef>,
    ) -> Result<ArrayRef, AnswerError> {
        let at = self.top[place].ok_or_else(|| AnswerError::Missing(node.name.clone()))?;
        self.build(at, "", Expected { count: rows, of: "rows" }, given)
    }

    fn build(
        &mut self,
        at: usize,
        above: &str,
        expected: Expected,
        given: Option<&ArrayRef>,
    ) -> Result<ArrayRef, AnswerError> {
        let node = self.nodes[at];
        let column = self.columns[at].take();
        let Column { name, offsets, values, validity, .. } =
            column.ok_or_else(|| AnswerError::Twice(node.name.clone()))?;
        let path = if above.is_empty() { name } else { format!("{above}.{name}") };
        let got = values.data_type();
        if got != node.data_type {
            let word = |data_type: DataType| format!("{data_type:?}").to_lowercase();
            let (got, announced) = (word(got), word(node.data_type));
            return Err(AnswerError::WrongType { column: path, got, announced });
        }
        let (offsets, expected) = match (offsets, node.repeated) {
            (None, false) => (None, expected),
            (Some(offsets), true) => {
                let (offsets, count) = check_lists(offsets, &path, expected.count, expected.of)?;
                (Some(offsets), Expected { count, of: "elements" })
            }
            (None, true) => return Err(AnswerError::NotRepeated(path)),
            (Some(_), false) => return Err(AnswerError::Repeated(path)),
        };
        let nulls = nulls(validity, &path, expected)?;
        if offsets.is_some() && nulls.as_ref().is_some_and(|nulls| nulls.null_count() > 0) {
            return Err(AnswerError::NullElement(path));
        }
        let array = if matches!(values, Values::Records) {
            let given = if node.named {
                None
            } else {
                let elements = given.and_then(|given| as_given(given, offsets.as_ref()));
                let record = elements.filter(|record| same(record.nulls(), nulls.as_ref()));
                let record = record.filter(|record| record.len() == expected.count);
                Some(record.ok_or_else(|| AnswerError::NotAsGiven(path.clone()))?)
            };
            self.record(at, &path, expected.count, nulls, given.as_ref())?
        } else {
            let (wanted, of) = (expected.count, expected.of);
            let checked = Checked { column: &path, wanted, of, nulls };
            let (array, written_out) = checked.array(values)?;
            self.written_out = self.written_out.saturating_add(written_out);
            array
        };
        let Some(offsets) = offsets else { return Ok(array) };
        let element = Field::new(ELEMENT, array.data_type().clone(), false);
        let element = marked(element, node.data_type);
        let list = ListArray::try_new(Arc::new(element), offsets, array, None);
        Ok(Arc::new(list.expect("lists were checked to have as many elements as there are")))
    }

    /// A record with the fields that were announced, and what else it was `given` with.
    fn record(
        &mut self,
        at: usize,
        path: &str,
        count: usize,
        nulls: Option<NullBuffer>,
        given: Option<&StructArray>,
    ) -> Result<ArrayRef, AnswerError> {
        let node = self.nodes[at];
        let (mut fields, mut arrays) = match given {
            Some(given) => (given.fields().to_vec(), given.columns().to_vec()),
            None => (Vec::new(), Vec::new()),
        };
        let expected = Expected { count, of: "records" };
        for (place, field) in node.fields.all.iter().enumerate() {
            let missing = || AnswerError::Missing(format!("{path}.{}", field.name));
            let child = self.fields[at][place].ok_or_else(missing)?;
            let before = given.and_then(|given| given.column_by_name(&field.name));
            let array = self.build(child, path, expected, before)?;
            if let Some(record) = nulls.as_ref().and_then(|nulls| value_in_null(nulls, &array)) {
                let column = format!("{path}.{}", field.name);
                return Err(AnswerError::FieldOfNull { column, record });
            }
            let is = Field::new(&field.name, array.data_type().clone(), true);
            let is = Arc::new(marked(
                is,
                if field.repeated { DataType::Record } else { field.data_type },
            ));
            match fields.iter().position(|known| *known.name() == field.name) {
                Some(at) => (fields[at], arrays[at]) = (is, array),
                None => {
                    fields.push(is);
                    arrays.push(array);
                }
            }
        }
        let record = StructArray::try_new_with_length(fields.into(), arrays, nulls, count);
        Ok(Arc::new(record.expect("fields were checked to have a value for each record")))
    }
}

/// The path of a column of an answer. Those before it are announced ones.
fn path(columns: &[Column], at: usize) -> String {
    let own = cut(columns[at].name.as_str(), MAX_NAME_BYTES);
    match columns[at].parent.map(|parent| parent as usize) {
        Some(parent) if parent < at => format!("{}.{own}", path(columns, parent)),
        _ => own,
    }
}

fn nulls(
    validity: Option<Vec<u8>>,
    path: &str,
    expected: Expected,
) -> Result<Option<NullBuffer>, AnswerError> {
    let Some(bits) = validity else { return Ok(None) };
    let Expected { count: values, of } = expected;
    let (got, wanted) = (bits.len(), values.div_ceil(8));
    if got != wanted {
        let column = path.to_owned();
        return Err(AnswerError::WrongValidity { column, got, wanted, values, of });
    }
    let nulls = NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(bits), 0, values));
    // Arrow takes a dictionary with a bitmap for one that has nulls, whatever that says.
    Ok(Some(nulls).filter(|nulls| nulls.null_count() > 0))
}

/// The records of a column that was given, where it has these lists.
fn as_given(given: &ArrayRef, offsets: Option<&OffsetBuffer<i32>>) -> Option<StructArray> {
    let Some(offsets) = offsets else { return given.as_struct_opt().cloned() };
    let list = given.as_list_opt::<i32>()?;
    let before = list.offsets();
    let first = before[0];
    let is_same = before.len() == offsets.len()
        && before.iter().zip(offsets.iter()).all(|(before, now)| before - first == *now);
    let elements = || {
        let last = before[before.len() - 1];
        list.values().slice(first as usize, (last - first) as usize)
    };
    is_same.then(elements)?.as_struct_opt().cloned()
}

/// Whether the same values are null.
fn same(some: Option<&NullBuffer>, other: Option<&NullBuffer>) -> bool {
    let some = some.filter(|nulls| nulls.null_count() > 0);
    let other = other.filter(|nulls| nulls.null_count() > 0);
    match (some, other) {
        (None, None) => true,
        (Some(some), Some(other)) => some.inner() == other.inner(),
        _ => false,
    }
}

/// The first null record in which a field has a value, or a list that is not empty.
fn value_in_null(records: &NullBuffer, field: &ArrayRef) -> Option<usize> {
    if records.null_count() == 0 {
        return None;
    }
    let mut null = (0..records.len()).filter(|record| records.is_null(*record));
    match field.as_list_opt::<i32>() {
        Some(list) => null.find(|record| list.value_length(*record) > 0),
        None => null.find(|record| field.is_valid(*record)),
    }
}
