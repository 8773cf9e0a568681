//! Columns of any type in the making, with the fields of records below them.

use std::ops::Range;

use crate::record::value;
use crate::{
    Batch, Booleans, Column, ColumnSpec, DataType, Dates, Datetimes, Decimals, Float64s, Int64s,
    Output, Texts, Times, Timestamps, Validity, Value, Values,
};

/// A column that is written, with what is below it.
pub(crate) struct Root {
    node: Node,
    path: String,
    /// The records that it is a field of, outermost first: columns of the batch.
    records: Vec<usize>,
    /// The column of the batch that it was, where it is of the same type.
    kept: Option<usize>,
    /// Whether it is written as it is read: one value per row.
    flat: bool,
}

/// A column in the making, and its fields.
struct Node {
    name: String,
    data_type: DataType,
    /// Where it is repeated: its lists.
    offsets: Option<Vec<u32>>,
    builder: Builder,
    len: u32,
    fields: Vec<Node>,
}

/// The columns of the batch itself, or of records that it has, of which `writes` has no record.
pub(crate) fn roots(writes: &[ColumnSpec], batch: &Batch, rows: usize) -> Vec<Root> {
    let record = |path: &str| path.rsplit_once('.').map(|(record, _)| record.to_owned());
    let is_root = |spec: &&ColumnSpec| {
        record(&spec.path).is_none_or(|record| writes.iter().all(|other| other.path != record))
    };
    let roots = writes.iter().filter(is_root).map(|spec| {
        let path = spec.path.clone();
        let ends = path.match_indices('.').map(|(end, _)| &path[..end]);
        let records: Vec<usize> = ends
            .map(|record| {
                batch.index(record).unwrap_or_else(|| {
                    panic!("`{path}` is written, but there is no record `{record}` to write it to")
                })
            })
            .collect();
        let node = Node::new(spec, writes, rows);
        let kept = batch.index(&path).filter(|at| {
            let column = &batch.columns[*at];
            column.values.data_type() == spec.data_type && column.offsets.is_some() == spec.repeated
        });
        let flat = records.is_empty() && node.offsets.is_none() && node.fields.is_empty();
        Root { node, path, records, kept, flat }
    });
    roots.collect()
}

impl Root {
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// Whether a value may be set to the column of a single value per row.
    pub(crate) fn unlike(&self, value: &Value) -> Option<DataType> {
        let wanted = self.node.data_type;
        (self.flat && value.data_type().is_some_and(|got| got != wanted)).then_some(wanted)
    }

    /// Adds what was set for a row, or what is read of it.
    pub(crate) fn push(&mut self, value: Option<Value>, batch: &Batch, row: usize) {
        let (node, path) = (&mut self.node, &self.path);
        if self.flat {
            match (value, self.kept) {
                (Some(value), _) => node.builder.push(value),
                (None, Some(kept)) => node.builder.copy(&batch.columns[kept], row),
                (None, None) => node.builder.push(Value::Null),
            }
            return;
        }
        let mut range = row..row + 1;
        let mut in_list = false;
        let mut is_null = false;
        for record in &self.records {
            let record = &batch.columns[*record];
            in_list |= record.offsets.is_some();
            range = below(record, range);
            is_null |= !in_list && !record.is_valid(row);
        }
        match value {
            None => range.for_each(|index| match self.kept {
                Some(kept) => node.push(path, self::value(batch, kept, index)),
                None => node.push(path, Value::Null),
            }),
            Some(Value::Null) => range.for_each(|_| node.push(path, Value::Null)),
            Some(_) if is_null => panic!("`{path}` is set where its record is null"),
            Some(Value::List(values)) if in_list => {
                assert_eq!(values.len(), range.len(), "`{path}` is set with a value per element");
                values.into_iter().for_each(|value| node.push(path, value));
            }
            Some(value) if in_list => {
                panic!(
                    "`{path}` lies in a list: set a list with a value per element, not {value:?}"
                )
            }
            Some(value) => node.push(path, value),
        }
    }

    /// Adds the finished columns to the output, of which the rows came from those of the batch.
    pub(crate) fn finish(self, batch: &Batch, output: &mut Output) {
        let mut parent = None;
        for (depth, at) in self.records.iter().enumerate() {
            let name = &batch.columns[*at].name;
            let there = output.columns.iter().position(|c| c.parent == parent && c.name == *name);
            let at = there.unwrap_or_else(|| {
                let record = match &output.came_from {
                    Some(rows) => repeated(batch, &self.records[..=depth], rows),
                    None => batch.columns[*at].clone(),
                };
                output.columns.push(Column { parent, ..record });
                output.columns.len() - 1
            });
            parent = Some(at as u32);
        }
        self.node.finish(parent, &mut output.columns);
    }
}

