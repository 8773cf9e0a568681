//! The claim of an object where tables have no locks, so that runs share a prefix: whoever comes second goes
//! on with another object.
//!
//! Time is cut into periods as long as the lease. A claim is a mark for this period, which the tables make
//! once ([`clickmill_tables::TableStore::mark`]), and is renewed by a mark for the next. Step by step: what
//! if the run is killed right here, what if another does the same now?
//!
//! 1. The mark of this period is made; in the second half of the period, that of the next too. Killed: the
//!    object is nobody's once the last marked period is over, after half a lease to one and a half. Another:
//!    of two one has made it, and the other is told so.
//! 2. The ledger is asked, whoever asked it before; in BigQuery what it said in the last ten seconds stands,
//!    so a lease of less than twenty may cost work twice. With an entry, the marks are taken back.
//! 3. The object is loaded. In the middle of each period the mark of the next is made. Killed: as in 1.
//!    Another: finds the mark of its period, whenever it comes.
//! 4. The load is decided for and entered, as without claims. The marks are taken back, where that can be
//!    done. Killed between the two: who comes in the meantime is told that the object is claimed, asks the
//!    ledger once more, and skips it.
//!
//! A run that was stopped or cut off for longer than its lease finds the next mark made by another, says so,
//! and goes on: two are at the object then, and one of them is decided for. So do runs whose clocks differ by
//! more than half a lease. A mark whose answer was lost is taken for another's. All of that costs work, or a
//! wait of a lease and a half, and never a row.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use tokio::task::JoinHandle;

use crate::context::Context;
use clickmill_config::Source;
use clickmill_core::{causes, lock};
use clickmill_sink::{SinkError, Tables};

/// How long objects are kept for their runs; `None` where they are not claimed by marks.
pub(super) fn lease(context: &Context) -> Option<Duration> {
    match &context.pipeline.source {
        Source::Storage { claim_lease, .. } => *claim_lease,
        _ => None,
    }
}

/// A claim, or none where objects are not claimed by marks. It has to be ended.
pub(super) struct Claim(Option<Marks>);

/// The marks of a claim.
struct Marks {
    tables: Tables,
    load_id: String,
    made: Arc<Mutex<Vec<u64>>>,
    renewal: JoinHandle<()>,
}

impl Claim {
    /// Claims an object by the id of its load. `None` while another run has it.
    pub(super) fn take(context: &Context, load_id: &str) -> Result<Option<Self>, SinkError> {
        let Some(length) = lease(context) else { return Ok(Some(Self(None))) };
        let clock = Clock { length };
        let tables = context.tables.clone();
        let mut made = Vec::new();
        for period in clock.wanted(since_1970()) {
            let is_ours = context.runtime.block_on(tables.mark(load_id, period));
            if !matches!(is_ours, Ok(true)) {
                context.runtime.block_on(tables.unmark(load_id, &made));
                return is_ours.map(|_| None);
            }
            made.push(period);
        }
        let made = Arc::new(Mutex::new(made));
        let renewal = renew(tables.clone(), load_id.to_owned(), clock, made.clone());
        let renewal = context.runtime.spawn(renewal);
        Ok(Some(Self(Some(Marks { tables, load_id: load_id.to_owned(), made, renewal }))))
    }

    /// Gives the object back.
    pub(super) fn end(self, context: &Context) {
        let Some(marks) = self.0 else { return };
        marks.renewal.abort();
        let made = lock(&marks.made).clone();
        context.runtime.block_on(marks.tables.unmark(&marks.load_id, &made));
    }
}

/// Makes the mark of the next period in the middle of each, until it is aborted or another has made it.
async fn renew(tables: Tables, load_id: String, clock: Clock, made: Arc<Mutex<Vec<u64>>>) {
    loop {
        let Some(last) = lock(&made).last().copied() else { return };
        tokio::time::sleep(clock.until_renewal(last, since_1970())).await;
        let next = clock.next(last, since_1970());
        match tables.mark(&load_id, next).await {
            Ok(true) => lock(&made).push(next),
            Ok(false) => {
                tracing::warn!(
                    load = load_id,
                    "the claim of an object ran out and another run is at it too: one of them counts"
                );
                return;
            }
            Err(error) => {
                tracing::debug!(error = causes(&error), "a claim is not renewed, trying again");
                tokio::time::sleep(clock.length / 8).await;
            }
        }
    }
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Cuts time into periods.
#[derive(Debug, Clone, Copy)]
struct Clock {
    length: Duration,
}

impl Clock {
    fn period(self, now: Duration) -> u64 {
        (now.as_millis() / self.length.as_millis().max(1)) as u64
    }

    fn middle(self, period: u64) -> Duration {
        let length = self.length.as_millis() as u64;
        Duration::from_millis(period.saturating_mul(length).saturating_add(length / 2))
    }

    /// The periods that a claim begins with.
    fn wanted(self, now: Duration) -> std::ops::RangeInclusive<u64> {
        let period = self.period(now);
        let is_late = now >= self.middle(period);
        period..=period + u64::from(is_late)
    }

    /// How long until the period after the last that is marked is to be marked.
    fn until_renewal(self, last: u64, now: Duration) -> Duration {
        self.middle(last).saturating_sub(now)
    }

    /// Which period is to be marked: the next, or this one where the process was stopped for longer.
    fn next(self, last: u64, now: Duration) -> u64 {
        self.period(now).max(last.saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_claim_that_is_not_renewed_ends_after_half_a_lease_to_one_and_a_half(
            now in 0..100_000_000_u64,
            length in 2..3600_u64,
        ) {
            let (now, clock) = (Duration::from_millis(now), Clock { length: Duration::from_secs(length) });
            let wanted = clock.wanted(now);
            prop_assert_eq!(*wanted.start(), clock.period(now));
            // From then on another's mark is the first of its period.
            let free = clock.middle(*wanted.end() + 1) - clock.length / 2;
            prop_assert!(free - now > clock.length / 2 - Duration::from_millis(1));
            prop_assert!(free - now <= clock.length * 3 / 2);
            // The renewal comes half a lease before.
            let renewal = now + clock.until_renewal(*wanted.end(), now);
            prop_assert_eq!(free - renewal, clock.length / 2);
            prop_assert_eq!(clock.next(*wanted.end(), renewal), *wanted.end() + 1);
            // A process that comes back late does not mark what is past.
            let late = free + clock.length * 5;
            prop_assert_eq!(clock.next(*wanted.end(), late), clock.period(late));
        }
    }
}
