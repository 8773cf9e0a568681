//! Columns, read by value.

use crate::{
    Booleans, Column, ColumnSpec, DataType, Dates, Datetimes, Decimal, Decimals, Dictionary,
    Float64s, Int64s, Text, Texts, Times, Timestamps, Values,
};

impl Column {
    /// A column of the batch itself, with one value per row.
    pub fn new(name: impl Into<String>, values: Values, validity: Option<Vec<u8>>) -> Self {
        Self { name: name.into(), parent: None, offsets: None, values, validity }
    }

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

    /// A column of exact numbers.
    pub fn decimals(name: &str, values: impl IntoIterator<Item = Option<Decimal>>) -> Self {
        Decimals::collect(values).finish(name)
    }

    /// A column of times of day, in microseconds since midnight.
    pub fn times(name: &str, values: impl IntoIterator<Item = Option<i64>>) -> Self {
        Times::collect(values).finish(name)
    }

    /// A column of days and times of day in no zone, in microseconds since 1970-01-01T00:00:00.
    pub fn datetimes(name: &str, values: impl IntoIterator<Item = Option<i64>>) -> Self {
        Datetimes::collect(values).finish(name)
    }

    /// A text column of which many values are alike: value `i` is `values[indices[i]]`.
    pub fn dictionary<T: AsRef<str>>(
        name: &str,
        indices: Vec<u32>,
        values: impl IntoIterator<Item = T>,
        validity: Option<Vec<u8>>,
    ) -> Self {
        let mut texts = Texts::default();
        values.into_iter().for_each(|value| texts.push(value.as_ref()));
        let values = texts.into_text();
        Self::new(name, Values::Dictionary(Dictionary { indices, values }), validity)
    }

    /// A column of so many nulls, of any type but records.
    pub fn nulls(name: &str, data_type: DataType, values: usize) -> Self {
        let text = || Text { offsets: vec![0; values + 1], bytes: Vec::new() };
        let of = match data_type {
            DataType::Boolean => Values::Booleans(vec![0; values]),
            DataType::Int64 => Values::Int64s(vec![0; values]),
            DataType::Float64 => Values::Float64s(vec![0.0; values]),
            DataType::Decimal => Values::Decimals(vec![0; 2 * values]),
            DataType::Date => Values::Dates(vec![0; values]),
            DataType::Time => Values::Times(vec![0; values]),
            DataType::Datetime => Values::Datetimes(vec![0; values]),
            DataType::Timestamp => Values::Timestamps(vec![0; values]),
            DataType::Text => Values::Texts(text()),
            DataType::Json => Values::Jsons(text()),
            DataType::Blob => Values::Blobs(text()),
            DataType::Record => Values::Records,
        };
        Self::new(name, of, Some(vec![0; values.div_ceil(8)]))
    }

    /// Its name and type, as a column of the batch itself.
    pub fn spec(&self) -> ColumnSpec {
        let data_type = self.values.data_type();
        ColumnSpec { path: self.name.clone(), data_type, repeated: self.offsets.is_some() }
    }

    /// How many values it has: one per row, unless it is repeated or lies in a list. Records have no
    /// values of their own: they are told by their lists or null ones, as far as those tell, and exactly by
    /// [`Batch::places`](crate::Batch::places).
    #[inline]
    pub fn len(&self) -> usize {
        match &self.values {
            Values::Booleans(v) => v.len(),
            Values::Int64s(v) | Values::Timestamps(v) | Values::Times(v) | Values::Datetimes(v) => {
                v.len()
            }
            Values::Float64s(v) => v.len(),
            Values::Decimals(v) => v.len() / 2,
            Values::Dates(v) => v.len(),
            Values::Texts(t) | Values::Jsons(t) | Values::Blobs(t) => {
                t.offsets.len().saturating_sub(1)
            }
            Values::Dictionary(d) => d.indices.len(),
            Values::Records => match (&self.offsets, &self.validity) {
                (Some(offsets), _) => offsets.last().map_or(0, |end| *end as usize),
                (None, Some(bits)) => bits.len() * 8,
                (None, None) => 0,
            },
        }
    }

