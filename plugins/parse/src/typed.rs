//! Columns in the making, and text that becomes their values.

use base64::Engine;
use clickmill_plugin::{Column, Decimal, Texts, Values};

use crate::config::{ColumnConfig, ColumnType};

/// A column in the making.
pub(crate) enum Builder {
    Booleans(Rows<u8>),
    Int64s(Rows<i64>),
    Float64s(Rows<f64>),
    Dates(Rows<i32>),
    Timestamps(Rows<i64>),
    Texts(Texts),
    Decimals(Rows<Decimal>),
    Times(Rows<i64>),
    Datetimes(Rows<i64>),
    Jsons(Texts),
    Blobs(Texts),
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

    /// Adds a row.
    #[inline]
    pub(crate) fn push(&mut self, value: Option<T>) {
        if value.is_none() {
            self.nulls.push(self.values.len() as u32);
        }
        self.values.push(value.unwrap_or_default());
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
            // A record has no values of its own, and its fields are not made here.
            ColumnType::Text | ColumnType::Record => Self::Texts(Texts::with_capacity(rows, 0)),
            ColumnType::Decimal => Self::Decimals(Rows::with_capacity(rows)),
            ColumnType::Time => Self::Times(Rows::with_capacity(rows)),
            ColumnType::Datetime => Self::Datetimes(Rows::with_capacity(rows)),
            ColumnType::Json => Self::Jsons(Texts::with_capacity(rows, 0)),
            ColumnType::Blob => Self::Blobs(Texts::with_capacity(rows, 0)),
        }
    }

    /// Adds a null row.
    pub(crate) fn push_null(&mut self) {
        match self {
            Self::Booleans(rows) => rows.push(None),
            Self::Int64s(rows)
            | Self::Timestamps(rows)
            | Self::Times(rows)
            | Self::Datetimes(rows) => {
                rows.push(None);
            }
            Self::Float64s(rows) => rows.push(None),
            Self::Dates(rows) => rows.push(None),
            Self::Decimals(rows) => rows.push(None),
            Self::Texts(texts) | Self::Jsons(texts) | Self::Blobs(texts) => texts.push_null(),
        }
    }

    /// Makes room for the bytes of `rows` rows that are like the `seen` ones, and a little more.
    pub(crate) fn expect_rows(&mut self, seen: usize, rows: usize) {
        if let Self::Texts(texts) | Self::Jsons(texts) | Self::Blobs(texts) = self {
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
            Self::Decimals(rows) => rows.finish(name, |values| {
                Values::Decimals(values.into_iter().flat_map(Decimal::words).collect())
            }),
            Self::Times(rows) => rows.finish(name, Values::Times),
            Self::Datetimes(rows) => rows.finish(name, Values::Datetimes),
            Self::Jsons(texts) => texts.finish_jsons(name),
            Self::Blobs(texts) => texts.finish_blobs(name),
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

/// The bytes that a text of base64 stands for, added to others. Whether it is base64: where not, nothing is
/// added.
pub(crate) fn base64(text: &[u8], out: &mut Vec<u8>) -> bool {
    use base64::alphabet::{STANDARD, URL_SAFE};
    use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
    const CONFIG: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let alphabet =
        if text.iter().any(|byte| matches!(byte, b'-' | b'_')) { &URL_SAFE } else { &STANDARD };
    let before = out.len();
    let is_base64 = GeneralPurpose::new(alphabet, CONFIG).decode_vec(text, out).is_ok();
    if !is_base64 {
        out.truncate(before);
    }
    is_base64
}
