//! Regular expressions as BigQuery reads them: they are RE2's, and are put here into the words of the crate `regex`. What
//! RE2 refuses is wrong; what only one of the two knows, or both know as something else, is refused here.

use std::iter::Peekable;
use std::str::Chars;

use super::scalar::Wrong;

/// How often RE2 lets something repeat, what is repeated within it counted with it.
const MOST_REPETITIONS: u32 = 1000;

fn differs(pattern: &str, what: &str) -> Wrong {
    Wrong::Here(format!("`{pattern}`: {what} is not read here as in BigQuery"))
}

fn wrong(pattern: &str, what: &str) -> Wrong {
    Wrong::Value(format!("`{pattern}` is no regular expression: {what}"))
}

/// RE2's syntax in that of the crate `regex`: classes such as `\d` are of ASCII there.
pub(super) fn from_re2(pattern: &str) -> Result<String, Wrong> {
    let mut out = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    // Whether what was read last says how often: a second one is refused, but for the `?` of the lazy ones.
    let (mut repeated, mut lazy) = (false, false);
    // Whether something may repeat here.
    let mut is_empty = true;
    // How often what was read last repeats, and the most of this in each group that is open.
    let (mut times, mut groups) = (1_u32, vec![1_u32]);
    while let Some(character) = rest.next() {
        let (was_repeated, was_lazy, was_empty) = (repeated, lazy, is_empty);
        (repeated, lazy, is_empty) = (false, false, false);
        match character {
            '*' | '+' | '?' | '{' => {}
            _ => times = 1,
        }
        match character {
            '\\' => match rest.next() {
                Some('d') => out.push_str("[0-9]"),
                Some('D') => out.push_str("[^0-9]"),
                Some('w') => out.push_str("[0-9A-Za-z_]"),
                Some('W') => out.push_str("[^0-9A-Za-z_]"),
                Some('s') => out.push_str("[\\t\\n\\f\\r ]"),
                Some('S') => out.push_str("[^\\t\\n\\f\\r ]"),
                Some('b') => out.push_str("(?-u:\\b)"),
                Some(same @ ('A' | 'z')) => out.extend(['\\', same]),
                // Braces of a code point, and not of a repetition.
                Some('x') if rest.peek() == Some(&'{') => match rest.clone().position(|c| c == '}')
                {
                    Some(end) => {
                        out.push_str("\\x");
                        out.extend(rest.by_ref().take(end + 1));
                    }
                    None => return Err(differs(pattern, "an escape")),
                },
                escaped => escape(pattern, escaped, &mut out)?,
            },
            '[' => class(pattern, &mut rest, &mut out)?,
            '(' => {
                out.push('(');
                groups.push(1);
                is_empty = true;
                if rest.peek() == Some(&'?') {
                    let behind: String = rest.clone().skip(1).collect();
                    let named = behind.starts_with("P<")
                        || (behind.starts_with('<')
                            && !behind.starts_with("<=")
                            && !behind.starts_with("<!"));
                    let flags = behind.split([':', ')']).next().unwrap_or_default();
                    if !named && flags.chars().any(|flag| !"imsU-".contains(flag)) {
                        return Err(differs(pattern, "a group"));
                    }
                    // The question mark says what group it is, not how often.
                    out.extend(rest.next());
                    is_empty = false;
                }
            }
            ')' => {
                out.push(')');
                times = groups.pop().unwrap_or(1);
                if groups.is_empty() {
                    return Err(wrong(pattern, "a `)` without its `(`"));
                }
            }
            '|' => {
                out.push('|');
                is_empty = true;
            }
            '*' | '+' | '?' if was_empty => {
                return Err(wrong(pattern, "a repetition of nothing"));
            }
            '*' | '+' if was_repeated || was_lazy => {
                return Err(differs(pattern, "a repetition twice"));
            }
            '?' if was_lazy => return Err(differs(pattern, "a repetition twice")),
            '*' | '+' => {
                out.push(character);
                repeated = true;
            }
            '?' => {
                out.push('?');
                (repeated, lazy) = (!was_repeated, was_repeated);
            }
            '{' => {
                let inside: String = rest.clone().take_while(|&c| c != '}').collect();
                let (least, most) = match counts(&inside) {
                    Some(counts)
                        if !was_repeated && !was_lazy && rest.clone().any(|c| c == '}') =>
                    {
                        counts
                    }
                    // Others are what they look like in RE2.
                    _ => return Err(differs(pattern, "a brace")),
                };
                times *= most.unwrap_or(least).clamp(1, MOST_REPETITIONS + 1);
                if most.is_some_and(|most| most < least) {
                    return Err(wrong(pattern, "a repetition with less as its most"));
                }
                if times > MOST_REPETITIONS {
                    return Err(wrong(
                        pattern,
                        "more than 1000 repetitions, where those within others are multiplied",
                    ));
                }
                out.push('{');
                out.extend(rest.by_ref().take(inside.chars().count() + 1));
                repeated = true;
            }
            other => out.push(other),
        }
        if let Some(most) = groups.last_mut() {
            *most = times.max(*most);
        }
    }
    match groups.len() {
        1 => Ok(out),
        _ => Err(wrong(pattern, "a `(` without its `)`")),
    }
}

