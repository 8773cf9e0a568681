//! Finds what a telling name of an element of XML or HTML announces: `<ns:Password type="x">secret</ns:Password>`.
//!
//! `<user>:<password>@host` and `login <password> [options]` say where a password goes. So without its end tag
//! an element is one that is cut off only where a value may begin, or where another element is before it.
//! `<code>` shows code, and what has elements within is looked at in these.

use std::ops::Range;

use super::names::{self, Holds, MAX_NAME};
use super::value;
use super::view::View;

/// The longest that the `<` of a tag is taken to be written. It bounds how often a text is read.
const MAX_WIDTH: usize = 16;

const CDATA: &[u8] = b"<![CDATA[";

/// What the element holds that may begin with the `<` at this place, and where its value lies.
pub(super) fn find(text: View<'_>, at: usize) -> Option<(Holds, Range<usize>)> {
    let bytes = text.bytes();
    let name = name(&bytes[at + 1..]);
    let local = name.rsplit(|byte| *byte == b':').next()?;
    if !names::may_tell(local) {
        return None;
    }
    let holds = names::holds(local).filter(|holds| holds.tells_of_another())?;
    let mut start = after_spaces(bytes, tag_end(bytes, at + 1 + name.len())?);
    let is_cdata = bytes[start..].starts_with(CDATA);
    if is_cdata {
        start += CDATA.len();
    }
    let length = if holds.is_password() {
        let end = if is_cdata { cdata_end(text, at, start) } else { end(text, at, start, name)? };
        let value = bytes[start..end].trim_ascii_end();
        let is_told = value::is_password(value, holds) && !value::is_literal(value);
        if is_told { value.len() } else { 0 }
    } else {
        value::length(text.rest(start), holds, text.percent(at))
    };
    (length > 0).then_some((holds, start..start + length))
}

/// The name that a tag begins with, with what its namespace is called.
fn name(tag: &[u8]) -> &[u8] {
    let is_of_it = |byte: &u8| {
        byte.is_ascii_alphanumeric()
            || matches!(byte, b'_' | b'-' | b'.' | b':')
            || !byte.is_ascii()
    };
    let length = tag.iter().take(2 * MAX_NAME).take_while(|byte| is_of_it(byte)).count();
    &tag[..length]
}

/// Where the tag ends whose name ends at this place: `None` where none does, or the element with it.
fn tag_end(bytes: &[u8], name_end: usize) -> Option<usize> {
    let is_name = |byte: &u8| matches!(byte, b'>' | b'+') || byte.is_ascii_whitespace();
    bytes.get(name_end).filter(|byte| is_name(byte))?;
    let mut quote = None;
    for (at, byte) in bytes.iter().enumerate().skip(name_end) {
        match byte {
            // In no tag, so a text of many is read once.
            b'<' => return None,
            b'>' if quote.is_none() => return (bytes[at - 1] != b'/').then_some(at + 1),
            b'"' | b'\'' if quote.is_none() => quote = Some(byte),
            _ if quote == Some(byte) => quote = None,
            _ => {}
        }
    }
    None
}

fn after_spaces(bytes: &[u8], start: usize) -> usize {
    start + bytes[start..].iter().take_while(|byte| byte.is_ascii_whitespace()).count()
}

/// Where the value ends that begins at `start`, in the element that begins at `at`.
fn end(text: View<'_>, at: usize, start: usize, name: &[u8]) -> Option<usize> {
    let bytes = text.bytes();
    let width = |at: usize| (text.source(at + 1) - text.source(at)).min(MAX_WIDTH);
    // The `&lt;` of a value begins no tag.
    let end = memchr::memchr_iter(b'<', &bytes[start..])
        .map(|found| start + found)
        .find(|end| width(*end) <= width(at))
        .unwrap_or(bytes.len());
    if is_end_tag(&bytes[end..], name) {
        return Some(end);
    }
    let first = bytes.get(start)?;
    let begins = first.is_ascii_alphanumeric() || !first.is_ascii();
    let is_cut_off = match bytes[..at].trim_ascii_end() {
        [.., b'>'] => bytes[start - 1] == b'>',
        before => begins && before.last().is_none_or(|byte| !byte.is_ascii_alphanumeric()),
    };
    is_cut_off.then(|| start + line_length(text.slice(start..end), text.percent(at)))
}

