//! Columns in the making, and text that becomes their values.

use clickmill_plugin::{Booleans, Column, Dates, Float64s, Int64s, Texts, Timestamps};

use crate::config::{ColumnConfig, ColumnType};

/// A column in the making.
pub(crate) enum Builder {
    Booleans(Booleans),
    Int64s(Int64s),
    Float64s(Float64s),
    Dates(Dates),
    Timestamps(Timestamps),
    Texts(Texts),
}

impl Builder {
    /// Room for that many rows.
    pub(crate) fn new(column_type: ColumnType, rows: usize) -> Self {
        match column_type {
            ColumnType::Boolean => Self::Booleans(Booleans::with_capacity(rows)),
            ColumnType::Int64 => Self::Int64s(Int64s::with_capacity(rows)),
            ColumnType::Float64 => Self::Float64s(Float64s::with_capacity(rows)),
            ColumnType::Date => Self::Dates(Dates::with_capacity(rows)),
            ColumnType::Timestamp => Self::Timestamps(Timestamps::with_capacity(rows)),
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
            Self::Booleans(builder) => builder.finish(name),
            Self::Int64s(builder) => builder.finish(name),
            Self::Float64s(builder) => builder.finish(name),
            Self::Dates(builder) => builder.finish(name),
            Self::Timestamps(builder) => builder.finish(name),
            Self::Texts(builder) => builder.finish(name),
        }
    }
}

/// A truth value: one of the column's own spellings, or of the usual ones, in any case.
pub(crate) fn boolean(text: &[u8], column: &ColumnConfig) -> Option<bool> {
    const TRUE: [&[u8]; 5] = [b"true", b"t", b"yes", b"y", b"1"];
    const FALSE: [&[u8]; 5] = [b"false", b"f", b"no", b"n", b"0"];
    let own = |spellings: &[String]| {
        spellings.iter().any(|spelling| spelling.as_bytes().eq_ignore_ascii_case(text))
    };
    let usual = |spellings: &[&[u8]]| spellings.iter().any(|s| s.eq_ignore_ascii_case(text));
    if own(&column.true_values) {
        Some(true)
    } else if own(&column.false_values) {
        Some(false)
    } else if usual(&TRUE) {
        Some(true)
    } else if usual(&FALSE) {
        Some(false)
    } else {
        None
    }
}
