//! What programs write between a sign and the quote of a text: `Some("…")`, `b'…'`, `new String("…")`,
//! `string(6) "…"`, `str = "…"`; and before one without quotes, `<b>…` and `<…>`. Without looking behind it,
//! `Some(` would be taken for the value.

use super::assigned::COLOUR;
use super::view::View;

/// As many of them as are written in each other, and one more: `Ok(Some(String::from("…")))`.
const MAX_DEPTH: usize = 6;

/// Longer than any name of a type, with that of its namespace.
const MAX_WORD: usize = 40;

/// More spaces than are between two of them, with the indentation of a line.
const MAX_SPACES: usize = 16;

/// What tells how a text is written, right before its quote.
const PREFIXES: &[&[u8]] = &[
    b"b", b"br", b"c", b"cr", b"e", b"f", b"fr", b"l", b"n", b"q", b"r", b"rb", b"rf", b"s", b"u",
    b"u8", b"ub", b"ur", b"x",
];

/// The last words of what holds a text, be there a parenthesis behind it or not (`Just "…"`).
const WORDS: &[&[u8]] = &[
    b"arc",
    b"box",
    b"bytearray",
    b"bytes",
    b"bytestring",
    b"encode",
    b"format",
    b"from",
    b"just",
    b"key",
    b"left",
    b"new",
    b"nonnull",
    b"nullstring",
    b"of",
    b"ok",
    b"option",
    b"optional",
    b"pack",
    b"passphrase",
    b"passwd",
    b"password",
    b"present",
    b"ptr",
    b"pwd",
    b"quote",
    b"rc",
    b"redacted",
    b"repr",
    b"right",
    b"secret",
    b"secretstr",
    b"secretstring",
    b"sensitive",
    b"some",
    b"sprintf",
    b"str",
    b"string",
    b"stringvalue",
    b"success",
    b"symbol",
    b"text",
    b"to_s",
    b"to_string",
    b"tostring",
    b"token",
    b"unicode",
    b"value",
];

/// The first words of types that stand before another sign: `password: string = "…"`.
const TYPES: &[&[u8]] = &[
    b"any",
    b"anystr",
    b"byte",
    b"bytes",
    b"char",
    b"const",
    b"final",
    b"nchar",
    b"nsstring",
    b"nvarchar",
    b"object",
    b"option",
    b"optional",
    b"secretstr",
    b"secretstring",
    b"static",
    b"std",
    b"str",
    b"string",
    b"text",
    b"varchar",
    b"varchar2",
];

/// How the names of functions begin that have a digit in them: another such word is of the value.
const HASHES: &[&[u8]] = &[b"md", b"sha", b"base", b"b64", b"argon", b"pbkdf", b"blake", b"utf"];

/// Where the quote is of the text that begins at `start`, behind what is written before it: `None` where there
/// is no such text. What is called may have any name where `any_call` says so.
pub(super) fn quote(view: View<'_>, start: usize, any_call: bool) -> Option<usize> {
    let text = view.bytes();
    let mut at = start;
    for depth in 0..MAX_DEPTH {
        let rest = text.get(at..)?;
        at += match rest {
            [b'"', b'"', b'"', ..] | [b'\'', b'\'', b'\'', ..] => return Some(at + 2),
            [b'"' | b'\'', ..] => return Some(at),
            [b'(', ..] => 1,
            [b'<', b'<', b'"', ..] => 2,
            // An object has keys in its quotes, and a list may be of more than one.
            [b'[' | b'{', ..] if depth > 0 => 1,
            // A list of bytes, as Go has it: `[]byte("…")`.
            [b'[', b']', ..] => 2,
            [b'[', ..] => 1 + label(&rest[1..], b":")?,
            [b'&', ..] if rest.starts_with(b"&'static ") => b"&'static ".len(),
            [b'@' | b'$' | b'&' | b'*' | b'#' | b'~' | b'!', ..] => 1,
            _ => word(rest, any_call)?,
        };
        if matches!(text.get(at - 1), Some(b'(' | b'[' | b'{')) {
            at += spaces(&text[at..]);
        }
    }
    None
}

