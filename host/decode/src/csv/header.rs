//! Names of columns, where the header gives none or one twice.

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

/// A name with the least number behind it, from 2, that none of the names has.
pub(super) fn numbered(name: &str, names: &[String]) -> String {
    let mut count = 2;
    loop {
        let numbered = format!("{name}_{count}");
        if !names.contains(&numbered) {
            return numbered;
        }
        count += 1;
    }
}
