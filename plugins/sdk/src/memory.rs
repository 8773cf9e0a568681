//! The memory of a component. A call begins with an empty one, and it is thrown away after it.
//!
//! A component begins with room for what most calls need, and what is made lies in it, one behind the other: to
//! free costs nothing, and only what was made last makes place again. Memory that is there from the beginning
//! need not grow, and each growth, and each shrinking after a call, is work of the host's kernel for every page.
//! Where the room is full, all else is the [`System`]'s, which is made to grow in large steps.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::{Cell, UnsafeCell};
use std::ptr;

/// The size of the room: what the columns of some thousand rows take.
const ROOM: usize = 8 << 20;
/// What the system has of its own at first, and what it is made to keep at most.
const RESERVED: std::ops::Range<usize> = 4 << 20..16 << 20;
/// What is shorter is not counted.
const LARGE: usize = 4096;

/// The room: aligned for whatever lies in it.
#[repr(align(16))]
struct Room(UnsafeCell<[u8; ROOM]>);

/// The allocator.
pub(crate) struct Memory {
    room: Room,
    /// Bytes of the room that are taken.
    taken: Cell<usize>,
    /// Bytes of it that were given back, at most: those behind them were never written, and are zero.
    written: Cell<usize>,
    /// Bytes of what is large and the system's.
    large: Cell<usize>,
    /// Bytes that the system was made to keep.
    reserved: Cell<usize>,
}

// SAFETY: a component has one thread.
#[cfg(target_family = "wasm")]
unsafe impl Sync for Memory {}

impl Memory {
    #[cfg(not(test))]
    pub(crate) const fn new() -> Self {
        Self {
            room: Room(UnsafeCell::new([0; ROOM])),
            taken: Cell::new(0),
            written: Cell::new(0),
            large: Cell::new(0),
            reserved: Cell::new(0),
        }
    }

    fn base(&self) -> *mut u8 {
        self.room.0.get().cast()
    }

    /// Where in the room something lies, if it does.
    #[inline]
    fn place(&self, at: *mut u8) -> Option<usize> {
        let place = at.addr().wrapping_sub(self.base().addr());
        (place < ROOM).then_some(place)
    }

    /// Takes room, if there is any.
    #[inline]
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        if layout.align() > align_of::<Room>() {
            return None;
        }
        // Alignments are powers of two, so no division is needed.
        let place = (self.taken.get() + layout.align() - 1) & !(layout.align() - 1);
        // No layout is longer than half of all addresses, so this is no more than all of them.
        let end = place + layout.size();
        if end > ROOM {
            return None;
        }
        self.taken.set(end);
        Some(self.base().wrapping_add(place))
    }

    /// Gives back what lies behind a place.
    #[inline]
    fn give_back(&self, place: usize) {
        self.written.set(self.written.get().max(self.taken.get()));
        self.taken.set(place);
    }

    /// Counts what is large and the system's, and has the system keep memory for more of it.
    #[cold]
    fn count(&self, before: usize, after: usize) {
        let large = |size: usize| if size < LARGE { 0 } else { size };
        let sum = (self.large.get() + large(after)).saturating_sub(large(before));
        self.large.set(sum);
        let reserved = self.reserved.get();
        if sum > reserved && reserved < RESERVED.end {
            // As much again as there is.
            let more = reserved.max(RESERVED.start);
            self.reserved.set(reserved + more);
            if let Ok(layout) = Layout::from_size_align(more, 16) {
                // SAFETY: it has a size, and is freed as it was made.
                unsafe {
                    let kept = System.alloc(layout);
                    if !kept.is_null() {
                        System.dealloc(kept, layout);
                    }
                }
            }
        }
    }
}