/// How much of this text is a word before a quote, with what is between them.
fn word(text: &[u8], any_call: bool) -> Option<usize> {
    let is_of_it = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'\\');
    let length = text.iter().take(MAX_WORD).take_while(is_of_it).count();
    let (word, rest) = text.split_at(length);
    if !word.first()?.is_ascii_alphabetic() && word.first() != Some(&b'_') {
        return None;
    }
    if matches!(rest, [b'"' | b'\'', ..] | [b'@' | b'$', b'"', ..]) {
        return is_one_of(word, PREFIXES).then_some(length);
    }
    // `r#"…"#`
    let hashes = rest.iter().take(4).take_while(|b| **b == b'#').count();
    if hashes > 0 && rest.get(hashes) == Some(&b'"') {
        return is_one_of(word, PREFIXES).then_some(length + hashes);
    }
    // Most words are all of the value.
    if !matches!(rest, [b'(' | b'[' | b'{' | b'<' | b' ' | b'\t' | b'+' | b'?' | b'=' | b'*', ..]) {
        return None;
    }
    if let Some(sign) = type_length(text) {
        return Some(sign);
    }
    let last = word.rsplit(|b| matches!(b, b'.' | b':' | b'\\')).next()?;
    let is_known = is_one_of(last, WORDS);
    let is_hash =
        |begin: &&[u8]| last.get(..begin.len()).is_some_and(|b| b.eq_ignore_ascii_case(begin));
    let any_call = any_call && (!last.iter().any(u8::is_ascii_digit) || HASHES.iter().any(is_hash));
    let generic = generic(rest);
    match &rest[generic..] {
        [open @ (b'(' | b'[' | b'{'), inner @ ..] if is_known || any_call => {
            // `string(6) "…"`
            let digits = inner.iter().take(8).take_while(|b| b.is_ascii_digit()).count();
            if *open == b'(' && digits > 0 && inner.get(digits) == Some(&b')') {
                return Some(length + generic + digits + 2 + spaces(&inner[digits + 1..]));
            }
            let label = label(inner, b":=").unwrap_or(0);
            Some(length + generic + 1 + label)
        }
        [b' ', b'{', inner @ ..] if is_known => Some(length + generic + 2 + label(inner, b":=")?),
        [b' ' | b'\t' | b'+', ..] if is_known => Some(length + generic + spaces(&rest[generic..])),
        _ => None,
    }
}

/// How long the name is of what a text begins with, with its sign and spaces: `String: `, ` value=`.
fn label(text: &[u8], signs: &[u8]) -> Option<usize> {
    let start = spaces(text);
    let is_of_it = |b: &&u8| b.is_ascii_alphanumeric() || **b == b'_';
    let length = text[start..].iter().take(MAX_WORD).take_while(is_of_it).count();
    let mut end = start + length;
    end += spaces(&text[end..]);
    let sign = text.get(end).filter(|b| length > 0 && signs.contains(b))?;
    let is_arrow = *sign == b'=' && text.get(end + 1) == Some(&b'>');
    end += if is_arrow { 2 } else { 1 };
    Some(end + spaces(&text[end..]))
}

/// How much of this text is a type and the sign behind it: `string | null = `.
fn type_length(text: &[u8]) -> Option<usize> {
    let first = text.iter().take(MAX_WORD).take_while(|b| b.is_ascii_alphanumeric()).count();
    if !is_one_of(&text[..first], TYPES) {
        return None;
    }
    let is_of_it = |b: &&u8| {
        b.is_ascii_alphanumeric()
            || matches!(
                b,
                b'_' | b'.' | b':' | b' ' | b'<' | b'>' | b'[' | b']' | b'?' | b'|' | b'*'
            )
    };
    let length = text.iter().take(MAX_WORD).take_while(is_of_it).count();
    let is_sign = matches!(&text[length..], [b'=', b, ..] if !matches!(b, b'=' | b'>'));
    is_sign.then(|| length + 1 + spaces(&text[length + 1..]))
}

