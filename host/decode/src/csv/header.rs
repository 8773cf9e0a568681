//! Names of columns, where the header gives none or one twice.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use bytes::Bytes;

/// Text columns of these names.
pub(super) fn schema(names: Vec<String>) -> SchemaRef {
    let fields = names.into_iter().map(|name| Field::new(name, DataType::Utf8, false));
    Arc::new(Schema::new(fields.collect::<Vec<_>>()))
}

/// The name of a column, counted from 0, that has none.
pub(super) fn place(column: usize) -> String {
    format!("column_{}", column + 1)
}

/// The names of columns that have none.
pub(super) fn by_place(count: usize) -> Vec<String> {
    (0..count).map(place).collect()
}

/// The header that a record wants which has none. Names are quoted, since any character may be the delimiter.
pub(super) fn of(names: &[String], delimiter: u8, quote: u8) -> Bytes {
    let quote = char::from(quote);
    let names: Vec<String> = names.iter().map(|name| format!("{quote}{name}{quote}")).collect();
    names.join(&char::from(delimiter).to_string()).into()
}

/// The columns that have names already. A header may have very many, and one name very often.
#[derive(Default)]
pub(super) struct Places {
    /// The column of each name, from 0.
    taken: HashMap<String, usize>,
    /// The number that was given last to a name that came again.
    last: HashMap<String, usize>,
}

impl Places {
    /// The column that has a name.
    pub(super) fn of(&self, name: &str) -> Option<usize> {
        self.taken.get(name).copied()
    }

    pub(super) fn take(&mut self, name: &str, column: usize) {
        self.taken.insert(name.to_owned(), column);
    }

    /// A name with the least number behind it, from 2, that none has.
    pub(super) fn numbered(&mut self, name: &str) -> String {
        let last = self.last.entry(name.to_owned()).or_insert(1);
        loop {
            *last += 1;
            let numbered = format!("{name}_{last}");
            if !self.taken.contains_key(&numbered) {
                return numbered;
            }
        }
    }
}
