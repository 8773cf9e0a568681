//! How the same text is written by those that make URLs, JSON and HTML.

/// A way to write a text: what stands around it, and how each of its characters is written, which is called
/// from the innermost to the outermost.
pub(super) struct Writing {
    pub name: &'static str,
    around: (&'static str, &'static str),
    layers: &'static [fn(char, &mut String)],
}

impl Writing {
    /// The whole text of which `parts` are written so, with marks as they are where those are in between.
    pub(super) fn write(&self, parts: &[Part<'_>]) -> String {
        let mut text = self.around.0.to_owned();
        for part in parts {
            match part {
                Part::Mark(mark) => text.push_str(mark),
                Part::Text(plain) => text.push_str(&self.write_text(plain)),
            }
        }
        text + self.around.1
    }

    fn write_text(&self, plain: &str) -> String {
        self.layers.iter().fold(plain.to_owned(), |text, layer| {
            let mut written = String::new();
            text.chars().for_each(|char| layer(char, &mut written));
            written
        })
    }
}

/// A part of a text.
pub(super) enum Part<'a> {
    Text(&'a str),
    Mark(&'a str),
}

const fn writing(
    name: &'static str,
    around: (&'static str, &'static str),
    layers: &'static [fn(char, &mut String)],
) -> Writing {
    Writing { name, around, layers }
}

pub(super) const WRITINGS: &[Writing] = &[
    writing("plain", ("", ""), &[]),
    writing("in a sentence", ("it was ", " that failed"), &[]),
    writing("in angle brackets", ("<", ">"), &[]),
    writing("percent-encoded", ("/s?q=", "&page=2"), &[percent]),
    writing("percent-encoded, small", ("/s?q=", "&page=2"), &[small_percent]),
    writing("percent-encoded twice", ("/r?u=%2Fs%3Fq%3D", "%26page%3D2&n=1"), &[percent, percent]),
    writing("percent-encoded three times", ("/r?u=", "&n=1"), &[percent, percent, percent]),
    writing("form-encoded", ("name=x&q=", "&n=1"), &[form]),
    writing("form-encoded twice", ("u=%2Fs%3Fq%3D", "&n=1"), &[form, form]),
    writing("JSON of Python", (r#"{"a": ""#, r#"", "n": 1}"#), &[python]),
    writing("JSON of Go", (r#"{"a":""#, r#"","n":1}"#), &[go]),
    writing("JSON of .NET", (r#"{"a":""#, r#"","n":1}"#), &[dot_net]),
    writing("JSON of PHP", (r#"{"a":""#, r#"","n":1}"#), &[php]),
    writing("JSON of Java", (r#"{"a":""#, r#"","n":1}"#), &[java]),
    writing("JSON, all escaped", (r#"{"a":""#, r#""}"#), &[all_escaped]),
    writing("a list in JSON", (r#"{"a": [true, ""#, r#"", null, 1e5]}"#), &[python]),
    writing("JSON in JSON", (r#"{"a": "{\"b\": \""#, r#"\", \"n\": [1]}"}"#), &[python, python]),
    writing("JSON of PHP in JSON of Go", (r#"{"a":"[\""#, r#"\"]"}"#), &[php, go]),
    writing("JSON in a URL", ("/a?d=%7B%22b%22%3A%22", "%22%7D&n=1"), &[python, percent]),
    writing("a URL in JSON", (r#"{"url": "\/s?q="#, r#"&page=2"}"#), &[percent, php]),
    writing("JSON that is cut off", (r#"{"n": [1, "x"], "a": ""#, r#"", "b": [1"#), &[dot_net]),
    writing("HTML", ("<p title=\"", "\">"), &[html]),
    writing("HTML in JSON", (r#"{"html": "<p>"#, r#"<\/p>"}"#), &[html, python]),
];

fn percent(char: char, out: &mut String) {
    for byte in char.encode_utf8(&mut [0; 4]).bytes() {
        match byte {
            b'-' | b'.' | b'_' | b'~' => out.push(char),
            _ if byte.is_ascii_alphanumeric() => out.push(char),
            _ => *out += &format!("%{byte:02X}"),
        }
    }
}

fn small_percent(char: char, out: &mut String) {
    let mut encoded = String::new();
    percent(char, &mut encoded);
    if encoded.len() > 1 {
        encoded.make_ascii_lowercase();
    }
    *out += &encoded;
}

fn form(char: char, out: &mut String) {
    if char == ' ' { out.push('+') } else { percent(char, out) }
}

fn escape(char: char, out: &mut String) {
    for unit in char.encode_utf16(&mut [0; 2]) {
        *out += &format!("\\u{unit:04x}");
    }
}

/// What all of them escape, and with it what one of them does.
fn json(char: char, also: &str, non_ascii: bool, out: &mut String) {
    match char {
        '"' if !also.contains('"') => *out += "\\\"",
        '\\' => *out += "\\\\",
        '\n' => *out += "\\n",
        _ if also.contains(char) || non_ascii && !char.is_ascii() => escape(char, out),
        _ => out.push(char),
    }
}

fn python(char: char, out: &mut String) {
    json(char, "", true, out);
}

fn go(char: char, out: &mut String) {
    json(char, "<>&\u{2028}\u{2029}", false, out);
}

fn dot_net(char: char, out: &mut String) {
    json(char, "\"'<>&+`", true, out);
}

fn php(char: char, out: &mut String) {
    if char == '/' { *out += "\\/" } else { json(char, "", true, out) }
}

fn java(char: char, out: &mut String) {
    json(char, "<>&='", false, out);
}

fn all_escaped(char: char, out: &mut String) {
    escape(char, out);
}

fn html(char: char, out: &mut String) {
    match char {
        '&' => *out += "&amp;",
        '<' => *out += "&lt;",
        '>' => *out += "&gt;",
        '"' => *out += "&quot;",
        '\'' => *out += "&#39;",
        '@' => *out += "&#64;",
        '+' => *out += "&#x2B;",
        _ => out.push(char),
    }
}
