//! Rows, records and lists of a batch, to be read by path.

use std::ops::Range;

use serde::de::DeserializeOwned;

use crate::typed::Unlike;
use crate::{Batch, Column, Decimal, Value, Values};

/// A record, or a row as a whole: its fields are read by name, those of records in it by path
/// (`geo.country`). What lies in a list is reached by [`Record::list`].
///
/// A field that is null, does not exist, or is of another type than is asked for, is `None`.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    batch: &'a Batch,
    /// The record's column. None: the row itself.
    at: Option<u32>,
    /// Which of that column's values it is.
    index: usize,
}

/// A list: the elements of a repeated column in one row or record.
#[derive(Clone)]
pub struct List<'a> {
    batch: &'a Batch,
    at: usize,
    range: Range<usize>,
}

macro_rules! getters {
    ($($(#[$doc:meta])* $name:ident $type:ty, $list:ident;)*) => {
        impl<'a> Record<'a> {$(
            $(#[$doc])*
            pub fn $name(&self, path: &str) -> Option<$type> {
                let (at, index) = self.find(path)?;
                let column = &self.batch.columns[at];
                if column.offsets.is_some() { None } else { column.$name(index) }
            }
        )*}

        impl<'a> List<'a> {$(
            /// Its elements, where they are of that type; nothing otherwise.
            pub fn $list(&self) -> impl Iterator<Item = $type> + use<'a> {
                let column = self.column();
                self.range.clone().filter_map(move |at| column?.$name(at))
            }
        )*}
    };
}

getters! {
    /// The text of a field.
    text &'a str, texts;
    /// The integer of a field.
    int64 i64, int64s;
    /// The number of a field.
    float64 f64, float64s;
    /// The exact number of a field.
    decimal Decimal, decimals;
    /// The boolean of a field.
    boolean bool, booleans;
    /// The date of a field, in days since 1970-01-01.
    date i32, dates;
    /// The time of day of a field, in microseconds since midnight.
    time i64, times;
    /// The day and time of day of a field, in microseconds since 1970-01-01T00:00:00, in no zone.
    datetime i64, datetimes;
    /// The instant of a field, in microseconds since 1970-01-01T00:00:00Z.
    timestamp i64, timestamps;
    /// The JSON of a field, as its text.
    json &'a str, jsons;
    /// The bytes of a field, of text and JSON too.
    bytes &'a [u8], blobs;
}

impl<'a> Record<'a> {
    /// A row as a whole.
    pub(crate) fn row(batch: &'a Batch, index: usize) -> Self {
        Self { batch, at: None, index }
    }

    /// A record in this one: `None` where it is null.
    pub fn record(&self, path: &str) -> Option<Record<'a>> {
        let (at, index) = self.find(path)?;
        let column = &self.batch.columns[at];
        let is_record = matches!(column.values, Values::Records) && column.offsets.is_none();
        (is_record && column.is_valid(index)).then_some(Self {
            at: Some(at as u32),
            index,
            ..*self
        })
    }

    /// A list in this record: empty where there is none.
    pub fn list(&self, path: &str) -> List<'a> {
        let found = self.find(path).and_then(|(at, index)| {
            let range = self.batch.columns[at].list(index)?;
            Some(List { batch: self.batch, at, range })
        });
        found.unwrap_or(List { batch: self.batch, at: 0, range: 0..0 })
    }

    /// The value of a field, records and lists with all in them.
    pub fn value(&self, path: &str) -> Value {
        self.find(path).map_or(Value::Null, |(at, index)| value(self.batch, at, index))
    }

    /// The record as a type of your own: see [`Value::to`].
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, Unlike> {
        Value::Record(fields(self.batch, self.at, self.index)).to()
    }

    /// The column of a field, and which of its values is this record's.
    pub(crate) fn column(&self, path: &str) -> Option<(&'a Column, usize)> {
        self.find(path).map(|(at, index)| (&self.batch.columns[at], index))
    }

    /// The same, with the column's place in the batch.
    fn find(&self, path: &str) -> Option<(usize, usize)> {
        let columns = &self.batch.columns;
        let mut parent = self.at;
        let mut found = None;
        for name in path.split('.') {
            if found.is_some_and(|at: usize| columns[at].offsets.is_some()) {
                return None;
            }
            let at = columns.iter().position(|c| c.name == name && c.parent == parent)?;
            parent = Some(at as u32);
            found = Some(at);
        }
        Some((found?, self.index))
    }
}

impl<'a> List<'a> {
    /// How many elements it has.
    pub fn len(&self) -> usize {
        self.range.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.range.is_empty()
    }

    /// Its elements, where they are records; nothing otherwise.
    pub fn records(&self) -> impl Iterator<Item = Record<'a>> + use<'a> {
        let is_record = self.column().is_some_and(|column| column.values == Values::Records);
        let range = if is_record { self.range.clone() } else { 0..0 };
        let (batch, at) = (self.batch, Some(self.at as u32));
        range.map(move |index| Record { batch, at, index })
    }

    /// Its elements, whatever they are.
    pub fn values(&self) -> impl Iterator<Item = Value> + use<'a> {
        let (batch, at) = (self.batch, self.at);
        self.range.clone().map(move |index| element(batch, at, index))
    }

    /// The elements as a type of your own: see [`Value::to`].
    pub fn to<T: DeserializeOwned>(&self) -> Result<Vec<T>, Unlike> {
        self.values().map(Value::to).collect()
    }

    fn column(&self) -> Option<&'a Column> {
        self.batch.columns.get(self.at)
    }
}

/// What a column holds for a row or record.
pub(crate) fn value(batch: &Batch, at: usize, index: usize) -> Value {
    match batch.columns[at].list(index) {
        Some(list) => Value::List(list.map(|index| element(batch, at, index)).collect()),
        None => element(batch, at, index),
    }
}

/// One value of a column.
fn element(batch: &Batch, at: usize, index: usize) -> Value {
    let column = &batch.columns[at];
    match column.values {
        Values::Records if column.is_valid(index) => {
            Value::Record(fields(batch, Some(at as u32), index))
        }
        Values::Records => Value::Null,
        _ => Value::of(column, index),
    }
}

fn fields(batch: &Batch, parent: Option<u32>, index: usize) -> Vec<(String, Value)> {
    let children = batch.columns.iter().enumerate().filter(|(_, c)| c.parent == parent);
    children.map(|(at, column)| (column.name.clone(), value(batch, at, index))).collect()
}