/// The values of a record's fields that belong to values of what the record lies in.
fn below(record: &Column, range: Range<usize>) -> Range<usize> {
    match &record.offsets {
        Some(offsets) => offsets[range.start] as usize..offsets[range.end] as usize,
        None => range,
    }
}

/// The last of these records, with what its rows hold for each of the rows given.
fn repeated(batch: &Batch, records: &[usize], rows: &[u32]) -> Column {
    let (validity, offsets) = (&mut Validity::default(), &mut vec![0]);
    let (at, outer) = records.split_last().map_or((0, records), |(at, outer)| (*at, outer));
    let record = &batch.columns[at];
    let mut len = 0;
    for row in rows {
        let row = *row as usize;
        let range = outer.iter().fold(row..row + 1, |range, at| below(&batch.columns[*at], range));
        for list in range.clone() {
            len += below(record, list..list + 1).len() as u32;
            offsets.push(len);
        }
        below(record, range).for_each(|value| validity.push(record.is_valid(value)));
    }
    let offsets = record.offsets.is_some().then(|| std::mem::take(offsets));
    let validity = std::mem::take(validity).finish();
    Column { name: record.name.clone(), parent: None, offsets, values: Values::Records, validity }
}

impl Node {
    fn new(spec: &ColumnSpec, writes: &[ColumnSpec], rows: usize) -> Self {
        let name = spec.path.rsplit_once('.').map_or(spec.path.as_str(), |(_, name)| name);
        let fields = writes
            .iter()
            .filter(|other| other.path.rsplit_once('.').is_some_and(|(of, _)| of == spec.path))
            .map(|field| Self::new(field, writes, rows))
            .collect();
        Self {
            name: name.to_owned(),
            data_type: spec.data_type,
            offsets: spec.repeated.then(|| vec![0]),
            builder: Builder::new(spec.data_type, rows),
            len: 0,
            fields,
        }
    }

    /// Adds a value, or a list where the column is repeated. `path` is for what is said of a mistake.
    fn push(&mut self, path: &str, value: Value) {
        if self.offsets.is_none() {
            return self.push_one(path, value);
        }
        match value {
            Value::Null => {}
            Value::List(values) => {
                for value in values {
                    assert!(value != Value::Null, "`{path}` is a list: its elements are not null");
                    self.push_one(path, value);
                }
            }
            other => panic!("`{path}` is announced as a list but set to {other:?}"),
        }
        if let Some(offsets) = &mut self.offsets {
            offsets.push(self.len);
        }
    }

    fn push_one(&mut self, path: &str, value: Value) {
        self.len += 1;
        if let Builder::Records(validity) = &mut self.builder {
            let mut fields = match value {
                Value::Null => None,
                Value::Record(fields) => Some(fields),
                other => panic!("`{path}` is announced as a record but set to {other:?}"),
            };
            validity.push(fields.is_some());
            for (name, _) in fields.iter().flatten() {
                let known = self.fields.iter().any(|field| field.name == *name);
                assert!(known, "`{path}.{name}` is set but not announced: add it to `needs`");
            }
            for field in &mut self.fields {
                let given = fields.iter_mut().flatten().find(|(name, _)| *name == field.name);
                let value =
                    given.map_or(Value::Null, |(_, value)| std::mem::replace(value, Value::Null));
                let path = format!("{path}.{}", field.name);
                field.push(&path, value);
            }
            return;
        }
        let value = value.fit(self.data_type);
        if value.data_type().is_some_and(|got| got != self.data_type) {
            panic!("`{path}` is announced as {:?} but set to {value:?}", self.data_type);
        }
        self.builder.push(value);
    }

    fn finish(self, parent: Option<u32>, columns: &mut Vec<Column>) {
        let column = self.builder.finish(&self.name);
        columns.push(Column { parent, offsets: self.offsets, ..column });
        let at = Some(columns.len() as u32 - 1);
        self.fields.into_iter().for_each(|field| field.finish(at, columns));
    }
}

enum Builder {
    Booleans(Booleans),
    Int64s(Int64s),
    Float64s(Float64s),
    Decimals(Decimals),
    Dates(Dates),
    Times(Times),
    Datetimes(Datetimes),
    Timestamps(Timestamps),
    Texts(Texts),
    Jsons(Texts),
    Blobs(Texts),
    Records(Validity),
}

