//! The time that a call takes: processor time of the thread that makes it. It stands still while the
//! process is stopped, the machine sleeps or others have the processor, so that it ends no call of a guest
//! that did nothing wrong.
//!
//! A guest gets its fuel in slices and stops after each, which is when the clock is looked at. The chains of
//! `host/benches` take at most 1 % longer so. With wasmtime's epochs, whose checks stand beside those of the
//! fuel in every loop, they take 7 and 11 % longer.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use wasmtime::Store;

/// Fuel after which a guest stops: some milliseconds of honest work.
const SLICE: u64 = 10_000_000;

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

/// Gives a store fuel, in slices.
pub(super) fn set_fuel<T>(store: &mut Store<T>, fuel: u64) -> wasmtime::Result<()> {
    store.fuel_async_yield_interval(Some(SLICE))?;
    store.set_fuel(fuel)
}

/// Makes a call, which ends where this thread's processor time is beyond the deadline.
pub(super) fn until<T>(
    deadline: Duration,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> wasmtime::Result<T> {
    let mut call = pin!(call);
    // The call waits for nothing: it stops, and can go on at once.
    let mut context = Context::from_waker(Waker::noop());
    loop {
        match call.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending if spent() < deadline => {}
            Poll::Pending => return Err(OutOfTime.into()),
        }
    }
}
