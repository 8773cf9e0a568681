//! Columns in the making, row by row.

use crate::{Column, Decimal, Text, Values};

/// A validity bitmap in the making: takes no memory until the first null.
#[derive(Default)]
pub struct Validity {
    bits: Vec<u8>,
    len: usize,
    nulls: bool,
}

impl Validity {
    /// Adds a row.
    #[inline(always)]
    pub fn push(&mut self, valid: bool) {
        if valid && !self.nulls {
            self.len += 1;
        } else {
            self.push_bit(valid);
        }
    }

    #[inline]
    fn push_bit(&mut self, valid: bool) {
        if !self.nulls {
            self.begin();
        }
        let bit = u8::from(valid) << (self.len % 8);
        match self.bits.last_mut() {
            Some(last) if !self.len.is_multiple_of(8) => *last |= bit,
            _ => self.bits.push(bit),
        }
        self.len += 1;
    }

    /// Writes out the rows before the first null.
    #[cold]
    fn begin(&mut self) {
        self.nulls = true;
        self.bits.resize(self.len.div_ceil(8), 0xff);
        if let (Some(last), 1..) = (self.bits.last_mut(), self.len % 8) {
            *last = (1 << (self.len % 8)) - 1;
        }
    }

    /// The bitmap, absent where no row is null.
    pub fn finish(self) -> Option<Vec<u8>> {
        self.nulls.then_some(self.bits)
    }
}

/// A column of fixed-size values in the making.
#[derive(Default)]
pub struct Fixed<T> {
    values: Vec<T>,
    validity: Validity,
}

impl<T: Default> Fixed<T> {
    /// Room for that many rows.
    pub fn with_capacity(rows: usize) -> Self {
        Self { values: Vec::with_capacity(rows), validity: Validity::default() }
    }

    /// Adds a row.
    #[inline]
    pub fn push(&mut self, value: T) {
        self.values.push(value);
        self.validity.push(true);
    }

    /// Adds a null row.
    #[inline]
    pub fn push_null(&mut self) {
        self.values.push(T::default());
        self.validity.push(false);
    }

    /// Adds a row that may be null.
    #[inline]
    pub fn push_option(&mut self, value: Option<T>) {
        match value {
            Some(value) => self.push(value),
            None => self.push_null(),
        }
    }

    fn into_column(self, name: &str, values: impl Fn(Vec<T>) -> Values) -> Column {
        Column::new(name, values(self.values), self.validity.finish())
    }
}

