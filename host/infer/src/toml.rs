//! Values as TOML spells them.

/// A text. What would be filled in from the environment is not.
pub fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() => quoted.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted.replace("${", "$${")
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
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(MAX_CHARS).collect()
}
