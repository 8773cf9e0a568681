//! What a stage has done, by counting.

use std::collections::BTreeMap;
use std::time::Duration;

/// What a stage has done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StageCounts {
    /// Rows given to it.
    pub rows_in: u64,
    /// Rows it made of them, where it makes several of one: otherwise those that were given to it.
    pub rows_made: u64,
    /// Rows it refused or failed on.
    pub rejected: u64,
    /// Rows it dropped on purpose.
    pub filtered: u64,
    /// Calls that ended in a fault; each made the host split a batch or give up a row.
    pub faults: u64,
    /// Those of them that ended since they took too long.
    pub timeouts: u64,
    /// Log lines that were not written, being more than it may write for a batch.
    pub lines_unwritten: u64,
    /// Fuel it used.
    pub fuel: u64,
    /// Time in it, the boundary included.
    pub time: Duration,
    /// The most memory that an instance of it had, in bytes.
    pub most_memory: usize,
    /// By column, values that it could not read and that are null in rows that it let pass.
    pub unreadable: BTreeMap<String, u64>,
}

impl StageCounts {
    /// Adds another worker's counts.
    pub fn add(&mut self, other: &Self) {
        self.rows_in += other.rows_in;
        self.rows_made += other.rows_made;
        self.rejected += other.rejected;
        self.filtered += other.filtered;
        self.faults += other.faults;
        self.timeouts += other.timeouts;
        self.lines_unwritten += other.lines_unwritten;
        self.fuel += other.fuel;
        self.time += other.time;
        self.most_memory = self.most_memory.max(other.most_memory);
        for (column, values) in &other.unreadable {
            *self.unreadable.entry(column.clone()).or_default() += values;
        }
    }
}
