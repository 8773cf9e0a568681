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
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use wasmtime::Store;
use wasmtime::component::Component;

/// Fuel after which a guest stops: some milliseconds of honest work.
const SLICE: u64 = 10_000_000;

/// The same of a component that is composed of others, each with a memory. Texts that they pass to each other are
/// copied by the engine, without fuel: with 30 MiB, 10 ms for 100 fuel, which is a quarter of an hour for the other
/// slice and five seconds for this one. A plugin in JavaScript takes as long with either; with a slice of a fifth of
/// this it takes a quarter longer.
const SLICE_OF_COMPOSED: u64 = 50_000;

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

/// The fuel after which a component's guests stop.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice(u64);

impl Slice {
    /// What a component may have. To look through all of its modules is too much for each call.
    pub(super) fn of(component: &Component) -> Self {
        // A component that imports modules does not tell.
        let has_one = component.resources_required().is_some_and(|parts| parts.num_memories <= 1);
        Self(if has_one { SLICE } else { SLICE_OF_COMPOSED })
    }
}

/// Gives a store fuel, in slices that the component which runs in it may have.
pub(super) fn set_fuel<T>(store: &mut Store<T>, slice: Slice, fuel: u64) -> wasmtime::Result<()> {
    store.fuel_async_yield_interval(Some(slice.0))?;
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
    // A thread's processor time passes no faster than a clock on the wall, which is asked without the kernel.
    let (mut looked, mut left) = (Instant::now(), Duration::ZERO);
    loop {
        match call.as_mut().poll(&mut context) {
            Poll::Ready(answer) => return answer,
            Poll::Pending if looked.elapsed() < left => {}
            Poll::Pending => {
                left = deadline.saturating_sub(spent());
                looked = Instant::now();
                if left.is_zero() {
                    return Err(OutOfTime.into());
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guest::{Guest, link, store};
    use crate::testing::engine;
    use clickmill_config::Limits;

    /// One component within passes a text of 4 MiB to the other, forever.
    const COMPOSED: &str = r#"(component
        (component $takes
            (core module $takes
                (memory (export "memory") 65)
                (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 0))
                (func (export "take") (param i32 i32)))
            (core instance $takes (instantiate $takes))
            (func (export "take") (param "text" string)
                (canon lift (core func $takes "take")
                    (memory (core memory $takes "memory"))
                    (realloc (core func $takes "realloc")))))
        (component $gives
            (import "take" (func $take (param "text" string)))
            (core module $memory (memory (export "memory") 65))
            (core instance $memory (instantiate $memory))
            (core func $take
                (canon lower (func $take) (memory (core memory $memory "memory"))))
            (core module $gives
                (import "" "take" (func $take (param i32 i32)))
                (func (export "run")
                    (loop (call $take (i32.const 0) (i32.const 0x400000)) (br 0))))
            (core instance $gives
                (instantiate $gives (with "" (instance (export "take" (func $take))))))
            (func (export "run") (canon lift (core func $gives "run"))))
        (instance $takes (instantiate $takes))
        (instance $gives (instantiate $gives (with "take" (func $takes "take"))))
        (export "run" (func $gives "run")))"#;

    #[test]
    fn components_that_copy_texts_between_them_are_ended_by_the_clock() {
        let (_folder, engine) = engine();
        let text = wast::parser::ParseBuffer::new(COMPOSED).unwrap();
        let bytes = wast::parser::parse::<wast::Wat<'_>>(&text).unwrap().encode().unwrap();
        let component = engine.compile(&bytes).unwrap();
        let linker = link(component.engine(), &component).unwrap();
        let guest = Guest::new("test".into(), Limits::default(), Default::default());
        let mut store = store(component.engine(), guest);
        // Some seconds of copying, and less than the slice of others: who has that runs out of fuel.
        set_fuel(&mut store, Slice::of(&component), SLICE / 10).unwrap();
        let deadline = spent() + Duration::from_millis(100);
        let ended = until(deadline, async {
            let instance = linker.instantiate_async(&mut store, &component).await?;
            let run = instance.get_func(&mut store, "run").expect("it exports it");
            run.typed::<(), ()>(&store)?.call_async(&mut store, ()).await
        });
        let error = ended.unwrap_err();
        assert!(error.is::<OutOfTime>(), "{error:#}");
    }
}
