//! Text as a terminal may have it: what came from outside is shown, and never obeyed.

use std::borrow::Cow;
use std::fmt::{Arguments, Debug, Write as _};
use std::io::{IsTerminal, Write as _, stderr};

use super::indented;

/// A text without what a terminal takes for a command, and what is not seen or turns the direction of writing: that is
/// shown as `\u001b`, which stands for itself in JSON, so that JSON stays JSON. Line feeds and tabs stay.
pub fn shown(text: &str) -> Cow<'_, str> {
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 64);
    for character in text.chars() {
        if is_escaped(character) {
            // A text takes all that is written to it.
            for unit in character.encode_utf16(&mut [0; 2]) {
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(character);
        }
    }
    Cow::Owned(shown)
}

/// A text as a terminal may have it; as it is where there is none.
pub fn shown_on(is_terminal: bool, text: &str) -> Cow<'_, str> {
    if is_terminal { shown(text) } else { Cow::Borrowed(text) }
}

/// Prints a line to standard error. Where nobody reads it, there is nobody to tell.
pub fn talk(text: Arguments<'_>) {
    let text = format!("{text}\n");
    let _ = stderr().write_all(shown_on(stderr().is_terminal(), &text).as_bytes());
}

/// A text as [`shown`], of which each further line is indented: none of its lines can be taken for one that begins
/// something else, such as a line of the log.
fn shown_within_a_line(text: &str) -> Cow<'_, str> {
    match shown(text) {
        shown if shown.contains('\n') => Cow::Owned(indented(&shown)),
        shown => shown,
    }
}

/// A field of a log line: `name=value`, or the message by itself.
pub fn field(name: &str, value: &dyn Debug) -> String {
    let value = format!("{value:?}");
    let value = shown_within_a_line(&value);
    if name == "message" { value.into_owned() } else { format!("{name}={value}") }
}

/// Whether a character controls a terminal, turns the direction of writing, ends a line, or joins or hides others:
/// these make a text look like another one.
pub fn is_unseen(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        || matches!(c, '\u{e0000}'..='\u{e0fff}')
}

/// Line feeds and tabs are part of texts, and so is what joins letters or the parts of a picture.
fn is_escaped(c: char) -> bool {
    is_unseen(c) && !matches!(c, '\n' | '\t' | '\u{200c}' | '\u{200d}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_takes_for_a_command_is_shown_escaped_and_json_stays_json() {
        let text =
            "a\u{1b}[2J\u{1b}]0;t\u{7}\u{9b}1m\u{7f}\r\n\tb\u{202e}é\u{200b}\u{e0041}👨\u{200d}👩";
        let told = "a\\u001b[2J\\u001b]0;t\\u0007\\u009b1m\\u007f\\u000d\n\tb\\u202eé\\u200b\\udb40\\udc41👨\u{200d}👩";
        assert_eq!(shown(text), told);
        assert!(matches!(shown("plain é\n"), Cow::Borrowed("plain é\n")));
        let json = serde_json::json!({ "agent": "\u{1b}[2J\u{7f}\u{9b}\u{202e}\"\\" });
        let read: serde_json::Value =
            serde_json::from_str(&shown(&json.to_string())).expect("what is shown is JSON");
        assert_eq!(read, json);
    }

    #[test]
    fn no_character_that_is_left_moves_the_cursor_or_turns_a_line() {
        for character in ('\0'..='\u{ffff}').filter(|c| !matches!(c, '\n' | '\t')) {
            let text = character.to_string();
            let left = shown(&text);
            let hides =
                character.is_control() || "\u{202e}\u{2066}\u{200f}\u{2028}".contains(character);
            assert_eq!(
                left.starts_with("\\u"),
                hides || left != text,
                "{:04x}",
                u32::from(character)
            );
        }
    }

    #[test]
    fn a_text_within_a_line_begins_no_other() {
        assert_eq!(shown_within_a_line("a\nERROR b\r"), "a\n    ERROR b\\u000d");
        assert_eq!(shown_within_a_line("a"), "a");
        assert_eq!(field("message", &format_args!("a\n\u{9b}2J")), "a\n    \\u009b2J");
        assert_eq!(field("error", &"a\u{202e}"), "error=\"a\\u{202e}\"");
        assert_eq!(field("error", &format_args!("a\u{202e}")), "error=a\\u202e");
    }
}
