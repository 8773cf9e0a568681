//! Patterns, and the automata that they are handed on as.
//!
//! To compile a pattern takes a fresh instance longer than a hundred rows. So the automata of small patterns are
//! made once, when the plugin is configured, and passed on as bytes: to read them takes a hundredth of that, and
//! they match faster than what is compiled per instance. Other patterns have none: a large automaton takes more
//! than it saves.

use regex::bytes::{Regex, RegexBuilder};
use regex_automata::Input;
use regex_automata::dfa::{Automaton as _, StartKind, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::syntax;

/// Patterns nested deeper or compiled bigger than this are refused: a guest's stack of 64 KiB holds about
/// 115 levels, and a fresh instance per batch compiles the pattern anew.
const MAX_DEPTH: u32 = 64;
const MAX_BYTES: usize = 1 << 20;

/// An automaton with more bytes is not made.
const MAX_AUTOMATON_BYTES: usize = 8 << 10;
/// For so many patterns automata are tried: what a configuration takes has an end.
const MAX_AUTOMATA: usize = 16;

/// An automaton that finds a pattern.
pub(crate) struct Automaton(dense::DFA<Vec<u32>>);

/// A pattern that is searched for.
pub(crate) struct Pattern {
    text: String,
    matcher: Matcher,
}

enum Matcher {
    Automaton(Box<Automaton>),
    Regex(Regex),
}

impl Pattern {
    /// The pattern, with its automaton if there is one. The error is what is wrong with it.
    pub(crate) fn new(text: &str, automaton: Option<Automaton>) -> Result<Self, regex::Error> {
        let matcher = match automaton {
            Some(automaton) => Matcher::Automaton(Box::new(automaton)),
            None => Matcher::Regex(
                RegexBuilder::new(text)
                    .unicode(false)
                    .nest_limit(MAX_DEPTH)
                    .size_limit(MAX_BYTES)
                    .build()?,
            ),
        };
        Ok(Self { text: text.to_owned(), matcher })
    }

    /// As it was written.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it is found in a text.
    #[inline]
    pub(crate) fn is_match(&self, text: &[u8]) -> bool {
        match &self.matcher {
            // It has no bytes at which it gives up.
            Matcher::Automaton(automaton) => {
                let found = automaton.0.try_search_fwd(&Input::new(text).earliest(true));
                found.is_ok_and(|at| at.is_some())
            }
            Matcher::Regex(regex) => regex.is_match(text),
        }
    }
}

/// The automata of patterns as bytes, each after their number: 0 where there is none. Without any pattern there
/// is nothing.
pub(crate) fn to_bytes<'a>(patterns: impl Iterator<Item = &'a Pattern>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, pattern) in patterns.enumerate() {
        let made = (number < MAX_AUTOMATA).then(|| automaton(&pattern.text)).flatten();
        let made = made.map(|dfa| {
            let (bytes, padding) = dfa.to_bytes_little_endian();
            bytes[padding..].to_vec()
        });
        let made = made.unwrap_or_default();
        bytes.extend_from_slice(&(made.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&made);
    }
    bytes
}

/// The automata of [`to_bytes`], of which nothing is left out.
pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Vec<Option<Automaton>>> {
    let mut automata = Vec::new();
    let mut rest = bytes;
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (bytes, after) = after.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        automata.push(if bytes.is_empty() { None } else { Some(read(bytes)?) });
        rest = after;
    }
    Some(automata)
}

fn read(bytes: &[u8]) -> Option<Automaton> {
    // It is read where it lies, at an address that words have.
    let mut room = vec![0; bytes.len() + align_of::<u32>()];
    let start = room.as_ptr().align_offset(align_of::<u32>());
    let aligned = room.get_mut(start..start + bytes.len())?;
    aligned.copy_from_slice(bytes);
    let (dfa, _) = dense::DFA::from_bytes(aligned).ok()?;
    Some(Automaton(dfa.to_owned()))
}

