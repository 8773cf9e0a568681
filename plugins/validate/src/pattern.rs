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
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Patterns nested deeper or compiled bigger than this are refused: a guest's stack of 64 KiB holds about
/// 115 levels, and a fresh instance per batch compiles the pattern anew.
const MAX_DEPTH: u32 = 64;
const MAX_BYTES: usize = 1 << 20;

/// An automaton with more bytes is not made.
const MAX_AUTOMATON_BYTES: usize = 8 << 10;
/// For so many patterns automata are tried: what a configuration takes has an end.
const MAX_AUTOMATA: usize = 16;

/// A pattern that is searched for.
pub(crate) struct Pattern {
    text: String,
    matcher: Matcher,
    /// Whether an automaton is tried where it is handed on.
    may_have_automaton: bool,
}

enum Matcher {
    Automaton(Box<dense::DFA<Vec<u32>>>),
    Regex(Regex),
}

impl Pattern {
    /// The pattern, before which there were so many. The error is what is wrong with it.
    pub(crate) fn new(text: &str, before: usize) -> Result<Self, regex::Error> {
        let matcher = Matcher::Regex(regex(text)?);
        Ok(Self { text: text.to_owned(), matcher, may_have_automaton: before < MAX_AUTOMATA })
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
                let found = automaton.try_search_fwd(&Input::new(text).earliest(true));
                found.is_ok_and(|at| at.is_some())
            }
            Matcher::Regex(regex) => regex.is_match(text),
        }
    }
}

/// A pattern as it is handed on: without bytes of an automaton it has none.
#[derive(Serialize, Deserialize)]
struct HandedOn<'a> {
    text: &'a str,
    automaton: &'a [u8],
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let made = self.may_have_automaton.then(|| automaton(&self.text)).flatten();
        let made = made.map(|dfa| {
            let (bytes, padding) = dfa.to_bytes_little_endian();
            bytes[padding..].to_vec()
        });
        HandedOn { text: &self.text, automaton: &made.unwrap_or_default() }.serialize(to)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let HandedOn { text, automaton } = HandedOn::deserialize(from)?;
        let matcher = if automaton.is_empty() {
            Matcher::Regex(regex(text).map_err(D::Error::custom)?)
        } else {
            let dfa = read(automaton).ok_or_else(|| D::Error::custom("an automaton is not whole"));
            Matcher::Automaton(Box::new(dfa?))
        };
        Ok(Self { text: text.to_owned(), matcher, may_have_automaton: !automaton.is_empty() })
    }
}

fn regex(text: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(text).unicode(false).nest_limit(MAX_DEPTH).size_limit(MAX_BYTES).build()
}

fn read(bytes: &[u8]) -> Option<dense::DFA<Vec<u32>>> {
    // It is read where it lies, at an address that words have.
    let mut room = vec![0; bytes.len() + align_of::<u32>()];
    let start = room.as_ptr().align_offset(align_of::<u32>());
    let aligned = room.get_mut(start..start + bytes.len())?;
    aligned.copy_from_slice(bytes);
    let (dfa, _) = dense::DFA::from_bytes(aligned).ok()?;
    Some(dfa.to_owned())
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

    fn pattern(text: &str) -> Pattern {
        Pattern::new(text, 0).expect("it is a pattern")
    }

    /// The pattern with its automaton after it was bytes.
    fn handed_on(pattern: &Pattern) -> Option<Pattern> {
        let bytes = postcard::to_allocvec(pattern).expect("it has bytes");
        let again: Pattern = postcard::from_bytes(&bytes).expect("it is whole");
        assert_eq!(again.text, pattern.text);
        matches!(again.matcher, Matcher::Automaton(_)).then_some(again)
    }

    #[test]
    fn small_patterns_have_automata_and_others_none() {
        let has = |text: &str| handed_on(&pattern(text)).is_some();
        for small in ["^[ABCP][0-9]+$", "", "^$", r"\d{2}", "a|b|c", "(?i)sale", r"(?m)^x\b"] {
            assert!(has(small), "{small}");
        }
        let address = r"[a-z0-9]{1,64}@[a-z0-9]{1,64}\.[a-z]{2,24}";
        assert!(!has(address));
    }

    #[test]
    fn what_was_cut_is_no_pattern() {
        let bytes = postcard::to_allocvec(&pattern("^a+$")).expect("it has bytes");
        for cut in 0..bytes.len() {
            assert!(postcard::from_bytes::<Pattern>(&bytes[..cut]).is_err(), "{cut}");
        }
    }

    #[test]
    fn so_many_automata_are_made_and_no_more() {
        let has =
            |before| handed_on(&Pattern::new("^a$", before).expect("it is a pattern")).is_some();
        assert!(has(MAX_AUTOMATA - 1));
        assert!(!has(MAX_AUTOMATA));
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
            let Ok(pattern) = Pattern::new(&parts.concat(), 0) else { return Ok(()) };
            let Some(handed_on) = handed_on(&pattern) else { return Ok(()) };
            for text in texts {
                let wanted = pattern.is_match(&text);
                prop_assert_eq!(handed_on.is_match(&text), wanted, "{} {:?}", &pattern.text, text);
            }
        }
    }
}
