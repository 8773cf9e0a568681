//! Callers that showed a token or a link's code which is none: nobody is to fill a disk with them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use clickmill_audit::{Action, Event, Outcome};

/// Callers that were turned away.
#[derive(Default)]
pub(super) struct Denied {
    /// When some of them were entered last.
    entered: Option<Instant>,
    /// How many came since.
    count: u64,
    /// Where the last of them was.
    last: Option<SocketAddr>,
}

impl Denied {
    /// Counts one.
    pub(super) fn count(&mut self, from: SocketAddr) {
        self.count += 1;
        self.last = Some(from);
    }

    /// Those since the last entry, where that is so long ago. `what` is what they showed.
    pub(super) fn take(&mut self, what: &str, since: Duration) -> Option<Event> {
        let is_due = self.entered.is_none_or(|entered| entered.elapsed() >= since);
        let from = self.last.filter(|_| is_due)?;
        let times = match std::mem::take(&mut self.count) {
            1 => String::new(),
            count => format!(", the last of {count} times"),
        };
        (self.entered, self.last) = (Some(Instant::now()), None);
        let event = Event::new("unknown", Action::Deny, format!("from {from}{times}"));
        Some(Event { subject: what.to_owned(), outcome: Outcome::Refused, ..event })
    }
}
