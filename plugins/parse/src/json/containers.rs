//! Where the arrays and objects of a text end, so that no container is read again for what lies beyond it.
//!
//! They are recorded by the pass that checks the grammar, where there will be others, in the order in which they
//! begin. What is not recorded is passed by its grammar once more.

/// Arrays and objects, those that are open among them.
#[derive(Default)]
pub(super) struct Containers {
    entries: Vec<Entry>,
    /// How many are recorded at most.
    most: usize,
    /// The one that is wanted next.
    next: usize,
}

struct Entry {
    start: u32,
    end: u32,
    /// The first that begins after its end; while it is open, the one around it.
    next: u32,
}

/// Around the outermost.
pub(super) const NONE: u32 = u32::MAX;

impl Containers {
    /// Forgets all, and records those of texts of so many bytes: in no more memory than these take.
    pub(super) fn record(&mut self, bytes: usize) {
        self.entries.clear();
        self.most = bytes / size_of::<Entry>();
    }

    /// Records no more.
    pub(super) fn stop(&mut self) {
        self.most = 0;
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Forgets all but the first.
    pub(super) fn truncate(&mut self, len: usize) {
        self.entries.truncate(len);
    }

    /// Opens one within another. Returns its number.
    #[inline]
    pub(super) fn open(&mut self, start: usize, around: u32) -> u32 {
        self.entries.push(Entry { start: start as u32, end: 0, next: around });
        self.entries.len() as u32 - 1
    }

    /// Closes the innermost that is open. Returns the one around it.
    #[inline]
    pub(super) fn close(&mut self, number: u32, end: usize) -> u32 {
        let after = self.entries.len() as u32;
        let Some(entry) = self.entries.get_mut(number as usize) else { return NONE };
        let around = std::mem::replace(&mut entry.next, after);
        entry.end = end as u32;
        if number as usize >= self.most {
            self.entries.pop();
        }
        around
    }

    /// Where one begins.
    #[inline]
    pub(super) fn start(&self, number: u32) -> Option<usize> {
        self.entries.get(number as usize).map(|entry| entry.start as usize)
    }

    /// Where the one ends that begins there: `None` where it is not known.
    #[inline]
    pub(super) fn end(&mut self, start: usize) -> Option<usize> {
        if self.entries.get(self.next).is_none_or(|entry| entry.start as usize != start) {
            self.enter(start);
            self.next = self.next.checked_sub(1)?;
        }
        let entry = self.entries.get(self.next).filter(|entry| entry.start as usize == start)?;
        self.next = entry.next as usize;
        Some(entry.end as usize)
    }

    /// Goes into the one that begins there: what it has is wanted next.
    #[inline]
    pub(super) fn enter(&mut self, start: usize) {
        let begins = |at: usize| {
            let entry = self.entries.get(at);
            entry.is_some_and(|entry| entry.start as usize == start)
        };
        if begins(self.next) {
            self.next += 1;
        } else if !begins(self.next.wrapping_sub(1)) {
            self.search(start);
        }
    }

    #[inline(never)]
    fn search(&mut self, start: usize) {
        // Beyond the last that is recorded nothing is to be found.
        if self.entries.last().is_none_or(|last| (last.start as usize) < start) {
            self.next = self.entries.len();
            return;
        }
        // Mostly it is not far away.
        let begun = |entry: &Entry| entry.start as usize <= start;
        let (mut last, mut step) = (self.entries.len(), 8);
        let first;
        if self.entries.get(self.next).is_some_and(begun) {
            let mut before = self.next + 1;
            while self.entries.get(before + step).is_some_and(begun) {
                before += step;
                step *= 2;
            }
            first = before;
            last = last.min(first + step);
        } else {
            last = last.min(self.next);
            while last > step && !begun(&self.entries[last - step]) {
                last -= step;
                step *= 2;
            }
            first = last.saturating_sub(step);
        }
        self.next = first + self.entries[first..last].partition_point(begun);
    }

    /// The place among them, to come back to.
    #[inline]
    pub(super) fn place(&self) -> usize {
        self.next
    }

    /// Comes back to a place.
    #[inline]
    pub(super) fn go_to(&mut self, place: usize) {
        self.next = place;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::super::cursor::Cursor;
    use super::Containers;

    /// Where the arrays of a text begin and end.
    fn arrays(text: &str) -> BTreeMap<usize, usize> {
        let (mut open, mut all) = (Vec::new(), BTreeMap::new());
        for (at, byte) in text.bytes().enumerate() {
            match byte {
                b'[' => open.push(at),
                b']' => drop(all.insert(open.pop().expect("it was opened"), at + 1)),
                _ => {}
            }
        }
        all
    }

    fn array() -> impl Strategy<Value = String> {
        let leaf = Just("7".to_owned());
        leaf.prop_recursive(6, 60, 5, |inner| {
            prop::collection::vec(inner, 0..5).prop_map(|parts| format!("[{}]", parts.join(", ")))
        })
    }

    proptest! {
        #[test]
        fn each_is_found_in_any_order_and_no_other(
            texts in prop::collection::vec(array(), 1..20),
            bytes in prop_oneof![Just(1 << 20), 0..600_usize],
            order in prop::collection::vec(any::<prop::sample::Index>(), 1..200),
            enters in any::<bool>(),
        ) {
            let text = texts.join(" ");
            let mut containers = Containers::default();
            containers.record(bytes);
            let mut cursor = Cursor::new(text.as_bytes(), 0..text.len());
            while cursor.at < text.len() {
                cursor.value(0, u32::MAX, &mut containers).expect("it is JSON");
                cursor.white_space();
            }
            containers.stop();
            let arrays = arrays(&text);
            let most = bytes / size_of::<super::Entry>();
            prop_assert_eq!(containers.len(), arrays.len().min(most));
            let recorded: BTreeMap<usize, usize> = arrays.into_iter().take(most).collect();
            for at in (0..text.len()).chain(order.iter().map(|at| at.index(text.len()))) {
                prop_assert_eq!(containers.end(at), recorded.get(&at).copied(), "{} in {}", at, text);
                if enters {
                    containers.enter(at);
                }
            }
        }
    }
}