    /// Whether it has no values.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a value is there. As all that asks for one value, by its number: in a column of the batch
    /// itself that is not repeated, the row's.
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
            Values::Texts(_) | Values::Dictionary(_) => std::str::from_utf8(self.bytes(row)?).ok(),
            _ => None,
        }
    }

    /// The bytes of a text, JSON or blob row: cheaper than [`Column::text`], which checks the UTF-8 again.
    #[inline]
    pub fn bytes(&self, row: usize) -> Option<&[u8]> {
        match &self.values {
            Values::Texts(text) | Values::Blobs(text) | Values::Jsons(text)
                if self.is_valid(row) =>
            {
                Some(text.get(row))
            }
            Values::Dictionary(dictionary) if self.is_valid(row) => Some(dictionary.get(row)),
            _ => None,
        }
    }

    /// The JSON of a row: `None` where it is null or the column is of another type.
    #[inline]
    pub fn json(&self, row: usize) -> Option<&str> {
        match &self.values {
            Values::Jsons(_) => std::str::from_utf8(self.bytes(row)?).ok(),
            _ => None,
        }
    }

    /// The exact number of a row: `None` where it is null or the column is of another type.
    #[inline]
    pub fn decimal(&self, row: usize) -> Option<Decimal> {
        match &self.values {
            Values::Decimals(v) if self.is_valid(row) => {
                Some(Decimal::from_words(&v[2 * row..2 * row + 2]))
            }
            _ => None,
        }
    }

    /// The time of day of a row, in microseconds since midnight: `None` where it is null or of another type.
    #[inline]
    pub fn time(&self, row: usize) -> Option<i64> {
        match &self.values {
            Values::Times(v) if self.is_valid(row) => Some(v[row]),
            _ => None,
        }
    }

    /// The day and time of day of a row, in microseconds since 1970-01-01T00:00:00: `None` where it is null
    /// or of another type.
    #[inline]
    pub fn datetime(&self, row: usize) -> Option<i64> {
        match &self.values {
            Values::Datetimes(v) if self.is_valid(row) => Some(v[row]),
            _ => None,
        }
    }

    /// The elements of a list, by their numbers among the values: of a repeated column only.
    #[inline]
    pub fn list(&self, row: usize) -> Option<std::ops::Range<usize>> {
        let offsets = self.offsets.as_ref()?;
        Some(offsets[row] as usize..offsets[row + 1] as usize)
    }

    /// Text that came as a dictionary becomes plain text; anything else stays.
    pub fn make_plain(&mut self) {
        if let Values::Dictionary(dictionary) = &self.values {
            let rows = dictionary.indices.len();
            let each = dictionary.values.bytes.len() / dictionary.values.offsets.len().max(1) + 1;
            let mut texts = Texts::with_capacity(rows, rows * each);
            for row in 0..rows {
                let value = if self.is_valid(row) { dictionary.get(row) } else { b"" };
                texts.push(value);
            }
            self.values = Values::Texts(texts.into_text());
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

/// Whether two texts are the same. In a component a comparison by `==` is a call that goes byte by byte; this is
/// a few instructions where they are short, and goes by words where they are not.
#[inline]
pub fn same(a: &[u8], b: &[u8]) -> bool {
    let len = a.len();
    if len != b.len() {
        return false;
    }
    match len {
        0 => true,
        1..=3 => a[0] == b[0] && a[len / 2] == b[len / 2] && a[len - 1] == b[len - 1],
        4..=7 => a.first_chunk::<4>() == b.first_chunk() && a.last_chunk::<4>() == b.last_chunk(),
        _ => {
            let mut words = a.as_chunks::<8>().0.iter().zip(b.as_chunks::<8>().0);
            words.all(|(a, b)| u64::from_le_bytes(*a) == u64::from_le_bytes(*b))
                && a.last_chunk::<8>() == b.last_chunk()
        }
    }
}

impl Dictionary {
    /// The bytes of a row.
    #[inline]
    pub fn get(&self, row: usize) -> &[u8] {
        self.values.get(self.indices[row] as usize)
    }
}

impl DataType {
    /// Its name in the contract.
    pub fn name(self) -> &'static str {
        match self {
            DataType::Boolean => "boolean",
            DataType::Int64 => "int64",
            DataType::Float64 => "float64",
            DataType::Decimal => "decimal",
            DataType::Date => "date",
            DataType::Time => "time",
            DataType::Datetime => "datetime",
            DataType::Timestamp => "timestamp",
            DataType::Text => "text",
            DataType::Json => "json",
            DataType::Blob => "blob",
            DataType::Record => "record",
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
            Values::Decimals(_) => DataType::Decimal,
            Values::Dates(_) => DataType::Date,
            Values::Times(_) => DataType::Time,
            Values::Datetimes(_) => DataType::Datetime,
            Values::Timestamps(_) => DataType::Timestamp,
            Values::Texts(_) | Values::Dictionary(_) => DataType::Text,
            Values::Jsons(_) => DataType::Json,
            Values::Blobs(_) => DataType::Blob,
            Values::Records => DataType::Record,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dictionary_reads_as_the_text_that_it_becomes() {
        let mut column = Column::dictionary("c", vec![1, 0, 7, 1], ["a", "bc"], Some(vec![0b1011]));
        let read = |column: &Column| -> Vec<Option<String>> {
            (0..column.len()).map(|at| column.text(at).map(str::to_owned)).collect()
        };
        let texts = read(&column);
        assert_eq!(texts, [Some("bc"), Some("a"), None, Some("bc")].map(|t| t.map(str::to_owned)));
        column.make_plain();
        assert!(matches!(column.values, Values::Texts(_)));
        assert_eq!(read(&column), texts);
    }

    #[test]
    fn texts_are_the_same_where_all_bytes_are() {
        for length in 0..40 {
            let a = vec![b'a'; length];
            assert!(same(&a, &a.clone()));
            for at in 0..length {
                let mut b = a.clone();
                b[at] = b'b';
                assert!(!same(&a, &b), "{length} {at}");
                b[at] = b'a';
                assert!(!same(&a, &b[..at]), "{length} {at}");
            }
        }
    }
}