/// Whether a text begins with the end tag of this name. Its slash may be escaped as PHP writes JSON.
fn is_end_tag(text: &[u8], name: &[u8]) -> bool {
    let Some((b'<', mut rest)) = text.split_first() else {
        return false;
    };
    while let [b'\\', after @ ..] = rest {
        rest = after;
    }
    let end = rest.strip_prefix(b"/").and_then(|rest| rest.get(..name.len()));
    end.is_some_and(|end| end.eq_ignore_ascii_case(name))
}

fn cdata_end(text: View<'_>, at: usize, start: usize) -> usize {
    let rest = text.rest(start);
    let end = memchr::memmem::find(rest.bytes(), b"]]>");
    start + end.unwrap_or_else(|| line_length(rest, text.percent(at)))
}

/// How long a value is that is cut off: to the end of its line, or of the parameter that it is in.
fn line_length(text: View<'_>, percent: u8) -> usize {
    let ends = |at: usize, byte: u8| {
        byte == b'\n' || matches!(byte, b'&' | b'#' | b'"' | b' ') && text.percent(at) < percent
    };
    let bytes = text.bytes();
    bytes.iter().enumerate().position(|(at, byte)| ends(at, *byte)).unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use crate::tests::check_clean;

    #[test]
    fn values_of_telling_elements_become_a_mark() {
        check_clean(&[
            ("<password>hunter2</password>", "<password>[token]</password>"),
            ("it was <pw>hunter2</pw> that failed", "it was <pw>[token]</pw> that failed"),
            (
                "<ns:Password type=\"a>b\">a b</ns:Password><n>1</n>",
                "<ns:Password type=\"a>b\">[token]</ns:Password><n>1</n>",
            ),
            (
                "<a>\n  <userPassword\n x='1'>\n hunter2\n</userPassword></a>",
                "<a>\n  <userPassword\n x='1'>\n [token]\n</userPassword></a>",
            ),
            ("<password>a&lt;b&amp;c</password>", "<password>[token]</password>"),
            (
                "&lt;password&gt;a&amp;lt;b&lt;/password&gt;",
                "&lt;password&gt;[token]&lt;/password&gt;",
            ),
            ("<Passwd><![CDATA[a<b>]]></Passwd>", "<Passwd><![CDATA[[token]]]></Passwd>"),
            (
                "/a?x=%3Cpassword%3Ehunter2%3C%2Fpassword%3E&n=1",
                "/a?x=%3Cpassword%3E[token]%3C%2Fpassword%3E&n=1",
            ),
            (
                r#"{"x":"<password>a b<\/password>","n":1}"#,
                r#"{"x":"<password>[token]<\/password>","n":1}"#,
            ),
            (
                r#"{"x":"<password>a b<\/password>","n":"#,
                r#"{"x":"<password>[token]<\/password>","n":"#,
            ),
            (
                r#"{"x":"\u003cpassword\u003ea b\u003c/password\u003e"}"#,
                r#"{"x":"\u003cpassword\u003e[token]\u003c/password\u003e"}"#,
            ),
            ("<phone>030123456</phone>", "<phone>[phone]</phone>"),
            (
                "<apiKey>0123456789abcdef</apiKey><key>price</key>",
                "<apiKey>[token]</apiKey><key>price</key>",
            ),
            ("<password>hunter2 is", "<password>[token]"),
            ("<user>ada</user>\n <password>!x y\nb", "<user>ada</user>\n <password>[token]\nb"),
            ("<password><![CDATA[hunter2", "<password><![CDATA[[token]"),
            ("/a?x=%3Cpassword%3Ehunter2&n=1", "/a?x=%3Cpassword%3E[token]&n=1"),
        ]);
    }

    #[test]
    fn what_no_element_announces_stays() {
        for text in [
            "<password></password><password/><password />",
            "<hasPassword>true</hasPassword><pass>3</pass>",
            "<code>482913</code>, <b>password</b>",
            "https://<user>:<password>@host/a",
            "usage: login <user> <password> [options]",
            "type <password>, then <b>enter</b>",
            "<password",
            "<password a='",
            "<passwordless>hunter2</passwordless>",
            "a < b, <3, <-, <>, Vec<Token>::new()",
            "<password><hint>dog</hint></password>",
        ] {
            check_clean(&[(text, text)]);
        }
    }
}