impl Builder {
    fn new(data_type: DataType, rows: usize) -> Self {
        match data_type {
            DataType::Boolean => Self::Booleans(Booleans::with_capacity(rows)),
            DataType::Int64 => Self::Int64s(Int64s::with_capacity(rows)),
            DataType::Float64 => Self::Float64s(Float64s::with_capacity(rows)),
            DataType::Decimal => Self::Decimals(Decimals::with_capacity(rows)),
            DataType::Date => Self::Dates(Dates::with_capacity(rows)),
            DataType::Time => Self::Times(Times::with_capacity(rows)),
            DataType::Datetime => Self::Datetimes(Datetimes::with_capacity(rows)),
            DataType::Timestamp => Self::Timestamps(Timestamps::with_capacity(rows)),
            DataType::Text => Self::Texts(Texts::with_capacity(rows, 0)),
            DataType::Json => Self::Jsons(Texts::with_capacity(rows, 0)),
            DataType::Blob => Self::Blobs(Texts::with_capacity(rows, 0)),
            DataType::Record => Self::Records(Validity::default()),
        }
    }

    /// Adds a value whose type was checked: null where it is another.
    fn push(&mut self, value: Value) {
        match (self, value) {
            (Self::Booleans(b), Value::Boolean(v)) => b.push(v),
            (Self::Int64s(b), Value::Int64(v)) => b.push(v),
            (Self::Float64s(b), Value::Float64(v)) => b.push(v),
            (Self::Decimals(b), Value::Decimal(v)) => b.push(v),
            (Self::Dates(b), Value::Date(v)) => b.push(v),
            (Self::Times(b), Value::Time(v)) => b.push(v),
            (Self::Datetimes(b), Value::Datetime(v)) => b.push(v),
            (Self::Timestamps(b), Value::Timestamp(v)) => b.push(v),
            (Self::Texts(b), Value::Text(v)) => b.push(v),
            (Self::Jsons(b), Value::Json(v)) => b.push(v),
            (Self::Blobs(b), Value::Blob(v)) => b.push(v),
            (Self::Booleans(b), _) => b.push_null(),
            (Self::Int64s(b), _) => b.push_null(),
            (Self::Float64s(b), _) => b.push_null(),
            (Self::Decimals(b), _) => b.push_null(),
            (Self::Dates(b), _) => b.push_null(),
            (Self::Times(b), _) => b.push_null(),
            (Self::Datetimes(b), _) => b.push_null(),
            (Self::Timestamps(b), _) => b.push_null(),
            (Self::Texts(b) | Self::Jsons(b) | Self::Blobs(b), _) => b.push_null(),
            (Self::Records(validity), _) => validity.push(false),
        }
    }

    /// Adds what a column of the same type holds in that row.
    fn copy(&mut self, column: &Column, row: usize) {
        match self {
            Self::Booleans(b) => b.push_option(column.boolean(row)),
            Self::Int64s(b) => b.push_option(column.int64(row)),
            Self::Float64s(b) => b.push_option(column.float64(row)),
            Self::Decimals(b) => b.push_option(column.decimal(row)),
            Self::Dates(b) => b.push_option(column.date(row)),
            Self::Times(b) => b.push_option(column.time(row)),
            Self::Datetimes(b) => b.push_option(column.datetime(row)),
            Self::Timestamps(b) => b.push_option(column.timestamp(row)),
            Self::Texts(b) | Self::Jsons(b) | Self::Blobs(b) => b.push_option(column.bytes(row)),
            Self::Records(validity) => validity.push(column.is_valid(row)),
        }
    }

    fn finish(self, name: &str) -> Column {
        match self {
            Self::Booleans(b) => b.finish(name),
            Self::Int64s(b) => b.finish(name),
            Self::Float64s(b) => b.finish(name),
            Self::Decimals(b) => b.finish(name),
            Self::Dates(b) => b.finish(name),
            Self::Times(b) => b.finish(name),
            Self::Datetimes(b) => b.finish(name),
            Self::Timestamps(b) => b.finish(name),
            Self::Texts(b) => b.finish(name),
            Self::Jsons(b) => b.finish_jsons(name),
            Self::Blobs(b) => b.finish_blobs(name),
            Self::Records(validity) => Column::new(name, Values::Records, validity.finish()),
        }
    }
}
