//! Columns of the chain made columns of a table, at any depth: records have the fields that the table has,
//! in its order, and lists are never null. A column that is as the table has it already is not copied.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};

use clickmill_core::Fault;
use clickmill_core::columns::is_text;
use clickmill_core::path::Path;
use clickmill_core::schema::is_json;

/// A column that the chain can't fill.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Misfit {
    /// Nothing writes it.
    #[error("column `{column}` is REQUIRED and no plugin writes it")]
    Missing {
        /// The column.
        column: Path,
    },
    /// The host fills it in, and has no value for rows of this source.
    #[error("column `{column}` is REQUIRED and rows of this source have none")]
    Unknown {
        /// The column.
        column: Path,
    },
    /// The types differ.
    #[error("column `{column}` is {wanted} in the table, the chain gives {got}")]
    Type {
        /// The column.
        column: Path,
        /// The table's type.
        wanted: String,
        /// The chain's.
        got: String,
    },
    /// A plugin makes several rows of one, and the table does not tell them apart.
    #[error(
        "a plugin makes several rows of one record, and the table has no column `{column}` that tells them apart: add it to the schema, as an INTEGER"
    )]
    NoPlace {
        /// The column.
        column: Path,
    },
    /// The table's record does not have this field.
    #[error(
        "column `{column}` is written by a plugin, and the table's record has no such field: add it to the schema, or leave it out of the plugin's columns"
    )]
    NoField {
        /// The column.
        column: Path,
    },
}

impl Misfit {
    /// Whose fault it is: the plugins and the schema that a pipeline names do not go together.
    pub fn fault(&self) -> Fault {
        Fault::Input
    }
}

/// Compares a column of the chain with the table's, and adds what does not fit.
pub(super) fn compare(wanted: &Field, got: &Field, at: &Path, misfits: &mut Vec<Misfit>) {
    match (wanted.data_type(), got.data_type()) {
        (DataType::List(wanted), DataType::List(got)) => compare(wanted, got, at, misfits),
        (DataType::Struct(wanted), DataType::Struct(got)) => {
            for field in wanted {
                let at = at.field(field.name());
                match got.find(field.name()) {
                    Some((_, got)) => compare(field, got, &at, misfits),
                    None if may_be_absent(field) => {}
                    None => misfits.push(Misfit::Missing { column: at }),
                }
            }
            let unknown = got.iter().filter(|field| wanted.find(field.name()).is_none());
            misfits.extend(unknown.map(|field| Misfit::NoField { column: at.field(field.name()) }));
        }
        // Text may come as a dictionary; and JSON is text, though text is not JSON.
        (DataType::Utf8, got_type) if is_text(got_type) && (!is_json(wanted) || is_json(got)) => {}
        (wanted_type, got_type) if wanted_type == got_type && is_json(wanted) == is_json(got) => {}
        _ => misfits.push(Misfit::Type {
            column: at.clone(),
            wanted: name_of(wanted),
            got: name_of(got),
        }),
    }
}

/// Whether a column needs no values of the chain: it may be null, or an empty list.
pub(super) fn may_be_absent(wanted: &Field) -> bool {
    wanted.is_nullable() || matches!(wanted.data_type(), DataType::List(_))
}

/// What a column holds, for a message. Arrow would write a record out.
fn name_of(field: &Field) -> String {
    match field.data_type() {
        DataType::List(item) => format!("a list of {}", name_of(item)),
        DataType::Struct(_) => "a record".to_owned(),
        DataType::Utf8 if is_json(field) => "JSON".to_owned(),
        other => other.to_string(),
    }
}

/// Rows of a column that lack a REQUIRED value, or have a list with an element that is null: by their
/// numbers, each with the first place of it, such as `items[3].price`.
pub(super) fn lacking(wanted: &Field, array: &dyn Array) -> BTreeMap<usize, String> {
    let mut found = BTreeMap::new();
    lacks(wanted, array, None, &mut |row, place| {
        found.entry(row).or_insert_with(|| format!("{}{place}", wanted.name()));
    });
    found
}

/// Calls `tell` with a value's number and the place below it that lacks a value, which is empty where that
/// is the value itself. `within` says where the record is that the column is a field of.
fn lacks(
    wanted: &Field,
    array: &dyn Array,
    within: Option<&NullBuffer>,
    tell: &mut dyn FnMut(usize, &str),
) {
    let is_within = |at: usize| within.is_none_or(|within| within.is_valid(at));
    if let DataType::List(item) = wanted.data_type() {
        let Some(lists) = array.as_list_opt::<i32>() else { return };
        let offsets = lists.value_offsets();
        lacks(item, lists.values(), None, &mut |element, place| {
            let after = offsets.partition_point(|offset| *offset as usize <= element);
            // Before the first list or behind the last: of rows that this is no part of.
            let Some(list) = after.checked_sub(1).filter(|list| *list < lists.len()) else {
                return;
            };
            if lists.is_valid(list) && is_within(list) {
                let element = element - offsets[list] as usize;
                tell(list, &format!("[{element}]{place}"));
            }
        });
        return;
    }
    if !wanted.is_nullable()
        && let Some(nulls) = array.logical_nulls().filter(|nulls| nulls.null_count() > 0)
    {
        let missing = (0..array.len()).filter(|at| nulls.is_null(*at) && is_within(*at));
        missing.for_each(|at| tell(at, ""));
    }
    if let (DataType::Struct(fields), Some(record)) = (wanted.data_type(), array.as_struct_opt()) {
        let within = NullBuffer::union(within, record.nulls());
        for field in fields {
            if let Some(values) = record.column_by_name(field.name()) {
                lacks(field, values, within.as_ref(), &mut |at, place| {
                    tell(at, &format!(".{}{place}", field.name()));
                });
            }
        }
    }
}
