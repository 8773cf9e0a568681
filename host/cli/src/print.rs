//! The one way to standard output and standard error: `println!` and `eprintln!` of this crate come here.
//!
//! A reader that has closed the other end wants no more, which is no error. What a terminal would take for a
//! command is shown escaped, since texts of visitors are printed. `\u001b` stands for itself in JSON, so JSON
//! stays JSON.

use std::fmt::Arguments;
use std::fs::File;
use std::io::{ErrorKind, IsTerminal, Result, Write, stdout};
use std::os::fd::AsFd;

use super::exit::Exit;
use clickmill_core::terminal::{shown_on, talk};

macro_rules! println {
    ($($text:tt)*) => { $crate::print::line(format_args!($($text)*)) };
}

macro_rules! eprintln {
    ($($text:tt)*) => { clickmill_core::terminal::talk(format_args!($($text)*)) };
}

/// Prints a line to standard output. Where that takes no more for another reason than that nobody reads
/// it, the process ends.
pub(super) fn line(text: Arguments<'_>) {
    if let Err(error) = data(&format!("{text}\n")) {
        talk(format_args!("error: cannot write to standard output: {error}"));
        std::process::exit(i32::from(Exit::Environment as u8));
    }
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
    let text = shown_on(out.is_terminal(), text);
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}
