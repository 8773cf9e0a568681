//! Threads beside a run: they end with the pipeline that they belong to.

use std::convert::Infallible;
use std::io;
use std::sync::Mutex;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tokio::runtime::{Builder, Handle};

use clickmill_core::lock;

/// How long a thread may take to end. One that builds a plugin crate, or tries a plugin on, is left then: the
/// process ends anyway, and what it does is not waited for.
const END_TIMEOUT: Duration = Duration::from_secs(5);

/// So much is asked of a disk or a service at once, where nothing waits for anything else of it.
pub(crate) const AT_ONCE: usize = 4;

/// How soon what failed is tried again though nobody wakes the thread.
const RETRY: Duration = Duration::from_secs(5);

/// The threads of a pipeline. Dropped, it has them end and waits for them.
#[derive(Debug)]
pub(crate) struct Threads {
    /// Closed when they are to end.
    end: Option<Sender<Infallible>>,
    ended: Receiver<Infallible>,
    /// Each with what is closed once it has ended.
    running: Mutex<Vec<(&'static str, Receiver<Infallible>)>>,
}

/// Tells a thread when to end.
pub(crate) struct End(Receiver<Infallible>);

/// Wakes a thread. Where that is asked twice before the thread notices, it wakes once.
pub(crate) struct Wake {
    sender: Sender<()>,
    receiver: Receiver<()>,
}

impl Default for Threads {
    fn default() -> Self {
        let (end, ended) = bounded(0);
        Self { end: Some(end), ended, running: Mutex::default() }
    }
}

impl Threads {
    /// Starts a thread, which is to end when [`End`] says so.
    pub(crate) fn spawn(&self, name: &'static str, run: impl FnOnce(&End) + Send + 'static) {
        let end = End(self.ended.clone());
        let (running, ended) = bounded::<Infallible>(0);
        lock(&self.running).push((name, ended));
        std::thread::spawn(move || {
            // Closed also where the thread panics.
            let _running = running;
            run(&end);
        });
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.end = None;
        for (name, ended) in lock(&self.running).drain(..) {
            if ended.recv_timeout(END_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
                tracing::warn!(name, "a thread takes too long to end, it is left");
            }
        }
    }
}

/// The runtime for input and output. Dropped, what it still works on has so long to end as threads have: a
/// plugin that is tried on for somebody may take longer.
pub(crate) struct Runtime {
    handle: Handle,
    /// Until it is dropped.
    running: Option<tokio::runtime::Runtime>,
}

impl Runtime {
    pub(crate) fn new() -> io::Result<Self> {
        // Input and output only wait; the chain has threads of its own.
        let running = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { handle: running.handle().clone(), running: Some(running) })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    pub(crate) fn block_on<T>(&self, future: impl Future<Output = T>) -> T {
        self.handle.block_on(future)
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown_timeout(END_TIMEOUT);
        }
    }
}

impl Default for Wake {
    fn default() -> Self {
        let (sender, receiver) = bounded(1);
        Self { sender, receiver }
    }
}

impl Wake {
    pub(crate) fn wake(&self) {
        let _ = self.sender.try_send(());
    }

    /// Does the work each time it is woken, and now and then, since what failed is tried again, until it is
    /// time to end.
    pub(crate) fn work_until(&self, end: &End, mut work: impl FnMut()) {
        while !end.comes_before_within(&self.receiver, RETRY) {
            // Before the work: who wakes it meanwhile is noticed.
            let _ = self.receiver.try_recv();
            work();
        }
    }
}

impl End {
    /// Waits for so long. Returns whether it is time to end.
    pub(crate) fn comes_within(&self, time: Duration) -> bool {
        self.0.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }

    /// Waits until something is to be received, for so long at most. Returns whether it is time to end.
    pub(crate) fn comes_before_within<T>(&self, other: &Receiver<T>, time: Duration) -> bool {
        let mut select = crossbeam_channel::Select::new();
        let end = select.recv(&self.0);
        select.recv(other);
        select.ready_timeout(time) == Ok(end)
    }

    /// Waits until something is to be received. Returns whether it is time to end.
    pub(crate) fn comes_before<T>(&self, other: &Receiver<T>) -> bool {
        let mut select = crossbeam_channel::Select::new();
        let end = select.recv(&self.0);
        select.recv(other);
        select.ready() == end
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn a_runtime_ends_though_somebody_never_does() {
        let (to, waiting) = bounded::<Infallible>(0);
        let runtime = Runtime::new().expect("a runtime");
        let (began, begins) = bounded(1);
        runtime.handle().spawn_blocking(move || {
            began.send(()).expect("the test waits");
            // Until the test is over.
            let _ = waiting.recv();
        });
        begins.recv().expect("it begins");
        assert_eq!(runtime.block_on(async { 1 }), 1);
        drop(runtime);
        drop(to);
    }

    #[test]
    fn threads_end_with_what_they_belong_to_and_finish_what_waits() {
        let (to, waiting) = crossbeam_channel::unbounded();
        let done = Arc::<AtomicU64>::default();
        let threads = Threads::default();
        let (events, counted) = (waiting.clone(), done.clone());
        threads.spawn("events", move |end| {
            loop {
                let is_over = end.comes_before(&events);
                counted.fetch_add(events.try_iter().count() as u64, Ordering::SeqCst);
                if is_over {
                    return;
                }
            }
        });
        threads.spawn("watch", |end| while !end.comes_within(Duration::from_secs(3600)) {});
        for event in 0..100 {
            to.send(event).expect("the test has a receiver");
        }
        drop(threads);
        assert_eq!((done.load(Ordering::SeqCst), waiting.len()), (100, 0));
    }

    #[test]
    fn a_thread_works_each_time_it_is_woken_until_the_end() {
        let wake = Arc::<Wake>::default();
        let (said, heard) = crossbeam_channel::unbounded();
        let threads = Threads::default();
        let woken = wake.clone();
        threads.spawn("works", move |end| {
            woken.work_until(end, || said.send(()).expect("the test hears"));
        });
        for _ in 0..3 {
            wake.wake();
            heard.recv_timeout(Duration::from_secs(60)).expect("it works");
        }
        drop(threads);
        let _ = heard.try_iter().count();
        wake.wake();
        assert!(heard.recv().is_err(), "nobody works any more");
    }

    #[test]
    fn a_thread_that_waits_for_something_and_for_a_while_does_not_miss_its_end() {
        let (to, waiting) = crossbeam_channel::unbounded();
        let (said, heard) = crossbeam_channel::unbounded();
        let threads = Threads::default();
        threads.spawn("keeper", move |end| {
            while !end.comes_before_within(&waiting, Duration::from_millis(1)) {
                let _ = waiting.try_recv().map(|()| said.send(()));
            }
        });
        to.send(()).expect("the thread has a receiver");
        heard.recv_timeout(Duration::from_secs(60)).expect("what was sent is taken");
        drop(threads);
        assert!(to.send(()).is_err(), "the thread has ended");
    }
}
