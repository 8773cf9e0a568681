//! Why rows are refused: the stable codes, and the messages for people; and what is null instead.

use std::collections::BTreeMap;

use clickmill_plugin::Rejection;

use crate::config::{ColumnConfig, ColumnType};

/// What a dashboard counts. The words never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    NotJson,
    NotAnObject,
    DuplicateField,
    UnknownField,
    TooDeep,
    Required,
    NotAnInteger,
    NotANumber,
    NotABoolean,
    NotADate,
    NotATimestamp,
    NotATime,
    NotADatetime,
    NotBase64,
    NotGzip,
    NotUtf8,
    TooLarge,
    WrongType,
}

impl Code {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::DuplicateField => "duplicate_field",
            Self::UnknownField => "unknown_field",
            Self::TooDeep => "too_deep",
            Self::Required => "required",
            Self::NotAnInteger => "not_an_integer",
            Self::NotANumber => "not_a_number",
            Self::NotABoolean => "not_a_boolean",
            Self::NotADate => "not_a_date",
            Self::NotATimestamp => "not_a_timestamp",
            Self::NotATime => "not_a_time",
            Self::NotADatetime => "not_a_datetime",
            Self::NotBase64 => "not_base64",
            Self::NotGzip => "not_gzip",
            Self::NotUtf8 => "not_utf8",
            Self::TooLarge => "too_large",
            Self::WrongType => "wrong_type",
        }
    }

    /// Of a text that does not spell a value of that type.
    pub(crate) fn unlike(column_type: ColumnType) -> Self {
        match column_type {
            ColumnType::Boolean => Self::NotABoolean,
            ColumnType::Int64 => Self::NotAnInteger,
            ColumnType::Float64 | ColumnType::Decimal => Self::NotANumber,
            ColumnType::Date => Self::NotADate,
            ColumnType::Timestamp => Self::NotATimestamp,
            ColumnType::Time => Self::NotATime,
            ColumnType::Datetime => Self::NotADatetime,
            ColumnType::Json => Self::NotJson,
            ColumnType::Blob => Self::NotBase64,
            ColumnType::Text | ColumnType::Record => Self::WrongType,
        }
    }
}

/// The rows of a batch that are refused, each once: for the problem told first.
pub(crate) struct Refusals {
    rejections: Vec<Rejection>,
    /// Whether a row is among them: empty until the first is.
    rows: Vec<bool>,
    len: usize,
    /// Values that are null since they could not be read: the row, and the column's name.
    nulled: Vec<(usize, String)>,
}

impl Refusals {
    pub(crate) fn new(rows: usize) -> Self {
        Self { rejections: Vec::new(), rows: Vec::new(), len: rows, nulled: Vec::new() }
    }

