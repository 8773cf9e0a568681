//! Places for instances: so many live at a time, over all stages and threads, and whoever wants another
//! waits until one is given back.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use clickmill_core::lock;

/// The places of an engine.
#[derive(Clone)]
pub(super) struct Slots(Arc<Places>);

/// A place, given back when it is dropped.
pub(super) struct Slot(Arc<Places>);

struct Places {
    all: usize,
    free: Mutex<Free>,
    freed: Condvar,
    /// Whether it was told that there are too few, which is once.
    told: AtomicBool,
}

struct Free {
    places: usize,
    /// How many wait for one: where nobody does, nobody is woken, which would be a call of the kernel.
    waiting: usize,
}

impl Places {
    fn tell(&self, what: &str) {
        if !self.told.swap(true, Ordering::Relaxed) {
            let instances = self.all;
            tracing::warn!(instances, "more plugins run than there are places for: {what}");
        }
    }
}

impl Slots {
    pub(crate) fn new(all: usize) -> Self {
        let free = Mutex::new(Free { places: all, waiting: 0 });
        let freed = Condvar::new();
        Self(Arc::new(Places { all, free, freed, told: AtomicBool::new(false) }))
    }

    /// Takes a place; waits while there is none. A call has an end, and those that stay taken between calls
    /// are never all of them, so the wait has one too.
    pub(crate) fn take(&self) -> Slot {
        let places = &self.0;
        let mut free = lock(&places.free);
        if free.places == 0 {
            places.tell("some wait for others");
            free.waiting += 1;
            while free.places == 0 {
                free = places.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
            }
            free.waiting -= 1;
        }
        free.places -= 1;
        Slot(places.clone())
    }

    /// Whether an instance may keep its place until its next call: while no more than half of all are taken,
    /// so that the other half is there for calls.
    pub(crate) fn may_keep(&self) -> bool {
        let taken = self.0.all - lock(&self.0.free).places;
        let may = taken <= self.0.all / 2;
        if !may {
            self.0.tell("`instance = \"reuse\"` is not followed for all");
        }
        may
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut free = lock(&self.0.free);
        free.places += 1;
        if free.waiting > 0 {
            self.0.freed.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_finds_no_place_waits_for_one() {
        let slots = Slots::new(2);
        let (first, second) = (slots.take(), slots.take());
        std::thread::scope(|scope| {
            let third = scope.spawn(|| drop(slots.take()));
            drop(first);
            third.join().unwrap();
        });
        drop(second);
        let free = lock(&slots.0.free);
        assert_eq!((free.places, free.waiting), (2, 0));
    }

    #[test]
    fn half_of_the_places_are_never_kept() {
        for all in 1..6 {
            let slots = Slots::new(all);
            let mut kept = Vec::new();
            while kept.len() < all {
                let slot = slots.take();
                if !slots.may_keep() {
                    break;
                }
                kept.push(slot);
            }
            assert!(kept.len() <= all / 2, "{} of {all}", kept.len());
        }
    }
}