/// The least and the most of a repetition, as RE2 reads them: without a sign, and without a zero before them.
fn counts(inside: &str) -> Option<(u32, Option<u32>)> {
    let count = |text: &str| {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_digit())
            && (text == "0" || !text.starts_with('0'))
            && text.len() < 10;
        text.parse::<u32>().ok().filter(|_| is_plain)
    };
    match inside.split_once(',') {
        None => count(inside).map(|exactly| (exactly, Some(exactly))),
        Some((least, "")) => Some((count(least)?, None)),
        Some((least, most)) => Some((count(least)?, Some(count(most)?))),
    }
}

/// An escape that means the same inside and outside of a class.
fn escape(pattern: &str, escaped: Option<char>, out: &mut String) -> Result<(), Wrong> {
    match escaped {
        Some(same @ ('a' | 'f' | 't' | 'n' | 'r' | 'v' | 'x' | 'p' | 'P')) => {
            out.extend(['\\', same])
        }
        Some(plain @ ('<' | '>')) => out.push(plain),
        Some(mark) if mark.is_ascii_punctuation() => out.extend(['\\', mark]),
        None => return Err(wrong(pattern, "a backslash with nothing behind it")),
        _ => return Err(differs(pattern, "an escape")),
    }
    Ok(())
}

/// Classes that have a name, as `[:alpha:]`.
const NAMED_CLASSES: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];

/// Whether a class such as `\w` follows.
fn is_class(rest: &Peekable<Chars<'_>>) -> bool {
    let mut rest = rest.clone();
    rest.next() == Some('\\') && matches!(rest.next(), Some('d' | 'w' | 's' | 'D' | 'W' | 'S'))
}

fn class(pattern: &str, rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Result<(), Wrong> {
    out.push('[');
    if rest.next_if_eq(&'^').is_some() {
        out.push('^');
    }
    if rest.next_if_eq(&']').is_some() {
        out.push_str("\\]");
    }
    if rest.next_if_eq(&'-').is_some() {
        out.push_str("\\-");
    }
    while let Some(character) = rest.next() {
        match character {
            ']' => {
                out.push(']');
                return Ok(());
            }
            '[' if rest.peek() == Some(&':') => {
                let inside: String = rest.clone().skip(1).take_while(|&c| c != ']').collect();
                let is_named = inside.strip_suffix(':').is_some_and(|name| {
                    NAMED_CLASSES.contains(&name.strip_prefix('^').unwrap_or(name))
                });
                if !is_named {
                    return Err(differs(pattern, "a class of this name"));
                }
                out.push('[');
                out.extend(rest.by_ref().take(inside.chars().count() + 2));
            }
            '[' | '&' | '~' => out.extend(['\\', character]),
            '-' if rest.peek() == Some(&'-') => return Err(differs(pattern, "a range of hyphens")),
            '-' if is_class(rest) => return Err(differs(pattern, "a range up to a class")),
            '\\' => {
                match rest.next() {
                    Some('d') => out.push_str("0-9"),
                    Some('w') => out.push_str("0-9A-Za-z_"),
                    Some('s') => out.push_str("\\t\\n\\f\\r "),
                    escaped => {
                        escape(pattern, escaped, out)?;
                        continue;
                    }
                }
                // No range begins with a class.
                if rest.next_if_eq(&'-').is_some() {
                    out.push_str("\\-");
                }
            }
            other => out.push(other),
        }
    }
    Err(wrong(pattern, "a class without end"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_re2_refuses_is_wrong_and_what_differs_is_not() {
        for pattern in [
            "(",
            "a(b",
            ")",
            "(a))",
            "[",
            "[^]",
            "[a\\",
            "a\\",
            "*",
            "(+a)",
            "a|?",
            "a{2,1}",
            "a{1001}",
            "a{1001,}",
            "a{0,1001}",
            "a{999999999}",
            "(a{100}){11}",
            "(?:(a{10}){10}b){11}",
            "((a{2})*){501}",
            "(a{2,}|b{500}){3}",
        ] {
            assert!(matches!(from_re2(pattern), Err(Wrong::Value(_))), "{pattern}");
        }
        for pattern in [
            "a{01}",
            "a{+5}",
            "a{,5}",
            "a{5",
            "a{1001",
            "a{10000000000}",
            "{",
            "a{}",
            "a**",
            "(?=a)",
            "\\Qa",
            "\\x{20",
        ] {
            assert!(matches!(from_re2(pattern), Err(Wrong::Here(_))), "{pattern}");
        }
        for pattern in [
            "a{1000}",
            "(a{100}){10}",
            "(a{10}){10}(b{10}){10}",
            "(a{1000}b)?",
            "(a{0}){1000}",
            "[)(*{]",
            "\\(\\)\\*",
            "(?i)a",
            "(?P<n>a)",
            "a{2}?",
            "[]a]",
            "()",
            "\\x{2019}{2}",
        ] {
            assert!(from_re2(pattern).is_ok(), "{pattern}");
        }
    }
}