/// The text before a type that is between a name and its sign, as in Go and SQL: `password string =`.
pub(super) fn without_type(text: &[u8]) -> Option<&[u8]> {
    let is_of_it =
        |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'*' | b'[' | b']' | b'(' | b')');
    let length = text.iter().rev().take(MAX_WORD).take_while(is_of_it).count();
    let (before, kind) = text.split_at(text.len() - length);
    let mut words = kind.split(|b| !b.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let is_type = words.next().is_some_and(|word| is_one_of(word, TYPES));
    let name = before.trim_ascii_end();
    (is_type && name.len() < before.len()).then_some(name)
}

/// How long the parameters of a type are that this text begins with: `<String>`, `[str]` before `(`.
fn generic(text: &[u8]) -> usize {
    let close = match text.first() {
        Some(b'<') => b'>',
        Some(b'[') => b']',
        _ => return 0,
    };
    let is_of_it = |b: &&u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b':' | b'?');
    let length = 1 + text[1..].iter().take(MAX_WORD).take_while(is_of_it).count();
    let is_call = text.get(length) == Some(&close) && text.get(length + 1) == Some(&b'(');
    if is_call { length + 1 } else { 0 }
}

/// Whether a value stands in angle brackets, of which the text behind it has the second or is cut off, and is no
/// tag.
pub(super) fn is_angled(value: &[u8], rest: &[u8]) -> bool {
    const TAGS: &[&[u8]] = &[b"br", b"div", b"hr", b"li", b"p", b"td", b"tr", b"ul"];
    let ends = match rest {
        [b'>', after @ ..] => !after.first().is_some_and(u8::is_ascii_alphanumeric),
        rest => rest.is_empty(),
    };
    ends && !TAGS.iter().any(|tag| value.eq_ignore_ascii_case(tag))
}

/// How long the tags are that a value is set in.
pub(super) fn tags(text: &[u8]) -> usize {
    const TAGS: &[&[u8]] = &[
        b"<b>",
        b"<i>",
        b"<u>",
        b"<em>",
        b"<strong>",
        b"<code>",
        b"<tt>",
        b"<kbd>",
        b"<pre>",
        b"<mark>",
        b"<samp>",
        b"<span>",
    ];
    let mut end = 0;
    while text[end..].starts_with(b"<")
        && let Some(tag) = TAGS.iter().find(|tag| text[end..].starts_with(tag))
    {
        end += tag.len();
    }
    end
}

fn spaces(text: &[u8]) -> usize {
    let is_space = |b: &&u8| b.is_ascii_whitespace() || matches!(**b, b'+' | COLOUR);
    text.iter().take(MAX_SPACES).take_while(is_space).count()
}

