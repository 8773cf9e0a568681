//! Lines for the operator's log: to the host in a component, to standard error in a native test.

use std::cell::RefCell;

use crate::bindings::clickmill::plugin::log::Level;

thread_local! {
    /// The lines of a native test on this thread, which it may look at.
    pub(crate) static LINES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// For the plugin's author.
pub fn debug(message: &str) {
    write(Level::Debug, message);
}

/// Worth knowing.
pub fn info(message: &str) {
    write(Level::Info, message);
}

/// Something is odd, the plugin goes on.
pub fn warn(message: &str) {
    write(Level::Warn, message);
}

/// Something failed.
pub fn error(message: &str) {
    write(Level::Error, message);
}

/// Says that so many values of a column that this plugin writes, by its path, could not be read and are null
/// instead. The host counts them by stage and column: they are in the summary of a run and in its metrics. At
/// most as many as the column has values.
pub fn unreadable(column: &str, values: usize) {
    count_unreadable(column, values as u32);
}

#[cfg(target_family = "wasm")]
fn write(level: Level, message: &str) {
    crate::bindings::clickmill::plugin::log::write(level, message);
}

#[cfg(target_family = "wasm")]
fn count_unreadable(column: &str, values: u32) {
    crate::bindings::clickmill::plugin::log::unreadable(column, values);
}

#[cfg(not(target_family = "wasm"))]
fn count_unreadable(column: &str, values: u32) {
    LINES.with_borrow_mut(|lines| lines.push(format!("unreadable: {values} {column}")));
}

#[cfg(not(target_family = "wasm"))]
fn write(level: Level, message: &str) {
    let word = match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    };
    let line = format!("{word}: {message}");
    eprintln!("{line}");
    LINES.with_borrow_mut(|lines| lines.push(line));
}
