//! Checks rows against rules and refuses those that break one, or filters them out.
//!
//! In come the columns that the rules name; it writes none. A row is refused once: with the code and
//! the column of the first rule that it breaks, in the order of the rules, and a message that names
//! them all. Each rule runs over its column as a whole, and only broken ones cost more than a look: the
//! condition of a rule (`when`) and the messages are worked out for those rows alone.
//!
//! Not its job: changing values, rules over several rows (unique, in sequence), or other tables.

mod check;
mod config;
mod describe;
mod levels;
mod pattern;
mod rule;
mod starts;
mod words;

#[cfg(test)]
mod tests;

use clickmill_plugin::prelude::*;
use serde::{Deserialize, Serialize};

use config::Action;
pub use config::Config;
use describe::Printer;
use rule::Rule;

/// The plugin. As it is, `configure` hands it on to `process`.
#[derive(Serialize, Deserialize)]
pub struct Validate {
    rules: Vec<Rule>,
    /// Columns of which no value is told.
    sensitive: Vec<String>,
}

/// The most of what a row breaks that a message tells: a list may have very many elements.
const MAX_TOLD: usize = 32;

/// A rule that a row breaks.
struct Failure {
    row: u32,
    /// Which value of the column's level it is: the row itself, outside of lists.
    value: usize,
    /// The rule's place among the rules.
    rule: usize,
    /// Which of the rule's columns is at fault.
    part: usize,
}

impl Plugin for Validate {
    type Config = Config;

    fn configure(config: Config, available: &[ColumnSpec]) -> Result<Self, Problems> {
        let sensitive = config.sensitive.clone();
        let rules = check::check(config, available)?;
        Ok(Self { rules, sensitive })
    }

    const DICTIONARIES: bool = true;

    fn prepare(&self) -> Vec<u8> {
        postcard::to_allocvec(self).unwrap_or_default()
    }

    fn restore(_: &str, prepared: &[u8], _: &[ColumnSpec]) -> Result<Self, Problems> {
        postcard::from_bytes(prepared).map_err(|error| vec![error.to_string()])
    }

    fn needs(&self) -> Needs {
        let mut needs = Needs::new();
        for column in self.rules.iter().flat_map(Rule::reads) {
            if !needs.reads.contains(column) {
                needs.reads.push(column.clone());
            }
        }
        needs
    }

    fn process(&self, mut batch: Batch) -> Result<Output, Fault> {
        for path in self.rules.iter().flat_map(Rule::plain) {
            if let Some(at) = batch.index(path) {
                batch.columns[at].make_plain();
            }
        }
        let mut failures = Vec::new();
        for (place, rule) in self.rules.iter().enumerate() {
            rule.run(&batch, |value, row, part| {
                failures.push(Failure { row: row as u32, value, rule: place, part });
            })?;
        }
        // Stable: within a row the rules stay in their order.
        failures.sort_by_key(|failure| failure.row);
        let mut output = Output::new(Vec::new());
        let printer = Printer { batch: &batch, sensitive: &self.sensitive };
        for broken in failures.chunk_by(|a, b| a.row == b.row) {
            self.judge(broken, &printer, &mut output);
        }
        Ok(output)
    }
}

impl Validate {
    /// What becomes of a row that breaks these rules: the first one decides.
    fn judge(&self, broken: &[Failure], printer: &Printer<'_>, output: &mut Output) {
        let Some(first) = broken.first() else {
            return;
        };
        let rule = &self.rules[first.rule];
        if rule.action == Action::Drop {
            output.dropped.push(first.row);
            return;
        }
        let mut message = String::new();
        let mut told = 0;
        for failure in broken {
            let rule = &self.rules[failure.rule];
            if rule.action == Action::Reject && told < MAX_TOLD {
                told += 1;
                if !message.is_empty() {
                    message.push_str("; ");
                }
                printer.describe(
                    rule,
                    failure.row as usize,
                    failure.value,
                    failure.part,
                    &mut message,
                );
            }
        }
        output.rejections.push(Rejection {
            row: first.row,
            code: rule.code.clone(),
            message,
            column: Some(rule.shown(printer.batch, first.part, first.value)),
        });
    }
}

clickmill_plugin::export!(Validate);