fn is_one_of(word: &[u8], words: &[&[u8]]) -> bool {
    words.iter().any(|known| known.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use crate::tests::check_clean;

    /// Each is written behind a sign; `…` is the secret.
    const WRITTEN: &[&str] = &[
        r#"Some("…")"#,
        "b'…'",
        "u'…'",
        r#"f"…""#,
        "r'…'",
        r#"rb"…""#,
        r#"@"…""#,
        r#"$@"…""#,
        r#"u8"…""#,
        "N'…'",
        r#"("…")"#,
        "( '…' )",
        "(b'…',)",
        r#"Ok("…")"#,
        r#"Ok(Some("…"))"#,
        r#"Optional("…")"#,
        r#"Optional<String>("…")"#,
        r#"Just "…""#,
        r#"(Just "…")"#,
        r#"Just (Just "…")"#,
        r#"String("…")"#,
        r#"new String("…")"#,
        r#"std::string("…")"#,
        r#"String::from("…")"#,
        r#"to_string("…")"#,
        "bytearray(b'…')",
        "SecretStr('…')",
        r#"string(6) "…""#,
        "[String: '…']",
        r#"SecretString { inner: "…" }"#,
        r#"sql.NullString{String:"…", Valid:true}"#,
        r#"Secret(value="…")"#,
        r#"Some(  "…"  )"#,
        r#"<<"…">>"#,
        r#"&"…""#,
        r##"r#"…"#"##,
        r#""""…""""#,
        r#"~s"…""#,
        r#"!!str "…""#,
    ];

    fn check(before: &str, secret: &str, mark: &str, written: &[&str]) {
        for text in written {
            let of = |secret: &str| format!("{before}{}, n=1", text.replace('…', secret));
            check_clean(&[(&of(secret), &of(mark)), (&of(mark), &of(mark))]);
        }
    }

    #[test]
    fn what_is_written_around_a_value_stays() {
        for name in ["Password: ", "{'password': ", "password = ", "pw=", "password => ", "pw := "]
        {
            check(name, "Zx9kkq", "[token]", WRITTEN);
        }
        check("token: ", "Zx9kkqAAbb12345678", "[token]", WRITTEN);
        check("phone=", "601234567", "[phone]", WRITTEN);
        check("password: ", "a b, c", "[token]", WRITTEN);
    }

    #[test]
    fn what_is_called_or_declared_stays() {
        check_clean(&[
            (r#"Secret: Password("Zx9kkq")"#, r#"Secret: Password("[token]")"#),
            (r#"password = hash("Zx9kkq")"#, r#"password = hash("[token]")"#),
            (r#"password => hash("Zx9kkq")"#, r#"password => hash("[token]")"#),
            (r#"password: string = "Zx9kkq";"#, r#"password: string = "[token]";"#),
            (r#"password: string | null = "Zx9kkq";"#, r#"password: string | null = "[token]";"#),
            (r#"password: Optional[str] = "Zx9kkq""#, r#"password: Optional[str] = "[token]""#),
            (r#"PASSWORD: &'static str = "Zx9kkq";"#, r#"PASSWORD: &'static str = "[token]";"#),
            (r#"PASSWORD: &str = "Zx9kkq";"#, r#"PASSWORD: &str = "[token]";"#),
            (r#"val password: String? = "Zx9kkq""#, r#"val password: String? = "[token]""#),
            (
                "[\"password\"]=>\n  string(6) \"Zx9kkq\"\n  [\"n\"]=>\n  int(1)",
                "[\"password\"]=>\n  string(6) \"[token]\"\n  [\"n\"]=>\n  int(1)",
            ),
            (r#"os.environ['PASSWORD'] = 'Zx9kkq'"#, r#"os.environ['PASSWORD'] = '[token]'"#),
            (
                r#"{"m":"{'password': b'Zx9kkq', 'n': 1}"}"#,
                r#"{"m":"{'password': b'[token]', 'n': 1}"}"#,
            ),
            (r#"{"token":"b'Zx9kkqAAbb12345678'"}"#, r#"{"token":"b'[token]'"}"#),
            (r#"{"phone":"Some(\"601234567\")"}"#, r#"{"phone":"Some(\"[phone]\")"}"#),
            ("?m=password%3A+Some%28%22Zx9kkq%22%29", "?m=password%3A+Some%28%22[token]%22%29"),
            // These are no words before a quote, but the value.
            (r#"password: hunter2 "Mozilla/5.0""#, r#"password: [token] "Mozilla/5.0""#),
            ("password: Some(Zx9kkq)", "password: [token]"),
            ("password=[Z, x, 9, k]; n=1", "password=[token]; n=1"),
            ("password: [90 120 57]", "password: [token]"),
            ("pw=[a&b=1], pw=[c", "pw=[token]&b=1], pw=[token]"),
        ]);
        for text in [
            "password: b'', password: Some(\"\")",
            "password: None, token: Some(None), password => hash(password)",
            r#"token = translate("errors.invalid_token_2")"#,
            r#"{"password": {"rule": "x"#,
        ] {
            check_clean(&[(text, text)]);
        }
    }
}
