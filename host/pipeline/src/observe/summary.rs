//! What a run did, once it has ended.

use std::collections::BTreeMap;
use std::time::Duration;

use clickmill_config::TableName;
use clickmill_core::Fault;
use clickmill_core::batch::Rejected;
use clickmill_core::{Digest, StageName};
use clickmill_sandbox::{RecordCounts, StageCounts};
use clickmill_source::PassedOver;

/// Reasons of a stage that are told apart. A plugin may name any; the rest of its own are counted together.
const MAX_REASONS: usize = 50;
/// What the rest is called.
const OTHER_REASONS: &str = "(other)";

/// Refused records by stage and code.
pub(crate) type Reasons = BTreeMap<(StageName, String), u64>;

/// Counts refusals of one reason.
pub(crate) fn add_reason(reasons: &mut Reasons, stage: StageName, code: String, count: u64) {
    let mut key = (stage, code);
    if !reasons.contains_key(&key) {
        // The rest may come first: what others have counted is added to what is here.
        let is_told =
            |(stage, code): &&(StageName, String)| *stage == key.0 && code != OTHER_REASONS;
        if key.1 != OTHER_REASONS && reasons.keys().filter(is_told).count() >= MAX_REASONS {
            key.1 = OTHER_REASONS.to_owned();
        }
    }
    *reasons.entry(key).or_default() += count;
}

/// Rows by what became of them: `rows_in + rows_made = rows_out + rows_rejected + rows_filtered`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// Records read.
    pub rows_in: u64,
    /// Rows that plugins made of records, beyond one of each.
    pub rows_made: u64,
    /// What has become of the records, by record.
    pub records: RecordCounts,
    /// Rows written to the tables, each counted once in however many of them it is.
    pub rows_out: u64,
    /// Rows written to each table: the pipeline's own, then those of its routes in their order, copies too.
    pub rows_by_table: Vec<u64>,
    /// Rows written to the dead-letter table.
    pub rows_rejected: u64,
    /// Rows a plugin dropped on purpose.
    pub rows_filtered: u64,
    /// Bytes decoded.
    pub bytes: u64,
    /// Refused records by stage and code.
    pub rejected_by: Reasons,
    /// What each stage did, by name, in order.
    pub stages: Vec<(StageName, StageCounts)>,
}

impl Counts {
    /// The commonest reason for a refusal.
    pub(crate) fn most_frequent(&self) -> String {
        let most = self.rejected_by.iter().max_by_key(|(_, count)| **count);
        most.map_or_else(String::new, |((stage, code), count)| {
            format!("`{code}` at stage `{stage}`, {count} times")
        })
    }

    /// The rows, in a line.
    pub(crate) fn summary_line(&self) -> String {
        let made = match self.rows_made {
            0 => String::new(),
            made => {
                let RecordCounts { with_rows, with_letters_only, filtered_whole } = self.records;
                format!(
                    " ({made} more made of them; of the records {with_rows} have rows, {with_letters_only} letters only, {filtered_whole} are filtered whole)"
                )
            }
        };
        format!(
            "{} rows in{made}, {} out, {} rejected, {} filtered",
            self.rows_in, self.rows_out, self.rows_rejected, self.rows_filtered
        )
    }

    /// Rows of which it is told what became of them.
    pub(crate) fn rows_told(&self) -> u64 {
        self.rows_out + self.rows_rejected + self.rows_filtered
    }

    /// Takes back rows that were counted and are there already: those that were made before those that
    /// came in.
    pub(crate) fn take_back(&mut self, rows: u64) {
        let made = rows.min(self.rows_made);
        self.rows_made -= made;
        self.rows_in = self.rows_in.saturating_sub(rows - made);
    }

    /// Counts rejected records.
    pub(crate) fn reject(&mut self, rejected: &[Rejected]) {
        self.rows_rejected += rejected.len() as u64;
        for rejected in rejected {
            let (stage, code) = (rejected.stage.clone(), rejected.reason.code.clone());
            add_reason(&mut self.rejected_by, stage, code, 1);
        }
    }

    /// Counts rows that a table refused after they were counted as written: that of this number among
    /// [`Counts::rows_by_table`].
    pub(crate) fn refuse(&mut self, table: usize, refused: &[Rejected]) {
        let rows = refused.len() as u64;
        self.rows_out -= rows;
        self.leave_out_of(table, rows);
        self.reject(refused);
    }

    /// Counts fewer rows of a table.
    pub(crate) fn leave_out_of(&mut self, table: usize, rows: u64) {
        if let Some(written) = self.rows_by_table.get_mut(table) {
            *written = written.saturating_sub(rows);
        }
    }

