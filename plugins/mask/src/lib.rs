//! Masks sensitive columns: ids become keyed pseudonyms, IP addresses lose their last part, e-mail
//! addresses, phone numbers and tokens are cleaned out of URLs and free text, or a column is emptied.
//!
//! In come the columns that the configuration names, out go the treated ones. A row is refused only for
//! an `ip` that is none (code `bad_ip`), unless such are to be null and counted, and no message ever
//! holds a value. The secret `key` makes the pseudonyms; the host sees to it that there is one, of 16 bytes
//! at least.
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

    const SECRETS: &'static [&'static str] = &["key"];

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
            needs = needs.writes(&task.name, task.writes());
        }
        needs
    }

    fn process(&self, mut batch: Batch) -> Result<Output, Fault> {
        let rows = batch.rows as usize;
        let mut columns = Vec::with_capacity(self.tasks.len());
        let mut refused: Vec<(u32, &str)> = Vec::new();
        let mut nulled: Vec<(u32, &str)> = Vec::new();
        for task in &self.tasks {
            columns.push(match &task.work {
                Work::Pseudonym(pseudonyms) => {
                    let source = batch.column(&task.source.name).ok_or_else(|| missing(task))?;
                    pseudonyms.column(&task.name, source)
                }
                Work::Ip(unreadable) => {
                    let source = batch.take(&task.name).ok_or_else(|| missing(task))?;
                    let bad = match unreadable {
                        Unreadable::Reject => &mut refused,
                        Unreadable::Null => &mut nulled,
                    };
                    ip::column(&source, |row| bad.push((row, &task.name)))
                }
                Work::Clean(cleaner) => {
                    cleaner.column(batch.take(&task.name).ok_or_else(|| missing(task))?)
                }
                Work::Remove => plan::nulls(&task.name, task.source.data_type, rows),
            });
        }
        // A row is refused once, for its first bad column.
        refused.sort_by_key(|(row, _)| *row);
        refused.dedup_by_key(|(row, _)| *row);
        nulled.retain(|(row, _)| refused.binary_search_by_key(row, |(row, _)| *row).is_err());
        for of_column in nulled.chunk_by(|(_, a), (_, b)| a == b) {
            clickmill_plugin::unreadable(of_column[0].1, of_column.len());
        }
        let mut output = Output::new(columns);
        output.rejections = refused.into_iter().map(bad_ip).collect();
        Ok(output)
    }
}

fn bad_ip((row, column): (u32, &str)) -> Rejection {
    Rejection {
        row,
        code: "bad_ip".to_owned(),
        message: format!("`{column}` holds no IPv4 or IPv6 address"),
        column: Some(column.to_owned()),
    }
}

fn missing(task: &Task) -> Fault {
    Fault { message: format!("the batch has no column `{}`", task.source.name) }
}

clickmill_plugin::export!(Mask);
