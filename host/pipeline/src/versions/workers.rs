//! How much the workers have to do, for what should not be in their way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// For how long a rest is, as times of the work before it.
const REST: u32 = 10;
/// All rests of one task together.
const MOST_REST: Duration = Duration::from_secs(2);

/// The workers of a run.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    all: AtomicUsize,
    busy: AtomicUsize,
}

/// One that counts until this is dropped.
pub(crate) struct Counted<'a>(&'a AtomicUsize);

impl Workers {
    /// That there is one more.
    pub(crate) fn join(&self) -> Counted<'_> {
        Counted::new(&self.all)
    }

    /// That one of them has a batch in hand.
    pub(crate) fn begin(&self) -> Counted<'_> {
        Counted::new(&self.busy)
    }

    fn are_busy(&self) -> bool {
        let busy = self.busy.load(Ordering::Relaxed);
        busy > 0 && busy >= self.all.load(Ordering::Relaxed)
    }
}

impl<'a> Counted<'a> {
    fn new(of: &'a AtomicUsize) -> Self {
        of.fetch_add(1, Ordering::Relaxed);
        Self(of)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A task that is done in slices, with a rest after each while all workers have a batch in hand: it gets a small
/// part of a core then, and takes two seconds longer at most.
pub(crate) struct Slices<'a> {
    workers: &'a Workers,
    rest: Duration,
}

impl<'a> Slices<'a> {
    /// A task beside these workers.
    pub(crate) fn beside(workers: &'a Workers) -> Self {
        Self { workers, rest: MOST_REST }
    }

    /// Does a slice of it.
    pub(crate) fn run<T>(&mut self, slice: impl FnOnce() -> T) -> T {
        let began = Instant::now();
        let done = slice();
        if self.workers.are_busy() {
            let rest = began.elapsed().saturating_mul(REST).min(self.rest);
            self.rest -= rest;
            std::thread::sleep(rest);
        }
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_rests_while_all_workers_are_busy_and_not_for_ever() {
        let workers = Workers::default();
        let mut slices = Slices { workers: &workers, rest: Duration::from_millis(5) };
        let slice = || std::thread::sleep(Duration::from_millis(1));
        let (_one, _other) = (workers.join(), workers.join());
        slices.run(slice);
        let busy = workers.begin();
        slices.run(slice);
        assert_eq!(slices.rest, Duration::from_millis(5), "one has nothing to do");
        let all = workers.begin();
        slices.run(slice);
        assert_eq!(slices.rest, Duration::ZERO);
        assert_eq!(slices.run(|| 7), 7);
        drop((busy, all));
        assert!(!workers.are_busy());
    }
}
