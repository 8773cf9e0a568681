//! Raw and byte literals, which the tokenizer ends at the first quotation mark. In GoogleSQL a backslash takes the mark
//! behind it along (lexical.md): `r'\''` is a backslash and a mark. So one that has a mark behind a backslash is written
//! anew, with escapes, before the tokenizer sees it; and so is one of raw bytes, which the tokenizer does not know.

use std::borrow::Cow;

/// What a literal stands between, or a name; the longer ones first.
const MARKS: [&str; 5] = ["'''", "\"\"\"", "'", "\"", "`"];

/// The text with its literals as the tokenizer reads them.
pub(super) fn readable(sql: &str) -> Cow<'_, str> {
    let (mut written, mut kept, mut at) = (String::new(), 0, 0);
    while at < sql.len() {
        let rest = &sql[at..];
        let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let (word, behind) =
            rest.split_at(rest.bytes().take_while(|byte| is_of_word(byte)).count());
        let Some(mark) = MARKS.into_iter().find(|mark| behind.starts_with(mark)) else {
            at += if word.is_empty() { passed(rest) } else { word.len() };
            continue;
        };
        // One without end is left to the tokenizer.
        let Some(length) = length(behind, mark) else { break };
        let end = at + word.len() + length;
        let content = &behind[mark.len()..length - mark.len()];
        if let Some(anew) = anew(word, content, mark) {
            written.push_str(&sql[kept..at]);
            written.push_str(&anew);
            kept = end;
        }
        at = end;
    }
    if kept == 0 {
        return Cow::Borrowed(sql);
    }
    written.push_str(&sql[kept..]);
    Cow::Owned(written)
}

/// How many bytes of a text are a comment, or else a character.
fn passed(text: &str) -> usize {
    let length = if let Some(comment) = text.strip_prefix("/*") {
        comment.find("*/").map(|end| end + 4)
    } else if text.starts_with("--") || text.starts_with('#') {
        text.find('\n')
    } else {
        text.chars().next().map(char::len_utf8)
    };
    length.unwrap_or(text.len())
}

/// How many bytes of a text a literal has that it begins with.
fn length(text: &str, mark: &str) -> Option<usize> {
    let mut at = mark.len();
    while !text[at..].starts_with(mark) {
        let mut rest = text[at..].chars();
        let character = rest.next()?;
        at += character.len_utf8();
        if character == '\\' {
            at += rest.next()?.len_utf8();
        }
    }
    Some(at + mark.len())
}

/// A raw or byte literal with escapes; `None` where it may stay as it is.
fn anew(prefix: &str, content: &str, mark: &str) -> Option<String> {
    let (is_raw, opens) = match prefix.to_ascii_lowercase().as_str() {
        "r" => (true, ""),
        "b" => (false, "b"),
        "rb" | "br" => (true, "b"),
        _ => return None,
    };
    if prefix.len() == 1 && !content.contains("\\'") && !content.contains("\\\"") {
        return None;
    }
    let mut anew = format!("{opens}{mark}");
    let mut escapes = false;
    for character in content.chars() {
        match character {
            // The backslash before it, if any, is not written: where it escapes, it is of the mark.
            '\'' => anew.push_str("\\x27"),
            '"' => anew.push_str("\\x22"),
            '\\' if is_raw => anew.push_str("\\\\"),
            '\\' if !escapes => {
                escapes = true;
                continue;
            }
            other => {
                if escapes {
                    anew.push('\\');
                }
                anew.push(other);
            }
        }
        escapes = false;
    }
    Some(anew + mark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_with_a_mark_behind_a_backslash_is_written_with_escapes() {
        for (sql, wanted) in [
            (r"r'\''", r"'\\\x27'"),
            (r"SELECT R'a\'b', 1", r"SELECT 'a\\\x27b', 1"),
            (r#"r"\"" || r'\d\''"#, r#""\\\x22" || '\\d\\\x27'"#),
            (r#"r'''a'\'"'''"#, r#"'''a\x27\\\x27\x22'''"#),
            (r"b'\'\n\\'", r"b'\x27\n\\'"),
            (r#"b'\\"\''"#, r#"b'\\\x22\x27'"#),
            (r"rb'\d'", r"b'\\d'"),
            (r"bR'''\''''", r"b'''\\\x27'''"),
            ("-- r'\\''\nr'\\''", "-- r'\\''\n'\\\\\\x27'"),
        ] {
            assert_eq!(readable(sql), wanted, "{sql}");
        }
    }

    #[test]
    fn all_else_stays() {
        for sql in [
            "",
            r"r'\d' b'\n' 'it\'s'",
            r"'r\'' xr'\'' `r'\``",
            r"# r'\''",
            r"/* r'\'' */ 'é'",
            r"r'\'",
            r"DATE'2026-01-01'",
            "'''a'b'''",
        ] {
            assert!(matches!(readable(sql), Cow::Borrowed(_)), "{sql}");
        }
    }
}
