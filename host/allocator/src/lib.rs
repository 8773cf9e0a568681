//! The allocator of the executables: mimalloc, also where nothing is asked of this crate but to be there.
//!
//! Column buffers of a megabyte come and go with every batch. The C library's allocator gives them back to the kernel
//! each time and pays for page faults (measured: up to 2.4 times slower).

use std::ffi::c_long;

use libmimalloc_sys::{mi_option_set_default, mi_option_t};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Its number in mimalloc's `mi_option_e`, of both its versions; the crate names some options and not this one.
const PURGE_DELAY: mi_option_t = 15;
/// Regions wait ten times as long (`arena_purge_mult`).
const PURGE_DELAY_MS: c_long = 10;

/// Has what is freed go back to the kernel after a tenth of a second, not after ten: a sixth less at the peak of a
/// large file, for 3 % of processor time (`host/benches/README.md`). What `MIMALLOC_PURGE_DELAY` says counts before.
pub fn give_back_soon() {
    #[expect(unsafe_code, reason = "the option has no other door")]
    // SAFETY: it stores a number, and takes any option: one that is none is passed over.
    unsafe {
        mi_option_set_default(PURGE_DELAY, PURGE_DELAY_MS);
    }
}

/// Has the process given no huge pages: the allocator asks for them, and each is cleared as a whole for the first byte
/// that is wanted of it, which is a third more memory, and no less time (`host/benches/README.md`).
pub fn take_no_huge_pages() {
    // That it can't be had is no reason not to start.
    #[cfg(target_os = "linux")]
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_freed_goes_back_soon() {
        #[expect(unsafe_code, reason = "the option has no other door")]
        // SAFETY: it reads a number.
        let delay = || unsafe { libmimalloc_sys::mi_option_get(PURGE_DELAY) };
        assert!(delay() > PURGE_DELAY_MS, "mimalloc's own is {}", delay());
        give_back_soon();
        assert_eq!(delay(), PURGE_DELAY_MS);
    }
}
