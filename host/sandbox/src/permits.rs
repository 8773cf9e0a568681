//! Permits to have an instance: so many live at a time, over all stages and threads, and whoever wants another waits
//! until one is given back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use clickmill_core::lock;

/// The permits of an engine.
#[derive(Clone)]
pub(super) struct Permits(Arc<Pool>);

/// A permit, given back when it is dropped.
pub(super) struct Permit(Arc<Pool>);

struct Pool {
    all: usize,
    free: Mutex<Free>,
    freed: Condvar,
    /// Whether it was told that there are too few, which is once.
    told: AtomicBool,
}

struct Free {
    permits: usize,
    /// How many wait for one: where nobody does, nobody is woken, which would be a call of the kernel.
    waiting: usize,
}

impl Pool {
    fn tell(&self, what: &str) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let instances = self.all;
            tracing::warn!(instances, "more plugins run than have instances at a time: {what}");
        }
    }
}

impl Permits {
    pub(crate) fn new(all: usize) -> Self {
        let free = Mutex::new(Free { permits: all, waiting: 0 });
        let freed = Condvar::new();
        Self(Arc::new(Pool { all, free, freed, told: AtomicBool::new(false) }))
    }

    /// Takes a permit; waits while there is none. A call has an end, and those that stay taken between calls
    /// are never all of them, so the wait has one too.
    pub(crate) fn take(&self) -> Permit {
        let pool = &self.0;
        let mut free = lock(&pool.free);
        if free.permits == 0 {
            pool.tell("some wait for others");
            free.waiting += 1;
            while free.permits == 0 {
                free = pool.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
            }
            free.waiting -= 1;
        }
        free.permits -= 1;
        Permit(pool.clone())
    }

    /// Whether an instance may keep its permit until its next call: while no more than half of all are taken,
    /// so that the other half is there for calls.
    pub(crate) fn may_keep(&self) -> bool {
        let taken = self.0.all - lock(&self.0.free).permits;
        let may = taken <= self.0.all / 2;
        if !may {
            self.0.tell("`instance = \"reuse\"` is not followed for all");
        }
        may
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut free = lock(&self.0.free);
        free.permits += 1;
        if free.waiting > 0 {
            self.0.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_finds_no_permit_waits_for_one() {
        let permits = Permits::new(2);
        let (first, second) = (permits.take(), permits.take());
        std::thread::scope(|scope| {
            let third = scope.spawn(|| drop(permits.take()));
            drop(first);
            third.join().unwrap();
        });
        drop(second);
        let free = lock(&permits.0.free);
        assert_eq!((free.permits, free.waiting), (2, 0));
    }

    #[test]
    fn half_of_the_permits_are_never_kept() {
        for all in 1..6 {
            let permits = Permits::new(all);
            let mut kept = Vec::new();
            while kept.len() < all {
                let permit = permits.take();
                if !permits.may_keep() {
                    break;
                }
                kept.push(permit);
            }
            assert!(kept.len() <= all / 2, "{} of {all}", kept.len());
        }
    }
}
