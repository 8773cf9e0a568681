//! Columns, read by row.

use crate::{
    Batch, Booleans, Column, ColumnSpec, DataType, Dates, Float64s, Int64s, Output, Text, Texts,
    Timestamps, Values,
};

impl Batch {
    /// The column of that name, if it was granted and exists.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Takes the column of that name out of the batch, to change it in place.
    pub fn take(&mut self, name: &str) -> Option<Column> {
        let at = self.columns.iter().position(|column| column.name == name)?;
        Some(self.columns.swap_remove(at))
    }
}

impl Output {
    /// Columns, nothing refused and nothing dropped.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { columns, rejections: Vec::new(), dropped: Vec::new() }
    }
}

impl Column {
    /// A text column.
    pub fn texts<T: AsRef<str>>(name: &str, values: impl IntoIterator<Item = Option<T>>) -> Self {
        let mut texts = Texts::default();
        for value in values {
            texts.push_option(value.as_ref().map(AsRef::as_ref));
        }
        texts.finish(name)
    }

    /// An integer column.
    pub fn int64s(name: &str, values: impl IntoIterator<Item = Option<i64>>) -> Self {
        Int64s::collect(values).finish(name)
    }

    /// A floating-point column.
    pub fn float64s(name: &str, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        Float64s::collect(values).finish(name)
    }

    /// A boolean column.
    pub fn booleans(name: &str, values: impl IntoIterator<Item = Option<bool>>) -> Self {
        Booleans::collect(values).finish(name)
    }

    /// A date column, in days since 1970-01-01.
    pub fn dates(name: &str, values: impl IntoIterator<Item = Option<i32>>) -> Self {
        Dates::collect(values).finish(name)
    }

    /// A timestamp column, in microseconds since 1970-01-01T00:00:00Z.
    pub fn timestamps(name: &str, values: impl IntoIterator<Item = Option<i64>>) -> Self {
        Timestamps::collect(values).finish(name)
    }

    /// Its name and type.
    pub fn spec(&self) -> ColumnSpec {
        ColumnSpec { name: self.name.clone(), data_type: self.values.data_type() }
    }

    /// How many rows it has.
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Booleans(v) => v.len(),
            Values::Int64s(v) | Values::Timestamps(v) => v.len(),
            Values::Float64s(v) => v.len(),
            Values::Dates(v) => v.len(),
            Values::Texts(t) | Values::Blobs(t) => t.offsets.len().saturating_sub(1),
        }
    }

    /// Whether it has no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the row holds a value.
    #[inline]
    pub fn is_valid(&self, row: usize) -> bool {
        match &self.validity {
            None => true,
            Some(bits) => bits[row / 8] >> (row % 8) & 1 == 1,
        }
    }

    /// The text of a row: `None` where it is null or the column is of another type.
    #[inline]
    pub fn text(&self, row: usize) -> Option<&str> {
        match &self.values {
            Values::Texts(text) if self.is_valid(row) => std::str::from_utf8(text.get(row)).ok(),
            _ => None,
        }
    }

    /// The bytes of a text or blob row: cheaper than [`Column::text`], which checks the UTF-8 again.
    #[inline]
    pub fn bytes(&self, row: usize) -> Option<&[u8]> {
        match &self.values {
            Values::Texts(text) | Values::Blobs(text) if self.is_valid(row) => Some(text.get(row)),
            _ => None,
        }
    }

    /// The integer of a row: `None` where it is null or the column is of another type.
    #[inline]
    pub fn int64(&self, row: usize) -> Option<i64> {
        match &self.values {
            Values::Int64s(v) if self.is_valid(row) => Some(v[row]),
            _ => None,
        }
    }

    /// The number of a row: `None` where it is null or the column is of another type.
    #[inline]
    pub fn float64(&self, row: usize) -> Option<f64> {
        match &self.values {
            Values::Float64s(v) if self.is_valid(row) => Some(v[row]),
            _ => None,
        }
    }

    /// The boolean of a row: `None` where it is null or the column is of another type.
    #[inline]
    pub fn boolean(&self, row: usize) -> Option<bool> {
        match &self.values {
            Values::Booleans(v) if self.is_valid(row) => Some(v[row] != 0),
            _ => None,
        }
    }

    /// The date of a row, in days since 1970-01-01: `None` where it is null or of another type.
    #[inline]
    pub fn date(&self, row: usize) -> Option<i32> {
        match &self.values {
            Values::Dates(v) if self.is_valid(row) => Some(v[row]),
            _ => None,
        }
    }

    /// The instant of a row, in microseconds since 1970-01-01T00:00:00Z: `None` where it is null or of
    /// another type.
    #[inline]
    pub fn timestamp(&self, row: usize) -> Option<i64> {
        match &self.values {
            Values::Timestamps(v) if self.is_valid(row) => Some(v[row]),
            _ => None,
        }
    }
}

impl Text {
    /// The bytes of a row.
    #[inline]
    pub fn get(&self, row: usize) -> &[u8] {
        &self.bytes[self.offsets[row] as usize..self.offsets[row + 1] as usize]
    }
}

impl DataType {
    /// Its name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            DataType::Boolean => "boolean",
            DataType::Int64 => "int64",
            DataType::Float64 => "float64",
            DataType::Date => "date",
            DataType::Timestamp => "timestamp",
            DataType::Text => "text",
            DataType::Blob => "blob",
        }
    }
}

impl Values {
    /// Their type.
    pub fn data_type(&self) -> DataType {
        match self {
            Values::Booleans(_) => DataType::Boolean,
            Values::Int64s(_) => DataType::Int64,
            Values::Float64s(_) => DataType::Float64,
            Values::Dates(_) => DataType::Date,
            Values::Timestamps(_) => DataType::Timestamp,
            Values::Texts(_) => DataType::Text,
            Values::Blobs(_) => DataType::Blob,
        }
    }
}
