//! The time that a call takes: processor time of the thread that makes it. It stands still while the
//! process is stopped, the machine sleeps or others have the processor, so that it ends no call of a guest
//! that did nothing wrong.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// What this thread has had so far.
pub(super) fn spent() -> Duration {
    let spent = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (u64::try_from(spent.tv_sec), u32::try_from(spent.tv_nsec));
    Duration::new(seconds.unwrap_or_default(), nanos.unwrap_or_default())
}

/// Why a call was ended: it took longer than it may.
#[derive(Debug, thiserror::Error)]
#[error("out of time")]
pub(super) struct OutOfTime;
