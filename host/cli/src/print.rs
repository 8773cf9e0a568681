//! The one way to standard output and standard error: `println!` and `eprintln!` of this crate come here.
//!
//! Whoever has closed the other end wants no more, which is no error. What a terminal would take for a
//! command is shown escaped: texts of visitors are among what is printed. `\u001b` stands for itself in
//! JSON, so what is printed as JSON stays JSON.

use std::borrow::Cow;
use std::fmt::Arguments;
use std::io::{ErrorKind, IsTerminal, Result, Write, stderr, stdout};

use super::exit::Exit;

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

/// Prints text to standard output at once; whether somebody still reads it.
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
    // Those that turn the direction of writing make a line look like another one.
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let escaped = |c: char| (c.is_control() && c != '\n' && c != '\t') || turns(c);
    if !by_terminal || !text.contains(escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 64);
    for character in text.chars() {
        if escaped(character) {
            shown.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::shown;

    #[test]
    fn what_a_terminal_takes_for_a_command_is_shown_escaped_and_json_stays_json() {
        let text = "a\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}1m\u{7f}\r\n\tb\u{202e}é";
        assert_eq!(shown(text, false), text);
        let told = "a\\u001b[2J\\u001b]0;t\\u0007\\u009b1m\\u007f\\u000d\n\tb\\u202eé";
        assert_eq!(shown(text, true), told);
        assert_eq!(shown("plain é\n", true), "plain é\n");
        let json = serde_json::json!({ "agent": "\u{1b}[2J\u{7f}\u{9b}\u{202e}\"\\" });
        let read: serde_json::Value =
            serde_json::from_str(&shown(&json.to_string(), true)).expect("what is shown is JSON");
        assert_eq!(read, json);
    }
}
