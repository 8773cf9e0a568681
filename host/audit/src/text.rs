//! Texts that come from outside, as an entry may hold them.

use clickmill_core::terminal::is_unseen;

use super::Event;

/// The most bytes of a text of an event: about a thousand ids of letters.
pub const MAX_TEXT_BYTES: usize = 64 << 10;
/// The most bytes of an actor's name.
pub const MAX_NAME_BYTES: usize = 200;

/// A text as one line that reads as it is: what would end the line, turn the direction of writing or be
/// taken for a command by a terminal, or is not seen at all, is a blank. Cut to so many bytes, and then it
/// ends in `…`.
pub fn one_line(text: &str, max_bytes: usize) -> String {
    // Of ten megabytes no more is looked at than is kept.
    let kept = cut(text, max_bytes);
    let line: String = kept.chars().map(|c| if is_unseen(c) { ' ' } else { c }).collect();
    let line = line.trim();
    if kept.len() < text.len() {
        format!("{}…", cut(line, max_bytes - '…'.len_utf8()))
    } else {
        line.to_owned()
    }
}

/// Cuts what is too long.
pub(super) fn fit(event: Event) -> Event {
    let fit = |mut text: String| {
        if text.len() > MAX_TEXT_BYTES {
            text.truncate(cut(&text, MAX_TEXT_BYTES - '…'.len_utf8()).len());
            text.push('…');
        }
        text
    };
    Event {
        actor: one_line(&event.actor, MAX_NAME_BYTES),
        subject: fit(event.subject),
        old_plugin_set: event.old_plugin_set.map(fit),
        new_plugin_set: event.new_plugin_set.map(fit),
        detail: fit(event.detail),
        ..event
    }
}

/// The beginning of a text, in whole characters.
fn cut(text: &str, max_bytes: usize) -> &str {
    &text[..text.floor_char_boundary(max_bytes)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_reads_as_it_is() {
        for (text, line) in [
            ("ada@web-1", "ada@web-1"),
            (" Ada Łoś \n", "Ada Łoś"),
            ("ada\n{\"actor\":\"eve\"}", "ada {\"actor\":\"eve\"}"),
            ("ada\u{1b}]52;c;ZXZpbA==\u{7}", "ada ]52;c;ZXZpbA=="),
            ("a\u{9b}31mb", "a 31mb"),
            ("a\u{2028}b\u{85}c", "a b c"),
            ("ada\u{202e}live\u{2066}\u{200b}", "ada live"),
            ("a\u{e0041}b", "a b"),
            ("", ""),
            ("\u{200d}\t", ""),
        ] {
            assert_eq!(one_line(text, 200), line, "{text:?}");
        }
        let long = one_line(&"é".repeat(5 << 20), 200);
        assert!(long.len() <= 200 && long.ends_with("é…"), "{long}");
        assert_eq!(one_line(&"e".repeat(200), 200).len(), 200);
    }
}
