//! Commands that are told, as a shell takes them.

use super::terminal::is_unseen;

/// A word of a command. Characters that are not seen are spelled, as Bash and Zsh take them.
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-:=@+,".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    if !text.contains(is_unseen) {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let spelled = |c: char| match c {
        '\'' | '\\' => format!("\\{c}"),
        c if is_unseen(c) => format!("\\U{:08X}", u32::from(c)),
        c => c.to_string(),
    };
    format!("$'{}'", text.chars().map(spelled).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_take_them_apart() {
        for plain in ["plugins/shout-2", "/tmp/a_b.toml", "gs://lake/day=1", "a@b:c,d+e"] {
            assert_eq!(shell_word(plain), plain);
        }
        for (text, wanted) in [
            ("", "''"),
            ("my shout", "'my shout'"),
            ("$HOME/a", "'$HOME/a'"),
            ("a;b", "'a;b'"),
            ("~", "'~'"),
            ("a\u{1b}b'\\", r"$'a\U0000001Bb\'\\'"),
            ("it's", r"'it'\''s'"),
            ("Łódź", "'Łódź'"),
        ] {
            assert_eq!(shell_word(text), wanted);
        }
    }
}