// SAFETY: what is given out of the room does not overlap, since `taken` only falls by what was given out last,
// once that is freed; all else is the system's. Nothing of the system's lies in the room, which is a static.
unsafe impl GlobalAlloc for Memory {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.take(layout).unwrap_or_else(|| {
            self.count(0, layout.size());
            // SAFETY: as the caller promises.
            unsafe { System.alloc(layout) }
        })
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match self.take(layout) {
            Some(at) => {
                let place = at.addr() - self.base().addr();
                let before = self.written.get().saturating_sub(place).min(layout.size());
                // SAFETY: more bytes were taken.
                unsafe { ptr::write_bytes(at, 0, before) };
                at
            }
            None => {
                self.count(0, layout.size());
                // SAFETY: as the caller promises.
                unsafe { System.alloc_zeroed(layout) }
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        match self.place(at) {
            Some(place) => {
                if place + layout.size() == self.taken.get() {
                    self.give_back(place);
                }
            }
            None => {
                self.count(layout.size(), 0);
                // SAFETY: it does not lie in the room, so it is the system's.
                unsafe { System.dealloc(at, layout) }
            }
        }
    }

    #[inline]
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(place) = self.place(at) else {
            self.count(layout.size(), size);
            // SAFETY: it does not lie in the room, so it is the system's.
            return unsafe { System.realloc(at, layout, size) };
        };
        let is_last = place + layout.size() == self.taken.get();
        if size <= layout.size() || is_last && size <= ROOM - place {
            if is_last {
                self.give_back(place + size);
            }
            return at;
        }
        // SAFETY: both have so many bytes, and are not the same; the caller promises that `size` is a size.
        unsafe {
            let to = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !to.is_null() {
                ptr::copy_nonoverlapping(at, to, layout.size());
                self.dealloc(at, layout);
            }
            to
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Its room is too long for a stack.
    fn memory() -> Box<Memory> {
        let layout = Layout::new::<Memory>();
        // SAFETY: all zeros are an empty memory.
        unsafe { Box::from_raw(std::alloc::alloc_zeroed(layout).cast()) }
    }

    /// What is written somewhere, to be found there again.
    struct Piece {
        at: *mut u8,
        layout: Layout,
        mark: u8,
    }

    impl Piece {
        fn new(memory: &Memory, size: usize, align: usize, mark: u8) -> Self {
            let layout = Layout::from_size_align(size, align).expect("a layout");
            // SAFETY: it has a size, of which so many bytes are written.
            let at = unsafe {
                let at = memory.alloc(layout);
                at.write_bytes(mark, size);
                at
            };
            assert_eq!(at.addr() % align, 0);
            Self { at, layout, mark }
        }

        fn holds(&self) -> bool {
            // SAFETY: so many bytes were written.
            let bytes = unsafe { std::slice::from_raw_parts(self.at, self.layout.size()) };
            bytes.iter().all(|byte| *byte == self.mark)
        }

        fn resize(&mut self, memory: &Memory, size: usize) {
            let before = self.layout.size();
            // SAFETY: it was made by this memory; what is new is written.
            unsafe {
                self.at = memory.realloc(self.at, self.layout, size);
                if size > before {
                    self.at.add(before).write_bytes(self.mark, size - before);
                }
            }
            self.layout = Layout::from_size_align(size, self.layout.align()).expect("a layout");
        }

        fn free(self, memory: &Memory) {
            // SAFETY: it was made by this memory, and is not used after this.
            unsafe { memory.dealloc(self.at, self.layout) }
        }
    }

    #[test]
    fn whatever_is_made_resized_and_freed_keeps_what_is_written() {
        let memory = memory();
        let mut pieces: Vec<Piece> = Vec::new();
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            ((seed >> 33) % below) as usize
        };
        for step in 0..3_000_u32 {
            let most = [1, 16, 200, LARGE, 70_000, ROOM / 8][random(6)];
            let size = 1 + random(most as u64);
            match random(3) {
                0 if !pieces.is_empty() => {
                    let piece = pieces.swap_remove(random(pieces.len() as u64));
                    assert!(piece.holds(), "{step}");
                    piece.free(&memory);
                }
                1 if !pieces.is_empty() => {
                    let at = random(pieces.len() as u64);
                    pieces[at].resize(&memory, size);
                    assert!(pieces[at].holds(), "{step}");
                }
                _ if pieces.len() < 200 => {
                    pieces.push(Piece::new(&memory, size, 1 << random(6), step as u8));
                }
                _ => {}
            }
        }
        assert!(pieces.iter().all(Piece::holds));
        pieces.into_iter().for_each(|piece| piece.free(&memory));
        assert_eq!(memory.large.get(), 0);
    }

    #[test]
    fn what_was_made_last_grows_where_it_is_and_makes_place() {
        let memory = memory();
        let first = Piece::new(&memory, 96, 8, 1);
        let mut last = Piece::new(&memory, 100, 8, 2);
        let at = last.at;
        last.resize(&memory, 900);
        assert_eq!(last.at, at);
        last.free(&memory);
        let again = Piece::new(&memory, 50, 8, 3);
        assert_eq!(again.at, at);
        assert!(first.holds());
        [again, first].into_iter().for_each(|piece| piece.free(&memory));
        assert_eq!(memory.taken.get(), 0);
    }

    #[test]
    fn what_finds_no_room_is_the_systems() {
        let memory = memory();
        let many: Vec<Piece> = (0..5).map(|at| Piece::new(&memory, ROOM / 4, 1, at)).collect();
        assert!(memory.place(many[3].at).is_some());
        assert!(memory.place(many[4].at).is_none());
        assert!(many.iter().all(Piece::holds));
        many.into_iter().for_each(|piece| piece.free(&memory));
        assert_eq!(memory.large.get(), 0);
    }

    #[test]
    fn what_is_reserved_has_an_end() {
        let full = || {
            let full = memory();
            full.taken.set(ROOM);
            full
        };
        let memory = full();
        let large: Vec<Piece> = (0..40).map(|at| Piece::new(&memory, 1 << 20, 8, at)).collect();
        assert_eq!(memory.reserved.get(), RESERVED.end);
        assert_eq!(memory.large.get(), 40 << 20);
        large.into_iter().for_each(|piece| piece.free(&memory));
        // What is freed again and again counts once.
        let memory = full();
        for _ in 0..100 {
            Piece::new(&memory, 1 << 20, 8, 0).free(&memory);
        }
        assert_eq!(memory.reserved.get(), RESERVED.start);
    }

    #[test]
    fn zeroed_memory_is_zero_where_others_wrote_before() {
        let memory = memory();
        Piece::new(&memory, 512, 8, 0xff).free(&memory);
        let layout = Layout::from_size_align(512, 8).expect("a layout");
        // SAFETY: it has a size.
        let at = unsafe { memory.alloc_zeroed(layout) };
        let piece = Piece { at, layout, mark: 0 };
        assert!(memory.place(at) == Some(0) && piece.holds());
        // Part of it was written before.
        let layout = Layout::from_size_align(2048, 8).expect("a layout");
        piece.free(&memory);
        // SAFETY: it has a size.
        let at = unsafe { memory.alloc_zeroed(layout) };
        let piece = Piece { at, layout, mark: 0 };
        assert!(memory.place(at) == Some(0) && piece.holds());
        piece.free(&memory);
    }
}
