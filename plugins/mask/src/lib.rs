//! Masks sensitive columns: ids become keyed pseudonyms, IP addresses lose their last part, e-mail
//! addresses, phone numbers and tokens are cleaned out of URLs and free text, or a column is emptied.
//!
//! In come the columns that the configuration names by path, fields of records and elements of lists too, out
//! go the treated ones. A row is refused only for an `ip` that is none (code `bad_ip`), unless such are to be
//! null and counted, and no message ever holds a value. The secret `key` makes the pseudonyms; the host sees
//! to it that there is one, of 16 bytes at least.
//!
//! Not its job: hiding rare values, or encryption that can be undone.

mod clean;
mod config;
mod ip;
mod plan;
mod pseudonym;

#[cfg(test)]
mod tests;

use clickmill_plugin::prelude::*;

pub use config::Config;
use config::Unreadable;
use plan::{Task, Work};

/// The plugin.
pub struct Mask {
    tasks: Vec<Task>,
}

impl Plugin for Mask {
    type Config = Config;

    const SECRETS: &'static [Secret] = &[Secret::new("key")];

    fn configure(config: Config, available: &[ColumnSpec]) -> Result<Self, Problems> {
        let tasks = plan::plan(config, available)?;
        Ok(Self { tasks })
    }

    fn needs(&self) -> Needs {
        let mut needs = Needs::new();
        for task in &self.tasks {
            // Two pseudonyms may be made from one column.
            if !needs.reads.contains(&task.source) {
                needs.reads.push(task.source.clone());
            }
            needs.writes.push(task.writes());
        }
        needs
    }

    fn process(&self, mut batch: Batch) -> Result<Output, Fault> {
        let mut output = Output::new(Vec::with_capacity(self.tasks.len()));
        let mut refused: Vec<(u32, String)> = Vec::new();
        let mut nulled: Vec<(u32, &str)> = Vec::new();
        for task in &self.tasks {
            let path = &task.path;
            let mut column = match &task.work {
                Work::Pseudonym(pseudonyms) => pseudonyms.column(path, source(&batch, task)?),
                Work::Ip(unreadable) => {
                    let places = batch.places(&task.source.path).ok_or_else(|| missing(task))?;
                    ip::column(source(&batch, task)?, |value| {
                        let row = places.row(value) as u32;
                        match unreadable {
                            Unreadable::Reject => refused.push((row, places.shown(value))),
                            Unreadable::Null => nulled.push((row, path)),
                        }
                    })
                }
                Work::Clean(cleaner) => {
                    cleaner.column(batch.take(path).ok_or_else(|| missing(task))?)
                }
                Work::Remove => removed(source(&batch, task)?),
            };
            if task.source.repeated && column.offsets.is_none() {
                column.offsets.clone_from(&source(&batch, task)?.offsets);
                // Elements of a list are not null: what would be is empty.
                column.validity = None;
            }
            output.put(path, column, &batch);
        }
        // A row is refused once, for its first bad column.
        refused.sort_by_key(|(row, _)| *row);
        refused.dedup_by_key(|(row, _)| *row);
        nulled.retain(|(row, _)| refused.binary_search_by_key(row, |(row, _)| *row).is_err());
        for of_column in nulled.chunk_by(|(_, a), (_, b)| a == b) {
            clickmill_plugin::unreadable(of_column[0].1, of_column.len());
        }
        output.rejections = refused.into_iter().map(bad_ip).collect();
        Ok(output)
    }
}

/// Nulls in place of the values, and empty lists in place of lists.
fn removed(source: &Column) -> Column {
    match &source.offsets {
        None => Column::nulls("", source.values.data_type(), source.len()),
        Some(lists) => {
            let none = Column::nulls("", source.values.data_type(), 0);
            Column { offsets: Some(vec![0; lists.len()]), validity: None, ..none }
        }
    }
}

fn source<'b>(batch: &'b Batch, task: &Task) -> Result<&'b Column, Fault> {
    batch.column(&task.source.path).ok_or_else(|| missing(task))
}

fn bad_ip((row, column): (u32, String)) -> Rejection {
    Rejection {
        row,
        code: "bad_ip".to_owned(),
        message: format!("`{column}` holds no IPv4 or IPv6 address"),
        column: Some(column),
    }
}

fn missing(task: &Task) -> Fault {
    Fault { message: format!("the batch has no column `{}`", task.source.path) }
}

clickmill_plugin::export!(Mask);