    /// Has the host count what is null in rows that are not refused, and answers those that are.
    pub(crate) fn into_rejections(self) -> Vec<Rejection> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for (row, column) in &self.nulled {
            if !self.rows.get(*row).is_some_and(|refused| *refused) {
                *counts.entry(column).or_default() += 1;
            }
        }
        for (column, values) in counts {
            clickmill_plugin::unreadable(column, values);
        }
        self.rejections
    }

    /// Refuses a row for a value of a column that cannot be read, unless that is null.
    #[cold]
    pub(crate) fn add_unreadable(
        &mut self,
        row: usize,
        code: Code,
        column: &ColumnConfig,
        value: Option<&[u8]>,
    ) {
        if column.unreadable_is_null() {
            self.nulled.push((row, column.name.clone()));
        } else {
            self.add_value(row, code, column, value);
        }
    }

    /// Refuses a row as a whole.
    #[cold]
    pub(crate) fn add(&mut self, row: usize, code: Code, message: String) {
        if self.is_first(row) {
            self.push(row, code, message, None);
        }
    }

    /// Refuses a row for the value of a column: `None` where it is missing.
    #[cold]
    pub(crate) fn add_value(
        &mut self,
        row: usize,
        code: Code,
        column: &ColumnConfig,
        value: Option<&[u8]>,
    ) {
        self.add_at(row, code, column, &column.name, value);
    }

    /// Has null in place of a value of a field, by its path, that cannot be read.
    #[cold]
    pub(crate) fn null(&mut self, row: usize, path: String) {
        self.nulled.push((row, path));
    }

    /// Refuses a row for a value of a column that stands at a place: `items[3].price`.
    #[cold]
    pub(crate) fn add_at(
        &mut self,
        row: usize,
        code: Code,
        column: &ColumnConfig,
        name: &str,
        value: Option<&[u8]>,
    ) {
        if !self.is_first(row) {
            return;
        }
        // Patterns, not examples: the guard takes digits, and words such as "like", for the record's where it has them too.
        let wanted = match column.column_type {
            ColumnType::Boolean => "true or false",
            ColumnType::Int64 => "an integer of 64 bits",
            ColumnType::Float64 => "a number",
            ColumnType::Date => "a date (YYYY-MM-DD)",
            ColumnType::Timestamp => "a timestamp (YYYY-MM-DDThh:mm:ssZ), in years 1 to 9999",
            ColumnType::Text => "text",
            ColumnType::Decimal => "a number of at most 29 digits before the point and 9 after it",
            ColumnType::Time => "a time of day (hh:mm:ss)",
            ColumnType::Datetime => {
                "a date and time without a zone (YYYY-MM-DDThh:mm:ss), in years 1 to 9999"
            }
            ColumnType::Json => "JSON",
            ColumnType::Blob => "base64",
            ColumnType::Record => "a JSON object",
        };
        // What is in no table of ours, and would be read in another way.
        let zone = value.is_some_and(|value| {
            column.column_type == ColumnType::Timestamp
                && value.get(10..).is_some_and(|end| end.contains(&b'/'))
        });
        let wanted = if zone {
            format!("{wanted}, with an offset in place of a time zone's name")
        } else {
            wanted.to_owned()
        };
        let message = match value {
            None => format!("`{name}` is missing, wanted {wanted}"),
            Some([]) => format!("`{name}` is empty, wanted {wanted}"),
            Some(value) => format!("`{name}` is `{}`, wanted {wanted}", shown(value)),
        };
        self.push(row, code, message, Some(name.to_owned()));
    }

    /// Says that a row is no more refused, whatever is found in it.
    pub(crate) fn settle(&mut self, row: usize) {
        self.is_first(row);
    }

    /// Refuses a row for what stands at a place.
    #[cold]
    pub(crate) fn add_column(&mut self, row: usize, code: Code, place: &str, message: String) {
        if self.is_first(row) {
            self.push(row, code, message, Some(place.to_owned()));
        }
    }

    fn is_first(&mut self, row: usize) -> bool {
        self.rows.resize(self.len, false);
        !std::mem::replace(&mut self.rows[row], true)
    }

    fn push(&mut self, row: usize, code: Code, message: String, column: Option<String>) {
        self.rejections.push(Rejection {
            row: row as u32,
            code: code.as_str().to_owned(),
            message,
            column,
        });
    }
}

/// A value as a message shows it: control characters escaped, cut to 64 characters.
pub(crate) fn shown(value: &[u8]) -> String {
    const CHARACTERS: usize = 64;
    // Four bytes a character at most, so nothing beyond is ever looked at.
    let text = String::from_utf8_lossy(&value[..value.len().min(4 * (CHARACTERS + 1))]);
    let mut shown = String::new();
    for (at, character) in text.chars().enumerate() {
        if at == CHARACTERS {
            shown.push('…');
            break;
        }
        if character.is_control() {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_values_are_cut_between_characters_and_have_no_control_characters() {
        assert_eq!(shown(b"abc"), "abc");
        assert_eq!(shown(b"a\n\x1b[1m\x7f"), "a\\n\\u{1b}[1m\\u{7f}");
        for character in ["a", "é", "€", "😀"] {
            let fits = character.repeat(64);
            assert_eq!(shown(fits.as_bytes()), fits);
            assert_eq!(shown(character.repeat(65).as_bytes()), format!("{fits}…"));
            assert_eq!(shown(character.repeat(500).as_bytes()), format!("{fits}…"));
        }
    }
}
