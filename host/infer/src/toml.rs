//! Values as TOML spells them, so that each character of theirs is seen.

use clickmill_core::terminal::{is_unseen, shown};

/// A text. What would be filled in from the environment is not.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if is_unseen(c) => quoted.push_str(&escaped(c)),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted.replace("${", "$${")
}

/// A character by its number, as TOML and shells know it.
fn escaped(c: char) -> String {
    match u32::from(c) {
        number @ ..=0xffff => format!("\\u{number:04X}"),
        number => format!("\\U{number:08X}"),
    }
}

/// A list on one line.
pub(crate) fn inline(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

/// A key: as it is where TOML takes it so.
pub(crate) fn key(text: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !text.is_empty() && text.chars().all(is_bare) {
        return text.to_owned();
    }
    // Keys are not filled in.
    quoted(text).replace("$${", "${")
}

/// What may stand in a comment: one line, and nothing that a terminal or TOML takes amiss.
pub(crate) fn comment(text: &str) -> String {
    const MAX_CHARS: usize = 300;
    // What is shown may have line feeds and tabs.
    let shown = shown(text);
    shown.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_spelled_out_and_stays_what_it_is() {
        let name = "a\u{1b}[2J\u{202e}\u{e0041}\u{9b}b\nc";
        assert_eq!(quoted(name), r#""a\u001B[2J\u202E\U000E0041\u009Bb\nc""#);
        assert_eq!(key("a\u{202e}"), r#""a\u202E""#);
        assert_eq!(comment("a\u{1b}[2J\u{202e}\tb\nc"), r"a\u001b[2J\u202e b c");
    }
}