    /// Adds the counts of another batch or object.
    pub fn add(&mut self, other: Self) {
        self.rows_in += other.rows_in;
        self.rows_made += other.rows_made;
        self.records.add(other.records);
        self.rows_out += other.rows_out;
        self.rows_by_table.resize(self.rows_by_table.len().max(other.rows_by_table.len()), 0);
        for (sum, rows) in self.rows_by_table.iter_mut().zip(other.rows_by_table) {
            *sum += rows;
        }
        self.rows_rejected += other.rows_rejected;
        self.rows_filtered += other.rows_filtered;
        self.bytes += other.bytes;
        for ((stage, code), count) in other.rejected_by {
            add_reason(&mut self.rejected_by, stage, code, count);
        }
        for (name, counts) in other.stages {
            self.add_stage(&name, &counts);
        }
    }

    /// Adds what a stage did.
    pub(crate) fn add_stage(&mut self, name: &StageName, counts: &StageCounts) {
        match self.stages.iter_mut().find(|(known, _)| known == name) {
            Some((_, sum)) => sum.add(counts),
            None => self.stages.push((name.clone(), counts.clone())),
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Summary {
    /// Rows by what became of them.
    pub counts: Counts,
    /// Tables of the pipeline's routes, in their order, each with the rows written to it, copies too.
    pub routes: Vec<(TableName, u64)>,
    /// Objects loaded.
    pub loaded: u64,
    /// Objects skipped, since the ledger has them.
    pub skipped: Vec<String>,
    /// How many of those other runs have loaded while this one went on.
    pub loaded_by_others: u64,
    /// Objects that can't be loaded.
    pub failed: Vec<FailedObject>,
    /// What holds nothing, or is not data.
    pub passed_over: Vec<PassedOver>,
    /// Objects not begun, since the run was told to stop.
    pub left: u64,
    /// It would have ended by itself, and was told to stop before all was loaded.
    pub cut_short: bool,
    /// Digest of the plugin set, once an object was begun.
    pub plugin_set: Option<Digest>,
    /// How long it took.
    pub elapsed: Duration,
    /// Of a stream: what only streams have.
    pub stream: Option<Streamed>,
}

/// An object that can't be loaded. Nothing of it is in the tables.
#[derive(Debug, Clone, PartialEq)]
pub struct FailedObject {
    /// Its name.
    pub object: String,
    /// Why: the error, and its causes.
    pub causes: Vec<String>,
    /// Whose fault it is.
    pub fault: Fault,
}

impl FailedObject {
    /// An object, and why.
    pub(crate) fn new(object: &str, error: &dyn std::error::Error, fault: Fault) -> Self {
        Self { object: object.to_owned(), causes: clickmill_core::chain(error), fault }
    }
}

impl Summary {
    /// Whose fault it is that the run is not a success; `None` where it is one. An environment that may be
    /// better later counts most, then the input.
    pub fn fault(&self) -> Option<Fault> {
        let faults = || self.failed.iter().map(|failed| failed.fault);
        let order = [Fault::Environment, Fault::Input, Fault::Bug, Fault::Run];
        order.into_iter().find(|fault| faults().any(|found| found == *fault))
    }
}

/// What a run over a stream did beside its counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Streamed {
    /// Deliveries of messages whose rows or dead letters were there already; not among `rows_in`.
    pub repeated: u64,
    /// Acknowledgements that the service did not take: those messages come again.
    pub unconfirmed: u64,
    /// Dead letters that went to the spool, since their table was away.
    pub spooled: u64,
    /// Appends that failed and were tried again.
    pub retries: u64,
    /// From publishing to durable: the median, in milliseconds.
    pub latency_p50_ms: u64,
    /// Of 99 in a hundred messages at most.
    pub latency_p99_ms: u64,
    /// At most.
    pub latency_max_ms: u64,
    /// From having a batch to having its chain, which is where a swap shows: of 99 in a hundred batches
    /// at most, in microseconds.
    pub pause_p99_us: u64,
    /// At most.
    pub pause_max_us: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plugin_with_a_code_for_each_row_fills_no_other_stages_list() {
        let stage = |name: &str| name.parse::<StageName>().unwrap();
        let mut reasons = Reasons::new();
        for row in 0..10_000 {
            add_reason(&mut reasons, stage("hostile"), format!("code_{row}"), 1);
        }
        add_reason(&mut reasons, stage("hostile"), "code_7".to_owned(), 2);
        add_reason(&mut reasons, stage("decode"), "not_utf8".to_owned(), 5);
        assert_eq!(reasons.len(), MAX_REASONS + 2);
        let mut sum = Reasons::new();
        for ((stage, code), count) in reasons.clone() {
            add_reason(&mut sum, stage, code, count);
        }
        assert_eq!(sum, reasons);
        assert_eq!(reasons[&(stage("hostile"), "code_7".to_owned())], 3);
        let others = (stage("hostile"), OTHER_REASONS.to_owned());
        assert_eq!(reasons[&others], 10_000 - MAX_REASONS as u64);
        assert_eq!(reasons[&(stage("decode"), "not_utf8".to_owned())], 5);
    }
}
