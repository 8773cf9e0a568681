//! The contract as it is generated from its text, and what makes it short to use here.

#![allow(missing_docs, clippy::too_many_arguments, reason = "most of it is generated")]

wit_bindgen::generate!({
    path: "../../../wit/plugin.wit",
    world: "plugin",
    additional_derives: [PartialEq, Clone],
});

// The world itself names the others.
pub use clickmill::plugin::types::{
    Column, DataType, Dictionary, Needs, Rejection, Secret, Text, Values,
};

use clickmill::plugin::log::{Level, write};

/// Tells the host why this guest panicked, before it traps.
pub fn tell_panics() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| write(Level::Error, &info.to_string())))
    });
}

pub fn warn(message: &str) {
    write(Level::Warn, message);
}

pub fn error(message: &str) {
    write(Level::Error, message);
}

pub fn unreadable(column: &str, values: u32) {
    clickmill::plugin::log::unreadable(column, values);
}

pub mod lookup {
    use super::clickmill::plugin::lookup::{LookupError, find as ask};
    use super::{Fault, text_of};

    /// A field of the rows with these keys.
    pub fn find<'k>(
        table: &str,
        field: &str,
        keys: impl IntoIterator<Item = &'k str>,
    ) -> Result<Vec<Option<String>>, Fault> {
        let keys: Vec<&str> = keys.into_iter().collect();
        let column = ask(table, field, &text_of(&keys)).map_err(|error| Fault {
            message: match error {
                LookupError::UnknownTable(name) => {
                    format!(
                        "no lookup table `{name}`: name it under `lookups` in the pipeline file"
                    )
                }
                LookupError::UnknownField(known) => {
                    format!(
                        "lookup table `{table}` has no field `{field}`, only: {}",
                        known.join(", ")
                    )
                }
                LookupError::MalformedKeys(what) => format!("malformed lookup keys: {what}"),
            },
        })?;
        Ok((0..keys.len()).map(|row| column.text(row).map(str::to_owned)).collect())
    }
}

fn text_of(texts: &[&str]) -> Text {
    let mut offsets = vec![0];
    let mut bytes = Vec::new();
    for text in texts {
        bytes.extend_from_slice(text.as_bytes());
        offsets.push(bytes.len() as u32);
    }
    Text { offsets, bytes }
}

impl Column {
    fn of(name: &str, values: Values) -> Self {
        Self { name: name.to_owned(), parent: None, offsets: None, values, validity: None }
    }

    /// A column of texts, all of which are there.
    pub fn texts<'t>(name: &str, texts: impl IntoIterator<Item = &'t str>) -> Self {
        let texts: Vec<&str> = texts.into_iter().collect();
        Self::of(name, Values::Texts(text_of(&texts)))
    }

    pub fn booleans(name: &str, values: impl IntoIterator<Item = bool>) -> Self {
        Self::of(name, Values::Booleans(values.into_iter().map(u8::from).collect()))
    }

    pub fn int64s(name: &str, values: impl IntoIterator<Item = i64>) -> Self {
        Self::of(name, Values::Int64s(values.into_iter().collect()))
    }

    /// A text that is there.
    pub fn text(&self, row: usize) -> Option<&str> {
        let is_there = |bits: &Vec<u8>| bits[row / 8] >> (row % 8) & 1 == 1;
        if !self.validity.as_ref().is_none_or(is_there) {
            return None;
        }
        let (text, at) = match &self.values {
            Values::Texts(text) => (text, row),
            Values::Dictionary(Dictionary { indices, values }) => (values, indices[row] as usize),
            _ => return None,
        };
        let range = text.offsets[at] as usize..text.offsets[at + 1] as usize;
        std::str::from_utf8(&text.bytes[range]).ok()
    }
}

impl Batch {
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

impl Output {
    pub fn new(columns: Vec<Column>) -> Self {
        Self { came_from: None, columns, rejections: Vec::new(), dropped: Vec::new() }
    }
}

impl Needs {
    pub fn reads(mut self, path: &str, data_type: DataType) -> Self {
        self.reads.push(spec(path, data_type));
        self
    }

    pub fn writes(mut self, path: &str, data_type: DataType) -> Self {
        self.writes.push(spec(path, data_type));
        self
    }

    pub fn lookup(mut self, table: &str) -> Self {
        self.lookups.push(table.to_owned());
        self
    }
}

pub fn spec(path: &str, data_type: DataType) -> ColumnSpec {
    ColumnSpec { path: path.to_owned(), data_type, repeated: false }
}
