//! Panics: told like everything else, and of those that are none of ours, which kind they are.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::terminal::talk;

/// What to do where the system gives no more threads.
pub const NO_THREADS: &str = "the system gives this process no more threads: raise its limit of them, `ulimit -u` or a \
     container's limit of processes";

/// How the texts begin with which the standard library, tokio and our own code panic where they get no thread: no
/// more than a text is to be had of that.
const NO_THREAD: [&str; 3] =
    ["failed to spawn thread", "OS can't spawn worker thread", "the system has room for a thread"];

static LACKED_THREADS: AtomicBool = AtomicBool::new(false);

thread_local! {
    static IS_TELLING: Cell<bool> = const { Cell::new(false) };
    static IS_ANSWERED: Cell<bool> = const { Cell::new(false) };
}

/// From now on a panic is told like everything else: its text may hold what came from outside.
pub fn tell() {
    std::panic::set_hook(Box::new(|panic| {
        let text = panic.payload_as_str().unwrap_or_default();
        if NO_THREAD.iter().any(|beginning| text.starts_with(beginning)) {
            LACKED_THREADS.store(true, Ordering::Relaxed);
        }
        if IS_ANSWERED.get() {
            return;
        }
        let thread = thread::current();
        talk(format_args!("thread '{}' {panic}", thread.name().unwrap_or("<unnamed>")));
        // Where there is no memory for a trace, the panic that says so must not wait for the one that it is in.
        if IS_TELLING.replace(true) {
            return;
        }
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            talk(format_args!("{trace}"));
        } else {
            talk(format_args!("note: RUST_BACKTRACE=1 shows where it came from"));
        }
        IS_TELLING.set(false);
    }));
}

/// Runs something that may panic by what is wrong with what came from outside; `None` where it does. Whoever calls this
/// says what is wrong: of the panic nothing is told.
pub fn answered<T>(run: impl FnOnce() -> T) -> Option<T> {
    let outside = IS_ANSWERED.replace(true);
    let done = catch_unwind(AssertUnwindSafe(run));
    IS_ANSWERED.set(outside);
    done.ok()
}

/// Whether a thread panicked since the system gave no more of them.
pub fn lacked_threads() -> bool {
    LACKED_THREADS.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_answered_in_its_place_and_nowhere_else() {
        assert_eq!(answered(|| 1), Some(1));
        assert_eq!(answered(|| -> u8 { panic!("such bytes") }), None);
        assert!(!IS_ANSWERED.get());
        // One within another ends only itself.
        let within = || (answered(|| -> u8 { panic!("such bytes") }), IS_ANSWERED.get());
        assert_eq!(answered(within), Some((None, true)));
    }
}
