//! The one way to standard output and standard error: `println!` and `eprintln!` of this crate come here.
//!
//! A reader that has closed the other end wants no more, which is no error. What a terminal would take for a
//! command is shown escaped, since texts of visitors are printed. `\u001b` stands for itself in JSON, so JSON
//! stays JSON.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::borrow::Cow;
use std::fmt::Arguments;
use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Result, Write, stderr, stdout};
use std::os::fd::AsFd;

use super::exit::Exit;
use clickmill_core::terminal;

macro_rules! println {
    ($($text:tt)*) => { $crate::print::line(format_args!($($text)*)) };
}

macro_rules! eprintln {
    ($($text:tt)*) => { $crate::print::talk(format_args!($($text)*)) };
}

/// Prints a line to standard output. Where that takes no more for another reason than that nobody reads
/// it, the process ends.
pub(super) fn line(text: Arguments<'_>) {
    if let Err(error) = data(&format!("{text}\n")) {
        talk(format_args!("error: cannot write to standard output: {error}"));
        std::process::exit(i32::from(Exit::Environment as u8));
    }
}

/// Prints a line to standard error. Where nobody reads it, there is nobody to tell.
pub(super) fn talk(text: Arguments<'_>) {
    let text = format!("{text}\n");
    let _ = stderr().write_all(shown(&text, stderr().is_terminal()).as_bytes());
}

/// Prints text to standard output.
pub(super) fn data(text: &str) -> Result<()> {
    lines(text).map(|_| ())
}

/// Standard output without escapes, for bytes of which nothing came from outside.
pub(super) fn bytes() -> impl Write {
    stdout().lock()
}

/// Standard output for frames, which programs read: as it is, and at once.
pub(super) fn frames() -> Result<File> {
    Ok(stdout().as_fd().try_clone_to_owned()?.into())
}

/// Prints text to standard output at once. Returns whether it is still read.
pub(super) fn lines(text: &str) -> Result<bool> {
    let mut out = stdout().lock();
    let text = shown(text, out.is_terminal());
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

/// A text as a terminal may have it; as it is where there is none.
fn shown(text: &str, by_terminal: bool) -> Cow<'_, str> {
    if by_terminal { terminal::shown(text) } else { Cow::Borrowed(text) }
}

/// From now on a panic is told like everything else: its text may hold what came from outside.
pub(super) fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        eprintln!("thread '{}' {panic}", thread.name().unwrap_or("<unnamed>"));
        let trace = Backtrace::capture();
        if trace.status() == BacktraceStatus::Captured {
            eprintln!("{trace}");
        } else {
            eprintln!("note: RUST_BACKTRACE=1 shows where it came from");
        }
    }));
}
