//! What a failure of tables comes down to for whoever asked: whose fault it is, and whether to try again.

use std::error::Error;
use std::fmt;

use clickmill_core::Fault;

/// Why tables are not written or read. It says in the words of what keeps them what has failed.
#[derive(Debug)]
pub struct TableError {
    fault: Fault,
    is_transient: bool,
    of_missing_table: bool,
    of_load: bool,
    /// Boxed, since results with it are on every hot path, and rarely are errors.
    error: Box<dyn Error + Send + Sync>,
}

impl TableError {
    /// An error of what keeps the tables.
    pub fn new(
        fault: Fault,
        is_transient: bool,
        error: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        let error = error.into();
        Self { fault, is_transient, of_missing_table: false, of_load: false, error }
    }

    /// An error of what keeps the tables: a query names a table that is not there.
    pub fn missing_table(fault: Fault, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { of_missing_table: true, ..Self::new(fault, false, error) }
    }

    /// An error of what a load holds: others may well be made.
    pub fn load(fault: Fault, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { of_load: true, ..Self::new(fault, false, error) }
    }

    /// Whose fault it is.
    pub fn fault(&self) -> Fault {
        self.fault
    }

    /// Whether the same may succeed later.
    pub fn is_transient(&self) -> bool {
        self.is_transient
    }

    /// Whether a query names a table that is not there.
    pub fn is_of_missing_table(&self) -> bool {
        self.of_missing_table
    }

    /// Whether it is what a load holds that is at fault, and not the tables.
    pub fn is_of_load(&self) -> bool {
        self.of_load
    }
}

/// Attempts at dead letters come to a load that is none of a replay: a bug in clickmill.
#[derive(Debug, thiserror::Error)]
#[error("a load that was begun without a table for attempts at dead letters is given some")]
pub struct NoTableForAttempts;

impl From<NoTableForAttempts> for TableError {
    fn from(error: NoTableForAttempts) -> Self {
        Self::new(Fault::Bug, false, error)
    }
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl Error for TableError {
    // It stands in the error's own place, and adds no link to the chain of causes.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.error.source()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot write")]
    struct Outer(#[source] std::fmt::Error);

    #[test]
    fn the_chain_of_causes_is_that_of_the_error_within() {
        let error = TableError::new(Fault::Environment, true, Outer(std::fmt::Error));
        assert_eq!(clickmill_core::causes(&error), clickmill_core::causes(&Outer(std::fmt::Error)));
        assert_eq!((error.fault(), error.is_transient()), (Fault::Environment, true));
    }
}
