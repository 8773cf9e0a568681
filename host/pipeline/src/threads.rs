//! Threads beside a run: they end with the pipeline that they belong to.

use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};

use clickmill_core::lock;

/// How long a thread may take to end. One that builds a plugin crate is left then: the process ends
/// anyway, and what it builds is not waited for.
const PATIENCE: Duration = Duration::from_secs(5);

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

impl Default for Threads {
    fn default() -> Self {
        let (end, ended) = bounded(0);
        Self { end: Some(end), ended, running: Mutex::default() }
    }
}

impl Threads {
    /// Starts a thread, which is to end when [`End`] says so.
    pub fn spawn(&self, name: &'static str, run: impl FnOnce(&End) + Send + 'static) {
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
            if ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                tracing::warn!(name, "a thread takes too long to end, it is left");
            }
        }
    }
}

impl End {
    /// Waits for so long. Returns whether it is time to end.
    pub fn comes_within(&self, time: Duration) -> bool {
        self.0.recv_timeout(time) == Err(RecvTimeoutError::Disconnected)
    }

    /// Waits until something is to be received. Returns whether it is time to end.
    pub fn comes_before<T>(&self, other: &Receiver<T>) -> bool {
        let mut select = crossbeam_channel::Select::new();
        let end = select.recv(&self.0);
        select.recv(other);
        select.ready() == end
    }
}