macro_rules! fixed {
    ($(#[$doc:meta])* $name:ident, $value:ty, $stored:ty, $store:expr, $case:ident) => {
        $(#[$doc])*
        #[derive(Default)]
        pub struct $name(Fixed<$stored>);

        impl $name {
            /// Room for that many rows.
            pub fn with_capacity(rows: usize) -> Self {
                Self(Fixed::with_capacity(rows))
            }

            /// The values of an iterator.
            pub fn collect(values: impl IntoIterator<Item = Option<$value>>) -> Self {
                let mut column = Self::default();
                for value in values {
                    column.push_option(value);
                }
                column
            }

            /// Adds a row.
            #[inline]
            pub fn push(&mut self, value: $value) {
                self.0.push($store(value));
            }

            /// Adds a null row.
            #[inline]
            pub fn push_null(&mut self) {
                self.0.push_null();
            }

            /// Adds a row that may be null.
            #[inline]
            pub fn push_option(&mut self, value: Option<$value>) {
                self.0.push_option(value.map($store));
            }

            /// The finished column.
            pub fn finish(self, name: &str) -> Column {
                self.0.into_column(name, Values::$case)
            }
        }
    };
}

fixed!(
    /// A boolean column in the making.
    Booleans, bool, u8, u8::from, Booleans
);
fixed!(
    /// An integer column in the making.
    Int64s, i64, i64, std::convert::identity, Int64s
);
fixed!(
    /// A floating-point column in the making.
    Float64s, f64, f64, std::convert::identity, Float64s
);
fixed!(
    /// A date column in the making, in days since 1970-01-01.
    Dates, i32, i32, std::convert::identity, Dates
);
fixed!(
    /// A column of times of day in the making, in microseconds since midnight.
    Times, i64, i64, std::convert::identity, Times
);
fixed!(
    /// A column of days and times of day in the making, in microseconds since 1970-01-01T00:00:00.
    Datetimes, i64, i64, std::convert::identity, Datetimes
);
fixed!(
    /// A timestamp column in the making, in microseconds since 1970-01-01T00:00:00Z.
    Timestamps, i64, i64, std::convert::identity, Timestamps
);

/// A column of exact numbers in the making.
#[derive(Default)]
pub struct Decimals(Fixed<[u64; 2]>);

impl Decimals {
    /// Room for that many rows.
    pub fn with_capacity(rows: usize) -> Self {
        Self(Fixed::with_capacity(rows))
    }

    /// The values of an iterator.
    pub fn collect(values: impl IntoIterator<Item = Option<Decimal>>) -> Self {
        let mut column = Self::default();
        for value in values {
            column.push_option(value);
        }
        column
    }

    /// Adds a row.
    #[inline]
    pub fn push(&mut self, value: Decimal) {
        self.0.push(value.words());
    }

    /// Adds a null row.
    #[inline]
    pub fn push_null(&mut self) {
        self.0.push_null();
    }

    /// Adds a row that may be null.
    #[inline]
    pub fn push_option(&mut self, value: Option<Decimal>) {
        self.0.push_option(value.map(Decimal::words));
    }

    /// The finished column.
    pub fn finish(self, name: &str) -> Column {
        self.0.into_column(name, |words| Values::Decimals(words.into_flattened()))
    }
}

/// A text, JSON or blob column in the making.
pub struct Texts {
    offsets: Vec<u32>,
    bytes: Vec<u8>,
    validity: Validity,
}

impl Default for Texts {
    fn default() -> Self {
        Self::with_capacity(0, 0)
    }
}

impl Texts {
    /// Room for that many rows and bytes.
    pub fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut offsets = Vec::with_capacity(rows + 1);
        offsets.push(0);
        Self { offsets, bytes: Vec::with_capacity(bytes), validity: Validity::default() }
    }

    /// Adds a row.
    #[inline]
    pub fn push(&mut self, value: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(value.as_ref());
        self.end_row();
    }

    /// Adds a null row.
    #[inline]
    pub fn push_null(&mut self) {
        self.offsets.push(self.bytes.len() as u32);
        self.validity.push(false);
    }

    /// Adds a row that may be null.
    #[inline]
    pub fn push_option(&mut self, value: Option<impl AsRef<[u8]>>) {
        match value {
            Some(value) => self.push(value),
            None => self.push_null(),
        }
    }

    /// Where the row in the making is written piece by piece, until [`Texts::end_row`].
    #[inline]
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Ends a row of which the bytes were written to [`Texts::buffer`].
    #[inline]
    pub fn end_row(&mut self) {
        self.offsets.push(self.bytes.len() as u32);
        self.validity.push(true);
    }

    /// The finished text column. Its bytes must be UTF-8.
    pub fn finish(mut self, name: &str) -> Column {
        let validity = std::mem::take(&mut self.validity).finish();
        Column::new(name, Values::Texts(self.into_text()), validity)
    }

    /// The finished column of JSON. Each row must be one complete JSON value.
    pub fn finish_jsons(mut self, name: &str) -> Column {
        let validity = std::mem::take(&mut self.validity).finish();
        Column::new(name, Values::Jsons(self.into_text()), validity)
    }

    /// The finished blob column.
    pub fn finish_blobs(mut self, name: &str) -> Column {
        let validity = std::mem::take(&mut self.validity).finish();
        Column::new(name, Values::Blobs(self.into_text()), validity)
    }

    /// The texts alone, where none is null.
    pub fn into_text(self) -> Text {
        Text { offsets: self.offsets, bytes: self.bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validity_appears_with_the_first_null_and_remembers_the_rows_before() {
        for null_at in 0..20 {
            let column =
                Column::int64s("n", (0..20).map(|row| (row != null_at).then_some(row as i64)));
            for row in 0..20 {
                assert_eq!(column.int64(row), (row != null_at).then_some(row as i64));
            }
            assert_eq!(column.validity.as_ref().map(Vec::len), Some(3));
        }
        assert_eq!(Column::int64s("n", [Some(1), Some(2)]).validity, None);
    }

    #[test]
    fn texts_keep_empty_and_null_apart() {
        let column = Column::texts("t", [Some("a"), None, Some(""), Some("bc")]);
        assert_eq!(column.text(0), Some("a"));
        assert_eq!(column.text(1), None);
        assert_eq!(column.text(2), Some(""));
        assert_eq!(column.text(3), Some("bc"));
        assert_eq!(column.len(), 4);
    }
}
