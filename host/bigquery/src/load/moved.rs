//! Which offsets of a load's stream may be taken by other rows than those that are sent there now. A row that is
//! refused moves all behind it, and what was sent before may arrive after that: over a connection that was given up,
//! there is nothing that says it will not.

/// What was sent to offsets that have other rows since.
#[derive(Debug, Default)]
pub(super) struct Moved {
    /// Where what was sent over this connection ended when rows were refused, until there is an answer to what was
    /// sent after that: then it can no longer arrive.
    here: i64,
    /// Where what was sent over connections that were given up ends.
    elsewhere: i64,
    /// Where what may arrive, and has moved, ends.
    in_doubt: i64,
}

impl Moved {
    /// Rows are refused, and those behind them move. `end` is where what was sent ends.
    pub(super) fn refused(&mut self, end: i64) {
        self.here = end;
        self.in_doubt = self.in_doubt.max(self.elsewhere);
    }

    /// There is an answer to what was sent last.
    pub(super) fn answered(&mut self) {
        self.here = 0;
    }

    /// The connection is given up. `end` is where what was sent over it ends.
    pub(super) fn given_up(&mut self, end: i64) {
        self.in_doubt = self.in_doubt.max(self.here);
        self.elsewhere = self.elsewhere.max(end).max(self.here);
        self.here = 0;
    }

    /// Whether the rows that are at an offset may be others than those that were sent there last.
    pub(super) fn is_in_doubt(&self, offset: i64) -> bool {
        offset < self.in_doubt
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_offset_is_in_doubt_where_what_was_given_up_has_moved() {
        // Given up, and then refused.
        let mut moved = Moved::default();
        moved.given_up(30);
        assert!(!moved.is_in_doubt(10), "the same rows are sent there again");
        moved.refused(30);
        assert!(moved.is_in_doubt(10) && !moved.is_in_doubt(30));
        // Refused, and then given up.
        let mut moved = Moved::default();
        moved.refused(30);
        assert!(!moved.is_in_doubt(10), "the connection keeps the order");
        moved.given_up(25);
        assert!(moved.is_in_doubt(29) && !moved.is_in_doubt(30));
        // Refused, and answered before it is given up.
        let mut moved = Moved::default();
        moved.refused(30);
        moved.answered();
        moved.given_up(50);
        assert!(!moved.is_in_doubt(29));
        moved.refused(80);
        assert!(moved.is_in_doubt(49) && !moved.is_in_doubt(50));
    }
}
