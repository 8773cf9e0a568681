//! Columns in the making, and text that becomes their values.

use clickmill_plugin::{Column, Texts, Values};

use crate::config::{ColumnConfig, ColumnType};

/// A column in the making.
pub(crate) enum Builder {
    Booleans(Rows<u8>),
    Int64s(Rows<i64>),
    Float64s(Rows<f64>),
    Dates(Rows<i32>),
    Timestamps(Rows<i64>),
    Texts(Texts),
}

/// Values of fixed size in the making: like those of the SDK, but many rows at a time and with nothing
/// to do for a row that is not null, for this is the inner loop.
pub(crate) struct Rows<T> {
    values: Vec<T>,
    nulls: Vec<u32>,
}

impl<T: Default> Rows<T> {
    fn with_capacity(rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows), nulls: Vec::new() }
    }

    /// Adds rows.
    #[inline]
    pub(crate) fn extend(&mut self, rows: impl Iterator<Item = Option<T>>) {
        let (first, nulls) = (self.values.len(), &mut self.nulls);
        self.values.extend(rows.enumerate().map(|(row, value)| match value {
            Some(value) => value,
            None => {
                nulls.push((first + row) as u32);
                T::default()
            }
        }));
    }

    fn finish(self, name: &str, values: impl Fn(Vec<T>) -> Values) -> Column {
        let rows = self.values.len();
        let validity = (!self.nulls.is_empty()).then(|| {
            let mut bits = vec![0xff; rows.div_ceil(8)];
            if let Some(last) = bits.last_mut() {
                *last >>= (8 - rows % 8) % 8;
            }
            for row in self.nulls {
                bits[row as usize / 8] &= !(1 << (row % 8));
            }
            bits
        });
        Column::new(name, values(self.values), validity)
    }
}

impl Builder {
    /// Room for that many rows.
    pub(crate) fn new(column_type: ColumnType, rows: usize) -> Self {
        match column_type {
            ColumnType::Boolean => Self::Booleans(Rows::with_capacity(rows)),
            ColumnType::Int64 => Self::Int64s(Rows::with_capacity(rows)),
            ColumnType::Float64 => Self::Float64s(Rows::with_capacity(rows)),
            ColumnType::Date => Self::Dates(Rows::with_capacity(rows)),
            ColumnType::Timestamp => Self::Timestamps(Rows::with_capacity(rows)),
            ColumnType::Text => Self::Texts(Texts::with_capacity(rows, 0)),
        }
    }

    /// Makes room for the bytes of `rows` rows that are like the `seen` ones, and a little more.
    pub(crate) fn expect_rows(&mut self, seen: usize, rows: usize) {
        if let Self::Texts(texts) = self {
            let each = texts.buffer().len() / seen + 1;
            texts.buffer().reserve((each + each / 16) * rows);
        }
    }

    pub(crate) fn finish(self, name: &str) -> Column {
        match self {
            Self::Booleans(rows) => rows.finish(name, Values::Booleans),
            Self::Int64s(rows) => rows.finish(name, Values::Int64s),
            Self::Float64s(rows) => rows.finish(name, Values::Float64s),
            Self::Dates(rows) => rows.finish(name, Values::Dates),
            Self::Timestamps(rows) => rows.finish(name, Values::Timestamps),
            Self::Texts(texts) => texts.finish(name),
        }
    }
}

/// A truth value as 0 or 1: one of the column's own spellings, or of the usual ones, in any case.
pub(crate) fn boolean(text: &[u8], column: &ColumnConfig) -> Option<u8> {
    const TRUE: [&[u8]; 5] = [b"true", b"t", b"yes", b"y", b"1"];
    const FALSE: [&[u8]; 5] = [b"false", b"f", b"no", b"n", b"0"];
    let own = |spellings: &[String]| {
        spellings.iter().any(|spelling| spelling.as_bytes().eq_ignore_ascii_case(text))
    };
    let usual = |spellings: &[&[u8]]| spellings.iter().any(|s| s.eq_ignore_ascii_case(text));
    if own(&column.true_values) {
        Some(1)
    } else if own(&column.false_values) {
        Some(0)
    } else if usual(&TRUE) {
        Some(1)
    } else if usual(&FALSE) {
        Some(0)
    } else {
        None
    }
}