/// The automaton of a pattern, where it is small: what it matches is what the pattern does.
fn automaton(pattern: &str) -> Option<dense::DFA<Vec<u32>>> {
    dense::Builder::new()
        .syntax(syntax::Config::new().unicode(false).utf8(false).nest_limit(MAX_DEPTH))
        .thompson(thompson::Config::new().utf8(false).nfa_size_limit(Some(MAX_AUTOMATON_BYTES)))
        .configure(
            dense::Config::new()
                .start_kind(StartKind::Unanchored)
                .accelerate(false)
                .dfa_size_limit(Some(MAX_AUTOMATON_BYTES))
                .determinize_size_limit(Some(2 * MAX_AUTOMATON_BYTES)),
        )
        .build(pattern)
        .ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The pattern with its automaton after it was bytes.
    fn handed_on(pattern: &Pattern) -> Option<Pattern> {
        let bytes = to_bytes([pattern].into_iter());
        let automaton = from_bytes(&bytes).expect("it is whole").pop().flatten()?;
        Some(Pattern::new(&pattern.text, Some(automaton)).expect("it was one before"))
    }

    #[test]
    fn small_patterns_have_automata_and_others_none() {
        let has =
            |text: &str| handed_on(&Pattern::new(text, None).expect("it is a pattern")).is_some();
        for small in ["^[ABCP][0-9]+$", "", "^$", r"\d{2}", "a|b|c", "(?i)sale", r"(?m)^x\b"] {
            assert!(has(small), "{small}");
        }
        let address = r"[a-z0-9]{1,64}@[a-z0-9]{1,64}\.[a-z]{2,24}";
        assert!(!has(address));
    }

    #[test]
    fn what_was_cut_is_no_automaton() {
        let pattern = Pattern::new("^a+$", None).expect("it is a pattern");
        let bytes = to_bytes([&pattern, &pattern].into_iter());
        assert_eq!(from_bytes(&bytes).map(|automata| automata.len()), Some(2));
        for cut in 1..bytes.len() {
            let automata = from_bytes(&bytes[..cut]);
            assert!(automata.is_none_or(|automata| automata.len() == 1), "{cut}");
        }
        assert_eq!(from_bytes(b"").map(|automata| automata.len()), Some(0));
    }

    #[test]
    fn so_many_automata_are_made_and_no_more() {
        let patterns: Vec<Pattern> = (0..MAX_AUTOMATA + 2)
            .map(|_| Pattern::new("^a$", None).expect("it is a pattern"))
            .collect();
        let automata = from_bytes(&to_bytes(patterns.iter())).expect("they are whole");
        let made: Vec<bool> = automata.iter().map(Option::is_some).collect();
        assert_eq!(made.iter().filter(|made| **made).count(), MAX_AUTOMATA);
        assert_eq!(made.len(), MAX_AUTOMATA + 2);
    }

    proptest! {
        /// Patterns of what a person writes, over texts that they may match.
        #[test]
        fn an_automaton_matches_what_its_pattern_does(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "b", "[ab]", ".", r"\d", r"\w", r"\s", "^", "$", "(a|bc)", "a*", "b+", "c?",
                    "[^a]", r"\b", r"\B", "(?i:B)", "x{2}", "(?-m:$)", r"\x00", r"\xff", "(?s:.)",
                    r"\A", r"\z", "(?m:^)", "(?m:$)", "(?u:é)", "|",
                ]),
                0..7,
            ),
            texts in prop::collection::vec(
                prop::collection::vec(
                    prop::sample::select(b"abcBx1 \n\r\0\xff\xc3\xa9".to_vec()),
                    0..10,
                ),
                1..20,
            ),
        ) {
            let Ok(pattern) = Pattern::new(&parts.concat(), None) else { return Ok(()) };
            let Some(handed_on) = handed_on(&pattern) else { return Ok(()) };
            for text in texts {
                let wanted = pattern.is_match(&text);
                prop_assert_eq!(handed_on.is_match(&text), wanted, "{} {:?}", &pattern.text, text);
            }
        }
    }
}
