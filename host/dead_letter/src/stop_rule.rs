//! The rule that ends a run of which too much is rejected.

use clickmill_core::{Counted, Fault, Window};

/// Ends a run when too many of the last records were rejected.
#[derive(Debug, Clone)]
pub struct StopRule {
    max_share: f64,
    window_rows: u64,
    window: Window<Judged>,
}

/// Records and rejected records of a batch.
#[derive(Debug, Clone, Copy, Default)]
struct Judged {
    rows: u64,
    rejected: u64,
}

impl Counted for Judged {
    fn rows(&self) -> u64 {
        self.rows
    }

    fn add(&mut self, other: &Self) {
        self.rows += other.rows;
        self.rejected += other.rejected;
    }

    fn take_off(&mut self, other: &Self) {
        self.rows -= other.rows;
        self.rejected -= other.rejected;
    }
}

/// Too many records were rejected.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "{rejected} of the last {rows} records were refused, more than the share of {max_share} that `dead_letter.max_rejected_share` allows"
)]
pub struct TooManyRejected {
    /// Rejected records of the window.
    pub rejected: u64,
    /// Records of the window.
    pub rows: u64,
    /// The share that is allowed.
    pub max_share: f64,
}

impl TooManyRejected {
    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        Fault::Run
    }
}

impl StopRule {
    /// Allows a share of `max_share` over windows of about `window_rows` records.
    pub fn new(max_share: f64, window_rows: u64) -> Self {
        Self { max_share, window_rows, window: Window::default() }
    }

    /// Counts a batch. The rule speaks once the window is full; [`StopRule::end`] speaks for shorter
    /// runs.
    pub fn count(&mut self, rows: u64, rejected: u64) -> Result<(), TooManyRejected> {
        self.window.push(Judged { rows, rejected }, self.window_rows);
        if self.window.sum().rows >= self.window_rows { self.end() } else { Ok(()) }
    }

    /// Begins anew.
    pub fn forget(&mut self) {
        self.window = Window::default();
    }

    /// The verdict on what the window holds.
    pub fn end(&self) -> Result<(), TooManyRejected> {
        let Judged { rows, rejected } = self.window.sum();
        if rows > 0 && rejected as f64 > self.max_share * rows as f64 {
            return Err(TooManyRejected { rejected, rows, max_share: self.max_share });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_speaks_of_the_last_rows_only() {
        let mut rule = StopRule::new(0.5, 100);
        for _ in 0..20 {
            assert_eq!(rule.count(50, 0), Ok(()));
        }
        assert_eq!(rule.count(50, 50), Ok(()));
        let too_many = TooManyRejected { rejected: 100, rows: 100, max_share: 0.5 };
        assert_eq!(rule.count(50, 50), Err(too_many));
    }

    #[test]
    fn a_short_run_is_judged_at_its_end() {
        let mut rule = StopRule::new(0.5, 1_000_000);
        assert_eq!(rule.count(10, 6), Ok(()));
        assert!(rule.end().is_err());
        assert_eq!(StopRule::new(0.5, 10).end(), Ok(()));
    }
}
